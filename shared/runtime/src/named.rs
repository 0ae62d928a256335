//! What a request is about, as far as its method and its path say.

use crate::Request;
use audit::{Action, Target};
use authz::{OrganizationId, PatientId, StudyId, UserId};
use http::Method;

/// The routes of `/api/v1` by their first segment, and what the audit calls what they are about.
const REST: [(&str, &str); 14] = [
    ("audit-events", "AuditEvent"),
    ("clients", "Client"),
    ("data_sources", "Device"),
    ("fhir_sources", "FhirSource"),
    ("invitation", "Invitation"),
    ("jhe_settings", "Setting"),
    ("observations", "Observation"),
    ("organizations", "Organization"),
    ("patients", "Patient"),
    ("practitioner_clients", "Client"),
    ("practitioners", "Practitioner"),
    ("studies", "Group"),
    ("users", "User"),
    ("consents", "Consent"),
];

/// The resource types of FHIR routes that have functions of their own.
const FHIR: [&str; 8] =
    ["AuditEvent", "Consent", "Device", "Group", "Observation", "Organization", "Patient", "Practitioner"];

impl Request {
    /// What is done: a search that is sent by POST is a search.
    pub(crate) fn action(&self) -> Action {
        let ends_with_id = self.variable("id").is_some_and(|id| self.path().rsplit('/').next() == Some(id));
        match *self.method() {
            Method::GET | Method::HEAD if ends_with_id => Action::Read,
            Method::GET | Method::HEAD => Action::Search,
            Method::PUT | Method::PATCH => Action::Update,
            Method::DELETE => Action::Delete,
            _ if segments(self.path()).last() == Some("_search") => Action::Search,
            _ => Action::Create,
        }
    }

    /// What the audit calls what the path is about.
    pub(crate) fn subject(&self) -> &'static str {
        let parts: Vec<&str> = segments(self.path()).collect();
        let found = match parts.as_slice() {
            ["api", "v1", first, ..] => REST.iter().find(|(name, _)| name == first).map(|(_, subject)| *subject),
            [_, _, kind, ..] if is_fhir(&parts) => {
                FHIR.iter().find(|name| *name == kind).copied().or_else(|| fhir::auxiliary::kind(kind).ok())
            }
            _ => None,
        };
        found.unwrap_or("Request")
    }

    /// Who and what the path names.
    pub(crate) fn named(&self) -> Target {
        let parts: Vec<&str> = segments(self.path()).collect();
        let (kind, id) = match parts.as_slice() {
            ["api", "v1", kind, id, ..] => (*kind, *id),
            [_, _, kind, id, ..] if is_fhir(&parts) => (*kind, *id),
            _ => return Target::nothing(),
        };
        let Ok(id) = id.parse() else { return Target::nothing() };
        match kind {
            "patients" | "Patient" => Target::patient(PatientId(id)),
            "studies" | "Group" => Target::study(StudyId(id)),
            "organizations" | "Organization" => Target::organization(OrganizationId(id)),
            "users" => Target::user(UserId(id)),
            _ => Target::nothing(),
        }
    }
}

/// Whether the path is one of FHIR's base, in either spelling.
pub(crate) fn is_fhir(segments: &[&str]) -> bool {
    matches!(segments, [fhir, release, ..] if fhir.eq_ignore_ascii_case("fhir") && release.eq_ignore_ascii_case("r5"))
}

/// The parts of a path.
pub(crate) fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RequestParts;
    use http::HeaderMap;
    use std::collections::HashMap;

    fn request(method: Method, path: &str) -> Request {
        let last = path.rsplit('/').next().unwrap_or_default();
        let id = last.parse::<i32>().ok().map(|_| ("id".to_owned(), last.to_owned()));
        Request::from(RequestParts {
            method,
            path: path.to_owned(),
            variables: id.into_iter().collect::<HashMap<_, _>>(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: bytes::Bytes::new(),
            source: None,
            id: "r".to_owned(),
        })
    }

    #[test]
    fn a_path_says_what_a_request_is_about() {
        for (method, path, action, subject, target) in [
            (Method::GET, "/api/v1/studies", Action::Search, "Group", Target::nothing()),
            (Method::GET, "/api/v1/studies/30001", Action::Read, "Group", Target::study(StudyId(30001))),
            (Method::PATCH, "/api/v1/clients/5", Action::Update, "Client", Target::nothing()),
            (Method::DELETE, "/api/v1/users/10006", Action::Delete, "User", Target::user(UserId(10006))),
            (
                Method::POST,
                "/api/v1/patients/40001/consents",
                Action::Create,
                "Patient",
                Target::patient(PatientId(40001)),
            ),
            (Method::GET, "/fhir/r5/Patient/40001", Action::Read, "Patient", Target::patient(PatientId(40001))),
            (Method::POST, "/FHIR/R5/Group/_search", Action::Search, "Group", Target::nothing()),
            (Method::GET, "/FHIR/R5/QuestionnaireResponse", Action::Search, "QuestionnaireResponse", Target::nothing()),
            (Method::GET, "/FHIR/R5/nonsense", Action::Search, "Request", Target::nothing()),
            (Method::GET, "/o/userinfo/", Action::Search, "Request", Target::nothing()),
            (Method::GET, "/api/v1/patients/me", Action::Search, "Patient", Target::nothing()),
        ] {
            let request = request(method, path);
            assert_eq!((request.action(), request.subject()), (action, subject), "{path}");
            assert_eq!(request.named(), target, "{path}");
        }
    }
}
