//! The real process on a private bus: every port once, and what happens when a link is cut or the process ends.

// A test fails by panicking, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use busbar_private_bus::PrivateBus;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_modbus::client::{Context, tcp};
use tokio_modbus::prelude::{ExceptionCode, Reader as _, Slave, SlaveContext as _, Writer as _};
use zbus::{Connection, Proxy, Variant};

const DEADLINE: Duration = Duration::from_secs(5);
const ROOT: &str = "io.busbar.Plant1";
const CONNECTOR: &str = "io.busbar.Plant1.Connector";

/// Ends a child with the test.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Bench {
    private: PrivateBus,
    bus: Connection,
    directory: TempDir,
}

impl Bench {
    async fn new() -> Self {
        let private = PrivateBus::start().await.unwrap();
        let bus = private.connect().await.unwrap();
        Self { private, bus, directory: tempfile::tempdir().unwrap() }
    }

    fn reader(&self) -> PathBuf {
        self.directory.path().join("reader")
    }

    fn spawn(&self) -> Guard {
        let mut command = Command::new(env!("CARGO_BIN_EXE_busbar-plant"));
        command.args(["--bus", self.private.address(), "--model", "EVD1S180THB", "--quick"]);
        command.arg("--reader").arg(self.reader()).arg("--state").arg(self.directory.path().join("meters"));
        Guard(command.spawn().unwrap())
    }

    async fn start(&self) -> Guard {
        let plant = self.spawn();
        let proxy = zbus::fdo::DBusProxy::new(&self.bus).await.unwrap();
        eventually(async || proxy.name_has_owner(ROOT.try_into().unwrap()).await.unwrap()).await;
        plant
    }

    async fn object(&self, path: &'static str, interface: &'static str) -> Proxy<'static> {
        let builder = zbus::proxy::Builder::<Proxy<'_>>::new(&self.bus);
        let builder = builder.destination(ROOT).path(path).interface(interface);
        builder.cache_properties(zbus::proxy::CacheProperties::No).build().await.unwrap()
    }

    async fn root(&self) -> Proxy<'static> {
        self.object("/io/busbar/Plant1", ROOT).await
    }

    async fn connector(&self) -> Proxy<'static> {
        self.object("/io/busbar/Plant1/connector/1", CONNECTOR).await
    }
}

async fn eventually(mut condition: impl AsyncFnMut() -> bool) {
    let polling = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, polling).await.expect("the condition never came true");
}

async fn set_fault(root: &Proxy<'_>, name: &str, active: bool) {
    root.call::<_, _, ()>("SetFault", &(name, active)).await.unwrap();
}

async fn set_value(root: &Proxy<'_>, name: &str, value: i64) {
    root.call::<_, _, ()>("SetFaultValue", &(name, value)).await.unwrap();
}

fn error_name(result: zbus::Result<()>) -> String {
    match result {
        Err(zbus::Error::MethodError(name, _, _)) => name.to_string(),
        other => panic!("no error but {other:?}"),
    }
}

/// A socketcand client.
struct Can(TcpStream);

impl Can {
    async fn connect(address: &str) -> Self {
        let mut can = Self(TcpStream::connect(address).await.unwrap());
        assert_eq!(can.read().await, "< hi >");
        can
    }

    async fn join(address: &str, bus: &str) -> Self {
        let mut can = Self::connect(address).await;
        can.write(&format!("< open {bus} >< rawmode >")).await;
        assert_eq!((can.read().await, can.read().await), ("< ok >".to_owned(), "< ok >".to_owned()));
        can
    }

    async fn write(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// One message; empty at the end of the connection.
    async fn read(&mut self) -> String {
        let mut text = String::new();
        let reading = async {
            while !text.ends_with('>') {
                let mut byte = [0];
                if self.0.read(&mut byte).await.unwrap_or(0) == 0 {
                    return;
                }
                text.push(char::from(byte[0]));
            }
        };
        timeout(DEADLINE, reading).await.expect("no message came");
        text
    }

    /// Waits for a frame by its identifier; signs of life in between are read over.
    async fn frame_or_echo(&mut self, id: &str) {
        while !self.read().await.contains(&format!(" {id} ")) {}
    }

    /// Waits for a frame by its identifier and gives its data.
    async fn frame(&mut self, id: &str) -> String {
        loop {
            let text = self.read().await;
            let words: Vec<&str> = text.split_whitespace().collect();
            match words.as_slice() {
                ["<", "frame", found, _, data, ">"] if *found == id => return (*data).to_owned(),
                ["<", "frame", ..] => {}
                _ => panic!("no frame but {text:?}"),
            }
        }
    }
}

async fn modbus(address: &str, unit: u8) -> Context {
    let mut context = tcp::connect(address.parse().unwrap()).await.unwrap();
    context.set_slave(Slave(unit));
    context
}

async fn wait(mut child: Guard) -> ExitStatus {
    let mut status = None;
    eventually(async || {
        status = child.0.try_wait().unwrap();
        status.is_some()
    })
    .await;
    status.unwrap()
}

#[tokio::test]
async fn the_can_buses_carry_frames_until_they_are_cut() {
    let bench = Bench::new().await;
    let _plant = bench.start().await;
    let root = bench.root().await;
    let address: String = root.get_property("CanAddress").await.unwrap();

    let mut watcher = Can::join(&address, "modules").await;
    let mut controller = Can::connect(&address).await;
    controller.write("< open nothing >").await;
    assert!(controller.read().await.starts_with("< error"));
    controller.write("< open modules >< rawmode >< echo >").await;
    for expected in ["< ok >", "< ok >", "< echo >"] {
        assert_eq!(controller.read().await, expected);
    }
    controller.write("< send 0282").await;
    controller.write("3FF0 8 0 0 0 0 0 0 0 0 >").await;
    assert_eq!(controller.frame("0282F03F").await, "0000060000000000");
    assert_eq!(watcher.frame("02823FF0").await, "0000000000000000");
    assert_eq!(watcher.frame("0282F03F").await, "0000060000000000");

    set_fault(&root, "module-6-silent", true).await;
    controller.write("< send 02823FF0 8 0 0 0 0 0 0 0 0 >").await;
    assert_eq!(controller.frame("0282F03F").await, "0000050000000000");

    let mut vehicles = Can::join(&address, "vehicles").await;
    assert_eq!(vehicles.frame("0106B000").await, "01");
    set_fault(&root, "modules-bus-down", true).await;
    assert_eq!(controller.read().await, "");
    let mut refused = Can::connect(&address).await;
    refused.write("< open modules >").await;
    assert_eq!(refused.read().await, "< error bus modules is down >");
    assert_eq!(refused.read().await, "");
    assert_eq!(vehicles.frame("0206B000").await, "01");
    set_fault(&root, "modules-bus-down", false).await;
    Can::join(&address, "modules").await;
}

#[tokio::test]
async fn the_io_boards_answer_until_they_are_cut() {
    let bench = Bench::new().await;
    let _plant = bench.start().await;
    let (root, connector) = (bench.root().await, bench.connector().await);
    let address: String = root.get_property("IoAddress").await.unwrap();

    let mut board = modbus(&address, 1).await;
    let inputs = board.read_discrete_inputs(0, 8).await.unwrap().unwrap();
    assert_eq!(inputs, [false, false, true, true, true, false, true, true]);
    board.write_multiple_coils(0, &[true, true]).await.unwrap().unwrap();
    eventually(async || board.read_discrete_inputs(0, 2).await.unwrap().unwrap() == [true, true]).await;
    assert!(connector.get_property::<bool>("OutputContactorClosed").await.unwrap());
    board.write_single_coil(0xFF, false).await.unwrap().unwrap();
    assert_eq!(board.read_coils(0, 8).await.unwrap().unwrap(), [false; 8]);
    connector.call::<_, _, ()>("PressEmergencyStop", &()).await.unwrap();
    set_fault(&root, "insulation-1-bad", true).await;
    assert_eq!(board.read_discrete_inputs(2, 3).await.unwrap().unwrap(), [false, false, true]);

    assert_eq!(board.read_coils(1, 8).await.unwrap(), Err(ExceptionCode::IllegalDataAddress));
    assert_eq!(board.read_holding_registers(0, 1).await.unwrap(), Err(ExceptionCode::IllegalFunction));
    let mut nowhere = modbus(&address, 9).await;
    assert_eq!(nowhere.read_coils(0, 1).await.unwrap(), Err(ExceptionCode::GatewayTargetDevice));

    set_fault(&root, "io-down", true).await;
    eventually(async || board.read_coils(0, 1).await.is_err()).await;
    let mut refused = modbus(&address, 1).await;
    assert!(refused.read_coils(0, 1).await.is_err());
    set_fault(&root, "io-down", false).await;
    assert!(modbus(&address, 1).await.read_coils(0, 1).await.is_ok());
}

#[tokio::test]
async fn meters_keep_their_registers_across_a_restart() {
    let bench = Bench::new().await;
    let lives =
        [(0, Signal::SIGKILL, None), (700_123_456, Signal::SIGTERM, Some(0)), (700_123_456, Signal::SIGKILL, None)];
    for (expected, signal, exit_code) in lives {
        let plant = bench.start().await;
        let (root, connector) = (bench.root().await, bench.connector().await);
        assert_eq!(connector.get_property::<u64>("MeterMilliwattHours").await.unwrap(), expected);
        connector.call::<_, _, ()>("SetMeterRegister", &(700_123_456_u64,)).await.unwrap();
        let addresses: Vec<String> = root.get_property("MeterAddresses").await.unwrap();
        let mut meter = modbus(&addresses[0], 1).await;
        let words = meter.read_holding_registers(12, 4).await.unwrap().unwrap();
        assert_eq!(words, [(7_001_234_u32 >> 16) as u16, (7_001_234_u32 & 0xFFFF) as u16, 0, 0]);
        assert_eq!(meter.read_holding_registers(19, 2).await.unwrap(), Err(ExceptionCode::IllegalDataAddress));
        set_fault(&root, "meter-1-down", true).await;
        eventually(async || meter.read_holding_registers(0, 1).await.is_err()).await;

        // The name is taken: a second plant does not start.
        assert_eq!(wait(bench.spawn()).await.code(), Some(69));
        kill(Pid::from_raw(plant.0.id().try_into().unwrap()), signal).unwrap();
        assert_eq!(wait(plant).await.code(), exit_code);
    }
}

#[tokio::test]
async fn vehicles_are_plugged_and_wrong_calls_are_refused_by_name() {
    let bench = Bench::new().await;
    let _plant = bench.start().await;
    let (root, connector) = (bench.root().await, bench.connector().await);
    let result = root.call("SetFault", &("nothing", true)).await;
    assert_eq!(error_name(result), "io.busbar.Error.NotFound");
    let result = root.call("PresentBadge", &("0102030",)).await;
    assert_eq!(error_name(result), "io.busbar.Error.OutOfRange");
    let options = HashMap::from([("Colour", Variant::from("red"))]);
    assert_eq!(error_name(connector.call("Plug", &(options,)).await), "io.busbar.Error.OutOfRange");
    assert_eq!(error_name(connector.call("Unplug", &()).await), "io.busbar.Error.Conflict");

    let options = HashMap::from([("StateOfChargePercent", Variant::U8(35))]);
    connector.call::<_, _, ()>("Plug", &(options.clone(),)).await.unwrap();
    assert_eq!(error_name(connector.call("Plug", &(options,)).await), "io.busbar.Error.Conflict");
    eventually(async || connector.get_property::<u32>("StateOfChargeMillipercent").await.unwrap() == 35_000).await;
    assert_eq!(connector.get_property::<String>("BoardStatus").await.unwrap(), "negotiating");
    connector.call::<_, _, ()>("Unplug", &()).await.unwrap();
    assert!(!connector.get_property::<bool>("PluggedIn").await.unwrap());
    assert_eq!(root.get_property::<Vec<String>>("Violations").await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn the_reader_answers_on_its_line_and_clients_may_come_back() {
    let bench = Bench::new().await;
    let _plant = bench.start().await;
    let root = bench.root().await;
    let open = || OpenOptions::new().read(true).write(true).open(bench.reader()).unwrap();
    let list = [0x00, 0x00, 0xFF, 0x04, 0xFC, 0xD4, 0x4A, 0x01, 0x00, 0xE1, 0x00];
    let acknowledged = [0x00, 0x00, 0xFF, 0x00, 0xFF, 0x00];

    // The first client waits for a card.
    let mut line = open();
    line.write_all(&[0x55, 0x55, 0, 0, 0, 0, 0, 0]).unwrap();
    line.write_all(&list).unwrap();
    assert_eq!(exactly(&line, 6).await, acknowledged);
    root.call::<_, _, ()>("PresentBadge", &("DEADBEEF",)).await.unwrap();
    assert_eq!(exactly(&line, 19).await[13..17], [0xDE, 0xAD, 0xBE, 0xEF]);
    drop(line);

    // The second one finds a card in the field.
    let mut line = open();
    root.call::<_, _, ()>("PresentBadge", &("04112233445566",)).await.unwrap();
    line.write_all(&list).unwrap();
    assert_eq!(exactly(&line, 6).await, acknowledged);
    assert_eq!(exactly(&line, 22).await[13..20], [0x04, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66]);
}

async fn exactly(line: &File, bytes: usize) -> Vec<u8> {
    let mut line = line.try_clone().unwrap();
    let reading = tokio::task::spawn_blocking(move || {
        let mut buffer = vec![0; bytes];
        line.read_exact(&mut buffer).unwrap();
        buffer
    });
    timeout(DEADLINE, reading).await.expect("the reader is silent").unwrap()
}

#[tokio::test]
async fn a_bus_that_is_off_says_so_and_is_mute_until_it_is_well() {
    let bench = Bench::new().await;
    let _plant = bench.start().await;
    let root = bench.root().await;
    let address: String = root.get_property("CanAddress").await.unwrap();
    let count = "< send 02823FF0 8 0 0 0 0 0 0 0 0 >";
    let mut controller = Can::join(&address, "modules").await;
    set_fault(&root, "modules-bus-off", true).await;
    assert_eq!(controller.read().await, "< error bus modules is off >");
    controller.write(&format!("{count}< echo >")).await;
    assert_eq!(controller.read().await, "< echo >");
    let mut late = Can::connect(&address).await;
    late.write("< open modules >").await;
    assert_eq!((late.read().await, late.read().await), ("< ok >".into(), "< error bus modules is off >".into()));
    set_fault(&root, "modules-bus-off", false).await;
    controller.write(count).await;
    assert_eq!(controller.frame("0282F03F").await, "0000060000000000");
}

#[tokio::test]
async fn frames_are_lost_doubled_and_late() {
    let bench = Bench::new().await;
    let _plant = bench.start().await;
    let root = bench.root().await;
    let address: String = root.get_property("CanAddress").await.unwrap();
    let mut controller = Can::join(&address, "modules").await;
    let count = "< send 02823FF0 8 0 0 0 0 0 0 0 0 >< echo >";

    for name in ["modules-bus-station-unheard", "modules-bus-hardware-unheard"] {
        set_fault(&root, name, true).await;
        controller.write(count).await;
        assert_eq!(controller.read().await, "< echo >", "{name}");
        set_fault(&root, name, false).await;
    }
    set_value(&root, "modules-bus-identifier-lost", 0x0282_F03F).await;
    controller.write(count).await;
    assert_eq!(controller.read().await, "< echo >");
    set_fault(&root, "modules-bus-identifier-lost", false).await;

    set_value(&root, "modules-bus-delay", 100).await;
    let asked = tokio::time::Instant::now();
    controller.write(count).await;
    assert_eq!(controller.read().await, "< echo >");
    assert_eq!(controller.frame("0282F03F").await, "0000060000000000");
    assert!(asked.elapsed() >= Duration::from_millis(180), "{:?}", asked.elapsed());
    set_fault(&root, "modules-bus-delay", false).await;

    set_fault(&root, "modules-bus-duplicate", true).await;
    controller.write(count).await;
    // The question comes twice, and each answer too.
    for _ in 0..4 {
        controller.frame_or_echo("0282F03F").await;
    }
    root.call::<_, _, ()>("ClearFaults", &()).await.unwrap();
    assert_eq!(root.get_property::<Vec<(String, i64)>>("ActiveFaults").await.unwrap(), []);
}

#[tokio::test]
async fn boards_and_meters_answer_late_or_not_at_all() {
    let bench = Bench::new().await;
    let _plant = bench.start().await;
    let root = bench.root().await;
    let io: String = root.get_property("IoAddress").await.unwrap();
    let meters: Vec<String> = root.get_property("MeterAddresses").await.unwrap();
    let (mut one, mut three) = (modbus(&io, 1).await, modbus(&io, 3).await);
    let mut meter = modbus(&meters[0], 1).await;

    set_fault(&root, "io-1-down", true).await;
    assert_eq!(one.read_coils(0, 1).await.unwrap(), Err(ExceptionCode::GatewayTargetDevice));
    assert!(three.read_coils(0, 1).await.unwrap().is_ok());
    set_fault(&root, "io-1-down", false).await;
    set_value(&root, "io-slow", 120).await;
    set_value(&root, "meter-1-slow", 130).await;
    let asked = tokio::time::Instant::now();
    assert!(one.read_coils(0, 1).await.unwrap().is_ok());
    let io_took = asked.elapsed();
    assert!(meter.read_holding_registers(0, 1).await.unwrap().is_ok());
    let meter_took = asked.elapsed() - io_took;
    assert!(io_took >= Duration::from_millis(120) && meter_took >= Duration::from_millis(130));
}

#[tokio::test]
async fn faults_are_listed_and_numbered_and_wrong_ones_refused() {
    let bench = Bench::new().await;
    let _plant = bench.start().await;
    let root = bench.root().await;
    let listed: Vec<(String, String, String, i64)> = root.get_property("Faults").await.unwrap();
    assert!(listed.iter().any(|row| row.0 == "module-1..6-derate" && row.2 == "watts" && row.3 == 10_000));
    assert!(listed.iter().all(|row| !row.1.is_empty()));
    set_fault(&root, "module-2-derate", true).await;
    set_value(&root, "ambient", -10).await;
    let active: Vec<(String, i64)> = root.get_property("ActiveFaults").await.unwrap();
    assert_eq!(active, [("ambient".to_owned(), -10), ("module-2-derate".to_owned(), 10_000)]);
    assert_eq!(error_name(root.call("SetFaultValue", &("ambient", 200_i64)).await), "io.busbar.Error.OutOfRange");
    assert_eq!(error_name(root.call("SetFaultValue", &("io-down", 1_i64)).await), "io.busbar.Error.OutOfRange");
    assert_eq!(error_name(root.call("SetFaultValue", &("nothing", 1_i64)).await), "io.busbar.Error.NotFound");
}

#[tokio::test]
async fn a_reaction_is_measured_from_the_input_that_tells_to_the_off() {
    let bench = Bench::new().await;
    let _plant = bench.start().await;
    let (root, connector) = (bench.root().await, bench.connector().await);
    let can: String = root.get_property("CanAddress").await.unwrap();
    let io: String = root.get_property("IoAddress").await.unwrap();
    let (mut matrix, mut board) = (modbus(&io, 3).await, modbus(&io, 1).await);
    let mut controller = Can::join(&can, "modules").await;
    assert_eq!(connector.get_property::<i64>("LastReaction").await.unwrap(), -1);

    matrix.write_single_coil(0, true).await.unwrap().unwrap();
    controller.write("< send 029C01F0 8 0 6 1A 80 0 0 4 0 >< send 029A01F0 8 0 0 0 0 0 0 0 0 >").await;
    controller.frame("029AF001").await;
    eventually(async || matrix.read_discrete_inputs(0, 1).await.unwrap().unwrap() == [true]).await;
    connector.call::<_, _, ()>("PressEmergencyStop", &()).await.unwrap();
    assert_eq!(board.read_discrete_inputs(2, 1).await.unwrap().unwrap(), [false]);
    assert_eq!(connector.get_property::<i64>("LastReaction").await.unwrap(), -1);
    controller.write("< send 029A3FF0 8 1 0 0 0 0 0 0 0 >").await;
    controller.frame("029AF001").await;

    let micros: i64 = connector.get_property("LastReaction").await.unwrap();
    let (what, began, told, off) =
        connector.get_property::<(String, u64, u64, u64)>("LastReactionTimes").await.unwrap();
    assert_eq!(what, "emergency-stop");
    assert!(0 < began && began < told && told < off, "{began} {told} {off}");
    assert_eq!(micros, i64::try_from((off - told) / 1_000).unwrap());
    let changes: Vec<(u64, u8, u32, u32)> = root.get_property("SetPointChanges").await.unwrap();
    assert_eq!(changes.iter().map(|row| (row.1, row.2, row.3)).collect::<Vec<_>>(), [(1, 400_000, 1_024)]);
    type Row = (u8, bool, u32, u32, i32, u32, u32, String, String);
    let modules: Vec<Row> = root.get_property("Modules").await.unwrap();
    assert_eq!((modules.len(), modules[0].7.as_str(), modules[1].7.as_str()), (6, "1", "none"));
    let switches: Vec<(String, bool, bool, bool, u32)> = root.get_property("Switches").await.unwrap();
    assert!(switches.contains(&("relay-1-1".to_owned(), true, true, true, 1)));
}
