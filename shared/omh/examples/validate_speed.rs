//! Prints how many data points of several types one thread validates per second, and how long the
//! first of each type takes with its schema still to compile.

use std::hint::black_box;
use std::time::{Duration, Instant};

const MEASURED_FOR: Duration = Duration::from_secs(1);

fn main() {
    for (code, body) in BODIES {
        let point = point(code, body);
        let first = Instant::now();
        if let Err(invalid) = omh::parse(point.as_bytes(), code) {
            println!("{code}: {invalid}");
            continue;
        }
        let first = first.elapsed();
        let (count, elapsed) = repeated(&point, code);
        let rate = f64::from(count) / elapsed.as_secs_f64();
        println!("{code}: {rate:.0} points/s, {} bytes each, first point {first:?}", point.len());
    }
}

fn repeated(point: &str, code: &str) -> (u32, Duration) {
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < MEASURED_FOR {
        for _ in 0..100 {
            let _ = black_box(omh::parse(black_box(point.as_bytes()), code));
        }
        count += 100;
    }
    (count, start.elapsed())
}

fn point(code: &str, body: &str) -> String {
    let mut parts = code.split(':');
    let mut part = || parts.next().unwrap_or_default();
    let (namespace, name, version) = (part(), part(), part());
    format!(
        r#"{{"header":{{"uuid":"7b6b1e4e-6d0e-4e0a-9d5f-3a2c1b0a9f8e","schema_id":{{"namespace":"{namespace}","name":"{name}","version":"{version}"}},"source_creation_date_time":"2026-03-01T07:30:01Z","modality":"sensed","external_datasheets":[{{"datasheet_type":"manufacturer","datasheet_reference":"https://device.example/42"}}]}},"body":{body}}}"#
    )
}

const BODIES: [(&str, &str); 5] = [
    (
        "omh:heart-rate:2.0",
        r#"{"heart_rate":{"value":61,"unit":"beats/min"},"effective_time_frame":{"date_time":"2026-03-01T07:30:00Z"},"temporal_relationship_to_sleep":"on waking"}"#,
    ),
    (
        "omh:blood-pressure:4.0",
        r#"{"systolic_blood_pressure":{"value":118,"unit":"mmHg"},"diastolic_blood_pressure":{"value":76,"unit":"mmHg"},"effective_time_frame":{"date_time":"2026-03-01T07:30:00+01:00"},"body_posture":"sitting"}"#,
    ),
    (
        "omh:blood-glucose:4.0",
        r#"{"blood_glucose":{"value":5.40,"unit":"mmol/L"},"effective_time_frame":{"date_time":"2026-03-01T07:30:00Z"},"temporal_relationship_to_meal":"fasting"}"#,
    ),
    (
        "omh:step-count:3.0",
        r#"{"step_count":{"value":8120,"unit":"steps"},"effective_time_frame":{"time_interval":{"start_date_time":"2026-03-01T00:00:00Z","duration":{"value":1,"unit":"d"}}}}"#,
    ),
    (
        "ieee:sleep-stage-summary:1.0",
        r#"{"sleep_stage_summary":{"total_sleep_time":{"value":7.5,"unit":"h"},"deep_sleep_duration":{"value":80,"unit":"min"},"number_of_awakenings":2},"sleep_stage_episodes":[{"sleep_stage_state":"Light_sleep","sleep_stage_time_frame":{"time_interval":{"start_date_time":"2026-02-28T23:00:00Z","end_date_time":"2026-03-01T00:10:00Z"}}}],"effective_time_frame":{"time_interval":{"start_date_time":"2026-02-28T22:50:00Z","end_date_time":"2026-03-01T07:10:00Z"}}}"#,
    ),
];
