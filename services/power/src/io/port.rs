//! The task that reads the units on schedule and carries out orders at once.

use super::coils::Coils;
use super::gate::Gate;
use super::{CHANNELS, CoilOrder, IoNews, LOST_AFTER, Unit};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// Inputs are read this often.
const CYCLE: Duration = Duration::from_millis(100);
/// After a coil was ordered, so long at the quick pace, for the mirror contacts.
const QUICK: (Duration, Duration) = (Duration::from_millis(400), Duration::from_millis(10));

/// Units of eight inputs and eight coils: a Modbus gateway, or the controller's own lines. An error means that the
/// connection is of no use any more.
pub trait DigitalIo: Sized {
    /// Opens it.
    async fn open(address: &str) -> Result<Self, String>;
    /// Reads the inputs of a unit.
    async fn inputs(&mut self, unit: u8) -> Result<[bool; CHANNELS], String>;
    /// Reads the coils of a unit.
    async fn coils(&mut self, unit: u8) -> Result<[bool; CHANNELS], String>;
    /// Writes a coil.
    async fn write(&mut self, order: CoilOrder) -> Result<(), String>;
}

/// An open port and its units as they were last read, with what was written since.
struct Open<P> {
    port: P,
    units: BTreeMap<u8, Unit>,
    /// The unit whose coils are read back next: a board that lost its supply has lost them.
    read_back: usize,
}

/// Reads the units on schedule and carries out orders at once. Ends when the loop does.
pub async fn serve_units<P: DigitalIo, I>(
    address: String,
    units: BTreeSet<u8>,
    gate: Gate,
    coils: Coils,
    news: mpsc::Sender<I>,
    input: impl Fn(IoNews) -> I,
) {
    let units: Vec<u8> = units.into_iter().collect();
    let mut ordered = coils.subscribe();
    let mut open: Option<Open<P>> = None;
    let mut good = Instant::now();
    let mut next = Instant::now();
    let mut quick_until = Instant::now();
    loop {
        tokio::select! {
            changed = ordered.changed() => if changed.is_err() { return },
            () = sleep_until(next) => {}
        }
        let orders = coils.pending();
        if !orders.is_empty() {
            quick_until = Instant::now() + QUICK.0;
        }
        let mut refused = Vec::new();
        let told = match exchange(&mut open, &address, &units, &orders, (&gate, &coils), &mut refused).await {
            Ok(read) => {
                good = Instant::now();
                Some(IoNews::Read(read))
            }
            Err(reason) => {
                open = None;
                coils.forget_closing();
                (good.elapsed() >= LOST_AFTER).then(|| IoNews::Lost(format!("{address}: {reason}")))
            }
        };
        let failed = open.is_none();
        for told in refused.into_iter().map(IoNews::Refused).chain(told) {
            if news.send(input(told)).await.is_err() {
                return;
            }
        }
        let quick = Instant::now() < quick_until || (failed && good.elapsed() < LOST_AFTER);
        next = Instant::now() + if quick { QUICK.1 } else { CYCLE };
    }
}

async fn exchange<P: DigitalIo>(
    open: &mut Option<Open<P>>,
    address: &str,
    units: &[u8],
    orders: &[CoilOrder],
    (gate, coils): (&Gate, &Coils),
    refused: &mut Vec<String>,
) -> Result<BTreeMap<u8, Unit>, String> {
    let open = match open {
        Some(open) => open,
        None => open.insert(Open { port: P::open(address).await?, units: BTreeMap::new(), read_back: 0 }),
    };
    let (closing, opening): (Vec<CoilOrder>, Vec<CoilOrder>) = orders.iter().partition(|order| order.on);
    open.switch_off(&opening, coils).await?;
    if open.units.is_empty() {
        open.units = open.read_all(units).await?;
    }
    for order in closing {
        if let Err(reason) = gate.pass(&open.units, order) {
            // Whoever still wants it says so again.
            coils.written(order);
            refused.push(reason);
            continue;
        }
        open.write(order, coils).await?;
    }
    if let Some(unit) = units.get(open.read_back) {
        open.units.entry(*unit).or_default().coils = open.port.coils(*unit).await?;
    }
    open.read_back = open.read_back.saturating_add(1).checked_rem(units.len()).unwrap_or(0);
    for unit in units {
        open.units.entry(*unit).or_default().inputs = open.port.inputs(*unit).await?;
    }
    Ok(open.units.clone())
}

impl<P: DigitalIo> Open<P> {
    /// Before anything is read, and each on its own: a unit that does not answer must not keep the contactor of another
    /// closed. The first that failed is told.
    async fn switch_off(&mut self, orders: &[CoilOrder], coils: &Coils) -> Result<(), String> {
        let mut result = Ok(());
        for order in orders {
            let written = self.write(*order, coils).await;
            result = result.and(written);
        }
        result
    }

    async fn write(&mut self, order: CoilOrder, coils: &Coils) -> Result<(), String> {
        self.port.write(order).await?;
        coils.written(order);
        let unit = self.units.get_mut(&order.unit);
        if let Some(coil) = unit.and_then(|unit| unit.coils.get_mut(usize::from(order.coil))) {
            *coil = order.on;
        }
        Ok(())
    }

    /// The coils have kept whatever was ordered last.
    async fn read_all(&mut self, units: &[u8]) -> Result<BTreeMap<u8, Unit>, String> {
        let mut read = BTreeMap::new();
        for unit in units {
            let (coils, inputs) = (self.port.coils(*unit).await?, self.port.inputs(*unit).await?);
            read.insert(*unit, Unit { inputs, coils });
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering::Relaxed;

    /// Boards whose mirror contacts follow their coils at once.
    struct Boards(BTreeMap<u8, [bool; CHANNELS]>);

    impl DigitalIo for Boards {
        async fn open(_: &str) -> Result<Boards, String> {
            Ok(Boards(BTreeMap::new()))
        }

        async fn inputs(&mut self, unit: u8) -> Result<[bool; CHANNELS], String> {
            self.coils(unit).await
        }

        async fn coils(&mut self, unit: u8) -> Result<[bool; CHANNELS], String> {
            Ok(self.0.get(&unit).copied().unwrap_or_default())
        }

        async fn write(&mut self, order: CoilOrder) -> Result<(), String> {
            self.0.entry(order.unit).or_default()[usize::from(order.coil)] = order.on;
            Ok(())
        }
    }

    async fn next_read(news: &mut mpsc::Receiver<IoNews>, refused: &mut Vec<String>) -> BTreeMap<u8, Unit> {
        loop {
            match news.recv().await.expect("the port goes on") {
                IoNews::Read(units) => return units,
                IoNews::Refused(reason) => refused.push(reason),
                IoNews::Lost(reason) => panic!("{reason}"),
            }
        }
    }

    /// Unit 1 does not answer, unit 4 does.
    struct HalfSilent;

    static CONTACTOR: AtomicBool = AtomicBool::new(true);

    impl HalfSilent {
        fn answers(unit: u8) -> Result<[bool; CHANNELS], String> {
            if unit == 4 { Ok([CONTACTOR.load(Relaxed); CHANNELS]) } else { Err("unit 1 does not answer".to_owned()) }
        }
    }

    impl DigitalIo for HalfSilent {
        async fn open(_: &str) -> Result<HalfSilent, String> {
            Ok(HalfSilent)
        }

        async fn inputs(&mut self, unit: u8) -> Result<[bool; CHANNELS], String> {
            HalfSilent::answers(unit)
        }

        async fn coils(&mut self, unit: u8) -> Result<[bool; CHANNELS], String> {
            HalfSilent::answers(unit)
        }

        async fn write(&mut self, order: CoilOrder) -> Result<(), String> {
            HalfSilent::answers(order.unit).map(|_| CONTACTOR.store(order.on, Relaxed))
        }
    }

    #[tokio::test]
    async fn a_unit_that_does_not_answer_keeps_no_contactor_of_another_closed() {
        let (coils, (sender, mut news)) = (Coils::new(), mpsc::channel(8));
        coils.order(CoilOrder { unit: 1, coil: 0, on: false });
        coils.order(CoilOrder { unit: 4, coil: 0, on: false });
        let gate = Gate::new([], []);
        let units = [1, 4].into();
        tokio::spawn(serve_units::<HalfSilent, _>("here".to_owned(), units, gate, coils.clone(), sender, |told| told));
        assert!(matches!(news.recv().await, Some(IoNews::Lost(_))));
        assert!(!CONTACTOR.load(Relaxed), "the contactor is open");
        assert_eq!(coils.pending(), [CoilOrder { unit: 1, coil: 0, on: false }], "and the other order waits");
    }

    #[tokio::test]
    async fn rule_6_2_4_an_order_that_would_join_two_connectors_is_told_and_never_written() {
        let gate = Gate::new([(1, (3, 0)), (1, (4, 0))], []);
        let (coils, (sender, mut news)) = (Coils::new(), mpsc::channel(8));
        let order = |unit, on| CoilOrder { unit, coil: 0, on };
        coils.order(order(3, true));
        coils.order(order(4, true));
        tokio::spawn(serve_units::<Boards, _>("here".to_owned(), [3, 4].into(), gate, coils.clone(), sender, |told| {
            told
        }));
        let mut refused = Vec::new();
        let units = next_read(&mut news, &mut refused).await;
        assert_eq!(refused.len(), 1);
        assert!(refused[0].starts_with("coil 0 of unit 4") && refused[0].contains("module 1"), "{refused:?}");
        assert!(units[&3].coil(0) && !units[&4].coil(0) && coils.all_written());
        // What was ordered open is closed until its mirror contact has been read open.
        coils.order(order(3, false));
        while next_read(&mut news, &mut refused).await[&3].input(0) {}
        coils.order(order(4, true));
        while !next_read(&mut news, &mut refused).await[&4].coil(0) {}
        assert_eq!(refused.len(), 1);
    }
}
