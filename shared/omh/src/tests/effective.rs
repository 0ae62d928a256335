//! The effective time of every form of time frame.

use super::{heart_rate, parse, point};
use crate::{EffectiveTime, Invalid, TimeError};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

fn effective(frame: &Value) -> Result<EffectiveTime, Invalid> {
    let point = parse("omh:heart-rate:2.0", &heart_rate(frame))?;
    Ok(point.effective().unwrap())
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn interval(start: &str, end: &str) -> EffectiveTime {
    EffectiveTime::Interval { start: at(start), end: at(end) }
}

/// An interval counted from its start, or back from its end.
fn counted(member: &str, moment: &str, value: &str, unit: &str) -> Result<EffectiveTime, Invalid> {
    let value: Value = serde_json::from_str(value).unwrap();
    effective(&json!({"time_interval": {member: moment, "duration": {"value": value, "unit": unit}}}))
}

#[test]
fn a_date_time_is_an_instant() {
    let cases = [
        ("2026-03-01T07:30:00Z", "2026-03-01T07:30:00Z"),
        ("2026-03-01t07:30:00z", "2026-03-01T07:30:00Z"),
        ("2026-03-01 07:30:00+00:00", "2026-03-01T07:30:00Z"),
        ("2026-03-01T07:30:00-08:00", "2026-03-01T15:30:00Z"),
        ("2026-03-01T07:30:00.5+05:30", "2026-03-01T02:00:00.5Z"),
        ("2026-03-01T07:30:00.1234567899Z", "2026-03-01T07:30:00.123456789Z"),
        ("2026-03-01T07:30:00", "2026-03-01T07:30:00Z"),
        ("2026-03-01T07:30", "2026-03-01T07:30:00Z"),
        ("2026-03-01T07:30+0130", "2026-03-01T06:00:00Z"),
        ("2026-03-01T07:30:00-01", "2026-03-01T08:30:00Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"),
    ];
    for (text, expected) in cases {
        let time = effective(&json!({"date_time": text}));
        assert_eq!(time, Ok(EffectiveTime::Instant(at(expected))), "{text}");
    }
}

#[test]
fn other_texts_are_not_date_times() {
    let cases = [
        "",
        "2026-03-01",
        "07:30:00Z",
        "20260301T073000Z",
        "2026-03-01T07",
        "2026-03-01T7:30:00Z",
        "2026-03-01T07:30:0Z",
        "2026-03-01T07:30:61Z",
        "2026-03-01T24:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-03-01T07:30:00.Z",
        "2026-03-01T07:30.5Z",
        "2026-03-01T07:30:00+24:00",
        "2026-03-01T07:30:00+01:60",
        "2026-03-01T07:30:00+1",
        "2026-03-01T07:30:00+01:00:00",
        "2026-03-01T07:30:00ZZ",
        " 2026-03-01T07:30:00Z",
        "2026-03-01T07:30:00Z\n",
        "2026-03-01T07:30:00Z[UTC]",
        "+02026-03-01T07:30:00Z",
        "2026-03-0éT07:30:00Z",
        "٢٠٢٦-03-01T07:30:00Z",
    ];
    for text in cases {
        let time = effective(&json!({"date_time": text}));
        let expected = Err(Invalid::EffectiveTime(TimeError::NotADateTime("date_time")));
        assert_eq!(time, expected, "{text:?}");
    }
}

#[test]
fn a_time_after_the_last_instant_is_refused_as_such() {
    for text in ["9999-12-31T23:59:59Z", "9999-12-30T22:00:01Z", "9999-12-31T12:00:00+12:00"] {
        let expected = |member| Err(Invalid::EffectiveTime(TimeError::TooLate(member)));
        assert_eq!(effective(&json!({"date_time": text})), expected("date_time"), "{text}");
        let frame = json!({"time_interval": {"start_date_time": "2026-03-01T07:30:00Z", "end_date_time": text}});
        assert_eq!(effective(&frame), expected("time_interval/end_date_time"), "{text}");
    }
    assert!(effective(&json!({"date_time": "9999-12-29T23:59:59Z"})).is_ok());
}

#[test]
fn two_bounds_are_an_interval_that_may_be_empty_but_not_reversed() {
    let frame = |start, end| json!({"time_interval": {"start_date_time": start, "end_date_time": end}});
    let early = "2026-03-01T07:30:00Z";
    let late = "2026-03-01T07:30:00-01:00";
    assert_eq!(effective(&frame(early, late)), Ok(interval(early, "2026-03-01T08:30:00Z")));
    assert_eq!(effective(&frame(early, early)), Ok(interval(early, early)));
    assert_eq!(effective(&frame(late, early)), Err(Invalid::EffectiveTime(TimeError::EndBeforeStart)));
}

#[test]
fn every_unit_counts_from_a_start_and_back_from_an_end() {
    let moment = "2024-01-31T12:00:00Z";
    let cases = [
        ("1000", "ps", "2024-01-31T12:00:00.000000001Z", "2024-01-31T11:59:59.999999999Z"),
        ("1", "ns", "2024-01-31T12:00:00.000000001Z", "2024-01-31T11:59:59.999999999Z"),
        ("1.5", "us", "2024-01-31T12:00:00.0000015Z", "2024-01-31T11:59:59.9999985Z"),
        ("250", "ms", "2024-01-31T12:00:00.25Z", "2024-01-31T11:59:59.75Z"),
        ("1.00", "sec", "2024-01-31T12:00:01Z", "2024-01-31T11:59:59Z"),
        ("9e1", "min", "2024-01-31T13:30:00Z", "2024-01-31T10:30:00Z"),
        ("1.1", "h", "2024-01-31T13:06:00Z", "2024-01-31T10:54:00Z"),
        ("2", "d", "2024-02-02T12:00:00Z", "2024-01-29T12:00:00Z"),
        ("1", "wk", "2024-02-07T12:00:00Z", "2024-01-24T12:00:00Z"),
        ("1", "Mo", "2024-02-29T12:00:00Z", "2023-12-31T12:00:00Z"),
        ("13", "Mo", "2025-02-28T12:00:00Z", "2022-12-31T12:00:00Z"),
        ("0.5", "Mo", "2024-02-15T00:00:00Z", "2024-01-16T00:00:00Z"),
        ("1", "yr", "2025-01-31T12:00:00Z", "2023-01-31T12:00:00Z"),
        ("1.5", "yr", "2025-07-31T12:00:00Z", "2022-07-31T12:00:00Z"),
        ("0", "yr", moment, moment),
    ];
    for (value, unit, after, before) in cases {
        let forward = counted("start_date_time", moment, value, unit);
        assert_eq!(forward, Ok(interval(moment, after)), "{value} {unit}");
        let back = counted("end_date_time", moment, value, unit);
        assert_eq!(back, Ok(interval(before, moment)), "{value} {unit}");
    }
}

#[test]
fn months_are_counted_in_the_stated_offset() {
    let time = counted("start_date_time", "2024-03-01T00:30:00+01:00", "1", "Mo");
    assert_eq!(time, Ok(interval("2024-02-29T23:30:00Z", "2024-03-31T23:30:00Z")));
}

#[test]
fn durations_without_a_use_are_refused() {
    let moment = "2026-03-01T00:00:00Z";
    let cases = [
        ("-1", "sec", TimeError::EndBeforeStart),
        ("-1", "ps", TimeError::EndBeforeStart),
        ("-0.0001", "ps", TimeError::EndBeforeStart),
        ("-0.5", "Mo", TimeError::EndBeforeStart),
        ("1e400", "sec", TimeError::OutOfRange),
        ("1e400", "yr", TimeError::OutOfRange),
        ("1e300", "ns", TimeError::OutOfRange),
        ("20000", "yr", TimeError::OutOfRange),
        ("19999.99", "yr", TimeError::OutOfRange),
        ("9223372036854775807", "wk", TimeError::OutOfRange),
        ("9223372036854775807", "Mo", TimeError::OutOfRange),
        ("99999999999999999999999", "d", TimeError::OutOfRange),
    ];
    for (value, unit, expected) in cases {
        for member in ["start_date_time", "end_date_time"] {
            let time = counted(member, moment, value, unit);
            assert_eq!(time, Err(Invalid::EffectiveTime(expected)), "{value} {unit}");
        }
    }
}

#[test]
fn a_part_of_the_day_is_a_quarter_of_the_date_in_utc() {
    let cases = [
        ("night", "2024-02-29T00:00:00Z", "2024-02-29T06:00:00Z"),
        ("morning", "2024-02-29T06:00:00Z", "2024-02-29T12:00:00Z"),
        ("afternoon", "2024-02-29T12:00:00Z", "2024-02-29T18:00:00Z"),
        ("evening", "2024-02-29T18:00:00Z", "2024-03-01T00:00:00Z"),
    ];
    for (part, start, end) in cases {
        let time = effective(&json!({"time_interval": {"date": "2024-02-29", "part_of_day": part}}));
        assert_eq!(time, Ok(interval(start, end)), "{part}");
    }
}

#[test]
fn a_date_ends_with_its_last_digit() {
    for date in ["2024-02-29\n", "2024-2-29", "24-02-29", "2024-02-29T"] {
        let time = effective(&json!({"time_interval": {"date": date, "part_of_day": "night"}}));
        assert!(matches!(time, Err(Invalid::Body { .. })), "{date:?}");
    }
}

#[test]
fn members_of_no_form_are_passed_over() {
    let start = "2026-03-01T00:00:00Z";
    let end = "2026-03-01T01:00:00Z";
    let hour = json!({"value": 1, "unit": "h"});
    let frames = [
        json!({"start_date_time": start, "end_date_time": end, "duration": "PT2H"}),
        json!({"start_date_time": start, "end_date_time": 5, "duration": hour}),
        json!({"start_date_time": null, "end_date_time": end, "duration": hour}),
        json!({"start_date_time": start, "duration": hour, "date": "2020-01-01", "part_of_day": "noon"}),
    ];
    for frame in frames {
        let time = effective(&json!({"time_interval": frame, "date_time": 7}));
        assert_eq!(time, Ok(interval(start, end)), "{frame}");
    }
    let time = effective(&json!({"time_interval": {"duration": hour}, "date_time": start}));
    assert_eq!(time, Ok(EffectiveTime::Instant(at(start))));
}

#[test]
fn two_types_need_no_time_frame() {
    for (code, body) in [
        ("omh:physical-activity:1.2", json!({"activity_name": "walking"})),
        ("omh:rr-interval:1.0", json!({"rr_interval": {"value": 810, "unit": "ms"}})),
    ] {
        let read = parse(code, &point(code, &body)).unwrap();
        assert_eq!(read.effective(), None);
    }
}

#[test]
fn sleep_takes_the_time_of_the_whole_and_not_of_its_stages() {
    let code = "ieee:sleep-stage-summary:1.0";
    let frame = |start, end| json!({"time_interval": {"start_date_time": start, "end_date_time": end}});
    let body = json!({
        "sleep_stage_summary": {"total_sleep_time": {"value": 7, "unit": "h"}},
        "sleep_stage_episodes": [{
            "sleep_stage_state": "REM_sleep",
            "sleep_stage_time_frame": frame("2026-03-01T01:00:00Z", "2026-03-01T02:00:00Z")
        }],
        "effective_time_frame": frame("2026-03-01T00:00:00Z", "2026-03-01T08:00:00Z")
    });
    let read = parse(code, &point(code, &body)).unwrap();
    let expected = interval("2026-03-01T00:00:00Z", "2026-03-01T08:00:00Z");
    assert_eq!(read.effective(), Some(expected));
}

proptest! {
    #[test]
    fn whole_seconds_are_counted_exactly(start in -60_000_000_000_i64..60_000_000_000, length in 0_i64..100_000_000_000) {
        let start = Timestamp::from_second(start).unwrap();
        let end = Timestamp::from_second(start.as_second() + length).unwrap();
        let seconds = length.to_string();
        let expected = Ok(EffectiveTime::Interval { start, end });
        prop_assume!(start.to_string().len() == 20 && end.to_string().len() == 20);
        prop_assert_eq!(counted("start_date_time", &start.to_string(), &seconds, "sec"), expected.clone());
        prop_assert_eq!(counted("end_date_time", &end.to_string(), &seconds, "sec"), expected);
    }

    #[test]
    fn any_duration_counts_to_an_interval_or_is_refused(value in any::<f64>(), unit in prop::sample::select(vec!["ps", "sec", "d", "Mo", "yr"])) {
        let frame = json!({"time_interval": {"start_date_time": "2026-03-01T00:00:00Z", "duration": {"value": value, "unit": unit}}});
        match effective(&frame) {
            Ok(time) => prop_assert!(time.start() <= time.end() && value >= 0.0),
            Err(error) => {
                let known = matches!(error, Invalid::EffectiveTime(_) | Invalid::Body { .. });
                prop_assert!(known);
            }
        }
    }
}
