//! Studies in the shapes of `/api/v1`.

use authz::study::{AccessUntil, StudyStatus};
use jiff::{Timestamp, civil::Date};
use serde::Serialize;
use store::{RetentionPolicy, Study, StudyOrganization};

/// A study; `O` is how its organization is shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown<'a, O> {
    id: i32,
    name: &'a str,
    description: &'a str,
    organization: O,
    icon_url: Option<&'a str>,
    status: StudyStatus,
    starts_on: Option<Date>,
    ends_on: Option<Date>,
    access_until: Option<Timestamp>,
    retention_policy: Option<&'a RetentionPolicy>,
}

impl<'a, O> Shown<'a, O> {
    const fn new(study: &'a Study, organization: O) -> Self {
        Self {
            id: study.id,
            name: study.name.as_str(),
            description: study.description.as_str(),
            organization,
            icon_url: match &study.icon_url {
                Some(url) => Some(url.as_str()),
                None => None,
            },
            status: study.life.status,
            starts_on: study.life.starts_on,
            ends_on: study.life.ends_on,
            access_until: match study.life.access {
                AccessUntil::Until(end) => Some(end),
                AccessUntil::Never | AccessUntil::Always => None,
            },
            retention_policy: study.retention.as_ref(),
        }
    }
}

/// A study as it is read and listed.
#[must_use]
pub const fn read(study: &Study) -> Shown<'_, &StudyOrganization> {
    Shown::new(study, &study.organization)
}

/// A study as it was created or changed: its organization by the id.
#[must_use]
pub const fn changed(study: &Study) -> Shown<'_, i32> {
    Shown::new(study, study.organization.id)
}

/// The study of a row that is about it, and perhaps about a patient.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Of<'a> {
    id: i32,
    name: &'a str,
    description: &'a str,
    icon_url: Option<&'a str>,
    last_updated: Timestamp,
    organization: i32,
    /// This patient, and not everyone in the study: the answer tells nobody who else is, and does not grow with the study.
    patients: Vec<i32>,
}

impl<'a> Of<'a> {
    /// The study of a row that is about this patient, if about any.
    #[must_use]
    pub fn new(study: &'a Study, patient: Option<i32>) -> Self {
        Self {
            id: study.id,
            name: &study.name,
            description: &study.description,
            icon_url: study.icon_url.as_deref(),
            last_updated: study.last_updated,
            organization: study.organization.id,
            patients: patient.into_iter().collect(),
        }
    }
}
