//! The faults a test can switch on and off, and their names.

/// A fault of the simulated hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The CAN bus of the power modules is gone.
    ModulesBusDown,
    /// The CAN bus of the vehicle boards is gone.
    VehiclesBusDown,
    /// The I/O boards are gone.
    IoDown,
    /// The meter of a connector is gone.
    MeterDown(u8),
    /// A module neither hears nor answers.
    ModuleSilent(u8),
    /// The insulation of a connector is bad.
    InsulationBad(u8),
}

impl Fault {
    /// Every fault.
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::ModulesBusDown, Self::VehiclesBusDown, Self::IoDown];
        all.extend((1..=2).map(Self::MeterDown));
        all.extend((1..=6).map(Self::ModuleSilent));
        all.extend((1..=2).map(Self::InsulationBad));
        all
    }

    /// Its name.
    pub fn name(self) -> String {
        match self {
            Self::ModulesBusDown => "modules-bus-down".to_owned(),
            Self::VehiclesBusDown => "vehicles-bus-down".to_owned(),
            Self::IoDown => "io-down".to_owned(),
            Self::MeterDown(connector) => format!("meter-{connector}-down"),
            Self::ModuleSilent(module) => format!("module-{module}-silent"),
            Self::InsulationBad(connector) => format!("insulation-{connector}-bad"),
        }
    }

    /// The fault with a name.
    ///
    /// # Errors
    /// A text with the possible names.
    pub fn from_name(name: &str) -> Result<Self, String> {
        Self::all().into_iter().find(|fault| fault.name() == name).ok_or_else(|| {
            let names: Vec<String> = Self::all().into_iter().map(Self::name).collect();
            format!("no fault {name:?}; the faults are {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_found_by_its_name() {
        for fault in Fault::all() {
            assert_eq!(Fault::from_name(&fault.name()), Ok(fault));
        }
        assert!(Fault::from_name("module-7-silent").unwrap_err().contains("module-6-silent"));
    }
}
