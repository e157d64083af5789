//! The loop of settings: wishes in; the ledger, the published values and the verdict out, in this order.

use crate::book::{Book, Decision, Entry, NoSecret, Refusal};
use crate::keys::Key;
use crate::ledger::Ledger;
use crate::objects::RootObject;
use crate::rules;
use crate::secret::{Secret, sealed};
use crate::settings::Settings;
use busbar_interfaces::settings::{KeyRecord, SettingsState};
use busbar_interfaces::words::{KeyOrigin, SetVerdict};
use busbar_interfaces::{BoottimeMillis, CallError, names};
use busbar_runtime::{Bus, Desk, Exit, Life, Moment, Object, Reply};
use std::os::fd::OwnedFd;
use tokio::sync::mpsc;

/// What the loop takes in. Not printable: a value may be a secret.
pub enum Input {
    /// Somebody wants to change a key.
    Set { wish: Wish, reply: Reply<SetVerdict> },
    /// Somebody wants the value of a write-only key.
    OpenSecret { key: String, is_from_ocpp: bool, reply: Reply<OwnedFd> },
    /// Somebody wants to see every key.
    ListKeys { reply: Reply<Vec<KeyRecord>> },
}

/// A change that somebody wants. Not printable either.
pub struct Wish {
    pub key: String,
    pub value: String,
    pub origin: KeyOrigin,
    /// Whoever wants it no longer waits after this moment.
    pub valid_until: BoottimeMillis,
}

/// Runs the service until it is asked to stop. `password` is the first value of `AuthorizationKey`, if the station
/// brings one.
///
/// # Errors
/// When the bus is lost or the ledger cannot be read at the start.
pub async fn run(
    settings: Settings,
    password: Option<Secret>,
    mut ledger: Ledger,
    bus: Bus,
    life: Life,
) -> Result<(), Exit> {
    let Life { clock, mut stop, mut watchdog } = life;
    let mut book = Book::open(&settings, ledger.rows()?, |key| {
        tracing::warn!(key, "a stored value has no effect: this version does not take it");
    });
    let first_values = book.first_values(&settings, password.as_ref(), clock.now().unix);
    ledger.write(&first_values)?;
    for entry in first_values {
        tracing::info!(key = entry.key, "a key takes the station's own value");
        book.enter(entry);
    }
    if let Some(fault) = book.contradiction() {
        tracing::warn!(fault, "the keys do not fit together: the station does not reach its CSMS like this");
    }

    let (sender, mut inputs) = mpsc::channel(64);
    let (root, shown) = Object::new(&bus, names::SETTINGS.root, book.state());
    bus.serve(names::SETTINGS.root, RootObject { desk: Desk::new(sender), shown, bus: bus.clone() }).await?;
    bus.ready().await?;

    let lost = bus.lost();
    tokio::pin!(lost);
    loop {
        tokio::select! {
            () = stop.asked() => break,
            exit = &mut lost => return Err(exit),
            () = watchdog.due() => watchdog.feed(),
            Some(input) = inputs.recv() => match input {
                Input::Set { wish, reply } => {
                    let verdict = match decide(&book, &wish, clock.now()) {
                        Ok(Decision::Answer(verdict)) => Ok(verdict),
                        Ok(Decision::Write(entry, verdict)) => {
                            write(&mut ledger, &mut book, &root, entry).await.map(|()| verdict)
                        }
                        Err(Verdict::Told(verdict)) => Ok(verdict),
                        Err(Verdict::Failed(error)) => Err(error),
                    };
                    // A caller that has gone needs no answer.
                    let _ = reply.send(verdict);
                }
                Input::OpenSecret { key, is_from_ocpp, reply } => {
                    let _ = reply.send(open_secret(&book, &key, is_from_ocpp));
                }
                Input::ListKeys { reply } => {
                    let _ = reply.send(Ok(book.records()));
                }
            },
        }
    }
    bus.release().await;
    Ok(())
}

/// How a change that is not made is answered.
enum Verdict {
    /// To the CSMS, which has no place for a reason.
    Told(SetVerdict),
    /// To a person and to the station itself: with the reason.
    Failed(CallError),
}

fn decide(book: &Book, wish: &Wish, now: Moment) -> Result<Decision, Verdict> {
    let failed = |error| Err(Verdict::Failed(error));
    if now.boottime > wish.valid_until {
        return failed(CallError::Expired("the change came too late and is not made".to_owned()));
    }
    match wish.origin {
        KeyOrigin::Csms | KeyOrigin::Engineer => {}
        KeyOrigin::Rollback if Key::named(&wish.key).is_some_and(rules::is_on_the_way_to_the_csms) => {}
        KeyOrigin::Rollback => {
            let keys = rules::WAY_TO_THE_CSMS.join(", ");
            return failed(CallError::OutOfRange(format!("the origin `rollback` is for {keys} alone")));
        }
        _ => return failed(CallError::OutOfRange("origin must be `csms`, `engineer` or `rollback`".to_owned())),
    }
    let judged = book.judge(&wish.key, &wish.value, wish.origin, now.unix);
    judged.map_err(|refusal| match (wish.origin, &refusal) {
        (KeyOrigin::Csms, Refusal::NoSuchKey(_)) => Verdict::Told(SetVerdict::NotSupported),
        (KeyOrigin::Csms, _) => {
            // The log is the only place where the reason can be found.
            tracing::info!(%refusal, "a change by the CSMS is rejected");
            Verdict::Told(SetVerdict::Rejected)
        }
        (_, Refusal::NoSuchKey(_)) => Verdict::Failed(CallError::NotFound(refusal.to_string())),
        _ => Verdict::Failed(CallError::OutOfRange(refusal.to_string())),
    })
}

async fn write(
    ledger: &mut Ledger,
    book: &mut Book,
    root: &Object<SettingsState>,
    entry: Entry,
) -> Result<(), CallError> {
    if let Err(error) = ledger.write(std::slice::from_ref(&entry)) {
        tracing::error!(key = entry.key, %error, "a change of a key cannot be stored");
        return Err(CallError::Internal("the change cannot be stored".to_owned()));
    }
    tracing::info!(key = entry.key, origin = entry.origin.as_str(), "a key was changed");
    book.enter(entry);
    root.publish(book.state()).await;
    Ok(())
}

fn open_secret(book: &Book, key: &str, is_from_ocpp: bool) -> Result<OwnedFd, CallError> {
    if !is_from_ocpp {
        return Err(CallError::NotPermitted(format!("a secret is for the owner of `{}` alone", names::OCPP.bus_name)));
    }
    let value = book.secret(key).map_err(|error| match error {
        NoSecret::Readable => CallError::OutOfRange(format!("`{key}` {error}")),
        NoSecret::NoSuchKey | NoSecret::Unset => CallError::NotFound(format!("`{key}` {error}")),
    })?;
    sealed(value).map_err(|error| {
        tracing::error!(key, %error, "a secret cannot be handed over");
        CallError::Internal("the kernel gives no memory file".to_owned())
    })
}
