//! The state of a patient's consents, in the shape of `/api/v1`.

use jiff::Timestamp;
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
    /// The response for a state.
    #[must_use]
    pub fn new(state: &'a ConsentState) -> Self {
        let studies = &state.studies;
        Self {
            patient: &state.patient,
            consolidated_consented_scopes: consolidated(studies),
            studies_pending_consent: with_scopes(studies, false)
                .map(|(study, pending_scope_consents)| Pending { study, pending_scope_consents })
                .collect(),
            studies: with_scopes(studies, true)
                .map(|(study, scope_consents)| Decided { study, scope_consents })
                .collect(),
        }
    }
}

fn consolidated(studies: &[StudyConsents]) -> Vec<&Scope> {
    let mut scopes: Vec<&Scope> = studies
        .iter()
        .filter(|study| study.enrolled)
        .flat_map(|study| &study.scopes)
        .filter(|state| state.decision == Some(ConsentDecision::Granted))
        .map(|state| &state.scope)
        .collect();
    scopes.sort_unstable_by_key(|scope| scope.id);
    scopes.dedup_by_key(|scope| scope.id);
    scopes
}

/// The studies that have scopes which are decided, or which are not, with those scopes.
fn with_scopes(studies: &[StudyConsents], decided: bool) -> impl Iterator<Item = (Study<'_>, Vec<ScopeConsent<'_>>)> {
    studies.iter().filter_map(move |study| {
        let scopes: Vec<_> =
            study.scopes.iter().map(ScopeConsent::from).filter(|scope| scope.consented.is_some() == decided).collect();
        (!scopes.is_empty()).then(|| (Study::from(study), scopes))
    })
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
        let ids = |decided| -> Vec<(i32, Vec<i32>)> {
            with_scopes(&studies, decided)
                .map(|(study, scopes)| (study.id, scopes.iter().map(|scope| scope.code.id).collect()))
                .collect()
        };
        assert_eq!(ids(true), [(1, vec![5]), (2, vec![5, 4])]);
        assert_eq!(ids(false), [(1, vec![6, 7]), (3, vec![6])]);
        assert_eq!(consolidated(&studies).iter().map(|scope| scope.id).collect::<Vec<_>>(), [5]);
        let ended = [StudyConsents { enrolled: false, ..study(5, vec![scope(5, Some(Granted))]) }];
        assert!(consolidated(&ended).is_empty(), "a study that the patient left may have nothing");
        assert_eq!(with_scopes(&ended, true).count(), 1, "and the grant can be seen");
    }

    #[test]
    fn the_shapes_are_those_of_existing_apps() {
        let studies = [study(1, vec![scope(5, Some(ConsentDecision::Granted)), scope(6, None)])];
        let (shown, scopes) = with_scopes(&studies, true).next().unwrap();
        assert_eq!(
            serde_json::to_value(Decided { study: shown, scope_consents: scopes }).unwrap(),
            json!({"id": 1, "name": "n", "description": "d", "dataSources": [],
                "organization": {"id": 20003, "name": "Lifespan Lab", "type": "laboratory"},
                "scopeConsents": [{"code": {"id": 5, "codingSystem": "s", "codingCode": "5", "text": "t"},
                    "consented": true, "consentedTime": "2026-11-21T18:53:43.098276Z", "actions": "rs"}]})
        );
        let (_, scopes) = with_scopes(&studies, false).next().unwrap();
        assert_eq!(
            serde_json::to_value(&scopes).unwrap(),
            json!([{"code": {"id": 6, "codingSystem": "s", "codingCode": "6", "text": "t"},
                "consented": null, "consentedTime": null}])
        );
    }
}
