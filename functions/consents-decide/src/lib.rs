//! `POST`, `PATCH` and `DELETE /api/v1/patients/{id}/consents`: decide about scopes of studies, or take decisions back.
//! Each is appended to the ledger; either all of a request are, or none.
//!
//! A patient decides for themself. A practitioner decides on behalf of a patient of their own studies, and says on what
//! authorization.

mod body;
mod input;

use audit::{Action, Context, RefusedBy, Target};
use authz::{Actor, Layer, PatientId, Permission, Principal, Refusal, Role};
use http::{Method, StatusCode};
use input::Decisions;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json, no_content, rest::Fields};
use store::{ConsentDecision, ConsentFacts, DecidedBy};

/// The function.
pub const FUNCTION: Function =
    Function::new("consents-decide", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)));

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let patient: PatientId = request.id_variable("id")?;
    let (action, status) = match *request.method() {
        Method::DELETE => (Action::Delete, StatusCode::NO_CONTENT),
        Method::PATCH => (Action::Update, StatusCode::OK),
        _ => (Action::Create, StatusCode::CREATED),
    };
    let context = context(request, &actor, action, patient);
    let input = Fields::parse(request).and_then(|fields| {
        Ok((input::decided_by(&fields, &actor)?, input::decisions(&fields, action == Action::Delete)?))
    });
    let role = app.store().await?.role_over_patient(actor.practitioner(), patient).await?;
    if let Err(refusal) = may_decide(&actor, patient, role) {
        let studies = input.iter().flat_map(|(_, decisions)| &decisions.changes).map(|change| change.study);
        let target = Target::patient(patient).and_studies(studies);
        return Err(request.refuse(app, &context, &target, refusal).await);
    }
    let (decided_by, decisions) = input?;
    let outcomes = decide(app, &context, &actor, patient, &decided_by, &decisions).await?;
    if status == StatusCode::NO_CONTENT {
        return Ok(no_content());
    }
    Ok(json(status, &body::Decided::new(patient, &decided_by, &outcomes))?)
}

/// What the audit is told: a practitioner decides on behalf of the patient.
fn context(request: &Request, actor: &Actor, action: Action, patient: PatientId) -> Context {
    let context = request.audit(Some(actor), action, "Consent");
    match actor.principal {
        Principal::Practitioner(_) => context.on_behalf_of(patient),
        Principal::Patient(_) | Principal::SuperAdmin => context,
    }
}

/// What can be decided without the study: a patient is nobody else, a super admin decides nothing, and a practitioner has
/// the role in an organization of the patient. Which one counts, the study says.
fn may_decide(actor: &Actor, patient: PatientId, role: Option<Role>) -> Result<(), Refusal> {
    match actor.principal {
        Principal::Patient(own) if own == patient => Ok(()),
        Principal::Patient(_) => Err(Refusal::concealed(Layer::UserType)),
        Principal::Practitioner(_) | Principal::SuperAdmin => {
            authz::permit(actor, Permission::DecideOnBehalf, role).map(|_| ())
        }
    }
}

async fn decide(
    app: &App,
    context: &Context,
    actor: &Actor,
    patient: PatientId,
    decided_by: &DecidedBy,
    decisions: &Decisions,
) -> Result<Vec<store::ConsentOutcome>, Failure> {
    app.store()
        .await?
        .decide_consents(context, actor, patient, decided_by, &decisions.changes, |decision, facts| {
            judge(actor, decision, facts)
        })
        .await?
        .map_err(|(position, reason)| refused(decisions, position, reason))
}

/// A practitioner needs the role in the study's organization; everybody needs the enrolment and the study's request. A grant
/// that stands can always be taken back: consent is as easy to withdraw as to give.
fn judge(actor: &Actor, decision: ConsentDecision, facts: &ConsentFacts) -> Result<(), RefusedBy> {
    if let Principal::Practitioner(_) = actor.principal {
        authz::permit(actor, Permission::DecideOnBehalf, facts.role)
            .map_err(|refusal| RefusedBy::Layer(refusal.layer))?;
    }
    if facts.granted && decision != ConsentDecision::Granted {
        Ok(())
    } else if facts.enrolment.is_none() {
        Err(RefusedBy::Layer(Layer::Enrolment))
    } else if facts.scope.is_none() || !facts.requested {
        Err(RefusedBy::Invalid)
    } else {
        Ok(())
    }
}

/// The answer to a decision that was refused. Who may not know the study is told that there is none.
fn refused(decisions: &Decisions, position: usize, reason: RefusedBy) -> Failure {
    match reason {
        RefusedBy::Layer(Layer::Enrolment) => decisions.problem(position, "The patient is not enrolled in this study."),
        RefusedBy::Layer(Layer::Organization) => Failure::Refused(Refusal::concealed(Layer::Organization)),
        RefusedBy::Layer(layer) => Failure::Refused(Refusal::known(layer)),
        RefusedBy::Invalid | RefusedBy::NotFound => {
            decisions.problem(position, "The study does not ask for this scope.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use authz::{ClientId, PractitionerId, UserId};
    use store::Scope;

    fn actor(principal: Principal) -> Actor {
        Actor { user: UserId(1), client: ClientId(1), principal }
    }

    fn facts(role: Option<Role>, enrolled: bool, known: bool, requested: bool) -> ConsentFacts {
        let scope = Scope { id: 1, coding_system: String::new(), coding_code: String::new(), text: String::new() };
        ConsentFacts {
            enrolment: enrolled.then_some(1),
            scope: known.then_some(scope),
            requested,
            granted: false,
            role,
        }
    }

    #[test]
    fn only_the_patient_and_members_of_the_patients_organizations_may_try() {
        let patient = PatientId(40001);
        let practitioner = actor(Principal::Practitioner(PractitionerId(1)));
        for (role, expected) in [
            (None, Err(Refusal::concealed(Layer::Organization))),
            (Some(Role::Viewer), Err(Refusal::known(Layer::Role))),
            (Some(Role::Member), Ok(())),
            (Some(Role::Manager), Ok(())),
        ] {
            assert_eq!(may_decide(&practitioner, patient, role), expected, "{role:?}");
            assert_eq!(may_decide(&actor(Principal::Patient(patient)), patient, role), Ok(()));
            let other = actor(Principal::Patient(PatientId(40002)));
            assert_eq!(may_decide(&other, patient, role), Err(Refusal::concealed(Layer::UserType)));
            let super_admin = actor(Principal::SuperAdmin);
            assert_eq!(may_decide(&super_admin, patient, role), Err(Refusal::known(Layer::UserType)));
        }
    }

    #[test]
    fn every_fact_is_needed() {
        use ConsentDecision::Granted;
        let practitioner = actor(Principal::Practitioner(PractitionerId(1)));
        let patient = actor(Principal::Patient(PatientId(1)));
        for (who, role) in [(&practitioner, Some(Role::Member)), (&practitioner, Some(Role::Manager)), (&patient, None)]
        {
            assert_eq!(judge(who, Granted, &facts(role, true, true, true)), Ok(()));
            assert_eq!(judge(who, Granted, &facts(role, false, true, true)), Err(RefusedBy::Layer(Layer::Enrolment)));
            assert_eq!(judge(who, Granted, &facts(role, true, false, false)), Err(RefusedBy::Invalid));
            assert_eq!(judge(who, Granted, &facts(role, true, true, false)), Err(RefusedBy::Invalid));
        }
        for enrolled in [false, true] {
            let viewer = facts(Some(Role::Viewer), enrolled, true, true);
            assert_eq!(judge(&practitioner, Granted, &viewer), Err(RefusedBy::Layer(Layer::Role)));
            let outsider = facts(None, enrolled, true, true);
            assert_eq!(judge(&practitioner, Granted, &outsider), Err(RefusedBy::Layer(Layer::Organization)));
        }
    }
    #[test]
    fn a_grant_that_stands_can_be_taken_back_and_only_that() {
        use ConsentDecision::{Granted, Refused, Withdrawn};
        let practitioner = actor(Principal::Practitioner(PractitionerId(1)));
        let patient = actor(Principal::Patient(PatientId(1)));
        for (who, role) in [(&practitioner, Some(Role::Member)), (&patient, None)] {
            for requested in [false, true] {
                let left = ConsentFacts { granted: true, ..facts(role, false, true, requested) };
                assert_eq!(judge(who, Refused, &left), Ok(()));
                assert_eq!(judge(who, Withdrawn, &left), Ok(()));
                assert_eq!(judge(who, Granted, &left), Err(RefusedBy::Layer(Layer::Enrolment)));
                let nothing = facts(role, false, true, requested);
                assert_eq!(judge(who, Refused, &nothing), Err(RefusedBy::Layer(Layer::Enrolment)));
            }
        }
        let viewer = ConsentFacts { granted: true, ..facts(Some(Role::Viewer), false, true, true) };
        assert_eq!(judge(&practitioner, Withdrawn, &viewer), Err(RefusedBy::Layer(Layer::Role)));
    }
}
