//! The response to decisions.

use authz::PatientId;
use jiff::Timestamp;
use serde::Serialize;
use store::{ConsentOutcome, DecidedBy, Scope};

/// The decisions as they are in the ledger.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decided<'a> {
    study_scope_consents: Vec<Row<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    id: i64,
    study_patient: StudyPatient,
    scope_code: &'a Scope,
    decision: &'static str,
    consented: Option<bool>,
    consented_time: Timestamp,
    actions: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_reference: Option<&'a str>,
}

#[derive(Serialize)]
struct StudyPatient {
    /// The enrolment; null when it has ended.
    id: Option<i32>,
    study: i32,
    patient: PatientId,
}

impl<'a> Decided<'a> {
    /// The response for what was appended.
    #[must_use]
    pub fn new(patient: PatientId, decided_by: &'a DecidedBy, outcomes: &'a [ConsentOutcome]) -> Self {
        let authorization_reference = match decided_by {
            DecidedBy::Patient => None,
            DecidedBy::OnBehalf(reference) => Some(reference.as_str()),
        };
        let study_scope_consents = outcomes
            .iter()
            .map(|outcome| Row {
                id: outcome.id,
                study_patient: StudyPatient { id: outcome.enrolment, study: outcome.study, patient },
                scope_code: &outcome.scope,
                decision: outcome.decision.name(),
                consented: outcome.decision.consented(),
                consented_time: outcome.decided_at,
                actions: &outcome.actions,
                authorization_reference,
            })
            .collect();
        Self { study_scope_consents }
    }
}
