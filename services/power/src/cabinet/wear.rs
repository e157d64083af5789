//! How the relays and contactors of the cabinet wear.

use super::Cabinet;
use crate::modules::driver::Address;
use crate::sharing::Switch;
use crate::wear::Totals;
use busbar_interfaces::power::OUTPUT_CONTACTORS;
use busbar_interfaces::{CallError, ConnectorId};

impl Cabinet {
    /// What was kept of the time before, once it has been read. A state that was handed over has it in it.
    pub fn wear_was(&mut self, totals: &Totals) {
        if std::mem::replace(&mut self.wear_known, true) {
            return;
        }
        for (switch, before) in totals {
            match switch {
                Switch::Output(connector) => {
                    if let Some(connector) = self.connectors.get_mut(connector) {
                        connector.contactors_mut().add_wear(*before);
                    }
                }
                Switch::Relay(module, connector) => {
                    if let Some(relay) = self.sharing.relay_mut(*module, *connector) {
                        relay.add_wear(*before);
                    }
                }
            }
        }
    }

    /// The wear of all of them; nothing while that of the time before is not known.
    pub fn wear(&self) -> Option<Totals> {
        let relays = self.sharing.relays();
        let relays = relays.map(|(module, connector, relay)| (Switch::Relay(module, connector), relay.wear()));
        let outputs = self.connectors.iter().map(|(id, each)| (Switch::Output(*id), each.contactors().wear()));
        self.wear_known.then(|| relays.chain(outputs).collect())
    }

    /// A module's relay to a connector, or its output contactors, were replaced: their wear begins anew.
    ///
    /// # Errors
    /// `NotFound` when nothing like that is wired, `Busy` while a delivery is asked for, `NotReady` before the wear is
    /// known.
    pub fn replaced(&mut self, connector: ConnectorId, module: u8) -> Result<Totals, CallError> {
        let in_use = self.is_in_use();
        let output = self.connector(connector)?;
        if in_use {
            return Err(CallError::Busy("a vehicle charges: nothing was replaced; repeat when none does".to_owned()));
        }
        if module == OUTPUT_CONTACTORS {
            output.contactors_mut().replaced();
        } else {
            let relay = self.sharing.relay_mut(Address(module), connector).ok_or_else(|| {
                CallError::NotFound(format!(
                    "module {module} has no relay to connector {connector} in the station file"
                ))
            })?;
            relay.replaced();
        }
        self.wear().ok_or_else(|| CallError::NotReady("what was kept of the wear is not read yet; repeat".to_owned()))
    }
}
