//! What each fault code (DTC) means: OCPP's `errorCode`, the fault in words, and whether the station goes on. Pure data.
//! Source: guide DOCA0311EN-01, table of diagnostic codes; 0x1… are the dispenser's, 0x2… the power cabinet's. Busbar's
//! own codes, 0xB…, are for what the guide has no code for; they stand in a table of their own.

use busbar_interfaces::words::FaultClass;

/// One fault code and what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    /// The code as the guide writes it.
    pub code: &'static str,
    /// OCPP 1.6's `errorCode`.
    pub error_code: &'static str,
    /// The fault in words.
    pub title: &'static str,
    /// How serious it is.
    pub class: FaultClass,
}

const fn stop(code: &'static str, error_code: &'static str, title: &'static str) -> Meaning {
    Meaning { code, error_code, title, class: FaultClass::Stop }
}

const fn warning(code: &'static str, error_code: &'static str, title: &'static str) -> Meaning {
    Meaning { code, error_code, title, class: FaultClass::Warning }
}

/// A code that the table does not have is taken for serious: its detector is newer than this program.
const UNLISTED: Meaning = stop("", "InternalError", "unknown fault code");

/// The guide's table.
const TABLE: &[Meaning] = &[
    warning("0x100005", "ReaderFailure", "card reader communication failure"),
    warning("0x100007", "OtherError", "insulation warning"),
    warning("0x100009", "InternalError", "abnormal SD card of terminal"),
    stop("0x10000C", "OtherError", "SECC socket connection fault"),
    warning("0x10000F", "OtherError", "environment detection board offline"),
    stop("0x100101", "HighTemperature", "terminal over-temperature"),
    stop("0x100102", "InternalError", "cable connector over-temperature"),
    stop("0x100202", "InternalError", "terminal emergency stop pressed"),
    stop("0x100205", "ConnectorLockFailure", "vehicle connector lock control error"),
    stop("0x100206", "GroundFailure", "ground error"),
    stop("0x100207", "InternalError", "insulation board error"),
    stop("0x100208", "InternalError", "output relay control error"),
    stop("0x10020A", "OtherError", "insulation error"),
    stop("0x10020B", "OtherError", "power cabinet water level error"),
    stop("0x10020C", "OtherError", "terminal door open"),
    warning("0x10020D", "OtherError", "high humidity"),
    stop("0x10020E", "OtherError", "tilt sensor triggered"),
    stop("0x10020F", "PowerMeterFailure", "meter failure"),
    stop("0x100210", "InternalError", "communication error with sub-board"),
    stop("0x100211", "InternalError", "power loss"),
    stop("0x100212", "InternalError", "communication error with power cabinet"),
    stop("0x100213", "OverCurrentFailure", "over-current"),
    stop("0x100214", "InternalError", "output over-voltage"),
    stop("0x100216", "InternalError", "PLC board offline"),
    stop("0x200001", "InternalError", "power module communication fault"),
    stop("0x200002", "InternalError", "power module fault"),
    stop("0x200003", "InternalError", "PDU relay control fault"),
    stop("0x200004", "InternalError", "PDU communication fault"),
    warning("0x200008", "OtherError", "surge protection alarm"),
    stop("0x200101", "InternalError", "power module over-temperature"),
    stop("0x200102", "InternalError", "PDU over-temperature"),
    warning("0x200103", "InternalError", "power control fan communication alarm"),
    stop("0x200104", "InternalError", "power control fan failure"),
    stop("0x200202", "InternalError", "power cabinet emergency stop pressed"),
    stop("0x200203", "OtherError", "power cabinet water level error"),
    stop("0x200204", "OtherError", "power cabinet door open"),
    stop("0x200206", "OverVoltage", "input over-voltage"),
    stop("0x200207", "PowerSwitchFailure", "input relay control error"),
    stop("0x200208", "UnderVoltage", "input under-voltage"),
    stop("0x200209", "OtherError", "circuit breaker tripped"),
    stop("0x20020B", "OtherError", "tilt sensor alarm"),
    stop("0x20020C", "OtherError", "fuse blown"),
];

/// Busbar's own codes; each is raised by the service that the comment names.
const OWN: &[Meaning] = &[
    // ocpp
    warning("0xB00001", "OtherError", "the CSMS refuses a transaction message; it waits for a person"),
    // maintenance
    warning("0xB00002", "ResetFailure", "restart of the station failed"),
    // ocpp
    warning("0xB00003", "InternalError", "the disk takes nothing; delivery to the CSMS waits"),
    // session
    warning("0xB00004", "InternalError", "the books of a connector did not add up"),
    warning("0xB00005", "InternalError", "the disk is full; no charge begins"),
    warning("0xB00006", "OtherError", "a relay of the power modules has done the cycles that it is made for"),
    warning("0xB00007", "OtherError", "a power module does not answer, or is not the one that it should be"),
    warning("0xB00008", "OtherError", "a power module reports a fault and is not used"),
    warning("0xB00009", "OtherError", "a relay of the power modules does not follow its coil; its path is locked out"),
];

/// What a fault code means, in any case of its letters.
pub fn meaning(code: &str) -> Meaning {
    TABLE.iter().chain(OWN).find(|meaning| meaning.code.eq_ignore_ascii_case(code)).copied().unwrap_or(UNLISTED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use busbar_interfaces::faults::ERROR_CODES;
    use std::collections::BTreeSet;

    #[test]
    fn each_code_is_there_once_and_every_error_code_is_ocpps() {
        let codes: BTreeSet<&str> = TABLE.iter().map(|meaning| meaning.code).collect();
        assert_eq!(codes.len(), TABLE.len());
        assert_eq!(TABLE.len(), 42);
        for meaning in TABLE {
            assert!(ERROR_CODES.contains(&meaning.error_code), "{}", meaning.code);
            assert!(meaning.code.len() == 8 && !meaning.title.is_empty());
        }
    }

    #[test]
    fn busbars_own_codes_warn_and_are_none_of_the_guides() {
        let codes: BTreeSet<&str> = OWN.iter().map(|meaning| meaning.code).collect();
        assert_eq!(codes.len(), OWN.len());
        for own in OWN {
            assert!(own.code.starts_with("0xB") && own.code.len() == 8, "{}", own.code);
            assert!(TABLE.iter().all(|meaning| !meaning.code.eq_ignore_ascii_case(own.code)), "{}", own.code);
            assert!(ERROR_CODES.contains(&own.error_code) && !own.title.is_empty(), "{}", own.code);
            assert_eq!(own.class, FaultClass::Warning, "{}: the station goes on", own.code);
        }
        assert_eq!(meaning("0xb00002").error_code, "ResetFailure");
    }

    #[test]
    fn a_reader_failure_warns_and_an_emergency_stop_stops() {
        assert_eq!(meaning("0x100005").class, FaultClass::Warning);
        assert_eq!(meaning("0x100202").class, FaultClass::Stop);
        assert_eq!(meaning("0x10020f").error_code, "PowerMeterFailure");
    }

    #[test]
    fn an_unlisted_code_stops() {
        let unlisted = meaning("0x999999");
        assert_eq!((unlisted.class, unlisted.error_code), (FaultClass::Stop, "InternalError"));
        assert_eq!(unlisted.title, "unknown fault code");
    }
}
