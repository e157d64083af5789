//! A sample of the journal as OCPP's sampled values: which measurands, in which unit.

use busbar_interfaces::session::TransactionEvent;
use busbar_interfaces::words;
use busbar_ocpp16::Word;
use busbar_ocpp16::report::{Location, Measurand, ReadingContext, SampledValue, Unit, ValueFormat};

/// No battery that is charged here has less; while the output rises to its voltage there is no current to offer.
const LEAST_MILLIVOLTS: u64 = 100_000;

/// The sampled values of an event for the measurands of a configuration list; an empty list is the register alone. A
/// measurand that this station does not measure, or does not know at this moment, is left out. `Voltage` comes too when
/// its own key is true (station facts, 2).
pub fn sampled_values(event: &TransactionEvent, list: &[String], with_voltage: bool) -> Vec<SampledValue> {
    let listed = list.iter().filter_map(|name| Measurand::read(name));
    let register = list.is_empty().then_some(Measurand::EnergyActiveImportRegister);
    let is_listed = list.iter().any(|name| name == Measurand::Voltage.as_str());
    let voltage = (with_voltage && !is_listed).then_some(Measurand::Voltage);
    let value = |measurand| {
        let (value, unit) = measured(event, measurand)?;
        Some(SampledValue {
            value,
            context: Some(context(event.context)),
            format: Some(ValueFormat::Raw),
            measurand: Some(measurand),
            phase: None,
            // The battery is the vehicle's; the station measures at its outlet, which need not be said.
            location: (measurand == Measurand::StateOfCharge).then_some(Location::Ev),
            unit: Some(unit),
        })
    };
    listed.chain(register).chain(voltage).filter_map(value).collect()
}

/// The reading as the meter has signed it, in the meter's own format; nothing when it signs nothing.
pub fn signed_value(event: &TransactionEvent) -> Option<SampledValue> {
    (!event.signed_data.is_empty()).then(|| SampledValue {
        value: event.signed_data.clone(),
        context: Some(context(event.context)),
        format: Some(ValueFormat::SignedData),
        measurand: Some(Measurand::EnergyActiveImportRegister),
        phase: None,
        location: None,
        // It is in what is signed, if it is anywhere.
        unit: None,
    })
}

fn context(context: words::ReadingContext) -> ReadingContext {
    match context {
        words::ReadingContext::TransactionBegin => ReadingContext::TransactionBegin,
        words::ReadingContext::SamplePeriodic => ReadingContext::SamplePeriodic,
        words::ReadingContext::SampleClock => ReadingContext::SampleClock,
        words::ReadingContext::TransactionEnd => ReadingContext::TransactionEnd,
        words::ReadingContext::Trigger => ReadingContext::Trigger,
        words::ReadingContext::Unknown => ReadingContext::Other,
    }
}

fn measured(event: &TransactionEvent, measurand: Measurand) -> Option<(String, Unit)> {
    let (volts, offered) = (u64::from(event.millivolts.0), u64::from(event.offered_watts.0));
    Some(match measurand {
        Measurand::EnergyActiveImportRegister => {
            (event.energy_milliwatt_hours.watt_hours().to_string(), Unit::WattHours)
        }
        Measurand::PowerActiveImport => (event.watts.0.to_string(), Unit::Watts),
        Measurand::PowerOffered => (event.offered_watts.0.to_string(), Unit::Watts),
        Measurand::CurrentImport => (thousandths(u64::from(event.milliamperes.0)), Unit::Amperes),
        // W · 10⁶ / mV = mA. Without a battery's voltage there is no current that stands for the power.
        Measurand::CurrentOffered if volts < LEAST_MILLIVOLTS => return None,
        Measurand::CurrentOffered => {
            (thousandths(offered.saturating_mul(1_000_000).checked_div(volts)?), Unit::Amperes)
        }
        Measurand::StateOfCharge => (event.state_of_charge_percent.known()?.to_string(), Unit::Percent),
        Measurand::Voltage => (thousandths(volts), Unit::Volts),
        _ => return None,
    })
}

/// A number of thousandths as a decimal number, without zeros at the end.
fn thousandths(value: u64) -> String {
    match (value / 1000, value % 1000) {
        (whole, 0) => whole.to_string(),
        (whole, rest) => format!("{whole}.{rest:03}").trim_end_matches('0').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::examples::sample;
    use busbar_interfaces::{Millivolts, Percent};

    fn values(event: &TransactionEvent, list: &str, with_voltage: bool) -> Vec<(String, String, String)> {
        let list: Vec<String> = list.split(',').map(str::to_owned).collect();
        let list = if list == [""] { Vec::new() } else { list };
        sampled_values(event, &list, with_voltage)
            .into_iter()
            .map(|value| {
                assert_eq!(
                    (value.context, value.format),
                    (Some(ReadingContext::SamplePeriodic), Some(ValueFormat::Raw))
                );
                let measurand = value.measurand.expect("a measurand");
                assert_eq!(value.location, (measurand == Measurand::StateOfCharge).then_some(Location::Ev));
                (measurand.to_string(), value.value, value.unit.expect("a unit").to_string())
            })
            .collect()
    }

    #[test]
    fn case_30_every_measurand_has_its_value_and_unit() {
        // 12 345.678 Wh, 50 150 W, 401.25 V, 125.5 A, offered 60 000 W, 57 %.
        let event = sample(3, 1);
        let list = "Energy.Active.Import.Register,Power.Active.Import,Power.Offered,Current.Import,Current.Offered,SoC";
        let got = values(&event, list, true);
        let got: Vec<(&str, &str, &str)> = got.iter().map(|(m, v, u)| (m.as_str(), v.as_str(), u.as_str())).collect();
        assert_eq!(
            got,
            [
                ("Energy.Active.Import.Register", "12345", "Wh"),
                ("Power.Active.Import", "50150", "W"),
                ("Power.Offered", "60000", "W"),
                ("Current.Import", "125.5", "A"),
                ("Current.Offered", "149.532", "A"),
                ("SoC", "57", "Percent"),
                ("Voltage", "401.25", "V"),
            ]
        );
    }

    #[test]
    fn case_30_what_is_not_known_is_left_out() {
        let event =
            TransactionEvent { millivolts: Millivolts(0), state_of_charge_percent: Percent::UNKNOWN, ..sample(3, 1) };
        assert_eq!(values(&event, "SoC,Current.Offered,Temperature", false), []);
        for (list, with_voltage) in [("SoC,Voltage", false), ("SoC,Voltage", true), ("SoC", true)] {
            assert_eq!(values(&event, list, with_voltage), [("Voltage".into(), "0".into(), "V".into())]);
        }
    }
}
