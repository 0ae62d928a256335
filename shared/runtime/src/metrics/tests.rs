//! The shape of the lines, against the specification of the embedded metric format.

use super::*;
use std::{collections::BTreeSet, time::Duration};

const STATUS: StatusCode = StatusCode::OK;

fn served(status: StatusCode, layer: Option<Layer>, usage: Usage) -> Served {
    Served { function: "fhir-observation-search", status, layer, micros: 1234, usage }
}

/// What the specification asks of a line: its members, their types, and that each metric and dimension is there.
fn check(line: &Value) {
    let root = line.as_object().unwrap();
    let metadata = line["_aws"].as_object().unwrap();
    assert_eq!(metadata.keys().collect::<Vec<_>>(), ["CloudWatchMetrics", "Timestamp"]);
    assert!(metadata["Timestamp"].as_i64().unwrap() > 0);
    for directive in metadata["CloudWatchMetrics"].as_array().unwrap() {
        let members = directive.as_object().unwrap();
        assert_eq!(members.keys().collect::<Vec<_>>(), ["Dimensions", "Metrics", "Namespace"]);
        assert!((1..=1024).contains(&directive["Namespace"].as_str().unwrap().len()));
        for set in directive["Dimensions"].as_array().unwrap() {
            let names = set.as_array().unwrap();
            assert!((1..=30).contains(&names.len()));
            for name in names {
                assert!((1..=1024).contains(&root[name.as_str().unwrap()].as_str().unwrap().len()));
            }
        }
        let metrics = directive["Metrics"].as_array().unwrap();
        assert!((1..=100).contains(&metrics.len()));
        for metric in metrics {
            assert!(["Count", "Microseconds", "Seconds"].contains(&metric["Unit"].as_str().unwrap()));
            assert!(root[metric["Name"].as_str().unwrap()].is_number());
        }
    }
}

#[test]
fn a_line_is_as_the_format_has_it() {
    let usage = Usage { observations_read: 100, pool_wait: Some(Duration::from_micros(7)), ..Usage::default() };
    let values = served(STATUS, None, usage).values(true);
    let line = line("jhe-test", "fhir-observation-search", "2026-11-22T10:00:00Z".parse().unwrap(), &values);
    check(&line);
    let expected = json!({
        "_aws": { "Timestamp": 1_795_341_600_000_i64, "CloudWatchMetrics": [
            { "Namespace": "JupyterHealthExchange", "Dimensions": [["Stage"]], "Metrics": [
                { "Name": "Latency", "Unit": "Microseconds" },
                { "Name": "PoolWait", "Unit": "Microseconds" },
                { "Name": "ObservationsRead", "Unit": "Count" },
                { "Name": "ColdStarts", "Unit": "Count" } ] },
            { "Namespace": "JupyterHealthExchange", "Dimensions": [["Stage", "Function"]], "Metrics": [
                { "Name": "Latency", "Unit": "Microseconds" } ] } ] },
        "Stage": "jhe-test", "Function": "fhir-observation-search",
        "Latency": 1234, "PoolWait": 7, "ObservationsRead": 100, "ColdStarts": 1,
    });
    assert_eq!(line, expected);
}

fn names(values: &[(Metric, u64)]) -> Vec<&'static str> {
    values.iter().map(|(metric, _)| metric.name()).collect()
}

#[test]
fn every_kind_of_answer_has_its_figures() {
    let none = Usage::default();
    let failed = Usage { failed_sign_ins: 1, ..none };
    let written = Usage { observations_written: 3, ..none };
    for (status, layer, usage, expected) in [
        (STATUS, None, none, &[][..]),
        (STATUS, None, written, &["ObservationsWritten"]),
        (STATUS, None, failed, &["FailedSignIns"]),
        (StatusCode::UNAUTHORIZED, Some(Layer::Token), none, &["RefusedByToken"]),
        (StatusCode::FORBIDDEN, Some(Layer::Consent), none, &["RefusedByConsent"]),
        (StatusCode::NOT_FOUND, Some(Layer::Organization), none, &["RefusedByOrganization"]),
        (StatusCode::FORBIDDEN, None, none, &["RefusedOtherwise"]),
        (StatusCode::NOT_FOUND, None, none, &[]),
        (StatusCode::TOO_MANY_REQUESTS, None, none, &["Throttled"]),
        (StatusCode::SERVICE_UNAVAILABLE, None, none, &["Errors"]),
    ] {
        let values = served(status, layer, usage).values(false);
        assert_eq!(names(&values), [&["Latency"], expected].concat(), "{status} {layer:?}");
        check(&line("s", "f", Timestamp::UNIX_EPOCH + Duration::from_secs(1), &values));
    }
}

#[test]
fn a_run_has_completed_or_failed_and_says_what_it_reports() {
    assert_eq!(run_values(5, None), [(Metric::Latency, 5), (Metric::Errors, 1)]);
    assert_eq!(run_values(5, Some(&json!({}))), [(Metric::Latency, 5), (Metric::Completed, 1)]);
    let report = json!({ "new_findings": 2, "seal_lag_seconds": 0, "events": 9 });
    let expected = [(Metric::Latency, 5), (Metric::Completed, 1), (Metric::NewFindings, 2), (Metric::SealLag, 0)];
    assert_eq!(run_values(5, Some(&report)), expected);
    let report =
        json!({ "erased": [{ "event": 7 }, { "event": 8 }], "held": 3, "again": 0, "rows_exported": 4, "exports": 0 });
    let expected = [(Metric::Erased, 2), (Metric::ErasuresHeld, 3), (Metric::RowsExported, 4)];
    assert_eq!(run_values(5, Some(&report)).get(2..), Some(&expected[..]));
}

#[test]
fn no_two_metrics_have_one_name() {
    let all: BTreeSet<_> = names(&Metric::ALL.map(|metric| (metric, 0))).into_iter().collect();
    assert_eq!(all.len(), Metric::ALL.len());
}
