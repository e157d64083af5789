//! The HMI process on a bus of its own, with a card reader on a pseudo-terminal and a scripted session.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a test"
)]

use busbar_interfaces::hmi::{HmiState, ScreenState};
use busbar_interfaces::words::{BadgeOutcome, ReaderState};
use busbar_interfaces::{BoottimeMillis, ConnectorId, Published, ServiceName, names};
use busbar_private_bus::lone::{Lone, until};
use busbar_runtime::{Bus, object};
use nix::pty::openpty;
use std::fs::File;
use std::io::{Read, Write};
use std::time::Duration;
use tokio::sync::mpsc;
use zbus::Connection;

async fn state<S: Published>(client: &Connection, service: ServiceName, path: &str) -> Option<S> {
    object::fetch(client, service, path).await.ok()
}

const ACKNOWLEDGED: [u8; 6] = [0x00, 0x00, 0xFF, 0x00, 0xFF, 0x00];

fn answer(content: &[u8]) -> Vec<u8> {
    let sum = content.iter().fold(0xD5u8, |sum, byte| sum.wrapping_add(*byte));
    let length = u8::try_from(content.len() + 1).expect("short");
    let mut frame = vec![0x00, 0x00, 0xFF, length, length.wrapping_neg(), 0xD5];
    frame.extend(content);
    frame.extend([sum.wrapping_neg(), 0x00]);
    frame
}

/// A PN532 with a card in its field, until the line is closed.
fn play_reader(mut line: File, card: [u8; 7]) {
    let mut heard = Vec::new();
    let mut bytes = [0; 64];
    while let Ok(count) = line.read(&mut bytes) {
        heard.extend(&bytes[..count]);
        while let Some(at) = heard.windows(2).position(|pair| pair[0] == 0xD4 && [0x02, 0x14, 0x4A].contains(&pair[1]))
        {
            let mut said = ACKNOWLEDGED.to_vec();
            said.extend(match heard[at + 1] {
                0x02 => answer(&[0x03, 0x32, 1, 6, 7]),
                0x14 => answer(&[0x15]),
                _ => answer(&[&[0x4B, 1, 1, 0, 0x44, 0, 7], card.as_slice()].concat()),
            });
            heard.drain(..at + 2);
            if line.write_all(&said).is_err() {
                return;
            }
        }
    }
}

struct Session(mpsc::Sender<(String, ConnectorId)>);

#[zbus::interface(name = "io.busbar.Session1")]
impl Session {
    async fn present_badge(
        &self,
        id_tag: String,
        shown_connector: ConnectorId,
        _valid_until_boottime_millis: BoottimeMillis,
    ) -> (BadgeOutcome, ConnectorId) {
        self.0.send((id_tag, shown_connector)).await.expect("the test listens");
        (BadgeOutcome::NoVehicle, shown_connector)
    }
}

#[tokio::test]
async fn a_card_becomes_one_badge_and_the_driver_sees_the_outcome() {
    let line = openpty(None, None).expect("a pseudo-terminal");
    let device = nix::unistd::ttyname(&line.slave).expect("a name");
    let bench =
        Lone::new(env!("CARGO_BIN_EXE_busbar-hmi"), &format!("[hmi]\nreader = \"pn532:{}\"\n", device.display())).await;
    let session = Bus::connect(names::SESSION, bench.address()).await.expect("the bus is there");
    let (sender, mut badges) = mpsc::channel(4);
    session.serve(names::SESSION.root, Session(sender)).await.expect("served");
    session.claim().await.expect("the name is free");
    let reader = File::from(line.master);
    std::thread::spawn(move || play_reader(reader, [0x04, 0xA2, 0x0B, 0x11, 0x22, 0x33, 0x44]));

    let client = bench.client().await;
    let _service = bench.start();
    let badge = tokio::time::timeout(Duration::from_secs(10), badges.recv()).await.expect("in time").expect("a badge");
    assert_eq!(badge, ("04A20B11223344".to_owned(), ConnectorId(1)));
    let path = names::HMI.connector(ConnectorId(1));
    until("the outcome", async || {
        let screen: ScreenState = state(&client, names::HMI, &path).await?;
        screen.message.contains("plug in your vehicle first").then_some(())
    })
    .await;
    let root: HmiState = state(&client, names::HMI, names::HMI.root).await.expect("the root");
    assert_eq!((root.reader, root.conditions), (ReaderState::Ready, Vec::new()));
    assert!(badges.try_recv().is_err(), "the card is still the same one");
}

#[tokio::test]
async fn a_reader_that_is_not_there_is_known_before_the_name_is_claimed() {
    let bench = Lone::new(env!("CARGO_BIN_EXE_busbar-hmi"), "[hmi]\nreader = \"pn532:/nowhere/ttyUSB0\"\n").await;
    let client = bench.client().await;
    let _service = bench.start();
    let root = until("the HMI", async || state::<HmiState>(&client, names::HMI, names::HMI.root).await).await;
    assert_eq!(root.reader, ReaderState::Lost);
    assert_eq!(root.conditions.len(), 1);
    assert!(root.page_address.starts_with("http://127.0.0.1:"));
}
