//! JSON objects whose members have different names.
//!
//! RFC 8259 section 4: what a receiver makes of a name that comes twice is unpredictable. One that checks the first value and
//! stores the last lets through what it would refuse.

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::{borrow::Cow, collections::HashSet, fmt};

/// Reads a JSON text and keeps nothing of it. It is an error of the category `Data` when an object names a member twice.
pub(crate) fn each_once(text: &[u8]) -> Result<(), serde_json::Error> {
    serde_json::from_slice::<EachOnce>(text).map(|_| ())
}

/// A value in which no object names a member twice.
struct EachOnce;

impl<'de> Deserialize<'de> for EachOnce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for EachOnce {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = members.next_key_seed(Name)? {
            if !names.insert(name) {
                return Err(A::Error::custom("a member twice"));
            }
            members.next_value::<Self>()?;
        }
        Ok(self)
    }
}

/// A name, without escapes; a copy only when it has some.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_once_in_each_object() {
        for text in [
            "{}",
            r#"{"a": 1, "b": {"a": 1}, "c": [{"a": 1.00}, {"a": 1e400}]}"#,
            r#"{"a": null, "A": true, "": -0.0, " ": "a"}"#,
            r#"[1, 1, "a", "a"]"#,
            "12345678901234567890123456789.10",
        ] {
            assert!(each_once(text.as_bytes()).is_ok(), "{text}");
        }
        for text in [
            r#"{"a": 1, "a": 1}"#,
            r#"{"a": 1, "b": 2, "\u0061": 3}"#,
            r#"{"": 1, "": 2}"#,
            r#"[{"b": [{"c": {"d": 1, "e": 2, "d": 3}}]}]"#,
        ] {
            let error = each_once(text.as_bytes()).err().map(|error| error.classify());
            assert_eq!(error, Some(serde_json::error::Category::Data), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_another_error() {
        let deep = "[".repeat(200);
        for text in ["", "{", r#"{"a" 1}"#, "{} {}", deep.as_str()] {
            let error = each_once(text.as_bytes()).err().map(|error| error.classify());
            assert!(error.is_some_and(|category| category != serde_json::error::Category::Data), "{text}");
        }
    }
}
