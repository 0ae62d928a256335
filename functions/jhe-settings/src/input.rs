//! Settings as they are sent.

use api::{
    Completeness, Kind, Shape, required,
    shapes::brand::{BRANDS, BRANDS_KEY},
};
use runtime::Failure;
use serde_json::{Map, Value};

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

/// The longest catalogue of facilities, as JSON.
const LONGEST_BRANDS: usize = 1_000_000;

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

/// Where a facility's records are read from. Everybody reads it: no user or password is part of it.
fn is_https(brand: &Value) -> bool {
    let url = brand.get("fhirBaseUrl").and_then(Value::as_str).unwrap_or_default();
    let authority =
        |rest: &str| rest.split(['/', '?', '#']).next().is_some_and(|host| !host.is_empty() && !host.contains('@'));
    url.strip_prefix("https://").is_some_and(|rest| authority(rest) && !rest.contains(char::is_whitespace))
}

/// Refuses a catalogue of facilities that apps could not use.
pub fn check_brands(key: &str, kind: &str, value: &Value) -> Result<(), Failure> {
    if key != BRANDS_KEY {
        return Ok(());
    }
    let mut sent = Map::new();
    sent.insert("value".to_owned(), value.clone());
    let problems = BRANDS.problems(&sent, Completeness::Whole);
    if kind != "json" {
        Err(Failure::field("valueType", "The facilities are json."))
    } else if !problems.is_empty() {
        Err(Failure::Fields(problems))
    } else if value.as_array().is_some_and(|brands| brands.iter().all(is_https)) {
        Ok(())
    } else {
        Err(Failure::field("value", "The URL of each facility must begin with https://."))
    }
}

/// A value of a type. Forms send texts: a number, a truth value or JSON may be one.
pub fn value(key: &str, kind: &str, sent: &Value) -> Result<Value, Failure> {
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
    let longest = if key == BRANDS_KEY { LONGEST_BRANDS } else { LONGEST };
    if value.to_string().len() > longest {
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
            assert_eq!(value("k", kind, &sent).ok(), expected, "{kind} {sent:.40}");
        }
    }

    #[test]
    fn facilities_are_a_list_that_apps_can_use() {
        let good = json!({ "facilityName": "Clinic", "fhirBaseUrl": "https://a.example/R4", "city": "" });
        for (kind, value, is_good) in [
            ("json", json!([good]), true),
            ("json", json!([]), true),
            ("json", json!({}), false),
            ("string", json!("[]"), false),
            ("json", json!([{ "facilityName": "Clinic" }]), false),
            ("json", json!([{ "facilityName": "Clinic", "fhirBaseUrl": "http://a.example" }]), false),
            ("json", json!([{ "facilityName": "Clinic", "fhirBaseUrl": "https://u:p@a.example" }]), false),
            ("json", json!([{ "facilityName": "Clinic", "fhirBaseUrl": "https://a.example", "x": 1 }]), false),
        ] {
            assert_eq!(check_brands(BRANDS_KEY, kind, &value).is_ok(), is_good, "{value}");
            assert!(check_brands("another", kind, &value).is_ok());
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
