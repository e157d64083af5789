//! A contactor or relay: its contact follows the coil after a travel time, and the mirror contact tells the truth.
//!
//! It does not know what it connects; `circuit` does.

use std::time::Duration;

/// A switch with a coil, a contact and a mirror contact.
#[derive(Clone, Copy, Debug, Default)]
pub struct Contactor {
    coil: bool,
    closed: bool,
    moving: Duration,
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
        if self.coil == self.closed {
            return None;
        }
        self.moving = self.moving.saturating_add(dt);
        (self.moving >= travel).then(|| {
            self.closed = self.coil;
            self.closed
        })
    }

    /// The state of the coil.
    pub fn coil(&self) -> bool {
        self.coil
    }

    /// The state of the contact, which is also that of the mirror contact.
    pub fn is_closed(&self) -> bool {
        self.closed
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
}
