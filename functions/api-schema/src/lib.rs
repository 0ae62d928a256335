//! `GET /api/schema`: what the routes of `/api/v1` and of kept FHIR resources take and answer, as OpenAPI 3.1: JSON, or YAML where that is asked for.
//! `GET /api/schema/`: the same, YAML unless JSON is asked for. `GET /api/schema/swagger-ui/` and `/api/schema/redoc/`: the
//! same for people. Public.
//!
//! `openapi.json` is made from the operations that the functions describe. A function knows no other, so the document is
//! made when the product is built (`UPDATE_OPENAPI=1`), and a test says when it is not that of the code.

mod reference;
mod yaml;

use api::{Content, Operation};
use http::{HeaderValue, StatusCode, header};
use runtime::{Failure, Function, Needs, Protocol, Request, Response, html, pages, text_json};

/// The function.
pub const FUNCTION: Function =
    Function::new("api-schema", Protocol::Page, Needs::Nothing, |_, request| Box::pin(async { handle(request) }))
        .describing(&OPERATIONS);

const OPERATIONS: [Operation; 4] = [
    Operation::new("GET /api/schema", "This description, in JSON or by `Accept` in YAML", "Anybody.")
        .public()
        .answers(&[(200, Content::DocumentOr(&YAML))]),
    Operation::new("GET /api/schema/", "This description, in YAML or by `Accept` in JSON", "Anybody.")
        .public()
        .answers(&[(200, Content::DocumentOr(&YAML))]),
    Operation::new("GET /api/schema/swagger-ui/", "This description, for people", "Anybody.")
        .public()
        .answers(&[(200, Content::Media("text/html"))]),
    Operation::new("GET /api/schema/redoc/", "This description, for people", "Anybody.")
        .public()
        .answers(&[(200, Content::Media("text/html"))]),
];

const DOCUMENT: &str = include_str!("openapi.json");

/// The types of YAML: the registered one (RFC 9512), and that of an OpenAPI description, which is answered in YAML.
const YAML: [&str; 2] = ["application/yaml", "application/vnd.oai.openapi"];

fn handle(request: &Request) -> Result<Response, Failure> {
    let mut response = if request.path().trim_end_matches('/').ends_with("/schema") {
        match yaml_type(request.header(header::ACCEPT).unwrap_or_default(), request.path()) {
            None => text_json(StatusCode::OK, DOCUMENT.to_owned()),
            Some(kind) => {
                let mut response = text_json(StatusCode::OK, yaml::text(&serde_json::from_str(DOCUMENT)?));
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
                response
            }
        }
    } else {
        html(StatusCode::OK, pages::wide("API reference", &reference::page(&serde_json::from_str(DOCUMENT)?)))
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    headers.append(header::VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

/// The type of YAML to answer with; none for JSON. The first type that the caller names and we have counts; whoever names
/// none gets what the path is for.
fn yaml_type(accept: &str, path: &str) -> Option<&'static str> {
    let ranges = accept.split(',').map(|range| range.split(';').next().unwrap_or_default().trim());
    let named = ranges.filter_map(|range| match range.to_ascii_lowercase().as_str() {
        "application/json" | "application/vnd.oai.openapi+json" => Some(None),
        "application/yaml" | "application/x-yaml" | "text/yaml" => Some(Some(YAML[0])),
        "application/vnd.oai.openapi" => Some(Some(YAML[1])),
        _ => None,
    });
    named.into_iter().next().unwrap_or_else(|| path.ends_with('/').then_some(YAML[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_names_a_type_gets_it_and_else_the_path_says_it() {
        let yaml = Some("application/yaml");
        let openapi = Some("application/vnd.oai.openapi");
        for (accept, without_slash, with_slash) in [
            ("", None, openapi),
            ("*/*", None, openapi),
            ("text/html, */*;q=0.8", None, openapi),
            ("application/json", None, None),
            ("application/yaml", yaml, yaml),
            ("text/yaml;q=0.9, application/json;q=0.1", yaml, yaml),
            ("application/vnd.oai.openapi+json", None, None),
            ("application/vnd.oai.openapi;version=3.1", openapi, openapi),
        ] {
            assert_eq!(yaml_type(accept, "/api/schema"), without_slash, "{accept}");
            assert_eq!(yaml_type(accept, "/api/schema/"), with_slash, "{accept}");
        }
    }
}
