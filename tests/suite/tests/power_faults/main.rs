//! The fault matrix: every fault of the plant in every phase of a charge ends in the state that the table says, in time,
//! without an alarm of the plant, with right books, and the connector serves the next one. It takes minutes and a machine
//! with nothing else to do, so the ordinary suite only checks that no fault is missing in the table; `make fault-matrix`
//! plays the selection (every fault under current, a fault of each class in every phase) and then all of it.
//! `BUSBAR_FAULT=water-1-inside,tilt-1-tripped:Charging` plays a row and a cell.
#![allow(clippy::indexing_slicing, clippy::disallowed_methods, reason = "tests")]

mod play;
mod table;

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use play::{Lane, Pace};
use std::cell::RefCell;
use std::collections::BTreeMap;
use table::{Comes, Phase, Row, TABLE};
use tokio::time::Instant;

/// Stations at a time.
const LANES: usize = 3;

type Cell = (Row, Phase);

/// What came of the cells.
#[derive(Default)]
struct Tally {
    played: usize,
    failures: Vec<String>,
    worst: BTreeMap<Comes, (Pace, String, String)>,
}

impl Tally {
    fn note(&mut self, (row, phase): &Cell, result: Result<Pace>, took: u128) {
        self.played += 1;
        let cell = format!("{} in {phase:?}", row.fault);
        let comes = row.comes(*phase);
        match result {
            Ok(pace) => {
                println!("{cell}: {comes:?}, off {:?} ms, open {:?} ms ({took} ms)", pace.off, pace.open);
                let (worst, off, open) = self.worst.entry(comes).or_default();
                if pace.off > worst.off {
                    (worst.off, *off) = (pace.off, cell.clone());
                }
                if pace.open > worst.open {
                    (worst.open, *open) = (pace.open, cell);
                }
            }
            Err(error) => {
                let line = format!("{cell}: not {comes:?}: {error:#}");
                println!("FAILED {line} ({took} ms)");
                self.failures.push(line);
            }
        }
    }
}

fn chosen(rows: Vec<Row>, everything: bool) -> Vec<Cell> {
    let wish = std::env::var("BUSBAR_FAULT").ok();
    let cells = rows.into_iter().flat_map(|row| Phase::ALL.map(|phase| (row.clone(), phase)));
    let is_wished = |(row, phase): &Cell| match &wish {
        Some(wish) => wish.split(',').any(|wish| *wish == *row.fault || *wish == format!("{}:{phase:?}", row.fault)),
        None => everything || *phase == Phase::Charging || row.stands_for_its_class,
    };
    cells.filter(is_wished).collect()
}

/// One station after the other takes the next cell; one on which a cell failed is not used again.
async fn lane(cells: &RefCell<std::vec::IntoIter<Cell>>, tally: &RefCell<Tally>) -> Result<()> {
    let mut lane = Lane::start().await?;
    loop {
        let Some(cell) = cells.borrow_mut().next() else { break };
        let begun = Instant::now();
        let result = lane.play(&cell.0, cell.1).await;
        let failed = result.is_err();
        tally.borrow_mut().note(&cell, result, begun.elapsed().as_millis());
        if failed {
            lane.stop().await;
            lane = Lane::start().await?;
        }
    }
    lane.stop().await;
    Ok(())
}

async fn matrix(everything: bool) -> Result<()> {
    let begun = Instant::now();
    let cells = chosen(table::rows(TABLE)?, everything);
    let count = cells.len();
    let (cells, tally) = (RefCell::new(cells.into_iter()), RefCell::new(Tally::default()));
    try_join_all((0..LANES.min(count)).map(|_| lane(&cells, &tally))).await?;
    let tally = tally.into_inner();
    for (comes, (pace, off, open)) in &tally.worst {
        println!("worst {comes:?}: modules off {:?} ms ({off}), contactors open {:?} ms ({open})", pace.off, pace.open);
    }
    println!("fault matrix: {} cells, {:?}", tally.played, begun.elapsed());
    let failures = &tally.failures;
    ensure!(tally.played == count && failures.is_empty(), "{} of {count}:\n{}", failures.len(), failures.join("\n"));
    Ok(())
}

/// What the plant shows for all subjects, as the table names connector 1 and the module in use.
fn in_the_tables_words(shown: &str) -> Vec<String> {
    if shown.starts_with("modules|vehicles") {
        return ["modules", "vehicles"].map(|bus| shown.replace("modules|vehicles", bus)).to_vec();
    }
    let shown = shown.replace("1|2-1..6", "1-M").replace("1|2-plus|minus", "1-plus").replace("1..6", "M");
    vec![shown.replace("1..4", "1").replace("1|2", "1")]
}

#[tokio::test]
async fn every_fault_that_the_plant_knows_has_a_row() -> Result<()> {
    let rows = table::rows(TABLE)?;
    let lane = Lane::start().await?;
    let known: Vec<String> = lane.faults().await?.iter().flat_map(|shown| in_the_tables_words(shown)).collect();
    lane.stop().await;
    let unnamed: Vec<&String> = known.iter().filter(|name| rows.iter().all(|row| row.fault != **name)).collect();
    ensure!(unnamed.is_empty(), "no row for {unnamed:?}");
    Ok(())
}

#[ignore = "takes minutes: make fault-matrix"]
#[tokio::test]
async fn every_fault_while_current_flows_and_each_class_in_every_phase() -> Result<()> {
    matrix(false).await
}

#[ignore = "takes minutes: make fault-matrix"]
#[tokio::test]
async fn every_fault_in_every_phase() -> Result<()> {
    matrix(true).await
}
