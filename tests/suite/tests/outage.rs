//! The link is lost, in every way that a link can be lost, and comes back; what was charged meanwhile is told then.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use anyhow::{Context, Result, ensure};
use busbar_bench::Options;
use busbar_csms::{Csms, Transaction};
use busbar_interfaces::session::SessionProxy;
use busbar_interfaces::words::{ConnectorStatus, EventKind, Link};
use busbar_runtime::Clock;
use busbar_suite::link::{prove, requests};
use busbar_suite::scene::{BADGE, IDENTITY, LIMIT, Scene, slots};
use jiff::Timestamp;
use std::time::Duration;

/// Another driver's badge.
const OTHER: &str = "08112233445566";

/// A station that tries again within these times, and notices soon that nobody answers.
fn restless(mut options: Options, first_millis: u32, most_millis: u32) -> Options {
    options.station_file += &format!(
        "\n[ocpp]\nretry_first_millis = {first_millis}\nretry_most_millis = {most_millis}\nconnect_timeout_millis = 1000\n"
    );
    options.with("WebSocketPingInterval", "1")
}

/// How long the station was away the last time, in milliseconds.
fn away(csms: &Csms) -> Option<u64> {
    let links = csms.links();
    let mut opened = links.iter().filter(|link| link.accepted).rev();
    let (last, before) = (opened.next()?, opened.next()?);
    Some(last.opened_millis.saturating_sub(before.closed_millis?))
}

/// Waits until the station is back on a new link.
async fn back(csms: &Csms, links: usize) -> Result<()> {
    let is_back =
        |csms: &Csms| csms.links().iter().skip(links).any(|link| link.accepted && link.closed_millis.is_none());
    let back = csms.wait_until(LIMIT, |csms| is_back(csms).then_some(())).await;
    back.map_err(|timeout| anyhow::anyhow!("the station does not come back: {timeout:?}"))
}

#[tokio::test]
async fn case_35_case_b32_after_every_close_code_and_every_reset_the_link_comes_back() -> Result<()> {
    let scene = Scene::start_with(|options| restless(options, 200, 200)).await?;
    let csms = scene.csms()?;
    let mark = csms.mark();
    let mut gaps = Vec::new();
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 3000, 4001] {
        let links = csms.links().len();
        ensure!(csms.close_connection(IDENTITY, code).await, "{code}");
        back(csms, links).await.with_context(|| format!("after close code {code}"))?;
        let said = |reason: &str| reason.contains(&format!("the CSMS closed it with code {code}"));
        scene.link(|state| state.link == Link::Accepted && said(&state.link_reason)).await?;
        gaps.extend(away(csms));
        prove(csms).await?;
    }
    for _ in 0..3 {
        let links = csms.links().len();
        ensure!(csms.drop_connection(IDENTITY));
        back(csms, links).await?;
        gaps.extend(away(csms));
        prove(csms).await?;
    }
    gaps.sort_unstable();
    println!("link lost -> open again, with waits of 100 to 200 ms: {gaps:?} ms");
    ensure!(requests(csms, mark, "BootNotification") == 0);
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn case_35_case_b33_with_the_waits_of_the_product_a_lost_link_is_soon_back_and_a_short_one_waits_longer()
-> Result<()> {
    let scene = Scene::start().await?;
    let csms = scene.csms()?;
    let mut gaps = Vec::new();
    for _ in 0..3 {
        let links = csms.links().len();
        ensure!(csms.drop_connection(IDENTITY));
        back(csms, links).await?;
        gaps.extend(away(csms));
        prove(csms).await?;
    }
    println!(
        "link lost -> open again: first {} ms (budget 1200), then, each after a short link, {:?} ms",
        gaps[0],
        &gaps[1..]
    );
    // An open link proves nothing: two stations of one name would throw each other out for ever.
    for (gap, least) in gaps.iter().zip([250, 500, 1000]) {
        ensure!(*gap >= least, "{gaps:?}");
    }
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn case_35_case_b31_a_csms_that_hangs_is_noticed_by_its_silence() -> Result<()> {
    let scene = Scene::start_with(|options| restless(options, 200, 800)).await?;
    let csms = scene.csms()?;
    let before = scene.hardware(1).await?.meter_milliwatt_hours().await?;
    scene.charge(1, 30_000).await?;
    scene.sampled(0, 1).await?;
    // The connection stays, and nothing comes any more, not even a pong: half-open as far as the station can see.
    csms.stall(true);
    let silent = |reason: &str| reason.contains("nothing came for two ping intervals");
    scene.link(|state| state.link == Link::Disconnected && silent(&state.link_reason)).await?;
    // New connections are taken and not answered either.
    let state = scene.link(|state| state.link_reason.contains("it took longer than 1000 ms")).await?;
    ensure!(state.link == Link::Disconnected, "{state:?}");
    scene.flows(1).await?;
    // It is started again, and has forgotten what it had not read.
    csms.drop_connection(IDENTITY);
    csms.stall(false);
    scene.link(|state| state.link == Link::Accepted).await?;
    let samples = csms.transactions()[0].meter_values.len();
    scene.sampled(0, samples + 1).await?;
    scene.hardware(1).await?.stop_by_vehicle().await?;
    scene.status(1, ConnectorStatus::Finishing).await?;
    scene.delivered().await?;
    let books = scene.books()?;
    // What was on its way when the CSMS hung was not answered, so that it comes again: nothing else does.
    ensure!(books.unexcused().count() == 0 && books.strays.is_empty(), "{:?}", books.irregularities);
    let transaction = &books.transactions[0];
    let after = scene.hardware(1).await?.meter_milliwatt_hours().await?;
    ensure!(transaction.meter_start == i64::try_from(before / 1000)?);
    ensure!(
        transaction.meter_stop == i64::try_from(after / 1000).ok() && transaction.stop_count == 1,
        "{transaction:?}"
    );
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn case_35_case_b30_without_a_link_an_attempt_is_always_planned_and_the_waits_grow_until_one_is_good()
-> Result<()> {
    let scene = Scene::start_with(|options| restless(options, 100, 3_200)).await?;
    let csms = scene.csms()?;
    let first = csms.links().len();
    scene.cut().await?;
    // Watched for as long as it is refused: without a link and without a planned attempt one must be under way.
    let clock = Clock::system();
    let (mut planned, mut unplanned_since) = (0_u32, None);
    while csms.links().len() < first + 6 {
        let state = scene.link(|_| true).await?;
        ensure!(state.link == Link::Disconnected, "{state:?}");
        let now = clock.now().boottime;
        if state.next_attempt_boottime_millis.0 > 0 {
            let ahead = state.next_attempt_boottime_millis.0.saturating_sub(now.0);
            ensure!(ahead <= 3_200, "the next attempt is {ahead} ms away");
            (planned, unplanned_since) = (planned + 1, None);
        } else {
            let since = *unplanned_since.get_or_insert(now);
            ensure!(now.since(since) < Duration::from_secs(5), "nothing was planned for five seconds: {state:?}");
        }
    }
    ensure!(planned > 0);
    let tried: Vec<u64> = csms.links()[first..first + 6].iter().map(|link| link.opened_millis).collect();
    let waits: Vec<u64> = tried.windows(2).map(|pair| pair[1] - pair[0]).collect();
    println!("refused: the waits between attempts are {waits:?} ms");
    // Half of the step is certain, and the step doubles: 200, 400, 800, 1600, 3200 ms.
    for (wait, least) in waits.iter().zip([100, 200, 400, 800, 1600]) {
        ensure!(*wait >= least, "{waits:?}");
    }
    scene.heal().await?;
    // A link that has lasted for ten seconds is a good one.
    let lasts = async || {
        let links = csms.links();
        ensure!(links.last().is_some_and(|link| link.accepted && link.closed_millis.is_none()), "{links:?}");
        let state = scene.link(|_| true).await?;
        Ok(clock.now().unix.0.saturating_sub(state.link_since_unix_millis.0) > 10_500)
    };
    scene.until("the link lasts", lasts).await?;
    let links = csms.links().len();
    ensure!(csms.drop_connection(IDENTITY));
    back(csms, links).await?;
    let after = away(csms).context("a gap")?;
    println!("after a link that was good: {after} ms");
    ensure!(after < 1600, "the wait did not begin anew: {after} ms");
    scene.bench.stop().await;
    Ok(())
}

/// The instant of a timestamp on the wire.
fn instant(text: &str) -> Result<Timestamp> {
    Ok(text.parse()?)
}

/// When the samples of a transaction were taken.
fn sampled_at(transaction: &Transaction) -> Result<Vec<Timestamp>> {
    let at = |payload: &serde_json::Value| instant(payload["meterValue"][0]["timestamp"].as_str().unwrap());
    transaction.meter_values.iter().map(at).collect()
}

#[tokio::test]
async fn tc_036_tc_037_1_tc_038_tc_039_case_22_case_b16_case_c_s17_what_is_charged_without_a_link_is_told_in_order_with_its_true_times()
-> Result<()> {
    let scene = Scene::start_with(|mut options| {
        options.station_file += "\n[ocpp]\nretry_most_millis = 500\n";
        options.with("disconnectedMeterValueSampleInterval", "5")
    });
    let scene = scene.await?;
    let csms = scene.csms()?;
    let (one, two) = (scene.hardware(1).await?, scene.hardware(2).await?);
    let before = [one.meter_milliwatt_hours().await? / 1000, two.meter_milliwatt_hours().await? / 1000];
    scene.charge(1, 60_000).await?;
    scene.sampled(0, 2).await?;
    scene.cut().await?;
    let (cut, mark) = (Timestamp::now(), csms.mark());
    let online = csms.transactions()[0].meter_values.len();
    // Another driver comes and goes: start and stop, both without a link.
    scene.plug(2, 30_000).await?;
    scene.badge_of(OTHER).await?;
    scene.flows(2).await?;
    // Two samples of the first charge without a link.
    let session = SessionProxy::new(scene.bench.bus()).await?;
    let samples = async || {
        let events = session.events_after(0, 500).await?;
        let of_one = |event: &&busbar_interfaces::session::TransactionEvent| {
            event.connector.0 == 1 && event.kind == EventKind::Sample
        };
        Ok(events.iter().filter(of_one).count() >= online + 2)
    };
    scene.until("two samples without a link", samples).await?;
    scene.badge_of(OTHER).await?;
    scene.status(2, ConnectorStatus::Finishing).await?;
    scene.badge().await?;
    scene.status(1, ConnectorStatus::Finishing).await?;
    ensure!(csms.mark() == mark, "it is not without a link");
    let healed = Timestamp::now();
    scene.heal().await?;
    scene.delivered().await?;

    let books = scene.books()?;
    ensure!(books.irregularities.is_empty() && books.strays.is_empty(), "{books:?}");
    ensure!(requests(csms, mark, "BootNotification") == 0);
    let [first, second] = books.transactions.as_slice() else { anyhow::bail!("{:?}", books.transactions) };
    for (transaction, tag) in [(first, BADGE), (second, OTHER)] {
        ensure!(transaction.start_count == 1 && transaction.stop_count == 1 && transaction.id_tag == tag);
        ensure!(transaction.reason.as_deref().is_none_or(|reason| reason == "Local"), "{transaction:?}");
        let stop = instant(transaction.stop_timestamp.as_ref().unwrap())?;
        ensure!(cut < stop && stop <= healed, "it was stopped without a link: {transaction:?}");
        let sampled = sampled_at(transaction)?;
        ensure!(sampled.is_sorted() && sampled.iter().all(|at| *at <= stop), "{sampled:?} {stop}");
        // Without a link the grid is five seconds wide.
        let mut offline = slots(transaction)?.into_iter().zip(&sampled).filter(|(_, at)| **at > cut);
        ensure!(offline.all(|(slot, _)| slot % 5 == 0), "{:?}", slots(transaction)?);
    }
    ensure!(sampled_at(first)?.iter().filter(|at| **at > cut).count() >= 2, "{first:?}");
    ensure!(instant(&first.timestamp)? < cut);
    ensure!(cut < instant(&second.timestamp)? && instant(&second.timestamp)? < healed, "{second:?}");
    let meters = [one.meter_milliwatt_hours().await? / 1000, two.meter_milliwatt_hours().await? / 1000];
    for ((transaction, before), after) in [first, second].into_iter().zip(before).zip(meters) {
        ensure!(transaction.meter_start == i64::try_from(before)?, "{transaction:?}");
        ensure!(transaction.meter_stop == i64::try_from(after).ok(), "{transaction:?} {after}");
    }
    // The order on the wire is the order in which it happened.
    let told: Vec<Timestamp> = csms
        .frames_since(mark)
        .iter()
        .filter_map(|frame| {
            let samples = frame.request("MeterValues").and_then(|payload| payload.pointer("/meterValue/0/timestamp"));
            let other = ["StartTransaction", "StopTransaction"].into_iter().find_map(|action| frame.request(action));
            samples.or(other.and_then(|payload| payload.get("timestamp")))?.as_str()?.parse().ok()
        })
        .collect();
    ensure!(told.len() >= 5 && told.is_sorted(), "{told:?}");
    scene.bench.stop().await;
    Ok(())
}
