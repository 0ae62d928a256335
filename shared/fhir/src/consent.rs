//! `Consent` (<https://hl7.org/fhir/R5/consent.html>): a decision of a patient's about one kind of data and one study.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::json::Object;
use crate::resource::reference;
use crate::{SOURCE, USER_ID_SYSTEM, datetime};

/// The actions of R5's REST interface (<https://hl7.org/fhir/R5/codesystem-restful-interaction.html>).
const INTERACTION: &str = "http://hl7.org/fhir/restful-interaction";

const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/consentcategorycodes";
const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent<'a> {
    /// Its number.
    pub id: i64,
    /// The patient.
    pub patient: i32,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// The study.
    pub study: i32,
    /// The study's name.
    pub study_name: &'a str,
    /// The study's organization.
    pub organization: i32,
    /// The code system of the kind of data.
    pub system: &'a str,
    /// The code.
    pub code: &'a str,
    /// The code in words.
    pub text: &'a str,
    /// Whether the study may have the data.
    pub permits: bool,
    /// What may be done with them: codes of R5's interactions.
    pub actions: Vec<&'static str>,
    /// The account of who decided on behalf of the patient, and the reference of the patient's authorization.
    pub on_behalf: Option<(i32, &'a str)>,
    /// Whether the decision counts; another may have taken its place.
    pub in_force: bool,
}

impl Consent<'_> {
    /// Its version. A decision is never changed; that it counts no more is the second version, and the last.
    #[must_use]
    pub const fn version(&self) -> u8 {
        if self.in_force { 1 } else { 2 }
    }

    /// The resource as R5 JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let patient = reference("Patient", self.patient);
        let category = concept(&Object::new().string("system", CATEGORY).string("code", "research").finish());
        let meta = Object::new()
            .string("versionId", &self.version().to_string())
            .string("lastUpdated", &self.decided_at.to_string())
            .string("source", SOURCE);
        let mut consent = Object::resource("Consent")
            .string("id", &self.id.to_string())
            .raw("meta", &meta.finish())
            .string("status", if self.in_force { "active" } else { "inactive" })
            .list("category", &[category])
            .raw("subject", &patient);
        if datetime::text(self.decided_at).is_some() {
            consent = consent.string("date", &self.decided_at.to_zoned(TimeZone::UTC).date().to_string());
        }
        consent = consent.list("grantor", std::slice::from_ref(&patient));
        consent = consent.list("grantee", &[reference("Organization", self.organization)]);
        if let Some((user, authorization)) = self.on_behalf {
            let account = Object::new().string("system", USER_ID_SYSTEM).string("value", &user.to_string()).finish();
            let manager = Object::new().string("type", "Practitioner").raw("identifier", &account).finish();
            // What the decision was taken from: a paper form, a call.
            let source = Object::new().optional("title", Some(authorization));
            consent = consent.list("manager", &[manager]);
            if !source.is_empty() {
                consent = consent.list("sourceAttachment", &[source.finish()]);
            }
        }
        consent
            .string("decision", if self.permits { "permit" } else { "deny" })
            .list("provision", &[self.provision()])
            .finish()
    }

    /// What may be done with which data, and by whom.
    fn provision(&self) -> String {
        let study = Object::new()
            .string("reference", &format!("Group/{}", self.study))
            .optional("display", Some(self.study_name))
            .finish();
        let recipient = concept(&Object::new().string("system", PARTICIPATION).string("code", "IRCP").finish());
        let actor = Object::new().raw("role", &recipient).raw("reference", &study).finish();
        let actions: Vec<String> = self
            .actions
            .iter()
            .map(|code| concept(&Object::new().string("system", INTERACTION).string("code", code).finish()))
            .collect();
        let data = Object::new()
            .string("system", self.system)
            .string("code", self.code)
            .optional("display", Some(self.text))
            .finish();
        Object::new().list("actor", &[actor]).list("action", &actions).list("code", &[concept(&data)]).finish()
    }
}

fn concept(coding: &str) -> String {
    Object::new().list("coding", &[coding.to_owned()]).finish()
}
