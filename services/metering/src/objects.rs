//! The bus objects of metering: thin, no decisions.

use crate::service::Input;
use busbar_interfaces::metering::{MeterState, MeteringState, Reading};
use busbar_interfaces::{CallError, Condition, ConnectorId};
use busbar_runtime::{Desk, Shown};

pub struct RootObject {
    pub shown: Shown<MeteringState>,
}

/// The meters of the station as a whole.
#[zbus::interface(name = "io.busbar.Metering1", spawn = false)]
impl RootObject {
    /// What is wrong with the meters now: fault code, connector, detail.
    #[zbus(property)]
    fn conditions(&self) -> Vec<Condition> {
        self.shown.get(|state| state.conditions.clone())
    }
}

pub struct MeterObject {
    pub connector: ConnectorId,
    pub desk: Desk<Input>,
    pub shown: Shown<MeterState>,
}

/// The meter of one connector.
// Methods are spawned: a latch waits for the meter, and nobody else's call may wait for that.
#[zbus::interface(name = "io.busbar.Metering1.Meter")]
impl MeterObject {
    /// Reads the meter now and returns what belongs together.
    #[zbus(out_args("reading"))]
    async fn latch(&self) -> Result<(Reading,), CallError> {
        self.desk.ask(|reply| Input::Latch { connector: self.connector, reply }).await.map(|reading| (reading,))
    }

    /// The meter answers.
    #[zbus(property)]
    fn present(&self) -> bool {
        self.shown.get(|state| state.present)
    }

    /// Model of the meter, from the station file.
    #[zbus(property(emits_changed_signal = "const"))]
    fn model(&self) -> String {
        self.shown.get(|state| state.model.clone())
    }

    /// The last reading; all zero before the first.
    #[zbus(property)]
    fn reading(&self) -> Reading {
        self.shown.get(|state| state.reading.clone())
    }
}
