//! The frames of OCPP-J 1.6: CALL, CALLRESULT and CALLERROR as JSON arrays. Reading is total: any text is a frame, or
//! a broken frame with the id under which the sender can be told. Of a field that an object names twice, the last
//! counts; bytes that are no UTF-8 never become a text, the transport refuses them.

use crate::word::{Word, words};
use serde_json::{Value, json};
use std::fmt;

/// The longest text that is taken from the CSMS.
pub const MOST_BYTES: usize = 256 * 1024;
/// A longer id is not one (OCPP-J allows 36 characters; some CSMS use somewhat more).
const MOST_ID_CHARACTERS: usize = 128;
/// Longer than any action of OCPP; what is longer is not kept.
const MOST_ACTION_CHARACTERS: usize = 36;
/// Longer than any error code of OCPP; the rest is not kept.
const MOST_CODE_CHARACTERS: usize = 36;
/// OCPP-J's limit of `errorDescription`.
const MOST_DESCRIPTION_CHARACTERS: usize = 255;
/// The id of an answer to something that has none.
const NO_ID: &str = "-1";

/// One frame, read.
#[derive(Clone, PartialEq)]
pub enum Frame {
    /// A request of the CSMS.
    Call {
        /// Under which it is answered.
        id: String,
        /// What is asked, at most 36 characters.
        action: String,
        /// With what.
        payload: Value,
    },
    /// Its answer to a request of the station.
    Result {
        /// Of the station's request.
        id: String,
        /// The answer.
        payload: Value,
    },
    /// It could not answer a request of the station.
    Error {
        /// Of the station's request.
        id: String,
        /// Why, in the CSMS's word.
        code: String,
    },
}

/// A payload may hold a badge or a password, so it is not shown.
impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Frame::Call { id, action, .. } => write!(f, "CALL {id:?} {action:?}"),
            Frame::Result { id, .. } => write!(f, "CALLRESULT {id:?}"),
            Frame::Error { id, code } => write!(f, "CALLERROR {id:?} {code:?}"),
        }
    }
}

/// A text that is not a frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Broken {
    /// What to send for it; an answer that is broken gets none.
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

words!(
    /// OCPP-J 1.6's error codes, in its own spelling.
    ErrorCode {
        /// The station does not know the action.
        NotImplemented = "NotImplemented",
        /// It knows the action and does not take it.
        NotSupported = "NotSupported",
        /// Something went wrong in the station.
        InternalError = "InternalError",
        /// The payload is incomplete in a way that no other code names.
        ProtocolError = "ProtocolError",
        /// A matter of security.
        SecurityError = "SecurityError",
        /// It is no frame, or the payload is no object.
        FormationViolation = "FormationViolation",
        /// A field is of the right type and cannot have this value.
        PropertyConstraintViolation = "PropertyConstraintViolation",
        /// A field is missing, or a list has too few or too many items. OCPP-J writes it with one `r`.
        OccurenceConstraintViolation = "OccurenceConstraintViolation",
        /// A field is of the wrong type.
        TypeConstraintViolation = "TypeConstraintViolation",
        /// None of the others.
        GenericError = "GenericError",
    }
);

/// Why a request of the CSMS is answered with a CALLERROR. The description never repeats a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {description}")]
pub struct Refusal {
    /// OCPP's word for it.
    pub code: ErrorCode,
    /// For people.
    pub description: String,
}

impl Refusal {
    /// A refusal; keep values of the request out of the description.
    pub fn new(code: ErrorCode, description: impl Into<String>) -> Refusal {
        Refusal { code, description: description.into() }
    }
}

/// Reads a text.
///
/// # Errors
/// When it is not a frame.
pub fn read(text: &str) -> Result<Frame, Broken> {
    if text.len() > MOST_BYTES {
        return Err(broken_call(None, &format!("the text is longer than {MOST_BYTES} bytes")));
    }
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
            if action.chars().count() > MOST_ACTION_CHARACTERS {
                return Err(refused_call(Some(id), &unknown_action()));
            }
            Ok(Frame::Call { id, action, payload })
        }
        (Some(3), Some(id), Some(payload), None, None) => Ok(Frame::Result { id, payload }),
        // Description and details are missing from some CSMS; the code is what decides.
        (Some(4), Some(id), Some(Value::String(code)), _, _) => {
            Ok(Frame::Error { id, code: code.chars().take(MOST_CODE_CHARACTERS).collect() })
        }
        (Some(3 | 4), id, ..) => Err(Broken { answer: None, answered: id }),
        (Some(2), id, ..) => Err(broken_call(id, "a CALL is [2, id, action, payload]")),
        // A later version's message is passed over (OCPP-J 1.6, 4.1.3); what has no type is no message.
        (Some(_), ..) => Err(Broken { answer: None, answered: None }),
        (None, id, ..) => Err(broken_call(id, "the message has no type")),
    }
}

/// The refusal of an action that OCPP 1.6 does not have; the action is the sender's text and is not repeated.
pub(crate) fn unknown_action() -> Refusal {
    Refusal::new(ErrorCode::NotImplemented, "the station does not know this action")
}

fn broken_call(id: Option<String>, description: &str) -> Broken {
    refused_call(id, &Refusal::new(ErrorCode::FormationViolation, description))
}

fn refused_call(id: Option<String>, refusal: &Refusal) -> Broken {
    Broken { answer: Some(error(id.as_deref().unwrap_or(NO_ID), refusal)), answered: None }
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

    fn payload_of(text: &str) -> Value {
        match read(text) {
            Ok(Frame::Call { payload, .. }) => payload,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn frames_are_read() {
        let call = read(r#"[2,"7","Reset",{"type":"Soft"}]"#).expect("a call");
        assert_eq!(call, Frame::Call { id: "7".into(), action: "Reset".into(), payload: json!({"type": "Soft"}) });
        let result = read(r#"[3,"7",{}]"#).expect("a result");
        assert_eq!(result, Frame::Result { id: "7".into(), payload: json!({}) });
        for text in [r#"[4,"7","GenericError","",{}]"#, r#"[4,"7","GenericError"]"#] {
            assert_eq!(read(text).expect("an error"), Frame::Error { id: "7".into(), code: "GenericError".into() });
        }
    }

    #[test]
    fn case_34_broken_frames_are_answered_under_the_id_that_is_known() {
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
            ("[\"2\",\"7\",\"Reset\",{}]", "7"),
            ("[2.5,\"7\",\"Reset\",{}]", "7"),
            ("[-2,7]", "-1"),
            // Trailing garbage, a second frame, a lone surrogate, a control character, a number beyond any.
            ("[2,\"7\",\"Reset\",{}]x", "-1"),
            ("[2,\"7\",\"Reset\",{}][2,\"8\",\"Reset\",{}]", "-1"),
            ("[2,\"7\",\"Reset\",{\"type\":\"\\ud800\"}]", "-1"),
            ("[2,\"7\",\"Reset\",{\"type\":\"\n\"}]", "-1"),
            ("[2,\"7\",\"Reset\",{\"type\":1e999}]", "-1"),
            ("\u{feff}[2,\"7\",\"Reset\",{}]", "-1"),
        ] {
            let answer = answer_to(text).expect("an answer");
            assert_eq!(answer[0], 4, "{text}");
            assert_eq!(answer[1], id, "{text}");
            assert_eq!(answer[2], "FormationViolation", "{text}");
        }
        for later in ["[9,\"7\",\"Reset\",{}]", "[1]", "[5,\"7\"]"] {
            assert_eq!(answer_to(later), None, "a later version's message is passed over: {later}");
        }
        let long = format!("[2,\"{}\",\"Reset\",{{}}]", "x".repeat(200));
        assert_eq!(answer_to(&long).expect("an answer")[1], "-1");
    }

    #[test]
    fn case_34_what_is_nested_too_deep_or_too_long_is_a_formation_violation() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let deep = format!("[2,\"7\",\"Reset\",{}1{}]", open.repeat(5000), close.repeat(5000));
            assert_eq!(answer_to(&deep).expect("an answer")[2], "FormationViolation");
        }
        let of_length = |bytes: usize| {
            let rest = "[2,\"7\",\"DataTransfer\",{\"vendorId\":\"\"}]".len();
            format!("[2,\"7\",\"DataTransfer\",{{\"vendorId\":\"{}\"}}]", "x".repeat(bytes - rest))
        };
        assert!(read(&of_length(MOST_BYTES)).is_ok());
        assert_eq!(answer_to(&of_length(MOST_BYTES + 1)).expect("an answer")[2], "FormationViolation");
    }

    #[test]
    fn case_34_the_last_of_two_fields_counts_and_huge_numbers_are_numbers() {
        assert_eq!(payload_of(r#"[2,"7","Reset",{"type":"Hard","type":"Soft"}]"#), json!({"type": "Soft"}));
        let huge = payload_of(r#"[2,"7","Reset",{"a":123456789012345678901234567890,"b":-1e308}]"#);
        assert!(huge["a"].is_f64() && huge["b"].is_f64());
    }

    #[test]
    fn an_action_that_is_longer_than_any_is_not_kept() {
        let longest = "x".repeat(36);
        assert!(read(&format!("[2,\"7\",\"{longest}\",{{}}]")).is_ok());
        let answer = answer_to(&format!("[2,\"7\",\"{longest}y\",{{}}]")).expect("an answer");
        assert_eq!(answer[1], "7");
        assert_eq!(answer[2], "NotImplemented");
        assert!(!answer.to_string().contains("xxx"));
    }

    #[test]
    fn a_broken_answer_is_not_answered() {
        for text in ["[3]", "[3,\"7\"]", "[4,\"7\"]", "[4,\"7\",5]", "[3,7,{}]", "[3,\"7\",{},{}]"] {
            assert_eq!(answer_to(text), None, "{text}");
        }
        assert_eq!(read("[3,\"7\"]").map_err(|broken| broken.answered).err().flatten().as_deref(), Some("7"));
    }

    #[test]
    fn case_36_case_b4_a_description_is_as_long_as_ocpp_allows() {
        let wire = error("1", &Refusal::new(ErrorCode::InternalError, "ä".repeat(400)));
        let value: Value = serde_json::from_str(&wire.0).expect("JSON");
        assert_eq!(value[3].as_str().expect("text").chars().count(), 255);
        assert_eq!(value[4], json!({}));
    }

    #[test]
    fn the_code_of_the_csms_is_kept_at_a_length() {
        let text = format!("[4,\"7\",\"{}\"]", "ä".repeat(5000));
        assert_eq!(read(&text), Ok(Frame::Error { id: "7".into(), code: "ä".repeat(36) }));
    }

    #[test]
    fn error_codes_are_spelled_as_ocpp_spells_them() {
        assert_eq!(ErrorCode::ALL.len(), 10);
        assert_eq!(ErrorCode::OccurenceConstraintViolation.as_str(), "OccurenceConstraintViolation");
        assert_eq!(ErrorCode::read("SecurityError"), Some(ErrorCode::SecurityError));
    }

    #[test]
    fn no_payload_is_shown() {
        let frame = read(r#"[2,"7","Authorize",{"idTag":"SECRET"}]"#).expect("a call");
        assert_eq!(format!("{frame:?}"), "CALL \"7\" \"Authorize\"");
        assert!(!format!("{:?}", call("7", "Authorize", &json!({"idTag": "SECRET"}))).contains("SECRET"));
    }

    proptest! {
        #[test]
        fn case_34_case_b4_no_text_is_a_panic(text in any::<String>()) {
            let _ = read(&text);
        }

        #[test]
        fn case_34_case_b4_no_almost_frame_is_a_panic(text in "[\\[\\]{}\",:2-4a-z0-9\\\\ -]{0,60}") {
            let _ = read(&text);
        }

        #[test]
        fn what_the_station_writes_is_a_frame(id in "[ -~]{1,36}", text in any::<String>()) {
            let payload = json!({"info": text});
            prop_assert_eq!(read(&result(&id, &payload).0), Ok(Frame::Result { id: id.clone(), payload: payload.clone() }));
            let sent = Frame::Call { id: id.clone(), action: "Heartbeat".into(), payload: payload.clone() };
            prop_assert_eq!(read(&call(&id, "Heartbeat", &payload).0), Ok(sent));
            let refusal = Refusal::new(ErrorCode::GenericError, text);
            prop_assert_eq!(read(&error(&id, &refusal).0), Ok(Frame::Error { id, code: "GenericError".into() }));
        }
    }
}
