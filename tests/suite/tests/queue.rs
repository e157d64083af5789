//! Events that the CSMS refuses for good, and what a person does about them; and a ledger that is damaged.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods, reason = "tests")]

use anyhow::{Context, Result, ensure};
use busbar_bench::Options;
use busbar_csms::{Answer, Csms, Frame};
use busbar_interfaces::faults::{ActiveFault, FaultsState};
use busbar_interfaces::names;
use busbar_interfaces::ocpp::{OcppProxy, UndeliveredEvent};
use busbar_interfaces::service::ServiceState;
use busbar_interfaces::session::SessionState;
use busbar_interfaces::words::{ConnectorStatus, EventKind, FaultClass, Link};
use busbar_suite::link::requests;
use busbar_suite::scene::{LIMIT, Scene, slots};
use nix::sys::signal::Signal;

/// The fault of events that the CSMS has refused for good.
const UNDELIVERED: &str = "0xB00001";
/// Another driver's badge.
const OTHER: &str = "08112233445566";

/// A station that tries a message twice, without a pause.
fn impatient(options: Options) -> Options {
    options.with("TransactionMessageAttempts", "2").with("TransactionMessageRetryInterval", "0")
}

/// Waits until the fault of undelivered events is there, or is not.
async fn fault(scene: &Scene, is_there: bool) -> Result<Option<ActiveFault>> {
    let found = |state: &FaultsState| state.active.iter().find(|fault| fault.code == UNDELIVERED).cloned();
    let is = |state: &FaultsState| found(state).is_some() == is_there;
    Ok(found(&scene.bench.wait_for(names::FAULTS, names::FAULTS.root, LIMIT, is).await?))
}

/// What was refused for good, as the bus has it.
async fn undelivered(scene: &Scene) -> Result<Vec<UndeliveredEvent>> {
    Ok(OcppProxy::new(scene.bench.bus()).await?.list_undelivered(0, 256).await?)
}

/// Runs `busbarctl queue …`, which must work, and returns what it says.
async fn queue(scene: &Scene, arguments: &[&str]) -> Result<String> {
    let output = scene.busbarctl(&[&["queue"], arguments].concat()).await?;
    ensure!(output.status.success(), "{arguments:?}: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

/// A charge of a few samples, ended by the car.
async fn short_charge(scene: &Scene, connector: u32, badge: &str) -> Result<()> {
    scene.plug(connector, 40_000).await?;
    scene.badge_of(badge).await?;
    scene.flows(connector).await?;
    scene.hardware(connector).await?.stop_by_vehicle().await?;
    scene.status(connector, ConnectorStatus::Finishing).await
}

fn faulted(frame: &Frame) -> bool {
    frame.request("StatusNotification").is_some_and(|status| status["status"] == "Faulted")
}

/// The station is content, and the CSMS was never told that anything is wrong with a connector.
async fn settled(scene: &Scene) -> Result<()> {
    fault(scene, false).await?;
    scene.link(|state| state.undelivered_events == 0 && state.conditions.is_empty()).await?;
    ensure!(undelivered(scene).await?.is_empty());
    ensure!(queue(scene, &[]).await?.contains("undelivered      none"));
    let books = scene.books()?;
    ensure!(books.unexcused().count() == 0 && books.strays.is_empty(), "{:?}", books.irregularities);
    ensure!(!scene.csms()?.frames().iter().any(faulted));
    Ok(())
}

#[tokio::test]
async fn case_13_case_b21_a_stop_that_is_refused_for_good_waits_for_a_person_and_the_journal_goes_on() -> Result<()> {
    let scene = Scene::start_with(impatient).await?;
    let csms = scene.csms()?;
    csms.on("StopTransaction", Answer::error("InternalError"));
    scene.charge(1, 40_000).await?;
    scene.sampled(0, 1).await?;
    scene.hardware(1).await?.stop_by_vehicle().await?;
    scene.link(|state| state.undelivered_events == 1).await?;
    let fault = fault(&scene, true).await?.context("a fault")?;
    ensure!(fault.class == FaultClass::Warning && fault.connector.0 == 0, "{fault:?}");
    ensure!(fault.detail.contains("busbarctl queue"), "it says what to do: {fault:?}");
    ensure!(requests(csms, 0, "StopTransaction") == 2, "as many attempts as TransactionMessageAttempts says");
    let shown = queue(&scene, &[]).await?;
    ensure!(shown.contains("1 event refused by the CSMS for good"), "{shown}");
    ensure!(shown.contains("stopped") && shown.contains("InternalError"), "{shown}");

    // What comes after it is told all the same.
    csms.on("StopTransaction", Answer::Ordinary);
    short_charge(&scene, 2, OTHER).await?;
    scene.delivered().await?;
    let transactions = csms.transactions();
    ensure!(transactions[1].stop_count == 1 && transactions[0].stop_count == 2, "{transactions:?}");
    ensure!(!csms.frames().iter().any(faulted), "a station that charges is not Faulted");
    scene.status(1, ConnectorStatus::Finishing).await?;

    let nothing = scene.busbarctl(&["queue", "resend", "2"]).await?;
    ensure!(nothing.status.code() == Some(1), "{nothing:?}");
    let mark = csms.mark();
    let said = queue(&scene, &["resend", "1"]).await?;
    ensure!(said.starts_with("1 event of transaction 1 to be sent again"), "{said}");
    settled(&scene).await?;
    ensure!(requests(csms, mark, "StopTransaction") == 1 && requests(csms, mark, "StartTransaction") == 0);
    let first = csms.transactions().remove(0);
    ensure!(first.stop_message_ids.len() == 2, "a CSMS that remembers ids would refuse it again: {first:?}");
    let meter = scene.hardware(1).await?.meter_milliwatt_hours().await? / 1000;
    ensure!(first.meter_stop == i64::try_from(meter).ok(), "{first:?}");
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn case_13_a_start_that_is_refused_for_good_is_sent_again_with_all_that_belongs_to_it_over_a_kill() -> Result<()>
{
    let scene = Scene::start_with(impatient).await?;
    let csms = scene.csms()?;
    csms.on("StartTransaction", Answer::error("InternalError"));
    scene.charge(1, 40_000).await?;
    // The start, and the samples that belong to nothing without it; the car charges.
    scene.link(|state| state.undelivered_events >= 3).await?;
    scene.hardware(1).await?.stop_by_vehicle().await?;
    scene.status(1, ConnectorStatus::Finishing).await?;
    let stopped = async || Ok(undelivered(&scene).await?.iter().any(|event| event.kind == EventKind::Stopped));
    scene.until("the stop is given up", stopped).await?;
    scene.delivered().await?;
    let events = undelivered(&scene).await?;
    ensure!(events.len() >= 4 && events[0].kind == EventKind::Started, "{events:?}");
    ensure!(events.iter().all(|event| event.transaction.0 == 1 && !event.is_resending), "{events:?}");
    scene.link(|state| state.undelivered_events as usize == events.len()).await?;
    ensure!(requests(csms, 0, "MeterValues") == 0 && requests(csms, 0, "StopTransaction") == 0, "without a number");
    ensure!(csms.transactions()[0].start_count == 2);

    // Once more in vain: all of it stays.
    let mark = csms.mark();
    queue(&scene, &["resend", "1"]).await?;
    let refused = async || {
        let events = undelivered(&scene).await?;
        Ok(requests(csms, mark, "StartTransaction") == 2 && events.iter().all(|event| !event.is_resending))
    };
    scene.until("it is refused again", refused).await?;
    ensure!(undelivered(&scene).await?.len() == events.len());

    // The CSMS takes the start and the first sample; then nothing more until ocpp has died.
    csms.on("StartTransaction", Answer::Ordinary);
    csms.once("MeterValues", Answer::Ordinary);
    csms.on("MeterValues", Answer::Nothing);
    let mark = csms.mark();
    let said = queue(&scene, &["resend", "1"]).await?;
    ensure!(said.starts_with(&format!("{} events of transaction 1", events.len())), "{said}");
    let second = csms.wait_until(LIMIT, |csms| (requests(csms, mark, "MeterValues") == 2).then_some(()));
    second.await.map_err(|timeout| anyhow::anyhow!("{timeout:?}"))?;
    let left = scene.link(|state| (state.undelivered_events as usize) < events.len()).await?;
    ensure!(left.undelivered_events > 0, "{left:?}");
    ensure!(queue(&scene, &[]).await?.contains("yes"), "it is shown that they are under way");
    csms.on("MeterValues", Answer::Ordinary);
    scene.bench.kill("ocpp").await?;
    settled(&scene).await?;
    let transaction = csms.transactions().remove(0);
    ensure!(transaction.start_message_ids.len() >= 2 && transaction.stop_count == 1, "{transaction:?}");
    let mut slots = slots(&transaction)?;
    // The one that was on the wire when ocpp died.
    slots.dedup();
    ensure!(slots == (1..=events.len() as i64 - 2).collect::<Vec<_>>(), "{slots:?} of {events:?}");
    ensure!(requests(csms, mark, "StartTransaction") == 1);
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn case_b21_what_a_person_gives_up_is_gone_and_the_fault_with_it() -> Result<()> {
    let scene = Scene::start_with(impatient).await?;
    let csms = scene.csms()?;
    csms.on("StopTransaction", Answer::error("InternalError"));
    short_charge(&scene, 1, OTHER).await?;
    scene.link(|state| state.undelivered_events == 1).await?;
    fault(&scene, true).await?;
    // Killed: what waits for a person still does.
    scene.bench.kill("ocpp").await?;
    scene.link(|state| state.undelivered_events == 1 && state.link == Link::Accepted).await?;
    fault(&scene, true).await?;
    let asked = scene.busbarctl(&["queue", "discard", "1"]).await?;
    let complaint = String::from_utf8(asked.stderr)?;
    ensure!(asked.status.code() == Some(64) && complaint.contains("would never be told 1 event"), "{complaint}");
    ensure!(undelivered(&scene).await?.len() == 1, "nothing was changed");
    let (mark, said) = (csms.mark(), queue(&scene, &["discard", "1", "--yes"]).await?);
    ensure!(said.starts_with("1 event of transaction 1 given up"), "{said}");
    settled(&scene).await?;
    ensure!(requests(csms, mark, "StopTransaction") == 0);
    let again = scene.busbarctl(&["queue", "resend", "1"]).await?;
    ensure!(again.status.code() == Some(1), "{again:?}");
    scene.bench.stop().await;
    Ok(())
}

/// All that the CSMS was told of transactions since a frame.
fn told(csms: &Csms, from: u64) -> usize {
    ["StartTransaction", "MeterValues", "StopTransaction"].iter().map(|action| requests(csms, from, action)).sum()
}

#[tokio::test]
async fn case_17_a_damaged_ledger_is_set_aside_and_nothing_that_was_delivered_is_told_again() -> Result<()> {
    let scene = Scene::start().await?;
    let csms = scene.csms()?;
    short_charge(&scene, 1, OTHER).await?;
    scene.delivered().await?;
    // A charge goes on meanwhile, which the CSMS knows of.
    scene.charge(2, 30_000).await?;
    scene.sampled(1, 2).await?;
    let last = scene.link(|_| true).await?.confirmed_event;
    let known = |state: &SessionState| state.delivered_event >= last;
    scene.bench.wait_for(names::SESSION, names::SESSION.root, LIMIT, known).await?;

    let service = scene.bench.service("ocpp")?;
    let starts = service.known().starts;
    service.signal(Signal::SIGSTOP)?;
    let mark = csms.mark();
    let state = scene.bench.state_directory().join("state/ocpp");
    for file in ["ocpp.sqlite", "ocpp.sqlite-wal"] {
        let file = state.join(file);
        let bytes = std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
        std::fs::write(&file, vec![0x5a; usize::try_from(bytes)?])?;
    }
    service.signal(Signal::SIGKILL)?;
    service.wait(LIMIT, |known| known.ready && known.starts > starts).await?;

    let names: Vec<String> = std::fs::read_dir(&state)?
        .map(|file| Ok(file?.file_name().to_string_lossy().into_owned()))
        .collect::<std::io::Result<_>>()?;
    ensure!(names.iter().any(|name| name.contains("damaged")), "{names:?}");
    let told_of_it = |state: &ServiceState| state.set_aside_files.iter().any(|file| file.contains("damaged"));
    scene.bench.wait_for(names::OCPP, names::OCPP.root, LIMIT, told_of_it).await?;
    scene.link(|state| state.link == Link::Accepted && state.confirmed_event >= last).await?;
    scene.flows(2).await?;
    ensure!(scene.hardware(2).await?.current_interruptions().await? == 0);
    scene.hardware(2).await?.stop_by_vehicle().await?;
    scene.status(2, ConnectorStatus::Finishing).await?;
    scene.unplug(2).await?;
    // The next charge is told from its start to its stop.
    short_charge(&scene, 2, OTHER).await?;
    scene.delivered().await?;
    let books = scene.books()?;
    // Nothing comes twice. The charge in the middle stays open in the books.
    let open = |remark: &String| remark.ends_with("before the stop of BENCH transaction 1001");
    ensure!(books.irregularities.iter().all(open) && books.strays.is_empty(), "{:?}", books.irregularities);
    let [first, cut, next] = books.transactions.as_slice() else { anyhow::bail!("{:?}", books.transactions) };
    ensure!(first.stop_count == 1 && next.stop_count == 1 && cut.start_count == 1, "{books:?}");
    // The CSMS's number of it was in the ledger alone, so that the rest of it waits for a person.
    let lost = undelivered(&scene).await?;
    ensure!(cut.stop_count == 0 && !lost.is_empty(), "{cut:?} {lost:?}");
    ensure!(lost.iter().all(|event| event.transaction.0 == 2 && event.sequence > last), "{lost:?}");
    println!("not told any more of the charge in the middle: {} events; told since: {}", lost.len(), told(csms, mark));
    scene.bench.stop().await;
    Ok(())
}
