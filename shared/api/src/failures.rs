//! What can go wrong with an operation: by what it takes, and what it names itself.

use crate::Operation;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Every status of a failure that is described, the name of its description, and what it says.
pub(crate) const DESCRIBED: [(u16, &str, &str); 15] = [
    (400, "Invalid", "The request is not valid."),
    (401, "Unauthenticated", "No valid access token."),
    (403, "Forbidden", "Not allowed."),
    (404, "NotFound", "Not found, or not to be known of."),
    (405, "NotOffered", "Not offered for this type."),
    (406, "NotAcceptable", "No type that is accepted can be answered."),
    (
        409,
        "Conflict",
        "It exists already, or is in another state than the request expects. Where the answer has `Retry-After`, the same \
         request is still being carried out.",
    ),
    (410, "Gone", "It has ended."),
    (412, "Changed", "It has changed since it was read (`If-Match`)."),
    (413, "TooLarge", "The body is too large."),
    (415, "UnsupportedType", "The type of the body is not supported."),
    (422, "KeyInUse", "The `Idempotency-Key` came with another request before."),
    (429, "TooManyRequests", "Too many requests: try again after `Retry-After`."),
    (500, "Defect", "A defect of the server. The request's id is in `X-Request-Id`."),
    (503, "Unavailable", "Not available at the moment: try again after `Retry-After`."),
];

/// Those of [`DESCRIBED`] that come with `Retry-After`, always or in some cases.
const RETRIED: [u16; 3] = [409, 429, 503];

/// The description of a failure, with the header that some have.
pub(crate) fn retried(status: u16, mut described: Value) -> Value {
    if let Some(members) = described.as_object_mut().filter(|_| RETRIED.contains(&status)) {
        members.insert("headers".to_owned(), json!({ "Retry-After": { "$ref": "#/components/headers/RetryAfter" } }));
    }
    described
}

impl Operation {
    /// The method.
    #[must_use]
    pub fn method(&self) -> &'static str {
        self.route.split_once(' ').map_or("GET", |(method, _)| method)
    }

    /// The path, with its variables in braces.
    #[must_use]
    pub fn path(&self) -> &'static str {
        self.route.split_once(' ').map_or(self.route, |(_, path)| path)
    }

    /// Whether it takes an `Idempotency-Key`: every POST of somebody who is known, but a search.
    #[must_use]
    pub fn takes_key(&self) -> bool {
        self.method() == "POST" && !self.is_public && !self.path().ends_with("/_search")
    }

    /// Whether it takes a body.
    #[must_use]
    pub const fn takes_body(&self) -> bool {
        self.body.is_some() || !self.media.is_empty() || self.takes_resource()
    }

    /// Whether the body is a resource of FHIR, or what changes of one.
    const fn takes_resource(&self) -> bool {
        match self.fhir {
            Some(fhir) => fhir.body.is_some(),
            None => false,
        }
    }

    fn takes_query(&self) -> bool {
        self.parameters.iter().any(|parameters| !parameters.is_empty())
    }

    /// Whether something can be named that is not there: in the path, or a page.
    fn names_something(&self) -> bool {
        self.path().contains('{') || self.parameters.iter().flat_map(|some| some.iter()).any(|one| one.name == "page")
    }

    /// The statuses of failure that it can answer with.
    #[must_use]
    pub fn failures(&self) -> BTreeSet<u16> {
        let known = !self.is_public;
        let by_fact: [(bool, &[u16]); 9] = [
            (true, &[500, 503]),
            // A header that says why can be wrong, too.
            (known || self.takes_body() || self.takes_query(), &[400]),
            (known, &[401, 403, 429]),
            (self.names_something(), &[404]),
            // A body that is too large is refused before it is asked whether one is taken.
            (self.method() != "GET", &[413]),
            (self.takes_body(), &[415]),
            (self.takes_key(), &[409, 422]),
            (self.is_conditional, &[412]),
            (self.fhir.is_some(), &[406]),
        ];
        let derived = by_fact.into_iter().filter(|(holds, _)| *holds).flat_map(|(_, statuses)| statuses);
        derived.chain(self.also_fails).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, PAGE, Parameter, Shape, parameter, required};

    const THING: Shape = Shape { name: "Thing", fields: &[required("name", Kind::Text(9))] };

    const QUERY: [Parameter; 1] = [parameter("q", Kind::AnyText, "")];

    #[test]
    fn an_operation_fails_as_it_can() {
        let new = |route| Operation::new(route, "s", "w.");
        for (operation, expected) in [
            (new("GET /things").public(), &[500, 503][..]),
            (new("GET /things").public().with(&[&QUERY]), &[400, 500, 503]),
            (new("GET /things"), &[400, 401, 403, 429, 500, 503]),
            (new("GET /things").with(&[&PAGE]), &[400, 401, 403, 404, 429, 500, 503]),
            (new("GET /things/{id}"), &[400, 401, 403, 404, 429, 500, 503]),
            (new("POST /things/{id}").public().also_fails(&[410]), &[404, 410, 413, 500, 503]),
            (new("POST /things"), &[400, 401, 403, 409, 413, 422, 429, 500, 503]),
            (new("POST /things").takes(&THING), &[400, 401, 403, 409, 413, 415, 422, 429, 500, 503]),
            (
                new("PATCH /things/{id}").changes(&THING).conditional(),
                &[400, 401, 403, 404, 412, 413, 415, 429, 500, 503],
            ),
            (new("DELETE /things/{id}").also_fails(&[409]), &[400, 401, 403, 404, 409, 413, 429, 500, 503]),
        ] {
            let failures: Vec<u16> = operation.failures().into_iter().collect();
            assert_eq!(failures, expected, "{}", operation.route);
        }
    }

    #[test]
    fn every_failure_has_words() {
        assert!(DESCRIBED.is_sorted_by_key(|(status, ..)| *status));
        assert!(RETRIED.iter().all(|status| DESCRIBED.iter().any(|(known, ..)| known == status)));
    }
}
