//! From a FHIR Observation as sent to one that is stored: what `POST Observation`, a batch and an import share.

use crate::{App, Failure, Request, auxiliary::SOURCE_HEADER};
use audit::{Action, Context, RefusedBy, Target};
use authz::{Actor, Layer, Principal, Refusal};
use fhir::{
    Rejection, USER_ID_SYSTEM,
    observation::{Attachment, Brought, Effective, Place, Said, Submission, named_source},
    outcome::{IssueCode, OperationOutcome},
};
use http::StatusCode;
use jiff::Timestamp;
use omh::{DataPoint, EffectiveTime};
use serde_json::Value;
use std::collections::{HashMap, hash_map::Entry};
use store::{Amended, Amendment, FhirSource, Found, NewObservation, Stored, UploadVerdict};

/// An observation that is well formed and whose data point, if it has one, is valid.
#[derive(Debug)]
pub struct Prepared {
    /// The resource.
    pub submission: Submission,
    effective: Option<Effective>,
    new: NewObservation,
}

/// The FHIR base of this exchange.
#[must_use]
pub fn fhir_base(app: &App) -> String {
    format!("{}/FHIR/R5", app.settings.site_url)
}

/// Whose Observations a request brings: the FHIR Sources that it names, each looked up once.
pub struct Sources<'a> {
    app: &'a App,
    request: &'a Request,
    known: HashMap<i32, FhirSource>,
}

impl<'a> Sources<'a> {
    /// The sources of a request.
    #[must_use]
    pub fn new(app: &'a App, request: &'a Request) -> Self {
        Self { app, request, known: HashMap::new() }
    }

    /// Checks an Observation that is of the FHIR Source that `X-JHE-FHIR-Source-ID` or its `meta.source` names, or, where neither
    /// names one, of none.
    pub async fn prepare(&mut self, actor: &Actor, resource: &Value) -> Result<Prepared, Failure> {
        let named = named_source(resource)?;
        if named.is_none() && self.request.header(SOURCE_HEADER).is_none() {
            return Ok(prepare(self.app, resource, None)?);
        }
        self.brought(actor, named, resource).await
    }

    /// Checks an Observation that must be of a FHIR Source; `named` is that of its `meta.source`.
    pub async fn brought(&mut self, actor: &Actor, named: Option<i32>, resource: &Value) -> Result<Prepared, Failure> {
        let app = self.app;
        let source = self.find(actor, self.request.fhir_source(named)?).await?;
        let brought = Brought { patient: source.patient, device: source.data_source, base_url: &source.fhir_base_url };
        let id = source.id;
        let own = brought.adopt(resource, &fhir_base(app))?;
        Ok(prepare(app, &own, Some(id))?)
    }

    /// The FHIR Source with this id. One that does not exist is refused as one of a stranger is.
    async fn find(&mut self, actor: &Actor, id: i32) -> Result<&FhirSource, Failure> {
        let place = match self.known.entry(id) {
            Entry::Occupied(known) => return Ok(known.into_mut()),
            Entry::Vacant(place) => place,
        };
        let store = self.app.store().await?;
        if let Some(source) = store.fhir_source(id).await? {
            return Ok(place.insert(source));
        }
        let context = self.request.audit(Some(actor), Action::Create, "Observation");
        store.record_refusal(&context, &Target::nothing(), RefusedBy::NotFound).await?;
        Err(Failure::Refused(Refusal::known(stranger(actor))))
    }
}

/// The layer by which somebody is refused whose patient a source is not.
const fn stranger(actor: &Actor) -> Layer {
    match actor.principal {
        Principal::Practitioner(_) => Layer::Organization,
        Principal::Patient(_) | Principal::SuperAdmin => Layer::UserType,
    }
}

/// Checks a resource: FHIR first, then the data point of its attachment, where its code names one, against that schema.
fn prepare(app: &App, resource: &Value, source: Option<i32>) -> Result<Prepared, Rejection> {
    let submission = Submission::parse(resource)?;
    submission.refers_only_to(&fhir_base(app))?;
    let (effective, (effective_start, effective_end)) = match &submission.said {
        Said::DataPoint(attachment, _) => data_point(&submission, attachment)?,
        Said::Elements(elements) => (None, elements.interval()),
    };
    let known = store::Filter::default();
    if effective_start < known.min || effective_end >= known.max {
        return Err(Rejection::business_rule(
            "Observation.effective",
            "must not be before 0001-01-01, and must be before 9999-12-30",
        ));
    }
    let identifiers = submission
        .identifiers
        .iter()
        .map(|identifier| (identifier.system.clone().unwrap_or_default(), identifier.value.clone()))
        .collect();
    let new = NewObservation {
        patient: submission.subject,
        system: submission.code.system.clone(),
        code: submission.code.code.clone(),
        data_source: submission.device,
        source,
        status: submission.status.as_str().to_owned(),
        identifiers,
        effective_start,
        effective_end,
    };
    Ok(Prepared { submission, effective, new })
}

/// The effective time of a data point, and the interval by which it is found.
fn data_point(
    submission: &Submission,
    attachment: &Attachment,
) -> Result<(Option<Effective>, (Timestamp, Timestamp)), Rejection> {
    if !omh::is_known(&submission.code.code) {
        return Err(Rejection::value("Observation.code", "is not a data type that is stored here"));
    }
    let point = omh::parse(&attachment.bytes, &submission.code.code).map_err(|invalid| {
        Rejection::business_rule("Observation.valueAttachment.data", &format!("is not valid: {invalid}"))
    })?;
    let effective = point.effective().map(effective);
    if let Some(effective) = &effective {
        submission.agrees_with(effective)?;
    }
    Ok((effective, interval(&point, effective)))
}

fn effective(time: EffectiveTime) -> Effective {
    match time {
        EffectiveTime::Instant(at) => Effective::Instant(at),
        EffectiveTime::Interval { start, end } => Effective::Period { start, end },
    }
}

/// The interval by which the observation is found. A point that states no effective time is found by its creation.
fn interval(point: &DataPoint, effective: Option<Effective>) -> (Timestamp, Timestamp) {
    match effective {
        Some(Effective::Instant(at)) => (at, at),
        Some(Effective::Period { start, end }) => (start, end),
        None => (point.created(), point.created()),
    }
}

/// Stores what is prepared; one verdict each, in order.
pub async fn store(
    app: &App,
    request: &Request,
    actor: &Actor,
    all_or_nothing: bool,
    prepared: &[Prepared],
) -> Result<Vec<UploadVerdict>, Failure> {
    let new: Vec<NewObservation> = prepared.iter().map(|one| one.new.clone()).collect();
    let render = |position: usize, display: &str, user: i32| {
        prepared
            .get(position)
            .map_or_else(String::new, |one| one.submission.content(Some(display), one.effective.as_ref(), user))
    };
    let context = request.audit(Some(actor), Action::Create, "Observation");
    let store = app.store().await?;
    Ok(store.upload_observations(&context, actor, app.settings.when_revoked, all_or_nothing, &new, render).await?)
}

/// Checks what an Observation is to become. It stays of the FHIR Source that it comes from, whatever its `meta` says. The identifier of
/// the subject is the server's own, as `meta` is: what was read can be sent back.
pub fn prepare_amendment(app: &App, resource: &Value) -> Result<Prepared, Rejection> {
    let mut resource = resource.clone();
    if let Some(subject) = resource.get_mut("subject").and_then(Value::as_object_mut)
        && subject.get("identifier").and_then(|one| one.get("system")).is_some_and(|system| system == USER_ID_SYSTEM)
    {
        subject.remove("identifier");
    }
    prepare(app, &resource, None)
}

/// Makes what is prepared the new version of an Observation.
pub async fn amend(
    app: &App,
    context: &Context,
    actor: &Actor,
    id: i64,
    expected: &[i32],
    prepared: &Prepared,
) -> Result<Amended, Failure> {
    let amendment = Amendment { id, expected, becomes: &prepared.new };
    let render =
        |display: &str, user: i32| prepared.submission.content(Some(display), prepared.effective.as_ref(), user);
    Ok(app.store().await?.amend_observation(context, actor, &amendment, render).await?)
}

/// What is known of an observation that was just stored.
#[must_use]
pub const fn place(stored: &Stored) -> Place {
    Place { id: stored.id, version: 1, last_updated: stored.last_updated, source: stored.source }
}

/// What is known of an observation that was found.
#[must_use]
pub const fn found_place(found: &Found) -> Place {
    Place { id: found.id, version: found.version, last_updated: found.last_updated, source: found.source }
}

/// Why an observation was not stored.
#[must_use]
pub fn failure(verdict: &UploadVerdict, prepared: &Prepared) -> Option<Failure> {
    let outcome = |status, code, text: &str| Some(Failure::Outcome(status, OperationOutcome::error(code, text)));
    match verdict {
        UploadVerdict::Stored(_) => None,
        UploadVerdict::Refused(Layer::Consent) => outcome(
            StatusCode::FORBIDDEN,
            IssueCode::Forbidden,
            &format!(
                "Observation data with coding_system={} coding_code={} has not been consented for any studies by this Patient.",
                prepared.new.system, prepared.new.code
            ),
        ),
        UploadVerdict::Refused(layer) => Some(Failure::Refused(Refusal::known(*layer))),
        UploadVerdict::Duplicate => outcome(
            StatusCode::CONFLICT,
            IssueCode::Duplicate,
            "An observation of this patient has this identifier already.",
        ),
        UploadVerdict::UnknownCode => outcome(
            StatusCode::BAD_REQUEST,
            IssueCode::Value,
            "Observation.code is not a data type that is stored here.",
        ),
        UploadVerdict::UnknownDataSource => {
            outcome(StatusCode::BAD_REQUEST, IssueCode::Value, "Observation.device does not name a data source.")
        }
        UploadVerdict::NotStored => outcome(
            StatusCode::CONFLICT,
            IssueCode::Processing,
            "Not stored, because another entry of the transaction was not accepted.",
        ),
    }
}
