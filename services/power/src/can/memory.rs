//! A bus in memory, for tests: several members, each of which can be made bus-off, passive, deaf or lossy.

use super::{BusState, CanBus, ErrorFrame, Frame, Heard, Port, Sending};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// The bus. Members are numbered in the order in which they join.
#[derive(Debug, Clone, Default)]
pub struct MemoryHub(Arc<Mutex<Vec<Member>>>);

#[derive(Debug)]
struct Member {
    /// None when its wire is cut.
    ear: Option<mpsc::Sender<Heard>>,
    off: bool,
    no_room: bool,
    loses: u32,
}

/// A member's connection.
#[derive(Debug)]
pub struct MemoryBus {
    hub: MemoryHub,
    member: usize,
    heard: mpsc::Receiver<Heard>,
}

impl MemoryHub {
    /// A further member.
    pub fn join(&self) -> MemoryBus {
        let (ear, heard) = mpsc::channel(1024);
        let mut members = self.0.lock().expect("sound");
        members.push(Member { ear: Some(ear), off: false, no_room: false, loses: 0 });
        MemoryBus { hub: self.clone(), member: members.len() - 1, heard }
    }

    /// How many have joined.
    pub fn members(&self) -> usize {
        self.0.lock().expect("sound").len()
    }

    fn change(&self, member: usize, change: impl FnOnce(&mut Member)) {
        change(&mut self.0.lock().expect("sound")[member]);
    }

    fn tell(&self, member: usize, state: BusState, counters: (u8, u8)) {
        let said = Heard::Error(ErrorFrame { state: Some(state), counters: Some(counters) });
        self.change(member, |member| member.hear(said));
    }

    /// The member's controller leaves the bus and says so.
    pub fn bus_off(&self, member: usize) {
        self.bus_off_unsaid(member);
        self.tell(member, BusState::BusOff, (248, 0));
    }

    /// It leaves the bus and its error frame is lost.
    pub fn bus_off_unsaid(&self, member: usize) {
        self.change(member, |member| member.off = true);
    }

    /// It comes back and says so.
    pub fn restart(&self, member: usize) {
        self.change(member, |member| member.off = false);
        self.tell(member, BusState::Active, (0, 0));
    }

    /// It sees many errors.
    pub fn passive(&self, member: usize) {
        self.tell(member, BusState::Passive, (130, 1));
    }

    /// The member's next frames reach nobody.
    pub fn lose(&self, member: usize, frames: u32) {
        self.change(member, |member| member.loses = frames);
    }

    /// Whether its queue is full.
    pub fn no_room(&self, member: usize, full: bool) {
        self.change(member, |member| member.no_room = full);
    }

    /// The member's connection is cut.
    pub fn cut(&self, member: usize) {
        self.change(member, |member| member.ear = None);
    }
}

impl Member {
    fn hear(&mut self, heard: Heard) {
        // An ear that is full or gone hears nothing.
        let _ = self.ear.as_ref().map(|ear| ear.try_send(heard));
    }
}

impl CanBus for MemoryBus {
    async fn send(&mut self, frame: &Frame) -> Result<Sending, String> {
        let mut members = self.hub.0.lock().expect("sound");
        let own = &mut members[self.member];
        if own.ear.is_none() {
            return Err("the wire is cut".to_owned());
        }
        if own.off || own.no_room {
            return Ok(Sending::NoRoom);
        }
        if own.loses > 0 {
            own.loses -= 1;
            return Ok(Sending::Done);
        }
        let others = members.iter_mut().enumerate().filter(|(number, other)| *number != self.member && !other.off);
        others.for_each(|(_, other)| other.hear(Heard::Frame(frame.clone())));
        Ok(Sending::Done)
    }

    async fn receive(&mut self) -> Result<Heard, String> {
        self.heard.recv().await.ok_or_else(|| "the wire is cut".to_owned())
    }

    fn is_off(&self) -> Option<bool> {
        Some(self.hub.0.lock().expect("sound")[self.member].off)
    }

    fn remedy(&self) -> String {
        "the test restarts it".to_owned()
    }

    fn descriptor(&self) -> Option<OwnedFd> {
        None
    }
}

impl Port for MemoryHub {
    type Bus = MemoryBus;

    async fn open(&self) -> Result<MemoryBus, String> {
        Ok(self.join())
    }

    async fn take_over(&self, _: OwnedFd) -> Result<MemoryBus, String> {
        Err("memory has no sockets".to_owned())
    }
}

#[tokio::test]
async fn all_others_hear_a_frame_and_faults_hit_one_member() {
    let hub = MemoryHub::default();
    let (mut one, mut two, mut three) = (hub.join(), hub.join(), hub.join());
    let frame = |number| Frame::standard(number, &[]);
    assert_eq!(one.send(&frame(1)).await, Ok(Sending::Done));
    hub.lose(0, 1);
    assert_eq!(one.send(&frame(2)).await, Ok(Sending::Done));
    hub.bus_off(1);
    assert_eq!(one.send(&frame(3)).await, Ok(Sending::Done));
    assert_eq!(two.send(&frame(4)).await, Ok(Sending::NoRoom));
    hub.restart(1);
    assert_eq!(two.send(&frame(5)).await, Ok(Sending::Done));
    assert_eq!(one.receive().await, Ok(Heard::Frame(frame(5))));
    for expected in [frame(1), frame(3), frame(5)] {
        assert_eq!(three.receive().await, Ok(Heard::Frame(expected)));
    }
    assert_eq!(two.receive().await, Ok(Heard::Frame(frame(1))));
    assert!(matches!(two.receive().await, Ok(Heard::Error(ErrorFrame { state: Some(BusState::BusOff), .. }))));
    hub.cut(2);
    assert!(three.receive().await.is_err());
}
