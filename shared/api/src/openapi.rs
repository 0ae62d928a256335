//! The description of all operations: OpenAPI 3.1 (<https://spec.openapis.org/oas/v3.1.1.html>).

use crate::{Completeness, Content, Field, Kind, Operation, Parameter, Shape};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What can go wrong with any operation; each is answered as its protocol has it.
const FAILURES: [(&str, &str); 9] = [
    ("400", "The request is not valid."),
    ("401", "No valid access token."),
    ("403", "Not allowed."),
    ("404", "Not found, or not to be known of."),
    ("406", "No type that is accepted can be answered."),
    ("413", "The body is too large."),
    ("429", "Too many requests: try again after `Retry-After`."),
    ("500", "A defect of the server. The request's id is in `X-Request-Id`."),
    ("503", "Not available at the moment: try again after `Retry-After`."),
];

/// What can go wrong with an operation that changes something.
const CHANGE_FAILURES: [(&str, &str); 5] = [
    ("409", "It exists already, or is in another state than the request expects."),
    ("410", "It has ended."),
    ("412", "It has changed since it was read (`If-Match`)."),
    ("415", "The type of the body is not supported."),
    ("422", "The content is not valid, or the `Idempotency-Key` came with another request before."),
];

/// The document.
#[must_use]
pub fn document<'a>(version: &str, operations: impl IntoIterator<Item = &'a Operation>) -> Value {
    let mut schemas = BTreeMap::new();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in operations {
        let (method, path) = operation.route.split_once(' ').unwrap_or(("GET", operation.route));
        let described = describe(operation, path, &mut schemas);
        paths.entry(path).or_default().insert(method.to_ascii_lowercase(), described);
    }
    schemas.insert("Failure", failure());
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "JupyterHealth Exchange",
            "version": version,
            "description": "Health data from patients to researchers, one consented data type and one study at a time.",
            "license": { "name": "Apache 2.0", "identifier": "Apache-2.0" },
        },
        "security": [{ "bearer": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
            "schemas": schemas,
        },
    })
}

fn describe(operation: &Operation, path: &str, schemas: &mut BTreeMap<&'static str, Value>) -> Value {
    let mut described = json!({
        "operationId": operation.route.replace(['/', '{', '}', ' '], "_"),
        "summary": operation.summary,
        "description": operation.who,
        "responses": responses(operation, schemas),
    });
    let variables = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path =
        variables.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": variable(name) }));
    let parameters: Vec<Value> = in_path.chain(operation.parameters.iter().copied().flatten().map(parameter)).collect();
    if let Some(members) = described.as_object_mut() {
        if !parameters.is_empty() {
            members.insert("parameters".to_owned(), parameters.into());
        }
        if let Some((shape, completeness)) = operation.body {
            let schema = body(shape, completeness, schemas);
            let required = completeness == Completeness::Part || shape.fields.iter().any(|field| field.required);
            let content = json!({ "required": required, "content": { "application/json": { "schema": schema } } });
            members.insert("requestBody".to_owned(), content);
        }
        if !operation.media.is_empty() {
            let text = json!({ "schema": { "type": "string" } });
            let content: Map<String, Value> =
                operation.media.iter().map(|media| ((*media).to_owned(), text.clone())).collect();
            members.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
        }
        if operation.is_public {
            members.insert("security".to_owned(), json!([]));
        }
    }
    described
}

/// What a variable of a path is: an id, unless its name says otherwise.
fn variable(name: &str) -> Value {
    if name == "id" { json!({ "type": "integer", "format": "int32" }) } else { json!({ "type": "string" }) }
}

fn parameter(parameter: &Parameter) -> Value {
    json!({
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "description": parameter.about,
        "schema": kind(&parameter.kind, &mut BTreeMap::new()),
    })
}

fn body(shape: &'static Shape, completeness: Completeness, schemas: &mut BTreeMap<&'static str, Value>) -> Value {
    match completeness {
        Completeness::Whole => reference(shape, schemas),
        Completeness::Part => object(shape, false, schemas),
    }
}

fn responses(operation: &Operation, schemas: &mut BTreeMap<&'static str, Value>) -> Value {
    let changes = !operation.route.starts_with("GET ");
    let failures = FAILURES.iter().chain(CHANGE_FAILURES.iter().filter(|_| changes));
    let mut responses: Map<String, Value> = failures
        .map(|(status, text)| {
            let schema = json!({ "$ref": "#/components/schemas/Failure" });
            (
                (*status).to_owned(),
                json!({ "description": text, "content": { "application/json": { "schema": schema } } }),
            )
        })
        .collect();
    for (status, content) in operation.answers {
        responses.insert(status.to_string(), answer(*content, schemas));
    }
    Value::Object(responses)
}

fn answer(content: Content, schemas: &mut BTreeMap<&'static str, Value>) -> Value {
    let json =
        |schema: Value| json!({ "description": "Done.", "content": { "application/json": { "schema": schema } } });
    match content {
        Content::Nothing => json!({ "description": "Done." }),
        Content::Object(shape) => json(reference(shape, schemas)),
        Content::List(shape) => json(json!({ "type": "array", "items": reference(shape, schemas) })),
        Content::Page(shape) => {
            let link = json!({ "type": ["string", "null"], "format": "uri" });
            json(json!({
                "type": "object",
                "required": ["count", "next", "previous", "results"],
                "properties": {
                    "count": { "type": "integer", "description": "How many rows there are in all, 10,000 at most." },
                    "next": link,
                    "previous": link,
                    "results": { "type": "array", "items": reference(shape, schemas) },
                },
            }))
        }
        Content::Document => json(json!({ "type": "object" })),
        Content::Media(media) => {
            json!({ "description": "Done.", "content": { media: { "schema": { "type": "string" } } } })
        }
    }
}

/// A shape by its name; what it is made of goes to the components.
fn reference(shape: &'static Shape, schemas: &mut BTreeMap<&'static str, Value>) -> Value {
    if !schemas.contains_key(shape.name) {
        let described = object(shape, true, schemas);
        schemas.insert(shape.name, described);
    }
    json!({ "$ref": format!("#/components/schemas/{}", shape.name) })
}

fn object(shape: &'static Shape, is_whole: bool, schemas: &mut BTreeMap<&'static str, Value>) -> Value {
    let properties: Map<String, Value> =
        shape.fields.iter().map(|field| (field.name.to_owned(), member(field, schemas))).collect();
    let required: Vec<&str> =
        shape.fields.iter().filter(|field| field.required && is_whole).map(|field| field.name).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn member(field: &Field, schemas: &mut BTreeMap<&'static str, Value>) -> Value {
    let mut schema = kind(&field.kind, schemas);
    if let Some(members) = schema.as_object_mut().filter(|_| !field.about.is_empty()) {
        members.insert("description".to_owned(), field.about.into());
    }
    schema
}

fn kind(of: &Kind, schemas: &mut BTreeMap<&'static str, Value>) -> Value {
    match of {
        Kind::Integer => json!({ "type": "integer", "format": "int32", "minimum": i32::MIN, "maximum": i32::MAX }),
        Kind::Long => json!({ "type": "integer", "format": "int64" }),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Text(limit) | Kind::Lines(limit) => json!({ "type": "string", "minLength": 1, "maxLength": limit }),
        Kind::AnyText => json!({ "type": "string" }),
        Kind::Email => json!({ "type": "string", "format": "email", "maxLength": 254 }),
        Kind::Date => json!({ "type": "string", "format": "date" }),
        Kind::Instant => json!({ "type": "string", "format": "date-time" }),
        Kind::OneOf(choices) => json!({ "type": "string", "enum": choices }),
        Kind::List(item, limit) => json!({ "type": "array", "items": kind(item, schemas), "maxItems": limit }),
        Kind::Object(shape) => reference(shape, schemas),
        Kind::OrNull(inner) => json!({ "anyOf": [kind(inner, schemas), { "type": "null" }] }),
        Kind::Document => json!({ "type": "object" }),
        Kind::Any => json!({ "type": ["string", "number", "boolean", "array", "object"] }),
        Kind::Named(name) => json!({ "$ref": format!("#/components/schemas/{name}") }),
    }
}

/// What a failure says: a text, texts by field, or texts.
fn failure() -> Value {
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    json!({ "anyOf": [
        { "type": "object", "required": ["detail"], "properties": { "detail": { "type": "string" } } },
        { "type": "object", "additionalProperties": texts },
        texts,
    ] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PAGE, optional, parameter as query, required};

    const NODE: Shape = Shape {
        name: "Node",
        fields: &[
            required("id", Kind::Integer).about("From 1."),
            required("children", Kind::List(&Kind::Named("Node"), 10)),
            optional("email", Kind::OrNull(&Kind::Email)),
        ],
    };

    const OPERATIONS: [Operation; 3] = [
        Operation::new("GET /api/v1/nodes", "Lists", "Anybody.")
            .public()
            .with(&[&PAGE, &[query("name", Kind::Text(9), "Its name.")]])
            .answers(&[(200, Content::Page(&NODE))]),
        Operation::new("PATCH /api/v1/nodes/{id}", "Changes", "A manager.")
            .changes(&NODE)
            .answers(&[(200, Content::Object(&NODE))]),
        Operation::new("POST /api/v1/nodes", "Creates", "A manager.")
            .takes(&NODE)
            .answers(&[(201, Content::Object(&NODE))]),
    ];

    #[test]
    fn every_operation_is_described_once_and_its_shapes_are_shared() {
        let document = document("1", &OPERATIONS);
        let paths = &document["paths"];
        assert_eq!(paths["/api/v1/nodes"]["get"]["security"], json!([]));
        assert_eq!(paths["/api/v1/nodes"]["get"]["parameters"].as_array().unwrap().len(), 4);
        assert_eq!(paths["/api/v1/nodes/{id}"]["patch"]["parameters"][0]["name"], "id");
        let change = &paths["/api/v1/nodes/{id}"]["patch"]["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!((&change["required"], &change["additionalProperties"]), (&json!([]), &json!(false)));
        let created = &paths["/api/v1/nodes"]["post"];
        assert_eq!(
            created["requestBody"]["content"]["application/json"]["schema"]["$ref"],
            "#/components/schemas/Node"
        );
        assert!(created["responses"].get("201").is_some() && created["responses"].get("412").is_some());
        assert!(paths["/api/v1/nodes"]["get"]["responses"].get("412").is_none());
        assert_eq!(document["components"]["schemas"]["Node"]["required"], json!(["id", "children"]));
    }

    #[test]
    fn what_the_check_takes_the_description_takes() {
        let mut document = document("1", &OPERATIONS);
        document["$ref"] = "#/components/schemas/Node".into();
        let schema = jsonschema::options().should_validate_formats(true).build(&document).unwrap();
        for value in [
            json!({"id": 1, "children": []}),
            json!({"id": 1, "children": [{"id": 2, "children": []}], "email": null}),
            json!({"id": 1, "children": [], "email": "a@b.c"}),
            json!({"id": 1}),
            json!({"id": 1, "children": [5]}),
            json!({"id": true, "children": []}),
            json!({"id": 4_000_000_000_u32, "children": []}),
            json!({"id": 1, "children": [], "email": "x"}),
            json!({"id": 1, "children": [], "more": 1}),
            json!({"id": null, "children": 5}),
        ] {
            let problems = NODE.problems(value.as_object().unwrap(), Completeness::Whole);
            assert_eq!(problems.is_empty(), schema.is_valid(&value), "{value} {problems:?}");
        }
    }
}
