//! `GET /api/v1/organizations/{id}`: one organization, with the caller's role in it.
//! `GET /api/v1/organizations/{id}/tree`: the same with what is below it and the caller may see.
//! `GET /api/v1/organizations/{id}/studies`: its studies that the caller may see.
//! `GET /api/v1/organizations/types`: the types of organizations in words.

use api::{Content, Kind, Operation, Shape, required, shapes};
use audit::{Action, RefusedBy, Target};
use authz::{Actor, Layer, OrganizationId};
use http::StatusCode;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, directory, json, versioned};
use serde::Serialize;
use serde_json::{Map, Value};
use store::{Reader, Study};

/// The function.
pub const FUNCTION: Function =
    Function::new("organizations-read", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const OPERATIONS: [Operation; 4] = [
    Operation::new("GET /api/v1/organizations/{id}", "One organization", "Who may see it in the list of organizations.").versioned()
        .answers(&[(200, Content::Object(&shapes::ORGANIZATION))]),
    Operation::new(
        "GET /api/v1/organizations/{id}/tree",
        "An organization with all below it that the caller may see",
        "Who may see the organization; the root, everybody. Below one that the caller may not see, what they may see stands \
         under the next one above.",
    )
    .answers(&[(200, Content::Object(&shapes::ORGANIZATION))]),
    Operation::new(
        "GET /api/v1/organizations/{id}/studies",
        "The studies of an organization",
        "Who may see the organization, those studies that they may see.",
    )
    .answers(&[(200, Content::List(&STUDY))]),
    Operation::new("GET /api/v1/organizations/types", "The types of organizations in words", "Everybody.")
        .answers(&[(200, Content::Document)]),
];

/// A study in the list of its organization.
const STUDY: Shape = Shape {
    name: "OrganizationStudy",
    fields: &[
        required("id", Kind::Integer).about("From 30001."),
        required("name", Kind::AnyText),
        required("description", Kind::AnyText),
        required("organization", Kind::Integer),
        required("iconUrl", Kind::OrNull(&Kind::AnyText)),
    ],
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    id: i32,
    name: &'a str,
    description: &'a str,
    organization: i32,
    icon_url: Option<&'a str>,
}

impl<'a> From<&'a Study> for Row<'a> {
    fn from(study: &'a Study) -> Self {
        Self {
            id: study.id,
            name: &study.name,
            description: &study.description,
            organization: study.organization.id,
            icon_url: study.icon_url.as_deref(),
        }
    }
}

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    match request.path().rsplit('/').next() {
        Some("types") => types(),
        Some("tree") => tree(app, request, &actor).await,
        Some("studies") => studies(app, request, &actor).await,
        _ => {
            let organization = directory::organization(app, request, &actor, request.id_variable("id")?).await?;
            Ok(versioned(json(StatusCode::OK, &organization)?, organization.last_updated))
        }
    }
}

fn types() -> Result<Response, Failure> {
    let types: Map<String, Value> =
        shapes::ORGANIZATION_TYPES.iter().map(|(code, name)| ((*code).to_owned(), Value::from(*name))).collect();
    Ok(json(StatusCode::OK, &types)?)
}

async fn tree(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let id: OrganizationId = request.id_variable("id")?;
    let store = app.store().await?;
    if let Some(tree) = store.organization_tree(Reader::from(actor), id.0).await? {
        return Ok(json(StatusCode::OK, &tree)?);
    }
    let context = request.audit(Some(actor), Action::Read, "Organization");
    store.record_refusal(&context, &Target::organization(id), RefusedBy::Layer(Layer::Organization)).await?;
    Err(Failure::NotFound)
}

async fn studies(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let id = request.id_variable("id")?;
    let studies = app.store().await?.studies(Reader::from(actor), &[], Some(id)).await?;
    // Who sees one of its studies may know of the organization.
    if studies.is_empty() {
        directory::organization(app, request, actor, id).await?;
    }
    Ok(json(StatusCode::OK, &studies.iter().map(Row::from).collect::<Vec<_>>())?)
}
