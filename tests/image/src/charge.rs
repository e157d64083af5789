//! One charge on connector 1, from the driver's, the operator's and the meter's side.

use crate::station::{LIMIT, Station, until};
use anyhow::{Context, Result, ensure};
use busbar_csms::Transaction;
use busbar_interfaces::TransactionId;
use busbar_interfaces::session::{SessionProxy, TransactionEvent};
use busbar_interfaces::words::ConnectorStatus;
use std::collections::BTreeMap;

const CONNECTOR: u32 = 1;
/// Energy that shows that a charge goes on: a second of 60 kW.
const STEP_MILLIWATT_HOURS: u64 = 16_000;

/// A charge that runs.
#[derive(Debug)]
pub struct Charge {
    /// The meter before it.
    pub before: u64,
    /// The station's number of it.
    pub transaction: TransactionId,
    /// Its place in the operator's books.
    number: usize,
    violations: usize,
}

impl Charge {
    /// Plugs in, shows the badge, and waits until energy flows and the operator has a sample.
    ///
    /// # Errors
    /// When it does not.
    pub async fn begin(station: &Station) -> Result<Charge> {
        station.status(CONNECTOR, &[ConnectorStatus::Available]).await?;
        let before = station.register(CONNECTOR).await?;
        let (number, violations) = (station.csms.transactions().len(), station.violations().await?.len());
        station.plug(CONNECTOR, 60_000).await?;
        station.badge(CONNECTOR, &[ConnectorStatus::Charging]).await?;
        let transaction = station.status(CONNECTOR, &[ConnectorStatus::Charging]).await?.transaction;
        let charge = Charge { before, transaction, number, violations };
        charge.goes_on(station).await?;
        let sampled = |transaction: &Transaction| !transaction.meter_values.is_empty();
        until(LIMIT, "the CSMS has a sample", async || Ok(charge.booked(station).is_some_and(|it| sampled(&it))))
            .await?;
        Ok(charge)
    }

    /// The transaction in the operator's books.
    pub fn booked(&self, station: &Station) -> Option<Transaction> {
        station.csms.look_into_books(|books| books.transactions.get(self.number).cloned())
    }

    /// Waits until more energy has flowed in the same transaction, without a new session of the vehicle.
    ///
    /// # Errors
    /// When none does.
    pub async fn goes_on(&self, station: &Station) -> Result<()> {
        let wanted = station.register(CONNECTOR).await?.saturating_add(STEP_MILLIWATT_HOURS);
        let hardware = station.hardware(CONNECTOR).await?;
        let flows = async || {
            let ended = self.booked(station).filter(|booked| booked.stop_count > 0);
            ensure!(ended.is_none(), "the charge has ended: {:?}", ended.map(|booked| booked.reason));
            Ok(station.register(CONNECTOR).await? >= wanted)
        };
        until(LIMIT, "energy flows", flows).await?;
        ensure!(hardware.charge_count().await? == 1, "the vehicle began {} times", hardware.charge_count().await?);
        let state = station.status(CONNECTOR, &[ConnectorStatus::Charging]).await?;
        ensure!(state.transaction == self.transaction, "transaction {} instead", state.transaction);
        Ok(())
    }

    /// Shows the badge again, holds books, journal and meter against each other, and pulls the cable out; the figures.
    ///
    /// # Errors
    /// What is not right.
    pub async fn end(self, station: &Station) -> Result<String> {
        station.badge(CONNECTOR, &[ConnectorStatus::Finishing]).await?;
        self.settle(station, "Local").await
    }

    /// Likewise for a charge that has ended by itself, for this reason.
    ///
    /// # Errors
    /// What is not right.
    pub async fn settle(&self, station: &Station, reason: &str) -> Result<String> {
        let stopped = |transaction: Transaction| transaction.stop_count > 0;
        until(LIMIT, "the CSMS has the stop", async || Ok(self.booked(station).is_some_and(stopped))).await?;
        let after = station.register(CONNECTOR).await?;
        let transaction = self.booked(station).context("not in the books")?;
        ensure!(transaction.reason.as_deref().unwrap_or("Local") == reason, "not {reason}: {:?}", transaction.reason);
        ensure!((transaction.start_count, transaction.stop_count) == (1, 1), "{transaction:?}");
        let wh = |milliwatt_hours: u64| i64::try_from(milliwatt_hours / 1000).ok();
        ensure!(Some(transaction.meter_start) == wh(self.before), "{} of {} mWh", transaction.meter_start, self.before);
        ensure!(transaction.meter_stop == wh(after), "{:?} of {after} mWh", transaction.meter_stop);
        station.csms.look_into_books(|books| {
            ensure!(books.strays.is_empty(), "of unknown transactions: {:?}", books.strays);
            // `ocpp` that was killed may send its last 64 samples again; a start or a stop is counted above.
            let odd: Vec<&str> = books.unexcused().filter(|text| !is_sample_again(text)).collect();
            ensure!(odd.is_empty(), "irregular: {odd:?}");
            Ok(())
        })?;
        judge_journal(station, after).await?;
        let violations = station.violations().await?;
        ensure!(violations.len() == self.violations, "violations: {violations:?}");
        let hardware = station.hardware(CONNECTOR).await?;
        let silence = hardware.longest_station_silence_millis().await?;
        let breaks = hardware.current_interruptions().await?;
        hardware.unplug().await?;
        station.status(CONNECTOR, &[ConnectorStatus::Available]).await?;
        let energy = after.saturating_sub(self.before);
        let samples = transaction.meter_values.len();
        Ok(format!("{energy} mWh, {samples} samples, longest silence {silence} ms, current broke off {breaks} times"))
    }
}

fn is_sample_again(text: &str) -> bool {
    text.starts_with("MeterValues of") && text.contains("sent again")
}

/// The whole journal of the station holds exactly what went through the meters.
///
/// # Errors
/// What is not right.
pub async fn judge_journal(station: &Station, after: u64) -> Result<()> {
    let journal = journal(station).await?;
    let registers = BTreeMap::from([(CONNECTOR, (0, after)), (2, (0, station.register(2).await?))]);
    let mut wrong = Vec::new();
    busbar_suite::books::judge(&journal, &registers, &mut wrong);
    ensure!(wrong.is_empty(), "the journal: {wrong:?}");
    Ok(())
}

async fn journal(station: &Station) -> Result<Vec<TransactionEvent>> {
    const PAGE: u32 = 500;
    let session = SessionProxy::new(&station.bus).await?;
    let mut journal: Vec<TransactionEvent> = Vec::new();
    loop {
        let page = session.events_after(journal.last().map_or(0, |event| event.sequence), PAGE).await?;
        if page.is_empty() {
            return Ok(journal);
        }
        journal.extend(page);
    }
}
