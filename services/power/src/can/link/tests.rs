use super::*;
use crate::can::Dropped;
use crate::can::Health;
use crate::can::memory::{MemoryBus, MemoryHub};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(10);

/// A link under test and the loop's ends of it.
struct Rig {
    queue: mpsc::Sender<Frame>,
    urgent: mpsc::Sender<Frame>,
    news: mpsc::Receiver<BusNews>,
    descriptors: mpsc::Receiver<OwnedFd>,
    dropped: Dropped,
    time: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

fn rig<F: Future<Output = ()> + Send + 'static>(
    start: impl FnOnce(Outgoing, Clock, mpsc::Sender<BusNews>, mpsc::Sender<OwnedFd>) -> F,
) -> Rig {
    let ((queue, queued), (urgent, first)) = (mpsc::channel(64), mpsc::channel(64));
    let ((told, news), (opened, descriptors)) = (mpsc::channel(256), mpsc::channel(8));
    let (dropped, time) = (Dropped::default(), Arc::new(AtomicU64::new(1_000)));
    let outgoing = Outgoing::new(queued, first, |frame, off| frame.data() == off.data(), dropped.clone());
    let task = tokio::spawn(start(outgoing, Clock::by_hand(time.clone()), told, opened));
    Rig { queue, urgent, news, descriptors, dropped, time, task }
}

fn in_memory(hub: &MemoryHub) -> Rig {
    let hub = hub.clone();
    rig(|outgoing, clock, told, _| async move {
        let line = Line::new(Vec::new(), 125_000, clock, told, |news| news);
        keep_open(&hub, None, outgoing, line, |_| ()).await;
    })
}

fn over_network(server: &TcpListener, left_open: Option<OwnedFd>, accepted: Vec<Accepted>) -> Rig {
    let address = format!("socketcand://{}/b", server.local_addr().expect("an address"));
    let address = BusAddress::parse(&address).expect("good");
    rig(|outgoing, clock, told, opened| async move {
        let link = Link { address, accepted, bit_rate: 500_000, left_open, clock };
        serve_bus(link, outgoing, told, |news| news, move |fd| opened.try_send(fd).expect("room")).await;
    })
}

impl Rig {
    async fn told(&mut self) -> BusNews {
        timeout(LIMIT, self.news.recv()).await.expect("in time").expect("news")
    }

    /// The next news that is no health.
    async fn word(&mut self) -> BusNews {
        loop {
            match self.told().await {
                BusNews::Health(_) => {}
                other => return other,
            }
        }
    }

    /// The next health for which this holds; all other news are passed over.
    async fn health(&mut self, holds: impl Fn(&Health) -> bool) -> Health {
        loop {
            match self.told().await {
                BusNews::Health(health) if holds(&health) => return health,
                _ => {}
            }
        }
    }
}

fn frame(number: u8) -> Frame {
    Frame::extended(0x0283_F000 | u32::from(number), &[number])
}

async fn hear(bus: &mut MemoryBus) -> Heard {
    timeout(LIMIT, bus.receive()).await.expect("in time").expect("open")
}

/// Plays the server's part of the opening.
async fn greet(server: &TcpListener) -> TcpStream {
    let (mut stream, _) = timeout(LIMIT, server.accept()).await.expect("in time").expect("a client");
    stream.write_all(b"< hi >< ok >< ok >").await.expect("written");
    read_until(&mut stream, "< open b >< rawmode >").await;
    stream
}

async fn read_until(stream: &mut TcpStream, end: &str) {
    let mut text = String::new();
    let mut bytes = [0; 256];
    while !text.ends_with(end) {
        let length = timeout(LIMIT, stream.read(&mut bytes)).await.expect("in time").expect("open");
        assert_ne!(length, 0, "closed after {text}");
        text.push_str(std::str::from_utf8(&bytes[..length]).expect("text"));
    }
}

#[tokio::test]
async fn frames_go_both_ways_and_are_counted() {
    let hub = MemoryHub::default();
    let mut module = hub.join();
    let mut rig = in_memory(&hub);
    assert_eq!(rig.word().await, BusNews::Up);
    rig.queue.send(frame(1)).await.expect("sent");
    assert_eq!(hear(&mut module).await, Heard::Frame(frame(1)));
    module.send(&frame(2)).await.expect("sent");
    assert_eq!(rig.word().await, BusNews::Received(frame(2)));
    rig.dropped.add(3);
    let health = rig.health(|health| health.sent > 0).await;
    assert_eq!((health.sent, health.received, health.dropped, health.state), (1, 1, 3, BusState::Active));
    assert!(health.load_permille > 0);
}

#[tokio::test]
async fn health_is_told_each_second_and_at_once_when_the_state_changes() {
    let hub = MemoryHub::default();
    let mut rig = in_memory(&hub);
    rig.health(|health| health.state == BusState::Active).await;
    rig.time.store(7_000, Ordering::SeqCst);
    hub.passive(0);
    let health = rig.health(|health| health.state == BusState::Passive).await;
    assert_eq!((health.transmit_errors, health.receive_errors, health.error_frames), (130, 1, 1));
    assert_eq!(health.since, BoottimeMillis(7_000));
    assert!(matches!(rig.told().await, BusNews::Health(again) if again == health), "nothing else to tell");
}

#[tokio::test]
async fn a_bus_that_is_off_is_down_until_it_restarts_and_only_off_frames_survive() {
    let hub = MemoryHub::default();
    let mut module = hub.join();
    let mut rig = in_memory(&hub);
    assert_eq!(rig.word().await, BusNews::Up);
    hub.bus_off(1);
    assert_eq!(rig.health(|health| health.state == BusState::BusOff).await.bus_offs, 1);
    assert!(matches!(rig.word().await, BusNews::Down(reason) if reason.starts_with("bus-off")));
    rig.queue.send(frame(1)).await.expect("room");
    rig.urgent.send(frame(0xFF)).await.expect("room");
    hub.restart(1);
    assert_eq!(rig.word().await, BusNews::Up);
    assert_eq!(hear(&mut module).await, Heard::Frame(frame(0xFF)));
    rig.queue.send(frame(2)).await.expect("room");
    assert_eq!(hear(&mut module).await, Heard::Frame(frame(2)), "what waited was stale");
    let health = rig.health(|health| health.sent == 2).await;
    assert_eq!((health.state, health.dropped, hub.members()), (BusState::Active, 1, 2));
}

#[tokio::test]
async fn bus_off_and_restart_are_seen_without_their_error_frames() {
    let hub = MemoryHub::default();
    let mut rig = in_memory(&hub);
    assert_eq!(rig.word().await, BusNews::Up);
    hub.bus_off_unsaid(0);
    assert!(matches!(rig.word().await, BusNews::Down(reason) if reason.starts_with("bus-off")));
    hub.restart(0);
    assert_eq!(rig.word().await, BusNews::Up);
}

#[tokio::test]
async fn a_bus_that_is_lost_is_opened_again_and_an_off_frame_outlives_the_loss() {
    let hub = MemoryHub::default();
    let mut module = hub.join();
    let mut rig = in_memory(&hub);
    assert_eq!(rig.word().await, BusNews::Up);
    hub.cut(1);
    rig.urgent.send(frame(0xFF)).await.expect("room");
    rig.health(|health| health.state == BusState::Down).await;
    assert_eq!(rig.word().await, BusNews::Down("the wire is cut".to_owned()));
    assert_eq!(rig.word().await, BusNews::Up);
    assert_eq!((hear(&mut module).await, hub.members()), (Heard::Frame(frame(0xFF)), 3));
}

#[tokio::test]
async fn without_room_an_off_frame_is_tried_until_it_is_sent_and_another_frame_is_dropped() {
    let hub = MemoryHub::default();
    let mut module = hub.join();
    let mut rig = in_memory(&hub);
    assert_eq!(rig.word().await, BusNews::Up);
    hub.no_room(1, true);
    rig.queue.send(frame(1)).await.expect("room");
    rig.health(|health| health.dropped == 1).await;
    rig.urgent.send(frame(0xFF)).await.expect("room");
    rig.queue.send(frame(0xFF)).await.expect("room");
    rig.health(|health| health.dropped == 2).await;
    hub.no_room(1, false);
    assert_eq!(hear(&mut module).await, Heard::Frame(frame(0xFF)));
    assert_eq!(rig.health(|health| health.sent > 0).await.sent, 1, "the overruled one is not sent");
}

#[tokio::test]
async fn only_wanted_frames_are_told_and_errors_of_the_server_are_counted() {
    let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let vehicles = Accepted { id: 0x0006_B000, mask: 0x00FF_F000 };
    let mut rig = over_network(&server, None, vec![vehicles]);
    let mut stream = greet(&server).await;
    assert_eq!(rig.word().await, BusNews::Up);
    let text = b"< error no such frame >< frame 01063000 1.0 01 >< frame 0106B000 1.0 02 >< error 040 1.0 >";
    stream.write_all(text).await.expect("written");
    assert_eq!(rig.word().await, BusNews::Received(Frame::extended(0x0106_B000, &[2])));
    let health = rig.health(|health| health.state == BusState::BusOff).await;
    assert_eq!((health.received, health.error_frames, health.dropped), (2, 1, 1));
    assert!(matches!(rig.word().await, BusNews::Down(_)));
    stream.write_all(b"< error 100 1.0 >").await.expect("written");
    assert_eq!(rig.word().await, BusNews::Up);
}

#[tokio::test]
async fn the_next_process_goes_on_with_the_socket_and_what_waits_in_it() {
    let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mut last = over_network(&server, None, Vec::new());
    let mut stream = greet(&server).await;
    assert_eq!(last.word().await, BusNews::Up);
    let left = last.descriptors.recv().await.expect("a descriptor");
    last.task.abort();
    let _ = last.task.await;
    for number in 0..100 {
        let text = format!("< frame 0283F0{number:02X} 1.0 {number:02X} >");
        stream.write_all(text.as_bytes()).await.expect("the connection lives");
    }
    let mut next = over_network(&server, Some(left), Vec::new());
    next.queue.send(frame(7)).await.expect("room");
    assert_eq!(next.word().await, BusNews::Up);
    for number in 0..100 {
        assert_eq!(next.word().await, BusNews::Received(frame(number)));
    }
    read_until(&mut stream, "< send 0283F007 1 07 >").await;
    assert!(next.descriptors.try_recv().is_err(), "what was taken over is kept already");
}

#[tokio::test]
async fn a_socket_that_is_not_usable_is_replaced() {
    let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let pipe = std::io::pipe().expect("a pipe").0;
    let mut rig = over_network(&server, Some(OwnedFd::from(pipe)), Vec::new());
    let _stream = greet(&server).await;
    assert_eq!(rig.word().await, BusNews::Up);
    assert!(rig.descriptors.recv().await.is_some());
}

#[tokio::test]
async fn a_socket_whose_server_has_gone_is_replaced() {
    let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let client = std::net::TcpStream::connect(server.local_addr().expect("an address")).expect("connects");
    drop(server.accept().await.expect("a client"));
    let mut rig = over_network(&server, Some(OwnedFd::from(client)), Vec::new());
    let _stream = greet(&server).await;
    rig.descriptors.recv().await.expect("a descriptor");
    while rig.word().await != BusNews::Up {}
}

#[tokio::test]
async fn the_link_ends_with_the_loop() {
    let hub = MemoryHub::default();
    let Rig { queue, urgent, news, task, .. } = in_memory(&hub);
    drop((queue, urgent, news));
    timeout(LIMIT, task).await.expect("in time").expect("no panic");
}
