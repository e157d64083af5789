//! The loop of ocpp: news of the link, the peers, the ledger and the bus in, the charge point's effects out.

use crate::charge_point::ChargePoint;
use crate::exchange::{self, Effect};
use crate::hidden::Hidden;
use crate::ledger::{Job, Ledger};
use crate::link::LinkPort;
use crate::objects::RootObject;
use crate::peers::{Peers, follow_all};
use crate::record::RecordFile;
use crate::settings::Settings;
use busbar_interfaces::ocpp::{Authorization, OcppState};
use busbar_interfaces::{CallError, TransactionId, names};
use busbar_runtime::{Bus, Clock, Desk, Exit, Life, Object, Reply};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// OCPP's limit of a badge.
const MOST_TAG_CHARACTERS: usize = 20;
/// Jobs that may wait for the disk.
const WAITING_JOBS: usize = 256;
/// How long the end of the link may take when the service stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// What the loop takes in.
pub enum Input {
    /// For the charge point.
    Point(exchange::Input),
    /// A peer asks about a badge.
    Authorize { id_tag: Hidden, reply: Reply<Authorization> },
    /// A peer asks for the CSMS's number of a transaction.
    CentralTransaction { transaction: TransactionId, reply: Reply<i32> },
}

impl From<exchange::Input> for Input {
    fn from(input: exchange::Input) -> Input {
        Input::Point(input)
    }
}

/// Everything that effects act on.
struct Station {
    point: ChargePoint,
    clock: Clock,
    link: LinkPort,
    jobs: mpsc::Sender<Job>,
    peers: Peers,
    object: Object<OcppState>,
    inputs: mpsc::Sender<Input>,
    /// Calls to peers that are on their way; each bounded in time, their number by the charge point.
    calls: JoinSet<()>,
    askers: BTreeMap<u64, Reply<Authorization>>,
    last_asker: u64,
}

/// Runs the service until it is asked to stop.
///
/// # Errors
/// When the bus is lost, the ledger cannot be written or a task ends unasked.
pub async fn run(settings: Settings, ledger: Ledger, record: RecordFile, bus: Bus, life: Life) -> Result<(), Exit> {
    let Life { clock, mut stop, mut watchdog } = life;
    let (sender, mut inputs) = mpsc::channel(64);
    let point = ChargePoint::new(settings, ledger.stored()?, record.read(), clock.now());
    let (object, shown) = Object::new(&bus, names::OCPP.root, point.shown().clone());
    bus.serve(names::OCPP.root, RootObject { desk: Desk::new(sender.clone()), shown }).await?;

    let (jobs, waiting) = mpsc::channel(WAITING_JOBS);
    let (kept_sender, mut kept) = watch::channel(0);
    let mut ledger = tokio::task::spawn_blocking(move || ledger.work(&record, waiting, &kept_sender));
    let (link, serving) = LinkPort::new(sender.clone());
    let mut serving = tokio::spawn(serving);
    let mut following = JoinSet::new();
    follow_all(&mut following, &bus, &sender);
    let mut station = Station {
        point,
        peers: Peers::new(&bus, clock.clone()).await?,
        clock,
        link,
        jobs,
        object,
        inputs: sender,
        calls: JoinSet::new(),
        askers: BTreeMap::new(),
        last_asker: 0,
    };
    bus.ready().await?;

    let lost = bus.lost();
    tokio::pin!(lost);
    loop {
        let wake = station.point.next_wake().map(|moment| moment.since(station.clock.now().boottime));
        tokio::select! {
            () = stop.asked() => break,
            exit = &mut lost => return Err(exit),
            ended = &mut ledger => {
                let ended = ended.map_err(|error| Exit::Internal(format!("the ledger's thread failed: {error}")))?;
                ended?;
                return Err(Exit::Internal("the ledger's thread ended".to_owned()));
            }
            ended = &mut serving => return Err(Exit::Internal(format!("the link's task ended: {ended:?}"))),
            ended = following.join_next() => return Err(Exit::Internal(format!("a follower ended: {ended:?}"))),
            () = watchdog.due() => watchdog.feed(),
            Some(_) = station.calls.join_next() => {}
            Ok(()) = kept.changed() => {
                let note = *kept.borrow_and_update();
                station.step(exchange::Input::Kept { note }).await?;
            }
            Some(input) = inputs.recv() => station.take(input).await?,
            () = tokio::time::sleep(wake.unwrap_or_default()), if wake.is_some() => {
                station.step(exchange::Input::Wake).await?;
            }
        }
    }
    // Without senders the link says goodbye and ends, and the ledger's thread ends when all is on disk.
    drop(station);
    if timeout(FAREWELL, &mut serving).await.is_err() {
        tracing::warn!("the link did not end in time");
    }
    ledger.await.map_err(|error| Exit::Internal(format!("the ledger's thread failed: {error}")))??;
    bus.release().await;
    Ok(())
}

impl Station {
    async fn take(&mut self, input: Input) -> Result<(), Exit> {
        match input {
            Input::Point(input) => self.step(input).await,
            Input::Authorize { id_tag, reply } => {
                if !(1..=MOST_TAG_CHARACTERS).contains(&id_tag.0.chars().count()) {
                    let error = format!("id_tag must have 1 to {MOST_TAG_CHARACTERS} characters");
                    // A caller that has gone needs no answer.
                    let _ = reply.send(Err(CallError::OutOfRange(error)));
                    return Ok(());
                }
                self.last_asker = self.last_asker.saturating_add(1);
                self.askers.insert(self.last_asker, reply);
                self.step(exchange::Input::Authorize { asker: self.last_asker, id_tag }).await
            }
            Input::CentralTransaction { transaction, reply } => self.keep(Job::Central { transaction, reply }).await,
        }
    }

    async fn step(&mut self, input: exchange::Input) -> Result<(), Exit> {
        for effect in self.point.step(self.clock.now(), input) {
            self.perform(effect).await?;
        }
        Ok(())
    }

    async fn perform(&mut self, effect: Effect) -> Result<(), Exit> {
        match effect {
            Effect::Link(order) => self.link.order(order),
            Effect::Send(text) => self.link.send(text),
            Effect::Keep { number, note } => self.keep(Job::Keep { number, note }).await?,
            Effect::Record(record) => self.keep(Job::Record(record)).await?,
            Effect::Fetch { after, max } => self.call(move |peers| async move {
                exchange::Input::Fetched { after, events: peers.events(after, max).await }
            }),
            Effect::Ask { serial, question } => self.call(move |peers| async move {
                exchange::Input::Answered { serial, answer: peers.answer(question).await }
            }),
            Effect::Deauthorize { transaction } => self.call(move |peers| async move {
                exchange::Input::Deauthorized { transaction, settled: peers.deauthorize(transaction).await }
            }),
            Effect::Authorized { asker, verdict } => {
                if let Some(reply) = self.askers.remove(&asker) {
                    // A caller that has gone needs no answer.
                    let _ = reply.send(verdict.map_err(CallError::from));
                }
            }
            Effect::Publish(state) => self.object.publish(state).await,
        }
        Ok(())
    }

    async fn keep(&self, job: Job) -> Result<(), Exit> {
        let ended = |_| Exit::Storage("the ledger's thread has ended".to_owned());
        self.jobs.send(job).await.map_err(ended)
    }

    /// Calls a peer beside the loop; what comes of it is an input.
    fn call<F: Future<Output = exchange::Input> + Send>(&mut self, call: impl FnOnce(Peers) -> F + Send + 'static) {
        let (peers, inputs) = (self.peers.clone(), self.inputs.clone());
        self.calls.spawn(async move {
            let input = call(peers).await;
            // A loop that has ended needs no input.
            let _ = inputs.send(input.into()).await;
        });
    }
}
