//! The fields of a new patient.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use runtime::{Failure, rest::Fields};
use std::collections::BTreeSet;
use store::NewPatient;

const KNOWN: [&str; 7] =
    ["organizationId", "telecomEmail", "telecomPhone", "nameFamily", "nameGiven", "birthDate", "identifiers"];

/// The patient that the body describes.
pub fn patient(fields: &Fields, now: Timestamp) -> Result<NewPatient, Failure> {
    fields.only(&KNOWN)?;
    let telecom_email = fields.text("telecomEmail", 254)?;
    if !is_email(&telecom_email) {
        return Err(Failure::field("telecomEmail", "Enter a valid email address."));
    }
    Ok(NewPatient {
        name_family: fields.text("nameFamily", 150)?,
        name_given: fields.text("nameGiven", 150)?,
        birth_date: birth_date(&fields.text("birthDate", 10)?, now)?,
        telecom_phone: fields.optional_text("telecomPhone", 30)?,
        telecom_email,
        identifiers: identifiers(fields)?,
    })
}

/// A mailbox of RFC 5321 in its common form: no quotes, no address literal, a domain with a dot.
fn is_email(text: &str) -> bool {
    let atom = |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte);
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.split_once('@').is_some_and(|(local, domain)| {
        (1..=64).contains(&local.len())
            && local.bytes().all(atom)
            && local.split('.').all(|part| !part.is_empty())
            && domain.contains('.')
            && domain.split('.').all(label)
    })
}

/// A day written `YYYY-MM-DD`, not after today anywhere on Earth.
fn birth_date(text: &str, now: Timestamp) -> Result<Date, Failure> {
    let problem = || Failure::field("birthDate", "Enter a valid date, as in 1990-01-31.");
    let written =
        |(index, byte): (usize, u8)| if matches!(index, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() };
    if text.len() != 10 || !text.bytes().enumerate().all(written) {
        return Err(problem());
    }
    let date: Date = text.parse().map_err(|_| problem())?;
    let today = now.to_zoned(TimeZone::UTC).date();
    if date.year() < 1 || date > today.tomorrow().unwrap_or(today) {
        return Err(problem());
    }
    Ok(date)
}

fn identifiers(fields: &Fields) -> Result<Vec<(String, String)>, Failure> {
    let Some(items) = fields.optional_array("identifiers", 100)? else { return Ok(Vec::new()) };
    let identifiers = items
        .iter()
        .enumerate()
        .map(|(index, item)| {
            let at = |name: &str| format!("identifiers[{index}].{name}");
            let item = Fields::of(item)
                .ok_or_else(|| Failure::field(&format!("identifiers[{index}]"), "Expected an object."))?;
            item.only(&["system", "value"]).map_err(|_| {
                Failure::field(&format!("identifiers[{index}]"), "Expected system and value, and nothing else.")
            })?;
            let text = |name: &str, limit| {
                item.text(name, limit)
                    .map_err(|_| Failure::field(&at(name), "A text of 1 to 255 characters is required."))
            };
            Ok((text("system", 255)?, text("value", 255)?))
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let mut seen = BTreeSet::new();
    match identifiers.iter().position(|identifier| !seen.insert(identifier)) {
        Some(index) => Err(Failure::field(&format!("identifiers[{index}]"), "It is given more than once.")),
        None => Ok(identifiers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(change: impl Fn(&mut Value)) -> Result<NewPatient, Failure> {
        let mut body = json!({"organizationId": 20003, "telecomEmail": "new@example.com", "nameFamily": "F",
            "nameGiven": "G", "birthDate": "1990-01-01"});
        change(&mut body);
        patient(&Fields::of(&body).unwrap(), "2026-11-21T12:00:00Z".parse().unwrap())
    }

    fn refused(change: impl Fn(&mut Value)) -> String {
        match read(change) {
            Err(Failure::Fields(fields)) => fields.into_keys().collect::<Vec<_>>().join(","),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_documented_body_is_accepted() {
        let patient = read(|body| {
            body["identifiers"] = json!([{"system": "urn:oid:1.2.3.4", "value": "E1"}]);
            body["telecomPhone"] = json!("+1-157-915-3889");
        })
        .unwrap();
        assert_eq!(patient.birth_date.to_string(), "1990-01-01");
        assert_eq!(patient.identifiers, [("urn:oid:1.2.3.4".to_owned(), "E1".to_owned())]);
        assert_eq!(patient.telecom_phone.as_deref(), Some("+1-157-915-3889"));
        assert!(read(|_| {}).unwrap().identifiers.is_empty());
    }

    #[test]
    fn every_problem_has_its_fields_name() {
        for field in ["telecomEmail", "nameFamily", "nameGiven", "birthDate"] {
            assert_eq!(refused(|body| drop(body.as_object_mut().unwrap().remove(field))), field);
            assert_eq!(refused(|body| body[field] = json!("")), field);
            assert_eq!(refused(|body| body[field] = json!(5)), field);
            assert_eq!(refused(|body| body[field] = Value::Null), field);
        }
        assert_eq!(refused(|body| body["isAdmin"] = json!(true)), "isAdmin");
        assert_eq!(refused(|body| body["identifiers"] = json!({})), "identifiers");
        assert_eq!(refused(|body| body["identifiers"] = json!([5])), "identifiers[0]");
        let twice = json!([{"system": "a", "value": "b"}, {"system": "a"}]);
        assert_eq!(refused(|body| body["identifiers"] = twice.clone()), "identifiers[1].value");
        let repeated =
            json!([{"system": "a", "value": "b"}, {"system": "c", "value": "b"}, {"system": "a", "value": "b "}]);
        assert_eq!(refused(|body| body["identifiers"] = repeated.clone()), "identifiers[2]");
        let more = json!([{"system": "a", "value": "b", "id": 1}]);
        assert_eq!(refused(|body| body["identifiers"] = more.clone()), "identifiers[0]");
    }

    #[test]
    fn dates_are_days_that_were() {
        for bad in ["1990-02-30", "19900101", "1990-1-1", "2026-11-23", "0000-01-01", "-990-01-01", "1990-01-01T00:00Z"]
        {
            assert_eq!(refused(|body| body["birthDate"] = json!(bad)), "birthDate", "{bad}");
        }
        for good in ["2026-11-22", "0001-01-01", "2000-02-29"] {
            assert!(read(|body| body["birthDate"] = json!(good)).is_ok(), "{good}");
        }
    }

    #[test]
    fn addresses() {
        for good in ["a@b.c", "first.last+tag@mail.example.com", "o'neil@example.org"] {
            assert!(is_email(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "a@",
            "@b.c",
            "a@b",
            "a@b..c",
            ".a@b.c",
            "a b@c.d",
            "a@b.c@d.e",
            "a@-b.c",
            "a@b_c.d",
            "\u{e9}@b.c",
            "a<@b.c",
        ] {
            assert!(!is_email(bad), "{bad}");
        }
    }
}
