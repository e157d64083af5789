//! What the central system has seen: frames and links, the last of them if memory is bounded. Pure.

use std::collections::VecDeque;

use serde::Serialize;

use crate::frame::Frame;
use crate::wire::Secured;

/// One attempt of a charge point to connect.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Link {
    /// Counts all attempts from 0.
    pub number: u64,
    /// The charge point; empty where it was turned away before it could name itself.
    pub identity: String,
    /// Whether the WebSocket was opened.
    pub accepted: bool,
    /// Why it was not, for people; the words of the TLS library where TLS failed.
    pub refusal: Option<String>,
    /// The HTTP `Authorization` header as sent.
    pub authorization: Option<String>,
    /// What was agreed on over TLS; `None` on plain TCP.
    pub secured: Option<Secured>,
    /// When it came, in milliseconds since the central system started.
    pub opened_millis: u64,
    /// When it ended; `None` while it is open.
    pub closed_millis: Option<u64>,
    /// WebSocket pings read from the station.
    pub pings: u64,
}

/// What is known of whoever connects.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    pub(crate) identity: String,
    pub(crate) authorization: Option<String>,
    pub(crate) secured: Option<Secured>,
}

/// The frames and links, each limited to `keep` entries.
#[derive(Debug)]
pub(crate) struct Journal {
    keep: usize,
    frames: VecDeque<Frame>,
    next_frame: u64,
    links: VecDeque<Link>,
    next_link: u64,
}

impl Journal {
    pub(crate) fn new(keep: Option<usize>) -> Self {
        Self {
            keep: keep.unwrap_or(usize::MAX),
            frames: VecDeque::new(),
            next_frame: 0,
            links: VecDeque::new(),
            next_link: 0,
        }
    }

    pub(crate) fn keeps_all(&self) -> bool {
        self.keep == usize::MAX
    }

    /// Records a frame that is numbered by [`Journal::mark`].
    pub(crate) fn frame(&mut self, frame: Frame) {
        self.next_frame = frame.seq.saturating_add(1);
        self.frames.push_back(frame);
        while self.frames.len() > self.keep {
            self.frames.pop_front();
        }
    }

    /// The number the next frame will get.
    pub(crate) fn mark(&self) -> u64 {
        self.next_frame
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.frames.front().map_or(self.next_frame, |frame| frame.seq)
    }

    /// The kept frames numbered `from` or later.
    pub(crate) fn since(&self, from: u64) -> impl Iterator<Item = &Frame> {
        let skip = usize::try_from(from.saturating_sub(self.dropped())).unwrap_or(usize::MAX);
        self.frames.range(skip.min(self.frames.len())..)
    }

    pub(crate) fn last(&self) -> Option<&Frame> {
        self.frames.back()
    }

    /// Records a connection that was opened.
    pub(crate) fn link(&mut self, opened_millis: u64, caller: Caller) -> u64 {
        let Caller { identity, authorization, secured } = caller;
        let number = self.next_link;
        self.next_link = number.saturating_add(1);
        self.links.push_back(Link {
            number,
            identity,
            accepted: true,
            refusal: None,
            authorization,
            secured,
            opened_millis,
            closed_millis: None,
            pings: 0,
        });
        while self.links.len() > self.keep {
            self.links.pop_front();
        }
        number
    }

    /// Records a connection that was turned away.
    pub(crate) fn refusal(&mut self, at_millis: u64, caller: Caller, why: String) {
        let number = self.link(at_millis, caller);
        if let Some(link) = self.find(number) {
            link.accepted = false;
            link.refusal = Some(why);
            link.closed_millis = Some(at_millis);
        }
    }

    pub(crate) fn closed(&mut self, number: u64, at_millis: u64) {
        if let Some(link) = self.find(number) {
            link.closed_millis.get_or_insert(at_millis);
        }
    }

    pub(crate) fn pinged(&mut self, number: u64) {
        if let Some(link) = self.find(number) {
            link.pings = link.pings.saturating_add(1);
        }
    }

    fn find(&mut self, number: u64) -> Option<&mut Link> {
        let first = self.links.front()?.number;
        self.links.get_mut(usize::try_from(number.checked_sub(first)?).ok()?)
    }

    pub(crate) fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.iter()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::frame::{Direction, Message};

    #[test]
    fn only_the_last_frames_are_kept_and_numbers_go_on() {
        let mut journal = Journal::new(Some(2));
        for n in 0..5_u64 {
            let raw = format!(r#"[3,"{n}",{{}}]"#);
            let message = Message::parse(&raw);
            journal.frame(Frame {
                seq: n,
                at: Timestamp::UNIX_EPOCH,
                offset_millis: n,
                identity: "CP1".into(),
                direction: Direction::ToStation,
                doubtful: false,
                raw,
                message,
            });
        }
        let seqs = |from| journal.since(from).map(|frame| frame.seq).collect::<Vec<_>>();
        assert_eq!(seqs(0), [3, 4]);
        assert_eq!(seqs(4), [4]);
        assert_eq!(seqs(9), [] as [u64; 0]);
        assert_eq!((journal.dropped(), journal.mark()), (3, 5));
    }

    #[test]
    fn a_link_counts_its_pings_and_closes_once() {
        let mut journal = Journal::new(Some(2));
        journal.refusal(0, Caller::default(), "dropped from the record".into());
        journal.refusal(1, Caller::default(), "no".into());
        let number = journal.link(2, Caller { identity: "CP1".into(), ..Caller::default() });
        journal.pinged(number);
        journal.closed(number, 7);
        journal.closed(number, 9);
        let links: Vec<_> = journal.links().cloned().collect();
        assert_eq!(
            links.iter().map(|link| (link.accepted, link.closed_millis, link.pings)).collect::<Vec<_>>(),
            [(false, Some(1), 0), (true, Some(7), 1)]
        );
    }
}
