//! The decisions in a body.

use authz::{Actor, Principal};
use runtime::{Failure, rest::Fields};
use std::collections::BTreeSet;
use store::{ConsentChange, ConsentDecision, DecidedBy};

/// The decisions, and where in the body each is.
#[derive(Debug)]
pub struct Decisions {
    /// The decisions.
    pub changes: Vec<ConsentChange>,
    places: Vec<String>,
}

/// The most decisions of one request.
const MAX: usize = 1_000;

impl Decisions {
    /// A problem with the decision at this position.
    #[must_use]
    pub fn problem(&self, position: usize, problem: &str) -> Failure {
        let place = self.places.get(position).map_or("studyScopeConsents", String::as_str);
        Failure::field(place, problem)
    }
}

/// Who decides: a patient themself; a practitioner must say on what authorization.
pub fn decided_by(fields: &Fields, actor: &Actor) -> Result<DecidedBy, Failure> {
    const REFERENCE: &str = "authorizationReference";
    match actor.principal {
        Principal::Patient(_) => match fields.optional_text(REFERENCE, 200)? {
            None => Ok(DecidedBy::Patient),
            Some(_) => Err(Failure::field(REFERENCE, "It is only for decisions on behalf of a patient.")),
        },
        Principal::Practitioner(_) | Principal::SuperAdmin => Ok(DecidedBy::OnBehalf(fields.text(REFERENCE, 200)?)),
    }
}

/// The decisions of a body. `withdraw`: whatever was decided is taken back.
pub fn decisions(fields: &Fields, withdraw: bool) -> Result<Decisions, Failure> {
    let mut decisions = Decisions { changes: Vec::new(), places: Vec::new() };
    for (index, item) in fields.array("studyScopeConsents")?.iter().enumerate() {
        let place = format!("studyScopeConsents[{index}]");
        let item = object(&place, item)?;
        let study = item.id("studyId").map_err(|failure| within(&place, failure))?;
        let scopes = item.array("scopeConsents").map_err(|failure| within(&place, failure))?;
        for (index, scope) in scopes.iter().enumerate() {
            let place = format!("{place}.scopeConsents[{index}]");
            let scope = object(&place, scope)?;
            let change = change(study, &scope, withdraw).map_err(|failure| within(&place, failure))?;
            decisions.changes.push(change);
            decisions.places.push(place);
        }
    }
    if decisions.changes.len() > MAX {
        return Err(Failure::field("studyScopeConsents", "Expected at most 1000 decisions."));
    }
    once_each(&decisions)?;
    Ok(decisions)
}

fn change(study: i32, scope: &Fields, withdraw: bool) -> Result<ConsentChange, Failure> {
    let decision = match scope.flag("consented")? {
        _ if withdraw => ConsentDecision::Withdrawn,
        Some(true) => ConsentDecision::Granted,
        Some(false) => ConsentDecision::Refused,
        None => return Err(Failure::field("consented", "This field is required.")),
    };
    let actions = match scope.optional_text("actions", 2)?.as_deref() {
        None | Some("rs") => "rs",
        Some("r") => "r",
        Some("s") => "s",
        Some(_) => return Err(Failure::field("actions", "Use r, s or rs.")),
    };
    Ok(ConsentChange {
        study,
        system: scope.text("codingSystem", 255)?,
        code: scope.text("codingCode", 255)?,
        decision,
        actions: actions.to_owned(),
    })
}

/// Two decisions about the same scope of the same study contradict or repeat each other.
fn once_each(decisions: &Decisions) -> Result<(), Failure> {
    let mut seen = BTreeSet::new();
    for (position, change) in decisions.changes.iter().enumerate() {
        if !seen.insert((change.study, change.system.as_str(), change.code.as_str())) {
            return Err(decisions.problem(position, "This scope of this study is decided twice."));
        }
    }
    Ok(())
}

fn object(place: &str, value: &serde_json::Value) -> Result<Fields, Failure> {
    Fields::of(value).ok_or_else(|| Failure::field(place, "Expected an object."))
}

/// The failure with the place in front of its fields' names.
fn within(place: &str, failure: Failure) -> Failure {
    match failure {
        Failure::Fields(fields) => {
            Failure::Fields(fields.into_iter().map(|(name, problems)| (format!("{place}.{name}"), problems)).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::{
        Completeness,
        shapes::consent::{NEW_DECISIONS, WITHDRAWALS},
    };
    use authz::{ClientId, PatientId, PractitionerId, UserId};
    use serde_json::{Value, json};

    fn fields(body: &Value) -> Fields {
        Fields::of(body).unwrap()
    }

    /// The decisions of a body, as the handler reads them.
    fn read(fields: &Fields, withdraw: bool) -> Result<Decisions, Failure> {
        fields.check(if withdraw { &WITHDRAWALS } else { &NEW_DECISIONS }, Completeness::Whole)?;
        decisions(fields, withdraw)
    }

    fn one(scope: &Value) -> Value {
        json!({"studyScopeConsents": [{"studyId": 30001, "scopeConsents": [scope]}]})
    }

    fn names(result: Result<impl std::fmt::Debug, Failure>) -> String {
        match result {
            Err(Failure::Fields(fields)) => fields.into_keys().collect::<Vec<_>>().join(","),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_body_says_what_is_decided() {
        for (consented, withdraw, decision) in [
            (json!(true), false, ConsentDecision::Granted),
            (json!(false), false, ConsentDecision::Refused),
            (json!(true), true, ConsentDecision::Withdrawn),
            (Value::Null, true, ConsentDecision::Withdrawn),
        ] {
            let body = one(&json!({"codingSystem": "s", "codingCode": "c", "consented": consented}));
            let decisions = read(&fields(&body), withdraw).unwrap();
            let change = decisions.changes.first().unwrap();
            assert_eq!((change.decision, change.study, change.actions.as_str()), (decision, 30001, "rs"));
        }
    }

    #[test]
    fn every_problem_names_its_place() {
        let place = "studyScopeConsents[0].scopeConsents[0]";
        for (scope, field) in [
            (json!({"codingCode": "c", "consented": true}), ".codingSystem"),
            (json!({"codingSystem": "s", "consented": true}), ".codingCode"),
            (json!({"codingSystem": "s", "codingCode": "c"}), ".consented"),
            (json!({"codingSystem": "s", "codingCode": "c", "consented": "yes"}), ".consented"),
            (json!({"codingSystem": "s", "codingCode": "c", "consented": true, "actions": "x"}), ".actions"),
            (json!({"codingSystem": "s", "codingCode": "c", "consented": true, "extra": 1}), ".extra"),
            (json!(5), ""),
        ] {
            assert_eq!(names(read(&fields(&one(&scope)), false)), format!("{place}{field}"));
        }
        for body in [json!({}), json!({"studyScopeConsents": 5}), json!({"studyScopeConsents": []})] {
            assert_eq!(names(read(&fields(&body), false)), "studyScopeConsents");
        }
        let body = json!({"studyScopeConsents": [{"studyId": "x", "scopeConsents": []}]});
        assert_eq!(names(read(&fields(&body), false)), "studyScopeConsents[0].studyId");
    }

    #[test]
    fn a_scope_is_decided_once() {
        let scope = json!({"codingSystem": "s", "codingCode": "c", "consented": true});
        let body = json!({"studyScopeConsents": [
            {"studyId": 1, "scopeConsents": [scope]}, {"studyId": 2, "scopeConsents": [scope]}]});
        assert_eq!(read(&fields(&body), false).unwrap().changes.len(), 2);
        let body = json!({"studyScopeConsents": [
            {"studyId": 1, "scopeConsents": [scope]}, {"studyId": 1, "scopeConsents": [scope]}]});
        assert_eq!(names(read(&fields(&body), false)), "studyScopeConsents[1].scopeConsents[0]");
    }

    #[test]
    fn deciding_for_another_needs_the_authorization() {
        let actor = |principal| Actor { user: UserId(1), client: ClientId(1), principal };
        let patient = actor(Principal::Patient(PatientId(1)));
        let practitioner = actor(Principal::Practitioner(PractitionerId(1)));
        let without = fields(&json!({}));
        let with = fields(&json!({"authorizationReference": "Form 7"}));
        assert!(matches!(decided_by(&without, &patient), Ok(DecidedBy::Patient)));
        assert!(matches!(decided_by(&with, &practitioner), Ok(DecidedBy::OnBehalf(text)) if text == "Form 7"));
        assert_eq!(names(decided_by(&without, &practitioner)), "authorizationReference");
        assert_eq!(names(decided_by(&with, &patient)), "authorizationReference");
        let long = fields(&json!({"authorizationReference": "x".repeat(201)}));
        assert_eq!(names(decided_by(&long, &practitioner)), "authorizationReference");
    }
}
