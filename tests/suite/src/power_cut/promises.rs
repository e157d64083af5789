//! What a station has promised in a life, and whether its books keep it. What was answered before a kill was promised;
//! what got no answer may have happened or not. Pure: what was seen comes in, what does not hold goes out.

use crate::books;
use busbar_interfaces::session::{SessionConnectorState, SessionState, TransactionEvent};
use busbar_interfaces::words::{AuthorizationSource, Availability, ConnectorStatus, EventKind, StopReason};
use busbar_interfaces::{MilliwattHours, TransactionId};
use std::collections::{BTreeMap, BTreeSet};

/// Something that requests change: what was answered last holds, or what was asked for since and got no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word<T> {
    holds: T,
    asked: Option<T>,
}

impl<T: Clone + PartialEq> Word<T> {
    /// It is so from the beginning.
    pub fn new(holds: T) -> Word<T> {
        Word { holds, asked: None }
    }

    /// It is asked for.
    pub fn ask(&mut self, value: T) {
        self.asked = Some(value);
    }

    /// What was asked for last was answered.
    pub fn answered(&mut self) {
        if let Some(asked) = self.asked.take() {
            self.holds = asked;
        }
    }

    /// What was answered last.
    pub fn holds(&self) -> &T {
        &self.holds
    }

    /// It may be so.
    pub fn allows(&self, value: &T) -> bool {
        self.holds == *value || self.asked.as_ref() == Some(value)
    }
}

/// Why a transaction ends, and by whose badge if that was somebody.
pub type Cause = (StopReason, &'static str);

/// What may have ended a transaction, in the order in which it was asked for: the first cause stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Causes {
    asked: Vec<Cause>,
    /// The first that is certain to have been taken: nothing after it counts.
    certain: Option<usize>,
}

impl Causes {
    /// Somebody asks for it; its place.
    pub fn ask(&mut self, cause: Cause) -> usize {
        self.asked.push(cause);
        self.asked.len().saturating_sub(1)
    }

    /// It was answered, or is certain without that.
    pub fn answered(&mut self, place: usize) {
        self.certain = Some(self.certain.map_or(place, |certain| certain.min(place)));
    }

    /// What may stand in the journal.
    pub fn allowed(&self) -> &[Cause] {
        let until = self.certain.map_or(self.asked.len(), |certain| certain.saturating_add(1));
        self.asked.get(..until).unwrap_or_default()
    }
}

/// A charge that somebody wants: it becomes one transaction, whatever happens meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// Where.
    pub connector: u32,
    /// Whose.
    pub id_tag: &'static str,
    /// By whose word.
    pub source: AuthorizationSource,
    /// The reservation that it uses up.
    pub reservation: Option<i32>,
    /// The transaction that it has become.
    pub transaction: TransactionId,
    /// It was seen to be over.
    pub is_over: bool,
    /// What may have ended it.
    pub causes: Causes,
}

/// The place of a charge in the promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChargeNumber(usize);

/// What was promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promises {
    charges: Vec<Charge>,
    /// Version and badges of the local authorization list.
    pub list: Word<(i32, u32)>,
    /// There are badges in the cache.
    pub cache: Word<bool>,
    /// What is reserved.
    pub reservations: Word<BTreeSet<i32>>,
    /// The order that connector 1 is under.
    pub order: Word<Availability>,
}

/// What there is to see when a life is over.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evidence {
    /// The whole journal.
    pub journal: Vec<TransactionEvent>,
    /// The registers before and after, by connector.
    pub registers: BTreeMap<u32, (u64, u64)>,
    /// Every delivery that power has begun, by connector.
    pub begun: BTreeMap<u32, Vec<TransactionId>>,
    /// What session shows of its connectors.
    pub connectors: BTreeMap<u32, SessionConnectorState>,
}

impl Default for Promises {
    fn default() -> Promises {
        Promises {
            charges: Vec::new(),
            list: Word::new((0, 0)),
            cache: Word::new(false),
            reservations: Word::new(BTreeSet::new()),
            order: Word::new(Availability::Operative),
        }
    }
}

impl Promises {
    /// Somebody wants a charge.
    pub fn wants(
        &mut self,
        connector: u32,
        id_tag: &'static str,
        source: AuthorizationSource,
        reservation: Option<i32>,
    ) -> ChargeNumber {
        let (transaction, causes) = (TransactionId(0), Causes::default());
        self.charges.push(Charge { connector, id_tag, source, reservation, transaction, is_over: false, causes });
        ChargeNumber(self.charges.len().saturating_sub(1))
    }

    /// A charge.
    pub fn charge(&self, number: ChargeNumber) -> Option<&Charge> {
        self.charges.get(number.0)
    }

    /// It has not begun: whatever happened before cannot have ended it.
    pub fn has_not_begun(&mut self, number: ChargeNumber) {
        self.with(number, |charge| charge.causes = Causes::default());
    }

    /// It has become a transaction.
    pub fn has_begun(&mut self, number: ChargeNumber, transaction: TransactionId) {
        self.with(number, |charge| charge.transaction = transaction);
    }

    /// Somebody ends it.
    pub fn ask_to_end(&mut self, number: ChargeNumber, cause: Cause) -> usize {
        self.charges.get_mut(number.0).map_or(0, |charge| charge.causes.ask(cause))
    }

    /// Whoever ends it was told that it is being ended.
    pub fn is_ending(&mut self, number: ChargeNumber, place: usize) {
        self.with(number, |charge| charge.causes.answered(place));
    }

    /// It is over.
    pub fn is_over(&mut self, number: ChargeNumber) {
        self.with(number, |charge| charge.is_over = true);
    }

    /// The machine is about to restart in good order; it may come otherwise.
    pub fn perhaps_restarted(&mut self) {
        for charge in self.charges.iter_mut().filter(|charge| !charge.is_over) {
            charge.causes.ask((StopReason::Reboot, ""));
        }
    }

    /// The machine has restarted: nothing that ran then can go on.
    pub fn restarted(&mut self, reason: StopReason) {
        for charge in self.charges.iter_mut().filter(|charge| !charge.is_over) {
            let place = charge.causes.ask((reason, ""));
            charge.causes.answered(place);
        }
    }

    fn with(&mut self, number: ChargeNumber, act: impl FnOnce(&mut Charge)) {
        if let Some(charge) = self.charges.get_mut(number.0) {
            act(charge);
        }
    }

    /// What session shows and has not been promised, or hides though it was.
    pub fn held_against(&self, root: &SessionState, connectors: &BTreeMap<u32, SessionConnectorState>) -> Vec<String> {
        let mut wrong = Vec::new();
        let list = (root.local_list_version, root.local_list_badges);
        if !self.list.allows(&list) {
            wrong.push(format!("the list has version and badges {list:?}, not {:?}", self.list));
        }
        if !self.cache.allows(&(root.cached_badges > 0)) {
            wrong.push(format!("{} badges in the cache, not {:?}", root.cached_badges, self.cache));
        }
        let reserved: BTreeSet<i32> = root.reservations.iter().map(|each| each.reservation.0).collect();
        if !self.reservations.allows(&reserved) {
            wrong.push(format!("{reserved:?} is reserved, not {:?}", self.reservations));
        }
        for (connector, state) in connectors {
            let allowed = if *connector == 1 { &self.order } else { &Word::new(Availability::Operative) };
            if !allowed.allows(&state.availability) {
                wrong.push(format!("connector {connector} is {}, not {allowed:?}", state.availability));
            }
        }
        if !root.conditions.is_empty() {
            wrong.push(format!("session has a fault: {:?}", root.conditions));
        }
        wrong
    }

    /// Everything that does not hold when the life is over.
    pub fn judge(&self, evidence: &Evidence) -> Vec<String> {
        let mut wrong = Vec::new();
        books::judge(&evidence.journal, &evidence.registers, &mut wrong);
        self.judge_charges(evidence, &mut wrong);
        self.judge_deliveries(evidence, &mut wrong);
        judge_connectors(evidence, &mut wrong);
        wrong
    }

    /// Each charge is one transaction, of its driver, with its reservation, and ended by the first cause.
    fn judge_charges(&self, evidence: &Evidence, wrong: &mut Vec<String>) {
        let of = |kind| evidence.journal.iter().filter(move |event| event.kind == kind);
        for charge in &self.charges {
            let is_it = |event: &&TransactionEvent| event.transaction == charge.transaction;
            let reservation: Vec<i32> = charge.reservation.into_iter().collect();
            match of(EventKind::Started).find(is_it) {
                Some(start)
                    if start.connector.0 == charge.connector
                        && start.id_tag == charge.id_tag
                        && start.reservation.iter().map(|each| each.0).eq(reservation) => {}
                other => wrong.push(format!("begins as {other:?}: {charge:?}")),
            }
            let ended: Vec<(StopReason, &str)> =
                of(EventKind::Stopped).filter(is_it).map(|stop| (stop.reason, stop.id_tag.as_str())).collect();
            match ended.as_slice() {
                [cause] if charge.causes.allowed().contains(cause) => {}
                other => wrong.push(format!("ends with {other:?}: {charge:?}")),
            }
        }
        let begun = of(EventKind::Started).count();
        if begun != self.charges.len() {
            wrong.push(format!("{begun} transactions of {} charges that somebody wanted", self.charges.len()));
        }
    }

    /// Power has begun nothing twice, and nothing that is on nobody's bill: each delivery has the number of its
    /// transaction, or one of its own when its vehicle was plugged in again.
    fn judge_deliveries(&self, evidence: &Evidence, wrong: &mut Vec<String>) {
        let mut numbers = BTreeSet::new();
        for (connector, begun) in &evidence.begun {
            for delivery in begun {
                if !numbers.insert(*delivery) {
                    wrong.push(format!("power has begun delivery {delivery} twice"));
                }
                if self.charges.iter().any(|each| each.transaction == *delivery && each.connector != *connector) {
                    wrong.push(format!("delivery {delivery} at connector {connector} is another's transaction"));
                }
            }
        }
    }
}

/// Nothing is left of any charge but its receipt.
fn judge_connectors(evidence: &Evidence, wrong: &mut Vec<String>) {
    for (connector, state) in &evidence.connectors {
        let of_connector = || evidence.journal.iter().filter(|event| event.connector.0 == *connector);
        let last = of_connector().rfind(|event| event.kind == EventKind::Stopped);
        let energy = |event: &TransactionEvent| {
            let start = of_connector().find(|start| start.transaction == event.transaction)?;
            let (from, to) = (start.energy_milliwatt_hours.0, event.energy_milliwatt_hours.0);
            to.checked_sub(from).map(MilliwattHours)
        };
        let receipt = (state.last_transaction, state.last_stop_reason, Some(state.energy_milliwatt_hours));
        if last.map(|last| (last.transaction, last.reason, energy(last))) != Some(receipt) {
            wrong.push(format!("connector {connector} shows {state:?}, and its last event is {last:?}"));
        }
        if state.status != ConnectorStatus::Available || state.transaction != TransactionId(0) {
            wrong.push(format!("connector {connector} is stuck: {state:?}"));
        }
    }
}

#[cfg(test)]
mod tests;
