//! The port to the CSMS: one WebSocket at a time, opened, closed and bounded in size and time as it is told. What it
//! takes to open one is in `dial` and the steps below it; what goes over an open one is in `talk`.

mod dial;
mod error;
mod proxy;
#[cfg(test)]
mod servers;
mod talk;
mod tcp;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_dial;
#[cfg(test)]
mod tests_frames;
#[cfg(test)]
mod tests_tls;
mod tls;
mod upgrade;

use crate::configuration::Target;
use crate::connection::Order;
use crate::exchange::Input;
use crate::settings::LinkSettings;
use busbar_ocpp16::frame::Wire;
pub use dial::shown;
use talk::{Command, Ending, READ_BELOW, WRITING_LIMIT};
use tokio::sync::{mpsc, watch};

/// Answers that peers may still owe, and the station's own requests and pings.
const ROOM_BESIDES: usize = 128;
/// The longest reason that goes to the bus.
const MOST_REASON_CHARACTERS: usize = 300;

/// The loop's side of the port.
pub struct LinkPort {
    /// The link to open: never lost behind frames that wait.
    open: watch::Sender<Option<(u64, Target)>>,
    commands: mpsc::Sender<Command>,
    /// Links up to this number must close.
    close: watch::Sender<Ending>,
    number: u64,
    room: usize,
}

impl LinkPort {
    /// The port and the task that serves it.
    pub fn new<I: From<Input> + Send + 'static>(
        settings: LinkSettings,
        inputs: mpsc::Sender<I>,
    ) -> (LinkPort, impl Future<Output = ()> + Send + 'static) {
        // Each request that was read before reading stopped may put one answer here: there is room for all of them.
        let room = READ_BELOW.saturating_add(inputs.max_capacity()).saturating_add(ROOM_BESIDES);
        let (commands, orders) = mpsc::channel(room);
        let (open, wanted) = watch::channel(None);
        let (close, closed) = watch::channel(Ending { number: 0, reason: "" });
        (LinkPort { open, commands, close, number: 0, room }, serve(settings, wanted, orders, closed, inputs))
    }

    /// Carries an order out.
    pub fn order(&mut self, order: Order) {
        match order {
            Order::Open { number, target } => {
                self.number = number;
                self.open.send_replace(Some((number, target)));
            }
            Order::Close { number } => self.close(number, "the station closed it"),
            Order::Ping => self.put(Command::Ping),
        }
    }

    /// Sends a text.
    pub fn send(&mut self, text: Wire) {
        self.put(Command::Text(text));
    }

    fn put(&mut self, command: Command) {
        if self.commands.try_send(command).is_err() {
            // The network takes nothing: the link is as good as lost, and its end will be reported.
            tracing::warn!(waiting_frames = self.room, "the link takes no more frames");
            self.close(self.number, "the CSMS takes no more frames");
        }
    }

    fn close(&mut self, number: u64, reason: &'static str) {
        // An order that is given again does not change why.
        self.close.send_if_modified(|ending| {
            let new = number > ending.number;
            if new {
                *ending = Ending { number, reason };
            }
            new
        });
    }
}

async fn serve<I: From<Input>>(
    settings: LinkSettings,
    mut wanted: watch::Receiver<Option<(u64, Target)>>,
    mut commands: mpsc::Receiver<Command>,
    mut close: watch::Receiver<Ending>,
    inputs: mpsc::Sender<I>,
) {
    // Why the link could not be opened last: said once for as long as it is the same.
    let mut failing = String::new();
    while wanted.changed().await.is_ok() {
        let Some((number, target)) = wanted.borrow_and_update().clone() else { continue };
        let opened = tokio::select! {
            opened = dial::dial(&settings, &target) => opened,
            reason = talk::ordered_to_close(&mut close, number) => Err(reason.to_owned()),
        };
        let reason = match opened {
            Ok((socket, url)) => {
                failing.clear();
                // Frames of a link that has ended: what must arrive is sent again by whoever waits for it.
                while commands.try_recv().is_ok() {}
                tracing::info!(url, identity = target.identity, "the link is open");
                if inputs.send(Input::Opened { number, url: url.clone() }.into()).await.is_err() {
                    return;
                }
                let talked = talk::talk(socket, number, &mut commands, &mut close, &inputs, WRITING_LIMIT).await;
                let reason = error::printable(&talked, MOST_REASON_CHARACTERS);
                tracing::info!(url, reason, "the link has ended");
                reason
            }
            Err(reason) => {
                if reason == failing {
                    tracing::debug!(reason, "the link cannot be opened");
                } else {
                    tracing::warn!(reason, "the link cannot be opened; it is tried again");
                }
                failing.clone_from(&reason);
                reason
            }
        };
        if inputs.send(Input::Ended { number, dice: fastrand::u32(..), reason }.into()).await.is_err() {
            return;
        }
    }
}
