//! Decisions of the ledger as FHIR resources.

use store::{ConsentDecision, ConsentRecord};

/// A decision as a resource, to be written.
#[must_use]
pub fn resource(record: &ConsentRecord) -> fhir::consent::Consent<'_> {
    fhir::consent::Consent {
        id: record.id,
        patient: record.patient,
        decided_at: record.decided_at,
        study: record.study,
        study_name: &record.study_name,
        organization: record.organization,
        system: &record.system,
        code: &record.code,
        text: &record.text,
        permits: record.decision == ConsentDecision::Granted,
        actions: [('r', "read"), ('s', "search-type")]
            .into_iter()
            .filter(|(letter, _)| record.actions.contains(*letter))
            .map(|(_, code)| code)
            .collect(),
        on_behalf: record.authorization_reference.as_deref().map(|reference| (record.decided_by, reference)),
        in_force: record.in_force,
    }
}
