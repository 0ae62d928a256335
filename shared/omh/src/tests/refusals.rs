//! What is refused, with which error, and what the error tells.

use super::{heart_rate, parse};
use crate::{Invalid, TimeError};
use proptest::prelude::*;
use serde_json::{Value, json};

const CODE: &str = "omh:heart-rate:2.0";

fn valid() -> Value {
    heart_rate(&json!({"date_time": "2026-03-01T07:30:00Z"}))
}

#[test]
fn the_header_must_name_the_schema_of_the_code() {
    let error = parse("omh:respiratory-rate:2.0", &valid()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the header names the schema omh:heart-rate:2.0, but omh:respiratory-rate:2.0 is expected"
    );
    for (member, value) in [("namespace", "ieee"), ("name", "Heart-rate"), ("version", "2.1")] {
        let mut point = valid();
        point["header"]["schema_id"][member] = json!(value);
        let error = parse(CODE, &point).unwrap_err();
        assert!(matches!(error, Invalid::SchemaMismatch { .. }), "{member}: {error}");
    }
    let mut point = valid();
    point["header"]["schema_id"]["name"] = json!("heart rate\n");
    let error = parse(CODE, &point).unwrap_err();
    assert!(matches!(error, Invalid::Header { ref path, .. } if path == "/header/schema_id"));
}

#[test]
fn a_code_without_schema_is_refused_whatever_the_bytes() {
    for code in ["omh:nothing:1.0", "omh:heart-rate:2", "ieee:header:1.0", "OMH:heart-rate:2.0"] {
        let error = parse(code, &valid()).unwrap_err();
        assert_eq!(error.to_string(), format!("no schema is known for {code}"));
    }
    let error = parse("a code\n", &valid()).unwrap_err();
    assert_eq!(error, Invalid::UnknownSchema(None));
    assert!(!error.to_string().contains('\n'));
}

#[test]
fn bytes_that_are_not_json_are_refused() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let nested = format!("{{\"header\":{}}}", "{\"a\":".repeat(500_000));
    let cases = ["", "{", "nul", "{}{}", "{\"a\":NaN}", "\"\\ud800\"", &deep(128), &deep(1_000_000), &nested];
    for text in cases {
        assert_eq!(crate::parse(text.as_bytes(), CODE), Err(Invalid::NotJson));
    }
    assert_eq!(crate::parse(b"\xff\xfe", CODE), Err(Invalid::NotJson));
}

#[test]
fn members_that_no_schema_names_may_be_as_deep_as_json_is_read() {
    let mut deep = json!(1);
    for _ in 0..120 {
        deep = json!([deep]);
    }
    let mut point = valid();
    point["header"]["other"] = deep.clone();
    point["body"]["other"] = deep.clone();
    assert!(parse(CODE, &point).is_ok());
    point["body"]["effective_time_frame"]["time_interval"] = deep.clone();
    assert!(parse(CODE, &point).is_ok());
    point["body"]["effective_time_frame"] = deep;
    assert!(matches!(parse(CODE, &point), Err(Invalid::Body { .. })));
}

#[test]
fn header_and_body_must_be_there() {
    for (text, expected) in [
        ("{}", "the member \"header\" is required"),
        ("[]", "the member \"header\" is required"),
        ("{\"header\":[]}", "/header: must be of type object"),
        ("{\"header\":{}}", "/header: the member \"uuid\" is required"),
    ] {
        let error = crate::parse(text.as_bytes(), CODE).unwrap_err();
        assert!(matches!(error, Invalid::Header { .. }));
        assert!(error.to_string().ends_with(expected), "{error}");
    }
    let mut point = valid();
    point.as_object_mut().unwrap().remove("body");
    let error = parse(CODE, &point).unwrap_err();
    assert!(matches!(error, Invalid::Body { .. }));
}

#[test]
fn an_error_names_the_place_and_the_rule_and_not_the_value() {
    let cases = [
        ("/body/heart_rate/value", json!("secret"), "must be of type number"),
        ("/body/heart_rate/unit", json!("secret"), "must be one of [\"beats/min\"]"),
        ("/body/heart_rate", json!({"value": 61}), "the member \"unit\" is required"),
        (
            "/body/effective_time_frame",
            json!({"date_time": ["secret"]}),
            "must have one of the permitted forms, and has none",
        ),
        ("/header/uuid", json!(["secret"]), "must be of type string"),
        ("/header/modality", json!("secret"), "must be one of [\"sensed\",\"self-reported\"]"),
        ("/header/source_creation_date_time", json!("secret"), "must be a date and time such as 2026-03-01T07:30:00Z"),
    ];
    for (path, value, rule) in cases {
        let mut point = valid();
        point["header"]["modality"] = json!("sensed");
        *point.pointer_mut(path).unwrap() = value;
        let error = parse(CODE, &point).unwrap_err().to_string();
        assert_eq!(error, format!("{path}: {rule}"));
    }
}

#[test]
fn two_forms_at_once_are_refused() {
    let frame = json!({
        "date_time": "2026-03-01T07:30:00Z",
        "time_interval": {"date": "2026-03-01", "part_of_day": "night"}
    });
    let error = parse(CODE, &heart_rate(&frame)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/body/effective_time_frame: must have one of the permitted forms, and has more than one"
    );
}

#[test]
fn an_unreadable_time_frame_names_its_member() {
    let cases = [
        (json!({"date_time": "secret"}), TimeError::NotADateTime("date_time")),
        (
            json!({"time_interval": {"start_date_time": "secret", "end_date_time": "secret"}}),
            TimeError::NotADateTime("time_interval/start_date_time"),
        ),
        (
            json!({"time_interval": {"end_date_time": "secret", "duration": {"value": 1, "unit": "h"}}}),
            TimeError::NotADateTime("time_interval/end_date_time"),
        ),
        (json!({"time_interval": {"date": "2026-02-29", "part_of_day": "night"}}), TimeError::NotADate),
    ];
    for (frame, expected) in cases {
        let error = parse(CODE, &heart_rate(&frame)).unwrap_err();
        assert_eq!(error, Invalid::EffectiveTime(expected));
        assert!(!error.to_string().contains("secret"));
    }
}

/// JSON of any shape, with members that the schemas name among the others.
fn any_json() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        Just("effective_time_frame".to_owned()),
        Just("time_interval".to_owned()),
        Just("date_time".to_owned()),
        Just("duration".to_owned()),
        Just("start_date_time".to_owned()),
        Just("value".to_owned()),
        Just("unit".to_owned()),
        ".{0,4}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        any::<i64>().prop_map(Value::from),
        prop_oneof![Just("yr".to_owned()), Just("2026-03-01T00:00:00Z".to_owned()), ".{0,40}"].prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200), code in ".{0,30}") {
        prop_assert!(crate::parse(&bytes, CODE).is_err());
        prop_assert!(crate::parse(&bytes, &code).is_err());
    }

    #[test]
    fn any_frame_is_answered(frame in any_json()) {
        match parse(CODE, &heart_rate(&frame)) {
            Ok(point) => {
                let time = point.effective().unwrap();
                prop_assert!(time.start() <= time.end());
            }
            Err(error) => {
                let known = matches!(error, Invalid::Body { .. } | Invalid::EffectiveTime(_));
                prop_assert!(known);
            }
        }
    }
}
