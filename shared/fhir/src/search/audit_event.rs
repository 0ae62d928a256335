//! Search parameters of `AuditEvent` (<https://hl7.org/fhir/R5/auditevent.html#search>).

use crate::Rejection;
use crate::primitive::relative;
use crate::search::query::{Pairs, Query, id_list, long_id_list};
use crate::search::{DateBounds, Handling, Page, Parameter};

pub(crate) const PARAMETERS: &[Parameter] = &[
    Parameter::new("action", "token"),
    Parameter::new("agent", "reference"),
    Parameter::new("date", "date"),
    Parameter::new("outcome", "token"),
    Parameter::new("patient", "reference"),
];

/// The codes of `AuditEvent.action`, and what the audit calls them.
const ACTIONS: [(&str, &[&str]); 5] =
    [("C", &["create"]), ("R", &["read"]), ("U", &["update"]), ("D", &["delete"]), ("E", &["search", "execute"])];

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agent {
    /// A practitioner.
    Practitioner(i32),
    /// A patient.
    Patient(i32),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditOutcome {
    /// Code 0.
    Success,
    /// Code 4.
    Failure,
}

/// A search for events. Empty lists and absent values do not filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditEventSearch {
    /// `patient`: of any of these.
    pub patients: Vec<i32>,
    /// `agent`.
    pub agent: Option<Agent>,
    /// `date`: when.
    pub date: DateBounds,
    /// `action`: what the audit calls it.
    pub actions: &'static [&'static str],
    /// `outcome`.
    pub outcome: Option<AuditOutcome>,
    /// `_id`: any of these.
    pub ids: Vec<i64>,
    /// `_sort`, where it asks for the order that there is.
    pub is_sorted: bool,
    /// What every search takes.
    pub page: Page,
}

impl AuditEventSearch {
    /// Reads the parameters.
    pub fn parse(pairs: &[(String, String)], handling: Handling) -> Result<Self, Rejection> {
        let mut search = Self::default();
        search.page = Query::read(pairs, handling, PARAMETERS, |query, name, value| search.take(query, name, value))?;
        Ok(search)
    }

    fn take(&mut self, query: &mut Query, name: &str, value: &str) -> Result<(), Rejection> {
        match name {
            "patient" | "patient:Patient" => {
                query.once("patient")?;
                self.patients = id_list(name, value, "Patient")?;
            }
            "agent" | "agent:Practitioner" | "agent:Patient" => {
                query.once("agent")?;
                self.agent = Some(agent(name, value)?);
            }
            "date" => self.date.add(name, value)?,
            "action" => {
                query.once("action")?;
                let code = value.strip_prefix("http://hl7.org/fhir/audit-event-action|").unwrap_or(value);
                let found = ACTIONS.iter().find(|(known, _)| *known == code);
                self.actions = found.ok_or_else(|| Rejection::parameter("action", "must be C, R, U, D or E"))?.1;
            }
            "outcome" => {
                query.once("outcome")?;
                let system = "http://terminology.hl7.org/CodeSystem/audit-event-outcome|";
                self.outcome = Some(match value.strip_prefix(system).unwrap_or(value) {
                    "0" => AuditOutcome::Success,
                    "4" => AuditOutcome::Failure,
                    _ => return Err(Rejection::parameter("outcome", "must be 0 or 4")),
                });
            }
            "_id" => {
                query.once("_id")?;
                self.ids = long_id_list("_id", value)?;
            }
            // The order that there is. Another one is not supported: the strict are refused, and the lenient are told by the link to the
            // search itself, as of every filter that is not.
            "_sort" if value == "-date" => {
                query.once("_sort")?;
                self.is_sorted = true;
            }
            _ => query.other(name, value)?,
        }
        Ok(())
    }

    /// The search as it was understood: names and values, sorted, without the cursor.
    #[must_use]
    pub fn canonical_pairs(&self) -> Vec<(String, String)> {
        let mut pairs = Pairs::default();
        pairs.list("patient", &self.patients);
        if let Some(agent) = self.agent {
            pairs.add(
                "agent",
                match agent {
                    Agent::Practitioner(id) => format!("Practitioner/{id}"),
                    Agent::Patient(id) => format!("Patient/{id}"),
                },
            );
        }
        pairs.repeat("date", self.date.asked());
        let action = ACTIONS.iter().find(|(_, names)| *names == self.actions);
        pairs.optional("action", action.map(|(code, _)| code));
        pairs.optional(
            "outcome",
            self.outcome.map(|outcome| if outcome == AuditOutcome::Success { "0" } else { "4" }).as_ref(),
        );
        pairs.list("_id", &self.ids);
        pairs.optional("_sort", self.is_sorted.then_some("-date").as_ref());
        pairs.finish(&self.page)
    }
}

/// A reference with its type, in the value or as a modifier: a bare id could be of either.
fn agent(name: &str, value: &str) -> Result<Agent, Rejection> {
    let typed = name.strip_prefix("agent:");
    let of = |kind: &str| {
        relative(value, kind).or_else(|| typed.filter(|typed| *typed == kind).and_then(|_| value.parse().ok()))
    };
    of("Practitioner")
        .map(Agent::Practitioner)
        .or_else(|| of("Patient").map(Agent::Patient))
        .ok_or_else(|| Rejection::parameter("agent", "must be Practitioner/ or Patient/ and an id"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(pairs: &[(&str, &str)]) -> Result<AuditEventSearch, Rejection> {
        let pairs: Vec<(String, String)> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        AuditEventSearch::parse(&pairs, Handling::Strict)
    }

    #[test]
    fn what_is_asked_is_understood_and_said_again() {
        let pairs = [
            ("_id", "3,4"),
            ("action", "E"),
            ("agent", "Practitioner/80001"),
            ("date", "ge2026-01-01"),
            ("date", "lt2026-02-01"),
            ("outcome", "4"),
            ("patient", "40001,40002"),
        ];
        let found = search(&pairs).unwrap();
        assert_eq!(
            (found.patients.as_slice(), found.agent),
            ([40001, 40002].as_slice(), Some(Agent::Practitioner(80001)))
        );
        assert_eq!((found.actions, found.outcome), (["search", "execute"].as_slice(), Some(AuditOutcome::Failure)));
        let said = found.canonical_pairs();
        let said: Vec<(&str, &str)> = said.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(said, pairs);
        assert_eq!(search(&[("agent:Patient", "40001")]).unwrap().agent, Some(Agent::Patient(40001)));
        assert_eq!(search(&[]).unwrap().canonical_pairs(), []);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (name, value) in [
            ("agent", "80001"),
            ("agent", "Organization/20001"),
            ("agent:Organization", "20001"),
            ("action", "X"),
            ("outcome", "8"),
            ("patient", "x"),
            ("_id", "x"),
            ("date", "yesterday"),
            ("entity", "Patient/40001"),
        ] {
            assert!(search(&[(name, value)]).is_err(), "{name}={value}");
        }
        assert!(search(&[("patient", "1"), ("patient", "2")]).is_err());
    }

    #[test]
    fn what_is_not_supported_is_refused_of_the_strict_and_passed_over_for_the_lenient() {
        let lenient = |name: &str, value: &str| {
            AuditEventSearch::parse(&[(name.to_owned(), value.to_owned())], Handling::Lenient)
        };
        for (name, value) in
            [("entity", "Patient/40001"), ("policy", "urn:x"), ("_sort", "date"), ("_sort", "-date,_id")]
        {
            assert!(search(&[(name, value)]).is_err(), "{name}={value}");
            assert_eq!(lenient(name, value).unwrap().canonical_pairs(), [], "{name}={value}");
        }
        let sorted = search(&[("_sort", "-date")]).unwrap().canonical_pairs();
        assert_eq!(sorted, [("_sort".to_owned(), "-date".to_owned())]);
        assert!(lenient("_sort:x", "-date").is_err(), "a modifier may turn the meaning round");
    }
}
