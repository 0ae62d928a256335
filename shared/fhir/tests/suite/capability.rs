use fhir::capability::statement;
use fhir::search::{Directory, DirectorySearch, Handling, ObservationSearch, PatientSearch};
use serde_json::Value;

use crate::support::{pairs, parsed};

fn resources() -> Vec<Value> {
    let statement = parsed(&statement("https://h.example/FHIR/R5", "0.1.0", "2026-11-21"));
    statement["rest"][0]["resource"].as_array().unwrap().clone()
}

fn accepts(resource_type: &str, name: &str, value: &str) -> bool {
    let query = pairs(&[(name, value)]);
    let directory = |directory| DirectorySearch::parse(directory, &query, Handling::Strict).is_ok();
    match resource_type {
        "Observation" => ObservationSearch::parse(&query, Handling::Strict).is_ok(),
        "Patient" => PatientSearch::parse(&query, Handling::Strict).is_ok(),
        "Group" => directory(Directory::Group),
        "Device" => directory(Directory::Device),
        "Organization" => directory(Directory::Organization),
        "Practitioner" => directory(Directory::Practitioner),
        _ => false,
    }
}

#[test]
fn every_parameter_it_lists_is_accepted() {
    let mut listed = 0;
    for resource in resources() {
        let resource_type = resource["type"].as_str().unwrap();
        for parameter in resource["searchParam"].as_array().unwrap() {
            let name = parameter["name"].as_str().unwrap();
            let value = match (name, parameter["type"].as_str().unwrap()) {
                ("status", _) => "final",
                (_, "date") => "2025",
                _ => "1",
            };
            assert!(accepts(resource_type, name, value), "{resource_type} {name}");
            listed += 1;
        }
    }
    assert_eq!(listed, 29);
}

#[test]
fn it_says_what_we_serve() {
    let statement = parsed(&statement("https://h.example/FHIR/R5", "0.1.0", "2026-11-21"));
    assert_eq!(statement["fhirVersion"], "5.0.0");
    assert_eq!(statement["software"]["version"], "0.1.0");
    assert_eq!(statement["date"], "2026-11-21");
    assert_eq!(statement["implementation"]["url"], "https://h.example/FHIR/R5");
    let text = statement.to_string();
    assert!(text.contains("https://h.example/o/authorize/") && text.contains("https://h.example/o/token/"));
    let types: Vec<Value> = resources().iter().map(|resource| resource["type"].clone()).collect();
    assert_eq!(types, ["Device", "Group", "Observation", "Organization", "Patient", "Practitioner"]);
    for resource in resources() {
        let creates = resource["interaction"].to_string().contains("create");
        assert_eq!(creates, resource["type"] == "Observation");
    }
}
