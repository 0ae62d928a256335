use fhir::device::Device;
use fhir::group::Group;
use fhir::organization::Organization;
use fhir::patient::{BusinessIdentifier, Patient, PersonName};
use fhir::practitioner::Practitioner;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::parsed;

fn at() -> Timestamp {
    "2026-11-21T18:53:42.698626Z".parse().unwrap()
}

fn meta() -> Value {
    let version = at().as_microsecond().to_string();
    json!({ "versionId": version, "lastUpdated": "2026-11-21T18:53:42.698626Z", "source": "https://jupyterhealth.org/jhe" })
}

fn model(code: &str) -> Value {
    json!({ "coding": [{ "system": "https://jupyterhealth.org/fhir/CodeSystem/model", "code": code }] })
}

fn name(family: &str, given: &str) -> PersonName {
    PersonName { family: Some(family.to_owned()), given: Some(given.to_owned()) }
}

#[test]
fn a_patient_has_the_shape_of_the_contract() {
    let identifier = BusinessIdentifier { system: Some("urn:oid:1.2.3.4".to_owned()), value: "E1234".to_owned() };
    let patient = Patient {
        id: 40001,
        last_updated: at(),
        identifiers: vec![identifier],
        name: name("Stevens", "LlPatientPeter"),
        birth_date: Some(jiff::civil::date(1982, 1, 13)),
        phone: Some("+1-157-915-3889".to_owned()),
        email: Some("p@example.com".to_owned()),
    };
    let expected = json!({
        "resourceType": "Patient", "id": "40001", "meta": meta(),
        "identifier": [{ "system": "urn:oid:1.2.3.4", "value": "E1234" }],
        "name": [{ "family": "Stevens", "given": ["LlPatientPeter"] }],
        "birthDate": "1982-01-13",
        "telecom": [
            { "system": "phone", "value": "+1-157-915-3889", "use": "mobile" },
            { "system": "email", "value": "p@example.com", "use": "home" },
        ],
    });
    assert_eq!(parsed(&patient.to_json()), expected);
}

#[test]
fn what_is_absent_or_blank_is_left_out() {
    let patient = Patient {
        id: 1,
        last_updated: at(),
        identifiers: vec![BusinessIdentifier { system: None, value: " ".to_owned() }],
        name: name("", " "),
        birth_date: Some(jiff::civil::date(-44, 3, 15)),
        phone: Some(String::new()),
        email: None,
    };
    assert_eq!(parsed(&patient.to_json()), json!({ "resourceType": "Patient", "id": "1", "meta": meta() }));
}

#[test]
fn a_practitioner_has_a_name() {
    let practitioner = Practitioner { id: 80003, last_updated: at(), name: name("Knapp", "Megan \"M\"") };
    let expected = json!({
        "resourceType": "Practitioner", "id": "80003", "meta": meta(),
        "name": [{ "family": "Knapp", "given": ["Megan \"M\""] }],
    });
    assert_eq!(parsed(&practitioner.to_json()), expected);
}

#[test]
fn an_organization_has_a_list_of_types() {
    let organization =
        Organization { id: 20003, last_updated: at(), name: "Lifespan Lab".to_owned(), part_of: Some(20002) };
    let expected = json!({
        "resourceType": "Organization", "id": "20003", "meta": meta(), "name": "Lifespan Lab",
        "type": [model("organization")], "partOf": { "reference": "Organization/20002" },
    });
    assert_eq!(parsed(&organization.to_json()), expected);
}

#[test]
fn a_study_is_a_group_of_persons() {
    let group = Group {
        id: 30002,
        last_updated: at(),
        name: "Study on BP & HR".to_owned(),
        description: None,
        organization: Some(20003),
    };
    let expected = json!({
        "resourceType": "Group", "id": "30002", "meta": meta(), "name": "Study on BP & HR",
        "type": "person", "membership": "enumerated", "code": model("study"),
        "managingEntity": { "reference": "Organization/20003" },
    });
    assert_eq!(parsed(&group.to_json()), expected);
}

#[test]
fn a_device_has_a_list_of_names() {
    let device = Device { id: 70001, last_updated: at(), name: "CareX".to_owned() };
    let expected = json!({
        "resourceType": "Device", "id": "70001", "meta": meta(), "displayName": "CareX",
        "name": [{ "value": "CareX", "type": "user-friendly-name" }], "type": [model("data-source")],
    });
    assert_eq!(parsed(&device.to_json()), expected);
}
