//! The vendor's message about the cost of a charge: DataTransfer `com.se.cost`, `CostUpdated` (guide, "cost display").

use serde::Deserialize;
use serde_json::Value;

/// Whose messages the station knows.
pub const VENDOR: &str = "com.se.cost";
/// Which of them.
pub const MESSAGE: &str = "CostUpdated";
/// A cost that a screen has room for.
const LONGEST_COST: usize = 40;

/// What a charge costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cost {
    /// The connector, if it is named.
    pub connector: Option<u32>,
    /// The CSMS's number of the transaction, if it is named.
    pub transaction: Option<i32>,
    /// The amount and the currency, as the driver reads them.
    pub shown: String,
}

/// As the CSMS writes it; `method` is for the CSMS alone.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CostUpdated {
    currency: String,
    total_cost: Value,
    #[serde(rename = "connectID", default)]
    connect_id: Value,
    #[serde(default)]
    transaction_id: Value,
}

impl Cost {
    /// Reads the message's data; nothing when it is not one.
    pub fn read(data: &str) -> Option<Cost> {
        let message: CostUpdated = serde_json::from_str(data).ok()?;
        let amount = match &message.total_cost {
            Value::Number(number) => with_cents(&number.to_string()),
            Value::String(text) if !text.is_empty() => text.clone(),
            _ => return None,
        };
        let shown = format!("{} {}", amount.trim(), message.currency.trim());
        let fits = shown.chars().count() <= LONGEST_COST && !shown.chars().any(char::is_control);
        let cost = Cost {
            connector: number(&message.connect_id).and_then(|number| u32::try_from(number).ok()),
            transaction: number(&message.transaction_id).and_then(|number| i32::try_from(number).ok()),
            shown,
        };
        fits.then_some(cost)
    }
}

/// Some CSMS write numbers as texts.
fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// JSON drops the zeros at the end of an amount.
fn with_cents(amount: &str) -> String {
    match amount.split_once('.') {
        Some((whole, cents)) if cents.len() == 1 => format!("{whole}.{cents}0"),
        Some(_) => amount.to_owned(),
        None => format!("{amount}.00"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_charge_costs() {
        for (data, connector, transaction, shown) in [
            (
                r#"{"currency":"EUR","method":"kwh","connectID":1,"totalCost":12.4,"transactionId":1000}"#,
                Some(1),
                Some(1000),
                "12.40 EUR",
            ),
            (r#"{"currency":"EUR","connectID":"2","totalCost":"7,50"}"#, Some(2), None, "7,50 EUR"),
            (r#"{"currency":"JPY","totalCost":300,"transactionId":"-5"}"#, None, Some(-5), "300.00 JPY"),
        ] {
            let cost = Cost { connector, transaction, shown: shown.to_owned() };
            assert_eq!(Cost::read(data), Some(cost), "{data}");
        }
    }

    #[test]
    fn what_is_no_cost() {
        for data in [
            "",
            "[]",
            "12.40 EUR",
            r#"{"currency":"EUR"}"#,
            r#"{"totalCost":1}"#,
            r#"{"currency":"EUR","totalCost":null}"#,
            r#"{"currency":"EUR","totalCost":""}"#,
            r#"{"currency":"E\nUR","totalCost":1}"#,
            r#"{"currency":"EUREUREUREUREUREUREUREUREUREUREUREUREUR","totalCost":1}"#,
        ] {
            assert_eq!(Cost::read(data), None, "{data}");
        }
    }
}
