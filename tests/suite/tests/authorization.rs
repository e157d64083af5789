//! Who may charge, and whose badge ends a charge: the CSMS's word, the cache, remote starts, and what holds without a
//! link, as the operator and the driver see it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use anyhow::{Result, ensure};
use busbar_bench::Options;
use busbar_interfaces::words::{AuthorizationSource, ConnectorStatus, DecisionReason, Verdict};
use busbar_suite::link::requests;
use busbar_suite::scene::{BADGE, OTHER, STRANGER, Scene};
use serde_json::json;

/// A station that is soon back when the link can be had again.
fn restless(mut options: Options) -> Options {
    options.station_file += "\n[ocpp]\nretry_first_millis = 200\nretry_most_millis = 200\n";
    options
}

/// The operator asks for a charge, and the station takes it.
async fn remote_start(scene: &Scene, connector: u32, id_tag: &str) -> Result<()> {
    scene.answered("Accepted", "RemoteStartTransaction", json!({ "connectorId": connector, "idTag": id_tag })).await
}

/// How often the operator was asked about a badge since a frame.
fn asked(scene: &Scene, from: u64) -> Result<usize> {
    Ok(requests(scene.csms()?, from, "Authorize"))
}

/// Ends two charges, on connector 1 and 2, and pulls the cables out.
async fn end_both(scene: &Scene, first: usize) -> Result<()> {
    for number in [first, first + 1] {
        scene.remote_stop(number).await?;
    }
    for connector in [1, 2] {
        scene.unplug(connector).await?;
    }
    Ok(())
}

#[tokio::test]
async fn tc_004_1_a_badge_before_the_plug_starts_nothing_and_is_shown_again_after_it() -> Result<()> {
    let scene = Scene::start().await?;
    let mark = scene.csms()?.mark();
    let decision = scene.presents(BADGE, DecisionReason::NoVehicle).await?;
    ensure!((decision.verdict, decision.source) == (Verdict::Rejected, AuthorizationSource::None), "{decision:?}");
    scene.plug(1, 30_000).await?;
    scene.told_status(mark, 1, "Preparing").await?;
    ensure!(asked(&scene, mark)? == 0 && scene.csms()?.transactions().is_empty(), "nobody was asked, nothing began");
    // Between two showings of one badge the reader has to see none for three seconds, or another one.
    scene.csms()?.set_tag(OTHER, "Blocked", None);
    let decision = scene.presents(OTHER, DecisionReason::Blocked).await?;
    ensure!((decision.verdict, decision.source) == (Verdict::Rejected, AuthorizationSource::Csms), "{decision:?}");
    let decision = scene.presents(BADGE, DecisionReason::Accepted).await?;
    ensure!((decision.connector.0, decision.source) == (1, AuthorizationSource::Csms), "{decision:?}");
    ensure!(asked(&scene, mark)? == 2 && scene.started(0).await?.id_tag == BADGE);
    scene.told_status(mark, 1, "Charging").await?;
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn tc_007_1_tc_007_2_tc_061_1_tc_061_2_a_cached_badge_is_asked_about_again_when_the_cache_is_cleared()
-> Result<()> {
    let cached = |options: Options| options.with("AuthorizationCacheEnabled", "true").with("LocalPreAuthorize", "true");
    let scene = Scene::start_with(cached).await?;
    let charge = async |local: &str, remote: &str, number, source| -> Result<usize> {
        let mark = scene.csms()?.mark();
        scene.plug(1, 30_000).await?;
        let decision = scene.presents(local, DecisionReason::Accepted).await?;
        ensure!(decision.source == source, "{decision:?}, not {source}");
        ensure!(scene.started(number).await?.id_tag == local);
        scene.plug(2, 30_000).await?;
        remote_start(&scene, 2, remote).await?;
        ensure!(scene.started(number + 1).await?.id_tag == remote);
        let decision = scene.session(|_| true).await?.last_decision;
        ensure!(decision.source == source, "{decision:?}, not {source}");
        end_both(&scene, number).await?;
        asked(&scene, mark)
    };
    ensure!(charge(BADGE, OTHER, 0, AuthorizationSource::Csms).await? == 2);
    scene.session(|state| state.cached_badges == 2).await?;
    // tc_007: each is known now, the one at the reader and the one that the operator names.
    ensure!(charge(OTHER, BADGE, 2, AuthorizationSource::Cache).await? == 0);
    // tc_061
    scene.answered("Accepted", "ClearCache", json!({})).await?;
    scene.session(|state| state.cached_badges == 0).await?;
    ensure!(charge(BADGE, OTHER, 4, AuthorizationSource::Csms).await? == 2);
    scene.adds_up(6).await?;
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn tc_068_tc_069_the_badge_that_began_a_charge_ends_it_and_so_does_one_of_its_group() -> Result<()> {
    let scene = Scene::start().await?;
    let csms = scene.csms()?;
    for badge in [BADGE, OTHER] {
        csms.set_tag(badge, "Accepted", Some("FLEET"));
    }
    // A badge is the same in upper and lower case.
    scene.plug(1, 30_000).await?;
    remote_start(&scene, 1, &BADGE.to_lowercase()).await?;
    scene.started(0).await?;
    scene.delivered().await?;

    // case 7: anybody else's badge ends nothing.
    let mark = csms.mark();
    let decision = scene.presents(STRANGER, DecisionReason::Occupied).await?;
    ensure!(decision.verdict == Verdict::Rejected, "{decision:?}");
    ensure!(asked(&scene, mark)? == 1 && csms.transactions()[0].stop_count == 0);
    // tc_069
    let mark = csms.mark();
    let decision = scene.presents(OTHER, DecisionReason::SameGroup).await?;
    ensure!((decision.connector.0, decision.verdict) == (1, Verdict::Accepted), "{decision:?}");
    scene.stopped(0, "Local").await?;
    ensure!(asked(&scene, mark)? == 1);
    let stop = scene.told(|frame| frame.is_request("StopTransaction")).await?;
    ensure!(stop.request("StopTransaction").unwrap()["idTag"] == OTHER, "{stop:?}");
    scene.told_status(mark, 1, "Finishing").await?;

    // tc_068
    scene.plug(2, 30_000).await?;
    remote_start(&scene, 2, &BADGE.to_lowercase()).await?;
    scene.started(1).await?;
    scene.delivered().await?;
    let mark = csms.mark();
    let decision = scene.presents(BADGE, DecisionReason::SameBadge).await?;
    ensure!((decision.connector.0, decision.source) == (2, AuthorizationSource::Badge), "{decision:?}");
    scene.stopped(1, "Local").await?;
    scene.told_status(mark, 2, "Finishing").await?;
    ensure!(asked(&scene, mark)? == 0, "whoever began it may end it");
    scene.adds_up(2).await?;
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn tc_023_5_a_remote_start_for_a_badge_that_the_csms_refuses_starts_nothing() -> Result<()> {
    let scene = Scene::start().await?;
    let csms = scene.csms()?;
    csms.set_tag("REMOTE", "Invalid", None);
    scene.plug(1, 30_000).await?;
    let mark = csms.mark();
    remote_start(&scene, 1, "REMOTE").await?;
    let refused = scene.session(|state| state.last_decision.reason == DecisionReason::Invalid).await?.last_decision;
    ensure!((refused.verdict, refused.source) == (Verdict::Rejected, AuthorizationSource::Csms), "{refused:?}");
    scene.status(1, ConnectorStatus::Preparing).await?;
    ensure!(asked(&scene, mark)? == 1 && csms.transactions().is_empty());

    // Whoever need not be checked charges (AuthorizeRemoteTxRequests), and ends when the start is not accepted.
    scene.rule("AuthorizeRemoteTxRequests", "false").await?;
    let mark = csms.mark();
    remote_start(&scene, 1, "REMOTE").await?;
    scene.stopped(0, "DeAuthorized").await?;
    ensure!(asked(&scene, mark)? == 0);
    scene.told_status(mark, 1, "Finishing").await?;
    scene.adds_up(1).await?;
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn tc_037_2_tc_037_3_a_badge_that_was_let_charge_without_a_link_and_is_not_accepted() -> Result<()> {
    let scene = Scene::start_with(|options| restless(options).with("StopTransactionOnInvalidId", "false")).await?;
    let csms = scene.csms()?;
    // Without a link the badge is as good as any (AllowOfflineTxForUnknownId).
    let charge_offline = async |connector, badge: &str| -> Result<()> {
        csms.set_tag(badge, "Invalid", None);
        scene.cut().await?;
        scene.plug(connector, 30_000).await?;
        let decision = scene.presents(badge, DecisionReason::Accepted).await?;
        ensure!(decision.source == AuthorizationSource::Offline, "{decision:?}");
        scene.flows(connector).await?;
        scene.heal().await
    };
    // tc_037_2: nothing flows any more, and the transaction stays until the driver ends it.
    let mark = csms.mark();
    charge_offline(1, BADGE).await?;
    scene.told_status(mark, 1, "SuspendedEVSE").await?;
    let hardware = scene.hardware(1).await?;
    scene.until("nothing flows", async || Ok(hardware.output_milliamperes().await? == 0)).await?;
    ensure!(csms.transactions()[0].tag_status.as_deref() == Some("Invalid") && csms.transactions()[0].stop_count == 0);
    scene.presents(STRANGER, DecisionReason::Occupied).await?;
    scene.presents(BADGE, DecisionReason::SameBadge).await?;
    scene.stopped(0, "Local").await?;
    scene.told_status(mark, 1, "Finishing").await?;

    // tc_037_3
    scene.rule("StopTransactionOnInvalidId", "true").await?;
    let mark = csms.mark();
    charge_offline(2, OTHER).await?;
    scene.stopped(1, "DeAuthorized").await?;
    scene.told_status(mark, 2, "Finishing").await?;
    scene.adds_up(2).await?;
    scene.bench.stop().await;
    Ok(())
}
