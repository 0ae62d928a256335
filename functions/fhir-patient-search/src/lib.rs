//! `GET /FHIR/R5/Patient` and `POST /FHIR/R5/Patient/_search`: search the patients that the caller may see
//! (<https://hl7.org/fhir/R5/patient-search.html>).

mod query;

use audit::{Action, RefusedBy};
use authz::{Layer, Refusal};
use fhir::{
    SOURCE,
    bundle::{Searchset, count_only},
    cursor::Position,
    search::PatientSearch,
};
use http::StatusCode;
use runtime::{
    App, Failure, Function, Interaction, Needs, Protocol, Request, Response, patient,
    search::{Links, handling, parameters},
    text_json,
};
use store::{ALL, PatientPage, Reader};

/// The function.
pub const FUNCTION: Function = Function::new("fhir-patient-search", Protocol::Fhir, Needs::Database, |app, request| {
    Box::pin(handle(app, request))
});

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.fhir_actor(app, "Patient", Interaction::Search).await?;
    let search = PatientSearch::parse(&parameters(request)?, handling(request))?;
    let links = Links::new(app, actor.user, "Patient", search.canonical_pairs());
    let after = links.open(app, search.page.cursor.as_deref()).await?;
    let filter = query::from_search(&search, after)?;
    let context = request.audit(Some(&actor), Action::Search, "Patient");
    let with_total = search.page.summary_count || search.page.total_accurate;
    let page = if search.page.wants_source(SOURCE) {
        match app.store().await?.patients(&context, Reader::from(&actor), &filter, with_total.then_some(ALL)).await? {
            Ok(page) => page,
            // A super admin may know what exists: naming what does not finds nothing.
            Err(RefusedBy::NotFound) if actor.is_privileged() => nothing(with_total),
            // The query names something that is not the caller's. Whether it exists is not told.
            Err(_) => return Err(Failure::Refused(Refusal::known(Layer::Organization))),
        }
    } else {
        nothing(with_total)
    };
    let total = page.total.map(|total| u64::try_from(total).unwrap_or_default());
    if search.page.summary_count {
        return Ok(text_json(StatusCode::OK, count_only(&links.current(None), total.unwrap_or_default())));
    }
    bundle(app, &links, search.page.cursor.as_deref(), &page, total).await
}

fn nothing(with_total: bool) -> PatientPage {
    PatientPage { total: with_total.then_some(0), ..PatientPage::default() }
}

async fn bundle(
    app: &App,
    links: &Links,
    cursor: Option<&str>,
    page: &PatientPage,
    total: Option<u64>,
) -> Result<Response, Failure> {
    let mut bundle = Searchset::new();
    for row in &page.rows {
        let url = format!("{}/FHIR/R5/Patient/{}", app.settings.site_url, row.id);
        bundle.entry(&url, &patient::resource(row));
    }
    if let Some(total) = total {
        bundle.total(total);
    }
    if let (true, Some(last)) = (page.more, page.rows.last()) {
        bundle.next(&links.next(app, &Position { at: 0, id: i64::from(last.id) }).await?);
    }
    Ok(text_json(StatusCode::OK, bundle.finish(&links.current(cursor))))
}
