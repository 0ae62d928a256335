//! `POST`, `PATCH` and `DELETE /api/v1/patients/{id}/consents`: decide about scopes of studies, or take decisions back.
//! Each is appended to the ledger; either all of a request are, or none.
//!
//! A patient decides for themself. A practitioner decides on behalf of a patient of their own studies, and says on what
//! authorization.

mod body;
mod input;

use api::{
    Completeness, Content, Operation,
    shapes::consent::{DECISIONS, NEW_DECISIONS, WITHDRAWALS},
};
use audit::{Action, Context, RefusedBy, Target};
use authz::{Actor, Layer, PatientId, Permission, Principal, Refusal, Role};
use http::{Method, StatusCode};
use input::Decisions;
use jiff::Timestamp;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json, no_content, rest::Fields};
use store::{ConsentDecision, ConsentFacts, DecidedBy};

/// The function.
pub const FUNCTION: Function =
    Function::new("consents-decide", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const WHO: &str = "The patient. Members and managers of the study's organization on behalf of the patient, with a reference to \
                   the patient's authorization.";

const OPERATIONS: [Operation; 3] = [
    Operation::new("POST /api/v1/patients/{id}/consents", "Decide about scopes of studies: all or none", WHO)
        .conditional()
        .takes(&NEW_DECISIONS)
        .answers(&[(201, Content::Object(&DECISIONS))]),
    Operation::new("PATCH /api/v1/patients/{id}/consents", "Decide anew about scopes of studies: all or none", WHO)
        .conditional()
        .takes(&NEW_DECISIONS)
        .answers(&[(200, Content::Object(&DECISIONS))]),
    Operation::new("DELETE /api/v1/patients/{id}/consents", "Take decisions back: all or none", WHO)
        .conditional()
        .takes(&WITHDRAWALS)
        .answers(&[(204, Content::Nothing)]),
];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let patient: PatientId = request.id_variable("id")?;
    let (action, status) = match *request.method() {
        Method::DELETE => (Action::Delete, StatusCode::NO_CONTENT),
        Method::PATCH => (Action::Update, StatusCode::OK),
        _ => (Action::Create, StatusCode::CREATED),
    };
    let context = context(request, &actor, action, patient);
    let withdraws = action == Action::Delete;
    let input = Fields::parse(request).and_then(|fields| {
        fields.check(if withdraws { &WITHDRAWALS } else { &NEW_DECISIONS }, Completeness::Whole)?;
        Ok((input::decided_by(&fields, &actor)?, input::decisions(&fields, withdraws)?))
    });
    let role = app.store().await?.role_over_patient(actor.practitioner(), patient).await?;
    if let Err(refusal) = may_decide(&actor, patient, role) {
        let studies = input.iter().flat_map(|(_, decisions)| &decisions.changes).map(|change| change.study);
        let target = Target::patient(patient).and_studies(studies);
        return Err(request.refuse(app, &context, &target, refusal).await);
    }
    let (decided_by, decisions) = input?;
    // Decisions are added to the ledger, and replace nothing.
    request.has_no_version()?;
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
            judge(actor, decision, facts, app.now())
        })
        .await?
        .map_err(|(position, objection)| refused(decisions, position, objection))
}

/// Why a decision is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Objection {
    /// By a layer.
    Layer(Layer),
    /// The study does not ask for the scope.
    NotRequested,
    /// The study takes no consents: it has ended, or has not begun.
    NotOpen,
}

impl From<Objection> for RefusedBy {
    fn from(objection: Objection) -> Self {
        match objection {
            Objection::Layer(layer) => Self::Layer(layer),
            Objection::NotRequested | Objection::NotOpen => Self::Invalid,
        }
    }
}

/// A practitioner needs the role in the study's organization; everybody needs the enrolment and the study's request, and for
/// a grant a study that is running. A grant that stands can always be taken back: consent is as easy to withdraw as to give.
fn judge(actor: &Actor, decision: ConsentDecision, facts: &ConsentFacts, now: Timestamp) -> Result<(), Objection> {
    if let Principal::Practitioner(_) = actor.principal {
        authz::permit(actor, Permission::DecideOnBehalf, facts.role)
            .map_err(|refusal| Objection::Layer(refusal.layer))?;
    }
    if facts.granted && decision != ConsentDecision::Granted {
        Ok(())
    } else if facts.enrolment.is_none() {
        Err(Objection::Layer(Layer::Enrolment))
    } else if facts.scope.is_none() || !facts.requested {
        Err(Objection::NotRequested)
    } else if decision == ConsentDecision::Granted && !facts.study.is_some_and(|plan| plan.is_open(now)) {
        Err(Objection::NotOpen)
    } else {
        Ok(())
    }
}

/// The answer to a decision that was refused. Who may not know the study is told that there is none.
fn refused(decisions: &Decisions, position: usize, objection: Objection) -> Failure {
    match objection {
        Objection::Layer(Layer::Enrolment) => decisions.problem(position, "The patient is not enrolled in this study."),
        Objection::Layer(Layer::Organization) => Failure::Refused(Refusal::concealed(Layer::Organization)),
        Objection::Layer(layer) => Failure::Refused(Refusal::known(layer)),
        Objection::NotRequested => decisions.problem(position, "The study does not ask for this scope."),
        Objection::NotOpen => decisions.problem(position, "The study is not running: nothing can be consented to."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use authz::{
        ClientId, PractitionerId, UserId,
        study::{Plan, StudyStatus},
    };
    use store::Scope;

    fn actor(principal: Principal) -> Actor {
        Actor { user: UserId(1), client: ClientId(1), principal }
    }

    fn judged(who: &Actor, decision: ConsentDecision, facts: &ConsentFacts) -> Result<(), Objection> {
        judge(who, decision, facts, "2026-11-22T10:00:00Z".parse().unwrap())
    }

    fn facts(role: Option<Role>, enrolled: bool, known: bool, requested: bool) -> ConsentFacts {
        let scope = Scope { id: 1, coding_system: String::new(), coding_code: String::new(), text: String::new() };
        ConsentFacts {
            study: Some(Plan { status: StudyStatus::Active, starts_on: None, ends_on: None }),
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
            assert_eq!(judged(who, Granted, &facts(role, true, true, true)), Ok(()));
            assert_eq!(judged(who, Granted, &facts(role, false, true, true)), Err(Objection::Layer(Layer::Enrolment)));
            assert_eq!(judged(who, Granted, &facts(role, true, false, false)), Err(Objection::NotRequested));
            assert_eq!(judged(who, Granted, &facts(role, true, true, false)), Err(Objection::NotRequested));
        }
        for enrolled in [false, true] {
            let viewer = facts(Some(Role::Viewer), enrolled, true, true);
            assert_eq!(judged(&practitioner, Granted, &viewer), Err(Objection::Layer(Layer::Role)));
            let outsider = facts(None, enrolled, true, true);
            assert_eq!(judged(&practitioner, Granted, &outsider), Err(Objection::Layer(Layer::Organization)));
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
                assert_eq!(judged(who, Refused, &left), Ok(()));
                assert_eq!(judged(who, Withdrawn, &left), Ok(()));
                assert_eq!(judged(who, Granted, &left), Err(Objection::Layer(Layer::Enrolment)));
                let nothing = facts(role, false, true, requested);
                assert_eq!(judged(who, Refused, &nothing), Err(Objection::Layer(Layer::Enrolment)));
            }
        }
        let viewer = ConsentFacts { granted: true, ..facts(Some(Role::Viewer), false, true, true) };
        assert_eq!(judged(&practitioner, Withdrawn, &viewer), Err(Objection::Layer(Layer::Role)));
    }

    #[test]
    fn nothing_is_granted_to_a_study_that_is_not_running() {
        use ConsentDecision::{Granted, Refused, Withdrawn};
        let patient = actor(Principal::Patient(PatientId(1)));
        for (status, ends_on, open) in [
            (StudyStatus::Draft, None, false),
            (StudyStatus::Active, None, true),
            (StudyStatus::Active, Some("2026-11-22"), true),
            (StudyStatus::Active, Some("2026-11-21"), false),
            (StudyStatus::Completed, None, false),
            (StudyStatus::Archived, None, false),
        ] {
            let study = Some(Plan { status, starts_on: None, ends_on: ends_on.map(|day| day.parse().unwrap()) });
            for granted in [false, true] {
                let facts = ConsentFacts { study, granted, ..facts(None, true, true, true) };
                let expected = if open { Ok(()) } else { Err(Objection::NotOpen) };
                assert_eq!(judged(&patient, Granted, &facts), expected, "{status:?} {ends_on:?}");
                assert_eq!(judged(&patient, Refused, &facts), Ok(()), "{status:?} {ends_on:?}");
                assert_eq!(judged(&patient, Withdrawn, &facts), Ok(()), "{status:?} {ends_on:?}");
            }
        }
        let unknown = ConsentFacts { study: None, ..facts(None, true, true, true) };
        assert_eq!(judged(&patient, Granted, &unknown), Err(Objection::NotOpen));
    }
}
