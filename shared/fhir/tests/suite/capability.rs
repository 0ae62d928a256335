use fhir::auxiliary::TYPES;
use fhir::capability::statement;
use fhir::search::{
    AuditEventSearch, AuxiliarySearch, Directory, DirectorySearch, Handling, ObservationSearch, PatientSearch,
};
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
        "AuditEvent" => AuditEventSearch::parse(&query, Handling::Strict).is_ok(),
        "Device" => directory(Directory::Device),
        "Organization" => directory(Directory::Organization),
        "Practitioner" => directory(Directory::Practitioner),
        kept if TYPES.contains(&kept) => AuxiliarySearch::parse(&query, Handling::Strict).is_ok(),
        _ => false,
    }
}

#[test]
fn every_parameter_it_lists_is_accepted() {
    let mut listed = 0;
    for resource in resources() {
        let resource_type = resource["type"].as_str().unwrap();
        for parameter in resource["searchParam"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap();
            let value = match (name, parameter["type"].as_str().unwrap()) {
                ("action", _) => "R",
                ("agent", _) => "Practitioner/1",
                ("outcome", _) => "0",
                ("status", _) => "final",
                (_, "date") => "2025",
                ("_id", _) if TYPES.contains(&resource_type) => "94b6b4a8-d8a9-40e6-bb53-6bc4c441dc47",
                _ => "1",
            };
            assert!(accepts(resource_type, name, value), "{resource_type} {name}");
            listed += 1;
        }
    }
    assert_eq!(listed, 36 + 4 * TYPES.len());
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
    let mut expected =
        ["AuditEvent", "Consent", "Device", "Group", "Observation", "Organization", "Patient", "Practitioner"].to_vec();
    expected.extend(TYPES);
    expected.sort_unstable();
    assert_eq!(types, expected);
    for resource in resources() {
        let operation = &resource["operation"][0];
        assert_eq!(operation["name"] == "everything", resource["type"] == "Patient");
        let creates = resource["interaction"].to_string().contains("create");
        let kept = resource["type"].as_str().is_some_and(|name| TYPES.contains(&name));
        assert_eq!(creates, kept || resource["type"] == "Observation");
    }
}
