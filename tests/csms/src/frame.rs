//! One recorded frame and the reading of its text as an OCPP-J message. Pure: the time of a frame is an argument.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

/// The message id of an error that answers a text whose own id could not be read.
const UNREADABLE_ID: &str = "-1";

/// One frame as it went over the wire, in the order the central system read or wrote it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Frame {
    /// Counts all frames of this central system from 0, including those no longer kept.
    pub seq: u64,
    /// Wall time, for people and for comparing with timestamps in payloads.
    #[serde(serialize_with = "as_text")]
    pub at: Timestamp,
    /// Milliseconds since the central system started, on a monotonic clock.
    pub offset_millis: u64,
    /// The charge point.
    pub identity: String,
    /// Who sent it.
    pub direction: Direction,
    /// An answer that may not have reached the station's request: sent late by chaos, or just before the link was cut.
    pub doubtful: bool,
    /// The text itself; a binary frame is described instead.
    pub raw: String,
    /// What the text says.
    pub message: Message,
}

impl Frame {
    /// The payload, if this is a request of `action` from the station.
    #[must_use]
    pub fn request(&self, action: &str) -> Option<&Value> {
        match (&self.direction, &self.message) {
            (Direction::FromStation, Message::Call { action: named, payload, .. }) if named == action => Some(payload),
            _ => None,
        }
    }

    /// Whether the station sent this request.
    #[must_use]
    pub fn is_request(&self, action: &str) -> bool {
        self.request(action).is_some()
    }
}

/// Who sent a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// The charge point.
    FromStation,
    /// The central system.
    ToStation,
}

/// What a frame says, by OCPP-J 1.6 section 4.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Message {
    /// `[2, id, action, payload]`
    Call {
        /// Message id.
        id: String,
        /// Name of the request.
        action: String,
        /// Its fields.
        payload: Value,
    },
    /// `[3, id, payload]`
    Result {
        /// Message id of the request.
        id: String,
        /// Fields of the answer.
        payload: Value,
    },
    /// `[4, id, code, description, details]`
    Error {
        /// Message id of the request.
        id: String,
        /// Error code.
        code: String,
        /// Text for people.
        description: String,
        /// Whatever the sender added.
        details: Value,
    },
    /// Anything else.
    Malformed {
        /// What is wrong with it.
        reason: String,
        /// Message id, if one could be read.
        id: Option<String>,
        /// Message type number, if one could be read.
        kind: Option<u64>,
    },
}

impl Message {
    /// Reads a text; what is not a message becomes [`Message::Malformed`].
    #[must_use]
    pub fn parse(raw: &str) -> Self {
        let value = match serde_json::from_str(raw) {
            Ok(value) => value,
            Err(fault) => return Self::malformed(format!("not JSON: {fault}"), None, None),
        };
        let Value::Array(parts) = value else {
            return Self::malformed("not an array".to_owned(), None, None);
        };
        let kind = parts.first().and_then(Value::as_u64);
        let id = parts.get(1).and_then(Value::as_str).map(str::to_owned);
        match <[Value; 3]>::try_from(parts) {
            Ok([_, Value::String(id), payload @ Value::Object(_)]) if kind == Some(3) => Self::Result { id, payload },
            Ok(_) => Self::malformed("wrong fields".to_owned(), id, kind),
            Err(parts) => Self::parse_longer(parts, id, kind),
        }
    }

    fn parse_longer(parts: Vec<Value>, id: Option<String>, kind: Option<u64>) -> Self {
        let parts = match <[Value; 4]>::try_from(parts) {
            Ok([_, Value::String(id), Value::String(action), payload @ Value::Object(_)]) if kind == Some(2) => {
                return Self::Call { id, action, payload };
            }
            Ok(_) => return Self::malformed("wrong fields".to_owned(), id, kind),
            Err(parts) => parts,
        };
        match <[Value; 5]>::try_from(parts) {
            Ok([_, Value::String(id), Value::String(code), Value::String(description), details @ Value::Object(_)])
                if kind == Some(4) =>
            {
                Self::Error { id, code, description, details }
            }
            Ok(_) => Self::malformed("wrong fields".to_owned(), id, kind),
            Err(parts) => Self::malformed(format!("{} elements", parts.len()), id, kind),
        }
    }

    /// Stands for a frame that holds bytes instead of text.
    pub(crate) fn binary() -> Self {
        Self::malformed("a binary frame".to_owned(), None, None)
    }

    fn malformed(reason: String, id: Option<String>, kind: Option<u64>) -> Self {
        Self::Malformed { reason, id, kind }
    }

    /// The error that answers a malformed message; an answer is never answered, however malformed.
    pub(crate) fn rejection(&self) -> Option<String> {
        let Self::Malformed { reason, id, kind } = self else { return None };
        let code = match kind {
            Some(3 | 4) => return None,
            Some(2) | None => "FormationViolation",
            Some(_) => "ProtocolError",
        };
        Some(error_text(id.as_deref().unwrap_or(UNREADABLE_ID), code, reason))
    }
}

/// The text of a request.
pub(crate) fn call_text(id: &str, action: &str, payload: &Value) -> String {
    json!([2, id, action, payload]).to_string()
}

/// The text of an answer.
pub(crate) fn result_text(id: &str, payload: &Value) -> String {
    json!([3, id, payload]).to_string()
}

/// The text of an error, its description cut to the 255 characters that OCPP-J allows.
pub(crate) fn error_text(id: &str, code: &str, description: &str) -> String {
    let description: String = description.chars().take(255).collect();
    json!([4, id, code, description, {}]).to_string()
}

fn as_text<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{at:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_messages_are_read() {
        assert_eq!(
            Message::parse(r#"[2,"a","Heartbeat",{}]"#),
            Message::Call { id: "a".into(), action: "Heartbeat".into(), payload: json!({}) }
        );
        assert_eq!(Message::parse(r#"[3,"a",{"b":1}]"#), Message::Result { id: "a".into(), payload: json!({"b": 1}) });
        assert_eq!(
            Message::parse(r#"[4,"a","InternalError","",{}]"#),
            Message::Error {
                id: "a".into(),
                code: "InternalError".into(),
                description: String::new(),
                details: json!({})
            }
        );
        for (text, read) in [
            (call_text("a", "Heartbeat", &json!({})), r#"[2,"a","Heartbeat",{}]"#),
            (result_text("a", &json!({})), r#"[3,"a",{}]"#),
            (error_text("a", "InternalError", "x"), r#"[4,"a","InternalError","x",{}]"#),
        ] {
            assert_eq!(Message::parse(&text), Message::parse(read));
        }
    }

    #[test]
    fn everything_else_is_malformed_and_requests_are_rejected() {
        let deep = "[".repeat(100_000);
        for (raw, rejection) in [
            ("", Some(("-1", "FormationViolation"))),
            ("{", Some(("-1", "FormationViolation"))),
            (deep.as_str(), Some(("-1", "FormationViolation"))),
            ("null", Some(("-1", "FormationViolation"))),
            ("[]", Some(("-1", "FormationViolation"))),
            (r#"[2,"a"]"#, Some(("a", "FormationViolation"))),
            (r#"[2,"a","Heartbeat"]"#, Some(("a", "FormationViolation"))),
            (r#"[2,"a","Heartbeat",[]]"#, Some(("a", "FormationViolation"))),
            (r#"[2,5,"Heartbeat",{}]"#, Some(("-1", "FormationViolation"))),
            (r#"[9,"a","Heartbeat",{}]"#, Some(("a", "ProtocolError"))),
            (r#"[3,"a"]"#, None),
            (r#"[4,"a","InternalError"]"#, None),
        ] {
            let message = Message::parse(raw);
            assert!(matches!(message, Message::Malformed { .. }), "{raw:.40}");
            let answer = message.rejection().map(|text| Message::parse(&text));
            match (answer, rejection) {
                (None, None) => {}
                (Some(Message::Error { id, code, .. }), Some((wanted_id, wanted_code))) => {
                    assert_eq!((id.as_str(), code.as_str()), (wanted_id, wanted_code), "{raw:.40}");
                }
                other => panic!("{raw:.40}: {other:?}"),
            }
        }
    }
}
