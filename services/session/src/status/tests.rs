//! The facts of a connector's life, and the status that each of them is.

use super::*;

#[test]
fn case_23_the_life_of_a_connector() {
    let free = Facts::default();
    let kept = Facts { kept: true, ..free };
    let plugged = Facts { plugged: true, ..free };
    let running = Facts { transaction: true, ..plugged };
    let delivering = Facts { has_delivered: true, ..running };
    let by_vehicle = Facts { pause: Some(Pause::Vehicle), ..delivering };
    let by_station = Facts { pause: Some(Pause::Station), ..delivering };
    let charged = Facts { charged: true, ..plugged };
    #[rustfmt::skip]
    let table = [
        (free,                                                     ConnectorStatus::Available),
        (plugged,                                                  ConnectorStatus::Preparing),
        (Facts { driver_accepted: true, ..free },                  ConnectorStatus::Preparing),
        (running,                                                  ConnectorStatus::Preparing),
        (delivering,                                               ConnectorStatus::Charging),
        (by_vehicle,                                               ConnectorStatus::SuspendedEv),
        (by_station,                                               ConnectorStatus::SuspendedEvse),
        (Facts { has_delivered: false, ..by_station },             ConnectorStatus::SuspendedEvse),
        // It is over.
        (charged,                                                  ConnectorStatus::Finishing),
        // Kept for somebody.
        (kept,                                                     ConnectorStatus::Reserved),
        (Facts { plugged: true, ..kept },                          ConnectorStatus::Preparing),
        (Facts { driver_accepted: true, ..kept },                  ConnectorStatus::Preparing),
        (Facts { kept: true, ..delivering },                          ConnectorStatus::Charging),
        (Facts { kept: true, ..charged },                          ConnectorStatus::Finishing),
        // Out of service: whoever charges finishes first.
        (Facts { out_of_service: true, ..free },                   ConnectorStatus::Unavailable),
        (Facts { out_of_service: true, ..kept },                   ConnectorStatus::Unavailable),
        (Facts { out_of_service: true, ..plugged },                ConnectorStatus::Unavailable),
        (Facts { out_of_service: true, ..charged },                ConnectorStatus::Unavailable),
        (Facts { out_of_service: true, ..delivering },                ConnectorStatus::Charging),
        // A fault comes before everything.
        (Facts { faulted: true, ..free },                          ConnectorStatus::Faulted),
        (Facts { faulted: true, ..kept },                          ConnectorStatus::Faulted),
        (Facts { faulted: true, ..delivering },                       ConnectorStatus::Faulted),
        (Facts { faulted: true, out_of_service: true, ..free },    ConnectorStatus::Faulted),
    ];
    for (facts, status) in table {
        assert_eq!(of(facts), status, "{facts:?}");
    }
}
