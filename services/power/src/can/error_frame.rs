//! What an error frame of the kernel says about the controller (`linux/can/error.h`). Pure: the classes and the bytes
//! are taken apart by the crate `socketcan`.

use super::BusState;
use socketcan::CanErrorFrame;
use socketcan::errors::{CanError, ControllerProblems};

/// What one error frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ErrorFrame {
    /// The controller's state, if the frame says it.
    pub state: Option<BusState>,
    /// The controller's counters of errors in sending and in receiving, likewise.
    pub counters: Option<(u8, u8)>,
}

impl ErrorFrame {
    /// Reads the classes of an error frame and as many of its bytes as there are; `None` when it has no classes.
    pub fn read(classes: u32, data: &[u8]) -> Option<ErrorFrame> {
        let frame = CanErrorFrame::new_error(classes, data).ok().filter(|frame| frame.error_bits() != 0)?;
        let said = ErrorFrame::from(&frame.into_error());
        // Counters that were not sent along are not zero.
        Some(ErrorFrame { counters: said.counters.filter(|_| data.len() == 8), ..said })
    }
}

impl From<&CanError> for ErrorFrame {
    fn from(error: &CanError) -> ErrorFrame {
        let passive = ControllerProblems::RX_PASSIVE | ControllerProblems::TX_PASSIVE;
        let below = ControllerProblems::ACTIVE | ControllerProblems::RX_WARNING | ControllerProblems::TX_WARNING;
        let controller = error.controller().unwrap_or(ControllerProblems::empty());
        let state = if error.is_bus_off() {
            Some(BusState::BusOff)
        } else if controller.intersects(passive) {
            Some(BusState::Passive)
        } else if error.is_restarted() || controller.intersects(below) {
            // A controller that warns takes part in the bus without restriction.
            Some(BusState::Active)
        } else {
            None
        };
        ErrorFrame { state, counters: error.counters() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn error_frames_as_the_kernel_sends_them() {
        use BusState::{Active, BusOff, Passive};
        let said = |state, counters| Some(ErrorFrame { state, counters });
        #[rustfmt::skip]
        let cases: [(&str, u32, [u8; 8], Option<ErrorFrame>); 12] = [
            ("bus-off",                         0x040, [0, 0,    0, 0, 0, 0, 0, 0],     said(Some(BusOff), None)),
            ("bus-off with state and counters", 0x244, [0, 0,    0, 0, 0, 0, 248, 0],   said(Some(BusOff), Some((248, 0)))),
            ("restarted",                       0x100, [0, 0,    0, 0, 0, 0, 0, 0],     said(Some(Active), None)),
            ("active again",                    0x204, [0, 0x40, 0, 0, 0, 0, 90, 3],    said(Some(Active), Some((90, 3)))),
            ("warning, both directions",        0x204, [0, 0x0C, 0, 0, 0, 0, 97, 96],   said(Some(Active), Some((97, 96)))),
            ("passive in sending",              0x204, [0, 0x20, 0, 0, 0, 0, 128, 0],   said(Some(Passive), Some((128, 0)))),
            ("passive in receiving",            0x204, [0, 0x10, 0, 0, 0, 0, 0, 135],   said(Some(Passive), Some((0, 135)))),
            ("passive without counters",        0x004, [0, 0x20, 0, 0, 0, 0, 0, 0],     said(Some(Passive), None)),
            ("too much received",               0x004, [0, 0x01, 0, 0, 0, 0, 0, 0],     said(None, None)),
            ("nobody acknowledges",             0x020, [0, 0,    0, 0, 0, 0, 0, 0],     said(None, None)),
            ("bus error with counters",         0x288, [0, 0,    4, 2, 0, 0, 8, 1],     said(None, Some((8, 1)))),
            ("no class",                        0x000, [0, 0,    0, 0, 0, 0, 0, 0],     None),
        ];
        for (what, classes, data, expected) in cases {
            assert_eq!(ErrorFrame::read(classes, &data), expected, "{what}");
        }
    }

    #[test]
    fn counters_that_were_not_sent_along_are_not_zero() {
        let expected = ErrorFrame { state: Some(BusState::BusOff), counters: None };
        assert_eq!(ErrorFrame::read(0x240, &[]), Some(expected));
    }

    proptest! {
        #[test]
        fn no_error_frame_is_a_panic(classes: u32, data in proptest::collection::vec(any::<u8>(), 0..=9)) {
            let _ = ErrorFrame::read(classes, &data);
        }
    }
}
