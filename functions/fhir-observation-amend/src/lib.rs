//! `PUT /FHIR/R5/Observation/{id}`: make a new version of an observation (<https://hl7.org/fhir/R5/http.html#update>). What it was
//! stays, and is read by `_history`.

use audit::Action;
use fhir::{
    Rejection,
    observation::{ObservationStatus, write_resource},
};
use http::{StatusCode, header};
use runtime::{
    App, Failure, Function, Interaction, Needs, Protocol, Request, Response,
    upload::{self, Prepared, found_place},
    version_response,
};
use serde_json::Value;
use store::{Amended, Found};

/// The function.
pub const FUNCTION: Function =
    Function::new("fhir-observation-amend", Protocol::Fhir, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    });

/// What an observation can become.
const BECOMES: [ObservationStatus; 3] =
    [ObservationStatus::Amended, ObservationStatus::Corrected, ObservationStatus::EnteredInError];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.fhir_actor(app, "Observation", Interaction::Update).await?;
    let id: i64 = request.id_variable("id")?;
    let context = request.audit(Some(&actor), Action::Update, "Observation");
    let (expected, prepared) = asked(app, request, id)?;
    match upload::amend(app, &context, &actor, id, &expected, &prepared).await? {
        Amended::Done(found) => Ok(amended(&found)),
        Amended::Stale => Err(Failure::Changed),
        Amended::Full => Err(Failure::Conflict("This Observation has as many versions as one may have.")),
        Amended::Another(element) => {
            let problem = "must stay as it is: withdraw this one and create another";
            Err(Failure::Rejected(Rejection::business_rule(element, problem)))
        }
        Amended::Refused(refusal) => Err(Failure::Refused(refusal)),
        Amended::Missing => Err(Failure::NotFound),
    }
}

/// What is asked for: of which versions, and what the observation is to be.
fn asked(app: &App, request: &Request, id: i64) -> Result<(Vec<i32>, Prepared), Failure> {
    let expected = expected(request).ok_or_else(|| {
        Failure::Invalid("If-Match has to name the version that is amended, as the ETag of a read does.".to_owned())
    })?;
    if request.reason()?.is_none() {
        return Err(Failure::Invalid("X-JHE-Reason has to say why.".to_owned()));
    }
    let resource = request.json()?;
    if resource.get("id").and_then(Value::as_str) != Some(id.to_string().as_str()) {
        return Err(Failure::Rejected(Rejection::value("Observation.id", "must be that of the URL")));
    }
    let prepared = upload::prepare_amendment(app, &resource)?;
    if BECOMES.contains(&prepared.submission.status) {
        Ok((expected, prepared))
    } else {
        let problem = "must be amended, corrected or entered-in-error";
        Err(Failure::Rejected(Rejection::business_rule("Observation.status", problem)))
    }
}

/// The versions that `If-Match` names; none where it names none, or any (`*`). A tag that is none of ours matches nothing.
fn expected(request: &Request) -> Option<Vec<i32>> {
    let tags = request.header(header::IF_MATCH).filter(|tags| tags.trim() != "*")?;
    let version = |tag: &str| {
        let tag = tag.trim();
        tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"')?.strip_suffix('"')?.parse().ok()
    };
    Some(tags.split(',').filter_map(version).collect())
}

fn amended(found: &Found) -> Response {
    let mut resource = String::with_capacity(found.content.len() + 256);
    write_resource(&mut resource, &found_place(found), &found.content);
    version_response(StatusCode::OK, resource, found.version, found.last_updated)
}
