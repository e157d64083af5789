//! The loop of maintenance: services that come and go, and wishes, in; records, reports and a restart out.

use crate::collect;
use crate::objects::RootObject;
use crate::order::OrderFile;
use crate::reset::{self, CONNECTORS};
use crate::restart::Restart;
use crate::roster::Roster;
use crate::settings::Settings;
use crate::shelf::{Report, Shelf};
use busbar_interfaces::maintenance::MaintenanceState;
use busbar_interfaces::ocpp::OcppState;
use busbar_interfaces::service::ServiceState;
use busbar_interfaces::session::{SessionConnectorState, SessionState};
use busbar_interfaces::settings::SettingsState;
use busbar_interfaces::{CallError, ServiceName, UnixMillis, names};
use busbar_runtime::{Bus, Desk, Exit, Life, Object, Reply, View, follow};
use std::error::Error;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// What the loop takes in.
#[derive(Debug)]
pub enum Input {
    /// A service came, went, or is another process.
    Service { service: ServiceName, view: View<ServiceState> },
    /// A technician wants a report.
    WriteReport { reply: Reply<String> },
    /// Somebody wants the station to restart.
    Order { hard: bool, reply: Reply<()> },
    /// Something that the restart may wait for.
    Reset(reset::Input),
}

/// Runs the service until it is asked to stop.
///
/// # Errors
/// When the bus is lost or a follower ends unasked.
pub async fn run(settings: Settings, shelf: Shelf, order: OrderFile, bus: Bus, life: Life) -> Result<(), Exit> {
    let Life { clock, mut stop, mut watchdog } = life;
    let (sender, mut inputs) = mpsc::channel(64);
    let mut roster = Roster::new();
    let last = shelf.reports().map_err(|error| Exit::Storage(format!("the reports cannot be listed: {error}")))?.pop();
    let mut restart = Restart::new(settings.reset, order, bus.clone(), clock.clone());
    let state = MaintenanceState { services: roster.records(), ..MaintenanceState::default() };
    let state = with_restart(with_report(state, last.as_ref()), &restart);
    let (root, shown) = Object::new(&bus, names::MAINTENANCE.root, state);
    bus.serve(names::MAINTENANCE.root, RootObject { desk: Desk::new(sender.clone()), shown }).await?;

    let mut tasks = JoinSet::new();
    for service in names::ALL {
        let input = move |view| Input::Service { service, view };
        tasks.spawn(follow(bus.clone(), service, service.root.to_owned(), sender.clone(), input));
    }
    follow_for_a_restart(&mut tasks, &bus, &sender);
    bus.ready().await?;

    // At most one report at a time, with whoever asked for it.
    let mut writing: JoinSet<(UnixMillis, Vec<u8>)> = JoinSet::new();
    let mut asker: Option<Reply<String>> = None;
    let lost = bus.lost();
    tokio::pin!(lost);
    loop {
        tokio::select! {
            () = stop.asked() => break,
            exit = &mut lost => return Err(exit),
            ended = tasks.join_next() => return Err(Exit::Internal(format!("a follower ended: {ended:?}"))),
            () = watchdog.due() => watchdog.feed(),
            input = restart.next() => {
                restart.step(input);
                root.publish(with_restart(root.state(), &restart)).await;
            }
            Some(written) = writing.join_next() => {
                let written = written.map_err(|error| format!("the report's task failed: {error}"));
                let answer = match written.and_then(|(at, content)| put(&shelf, at, &content)) {
                    Ok(report) => {
                        root.publish(with_report(root.state(), Some(&report))).await;
                        Ok(report.path.display().to_string())
                    }
                    Err(error) => {
                        tracing::error!(error, "a report could not be written");
                        Err(CallError::Internal("the report could not be written".to_owned()))
                    }
                };
                if let Some(asker) = asker.take() {
                    // A caller that has gone needs no answer; the report is there.
                    let _ = asker.send(answer);
                }
            }
            Some(input) = inputs.recv() => match input {
                Input::Service { service, view } => {
                    roster.seen(service, view);
                    root.publish(MaintenanceState { services: roster.records(), ..root.state() }).await;
                }
                Input::WriteReport { reply } if asker.is_none() => {
                    asker = Some(reply);
                    let (bus, at) = (bus.clone(), clock.now().unix);
                    writing.spawn(async move { (at, collect::report(bus, at).await) });
                }
                Input::WriteReport { reply } => {
                    let _ = reply.send(Err(CallError::Busy("a report is being written; repeat later".to_owned())));
                }
                Input::Order { hard, reply } => {
                    restart.order(hard, reply);
                    root.publish(with_restart(root.state(), &restart)).await;
                }
                Input::Reset(input) => {
                    restart.step(input);
                    root.publish(with_restart(root.state(), &restart)).await;
                }
            },
        }
    }
    bus.release().await;
    Ok(())
}

/// Follows what a restart of the station may wait for.
fn follow_for_a_restart(tasks: &mut JoinSet<()>, bus: &Bus, inputs: &mpsc::Sender<Input>) {
    let session = |view: View<SessionState>| {
        Input::Reset(reset::Input::Session { last_event: view.present().map(|state| state.last_event) })
    };
    tasks.spawn(follow(bus.clone(), names::SESSION, names::SESSION.root.to_owned(), inputs.clone(), session));
    for connector in CONNECTORS {
        let transaction = move |view: View<SessionConnectorState>| {
            let transaction = view.present().map(|state| state.transaction);
            Input::Reset(reset::Input::Connector { connector, transaction })
        };
        let path = names::SESSION.connector(connector);
        tasks.spawn(follow(bus.clone(), names::SESSION, path, inputs.clone(), transaction));
    }
    let confirmed = |view: View<OcppState>| {
        Input::Reset(reset::Input::Confirmed { event: view.present().map(|state| state.confirmed_event) })
    };
    tasks.spawn(follow(bus.clone(), names::OCPP, names::OCPP.root.to_owned(), inputs.clone(), confirmed));
    let retries = |view: View<SettingsState>| {
        let value = view.present().and_then(|state| state.values.get("ResetRetries")?.parse().ok());
        Input::Reset(reset::Input::Retries(value))
    };
    tasks.spawn(follow(bus.clone(), names::SETTINGS, names::SETTINGS.root.to_owned(), inputs.clone(), retries));
}

fn with_restart(state: MaintenanceState, restart: &Restart) -> MaintenanceState {
    MaintenanceState { pending_reset: restart.pending().to_owned(), conditions: restart.conditions(), ..state }
}

fn with_report(state: MaintenanceState, report: Option<&Report>) -> MaintenanceState {
    match report {
        Some(report) => MaintenanceState {
            last_report: report.path.display().to_string(),
            last_report_unix_millis: report.at,
            ..state
        },
        None => state,
    }
}

fn put(shelf: &Shelf, at: UnixMillis, content: &[u8]) -> Result<Report, String> {
    let report = shelf.put(at, content).map_err(|error| {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("{error}{cause}")
    })?;
    tracing::info!(report = %report.path.display(), bytes = content.len(), "a report was written");
    Ok(report)
}
