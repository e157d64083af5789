//! Small typed readers of a payload's fields, each with the OCPP error that its fault deserves.

use crate::frame::{ErrorCode, Refusal};
use serde_json::{Map, Value};

/// The fields of an object.
#[derive(Clone, Copy)]
pub struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    /// # Errors
    /// When the payload is not an object.
    pub fn of(payload: &'a Value) -> Result<Fields<'a>, Refusal> {
        payload
            .as_object()
            .map(Fields)
            .ok_or_else(|| Refusal::new(ErrorCode::TypeConstraintViolation, "the payload must be an object"))
    }

    /// # Errors
    /// When it is missing, not a text, or too long.
    pub fn text(&self, name: &str, most: usize) -> Result<&'a str, Refusal> {
        self.optional_text(name, most)?.ok_or_else(|| missing(name))
    }

    /// # Errors
    /// When it is there and not a text, or too long.
    pub fn optional_text(&self, name: &str, most: usize) -> Result<Option<&'a str>, Refusal> {
        self.find(name).map(|value| text(name, value, most)).transpose()
    }

    /// # Errors
    /// When it is missing or not a 32-bit whole number.
    pub fn integer(&self, name: &str) -> Result<i32, Refusal> {
        self.optional_integer(name)?.ok_or_else(|| missing(name))
    }

    /// # Errors
    /// When it is there and not a 32-bit whole number.
    pub fn optional_integer(&self, name: &str) -> Result<Option<i32>, Refusal> {
        let Some(value) = self.find(name) else { return Ok(None) };
        if !value.is_i64() && !value.is_u64() {
            return Err(wrong_type(name, "a whole number"));
        }
        let value = value.as_i64().and_then(|value| i32::try_from(value).ok());
        value.map(Some).ok_or_else(|| outside(name, "must fit in 32 bits"))
    }

    /// # Errors
    /// When it is there and not a list of texts, or one of them is too long.
    pub fn optional_texts(&self, name: &str, most: usize) -> Result<Option<Vec<&'a str>>, Refusal> {
        let Some(value) = self.find(name) else { return Ok(None) };
        let items = value.as_array().ok_or_else(|| wrong_type(name, "a list of texts"))?;
        items.iter().map(|item| text(name, item, most)).collect::<Result<_, _>>().map(Some)
    }

    /// # Errors
    /// When it is missing or not an object.
    pub fn object(&self, name: &str) -> Result<Fields<'a>, Refusal> {
        self.optional_object(name)?.ok_or_else(|| missing(name))
    }

    /// # Errors
    /// When it is there and not an object.
    pub fn optional_object(&self, name: &str) -> Result<Option<Fields<'a>>, Refusal> {
        let Some(value) = self.find(name) else { return Ok(None) };
        value.as_object().map(|object| Some(Fields(object))).ok_or_else(|| wrong_type(name, "an object"))
    }

    /// A field that is null counts as absent: several CSMS write their optional fields so.
    fn find(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }
}

fn text<'a>(name: &str, value: &'a Value, most: usize) -> Result<&'a str, Refusal> {
    let text = value.as_str().ok_or_else(|| wrong_type(name, "a text"))?;
    if text.chars().count() > most {
        return Err(outside(name, &format!("must have at most {most} characters")));
    }
    Ok(text)
}

/// The value is of the right type and still cannot be.
pub fn outside(name: &str, rule: &str) -> Refusal {
    Refusal::new(ErrorCode::PropertyConstraintViolation, format!("`{name}` {rule}"))
}

fn missing(name: &str) -> Refusal {
    Refusal::new(ErrorCode::OccurenceConstraintViolation, format!("`{name}` is missing"))
}

fn wrong_type(name: &str, right: &str) -> Refusal {
    Refusal::new(ErrorCode::TypeConstraintViolation, format!("`{name}` must be {right}"))
}
