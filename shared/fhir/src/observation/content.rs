//! From a [`Submission`] to the stored text, and from the stored text to the resource.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::{Effective, Said, Submission};
use crate::auxiliary::SOURCE_BASE;
use crate::json::Object;
use crate::{SOURCE, USER_ID_SYSTEM, datetime};

impl Submission {
    /// The text to store: the resource without `resourceType`, `id` and `meta`.
    ///
    /// `display` words the code if the client did not; `effective` is the time of the data point;
    /// `user_id` is the user who is the patient. The attachment's data is the base64 text as sent.
    /// A time before the year 1 has no R5 form and is left out; the attachment still has it. What is said by FHIR's own
    /// elements has its time among them.
    #[must_use]
    pub fn content(&self, display: Option<&str>, effective: Option<&Effective>, user_id: i32) -> String {
        let identifiers: Vec<String> = self.identifiers.iter().map(super::Identifier::to_json).collect();
        let categories: Vec<String> = self.category.iter().map(super::CodeableConcept::to_json).collect();
        let content = Object::new()
            .list("identifier", &identifiers)
            .string("status", self.status.as_str())
            .list("category", &categories)
            .raw("code", &self.concept.with_display(display).to_json());
        let content = match &self.said {
            Said::DataPoint(..) => with_effective(content, effective),
            Said::Elements(elements) => with_texts(content, elements.texts(true)),
        };
        let content = content
            .optional("issued", self.issued.as_deref())
            .raw("subject", &self.subject_json(Some(user_id)))
            .raw("device", &self.device_json());
        let content = match &self.said {
            Said::DataPoint(attachment, _) => content.raw("valueAttachment", &attachment.to_json()),
            Said::Elements(elements) => with_texts(content, elements.texts(false)),
        };
        content.finish()
    }

    fn subject_json(&self, user_id: Option<i32>) -> String {
        let subject = Object::new().string("reference", &format!("Patient/{}", self.subject));
        let subject = match user_id {
            Some(id) => {
                let identifier = Object::new().string("system", USER_ID_SYSTEM).string("value", &id.to_string());
                subject.raw("identifier", &identifier.finish())
            }
            None => subject,
        };
        subject.optional("display", self.subject_reference.display.as_deref()).finish()
    }

    fn device_json(&self) -> String {
        Object::new()
            .string("reference", &format!("Device/{}", self.device))
            .optional("display", self.device_reference.display.as_deref())
            .finish()
    }
}

fn with_texts<'a>(content: Object, texts: impl Iterator<Item = (&'static str, &'a str)>) -> Object {
    texts.fold(content, |content, (name, text)| content.raw(name, text))
}

fn with_effective(content: Object, effective: Option<&Effective>) -> Object {
    match effective {
        Some(Effective::Instant(at)) => content.optional("effectiveDateTime", datetime::text(*at).as_deref()),
        Some(Effective::Period { start, end }) => {
            let period = Object::new()
                .optional("start", datetime::text(*start).as_deref())
                .optional("end", datetime::text(*end).as_deref());
            if period.is_empty() { content } else { content.raw("effectivePeriod", &period.finish()) }
        }
        None => content,
    }
}

/// What is known of a stored Observation besides its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its id.
    pub id: i64,
    /// Its version, from 1.
    pub version: i32,
    /// When that version was stored.
    pub last_updated: Timestamp,
    /// The FHIR Source that it comes from, if it comes from one.
    pub source: Option<i32>,
}

/// Appends a stored Observation as a resource. Only joins texts: a page of them costs microseconds.
///
/// `content` is what [`Submission::content`] made.
pub fn write_resource(out: &mut String, place: &Place, content: &str) {
    write_head(out, place, "");
    out.push(',');
    out.push_str(content.strip_prefix('{').unwrap_or(content));
}

/// Appends the short form that answers a create: type, id, meta, status, code and subject.
/// The `SUBSETTED` tag says that it is not all (<https://hl7.org/fhir/R5/resource.html#Meta>).
pub fn write_summary(out: &mut String, place: &Place, submission: &Submission) {
    const TAG: &str = concat!(
        r#","tag":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","#,
        r#""code":"SUBSETTED"}]"#
    );
    write_head(out, place, TAG);
    // Writing to a String does not fail.
    let _ = write!(
        out,
        r#","status":"{}","code":{},"subject":{}}}"#,
        submission.status.as_str(),
        submission.concept.to_json(),
        submission.subject_json(None)
    );
}

fn write_head(out: &mut String, place: &Place, tag: &str) {
    let Place { id, version, last_updated, source } = place;
    let _ = write!(
        out,
        r#"{{"resourceType":"Observation","id":"{id}","meta":{{"versionId":"{version}","lastUpdated":"{last_updated}","source":""#
    );
    let _ = match source {
        Some(source) => write!(out, r#"{SOURCE_BASE}{source}"{tag}}}"#),
        None => write!(out, r#"{SOURCE}"{tag}}}"#),
    };
}
