//! An observation in the shape of `/api/v1`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use fhir::observation::is_of_data_points;
use jiff::Timestamp;
use runtime::Failure;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use store::NamedObservation;

/// An observation.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Body<'a> {
    id: i64,
    subject_patient_id: i32,
    patient_name_family: &'a str,
    patient_name_given: &'a str,
    jhe_user_id: i32,
    codeable_concept_id: i32,
    coding_system: &'a str,
    coding_code: &'a str,
    coding_text: &'a str,
    last_updated: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Cow<'a, str>>,
    omh_data: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fhir_data: Option<Value>,
}

/// The part of a stored resource that says how far it can be relied on.
#[derive(Deserialize)]
struct Reliability<'a> {
    #[serde(borrow, default)]
    status: Option<Cow<'a, str>>,
}

/// The part of the stored resource that holds the data point.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content<'a> {
    #[serde(borrow)]
    value_attachment: Attachment<'a>,
}

#[derive(Deserialize)]
struct Attachment<'a> {
    #[serde(borrow)]
    data: Cow<'a, str>,
}

impl<'a> Body<'a> {
    /// The observation with its data point as an object, or with what FHIR's own elements say.
    pub fn new(observation: &'a NamedObservation) -> Result<Self, Failure> {
        let content = &observation.found.content;
        let (omh_data, fhir_data) = if is_of_data_points(&observation.system) {
            (Some(data_point(content)?), None)
        } else {
            (None, Some(serde_json::from_str(content)?))
        };
        Ok(Self {
            id: observation.found.id,
            subject_patient_id: observation.patient,
            patient_name_family: &observation.name_family,
            patient_name_given: &observation.name_given,
            jhe_user_id: observation.user,
            codeable_concept_id: observation.scope,
            coding_system: &observation.system,
            coding_code: &observation.code,
            coding_text: &observation.text,
            last_updated: observation.found.last_updated,
            status: unusual_status(content)?,
            omh_data,
            fhir_data,
        })
    }
}

/// The status where it is not the usual one. What was withdrawn must not look like what counts.
fn unusual_status(content: &str) -> Result<Option<Cow<'_, str>>, Failure> {
    let said: Reliability<'_> = serde_json::from_str(content)?;
    Ok(said.status.filter(|status| status != "final"))
}

/// The data point of a stored resource. It was checked before it was stored.
fn data_point(content: &str) -> Result<Value, Failure> {
    let content: Content<'_> = serde_json::from_str(content)?;
    let bytes = STANDARD
        .decode(content.value_attachment.data.as_bytes())
        .map_err(|error| Failure::Internal(Box::new(error)))?;
    Ok(serde_json::from_slice(&bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_shown_where_it_is_not_final() {
        assert_eq!(unusual_status(r#"{"status":"final"}"#).unwrap(), None);
        assert_eq!(unusual_status(r#"{"status":"entered-in-error"}"#).unwrap().as_deref(), Some("entered-in-error"));
        assert_eq!(unusual_status("{}").unwrap(), None);
    }

    #[test]
    fn the_data_point_is_what_was_sent_to_the_digit() {
        let point = r#"{"header":{"uuid":"a"},"body":{"x":{"value":1.00,"unit":"kg"}}}"#;
        let content = format!(
            r#"{{"status":"final","valueAttachment":{{"contentType":"application/json","data":"{}"}}}}"#,
            STANDARD.encode(point)
        );
        let point = data_point(&content).unwrap();
        assert_eq!(point["header"]["uuid"], "a");
        assert_eq!(point["body"]["x"]["value"].to_string(), "1.00");
        assert!(matches!(data_point(r#"{"valueAttachment":{"data":"%"}}"#), Err(Failure::Internal(_))));
        assert!(matches!(data_point("{}"), Err(Failure::Internal(_))));
    }
}
