//! The bus objects of the HMI: thin, no decisions.

use crate::service::Input;
use busbar_interfaces::hmi::{HmiState, ScreenState};
use busbar_interfaces::words::{ReaderState, Screen};
use busbar_interfaces::{CallError, Condition, ConnectorId, MilliwattHours, Percent, Watts};
use busbar_runtime::{Desk, Shown};

pub struct RootObject {
    pub desk: Desk<Input>,
    pub shown: Shown<HmiState>,
}

/// The driver's screen and the card reader.
#[zbus::interface(name = "io.busbar.Hmi1", spawn = false)]
impl RootObject {
    /// Shows another connector, as a touch on the screen does.
    async fn show_connector(&self, connector: ConnectorId) -> Result<(), CallError> {
        self.desk.ask(|reply| Input::Show { connector, reply }).await
    }

    /// Shows what the charge on a connector costs, until the next charge there begins.
    async fn show_cost(&self, connector: ConnectorId, cost: String) -> Result<(), CallError> {
        self.desk.ask(|reply| Input::Cost { connector, cost, reply }).await
    }

    /// Where the driver's screen is served; empty when it is not.
    #[zbus(property(emits_changed_signal = "const"))]
    fn page_address(&self) -> String {
        self.shown.get(|state| state.page_address.clone())
    }

    /// The card reader.
    #[zbus(property)]
    fn reader(&self) -> ReaderState {
        self.shown.get(|state| state.reader)
    }

    /// The connector that the screen shows.
    #[zbus(property)]
    fn shown_connector(&self) -> ConnectorId {
        self.shown.get(|state| state.shown_connector)
    }

    /// What is wrong now.
    #[zbus(property)]
    fn conditions(&self) -> Vec<Condition> {
        self.shown.get(|state| state.conditions.clone())
    }
}

pub struct ScreenObject {
    pub shown: Shown<ScreenState>,
}

/// The screen of one connector.
#[zbus::interface(name = "io.busbar.Hmi1.Connector", spawn = false)]
impl ScreenObject {
    /// What is shown.
    #[zbus(property)]
    fn screen(&self) -> Screen {
        self.shown.get(|state| state.screen)
    }

    /// The line of text under it.
    #[zbus(property)]
    fn message(&self) -> String {
        self.shown.get(|state| state.message.clone())
    }

    /// Energy shown.
    #[zbus(property)]
    fn energy_milliwatt_hours(&self) -> MilliwattHours {
        self.shown.get(|state| state.energy_milliwatt_hours)
    }

    /// Power shown.
    #[zbus(property)]
    fn watts(&self) -> Watts {
        self.shown.get(|state| state.watts)
    }

    /// State of charge shown.
    #[zbus(property)]
    fn state_of_charge_percent(&self) -> Percent {
        self.shown.get(|state| state.state_of_charge_percent)
    }

    /// What the charge costs.
    #[zbus(property)]
    fn cost(&self) -> String {
        self.shown.get(|state| state.cost.clone())
    }
}
