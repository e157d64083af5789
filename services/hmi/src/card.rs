//! What a card in the reader's field means: a badge, the same badge still, or nothing that can be a badge. Pure.
//! Source: ISO/IEC 14443-3, section on the unique identifier.

use busbar_interfaces::BoottimeMillis;
use std::time::Duration;

/// A card that was seen this short a time ago has not been shown again: it has not left.
const SAME_CARD: Duration = Duration::from_secs(3);

/// What a card means.
#[derive(PartialEq, Eq)]
pub enum Card {
    /// A badge with this tag: the identifier in upper-case hexadecimal digits.
    Badge(String),
    /// The card that was there a moment ago.
    Still,
    /// An identifier that is another one each time, as telephones use it.
    Random,
    /// An identifier of a length that does not exist.
    Odd,
}

/// The card that was seen last.
#[derive(Default)]
pub struct Cards {
    last: Option<(Vec<u8>, BoottimeMillis)>,
}

impl Cards {
    /// Takes in a card's identifier.
    pub fn seen(&mut self, now: BoottimeMillis, identifier: &[u8]) -> Card {
        let still = self.last.as_ref().is_some_and(|(last, at)| last == identifier && now.since(*at) < SAME_CARD);
        self.last = Some((identifier.to_vec(), now));
        match identifier {
            _ if still => Card::Still,
            [0x08, _, _, _] => Card::Random,
            _ if [4, 7, 10].contains(&identifier.len()) => {
                Card::Badge(identifier.iter().map(|byte| format!("{byte:02X}")).collect())
            }
            _ => Card::Odd,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> BoottimeMillis {
        BoottimeMillis(seconds * 1000)
    }

    #[test]
    fn a_card_that_stays_is_one_badge() {
        let mut cards = Cards::default();
        assert!(cards.seen(at(0), &[0x04, 0xA2, 0x0B, 0xFF]) == Card::Badge("04A20BFF".to_owned()));
        for second in [1, 3, 5, 7] {
            assert!(cards.seen(at(second), &[0x04, 0xA2, 0x0B, 0xFF]) == Card::Still, "{second} s");
        }
        assert!(cards.seen(at(8), &[1, 2, 3, 4, 5, 6, 7]) == Card::Badge("01020304050607".to_owned()));
        assert!(cards.seen(at(11), &[1, 2, 3, 4, 5, 6, 7]) == Card::Badge("01020304050607".to_owned()));
    }

    #[test]
    fn a_random_or_odd_identifier_is_no_badge() {
        let mut cards = Cards::default();
        assert!(cards.seen(at(0), &[0x08, 1, 2, 3]) == Card::Random);
        assert!(cards.seen(at(1), &[0x08, 1, 2, 3, 4, 5, 6]) == Card::Badge("08010203040506".to_owned()));
        assert!(cards.seen(at(2), &[1, 2, 3, 4, 5]) == Card::Odd);
        assert!(cards.seen(at(3), &[]) == Card::Odd);
    }
}
