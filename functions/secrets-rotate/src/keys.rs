//! The keys of the functions, in the secrets that hold them.
//!
//! Functions keep the secret for minutes, so at any time some know the version before. That is why a key is in the secret as
//! `_next` one rotation before it is used, and as `_previous` one rotation after: what a function makes with it, every other
//! takes. What `factor_key` encrypted is in the database for years, and what `payload_key` wrapped in the vault, so all earlier ones
//! stay. What is put in by hand is never replaced; nor is `origin_key`, for `CloudFront` has to know it first.

use crate::unavailable;
use oauth::{RandomError, Secret};
use runtime::Failure;
use secrecy::{ExposeSecret, SecretString};
use secrets::{Secrets, SecretsError};
use serde_json::{Map, Value};

/// What becomes of a key that was replaced.
#[derive(Clone, Copy)]
pub enum Earlier {
    /// One is kept, under this name.
    One(&'static str),
    /// All are kept, in this list.
    All(&'static str),
}

/// A key, the one that follows it, and what becomes of it.
pub type Turned = (&'static str, &'static str, Earlier);

/// What signs links and forms.
pub const APPLICATION: &[Turned] = &[
    ("link_key", "link_key_next", Earlier::One("link_key_previous")),
    ("form_key", "form_key_next", Earlier::One("form_key_previous")),
];

/// What encrypts second factors.
pub const FACTORS: &[Turned] = &[("factor_key", "factor_key_next", Earlier::All("factor_keys_earlier"))];

/// What wraps the keys of patients.
pub const PAYLOADS: &[Turned] = &[("payload_key", "payload_key_next", Earlier::All("payload_keys_earlier"))];

type Fields = Map<String, Value>;

/// The secret to come: each key moves up, and gets another one to follow it.
pub fn next(keys: &[Turned], current: &SecretString) -> Result<SecretString, Failure> {
    let fields = turned(keys, parse(current)?, || Ok(Secret::generate()?.expose().to_owned()))?;
    Ok(Value::Object(fields).to_string().into())
}

/// Whether the functions can read the secret to come, and it follows what counts now. Somebody may have put another password in
/// meanwhile, which would be lost.
pub fn test(keys: &[Turned], current: &SecretString, pending: &SecretString) -> Result<(), Failure> {
    Secrets::from_json(pending.expose_secret()).map_err(unavailable)?;
    let pending = parse(pending)?;
    // The keys that are new are those of the secret to come; all else has to be as it would be.
    let expected = turned(keys, parse(current)?, || Ok(String::new()))?;
    let same = pending.len() == expected.len()
        && expected.iter().all(|(name, value)| is_new(value) || pending.get(name) == Some(value));
    if same { Ok(()) } else { Err(Failure::Conflict("The secret was changed meanwhile. Rotate it again.")) }
}

fn is_new(value: &Value) -> bool {
    value == ""
}

fn parse(text: &SecretString) -> Result<Fields, Failure> {
    serde_json::from_str(text.expose_secret()).map_err(|_| unavailable(SecretsError::Shape))
}

/// Moves each key up. A key that is not there is made; one that nothing follows yet stays until the next time, for no function
/// would know another.
fn turned(
    keys: &[Turned],
    mut fields: Fields,
    mut random: impl FnMut() -> Result<String, RandomError>,
) -> Result<Fields, Failure> {
    for &(name, next, earlier) in keys {
        match (fields.remove(name), fields.remove(next)) {
            (Some(current), Some(following)) => {
                fields.insert(name.to_owned(), following);
                retire(&mut fields, earlier, current)?;
            }
            (Some(current), None) => drop(fields.insert(name.to_owned(), current)),
            (None, _) => drop(fields.insert(name.to_owned(), random()?.into())),
        }
        fields.insert(next.to_owned(), random()?.into());
    }
    Ok(fields)
}

fn retire(fields: &mut Fields, earlier: Earlier, key: Value) -> Result<(), Failure> {
    match earlier {
        Earlier::One(name) => drop(fields.insert(name.to_owned(), key)),
        Earlier::All(name) => {
            let list = fields.entry(name).or_insert_with(|| Value::Array(Vec::new()));
            list.as_array_mut().ok_or_else(|| unavailable(SecretsError::Shape))?.push(key);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde_json::json;

    /// The keys of all secrets, as one secret may hold them.
    fn all() -> Vec<Turned> {
        [APPLICATION, FACTORS, PAYLOADS].concat()
    }

    fn fields(value: &Value) -> Fields {
        value.as_object().unwrap().clone()
    }

    /// Turns with keys that are named n1, n2, ...
    fn turn(value: &Value) -> Value {
        let mut made = 0;
        let random = || {
            made += 1;
            Ok(format!("n{made}"))
        };
        Value::Object(turned(&all(), fields(value), random).unwrap())
    }

    fn text(value: &Value) -> SecretString {
        value.to_string().into()
    }

    #[test]
    fn the_first_time_what_is_missing_is_added() {
        let made = turn(&json!({ "origin_key": "o", "smtp_password": "s" }));
        let expected = json!({
            "origin_key": "o", "smtp_password": "s", "link_key": "n1", "link_key_next": "n2", "form_key": "n3",
            "form_key_next": "n4", "factor_key": "n5", "factor_key_next": "n6", "payload_key": "n7", "payload_key_next": "n8"
        });
        assert_eq!(made, expected);
    }

    #[test]
    fn each_secret_gets_its_own_keys_and_no_other() {
        for (keys, expected) in [
            (APPLICATION, &["form_key", "form_key_next", "link_key", "link_key_next"][..]),
            (FACTORS, &["factor_key", "factor_key_next"]),
            (PAYLOADS, &["payload_key", "payload_key_next"]),
        ] {
            let made = parse(&next(keys, &text(&json!({}))).unwrap()).unwrap();
            let names: std::collections::BTreeSet<_> = made.keys().map(String::as_str).collect();
            assert_eq!(names, expected.iter().copied().collect());
        }
    }

    #[test]
    fn a_key_that_no_function_knows_is_never_used() {
        // A secret that was made by hand: the keys stay for once.
        let by_hand = json!({ "link_key": "a", "form_key": "b", "factor_key": "c" });
        let first = turn(&by_hand);
        for name in ["link_key", "form_key", "factor_key"] {
            assert_eq!(first[name], by_hand[name]);
        }
        let second = turn(&first);
        for name in ["link_key", "form_key", "factor_key"] {
            assert_eq!(second[name], first[format!("{name}_next")], "{name} was known before");
        }
    }

    #[test]
    fn one_key_before_is_kept_and_of_second_factors_all() {
        let start = json!({
            "link_key": "a1", "link_key_next": "a2", "link_key_previous": "a0", "form_key": "b1", "form_key_next": "b2",
            "factor_key": "c1", "factor_key_next": "c2", "factor_keys_earlier": ["c0"], "origin_key": "o",
            "payload_key": "d1", "payload_key_next": "d2", "payload_keys_earlier": ["d0"], "origin_key_previous": "p", "saml_key": "PEM", "db_password": "d", "more": { "x": 1 }
        });
        let expected = json!({
            "link_key": "a2", "link_key_next": "n1", "link_key_previous": "a1", "form_key": "b2", "form_key_next": "n2",
            "form_key_previous": "b1", "factor_key": "c2", "factor_key_next": "n3", "factor_keys_earlier": ["c0", "c1"],
            "payload_key": "d2", "payload_key_next": "n4", "payload_keys_earlier": ["d0", "d1"], "origin_key": "o", "origin_key_previous": "p", "saml_key": "PEM", "db_password": "d", "more": { "x": 1 }
        });
        assert_eq!(turn(&start), expected);
    }

    #[test]
    fn functions_can_read_every_version() {
        let mut current = text(&json!({ "origin_key": "o" }));
        for round in 0..4 {
            let next = next(&all(), &current).unwrap();
            test(&all(), &current, &next).unwrap();
            let secrets = Secrets::from_json(next.expose_secret()).unwrap();
            assert_eq!(secrets.factor_key().unwrap().others().count(), 1 + round, "all earlier ones and the next");
            assert_eq!(secrets.payload_key().unwrap().others().count(), 1 + round, "all earlier ones and the next");
            assert_eq!(secrets.link_key().unwrap().others().count(), 1 + round.min(1));
            current = next;
        }
    }

    #[test]
    fn what_was_put_in_meanwhile_is_not_lost() {
        let before = text(&json!({ "origin_key": "o", "smtp_password": "first" }));
        let pending = next(&all(), &before).unwrap();
        test(&all(), &before, &pending).unwrap();
        for changed in [
            json!({ "origin_key": "o", "smtp_password": "second" }),
            json!({ "origin_key": "o", "smtp_password": "first", "saml_key": "PEM" }),
            json!({ "origin_key": "o" }),
        ] {
            assert!(matches!(test(&all(), &text(&changed), &pending), Err(Failure::Conflict(_))), "{changed}");
        }
    }

    #[test]
    fn what_functions_cannot_read_does_not_count() {
        let key = STANDARD.encode([1; 32]);
        let current = json!({ "link_key": key, "link_key_next": "no key", "form_key": key, "factor_key": key });
        let pending = next(&all(), &text(&current)).unwrap();
        assert!(matches!(test(&all(), &text(&current), &pending), Err(Failure::Unavailable(_))));
        for wrong in
            [json!([]), json!("text"), json!({ "factor_key": "a", "factor_key_next": "b", "factor_keys_earlier": "c" })]
        {
            assert!(next(&all(), &text(&wrong)).is_err(), "{wrong}");
        }
    }
}
