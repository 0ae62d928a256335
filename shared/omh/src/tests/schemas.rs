//! Every type: a valid body, and the rules that set it apart.

use super::{header, parse, point};
use crate::{Invalid, SchemaId};
use serde_json::{Value, json};

/// The least body of each type, without its time frame, and the forms of time frame that it takes.
fn types() -> Vec<(&'static str, Value, Frames)> {
    let hours = json!({"value": 7.5, "unit": "h"});
    let litres = json!({"value": 4.1, "unit": "L"});
    let mmhg = json!({"value": 80, "unit": "mmHg"});
    vec![
        ("ieee:physical-activity:1.0", json!({"activity_name": "walking"}), Frames::INTERVAL),
        ("ieee:sleep-episode:1.0", json!({}), Frames::INTERVAL),
        ("ieee:sleep-stage-summary:1.0", json!({"sleep_stage_summary": {"total_sleep_time": hours}}), Frames::INTERVAL),
        ("ieee:time-in-bed:1.0", json!({"time_in_bed": hours}), Frames::INTERVAL),
        ("ieee:total-sleep-time:1.0", json!({"total_sleep_time": hours}), Frames::INTERVAL),
        ("omh:blood-glucose:4.0", json!({"blood_glucose": {"value": 5.4, "unit": "mmol/L"}}), Frames::ANY),
        (
            "omh:blood-pressure:4.0",
            json!({"systolic_blood_pressure": mmhg, "diastolic_blood_pressure": mmhg}),
            Frames::ANY,
        ),
        ("omh:body-height:2.0", json!({"body_height": {"value": 170, "unit": "cm"}}), Frames::ANY),
        ("omh:body-temperature:4.0", json!({"body_temperature": {"value": 36.6, "unit": "C"}}), Frames::ANY),
        ("omh:body-weight:3.0", json!({"body_weight": {"value": 64, "unit": "kg"}}), Frames::ANY),
        (
            "omh:forced-expiratory-volume-1-second:1.0",
            json!({"forced_expiratory_volume_1_second": litres}),
            Frames::ANY,
        ),
        ("omh:forced-vital-capacity:1.0", json!({"forced_vital_capacity": litres}), Frames::ANY),
        ("omh:heart-rate:2.0", json!({"heart_rate": {"value": 61, "unit": "beats/min"}}), Frames::DATED),
        ("omh:oxygen-saturation:2.0", json!({"oxygen_saturation": {"value": 97, "unit": "%"}}), Frames::DATED),
        ("omh:physical-activity:1.2", json!({"activity_name": "walking"}), Frames::OPTIONAL),
        ("omh:respiratory-rate:2.0", json!({"respiratory_rate": {"value": 14, "unit": "breaths/min"}}), Frames::DATED),
        ("omh:rr-interval:1.0", json!({"rr_interval": {"value": 810, "unit": "ms"}}), Frames::OPTIONAL),
        ("omh:sleep-duration:2.0", json!({"sleep_duration": hours}), Frames::DATED_INTERVAL),
        ("omh:sleep-episode:1.1", json!({}), Frames::DATED_INTERVAL),
        ("omh:step-count:3.0", json!({"step_count": {"value": 8120, "unit": "steps"}}), Frames::DATED_INTERVAL),
    ]
}

/// Which time frames a type takes, and whether it must have one.
#[derive(Clone, Copy)]
struct Frames {
    instant: bool,
    date: bool,
    required: bool,
}

impl Frames {
    const INTERVAL: Self = Self { instant: false, date: false, required: true };
    const DATED_INTERVAL: Self = Self { date: true, ..Self::INTERVAL };
    const ANY: Self = Self { instant: true, ..Self::INTERVAL };
    const DATED: Self = Self { date: true, ..Self::ANY };
    const OPTIONAL: Self = Self { required: false, ..Self::DATED };
}

fn valid(code: &str, body: &Value, frame: Option<Value>) -> bool {
    let mut body = body.clone();
    if let Some(frame) = frame {
        body["effective_time_frame"] = frame;
    }
    match parse(code, &point(code, &body)) {
        Ok(_) => true,
        Err(Invalid::Body { .. }) => false,
        Err(other) => panic!("{code}: {other}"),
    }
}

#[test]
fn the_table_covers_every_known_code() {
    let table: Vec<&str> = types().iter().map(|(code, ..)| *code).collect();
    assert_eq!(table, crate::known_codes().collect::<Vec<_>>());
    assert!(table.iter().all(|code| crate::is_known(code)));
    assert!(!crate::is_known("omh:heart-rate:1.0"));
    assert!(!crate::is_known("ieee:header:1.0"));
}

#[test]
fn every_type_takes_its_forms_of_time_frame_and_no_other() {
    let start = "2026-03-01T00:00:00Z";
    let end = "2026-03-01T08:00:00Z";
    let hours = json!({"value": 8, "unit": "h"});
    for (code, body, frames) in types() {
        for interval in [
            json!({"start_date_time": start, "end_date_time": end}),
            json!({"start_date_time": start, "duration": hours}),
            json!({"end_date_time": end, "duration": hours}),
        ] {
            assert!(valid(code, &body, Some(json!({"time_interval": interval}))), "{code}");
        }
        let date = json!({"time_interval": {"date": "2026-03-01", "part_of_day": "morning"}});
        assert_eq!(valid(code, &body, Some(json!({"date_time": start}))), frames.instant, "{code}");
        assert_eq!(valid(code, &body, Some(date)), frames.date, "{code}");
        assert_eq!(valid(code, &body, None), !frames.required, "{code}");
        assert!(!valid(code, &body, Some(json!({}))), "{code}");
    }
}

#[test]
fn every_type_requires_its_members_and_their_units() {
    let frame = json!({"time_interval": {
        "start_date_time": "2026-03-01T00:00:00Z", "end_date_time": "2026-03-01T08:00:00Z"
    }});
    for (code, body, _) in types() {
        for name in body.as_object().unwrap().keys() {
            let mut lacking = body.clone();
            lacking.as_object_mut().unwrap().remove(name);
            assert!(!valid(code, &lacking, Some(frame.clone())), "{code} without {name}");
            let mut wrong = body.clone();
            wrong[name] = json!({"value": 1, "unit": "parsecs"});
            assert!(!valid(code, &wrong, Some(frame.clone())), "{code} with a wrong {name}");
        }
    }
}

#[test]
fn a_step_count_takes_fewer_statistics_than_other_types() {
    let frame = json!({"time_interval": {
        "start_date_time": "2026-03-01T00:00:00Z", "end_date_time": "2026-03-01T08:00:00Z"
    }});
    let steps = json!({"step_count": {"value": 8120, "unit": "steps"}});
    let sleep = json!({"sleep_duration": {"value": 8, "unit": "h"}});
    for (statistic, by_steps) in [("average", true), ("count", false), ("1st quintile", false)] {
        let mut steps = steps.clone();
        let mut sleep = sleep.clone();
        steps["descriptive_statistic"] = json!(statistic);
        sleep["descriptive_statistic"] = json!(statistic);
        assert_eq!(valid("omh:step-count:3.0", &steps, Some(frame.clone())), by_steps);
        assert!(valid("omh:sleep-duration:2.0", &sleep, Some(frame.clone())));
    }
}

#[test]
fn a_count_is_an_integer_by_value_and_not_by_spelling() {
    let frame = json!({"time_interval": {
        "start_date_time": "2026-03-01T00:00:00Z", "end_date_time": "2026-03-01T08:00:00Z"
    }});
    for (number, expected) in [("2", true), ("2.00", true), ("2e0", true), ("2.5", false), ("1e400", false)] {
        let count: Value = serde_json::from_str(number).unwrap();
        let body = json!({"number_of_awakenings": count});
        assert_eq!(valid("omh:sleep-episode:1.1", &body, Some(frame.clone())), expected, "{number}");
    }
}

#[test]
fn the_header_keeps_its_rules() {
    let code = "omh:body-weight:3.0";
    let cases = [
        ("modality", json!("sensed"), true),
        ("modality", json!("guessed"), false),
        ("uuid", json!("any text, since format is an annotation"), true),
        ("uuid", json!(5), false),
        ("acquisition_rate", json!({"value": 2, "unit": "Hz"}), true),
        ("acquisition_rate", json!({"value": 2, "unit": "kHz"}), false),
        ("acquisition_rate", json!({"number_of_times": 2, "time_window": {"value": 1, "unit": "d"}}), true),
        (
            "acquisition_rate",
            json!({"number_of_times": 2, "time_window": {"low_value": 1, "high_value": 2, "unit": "wk"}}),
            true,
        ),
        ("acquisition_rate", json!({"number_of_times": 2, "time_window": {"low_value": 1, "unit": "wk"}}), false),
        ("external_datasheets", json!([{"datasheet_reference": "urn:x"}]), true),
        ("external_datasheets", json!([{"datasheet_type": "software"}]), false),
        ("source_creation_date_time", json!("2026-03-01T07:30:01"), true),
        ("source_creation_date_time", json!("soon"), false),
        ("source_creation_date_time", Value::Null, false),
        ("anything_else", json!({"deep": [1]}), true),
    ];
    let body = json!({
        "body_weight": {"value": 64, "unit": "kg"},
        "effective_time_frame": {"date_time": "2026-03-01T07:30:00Z"}
    });
    for (name, value, expected) in cases {
        let mut header = header(code);
        header[name] = value;
        let outcome = parse(code, &json!({"header": header, "body": body}));
        assert_eq!(outcome.is_ok(), expected, "{name}: {outcome:?}");
        assert!(expected || matches!(outcome, Err(Invalid::Header { .. })));
    }
}

#[test]
fn a_valid_point_tells_its_schema_and_its_creation() {
    let point = super::heart_rate(&json!({"date_time": "2026-03-01T07:30:00Z"}));
    let point = parse("omh:heart-rate:2.0", &point).unwrap();
    assert_eq!(point.schema_id(), &"omh:heart-rate:2.0".parse::<SchemaId>().unwrap());
    assert_eq!(point.created(), "2026-03-01T07:30:01Z".parse().unwrap());
}

#[test]
fn schema_identifiers_are_read_and_written() {
    let id: SchemaId = "omh:blood-glucose:4.0".parse().unwrap();
    assert_eq!((id.namespace(), id.name(), id.version()), ("omh", "blood-glucose", "4.0"));
    assert_eq!(id.to_string(), "omh:blood-glucose:4.0");
    let long = "x".repeat(65);
    for text in ["", "omh", "omh:a", "omh::1.0", "omh:a:1:2", "omh:a b:1.0", "omh:é:1.0", &format!("omh:{long}:1.0")] {
        assert!(text.parse::<SchemaId>().is_err(), "{text}");
    }
}
