//! The one gate in front of every charge: what stands against it, asked when a driver is accepted and once more in the
//! moment before the transaction is written down and power is asked. Pure.

use crate::reservation::Claim;
use busbar_interfaces::ReservationId;
use busbar_interfaces::words::{BadgeOutcome, DecisionReason};

/// What the gate looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The station is about to restart, or to be updated.
    pub restarting: bool,
    /// The disk takes a whole charge.
    pub has_space: bool,
    /// The connector is in service by order.
    pub operative: bool,
    /// No fault stands against it, and power is there.
    pub works: bool,
    /// A transaction runs there.
    pub runs: bool,
    /// A vehicle is plugged in.
    pub plugged: bool,
    /// Its vehicle has been charged, and has to be unplugged first.
    pub charged: bool,
    /// What the driver may claim of what is reserved.
    pub claim: Claim,
}

/// Whether a charge may begin now; then with the reservation that it uses up.
///
/// # Errors
/// The first thing that stands against it.
pub fn now(facts: Facts) -> Result<Option<ReservationId>, DecisionReason> {
    let reservation = before_the_plug(facts)?;
    if facts.plugged && !facts.charged { Ok(reservation) } else { Err(DecisionReason::NoVehicle) }
}

/// Whether a charge may begin as soon as a vehicle is plugged in.
///
/// # Errors
/// The first thing that stands against it.
pub fn before_the_plug(facts: Facts) -> Result<Option<ReservationId>, DecisionReason> {
    if facts.restarting {
        Err(DecisionReason::Restarting)
    } else if !facts.operative {
        Err(DecisionReason::Unavailable)
    } else if !facts.works {
        Err(DecisionReason::Faulted)
    } else if !facts.has_space {
        Err(DecisionReason::NoSpace)
    } else if facts.runs {
        Err(DecisionReason::Occupied)
    } else {
        match facts.claim {
            Claim::Free => Ok(None),
            Claim::Uses(reservation) => Ok(Some(reservation)),
            Claim::Kept { .. } => Err(DecisionReason::Reserved),
        }
    }
}

/// What a driver is told who cannot charge.
pub fn outcome(reason: DecisionReason) -> BadgeOutcome {
    match reason {
        DecisionReason::NoVehicle => BadgeOutcome::NoVehicle,
        DecisionReason::Unavailable
        | DecisionReason::Faulted
        | DecisionReason::Restarting
        | DecisionReason::NoMeter
        | DecisionReason::NoSpace
        | DecisionReason::NotReady => BadgeOutcome::OutOfService,
        _ => BadgeOutcome::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use busbar_interfaces::words::DecisionReason::{
        Faulted, NoSpace, NoVehicle, Occupied, Reserved, Restarting, Unavailable,
    };

    #[test]
    fn case_b10_one_gate_in_front_of_every_charge() {
        let free = Facts {
            restarting: false,
            has_space: true,
            operative: true,
            works: true,
            runs: false,
            plugged: true,
            charged: false,
            claim: Claim::Free,
        };
        let mine = Claim::Uses(ReservationId(-7));
        let kept = Claim::Kept { perhaps_of_group: false };
        #[rustfmt::skip]
        let table = [
            // what is the case                                                   now                before the plug
            (free,                                                                Ok(None),          Ok(None)),
            (Facts { plugged: false, ..free },                                    Err(NoVehicle),    Ok(None)),
            (Facts { charged: true, ..free },                                     Err(NoVehicle),    Ok(None)),
            (Facts { claim: mine, ..free },                         Ok(Some(ReservationId(-7))), Ok(Some(ReservationId(-7)))),
            (Facts { claim: kept, ..free },                                       Err(Reserved),     Err(Reserved)),
            (Facts { claim: Claim::Kept { perhaps_of_group: true }, ..free },     Err(Reserved),     Err(Reserved)),
            (Facts { runs: true, ..free },                                        Err(Occupied),     Err(Occupied)),
            (Facts { has_space: false, ..free },                                  Err(NoSpace),      Err(NoSpace)),
            (Facts { works: false, ..free },                                      Err(Faulted),      Err(Faulted)),
            (Facts { operative: false, ..free },                                  Err(Unavailable),  Err(Unavailable)),
            (Facts { restarting: true, ..free },                                  Err(Restarting),   Err(Restarting)),
            // What is the case at once: the gravest is told.
            (Facts { restarting: true, operative: false, works: false, ..free },  Err(Restarting),   Err(Restarting)),
            (Facts { operative: false, works: false, plugged: false, ..free },    Err(Unavailable),  Err(Unavailable)),
            (Facts { works: false, runs: true, claim: kept, ..free },             Err(Faulted),      Err(Faulted)),
            (Facts { runs: true, plugged: false, claim: kept, ..free },           Err(Occupied),     Err(Occupied)),
        ];
        for (facts, at_once, later) in table {
            assert_eq!((now(facts), before_the_plug(facts)), (at_once, later), "{facts:?}");
        }
    }
}
