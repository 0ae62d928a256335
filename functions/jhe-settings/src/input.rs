//! Settings as they are sent.

use api::{Kind, Shape, required};
use runtime::Failure;
use serde_json::Value;

/// The types of values.
pub const TYPE: Kind = Kind::OneOf(&["string", "int", "bool", "float", "json"]);

/// A setting to be kept.
pub const NEW: Shape = Shape {
    name: "NewSetting",
    fields: &[
        required("key", Kind::Text(100)).about("Small letters, digits, `.`, `_` and `-`. Not the name of a secret."),
        required("valueType", TYPE),
        required("value", Kind::Any).about("Of that type, or a text that can be read as it."),
    ],
};

/// What the name of a secret has in it.
const SECRET: [&str; 6] = ["secret", "password", "passwd", "private_key", "credential", "api_key"];

/// The longest value, as JSON.
const LONGEST: usize = 10_000;

/// A key that a setting may have.
pub fn key(text: &str) -> Result<String, Failure> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    if !text.bytes().all(is_plain) {
        return Err(Failure::field("key", "Use small letters, digits, dots, underscores and hyphens."));
    }
    let plain = text.replace('-', "_");
    if SECRET.iter().any(|name| plain.contains(name)) {
        return Err(Failure::field("key", "Secrets are not kept in settings."));
    }
    Ok(text.to_owned())
}

/// A value of a type. Forms send texts: a number, a truth value or JSON may be one.
pub fn value(kind: &str, sent: &Value) -> Result<Value, Failure> {
    let parsed = || sent.as_str().and_then(|text| serde_json::from_str::<Value>(text.trim()).ok());
    let typed = |fits: fn(&Value) -> bool| Some(sent.clone()).filter(fits).or_else(|| parsed().filter(fits));
    let value = match kind {
        "string" => Some(sent.clone()).filter(Value::is_string),
        "int" => typed(|value| value.as_i64().is_some()),
        "float" => typed(|value| value.as_f64().is_some_and(f64::is_finite)),
        "bool" => typed(Value::is_boolean),
        _ => Some(if sent.is_string() { parsed().unwrap_or_else(|| sent.clone()) } else { sent.clone() }),
    };
    let value = value.ok_or_else(|| Failure::field("value", "It is not of this type."))?;
    if value.to_string().len() > LONGEST {
        return Err(Failure::field("value", "It is too long."));
    }
    // The database keeps no NUL in JSON.
    if value.to_string().contains("\\u0000") {
        return Err(Failure::field("value", "Null characters are not allowed."));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_has_its_type() {
        for (kind, sent, expected) in [
            ("string", json!("v"), Some(json!("v"))),
            ("string", json!("5"), Some(json!("5"))),
            ("string", json!(5), None),
            ("int", json!(5), Some(json!(5))),
            ("int", json!(" 5 "), Some(json!(5))),
            ("int", json!("5.5"), None),
            ("int", json!("five"), None),
            ("int", json!(true), None),
            ("float", json!("0.25"), Some(json!(0.25))),
            ("float", json!(2), Some(json!(2))),
            ("float", json!("NaN"), None),
            ("bool", json!(false), Some(json!(false))),
            ("bool", json!("true"), Some(json!(true))),
            ("bool", json!("yes"), None),
            ("json", json!({"a": [1]}), Some(json!({"a": [1]}))),
            ("json", json!("{\"a\": 1}"), Some(json!({"a": 1}))),
            ("json", json!("text"), Some(json!("text"))),
            ("json", json!("\"a\\u0000\""), None),
            ("string", json!("x".repeat(LONGEST)), None),
        ] {
            assert_eq!(value(kind, &sent).ok(), expected, "{kind} {sent:.40}");
        }
    }

    #[test]
    fn a_key_is_plain_and_no_secrets() {
        for good in ["site.ui.title", "k", "a-b_c.1"] {
            assert!(key(good).is_ok(), "{good}");
        }
        for bad in ["Site", "a b", "ä", "auth.private_key", "saml.private-key", "smtp.password", "client_secret.x"] {
            assert!(key(bad).is_err(), "{bad}");
        }
    }
}
