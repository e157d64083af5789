//! The bus objects of smart-charging: thin, no decisions.

use busbar_interfaces::Watts;
use busbar_interfaces::smart_charging::{ConnectorLimitState, SmartChargingState};
use busbar_interfaces::words::LimitSource;
use busbar_runtime::Shown;

pub struct RootObject {
    pub shown: Shown<SmartChargingState>,
}

/// The limits of the station as a whole.
#[zbus::interface(name = "io.busbar.SmartCharging1", spawn = false)]
impl RootObject {
    /// What the site's connection gives the whole station, in watts, from the station file.
    #[zbus(property(emits_changed_signal = "const"))]
    fn site_limit_watts(&self) -> Watts {
        self.shown.get(|state| state.site_limit_watts)
    }
}

pub struct ConnectorObject {
    pub shown: Shown<ConnectorLimitState>,
}

/// The limit of one connector.
#[zbus::interface(name = "io.busbar.SmartCharging1.Connector", spawn = false)]
impl ConnectorObject {
    /// The limit of this connector now, in watts.
    #[zbus(property)]
    fn limit_watts(&self) -> Watts {
        self.shown.get(|state| state.limit_watts)
    }

    /// Where the limit comes from.
    #[zbus(property)]
    fn source(&self) -> LimitSource {
        self.shown.get(|state| state.source)
    }

    /// Power has confirmed that it holds this limit.
    #[zbus(property)]
    fn held(&self) -> bool {
        self.shown.get(|state| state.held)
    }
}
