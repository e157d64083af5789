//! The I/O boards behind a Modbus TCP gateway (Waveshare RTU IO 8CH): eight coils, eight inputs each. Outputs keep
//! their state when the bus dies, so the coils' supply needs a watchdog relay of its own (hardware notes §6.1).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_modbus::client::{Context, Reader, Writer, tcp};
use tokio_modbus::slave::{Slave, SlaveContext};

/// Inputs are read this often.
const CYCLE: Duration = Duration::from_millis(100);
/// After a coil was ordered, so long at the quick pace, for the mirror contacts.
const QUICK: (Duration, Duration) = (Duration::from_millis(400), Duration::from_millis(10));
/// A request that takes longer has failed.
const EXCHANGE_LIMIT: Duration = Duration::from_millis(100);
/// Boards that were not read for this time are lost (hardware notes §9.4: 500 ms until stop inputs count as tripped).
pub const LOST_AFTER: Duration = Duration::from_millis(450);

/// One board as it was last read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Board {
    inputs: [bool; 8],
    coils: [bool; 8],
}

impl Board {
    /// A board whose inputs were read, its coils all off.
    pub fn with_inputs(inputs: [bool; 8]) -> Board {
        Board { inputs, coils: [false; 8] }
    }

    /// Both mirror contacts say closed (inputs 0 and 1).
    pub fn contactors_closed(&self) -> bool {
        let [positive, negative, ..] = self.inputs;
        positive && negative
    }

    /// Both mirror contacts say open.
    pub fn contactors_open(&self) -> bool {
        let [positive, negative, ..] = self.inputs;
        !positive && !negative
    }

    /// An input.
    pub fn input(&self, input: u8) -> bool {
        self.inputs.get(usize::from(input)).copied().unwrap_or(false)
    }

    /// The emergency stop's loop is closed (input 2, normally closed: a cut wire counts as pressed).
    pub fn emergency_stop_healthy(&self) -> bool {
        let [_, _, healthy, ..] = self.inputs;
        healthy
    }

    /// The insulation monitor's relay says good (input 3, likewise).
    pub fn insulation_good(&self) -> bool {
        let [_, _, _, good, ..] = self.inputs;
        good
    }

    /// Notes what a coil is.
    #[cfg(test)]
    pub fn set_coil(&mut self, coil: u8, on: bool) {
        if let Some(state) = self.coils.get_mut(usize::from(coil)) {
            *state = on;
        }
    }

    /// A coil as it was last read, or written since.
    pub fn coil(&self, coil: u8) -> bool {
        self.coils.get(usize::from(coil)).copied().unwrap_or(false)
    }
}

/// An order for one coil.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoilOrder {
    /// The board.
    pub unit: u8,
    /// The coil.
    pub coil: u8,
    /// Energised or not.
    pub on: bool,
}

/// What the boards tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IoNews {
    /// They were read.
    Read(BTreeMap<u8, Board>),
    /// They cannot be; why.
    Lost(String),
}

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

    /// Everything that was ordered has been written.
    pub fn all_written(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// What is to be written, opening first.
    fn pending(&self) -> Vec<CoilOrder> {
        let pending = self.0.borrow().clone();
        let mut orders: Vec<CoilOrder> =
            pending.into_iter().map(|((unit, coil), on)| CoilOrder { unit, coil, on }).collect();
        orders.sort_by_key(|order| order.on);
        orders
    }

    fn written(&self, order: CoilOrder) {
        self.0.send_if_modified(|pending| {
            if pending.get(&(order.unit, order.coil)) == Some(&order.on) {
                pending.remove(&(order.unit, order.coil));
            }
            false
        });
    }

    /// What was to be energised is not, later, when it may no longer be wanted: whoever still wants it says so again.
    fn forget_closing(&self) {
        self.0.send_if_modified(|pending| {
            pending.retain(|_, on| !*on);
            false
        });
    }
}

/// Reads the boards on schedule and carries out orders at once. Ends when the loop does.
pub async fn serve_boards<I>(
    address: String,
    units: Vec<u8>,
    coils: Coils,
    news: mpsc::Sender<I>,
    input: impl Fn(IoNews) -> I,
) {
    let mut ordered = coils.0.subscribe();
    let mut gateway: Option<Gateway> = None;
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
        let told = match exchange(&mut gateway, &address, &units, &orders, &coils).await {
            Ok(boards) => {
                good = Instant::now();
                Some(IoNews::Read(boards))
            }
            Err(reason) => {
                gateway = None;
                coils.forget_closing();
                (good.elapsed() >= LOST_AFTER).then(|| IoNews::Lost(format!("{address}: {reason}")))
            }
        };
        let failed = gateway.is_none();
        if let Some(told) = told
            && news.send(input(told)).await.is_err()
        {
            return;
        }
        let quick = Instant::now() < quick_until || (failed && good.elapsed() < LOST_AFTER);
        next = Instant::now() + if quick { QUICK.1 } else { CYCLE };
    }
}

struct Gateway {
    context: Context,
    coils: BTreeMap<u8, [bool; 8]>,
    /// The unit whose coils are read back next: a board that lost its supply has lost them.
    read_back: usize,
}

/// One request and its answer.
async fn within<T>(request: impl Future<Output = tokio_modbus::Result<T>>) -> Result<T, String> {
    let answer = timeout(EXCHANGE_LIMIT, request).await.map_err(|_| "no answer".to_owned())?;
    answer.map_err(|error| error.to_string())?.map_err(|exception| exception.to_string())
}

async fn exchange(
    gateway: &mut Option<Gateway>,
    address: &str,
    units: &[u8],
    orders: &[CoilOrder],
    coils: &Coils,
) -> Result<BTreeMap<u8, Board>, String> {
    let open = match gateway {
        Some(open) => open,
        None => gateway.insert(connect(address, units).await?),
    };
    for order in orders {
        open.context.set_slave(Slave(order.unit));
        within(open.context.write_single_coil(u16::from(order.coil), order.on)).await?;
        coils.written(*order);
        let coils = open.coils.entry(order.unit).or_default();
        if let Some(coil) = coils.get_mut(usize::from(order.coil)) {
            *coil = order.on;
        }
    }
    if let Some(unit) = units.get(open.read_back) {
        open.context.set_slave(Slave(*unit));
        let coils = within(open.context.read_coils(0, 8)).await?;
        open.coils.insert(*unit, eight(&coils)?);
    }
    open.read_back = open.read_back.saturating_add(1).checked_rem(units.len()).unwrap_or(0);
    let mut boards = BTreeMap::new();
    for unit in units {
        open.context.set_slave(Slave(*unit));
        let inputs = within(open.context.read_discrete_inputs(0, 8)).await?;
        let coils = open.coils.get(unit).copied().unwrap_or_default();
        boards.insert(*unit, Board { coils, ..Board::with_inputs(eight(&inputs)?) });
    }
    Ok(boards)
}

/// Connects and reads the coils, which have kept whatever was ordered last.
async fn connect(address: &str, units: &[u8]) -> Result<Gateway, String> {
    let stream = timeout(EXCHANGE_LIMIT, TcpStream::connect(address)).await.map_err(|_| "no answer".to_owned())?;
    let stream = stream.map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let mut gateway = Gateway { context: tcp::attach(stream), coils: BTreeMap::new(), read_back: 0 };
    for unit in units {
        gateway.context.set_slave(Slave(*unit));
        let coils = within(gateway.context.read_coils(0, 8)).await?;
        gateway.coils.insert(*unit, eight(&coils)?);
    }
    Ok(gateway)
}

fn eight(bits: &[bool]) -> Result<[bool; 8], String> {
    let first = bits.get(..8).and_then(|first| <[bool; 8]>::try_from(first).ok());
    first.ok_or_else(|| format!("a board answered {} bits of 8", bits.len()))
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
