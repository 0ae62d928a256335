//! Events as a table of comma separated values (RFC 4180), and as a JSON document for each line.

use api::Shape;
use serde_json::Value;

/// A table with the members of a shape as columns, one event in a row. Lists are one cell.
#[must_use]
pub fn csv(shape: &Shape, rows: &[Value]) -> String {
    let header: Vec<String> = shape.fields.iter().map(|field| field.name.to_owned()).collect();
    let mut text = line(&header);
    for row in rows {
        let cells: Vec<String> =
            shape.fields.iter().map(|field| row.get(field.name).map(cell).unwrap_or_default()).collect();
        text.push_str(&line(&cells));
    }
    text
}

/// One document in each line.
pub(crate) fn ndjson(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect::<Vec<_>>().concat()
}

fn line(cells: &[String]) -> String {
    cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",") + "\r\n"
}

/// A cell in quotes. A text that a spreadsheet would take for a formula has an apostrophe before it: names and reasons are what
/// others typed (OWASP, CSV injection).
fn quoted(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let before = if is_formula { "'" } else { "" };
    format!("\"{before}{}\"", text.replace('"', "\"\""))
}

/// A value as the text of a cell: of a person the name and the e-mail, of other things the name.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(cell).collect();
            items.join("; ")
        }
        Value::Object(members) => match (members.get("name"), members.get("email")) {
            (Some(Value::String(name)), Some(Value::String(email))) => format!("{name} <{email}>").trim().to_owned(),
            (Some(Value::String(name)), None) => name.clone(),
            _ => value.to_string(),
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::{Kind, required};
    use serde_json::json;

    const SHAPE: Shape = Shape {
        name: "Row",
        fields: &[required("id", Kind::Long), required("actor", Kind::Any), required("studies", Kind::Any)],
    };

    #[test]
    fn a_row_has_a_cell_for_each_member() {
        let rows = [
            json!({ "id": 1, "actor": { "id": 2, "name": "Mary", "email": "m@example.com" }, "studies": [{ "id": 3, "name": "A, \"B\"" }, { "id": 4, "name": "C" }], "more": 5 }),
            json!({ "id": 2, "actor": null, "studies": [] }),
        ];
        assert_eq!(
            csv(&SHAPE, &rows),
            "\"id\",\"actor\",\"studies\"\r\n\"1\",\"Mary <m@example.com>\",\"A, \"\"B\"\"; C\"\r\n\"2\",\"\",\"\"\r\n"
        );
        assert_eq!(ndjson(&[json!({ "id": 1 }), json!({ "id": 2 })]), "{\"id\":1}\n{\"id\":2}\n");
    }

    #[test]
    fn what_a_spreadsheet_would_run_is_a_text() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"] {
            assert_eq!(quoted(text), format!("\"'{text}\""));
        }
        assert_eq!(quoted("a=1"), "\"a=1\"");
    }
}
