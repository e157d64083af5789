//! The I/O boards behind a Modbus TCP gateway (Waveshare RTU IO 8CH): eight coils, eight inputs each. Outputs keep
//! their state when the bus dies, so the coils' supply needs a watchdog relay of its own (hardware notes §6.1).

use std::collections::BTreeMap;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_modbus::client::{Context, Reader, Writer, tcp};
use tokio_modbus::slave::{Slave, SlaveContext};

/// Inputs are read this often.
const CYCLE: Duration = Duration::from_millis(100);
/// After a coil was ordered, so long at the quick pace, for the mirror contacts.
const QUICK: (Duration, Duration) = (Duration::from_millis(400), Duration::from_millis(10));
/// An exchange that takes longer has failed.
const EXCHANGE_LIMIT: Duration = Duration::from_millis(300);
/// Failures in a row until the boards count as lost (hardware notes §9.4: three misses).
const MISSES: u32 = 3;

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

    /// The two poles disagree.
    pub fn contactors_differ(&self) -> bool {
        !self.contactors_closed() && !self.contactors_open()
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

    /// Notes what was ordered.
    pub fn set_coil(&mut self, coil: u8, on: bool) {
        if let Some(state) = self.coils.get_mut(usize::from(coil)) {
            *state = on;
        }
    }

    /// A coil as it was last read or ordered.
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

/// Reads the boards on schedule and carries out orders at once. Ends when the loop does.
pub async fn serve_boards<I>(
    address: String,
    units: Vec<u8>,
    mut orders: mpsc::Receiver<CoilOrder>,
    news: mpsc::Sender<I>,
    input: impl Fn(IoNews) -> I,
) {
    let mut gateway: Option<Gateway> = None;
    let mut misses = 0u32;
    let mut next = Instant::now();
    let mut quick_until = Instant::now();
    loop {
        let order = tokio::select! {
            order = orders.recv() => match order { Some(order) => Some(order), None => return },
            () = sleep_until(next) => None,
        };
        let mut batch: Vec<CoilOrder> = order.into_iter().collect();
        while let Ok(order) = orders.try_recv() {
            batch.push(order);
        }
        if !batch.is_empty() {
            quick_until = Instant::now() + QUICK.0;
        }
        let exchanged = timeout(EXCHANGE_LIMIT, exchange(&mut gateway, &address, &units, &batch)).await;
        let told = match exchanged.unwrap_or_else(|_| Err("no answer".to_owned())) {
            Ok(boards) => {
                misses = 0;
                Some(IoNews::Read(boards))
            }
            Err(reason) => {
                gateway = None;
                misses = misses.saturating_add(1);
                (misses >= MISSES).then(|| IoNews::Lost(format!("{address}: {reason}")))
            }
        };
        if let Some(told) = told
            && news.send(input(told)).await.is_err()
        {
            return;
        }
        next = Instant::now() + if Instant::now() < quick_until { QUICK.1 } else { CYCLE };
    }
}

struct Gateway {
    context: Context,
    coils: BTreeMap<u8, [bool; 8]>,
}

async fn exchange(
    gateway: &mut Option<Gateway>,
    address: &str,
    units: &[u8],
    orders: &[CoilOrder],
) -> Result<BTreeMap<u8, Board>, String> {
    let open = match gateway {
        Some(open) => open,
        None => gateway.insert(connect(address, units).await?),
    };
    for order in orders {
        open.context.set_slave(Slave(order.unit));
        let written = open.context.write_single_coil(u16::from(order.coil), order.on).await;
        written.map_err(|error| error.to_string())?.map_err(|exception| exception.to_string())?;
        let coils = open.coils.entry(order.unit).or_default();
        if let Some(coil) = coils.get_mut(usize::from(order.coil)) {
            *coil = order.on;
        }
    }
    let mut boards = BTreeMap::new();
    for unit in units {
        open.context.set_slave(Slave(*unit));
        let inputs = open.context.read_discrete_inputs(0, 8).await;
        let inputs = inputs.map_err(|error| error.to_string())?.map_err(|exception| exception.to_string())?;
        let coils = open.coils.get(unit).copied().unwrap_or_default();
        boards.insert(*unit, Board { coils, ..Board::with_inputs(eight(&inputs)?) });
    }
    Ok(boards)
}

/// Connects and reads the coils, which have kept whatever was ordered last.
async fn connect(address: &str, units: &[u8]) -> Result<Gateway, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let mut gateway = Gateway { context: tcp::attach(stream), coils: BTreeMap::new() };
    for unit in units {
        gateway.context.set_slave(Slave(*unit));
        let coils = gateway.context.read_coils(0, 8).await;
        let coils = coils.map_err(|error| error.to_string())?.map_err(|exception| exception.to_string())?;
        gateway.coils.insert(*unit, eight(&coils)?);
    }
    Ok(gateway)
}

fn eight(bits: &[bool]) -> Result<[bool; 8], String> {
    let first = bits.get(..8).and_then(|first| <[bool; 8]>::try_from(first).ok());
    first.ok_or_else(|| format!("a board answered {} bits of 8", bits.len()))
}
