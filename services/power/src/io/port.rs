//! The task that reads the units on schedule and carries out orders at once.

use super::coils::Coils;
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

/// An open port and what its coils are.
struct Open<P> {
    port: P,
    coils: BTreeMap<u8, [bool; CHANNELS]>,
    /// The unit whose coils are read back next: a board that lost its supply has lost them.
    read_back: usize,
}

/// Reads the units on schedule and carries out orders at once. Ends when the loop does.
pub async fn serve_units<P: DigitalIo, I>(
    address: String,
    units: BTreeSet<u8>,
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
        let told = match exchange(&mut open, &address, &units, &orders, &coils).await {
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
        if let Some(told) = told
            && news.send(input(told)).await.is_err()
        {
            return;
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
    coils: &Coils,
) -> Result<BTreeMap<u8, Unit>, String> {
    let open = match open {
        Some(open) => open,
        None => open.insert(connect(address, units).await?),
    };
    for order in orders {
        open.port.write(*order).await?;
        coils.written(*order);
        let coils = open.coils.entry(order.unit).or_default();
        if let Some(coil) = coils.get_mut(usize::from(order.coil)) {
            *coil = order.on;
        }
    }
    if let Some(unit) = units.get(open.read_back) {
        let coils = open.port.coils(*unit).await?;
        open.coils.insert(*unit, coils);
    }
    open.read_back = open.read_back.saturating_add(1).checked_rem(units.len()).unwrap_or(0);
    let mut read = BTreeMap::new();
    for unit in units {
        let inputs = open.port.inputs(*unit).await?;
        let coils = open.coils.get(unit).copied().unwrap_or_default();
        read.insert(*unit, Unit { inputs, coils });
    }
    Ok(read)
}

/// Opens the port and reads the coils, which have kept whatever was ordered last.
async fn connect<P: DigitalIo>(address: &str, units: &[u8]) -> Result<Open<P>, String> {
    let mut open = Open { port: P::open(address).await?, coils: BTreeMap::new(), read_back: 0 };
    for unit in units {
        let coils = open.port.coils(*unit).await?;
        open.coils.insert(*unit, coils);
    }
    Ok(open)
}
