//! Drivers as they are: they look at the screen, show the badge if it does not show what they want, look again, drive
//! off when it is over. And the CSMS, which asks again when it got no answer.

use crate::power_cut::life::{Life, later};
use crate::power_cut::promises::{Charge, ChargeNumber};
use anyhow::{Context, Result, ensure};
use busbar_interfaces::session::SessionConnectorState;
use busbar_interfaces::words::{AuthorizationSource, BadgeOutcome, ConnectorStatus, StopReason, Verdict};
use busbar_interfaces::{ConnectorId, TransactionId};

/// Who wants a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Driver {
    /// The badge.
    pub id_tag: &'static str,
    /// By whose word it may charge.
    pub source: AuthorizationSource,
    /// What is reserved for it.
    pub reservation: Option<i32>,
}

/// Who begins a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// The driver, with the badge.
    Driver,
    /// The CSMS.
    Csms,
}

/// How somebody ends a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// With this badge, at the connector that the screen shows.
    Badge(&'static str),
    /// The CSMS asks for it.
    Remote,
}

/// The transaction that was begun since another one was the last.
fn begun(state: &SessionConnectorState, before: TransactionId) -> Option<TransactionId> {
    let ended = state.last_transaction;
    [state.transaction, if ended == before { TransactionId(0) } else { ended }]
        .into_iter()
        .find(|transaction| *transaction != TransactionId(0))
}

impl Life {
    /// A driver plugs in and begins a charge.
    ///
    /// # Errors
    /// When it does not begin, or was said to have begun and has not.
    pub async fn charge(&mut self, connector: u32, driver: Driver, asker: Asker) -> Result<ChargeNumber> {
        let before = self.look_at(connector).await?.last_transaction;
        self.station.peers.plug(connector);
        let Driver { id_tag, source, reservation } = driver;
        let number = self.promises.wants(connector, id_tag, source, reservation);
        // What the CSMS said of a badge before session died is in the cache.
        let mut sources = vec![source];
        loop {
            let state = self
                .until("a driver is awaited, or the charge has begun", async |life: &Life| {
                    let state = life.station.connector(connector).await?;
                    let is_awaited = state.status == ConnectorStatus::Preparing;
                    (is_awaited || begun(&state, before).is_some()).then_some(state)
                })
                .await?;
            if let Some(transaction) = begun(&state, before) {
                ensure!(sources.contains(&state.authorized_by), "{driver:?} may charge by {}", state.authorized_by);
                self.promises.has_begun(number, transaction);
                return Ok(number);
            }
            self.promises.has_not_begun(number);
            if self.station.central.asked().iter().any(|asked| asked == id_tag) {
                sources.push(AuthorizationSource::Cache);
            }
            self.wish(connector, id_tag, asker, before).await?;
        }
    }

    /// Asks for the charge once. What was answered "starting" has begun, whatever happens then; a remote start that was
    /// accepted is forgotten by a restart.
    async fn wish(&mut self, connector: u32, id_tag: &str, asker: Asker, before: TransactionId) -> Result<()> {
        let starts = self.station.starts;
        let at = ConnectorId(connector);
        match asker {
            Asker::Driver => {
                let answer =
                    self.ask_at_once("a badge", async |session| session.present_badge(id_tag, at, later()).await);
                let Some(answer) = answer.await? else { return Ok(()) };
                ensure!(answer == (BadgeOutcome::Starting, at), "the badge {id_tag} at {connector} is {answer:?}");
            }
            Asker::Csms => {
                let answer =
                    self.ask_at_once("a remote start", async |session| session.remote_start(at, id_tag, later()).await);
                let Some(answer) = answer.await? else { return Ok(()) };
                ensure!(answer == Verdict::Accepted, "the remote start at {connector} is {answer:?}");
            }
        }
        let what = format!("the charge of {id_tag}, which was answered, has begun");
        self.until(&what, async |life: &Life| {
            let is_forgotten = asker == Asker::Csms && life.station.starts > starts;
            let state = life.station.connector(connector).await?;
            (is_forgotten || begun(&state, before).is_some()).then_some(())
        })
        .await
    }

    /// What session shows of a connector.
    ///
    /// # Errors
    /// When it shows nothing.
    pub async fn look_at(&mut self, connector: u32) -> Result<SessionConnectorState> {
        self.until("session shows a connector", async |life: &Life| life.station.connector(connector).await).await
    }

    /// Waits until session has heard of power and of faults: until then, for a moment after its start, it takes no wish.
    ///
    /// # Errors
    /// When it does not hear of them.
    pub async fn until_heard(&mut self) -> Result<()> {
        self.until("session knows its connectors", async |life: &Life| {
            let seen = life.station.seen().await?;
            seen.connectors.values().all(|state| state.status != ConnectorStatus::Unknown).then_some(())
        })
        .await
    }

    /// A charge as it was promised.
    ///
    /// # Errors
    /// When there is none with this number.
    pub fn promised(&self, number: ChargeNumber) -> Result<Charge> {
        self.promises.charge(number).cloned().context("the script knows its charges")
    }

    /// Whether a charge is over. It may be so only if somebody has ended it.
    ///
    /// # Errors
    /// When nobody has.
    pub async fn is_over(&mut self, number: ChargeNumber) -> Result<bool> {
        let charge = self.promised(number)?;
        let is_over = self.look_at(charge.connector).await?.transaction != charge.transaction;
        if is_over {
            // The machine may have been restarted since.
            let charge = self.promised(number)?;
            ensure!(!charge.causes.allowed().is_empty(), "ended by itself: {charge:?}");
            self.promises.is_over(number);
        }
        Ok(is_over)
    }

    /// Waits until something is true of a charge, or the restart of the machine has ended it.
    ///
    /// # Errors
    /// When it does not come about, or the charge has ended by itself.
    pub async fn until_or_over(
        &mut self,
        what: &str,
        number: ChargeNumber,
        condition: impl AsyncFn(&Life, SessionConnectorState) -> bool,
    ) -> Result<()> {
        let charge = self.promised(number)?;
        self.until(what, async |life: &Life| {
            let state = life.station.connector(charge.connector).await?;
            (state.transaction != charge.transaction || condition(life, state).await).then_some(())
        })
        .await?;
        if self.is_over(number).await? {
            ensure!(self.case.death.cuts_power(), "ended before: {what}");
        }
        Ok(())
    }

    /// Waits until energy flows.
    ///
    /// # Errors
    /// When none does.
    pub async fn flows(&mut self, number: ChargeNumber) -> Result<()> {
        let connector = self.promised(number)?.connector;
        let before = self.station.peers.register(connector);
        let flows = async |life: &Life, _| life.station.peers.register(connector) > before;
        self.until_or_over("energy flows", number, flows).await
    }

    /// Somebody ends a charge, and it is over.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn end(&mut self, number: ChargeNumber, way: Way) -> Result<()> {
        let Charge { connector, transaction, .. } = self.promised(number)?;
        let (at, reason) = (ConnectorId(connector), StopReason::Remote);
        while !self.is_over(number).await? {
            let (place, answer) = match way {
                Way::Remote => {
                    let place = self.promises.ask_to_end(number, (reason, ""));
                    let call =
                        self.ask_at_once("a stop", async |session| session.stop_transaction(transaction, reason).await);
                    (place, call.await?.map(|verdict| verdict == Verdict::Accepted))
                }
                Way::Badge(id_tag) => {
                    // A driver waits for the screen.
                    self.until_heard().await?;
                    let place = self.promises.ask_to_end(number, (StopReason::Local, id_tag));
                    let call =
                        self.ask_at_once("a badge", async |session| session.present_badge(id_tag, at, later()).await);
                    (place, call.await?.map(|answer| answer == (BadgeOutcome::Stopping, at)))
                }
            };
            match answer {
                Some(true) => self.promises.is_ending(number, place),
                // It was over already; the deadline tells if not.
                Some(false) => self.note("that is refused"),
                None => continue,
            }
            return self.until_over(number).await;
        }
        Ok(())
    }

    /// Waits for the end of a charge that somebody has ended.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn until_over(&mut self, number: ChargeNumber) -> Result<()> {
        let charge = self.promised(number)?;
        self.until("the transaction is over", async |life: &Life| {
            let state = life.station.connector(charge.connector).await?;
            (state.transaction != charge.transaction).then_some(())
        })
        .await?;
        self.is_over(number).await.map(drop)
    }

    /// The driver unplugs, and the connector is as it is without anybody.
    ///
    /// # Errors
    /// When it is not.
    pub async fn drive_off(&mut self, connector: u32, then: ConnectorStatus) -> Result<()> {
        self.station.peers.unplug(connector);
        self.until("the connector is without a vehicle", async |life: &Life| {
            (life.station.connector(connector).await?.status == then).then_some(())
        })
        .await
    }
}
