//! Reservations: what the operator has kept, for whom, until when, and what it is told when that cannot be; that they are
//! there after a kill and after the mains have failed, and how an engineer sees them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use anyhow::{Context, Result, ensure};
use busbar_interfaces::words::{AuthorizationSource, ConnectorStatus, DecisionReason, Verdict};
use busbar_suite::scene::{BADGE, OTHER, STRANGER, Scene};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// A wish to reserve, for some time.
fn wish(number: i32, connector: u32, id_tag: &str, seconds: i64) -> Value {
    let expiry = Timestamp::now() + SignedDuration::from_secs(seconds);
    json!({ "reservationId": number, "connectorId": connector, "idTag": id_tag, "expiryDate": format!("{expiry:.3}") })
}

/// The operator wants a connector, or with 0 any one, kept for ten minutes, and is answered with this.
async fn reserve(scene: &Scene, status: &str, number: i32, connector: u32, id_tag: &str) -> Result<()> {
    scene.answered(status, "ReserveNow", wish(number, connector, id_tag, 600)).await
}

/// The operator gives a reservation up, and is answered with this.
async fn cancel(scene: &Scene, status: &str, number: i32) -> Result<()> {
    scene.answered(status, "CancelReservation", json!({ "reservationId": number })).await
}

/// The operator asks for a charge, and is answered with this.
async fn remote_start(scene: &Scene, status: &str, connector: u32, id_tag: &str) -> Result<()> {
    scene.answered(status, "RemoteStartTransaction", json!({ "connectorId": connector, "idTag": id_tag })).await
}

/// The numbers of what is reserved, as the bus has it.
async fn reserved(scene: &Scene) -> Result<Vec<i32>> {
    let state = scene.session(|_| true).await?;
    Ok(state.reservations.iter().map(|reservation| reservation.reservation.0).collect())
}

/// Plugs in where it is kept for somebody, shows this badge, and looks whether that begins the charge of the reservation.
async fn charge(scene: &Scene, number: usize, badge: &str, reservation: i64) -> Result<()> {
    let connector = scene.presents(badge, DecisionReason::Accepted).await?.connector;
    let transaction = scene.started(number).await?;
    ensure!(transaction.id_tag == badge && transaction.reservation_id == Some(reservation), "{transaction:?}");
    ensure!(transaction.connector == i64::from(connector.0), "{transaction:?}");
    Ok(())
}

#[tokio::test]
async fn tc_046_1_tc_046_2_a_reserved_connector_is_for_its_driver_alone() -> Result<()> {
    let scene = Scene::start().await?;
    let mark = scene.csms()?.mark();
    // tc_046_1
    reserve(&scene, "Accepted", 7, 1, BADGE).await?;
    scene.told_status(mark, 1, "Reserved").await?;
    scene.plug(1, 30_000).await?;
    let decision = scene.presents(STRANGER, DecisionReason::Reserved).await?;
    ensure!((decision.connector.0, decision.verdict) == (1, Verdict::Rejected), "{decision:?}");
    ensure!(scene.csms()?.transactions().is_empty() && reserved(&scene).await? == [7]);
    charge(&scene, 0, BADGE, 7).await?;
    ensure!(reserved(&scene).await?.is_empty(), "it is used up");
    scene.told_status(mark, 1, "Charging").await?;

    // tc_046_2
    let mark = scene.csms()?.mark();
    reserve(&scene, "Accepted", -8, 2, "REMOTE").await?;
    scene.told_status(mark, 2, "Reserved").await?;
    remote_start(&scene, "Rejected", 2, OTHER).await?;
    remote_start(&scene, "Accepted", 2, "remote").await?;
    scene.told_status(mark, 2, "Preparing").await?;
    scene.hardware(2).await?.plug(Default::default()).await?;
    ensure!(scene.started(1).await?.reservation_id == Some(-8));
    scene.told_status(mark, 2, "Charging").await?;
    for number in [0, 1] {
        scene.remote_stop(number).await?;
    }
    scene.adds_up(2).await?;
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn tc_053_1_tc_053_2_a_badge_of_the_group_uses_the_reservation() -> Result<()> {
    let scene = Scene::start().await?;
    let csms = scene.csms()?;
    csms.set_tag(OTHER, "Accepted", Some("FLEET"));
    csms.set_tag("REMOTE", "Accepted", Some("fleet"));
    csms.set_tag(STRANGER, "Accepted", Some("ANOTHER"));
    let for_the_group = |number, connector| {
        let mut wish = wish(number, connector, BADGE, 600);
        wish["parentIdTag"] = json!("FLEET");
        wish
    };
    // tc_053_1
    scene.answered("Accepted", "ReserveNow", for_the_group(21, 1)).await?;
    scene.status(1, ConnectorStatus::Reserved).await?;
    scene.plug(1, 30_000).await?;
    let decision = scene.presents(STRANGER, DecisionReason::Reserved).await?;
    ensure!(decision.verdict == Verdict::Rejected, "{decision:?}");
    charge(&scene, 0, OTHER, 21).await?;
    // tc_053_2
    scene.answered("Accepted", "ReserveNow", for_the_group(22, 2)).await?;
    scene.status(2, ConnectorStatus::Reserved).await?;
    scene.plug(2, 30_000).await?;
    remote_start(&scene, "Accepted", 2, "REMOTE").await?;
    let transaction = scene.started(1).await?;
    ensure!(transaction.id_tag == "REMOTE" && transaction.reservation_id == Some(22), "{transaction:?}");
    for connector in [1, 2] {
        scene.flows(connector).await?;
    }
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn tc_047_tc_051_tc_052_a_reservation_ends_at_its_end_or_when_it_is_given_up() -> Result<()> {
    let scene = Scene::start().await?;
    let mark = scene.csms()?.mark();
    // tc_047: on another connector meanwhile
    scene.answered("Accepted", "ReserveNow", wish(31, 2, OTHER, 2)).await?;
    scene.told_status(mark, 2, "Reserved").await?;
    let expires = scene.session(|_| true).await?.reservations[0].expires_unix_millis.0;

    // tc_052, then tc_051
    reserve(&scene, "Accepted", 30, 1, BADGE).await?;
    scene.told_status(mark, 1, "Reserved").await?;
    cancel(&scene, "Rejected", 4711).await?;
    scene.status(1, ConnectorStatus::Reserved).await?;
    ensure!(reserved(&scene).await? == [30, 31]);
    let here = scene.csms()?.mark();
    cancel(&scene, "Accepted", 30).await?;
    scene.told_status(here, 1, "Available").await?;
    cancel(&scene, "Rejected", 30).await?;

    let available = scene.told_status(here, 2, "Available").await?;
    let at = available.request("StatusNotification").and_then(|told| told["timestamp"].as_str()).context("a time")?;
    let at = at.parse::<Timestamp>()?.as_millisecond();
    let late = at - i64::try_from(expires)?;
    ensure!((0..1000).contains(&late), "it ended {late} ms after its end");
    ensure!(reserved(&scene).await?.is_empty());
    scene.plug(2, 30_000).await?;
    scene.presents(STRANGER, DecisionReason::Accepted).await?;
    ensure!(scene.started(0).await?.reservation_id.is_none());
    scene.flows(2).await?;
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn tc_048_1_tc_048_2_tc_048_3_tc_050_1_tc_050_2_tc_050_3_why_nothing_can_be_kept() -> Result<()> {
    let scene = Scene::start().await?;
    let availability = async |kind: &str| {
        let order = json!({ "connectorId": 1, "type": kind });
        scene.answered("Accepted", "ChangeAvailability", order).await
    };
    // tc_048_1
    let hardware = scene.hardware(1).await?;
    hardware.press_emergency_stop().await?;
    scene.status(1, ConnectorStatus::Faulted).await?;
    reserve(&scene, "Faulted", 1, 1, BADGE).await?;
    // tc_050_1
    let other = scene.hardware(2).await?;
    other.press_emergency_stop().await?;
    scene.status(2, ConnectorStatus::Faulted).await?;
    reserve(&scene, "Faulted", 1, 0, BADGE).await?;
    hardware.release_emergency_stop().await?;
    scene.status(1, ConnectorStatus::Available).await?;
    // tc_048_3
    availability("Inoperative").await?;
    scene.status(1, ConnectorStatus::Unavailable).await?;
    reserve(&scene, "Unavailable", 1, 1, BADGE).await?;
    // tc_050_3: out of service by order comes before faulted.
    reserve(&scene, "Unavailable", 1, 0, BADGE).await?;
    availability("Operative").await?;
    other.release_emergency_stop().await?;
    scene.status(2, ConnectorStatus::Available).await?;
    // tc_048_2; of the station one connector is still free.
    scene.plug(1, 30_000).await?;
    reserve(&scene, "Occupied", 1, 1, BADGE).await?;
    reserve(&scene, "Accepted", 2, 0, OTHER).await?;
    cancel(&scene, "Accepted", 2).await?;
    // tc_050_2
    reserve(&scene, "Accepted", 2, 2, OTHER).await?;
    reserve(&scene, "Occupied", 1, 0, BADGE).await?;
    // case 26: the same number is the same reservation, also of another connector; that one is not there.
    reserve(&scene, "Occupied", 2, 1, OTHER).await?;
    reserve(&scene, "Rejected", 3, 3, BADGE).await?;
    ensure!(reserved(&scene).await? == [2]);
    // It ends with the fault of what it keeps.
    other.press_emergency_stop().await?;
    scene.status(2, ConnectorStatus::Faulted).await?;
    ensure!(reserved(&scene).await?.is_empty());
    other.release_emergency_stop().await?;
    scene.status(2, ConnectorStatus::Available).await?;
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn tc_049_case_26_a_reservation_of_the_station_is_for_any_connector_and_outlives_a_kill_and_a_mains_failure()
-> Result<()> {
    let scene = Scene::start().await?;
    let mark = scene.csms()?.mark();
    reserve(&scene, "Accepted", 40, 0, BADGE).await?;
    for connector in [1, 2] {
        scene.told_status(mark, connector, "Reserved").await?;
    }
    let kept = scene.session(|_| true).await?.reservations;

    let still_kept = async || -> Result<()> {
        for connector in [1, 2] {
            scene.status(connector, ConnectorStatus::Reserved).await?;
        }
        let reservations = scene.session(|_| true).await?.reservations;
        ensure!(reservations == kept, "{reservations:?}, not {kept:?}");
        Ok(())
    };
    let mark = scene.csms()?.mark();
    scene.bench.kill("session").await?;
    still_kept().await?;
    ensure!(scene.csms()?.frames_since(mark).iter().all(|frame| !frame.raw.contains("Available")), "nobody noticed");
    let mark = scene.csms()?.mark();
    scene.loses_power().await?;
    still_kept().await?;
    for connector in [1, 2] {
        scene.told_status(mark, connector, "Reserved").await?;
    }

    scene.plug(2, 30_000).await?;
    let decision = scene.presents(STRANGER, DecisionReason::Reserved).await?;
    ensure!((decision.connector.0, decision.source) == (2, AuthorizationSource::None), "{decision:?}");
    // An engineer sees what is kept, and why the badge was refused.
    let status = String::from_utf8(scene.busbarctl(&["status"]).await?.stdout)?;
    let shown = [
        "reserved         any connector until ",
        "(`busbarctl reservation cancel 40` ends it)",
        "refused at connector 2: it is reserved for another driver",
    ];
    for words in shown {
        ensure!(status.contains(words), "{words}: {status}");
    }
    charge(&scene, 0, BADGE, 40).await?;
    scene.status(1, ConnectorStatus::Available).await?;
    scene.remote_stop(0).await?;
    scene.adds_up(1).await?;
    scene.bench.stop().await;
    Ok(())
}
