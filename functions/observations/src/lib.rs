//! `GET /api/v1/observations`: search observations, newest first, by the same rule as FHIR's search.
//! `GET /api/v1/observations/{id}`: one of them.
//!
//! What is stored is not changed or deleted here: see `docs/decisions/0034-observations-are-not-changed.md`.

mod body;

use api::{Content, Kind, Operation, PAGE, Parameter, Shape, optional, parameter, required};
use audit::{Action, Target};
use authz::{Actor, Layer, Principal, Refusal};
use body::Body;
use fhir::cursor::Position;
use http::StatusCode;
use jiff::Timestamp;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json, rest::List, versioned};
use store::{ObservationQuery, Reader};

/// The function.
pub const FUNCTION: Function =
    Function::new("observations", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const OBSERVATION: Shape = Shape {
    name: "Observation",
    fields: &[
        required("id", Kind::Long).about("From 60001."),
        required("subjectPatientId", Kind::Integer),
        required("patientNameFamily", Kind::AnyText),
        required("patientNameGiven", Kind::AnyText),
        required("jheUserId", Kind::Integer).about("The account of the patient."),
        required("codeableConceptId", Kind::Integer).about("The scope, from 50001."),
        required("codingSystem", Kind::AnyText),
        required("codingCode", Kind::AnyText),
        required("codingText", Kind::AnyText),
        required("lastUpdated", Kind::Instant),
        optional("status", Kind::AnyText)
            .about("The status of the FHIR Observation, where it is not `final`: `entered-in-error` was withdrawn."),
        required("omhData", Kind::OrNull(&Kind::Document))
            .about("The Open mHealth or IEEE 1752 data point: header and body. Null for codes of other systems."),
        optional("fhirData", Kind::Document)
            .about("Where there is no data point: the elements of the FHIR Observation."),
    ],
};

const FILTERS: [Parameter; 4] = [
    parameter("patient_id", Kind::Integer, "Only the observations of this patient."),
    parameter("study_id", Kind::Integer, "Only what the patients of this study share with it."),
    parameter("organization_id", Kind::Integer, "Only the patients of this organization."),
    parameter("observation_id", Kind::Long, "Only this one."),
];

const WHO: &str = "Practitioners, what patients share with the studies of their organizations; patients, their own; super admins, all.";

const OPERATIONS: [Operation; 2] = [
    Operation::new(
        "GET /api/v1/observations",
        "Search observations, newest first; a practitioner names a patient or a study",
        WHO,
    )
    .with(&[&PAGE, &FILTERS])
    .answers(&[(200, Content::Page(&OBSERVATION))]),
    Operation::new("GET /api/v1/observations/{id}", "One observation", WHO)
        .versioned()
        .answers(&[(200, Content::Object(&OBSERVATION))]),
];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    match request.variable("id") {
        None => search(app, request, &actor).await,
        Some(_) => read(app, request, &actor).await,
    }
}

async fn read(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let id = request.id_variable("id")?;
    let context = request.audit(Some(actor), Action::Read, "Observation");
    let found = app.store().await?.named_observation(&context, Reader::from(actor), id).await?;
    // Whatever the layer, the caller is told the same: an observation that may not be seen does not exist.
    let found = found.map_err(|_| Failure::NotFound)?;
    Ok(versioned(json(StatusCode::OK, &Body::new(&found)?)?, found.found.last_updated))
}

async fn search(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let list = List::parse(app, request, actor.user).await?;
    let query = query(&list, actor)?;
    let context = request.audit(Some(actor), Action::Search, "Observation");
    if let Principal::Patient(own) = actor.principal
        && query.patients.iter().any(|named| *named != own.0)
    {
        let target = Target::nothing().and_patients(query.patients);
        return Err(request.refuse(app, &context, &target, Refusal::known(Layer::UserType)).await);
    }
    let page = app.store().await?.named_observations(&context, &query).await?;
    // The query names something outside the caller's organizations. Whether it exists is not told.
    let page = page.map_err(|layer| Failure::Refused(Refusal::known(layer)))?;
    let rows = page.rows.iter().map(Body::new).collect::<Result<Vec<_>, _>>()?;
    let next = page
        .rows
        .last()
        .filter(|_| page.more)
        .map(|row| Position { at: row.found.last_updated.as_microsecond(), id: row.found.id });
    list.page_until(app, actor.user, page.total, &rows, next).await
}

/// What the list asks for. A practitioner must name a patient or a study: there are no bulk dumps.
fn query(list: &List, actor: &Actor) -> Result<ObservationQuery, Failure> {
    let mut query = ObservationQuery::new(Reader::from(actor));
    query.patients.extend(list.id("patient_id")?);
    query.study = list.id("study_id")?;
    query.organization = list.id("organization_id")?;
    query.ids.extend(list.long("observation_id")?);
    let slice = list.slice();
    query.count = u16::try_from(slice.count).unwrap_or(u16::MAX);
    query.skip = u16::try_from(slice.skip).unwrap_or(u16::MAX);
    query.after = list.position.map(position).transpose()?;
    if actor.practitioner().is_some() && !query.names_patient() && query.study.is_none() {
        return Err(Failure::field("patient_id", "Name a patient (patient_id) or a study (study_id)."));
    }
    Ok(query)
}

fn position(position: Position) -> Result<(Timestamp, i64), Failure> {
    let at = Timestamp::from_microsecond(position.at).map_err(|error| Failure::Internal(Box::new(error)))?;
    Ok((at, position.id))
}
