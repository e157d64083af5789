//! The command line.

use clap::{Args, Subcommand, ValueEnum};
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
    /// Shows the link to the CSMS and what goes over it.
    Ocpp {
        /// As JSON.
        #[arg(long)]
        json: bool,
        /// What else.
        #[command(subcommand)]
        command: Option<OcppCommand>,
    },
    /// Shows the power side: what each connector is offered and why, the power modules, the CAN buses, what is wrong.
    Power {
        /// As JSON.
        #[arg(long)]
        json: bool,
        /// What else.
        #[command(subcommand)]
        command: Option<PowerCommand>,
    },
    /// Shows the events that wait for the CSMS and those that it has refused for good.
    Queue {
        /// What else.
        #[command(subcommand)]
        command: Option<QueueCommand>,
    },
    /// Orders a connector in or out of service.
    Availability {
        /// The connector, 1 or 2; 0 for the whole station.
        #[arg(value_parser = clap::value_parser!(u32).range(0..=2))]
        connector: u32,
        /// Which of the two.
        service: Service,
    },
    /// Works on what is reserved; `status` shows it.
    #[command(subcommand)]
    Reservation(ReservationCommand),
    /// Works on the authorization cache; `status` shows how many badges are in it.
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Restarts the station.
    Reset {
        /// How.
        kind: ResetKind,
    },
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
    /// Writes the manual pages and the completions of this command, for a package.
    #[command(hide = true)]
    Manual {
        /// Where to.
        directory: PathBuf,
    },
}

/// Works on the configuration keys.
#[derive(Debug, Subcommand)]
pub enum SettingsCommand {
    /// Lists every key.
    List,
    /// Tells all about one key.
    Explain {
        /// The key, in any case.
        key: String,
    },
    /// Changes a key.
    Set {
        /// The key, in any case.
        key: String,
        /// Its new value; - reads it from a line of standard input, so that a password is not on the command line, where
        /// everybody on the machine can see it.
        #[arg(allow_hyphen_values = true)]
        value: Value,
    },
}

/// A key's new value. It may be a secret and is not printable.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// As it is.
    Given(String),
    /// To be read from standard input.
    StandardInput,
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        if text == "-" { Value::StandardInput } else { Value::Given(text) }
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Value::Given(_) => "(a value)",
            Value::StandardInput => "(standard input)",
        })
    }
}

/// Works on the link to the CSMS.
#[derive(Debug, PartialEq, Eq, Subcommand)]
pub enum OcppCommand {
    /// Shows the log of the traffic: time, number, direction (-> to the CSMS, <- from it, -- the link itself), frame.
    Log {
        /// Goes on with what is appended, until Ctrl-C.
        #[arg(long, short)]
        follow: bool,
        /// How many of the last lines.
        #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
        lines: usize,
    },
    /// Sends a vendor's message to the CSMS and shows its answer.
    DataTransfer(DataTransferArguments),
}

/// A vendor's message.
#[derive(Debug, PartialEq, Eq, Args)]
pub struct DataTransferArguments {
    /// The vendor (vendorId).
    pub vendor: String,
    /// The message (messageId).
    #[arg(long, value_name = "ID")]
    pub message: Option<String>,
    /// Its data.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub data: Option<String>,
}

/// Works on the power side.
#[derive(Debug, PartialEq, Eq, Subcommand)]
pub enum PowerCommand {
    /// Resets what is latched at a connector, after somebody has seen to the cause.
    ///
    /// That is: emergencies whose cause is gone, a contactor or a lock that did not follow, a weld that was found, and the
    /// relays of the modules that were locked out. It is refused while a delivery or its weld check goes on, and while the
    /// cause is still there; the answer then says what is still wrong.
    ResetFault {
        /// The connector, 1 or 2.
        #[arg(value_parser = clap::value_parser!(u32).range(1..=2))]
        connector: u32,
    },
    /// Says that a worn relay was replaced: its counts begin at 0.
    ///
    /// It is the relay between a connector and a module, or both output contactors of the connector when no module is
    /// named. `busbarctl power` shows the counts. It is refused while any connector charges.
    NoteReplaced {
        /// The connector, 1 or 2.
        #[arg(value_parser = clap::value_parser!(u32).range(1..=2))]
        connector: u32,
        /// The module, by its address; none for the output contactors.
        #[arg(value_parser = clap::value_parser!(u8).range(0..=62))]
        module: Option<u8>,
    },
}

/// Works on the events that the CSMS has refused for good.
#[derive(Debug, PartialEq, Eq, Subcommand)]
pub enum QueueCommand {
    /// Sends the undelivered events of a transaction again, in order.
    Resend {
        /// The transaction.
        transaction: u64,
    },
    /// Gives up the undelivered events of a transaction; the CSMS will never be told them.
    Discard {
        /// The transaction.
        transaction: u64,
        /// Does it; without this it only says what would be lost.
        #[arg(long)]
        yes: bool,
    },
}

/// Works on what is reserved.
#[derive(Debug, PartialEq, Eq, Subcommand)]
pub enum ReservationCommand {
    /// Ends a reservation; the CSMS is not told.
    Cancel {
        /// Its number, which is the CSMS's.
        #[arg(allow_negative_numbers = true)]
        number: i32,
    },
}

/// Works on the authorization cache.
#[derive(Debug, PartialEq, Eq, Subcommand)]
pub enum CacheCommand {
    /// Forgets every badge in it; the local list stays.
    Clear,
}

/// In or out of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Service {
    /// It may be used.
    Operative,
    /// It may not.
    Inoperative,
}

/// How the station restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ResetKind {
    /// Its charges are ended and the CSMS is told first.
    Soft,
    /// Its charges are ended, and nobody is waited for longer than that takes.
    Hard,
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
        /// Its name; `busbarctl plant faults` lists them.
        name: String,
        /// Whether it begins or ends.
        #[arg(default_value = "on")]
        state: FaultState,
        /// Its number, for a fault that has one; without it the usual one.
        #[arg(allow_negative_numbers = true)]
        value: Option<i64>,
        /// It ends; the same as off.
        #[arg(long, conflicts_with = "value")]
        clear: bool,
    },
    /// Lists the faults that there are, and which of them are on.
    Faults,
    /// Ends every fault.
    Clear,
    /// Shows what the hardware does: all of it, or every value of one connector.
    #[command(visible_alias = "watch")]
    Show {
        /// The connector, 1 or 2.
        #[arg(value_parser = clap::value_parser!(u32).range(1..=2))]
        connector: Option<u32>,
    },
}

/// Whether a fault begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FaultState {
    /// It begins.
    On,
    /// It ends.
    Off,
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn command(line: &[&str]) -> Result<Command, String> {
        let line = ["busbarctl"].iter().chain(line);
        Arguments::try_parse_from(line).map(|arguments| arguments.command).map_err(|error| error.to_string())
    }

    #[test]
    fn the_queue_is_shown_and_worked_on() {
        let queue = |line: &[&str]| match command(line) {
            Ok(Command::Queue { command }) => command,
            other => panic!("{line:?}: {other:?}"),
        };
        assert_eq!(queue(&["queue"]), None);
        assert_eq!(queue(&["queue", "resend", "7"]), Some(QueueCommand::Resend { transaction: 7 }));
        assert_eq!(queue(&["queue", "discard", "7"]), Some(QueueCommand::Discard { transaction: 7, yes: false }));
        assert_eq!(
            queue(&["queue", "discard", "7", "--yes"]),
            Some(QueueCommand::Discard { transaction: 7, yes: true })
        );
        for wrong in [&["queue", "discard"][..], &["queue", "resend", "x"], &["queue", "forget"]] {
            assert!(command(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_power_side_is_shown_and_a_latched_fault_reset() {
        let power = |line: &[&str]| match command(line) {
            Ok(Command::Power { json, command }) => (json, command),
            other => panic!("{line:?}: {other:?}"),
        };
        assert_eq!(power(&["power"]), (false, None));
        assert_eq!(power(&["power", "--json"]), (true, None));
        assert_eq!(power(&["power", "reset-fault", "2"]).1, Some(PowerCommand::ResetFault { connector: 2 }));
        let replaced = |connector, module| Some(PowerCommand::NoteReplaced { connector, module });
        assert_eq!(power(&["power", "note-replaced", "1"]).1, replaced(1, None));
        assert_eq!(power(&["power", "note-replaced", "1", "4"]).1, replaced(1, Some(4)));
        for wrong in [
            &["power", "reset-fault"][..],
            &["power", "note-replaced", "1", "63"],
            &["power", "reset-fault", "0"],
            &["power", "reset-fault", "3"],
        ] {
            assert!(command(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_link_is_shown_its_log_read_and_a_message_sent() {
        let ocpp = |line: &[&str]| match command(line) {
            Ok(Command::Ocpp { json, command }) => (json, command),
            other => panic!("{line:?}: {other:?}"),
        };
        assert_eq!(ocpp(&["ocpp"]), (false, None));
        assert_eq!(ocpp(&["ocpp", "--json"]), (true, None));
        assert_eq!(ocpp(&["--bus", "unix:path=/x", "ocpp", "--json", "--bus", "unix:path=/y"]), (true, None));
        assert_eq!(ocpp(&["ocpp", "log"]), (false, Some(OcppCommand::Log { follow: false, lines: 20 })));
        let followed = OcppCommand::Log { follow: true, lines: 0 };
        assert_eq!(ocpp(&["--bus", "x", "ocpp", "log", "--follow", "--lines", "0"]), (false, Some(followed)));
        assert_eq!(
            ocpp(&["ocpp", "data-transfer", "com.example", "--message", "Ping", "--data", "-1"]),
            (
                false,
                Some(OcppCommand::DataTransfer(DataTransferArguments {
                    vendor: "com.example".to_owned(),
                    message: Some("Ping".to_owned()),
                    data: Some("-1".to_owned()),
                }))
            )
        );
        assert_eq!(
            ocpp(&["ocpp", "--bus", "x", "log", "-n", "5"]).1,
            Some(OcppCommand::Log { follow: false, lines: 5 })
        );
        for wrong in [&["ocpp", "log", "--lines", "-1"][..], &["ocpp", "data-transfer"]] {
            assert!(command(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_value_comes_from_the_command_line_or_standard_input_and_is_not_printable() {
        let set = |value: &str| match command(&["settings", "set", "AuthorizationKey", value]) {
            Ok(Command::Settings(SettingsCommand::Set { value, .. })) => value,
            other => panic!("{value}: {other:?}"),
        };
        assert_eq!(set("-"), Value::StandardInput);
        for value in ["secret", "", "-1"] {
            assert_eq!(set(value), Value::Given(value.to_owned()));
        }
        assert!(!format!("{:?}", set("secret")).contains("secret"));
        assert!(matches!(
            command(&["settings", "explain", "heartbeatinterval"]),
            Ok(Command::Settings(SettingsCommand::Explain { .. }))
        ));
    }

    #[test]
    fn orders_name_a_connector_and_a_word() {
        for (word, expected) in [("operative", Service::Operative), ("inoperative", Service::Inoperative)] {
            for number in 0..=2_u32 {
                let parsed = command(&["availability", &number.to_string(), word]);
                let Ok(Command::Availability { connector, service }) = parsed else { panic!("{parsed:?}") };
                assert_eq!((connector, service), (number, expected));
            }
        }
        for (word, expected) in [("soft", ResetKind::Soft), ("hard", ResetKind::Hard)] {
            assert!(matches!(command(&["reset", word]), Ok(Command::Reset { kind }) if kind == expected));
        }
        for wrong in [&["availability", "3", "operative"][..], &["availability", "1", "open"], &["reset"]] {
            assert!(command(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_reservation_is_named_by_any_number_that_a_csms_can_give() {
        for (word, number) in [("12", 12), ("0", 0), ("-7", -7), ("-2147483648", i32::MIN), ("2147483647", i32::MAX)] {
            let parsed = command(&["reservation", "cancel", word]);
            let Ok(Command::Reservation(ReservationCommand::Cancel { number: of })) = parsed else {
                panic!("{parsed:?}")
            };
            assert_eq!(of, number);
        }
        assert!(matches!(command(&["cache", "clear"]), Ok(Command::Cache(CacheCommand::Clear))));
        for wrong in [
            &["reservation"][..],
            &["reservation", "cancel"],
            &["reservation", "cancel", "x"],
            &["reservation", "cancel", "2147483648"],
            &["cache"],
            &["cache", "clear", "all"],
        ] {
            assert!(command(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_fault_begins_with_or_without_its_number_and_ends() {
        use FaultState::{Off, On};
        for (line, expected) in [
            (&["io-down"][..], (On, None, false)),
            (&["io-down", "on"], (On, None, false)),
            (&["io-down", "off"], (Off, None, false)),
            (&["io-down", "--clear"], (On, None, true)),
            (&["module-3-derate", "on", "5000"], (On, Some(5_000), false)),
            (&["ambient", "on", "-20"], (On, Some(-20), false)),
        ] {
            let parsed = command(&[&["plant", "fault"], line].concat());
            let Ok(Command::Plant(PlantCommand::Fault { state, value, clear, .. })) = parsed else {
                panic!("{line:?}: {parsed:?}")
            };
            assert_eq!((state, value, clear), expected, "{line:?}");
        }
        for wrong in [&["plant", "fault", "ambient", "45"][..], &["plant", "fault", "a", "on", "1", "--clear"]] {
            assert!(command(wrong).is_err(), "{wrong:?}");
        }
        for line in [["plant", "show"], ["plant", "watch"]] {
            assert!(matches!(command(&line), Ok(Command::Plant(PlantCommand::Show { connector: None }))));
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }
}
