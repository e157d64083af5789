//! Meter values.

use super::Report;
use crate::CentralTransaction;
use crate::payload::Payload;
use crate::word::words;
use serde_json::Value;

words!(
    /// Why a value was taken.
    ReadingContext {
        InterruptionBegin = "Interruption.Begin",
        InterruptionEnd = "Interruption.End",
        Other = "Other",
        SampleClock = "Sample.Clock",
        SamplePeriodic = "Sample.Periodic",
        TransactionBegin = "Transaction.Begin",
        TransactionEnd = "Transaction.End",
        Trigger = "Trigger",
    }
);
words!(
    /// How a value is written.
    ValueFormat {
        /// A number.
        Raw = "Raw",
        /// A signed record.
        SignedData = "SignedData",
    }
);
words!(
    /// What was measured.
    Measurand {
        CurrentExport = "Current.Export",
        CurrentImport = "Current.Import",
        CurrentOffered = "Current.Offered",
        EnergyActiveExportRegister = "Energy.Active.Export.Register",
        EnergyActiveImportRegister = "Energy.Active.Import.Register",
        EnergyReactiveExportRegister = "Energy.Reactive.Export.Register",
        EnergyReactiveImportRegister = "Energy.Reactive.Import.Register",
        EnergyActiveExportInterval = "Energy.Active.Export.Interval",
        EnergyActiveImportInterval = "Energy.Active.Import.Interval",
        EnergyReactiveExportInterval = "Energy.Reactive.Export.Interval",
        EnergyReactiveImportInterval = "Energy.Reactive.Import.Interval",
        Frequency = "Frequency",
        PowerActiveExport = "Power.Active.Export",
        PowerActiveImport = "Power.Active.Import",
        PowerFactor = "Power.Factor",
        PowerOffered = "Power.Offered",
        PowerReactiveExport = "Power.Reactive.Export",
        PowerReactiveImport = "Power.Reactive.Import",
        Rpm = "RPM",
        StateOfCharge = "SoC",
        Temperature = "Temperature",
        Voltage = "Voltage",
    }
);
words!(
    /// On which phase of an alternating current.
    Phase {
        L1 = "L1",
        L2 = "L2",
        L3 = "L3",
        N = "N",
        L1N = "L1-N",
        L2N = "L2-N",
        L3N = "L3-N",
        L1L2 = "L1-L2",
        L2L3 = "L2-L3",
        L3L1 = "L3-L1",
    }
);
words!(
    /// Where it was measured.
    Location {
        Body = "Body",
        Cable = "Cable",
        Ev = "EV",
        Inlet = "Inlet",
        Outlet = "Outlet",
    }
);
words!(
    /// In which unit.
    Unit {
        WattHours = "Wh",
        KilowattHours = "kWh",
        VarHours = "varh",
        KilovarHours = "kvarh",
        Watts = "W",
        Kilowatts = "kW",
        VoltAmperes = "VA",
        KilovoltAmperes = "kVA",
        Vars = "var",
        Kilovars = "kvar",
        Amperes = "A",
        Volts = "V",
        /// So written in OCPP's first schemas, and still taken by its later ones, which know both spellings.
        Celsius = "Celcius",
        Fahrenheit = "Fahrenheit",
        Kelvin = "K",
        Percent = "Percent",
    }
);

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampledValue {
    /// A decimal number as a text.
    pub value: String,
    /// None: `Sample.Periodic`.
    pub context: Option<ReadingContext>,
    /// None: `Raw`.
    pub format: Option<ValueFormat>,
    /// None: `Energy.Active.Import.Register`.
    pub measurand: Option<Measurand>,
    /// None: all of them, or a direct current.
    pub phase: Option<Phase>,
    /// None: `Outlet`.
    pub location: Option<Location>,
    /// None: `Wh`, when it is energy.
    pub unit: Option<Unit>,
}

impl SampledValue {
    fn payload(&self) -> Value {
        Payload::default()
            .value("value", self.value.as_str())
            .optional_word("context", self.context)
            .optional_word("format", self.format)
            .optional_word("measurand", self.measurand)
            .optional_word("phase", self.phase)
            .optional_word("location", self.location)
            .optional_word("unit", self.unit)
            .into()
    }
}

/// The values of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterValue {
    /// When they were taken.
    pub unix_millis: u64,
    /// OCPP wants at least one.
    pub values: Vec<SampledValue>,
}

impl MeterValue {
    pub(super) fn payload(&self) -> Value {
        let values: Vec<Value> = self.values.iter().map(SampledValue::payload).collect();
        Payload::default().moment("timestamp", self.unix_millis).value("sampledValue", values).into()
    }
}

/// MeterValues.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterValues {
    /// 0 is the station's main meter.
    pub connector: u32,
    /// In which charge.
    pub transaction: Option<CentralTransaction>,
    /// OCPP wants at least one.
    pub values: Vec<MeterValue>,
}

impl Report for MeterValues {
    const ACTION: &'static str = "MeterValues";

    fn payload(&self) -> Value {
        let values: Vec<Value> = self.values.iter().map(MeterValue::payload).collect();
        Payload::default()
            .count("connectorId", self.connector)
            .optional_count("transactionId", self.transaction.map(CentralTransaction::number))
            .value("meterValue", values)
            .into()
    }
}
