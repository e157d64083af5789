//! The power-cut sweep: session is killed right before and right after each durable write of a whole scripted session,
//! alone and with the machine, and started again: one start, one stop, the right energy, nothing free, nothing stuck.
//! `BUSBAR_POWER_CUT=machine:1:37` repeats one life: what ends, in which process of session, at which passing of a write.
#![allow(clippy::disallowed_methods, reason = "tests")]

use anyhow::{Result, ensure};
use busbar_suite::power_cut::life::{Case, Death, Failpoint, live};
use futures_util::StreamExt;
use futures_util::stream::iter;
use std::collections::BTreeMap;
use tokio::time::Instant;

/// Lives at a time, of each of the two tests.
const AT_A_TIME: usize = 4;
/// In a life session is started, and started again after a planned stop.
const FIRST: usize = 1;
const SECOND: usize = 2;
/// Lives differ by a sample or two: a sweep is over when so many in a row were outlived.
const OUTLIVED: usize = 4;
/// So many failures tell enough.
const MOST_FAILURES: usize = 5;

fn asked_for() -> Result<Option<Case>> {
    let Ok(text) = std::env::var("BUSBAR_POWER_CUT") else { return Ok(None) };
    text.parse().map(Some)
}

/// What came of the kills.
#[derive(Default)]
struct Tally {
    kills: usize,
    failures: Vec<String>,
}

impl Tally {
    /// Kills session at one write after the other of one of its processes, until it outlives its life.
    async fn sweep(&mut self, death: Death, process: usize) {
        let mut steps: BTreeMap<&str, u32> = BTreeMap::new();
        let mut outlived = 0;
        let cases = (1..).map(|number| Case { death, failpoint: Some(Failpoint { process, number }) });
        let mut lives = iter(cases).map(|case| async move { (case, live(case).await) }).buffered(AT_A_TIME);
        while outlived < OUTLIVED
            && self.failures.len() < MOST_FAILURES
            && let Some((case, lived)) = lives.next().await
        {
            let is_outlived = matches!(lived, Ok(None));
            outlived = if is_outlived { outlived + 1 } else { 0 };
            self.kills += usize::from(!is_outlived);
            match lived {
                Ok(step) => step.into_iter().for_each(|step| *steps.entry(step).or_default() += 1),
                Err(error) => {
                    println!("{error:#}");
                    self.failures.push(case.to_string());
                }
            }
        }
        println!("{death:?}, process {process}, killed in: {steps:?}");
    }
}

async fn sweep(sweeps: &[(Death, usize)]) -> Result<()> {
    let has = |death| sweeps.iter().any(|(each, _)| *each == death);
    if let Some(case) = asked_for()? {
        if has(case.death) {
            println!("killed in {:?}", live(case).await?);
        }
        return Ok(());
    }
    let begun = Instant::now();
    let mut tally = Tally::default();
    for (death, process) in sweeps {
        tally.sweep(*death, *process).await;
    }
    let Tally { kills, failures } = tally;
    println!("power cut sweep: {kills} failpoints, process killed at each, {:?}", begun.elapsed());
    ensure!(failures.is_empty(), "repeat one with BUSBAR_POWER_CUT=...: {failures:?}");
    Ok(())
}

#[ignore = "takes minutes: make power-cut"]
#[tokio::test]
async fn case_b23_case_b14_every_durable_write_killed_right_before_and_right_after_it() -> Result<()> {
    sweep(&[(Death::Process, FIRST), (Death::Process, SECOND)]).await
}

#[ignore = "takes minutes: make power-cut"]
#[tokio::test]
async fn case_b23_case_b25_the_mains_fail_right_before_and_right_after_every_durable_write() -> Result<()> {
    sweep(&[(Death::Machine, FIRST), (Death::Machine, SECOND), (Death::Recovery, SECOND)]).await
}
