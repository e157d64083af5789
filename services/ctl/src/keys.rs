//! The configuration keys: listed, explained, changed.

use crate::arguments::{SettingsCommand, Value};
use crate::failure::Failure;
use crate::output::{first_line, print};
use crate::table::{item, table};
use crate::words::{NOTHING, moment};
use busbar_interfaces::settings::{KeyRecord, SettingsProxy};
use busbar_interfaces::words::{KeyAccess, KeyOrigin, SetVerdict};
use busbar_runtime::Clock;
use busbar_runtime::bus::REQUEST_VALIDITY;
use zbus::Connection;

/// Carries out one command.
pub async fn run(bus: &Connection, command: SettingsCommand) -> Result<(), Failure> {
    let settings = SettingsProxy::new(bus).await?;
    match command {
        SettingsCommand::List => print(&list(&settings.list_keys().await?)),
        SettingsCommand::Explain { key } => {
            let keys = settings.list_keys().await?;
            let record = keys.iter().find(|record| record.key.eq_ignore_ascii_case(&key));
            print(&explain(record.ok_or_else(|| unknown(&key))?))
        }
        SettingsCommand::Set { key, value } => {
            let value = match value {
                Value::Given(value) => value,
                Value::StandardInput => first_line(std::io::stdin().lock())?,
            };
            let valid_until = Clock::system().now().boottime.after(REQUEST_VALIDITY);
            let verdict = settings.set(&key, &value, KeyOrigin::Engineer, valid_until).await?;
            print(outcome(&key, verdict)?)
        }
    }
}

/// What is said after a change: nothing when there is nothing more to do.
fn outcome(key: &str, verdict: SetVerdict) -> Result<&'static str, Failure> {
    match verdict {
        SetVerdict::Accepted => Ok(""),
        SetVerdict::RebootRequired => {
            Ok("stored; it holds after the next restart of the station (`busbarctl reset soft`)\n")
        }
        SetVerdict::NotSupported => Err(unknown(key)),
        verdict => Err(Failure::Refused(format!(
            "`{key}`: {verdict}; `busbarctl settings explain {key}` says what it takes and who may change it"
        ))),
    }
}

fn unknown(key: &str) -> Failure {
    Failure::Refused(format!("`{key}`: not-supported: there is no such key; `busbarctl settings list` shows all"))
}

/// Every key on a line of its own.
fn list(keys: &[KeyRecord]) -> String {
    let rows: Vec<_> = keys
        .iter()
        .map(|record| {
            let value = if record.value == record.default_value || record.access == KeyAccess::WriteOnly {
                value(record)
            } else {
                format!("{} (default: {})", value(record), shown(&record.default_value))
            };
            let (access, origin) = (record.access.to_string(), record.origin.to_string());
            [record.key.clone(), access, origin, applied_by(record), value]
        })
        .collect();
    table(["key", "access", "origin", "applied by", "value"], &rows)
}

/// All that is known of one key.
fn explain(record: &KeyRecord) -> String {
    let access = match record.access {
        KeyAccess::ReadWrite => "read and write",
        KeyAccess::ReadOnly => "read only",
        KeyAccess::WriteOnly => "write only: its value is never shown",
        KeyAccess::Unknown => "not known to this version of busbarctl",
    };
    let origin = match record.origin {
        KeyOrigin::Default => "the factory",
        KeyOrigin::StationFile => "the station file",
        KeyOrigin::Csms => "the CSMS",
        KeyOrigin::Engineer => "an engineer",
        KeyOrigin::Rollback => "the station itself, back to what worked last",
        KeyOrigin::Unknown => "not known to this version of busbarctl",
    };
    let changed = match record.changed_unix_millis.0 {
        0 => "never".to_owned(),
        _ => moment(record.changed_unix_millis),
    };
    let applied_by = match record.applied_by.as_slice() {
        [] if record.access == KeyAccess::ReadOnly => "nobody needs to: it says what the station is".to_owned(),
        [] => "nobody yet".to_owned(),
        _ => applied_by(record),
    };
    let holds = match (record.access, record.restart_needed) {
        (KeyAccess::ReadOnly, _) => "is refused",
        (_, false) => "holds at once",
        (_, true) => "holds after the next restart of the station",
    };
    let mut text = item("key", &record.key) + &item("value", &value(record));
    if record.access != KeyAccess::WriteOnly {
        text += &item("default", shown(&record.default_value));
    }
    text += &item("takes", &record.takes);
    text += &item("access", access);
    text += &item("set by", origin);
    text += &item("changed", &changed);
    text += &item("applied by", &applied_by);
    text + &item("a change", holds)
}

fn applied_by(record: &KeyRecord) -> String {
    if record.applied_by.is_empty() { NOTHING.to_owned() } else { record.applied_by.join(",") }
}

fn value(record: &KeyRecord) -> String {
    match (record.access, record.changed_unix_millis.0) {
        (KeyAccess::WriteOnly, 0) => "(not set)".to_owned(),
        // Also an empty one may have been set.
        (KeyAccess::WriteOnly, _) => "(set, not shown)".to_owned(),
        _ => shown(&record.value).to_owned(),
    }
}

fn shown(value: &str) -> &str {
    if value.is_empty() { "(empty)" } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use busbar_interfaces::UnixMillis;

    fn record(key: &str, value: &str, access: KeyAccess) -> KeyRecord {
        KeyRecord {
            key: key.to_owned(),
            value: value.to_owned(),
            access,
            origin: KeyOrigin::Csms,
            changed_unix_millis: UnixMillis(1_767_225_600_000),
            default_value: "60".to_owned(),
            takes: "a whole number of seconds from 1 to 604800".to_owned(),
            applied_by: vec!["ocpp".to_owned(), "session".to_owned()],
            restart_needed: false,
        }
    }

    fn secret(changed: u64) -> KeyRecord {
        KeyRecord {
            default_value: String::new(),
            changed_unix_millis: UnixMillis(changed),
            ..record("AuthorizationKey", "", KeyAccess::WriteOnly)
        }
    }

    #[test]
    fn a_list_has_one_line_for_each_key() {
        let keys = [
            record("HeartbeatInterval", "30", KeyAccess::ReadWrite),
            record("WebSocketPingInterval", "60", KeyAccess::ReadWrite),
            KeyRecord { applied_by: Vec::new(), ..record("StopTxnSampledData", "", KeyAccess::ReadWrite) },
            secret(0),
        ];
        assert_eq!(
            list(&keys),
            "key                    access      origin  applied by    value\n\
             HeartbeatInterval      read-write  csms    ocpp,session  30 (default: 60)\n\
             WebSocketPingInterval  read-write  csms    ocpp,session  60\n\
             StopTxnSampledData     read-write  csms    -             (empty) (default: 60)\n\
             AuthorizationKey       write-only  csms    ocpp,session  (not set)\n"
        );
    }

    #[test]
    fn a_key_is_explained() {
        assert_eq!(
            explain(&KeyRecord { restart_needed: true, ..record("HeartbeatInterval", "30", KeyAccess::ReadWrite) }),
            "key              HeartbeatInterval\n\
             value            30\n\
             default          60\n\
             takes            a whole number of seconds from 1 to 604800\n\
             access           read and write\n\
             set by           the CSMS\n\
             changed          2026-01-01T00:00:00Z\n\
             applied by       ocpp,session\n\
             a change         holds after the next restart of the station\n"
        );
    }

    #[test]
    fn a_secret_is_set_or_not_and_has_no_default() {
        for (changed, value) in [(0, "(not set)"), (5_000, "(set, not shown)")] {
            let text = explain(&secret(changed));
            assert!(text.contains(value) && !text.contains("default"), "{text}");
        }
    }

    #[test]
    fn the_verdict_on_a_change_names_the_remedy() {
        assert_eq!(outcome("K", SetVerdict::Accepted).expect("done"), "");
        assert!(outcome("K", SetVerdict::RebootRequired).expect("done").contains("busbarctl reset soft"));
        let rejected = outcome("K", SetVerdict::Rejected).expect_err("refused");
        assert!(rejected.code() == 1 && rejected.to_string().contains("settings explain K"), "{rejected}");
        let unknown = outcome("K", SetVerdict::NotSupported).expect_err("refused");
        assert!(unknown.code() == 1 && unknown.to_string().contains("settings list"), "{unknown}");
    }
}
