//! `POST`, `PATCH` and `DELETE /api/v1/patients/{id}/consents`: decide about scopes of studies, or take decisions back.
//! Each is appended to the ledger; either all of a request are, or none.
//!
//! A patient decides for themself. A practitioner decides on behalf of a patient of their own studies, and says on what
//! authorization.

mod body;
mod input;

use audit::{Action, Context, RefusedBy};
use authz::{Actor, Layer, PatientId, Permission, Principal, Refusal};
use http::{Method, StatusCode};
use input::Decisions;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json, no_content, rest::Fields};
use store::{ConsentFacts, DecidedBy};

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
    let context = request.audit(Some(&actor), action, "Consent");
    if let Err(refusal) = may_decide(&actor, patient) {
        return Err(request.refuse(app, &context, refusal).await);
    }
    let fields = Fields::parse(request)?;
    let decided_by = input::decided_by(&fields, &actor)?;
    let decisions = input::decisions(&fields, action == Action::Delete)?;
    let outcomes = decide(app, context, &actor, patient, &decided_by, &decisions).await?;
    if status == StatusCode::NO_CONTENT {
        return Ok(no_content());
    }
    Ok(json(status, &body::Decided::new(patient, &decided_by, &outcomes))?)
}

/// What can be decided without the study: a patient is nobody else, a super admin decides nothing.
fn may_decide(actor: &Actor, patient: PatientId) -> Result<(), Refusal> {
    match actor.principal {
        Principal::Patient(own) if own == patient => Ok(()),
        Principal::Patient(_) => Err(Refusal::concealed(Layer::UserType)),
        Principal::Practitioner(_) => Ok(()),
        Principal::SuperAdmin => authz::permit(actor, Permission::DecideOnBehalf, None).map(|_| ()),
    }
}

async fn decide(
    app: &App,
    context: Context,
    actor: &Actor,
    patient: PatientId,
    decided_by: &DecidedBy,
    decisions: &Decisions,
) -> Result<Vec<store::ConsentOutcome>, Failure> {
    let context = match decided_by {
        DecidedBy::Patient => context,
        DecidedBy::OnBehalf(_) => context.on_behalf_of(patient),
    };
    app.store()
        .await?
        .decide_consents(&context, actor, patient, decided_by, &decisions.changes, |facts| judge(actor, facts))
        .await?
        .map_err(|(position, reason)| refused(decisions, position, reason))
}

/// A practitioner needs the role in the study's organization; everybody needs the enrolment and the study's request.
fn judge(actor: &Actor, facts: &ConsentFacts) -> Result<(), RefusedBy> {
    if let Principal::Practitioner(_) = actor.principal {
        authz::permit(actor, Permission::DecideOnBehalf, facts.role)
            .map_err(|refusal| RefusedBy::Layer(refusal.layer))?;
    }
    if facts.enrolment.is_none() {
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
    use authz::{ClientId, PractitionerId, Role, UserId};
    use store::Scope;

    fn actor(principal: Principal) -> Actor {
        Actor { user: UserId(1), client: ClientId(1), principal }
    }

    fn facts(role: Option<Role>, enrolled: bool, known: bool, requested: bool) -> ConsentFacts {
        let scope = Scope { id: 1, coding_system: String::new(), coding_code: String::new(), text: String::new() };
        ConsentFacts { enrolment: enrolled.then_some(1), scope: known.then_some(scope), requested, role }
    }

    #[test]
    fn only_the_patient_and_practitioners_may_try() {
        let patient = PatientId(40001);
        assert!(may_decide(&actor(Principal::Patient(patient)), patient).is_ok());
        assert!(may_decide(&actor(Principal::Practitioner(PractitionerId(1))), patient).is_ok());
        assert_eq!(
            may_decide(&actor(Principal::Patient(PatientId(40002))), patient),
            Err(Refusal::concealed(Layer::UserType))
        );
        assert_eq!(may_decide(&actor(Principal::SuperAdmin), patient), Err(Refusal::known(Layer::UserType)));
    }

    #[test]
    fn every_fact_is_needed() {
        let practitioner = actor(Principal::Practitioner(PractitionerId(1)));
        let patient = actor(Principal::Patient(PatientId(1)));
        for (who, role) in [(&practitioner, Some(Role::Member)), (&practitioner, Some(Role::Manager)), (&patient, None)]
        {
            assert_eq!(judge(who, &facts(role, true, true, true)), Ok(()));
            assert_eq!(judge(who, &facts(role, false, true, true)), Err(RefusedBy::Layer(Layer::Enrolment)));
            assert_eq!(judge(who, &facts(role, true, false, false)), Err(RefusedBy::Invalid));
            assert_eq!(judge(who, &facts(role, true, true, false)), Err(RefusedBy::Invalid));
        }
        for enrolled in [false, true] {
            let viewer = facts(Some(Role::Viewer), enrolled, true, true);
            assert_eq!(judge(&practitioner, &viewer), Err(RefusedBy::Layer(Layer::Role)));
            let outsider = facts(None, enrolled, true, true);
            assert_eq!(judge(&practitioner, &outsider), Err(RefusedBy::Layer(Layer::Organization)));
        }
    }
}
