//! An answer with all that HTTP says of it, and the shapes that errors must have.

use crate::described;
use reqwest::{RequestBuilder, StatusCode, header::HeaderMap};
use runtime::Protocol;
use serde_json::Value;

/// An answer of the server.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
}

impl Reply {
    /// The answer to a request. If the route is described, the answer must be as described.
    pub async fn to(request: RequestBuilder) -> Self {
        let (client, request) = request.build_split();
        let request = request.expect("a request");
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let response = client.execute(request).await.expect("an answer");
        let status = response.status();
        let headers = response.headers().clone();
        let text = response.text().await.expect("a body");
        let reply = Self { status, headers, text };
        described::check(&method, &path, &reply);
        reply
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("{}: not JSON ({error}): {}", self.status, self.text))
    }

    /// A header's value; empty when it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a header of text"))
    }

    /// Checks that this is a FHIR error of this status, in the shape of FHIR. Its `OperationOutcome`.
    pub fn refusal(&self, status: u16, what: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{what}: {}", self.text);
        assert!(!self.header("x-request-id").is_empty(), "{what}: no request id");
        let outcome = self.json();
        assert_outcome(&outcome, what);
        outcome
    }
}

/// Checks that a value is an `OperationOutcome` with an issue that says what is wrong
/// (<https://hl7.org/fhir/R5/operationoutcome.html>).
pub fn assert_outcome(outcome: &Value, what: &str) {
    assert_eq!(outcome["resourceType"], "OperationOutcome", "{what}: {outcome}");
    let issues = outcome["issue"].as_array().unwrap_or_else(|| panic!("{what}: no issues: {outcome}"));
    assert!(!issues.is_empty(), "{what}: {outcome}");
    for issue in issues {
        for member in ["severity", "code", "diagnostics"] {
            let text = issue[member].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{what}: no {member}: {outcome}");
        }
    }
}

impl Reply {
    /// Checks what every answer has, and of an error the shape that its protocol gives it.
    pub fn assert_well_formed(&self, protocol: Protocol, what: &str) {
        let status = self.status.as_u16();
        assert!(status < 500, "{what}: {status} {}", self.text);
        assert!(!self.header("x-request-id").is_empty(), "{what}: no request id");
        assert_eq!(self.header("x-content-type-options"), "nosniff", "{what}");
        if protocol == Protocol::Page {
            assert!(self.header("content-security-policy").contains("frame-ancestors 'none'"), "{what}");
            assert_eq!(self.header("x-frame-options"), "DENY", "{what}");
            assert_eq!(self.header("referrer-policy"), "no-referrer", "{what}");
        }
        if status < 400 {
            return;
        }
        if protocol == Protocol::Page {
            assert!(self.header("content-type").starts_with("text/html"), "{what}: {}", self.text);
            return;
        }
        assert!(self.header("content-type").starts_with("application/"), "{what}: {}", self.text);
        let error = self.json();
        match protocol {
            Protocol::Fhir => assert_outcome(&error, what),
            Protocol::OAuth => assert!(error["error"].is_string(), "{what}: {error}"),
            _ => assert!(is_rest_error(&error), "{what}: {error}"),
        }
    }
}

/// `{"detail": ...}`, or for each field the list of what is wrong with it.
fn is_rest_error(error: &Value) -> bool {
    let list =
        |value: &Value| value.as_array().is_some_and(|texts| !texts.is_empty() && texts.iter().all(Value::is_string));
    error["detail"].is_string()
        || error.as_object().is_some_and(|fields| !fields.is_empty() && fields.values().all(list))
}
