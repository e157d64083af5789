//! The lines the program reads: one JSON object each, with one key that names the command. Pure.

use serde::Deserialize;
use serde_json::Value;

use crate::answers::Answer;
use crate::chaos::Chaos;
use crate::password::Password;

/// What a line asks for.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Command {
    Call {
        identity: String,
        action: String,
        #[serde(default = "no_fields")]
        payload: Value,
    },
    Raw {
        identity: String,
        text: String,
    },
    Drop(String),
    Stall(bool),
    Refuse(bool),
    Tag {
        tag: String,
        status: String,
        parent: Option<String>,
        expiry: Option<String>,
    },
    /// `None` asks the identity for no password.
    Password {
        identity: String,
        password: Option<Password>,
    },
    /// `None` ends it.
    Chaos(Option<Chaos>),
    Boot {
        status: String,
        interval: i64,
    },
    On {
        action: String,
        answer: Answer,
        #[serde(default)]
        once: bool,
    },
}

fn no_fields() -> Value {
    Value::Object(serde_json::Map::new())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::chaos::Odds;

    #[test]
    fn commands_are_read() {
        for (line, command) in [
            (
                r#"{"call":{"identity":"CP1","action":"Reset","payload":{"type":"Soft"}}}"#,
                Command::Call { identity: "CP1".into(), action: "Reset".into(), payload: json!({"type": "Soft"}) },
            ),
            (
                r#"{"call":{"identity":"CP1","action":"ClearCache"}}"#,
                Command::Call { identity: "CP1".into(), action: "ClearCache".into(), payload: json!({}) },
            ),
            (r#"{"raw":{"identity":"CP1","text":"["}}"#, Command::Raw { identity: "CP1".into(), text: "[".into() }),
            (r#"{"drop":"CP1"}"#, Command::Drop("CP1".into())),
            (r#"{"stall":true}"#, Command::Stall(true)),
            (r#"{"refuse":false}"#, Command::Refuse(false)),
            (
                r#"{"tag":{"tag":"A","status":"Blocked"}}"#,
                Command::Tag { tag: "A".into(), status: "Blocked".into(), parent: None, expiry: None },
            ),
            (
                r#"{"tag":{"tag":"A","status":"Accepted","parent":"P","expiry":"2026-01-01T00:00:00Z"}}"#,
                Command::Tag {
                    tag: "A".into(),
                    status: "Accepted".into(),
                    parent: Some("P".into()),
                    expiry: Some("2026-01-01T00:00:00Z".into()),
                },
            ),
            (
                r#"{"password":{"identity":"CP1","password":"secret"}}"#,
                Command::Password { identity: "CP1".into(), password: Some("secret".into()) },
            ),
            (
                r#"{"password":{"identity":"CP1","password":null}}"#,
                Command::Password { identity: "CP1".into(), password: None },
            ),
            (r#"{"chaos":null}"#, Command::Chaos(None)),
            (
                r#"{"chaos":{"seed":7,"odds":{"never":0.5},"spared":["BootNotification"]}}"#,
                Command::Chaos(Some(Chaos {
                    seed: 7,
                    odds: Odds { never: 0.5, ..Odds::default() },
                    spared: vec!["BootNotification".into()],
                    ..Chaos::default()
                })),
            ),
            (r#"{"boot":{"status":"Pending","interval":5}}"#, Command::Boot { status: "Pending".into(), interval: 5 }),
            (
                r#"{"on":{"action":"Heartbeat","answer":{"after":{"millis":5,"then":"nothing"}},"once":true}}"#,
                Command::On {
                    action: "Heartbeat".into(),
                    answer: Answer::Nothing.after(std::time::Duration::from_millis(5)),
                    once: true,
                },
            ),
            (
                r#"{"on":{"action":"Heartbeat","answer":{"error":{"code":"InternalError"}}}}"#,
                Command::On { action: "Heartbeat".into(), answer: Answer::error("InternalError"), once: false },
            ),
        ] {
            assert_eq!(serde_json::from_str::<Command>(line).unwrap(), command, "{line}");
        }
        for line in ["", "{}", r#"{"fly":1}"#, r#"{"stall":1}"#, r#"{"raw":{"identity":"x"}}"#] {
            assert!(serde_json::from_str::<Command>(line).is_err(), "{line}");
        }
    }
}
