//! The response to an enrolment.

use jiff::{Timestamp, civil::Date};
use runtime::study::Of;
use serde::Serialize;
use store::{Enrolment, Study};

/// The enrolments asked for, new or not.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Enrolled<'a> {
    study_patients: Vec<StudyPatient<'a>>,
}

#[derive(Serialize)]
struct StudyPatient<'a> {
    id: i32,
    study: Of<'a>,
    patient: PatientBody<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PatientBody<'a> {
    id: i32,
    name_family: &'a str,
    name_given: &'a str,
    birth_date: Date,
    telecom_phone: Option<&'a str>,
    last_updated: Timestamp,
    jhe_user: i32,
    organizations: Vec<i32>,
}

impl<'a> Enrolled<'a> {
    /// The enrolments in a study.
    #[must_use]
    pub fn new(study: &'a Study, enrolments: &'a [Enrolment]) -> Self {
        let study_patients = enrolments
            .iter()
            .map(|Enrolment { id, patient }| StudyPatient {
                id: *id,
                study: Of::new(study, Some(patient.id)),
                patient: PatientBody {
                    id: patient.id,
                    name_family: &patient.name_family,
                    name_given: &patient.name_given,
                    birth_date: patient.birth_date,
                    telecom_phone: patient.telecom_phone.as_deref(),
                    last_updated: patient.last_updated,
                    jhe_user: patient.jhe_user_id,
                    organizations: patient.organizations.iter().map(|organization| organization.id).collect(),
                },
            })
            .collect();
        Self { study_patients }
    }
}
