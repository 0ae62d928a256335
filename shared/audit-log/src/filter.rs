//! Which events: the filters of the lists.

use api::{Kind, Parameter, parameter};
use runtime::{Failure, rest::List};
use store::{AuditFilter, LoggedBy, LoggedOutcome};

const ACTIONS: [&str; 6] = ["read", "search", "create", "update", "delete", "execute"];

/// The filters.
pub const FILTERS: [Parameter; 8] = [
    parameter("actor", Kind::Integer, "Only what this account did."),
    parameter("patient", Kind::Integer, "Only what is of this patient."),
    parameter("study", Kind::Integer, "Only what is of this study."),
    parameter("action", Kind::OneOf(&ACTIONS), "Only this."),
    parameter("outcome", Kind::OneOf(&["allowed", "denied", "failed"]), "Only what ended so."),
    parameter("privileged", Kind::Boolean, "Only what super admins did, or only what others did."),
    parameter("from", Kind::Instant, "Not before this instant."),
    parameter("to", Kind::Instant, "Before this instant."),
];

/// Of what is not of one organization.
pub const ORGANIZATION: [Parameter; 1] =
    [parameter("organization", Kind::Integer, "Only what is of this organization.")];

/// What a list's parameters ask for.
pub fn filter(list: &List) -> Result<AuditFilter, Failure> {
    let outcome = list.one_of("outcome", &["allowed", "denied", "failed"])?;
    Ok(AuditFilter {
        ids: Vec::new(),
        by: list.id("actor")?.map(LoggedBy::User),
        patients: list.id("patient")?.into_iter().collect(),
        study: list.id("study")?,
        organization: list.id("organization")?,
        actions: list.one_of("action", &ACTIONS)?.map(str::to_owned).into_iter().collect(),
        outcome: outcome.map(|outcome| match outcome {
            "allowed" => LoggedOutcome::Allowed,
            "denied" => LoggedOutcome::Denied,
            _ => LoggedOutcome::Failed,
        }),
        privileged: list.flag("privileged")?,
        from: list.instant("from")?,
        to: list.instant("to")?,
    })
}
