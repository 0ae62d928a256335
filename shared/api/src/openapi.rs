//! The description of all operations: OpenAPI 3.1 (<https://spec.openapis.org/oas/v3.1.1.html>).

use crate::{
    Completeness, Content, Field, Kind, Operation, Parameter, Shape,
    failures::{DESCRIBED, retried},
    fhir,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The headers that requests can have: the name of the description, and what it says.
fn headers() -> Value {
    json!({
        "IdempotencyKey": {
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "A POST that is sent twice with the same key within a day is carried out once, and answered twice.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
        },
        "IfMatch": {
            "name": "If-Match", "in": "header", "required": false,
            "description": "The `ETag` of what was read. When it has changed since, nothing is done.",
            "schema": { "type": "string" },
        },
        "Reason": {
            "name": "X-JHE-Reason", "in": "header", "required": false,
            "description": "Why, for the audit: up to 200 characters. The patients concerned can read it. A deployment can require \
                            it of super admins.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 200 },
        },
    })
}

/// The headers that answers can have.
fn answered_headers() -> Value {
    json!({
        "ETag": { "description": "The version, for `If-Match`.", "required": true, "schema": { "type": "string" } },
        "RetryAfter": {
            "description": "The seconds to wait.",
            "schema": { "type": "integer", "minimum": 1 },
        },
        "Replayed": {
            "description": "`true` when the `Idempotency-Key` was used before, and this is what was answered then; without the \
                            body when what the caller may see has changed since.",
            "schema": { "type": "string", "const": "true" },
        },
    })
}

/// The answers of failure, by name.
fn failed() -> Value {
    let described = DESCRIBED.iter().map(|(status, name, text)| {
        let schema = json!({ "$ref": "#/components/schemas/Failure" });
        let answer = json!({ "description": text, "content": { "application/json": { "schema": schema } } });
        ((*name).to_owned(), retried(*status, answer))
    });
    Value::Object(described.chain(fhir::failed()).collect())
}

/// The document.
#[must_use]
pub fn document<'a>(version: &str, operations: impl IntoIterator<Item = &'a Operation>) -> Value {
    let mut schemas = BTreeMap::new();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in operations {
        let described = describe(operation, &mut schemas);
        paths.entry(operation.path()).or_default().insert(operation.method().to_ascii_lowercase(), described);
    }
    schemas.insert("Failure", failure());
    schemas.extend(fhir::schemas());
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
            "parameters": headers(),
            "headers": answered_headers(),
            "responses": failed(),
            "schemas": schemas,
        },
    })
}

fn describe(operation: &Operation, schemas: &mut BTreeMap<&'static str, Value>) -> Value {
    let mut described = json!({
        "operationId": operation.route.replace(['/', '{', '}', ' '], "_"),
        "summary": operation.summary,
        "description": operation.who,
        "responses": responses(operation, schemas),
    });
    let variables = operation.path().split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let variable = |name| operation.fhir.map_or_else(|| variable(name), |fhir| fhir::variable(name, &fhir));
    let in_path =
        variables.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": variable(name) }));
    let in_query = operation.parameters.iter().copied().flatten().map(parameter);
    let parameters: Vec<Value> = in_path.chain(in_query).chain(taken_headers(operation)).collect();
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
        if let Some(taken) = operation.fhir.and_then(|fhir| fhir.body) {
            members.insert("requestBody".to_owned(), fhir::body(taken));
        }
        if operation.is_public {
            members.insert("security".to_owned(), json!([]));
        }
    }
    described
}

/// The headers that an operation takes.
fn taken_headers(operation: &Operation) -> impl Iterator<Item = Value> {
    let taken = [
        (operation.takes_key(), "IdempotencyKey"),
        (operation.is_conditional, "IfMatch"),
        (!operation.is_public, "Reason"),
    ];
    taken
        .into_iter()
        .filter(|(is_taken, _)| *is_taken)
        .map(|(_, name)| json!({ "$ref": format!("#/components/parameters/{name}") }))
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
    let failures = operation.failures();
    let mut responses: Map<String, Value> = DESCRIBED
        .iter()
        .filter(|(status, ..)| failures.contains(status))
        .map(|(status, name, _)| {
            let name = if operation.fhir.is_some() { fhir::failure(name) } else { (*name).to_owned() };
            (status.to_string(), json!({ "$ref": format!("#/components/responses/{name}") }))
        })
        .collect();
    for (status, content) in operation.answers {
        let mut answered = answer(*content, schemas);
        let headers = [
            (operation.has_version && *status != 202, "ETag", "ETag"),
            (operation.takes_key(), "Idempotency-Replayed", "Replayed"),
        ];
        let mut headers: Map<String, Value> = headers
            .into_iter()
            .filter(|(is_there, ..)| *is_there)
            .map(|(_, header, name)| (header.to_owned(), json!({ "$ref": format!("#/components/headers/{name}") })))
            .collect();
        if *status == 201 && operation.fhir.is_some_and(|fhir| fhir.locates) {
            headers.extend(fhir::headers());
        }
        if let Some(members) = answered.as_object_mut().filter(|_| !headers.is_empty()) {
            members.insert("headers".to_owned(), headers.into());
        }
        responses.insert(status.to_string(), answered);
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
        Content::Page(shape) => json(page(shape, "10,000", schemas)),
        Content::PageOr(shape, media) => {
            let mut content: Map<String, Value> =
                media.iter().map(|one| ((*one).to_owned(), json!({ "schema": { "type": of_media(one) } }))).collect();
            content.insert("application/json".to_owned(), json!({ "schema": page(shape, "1,000", schemas) }));
            json!({ "description": "Done.", "content": content })
        }
        Content::Document => json(json!({ "type": "object" })),
        Content::DocumentOr(media) => {
            let text = json!({ "schema": { "type": "string" } });
            let mut content: Map<String, Value> = media.iter().map(|one| ((*one).to_owned(), text.clone())).collect();
            content.insert("application/json".to_owned(), json!({ "schema": { "type": "object" } }));
            json!({ "description": "Done.", "content": content })
        }
        Content::Resource(kind) => fhir::answer(kind),
        Content::Media(media) => {
            json!({ "description": "Done.", "content": { media: { "schema": { "type": "string" } } } })
        }
    }
}

/// What a document of a media type is: JSON, or a text.
fn of_media(media: &str) -> &'static str {
    if media.ends_with("+json") { "object" } else { "string" }
}

/// A page of rows of a shape, of which so many are counted.
fn page(shape: &'static Shape, counted: &str, schemas: &mut BTreeMap<&'static str, Value>) -> Value {
    let link = json!({ "type": ["string", "null"], "format": "uri" });
    json!({
        "type": "object",
        "required": ["count", "next", "previous", "results"],
        "properties": {
            "count": { "type": "integer", "description": format!("How many rows there are in all, {counted} at most.") },
            "next": link,
            "previous": link,
            "results": { "type": "array", "items": reference(shape, schemas) },
        },
    })
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

/// What a failure says: a text, or texts by field.
fn failure() -> Value {
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    json!({ "anyOf": [
        { "type": "object", "required": ["detail"], "properties": { "detail": { "type": "string" } } },
        { "type": "object", "additionalProperties": texts },
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
            .versioned()
            .conditional()
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
        assert_eq!(paths["/api/v1/nodes"]["get"]["parameters"].as_array().unwrap().len(), 4, "no header");
        assert_eq!(paths["/api/v1/nodes/{id}"]["patch"]["parameters"][0]["name"], "id");
        let change = &paths["/api/v1/nodes/{id}"]["patch"]["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!((&change["required"], &change["additionalProperties"]), (&json!([]), &json!(false)));
        let created = &paths["/api/v1/nodes"]["post"];
        assert_eq!(
            created["requestBody"]["content"]["application/json"]["schema"]["$ref"],
            "#/components/schemas/Node"
        );
        let statuses =
            |described: &Value| described["responses"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(statuses(created), ["201", "400", "401", "403", "409", "413", "415", "422", "429", "500", "503"]);
        assert_eq!(statuses(&paths["/api/v1/nodes"]["get"]), ["200", "400", "404", "500", "503"]);
        assert_eq!(document["components"]["schemas"]["Node"]["required"], json!(["id", "children"]));
    }

    #[test]
    fn headers_are_described_where_they_are_taken_or_answered() {
        let document = document("1", &OPERATIONS);
        let taken = |path: &str, method: &str| -> Vec<String> {
            let parameters = document["paths"][path][method]["parameters"].as_array().unwrap();
            parameters.iter().filter_map(|one| Some(one["$ref"].as_str()?.rsplit('/').next()?.to_owned())).collect()
        };
        assert_eq!(taken("/api/v1/nodes", "get"), [""; 0]);
        assert_eq!(taken("/api/v1/nodes", "post"), ["IdempotencyKey", "Reason"]);
        assert_eq!(taken("/api/v1/nodes/{id}", "patch"), ["IfMatch", "Reason"]);
        let changed = &document["paths"]["/api/v1/nodes/{id}"]["patch"]["responses"]["200"]["headers"];
        assert_eq!(changed["ETag"]["$ref"], "#/components/headers/ETag");
        let waits = &document["components"]["responses"]["TooManyRequests"]["headers"]["Retry-After"];
        assert_eq!(waits["$ref"], "#/components/headers/RetryAfter");
        // Every reference leads somewhere.
        let mut open = vec![&document];
        while let Some(value) = open.pop() {
            if let Some(path) = value["$ref"].as_str() {
                assert!(document.pointer(path.trim_start_matches('#')).is_some(), "{path}");
            }
            open.extend(value.as_object().into_iter().flat_map(Map::values));
            open.extend(value.as_array().into_iter().flatten());
        }
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
