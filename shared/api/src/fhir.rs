//! What is different about the routes of FHIR: bodies and answers are resources, which the specification describes, and failures
//! are `OperationOutcome`s (<https://hl7.org/fhir/R5/http.html>).

use crate::{
    Operation, Parameter,
    failures::{DESCRIBED, retried},
};
use serde_json::{Map, Value, json};

/// What routes of FHIR have beside what all have.
#[derive(Clone, Copy, Debug)]
pub struct Fhir {
    /// What `{type}` in the path can be.
    pub types: &'static [&'static [&'static str]],
    /// What the body is: any resource, or what changes of one.
    pub body: Option<Body>,
    /// Whether an answer with 201 says where the new resource is (`Location`).
    pub locates: bool,
}

/// The body of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// A resource.
    Resource,
    /// The members of a resource that change (RFC 7396).
    Patch,
}

/// Both names of JSON (<https://hl7.org/fhir/R5/http.html#mime-type>).
const MEDIA: [&str; 2] = ["application/fhir+json", "application/json"];

impl Operation {
    /// The same, as a route of FHIR.
    #[must_use]
    pub const fn fhir(mut self, fhir: Fhir) -> Self {
        self.fhir = Some(fhir);
        self
    }
}

/// What is in FHIR's JSON.
fn content(schema: &str) -> Value {
    let schema = json!({ "schema": { "$ref": format!("#/components/schemas/{schema}") } });
    Value::Object(MEDIA.iter().map(|media| ((*media).to_owned(), schema.clone())).collect())
}

/// An answer with a resource.
pub(crate) fn answer(schema: &str) -> Value {
    json!({ "description": "Done.", "content": content(schema) })
}

/// The body of a request.
pub(crate) fn body(body: Body) -> Value {
    let schema = match body {
        Body::Resource => "Resource",
        Body::Patch => "ResourcePatch",
    };
    json!({ "required": true, "content": content(schema) })
}

/// What a variable of a path is.
pub(crate) fn variable(name: &str, fhir: &Fhir) -> Value {
    if name == "type" {
        json!({ "type": "string", "enum": fhir.types.concat() })
    } else {
        json!({ "type": "string", "format": "uuid" })
    }
}

/// Resources, as far as they are described here.
pub(crate) fn schemas() -> [(&'static str, Value); 4] {
    let of_type = |name: &str| {
        json!({
            "type": "object",
            "required": ["resourceType"],
            "properties": { "resourceType": { "type": "string", "const": name } },
        })
    };
    [
        ("Bundle", of_type("Bundle")),
        ("OperationOutcome", of_type("OperationOutcome")),
        (
            "Resource",
            json!({ "type": "object", "required": ["resourceType"], "properties": { "resourceType": { "type": "string" } } }),
        ),
        ("ResourcePatch", json!({ "type": "object" })),
    ]
}

/// The name of the description of a failure.
pub(crate) fn failure(name: &str) -> String {
    format!("{name}Outcome")
}

/// The answers of failure, by name.
pub(crate) fn failed() -> impl Iterator<Item = (String, Value)> {
    DESCRIBED.iter().map(|(status, name, text)| {
        (failure(name), retried(*status, json!({ "description": text, "content": content("OperationOutcome") })))
    })
}

/// The headers that answers can have.
pub(crate) fn headers() -> Map<String, Value> {
    let place =
        json!({ "description": "Where the new resource is.", "required": true, "schema": { "type": "string" } });
    Map::from_iter([("Location".to_owned(), place)])
}

/// What searches take (<https://hl7.org/fhir/R5/search.html>).
pub const SEARCH: [Parameter; 5] = {
    use crate::{Kind, parameter};
    [
        parameter("_lastUpdated", Kind::AnyText, "When it last changed: a date, also after `gt`, `ge`, `lt` or `le`."),
        parameter("_source", Kind::AnyText, "Where it comes from: `meta.source`."),
        parameter("_count", Kind::Integer, "How many are on a page."),
        parameter("_total", Kind::OneOf(&["none", "estimate", "accurate"]), "`accurate`: how many there are in all."),
        parameter("_summary", Kind::OneOf(&["count", "false"]), "`count`: only how many there are."),
    ]
};
