//! The description of the API, and whether answers are as described.

use crate::reply::Reply;
use api::openapi;
use jsonschema::Validator;
use reqwest::{Method, header};
use serde_json::Value;
use standalone::FUNCTIONS;
use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex},
};

/// The description, from the code.
pub static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| openapi::document(runtime::VERSION, FUNCTIONS.iter().flat_map(|function| function.operations)));

static VALIDATORS: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);

/// Checks that an answer has a status that is described, the headers that come with it, and a body of its shape.
pub fn check(method: &Method, path: &str, reply: &Reply) {
    let Some((route, operation)) = operation(method, path) else { return };
    let status = reply.status.as_u16().to_string();
    let what = format!("{method} {path}: {status} {}", reply.text.chars().take(200).collect::<String>());
    let described = resolved(&operation["responses"][&status]);
    assert!(described.is_object(), "{what}: this status is not described");
    headers(&described["headers"], reply, &what);
    if reply.headers.contains_key("Idempotency-Replayed") && reply.text.is_empty() {
        return;
    }
    let media = reply.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default();
    let Some(contents) = described["content"].as_object() else {
        assert_eq!(reply.text, "", "{what}: nothing is described");
        return;
    };
    if media != "application/json" {
        assert!(contents.contains_key(media), "{what}: {media} is not described");
        return;
    }
    let schema = &contents["application/json"]["schema"];
    let errors: Vec<String> = validator(&format!("{method} {route} {status}"), schema)
        .iter_errors(&reply.json())
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{what} is not as described:\n{}", errors.join("\n"));
}

/// Checks that the headers of an answer are described, and those are there that must be.
fn headers(described: &'static Value, reply: &Reply, what: &str) {
    // A failure that is answered again says so too, whatever it is.
    let replayed = reply.status.is_success().then_some("Idempotency-Replayed");
    for name in ["ETag", "Retry-After", "Location"].into_iter().chain(replayed) {
        let is_there = reply.headers.contains_key(name);
        let header = resolved(&described[name]);
        assert!(header.is_object() || !is_there, "{what}: {name} is not described");
        assert!(is_there || header["required"] != true, "{what}: {name} is described and not there");
    }
}

/// What a reference leads to.
fn resolved(value: &'static Value) -> &'static Value {
    let path = value["$ref"].as_str().and_then(|path| path.strip_prefix('#'));
    path.and_then(|path| DOCUMENT.pointer(path)).unwrap_or(value)
}

/// The operation that serves a request, by the path of its route. One without variables comes first.
fn operation(method: &Method, path: &str) -> Option<(&'static str, &'static Value)> {
    let paths = DOCUMENT["paths"].as_object()?;
    let serves = |route: &str| {
        let (wanted, given) = (route.split('/'), path.split('/'));
        wanted.clone().count() == given.clone().count()
            && wanted.zip(given).all(|(wanted, given)| wanted == given || can_be(&paths[route], wanted, given))
    };
    let route = paths.keys().filter(|route| serves(route)).min_by_key(|route| route.matches('{').count())?;
    let operation = &paths[route][lower(method)];
    operation.is_object().then_some((route.as_str(), operation))
}

/// Whether a variable can be this: anything, or one of what is described.
fn can_be(operations: &Value, variable: &str, given: &str) -> bool {
    let parameters = operations
        .as_object()
        .into_iter()
        .flat_map(|all| all.values())
        .flat_map(|operation| operation["parameters"].as_array().into_iter().flatten());
    let choices = parameters
        .filter(|one| one["in"] == "path" && variable == format!("{{{}}}", one["name"].as_str().unwrap_or_default()))
        .filter_map(|one| one["schema"]["enum"].as_array());
    variable.starts_with('{') && choices.into_iter().all(|choices| choices.iter().any(|choice| choice == given))
}

/// The validator of an answer, made when it is first needed.
fn validator(answer: &str, schema: &Value) -> Arc<Validator> {
    let mut validators = VALIDATORS.lock().expect("no panic while it is locked");
    let make = || {
        let mut root = schema.clone();
        root["components"] = DOCUMENT["components"].clone();
        let options = jsonschema::options().should_validate_formats(true);
        Arc::new(options.build(&root).unwrap_or_else(|error| panic!("{answer}: {error}")))
    };
    Arc::clone(validators.entry(answer.to_owned()).or_insert_with(make))
}

fn lower(method: &Method) -> String {
    method.as_str().to_ascii_lowercase()
}
