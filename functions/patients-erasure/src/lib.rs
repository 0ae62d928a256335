//! `GET` and `POST /api/v1/patients/me/erasure`: what an erasure does, and to ask for one's own. Who asks has to send back what the first
//! said, so that nobody is erased by one request too many.
//! `POST /api/v1/patients/{id}/erasure`: to ask for it on behalf of a patient, whose request is documented.
//!
//! What is accepted takes effect at once: the account is closed, and nobody but super admins finds the patient. The data is deleted by `erasure`, within the
//! hour; where a legal hold covers the patient, when that ends. Who asks is told so.

mod reference;

use api::{Completeness, Content, Kind, Operation, Shape, required};
use audit::{Action, RefusedBy, Target};
use authz::{Actor, Layer, PatientId, Permission};
use fhir::cursor::Position;
use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json, rest::Fields};
use serde::Serialize;
use store::{Erasure, ErasureRequest};

/// The function.
pub const FUNCTION: Function =
    Function::new("patients-erasure", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

/// How long what was said can be sent back.
const VALID: SignedDuration = SignedDuration::from_mins(10);

/// Why a reference is not taken.
const SAYS_WHO: &str = "It outlives the patient, so it must not say who they were: give the number of a letter or of a file, without a name, an \
                        address, a telephone number or an identifier of the patient.";

/// What is erased, in words for the patient.
const ERASED: [&str; 5] = [
    "Your observations and other health data, here and in every backup: they are encrypted with a key of your own, and the key is destroyed.",
    "Your name, birth date, e-mail address, phone number and identifiers.",
    "Your account: you can no longer sign in, and every app loses its access.",
    "Your place in organizations and studies, and invitations to you.",
    "What the log of changes has of your name and address.",
];

/// What stays, and why.
const KEPT: [&str; 5] = [
    "What you consented to and when, by number and without your name: the proof that data was used lawfully.",
    "Which organizations you were with, and until when, by number and without your name: so that they find what their log has.",
    "The log of who saw or changed what, by number and without your name, for as long as the law asks for.",
    "A note that you were erased, when and on whose request, without your name: so that a backup that is restored forgets you again.",
    "Your name and address, and when you measured what kind of thing, in backups that exist already: until those end. What researchers have copied is theirs to erase: ask them.",
];

/// What the patient is told while a legal hold covers them.
const HELD: &str = "The law keeps your data for now: it is needed for a legal claim or duty (GDPR, Article 17(3)(b) and (e)). Your request is \
                    accepted: your account is closed, and your data is shown to nobody who uses it for research or care. It is erased when \
                    the hold ends; you do not have to ask again. If you disagree, you can complain to your data protection authority, \
                    or go to court.";

/// What the patient is told before asking.
const WOULD_BE_HELD: &str = "The law keeps your data for now: it is needed for a legal claim or duty (GDPR, Article 17(3)(b) and (e)). You can ask \
                             all the same: your account is closed then, and your data is shown to nobody who uses it for research or care. It is \
                             erased when the hold ends. If you disagree, you can complain to your data protection authority, or go to court.";

/// What who asks on behalf of a patient is told then.
const PATIENT_HELD: &str = "A legal hold covers the patient, so the data is kept for now (GDPR, Article 17(3)(b) and (e)). The request is \
                            accepted: the account is closed, and nobody but super admins finds the patient. It is carried out when the hold ends. \
                            Tell the patient that they can complain to their data protection authority, or go to court.";

const EXPLAINED: Shape = Shape {
    name: "ErasureExplained",
    fields: &[
        required("erased", Kind::List(&Kind::AnyText, 10)).about("What is gone afterwards."),
        required("kept", Kind::List(&Kind::AnyText, 10)).about("What stays, and why."),
        required("held", Kind::OrNull(&Kind::AnyText))
            .about("Why the data is kept for now, when a legal hold covers the patient."),
        required("confirmation", Kind::AnyText).about("To be sent back within ten minutes."),
    ],
};

const CONFIRMED: Shape =
    Shape { name: "ErasureConfirmed", fields: &[required("confirmation", Kind::Text(64)).about("What `GET` said.")] };

const ON_BEHALF: Shape = Shape {
    name: "ErasureOnBehalf",
    fields: &[required("authorizationReference", Kind::Text(200))
        .about("Where the patient's request is documented: the number of a letter or of a file. It outlives the patient: one that has their name, e-mail address, telephone number or an identifier of theirs is refused.")],
};

const ACCEPTED: Shape = Shape {
    name: "Erasure",
    fields: &[
        required("id", Kind::AnyText),
        required("patientId", Kind::Integer),
        required("requestedAt", Kind::Instant),
        required("held", Kind::OrNull(&Kind::AnyText))
            .about("Why it waits, when a legal hold covers the patient. It is carried out when that ends."),
        required("erasedAt", Kind::OrNull(&Kind::Instant)).about("Null until it was carried out, within the hour."),
    ],
};

const OPERATIONS: [Operation; 3] = [
    Operation::new("GET /api/v1/patients/me/erasure", "What an erasure does, and what confirms it", "Patients.")
        .answers(&[(200, Content::Object(&EXPLAINED))]),
    Operation::new("POST /api/v1/patients/me/erasure", "Be erased. It cannot be undone", "Patients.")
        .takes(&CONFIRMED)
        .answers(&[(202, Content::Object(&ACCEPTED))]),
    Operation::new(
        "POST /api/v1/patients/{id}/erasure",
        "Erase a patient who asked for it. It cannot be undone",
        "Managers of every organization of the patient; super admins.",
    )
    .takes(&ON_BEHALF)
    .answers(&[(202, Content::Object(&ACCEPTED))]),
];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    match (request.variable("id"), request.method()) {
        (Some(_), _) => on_behalf(app, request, &actor).await,
        (None, &Method::GET) => explain(app, request, &actor).await,
        (None, _) => own(app, request, &actor).await,
    }
}

/// What is signed for the confirmation: it is of one patient, and of nothing else.
fn subject(actor: &Actor, patient: PatientId) -> String {
    format!("erasure of patient {} by account {}", patient.0, actor.user.0)
}

async fn explain(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    #[derive(Serialize)]
    struct Explained {
        erased: [&'static str; ERASED.len()],
        kept: [&'static str; KEPT.len()],
        held: Option<&'static str>,
        confirmation: String,
    }
    let patient = patient(app, request, actor, Action::Read).await?;
    let until = Position { at: app.now().checked_add(VALID).unwrap_or(app.now()).as_microsecond(), id: 0 };
    let confirmation = app.cursor_key().await?.seal(&subject(actor, patient), &until);
    let held = app.store().await?.is_held(patient).await?.then_some(WOULD_BE_HELD);
    Ok(json(StatusCode::OK, &Explained { erased: ERASED, kept: KEPT, held, confirmation })?)
}

/// The patient who asks. Others are refused, on record.
async fn patient(app: &App, request: &Request, actor: &Actor, action: Action) -> Result<PatientId, Failure> {
    match actor.patient() {
        Ok(own) => Ok(own),
        Err(refusal) => {
            let context = request.audit(Some(actor), action, "Patient");
            Err(request.refuse(app, &context, &Target::nothing(), refusal).await)
        }
    }
}

async fn own(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let patient = patient(app, request, actor, Action::Execute).await?;
    let fields = Fields::parse(request)?;
    fields.check(&CONFIRMED, Completeness::Whole)?;
    let said = fields.text("confirmation", 64)?;
    let until = app.cursor_key().await?.open(&subject(actor, patient), &said).ok();
    if until.is_none_or(|until| until.at < app.now().as_microsecond()) {
        return Err(Failure::field("confirmation", "Read anew what an erasure does, and send back what confirms it."));
    }
    accept(app, request, actor, patient, None).await
}

async fn on_behalf(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let patient: PatientId = request.id_variable("id")?;
    let context = request.audit(Some(actor), Action::Execute, "Patient");
    let role = app.store().await?.role_over_patient(actor.practitioner(), patient).await?;
    request.permit(app, &context, &Target::patient(patient), actor, Permission::Erase, role).await?;
    let fields = Fields::parse(request)?;
    fields.check(&ON_BEHALF, Completeness::Whole)?;
    let reference = fields.text("authorizationReference", 200)?;
    let words = app.store().await?.words_of_patient(patient).await?;
    if words.is_some_and(|words| reference::says_who(&reference, &words)) {
        return Err(Failure::field("authorizationReference", SAYS_WHO));
    }
    accept(app, request, actor, patient, Some(&reference)).await
}

async fn accept(
    app: &App,
    request: &Request,
    actor: &Actor,
    patient: PatientId,
    reference: Option<&str>,
) -> Result<Response, Failure> {
    let store = app.store().await?;
    let context = request.audit(Some(actor), Action::Execute, "Patient");
    match store.request_erasure(&context, patient, reference).await? {
        ErasureRequest::Accepted(erasure) => {
            Ok(json(StatusCode::ACCEPTED, &Accepted::new(&erasure, reference.map_or(HELD, |_| PATIENT_HELD)))?)
        }
        ErasureRequest::Elsewhere => {
            store.record_refusal(&context, &Target::patient(patient), RefusedBy::Layer(Layer::Role)).await?;
            Err(Failure::Forbidden("The patient is of an organization that you do not manage. Ask a super admin."))
        }
        ErasureRequest::Missing => {
            store.record_refusal(&context, &Target::patient(patient), RefusedBy::NotFound).await?;
            Err(Failure::NotFound)
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Accepted<'a> {
    id: &'a str,
    patient_id: i32,
    requested_at: Timestamp,
    held: Option<&'static str>,
    erased_at: Option<Timestamp>,
}

impl<'a> Accepted<'a> {
    fn new(erasure: &'a Erasure, why_held: &'static str) -> Self {
        Self {
            id: &erasure.id,
            patient_id: erasure.patient,
            requested_at: erasure.requested_at,
            held: erasure.held.then_some(why_held),
            erased_at: erasure.erased_at,
        }
    }
}
