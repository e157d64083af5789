//! One life of a station: its script, the death of session in the middle of it, and the judgement. Whoever gets no
//! answer looks at what session shows once it is back, and asks again.

use crate::chaos::peers::CONNECTORS;
use crate::power_cut::promises::{Evidence, Promises};
use crate::power_cut::station::{Seen, Station};
use anyhow::{Context, Result, bail, ensure};
use busbar_interfaces::session::{SessionProxy, TransactionEvent};
use busbar_interfaces::words::StopReason;
use busbar_interfaces::{BoottimeMillis, CallError};
use busbar_runtime::Clock;
use busbar_runtime::bus::REQUEST_VALIDITY;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::str::FromStr;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Everything that is waited for happens within this time or never.
const LIMIT: Duration = Duration::from_secs(20);
/// What nobody announces is looked at so often.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// So long the journal is waited for when a life has failed.
const LAST_LOOK: Duration = Duration::from_secs(2);

/// What ends with session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// The process alone, also at its planned stop: power goes on and holds its leases.
    Process,
    /// The machine, also at its planned stop: the outputs are off.
    Machine,
    /// The machine at the planned stop, and then the process alone, while it takes in that the machine has restarted.
    Recovery,
}

impl Death {
    /// As it is written in a case.
    const WORDS: [(Death, &str); 3] =
        [(Death::Process, "process"), (Death::Machine, "machine"), (Death::Recovery, "recovery")];

    /// The machine ends where session kills itself.
    pub fn cuts_power(self) -> bool {
        self == Death::Machine
    }

    /// The machine is restarted at the planned stop.
    pub fn restarts_machine(self) -> bool {
        self != Death::Process
    }
}

/// Where session kills itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failpoint {
    /// In its first process, or in the second, which comes after a planned stop.
    pub process: usize,
    /// At the first, second, ... passing of a durable write.
    pub number: u64,
}

/// What is different in this life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// What ends with the process.
    pub death: Death,
    /// When; never, where there is none.
    pub failpoint: Option<Failpoint>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let death = Death::WORDS.iter().find(|(death, _)| *death == self.death).map_or("", |(_, word)| *word);
        match self.failpoint {
            Some(Failpoint { process, number }) => write!(f, "{death}:{process}:{number}"),
            None => write!(f, "{death}"),
        }
    }
}

impl FromStr for Case {
    type Err = anyhow::Error;

    /// As it is shown.
    fn from_str(text: &str) -> Result<Case> {
        let mut parts = text.split(':');
        let first = parts.next();
        let death = Death::WORDS.iter().find(|(_, word)| Some(*word) == first);
        let (death, _) = *death.with_context(|| format!("`{text}` begins with none of {:?}", Death::WORDS))?;
        let failpoint = match (parts.next(), parts.next(), parts.next()) {
            (None, ..) => None,
            (Some(process), Some(number), None) => {
                Some(Failpoint { process: process.parse()?, number: number.parse()? })
            }
            _ => bail!("`{text}` is not like `machine:1:37`"),
        };
        Ok(Case { death, failpoint })
    }
}

/// A life that is being lived.
pub struct Life {
    /// What is different in it.
    pub case: Case,
    /// The station.
    pub station: Station,
    /// What it has promised.
    pub promises: Promises,
    /// The journal when it was read last.
    pub journal: Vec<TransactionEvent>,
    /// In which step session has killed itself.
    pub killed_in: Option<&'static str>,
    journal_id: Option<u64>,
    step: &'static str,
    /// The process that was started last, not counting those that came after a kill.
    process: usize,
    begun: Instant,
    story: Vec<String>,
}

/// Lives a life to its end and judges it: the step in which session has killed itself, if it came to that.
///
/// # Errors
/// The case, the step, what does not hold, and the journal.
pub async fn live(case: Case) -> Result<Option<&'static str>> {
    let station = Station::prepare().await?;
    let mut life = Life {
        case,
        station,
        promises: Promises::default(),
        journal: Vec::new(),
        killed_in: None,
        journal_id: None,
        step: "start",
        process: 1,
        begun: Instant::now(),
        story: Vec::new(),
    };
    let registers = CONNECTORS.map(|connector| (connector, life.station.peers.register(connector).0));
    let lived = match life.whole().await {
        Ok(()) => life.evidence(registers.into_iter().collect()).await,
        Err(error) => Err(error),
    };
    let wrong = match lived {
        Ok(evidence) => life.promises.judge(&evidence),
        Err(error) => vec![format!("{error:#}")],
    };
    let wrong: Vec<String> = wrong.into_iter().chain(life.station.faults()).collect();
    if wrong.is_empty() { Ok(life.killed_in) } else { bail!(life.accuse(&wrong).await) }
}

impl Life {
    /// The next step of the script begins.
    pub fn now(&mut self, step: &'static str) {
        self.step = step;
        self.note(step);
    }

    /// Something happens in it.
    pub fn note(&mut self, what: &str) {
        self.story.push(format!("{:6} ms: {what}", self.begun.elapsed().as_millis()));
    }

    /// Starts the first process, or the second.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start_session(&mut self, process: usize) -> Result<()> {
        self.process = process;
        let failpoint = self.case.failpoint.filter(|failpoint| failpoint.process == process);
        let is_due = failpoint.filter(|_| self.killed_in.is_none());
        self.station.start_session(is_due.map(|failpoint| failpoint.number)).await
    }

    /// Stops session in good order and starts it again, on a machine that was restarted too if that is the case. Whether
    /// it came to the good order.
    ///
    /// # Errors
    /// When it does not stop, or does something else.
    pub async fn restart_in_order(&mut self) -> Result<bool> {
        self.mind().await?;
        if self.case.death.restarts_machine() {
            self.promises.perhaps_restarted();
        }
        let exit = self.station.stop_session().await?;
        let in_order = exit.success();
        if !in_order {
            self.has_killed_itself(exit)?;
        }
        if self.case.death.restarts_machine() {
            self.promises.restarted(if in_order { StopReason::Reboot } else { StopReason::PowerLoss });
            self.station.fail_mains().await?;
        }
        self.start_session(2).await?;
        Ok(in_order)
    }

    /// Starts session again if it has killed itself; it does nothing else to end.
    async fn mind(&mut self) -> Result<()> {
        let Some(exit) = self.station.ended()? else { return Ok(()) };
        self.has_killed_itself(exit)?;
        if self.case.death.cuts_power() {
            self.promises.restarted(StopReason::PowerLoss);
            self.station.fail_mains().await?;
        }
        self.station.start_session(None).await
    }

    fn has_killed_itself(&mut self, exit: ExitStatus) -> Result<()> {
        let is_due = self.killed_in.is_none() && self.case.failpoint.is_some_and(|each| each.process == self.process);
        ensure!(is_due && exit.signal() == Some(Signal::SIGKILL as i32), "session has ended by itself: {exit}");
        self.killed_in = Some(self.step);
        self.note("session has killed itself");
        Ok(())
    }

    /// Waits for a condition that nobody announces, over the death of session too.
    ///
    /// # Errors
    /// When it does not come about in time.
    pub async fn until<T>(&mut self, what: &str, condition: impl AsyncFn(&Life) -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + LIMIT;
        loop {
            self.mind().await?;
            if let Some(value) = condition(self).await {
                return Ok(value);
            }
            ensure!(Instant::now() < deadline, "not within {LIMIT:?}: {what}");
            sleep(LOOK_AGAIN).await;
        }
    }

    /// What session shows.
    ///
    /// # Errors
    /// When it shows nothing.
    pub async fn look(&mut self) -> Result<Seen> {
        self.until("session shows itself", async |life: &Life| life.station.seen().await).await
    }

    /// Asks session for something as soon as it serves; nothing, if it has died over that.
    ///
    /// # Errors
    /// When it refuses, or is silent.
    pub async fn ask<T>(
        &mut self,
        what: &str,
        call: impl AsyncFn(&SessionProxy<'static>) -> Result<T, CallError>,
    ) -> Result<Option<T>> {
        self.until("session serves", async |life: &Life| life.station.root().await).await?;
        self.ask_at_once(what, call).await
    }

    /// Likewise, right after something was seen of it: whatever answers is the process that was seen, because a dead one
    /// is started again nowhere in between.
    ///
    /// # Errors
    /// When it refuses, or is silent.
    pub async fn ask_at_once<T>(
        &mut self,
        what: &str,
        call: impl AsyncFn(&SessionProxy<'static>) -> Result<T, CallError>,
    ) -> Result<Option<T>> {
        let starts = self.station.starts;
        match call(&self.station.session).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error @ (CallError::Bus(_) | CallError::Internal(_))) => {
                let why = format!("session has ended, because {what} has failed: {error}");
                self.until(&why, async |life: &Life| (life.station.starts > starts).then_some(())).await?;
                self.note(&format!("no answer to: {what}"));
                Ok(None)
            }
            Err(error) => Err(error).context(what.to_owned()),
        }
    }

    /// Asks until there is an answer; also whether there was none before.
    ///
    /// # Errors
    /// When session refuses, or is silent.
    pub async fn insist<T>(
        &mut self,
        what: &str,
        call: impl AsyncFn(&SessionProxy<'static>) -> Result<T, CallError>,
    ) -> Result<(T, bool)> {
        let mut is_repeated = false;
        loop {
            if let Some(answer) = self.ask(what, &call).await? {
                return Ok((answer, is_repeated));
            }
            is_repeated = true;
        }
    }

    /// A step is over: what was promised is there, and the journal has only grown.
    ///
    /// # Errors
    /// What is not.
    pub async fn done(&mut self) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let seen = self.look().await?;
            let journal_id = *self.journal_id.get_or_insert(seen.root.journal_id);
            ensure!(journal_id == seen.root.journal_id, "journal {journal_id} is now {}", seen.root.journal_id);
            let wrong = self.promises.held_against(&seen.root, &seen.connectors);
            if wrong.is_empty() {
                break;
            }
            // What was answered is shown in the next moment.
            ensure!(Instant::now() < deadline, "{}", wrong.join("\n"));
            sleep(LOOK_AGAIN).await;
        }
        self.read_journal().await
    }

    /// Reads the journal: what was there stays as it was.
    ///
    /// # Errors
    /// When it does not.
    pub async fn read_journal(&mut self) -> Result<()> {
        let journal = self.until("the journal is read", async |life: &Life| life.station.journal().await).await?;
        for before in &self.journal {
            let now = journal.iter().find(|event| event.sequence == before.sequence);
            ensure!(now == Some(before), "the journal had {before:?} and has {now:?}");
        }
        if let Some(last) = journal.last() {
            self.station.central.confirm(last.sequence).await;
        }
        self.journal = journal;
        Ok(())
    }

    async fn evidence(&mut self, before: BTreeMap<u32, u64>) -> Result<Evidence> {
        self.read_journal().await?;
        let seen = self.look().await?;
        let peers = &self.station.peers;
        let after = |(connector, before)| (connector, (before, peers.register(connector).0));
        Ok(Evidence {
            registers: before.into_iter().map(after).collect(),
            begun: CONNECTORS.map(|connector| (connector, peers.begun(connector))).into(),
            journal: self.journal.clone(),
            connectors: seen.connectors,
        })
    }

    async fn accuse(self, wrong: &[String]) -> String {
        // Session may be silent now.
        let journal = timeout(LAST_LOOK, self.station.journal()).await.ok().flatten().unwrap_or(self.journal);
        let journal: Vec<String> = journal.iter().map(|event| format!("{event:?}")).collect();
        let log = self.station.last_words();
        let kept = self.station.keep();
        format!(
            "{}: {} faults, in the step \"{}\"; killed in {:?}; files are in {}\n{}\n--- what happened:\n{}\n\
             --- the journal:\n{}\n--- the promises:\n{:#?}\n--- the log ends:\n{log}",
            self.case,
            wrong.len(),
            self.step,
            self.killed_in,
            kept.display(),
            wrong.join("\n"),
            self.story.join("\n"),
            journal.join("\n"),
            self.promises,
        )
    }
}

/// From then on nobody waits for an answer any more.
pub fn later() -> BoottimeMillis {
    Clock::system().now().boottime.after(REQUEST_VALIDITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_read_as_it_is_shown() -> Result<()> {
        for text in ["process", "machine", "process:1:37", "machine:2:4", "recovery:2:1"] {
            assert_eq!(text.parse::<Case>()?.to_string(), text);
        }
        for text in ["", "mains", "process:1", "process:1:x", "process:1:2:3"] {
            assert!(text.parse::<Case>().is_err(), "{text}");
        }
        Ok(())
    }
}
