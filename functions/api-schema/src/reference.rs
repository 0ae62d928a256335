//! The description as a page: every operation, and every object by its name.

use runtime::pages::escape;
use serde_json::{Map, Value};

/// The body of the page.
pub(crate) fn page(document: &Value) -> String {
    let operations: String = members(&document["paths"])
        .flat_map(|(path, methods)| {
            members(methods).map(move |(method, described)| operation(document, method, path, described))
        })
        .collect();
    let objects: String = document
        .pointer("/components/schemas")
        .into_iter()
        .flat_map(members)
        .map(|(name, schema)| object(name, schema))
        .collect();
    format!(
        "<p>Every route, with who may call it, what it takes and what it answers. Tokens are sent as \
         <code>Authorization: Bearer</code>. The same as OpenAPI 3.1: <a href=\"/api/schema\">/api/schema</a>.</p>\
         <h2>Operations</h2>{operations}<h2 id=\"objects\">Objects</h2>{objects}"
    )
}

fn operation(document: &Value, method: &str, path: &str, described: &Value) -> String {
    let parameters: String = list(&described["parameters"]).map(|one| parameter(resolved(document, one))).collect();
    let parameters = table("Parameters", &parameters);
    let body = match schema(&described["requestBody"]) {
        None => String::new(),
        Some(schema) => format!("<p>Takes {}</p>{}", kind(schema), fields(schema)),
    };
    let (done, failed): (Vec<_>, Vec<_>) =
        members(&described["responses"]).partition(|(status, _)| status.starts_with('2'));
    let answers: String = done.into_iter().map(|(status, answered)| answer(status, answered)).collect();
    let failed: Vec<&str> = failed.into_iter().map(|(status, _)| status.as_str()).collect();
    format!(
        "<details><summary><code>{} {}</code> {}</summary><p>{}</p>{parameters}{body}{answers}\
         <p>Fails with <code>{}</code></p></details>",
        escape(&method.to_uppercase()),
        escape(path),
        text(&described["summary"]),
        text(&described["description"]),
        escape(&failed.join(", ")),
    )
}

/// What a reference leads to.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let path = value["$ref"].as_str().and_then(|path| path.strip_prefix('#'));
    path.and_then(|path| document.pointer(path)).unwrap_or(value)
}

fn answer(status: &str, described: &Value) -> String {
    format!("<p>Answers <code>{status}</code> {}</p>", schema(described).map_or_else(String::new, kind))
}

fn parameter(parameter: &Value) -> String {
    row(&parameter["name"], &parameter["schema"], parameter["required"] == true, &parameter["description"])
}

fn object(name: &str, schema: &Value) -> String {
    format!("<h3 id=\"{0}\">{0}</h3>{1}", escape(name), fields(schema))
}

/// The members of an object, if it names them.
fn fields(schema: &Value) -> String {
    let is_required = |name: &str| list(&schema["required"]).any(|required| required == name);
    let rows: String = members(&schema["properties"])
        .map(|(name, member)| row(&name.as_str().into(), member, is_required(name), &member["description"]))
        .collect();
    table("Members", &rows)
}

fn table(caption: &str, rows: &str) -> String {
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "<table><caption>{caption}</caption><thead><tr><th scope=\"col\">Name</th><th scope=\"col\">Type</th>\
         <th scope=\"col\">Meaning</th></tr></thead><tbody>{rows}</tbody></table>"
    )
}

fn row(name: &Value, schema: &Value, required: bool, about: &Value) -> String {
    let required = if required { "" } else { "<br>may be absent" };
    format!(
        "<tr><th scope=\"row\"><code>{}</code></th><td>{}{required}</td><td>{}</td></tr>",
        text(name),
        kind(schema),
        text(about)
    )
}

/// The type of a value in words.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return format!("<a href=\"#{0}\">{0}</a>", escape(name));
    }
    if let Some(choices) = schema["enum"].as_array() {
        let choices: Vec<String> = choices.iter().map(|choice| format!("<code>{}</code>", text(choice))).collect();
        return format!("one of {}", choices.join(", "));
    }
    if schema["anyOf"].is_array() {
        return list(&schema["anyOf"]).map(kind).collect::<Vec<_>>().join(" or ");
    }
    let name = match &schema["type"] {
        Value::Array(types) => types.iter().map(text).collect::<Vec<_>>().join(" or "),
        one => text(one),
    };
    if name == "array" {
        return format!("list of {}", kind(&schema["items"]));
    }
    if let Some(item) = schema.pointer("/properties/results/items") {
        return format!("a page of {}", kind(item));
    }
    let format = schema["format"].as_str().filter(|format| !format.starts_with("int"));
    format.map_or(name, escape)
}

/// The schema of a body or an answer.
fn schema(of: &Value) -> Option<&Value> {
    of["content"].as_object()?.values().next().map(|content| &content["schema"])
}

fn text(value: &Value) -> String {
    value.as_str().map(escape).unwrap_or_default()
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_described_is_shown_and_never_markup() {
        let page = page(&json!({
            "paths": { "/things/{id}": { "get": {
                "summary": "One <thing>", "description": "Anybody & everybody",
                "parameters": [{ "name": "id", "required": true, "schema": { "type": "integer", "format": "int32" } },
                               { "$ref": "#/components/parameters/Reason" }],
                "responses": {
                    "200": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Thing" } } } },
                    "404": {} } } } },
            "components": {
                "parameters": { "Reason": { "name": "X-Why", "description": "Why", "schema": { "type": "string" } } },
                "schemas": { "Thing": { "required": ["at"], "properties": {
                "at": { "type": "string", "format": "date-time" },
                "state": { "enum": ["on", "off"] },
                "other": { "anyOf": [{ "type": "array", "items": { "$ref": "#/components/schemas/Thing" } }, { "type": "null" }] },
            } } } },
        }));
        for shown in [
            "One &lt;thing&gt;",
            "Anybody &amp; everybody",
            "<a href=\"#Thing\">Thing</a>",
            "date-time</td>",
            "one of <code>on</code>, <code>off</code><br>may be absent",
            "list of <a href=\"#Thing\">Thing</a> or null",
            "<code>X-Why</code></th><td>string<br>may be absent</td><td>Why",
            "Fails with <code>404</code>",
        ] {
            assert!(page.contains(shown), "{shown}: {page}");
        }
    }
}
