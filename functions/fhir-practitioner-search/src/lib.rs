//! `GET /FHIR/R5/Practitioner` and `POST /FHIR/R5/Practitioner/_search`: search the practitioners of the caller's organizations
//! (<https://hl7.org/fhir/R5/http.html#search>).

use audit::Action;
use fhir::{
    SOURCE,
    bundle::{Searchset, count_only},
    cursor::Position,
    search::{Directory, DirectorySearch},
};
use http::StatusCode;
use runtime::{
    App, Failure, Function, Interaction, Needs, Protocol, Request, Response,
    directory::{self, practitioner},
    search::{Links, text_filter},
    text_json,
};
use store::{FoundPractitioners, PractitionerFilter, Reader, Slice};

/// The function.
pub const FUNCTION: Function =
    Function::new("fhir-practitioner-search", Protocol::Fhir, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    });

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.fhir_actor(app, "Practitioner", Interaction::Search).await?;
    let search = directory::parse(Directory::Practitioner, request)?;
    let context = request.audit(Some(&actor), Action::Search, "Practitioner");
    let links = Links::new(app, actor.user, "Practitioner", search.canonical_pairs());
    let after = links.open(app, search.page.cursor.as_deref()).await?;
    let with_total = search.page.summary_count || search.page.total_accurate;
    let found = if search.page.wants_source(SOURCE) {
        let filter = filter(&search, after);
        app.store().await?.practitioners(&context, Reader::from(&actor), &filter, with_total).await?
    } else {
        // None of them comes from elsewhere.
        FoundPractitioners { total: with_total.then_some(0), ..FoundPractitioners::default() }
    };
    page_response(app, &links, &search, &found).await
}

fn filter(search: &DirectorySearch, after: Option<Position>) -> PractitionerFilter {
    let count = if search.page.summary_count { 0 } else { i64::from(search.page.count) };
    PractitionerFilter {
        ids: search.ids.clone(),
        name: search.name.as_ref().map(text_filter),
        updated: search.page.last_updated.instant(),
        slice: Slice { after: after.map(|position| position.id), skip: 0, count },
    }
}

async fn page_response(
    app: &App,
    links: &Links,
    search: &DirectorySearch,
    found: &FoundPractitioners,
) -> Result<Response, Failure> {
    let total = found.total.map(|total| u64::try_from(total).unwrap_or_default());
    if search.page.summary_count {
        return Ok(text_json(StatusCode::OK, count_only(&links.current(None), total.unwrap_or_default())));
    }
    let mut bundle = Searchset::new();
    for row in &found.rows {
        let url = format!("{}/FHIR/R5/Practitioner/{}", app.settings.site_url, row.id);
        bundle.entry(&url, &practitioner(row));
    }
    if let Some(total) = total {
        bundle.total(total);
    }
    if let (true, Some(last)) = (found.more, found.rows.last()) {
        bundle.next(&links.next(app, &Position { at: 0, id: i64::from(last.id) }).await?);
    }
    Ok(text_json(StatusCode::OK, bundle.finish(&links.current(search.page.cursor.as_deref()))))
}
