use fhir::observation::Submission;
use fhir::outcome::{Issue, IssueCode, OperationOutcome, Severity};
use serde_json::json;

use crate::support::{parsed, with};

#[test]
fn an_error_is_one_issue() {
    let outcome = OperationOutcome::error(IssueCode::NotFound, "No \"such\" thing");
    let expected = json!({
        "resourceType": "OperationOutcome",
        "issue": [{ "severity": "error", "code": "not-found", "diagnostics": "No \"such\" thing" }],
    });
    assert_eq!(parsed(&outcome.to_json()), expected);
}

#[test]
fn issues_add_up_and_name_elements() {
    let more = Issue::new(Severity::Warning, IssueCode::Informational, "b").at("Observation.code");
    let outcome = OperationOutcome::error(IssueCode::Value, "a").and(more);
    let issues = parsed(&outcome.to_json())["issue"].clone();
    assert_eq!(issues[0]["diagnostics"], "a");
    assert_eq!(
        issues[1],
        json!({
            "severity": "warning", "code": "informational", "diagnostics": "b", "expression": ["Observation.code"],
        })
    );
}

#[test]
fn a_rejection_becomes_an_outcome() {
    let rejection = Submission::parse(&with("/status", json!("bogus"))).unwrap_err();
    let issue = parsed(&rejection.outcome().to_json())["issue"][0].clone();
    assert_eq!(issue["code"], "value");
    assert_eq!(issue["expression"], json!(["Observation.status"]));
    let rule = fhir::Rejection::business_rule("Observation.valueAttachment.data", "breaks the schema");
    assert_eq!(rule.status(), 422);
    assert_eq!(rule.to_string(), "Observation.valueAttachment.data breaks the schema");
}

#[test]
fn codes_are_those_of_the_value_set() {
    let codes = [
        (IssueCode::Invalid, "invalid"),
        (IssueCode::Structure, "structure"),
        (IssueCode::Required, "required"),
        (IssueCode::Value, "value"),
        (IssueCode::Security, "security"),
        (IssueCode::Login, "login"),
        (IssueCode::Forbidden, "forbidden"),
        (IssueCode::NotFound, "not-found"),
        (IssueCode::NotSupported, "not-supported"),
        (IssueCode::Duplicate, "duplicate"),
        (IssueCode::Conflict, "conflict"),
        (IssueCode::TooCostly, "too-costly"),
        (IssueCode::Throttled, "throttled"),
        (IssueCode::Transient, "transient"),
        (IssueCode::Exception, "exception"),
        (IssueCode::Processing, "processing"),
        (IssueCode::Informational, "informational"),
        (IssueCode::BusinessRule, "business-rule"),
    ];
    for (code, text) in codes {
        assert_eq!(code.as_str(), text);
    }
}
