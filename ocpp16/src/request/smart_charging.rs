//! The Smart Charging profile.

use crate::Tenths;
use crate::fields::Fields;
use crate::frame::Refusal;
use crate::word::words;

/// More than any station takes; how many it takes is its key ChargingScheduleMaxPeriods.
const MOST_PERIODS: usize = 1000;

words!(
    /// What a profile limits.
    ChargingProfilePurpose {
        /// The whole station.
        ChargePointMaxProfile = "ChargePointMaxProfile",
        /// Every charge that has no profile of its own.
        TxDefaultProfile = "TxDefaultProfile",
        /// One charge.
        TxProfile = "TxProfile",
    }
);
words!(
    /// From when the periods of a schedule count.
    ChargingProfileKind {
        /// From the schedule's start.
        Absolute = "Absolute",
        /// From the schedule's start, every day or week anew.
        Recurring = "Recurring",
        /// From the beginning of the charge.
        Relative = "Relative",
    }
);
words!(
    /// How often a recurring schedule begins anew.
    Recurrency {
        /// Every day.
        Daily = "Daily",
        /// Every week.
        Weekly = "Weekly",
    }
);
words!(
    /// The unit of limits.
    ChargingRateUnit {
        /// Amperes per phase.
        Amperes = "A",
        /// Watts.
        Watts = "W",
    }
);

/// A charging profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargingProfile {
    /// The CSMS's number of it.
    pub id: i32,
    /// The charge that a TxProfile is for.
    pub transaction: Option<i32>,
    /// The higher one wins.
    pub stack_level: u32,
    /// What it limits.
    pub purpose: ChargingProfilePurpose,
    /// From when its periods count.
    pub kind: ChargingProfileKind,
    /// How often a recurring one begins anew.
    pub recurrency: Option<Recurrency>,
    /// Not in force before.
    pub valid_from_unix_millis: Option<u64>,
    /// Not in force after.
    pub valid_to_unix_millis: Option<u64>,
    /// The limits.
    pub schedule: ChargingSchedule,
}

impl ChargingProfile {
    pub(super) fn read(fields: &Fields<'_>) -> Result<ChargingProfile, Refusal> {
        Ok(ChargingProfile {
            id: fields.integer("chargingProfileId")?,
            transaction: fields.optional_integer("transactionId")?,
            stack_level: fields.count("stackLevel")?,
            purpose: fields.word("chargingProfilePurpose")?,
            kind: fields.word("chargingProfileKind")?,
            recurrency: fields.optional_word("recurrencyKind")?,
            valid_from_unix_millis: fields.optional_moment("validFrom")?,
            valid_to_unix_millis: fields.optional_moment("validTo")?,
            schedule: ChargingSchedule::read(&fields.object("chargingSchedule")?)?,
        })
    }
}

/// A sequence of limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargingSchedule {
    /// None: the last period goes on.
    pub duration_seconds: Option<u32>,
    /// From when the periods count, if the kind does not say it.
    pub start_unix_millis: Option<u64>,
    /// Of the limits.
    pub unit: ChargingRateUnit,
    /// At least one, in the CSMS's order.
    pub periods: Vec<SchedulePeriod>,
    /// Below this the car charges badly.
    pub min_charging_rate: Option<Tenths>,
}

impl ChargingSchedule {
    fn read(fields: &Fields<'_>) -> Result<ChargingSchedule, Refusal> {
        let periods = fields.objects("chargingSchedulePeriod", 1..=MOST_PERIODS)?;
        Ok(ChargingSchedule {
            duration_seconds: fields.optional_count("duration")?,
            start_unix_millis: fields.optional_moment("startSchedule")?,
            unit: fields.word("chargingRateUnit")?,
            periods: periods.iter().map(SchedulePeriod::read).collect::<Result<_, _>>()?,
            min_charging_rate: fields.optional_tenths("minChargingRate")?,
        })
    }
}

/// A limit and from when it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchedulePeriod {
    /// From the start of the schedule.
    pub start_seconds: u32,
    /// In the schedule's unit.
    pub limit: Tenths,
    /// Of an alternating current.
    pub phases: Option<u32>,
}

impl SchedulePeriod {
    fn read(fields: &Fields<'_>) -> Result<SchedulePeriod, Refusal> {
        Ok(SchedulePeriod {
            start_seconds: fields.count("startPeriod")?,
            limit: fields.tenths("limit")?,
            phases: fields.optional_count("numberPhases")?,
        })
    }
}

/// ClearChargingProfile.req; what is None matches every profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClearChargingProfile {
    /// The profile with this number.
    pub id: Option<i32>,
    /// Those of this connector; 0 is the station.
    pub connector: Option<u32>,
    /// Those of this purpose.
    pub purpose: Option<ChargingProfilePurpose>,
    /// Those of this level.
    pub stack_level: Option<u32>,
}

impl ClearChargingProfile {
    pub(super) fn read(fields: &Fields<'_>) -> Result<ClearChargingProfile, Refusal> {
        Ok(ClearChargingProfile {
            id: fields.optional_integer("id")?,
            connector: fields.optional_count("connectorId")?,
            purpose: fields.optional_word("chargingProfilePurpose")?,
            stack_level: fields.optional_count("stackLevel")?,
        })
    }
}

/// GetCompositeSchedule.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetCompositeSchedule {
    /// 0 is the station.
    pub connector: u32,
    /// From now.
    pub duration_seconds: u32,
    /// None: the station's choice.
    pub unit: Option<ChargingRateUnit>,
}

impl GetCompositeSchedule {
    pub(super) fn read(fields: &Fields<'_>) -> Result<GetCompositeSchedule, Refusal> {
        Ok(GetCompositeSchedule {
            connector: fields.count("connectorId")?,
            duration_seconds: fields.count("duration")?,
            unit: fields.optional_word("chargingRateUnit")?,
        })
    }
}

/// SetChargingProfile.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetChargingProfile {
    /// 0 is the station, or every connector.
    pub connector: u32,
    /// The profile.
    pub profile: ChargingProfile,
}

impl SetChargingProfile {
    pub(super) fn read(fields: &Fields<'_>) -> Result<SetChargingProfile, Refusal> {
        Ok(SetChargingProfile {
            connector: fields.count("connectorId")?,
            profile: ChargingProfile::read(&fields.object("csChargingProfiles")?)?,
        })
    }
}
