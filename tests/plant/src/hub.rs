//! The two CAN buses: every member of a bus gets each frame that another member or a simulated node sends.
//!
//! A member that does not take its frames in time is put off the bus; nobody waits for it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use crate::cabinet::Bus;
use crate::frame::Frame;

/// Frames that may wait for one member.
const QUEUE: usize = 1024;

/// Name of a member on the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberId(u64);

#[derive(Debug)]
struct Member {
    id: MemberId,
    bus: Bus,
    queue: mpsc::Sender<Frame>,
}

#[derive(Debug, Default)]
struct Members {
    joined: u64,
    present: Vec<Member>,
}

/// Distributes frames.
#[derive(Debug, Default)]
pub struct Hub {
    members: Mutex<Members>,
}

impl Hub {
    /// Joins a bus; leaving is dropping the receiver.
    pub fn join(&self, bus: Bus) -> (MemberId, mpsc::Receiver<Frame>) {
        let (queue, frames) = mpsc::channel(QUEUE);
        let mut members = self.lock();
        members.joined = members.joined.wrapping_add(1);
        let id = MemberId(members.joined);
        members.present.push(Member { id, bus, queue });
        (id, frames)
    }

    /// Gives a frame to every member of a bus but its sender.
    pub fn send(&self, bus: Bus, sender: Option<MemberId>, frame: &Frame) {
        self.lock().present.retain(|member| {
            let receives = member.bus == bus && Some(member.id) != sender;
            !receives || member.queue.try_send(*frame).is_ok()
        });
    }

    fn lock(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_on_the_bus_but_the_sender_gets_the_frame() {
        let hub = Hub::default();
        let frame = Frame::extended(1, [1]);
        let (one, mut to_one) = hub.join(Bus::Modules);
        let (_, mut to_two) = hub.join(Bus::Modules);
        let (_, mut to_other) = hub.join(Bus::Vehicles);
        hub.send(Bus::Modules, Some(one), &frame);
        assert_eq!(to_two.try_recv(), Ok(frame));
        assert!(to_one.try_recv().is_err() && to_other.try_recv().is_err());
    }

    #[test]
    fn a_member_that_does_not_listen_is_put_off() {
        let hub = Hub::default();
        let (_, mut frames) = hub.join(Bus::Modules);
        for _ in 0..=QUEUE {
            hub.send(Bus::Modules, None, &Frame::extended(1, [1]));
        }
        let received = std::iter::from_fn(|| frames.try_recv().ok()).count();
        assert_eq!((received, frames.is_closed()), (QUEUE, true));
    }
}
