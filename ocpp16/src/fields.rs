//! Typed readers of a payload's fields. Each fault gets the code that OCPP-J has for it and is named by its path, such
//! as `chargingSchedule.chargingSchedulePeriod[3].limit`; no error text repeats a value.
//!
//! A field that is null counts as absent: several CSMS write their optional fields so. Fields that OCPP does not have
//! are passed over.

use crate::frame::{ErrorCode, Refusal};
use crate::{Hidden, Tenths, Word, moment};
use serde_json::{Map, Value};
use std::ops::RangeInclusive;

/// OCPP's limit of an idTag and of a parentIdTag.
pub const MOST_BADGE_CHARACTERS: usize = 20;

/// The fields of an object, and where in the payload it stands.
pub struct Fields<'a> {
    object: &'a Map<String, Value>,
    /// Empty for the payload itself, else with its dot: `chargingSchedule.`
    prefix: String,
}

impl<'a> Fields<'a> {
    /// The fields of a payload.
    ///
    /// # Errors
    /// When the payload is not an object.
    pub fn of(payload: &'a Value) -> Result<Fields<'a>, Refusal> {
        match payload.as_object() {
            Some(object) => Ok(Fields { object, prefix: String::new() }),
            None => Err(Refusal::new(ErrorCode::FormationViolation, "the payload must be an object")),
        }
    }

    /// A text of at most so many characters.
    ///
    /// # Errors
    /// When it is missing, not a text, or too long.
    pub fn text(&self, name: &str, most: usize) -> Result<&'a str, Refusal> {
        self.must(name, self.optional_text(name, most)?)
    }

    /// A text of at most so many characters, if it is there.
    ///
    /// # Errors
    /// When it is not a text, or too long.
    pub fn optional_text(&self, name: &str, most: usize) -> Result<Option<&'a str>, Refusal> {
        self.find(name).map(|value| text(&self.path(name), value, most)).transpose()
    }

    /// The data of a DataTransfer, if it is there: a text; an object, which OCPP does not have here and some CSMS send,
    /// is its JSON text.
    ///
    /// # Errors
    /// When it is something else.
    pub fn optional_vendor_data(&self, name: &str) -> Result<Option<String>, Refusal> {
        match self.find(name) {
            None => Ok(None),
            Some(value @ Value::String(_)) => {
                text(&self.path(name), value, usize::MAX).map(|text| Some(text.to_owned()))
            }
            Some(object @ Value::Object(_)) => Ok(Some(object.to_string())),
            Some(_) => Err(wrong_type(&self.path(name), "a text")),
        }
    }

    /// A badge: an idTag is at most 20 characters, and not empty.
    ///
    /// # Errors
    /// When it is missing or not one.
    pub fn badge(&self, name: &str) -> Result<Hidden, Refusal> {
        let badge = self.optional_badge(name)?;
        match (badge, self.must(name, self.find(name))?) {
            (Some(badge), _) => Ok(badge),
            (None, _) => Err(outside(&self.path(name), "must not be empty")),
        }
    }

    /// A badge, if it is there; an empty one counts as absent.
    ///
    /// # Errors
    /// When it is not one.
    pub fn optional_badge(&self, name: &str) -> Result<Option<Hidden>, Refusal> {
        let badge = self.optional_text(name, MOST_BADGE_CHARACTERS)?;
        if badge.is_some_and(|badge| badge.contains(char::is_control)) {
            return Err(outside(&self.path(name), "must have no control characters"));
        }
        Ok(badge.filter(|badge| !badge.is_empty()).map(Hidden::from))
    }

    /// A whole number of 32 bits.
    ///
    /// # Errors
    /// When it is missing or not one.
    pub fn integer(&self, name: &str) -> Result<i32, Refusal> {
        self.must(name, self.optional_integer(name)?)
    }

    /// A whole number of 32 bits, if it is there. `2.0` is one.
    ///
    /// # Errors
    /// When it is not one.
    pub fn optional_integer(&self, name: &str) -> Result<Option<i32>, Refusal> {
        let Some(value) = self.find(name) else { return Ok(None) };
        let whole = match value.as_f64() {
            Some(number) if number.fract() == 0.0 => number,
            _ => return Err(wrong_type(&self.path(name), "a whole number")),
        };
        if whole < f64::from(i32::MIN) || whole > f64::from(i32::MAX) {
            return Err(outside(&self.path(name), "must fit in 32 bits"));
        }
        // Within 32 bits a float is exact.
        Ok(Some(whole as i32))
    }

    /// A whole number that is not negative: a connector, a number of seconds, of retries.
    ///
    /// # Errors
    /// When it is missing or not one.
    pub fn count(&self, name: &str) -> Result<u32, Refusal> {
        self.must(name, self.optional_count(name)?)
    }

    /// A whole number that is not negative, if it is there.
    ///
    /// # Errors
    /// When it is not one.
    pub fn optional_count(&self, name: &str) -> Result<Option<u32>, Refusal> {
        let Some(number) = self.optional_integer(name)? else { return Ok(None) };
        u32::try_from(number).map(Some).map_err(|_| outside(&self.path(name), "must not be negative"))
    }

    /// A decimal number with at most one place, not negative.
    ///
    /// # Errors
    /// When it is missing or not one.
    pub fn tenths(&self, name: &str) -> Result<Tenths, Refusal> {
        self.must(name, self.optional_tenths(name)?)
    }

    /// A decimal number with at most one place, not negative, if it is there.
    ///
    /// # Errors
    /// When it is not one.
    pub fn optional_tenths(&self, name: &str) -> Result<Option<Tenths>, Refusal> {
        let Some(value) = self.find(name) else { return Ok(None) };
        let number = value.as_f64().ok_or_else(|| wrong_type(&self.path(name), "a number"))?;
        match Tenths::of(number) {
            Some(tenths) if tenths.0 >= 0 => Ok(Some(tenths)),
            _ => Err(outside(&self.path(name), "must be 0 or more, with at most one decimal place")),
        }
    }

    /// True or false.
    ///
    /// # Errors
    /// When it is missing or neither.
    pub fn flag(&self, name: &str) -> Result<bool, Refusal> {
        self.must(name, self.optional_flag(name)?)
    }

    /// True or false, if it is there.
    ///
    /// # Errors
    /// When it is neither.
    pub fn optional_flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        let Some(value) = self.find(name) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| wrong_type(&self.path(name), "true or false"))
    }

    /// A word of an enumeration.
    ///
    /// # Errors
    /// When it is missing, not a text, or a word that the enumeration does not have.
    pub fn word<T: Word>(&self, name: &str) -> Result<T, Refusal> {
        self.must(name, self.optional_word(name)?)
    }

    /// A word of an enumeration, if it is there.
    ///
    /// # Errors
    /// When it is not a text, or a word that the enumeration does not have.
    pub fn optional_word<T: Word>(&self, name: &str) -> Result<Option<T>, Refusal> {
        let Some(text) = self.optional_text(name, usize::MAX)? else { return Ok(None) };
        T::read(text).map(Some).ok_or_else(|| {
            let words: Vec<&str> = T::ALL.iter().map(|word| word.as_str()).collect();
            outside(&self.path(name), &format!("must be one of {}", words.join(", ")))
        })
    }

    /// A date-time, as milliseconds since 1970.
    ///
    /// # Errors
    /// When it is missing or not one.
    pub fn moment(&self, name: &str) -> Result<u64, Refusal> {
        self.must(name, self.optional_moment(name)?)
    }

    /// A date-time, as milliseconds since 1970, if it is there.
    ///
    /// # Errors
    /// When it is not one.
    pub fn optional_moment(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let Some(text) = self.optional_text(name, usize::MAX)? else { return Ok(None) };
        moment::read(text)
            .map(Some)
            .ok_or_else(|| outside(&self.path(name), "must be a date and time as RFC 3339 has it"))
    }

    /// An address with its scheme, kept as it was written; it may carry a password.
    ///
    /// # Errors
    /// When it is missing, not a text, too long, or no address.
    pub fn address(&self, name: &str, most: usize) -> Result<Hidden, Refusal> {
        let text = self.text(name, most)?;
        match url::Url::parse(text) {
            Ok(_) => Ok(text.into()),
            Err(_) => Err(outside(&self.path(name), "must be an address with its scheme, such as https://host/path")),
        }
    }

    /// A list of texts, if it is there.
    ///
    /// # Errors
    /// When it is not a list of texts, has too many items, or one of them is too long.
    pub fn optional_texts(&self, name: &str, items: usize, most: usize) -> Result<Option<Vec<&'a str>>, Refusal> {
        let Some(list) = self.list(name, 0..=items)? else { return Ok(None) };
        let item = |(at, item)| text(&format!("{}[{at}]", self.path(name)), item, most);
        list.iter().enumerate().map(item).collect::<Result<_, _>>().map(Some)
    }

    /// A list of objects.
    ///
    /// # Errors
    /// When it is missing, not a list of objects, or has too few or too many.
    pub fn objects(&self, name: &str, items: RangeInclusive<usize>) -> Result<Vec<Fields<'a>>, Refusal> {
        self.must(name, self.optional_objects(name, items)?)
    }

    /// A list of objects, if it is there.
    ///
    /// # Errors
    /// When it is not a list of objects, or has too few or too many.
    pub fn optional_objects(
        &self,
        name: &str,
        items: RangeInclusive<usize>,
    ) -> Result<Option<Vec<Fields<'a>>>, Refusal> {
        let Some(list) = self.list(name, items)? else { return Ok(None) };
        let item = |(at, item)| object(format!("{}[{at}]", self.path(name)), item);
        list.iter().enumerate().map(item).collect::<Result<_, _>>().map(Some)
    }

    /// An object.
    ///
    /// # Errors
    /// When it is missing or not an object.
    pub fn object(&self, name: &str) -> Result<Fields<'a>, Refusal> {
        self.must(name, self.optional_object(name)?)
    }

    /// An object, if it is there.
    ///
    /// # Errors
    /// When it is not an object.
    pub fn optional_object(&self, name: &str) -> Result<Option<Fields<'a>>, Refusal> {
        self.find(name).map(|value| object(self.path(name), value)).transpose()
    }

    /// The value itself, whatever it is, unless it is absent or null.
    pub fn find(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// Where a field of this object stands in the payload.
    pub fn path(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn must<T>(&self, name: &str, value: Option<T>) -> Result<T, Refusal> {
        value.ok_or_else(|| missing(&self.path(name)))
    }

    fn list(&self, name: &str, items: RangeInclusive<usize>) -> Result<Option<&'a Vec<Value>>, Refusal> {
        let Some(value) = self.find(name) else { return Ok(None) };
        let list = value.as_array().ok_or_else(|| wrong_type(&self.path(name), "a list"))?;
        if !items.contains(&list.len()) {
            let (path, least, most) = (self.path(name), items.start(), items.end());
            let rule = format!("`{path}` must have {least} to {most} items");
            return Err(Refusal::new(ErrorCode::OccurenceConstraintViolation, rule));
        }
        Ok(Some(list))
    }
}

fn text<'a>(path: &str, value: &'a Value, most: usize) -> Result<&'a str, Refusal> {
    let text = value.as_str().ok_or_else(|| wrong_type(path, "a text"))?;
    // Bytes are never fewer than characters, so the count is for the long ones alone.
    if text.len() > most && text.chars().count() > most {
        return Err(outside(path, &format!("must have at most {most} characters")));
    }
    // Many a receiver of texts takes it for their end, and a message bus for a broken message.
    if text.contains('\0') {
        return Err(outside(path, "must not have the character U+0000"));
    }
    Ok(text)
}

fn object(path: String, value: &Value) -> Result<Fields<'_>, Refusal> {
    match value.as_object() {
        Some(object) => Ok(Fields { object, prefix: format!("{path}.") }),
        None => Err(wrong_type(&path, "an object")),
    }
}

/// The value is of the right type and still cannot be.
pub fn outside(path: &str, rule: &str) -> Refusal {
    Refusal::new(ErrorCode::PropertyConstraintViolation, format!("`{path}` {rule}"))
}

/// The field must be there.
pub fn missing(path: &str) -> Refusal {
    Refusal::new(ErrorCode::OccurenceConstraintViolation, format!("`{path}` is missing"))
}

/// The value is of another type.
pub fn wrong_type(path: &str, right: &str) -> Refusal {
    Refusal::new(ErrorCode::TypeConstraintViolation, format!("`{path}` must be {right}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn code<T>(result: Result<T, Refusal>) -> ErrorCode {
        result.map(|_| ()).expect_err("a fault").code
    }

    #[test]
    fn case_36_texts_are_counted_in_characters() {
        let payload = json!({"a": "äöü", "b": 3, "c": null, "d": ""});
        let fields = Fields::of(&payload).expect("an object");
        assert_eq!(fields.text("a", 3), Ok("äöü"));
        assert_eq!(code(fields.text("a", 2)), ErrorCode::PropertyConstraintViolation);
        assert_eq!(code(fields.text("b", 2)), ErrorCode::TypeConstraintViolation);
        assert_eq!(code(fields.text("c", 2)), ErrorCode::OccurenceConstraintViolation);
        assert_eq!(fields.optional_text("c", 2), Ok(None));
        assert_eq!(fields.text("d", 2), Ok(""));
        assert_eq!(code(fields.badge("d")), ErrorCode::PropertyConstraintViolation);
        assert_eq!(fields.optional_badge("d"), Ok(None));
    }

    #[test]
    fn case_36_integers_have_32_bits() {
        for (value, read) in [
            (json!(-2_147_483_648i64), Ok(i32::MIN)),
            (json!(2_147_483_647), Ok(i32::MAX)),
            (json!(2.0), Ok(2)),
            (json!(2_147_483_648i64), Err(ErrorCode::PropertyConstraintViolation)),
            (json!(u64::MAX), Err(ErrorCode::PropertyConstraintViolation)),
            (json!(1e300), Err(ErrorCode::PropertyConstraintViolation)),
            (json!(1.5), Err(ErrorCode::TypeConstraintViolation)),
            (json!("1"), Err(ErrorCode::TypeConstraintViolation)),
            (json!(true), Err(ErrorCode::TypeConstraintViolation)),
        ] {
            let payload = json!({"n": value});
            let fields = Fields::of(&payload).expect("an object");
            assert_eq!(fields.integer("n").map_err(|refusal| refusal.code), read, "{payload}");
        }
        let payload = json!({"n": -1});
        let fields = Fields::of(&payload).expect("an object");
        assert_eq!(code(fields.count("n")), ErrorCode::PropertyConstraintViolation);
    }

    #[test]
    fn a_flag_is_true_or_false() {
        let payload = json!({"yes": true, "word": "true"});
        let fields = Fields::of(&payload).expect("an object");
        assert_eq!(fields.flag("yes"), Ok(true));
        assert_eq!(code(fields.flag("word")), ErrorCode::TypeConstraintViolation);
        assert_eq!(code(fields.flag("no")), ErrorCode::OccurenceConstraintViolation);
        assert_eq!(fields.optional_flag("no"), Ok(None));
    }

    #[test]
    fn an_unknown_word_is_told_which_there_are() {
        let payload = json!({"code": "SECRET", "list": [{"code": "x"}]});
        let fields = Fields::of(&payload).expect("an object");
        let refusal = fields.word::<ErrorCode>("code").expect_err("no such word");
        assert_eq!(refusal.code, ErrorCode::PropertyConstraintViolation);
        assert!(refusal.description.contains("GenericError"), "{refusal}");
        assert!(!refusal.description.contains("SECRET"), "{refusal}");
    }

    #[test]
    fn a_fault_is_named_by_its_path() {
        let payload = json!({"outer": {"list": [{}, {"n": "x"}], "texts": ["a", "bb"]}});
        let fields = Fields::of(&payload).expect("an object");
        let outer = fields.object("outer").expect("an object");
        let list = outer.objects("list", 1..=2).expect("two objects");
        let said = list[1].integer("n").expect_err("a text").description;
        assert_eq!(said, "`outer.list[1].n` must be a whole number");
        let said = outer.optional_texts("texts", 2, 1).expect_err("too long").description;
        assert_eq!(said, "`outer.texts[1]` must have at most 1 characters");
        assert_eq!(code(outer.objects("list", 3..=4)), ErrorCode::OccurenceConstraintViolation);
        assert_eq!(code(outer.objects("list", 0..=1)), ErrorCode::OccurenceConstraintViolation);
        assert_eq!(code(outer.objects("texts", 0..=9)), ErrorCode::TypeConstraintViolation);
        assert_eq!(code(outer.optional_texts("list", 9, 9)), ErrorCode::TypeConstraintViolation);
    }

    #[test]
    fn an_address_has_a_scheme() {
        let payload = json!({"ok": "ftp://user:SECRET@host:21/x", "path": "/x", "text": "SECRET host"});
        let fields = Fields::of(&payload).expect("an object");
        let address = fields.address("ok", 512).expect("an address");
        assert_eq!(address.as_str(), "ftp://user:SECRET@host:21/x");
        assert!(!format!("{address:?}").contains("SECRET"));
        for name in ["path", "text"] {
            let refusal = fields.address(name, 512).expect_err("no address");
            assert_eq!(refusal.code, ErrorCode::PropertyConstraintViolation);
            assert!(!refusal.description.contains("SECRET"), "{refusal}");
        }
        assert_eq!(code(fields.address("ok", 20)), ErrorCode::PropertyConstraintViolation);
    }

    #[test]
    fn a_payload_is_an_object() {
        for payload in [json!([]), json!(null), json!("x"), json!(1)] {
            assert_eq!(code(Fields::of(&payload)), ErrorCode::FormationViolation, "{payload}");
        }
    }
}
