//! Coils that were ordered and not written yet.

use super::CoilOrder;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

/// Orders that have not been written yet, by unit and coil; the latest wins. Both sides change it in place, so that
/// neither ever waits for the other.
#[derive(Debug, Clone)]
pub struct Coils(Arc<watch::Sender<BTreeMap<(u8, u8), bool>>>);

impl Coils {
    /// Nothing ordered.
    pub fn new() -> Coils {
        Coils(Arc::new(watch::Sender::new(BTreeMap::new())))
    }

    /// Orders a coil.
    pub fn order(&self, order: CoilOrder) {
        self.0.send_modify(|pending| {
            pending.insert((order.unit, order.coil), order.on);
        });
    }

    /// Tells of every new order.
    pub fn subscribe(&self) -> watch::Receiver<BTreeMap<(u8, u8), bool>> {
        self.0.subscribe()
    }

    /// Everything that was ordered has been written.
    pub fn all_written(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// What is to be written, opening first.
    pub fn pending(&self) -> Vec<CoilOrder> {
        let pending = self.0.borrow().clone();
        let mut orders: Vec<CoilOrder> =
            pending.into_iter().map(|((unit, coil), on)| CoilOrder { unit, coil, on }).collect();
        orders.sort_by_key(|order| order.on);
        orders
    }

    /// An order was carried out, or refused.
    pub fn written(&self, order: CoilOrder) {
        self.0.send_if_modified(|pending| {
            if pending.get(&(order.unit, order.coil)) == Some(&order.on) {
                pending.remove(&(order.unit, order.coil));
            }
            false
        });
    }

    /// What was to be energised is not, later, when it may no longer be wanted: whoever still wants it says so again.
    pub fn forget_closing(&self) {
        self.0.send_if_modified(|pending| {
            pending.retain(|_, on| !*on);
            false
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_wait_until_they_are_written_and_the_latest_wins() {
        let coils = Coils::new();
        let order = |unit, coil, on| CoilOrder { unit, coil, on };
        coils.order(order(1, 0, true));
        coils.order(order(2, 0, false));
        assert_eq!(coils.pending(), [order(2, 0, false), order(1, 0, true)], "opening first");
        coils.order(order(1, 0, false));
        coils.written(order(1, 0, true));
        assert!(coils.pending().contains(&order(1, 0, false)), "what was written is no longer what was ordered");
        coils.order(order(3, 4, true));
        coils.forget_closing();
        assert_eq!(coils.pending(), [order(1, 0, false), order(2, 0, false)]);
        coils.written(order(1, 0, false));
        coils.written(order(2, 0, false));
        assert!(coils.all_written());
    }
}
