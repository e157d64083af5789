//! The frames of OCPP-J 1.6: CALL, CALLRESULT and CALLERROR as JSON arrays. Reading is total: any text is a frame, or
//! a broken frame with the id under which the sender can be told.

use serde_json::{Value, json};
use std::fmt;

/// The longest text that is taken from the CSMS.
pub const MOST_BYTES: usize = 256 * 1024;
/// A longer id is not one (OCPP-J allows 36 characters; other CSMS use somewhat more).
const MOST_ID_CHARACTERS: usize = 128;
/// OCPP-J's limit of `errorDescription`.
const MOST_DESCRIPTION_CHARACTERS: usize = 255;
/// The id of an answer to something that has none.
const NO_ID: &str = "-1";

/// One frame, read.
#[derive(Clone, PartialEq)]
pub enum Frame {
    /// A request of the CSMS.
    Call { id: String, action: String, payload: Value },
    /// Its answer to a request of the station.
    Result { id: String, payload: Value },
    /// It could not answer a request of the station.
    Error { id: String, code: String },
}

/// A text that is not a frame. `answer` is what to send for it; an answer that is broken gets none.
#[derive(Debug, Clone, PartialEq)]
pub struct Broken {
    pub answer: Option<Wire>,
    /// The request of the station that was answered with this.
    pub answered: Option<String>,
}

/// The text of a frame; it may hold a badge, so `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Wire(pub String);

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} bytes)", self.0.len())
    }
}

/// OCPP 1.6's error codes, in its own spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    NotImplemented,
    NotSupported,
    InternalError,
    FormationViolation,
    PropertyConstraintViolation,
    OccurenceConstraintViolation,
    TypeConstraintViolation,
}

impl ErrorCode {
    fn as_str(self) -> &'static str {
        match self {
            ErrorCode::NotImplemented => "NotImplemented",
            ErrorCode::NotSupported => "NotSupported",
            ErrorCode::InternalError => "InternalError",
            ErrorCode::FormationViolation => "FormationViolation",
            ErrorCode::PropertyConstraintViolation => "PropertyConstraintViolation",
            ErrorCode::OccurenceConstraintViolation => "OccurenceConstraintViolation",
            ErrorCode::TypeConstraintViolation => "TypeConstraintViolation",
        }
    }
}

/// Why a request of the CSMS is answered with a CALLERROR. The description never repeats a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {description}", code.as_str())]
pub struct Refusal {
    pub code: ErrorCode,
    pub description: String,
}

impl Refusal {
    pub fn new(code: ErrorCode, description: impl Into<String>) -> Refusal {
        Refusal { code, description: description.into() }
    }
}

/// Reads a text.
///
/// # Errors
/// When it is not a frame.
pub fn read(text: &str) -> Result<Frame, Broken> {
    let Ok(Value::Array(parts)) = serde_json::from_str::<Value>(text) else {
        return Err(broken_call(None, "the text is not a JSON array"));
    };
    let mut parts = parts.into_iter();
    let kind = parts.next().as_ref().and_then(Value::as_u64);
    let id = match parts.next() {
        Some(Value::String(id)) if !id.is_empty() && id.chars().count() <= MOST_ID_CHARACTERS => Some(id),
        _ => None,
    };
    match (kind, id, parts.next(), parts.next(), parts.next()) {
        (Some(2), Some(id), Some(Value::String(action)), Some(payload), None) => {
            Ok(Frame::Call { id, action, payload })
        }
        (Some(3), Some(id), Some(payload), None, None) => Ok(Frame::Result { id, payload }),
        // Description and details are missing from some CSMS; the code is what decides.
        (Some(4), Some(id), Some(Value::String(code)), _, _) => Ok(Frame::Error { id, code }),
        (Some(3 | 4), id, ..) => Err(Broken { answer: None, answered: id }),
        (Some(2), id, ..) => Err(broken_call(id, "a CALL is [2, id, action, payload]")),
        (_, id, ..) => Err(broken_call(id, "the message type is not 2, 3 or 4")),
    }
}

fn broken_call(id: Option<String>, description: &str) -> Broken {
    let refusal = Refusal::new(ErrorCode::FormationViolation, description);
    Broken { answer: Some(error(id.as_deref().unwrap_or(NO_ID), &refusal)), answered: None }
}

/// A request of the station.
pub fn call(id: &str, action: &str, payload: &Value) -> Wire {
    Wire(json!([2, id, action, payload]).to_string())
}

/// The answer to a request of the CSMS.
pub fn result(id: &str, payload: &Value) -> Wire {
    Wire(json!([3, id, payload]).to_string())
}

/// The refusal of a request of the CSMS.
pub fn error(id: &str, refusal: &Refusal) -> Wire {
    let description: String = refusal.description.chars().take(MOST_DESCRIPTION_CHARACTERS).collect();
    Wire(json!([4, id, refusal.code.as_str(), description, {}]).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answer_to(text: &str) -> Option<Value> {
        let broken = match read(text) {
            Ok(_) => panic!("{text} is a frame"),
            Err(broken) => broken,
        };
        broken.answer.map(|wire| serde_json::from_str(&wire.0).expect("what the station sends is JSON"))
    }

    #[test]
    fn frames_are_read() {
        let call = read(r#"[2,"7","Reset",{"type":"Soft"}]"#).expect("a call");
        assert!(call == Frame::Call { id: "7".into(), action: "Reset".into(), payload: json!({"type": "Soft"}) });
        let result = read(r#"[3,"7",{}]"#).expect("a result");
        assert!(result == Frame::Result { id: "7".into(), payload: json!({}) });
        for text in [r#"[4,"7","GenericError","",{}]"#, r#"[4,"7","GenericError"]"#] {
            assert!(read(text).expect("an error") == Frame::Error { id: "7".into(), code: "GenericError".into() });
        }
    }

    #[test]
    fn broken_frames_are_answered_under_the_id_that_is_known() {
        for (text, id) in [
            ("", "-1"),
            ("[2,\"7\"", "-1"),
            ("{\"2\":\"7\"}", "-1"),
            ("null", "-1"),
            ("[]", "-1"),
            ("[2]", "-1"),
            ("[2,7,\"Reset\",{}]", "-1"),
            ("[2,\"\",\"Reset\",{}]", "-1"),
            ("[2,\"7\"]", "7"),
            ("[2,\"7\",\"Reset\"]", "7"),
            ("[2,\"7\",5,{}]", "7"),
            ("[2,\"7\",\"Reset\",{},1]", "7"),
            ("[9,\"7\",\"Reset\",{}]", "7"),
            ("[\"2\",\"7\",\"Reset\",{}]", "7"),
            ("[-2,7]", "-1"),
        ] {
            let answer = answer_to(text).expect("an answer");
            assert_eq!(answer[0], 4, "{text}");
            assert_eq!(answer[1], id, "{text}");
            assert_eq!(answer[2], "FormationViolation", "{text}");
        }
        let long = format!("[2,\"{}\",\"Reset\",{{}}]", "x".repeat(200));
        assert_eq!(answer_to(&long).expect("an answer")[1], "-1");
        let deep = format!("[2,\"7\",\"Reset\",{}1{}]", "[".repeat(5000), "]".repeat(5000));
        assert_eq!(answer_to(&deep).expect("an answer")[1], "-1");
    }

    #[test]
    fn a_broken_answer_is_not_answered() {
        for text in ["[3]", "[3,\"7\"]", "[4,\"7\"]", "[4,\"7\",5]", "[3,7,{}]"] {
            assert_eq!(answer_to(text), None, "{text}");
        }
        assert_eq!(read("[3,\"7\"]").map_err(|broken| broken.answered).err().flatten().as_deref(), Some("7"));
    }

    #[test]
    fn a_description_is_as_long_as_ocpp_allows() {
        let wire = error("1", &Refusal::new(ErrorCode::InternalError, "ä".repeat(400)));
        let value: Value = serde_json::from_str(&wire.0).expect("JSON");
        assert_eq!(value[3].as_str().expect("text").chars().count(), 255);
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text in "[\\[\\]{}\",:2-4a-z0-9\\\\ -]{0,60}") {
            let _ = read(&text);
        }
    }
}
