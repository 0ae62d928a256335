//! The description of the API is that of the code, and of every route of `/api`, of the FHIR resources that are kept as they come, and
//! of their import.

use crate::{
    hostile::PUBLIC,
    template::{root, text},
};
use end_to_end::{World, described::DOCUMENT, reply::Reply};
use reqwest::{Method, StatusCode, header};
use serde_json::Value;
use standalone::{FUNCTIONS, routes};
use std::collections::BTreeSet;

const FILE: &str = "functions/api-schema/src/openapi.json";

#[test]
fn the_document_that_is_served_is_made_of_the_code() {
    let made = format!("{}\n", serde_json::to_string_pretty(&*DOCUMENT).expect("JSON"));
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(root().join(FILE), &made).expect("the file is written");
    }
    assert!(text(FILE) == made, "run UPDATE_OPENAPI=1 make test and review the difference in {FILE}");
}

#[test]
fn every_route_of_the_api_is_described_by_its_function_and_nothing_else_is() {
    let (declared, _) = routes::declared().expect("the template");
    let routes: BTreeSet<(String, String)> = declared
        .into_iter()
        .filter(|route| {
            // The other types of FHIR are in the CapabilityStatement, and `/fhir/r5` is the same again.
            ["/api/", "/FHIR/R5/{type}", "/fhir-import/"].iter().any(|base| route.path.starts_with(base))
        })
        .map(|route| (format!("{} {}", route.method, route.path), route.function))
        .collect();
    let described: BTreeSet<(String, String)> = FUNCTIONS
        .iter()
        .flat_map(|function| function.operations.iter().map(|one| (one.route.to_owned(), function.name.to_owned())))
        .collect();
    let difference: Vec<_> = routes.symmetric_difference(&described).collect();
    assert!(difference.is_empty(), "{difference:#?}");
}

#[test]
fn the_documentation_names_every_list_without_pages() {
    let routes = DOCUMENT["paths"].as_object().expect("paths").iter();
    let without_pages: BTreeSet<String> = routes
        .filter(|(_, methods)| {
            methods.pointer("/get/responses/200/content/application~1json/schema/type") == Some(&"array".into())
        })
        .map(|(path, _)| format!("- `GET {path}`"))
        .collect();
    let documented: BTreeSet<String> =
        text("docs/api.md").lines().filter(|line| line.starts_with("- `GET ")).map(str::to_owned).collect();
    assert_eq!(documented, without_pages);
}

#[test]
fn what_needs_no_token_is_described_so() {
    for operation in FUNCTIONS.iter().flat_map(|function| function.operations) {
        let is_public = PUBLIC.iter().any(|(route, _)| *route == operation.route);
        assert_eq!(operation.is_public, is_public, "{}", operation.route);
        assert!(!operation.summary.is_empty() && operation.who.ends_with('.'), "{}", operation.route);
    }
}

#[tokio::test]
async fn anybody_reads_the_description_as_json_and_as_a_page() {
    let world = World::new().await;
    for path in ["/api/schema", "/api/schema/"] {
        let json = world.anonymous(Method::GET, path).header(header::ACCEPT, "application/json");
        let reply = Reply::to(json).await;
        assert_eq!((reply.status, &reply.json()["paths"]), (StatusCode::OK, &DOCUMENT["paths"]), "{path}");
        assert_eq!((reply.header("content-type"), reply.header("vary")), ("application/json", "accept"), "{path}");
        for kind in ["application/yaml", "application/vnd.oai.openapi"] {
            let reply = Reply::to(world.anonymous(Method::GET, path).header(header::ACCEPT, kind)).await;
            assert_eq!((reply.status, reply.header("content-type")), (StatusCode::OK, kind), "{path}");
            assert!(reply.text.contains("\n\"openapi\": \"3.1.1\"\n"), "{path}");
        }
    }
    // Who says nothing gets what the path is known for.
    for (path, kind) in [("/api/schema", "application/json"), ("/api/schema/", "application/vnd.oai.openapi")] {
        assert_eq!(Reply::to(world.anonymous(Method::GET, path)).await.header("content-type"), kind, "{path}");
    }
    let shapes: Vec<&String> =
        DOCUMENT["components"]["schemas"].as_object().map(|all| all.keys().collect()).expect("shapes");
    for path in ["/api/schema/swagger-ui/", "/api/schema/redoc/"] {
        let reply = Reply::to(world.anonymous(Method::GET, path)).await;
        assert!(reply.header("content-type").starts_with("text/html"), "{path}");
        for shape in &shapes {
            assert!(reply.text.contains(&format!("<h3 id=\"{shape}\">")), "{path}: {shape}");
        }
        for described in DOCUMENT["paths"].as_object().expect("paths").values().filter_map(Value::as_object).flatten() {
            let summary = described.1["summary"].as_str().expect("a summary");
            assert!(reply.text.contains(&runtime::pages::escape(summary)), "{path}: {summary}");
        }
    }
}
