//! One station with its driver and its operator. What the tests do and what they wait for, in their words; every wait
//! is for a condition and has a deadline.

use anyhow::{Context, Result, ensure};
use busbar_bench::{Bench, Options};
use busbar_csms::{Books, Csms, Frame, Transaction};
use busbar_ctl::plant::{self, PlantConnectorProxy};
use busbar_interfaces::ocpp::OcppState;
use busbar_interfaces::session::{Decision, SessionConnectorState, SessionState};
use busbar_interfaces::words::{ConnectorStatus, DecisionReason};
use busbar_interfaces::{ConnectorId, names};
use serde_json::{Value, json};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::timeout;
use zbus::Variant;

/// Everything that a test waits for happens within this time or never.
pub const LIMIT: Duration = Duration::from_secs(30);
/// A badge that the reader has seen is decided about within this time.
const ONE_SHOWING: Duration = Duration::from_secs(5);
/// The badge of the driver.
pub const BADGE: &str = "04A1B2C3D4E5F6";
/// Another driver's badge.
pub const OTHER: &str = "08112233445566";
/// The badge of a third one.
pub const STRANGER: &str = "04D0D1D2D3D4D5";
/// The charge point identity of the station.
pub const IDENTITY: &str = "BENCH";

/// A station with its driver and its operator.
pub struct Scene {
    /// The station.
    pub bench: Bench,
    options: Options,
    operator: Option<Csms>,
    state: Option<TempDir>,
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
        let scene = Scene::new(change(options), None, Some(state)).await?;
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
        Scene::new(change(options), Some(operator), Some(state)).await
    }

    /// A station with its state in a directory of the test.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_in(options: Options) -> Result<Scene> {
        let scene = Scene::new(options, None, None).await?;
        scene.registered().await?;
        Ok(scene)
    }

    async fn new(options: Options, operator: Option<Csms>, state: Option<TempDir>) -> Result<Scene> {
        Ok(Scene { bench: Bench::start(options.clone()).await?, options, operator, state })
    }

    /// The whole cabinet is shut down in good order and starts again, with all that is kept on disk. Its vehicles have
    /// gone meanwhile; the operator is the test's own.
    ///
    /// # Errors
    /// When it does not start again.
    pub async fn restarts_in_order(self) -> Result<Scene> {
        let Scene { bench, options, operator, state } = self;
        bench.stop().await;
        Scene::new(options, operator, state).await
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

    /// Holds a badge to the reader until the station has decided about it, which has to be for this reason; what was
    /// decided.
    ///
    /// # Errors
    /// When it does not decide in time, or otherwise.
    pub async fn presents(&self, uid: &str, reason: DecisionReason) -> Result<Decision> {
        let before = self.session(|_| true).await?.last_decision;
        let decided = async || {
            self.badge_of(uid).await?;
            // Shown once more only if nothing has come of it: the second time would end what the first began.
            let news = timeout(ONE_SHOWING, self.session(|session| session.last_decision != before)).await;
            Ok(matches!(news, Ok(Ok(_))))
        };
        self.until("the badge is decided about", decided).await?;
        let decision = self.session(|_| true).await?.last_decision;
        ensure!(decision.reason == reason, "not {reason}: {decision:?}");
        Ok(decision)
    }

    /// Waits until `session` shows something.
    ///
    /// # Errors
    /// What it shows instead.
    pub async fn session(&self, is: impl Fn(&SessionState) -> bool) -> Result<SessionState> {
        Ok(self.bench.wait_for(names::SESSION, names::SESSION.root, LIMIT, is).await?)
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

    /// Likewise, of a connector's status, or with 0 of the station's, since a frame.
    ///
    /// # Errors
    /// When it is not in time.
    pub async fn told_status(&self, from: u64, connector: u32, status: &str) -> Result<Frame> {
        let is = |frame: &Frame| {
            let payload = frame.request("StatusNotification");
            payload.is_some_and(|told| field(told, "connectorId") == connector && field(told, "status") == status)
        };
        let told = self.csms()?.wait_for_since(from, LIMIT, is).await;
        told.map_err(|timeout| anyhow::anyhow!("connector {connector} is not told to be {status}: {timeout:?}"))
    }

    /// The operator orders or asks something, and the station's answer has to have this status.
    ///
    /// # Errors
    /// When there is none, or another one.
    pub async fn answered(&self, status: &str, action: &str, payload: Value) -> Result<()> {
        let answer = self.csms()?.call(IDENTITY, action, payload).await?;
        ensure!(answer.status() == Some(status), "{action} is not answered with {status}: {answer:?}");
        Ok(())
    }

    /// The operator changes a key that decides who may charge and how it ends, and the station goes by it.
    ///
    /// # Errors
    /// When it is not accepted, or the station does not go by it in time.
    pub async fn rule(&self, key: &str, value: &str) -> Result<()> {
        self.answered("Accepted", "ChangeConfiguration", json!({ "key": key, "value": value })).await?;
        // The keys are followed in their order, and of this one the station shows that it does: on and off again.
        let is_on = self.session(|_| true).await?.local_list_version >= 0;
        for is_on in [!is_on, is_on] {
            let on = json!({ "key": "LocalAuthListEnabled", "value": is_on.to_string() });
            self.answered("Accepted", "ChangeConfiguration", on).await?;
            self.session(|state| (state.local_list_version >= 0) == is_on).await?;
        }
        Ok(())
    }

    /// Waits until the operator has answered the start of a transaction; they are counted from 0.
    ///
    /// # Errors
    /// When it is not in time.
    pub async fn started(&self, number: usize) -> Result<Transaction> {
        self.booked(number, |transaction| transaction.transaction_id.is_some()).await
    }

    /// Waits until the operator has got the stop of a transaction, for this reason.
    ///
    /// # Errors
    /// When it is not in time, or for another reason.
    pub async fn stopped(&self, number: usize, reason: &str) -> Result<Transaction> {
        let transaction = self.booked(number, |transaction| transaction.stop_count > 0).await?;
        // OCPP reads an absent reason as Local.
        ensure!(transaction.reason.as_deref().unwrap_or("Local") == reason, "not {reason}: {transaction:?}");
        Ok(transaction)
    }

    /// Waits until something is true of a transaction in the operator's books.
    ///
    /// # Errors
    /// When it is not in time.
    pub async fn booked(&self, number: usize, is: impl Fn(&Transaction) -> bool) -> Result<Transaction> {
        let found = |csms: &Csms| {
            csms.look_into_books(|books| books.transactions.get(number).filter(|transaction| is(transaction)).cloned())
        };
        let found = self.csms()?.wait_until(LIMIT, found).await;
        found.map_err(|timeout| anyhow::anyhow!("transaction {number} is not booked so: {timeout:?}"))
    }

    /// The operator ends a transaction that has started.
    ///
    /// # Errors
    /// When it is not ended in time.
    pub async fn remote_stop(&self, number: usize) -> Result<Transaction> {
        let transaction = self.started(number).await?.transaction_id;
        self.answered("Accepted", "RemoteStopTransaction", json!({ "transactionId": transaction })).await?;
        self.stopped(number, "Remote").await
    }

    /// The machine loses its power and starts again: every service ends without warning. The plant stays, and so does
    /// the operator.
    ///
    /// # Errors
    /// When it does not start again in time.
    pub async fn loses_power(&self) -> Result<()> {
        const MANAGER: &str = "org.freedesktop.login1.Manager";
        let reboots = self.bench.reboots();
        let (name, path) = (Some("org.freedesktop.login1"), "/org/freedesktop/login1");
        self.bench.bus().call_method(name, path, Some(MANAGER), "Reboot", &false).await?;
        Ok(self.bench.machine().rebooted(reboots + 1, LIMIT).await?)
    }

    /// The books are in order: one start and one stop of each transaction, nothing sent twice that need not be.
    ///
    /// # Errors
    /// What is not right.
    pub async fn adds_up(&self, transactions: usize) -> Result<()> {
        self.delivered().await?;
        let books = self.books()?;
        let odd: Vec<&str> = books.unexcused().collect();
        ensure!(odd.is_empty() && books.strays.is_empty(), "{odd:?} {:?}", books.strays);
        ensure!(books.transactions.len() == transactions, "not {transactions}: {:?}", books.transactions);
        let once = |transaction: &Transaction| {
            transaction.start_message_ids.len() == 1 && transaction.stop_message_ids.len() == 1
        };
        ensure!(books.transactions.iter().all(once), "{:?}", books.transactions);
        Ok(())
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
fn field<'a>(payload: &'a Value, name: &str) -> &'a Value {
    payload.get(name).unwrap_or(&Value::Null)
}

/// The sampling slots of a transaction that samples every second: 1, 2, 3 … when none is missing or doubled.
///
/// # Errors
/// When a timestamp cannot be read.
pub fn slots(transaction: &Transaction) -> Result<Vec<i64>> {
    let start: jiff::Timestamp = transaction.timestamp.parse()?;
    let slot = |payload: &Value| -> Result<i64> {
        let at = payload.pointer("/meterValue/0/timestamp").and_then(Value::as_str);
        let at = at.context("a sample without a time")?;
        let at: jiff::Timestamp = at.parse()?;
        Ok((at.as_millisecond() - start.as_millisecond()) / 1000)
    };
    transaction.meter_values.iter().map(slot).collect()
}
