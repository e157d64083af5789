//! A sample of the journal as OCPP's sampled values: which measurands, in which unit.

use busbar_interfaces::session::TransactionEvent;
use serde_json::{Value, json};

const VOLTAGE: &str = "Voltage";

/// The sampled values of an event for the measurands of a configuration list. A measurand that this station does not
/// measure, or does not know at this moment, is left out. `Voltage` is governed by its own key (station facts, 2).
pub fn sampled_values(event: &TransactionEvent, measurands: &[String], with_voltage: bool) -> Vec<Value> {
    let listed = measurands.iter().map(String::as_str).filter(|measurand| *measurand != VOLTAGE);
    listed
        .chain(with_voltage.then_some(VOLTAGE))
        .filter_map(|measurand| {
            let (value, unit) = measured(event, measurand)?;
            Some(json!({
                "context": "Sample.Periodic", "format": "Raw", "measurand": measurand, "unit": unit, "value": value,
            }))
        })
        .collect()
}

fn measured(event: &TransactionEvent, measurand: &str) -> Option<(String, &'static str)> {
    let (volts, offered) = (u64::from(event.millivolts.0), u64::from(event.offered_watts.0));
    Some(match measurand {
        "Energy.Active.Import.Register" => (event.energy_milliwatt_hours.watt_hours().to_string(), "Wh"),
        "Power.Active.Import" => (event.watts.0.to_string(), "W"),
        "Power.Offered" => (event.offered_watts.0.to_string(), "W"),
        "Current.Import" => (thousandths(u64::from(event.milliamperes.0)), "A"),
        // W · 10⁶ / mV = mA. Without a voltage there is no current that stands for the power.
        "Current.Offered" => (thousandths(offered.saturating_mul(1_000_000).checked_div(volts)?), "A"),
        "SoC" => (event.state_of_charge_percent.known()?.to_string(), "Percent"),
        VOLTAGE => (thousandths(volts), "V"),
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
        let text = |value: &Value, field: &str| value[field].as_str().expect("a text").to_owned();
        sampled_values(event, &list, with_voltage)
            .iter()
            .map(|value| {
                assert_eq!(text(value, "context"), "Sample.Periodic");
                assert_eq!(text(value, "format"), "Raw");
                (text(value, "measurand"), text(value, "value"), text(value, "unit"))
            })
            .collect()
    }

    #[test]
    fn every_measurand_has_its_value_and_unit() {
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
    fn what_is_not_known_is_left_out() {
        let event =
            TransactionEvent { millivolts: Millivolts(0), state_of_charge_percent: Percent::UNKNOWN, ..sample(3, 1) };
        assert_eq!(values(&event, "SoC,Current.Offered,Temperature,Voltage", false), []);
        assert_eq!(values(&event, "SoC,Voltage", true), [("Voltage".into(), "0".into(), "V".into())]);
    }
}
