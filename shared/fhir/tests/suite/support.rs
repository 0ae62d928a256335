use fhir::Rejection;
use fhir::observation::{Attachment, Effective, Said, Submission};
use fhir::search::{Handling, ObservationSearch};
use serde_json::{Value, json};

/// `{"a":1}`
pub const DATA: &str = "eyJhIjoxfQ==";

/// The smallest Observation that is accepted.
pub fn observation() -> Value {
    json!({
        "resourceType": "Observation",
        "status": "final",
        "code": { "coding": [{ "system": "https://w3id.org/openmhealth", "code": "omh:heart-rate:2.0" }] },
        "subject": { "reference": "Patient/40001" },
        "device": { "reference": "Device/70001" },
        "valueAttachment": { "contentType": "application/json", "data": DATA },
    })
}

/// The smallest Observation with the value at a JSON pointer set; null removes it.
pub fn with(pointer: &str, value: Value) -> Value {
    let mut observation = observation();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let members = observation.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        members.remove(key);
    } else {
        members.insert(key.to_owned(), value);
    }
    observation
}

pub fn pairs(query: &[(&str, &str)]) -> Vec<(String, String)> {
    query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Status, issue code and expression.
pub fn facts(rejection: &Rejection) -> (u16, &'static str, &str) {
    (rejection.status(), rejection.code().as_str(), rejection.expression().unwrap_or(""))
}

/// An understood search for Observations.
pub fn search(query: &[(&str, &str)]) -> ObservationSearch {
    ObservationSearch::parse(&pairs(query), Handling::Strict).unwrap()
}

/// The status and the code with which a parameter is refused.
pub fn refused(name: &str, value: &str) -> (u16, &'static str) {
    let rejection =
        ObservationSearch::parse(&pairs(&[(name, value)]), Handling::Lenient).expect_err(&format!("{name}={value}"));
    let (status, code, _) = facts(&rejection);
    (status, code)
}

/// The attachment of a data point.
pub fn attachment(submission: &Submission) -> &Attachment {
    match &submission.said {
        Said::DataPoint(attachment, _) => attachment,
        Said::Elements(_) => panic!("not a data point"),
    }
}

/// The time that a client sent with a data point.
pub fn effective(submission: &Submission) -> Option<Effective> {
    match &submission.said {
        Said::DataPoint(_, effective) => *effective,
        Said::Elements(_) => panic!("not a data point"),
    }
}
