//! The station file of a bench: the wiring of the simulated cabinet, as an engineer would write it for a real one.

use std::fmt::Write;

/// What a bench's station file depends on.
pub struct Wiring<'a> {
    /// Commercial reference.
    pub model: &'a str,
    /// Charge point identity.
    pub identity: &'a str,
    /// Where the CSMS is.
    pub csms: &'a str,
    /// The bus of the modules.
    pub modules_bus: &'a str,
    /// The bus of the vehicle boards.
    pub vehicle_bus: &'a str,
    /// Address of the I/O boards.
    pub io: &'a str,
    /// Addresses of the meters.
    pub meters: &'a [String],
    /// The card reader's line.
    pub reader: &'a str,
    /// Short durations.
    pub quick: bool,
    /// Further factory defaults.
    pub settings: &'a [(String, String)],
}

/// Writes the file.
pub fn text(wiring: &Wiring<'_>) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_all(&mut text, wiring);
    text
}

fn write_all(text: &mut String, wiring: &Wiring<'_>) -> std::fmt::Result {
    writeln!(text, "# Written by busbar-bench at every start.")?;
    writeln!(text, "[station]\nmodel = {:?}\nserial = \"BENCH-0001\"\n", wiring.model)?;
    writeln!(text, "[settings.defaults]")?;
    let own = [("SupervisionUrl", wiring.csms), ("BoxIdentifier", wiring.identity)];
    // A status is told at once, not when it has lasted ten seconds.
    let quick = wiring.quick.then_some(("MinimumStatusDuration", "0"));
    let given = |key: &str| wiring.settings.iter().any(|(name, _)| name == key);
    for (key, value) in own.into_iter().chain(quick).filter(|(key, _)| !given(key)) {
        writeln!(text, "{key} = {value:?}")?;
    }
    for (key, value) in wiring.settings {
        writeln!(text, "{key:?} = {value:?}")?;
    }
    writeln!(text, "\n[power]")?;
    writeln!(text, "modules_bus = {:?}", wiring.modules_bus)?;
    writeln!(text, "vehicle_bus = {:?}", wiring.vehicle_bus)?;
    writeln!(text, "io_address = {:?}", wiring.io)?;
    if wiring.quick {
        writeln!(text, "ramp_amperes_per_second = 500")?;
    }
    for connector in 1..=2 {
        writeln!(text, "[[power.connector]]\nnumber = {connector}\nio_unit = {connector}")?;
        writeln!(text, "[[power.output]]\nconnector = {connector}\nname = \"lock\"\nunit = {connector}\nchannel = 3")?;
        for (name, channel) in [("lock", 5), ("tilt", 6), ("water", 7)] {
            writeln!(text, "[[power.input]]\nconnector = {connector}\nname = {name:?}")?;
            writeln!(text, "unit = {connector}\nchannel = {channel}")?;
        }
    }
    // Every module can feed both: through matrix board 3 connector 1, through board 4 connector 2.
    for module in 1..=6 {
        let coil = module - 1;
        writeln!(text, "[[power.module]]\naddress = {module}")?;
        writeln!(text, "relay_a_unit = 3\nrelay_a_coil = {coil}\nrelay_b_unit = 4\nrelay_b_coil = {coil}")?;
    }
    writeln!(text, "\n[metering]\npoll_millis = 500")?;
    for (index, address) in wiring.meters.iter().enumerate() {
        writeln!(text, "[[metering.meter]]\nconnector = {}\naddress = {address:?}", index + 1)?;
    }
    writeln!(text, "\n[hmi]\npage = \"127.0.0.1:0\"\nreader = \"pn532:{}\"", wiring.reader)
}
