//! Frames that are to go to a bus. Urgent ones go before all others and are never thrown away; orders that they
//! overrule are dropped, so that nothing undoes them.

use super::Frame;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;

/// So many different urgent frames are kept while the bus is away.
const MOST_KEPT: usize = 64;

/// Counts frames that could not be queued or sent, for all who drop some of one bus.
#[derive(Debug, Clone, Default)]
pub struct Dropped(Arc<AtomicU64>);

impl Dropped {
    /// So many more.
    pub fn add(&self, frames: u64) {
        self.0.fetch_add(frames, Ordering::Relaxed);
    }

    /// All until now.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A frame whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The frame.
    pub frame: Frame,
    /// It must get through.
    pub urgent: bool,
}

/// Frames to a bus.
#[derive(Debug)]
pub struct Outgoing {
    queue: mpsc::Receiver<Frame>,
    urgent: mpsc::Receiver<Frame>,
    /// Whether this waiting frame (first) is to be dropped because of this urgent one (second).
    overruled: fn(&Frame, &Frame) -> bool,
    dropped: Dropped,
    /// Urgent ones that could not be sent yet, before all others.
    first: VecDeque<Frame>,
    /// Taken out of the queue and not sent yet.
    waiting: VecDeque<Frame>,
}

impl Outgoing {
    /// Nothing waits. `overruled` says whether a waiting frame (its first argument) is undone by an urgent one.
    pub fn new(
        queue: mpsc::Receiver<Frame>,
        urgent: mpsc::Receiver<Frame>,
        overruled: fn(&Frame, &Frame) -> bool,
        dropped: Dropped,
    ) -> Outgoing {
        Outgoing { queue, urgent, overruled, dropped, first: VecDeque::new(), waiting: VecDeque::new() }
    }

    /// Counts what is dropped on the way to this bus.
    pub fn dropped(&self) -> &Dropped {
        &self.dropped
    }

    /// The next frame; `None` when there will be none. Dropping the future before it is ready loses nothing.
    pub async fn next(&mut self) -> Option<Due> {
        let urgent = match self.first.pop_front().or_else(|| self.urgent.try_recv().ok()) {
            Some(frame) => frame,
            None => match self.waiting.pop_front() {
                Some(frame) => return Some(Due { frame, urgent: false }),
                None => tokio::select! {
                    biased;
                    Some(frame) = self.urgent.recv() => frame,
                    frame = self.queue.recv() => return Some(Due { frame: frame?, urgent: false }),
                },
            },
        };
        while let Ok(frame) = self.queue.try_recv() {
            self.waiting.push_back(frame);
        }
        let before = self.waiting.len();
        self.waiting.retain(|frame| !(self.overruled)(frame, &urgent));
        self.drop_frames(before.saturating_sub(self.waiting.len()));
        Some(Due { frame: urgent, urgent: true })
    }

    /// A frame that the bus did not take: an urgent one is next again, another is stale by the time there is room.
    pub fn not_taken(&mut self, due: Due) {
        if due.urgent {
            self.first.push_front(due.frame);
        } else {
            self.drop_frames(1);
        }
    }

    /// What was to be sent while the bus was away is stale, and the next cycle says what holds then. Urgent frames
    /// are kept, each once: nothing may be on that was to be off, however long the bus was away.
    pub fn forget(&mut self) {
        let mut stale = self.waiting.len();
        self.waiting.clear();
        while self.queue.try_recv().is_ok() {
            stale = stale.saturating_add(1);
        }
        while let Ok(frame) = self.urgent.try_recv() {
            if self.first.contains(&frame) {
                continue;
            }
            if self.first.len() == MOST_KEPT {
                self.first.pop_front();
                stale = stale.saturating_add(1);
            }
            self.first.push_back(frame);
        }
        self.drop_frames(stale);
    }

    fn drop_frames(&self, frames: usize) {
        self.dropped.add(u64::try_from(frames).unwrap_or(u64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use proptest::prelude::*;

    /// Byte 0 is the module; byte 1 says that the frame is an order.
    fn order(module: u8, what: u8) -> Frame {
        Frame::extended(0x100, &[module, 1, what])
    }

    fn question(module: u8) -> Frame {
        Frame::extended(0x200, &[module, 0])
    }

    const OFF: u8 = 0xFF;

    struct Wires {
        queue: mpsc::Sender<Frame>,
        urgent: mpsc::Sender<Frame>,
        outgoing: Outgoing,
    }

    fn wires() -> Wires {
        let ((queue, queued), (urgent, first)) = (mpsc::channel(8), mpsc::channel(8));
        let overruled = |frame: &Frame, off: &Frame| frame.data()[1] == 1 && frame.data()[0] == off.data()[0];
        Wires { queue, urgent, outgoing: Outgoing::new(queued, first, overruled, Dropped::default()) }
    }

    async fn all(wires: &mut Wires) -> Vec<Frame> {
        let mut frames = Vec::new();
        let busy = |outgoing: &Outgoing| {
            !(outgoing.first.is_empty()
                && outgoing.waiting.is_empty()
                && outgoing.queue.is_empty()
                && outgoing.urgent.is_empty())
        };
        while busy(&wires.outgoing) {
            frames.extend(wires.outgoing.next().await.map(|due| due.frame));
        }
        frames
    }

    #[tokio::test]
    async fn off_is_sent_first_and_nothing_after_it_undoes_it() {
        let mut wires = wires();
        for frame in [order(1, 7), order(2, 7), question(1)] {
            wires.queue.try_send(frame).expect("room");
        }
        wires.urgent.try_send(order(1, OFF)).expect("room");
        let sent = all(&mut wires).await;
        assert_eq!(sent, [order(1, OFF), order(2, 7), question(1)], "a question undoes nothing");
        assert_eq!(wires.outgoing.dropped().count(), 1);
    }

    #[tokio::test]
    async fn all_urgent_ones_go_before_the_first_other_in_their_order() {
        let mut wires = wires();
        wires.queue.try_send(question(3)).expect("room");
        for module in [5, 4, 6] {
            wires.urgent.try_send(order(module, OFF)).expect("room");
        }
        assert_eq!(all(&mut wires).await, [order(5, OFF), order(4, OFF), order(6, OFF), question(3)]);
    }

    #[tokio::test]
    async fn an_urgent_frame_that_finds_no_room_is_next_again_and_another_is_dropped() {
        let mut wires = wires();
        wires.urgent.try_send(order(1, OFF)).expect("room");
        wires.urgent.try_send(order(2, OFF)).expect("room");
        wires.queue.try_send(question(1)).expect("room");
        let due = wires.outgoing.next().await.expect("a frame");
        wires.outgoing.not_taken(due);
        assert_eq!(wires.outgoing.dropped().count(), 0);
        assert_eq!(all(&mut wires).await, [order(1, OFF), order(2, OFF), question(1)]);
        wires.outgoing.not_taken(Due { frame: question(1), urgent: false });
        assert_eq!((all(&mut wires).await, wires.outgoing.dropped().count()), (Vec::new(), 1));
    }

    #[tokio::test]
    async fn what_waited_for_a_lost_bus_is_stale_except_what_is_urgent() {
        let mut wires = wires();
        wires.queue.try_send(order(1, 7)).expect("room");
        wires.queue.try_send(question(1)).expect("room");
        for _ in 0..3 {
            wires.urgent.try_send(order(1, OFF)).expect("room");
        }
        wires.outgoing.forget();
        wires.outgoing.forget();
        assert_eq!((all(&mut wires).await, wires.outgoing.dropped().count()), (vec![order(1, OFF)], 2));
    }

    #[tokio::test]
    async fn the_end_of_the_loop_is_the_end_of_the_frames() {
        let Wires { queue, urgent, mut outgoing } = wires();
        queue.try_send(question(1)).expect("room");
        drop((queue, urgent));
        assert_eq!(outgoing.next().await, Some(Due { frame: question(1), urgent: false }));
        assert_eq!(outgoing.next().await, None);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Order(u8),
        Off(u8),
        Next { taken: bool },
        Forget,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0u8..3).prop_map(Step::Order),
            2 => (0u8..3).prop_map(Step::Off),
            4 => any::<bool>().prop_map(|taken| Step::Next { taken }),
            1 => Just(Step::Forget),
        ]
    }

    proptest! {
        #[test]
        fn rule_no_off_is_lost_and_no_order_of_before_it_follows_it(steps in proptest::collection::vec(step(), 1..80)) {
            let mut wires = wires();
            let mut alive: Vec<Frame> = Vec::new();
            let mut owed = [false; 3];
            let rest = std::iter::repeat_n(Step::Next { taken: true }, 100);
            for (number, step) in steps.into_iter().chain(rest).enumerate() {
                match step {
                    Step::Order(module) => {
                        let order = order(module, u8::try_from(number).expect("small"));
                        if wires.queue.try_send(order.clone()).is_ok() {
                            alive.push(order);
                        }
                    }
                    Step::Off(module) => {
                        owed[usize::from(module)] |= wires.urgent.try_send(order(module, OFF)).is_ok();
                    }
                    Step::Next { taken } => {
                        let Some(due) = wires.outgoing.next().now_or_never().flatten() else { continue };
                        let module = due.frame.data()[0];
                        if due.urgent {
                            owed[usize::from(module)] &= !taken;
                            alive.retain(|order| order.data()[0] != module);
                        } else {
                            prop_assert!(alive.contains(&due.frame), "{:?} was overruled or is stale", due.frame);
                            prop_assert!(wires.outgoing.first.is_empty(), "an urgent one waited");
                        }
                        if !taken {
                            wires.outgoing.not_taken(due);
                        }
                    }
                    Step::Forget => {
                        wires.outgoing.forget();
                        alive.clear();
                    }
                }
            }
            prop_assert_eq!(owed, [false; 3]);
        }
    }
}
