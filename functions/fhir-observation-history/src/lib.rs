//! `GET /FHIR/R5/Observation/{id}/_history` and `.../_history/{version}`: the versions of an observation, and one of them
//! (<https://hl7.org/fhir/R5/http.html#history>, `#vread`).

use audit::Action;
use fhir::{bundle::HistoryBundle, cursor::Position, observation::write_resource, search::HistorySearch};
use http::StatusCode;
use runtime::{
    App, Failure, Function, Interaction, Needs, Protocol, Request, Response,
    search::{Links, handling},
    text_json,
    upload::{fhir_base, found_place},
    version_response,
};
use store::{HistoryQuery, Reader};

/// The function.
pub const FUNCTION: Function =
    Function::new("fhir-observation-history", Protocol::Fhir, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    });

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.fhir_actor(app, "Observation", Interaction::Read).await?;
    let id: i64 = request.id_variable("id")?;
    let context = request.audit(Some(&actor), Action::Read, "Observation");
    let reader = Reader::from(&actor);
    if request.variable("version").is_some() {
        let version: i32 = request.id_variable("version")?;
        let query = HistoryQuery { id, version: Some(version), before: None, count: 1 };
        let history = app.store().await?.observation_history(&context, reader, &query).await?;
        // Whatever the layer, the caller is told the same: what may not be seen does not exist.
        let found = history.map_err(|_| Failure::NotFound)?.rows.pop().ok_or(Failure::NotFound)?;
        let mut resource = String::with_capacity(found.content.len() + 256);
        write_resource(&mut resource, &found_place(&found), &found.content);
        return Ok(version_response(StatusCode::OK, resource, found.version, found.last_updated));
    }
    let asked = HistorySearch::parse(&request.query()?, handling(request))?;
    let links = Links::new(app, actor.user, &format!("Observation/{id}/_history"), asked.canonical_pairs());
    let after = links.open(app, asked.page.cursor.as_deref()).await?;
    let before = after.map(|position| i32::try_from(position.at)).transpose().map_err(|_| Failure::NotFound)?;
    let query = HistoryQuery { id, version: None, before, count: asked.page.count };
    let history = app.store().await?.observation_history(&context, reader, &query).await?;
    let history = history.map_err(|_| Failure::NotFound)?;
    let base = fhir_base(app);
    let mut bundle = HistoryBundle::new();
    for found in &history.rows {
        bundle.observation(&base, &found_place(found), &found.content);
    }
    if let (true, Some(last)) = (history.more, history.rows.last()) {
        bundle.next(&links.next(app, &Position { at: i64::from(last.version), id }).await?);
    }
    Ok(text_json(StatusCode::OK, bundle.finish(&links.current(asked.page.cursor.as_deref()))))
}
