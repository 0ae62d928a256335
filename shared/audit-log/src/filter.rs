//! Which events: the filters of the lists.

use crate::entry::{ACTIONS, OUTCOMES};
use api::{Kind, Parameter, parameter};
use runtime::{Failure, rest::List};
use store::{AuditFilter, LoggedBy, LoggedOutcome};

/// The filters.
pub const FILTERS: [Parameter; 8] = [
    parameter("actor", Kind::Integer, "Only what this account did."),
    parameter("patient", Kind::Integer, "Only what is of this patient."),
    parameter("study", Kind::Integer, "Only what is of this study."),
    parameter("action", Kind::OneOf(&ACTIONS), "Only this."),
    parameter("outcome", Kind::OneOf(&OUTCOMES), "Only what ended so."),
    parameter("privileged", Kind::Boolean, "Only what super admins did, or only what others did."),
    parameter("from", Kind::Instant, "Not before this instant."),
    parameter("to", Kind::Instant, "Before this instant."),
];

/// Of what is not of one organization, for super admins.
pub const EVERYTHING: [Parameter; 4] = [
    parameter("organization", Kind::Integer, "Only what is of this organization."),
    parameter("subject", Kind::Integer, "Only attempts to open this account."),
    parameter("source_address", Kind::AnyText, "Only what came from this address."),
    parameter("finding", Kind::Integer, "Only what this finding of the security monitor was found by."),
];

/// What a list's parameters ask for.
pub fn filter(list: &List) -> Result<AuditFilter, Failure> {
    let outcome = list.one_of("outcome", &OUTCOMES)?;
    Ok(AuditFilter {
        ids: Vec::new(),
        by: list.id("actor")?.map(LoggedBy::User),
        by_others_than: None,
        patients: list.id("patient")?.into_iter().collect(),
        study: list.id("study")?,
        organization: list.id("organization")?,
        subject: list.id("subject")?,
        address: list.text("source_address").map(str::to_owned),
        finding: list.id("finding")?,
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
