//! `GET /api/schema`: what the routes of `/api/v1` take and answer, as OpenAPI 3.1. `GET /api/schema/swagger-ui/` and
//! `/api/schema/redoc/`: the same for people. Public.
//!
//! `openapi.json` is made from the operations that the functions describe. A function knows no other, so the document is
//! made when the product is built (`UPDATE_OPENAPI=1`), and a test says when it is not that of the code.

mod reference;

use api::{Content, Operation};
use http::{HeaderValue, StatusCode, header};
use runtime::{Failure, Function, Needs, Protocol, Request, Response, html, pages, text_json};

/// The function.
pub const FUNCTION: Function =
    Function::new("api-schema", Protocol::Page, Needs::Nothing, |_, request| Box::pin(async { handle(request) }))
        .describing(&OPERATIONS);

const OPERATIONS: [Operation; 4] = [
    Operation::new("GET /api/schema", "This description", "Anybody.").public().answers(&[(200, Content::Document)]),
    Operation::new("GET /api/schema/", "This description", "Anybody.").public().answers(&[(200, Content::Document)]),
    Operation::new("GET /api/schema/swagger-ui/", "This description, for people", "Anybody.")
        .public()
        .answers(&[(200, Content::Media("text/html"))]),
    Operation::new("GET /api/schema/redoc/", "This description, for people", "Anybody.")
        .public()
        .answers(&[(200, Content::Media("text/html"))]),
];

const DOCUMENT: &str = include_str!("openapi.json");

fn handle(request: &Request) -> Result<Response, Failure> {
    let mut response = if request.path().trim_end_matches('/').ends_with("/schema") {
        text_json(StatusCode::OK, DOCUMENT.to_owned())
    } else {
        html(StatusCode::OK, pages::wide("API reference", &reference::page(&serde_json::from_str(DOCUMENT)?)))
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    Ok(response)
}
