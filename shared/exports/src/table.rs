//! Observations as a table: a row for each, a column for each value of the data point.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use runtime::Failure;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The first columns of every table.
const FIRST: [&str; 8] =
    ["patient_id", "observation_id", "last_updated", "status", "code", "effective_start", "effective_end", "device_id"];

/// What a spreadsheet would take for a formula begins like this.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Observations of a kind, a resource on each line, as CSV (RFC 4180) with a line of names. The columns after the first are the values of the
/// data points' bodies, by their paths: those that the schema has, so that they are the same in every file, and then what else there is.
pub fn csv<T: AsRef<str>>(lines: &[T], code: Option<&str>) -> Result<Vec<u8>, Failure> {
    let (mut rows, mut others) = (Vec::with_capacity(lines.len()), BTreeSet::new());
    for line in lines {
        let resource: Value = serde_json::from_str(line.as_ref()).map_err(internal)?;
        let values = values(&resource);
        others.extend(values.keys().cloned());
        rows.push((first(&resource), values));
    }
    let mut names = code.and_then(omh::columns).unwrap_or_default();
    for name in &names {
        others.remove(name);
    }
    names.extend(others);
    let mut out = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    out.write_record(FIRST.into_iter().chain(names.iter().map(String::as_str))).map_err(internal)?;
    for (first, values) in &rows {
        let rest = names.iter().map(|name| values.get(name).map_or("", String::as_str));
        out.write_record(first.iter().map(String::as_str).chain(rest)).map_err(internal)?;
    }
    out.into_inner().map_err(|error| internal(error.into_error()))
}

fn internal(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::Internal(Box::new(error))
}

fn first(resource: &Value) -> [String; 8] {
    let text = |path: &str| resource.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let id = |path: &str| text(path).rsplit('/').next().unwrap_or_default().to_owned();
    let start = Some(text("/effectivePeriod/start")).filter(|start| !start.is_empty());
    [
        id("/subject/reference"),
        text("/id").to_owned(),
        text("/meta/lastUpdated").to_owned(),
        text("/status").to_owned(),
        harmless(text("/code/coding/0/code")),
        start.unwrap_or_else(|| text("/effectiveDateTime")).to_owned(),
        text("/effectivePeriod/end").to_owned(),
        id("/device/reference"),
    ]
}

/// The values of an observation by their paths: those of its data point's body, or of FHIR's own elements `value` and `component`.
fn values(resource: &Value) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    let data = resource.pointer("/valueAttachment/data").and_then(Value::as_str);
    let point = data.and_then(|data| STANDARD.decode(data).ok());
    let point: Option<Value> = point.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    if let Some(body) = point.as_ref().and_then(|point| point.get("body")) {
        flatten(&mut values, "", body);
    } else {
        let members = resource.as_object().into_iter().flatten();
        for (name, value) in members.filter(|(name, _)| name.starts_with("value") || *name == "component") {
            flatten(&mut values, name, value);
        }
    }
    values
}

/// Objects become columns with their paths, lists a JSON text.
fn flatten(values: &mut BTreeMap<String, String>, path: &str, value: &Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(values, &path, member);
            }
        }
        Value::Null => {}
        Value::String(text) => drop(values.insert(harmless(path), harmless(text))),
        other => drop(values.insert(harmless(path), other.to_string())),
    }
}

/// A text that no spreadsheet takes for a formula. Numbers are not texts, and stay as they are.
fn harmless(text: &str) -> String {
    if text.starts_with(FORMULA) { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(id: &str, body: &Value) -> String {
        let data = STANDARD.encode(json!({ "header": {}, "body": body }).to_string());
        json!({ "resourceType": "Observation", "id": id, "meta": { "lastUpdated": "2026-01-02T00:00:00Z" }, "status": "final",
            "code": { "coding": [{ "code": "omh:heart-rate:2.0" }] }, "subject": { "reference": "Patient/40001" },
            "device": { "reference": "Device/70001" }, "effectiveDateTime": "2026-01-01T00:00:00Z",
            "valueAttachment": { "data": data } })
        .to_string()
    }

    fn table(lines: &[String]) -> String {
        String::from_utf8(csv(lines, None).unwrap()).unwrap()
    }

    #[test]
    fn the_columns_of_a_schema_are_there_whether_a_file_has_them_or_not() {
        let code = Some("omh:heart-rate:2.0");
        let one = line("60001", &json!({ "heart_rate": { "unit": "beats/min", "value": 60 }, "of_its_own": 1 }));
        let text = String::from_utf8(csv(&[one], code).unwrap()).unwrap();
        let head = text.lines().next().unwrap().to_owned();
        let empty = String::from_utf8(csv::<&str>(&[], code).unwrap()).unwrap();
        assert_eq!(format!("{},of_its_own", empty.trim_end()), head);
        assert!(head.contains(",effective_time_frame.date_time,"), "{head}");
    }

    #[test]
    fn a_row_has_what_its_data_point_says_and_nothing_of_another() {
        let rate = line("60001", &json!({ "heart_rate": { "unit": "beats/min", "value": 60 }, "list": [1, "a,b"] }));
        let other =
            line("60002", &json!({ "heart_rate": { "unit": "beats/min", "value": -1.5 }, "note": "a \"b\"\nc" }));
        let head = FIRST.join(",");
        let common = "2026-01-02T00:00:00Z,final,omh:heart-rate:2.0,2026-01-01T00:00:00Z,,70001,beats/min";
        assert_eq!(
            table(&[rate, other]),
            format!(
                "{head},heart_rate.unit,heart_rate.value,list,note\r\n40001,60001,{common},60,\"[1,\"\"a,b\"\"]\",\r\n\
                 40001,60002,{common},-1.5,,\"a \"\"b\"\"\nc\"\r\n"
            )
        );
    }

    #[test]
    fn a_text_is_no_formula() {
        let text = table(&[line("60001", &json!({ "note": "=1+1", "=x": "@y" }))]);
        assert!(text.contains(",'=x,") && text.ends_with(",'@y,'=1+1\r\n"), "{text}");
    }

    #[test]
    fn nothing_is_a_line_of_names() {
        assert_eq!(table(&[]), format!("{}\r\n", FIRST.join(",")));
    }
}
