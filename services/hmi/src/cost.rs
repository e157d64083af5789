//! What a charge costs, as the CSMS has told it: which text may be shown, and for which charge it holds. Pure.

use busbar_interfaces::session::SessionConnectorState;
use busbar_interfaces::{CallError, TransactionId};
use serde::{Deserialize, Serialize};

/// Characters that fit on the driver's screen.
const LONGEST: usize = 40;

/// The cost of one charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// As the driver reads it.
    text: String,
    /// The charge that it was told for: the one that ran, or else the last one. Nothing as long as session has not
    /// said which one that is.
    transaction: Option<TransactionId>,
}

impl Cost {
    /// A cost that was told just now.
    ///
    /// # Errors
    /// `OutOfRange` when it cannot be shown.
    pub fn told(text: &str, session: Option<&SessionConnectorState>) -> Result<Cost, CallError> {
        let length = text.chars().count();
        if length > LONGEST || text.trim().is_empty() || !text.chars().all(is_printable) {
            return Err(CallError::OutOfRange(format!(
                "a cost of {length} characters cannot be shown; it must be 1 to {LONGEST} printable characters, such as \
                 \"12.40 EUR\""
            )));
        }
        Ok(Cost { text: text.to_owned(), transaction: session.map(charge) })
    }

    /// As the driver reads it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What is left of it now that session says this: nothing once another charge has begun. A cost that came before
    /// session said anything belongs to the charge that session then names.
    pub fn after(self, session: &SessionConnectorState) -> Option<Cost> {
        let charge = charge(session);
        match self.transaction {
            None => Some(Cost { transaction: Some(charge), ..self }),
            Some(transaction) => (transaction == charge).then_some(self),
        }
    }
}

/// The charge that the driver means: the one that runs, or else the last one.
fn charge(session: &SessionConnectorState) -> TransactionId {
    if session.transaction == TransactionId(0) { session.last_transaction } else { session.transaction }
}

/// Neither a control character nor one of those that turn, join or hide what stands around them.
fn is_printable(character: char) -> bool {
    let hides = matches!(
        character,
        '\u{00AD}' | '\u{061C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}'
    );
    !(hides || character.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screens::tests::session;
    use busbar_interfaces::words::ConnectorStatus;

    fn runs(transaction: u64, last: u64) -> SessionConnectorState {
        let status = if transaction == 0 { ConnectorStatus::Finishing } else { ConnectorStatus::Charging };
        SessionConnectorState { last_transaction: TransactionId(last), ..session(status, transaction) }
    }

    fn told(text: &str) -> Result<Cost, CallError> {
        Cost::told(text, Some(&runs(7, 6)))
    }

    #[test]
    fn a_cost_is_a_short_line_that_can_be_read() {
        for good in ["1", "12.40 EUR", "12,40 €", "₹ 1,234.50", &"9".repeat(40), &"€".repeat(40)] {
            assert_eq!(told(good).expect("can be shown").text(), good);
        }
        for bad in ["", " ", "12\n40", "12\u{0}", "\u{202E}RUE 04.21", "1\u{200B}", &"9".repeat(41), &"€".repeat(41)]
        {
            let Err(CallError::OutOfRange(text)) = told(bad) else { panic!("{bad:?} was taken") };
            assert!(text.contains("1 to 40"), "{text}");
        }
    }

    #[test]
    fn a_cost_holds_until_the_next_charge_begins() {
        let cost = told("12.40 EUR").expect("can be shown");
        assert_eq!(cost.clone().after(&runs(7, 6)), Some(cost.clone()), "it runs");
        assert_eq!(cost.clone().after(&runs(0, 7)), Some(cost.clone()), "it is over");
        assert_eq!(cost.clone().after(&runs(8, 7)), None, "the next one runs");
        assert_eq!(cost.after(&runs(0, 8)), None, "the next one came and went unseen");
    }

    #[test]
    fn a_cost_that_comes_after_the_charge_belongs_to_it() {
        let cost = Cost::told("3 EUR", Some(&runs(0, 7))).expect("can be shown");
        assert!(cost.clone().after(&runs(0, 7)).is_some());
        assert_eq!(cost.after(&runs(8, 7)), None);
    }

    #[test]
    fn a_cost_that_comes_before_sessions_first_word_belongs_to_the_charge_that_it_names() {
        let cost = Cost::told("3 EUR", None).expect("can be shown").after(&runs(7, 6)).expect("kept");
        assert!(cost.clone().after(&runs(0, 7)).is_some());
        assert_eq!(cost.after(&runs(8, 7)), None);
    }
}
