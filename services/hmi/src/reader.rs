//! The port to the card reader: a PN532 on a serial line, opened again with growing patience when it is lost.

use crate::chip::{Chip, Garbled, Order, WAKE_UP, identifier, next_frame};
use crate::service::Input;
use nix::sys::termios::{BaudRate, SetArg, cfmakeraw, cfsetspeed, tcgetattr, tcsetattr};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// A chip that is there acknowledges and answers within this time, but for a card that it waits for.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);
/// Without a card the chip is asked this often whether it is still there.
const ALIVE_EVERY: Duration = Duration::from_secs(2);
/// A card that was read is looked for again after this time.
const CARD_PAUSE: Duration = Duration::from_millis(300);
/// Between two attempts to open the line: at first, and at most.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// Why the reader is lost.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("the serial line cannot be opened: {0}")]
    Open(#[source] std::io::Error),
    #[error("the serial line failed: {0}")]
    Line(#[from] std::io::Error),
    #[error("no answer within {} ms", ANSWER_LIMIT.as_millis())]
    Silent,
    #[error(transparent)]
    Garbled(#[from] Garbled),
    /// The loop no longer listens.
    #[error("the service is stopping")]
    Stopping,
}

/// Reads cards for ever; cards, and whether the reader is there, become inputs of the loop.
pub async fn read_cards(device: PathBuf, inputs: mpsc::Sender<Input>) {
    let (first, most) = PATIENCE;
    let mut patience = first;
    loop {
        let lost = match Line::open(&device) {
            Ok(mut line) => match line.begin().await {
                Ok(()) => {
                    patience = first;
                    line.serve(&inputs).await
                }
                Err(lost) => lost,
            },
            Err(error) => Lost::Open(error),
        };
        if matches!(lost, Lost::Stopping) || inputs.send(Input::Reader(Err(lost.to_string()))).await.is_err() {
            return;
        }
        sleep(patience).await;
        patience = patience.saturating_mul(2).min(most);
    }
}

struct Line {
    device: AsyncFd<File>,
    chip: Chip,
    heard: Vec<u8>,
}

impl Line {
    fn open(path: &Path) -> std::io::Result<Line> {
        let flags = nix::fcntl::OFlag::O_NOCTTY | nix::fcntl::OFlag::O_NONBLOCK;
        let device = OpenOptions::new().read(true).write(true).custom_flags(flags.bits()).open(path)?;
        let mut terminal = tcgetattr(&device)?;
        cfmakeraw(&mut terminal);
        cfsetspeed(&mut terminal, BaudRate::B115200)?;
        tcsetattr(&device, SetArg::TCSAFLUSH, &terminal)?;
        // The deprecation is about types whose descriptor may change while it is registered; a `File` owns one
        // descriptor, and this one is not replaced. The replacement is an unsafe function, which this workspace forbids.
        #[allow(deprecated, reason = "a File keeps its descriptor")]
        let device = AsyncFd::new(device)?;
        Ok(Line { device, chip: Chip::new(), heard: Vec::new() })
    }

    async fn begin(&mut self) -> Result<(), Lost> {
        self.write(&WAKE_UP).await?;
        self.perform(Order::Configure).await?;
        self.perform(Order::Identify).await?;
        Ok(())
    }

    async fn serve(&mut self, inputs: &mpsc::Sender<Input>) -> Lost {
        if inputs.send(Input::Reader(Ok(()))).await.is_err() {
            return Lost::Stopping;
        }
        loop {
            match self.card().await {
                Ok(Some(identifier)) => {
                    if inputs.send(Input::Card(identifier)).await.is_err() {
                        return Lost::Stopping;
                    }
                    sleep(CARD_PAUSE).await;
                }
                Ok(None) => {}
                Err(lost) => return lost,
            }
        }
    }

    /// Waits for a card for a while; without one, makes sure that the chip is still there.
    async fn card(&mut self) -> Result<Option<Vec<u8>>, Lost> {
        self.order(Order::ListCard).await?;
        match timeout(ALIVE_EVERY, frame(&self.device, &mut self.heard)).await {
            Ok(frame) => {
                let answer = self.chip.answer(Order::ListCard, frame?)?;
                Ok(identifier(&answer).map(<[u8]>::to_vec))
            }
            Err(_) => {
                let abort = self.chip.abort();
                self.write(&abort).await?;
                self.perform(Order::Identify).await?;
                Ok(None)
            }
        }
    }

    async fn perform(&mut self, order: Order) -> Result<Vec<u8>, Lost> {
        self.order(order).await?;
        let frame = timeout(ANSWER_LIMIT, frame(&self.device, &mut self.heard)).await.map_err(|_| Lost::Silent)??;
        Ok(self.chip.answer(order, frame)?)
    }

    async fn order(&mut self, order: Order) -> Result<(), Lost> {
        let bytes = self.chip.order(order);
        self.write(&bytes).await?;
        let acknowledged = async {
            // A card's answer may have been on its way when the order before was aborted: it is passed over.
            while self.chip.acknowledged(frame(&self.device, &mut self.heard).await?).is_err() {}
            Ok(())
        };
        timeout(ANSWER_LIMIT, acknowledged).await.map_err(|_| Lost::Silent)?
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let mut ready = timeout(ANSWER_LIMIT, self.device.writable()).await.map_err(|_| Lost::Silent)??;
            match ready.try_io(|device| device.get_ref().write(rest)) {
                Ok(Ok(written)) => rest = rest.get(written..).unwrap_or_default(),
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => {}
            }
        }
        Ok(())
    }
}

/// The next frame out of the line.
async fn frame(device: &AsyncFd<File>, heard: &mut Vec<u8>) -> Result<Vec<u8>, Lost> {
    loop {
        if let Some(frame) = next_frame(heard) {
            return Ok(frame);
        }
        let mut ready = device.readable().await?;
        let mut bytes = [0; 256];
        match ready.try_io(|device| device.get_ref().read(&mut bytes)) {
            Ok(Ok(0)) => return Err(std::io::Error::from(ErrorKind::UnexpectedEof).into()),
            Ok(Ok(read)) => heard.extend(bytes.iter().take(read)),
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => {}
        }
    }
}
