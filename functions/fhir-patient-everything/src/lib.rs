//! `GET /FHIR/R5/Patient/{id}/$everything`: all resources of one patient that the caller may see
//! (<https://hl7.org/fhir/R5/operation-patient-everything.html>).

use audit::Action;
use authz::PatientId;
use fhir::{bundle::Searchset, search::Everything};
use http::StatusCode;
use runtime::{
    App, Failure, Function, Interaction, Needs, Protocol, Request, Response, auxiliary, consent, everything, patient,
    search::{Links, handling},
    text_json,
    upload::{fhir_base, found_place},
};
use store::{EverythingPage, EverythingQuery, EverythingRow, Reader};

/// The function.
pub const FUNCTION: Function =
    Function::new("fhir-patient-everything", Protocol::Fhir, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    });

/// The only operation of a patient that there is.
const OPERATION: &str = "$everything";

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.fhir_actor(app, "Patient", Interaction::Read).await?;
    if request.variable("operation") != Some(OPERATION) {
        return Err(Failure::NotFound);
    }
    let id: PatientId = request.id_variable("id")?;
    let mut asked = Everything::parse(&request.query()?, handling(request))?;
    asked.types = open_types(app, request, asked.types).await?;
    let links = Links::new(app, actor.user, &format!("Patient/{id}/{OPERATION}"), asked.canonical_pairs());
    let after = links.open(app, asked.page.cursor.as_deref()).await?.map(everything::place).transpose()?;
    let all: Vec<&'static str> = Everything::all().collect();
    let query = EverythingQuery {
        reader: Reader::from(&actor),
        patient: id.0,
        study: None,
        types: if asked.types.is_empty() { &all } else { &asked.types },
        since: asked.since,
        count: asked.page.count,
        after,
    };
    let context = request.audit(Some(&actor), Action::Read, "Patient");
    let page = app.store().await?.everything(&context, &query).await?;
    // Whatever refused, the caller is told the same: a patient who may not be seen does not exist.
    let page = page.map_err(|_| Failure::NotFound)?;
    page_response(app, &links, asked.page.cursor.as_deref(), &page).await
}

/// The types that are asked for, each of which the token must open; none named: those that it opens, which the links then name.
/// Empty: all.
async fn open_types(app: &App, request: &Request, named: Vec<&'static str>) -> Result<Vec<&'static str>, Failure> {
    // The record itself is read, which is what the operation begins with; the others are found.
    let found = |kind: &&'static str| *kind != "Patient";
    for kind in named.iter().copied().filter(found) {
        request.fhir_actor(app, kind, Interaction::Search).await?;
    }
    if !named.is_empty() {
        return Ok(named);
    }
    let mut open = vec!["Patient"];
    for kind in Everything::all().filter(found) {
        if request.reaches(app, kind, Interaction::Search).await? {
            open.push(kind);
        }
    }
    Ok(if open.len() == Everything::all().count() { Vec::new() } else { open })
}

async fn page_response(
    app: &App,
    links: &Links,
    cursor: Option<&str>,
    page: &EverythingPage,
) -> Result<Response, Failure> {
    let base = fhir_base(app);
    let mut bundle = Searchset::new();
    for row in &page.rows {
        match row {
            EverythingRow::Patient(row) => {
                bundle.entry(&format!("{base}/Patient/{}", row.id), &patient::resource(row));
            }
            EverythingRow::Consent(row) => {
                bundle.entry(&format!("{base}/Consent/{}", row.id), &consent::resource(row).to_json());
            }
            EverythingRow::Observation(row) => bundle.observation(&base, &found_place(row), &row.content),
            EverythingRow::Auxiliary(kind, row) => {
                bundle.entry(&format!("{base}/{kind}/{}", row.id), &auxiliary::shown(kind, row)?.to_string());
            }
        }
    }
    if let Some(next) = page.next {
        bundle.next(&links.next(app, &everything::position(next)).await?);
    }
    Ok(text_json(StatusCode::OK, bundle.finish_operation(&links.current(cursor))))
}
