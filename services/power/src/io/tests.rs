//! What the inputs mean, and when they count.

use super::wiring::{ConnectorIo, Point};
use super::{Board, Input, IoNews, LOST_AFTER, Output, Panel, Unit};
use busbar_interfaces::{BoottimeMillis, ConnectorId};
use std::collections::BTreeMap;
use std::time::Duration;

const ONE: ConnectorId = ConnectorId(1);
const HEALTHY: [bool; 8] = [false, false, true, true, true, false, false, false];

fn wired() -> BTreeMap<ConnectorId, ConnectorIo> {
    let mut io = ConnectorIo::standard(7);
    io.inputs.insert(Input::Tilt, (Point::new(7, 6), Duration::from_millis(50)));
    io.inputs.insert(Input::Lock, (Point { inverted: true, ..Point::new(7, 5) }, Duration::ZERO));
    io.outputs.insert(Output::Lock, Point::new(7, 3));
    BTreeMap::from([(ONE, io)])
}

fn each(wiring: &BTreeMap<ConnectorId, ConnectorIo>) -> impl Iterator<Item = (ConnectorId, &ConnectorIo)> {
    wiring.iter().map(|(connector, io)| (*connector, io))
}

fn read(inputs: [bool; 8], coils: [bool; 8]) -> IoNews {
    IoNews::Read(BTreeMap::from([(7, Unit { inputs, coils })]))
}

fn board(panel: &Panel) -> Board {
    let wiring = wired();
    panel.board(ONE, wiring.get(&ONE).expect("wired")).expect("read")
}

#[test]
fn each_input_means_what_its_name_says() {
    let mut panel = Panel::new(BoottimeMillis(0));
    let wiring = wired();
    assert!(panel.board(ONE, wiring.get(&ONE).expect("wired")).is_none(), "nothing is known yet");
    let mut inputs = HEALTHY;
    (inputs[6], inputs[0]) = (true, true);
    panel.told(BoottimeMillis(10), each(&wiring), read(inputs, [true, false, false, true, false, false, false, false]));
    let board = board(&panel);
    assert!(board.mirror(Output::PositiveContactor) && !board.mirror(Output::NegativeContactor));
    assert!(!board.contactors_closed() && !board.contactors_open());
    assert!(board.emergency_stop_healthy() && board.insulation_good() && !board.tilted());
    assert_eq!(board.locked(), Some(true), "its feedback is inverted");
    assert!(board.output(Output::Lock) && board.output(Output::PositiveContactor) && !board.output(Output::Discharge));
    assert!(!board.water(), "not wired");
}

#[test]
fn a_cut_wire_counts_as_tripped() {
    let mut panel = Panel::new(BoottimeMillis(0));
    panel.told(BoottimeMillis(10), each(&wired()), read([false; 8], [false; 8]));
    let board = board(&panel);
    assert!(!board.emergency_stop_healthy() && !board.insulation_good() && board.tilted());
}

#[test]
fn an_input_counts_when_it_has_been_the_same_for_its_time() {
    let mut panel = Panel::new(BoottimeMillis(0));
    let (upright, fallen) = ([true; 8], {
        let mut inputs = [true; 8];
        inputs[6] = false;
        inputs
    });
    for (at, inputs, tilted) in [
        (0, upright, false),
        (10, fallen, false),
        (40, upright, false),
        (50, fallen, false),
        (99, fallen, false),
        (100, fallen, true),
        (110, upright, true),
        (160, upright, false),
    ] {
        panel.told(BoottimeMillis(at), each(&wired()), read(inputs, [false; 8]));
        assert_eq!(board(&panel).tilted(), tilted, "at {at} ms");
    }
}

#[test]
fn what_is_old_is_not_known() {
    let mut panel = Panel::new(BoottimeMillis(0));
    let wiring = wired();
    panel.told(BoottimeMillis(1000), each(&wiring), read(HEALTHY, [false; 8]));
    let at = BoottimeMillis(1000).after(LOST_AFTER);
    panel.forget_old(at, "10.0.0.9:502");
    assert!(panel.lost().is_none());
    panel.forget_old(at.after(Duration::from_millis(1)), "10.0.0.9:502");
    assert_eq!(panel.lost().map(String::as_str), Some("10.0.0.9:502: not read in time"));
    assert!(panel.board(ONE, wiring.get(&ONE).expect("wired")).is_none() && panel.unit(7).is_none());
}

#[test]
fn an_inverted_output_is_ordered_the_other_way_round() {
    let mut io = ConnectorIo::standard(7);
    io.outputs.insert(Output::Lock, Point { inverted: true, ..Point::new(9, 1) });
    let order = io.order(Output::Lock, true).expect("wired");
    assert_eq!((order.unit, order.coil, order.on), (9, 1, false));
    assert!(ConnectorIo::default().order(Output::Lock, true).is_none());
}
