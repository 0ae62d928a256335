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
    fields.check(&PATIENT, Completeness::Whole).and_then(|()| input::new(&fields, now)).map_err(problems)
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
}
