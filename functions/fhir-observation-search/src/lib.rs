//! `GET /FHIR/R5/Observation` and `POST /FHIR/R5/Observation/_search`: search observations
//! (<https://hl7.org/fhir/R5/http.html#search>).

mod query;

use audit::{Action, Context, Target};
use authz::{Layer, PatientId, Principal, Refusal};
use fhir::{
    bundle::{Searchset, count_only},
    cursor::Position,
    search::{Handling, ObservationSearch, Sort},
};
use http::StatusCode;
use jiff::Timestamp;
use runtime::{
    App, Failure, Function, Interaction, Needs, Protocol, Request, Response,
    search::{Links, handling, parameters},
    text_json,
    upload::found_place,
};
use store::{Found, ObservationPage, Reader};

/// The function.
pub const FUNCTION: Function =
    Function::new("fhir-observation-search", Protocol::Fhir, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    });

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.fhir_actor(app, "Observation", Interaction::Search).await?;
    let mut search = ObservationSearch::parse(&parameters(request)?, handling(request))?;
    let context = request.audit(Some(&actor), Action::Search, "Observation");
    if let Principal::Patient(own) = actor.principal {
        of_own(app, request, &context, own, &mut search).await?;
    }
    let links = Links::new(app, actor.user, "Observation", search.canonical_pairs());
    let mut query = query::from_search(Reader::from(&actor), &search)?;
    query.after = links.open(app, search.page.cursor.as_deref()).await?.map(position).transpose()?;
    let store = app.store().await?;

    if search.page.summary_count {
        let total = store.count_observations(&context, &query).await?.map_err(outside)?;
        let text = count_only(&links.current(None), u64::try_from(total).unwrap_or_default());
        return Ok(text_json(StatusCode::OK, text));
    }
    let page = store.search_observations(&context, &query, search.page.total_accurate).await?.map_err(outside)?;
    page_response(app, &links, &search, &page).await
}

/// A patient's search is of their own data, whomever it names: another is not searched, and the links say so. With
/// `handling=strict` it is refused instead (<https://hl7.org/fhir/R5/search.html#errors>).
async fn of_own(
    app: &App,
    request: &Request,
    context: &Context,
    own: PatientId,
    search: &mut ObservationSearch,
) -> Result<(), Failure> {
    if handling(request) == Handling::Strict {
        let others: Vec<i32> = search.patients.iter().copied().filter(|id| *id != own.0).collect();
        if !others.is_empty() {
            let target = Target::nothing().and_patients(others);
            return Err(request.refuse(app, context, &target, Refusal::known(Layer::UserType)).await);
        }
        if search.patient_identifier.is_some() {
            return Err(Failure::Invalid(
                "Search parameter patient.identifier is not supported in a patient's search of their own data."
                    .to_owned(),
            ));
        }
    }
    if !search.patients.is_empty() {
        search.patients = vec![own.0];
    }
    search.patient_identifier = None;
    Ok(())
}

/// The query names something outside the caller's organizations. Whether it exists is not told.
fn outside(layer: Layer) -> Failure {
    Failure::Refused(Refusal::known(layer))
}

async fn page_response(
    app: &App,
    links: &Links,
    search: &ObservationSearch,
    page: &ObservationPage,
) -> Result<Response, Failure> {
    /// What a row takes besides its content: full URL, meta, search mode.
    const FRAME: usize = 320;
    let size = page.rows.iter().map(|row| row.content.len() + FRAME).sum::<usize>() + 1024;
    let base = format!("{}/FHIR/R5", app.settings.site_url);
    let mut bundle = Searchset::with_capacity(size);
    for row in &page.rows {
        bundle.observation(&base, &found_place(row), &row.content);
    }
    if let Some(total) = page.total {
        bundle.total(u64::try_from(total).unwrap_or_default());
    }
    if let (true, Some(last)) = (page.more, page.rows.last()) {
        bundle.next(&links.next(app, &after(last, search.order())).await?);
    }
    Ok(text_json(StatusCode::OK, bundle.finish(&links.current(search.page.cursor.as_deref()))))
}

/// The position of a row in the order of the search.
fn after(row: &Found, sort: Sort) -> Position {
    let at = match sort {
        Sort::LastUpdatedDesc | Sort::LastUpdatedAsc => row.last_updated,
        Sort::DateDesc | Sort::DateAsc => row.effective_start,
    };
    Position { at: at.as_microsecond(), id: row.id }
}

fn position(position: Position) -> Result<(Timestamp, i64), Failure> {
    Timestamp::from_microsecond(position.at)
        .map(|at| (at, position.id))
        .map_err(|error| Failure::Internal(Box::new(error)))
}
