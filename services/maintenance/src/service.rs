//! The loop of maintenance: services that come and go, and wishes, in; records and reports out.

use crate::collect;
use crate::objects::RootObject;
use crate::roster::Roster;
use crate::shelf::{Report, Shelf};
use busbar_interfaces::maintenance::MaintenanceState;
use busbar_interfaces::service::ServiceState;
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
    Reset { hard: bool, reply: Reply<()> },
}

/// Runs the service until it is asked to stop.
///
/// # Errors
/// When the bus is lost or a follower ends unasked.
pub async fn run(shelf: Shelf, bus: Bus, life: Life) -> Result<(), Exit> {
    let Life { clock, mut stop, mut watchdog } = life;
    let (sender, mut inputs) = mpsc::channel(64);
    let mut roster = Roster::new();
    let last = shelf.reports().map_err(|error| Exit::Storage(format!("the reports cannot be listed: {error}")))?.pop();
    let state = MaintenanceState { services: roster.records(), ..MaintenanceState::default() };
    let (root, shown) = Object::new(&bus, names::MAINTENANCE.root, with_report(state, last.as_ref()));
    bus.serve(names::MAINTENANCE.root, RootObject { desk: Desk::new(sender.clone()), shown }).await?;

    let mut tasks = JoinSet::new();
    for service in names::ALL {
        let input = move |view| Input::Service { service, view };
        tasks.spawn(follow(bus.clone(), service, service.root.to_owned(), sender.clone(), input));
    }
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
                Input::Reset { hard, reply } => {
                    tracing::warn!(hard, "a restart was asked for and refused");
                    let refusal = "this version cannot restart the station; use `systemctl reboot`".to_owned();
                    let _ = reply.send(Err(CallError::NotSupported(refusal)));
                }
            },
        }
    }
    bus.release().await;
    Ok(())
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
