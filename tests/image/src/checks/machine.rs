//! The machine goes down in a charge: the transaction ends with all its energy, and the operator hears of it once.

use crate::charge::{Charge, judge_journal};
use crate::record::Running;
use crate::station::Station;
use anyhow::{Context, Result, ensure};
use busbar_interfaces::words::ConnectorStatus;
use serde_json::Value;

/// A charge that will run when the machine goes down.
///
/// # Errors
/// When it does not begin.
pub async fn begins_what_will_run(station: &Station) -> Result<Running> {
    let charge = Charge::begin(station).await?;
    charge.goes_on(station).await?;
    let booked = charge.booked(station).context("not in the books")?;
    Ok(Running {
        transaction: charge.transaction.0,
        central: booked.transaction_id.context("not answered")?,
        register: station.register(1).await?,
    })
}

/// What ran is ended for this reason, with all that the meter has.
pub fn ends_what_ran(running: Option<Running>, reason: &'static str) -> impl AsyncFnOnce(&Station) -> Result<String> {
    async move |station: &Station| {
        let running = running.context("nothing ran")?;
        let told = station.told(0, |frame| frame.is_request("StopTransaction")).await?;
        let stop = told.request("StopTransaction").context("no request")?;
        let after = station.register(1).await?;
        let number = |name: &str| stop.get(name).and_then(Value::as_i64);
        ensure!(number("transactionId") == Some(running.central), "of {}: {stop}", running.central);
        ensure!(stop.get("reason").and_then(Value::as_str) == Some(reason), "not {reason}: {stop}");
        ensure!(number("meterStop") == i64::try_from(after / 1000).ok(), "of {after} mWh: {stop}");
        ensure!(after >= running.register, "the meter went back");
        // Its vehicle has gone with the cabinet.
        let state = station.status(1, &[ConnectorStatus::Available]).await?;
        ensure!(state.last_transaction.0 == running.transaction, "{state:?}");
        judge_journal(station, after).await?;
        let again = station.csms.frames().iter().filter(|frame| frame.is_request("StartTransaction")).count();
        ensure!(again == 0, "started again");
        Ok(format!("reason {reason}, {} mWh after what was last seen", after.saturating_sub(running.register)))
    }
}
