//! The loop of the HMI: what session, power, the reader and the driver say in; screens, badges and conditions out.

use crate::objects::{RootObject, ScreenObject};
use crate::page::{self, Pages};
use crate::panel::{CONNECTORS, Panel};
use crate::reader::read_cards;
use crate::record::{CostFile, Costs};
use crate::settings::Settings;
use busbar_interfaces::hmi::{HmiState, ScreenState};
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::session::{Reservation, SessionConnectorState, SessionProxy, SessionState};
use busbar_interfaces::words::{BadgeOutcome, ReaderState};
use busbar_interfaces::{BoottimeMillis, CallError, Condition, ConnectorId, names};
use busbar_runtime::bus::REQUEST_VALIDITY;
use busbar_runtime::{Bus, Clock, Desk, Exit, Life, Object, Reply, View, follow};
use std::collections::BTreeMap;
use std::error::Error;
use std::future::pending;
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use zbus::proxy::CacheProperties;

/// DTC of a card reader that does not answer, from the guide's table.
const READER_FAILURE: &str = "0x100005";
/// A reader that is there says so within this time, one that is not is known to be lost.
const READER_FIRST_WORD: Duration = Duration::from_millis(1500);

/// What the loop takes in. Not printable: a card's identifier is a secret.
pub enum Input {
    /// What session says of a connector.
    Session { connector: ConnectorId, view: View<SessionConnectorState> },
    /// What session says is reserved; nothing while it is away.
    Reserved(Option<Vec<Reservation>>),
    /// What power says of a connector.
    Power { connector: ConnectorId, view: View<PowerConnectorState> },
    /// A card is in the reader's field.
    Card(Vec<u8>),
    /// The reader is there, or why it is not.
    Reader(Result<(), String>),
    /// The driver, or somebody on the bus, wants to see a connector.
    Show { connector: ConnectorId, reply: Reply<()> },
    /// What the charge on a connector costs.
    Cost { connector: ConnectorId, cost: String, reply: Reply<()> },
}

type Answer = Result<(BadgeOutcome, ConnectorId), CallError>;

/// Runs the service until it is asked to stop.
///
/// # Errors
/// When the bus is lost, the page's address cannot be had, or a task ends unasked.
pub async fn run(settings: Settings, file: CostFile, bus: Bus, life: Life) -> Result<(), Exit> {
    let Life { clock, mut stop, mut watchdog } = life;
    let (sender, mut inputs) = mpsc::channel(64);
    let desk = Desk::new(sender.clone());
    let (listener, page_address) = listen(&settings).await?;
    let state = HmiState {
        page_address,
        reader: if settings.reader.is_some() { ReaderState::Lost } else { ReaderState::NotFitted },
        shown_connector: ConnectorId(1),
        conditions: Vec::new(),
    };
    let (root, root_shown) = Object::new(&bus, names::HMI.root, state);
    bus.serve(names::HMI.root, RootObject { desk: desk.clone(), shown: root_shown.clone() }).await?;
    let mut panel = Panel::new(file.read());
    let mut objects = BTreeMap::new();
    let mut screens = Vec::new();
    for (connector, screen) in panel.news(clock.now().boottime) {
        let path = names::HMI.connector(connector);
        let (object, shown) = Object::new(&bus, &path, screen);
        bus.serve(&path, ScreenObject { shown: shown.clone() }).await?;
        objects.insert(connector, object);
        screens.push((connector, shown));
    }

    let mut tasks: JoinSet<Result<(), String>> = JoinSet::new();
    if let Some(device) = settings.reader.clone() {
        let cards = read_cards(device, sender.clone());
        tasks.spawn(async move {
            cards.await;
            Err("the card reader's task ended".to_owned())
        });
        // Its first word comes before the name is claimed, so that a restart does not end a fault that is still there.
        if let Ok(Some(Input::Reader(heard))) = timeout(READER_FIRST_WORD, inputs.recv()).await {
            root.publish(with_reader(root.state(), heard, settings.reader.as_deref())).await;
        }
    }
    follow_peers(&bus, &sender, &mut tasks);
    if let Some(listener) = listener {
        let page = page::serve(listener, Pages { root: root_shown, screens, desk });
        tasks.spawn(async move { page.await.map_err(|error| format!("the page's task ended: {error}")) });
    }
    bus.ready().await?;

    let mut badges: JoinSet<Answer> = JoinSet::new();
    let lost = bus.lost();
    tokio::pin!(lost);
    loop {
        let now = clock.now().boottime;
        publish(&mut panel, &root, &objects, now).await;
        tokio::select! {
            () = stop.asked() => break,
            exit = &mut lost => return Err(exit),
            ended = tasks.join_next() => return Err(Exit::Internal(format!("a task ended: {ended:?}"))),
            () = watchdog.due() => watchdog.feed(),
            () = until(panel.wake(now), &clock) => {}
            Some(answer) = badges.join_next() => {
                let answer = answer.unwrap_or_else(|error| Err(CallError::Internal(error.to_string())));
                if let Err(error) = &answer {
                    tracing::warn!(error = chain(error), "session gave no answer about a badge");
                }
                panel.answered(clock.now().boottime, answer.ok());
            }
            Some(input) = inputs.recv() => {
                let now = clock.now().boottime;
                match input {
                    Input::Session { connector, view } => {
                        let before = panel.costs();
                        panel.session(now, connector, view);
                        if let Err(error) = keep(&file, &before, &panel) {
                            // Harmless: the cost is bound to its charge, so it is not shown again for another one.
                            tracing::warn!(%error, connector = connector.0, "the costs that are shown cannot be kept");
                        }
                    }
                    Input::Reserved(reservations) => panel.reserved(reservations.as_deref()),
                    Input::Power { connector, view } => panel.power(now, connector, view),
                    Input::Card(identifier) => {
                        if let Some(tag) = panel.card(now, &identifier) {
                            let valid_until = clock.now().boottime.after(REQUEST_VALIDITY);
                            badges.spawn(present(bus.clone(), tag, panel.shown(), valid_until));
                        }
                    }
                    Input::Reader(heard) => root.publish(with_reader(root.state(), heard, settings.reader.as_deref())).await,
                    Input::Show { connector, reply } => {
                        let shown = panel.touch(now, connector);
                        publish(&mut panel, &root, &objects, now).await;
                        // A caller that has gone needs no answer.
                        let _ = reply.send(shown);
                    }
                    Input::Cost { connector, cost, reply } => {
                        let told = tell_cost(&mut panel, &file, connector, &cost);
                        publish(&mut panel, &root, &objects, now).await;
                        // A caller that has gone needs no answer.
                        let _ = reply.send(told);
                    }
                }
            }
        }
    }
    bus.release().await;
    Ok(())
}

/// The page's socket and its address for people; neither when the page is not served.
async fn listen(settings: &Settings) -> Result<(Option<TcpListener>, String), Exit> {
    let Some(address) = settings.page else { return Ok((None, String::new())) };
    let failed = |error: std::io::Error| Exit::Internal(format!("the page cannot be served at {address}: {error}"));
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((Some(listener), format!("http://{address}/")))
}

fn follow_peers(bus: &Bus, sender: &mpsc::Sender<Input>, tasks: &mut JoinSet<Result<(), String>>) {
    let input = |view: View<SessionState>| Input::Reserved(view.present().map(|state| state.reservations.clone()));
    let station = follow(bus.clone(), names::SESSION, names::SESSION.root.to_owned(), sender.clone(), input);
    tasks.spawn(async move {
        station.await;
        Err("session is no longer followed".to_owned())
    });
    for connector in CONNECTORS {
        let (path, inputs) = (names::SESSION.connector(connector), sender.clone());
        let session = follow(bus.clone(), names::SESSION, path, inputs, move |view| Input::Session { connector, view });
        let (path, inputs) = (names::POWER.connector(connector), sender.clone());
        let power = follow(bus.clone(), names::POWER, path, inputs, move |view| Input::Power { connector, view });
        tasks.spawn(async move {
            session.await;
            Err("session is no longer followed".to_owned())
        });
        tasks.spawn(async move {
            power.await;
            Err("power is no longer followed".to_owned())
        });
    }
}

/// Writes the costs down if they are others than before.
fn keep(file: &CostFile, before: &Costs, panel: &Panel) -> std::io::Result<()> {
    let costs = panel.costs();
    if costs == *before { Ok(()) } else { file.write(&costs) }
}

/// A cost is shown when it is kept, so that a death of this process does not take it from the screen again.
fn tell_cost(panel: &mut Panel, file: &CostFile, connector: ConnectorId, cost: &str) -> Result<(), CallError> {
    let before = panel.costs();
    panel.cost(connector, cost)?;
    keep(file, &before, panel).map_err(|error| {
        panel.recall(before);
        tracing::error!(%error, connector = connector.0, "a cost cannot be kept and is not shown");
        CallError::Internal("the cost cannot be kept; the log of hmi says why".to_owned())
    })
}

async fn publish(
    panel: &mut Panel,
    root: &Object<HmiState>,
    objects: &BTreeMap<ConnectorId, Object<ScreenState>>,
    now: BoottimeMillis,
) {
    root.publish(HmiState { shown_connector: panel.shown(), ..root.state() }).await;
    for (connector, state) in panel.news(now) {
        if let Some(object) = objects.get(&connector) {
            object.publish(state).await;
        }
    }
}

async fn until(wake: Option<BoottimeMillis>, clock: &Clock) {
    match wake {
        Some(wake) => sleep(wake.since(clock.now().boottime)).await,
        None => pending().await,
    }
}

/// An error with its causes.
fn chain(error: &CallError) -> String {
    let inner: &dyn Error = match error {
        CallError::Bus(error) => error,
        error => error,
    };
    let causes = std::iter::successors(inner.source(), |&cause| cause.source());
    causes.fold(inner.to_string(), |text, cause| format!("{text}: {cause}"))
}

async fn present(bus: Bus, tag: String, shown: ConnectorId, valid_until: BoottimeMillis) -> Answer {
    let session = SessionProxy::builder(bus.connection()).cache_properties(CacheProperties::No).build().await?;
    session.present_badge(&tag, shown, valid_until).await
}

fn with_reader(state: HmiState, heard: Result<(), String>, device: Option<&Path>) -> HmiState {
    let device = device.map(|device| device.display().to_string()).unwrap_or_default();
    match heard {
        Ok(()) => {
            tracing::info!(device, "the card reader answers");
            HmiState { reader: ReaderState::Ready, conditions: Vec::new(), ..state }
        }
        Err(reason) => {
            if state.conditions.is_empty() {
                tracing::error!(device, reason, "the card reader is lost");
            }
            let detail = format!("card reader pn532 at {device}: {reason}");
            let condition = Condition { code: READER_FAILURE.to_owned(), connector: ConnectorId::STATION, detail };
            HmiState { reader: ReaderState::Lost, conditions: vec![condition], ..state }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_is_lost_is_a_condition_of_the_station() {
        let state = HmiState {
            page_address: String::new(),
            reader: ReaderState::Lost,
            shown_connector: ConnectorId(1),
            conditions: Vec::new(),
        };
        let lost = with_reader(state, Err("no answer".to_owned()), Some(Path::new("/dev/ttyS1")));
        assert_eq!(lost.conditions.len(), 1);
        assert!(lost.conditions[0].detail.contains("/dev/ttyS1"));
        assert_eq!(with_reader(lost, Ok(()), None).conditions, []);
    }
}
