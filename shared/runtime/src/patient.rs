//! What the routes that answer with patients share.

pub mod input;

use crate::{App, Failure, Response, json, rest::List, versioned};
use audit::Context;
use authz::{Actor, PatientId};
use fhir::resource::{BusinessIdentifier, PersonName};
use http::StatusCode;
use store::{Patient, PatientFilter, PatientPage, Reader, Slice};

/// The record of one patient, if the caller may see it; recorded in any case.
pub async fn by_id(app: &App, context: &Context, actor: &Actor, id: PatientId) -> Result<Patient, Failure> {
    let filter = PatientFilter { ids: vec![id.0], slice: Slice::ONE, ..PatientFilter::default() };
    let page = app.store().await?.patients(context, Reader::from(actor), &filter, None).await?;
    // Whatever refused, the caller is told the same: a patient who may not be seen does not exist.
    page.ok().and_then(|page| page.rows.into_iter().next()).ok_or(Failure::NotFound)
}

/// The response with one patient, and its version.
pub fn one(status: StatusCode, patient: &Patient) -> Result<Response, Failure> {
    Ok(versioned(json(status, patient)?, patient.last_updated))
}

/// Which page of the patients a list of `/api/v1` asks for.
#[must_use]
pub fn filter(list: &List) -> PatientFilter {
    PatientFilter { slice: list.slice(), ..PatientFilter::default() }
}

/// The response with a page of patients in the shape of `/api/v1`.
pub async fn list(app: &App, actor: &Actor, list: &List, page: &PatientPage) -> Result<Response, Failure> {
    let next = page.rows.last().filter(|_| page.more).map(|patient| i64::from(patient.id));
    list.page(app, actor.user, page.total.unwrap_or(0), &page.rows, next).await
}

/// A patient as a FHIR resource.
#[must_use]
pub fn resource(patient: &Patient) -> String {
    fhir::patient::Patient {
        id: patient.id,
        last_updated: patient.last_updated,
        identifiers: patient
            .identifiers
            .iter()
            .map(|identifier| BusinessIdentifier {
                system: Some(identifier.system.clone()),
                value: identifier.value.clone(),
            })
            .collect(),
        name: PersonName { family: Some(patient.name_family.clone()), given: Some(patient.name_given.clone()) },
        birth_date: Some(patient.birth_date),
        phone: patient.telecom_phone.clone(),
        email: Some(patient.telecom_email.clone()),
    }
    .to_json()
}
