//! One station with its driver and its operator. What the tests do and what they wait for, in their words; every wait
//! is for a condition and has a deadline.

use anyhow::{Context, Result, ensure};
use busbar_bench::{Bench, Options};
use busbar_csms::{Books, Csms, Frame, Transaction};
use busbar_ctl::plant::{self, PlantConnectorProxy};
use busbar_interfaces::ocpp::OcppState;
use busbar_interfaces::session::{SessionConnectorState, SessionState};
use busbar_interfaces::words::ConnectorStatus;
use busbar_interfaces::{ConnectorId, names};
use std::time::Duration;
use tempfile::TempDir;
use zbus::Variant;

/// Everything that a test waits for happens within this time or never.
pub const LIMIT: Duration = Duration::from_secs(30);
/// The badge of the driver.
pub const BADGE: &str = "04A1B2C3D4E5F6";
/// The charge point identity of the station.
pub const IDENTITY: &str = "BENCH";

/// A station with its driver and its operator.
pub struct Scene {
    /// The station.
    pub bench: Bench,
    operator: Option<Csms>,
    _state: Option<TempDir>,
}

impl Scene {
    /// A quick station that samples every second.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start() -> Result<Scene> {
        Scene::start_with(|options| options).await
    }

    /// Likewise, with changed options.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_with(change: impl FnOnce(Options) -> Options) -> Result<Scene> {
        let state = tempfile::tempdir()?;
        let options = Options::quick(state.path()).with("MeterValueSampleInterval", "1");
        let bench = Bench::start(change(options)).await?;
        let scene = Scene { bench, operator: None, _state: Some(state) };
        scene.registered().await?;
        Ok(scene)
    }

    /// Likewise, with an operator of the test's own, who may not let the station in as it is: nobody waits for that.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_at(operator: Csms, change: impl FnOnce(Options) -> Options) -> Result<Scene> {
        let state = tempfile::tempdir()?;
        let options = Options::quick(state.path()).with("MeterValueSampleInterval", "1");
        let options = Options { csms: Some(operator.url()), ..options };
        let bench = Bench::start(change(options)).await?;
        Ok(Scene { bench, operator: Some(operator), _state: Some(state) })
    }

    /// A station with its state in a directory of the test.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_in(options: Options) -> Result<Scene> {
        let scene = Scene { bench: Bench::start(options).await?, operator: None, _state: None };
        scene.registered().await?;
        Ok(scene)
    }

    /// Waits until the operator has been told that the station is there, with both connectors free.
    ///
    /// # Errors
    /// When it is not in time.
    pub async fn registered(&self) -> Result<()> {
        for connector in 1..=2 {
            self.status(connector, ConnectorStatus::Available).await?;
        }
        self.told(|frame| {
            let payload = frame.request("StatusNotification");
            payload.is_some_and(|payload| field(payload, "connectorId") == 2 && field(payload, "status") == "Available")
        })
        .await?;
        Ok(())
    }

    /// The operator.
    ///
    /// # Errors
    /// When neither the test nor the bench has one.
    pub fn csms(&self) -> Result<&Csms> {
        self.operator.as_ref().or(self.bench.csms()).context("neither the test nor the bench has a CSMS")
    }

    /// The operator's books.
    ///
    /// # Errors
    /// When the bench has no CSMS of its own.
    pub fn books(&self) -> Result<Books> {
        Ok(self.csms()?.books())
    }

    /// The hardware of a connector.
    ///
    /// # Errors
    /// When the plant is not there.
    pub async fn hardware(&self, connector: u32) -> Result<PlantConnectorProxy<'static>> {
        Ok(plant::connector(self.bench.bus(), connector).await?)
    }

    /// Plugs in a car with a state of charge and a largest power.
    ///
    /// # Errors
    /// When it cannot be plugged in or the station does not notice.
    pub async fn plug(&self, connector: u32, watts: u32) -> Result<()> {
        let vehicle = [("StateOfChargePercent", Variant::from(30u8)), ("MaximumWatts", Variant::from(watts))];
        self.hardware(connector).await?.plug(vehicle.into_iter().collect()).await?;
        self.status(connector, ConnectorStatus::Preparing).await
    }

    /// Pulls the cable out.
    ///
    /// # Errors
    /// When nothing is plugged in or the station does not notice.
    pub async fn unplug(&self, connector: u32) -> Result<()> {
        self.hardware(connector).await?.unplug().await?;
        self.status(connector, ConnectorStatus::Available).await
    }

    /// Holds the driver's badge to the reader.
    ///
    /// # Errors
    /// When the plant is not there.
    pub async fn badge(&self) -> Result<()> {
        self.badge_of(BADGE).await
    }

    /// Holds some badge to the reader.
    ///
    /// # Errors
    /// When the plant is not there.
    pub async fn badge_of(&self, uid: &str) -> Result<()> {
        Ok(plant::plant(self.bench.bus()).await?.present_badge(uid).await?)
    }

    /// Waits until a connector has a status.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn status(&self, connector: u32, status: ConnectorStatus) -> Result<()> {
        let path = names::SESSION.connector(ConnectorId(connector));
        let is = |state: &SessionConnectorState| state.status == status;
        self.bench.wait_for(names::SESSION, &path, LIMIT, is).await?;
        Ok(())
    }

    /// Waits until current flows into the car.
    ///
    /// # Errors
    /// When none does in time.
    pub async fn flows(&self, connector: u32) -> Result<()> {
        let hardware = self.hardware(connector).await?;
        self.until("current flows", async || Ok(hardware.output_milliamperes().await? >= 20)).await
    }

    /// Starts a charge with the badge and waits until current flows.
    ///
    /// # Errors
    /// When it does not.
    pub async fn charge(&self, connector: u32, watts: u32) -> Result<()> {
        self.plug(connector, watts).await?;
        self.badge().await?;
        self.flows(connector).await?;
        self.status(connector, ConnectorStatus::Charging).await
    }

    /// Waits until the CSMS has a number of samples of a transaction in its books and the station knows that.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn sampled(&self, transaction: usize, samples: usize) -> Result<()> {
        let enough = |csms: &Csms| {
            let samples_now = csms.transactions().get(transaction).map_or(0, |t| t.meter_values.len());
            (samples_now >= samples).then_some(())
        };
        let waited = self.csms()?.wait_until(LIMIT, enough).await;
        waited.map_err(|timeout| anyhow::anyhow!("no {samples} samples: {timeout:?}"))?;
        self.delivered().await
    }

    /// Waits until the whole journal is with the CSMS, as the station knows it.
    ///
    /// # Errors
    /// When it is not in time.
    pub async fn delivered(&self) -> Result<()> {
        self.until("the journal is delivered", async || {
            let bus = self.bench.bus();
            let session = busbar_runtime::object::fetch::<SessionState>(bus, names::SESSION, names::SESSION.root).await;
            let ocpp = busbar_runtime::object::fetch::<OcppState>(bus, names::OCPP, names::OCPP.root).await;
            Ok(matches!((session, ocpp), (Ok(session), Ok(ocpp)) if session.last_event == ocpp.confirmed_event))
        })
        .await
    }

    /// Waits until the CSMS has been told something.
    ///
    /// # Errors
    /// When it is not in time.
    pub async fn told(&self, what: impl FnMut(&Frame) -> bool) -> Result<Frame> {
        let told = self.csms()?.wait_for(LIMIT, what).await;
        told.map_err(|timeout| anyhow::anyhow!("the CSMS was not told: {timeout:?}"))
    }

    /// Waits until a condition holds that nobody announces.
    ///
    /// # Errors
    /// When it does not in time, or cannot be looked at.
    pub async fn until(&self, what: &str, is: impl AsyncFn() -> Result<bool>) -> Result<()> {
        let waiting = async {
            loop {
                if is().await? {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(LIMIT, waiting).await.unwrap_or_else(|_| anyhow::bail!("not in time: {what}"))
    }

    /// The books and the meter of a finished charge agree, nothing was lost or doubled, and the station did nothing
    /// to the hardware that no station may do.
    ///
    /// # Errors
    /// What is not right.
    pub async fn settle(&self, before: u64, connector: u32) -> Result<Transaction> {
        let transaction = self.settle_whatever_the_plant_says(before, connector).await?;
        let violations = plant::plant(self.bench.bus()).await?.violations().await?;
        ensure!(violations.is_empty(), "violations: {violations:?}");
        Ok(transaction)
    }

    /// Likewise for a charge that was ended with violence, where a contactor may open under load.
    ///
    /// # Errors
    /// What is not right.
    pub async fn settle_whatever_the_plant_says(&self, before: u64, connector: u32) -> Result<Transaction> {
        self.told(|frame| frame.is_request("StopTransaction")).await?;
        self.delivered().await?;
        let after = self.hardware(connector).await?.meter_milliwatt_hours().await?;
        let books = self.books()?;
        ensure!(books.strays.is_empty(), "messages for unknown transactions: {:?}", books.strays);
        ensure!(books.irregularities.is_empty(), "irregular: {:?}", books.irregularities);
        let [transaction] = books.transactions.as_slice() else {
            anyhow::bail!("one transaction, not {:?}", books.transactions)
        };
        ensure!(transaction.start_count == 1 && transaction.stop_count == 1, "{transaction:?}");
        let wh = |milliwatt_hours: u64| i64::try_from(milliwatt_hours / 1000).ok();
        ensure!(Some(transaction.meter_start) == wh(before), "meterStart {} of {before} mWh", transaction.meter_start);
        ensure!(transaction.meter_stop == wh(after), "meterStop {:?} of {after} mWh", transaction.meter_stop);
        Ok(transaction.clone())
    }
}

/// One field of a payload; null when it is missing.
fn field<'a>(payload: &'a serde_json::Value, name: &str) -> &'a serde_json::Value {
    payload.get(name).unwrap_or(&serde_json::Value::Null)
}

/// The sampling slots of a transaction that samples every second: 1, 2, 3 … when none is missing or doubled.
///
/// # Errors
/// When a timestamp cannot be read.
pub fn slots(transaction: &Transaction) -> Result<Vec<i64>> {
    let start: jiff::Timestamp = transaction.timestamp.parse()?;
    let slot = |payload: &serde_json::Value| -> Result<i64> {
        let at = payload.pointer("/meterValue/0/timestamp").and_then(serde_json::Value::as_str);
        let at = at.context("a sample without a time")?;
        let at: jiff::Timestamp = at.parse()?;
        Ok((at.as_millisecond() - start.as_millisecond()) / 1000)
    };
    transaction.meter_values.iter().map(slot).collect()
}
