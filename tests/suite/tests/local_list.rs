//! The local authorization list and the cache: how the operator keeps them, who charges by them, and that they are there
//! after a kill and after the mains have failed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use anyhow::{Context, Result, ensure};
use busbar_bench::Options;
use busbar_interfaces::words::{AuthorizationSource, DecisionReason, Link};
use busbar_suite::link::requests;
use busbar_suite::scene::{BADGE, IDENTITY, OTHER, STRANGER, Scene};
use serde_json::{Value, json};

/// A badge that the list knows as one that may not charge.
const BLOCKED: &str = "04B0B1B2B3B4B5";

/// A list that is sent, or a change of it.
fn list(version: i32, update: &str, badges: &[Value]) -> Value {
    json!({ "listVersion": version, "updateType": update, "localAuthorizationList": badges })
}

/// A line of a list.
fn badge(id_tag: &str, status: &str) -> Value {
    json!({ "idTag": id_tag, "idTagInfo": { "status": status } })
}

/// The operator sends a list or a change of it, and is answered with this.
async fn send(scene: &Scene, status: &str, version: i32, update: &str, badges: &[Value]) -> Result<()> {
    scene.answered(status, "SendLocalList", list(version, update, badges)).await
}

/// The version of the list, as the operator is told.
async fn version(scene: &Scene) -> Result<i64> {
    let answer = scene.csms()?.call(IDENTITY, "GetLocalListVersion", json!({})).await?;
    answer.payload.get("listVersion").and_then(Value::as_i64).with_context(|| format!("{answer:?}"))
}

/// Waits until the operator is told a version: what has just been switched on, or started, takes a moment.
async fn becomes(scene: &Scene, wanted: i64) -> Result<()> {
    scene.until("the version of the list", async || Ok(version(scene).await.is_ok_and(|told| told == wanted))).await
}

#[tokio::test]
async fn tc_042_1_tc_042_2_tc_043_tc_043_1_tc_043_2_the_list_of_the_operator_and_its_versions() -> Result<()> {
    let scene = Scene::start().await?;
    // tc_042_1, tc_043_1: the list is switched off.
    ensure!(version(&scene).await? == -1);
    send(&scene, "NotSupported", 1, "Full", &[badge(BADGE, "Accepted")]).await?;
    ensure!(version(&scene).await? == -1);
    scene
        .answered("Accepted", "ChangeConfiguration", json!({ "key": "LocalAuthListEnabled", "value": "true" }))
        .await?;
    becomes(&scene, 0).await?;
    // tc_042_2: a full list without a badge has version 0.
    let none = json!({ "listVersion": 1, "updateType": "Full" });
    scene.answered("Accepted", "SendLocalList", none).await?;
    becomes(&scene, 0).await?;
    // tc_043
    send(&scene, "Accepted", 1, "Full", &[badge(BADGE, "Accepted")]).await?;
    becomes(&scene, 1).await?;
    send(&scene, "Accepted", 2, "Differential", &[badge(OTHER, "Blocked"), json!({ "idTag": BADGE })]).await?;
    becomes(&scene, 2).await?;
    ensure!(scene.session(|_| true).await?.local_list_badges == 1);
    // tc_043_2
    send(&scene, "Accepted", 2, "Full", &[badge(BADGE, "Accepted")]).await?;
    becomes(&scene, 2).await?;
    send(&scene, "Accepted", 5, "Full", &[badge(BADGE, "Accepted")]).await?;
    becomes(&scene, 5).await?;
    send(&scene, "VersionMismatch", 4, "Differential", &[badge(OTHER, "Accepted")]).await?;
    ensure!(version(&scene).await? == 5 && scene.session(|_| true).await?.local_list_badges == 1);
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn tc_008_1_tc_008_2_a_badge_on_the_list_charges_without_a_question() -> Result<()> {
    let listed = |options: Options| options.with("LocalAuthListEnabled", "true").with("LocalPreAuthorize", "true");
    let scene = Scene::start_with(listed).await?;
    becomes(&scene, 0).await?;
    send(&scene, "Accepted", 1, "Full", &[badge(&BADGE.to_lowercase(), "Accepted"), badge("REMOTE", "Accepted")])
        .await?;
    let csms = scene.csms()?;
    let mark = csms.mark();
    // tc_008_1
    scene.plug(1, 30_000).await?;
    let decision = scene.presents(BADGE, DecisionReason::Accepted).await?;
    ensure!(decision.source == AuthorizationSource::LocalList, "{decision:?}");
    ensure!(scene.started(0).await?.id_tag.eq_ignore_ascii_case(BADGE));
    scene.told_status(mark, 1, "Charging").await?;
    // tc_008_2
    scene.plug(2, 30_000).await?;
    scene.answered("Accepted", "RemoteStartTransaction", json!({ "connectorId": 2, "idTag": "REMOTE" })).await?;
    ensure!(scene.started(1).await?.id_tag == "REMOTE");
    scene.told_status(mark, 2, "Charging").await?;
    ensure!(requests(csms, mark, "Authorize") == 0);
    for number in [0, 1] {
        scene.remote_stop(number).await?;
    }
    scene.adds_up(2).await?;
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn case_25_case_b51_the_list_and_the_cache_outlive_a_kill_and_a_mains_failure_and_decide_without_a_link()
-> Result<()> {
    let strict = |mut options: Options| {
        options.station_file += "\n[ocpp]\nretry_first_millis = 200\nretry_most_millis = 200\n";
        options
            .with("LocalAuthListEnabled", "true")
            .with("AuthorizationCacheEnabled", "true")
            .with("AllowOfflineTxForUnknownId", "false")
    };
    let scene = Scene::start_with(strict).await?;
    becomes(&scene, 0).await?;
    send(&scene, "Accepted", 7, "Full", &[badge(BADGE, "Accepted"), badge(BLOCKED, "Blocked")]).await?;
    // The CSMS says of another badge that it is good.
    scene.plug(1, 30_000).await?;
    scene.answered("Accepted", "RemoteStartTransaction", json!({ "connectorId": 1, "idTag": OTHER })).await?;
    scene.started(0).await?;
    scene.session(|state| state.cached_badges == 1).await?;
    scene.remote_stop(0).await?;
    scene.unplug(1).await?;
    scene.delivered().await?;

    let all_there = async || {
        let state = scene.session(|state| state.local_list_version == 7).await?;
        ensure!((state.local_list_badges, state.cached_badges) == (2, 1), "{state:?}");
        scene.link(|state| state.link == Link::Accepted).await?;
        becomes(&scene, 7).await
    };
    scene.bench.kill("session").await?;
    all_there().await?;
    scene.loses_power().await?;
    all_there().await?;

    // The guide's offline strategies: whom the list or the cache knows as good may charge, and nobody else.
    scene.cut().await?;
    scene.plug(1, 30_000).await?;
    scene.plug(2, 30_000).await?;
    let decision = scene.presents(STRANGER, DecisionReason::UnknownOffline).await?;
    ensure!(decision.source == AuthorizationSource::Offline, "{decision:?}");
    let decision = scene.presents(BLOCKED, DecisionReason::Blocked).await?;
    ensure!(decision.source == AuthorizationSource::LocalList, "{decision:?}");
    for (badge, source) in [(BADGE, AuthorizationSource::LocalList), (OTHER, AuthorizationSource::Cache)] {
        let decision = scene.presents(badge, DecisionReason::Accepted).await?;
        ensure!(decision.source == source, "{decision:?}, not {source}");
    }
    scene.heal().await?;
    for number in [1, 2] {
        scene.remote_stop(number).await?;
    }
    scene.adds_up(3).await?;
    scene.bench.stop().await;
    Ok(())
}
