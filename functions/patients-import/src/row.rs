//! One row: from fields to a patient.

use api::{Completeness, Kind, Problems, Shape, optional, required, shapes};
use jiff::Timestamp;
use runtime::{Failure, patient::input, rest::Fields};
use store::NewPatient;

/// A patient to be imported: as for `POST /api/v1/patients`, but the organization is that of the import.
const PATIENT: Shape = Shape {
    name: "PatientRow",
    fields: &[
        required("telecomEmail", Kind::Email),
        required("nameFamily", shapes::NAME),
        required("nameGiven", shapes::NAME),
        required("birthDate", Kind::Date),
        optional("telecomPhone", Kind::OrNull(&Kind::Text(30))),
        optional("identifiers", Kind::List(&Kind::Object(&shapes::NEW_IDENTIFIER), 100)),
    ],
};

/// The patient of a row, or what is wrong with it.
pub fn patient(fields: Result<Fields, Problems>, now: Timestamp) -> Result<NewPatient, Problems> {
    let fields = fields?;
    let patient =
        fields.check(&PATIENT, Completeness::Whole).and_then(|()| input::new(&fields, now)).map_err(problems)?;
    let problems = formulas(&patient);
    if problems.is_empty() { Ok(patient) } else { Err(problems) }
}

fn problems(failure: Failure) -> Problems {
    match failure {
        Failure::Fields(problems) => problems,
        _ => whole("The row is not acceptable."),
    }
}

/// A problem of the whole row.
pub fn whole(problem: &str) -> Problems {
    Problems::from([("row".to_owned(), vec![problem.to_owned()])])
}

/// Texts that a spreadsheet would run when somebody opens a table of these patients
/// (<https://owasp.org/www-community/attacks/CSV_Injection>). A telephone number may begin with a plus sign, and so has
/// nothing but what telephone numbers have.
fn formulas(patient: &NewPatient) -> Problems {
    let mut problems = Problems::new();
    let identifiers = patient.identifiers.iter().enumerate().flat_map(|(index, (system, value))| {
        [(format!("identifiers[{index}].system"), system), (format!("identifiers[{index}].value"), value)]
    });
    let names = [
        ("telecomEmail".to_owned(), &patient.telecom_email),
        ("nameFamily".to_owned(), &patient.name_family),
        ("nameGiven".to_owned(), &patient.name_given),
    ];
    for (field, text) in names.into_iter().chain(identifiers) {
        if text.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']) {
            problems.insert(
                field,
                vec!["It must not begin with =, +, - or @: spreadsheets take that for a formula.".to_owned()],
            );
        }
    }
    let is_number =
        |text: &str| text.chars().all(|character| character.is_ascii_digit() || " +-().,/#xX".contains(character));
    if !patient.telecom_phone.as_deref().is_none_or(is_number) {
        problems.insert("telecomPhone".to_owned(), vec!["Enter a telephone number.".to_owned()]);
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(change: impl Fn(&mut Value)) -> Result<NewPatient, String> {
        let mut row = json!({"telecomEmail": "a@example.com", "nameFamily": "F", "nameGiven": "G", "birthDate": "1990-01-01",
            "identifiers": [{"system": "urn:x", "value": "1"}]});
        change(&mut row);
        let fields = Fields::line(row.to_string().as_bytes()).ok_or_else(|| whole("x"));
        patient(fields, "2026-11-21T12:00:00Z".parse().unwrap())
            .map_err(|problems| problems.into_keys().collect::<Vec<_>>().join(","))
    }

    #[test]
    fn a_row_is_a_patient_or_says_what_is_wrong() {
        assert_eq!(read(|_| {}).unwrap().telecom_email, "a@example.com");
        assert_eq!(read(|row| row["birthDate"] = json!("2030-01-01")).unwrap_err(), "birthDate");
        assert_eq!(read(|row| row["organizationId"] = json!(20003)).unwrap_err(), "organizationId");
        assert_eq!(read(|row| *row = json!({})).unwrap_err(), "birthDate,nameFamily,nameGiven,telecomEmail");
        assert_eq!(read(|row| *row = json!([])).unwrap_err(), "row");
    }

    #[test]
    fn what_a_spreadsheet_would_run_is_refused() {
        for text in ["=1+1", "+cmd", "-2", "@SUM(A1)", "＝1"] {
            assert_eq!(read(|row| row["nameFamily"] = json!(text)).unwrap_err(), "nameFamily", "{text}");
            assert_eq!(read(|row| row["nameGiven"] = json!(text)).unwrap_err(), "nameGiven", "{text}");
            let value = read(|row| row["identifiers"][0]["value"] = json!(text)).unwrap_err();
            assert_eq!(value, "identifiers[0].value", "{text}");
        }
        assert_eq!(read(|row| row["telecomEmail"] = json!("=a@example.com")).unwrap_err(), "telecomEmail");
        assert_eq!(read(|row| row["telecomPhone"] = json!("+1|cmd")).unwrap_err(), "telecomPhone");
        assert!(read(|row| row["telecomPhone"] = json!("+1 (157) 915-3889 x2")).is_ok());
        assert!(read(|row| row["nameFamily"] = json!("O'Neill-Smith = x")).is_ok());
    }
}
