//! The loop of settings: wishes in; the ledger, the published values and the verdict out, in this order.

use crate::book::{Book, Decision, Entry};
use crate::keys::Key;
use crate::ledger::Ledger;
use crate::objects::RootObject;
use crate::settings::Settings;
use busbar_interfaces::settings::{KeyRecord, SettingsState};
use busbar_interfaces::words::{KeyOrigin, SetVerdict};
use busbar_interfaces::{BoottimeMillis, CallError, names};
use busbar_runtime::{Bus, Desk, Exit, Life, Moment, Object, Reply};
use tokio::sync::mpsc;

/// What the loop takes in. Not printable: a value may be a secret.
pub enum Input {
    /// Somebody wants to change a key.
    Set { wish: Wish, reply: Reply<SetVerdict> },
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

/// Runs the service until it is asked to stop.
///
/// # Errors
/// When the bus is lost or the ledger cannot be read at the start.
pub async fn run(settings: Settings, mut ledger: Ledger, bus: Bus, life: Life) -> Result<(), Exit> {
    let Life { clock, mut stop, mut watchdog } = life;
    let mut book = Book::open(&settings, ledger.rows()?, |key| {
        tracing::warn!(key, "a stored value has no effect: this version does not take it");
    });
    let first_values = book.first_values(&settings, clock.now().unix);
    ledger.write(&first_values)?;
    for entry in first_values {
        tracing::info!(key = entry.key, "a key takes the station file's value");
        book.enter(entry);
    }

    let (sender, mut inputs) = mpsc::channel(64);
    let (root, shown) = Object::new(&bus, names::SETTINGS.root, book.state());
    bus.serve(names::SETTINGS.root, RootObject { desk: Desk::new(sender), shown }).await?;
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
                        Ok(Decision::Write(entry)) => write(&mut ledger, &mut book, &root, entry).await,
                        Err(error) => Err(error),
                    };
                    // A caller that has gone needs no answer.
                    let _ = reply.send(verdict);
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

fn decide(book: &Book, wish: &Wish, now: Moment) -> Result<Decision, CallError> {
    if now.boottime > wish.valid_until {
        return Err(CallError::Expired("the change came too late and is not made".to_owned()));
    }
    match wish.origin {
        KeyOrigin::Csms => Ok(book.judge(&wish.key, &wish.value, wish.origin, now.unix)),
        KeyOrigin::Engineer => match book.judge(&wish.key, &wish.value, wish.origin, now.unix) {
            // A person is told why; the CSMS has no place for a reason.
            Decision::Answer(SetVerdict::NotSupported | SetVerdict::Rejected) => Err(reason(wish)),
            decision => Ok(decision),
        },
        _ => Err(CallError::OutOfRange("origin must be `csms` or `engineer`".to_owned())),
    }
}

/// Why a change that an engineer asked for is not made. Never repeats the value: it may be a secret.
fn reason(wish: &Wish) -> CallError {
    let name = &wish.key;
    match Key::named(name) {
        None => CallError::NotFound(format!("`{name}` is not a configuration key; `busbarctl settings list` has all")),
        Some(key) => match key.accept(&wish.value) {
            Err(wanted) => CallError::OutOfRange(format!("`{}` {wanted}", key.name)),
            Ok(_) => CallError::OutOfRange(format!("`{}` cannot be changed to that", key.name)),
        },
    }
}

async fn write(
    ledger: &mut Ledger,
    book: &mut Book,
    root: &Object<SettingsState>,
    entry: Entry,
) -> Result<SetVerdict, CallError> {
    if let Err(error) = ledger.write(std::slice::from_ref(&entry)) {
        tracing::error!(key = entry.key, %error, "a change of a key cannot be stored");
        return Err(CallError::Internal("the change cannot be stored".to_owned()));
    }
    tracing::info!(key = entry.key, origin = entry.origin.as_str(), "a key was changed");
    book.enter(entry);
    root.publish(book.state()).await;
    Ok(SetVerdict::Accepted)
}
