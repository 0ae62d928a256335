//! An event as a FHIR `AuditEvent`.

use authz::Principal;
use fhir::audit_event::{Actor, AuditEvent};
use store::{AuditScope, LoggedEvent};

/// The events that somebody may see as FHIR resources: their own, those of the organizations that they manage, or all.
#[must_use]
pub fn scope(actor: &authz::Actor) -> AuditScope {
    match actor.principal {
        Principal::Patient(patient) => AuditScope::Own(patient),
        Principal::Practitioner(practitioner) => AuditScope::Managed(practitioner),
        Principal::SuperAdmin => AuditScope::Everything,
    }
}

/// The resource of an event, as JSON. `site` is the exchange's own URL.
#[must_use]
pub fn resource(event: &LoggedEvent, site: &str) -> String {
    let actor = event.actor.as_ref().map(|actor| Actor {
        user: actor.user,
        name: actor.shown(),
        resource: match (actor.practitioner, actor.patient) {
            (Some(practitioner), _) => Some(("Practitioner", practitioner)),
            (None, Some(patient)) => Some(("Patient", patient)),
            (None, None) => None,
        },
    });
    AuditEvent {
        id: event.id,
        occurred_at: event.occurred_at,
        action: &event.action,
        resource_type: &event.resource_type,
        outcome: &event.outcome,
        refused_by: event.refused_by.as_deref(),
        actor,
        actor_type: &event.actor_type,
        role: event.role.as_deref(),
        client: event.client.as_ref().map(|client| (client.id, client.name.as_str())),
        address: event.source_address.as_deref(),
        reason: event.reason.as_deref(),
        request_id: &event.request_id,
        on_behalf_of: event.on_behalf_of,
        patients: &event.patient_ids,
        observations: &event.observation_ids,
        studies: event.studies.iter().map(|study| study.id).collect(),
        organizations: event.organizations.iter().map(|organization| organization.id).collect(),
        site,
    }
    .to_json()
}
