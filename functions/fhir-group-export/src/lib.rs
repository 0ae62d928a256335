//! `GET` and `POST /FHIR/R5/Group/{id}/$export`: an export of what a study was given is asked for
//! (<https://hl7.org/fhir/uv/bulkdata/STU2/export.html#bulk-data-kick-off-request>). It is carried out by `export-run`.

use audit::Action;
use exports::Caller;
use fhir::search::{Everything, Export};
use http::{HeaderValue, Method, StatusCode, header};
use runtime::{
    App, Failure, Function, Interaction, Needs, Protocol, Request, Response, empty, search::handling, upload::fhir_base,
};
use store::{ExportStart, NewExport};

/// The function.
pub const FUNCTION: Function =
    Function::new("fhir-group-export", Protocol::Fhir, Needs::Database, |app, request| Box::pin(handle(app, request)));

/// After so many seconds somebody whose export runs may ask whether it still does.
const PATIENCE: u32 = 60;

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let caller = Caller::of(app, request).await?;
    if !is_asynchronous(request) {
        return Err(Failure::Invalid("An export needs the header Prefer: respond-async.".to_owned()));
    }
    let pairs = pairs(request)?;
    let mut asked = Export::parse(&pairs, handling(request))?;
    asked.types = open_types(app, request, asked.types).await?;
    if exports::files(app)?.is_none() {
        return Err(Failure::Unprocessable("Exports have no place here: EXPORTS is not set."));
    }
    let study = format!("{}/Group/{}/$export", fhir_base(app), caller.of.study);
    let request_url = match request.raw_query() {
        "" => study.clone(),
        query => format!("{study}?{query}"),
    };
    let new = NewExport {
        of: caller.of,
        practitioner: caller.practitioner,
        request_url: &request_url,
        types: &asked.types,
        since: asked.since,
        format: asked.format.name(),
        seconds: exports::seconds(app)?,
    };
    let context = request.audit(Some(&caller.actor), Action::Execute, "Group");
    match app.store().await?.start_export(&context, &new).await? {
        ExportStart::Started(job) => {
            let mut response = empty(StatusCode::ACCEPTED);
            let place = HeaderValue::from_str(&format!("{study}/{job}"));
            let place = place.map_err(|error| Failure::Internal(Box::new(error)))?;
            response.headers_mut().insert(header::CONTENT_LOCATION, place);
            Ok(response)
        }
        ExportStart::Running => {
            Err(Failure::Busy("You have an export of this study that is still being written.", PATIENCE))
        }
        // A study that is not the caller's does not exist.
        ExportStart::Refused(_) => Err(Failure::NotFound),
    }
}

/// The parameters: those of the URL, and those of a body, if there is one.
fn pairs(request: &Request) -> Result<Vec<(String, String)>, Failure> {
    let mut pairs = request.query()?;
    if request.method() == Method::POST && !request.body()?.is_empty() {
        pairs.extend(Export::pairs(&request.json()?)?);
    }
    Ok(pairs)
}

/// Whether the caller does not wait for the files (RFC 7240 section 4.1).
fn is_asynchronous(request: &Request) -> bool {
    let preferences = request.header("prefer").unwrap_or_default().split([',', ';']);
    preferences.into_iter().any(|preference| preference.trim().eq_ignore_ascii_case("respond-async"))
}

/// The types that are asked for, each of which the token must open; none named: those that it opens.
async fn open_types(app: &App, request: &Request, named: Vec<&'static str>) -> Result<Vec<&'static str>, Failure> {
    for kind in named.iter().copied() {
        request.fhir_actor(app, kind, Interaction::Search).await?;
    }
    if !named.is_empty() {
        return Ok(named);
    }
    let mut open = Vec::new();
    for kind in Everything::all() {
        if request.reaches(app, kind, Interaction::Search).await? {
            open.push(kind);
        }
    }
    if open.is_empty() { Err(Failure::Forbidden("The token opens no type of resources.")) } else { Ok(open) }
}
