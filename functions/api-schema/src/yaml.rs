//! JSON values as YAML 1.2 (<https://yaml.org/spec/1.2.2/>): blocks for what is nested, and every text in double quotes, of
//! which YAML takes all that JSON writes (section 7.3.1).

use serde_json::Value;
use std::fmt::Write as _;

/// The document as YAML.
pub(crate) fn text(document: &Value) -> String {
    let mut yaml = String::new();
    block(document, 0, &mut yaml);
    yaml
}

/// The members or items of a value, each on lines of its own.
fn block(value: &Value, depth: usize, yaml: &mut String) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let _ = write!(yaml, "{:1$}{2}:", "", depth * 2, Value::from(name.as_str()));
                rest(member, depth + 1, yaml);
            }
        }
        Value::Array(items) => {
            for item in items {
                let _ = write!(yaml, "{:1$}-", "", depth * 2);
                rest(item, depth + 1, yaml);
            }
        }
        scalar => {
            let _ = writeln!(yaml, "{scalar}");
        }
    }
}

/// What comes after a name or a dash.
fn rest(value: &Value, depth: usize, yaml: &mut String) {
    let is_nested = value.as_object().is_some_and(|members| !members.is_empty())
        || value.as_array().is_some_and(|items| !items.is_empty());
    if is_nested {
        yaml.push('\n');
        block(value, depth, yaml);
    } else {
        let _ = writeln!(yaml, " {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_nested_is_indented_and_every_text_is_quoted() {
        let document =
            json!({ "a": { "b": [1, "no", { "c": null }, [true]], "d": {}, "e": [] }, "404": "x: \"y\"\n# z" });
        let expected = [
            "\"404\": \"x: \\\"y\\\"\\n# z\"",
            "\"a\":",
            "  \"b\":",
            "    - 1",
            "    - \"no\"",
            "    -",
            "      \"c\": null",
            "    -",
            "      - true",
            "  \"d\": {}",
            "  \"e\": []",
            "",
        ];
        assert_eq!(text(&document).split('\n').collect::<Vec<_>>(), expected);
    }
}
