//! `GET /api/v1/data_sources/all_scopes`: every scope that a study can ask for.
//! `POST /api/v1/data_sources/all_scopes`: super admins add one. It stays: consents name it.

use api::{Completeness, Content, Kind, Operation, Shape, required, shapes};
use audit::{Action, Target};
use authz::Actor;
use fhir::{auxiliary, observation::is_of_data_points};
use http::{Method, StatusCode};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json, rest::Fields};
use store::StoreError;

/// The function.
pub const FUNCTION: Function =
    Function::new("data-sources-all-scopes", Protocol::Rest, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    })
    .describing(&OPERATIONS);

const OPERATIONS: [Operation; 2] = [
    Operation::new("GET /api/v1/data_sources/all_scopes", "Every scope that a study can ask for", "Every user.")
        .answers(&[(200, Content::List(&shapes::SCOPE))]),
    Operation::new(
        "POST /api/v1/data_sources/all_scopes",
        "Add a scope that studies can ask for: a code of any system. It stays",
        "Super admins.",
    )
    .takes(&NEW_SCOPE)
    .answers(&[(201, Content::Object(&shapes::SCOPE))]),
];

/// A scope to be added.
const NEW_SCOPE: Shape = Shape {
    name: "NewScope",
    fields: &[
        required("codingSystem", Kind::Text(255)).about(
            "The URI of the code system, such as http://loinc.org. http://hl7.org/fhir/resource-types for a resource type.",
        ),
        required("codingCode", Kind::Text(255)).about("For Open mHealth and IEEE 1752 the name of a known schema."),
        required("text", Kind::Text(255)).about("The code in words, as patients read it."),
    ],
};

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    match *request.method() {
        Method::POST => add(app, request, &actor).await,
        _ => Ok(json(StatusCode::OK, &app.store().await?.scopes().await?)?),
    }
}

async fn add(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Create, "Scope");
    request.permit_super_admin(app, &context, &Target::nothing(), actor).await?;
    let fields = Fields::parse(request)?;
    fields.check(&NEW_SCOPE, Completeness::Whole)?;
    let (system, code) = (fields.text("codingSystem", 255)?, fields.text("codingCode", 255)?);
    check(&system, &code)?;
    let text = fields.text("text", 255)?;
    match app.store().await?.add_scope(&context, &system, &code, &text).await {
        Ok(scope) => Ok(json(StatusCode::CREATED, &scope)?),
        Err(StoreError::Duplicate(_)) => Err(Failure::Conflict("There is a scope with this code.")),
        Err(other) => Err(other.into()),
    }
}

/// A scope that nothing could be uploaded for is refused.
fn check(system: &str, code: &str) -> Result<(), Failure> {
    let is_uri = system.split_once(':').is_some_and(|(scheme, rest)| {
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
        is_scheme && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) && !rest.is_empty()
    });
    let is_uri = is_uri && !system.contains(char::is_whitespace);
    if !is_uri {
        return Err(Failure::field("codingSystem", "It must be a URI without whitespace."));
    }
    let is_known = if is_of_data_points(system) {
        omh::is_known(code)
    } else if system == auxiliary::TYPE_SYSTEM {
        auxiliary::TYPES.contains(&code)
    } else {
        code.split(' ').all(|word| !word.is_empty() && !word.contains(char::is_whitespace))
    };
    if is_known { Ok(()) } else { Err(Failure::field("codingCode", "Nothing is stored under this code.")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_a_code_under_which_something_can_be_uploaded() {
        for (system, code, is_good) in [
            ("http://loinc.org", "8867-4", true),
            ("urn:oid:1.2.3", "a b", true),
            ("https://w3id.org/openmhealth", "omh:heart-rate:2.0", true),
            ("https://w3id.org/openmhealth", "omh:mood:9.0", false),
            ("https://w3id.org/ieee1752", "8867-4", false),
            ("http://hl7.org/fhir/resource-types", "Condition", true),
            ("http://hl7.org/fhir/resource-types", "Observation", false),
            ("http://hl7.org/fhir/resource-types", "Patient", false),
            ("loinc", "8867-4", false),
            ("http://loinc.org", "a  b", false),
            ("http://loinc .org", "a", false),
            (":x", "a", false),
        ] {
            assert_eq!(check(system, code).is_ok(), is_good, "{system} {code}");
        }
    }
}
