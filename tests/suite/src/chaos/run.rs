//! One run: a station is started, a seed's steps happen to it, the weather clears, and the evidence is collected.

use crate::chaos::judge::{Evidence, Promise, Tally, judge};
use crate::chaos::peers::{CONNECTORS, Peers};
use crate::chaos::plan::{Cut, Planned, Step, Victim, plan};
use crate::chaos::processes::{Process, until};
use anyhow::{Context, Result, bail, ensure};
use busbar_csms::{Chaos, Csms, Direction, Frame, Message, Odds, Options, Transaction};
use busbar_interfaces::ocpp::{OcppProxy, OcppState, UndeliveredEvent};
use busbar_interfaces::session::{SessionConnectorState, SessionProxy, SessionState, TransactionEvent};
use busbar_interfaces::words::{BadgeOutcome, EventKind, Link};
use busbar_interfaces::{ConnectorId, TransactionId, names};
use busbar_private_bus::PrivateBus;
use busbar_runtime::Clock;
use busbar_runtime::bus::REQUEST_VALIDITY;
use busbar_runtime::object::fetch;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use zbus::Connection;
use zbus::proxy::CacheProperties;

/// Everything that is waited for happens within this time or never.
const LIMIT: Duration = Duration::from_secs(30);
/// The longest that the CSMS waits for an answer of the station: it may be dead.
const CALL_LIMIT: Duration = Duration::from_secs(2);
/// From one vehicle to the next.
const BETWEEN_VEHICLES: Duration = Duration::from_millis(60);
/// A CALLERROR in so many answers.
const OFTEN: f64 = 0.4;
const IDENTITY: &str = "CHAOS";
/// Begins a tag that the CSMS does not accept.
const BAD: &str = "BAD";
/// Tags that the CSMS is told about beforehand; a run has fewer steps.
const MOST_TAGS: usize = 200;

/// How many refusals a message of the journal may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Hardly an end of them: everything is delivered.
    Endless,
    /// Two, as at the factory: what is refused twice waits for a person.
    Two,
}

impl Patience {
    fn attempts(self) -> usize {
        match self {
            Patience::Endless => 1000,
            Patience::Two => 2,
        }
    }

    /// A CSMS that refuses much, where it is to come to the last refusal.
    fn tried_by(self, odds: Odds) -> Odds {
        match self {
            Patience::Endless => odds,
            Patience::Two => Odds { error: odds.error.max(OFTEN), ..odds },
        }
    }
}

/// Runs what a seed stands for and judges it.
///
/// # Errors
/// The seed, what happened, and everything that does not hold.
pub async fn run(seed: u64, patience: Patience) -> Result<Tally> {
    println!("seed {seed}, {patience:?}");
    let directory = tempfile::Builder::new().prefix("busbar-chaos-").tempdir()?;
    let mut station = Station::start(directory.path(), patience).await?;
    let outcome = station.live_and_settle(seed).await;
    let (wrong, tally) = match outcome {
        Ok(evidence) => judge(&evidence),
        Err(error) => (vec![format!("{error:#}")], Tally::default()),
    };
    let own = station.processes.iter().flat_map(Process::faults);
    let wrong: Vec<String> = wrong.into_iter().chain(own).collect();
    if wrong.is_empty() {
        return Ok(tally);
    }
    bail!(station.accuse(seed, &wrong, directory))
}

/// A message of the station that something waits for.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Any,
    /// A start, a sample or a stop.
    Journal,
}

struct Station {
    bus: PrivateBus,
    client: Connection,
    csms: Arc<Csms>,
    peers: Arc<Peers>,
    processes: Vec<Process>,
    errands: JoinSet<()>,
    promises: Arc<Mutex<BTreeMap<String, Promise>>>,
    /// The tag that was last shown with a connector on the screen.
    drivers: BTreeMap<u32, String>,
    tags: usize,
    kills: Arc<Mutex<Vec<u64>>>,
    begun: Instant,
    story: Vec<String>,
    patience: Patience,
}

fn station_file(url: &str, attempts: usize) -> String {
    format!(
        r#"
[station]
model = "EVD1S180TBB"
serial = "CHAOS-0001"

[settings.defaults]
SupervisionUrl = "{url}"
BoxIdentifier = "{IDENTITY}"
MinimumStatusDuration = "0"
MeterValueSampleInterval = "1"
ClockAlignedDataInterval = "1"
disconnectedMeterValueSampleInterval = "5"
TransactionMessageAttempts = "{attempts}"
TransactionMessageRetryInterval = "0"
ConnectionTimeOut = "3"

[ocpp]
retry_first_millis = 50
retry_most_millis = 400
call_timeout_millis = 600
connect_timeout_millis = 1000
queue_page = 8
"#
    )
}

impl Station {
    #[allow(clippy::disallowed_methods, reason = "the test lays out the files of a station, as packages would")]
    async fn start(root: &Path, patience: Patience) -> Result<Station> {
        let csms = Arc::new(Csms::start(Options { call_deadline: CALL_LIMIT, ..Options::default() }).await?);
        for number in 0..MOST_TAGS {
            csms.set_tag(&format!("{BAD}{number}"), "Blocked", None);
        }
        let etc = root.join("etc/busbar");
        std::fs::create_dir_all(&etc)?;
        std::fs::write(etc.join("station.toml"), station_file(&csms.url(), patience.attempts()))?;
        let bus = PrivateBus::start().await?;
        let client = bus.connect().await?;
        let peers = Peers::start(bus.address()).await.map_err(|exit| anyhow::anyhow!("the scripted peers: {exit}"))?;
        let peers = Arc::new(peers);
        let victims = [Victim::Settings, Victim::Session, Victim::Ocpp];
        let processes = victims.map(|victim| Process::start(victim, bus.address(), root));
        let station = Station {
            bus,
            client,
            csms,
            peers,
            processes: processes.into_iter().collect::<Result<_>>()?,
            errands: JoinSet::new(),
            promises: Arc::default(),
            drivers: BTreeMap::new(),
            tags: 0,
            kills: Arc::default(),
            begun: Instant::now(),
            story: Vec::new(),
            patience,
        };
        station.until_linked().await?;
        Ok(station)
    }

    async fn until_linked(&self) -> Result<()> {
        until("the station is linked and serves its connectors", LIMIT, async || {
            let ocpp = self.ocpp().await?;
            self.session().await?;
            (ocpp.link == Link::Accepted).then_some(())
        })
        .await
    }

    async fn ocpp(&self) -> Option<OcppState> {
        fetch(&self.client, names::OCPP, names::OCPP.root).await.ok()
    }

    async fn session(&self) -> Option<SessionState> {
        fetch(&self.client, names::SESSION, names::SESSION.root).await.ok()
    }

    async fn transaction(&self, connector: u32) -> Option<TransactionId> {
        let path = names::SESSION.connector(ConnectorId(connector));
        let state: SessionConnectorState = fetch(&self.client, names::SESSION, &path).await.ok()?;
        Some(state.transaction)
    }

    async fn live_and_settle(&mut self, seed: u64) -> Result<Evidence> {
        let before = CONNECTORS.map(|connector| (connector, self.peers.register(connector).0));
        self.begun = Instant::now();
        for Planned { step, pause } in plan(seed) {
            let told = format!("{:6} ms, frame {:4}: {step:?}", self.begun.elapsed().as_millis(), self.csms.mark());
            self.story.push(told);
            self.perform(step);
            sleep(pause).await;
        }
        self.note("the weather clears");
        // Half of the runs settle over the link that is there, the others over a new one.
        self.settle(seed.is_multiple_of(2)).await?;
        let registers = before.map(|(connector, before)| (connector, (before, self.peers.register(connector).0)));
        let evidence = self.evidence(registers.into_iter().collect()).await?;
        if !evidence.undelivered.is_empty() && self.patience == Patience::Two {
            self.note("a person has the undelivered events sent again");
            self.resend(&evidence.undelivered).await?;
            return Ok(Evidence { frames: self.csms.frames(), links: self.csms.links(), ..evidence });
        }
        Ok(evidence)
    }

    fn note(&mut self, what: &str) {
        self.story.push(format!("{:6} ms, frame {:4}: {what}", self.begun.elapsed().as_millis(), self.csms.mark()));
    }

    fn perform(&mut self, step: Step) {
        match step {
            Step::Plug(connector) => self.peers.plug(connector),
            Step::Unplug(connector) => self.peers.unplug(connector),
            Step::Swap(connector) => self.swap(connector),
            Step::Charge { connector, bad } => {
                self.swap(connector);
                let tag = self.tag(bad);
                self.drivers.insert(connector, tag.clone());
                self.badge(tag, connector, 3 * BETWEEN_VEHICLES);
            }
            Step::Fault(connector, is_active) => self.peers.fault(connector, is_active),
            Step::Badge { shown, bad } => {
                let tag = self.tag(bad);
                self.drivers.insert(shown, tag.clone());
                self.badge(tag, shown, Duration::ZERO);
            }
            Step::BadgeAgain(connector) => {
                if let Some(tag) = self.drivers.get(&connector).cloned() {
                    self.badge(tag, connector, Duration::ZERO);
                }
            }
            Step::RemoteStart { connector, bad } => {
                let tag = self.tag(bad);
                self.ask(&tag);
                self.drivers.insert(connector, tag.clone());
                self.call("RemoteStartTransaction", json!({"connectorId": connector, "idTag": tag}));
            }
            Step::RemoteStop(connector) => {
                let runs = |transaction: &&Transaction| {
                    transaction.connector == i64::from(connector) && transaction.stop_count == 0
                };
                let number = self.csms.look_into_books(|books| {
                    books.transactions.iter().rev().find(runs).and_then(|transaction| transaction.transaction_id)
                });
                if let Some(number) = number {
                    self.call("RemoteStopTransaction", json!({"transactionId": number}));
                }
            }
            Step::Change(key, value) => {
                self.call("ChangeConfiguration", json!({"key": key, "value": value.to_string()}))
            }
            Step::Trigger(message) => self.call("TriggerMessage", json!({"requestedMessage": message})),
            Step::Mood(odds, seed) => {
                let odds = self.patience.tried_by(odds);
                let spared = vec!["BootNotification".to_owned()];
                self.csms.set_chaos(Some(Chaos { seed, odds, latest_millis: 800, spared }));
            }
            Step::Calm => self.csms.set_chaos(None),
            Step::Cut(Cut::Reset) => {
                self.csms.drop_connection(IDENTITY);
            }
            Step::Cut(Cut::Close) => {
                let csms = self.csms.clone();
                self.errands.spawn(async move {
                    let _ = csms.close_connection(IDENTITY, 1001).await;
                });
            }
            Step::Refuse(away) => {
                self.csms.refuse(true);
                self.csms.drop_connection(IDENTITY);
                let csms = self.csms.clone();
                self.later(away, move || csms.refuse(false));
            }
            Step::Stall(hung) => {
                self.csms.stall(true);
                let csms = self.csms.clone();
                self.later(hung, move || csms.stall(false));
            }
            Step::Kill(victims) => victims.into_iter().for_each(|victim| self.killing(victim)()),
            Step::KillAt(victim, wait) => {
                let killing = self.killing(victim);
                // What session does shows first in a badge that is asked about, or in a status.
                let kind = if victim == Victim::Session { Kind::Any } else { Kind::Journal };
                self.at_next(kind, wait, killing);
            }
            Step::CutAt(wait) => {
                let csms = self.csms.clone();
                self.at_next(Kind::Journal, wait, move || {
                    csms.drop_connection(IDENTITY);
                });
            }
            Step::Freeze(victim, still) => {
                if let Some(frozen) = self.process(victim).and_then(Process::freeze) {
                    self.later(still, move || drop(frozen));
                }
            }
        }
    }

    fn swap(&mut self, connector: u32) {
        self.peers.unplug(connector);
        let peers = self.peers.clone();
        self.later(BETWEEN_VEHICLES, move || peers.plug(connector));
    }

    fn process(&self, victim: Victim) -> Option<&Process> {
        self.processes.iter().find(|process| process.victim() == victim)
    }

    /// What kills a process, and notes it if that makes a message of the journal come twice.
    fn killing(&self, victim: Victim) -> impl FnOnce() + Send + 'static {
        let killer = self.process(victim).map(Process::killer);
        let (csms, kills) = (self.csms.clone(), self.kills.clone());
        move || {
            if killer.is_some_and(|killer| killer.kill()) && victim == Victim::Ocpp {
                kills.lock().unwrap_or_else(PoisonError::into_inner).push(csms.mark());
            }
        }
    }

    /// Does something that long after the CSMS has read the next message of a kind.
    fn at_next(&mut self, kind: Kind, wait: Duration, act: impl FnOnce() + Send + 'static) {
        let csms = self.csms.clone();
        self.errands.spawn(async move {
            let from = csms.mark();
            let is_it = |frame: &Frame| match &frame.message {
                Message::Call { id, .. } if frame.direction == Direction::FromStation => match kind {
                    Kind::Any => true,
                    Kind::Journal => id.starts_with("j-"),
                },
                _ => false,
            };
            if csms.wait_for_since(from, CALL_LIMIT, is_it).await.is_ok() {
                sleep(wait).await;
                act();
            }
        });
    }

    fn later(&mut self, wait: Duration, act: impl FnOnce() + Send + 'static) {
        self.errands.spawn(async move {
            sleep(wait).await;
            act();
        });
    }

    fn tag(&mut self, bad: bool) -> String {
        self.tags = self.tags.saturating_add(1);
        format!("{}{}", if bad { BAD } else { "TAG" }, self.tags)
    }

    /// Somebody asks for a charge with this tag.
    fn ask(&self, tag: &str) {
        let mut promises = self.promises.lock().unwrap_or_else(PoisonError::into_inner);
        let promise = promises.entry(tag.to_owned()).or_default();
        promise.asked = promise.asked.saturating_add(1);
    }

    fn badge(&mut self, tag: String, shown: u32, wait: Duration) {
        self.ask(&tag);
        let (client, promises) = (self.client.clone(), self.promises.clone());
        self.errands.spawn(async move {
            sleep(wait).await;
            let valid_until = Clock::system().now().boottime.after(REQUEST_VALIDITY);
            let session = SessionProxy::builder(&client).cache_properties(CacheProperties::No).build().await;
            let Ok(session) = session else { return };
            // A session that is dead gives no answer: the driver shows the badge again.
            let Ok((outcome, connector)) = session.present_badge(&tag, ConnectorId(shown), valid_until).await else {
                return;
            };
            if outcome == BadgeOutcome::Starting {
                let mut promises = promises.lock().unwrap_or_else(PoisonError::into_inner);
                let count = promises.entry(tag).or_default().promised.entry(connector.0).or_default();
                *count = count.saturating_add(1);
            }
        });
    }

    /// What the CSMS asks of the station may come to nothing.
    fn call(&mut self, action: &'static str, payload: Value) {
        let csms = self.csms.clone();
        self.errands.spawn(async move {
            let _ = csms.call(IDENTITY, action, payload).await;
        });
    }

    /// The CSMS behaves, everybody is back, the last driver goes, and the books close.
    async fn settle(&mut self, over_a_new_link: bool) -> Result<()> {
        self.csms.set_chaos(None);
        while self.errands.join_next().await.is_some() {}
        self.csms.refuse(false);
        self.csms.stall(false);
        if over_a_new_link {
            self.csms.drop_connection(IDENTITY);
        }
        CONNECTORS.into_iter().for_each(|connector| self.peers.fault(connector, false));
        self.until_linked().await?;
        if self.patience == Patience::Endless {
            self.note("bad badges are to be stopped by the CSMS's word alone");
            until("a transaction whose badge the CSMS does not accept is stopped", LIMIT, async || {
                let journal = self.journal().await.ok()?;
                let bad = journal.iter().filter(|event| event.id_tag.starts_with(BAD));
                let over = |event: &TransactionEvent| {
                    journal.iter().any(|end| end.kind == EventKind::Stopped && end.transaction == event.transaction)
                };
                bad.into_iter().all(over).then_some(())
            })
            .await?;
        }
        self.note("the last drivers go");
        for connector in CONNECTORS {
            self.peers.unplug(connector);
            until("the transaction is over", LIMIT, async || {
                (self.transaction(connector).await? == TransactionId(0)).then_some(())
            })
            .await?;
        }
        until("the journal is confirmed", LIMIT, async || {
            let (session, ocpp) = (self.session().await?, self.ocpp().await?);
            (session.last_event == ocpp.confirmed_event).then_some(())
        })
        .await?;
        self.note("all is confirmed");
        Ok(())
    }

    async fn journal(&self) -> Result<Vec<TransactionEvent>> {
        let session = SessionProxy::builder(&self.client).cache_properties(CacheProperties::No).build().await?;
        let mut journal: Vec<TransactionEvent> = Vec::new();
        loop {
            let cursor = journal.last().map_or(0, |event| event.sequence);
            let page = session.events_after(cursor, 256).await?;
            if page.is_empty() {
                return Ok(journal);
            }
            journal.extend(page);
        }
    }

    async fn undelivered(&self) -> Result<Vec<UndeliveredEvent>> {
        let ocpp = OcppProxy::builder(&self.client).cache_properties(CacheProperties::No).build().await?;
        let mut undelivered: Vec<UndeliveredEvent> = Vec::new();
        loop {
            let after = undelivered.last().map_or(0, |event| event.number);
            let page = ocpp.list_undelivered(after, 256).await?;
            if page.is_empty() {
                return Ok(undelivered);
            }
            undelivered.extend(page);
        }
    }

    async fn evidence(&self, registers: BTreeMap<u32, (u64, u64)>) -> Result<Evidence> {
        let (session, ocpp) = (self.session().await, self.ocpp().await);
        let (session, ocpp) = (session.context("session is away")?, ocpp.context("ocpp is away")?);
        let undelivered = self.undelivered().await?;
        ensure!(
            undelivered.len() == usize::try_from(ocpp.undelivered_events)?,
            "ocpp shows {} undelivered events and lists {undelivered:?}",
            ocpp.undelivered_events
        );
        Ok(Evidence {
            journal_id: session.journal_id,
            journal: self.journal().await?,
            confirmed: ocpp.confirmed_event,
            undelivered,
            attempts: self.patience.attempts(),
            frames: self.csms.frames(),
            links: self.csms.links(),
            kills: self.kills.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            promises: self.promises.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            registers,
        })
    }

    /// Sent again to a CSMS that behaves, each undelivered event arrives, in order, and none is left.
    async fn resend(&self, undelivered: &[UndeliveredEvent]) -> Result<()> {
        let mark = self.csms.mark();
        let ocpp = OcppProxy::builder(&self.client).cache_properties(CacheProperties::No).build().await?;
        let mut transactions: Vec<TransactionId> = undelivered.iter().map(|event| event.transaction).collect();
        transactions.sort_unstable();
        transactions.dedup();
        for transaction in &transactions {
            ocpp.resend(*transaction).await?;
        }
        until("nothing is undelivered any more", LIMIT, async || {
            (self.ocpp().await?.undelivered_events == 0).then_some(())
        })
        .await?;
        for transaction in transactions {
            let mut events: Vec<&UndeliveredEvent> =
                undelivered.iter().filter(|event| event.transaction == transaction).collect();
            events.sort_by_key(|event| event.sequence);
            let wanted: Vec<String> = events.iter().map(|event| event.number.to_string()).collect();
            let frames = self.csms.frames_since(mark);
            let calls = frames.iter().filter(|frame| frame.direction == Direction::FromStation);
            let ids = calls.filter_map(|frame| match &frame.message {
                Message::Call { id, .. } => id.strip_prefix("r-")?.split('-').nth(1).map(str::to_owned),
                _ => None,
            });
            let came: Vec<String> = ids.filter(|id| wanted.contains(id)).collect();
            ensure!(came == wanted, "sent again: {came:?} of transaction {transaction:?}, not {wanted:?}");
        }
        Ok(())
    }

    /// Everything that somebody needs who looks for the fault, in a directory that stays.
    #[allow(clippy::disallowed_methods, reason = "tests")]
    fn accuse(&self, seed: u64, wrong: &[String], directory: TempDir) -> String {
        let kept = directory.keep();
        let mut frames = String::new();
        for frame in self.csms.frames() {
            // Writing to a string cannot fail.
            let doubt = if frame.doubtful { " doubtful" } else { "" };
            let way = if frame.direction == Direction::FromStation { "<-" } else { "->" };
            let _ = writeln!(frames, "{:4} {:6} ms {way}{doubt} {}", frame.seq, frame.offset_millis, frame.raw);
        }
        for link in self.csms.links() {
            let (opened, closed) = (link.opened_millis, link.closed_millis);
            let _ = writeln!(frames, "link {} {opened} ms to {closed:?} {:?}", link.number, link.refusal);
        }
        let _ = std::fs::write(kept.join("frames.txt"), frames);
        let _ = std::fs::write(kept.join("story.txt"), self.story.join("\n"));
        let logs: Vec<String> = self
            .processes
            .iter()
            .map(|process| format!("--- {} ({}):\n{}", process.victim().role(), process.runs(), process.last_words()))
            .collect();
        format!(
            "seed {seed}, {:?}: {} violations; frames and logs are in {}\n{}\n--- what happened:\n{}\n{}\n(bus {})",
            self.patience,
            wrong.len(),
            kept.display(),
            wrong.join("\n"),
            self.story.join("\n"),
            logs.join("\n"),
            self.bus.address(),
        )
    }
}
