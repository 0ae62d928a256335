//! `GET /api/v1/patients/me/package`: what the exchange has about the patient who asks, as one readable package (GDPR Articles 15 and 20).

mod index;
mod names;
mod volume;

use api::{Content, Operation, Parameter, parameter};
use audit::{Action, Context, Target};
use audit_log::OwnEntry;
use authz::{PatientId, Role, UserId};
use http::{HeaderValue, header};
use index::About;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, everything, rest::List};
use store::{AuditFilter, AuditScope, AuditSlice};
use volume::{Pieces, Volume};

/// The function.
pub const FUNCTION: Function =
    Function::new("patients-package", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

/// The media type of a package.
const MEDIA: &str = "application/zip";

/// How many events of "who looked" are in a package, of others than the patient. The access log has all.
const LOOKED: i64 = 1_000;

const OPERATIONS: [Operation; 1] = [Operation::new(
    "GET /api/v1/patients/me/package",
    "All data of the patient who asks, in a zip file: a page to read, FHIR JSON, tables, and who looked. Of more than 16 MiB, the header Link has the next file",
    "Patients.",
)
.with(&[&PLACE])
.answers(&[(200, Content::Media(MEDIA))])];

const PLACE: [Parameter; 2] = [
    parameter("page", api::Kind::Integer, "The number of the file, as the header Link has it."),
    parameter("cursor", api::Kind::AnyText, "Where the file begins, as the header Link has it."),
];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let context = request.audit(Some(&actor), Action::Read, "Patient");
    let patient = match actor.patient() {
        Ok(patient) => patient,
        Err(refusal) => return Err(request.refuse(app, &context, &Target::nothing(), refusal).await),
    };
    let list = List::parse(app, request, actor.user).await?;
    list.only(&[])?;
    // There is no way to a file but the link of the one before it.
    if list.number > 1 && list.position.is_none() {
        return Err(Failure::NoSuchPage);
    }
    let after = list.position.map(everything::place).transpose()?;
    let pieces = Pieces::gather(app.store().await?, &context, patient, after).await?;
    let about = if after.is_none() { Some(about(app, &context, patient, actor.user, &pieces).await?) } else { None };
    let volume = Volume { number: list.number, site: app.settings.site_url.clone(), made_at: app.now(), about };
    let date = volume.made_at.strftime("%Y-%m-%d").to_string();
    // To compress takes the processor for a while.
    let made = tokio::task::spawn_blocking(move || volume.made(pieces));
    let (bytes, next) = made.await.map_err(|error| Failure::Internal(Box::new(error)))??;
    let next = list.following(app, actor.user, 0, false, next.map(everything::position)).await?;
    let part = if list.number > 1 { format!("-{}", list.number) } else { String::new() };
    let mut response = Response::new(bytes.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA));
    for (name, value) in [
        (header::CONTENT_DISPOSITION, Some(format!("attachment; filename=\"health-data-{date}{part}.zip\""))),
        (header::LINK, next.map(|next| format!("<{next}>; rel=\"next\""))),
    ] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            headers.insert(name, value);
        }
    }
    Ok(response)
}

/// What the first page tells of the patient: the record, the decisions, and who looked, which is on record as any reading of the log.
async fn about(
    app: &App,
    context: &Context,
    patient: PatientId,
    reader: UserId,
    pieces: &Pieces,
) -> Result<About, Failure> {
    let context = Context { action: Action::Search, resource_type: "AuditEvent", ..context.clone() };
    let slice = AuditSlice { count: LOOKED, ..AuditSlice::default() };
    // What the patient did would hide the others: an app uploads every minute.
    let filter = AuditFilter { by_others_than: Some(reader), ..AuditFilter::default() };
    let scope = AuditScope::Own(patient);
    let page = app.store().await?.audit_log(&context, scope, Role::Viewer, &filter, slice).await?;
    let page = page.map_err(|_| Failure::NotFound)?;
    let looked: Vec<OwnEntry<'_>> = page.rows.iter().map(|event| OwnEntry::of(event, reader)).collect();
    About::new(pieces.record(), pieces.decisions(), &looked, page.more)
}
