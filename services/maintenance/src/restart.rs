//! The restart of the station as the loop carries it out: the sequence decides, the order goes to disk first, the
//! questions to others run beside the loop.

use crate::machine;
use crate::order::OrderFile;
use crate::reset::{Effect, Input, Limits, Reset};
use busbar_interfaces::{CallError, Condition, ConnectorId};
use busbar_runtime::{Bus, Clock, Reply};
use std::future::pending;
use std::io;
use tokio::task::JoinSet;

/// Busbar's own code for a restart that failed; what it means is in the catalogue of `faults`.
const RESTART_FAILED: &str = "0xB00002";

/// The sequence and what it needs.
pub struct Restart {
    reset: Reset,
    file: OrderFile,
    questions: JoinSet<Input>,
    bus: Bus,
    clock: Clock,
}

impl Restart {
    /// Goes on where the process ended, if a restart was under way.
    pub fn new(limits: Limits, file: OrderFile, bus: Bus, clock: Clock) -> Restart {
        let unfinished = file.unfinished();
        if let Some(order) = &unfinished {
            tracing::warn!(hard = order.hard, phase = ?order.phase, "the restart of the station goes on");
        }
        let reset = Reset::new(limits, unfinished, file.failed(), clock.now());
        Restart { reset, file, questions: JoinSet::new(), bus, clock }
    }

    /// The restart that is under way; empty when none is.
    pub fn pending(&self) -> &'static str {
        match self.reset.pending() {
            Some(true) => "hard",
            Some(false) => "soft",
            None => "",
        }
    }

    /// What is wrong now.
    pub fn conditions(&self) -> Vec<Condition> {
        let failed = self.reset.failed().map(|error| Condition {
            code: RESTART_FAILED.to_owned(),
            connector: ConnectorId::STATION,
            detail: error.to_owned(),
        });
        failed.into_iter().collect()
    }

    /// Returns what comes next by itself: an answer, or a moment that was waited for. May be dropped and asked again.
    pub async fn next(&mut self) -> Input {
        let wake = self.reset.next_wake().map(|at| at.since(self.clock.now().boottime));
        let wait = async {
            match wake {
                Some(wake) => tokio::time::sleep(wake).await,
                None => pending().await,
            }
        };
        tokio::select! {
            Some(answer) = self.questions.join_next() => answer.unwrap_or_else(|error| {
                // As if no answer had come; each has its limit in the sequence.
                tracing::error!(%error, "a question's task failed");
                Input::Wake
            }),
            () = wait => Input::Wake,
        }
    }

    /// Takes in what happened.
    pub fn step(&mut self, input: Input) {
        let effects = self.reset.step(self.clock.now(), input);
        effects.into_iter().for_each(|effect| self.carry_out(effect));
    }

    /// Takes an order, and answers when it is on disk.
    pub fn order(&mut self, hard: bool, reply: Reply<()>) {
        let before = self.reset.clone();
        let mut effects = self.reset.step(self.clock.now(), Input::Order { hard }).into_iter().peekable();
        // The first effect of an order that changes anything; without it nothing else happens.
        if let Some(Effect::Keep(order)) = effects.next_if(|effect| matches!(effect, Effect::Keep(_)))
            && let Err(error) = self.file.keep(&order)
        {
            tracing::error!(%error, hard, "the order to restart the station cannot be kept; nothing is done");
            self.reset = before;
            // A caller that has gone needs no answer, here and below.
            let _ = reply.send(Err(CallError::Internal("the order could not be kept; nothing is done".to_owned())));
            return;
        }
        tracing::warn!(hard, "the station is to restart");
        let _ = reply.send(Ok(()));
        effects.for_each(|effect| self.carry_out(effect));
    }

    fn carry_out(&mut self, effect: Effect) {
        let bus = self.bus.clone();
        match effect {
            Effect::Keep(order) => {
                tracing::info!(phase = ?order.phase, attempts = order.attempts, "the restart goes on");
                told(self.file.keep(&order));
            }
            Effect::Forget => told(self.file.forget()),
            Effect::StopAll { ask, reason, no_start } => {
                drop(self.questions.spawn(machine::stop_all(bus, ask, reason, no_start)));
            }
            Effect::Restart { attempt } => drop(self.questions.spawn(machine::restart(bus, attempt))),
            Effect::Failed(error) => {
                tracing::error!(error, "the station could not be restarted; restart it by hand");
                told(self.file.write_note(Some(error)));
            }
            Effect::Warn(message) => tracing::warn!("{message}"),
        }
    }
}

/// The order itself is on disk already: how far it is only saves time after a crash, so the restart goes on.
fn told(kept: io::Result<()>) {
    if let Err(error) = kept {
        tracing::error!(%error, "the state of a restart cannot be kept");
    }
}
