//! A contactor or relay: its contact follows the coil after a travel time, and the mirror contact tells the truth.
//!
//! It does not know what it connects; `circuit` does. Its defects are given to it; by itself it has none.

use std::time::Duration;

/// What a mirror contact says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mirror {
    /// The state of the contact.
    #[default]
    Truth,
    /// The opposite of it.
    Opposite,
    /// The state of the coil.
    Coil,
}

/// What is wrong with a switch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Defects {
    /// The contact is closed (true) or open whatever the coil says.
    pub stuck: Option<bool>,
    /// The contact does not open.
    pub welded: bool,
    /// The contact closes later by this time.
    pub slow: Duration,
    /// What the mirror contact says.
    pub mirror: Mirror,
}

/// A switch with a coil, a contact and a mirror contact.
#[derive(Clone, Copy, Debug, Default)]
pub struct Contactor {
    coil: bool,
    closed: bool,
    moving: Duration,
    closings: u32,
    /// What is wrong with it.
    pub defects: Defects,
}

impl Contactor {
    /// Energises or releases the coil.
    pub fn command(&mut self, close: bool) {
        if close != self.coil {
            self.coil = close;
            self.moving = Duration::ZERO;
        }
    }

    /// Lets the contact travel; `Some` when it has just closed (true) or opened (false).
    pub fn step(&mut self, dt: Duration, travel: Duration) -> Option<bool> {
        let goal = self.goal();
        if goal == self.closed {
            return None;
        }
        self.moving = self.moving.saturating_add(dt);
        let late = if goal { self.defects.slow } else { Duration::ZERO };
        (self.moving >= travel.saturating_add(late)).then(|| {
            self.closed = goal;
            self.closings = self.closings.saturating_add(u32::from(goal));
            self.closed
        })
    }

    fn goal(&self) -> bool {
        match self.defects.stuck {
            Some(position) => position,
            None => self.coil || self.defects.welded && self.closed,
        }
    }

    /// The state of the coil.
    pub fn coil(&self) -> bool {
        self.coil
    }

    /// The state of the contact.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// What the mirror contact says about the contact.
    pub fn mirror(&self) -> bool {
        match self.defects.mirror {
            Mirror::Truth => self.closed,
            Mirror::Opposite => !self.closed,
            Mirror::Coil => self.coil,
        }
    }

    /// How often the contact has closed: its wear.
    pub fn closings(&self) -> u32 {
        self.closings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contact_follows_the_coil_after_its_travel() {
        let (step, travel) = (Duration::from_millis(10), Duration::from_millis(30));
        let mut contactor = Contactor::default();
        contactor.command(true);
        assert!(contactor.coil() && !contactor.is_closed());
        assert_eq!([(); 4].map(|()| contactor.step(step, travel)), [None, None, Some(true), None]);
        contactor.command(false);
        assert_eq!(contactor.step(step, travel), None);
        // Taken back before the contact has left: nothing moves.
        contactor.command(true);
        assert_eq!([(); 4].map(|()| contactor.step(step, travel)), [None; 4]);
        assert!(contactor.is_closed());
    }

    #[test]
    fn defects_hold_the_contact_and_bend_what_the_mirror_says() {
        let (step, travel) = (Duration::from_millis(10), Duration::from_millis(30));
        let settled = |coils: &[bool], defects: Defects| {
            let mut contactor = Contactor::default();
            for coil in coils {
                contactor.command(*coil);
                contactor.defects = defects;
                (0..8).for_each(|_| _ = contactor.step(step, travel));
            }
            (contactor.is_closed(), contactor.mirror(), contactor.closings())
        };
        let sound = Defects::default();
        let stuck = |position| Defects { stuck: Some(position), ..sound };
        let slow = Defects { slow: Duration::from_millis(100), ..sound };
        for (name, defects, coils, expected) in [
            ("sound", sound, &[true, false, true][..], (true, true, 2)),
            ("stuck open", stuck(false), &[true], (false, false, 0)),
            ("stuck closed", stuck(true), &[false], (true, true, 1)),
            ("welded, never closed", Defects { welded: true, ..sound }, &[false], (false, false, 0)),
            ("welded", Defects { welded: true, ..sound }, &[true, false], (true, true, 1)),
            ("slow", slow, &[true], (false, false, 0)),
            ("slow, but opens in time", slow, &[true, true, false], (false, false, 1)),
            ("mirror lies", Defects { mirror: Mirror::Opposite, ..sound }, &[true], (true, false, 1)),
            (
                "mirror of a welded one",
                Defects { welded: true, mirror: Mirror::Coil, ..sound },
                &[true, false],
                (true, false, 1),
            ),
        ] {
            assert_eq!(settled(coils, defects), expected, "{name}");
        }
    }
}
