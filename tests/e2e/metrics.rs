//! Metrics: one line for each request, as the embedded metric format has it; and alarms that look at what is written.

use crate::{
    source_policy::each_file,
    template::{names, text},
};
use end_to_end::{World, answer, browser::Browser, browser::email, point, process::Process};
use reqwest::{Method, StatusCode};
use runtime::metrics::{Metric, NAMESPACE};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The lines of a function, each checked against the format.
fn lines_of(printed: &[&str], function: &str) -> Vec<Value> {
    let schema = serde_json::from_str(&text("tests/data/emf_schema.json")).expect("a schema");
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    let lines = printed.iter().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines
        .inspect(|line| {
            assert!(schema.is_valid(line), "{line}");
            for directive in line["_aws"]["CloudWatchMetrics"].as_array().expect("directives") {
                assert_eq!(directive["Namespace"], NAMESPACE);
                for metric in directive["Metrics"].as_array().expect("metrics") {
                    assert!(line[metric["Name"].as_str().expect("a name")].is_u64(), "{line}");
                }
            }
        })
        .filter(|line| line["Function"] == function)
        .collect()
}

/// Names, times and ages.
const NOT_SUMMED: [&str; 8] =
    ["_aws", "Stage", "Function", "Latency", "PoolWait", "ArchiveLag", "BackupAge", "DrillAge"];

/// The sums over lines of all metrics that are no times.
fn sums(lines: &[Value]) -> BTreeMap<&str, u64> {
    let mut sums = BTreeMap::new();
    for line in lines {
        for (name, value) in line.as_object().expect("an object") {
            if !NOT_SUMMED.contains(&name.as_str()) {
                *sums.entry(name.as_str()).or_default() += value.as_u64().expect("a number");
            }
        }
    }
    sums
}

#[tokio::test]
async fn a_request_of_each_kind_gives_its_figures() {
    let mut world = World::new().await;
    let process = Process::serve(&mut world, &[("METRICS_STAGE", "a-test")]);
    let (_, bundle) = world.get("viewer_victor", "/FHIR/R5/Observation?patient=40001&_count=2").await;
    let shown = u64::try_from(bundle["entry"].as_array().expect("entries").len()).expect("a count");
    assert!(shown > 0, "{bundle}");
    let id = bundle["entry"][0]["resource"]["id"].as_str().expect("an id").to_owned();
    world.get("viewer_victor", &format!("/FHIR/R5/Observation/{id}")).await;
    world.get("manager_mark", "/FHIR/R5/Observation?patient=40001").await;
    answer(world.anonymous(Method::GET, "/FHIR/R5/Observation?patient=40001")).await;
    let observation = point::observation(40001, 70001, &point::blood_pressure(120, "2026-02-03T04:05:06Z"), "");
    let (status, body) = world.post("ll_patient_peter", "/FHIR/R5/Observation", &observation).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    Browser::new(&world).sign_in(&email("manager_mary"), "wrong-password-1", "/").await;
    assert_eq!(world.get("viewer_victor", "/api/v1/jhe_settings").await.0, StatusCode::FORBIDDEN);

    let said = process.ended();
    let printed = said.printed();
    let search = lines_of(&printed, "fhir-observation-search");
    let refused = [("RefusedByToken", 1), ("RefusedByOrganization", 1), ("ObservationsRead", shown)];
    assert_eq!(search.len(), 3);
    assert!(search.iter().all(|line| line["Stage"] == "a-test" && line["Latency"].as_u64() > Some(0)), "{search:?}");
    assert!(search.iter().any(|line| line["PoolWait"].is_u64()), "{search:?}");
    let mut expected = BTreeMap::from(refused);
    // The first request of a process is a search here.
    expected.insert("ColdStarts", 1);
    assert_eq!(sums(&search), expected);
    for (function, expected) in [
        ("fhir-observation-read", &[("ObservationsRead", 1)][..]),
        ("fhir-observation-create", &[("ObservationsWritten", 1)]),
        ("accounts-login", &[("FailedSignIns", 1)]),
        ("jhe-settings", &[("RefusedByUserType", 1)]),
        ("oauth-rotate-keys", &[("Completed", 1)]),
    ] {
        assert_eq!(sums(&lines_of(&printed, function)), expected.iter().copied().collect(), "{function}");
    }
    let sealing = lines_of(&printed, "audit-seal");
    let [sealed] = &sealing[..] else { panic!("{printed:?}") };
    assert!(sealed["SealLag"].is_u64() && sealed["Completed"] == 1, "{sealed}");
}

#[tokio::test]
async fn without_a_name_of_the_deployment_nothing_is_written() {
    let mut world = World::new().await;
    let process = Process::serve(&mut world, &[]);
    world.get("viewer_victor", "/FHIR/R5/Observation?patient=40001").await;
    assert_eq!(process.ended().printed(), Vec::<&str>::new());
}

/// The metrics of ours that the stacks name, and the alarms there.
fn watched() -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut metrics, mut alarms) = (BTreeSet::new(), BTreeSet::new());
    each_file("infra/monitoring", &[".yaml"], &mut |_, text| {
        let (_, resources) = text.split_once("\nResources:\n").expect("resources");
        for resource in resources.split("\n\n") {
            let id =
                resource.lines().find(|line| line.starts_with("  ") && line.ends_with(':') && !line.starts_with("   "));
            if resource.contains("Type: AWS::CloudWatch::Alarm") {
                alarms.insert(id.expect("a name").trim().trim_end_matches(':').to_owned());
            }
            if resource.contains(&format!("Namespace: {NAMESPACE}")) {
                let named = resource.split("MetricName: ").skip(1).map(|rest| rest.split([',', '\n']).next());
                metrics.extend(named.flatten().map(str::to_owned));
            }
            let before = format!("\"{NAMESPACE}\", \"");
            let shown = resource.split(&before).skip(1).map(|rest| rest.split('"').next());
            metrics.extend(shown.flatten().map(str::to_owned));
        }
    });
    (metrics, alarms)
}

#[test]
fn alarms_and_dashboards_look_at_metrics_that_are_written_and_at_each_of_them() {
    let written: BTreeSet<String> = Metric::ALL.iter().map(|metric| metric.name().to_owned()).collect();
    assert_eq!(watched().0, written);
}

#[test]
fn every_metric_and_every_alarm_is_explained() {
    let page = text("docs/monitoring.md");
    let (metrics, alarms) = watched();
    assert!(alarms.len() > 15, "{alarms:?}");
    for name in metrics.iter().chain(&alarms) {
        assert!(page.contains(&format!("| `{name}` |")), "docs/monitoring.md does not explain {name}");
    }
    assert!(names("infra/monitoring").len() >= 3);
}
