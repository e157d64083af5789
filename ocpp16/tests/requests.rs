//! Every request of the CSMS: good, and with each of its fields missing, null, of the wrong type, too long and out of
//! range. What OCPP has stands in `requests/table.rs`.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests"
)]

#[path = "requests/table.rs"]
mod table;

use busbar_ocpp16::frame::{self, ErrorCode, Frame, Refusal};
use busbar_ocpp16::request::{
    ChangeAvailability, ChargingRateUnit, DataTransfer, GetConfiguration, RemoteStartTransaction, Request,
    SendLocalList, UpdateType,
};
use busbar_ocpp16::{Hidden, Tenths};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use table::{Field, Kind, Spec, specs};

/// The full payload with another value in a field; None takes the field out.
fn with(spec: &Spec, field: &Field, value: Option<Value>) -> Value {
    let mut payload = spec.full.clone();
    let (parent, name) =
        field.at.rsplit_once('/').map_or((String::new(), field.at), |(parent, name)| (format!("/{parent}"), name));
    let object = payload.pointer_mut(&parent).and_then(Value::as_object_mut).expect("the parent is there");
    match value {
        Some(value) => object.insert(name.to_owned(), value),
        None => object.remove(name),
    };
    payload
}

/// As refusals name it: `a.b[0].c`.
fn path(field: &Field) -> String {
    field.at.split('/').fold(String::new(), |path, part| match part.parse::<usize>() {
        Ok(at) => format!("{path}[{at}]"),
        Err(_) if path.is_empty() => part.to_owned(),
        Err(_) => format!("{path}.{part}"),
    })
}

fn check_refusal(spec: &Spec, payload: &Value, refusal: &Refusal) {
    let shown = format!("{refusal:?} {refusal}");
    assert!(!shown.contains("SECRET") && !shown.contains("BADGE"), "{} {payload}: {shown}", spec.action);
    assert!(refusal.description.chars().count() <= 255, "{refusal}");
}

fn refused(spec: &Spec, field: &Field, value: Option<Value>, code: ErrorCode) {
    refused_at(spec, field, value, code, &path(field));
}

fn refused_at(spec: &Spec, field: &Field, value: Option<Value>, code: ErrorCode, path: &str) {
    let payload = with(spec, field, value);
    let refusal = match Request::read(spec.action, &payload) {
        Ok(_) => panic!("{} takes {payload}", spec.action),
        Err(refusal) => refusal,
    };
    assert_eq!(refusal.code, code, "{} {payload}: {refusal}", spec.action);
    assert!(refusal.description.contains(&format!("`{path}`")), "{} {payload}: {refusal}", spec.action);
    check_refusal(spec, &payload, &refusal);
}

fn taken(spec: &Spec, field: &Field, value: Option<Value>) {
    let payload = with(spec, field, value);
    if let Err(refusal) = Request::read(spec.action, &payload) {
        panic!("{} refuses {payload}: {refusal}", spec.action);
    }
}

fn each_field(check: impl Fn(&Spec, &Field)) {
    for spec in &specs() {
        for field in &spec.fields {
            check(spec, field);
        }
    }
}

/// Where the fields of a payload stand, of lists the first item.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    let Value::Object(object) = value else { return };
    for (name, value) in object {
        let at = if at.is_empty() { name.clone() } else { format!("{at}/{name}") };
        match value {
            Value::Array(items) => items.iter().take(1).for_each(|item| places(item, &format!("{at}/0"), found)),
            value => places(value, &at, found),
        }
        found.push(at);
    }
}

#[test]
fn the_table_has_every_request_and_every_field() {
    let mut listed: Vec<&str> = specs().iter().map(|spec| spec.action).collect();
    listed.dedup();
    listed.sort_unstable();
    let mut known: Vec<&str> = Request::actions().collect();
    known.sort_unstable();
    assert_eq!(listed, known);
    for spec in specs() {
        let mut there = Vec::new();
        places(&spec.full, "", &mut there);
        let mut listed: Vec<&str> = spec.fields.iter().map(|field| field.at).collect();
        listed.sort_unstable();
        there.sort_unstable();
        assert_eq!(there, listed, "{}", spec.action);
    }
}

#[test]
fn the_fuzzer_starts_from_every_request() {
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/frame");
    let texts = std::fs::read_dir(seeds).expect("the seeds").filter_map(|seed| {
        let path = seed.expect("a file").path();
        let call = path.file_name()?.to_str()?.starts_with("call-");
        call.then(|| std::fs::read_to_string(path).expect("a text"))
    });
    let mut read: Vec<&str> = texts
        .map(|text| match frame::read(&text) {
            Ok(Frame::Call { action, payload, .. }) => Request::read(&action, &payload).expect("a request").action(),
            other => panic!("{text}: {other:?}"),
        })
        .collect();
    read.sort_unstable();
    read.dedup();
    let mut known: Vec<&str> = Request::actions().collect();
    known.sort_unstable();
    assert_eq!(read, known);
}

#[test]
fn every_request_is_read_and_knows_its_action() {
    for spec in specs() {
        let request = Request::read(spec.action, &spec.full).expect("a request");
        assert_eq!(request.action(), spec.action);
        let shown = format!("{request:?}");
        for secret in ["SECRET", "BADGE", "GROUP", "BEGIN CERTIFICATE"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

#[test]
fn a_missing_field_is_an_occurrence_violation_and_null_counts_as_missing() {
    each_field(|spec, field| {
        for value in [None, Some(Value::Null)] {
            match field.must {
                true => refused(spec, field, value, ErrorCode::OccurenceConstraintViolation),
                false => taken(spec, field, value),
            }
        }
    });
}

#[test]
fn a_wrong_type_is_a_type_violation() {
    let text = || json!("SECRET");
    let number = || json!(5);
    each_field(|spec, field| {
        let mut wrong = vec![json!(true)];
        wrong.extend(match field.kind {
            Kind::Text(_) | Kind::Badge | Kind::Word(_) | Kind::Moment | Kind::Address(_) => {
                vec![number(), json!(["SECRET"]), json!({"SECRET": 1})]
            }
            Kind::VendorData => vec![number(), json!(["SECRET"])],
            Kind::Integer | Kind::Count | Kind::FromOne => vec![text(), json!("5"), json!(1.5), json!([5]), json!({})],
            Kind::Tenths => vec![text(), json!("16.3"), json!([5]), json!({})],
            Kind::Object => vec![text(), number(), json!([{}])],
            Kind::Objects(_) | Kind::Texts(_) => vec![text(), number(), json!({"0": {}})],
        });
        for value in wrong {
            refused(spec, field, Some(value), ErrorCode::TypeConstraintViolation);
        }
        if let Kind::Objects(_) | Kind::Texts(_) = field.kind {
            let item = format!("{}[0]", path(field));
            for value in [json!([5]), json!([["SECRET"]]), json!([null])] {
                refused_at(spec, field, Some(value), ErrorCode::TypeConstraintViolation, &item);
            }
        }
    });
}

#[test]
fn case_36_a_value_out_of_range_is_a_property_violation() {
    let refused = |spec: &Spec, field: &Field, value: Value| {
        refused(spec, field, Some(value), ErrorCode::PropertyConstraintViolation);
    };
    let taken = |spec: &Spec, field: &Field, value: Value| taken(spec, field, Some(value));
    each_field(|spec, field| match field.kind {
        Kind::Text(most) => {
            taken(spec, field, json!("ä".repeat(most)));
            taken(spec, field, json!(""));
            refused(spec, field, json!("SECRET".repeat(most)[..=most]));
            refused(spec, field, json!("ä".repeat(most + 1)));
        }
        Kind::Badge => {
            taken(spec, field, json!("ä".repeat(20)));
            refused(spec, field, json!("SECRET-SECRET-SECRET-"));
            if field.must {
                refused(spec, field, json!(""));
            }
        }
        Kind::Integer | Kind::Count | Kind::FromOne => {
            taken(spec, field, json!(i32::MAX));
            taken(spec, field, json!(1.0));
            for value in [json!(i64::from(i32::MAX) + 1), json!(i64::from(i32::MIN) - 1), json!(u64::MAX), json!(1e300)]
            {
                refused(spec, field, value);
            }
            match field.kind {
                Kind::Integer => taken(spec, field, json!(i32::MIN)),
                Kind::Count => taken(spec, field, json!(0)),
                _ => refused(spec, field, json!(0)),
            }
            if !matches!(field.kind, Kind::Integer) {
                refused(spec, field, json!(-1));
            }
        }
        Kind::Tenths => {
            for value in [json!(0), json!(16.3), json!(11_000), json!(350_000.0)] {
                taken(spec, field, value);
            }
            for value in [json!(-0.1), json!(-1), json!(16.35), json!(1e300), json!(u64::MAX)] {
                refused(spec, field, value);
            }
        }
        Kind::Word(words) => {
            for word in words {
                taken(spec, field, json!(word));
            }
            for value in ["", "SECRET", &words[0].to_lowercase(), &format!(" {}", words[0])] {
                refused(spec, field, json!(value));
            }
            let refusal = Request::read(spec.action, &with(spec, field, Some(json!("SECRET")))).expect_err("a fault");
            assert!(words.iter().all(|word| refusal.description.contains(word)), "{refusal}");
        }
        Kind::Moment => {
            for value in ["2024-03-01T12:00:00Z", "2024-03-01T12:00:00.5+01:00", "2024-03-01T12:00:00"] {
                taken(spec, field, json!(value));
            }
            for value in ["", "SECRET", "2024-02-30T12:00:00Z", "1709294400"] {
                refused(spec, field, json!(value));
            }
        }
        Kind::Address(most) => {
            for value in ["ftp://host", "http://10.0.0.1:8080/x?y=z", "https://[2001:db8::1]/x"] {
                taken(spec, field, json!(value));
            }
            for value in ["", "SECRET", "/SECRET", "//SECRET/x", "http://"] {
                refused(spec, field, json!(value));
            }
            if most < 10_000 {
                taken(spec, field, json!(format!("ftp://{}", "x/".repeat(most / 2 - 3))));
                refused(spec, field, json!(format!("ftp://x{}", "x/".repeat(most / 2 - 3))));
            }
        }
        Kind::Texts(most) => {
            taken(spec, field, json!([]));
            taken(spec, field, json!(["ä".repeat(most), ""]));
            let item = format!("{}[1]", path(field));
            let value = Some(json!(["", "SECRET".repeat(most)]));
            refused_at(spec, field, value, ErrorCode::PropertyConstraintViolation, &item);
        }
        Kind::VendorData => taken(spec, field, json!({"totalCost": 1, "nested": {"a": [1]}})),
        Kind::Object | Kind::Objects(_) => {}
    });
}

#[test]
fn a_list_with_too_few_or_too_many_items_is_an_occurrence_violation() {
    each_field(|spec, field| {
        let item = match field.kind {
            Kind::Objects(_) => spec.full.pointer(&format!("/{}/0", field.at)).expect("an item").clone(),
            Kind::Texts(_) => json!("x"),
            _ => return,
        };
        match field.kind {
            Kind::Objects(1..) => refused(spec, field, Some(json!([])), ErrorCode::OccurenceConstraintViolation),
            _ => taken(spec, field, Some(json!([]))),
        }
        taken(spec, field, Some(Value::from(vec![item.clone(); 400])));
        refused(spec, field, Some(Value::from(vec![item; 5000])), ErrorCode::OccurenceConstraintViolation);
    });
}

#[test]
fn a_fault_deep_in_a_list_is_named_by_its_place() {
    let mut payload = specs().into_iter().find(|spec| spec.action == "SetChargingProfile").expect("listed").full;
    let periods = payload.pointer_mut("/csChargingProfiles/chargingSchedule/chargingSchedulePeriod").expect("a list");
    *periods =
        json!([{"startPeriod": 0, "limit": 1}, {"startPeriod": 60, "limit": 1}, {"startPeriod": 90, "limit": "1"}]);
    let refusal = Request::read("SetChargingProfile", &payload).expect_err("a text");
    assert_eq!(refusal.code, ErrorCode::TypeConstraintViolation);
    let place = "`csChargingProfiles.chargingSchedule.chargingSchedulePeriod[2].limit` must be a number";
    assert_eq!(refusal.description, place);
}

#[test]
fn what_a_request_says_arrives() {
    let read = |action: &str| {
        let spec = specs().into_iter().find(|spec| spec.action == action).expect("listed");
        Request::read(action, &spec.full).expect("a request")
    };
    let availability = Request::ChangeAvailability(ChangeAvailability { connector: 1, operative: false });
    assert_eq!(read("ChangeAvailability"), availability);
    let keys = Some(vec!["HeartbeatInterval".to_owned()]);
    assert_eq!(read("GetConfiguration"), Request::GetConfiguration(GetConfiguration { keys }));
    let Request::RemoteStartTransaction(RemoteStartTransaction { connector, id_tag, profile }) =
        read("RemoteStartTransaction")
    else {
        panic!("another request");
    };
    assert_eq!((connector, id_tag), (Some(2), Hidden::from("BADGE")));
    let schedule = profile.expect("a profile").schedule;
    assert_eq!((schedule.unit, schedule.duration_seconds), (ChargingRateUnit::Watts, Some(3600)));
    assert_eq!(schedule.start_unix_millis, Some(1_709_294_400_000));
    assert_eq!(schedule.periods[0].limit, Tenths::of_whole(11_000));
}

#[test]
fn case_b51_an_empty_full_list_of_any_version_is_a_request() {
    for version in [-1, 0, 1] {
        for payload in [
            json!({"listVersion": version, "updateType": "Full"}),
            json!({"listVersion": version, "updateType": "Full", "localAuthorizationList": []}),
            json!({"listVersion": version, "updateType": "Full", "localAuthorizationList": null}),
        ] {
            let list = SendLocalList { version, update: UpdateType::Full, entries: vec![] };
            assert_eq!(Request::read("SendLocalList", &payload), Ok(Request::SendLocalList(list)), "{payload}");
        }
    }
}

#[test]
fn vendor_data_may_be_a_bare_object() {
    let transfer = |data: Value| {
        let payload = json!({"vendorId": "com.se.cost", "data": data});
        match Request::read("DataTransfer", &payload) {
            Ok(Request::DataTransfer(DataTransfer { data, .. })) => data,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(transfer(json!({"totalCost": 1})).as_deref(), Some("{\"totalCost\":1}"));
    assert_eq!(transfer(json!("{\"totalCost\":1}")).as_deref(), Some("{\"totalCost\":1}"));
    assert_eq!(transfer(json!("")).as_deref(), Some(""));
    assert_eq!(transfer(Value::Null), None);
}

#[test]
fn an_action_that_is_not_the_stations_is_refused() {
    for (action, code) in [
        ("Explode", ErrorCode::NotImplemented),
        ("getConfiguration", ErrorCode::NotImplemented),
        ("", ErrorCode::NotImplemented),
        ("SECRET", ErrorCode::NotImplemented),
        ("BootNotification", ErrorCode::NotSupported),
        ("MeterValues", ErrorCode::NotSupported),
        ("SignedFirmwareStatusNotification", ErrorCode::NotSupported),
    ] {
        let refusal = Request::read(action, &json!({})).expect_err("no request");
        assert_eq!(refusal.code, code, "{action}");
        assert!(!refusal.description.contains("SECRET"));
    }
}

#[test]
fn a_payload_that_is_no_object_is_a_formation_violation() {
    for action in Request::actions() {
        for payload in [json!([]), json!(null), json!("SECRET"), json!(5)] {
            let refusal = Request::read(action, &payload).expect_err("no object");
            assert_eq!(refusal.code, ErrorCode::FormationViolation, "{action} {payload}");
        }
    }
}

/// Any JSON value.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z?".prop_map(Value::from),
        "[a-z]{0,5}:/{0,3}[ -~]{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Adds a field to every object of a payload.
fn add_everywhere(payload: &mut Value, name: &str, extra: &Value) {
    match payload {
        Value::Array(items) => items.iter_mut().for_each(|item| add_everywhere(item, name, extra)),
        Value::Object(object) => {
            object.values_mut().for_each(|value| add_everywhere(value, name, extra));
            object.insert(name.to_owned(), extra.clone());
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn case_b4_no_payload_is_a_panic(at in any::<prop::sample::Index>(), payload in value()) {
        let actions: Vec<&str> = Request::actions().collect();
        let _ = Request::read(actions[at.index(actions.len())], &payload);
    }

    #[test]
    fn case_b4_no_value_in_any_field_is_a_panic(
        spec in any::<prop::sample::Index>(), field in any::<prop::sample::Index>(), value in value(),
    ) {
        let specs = specs();
        let spec = &specs[spec.index(specs.len())];
        if spec.fields.is_empty() {
            return Ok(());
        }
        let field = &spec.fields[field.index(spec.fields.len())];
        let payload = with(spec, field, Some(value));
        if let Err(refusal) = Request::read(spec.action, &payload) {
            check_refusal(spec, &payload, &refusal);
        }
    }

    #[test]
    fn unknown_fields_change_nothing(name in "x[a-zA-Z]{0,10}", extra in value()) {
        for spec in specs() {
            let mut payload = spec.full.clone();
            add_everywhere(&mut payload, &name, &extra);
            prop_assert_eq!(Request::read(spec.action, &payload), Request::read(spec.action, &spec.full));
        }
    }
}
