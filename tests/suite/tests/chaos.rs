//! Random sequences of link cuts, refusals, delays, duplicates and process kills, fed to ocpp and session: each
//! transaction has one start and one stop at the CSMS, with the right numbers, in the right order, nothing lost and
//! nothing doubled. A run is one seed; `BUSBAR_CHAOS_SEED` repeats one, `BUSBAR_CHAOS_RUNS` runs so many.
#![allow(clippy::disallowed_methods, clippy::panic, reason = "tests")]

use anyhow::{Context, Result};
use busbar_suite::chaos::run::{Patience, run};
use futures_util::future::join_all;

/// Seeds that always run: by and by, those that have found something.
const SEEDS: [u64; 4] = [1, 2, 3, 4];
/// Likewise, for a CSMS whose second refusal is its last word.
const SEEDS_OF_TWO: [u64; 3] = [101, 102, 103];

/// Runs at a time.
const AT_A_TIME: usize = 3;

fn number(name: &str) -> Result<Option<u64>> {
    let Ok(text) = std::env::var(name) else { return Ok(None) };
    text.parse().map(Some).with_context(|| format!("{name} must be a number, not `{text}`"))
}

/// The seeds of this run of the test: one that was asked for, as many as were asked for, or a few and one by chance.
fn seeds(fixed: &[u64]) -> Result<Vec<u64>> {
    if let Some(seed) = number("BUSBAR_CHAOS_SEED")? {
        return Ok(vec![seed]);
    }
    let random = std::iter::repeat_with(|| fastrand::u64(..1_000_000_000));
    Ok(match number("BUSBAR_CHAOS_RUNS")? {
        Some(runs) => random.take(usize::try_from(runs)?).collect(),
        None => fixed.iter().copied().chain(random.take(1)).collect(),
    })
}

/// Some at a time: what is random about them is also who gets the processor when.
async fn all(fixed: &[u64], patience: Patience) -> Result<()> {
    let mut failures = Vec::new();
    for batch in seeds(fixed)?.chunks(AT_A_TIME) {
        let runs = batch.iter().map(|seed| async move { (*seed, run(*seed, patience).await) });
        for (seed, outcome) in join_all(runs).await {
            match outcome {
                Ok(tally) => println!("seed {seed}, {patience:?}: {tally:?}"),
                Err(error) => {
                    println!("{error:#}");
                    failures.push(seed);
                }
            }
        }
    }
    anyhow::ensure!(failures.is_empty(), "these seeds fail; repeat one with BUSBAR_CHAOS_SEED: {failures:?}");
    Ok(())
}

#[tokio::test]
async fn whatever_happens_every_event_reaches_the_csms_once_and_in_order() -> Result<()> {
    all(&SEEDS, Patience::Endless).await
}

#[tokio::test]
async fn what_the_csms_refuses_twice_is_kept_and_everything_else_is_right() -> Result<()> {
    all(&SEEDS_OF_TWO, Patience::Two).await
}
