//! The command line.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Looks at a Busbar station and works on it.
#[derive(Debug, clap::Parser)]
#[command(name = "busbarctl", version)]
pub struct Arguments {
    /// The bus; without it the system bus.
    #[arg(
        long,
        global = true,
        value_name = "ADDRESS",
        env = "BUSBAR_BUS",
        default_value = "unix:path=/run/dbus/system_bus_socket"
    )]
    pub bus: String,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Shows services, connectors, the link and the faults.
    Status {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Works on the configuration keys.
    #[command(subcommand)]
    Settings(SettingsCommand),
    /// Shows the transaction journal.
    Journal {
        /// Events after this number.
        #[arg(long, default_value_t = 0)]
        after: u64,
    },
    /// Shows the history of faults.
    Faults {
        /// Entries after this number.
        #[arg(long, default_value_t = 0)]
        after: u64,
    },
    /// Ends a transaction by its number in the journal.
    Stop {
        /// The transaction.
        transaction: u64,
    },
    /// Writes a report of the whole station and says where.
    Report,
    /// Checks the station file against every service, without starting anything.
    Check {
        /// The directory under which usr/lib/busbar, etc/busbar and run/busbar are looked for.
        #[arg(long, default_value = "/")]
        root: PathBuf,
        /// Where the services are.
        #[arg(long, default_value = "/usr/libexec/busbar")]
        libexec: PathBuf,
    },
    /// Works on the simulated hardware of a bench.
    #[command(subcommand)]
    Plant(PlantCommand),
}

/// Works on the configuration keys.
#[derive(Debug, Subcommand)]
pub enum SettingsCommand {
    /// Lists every key.
    List,
    /// Changes a key.
    Set {
        /// The key, in any case.
        key: String,
        /// Its new value.
        value: String,
    },
}

/// Works on the simulated hardware of a bench.
#[derive(Debug, Subcommand)]
pub enum PlantCommand {
    /// Plugs in a vehicle.
    Plug(PlugArguments),
    /// Pulls the vehicle's cable out.
    Unplug(ConnectorArgument),
    /// Holds a badge to the reader.
    Badge {
        /// Its UID: 8, 14 or 20 hexadecimal digits.
        uid: String,
    },
    /// The vehicle asks for nothing until it resumes.
    Pause(ConnectorArgument),
    /// The vehicle asks again.
    Resume(ConnectorArgument),
    /// The vehicle ends the session.
    Stop(ConnectorArgument),
    /// Presses the emergency stop.
    Press(ConnectorArgument),
    /// Releases the emergency stop.
    Release(ConnectorArgument),
    /// Sets a meter's register, in mWh.
    Meter {
        /// The connector, 1 or 2.
        #[arg(value_parser = clap::value_parser!(u32).range(1..=2))]
        connector: u32,
        /// The register in thousandths of a watt-hour.
        milliwatt_hours: u64,
    },
    /// Begins or ends a hardware fault.
    Fault {
        /// Its name; a wrong one is answered with all names.
        name: String,
        /// It ends.
        #[arg(long)]
        clear: bool,
    },
    /// Shows what the hardware does.
    Show(ConnectorArgument),
}

/// Which connector.
#[derive(Debug, Args)]
pub struct ConnectorArgument {
    /// The connector, 1 or 2.
    #[arg(default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=2))]
    pub connector: u32,
}

/// The vehicle that is plugged in.
#[derive(Debug, Args)]
pub struct PlugArguments {
    /// The connector, 1 or 2.
    #[arg(default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=2))]
    pub connector: u32,
    /// State of charge in percent.
    #[arg(long)]
    pub soc: Option<u8>,
    /// State of charge at which it has enough.
    #[arg(long)]
    pub target_soc: Option<u8>,
    /// Capacity of the battery in watt-hours.
    #[arg(long)]
    pub capacity_watt_hours: Option<u32>,
    /// The most power that it takes, in watts.
    #[arg(long)]
    pub watts: Option<u32>,
    /// The most current, in mA.
    #[arg(long)]
    pub milliamperes: Option<u32>,
    /// The highest voltage, in mV.
    #[arg(long)]
    pub millivolts: Option<u32>,
    /// Its identity, 12 hexadecimal digits.
    #[arg(long)]
    pub vehicle_id: Option<String>,
}
