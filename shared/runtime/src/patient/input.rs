//! The fields of a patient in a body or in a row of an import.

use crate::{Failure, rest::Fields};
use api::Problems;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use std::collections::BTreeSet;
use store::{NewPatient, PatientChange};

/// The patient that a body of the right shape describes.
pub fn new(fields: &Fields, now: Timestamp) -> Result<NewPatient, Failure> {
    let patient = NewPatient {
        name_family: fields.name("nameFamily")?,
        name_given: fields.name("nameGiven")?,
        birth_date: birth_date(&fields.text("birthDate", 10)?, now)?,
        telecom_phone: fields.optional_text("telecomPhone", 30)?,
        telecom_email: fields.text("telecomEmail", 254)?,
        identifiers: identifiers(fields)?,
    };
    let names = [
        ("telecomEmail", Some(&patient.telecom_email)),
        ("nameFamily", Some(&patient.name_family)),
        ("nameGiven", Some(&patient.name_given)),
    ];
    check_texts(&names, patient.telecom_phone.as_deref(), &patient.identifiers)?;
    Ok(patient)
}

/// What a body of the right shape changes in a patient's record. The identifiers are all that the patient is to have.
pub fn change(fields: &Fields, now: Timestamp) -> Result<PatientChange, Failure> {
    let change = PatientChange {
        name_family: fields.optional_name("nameFamily")?,
        name_given: fields.optional_name("nameGiven")?,
        birth_date: fields.optional_text("birthDate", 10)?.map(|text| birth_date(&text, now)).transpose()?,
        telecom_phone: fields.has("telecomPhone").then(|| fields.optional_text("telecomPhone", 30)).transpose()?,
        telecom_email: fields.optional_text("telecomEmail", 254)?,
        identifiers: fields.has("identifiers").then(|| identifiers(fields)).transpose()?,
    };
    let names = [
        ("telecomEmail", change.telecom_email.as_ref()),
        ("nameFamily", change.name_family.as_ref()),
        ("nameGiven", change.name_given.as_ref()),
    ];
    let phone = change.telecom_phone.as_ref().and_then(Option::as_deref);
    check_texts(&names, phone, change.identifiers.as_deref().unwrap_or_default())?;
    Ok(change)
}

/// Refuses texts that a spreadsheet would run when somebody opens a table of patients
/// (<https://owasp.org/www-community/attacks/CSV_Injection>), however they come. A telephone number may begin with a plus sign, and
/// so has nothing but what telephone numbers have.
fn check_texts(
    names: &[(&str, Option<&String>)],
    phone: Option<&str>,
    identifiers: &[(String, String)],
) -> Result<(), Failure> {
    let names = names.iter().filter_map(|(field, text)| text.map(|text| ((*field).to_owned(), text)));
    let identifiers = identifiers.iter().enumerate().flat_map(|(index, (system, value))| {
        [(format!("identifiers[{index}].system"), system), (format!("identifiers[{index}].value"), value)]
    });
    let mut problems: Problems = names
        .chain(identifiers)
        .filter(|(_, text)| text.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']))
        .map(|(field, _)| {
            (field, vec!["It must not begin with =, +, - or @: spreadsheets take that for a formula.".to_owned()])
        })
        .collect();
    let is_number =
        |text: &str| text.chars().all(|character| character.is_ascii_digit() || " +-().,/#xX".contains(character));
    if !phone.is_none_or(is_number) {
        problems.insert("telecomPhone".to_owned(), vec!["Enter a telephone number.".to_owned()]);
    }
    if problems.is_empty() { Ok(()) } else { Err(Failure::Fields(problems)) }
}

/// A day that is not after today anywhere on Earth.
fn birth_date(text: &str, now: Timestamp) -> Result<Date, Failure> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let latest = today.tomorrow().unwrap_or(today);
    let date = text.parse().ok().filter(|date: &Date| *date <= latest);
    date.ok_or_else(|| Failure::field("birthDate", "It must not be in the future."))
}

fn identifiers(fields: &Fields) -> Result<Vec<(String, String)>, Failure> {
    let items = fields.optional_array("identifiers", 100)?.unwrap_or_default();
    let identifiers = items
        .iter()
        .filter_map(Fields::of)
        .map(|item| Ok((item.text("system", 255)?, item.text("value", 255)?)))
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
    use api::{Completeness, shapes};
    use serde_json::{Value, json};

    fn read(change: impl Fn(&mut Value)) -> Result<NewPatient, Failure> {
        let mut body = json!({"organizationId": 20003, "telecomEmail": "new@example.com", "nameFamily": "F",
            "nameGiven": "G", "birthDate": "1990-01-01"});
        change(&mut body);
        let fields = Fields::of(&body).unwrap();
        fields.check(&shapes::NEW_PATIENT, Completeness::Whole)?;
        new(&fields, "2026-11-21T12:00:00Z".parse().unwrap())
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
        assert_eq!(read(|body| body["telecomPhone"] = Value::Null).unwrap().telecom_phone, None);
    }

    #[test]
    fn every_problem_has_its_fields_name() {
        for field in ["telecomEmail", "nameFamily", "nameGiven", "birthDate"] {
            assert_eq!(refused(|body| drop(body.as_object_mut().unwrap().remove(field))), field);
            assert_eq!(refused(|body| body[field] = json!("")), field);
            assert_eq!(refused(|body| body[field] = json!(5)), field);
            assert_eq!(refused(|body| body[field] = Value::Null), field);
        }
        assert_eq!(refused(|body| body["identifiers"] = json!([5])), "identifiers[0]");
        let twice = json!([{"system": "a", "value": "b"}, {"system": "a"}]);
        assert_eq!(refused(|body| body["identifiers"] = twice.clone()), "identifiers[1].value");
        let repeated =
            json!([{"system": "a", "value": "b"}, {"system": "c", "value": "b"}, {"system": "a", "value": "b "}]);
        assert_eq!(refused(|body| body["identifiers"] = repeated.clone()), "identifiers[2]");
    }

    #[test]
    fn what_a_spreadsheet_would_run_is_refused() {
        for text in ["=1+1", "+cmd", "-2", "@SUM(A1)", "＝1"] {
            assert_eq!(refused(|body| body["nameFamily"] = json!(text)), "nameFamily", "{text}");
            assert_eq!(refused(|body| body["nameGiven"] = json!(text)), "nameGiven", "{text}");
            for member in ["system", "value"] {
                let mut identifier = json!({"system": "urn:x", "value": "1"});
                identifier[member] = json!(text);
                let field = refused(|body| body["identifiers"] = json!([identifier]));
                assert_eq!(field, format!("identifiers[0].{member}"), "{text}");
            }
            let changed = Fields::of(&json!({ "nameGiven": text, "telecomPhone": null })).unwrap();
            assert!(change(&changed, Timestamp::UNIX_EPOCH).is_err(), "{text}");
        }
        assert_eq!(refused(|body| body["telecomEmail"] = json!("=a@example.com")), "telecomEmail");
        assert_eq!(refused(|body| body["telecomPhone"] = json!("+1|cmd")), "telecomPhone");
        assert!(read(|body| body["telecomPhone"] = json!("+1 (157) 915-3889 x2")).is_ok());
        assert!(read(|body| body["nameFamily"] = json!("O'Neill-Smith = x")).is_ok());
    }

    #[test]
    fn nobody_is_born_tomorrow() {
        assert_eq!(refused(|body| body["birthDate"] = json!("2026-11-23")), "birthDate");
        for good in ["2026-11-22", "0001-01-01", "2000-02-29"] {
            assert!(read(|body| body["birthDate"] = json!(good)).is_ok(), "{good}");
        }
    }
}
