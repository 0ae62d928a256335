//! `X-JHE-Reason`: why somebody asks, in their own words. It is kept in the audit, and the patients concerned can read it. A
//! deployment can require it of super admins (`REASON_REQUIRED`), to whom nobody else's rules apply. Operators say theirs with
//! the command.

use crate::{
    App, Failure, Occasion, Request,
    named::{is_fhir, segments},
};
use audit::RefusedBy;
use authz::Actor;
use http::{HeaderName, Method};

const REASON: HeaderName = HeaderName::from_static("x-jhe-reason");

/// The longest reason, in characters.
const LONGEST: usize = 200;

/// Whether a text can be kept as a reason.
fn is_reason(text: &str) -> bool {
    (1..=LONGEST).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

impl Occasion {
    /// The reason that an operator gave, if one is there.
    pub fn reason(&self) -> Result<Option<String>, Failure> {
        let Some(reason) = self.text("reason") else { return Ok(None) };
        if !is_reason(reason) {
            return Err(Failure::Invalid("A reason has 1 to 200 characters without control characters.".to_owned()));
        }
        Ok(Some(reason.to_owned()))
    }
}

impl Request {
    /// The reason that came with the request, if one did.
    pub fn reason(&self) -> Result<Option<&str>, Failure> {
        let mut values = self.headers().get_all(REASON).iter();
        let Some(value) = values.next() else { return Ok(None) };
        std::str::from_utf8(value.as_bytes())
            .ok()
            .map(|text| text.trim_matches(' '))
            .filter(|text| is_reason(text))
            .filter(|_| values.next().is_none())
            .map(Some)
            .ok_or_else(|| {
                Failure::Invalid(
                    "X-JHE-Reason has to be one text of 1 to 200 characters without control characters.".to_owned(),
                )
            })
    }

    /// Refuses a super admin who does not say why, where the deployment wants to know. The refusal is recorded.
    pub(crate) async fn explained(&self, app: &App, actor: &Actor) -> Result<(), Failure> {
        let is_free = !app.settings.reason_required || !actor.is_privileged();
        if is_free || self.reason()?.is_some() || is_about_nobody(self.method(), self.path()) {
            return Ok(());
        }
        let context = self.audit(Some(actor), self.action(), "Request");
        app.store().await?.record_refusal(&context, &self.named(), RefusedBy::Invalid).await?;
        Err(Failure::Forbidden("A super admin has to say why, in the header X-JHE-Reason."))
    }
}

/// Whether a request changes nothing and shows nobody's data. What is not listed here does.
fn is_about_nobody(method: &Method, path: &str) -> bool {
    if ![Method::GET, Method::HEAD].contains(method) {
        return false;
    }
    let segments: Vec<&str> = segments(path).collect();
    match segments.as_slice() {
        // The caller's own record.
        ["o", "userinfo"] | ["api", "v1", "users", "profile"] => true,
        ["api", "v1", list] | ["api", "v1", list, _] => {
            ["clients", "data_sources", "jhe_settings", "organizations", "studies"].contains(list)
        }
        [_, _, resource, ..] if is_fhir(&segments) => ["Device", "Organization", "metadata"].contains(resource),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RequestParts;
    use http::{HeaderMap, HeaderValue};
    use std::collections::HashMap;

    fn reason(values: &[&[u8]]) -> Result<Option<String>, Failure> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(REASON, HeaderValue::from_bytes(value).unwrap());
        }
        let request = Request::from(RequestParts {
            method: Method::GET,
            path: "/".to_owned(),
            variables: HashMap::new(),
            query: String::new(),
            headers,
            body: bytes::Bytes::new(),
            source: None,
            id: "r".to_owned(),
        });
        request.reason().map(|reason| reason.map(str::to_owned))
    }

    #[test]
    fn a_reason_is_a_short_text() {
        assert_eq!(reason(&[]).unwrap(), None);
        assert_eq!(reason(&[b"Ticket 12: wrong upload"]).unwrap().as_deref(), Some("Ticket 12: wrong upload"));
        assert_eq!(reason(&["Prüfung".as_bytes()]).unwrap().as_deref(), Some("Prüfung"));
        assert!(reason(&["ü".repeat(200).as_bytes()]).unwrap().is_some());
        let long = "ü".repeat(201);
        for bad in [
            &[b"".as_slice()][..],
            &[b"  "],
            &[b"a\tb"],
            &[b"\xff"],
            &["\u{85}x".as_bytes()],
            &[long.as_bytes()],
            &[b"a", b"b"],
        ] {
            assert!(matches!(reason(bad), Err(Failure::Invalid(_))), "{bad:?}");
        }
    }

    #[test]
    fn what_is_not_known_to_be_about_nobody_is_about_somebody() {
        for (method, path, expected) in [
            ("GET", "/api/v1/users/profile", true),
            ("GET", "/o/userinfo/", true),
            ("GET", "/api/v1/organizations", true),
            ("GET", "/api/v1/studies/30001/", true),
            ("GET", "/FHIR/R5/Organization/20003", true),
            ("GET", "/fhir/r5/metadata", true),
            ("POST", "/api/v1/organizations", false),
            ("DELETE", "/api/v1/clients/1", false),
            ("POST", "/fhir/r5/Organization/_search", false),
            ("GET", "/api/v1/organizations/20003/users", false),
            ("GET", "/api/v1/studies/30001/patients", false),
            ("GET", "/api/v1/patients", false),
            ("GET", "/api/v1/users", false),
            ("GET", "/FHIR/R5/Practitioner", false),
            ("GET", "/FHIR/R5/Group", false),
            ("GET", "/FHIR/R5/Observation", false),
            ("GET", "/something/new", false),
        ] {
            assert_eq!(is_about_nobody(&method.parse().unwrap(), path), expected, "{method} {path}");
        }
    }
}
