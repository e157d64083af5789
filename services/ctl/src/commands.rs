//! What each command does.

use crate::arguments::{Arguments, Command, FaultState, PlantCommand};
use crate::failure::Failure;
use crate::output::{print, print_json, print_line};
use crate::plant::overview;
use crate::{check, keys, link, manual, orders, plant, power, queue, status};
use busbar_interfaces::TransactionId;
use busbar_interfaces::faults::FaultsProxy;
use busbar_interfaces::maintenance::MaintenanceProxy;
use busbar_interfaces::session::SessionProxy;
use busbar_interfaces::words::{StopReason, Verdict};
use busbar_runtime::Clock;
use zbus::{Connection, Variant};

/// Events that are asked for at a time.
const PAGE: u32 = 100;

/// Carries out one command.
pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    let command = match arguments.command {
        Command::Check { root, libexec } => {
            check::station_file(&root, &libexec).await?;
            return print_line("the station file is good");
        }
        Command::Manual { directory } => {
            return manual::write(&directory).map_err(|error| Failure::Internal(error.to_string()));
        }
        command => command,
    };
    let bus = busbar_runtime::bus::connect(&arguments.bus).await.map_err(|exit| Failure::Bus(exit.to_string()))?;
    match command {
        Command::Check { .. } | Command::Manual { .. } => Ok(()),
        Command::Status { json } => {
            let status = status::gather(&bus).await;
            if json { print_json(&status) } else { print(&status.to_text(Clock::system().now())) }
        }
        Command::Settings(command) => keys::run(&bus, command).await,
        Command::Ocpp { json, command } => link::run(&bus, json, command).await,
        Command::Power { json, command } => power::run(&bus, json, command).await,
        Command::Queue { command } => queue::run(&bus, command).await,
        Command::Availability { connector, service } => orders::availability(&bus, connector, service).await,
        Command::Reservation(command) => orders::reservation(&bus, &command).await,
        Command::Cache(command) => orders::cache(&bus, &command).await,
        Command::Reset { kind } => orders::reset(&bus, kind).await,
        Command::Journal { after } => journal(&bus, after).await,
        Command::Faults { after } => faults(&bus, after).await,
        Command::Stop { transaction } => stop(&bus, TransactionId(transaction)).await,
        Command::Report => {
            let path = MaintenanceProxy::new(&bus).await?.write_report().await?;
            print_line(&path)
        }
        Command::Plant(command) => on_plant(&bus, command).await,
    }
}

async fn journal(bus: &Connection, after: u64) -> Result<(), Failure> {
    let session = SessionProxy::new(bus).await?;
    let mut cursor = after;
    loop {
        let events = session.events_after(cursor, PAGE).await?;
        let Some(last) = events.last() else { return Ok(()) };
        cursor = last.sequence;
        events.iter().try_for_each(print_json)?;
    }
}

async fn faults(bus: &Connection, after: u64) -> Result<(), Failure> {
    let faults = FaultsProxy::new(bus).await?;
    let mut cursor = after;
    loop {
        let events = faults.events_after(cursor, PAGE).await?;
        let Some(last) = events.last() else { return Ok(()) };
        cursor = last.sequence;
        events.iter().try_for_each(print_json)?;
    }
}

async fn stop(bus: &Connection, transaction: TransactionId) -> Result<(), Failure> {
    match SessionProxy::new(bus).await?.stop_transaction(transaction, StopReason::Other).await? {
        Verdict::Accepted => Ok(()),
        _ => Err(Failure::Refused(format!("transaction {transaction} does not run"))),
    }
}

async fn on_plant(bus: &Connection, command: PlantCommand) -> Result<(), Failure> {
    let whole = plant::plant(bus).await?;
    match command {
        PlantCommand::Plug(vehicle) => {
            plant::connector(bus, vehicle.connector).await?.plug(plant::options(&vehicle)).await?;
        }
        PlantCommand::Unplug(at) => plant::connector(bus, at.connector).await?.unplug().await?,
        PlantCommand::Badge { uid } => whole.present_badge(&uid).await?,
        PlantCommand::Pause(at) => plant::connector(bus, at.connector).await?.pause_demand().await?,
        PlantCommand::Resume(at) => plant::connector(bus, at.connector).await?.resume_demand().await?,
        PlantCommand::Stop(at) => plant::connector(bus, at.connector).await?.stop_by_vehicle().await?,
        PlantCommand::Press(at) => plant::connector(bus, at.connector).await?.press_emergency_stop().await?,
        PlantCommand::Release(at) => plant::connector(bus, at.connector).await?.release_emergency_stop().await?,
        PlantCommand::Meter { connector, milliwatt_hours } => {
            plant::connector(bus, connector).await?.set_meter_register(milliwatt_hours).await?;
        }
        PlantCommand::Fault { name, state, value, clear } => match (state, value) {
            _ if clear => whole.set_fault(&name, false).await?,
            (FaultState::Off, None) => whole.set_fault(&name, false).await?,
            (FaultState::Off, Some(_)) => return Err(Failure::Usage("a fault that ends has no number".to_owned())),
            (FaultState::On, None) => whole.set_fault(&name, true).await?,
            (FaultState::On, Some(value)) => whole.set_fault_value(&name, value).await?,
        },
        PlantCommand::Faults => print(&overview::faults(&whole.faults().await?, &whole.active_faults().await?))?,
        PlantCommand::Clear => whole.clear_faults().await?,
        PlantCommand::Show { connector: None } => print(&overview::gather(bus).await?.to_text())?,
        PlantCommand::Show { connector: Some(connector) } => {
            let mut shown: Vec<_> = plant::show(bus, connector).await?.into_iter().collect();
            shown.sort_by(|(a, _), (b, _)| a.cmp(b));
            for (name, value) in shown {
                print_line(&format!("{name:<32} {}", plain(&value)))?;
            }
        }
    }
    Ok(())
}

/// A property's value without its type; the plant has only plain ones.
fn plain(value: &Variant<'_>) -> String {
    match value {
        Variant::Bool(value) => value.to_string(),
        Variant::U8(value) => value.to_string(),
        Variant::U32(value) => value.to_string(),
        Variant::U64(value) => value.to_string(),
        Variant::I32(value) => value.to_string(),
        Variant::I64(value) => value.to_string(),
        Variant::Str(value) => value.to_string(),
        Variant::Array(values) => values.iter().map(|value| plain(value)).collect::<Vec<_>>().join(" "),
        Variant::Structure(parts) => parts.fields().iter().map(plain).collect::<Vec<_>>().join(" "),
        other => format!("{other:?}"),
    }
}
