//! The enumerations of the bus: kebab-case words, as an engineer reads them with `busctl`. Every reader has an
//! `Unknown` arm, so that a newer peer's word is a value and not a failure.

/// Declares an enumeration that travels as a kebab-case word.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, zbus::Type)]
        #[zbus(signature = "s")]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
            /// A word that this version does not know.
            Unknown,
        }

        impl $name {
            /// Every word that this version knows.
            pub const KNOWN: &'static [$name] = &[$($name::$variant),+];

            /// The word on the bus.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)+
                    $name::Unknown => "unknown",
                }
            }

            /// The value of a word; `Unknown` if there is none.
            pub fn of(word: &str) -> Self {
                match word {
                    $($word => $name::$variant,)+
                    _ => $name::Unknown,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <std::borrow::Cow<'de, str>>::deserialize(deserializer).map(|word| $name::of(&word))
            }
        }
    };
}

words!(
    /// The plug standard of a connector.
    ConnectorType {
        /// Combined Charging System, type 2 inlet.
        Ccs2 = "ccs2",
        /// CHAdeMO.
        Chademo = "chademo",
    }
);
words!(
    /// Whether a vehicle is plugged in, from the control pilot.
    Plug {
        /// State A.
        Unplugged = "unplugged",
        /// States B, C and D.
        Plugged = "plugged",
    }
);
words!(
    /// Where a connector is in the sequence of one delivery.
    Phase {
        /// No delivery is asked for.
        Idle = "idle",
        /// A delivery is asked for; the vehicle and the board negotiate.
        Negotiating = "negotiating",
        /// The cable's insulation is tested.
        CableCheck = "cable-check",
        /// The output is brought to the battery's voltage.
        PreCharge = "pre-charge",
        /// Power may flow.
        Delivering = "delivering",
        /// Current goes to zero and the contactor opens.
        Stopping = "stopping",
    }
);
words!(
    /// Why the last delivery of a connector ended.
    StopCause {
        /// None has ended since this process started.
        None = "none",
        /// `StopDelivery`.
        Requested = "requested",
        /// The vehicle ended it.
        Vehicle = "vehicle",
        /// The cable was pulled out.
        Unplugged = "unplugged",
        /// The holder of the lease did not renew it.
        LeaseEnded = "lease-ended",
        /// A fault; it stands in the conditions.
        Fault = "fault",
        /// The emergency stop was pressed.
        EmergencyStop = "emergency-stop",
        /// The vehicle and the board did not come to deliver in time.
        TimedOut = "timed-out",
    }
);
words!(
    /// Which limit makes the offered power what it is.
    OfferedBy {
        /// The station's rating.
        StationRating = "station-rating",
        /// ChargeLimitedPower.
        StationLimit = "station-limit",
        /// The connector's rating.
        ConnectorRating = "connector-rating",
        /// ConnectorALimitedPower or ConnectorBLimitedPower.
        ConnectorLimit = "connector-limit",
        /// A limit that somebody holds with `HoldLimit`.
        HeldLimit = "held-limit",
        /// The fallback limit of the station file: nobody holds one.
        FallbackLimit = "fallback-limit",
        /// What the connector's modules can give.
        Modules = "modules",
        /// What the other connector leaves of the station's power.
        Share = "share",
        /// The temperature of the plug.
        Temperature = "temperature",
    }
);
words!(
    /// The lock of a vehicle coupler, as its feedback says.
    Lock {
        /// The connector has none that the station controls.
        None = "none",
        /// The plug can be pulled out.
        Unlocked = "unlocked",
        /// It cannot.
        Locked = "locked",
    }
);
words!(
    /// What a CAN controller says of its bus.
    BusState {
        /// Frames go both ways.
        Active = "active",
        /// Many errors; frames still go.
        Passive = "passive",
        /// So many errors that the controller has left the bus.
        BusOff = "bus-off",
        /// The bus cannot be reached.
        Down = "down",
    }
);
words!(
    /// What a power module does.
    ModuleState {
        /// It is off.
        Off = "off",
        /// It is on.
        On = "on",
        /// It is on and gives less than it is told, because it has to.
        Derating = "derating",
        /// It is on its way from one connector to the other.
        Moving = "moving",
        /// It reports a fault and is not used.
        Failing = "failing",
        /// It does not answer.
        Silent = "silent",
    }
);
words!(
    /// A connector's status, in OCPP 1.6's words.
    ConnectorStatus {
        /// Free.
        Available = "available",
        /// A vehicle or a driver is there, no transaction yet.
        Preparing = "preparing",
        /// Power may flow.
        Charging = "charging",
        /// The vehicle takes nothing.
        SuspendedEv = "suspended-ev",
        /// The station gives nothing.
        SuspendedEvse = "suspended-evse",
        /// The transaction is over, the vehicle is still there.
        Finishing = "finishing",
        /// Kept for one driver.
        Reserved = "reserved",
        /// Out of service by order.
        Unavailable = "unavailable",
        /// Out of service by fault.
        Faulted = "faulted",
    }
);
words!(
    /// What an event of the transaction journal says.
    EventKind {
        /// A transaction began.
        Started = "started",
        /// A meter sample within it.
        Sample = "sample",
        /// It is over.
        Stopped = "stopped",
    }
);
words!(
    /// What a meter reading was taken for (OCPP 1.6, `ReadingContext`).
    ReadingContext {
        /// At the begin of a transaction.
        TransactionBegin = "transaction-begin",
        /// On the transaction's own schedule (MeterValueSampleInterval).
        SamplePeriodic = "sample-periodic",
        /// On the schedule of the clock (ClockAlignedDataInterval).
        SampleClock = "sample-clock",
        /// At the end of a transaction.
        TransactionEnd = "transaction-end",
        /// Because somebody asked for it.
        Trigger = "trigger",
    }
);
words!(
    /// Whether a connector, or the station, may be used (OCPP 1.6, `AvailabilityType`).
    Availability {
        /// It may.
        Operative = "operative",
        /// It may not, by order.
        Inoperative = "inoperative",
    }
);
words!(
    /// What came of an order to change the availability (OCPP 1.6, `AvailabilityStatus`).
    AvailabilityVerdict {
        /// It holds, and is on disk.
        Accepted = "accepted",
        /// There is no such connector.
        Rejected = "rejected",
        /// It is on disk, and holds when the running transaction is over.
        Scheduled = "scheduled",
    }
);
words!(
    /// Why a transaction ended, in OCPP 1.6's words.
    StopReason {
        /// Not ended, or ended without a cause to report.
        None = "none",
        /// The driver, with a badge at the station.
        Local = "local",
        /// The CSMS.
        Remote = "remote",
        /// The vehicle's cable was pulled out.
        EvDisconnected = "ev-disconnected",
        /// The emergency stop.
        EmergencyStop = "emergency-stop",
        /// The CSMS does not accept the badge.
        DeAuthorized = "de-authorized",
        /// The station lost its power.
        PowerLoss = "power-loss",
        /// The station restarted.
        Reboot = "reboot",
        /// The CSMS restarted the station after the charges on it were ended (Reset Soft).
        SoftReset = "soft-reset",
        /// The CSMS restarted the station at once (Reset Hard).
        HardReset = "hard-reset",
        /// Anything else: the vehicle has enough, a fault.
        Other = "other",
    }
);
words!(
    /// The verdict on a badge, a remote start or a remote stop.
    Verdict {
        /// It is done, and on disk.
        Accepted = "accepted",
        /// It is not done.
        Rejected = "rejected",
    }
);
words!(
    /// What came of a badge.
    BadgeOutcome {
        /// A transaction starts.
        Starting = "starting",
        /// The transaction stops.
        Stopping = "stopping",
        /// The badge is good and a cable is awaited.
        AwaitingPlug = "awaiting-plug",
        /// No vehicle is plugged in.
        NoVehicle = "no-vehicle",
        /// The badge may not charge here.
        Refused = "refused",
        /// The connector cannot charge now.
        OutOfService = "out-of-service",
    }
);
words!(
    /// The CSMS's word on a badge, in OCPP 1.6's words.
    AuthorizationStatus {
        /// May charge.
        Accepted = "accepted",
        /// Blocked.
        Blocked = "blocked",
        /// Expired.
        Expired = "expired",
        /// Not known.
        Invalid = "invalid",
        /// Charges elsewhere already.
        ConcurrentTx = "concurrent-tx",
    }
);
words!(
    /// Who said what a decision about a badge goes by.
    AuthorizationSource {
        /// Nobody was asked.
        None = "none",
        /// The CSMS.
        Csms = "csms",
        /// The local authorization list.
        LocalList = "local-list",
        /// The authorization cache.
        Cache = "cache",
        /// Nobody knows the badge, and the rule for unknown badges without the CSMS.
        Offline = "offline",
        /// Nobody has to be known: free charging.
        Free = "free",
        /// The CSMS, by asking for the charge itself.
        Remote = "remote",
        /// The badge itself: it has started what it ends.
        Badge = "badge",
    }
);
words!(
    /// Why a decision about a badge is as it is.
    DecisionReason {
        /// None was taken since this process started.
        None = "none",
        /// The badge may charge.
        Accepted = "accepted",
        /// The badge is blocked.
        Blocked = "blocked",
        /// The badge was valid once.
        Expired = "expired",
        /// The badge is not known to whom it concerns.
        Invalid = "invalid",
        /// The badge charges elsewhere already.
        ConcurrentTx = "concurrent-tx",
        /// The CSMS cannot be asked, and the rules let no badge charge of which nothing is known.
        UnknownOffline = "unknown-offline",
        /// The CSMS is there and has not answered.
        NoAnswer = "no-answer",
        /// It has begun what it ends.
        SameBadge = "same-badge",
        /// It belongs to the group of the badge that began what it ends.
        SameGroup = "same-group",
        /// No vehicle is plugged in.
        NoVehicle = "no-vehicle",
        /// A transaction runs there, or another driver is awaited.
        Occupied = "occupied",
        /// It is kept for another driver.
        Reserved = "reserved",
        /// It is out of service by order.
        Unavailable = "unavailable",
        /// A fault stands against it, or power is away.
        Faulted = "faulted",
        /// The station is about to restart.
        Restarting = "restarting",
        /// The meter does not answer.
        NoMeter = "no-meter",
        /// The disk takes nothing more.
        NoSpace = "no-space",
        /// Nobody waits for it any more.
        TooLate = "too-late",
        /// The configuration keys are not known yet.
        NotReady = "not-ready",
    }
);
words!(
    /// What came of a change of the local authorization list (OCPP 1.6, `UpdateStatus`).
    ListVerdict {
        /// It is on disk, and holds.
        Accepted = "accepted",
        /// It makes no sense, or is too long; nothing has changed.
        Failed = "failed",
        /// The list is switched off.
        NotSupported = "not-supported",
        /// It is not newer than the list that it changes.
        VersionMismatch = "version-mismatch",
    }
);
words!(
    /// What came of a wish to reserve (OCPP 1.6, `ReservationStatus`).
    ReservationVerdict {
        /// It is on disk, and holds.
        Accepted = "accepted",
        /// A fault stands against it.
        Faulted = "faulted",
        /// It is in use, or kept for another driver.
        Occupied = "occupied",
        /// This cannot be reserved.
        Rejected = "rejected",
        /// It is out of service by order.
        Unavailable = "unavailable",
    }
);
words!(
    /// The state of the link to the CSMS.
    Link {
        /// No address is set.
        Unconfigured = "unconfigured",
        /// No connection; the next attempt is planned.
        Disconnected = "disconnected",
        /// Connected; the CSMS has not accepted the station yet.
        Registering = "registering",
        /// The CSMS has accepted the station.
        Accepted = "accepted",
    }
);
words!(
    /// What the CSMS has said to the last BootNotification (OCPP 1.6, `RegistrationStatus`).
    Registration {
        /// Every message may pass.
        Accepted = "accepted",
        /// Its own requests are answered; the station sends BootNotification alone.
        Pending = "pending",
        /// Nothing passes until the next BootNotification.
        Rejected = "rejected",
    }
);
words!(
    /// What the station does with a message of the CSMS or a file for it (OCPP 1.6, `DataTransferStatus`).
    DataTransferStatus {
        /// It was taken in.
        Accepted = "accepted",
        /// It was understood and refused.
        Rejected = "rejected",
        /// The message is not known.
        UnknownMessageId = "unknown-message-id",
        /// The vendor is not known.
        UnknownVendorId = "unknown-vendor-id",
    }
);
words!(
    /// How serious a fault is.
    FaultClass {
        /// No charge starts and a running one stops.
        Stop = "stop",
        /// The station goes on.
        Warning = "warning",
    }
);
words!(
    /// Whether a fault came or went.
    FaultEdge {
        /// It came.
        Raised = "raised",
        /// It went.
        Cleared = "cleared",
    }
);
words!(
    /// Who may change a configuration key.
    KeyAccess {
        /// Read and write.
        ReadWrite = "read-write",
        /// Read only.
        ReadOnly = "read-only",
        /// Written, never read back.
        WriteOnly = "write-only",
    }
);
words!(
    /// Where a configuration key's value comes from.
    KeyOrigin {
        /// The factory.
        Default = "default",
        /// The station file.
        StationFile = "station-file",
        /// The CSMS.
        Csms = "csms",
        /// An engineer.
        Engineer = "engineer",
        /// The station itself, back to the value that worked last: a new one did not bring it to the CSMS.
        Rollback = "rollback",
    }
);
words!(
    /// The verdict on a change of a configuration key, in OCPP 1.6's words.
    SetVerdict {
        /// It is on disk and holds.
        Accepted = "accepted",
        /// The value does not fit the key, or the key cannot be written.
        Rejected = "rejected",
        /// It holds after the next restart.
        RebootRequired = "reboot-required",
        /// There is no such key.
        NotSupported = "not-supported",
    }
);
words!(
    /// What a connector's screen shows.
    Screen {
        /// Nothing plugged in.
        Welcome = "welcome",
        /// Plugged in; a badge is awaited.
        PresentBadge = "present-badge",
        /// The charge is being prepared.
        Preparing = "preparing",
        /// Power flows.
        Charging = "charging",
        /// It stands still.
        Paused = "paused",
        /// The receipt.
        Receipt = "receipt",
        /// The connector is out of service.
        OutOfService = "out-of-service",
    }
);
words!(
    /// The card reader.
    ReaderState {
        /// It answers.
        Ready = "ready",
        /// It does not answer.
        Lost = "lost",
        /// None is fitted.
        NotFitted = "not-fitted",
    }
);
words!(
    /// Where a connector's limit comes from.
    LimitSource {
        /// Nothing limits.
        None = "none",
        /// The site's connection, from the station file.
        Site = "site",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_from_a_newer_peer_is_unknown() {
        let phase: Phase = serde_json::from_str("\"levitating\"").expect("any word is a value");
        assert_eq!(phase, Phase::Unknown);
    }

    #[test]
    fn every_known_word_comes_back_as_itself() {
        for phase in Phase::KNOWN {
            assert_eq!(Phase::of(phase.as_str()), *phase);
        }
        for status in ConnectorStatus::KNOWN {
            assert_eq!(ConnectorStatus::of(status.as_str()), *status);
        }
    }
}
words! {
    /// What a relay's mirror contact says.
    RelayState {
        /// Open.
        Open = "open",
        /// Closed.
        Closed = "closed",
        /// It did not follow its coil, and is not used.
        Failed = "failed",
    }
}
