//! A way to the CSMS that does not work: the station leaves it by itself for the one that did, unless an engineer chose
//! it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use anyhow::{Result, ensure};
use busbar_bench::Options;
use busbar_csms::{Answer, Csms, Options as CsmsOptions};
use busbar_interfaces::settings::SettingsProxy;
use busbar_interfaces::words::{KeyOrigin, Link, SetVerdict};
use busbar_runtime::Clock;
use busbar_runtime::bus::REQUEST_VALIDITY;
use busbar_suite::link::{ask, change, prove, requests};
use busbar_suite::scene::{IDENTITY, LIMIT, Scene, slots};
use nix::sys::signal::Signal;
use serde_json::json;
use std::time::Duration;
use tokio::net::TcpListener;

const RIGHT: &str = "the-right-password";
const WRONG: &str = "another-password";

/// The trial of a new way takes two seconds.
fn short(mut options: Options) -> Options {
    options.station_file += "\n[ocpp]\ntrial_seconds = 2\nretry_most_millis = 500\n";
    options
}

/// An address where nobody listens.
async fn nobody() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    Ok(format!("ws://{}/ocpp", listener.local_addr()?))
}

/// Waits until the station is back at its own CSMS, and checks what it says there.
async fn is_back(scene: &Scene, from: u64, key: &str, old: Option<&str>) -> Result<()> {
    let csms = scene.csms()?;
    scene.accepted_at(&csms.url()).await?;
    scene.link(|state| state.link == Link::Accepted && !state.is_trial).await?;
    scene.registered().await?;
    ensure!(ask(csms, key).await?.as_deref() == old, "{key}");
    let record = scene.key(key).await?;
    ensure!(record.origin == KeyOrigin::Rollback && record.value == old.unwrap_or_default(), "{record:?}");
    let boots = requests(csms, from, "BootNotification");
    ensure!(boots <= 1, "{boots} BootNotifications");
    // The way that is back is the one to come back to again.
    prove(csms).await
}

#[tokio::test]
async fn case_32_from_an_address_that_does_not_work_the_station_comes_back_by_itself() -> Result<()> {
    let scene = Scene::start_with(short).await?;
    let csms = scene.csms()?;
    // It takes the connection and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let unknown = csms.url().replace("/ocpp", "/elsewhere");
    for address in [nobody().await?, unknown, format!("ws://{}/ocpp", silent.local_addr()?)] {
        let mark = csms.mark();
        let began = tokio::time::Instant::now();
        ensure!(change(csms, "SupervisionUrl", &address).await? == "Accepted", "{address}");
        let state = scene.link(|state| state.is_trial && state.link == Link::Disconnected).await?;
        ensure!(scene.key("SupervisionUrl").await?.origin == KeyOrigin::Csms, "{state:?}");
        is_back(&scene, mark, "SupervisionUrl", Some(&csms.url())).await?;
        println!("{address}: back after {} ms", began.elapsed().as_millis());
    }
    let unknown = csms.links().into_iter().filter(|link| !link.accepted).count();
    ensure!(unknown > 0, "the address that answers 404 was never asked");
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn case_32_with_a_wrong_password_in_a_charge_the_station_comes_back_and_loses_nothing() -> Result<()> {
    let scene = with_the_right_password().await?;
    let csms = scene.csms()?;
    let before = scene.hardware(1).await?.meter_milliwatt_hours().await?;
    scene.charge(1, 50_000).await?;
    scene.sampled(0, 1).await?;
    let (mark, links) = (csms.mark(), csms.links().len());
    ensure!(change(csms, "AuthorizationKey", WRONG).await? == "Accepted");
    let state = scene.link(|state| state.link_reason.contains("401")).await?;
    ensure!(state.is_trial, "{state:?}");
    scene.link(|state| state.link == Link::Accepted && !state.is_trial).await?;
    ensure!(ask(csms, "AuthorizationKey").await?.is_none());
    ensure!(scene.key("AuthorizationKey").await?.origin == KeyOrigin::Rollback);
    ensure!(csms.links().iter().skip(links).any(|link| !link.accepted), "the wrong password was never tried");
    ensure!(requests(csms, mark, "BootNotification") == 0, "the same CSMS knows the station");
    let samples = csms.transactions()[0].meter_values.len();
    scene.sampled(0, samples + 1).await?;
    scene.hardware(1).await?.stop_by_vehicle().await?;
    let transaction = scene.settle(before, 1).await?;
    let slots = slots(&transaction)?;
    ensure!(slots[0] == 1 && slots.is_sorted(), "{slots:?}");
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn case_32_ocpp_killed_in_the_middle_of_the_trial_still_comes_back() -> Result<()> {
    let scene = Scene::start_with(short).await?;
    let csms = scene.csms()?;
    let mark = csms.mark();
    let address = nobody().await?;
    ensure!(change(csms, "SupervisionUrl", &address).await? == "Accepted");
    scene.link(|state| state.is_trial && state.link == Link::Disconnected).await?;
    scene.bench.kill("ocpp").await?;
    // The trial begins anew.
    scene.link(|state| state.is_trial).await?;
    is_back(&scene, mark, "SupervisionUrl", Some(&csms.url())).await?;
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn case_32_what_an_engineer_has_set_is_not_undone() -> Result<()> {
    let scene = Scene::start_with(short).await?;
    let csms = scene.csms()?;
    let settings = SettingsProxy::new(scene.bench.bus()).await?;
    for with_the_command in [true, false] {
        let address = nobody().await?;
        if with_the_command {
            let set = scene.busbarctl(&["settings", "set", "SupervisionUrl", &address]).await?;
            ensure!(set.status.success(), "{set:?}");
        } else {
            let valid_until = Clock::system().now().boottime.after(REQUEST_VALIDITY);
            let verdict = settings.set("SupervisionUrl", &address, KeyOrigin::Engineer, valid_until).await?;
            ensure!(verdict == SetVerdict::Accepted);
        }
        scene.link(|state| state.is_trial && state.link == Link::Disconnected).await?;
        // The trial is over when the station has seen that it may not go back.
        let state = scene.link(|state| !state.is_trial).await?;
        ensure!(state.link == Link::Disconnected && state.next_attempt_boottime_millis.0 > 0, "{state:?}");
        let record = scene.key("SupervisionUrl").await?;
        ensure!(record.value == address && record.origin == KeyOrigin::Engineer, "{record:?}");
        // The CSMS that was yet to come comes.
        let address = address.trim_start_matches("ws://").trim_end_matches("/ocpp").parse()?;
        let other = Csms::start(CsmsOptions { listen: address, ..CsmsOptions::default() }).await?;
        scene.accepted_at(&other.url()).await?;
        ensure!(requests(&other, 0, "BootNotification") == 1);
    }
    ensure!(!csms.connected(IDENTITY));
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn case_32_a_way_that_the_csms_did_not_change_is_left_when_its_own_change_is_undone() -> Result<()> {
    let scene = Scene::start_with(short).await?;
    let csms = scene.csms()?;
    // An engineer's identity stays, the CSMS's address goes.
    let set = scene.busbarctl(&["settings", "set", "BoxIdentifier", "ENGINEER"]).await?;
    ensure!(set.status.success(), "{set:?}");
    csms.wait_connected(LIMIT, "ENGINEER").await.map_err(|timeout| anyhow::anyhow!("{timeout:?}"))?;
    scene.link(|state| state.identity == "ENGINEER" && state.link == Link::Accepted && !state.is_trial).await?;
    let order = json!({ "key": "SupervisionUrl", "value": nobody().await? });
    ensure!(csms.call("ENGINEER", "ChangeConfiguration", order).await?.status() == Some("Accepted"));
    scene.link(|state| state.is_trial && state.link == Link::Disconnected).await?;
    scene.link(|state| state.link == Link::Accepted && !state.is_trial).await?;
    ensure!(csms.connected("ENGINEER"));
    ensure!(scene.key("SupervisionUrl").await?.origin == KeyOrigin::Rollback);
    ensure!(scene.key("BoxIdentifier").await?.origin == KeyOrigin::Engineer);
    scene.bench.stop().await;
    Ok(())
}

/// A station that shows a password and was let in with it.
async fn with_the_right_password() -> Result<Scene> {
    let scene = Scene::start_with(short).await?;
    let csms = scene.csms()?;
    csms.set_password(IDENTITY, Some(RIGHT));
    ensure!(change(csms, "AuthorizationKey", RIGHT).await? == "Accepted");
    ensure!(change(csms, "SecurityProfile", "1").await? == "Accepted");
    scene.link(|state| state.security_profile == 1 && state.link == Link::Accepted && !state.is_trial).await?;
    Ok(scene)
}

#[tokio::test]
async fn case_32_an_answer_on_the_old_link_does_not_prove_the_new_way() -> Result<()> {
    let scene = with_the_right_password().await?;
    let csms = scene.csms()?;
    let (mark, links) = (csms.mark(), csms.links().len());
    // The old link stays for a moment, because a peer that hangs still owes an answer on it …
    scene.bench.service("session")?.signal(Signal::SIGSTOP)?;
    let owed = csms.call(IDENTITY, "ChangeAvailability", json!({ "connectorId": 2, "type": "Operative" }));
    let goes_elsewhere = async {
        // … and the CSMS answers there to what it was asked before.
        csms.once("Heartbeat", Answer::Ordinary.after(Duration::from_millis(1200)));
        csms.call(IDENTITY, "TriggerMessage", json!({ "requestedMessage": "Heartbeat" })).await?;
        let asked = csms.wait_for_since(mark, LIMIT, |frame| frame.is_request("Heartbeat"));
        asked.await.map_err(|timeout| anyhow::anyhow!("{timeout:?}"))?;
        ensure!(change(csms, "AuthorizationKey", WRONG).await? == "Accepted");
        anyhow::Ok(())
    };
    let (_lost, gone) = tokio::join!(owed, goes_elsewhere);
    scene.bench.service("session")?.signal(Signal::SIGCONT)?;
    gone?;
    let back = csms.wait_until(LIMIT, |csms| csms.links().iter().skip(links).any(|link| link.accepted).then_some(()));
    back.await.map_err(|timeout| anyhow::anyhow!("it does not come back: {timeout:?}"))?;
    scene.link(|state| state.link == Link::Accepted && !state.is_trial).await?;
    ensure!(scene.key("AuthorizationKey").await?.origin == KeyOrigin::Rollback);
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn case_32_a_password_that_no_profile_uses_yet_is_not_taken_back() -> Result<()> {
    let scene = Scene::start_with(short).await?;
    let csms = scene.csms()?;
    ensure!(change(csms, "AuthorizationKey", WRONG).await? == "Accepted");
    // Nobody says anything now until the next heartbeat, which is minutes away; the time of a trial is over before.
    ensure!(change(csms, "AuthorizationKey", RIGHT).await? == "Accepted");
    let gone = scene.until("it is gone", async || Ok(scene.key("AuthorizationKey").await?.origin != KeyOrigin::Csms));
    let gone = tokio::time::timeout(Duration::from_secs(4), gone).await;
    ensure!(gone.is_err(), "the link is there all the time, and yet the password that the CSMS has set was taken back");
    csms.set_password(IDENTITY, Some(RIGHT));
    ensure!(change(csms, "SecurityProfile", "1").await? == "Accepted");
    scene.link(|state| state.security_profile == 1 && state.link == Link::Accepted).await?;
    scene.bench.stop().await;
    Ok(())
}
