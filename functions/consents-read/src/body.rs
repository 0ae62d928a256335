//! The state of a patient's consents, in the shape of `/api/v1`.

use authz::study::{Plan, StudyStatus};
use jiff::{Timestamp, civil::Date};
use serde::Serialize;
use store::{ConsentDecision, ConsentState, DataSource, Patient, Scope, ScopeState, StudyConsents};

/// The response.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Consents<'a> {
    patient: &'a Patient,
    /// Every scope that at least one study may have.
    consolidated_consented_scopes: Vec<&'a Scope>,
    studies_pending_consent: Vec<Pending<'a>>,
    studies: Vec<Decided<'a>>,
}

/// A study with scopes that nothing is decided about.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pending<'a> {
    #[serde(flatten)]
    study: Study<'a>,
    pending_scope_consents: Vec<ScopeConsent<'a>>,
}

/// A study with scopes that are granted or refused.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Decided<'a> {
    #[serde(flatten)]
    study: Study<'a>,
    scope_consents: Vec<ScopeConsent<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Study<'a> {
    id: i32,
    name: &'a str,
    description: &'a str,
    organization: Organization<'a>,
    data_sources: &'a [DataSource],
    status: StudyStatus,
    starts_on: Option<Date>,
    ends_on: Option<Date>,
    access_until: Option<Timestamp>,
    researchers_have_access: bool,
}

#[derive(Serialize)]
struct Organization<'a> {
    id: i32,
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ScopeConsent<'a> {
    code: &'a Scope,
    consented: Option<bool>,
    consented_time: Option<Timestamp>,
    /// What is granted: `r` read by id, `s` search.
    #[serde(skip_serializing_if = "Option::is_none")]
    actions: Option<&'a str>,
}

impl<'a> Consents<'a> {
    /// The response for a state: of the present, or of the past, in which no study had ended.
    #[must_use]
    pub fn new(state: &'a ConsentState, moment: Moment) -> Self {
        let studies = &state.studies;
        Self {
            patient: &state.patient,
            consolidated_consented_scopes: consolidated(studies, moment),
            studies_pending_consent: pending(studies, moment)
                .map(|(study, pending_scope_consents)| Pending { study, pending_scope_consents })
                .collect(),
            studies: decided(studies, moment)
                .map(|(study, scope_consents)| Decided { study, scope_consents })
                .collect(),
        }
    }
}

/// When the state is of. A study has one life, and the past of the ledger does not tell where in it the study was.
#[derive(Clone, Copy, Debug)]
pub enum Moment {
    /// Now.
    Now(Timestamp),
    /// An instant that was asked for.
    Past,
}

impl Moment {
    /// Whether patients can consent to the study.
    fn is_open(self, study: &StudyConsents) -> bool {
        let plan = Plan { status: study.status, starts_on: study.starts_on, ends_on: study.ends_on };
        match self {
            Self::Now(now) => plan.is_open(now),
            Self::Past => true,
        }
    }

    /// Whether the study gives its researchers access.
    const fn gives_access(self, study: &StudyConsents) -> bool {
        matches!(self, Self::Past) || study.gives_access
    }
}

fn consolidated(studies: &[StudyConsents], moment: Moment) -> Vec<&Scope> {
    let mut scopes: Vec<&Scope> = studies
        .iter()
        .filter(|study| study.enrolled && moment.gives_access(study))
        .flat_map(|study| &study.scopes)
        .filter(|state| state.decision == Some(ConsentDecision::Granted))
        .map(|state| &state.scope)
        .collect();
    scopes.sort_unstable_by_key(|scope| scope.id);
    scopes.dedup_by_key(|scope| scope.id);
    scopes
}

/// The studies that wait for a decision, with the scopes of which nothing is decided. One that has ended waits for none.
fn pending(studies: &[StudyConsents], moment: Moment) -> impl Iterator<Item = (Study<'_>, Vec<ScopeConsent<'_>>)> {
    studies
        .iter()
        .filter(move |study| moment.is_open(study))
        .map(|study| (Study::from(study), scopes(study, false)))
        .filter(|(_, scopes)| !scopes.is_empty())
}

/// The studies of which something is decided, with those scopes, and those that have ended, with none if need be.
fn decided(studies: &[StudyConsents], moment: Moment) -> impl Iterator<Item = (Study<'_>, Vec<ScopeConsent<'_>>)> {
    studies.iter().filter_map(move |study| {
        let scopes = scopes(study, true);
        (!scopes.is_empty() || !moment.is_open(study)).then(|| (Study::from(study), scopes))
    })
}

/// The scopes of a study that are decided, or that are not.
fn scopes(study: &StudyConsents, decided: bool) -> Vec<ScopeConsent<'_>> {
    study.scopes.iter().map(ScopeConsent::from).filter(|scope| scope.consented.is_some() == decided).collect()
}

impl<'a> From<&'a StudyConsents> for Study<'a> {
    fn from(study: &'a StudyConsents) -> Self {
        Self {
            id: study.id,
            name: &study.name,
            description: &study.description,
            organization: Organization {
                id: study.organization_id,
                name: &study.organization_name,
                kind: &study.organization_type,
            },
            data_sources: &study.data_sources,
            status: study.status,
            starts_on: study.starts_on,
            ends_on: study.ends_on,
            access_until: study.access_until,
            researchers_have_access: study.gives_access,
        }
    }
}

impl<'a> From<&'a ScopeState> for ScopeConsent<'a> {
    /// A decision that was withdrawn counts as none.
    fn from(state: &'a ScopeState) -> Self {
        let consented = state.decision.and_then(ConsentDecision::consented);
        Self {
            code: &state.scope,
            consented,
            consented_time: state.decided_at.filter(|_| consented.is_some()),
            actions: state.actions.as_deref().filter(|_| consented == Some(true)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn now() -> Moment {
        Moment::Now("2026-11-22T10:00:00Z".parse().unwrap())
    }

    fn ids<'a>(studies: impl Iterator<Item = (Study<'a>, Vec<ScopeConsent<'a>>)>) -> Vec<(i32, Vec<i32>)> {
        studies.map(|(study, scopes)| (study.id, scopes.iter().map(|scope| scope.code.id).collect())).collect()
    }

    fn scope(id: i32, decision: Option<ConsentDecision>) -> ScopeState {
        ScopeState {
            scope: Scope { id, coding_system: "s".into(), coding_code: id.to_string(), text: "t".into() },
            decision,
            actions: decision.map(|_| "rs".to_owned()),
            decided_at: decision.map(|_| "2026-11-21T18:53:43.098276Z".parse().unwrap()),
        }
    }

    fn study(id: i32, scopes: Vec<ScopeState>) -> StudyConsents {
        StudyConsents {
            id,
            name: "n".into(),
            description: "d".into(),
            organization_id: 20003,
            organization_name: "Lifespan Lab".into(),
            organization_type: "laboratory".into(),
            data_sources: Vec::new(),
            enrolled: true,
            status: StudyStatus::Active,
            starts_on: None,
            ends_on: None,
            access_until: None,
            gives_access: true,
            scopes,
        }
    }

    #[test]
    fn each_scope_is_in_exactly_one_list_and_a_study_can_be_in_both() {
        use ConsentDecision::{Granted, Refused, Withdrawn};
        let studies = vec![
            study(1, vec![scope(5, Some(Granted)), scope(6, None), scope(7, Some(Withdrawn))]),
            study(2, vec![scope(5, Some(Granted)), scope(4, Some(Refused))]),
            study(3, vec![scope(6, None)]),
            study(4, vec![]),
        ];
        assert_eq!(ids(decided(&studies, now())), [(1, vec![5]), (2, vec![5, 4])]);
        assert_eq!(ids(pending(&studies, now())), [(1, vec![6, 7]), (3, vec![6])]);
        assert_eq!(consolidated(&studies, now()).iter().map(|scope| scope.id).collect::<Vec<_>>(), [5]);
        let left = [StudyConsents { enrolled: false, ..study(5, vec![scope(5, Some(Granted))]) }];
        assert!(consolidated(&left, now()).is_empty(), "a study that the patient left may have nothing");
        assert_eq!(decided(&left, now()).count(), 1, "and the grant can be seen");
    }

    #[test]
    fn a_study_that_has_ended_waits_for_nothing_and_is_still_shown() {
        use ConsentDecision::Granted;
        let ended = |gives_access| {
            [
                StudyConsents {
                    status: StudyStatus::Completed,
                    gives_access,
                    ..study(1, vec![scope(5, Some(Granted)), scope(6, None)])
                },
                StudyConsents { ends_on: "2026-11-21".parse().ok(), gives_access, ..study(2, vec![scope(6, None)]) },
            ]
        };
        for gives_access in [true, false] {
            let studies = ended(gives_access);
            assert_eq!(pending(&studies, now()).count(), 0);
            assert_eq!(ids(decided(&studies, now())), [(1, vec![5]), (2, vec![])]);
            assert_eq!(consolidated(&studies, now()).len(), usize::from(gives_access), "while researchers have access");
            assert_eq!(ids(pending(&studies, Moment::Past)), [(1, vec![6]), (2, vec![6])], "the past is as it was");
            assert_eq!(consolidated(&studies, Moment::Past).len(), 1);
        }
    }

    #[test]
    fn the_shapes_are_those_of_existing_apps() {
        let studies = [study(1, vec![scope(5, Some(ConsentDecision::Granted)), scope(6, None)])];
        let (shown, scopes) = decided(&studies, now()).next().unwrap();
        assert_eq!(
            serde_json::to_value(Decided { study: shown, scope_consents: scopes }).unwrap(),
            json!({"id": 1, "name": "n", "description": "d", "dataSources": [],
                "status": "active", "startsOn": null, "endsOn": null, "accessUntil": null, "researchersHaveAccess": true,
                "organization": {"id": 20003, "name": "Lifespan Lab", "type": "laboratory"},
                "scopeConsents": [{"code": {"id": 5, "codingSystem": "s", "codingCode": "5", "text": "t"},
                    "consented": true, "consentedTime": "2026-11-21T18:53:43.098276Z", "actions": "rs"}]})
        );
        let (_, scopes) = pending(&studies, now()).next().unwrap();
        assert_eq!(
            serde_json::to_value(&scopes).unwrap(),
            json!([{"code": {"id": 6, "codingSystem": "s", "codingCode": "6", "text": "t"},
                "consented": null, "consentedTime": null}])
        );
    }
}
