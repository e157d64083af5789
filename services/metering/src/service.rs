//! The loop of metering: answers of the meters in, readings and conditions out.

use crate::meter::Meter;
use crate::modbus::{Answer, read_meter};
use crate::objects::{MeterObject, RootObject};
use crate::settings::Settings;
use busbar_interfaces::metering::{MeterState, MeteringState, Reading};
use busbar_interfaces::{CallError, ConnectorId, names};
use busbar_runtime::{Bus, Desk, Exit, Life, Object, Reply};
use std::collections::BTreeMap;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// What the loop takes in.
#[derive(Debug)]
pub enum Input {
    /// A peer wants a reading now.
    Latch { connector: ConnectorId, reply: Reply<Reading> },
    /// A meter was asked; `latch` is the request that it was asked for, if it was not the schedule.
    Answered { connector: ConnectorId, answer: Answer, latch: Option<Reply<Reading>> },
}

/// Latches of one meter that may wait at a time.
const WAITING_LATCHES: usize = 8;

struct Station {
    meter: Meter,
    object: Object<MeterState>,
    latches: mpsc::Sender<Reply<Reading>>,
}

/// Runs the service until it is asked to stop.
///
/// # Errors
/// When the bus is lost or a task ends unasked.
pub async fn run(settings: Settings, bus: Bus, life: Life) -> Result<(), Exit> {
    let Life { clock, mut stop, mut watchdog } = life;
    let (sender, mut inputs) = mpsc::channel(64);
    let desk = Desk::new(sender.clone());
    let (root, shown) = Object::new(&bus, names::METERING.root, MeteringState::default());
    bus.serve(names::METERING.root, RootObject { shown }).await?;

    let mut tasks = JoinSet::new();
    let mut meters = BTreeMap::new();
    for wiring in settings.meters {
        let connector = wiring.connector;
        let place = format!("{} at {} unit {}", wiring.model, wiring.address, wiring.unit);
        let meter = Meter::new(connector, &wiring.model, place);
        let path = names::METERING.connector(connector);
        let (object, shown) = Object::new(&bus, &path, meter.state().clone());
        bus.serve(&path, MeterObject { connector, desk: desk.clone(), shown }).await?;
        let (latches, waiting) = mpsc::channel(WAITING_LATCHES);
        tasks.spawn(read_meter(wiring, settings.poll, waiting, sender.clone()));
        meters.insert(connector, Station { meter, object, latches });
    }
    bus.ready().await?;

    let lost = bus.lost();
    tokio::pin!(lost);
    loop {
        tokio::select! {
            () = stop.asked() => break,
            exit = &mut lost => return Err(exit),
            ended = tasks.join_next() => return Err(Exit::Internal(format!("a meter's task ended: {ended:?}"))),
            () = watchdog.due() => watchdog.feed(),
            Some(input) = inputs.recv() => match input {
                Input::Latch { connector, reply } => latch(&meters, connector, reply),
                Input::Answered { connector, answer, latch } => {
                    let Some(station) = meters.get_mut(&connector) else { continue };
                    let reading = station.meter.answered(clock.now(), answer);
                    station.object.publish(station.meter.state().clone()).await;
                    let conditions = meters.values().filter_map(|station| station.meter.condition()).collect();
                    root.publish(MeteringState { conditions }).await;
                    if let Some(latch) = latch {
                        // A caller that has gone needs no answer.
                        let _ = latch.send(reading.map_err(CallError::NotReady));
                    }
                }
            },
        }
    }
    bus.release().await;
    Ok(())
}

fn latch(meters: &BTreeMap<ConnectorId, Station>, connector: ConnectorId, reply: Reply<Reading>) {
    let refused = match meters.get(&connector) {
        None => Some((reply, CallError::NotFound(format!("connector {connector} has no meter")))),
        Some(station) => match station.latches.try_send(reply) {
            Ok(()) => None,
            Err(error) => {
                let busy = CallError::Busy(format!("too many latches of connector {connector} wait; repeat later"));
                Some((error.into_inner(), busy))
            }
        },
    };
    if let Some((reply, error)) = refused {
        // A caller that has gone needs no answer.
        let _ = reply.send(Err(error));
    }
}
