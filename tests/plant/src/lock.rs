//! The lock that keeps a plug in the vehicle's inlet: its bolt follows the coil after a travel time.
//!
//! Whether a voltage may be there while it is open is asked in `guard`.

use std::time::Duration;

/// A lock with a coil, a bolt and a feedback contact.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lock {
    coil: bool,
    locked: bool,
    moving: Duration,
    used: bool,
    /// The bolt does not move.
    pub stuck: bool,
    /// The feedback says the opposite.
    pub feedback_lies: bool,
}

impl Lock {
    /// Energises or releases the coil.
    pub fn command(&mut self, lock: bool) {
        self.used |= lock;
        if lock != self.coil {
            self.coil = lock;
            self.moving = Duration::ZERO;
        }
    }

    /// Lets the bolt travel.
    pub fn step(&mut self, dt: Duration, travel: Duration) {
        if self.coil == self.locked || self.stuck {
            return;
        }
        self.moving = self.moving.saturating_add(dt);
        if self.moving >= travel {
            self.locked = self.coil;
        }
    }

    /// The state of the coil.
    pub fn coil(&self) -> bool {
        self.coil
    }

    /// True while the plug cannot be pulled.
    pub fn is_locked(&self) -> bool {
        self.locked
    }

    /// What the feedback contact says.
    pub fn feedback(&self) -> bool {
        self.locked != self.feedback_lies
    }

    /// True once the coil has been energised: a station whose lock is not wired never does.
    pub fn is_in_use(&self) -> bool {
        self.used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bolt_follows_the_coil_unless_it_is_stuck() {
        let (step, travel) = (Duration::from_millis(10), Duration::from_millis(20));
        let mut lock = Lock::default();
        assert!(!lock.is_in_use());
        lock.command(true);
        lock.step(step, travel);
        assert!(lock.coil() && !lock.is_locked());
        lock.step(step, travel);
        assert!(lock.is_locked() && lock.feedback() && lock.is_in_use());
        lock.command(false);
        (lock.stuck, lock.feedback_lies) = (true, true);
        (0..9).for_each(|_| lock.step(step, travel));
        assert!(lock.is_locked() && !lock.feedback());
    }
}
