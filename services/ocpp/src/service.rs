//! The loop of ocpp: news of the link, the peers, the ledger and the bus in, the charge point's effects out.

use crate::charge_point::{Beginning, ChargePoint};
use crate::exchange::{self, Effect};
use crate::ledger::{Job, Kept, Ledger};
use crate::link::LinkPort;
use crate::objects::{RootObject, TrafficObject};
use crate::peers::{Peers, follow_all};
use crate::record::RecordFile;
use crate::settings::Settings;
use crate::traffic::{Direction, TrafficLog};
use busbar_interfaces::ocpp::{Authorization, OcppState, TrafficState, UndeliveredEvent};
use busbar_interfaces::words::DataTransferStatus;
use busbar_interfaces::{CallError, TransactionId, names};
use busbar_ocpp16::Hidden;
use busbar_runtime::{Bus, Clock, Desk, Exit, Life, Object, Reply, boot_id};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// OCPP's limit of a badge.
const MOST_TAG_CHARACTERS: usize = 20;
/// OCPP's limits of DataTransfer, and ours of its data.
const MOST_VENDOR_CHARACTERS: usize = 255;
const MOST_MESSAGE_CHARACTERS: usize = 50;
const MOST_DATA_BYTES: usize = 64 * 1024;
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
    /// Somebody has a vendor's message for the CSMS.
    Transfer { vendor_id: String, message_id: String, data: String, reply: Reply<(DataTransferStatus, String)> },
    /// A person asks what the CSMS has refused.
    ListUndelivered { after: u64, max: u32, reply: Reply<Vec<UndeliveredEvent>> },
    /// A person wants it sent again.
    Resend { transaction: TransactionId, reply: Reply<u32> },
    /// A person wants it forgotten.
    Discard { transaction: TransactionId, reply: Reply<u32> },
    /// Somebody looks at the traffic.
    Traffic { reply: Reply<TrafficState> },
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
    log: TrafficLog,
    askers: BTreeMap<u64, Asker>,
    last_asker: u64,
}

/// Who waits for a word of the CSMS.
enum Asker {
    Badge(Reply<Authorization>),
    Transfer(Reply<(DataTransferStatus, String)>),
}

/// Runs the service until it is asked to stop.
///
/// # Errors
/// When the bus is lost, the ledger cannot be written or a task ends unasked.
pub async fn run(
    settings: Settings,
    ledger: Ledger,
    record: RecordFile,
    log: TrafficLog,
    bus: Bus,
    life: Life,
) -> Result<(), Exit> {
    let Life { clock, mut stop, mut watchdog } = life;
    let (sender, mut inputs) = mpsc::channel(64);
    let beginning = Beginning {
        stored: ledger.stored()?,
        ways: ledger.ways()?,
        undelivered: ledger.undelivered_events()?,
        record: record.read(),
        boot: boot_id().to_owned(),
    };
    let undelivered = beginning.undelivered;
    let link_settings = settings.link.clone();
    let point = ChargePoint::new(settings, beginning, clock.now());
    let (object, shown) = Object::new(&bus, names::OCPP.root, point.shown().clone());
    let desk = Desk::new(sender.clone());
    bus.serve(names::OCPP.root, RootObject { desk: desk.clone(), shown }).await?;
    bus.serve(names::OCPP.root, TrafficObject { desk }).await?;

    let (jobs, waiting) = mpsc::channel(WAITING_JOBS);
    let (kept_sender, mut kept) = watch::channel(Kept { undelivered, ..Kept::default() });
    let mut ledger = tokio::task::spawn_blocking(move || ledger.work(&record, waiting, &kept_sender));
    let (link, serving) = LinkPort::new(link_settings, sender.clone());
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
        log,
        calls: JoinSet::new(),
        askers: BTreeMap::new(),
        last_asker: 0,
    };
    bus.ready().await?;

    let lost = bus.lost();
    tokio::pin!(lost);
    loop {
        let now = station.clock.now();
        let wake = station.point.next_wake(now).map(|moment| moment.since(now.boottime));
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
                let kept = *kept.borrow_and_update();
                station.step(exchange::Input::Kept(kept)).await?;
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
                if !(1..=MOST_TAG_CHARACTERS).contains(&id_tag.as_str().chars().count()) {
                    let error = format!("id_tag must have 1 to {MOST_TAG_CHARACTERS} characters");
                    // A caller that has gone needs no answer.
                    let _ = reply.send(Err(CallError::OutOfRange(error)));
                    return Ok(());
                }
                let asker = self.asker(Asker::Badge(reply));
                self.step(exchange::Input::Authorize { asker, id_tag }).await
            }
            Input::Transfer { vendor_id, message_id, data, reply } => {
                if let Some(fault) = transfer_fault(&vendor_id, &message_id, &data) {
                    let _ = reply.send(Err(CallError::OutOfRange(fault)));
                    return Ok(());
                }
                let asker = self.asker(Asker::Transfer(reply));
                self.step(exchange::Input::Transfer { asker, vendor_id, message_id, data }).await
            }
            Input::CentralTransaction { transaction, reply } => self.keep(Job::Central { transaction, reply }).await,
            Input::ListUndelivered { after, max, reply } => self.keep(Job::List { after, max, reply }).await,
            Input::Discard { transaction, reply } => self.keep(Job::Discard { transaction, reply }).await,
            Input::Resend { transaction, reply } => self.resend(transaction, reply).await,
            Input::Traffic { reply } => {
                let log_file = self.log.path().display().to_string();
                let state = TrafficState { log_file, last_frame: self.log.last_frame(), ..self.point.traffic() };
                // A caller that has gone needs no answer.
                let _ = reply.send(Ok(state));
                Ok(())
            }
        }
    }

    fn asker(&mut self, asker: Asker) -> u64 {
        self.last_asker = self.last_asker.saturating_add(1);
        self.askers.insert(self.last_asker, asker);
        self.last_asker
    }

    /// Undelivered events are marked on disk first; then they are sent, and whoever asked is told how many.
    async fn resend(&mut self, transaction: TransactionId, reply: Reply<u32>) -> Result<(), Exit> {
        let (marked, marking) = tokio::sync::oneshot::channel();
        self.keep(Job::Resend { transaction, reply: marked }).await?;
        let inputs = self.inputs.clone();
        self.calls.spawn(async move {
            let Ok(marking) = marking.await else { return };
            match marking {
                Ok((open, events)) => {
                    let _ = reply.send(Ok(u32::try_from(events.len()).unwrap_or(u32::MAX)));
                    // A loop that has ended needs no input: the mark is on disk.
                    let _ = inputs.send(exchange::Input::SendAgain { transaction, open, events }.into()).await;
                }
                Err(error) => drop(reply.send(Err(error))),
            }
        });
        Ok(())
    }

    /// Every frame is in the traffic log before it is acted on.
    fn log(&mut self, input: &exchange::Input) {
        let now = self.clock.now().unix;
        match input {
            exchange::Input::Text { text, .. } => self.log.frame(now, Direction::In, &text.0),
            exchange::Input::Binary { .. } => self.log.link(now, "a binary frame came, which is not OCPP"),
            exchange::Input::Opened { url, .. } => self.log.link(now, &format!("{url} is open")),
            exchange::Input::Ended { reason, .. } => self.log.link(now, &format!("no link: {reason}")),
            _ => {}
        }
    }

    async fn step(&mut self, input: exchange::Input) -> Result<(), Exit> {
        self.log(&input);
        for effect in self.point.step(self.clock.now(), input) {
            self.perform(effect).await?;
        }
        Ok(())
    }

    async fn perform(&mut self, effect: Effect) -> Result<(), Exit> {
        match effect {
            Effect::Link(order) => self.link.order(order),
            Effect::Send(text) => {
                self.log.frame(self.clock.now().unix, Direction::Out, &text.0);
                self.link.send(text);
            }
            Effect::ReadKey { changed } => {
                self.call(
                    move |peers| async move { exchange::Input::Key { changed, key: peers.authorization_key().await } },
                )
            }
            Effect::Read { connector, context } => {
                let clock = self.clock.clone();
                self.call(move |peers| async move {
                    let sample = peers.read_meter(connector, context, &clock).await;
                    exchange::Input::Read { connector, sample: sample.map(Box::new) }
                });
            }
            Effect::SetClock { central } => self.call(move |peers| async move {
                exchange::Input::Clock { synchronised: peers.set_clock(central).await }
            }),
            Effect::Return { way, with_key } => {
                self.call(move |peers| async move { exchange::Input::Returned(peers.return_to(&way, with_key).await) })
            }
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
            Effect::Learn(learned) => self.call(move |peers| async move {
                peers.learn(learned).await;
                exchange::Input::Learned
            }),
            Effect::Authorized { asker, verdict } => {
                if let Some(Asker::Badge(reply)) = self.askers.remove(&asker) {
                    // A caller that has gone needs no answer.
                    let _ = reply.send(verdict.map_err(CallError::from));
                }
            }
            Effect::Transferred { asker, answer } => {
                if let Some(Asker::Transfer(reply)) = self.askers.remove(&asker) {
                    let _ = reply.send(answer.map_err(CallError::from));
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

/// What is wrong with a vendor's message, if something is.
fn transfer_fault(vendor_id: &str, message_id: &str, data: &str) -> Option<String> {
    if !(1..=MOST_VENDOR_CHARACTERS).contains(&vendor_id.chars().count()) {
        Some(format!("vendor_id must have 1 to {MOST_VENDOR_CHARACTERS} characters"))
    } else if message_id.chars().count() > MOST_MESSAGE_CHARACTERS {
        Some(format!("message_id must have at most {MOST_MESSAGE_CHARACTERS} characters"))
    } else if data.len() > MOST_DATA_BYTES {
        Some(format!("data must have at most {MOST_DATA_BYTES} bytes"))
    } else {
        None
    }
}
