//! `POST /fhir-import/R4` and `POST /fhir-import/R4/{type}`: bring resources from a server of R4
//! (<https://hl7.org/fhir/R4/http.html#transaction>).
//!
//! The body is one resource, or a Bundle of up to 200. Each is converted to R5 and stored by the rule of an upload, for the
//! patient of its FHIR Source; each has its own fate, and an outcome that tells what was done to it, or where it is not R5.

use api::{
    Content, Operation,
    fhir::{Body, Fhir},
};
use audit::Action;
use authz::Actor;
use fhir::{
    Rejection,
    auxiliary::{Submission, TYPES, source_id},
    bundle::{BatchKind, BatchResponse},
    observation::write_resource,
    outcome::{IssueCode, OperationOutcome},
    r4::{self, Converted},
};
use http::StatusCode;
use runtime::{
    App, Failure, Function, Interaction, Needs, Protocol, Request, Response,
    auxiliary::{another_patient, refused, shown},
    text_json,
    upload::{self, Prepared, Sources, fhir_base},
};
use serde_json::Value;
use std::collections::HashMap;
use store::{AuxiliaryResource, AuxiliaryUpload, NewAuxiliary, UploadVerdict};

/// The function.
pub const FUNCTION: Function =
    Function::new("fhir-import", Protocol::Fhir, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const OPERATIONS: [Operation; 2] = [
    Operation::new("POST /fhir-import/R4", "Bring a resource of R4, or a Bundle of up to 200", WHO)
        .fhir(TAKEN)
        .also_fails(&NOT_BROUGHT)
        .answers(&[(200, Content::Resource("Bundle"))]),
    Operation::new("POST /fhir-import/R4/{type}", "The same, of one type", WHO)
        .fhir(TAKEN)
        .also_fails(&NOT_BROUGHT)
        .answers(&[(200, Content::Resource("Bundle"))]),
];

/// A single resource of a type that is not served, or that is not brought in this way.
const NOT_BROUGHT: [u16; 2] = [404, 405];

const WHO: &str = "Who may store each of the resources by themselves.";

const TAKEN: Fhir = Fhir { types: &[&["Observation"], &TYPES], body: Some(Body::Resource), locates: false };

/// What became of an entry, as far as it has been carried out.
enum Fate {
    Failed(Failure),
    /// Stored with all other observations, after all were checked.
    Observation(Box<Prepared>, OperationOutcome),
    Stored(&'static str, Box<AuxiliaryResource>, OperationOutcome),
}

/// A request, with what its entries share.
struct Import<'a> {
    app: &'a App,
    request: &'a Request,
    /// Whom the token lets create each type; looked up once for each.
    actors: HashMap<&'static str, Option<Actor>>,
    /// The last refusal of a token.
    out_of_scope: Option<Failure>,
    sources: Sources<'a>,
}

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    request.authenticated(app).await?;
    let only = request.variable("type").map(r4::named).transpose()?;
    let body: Value = request.json()?;
    if !r4::is_bundle(&body) {
        kind(&body, only)?;
    }
    let entries = r4::entries(&body)?;
    let mut import =
        Import { app, request, actors: HashMap::new(), out_of_scope: None, sources: Sources::new(app, request) };
    let mut fates = Vec::with_capacity(entries.len());
    for entry in entries {
        fates.push(match entry {
            Ok(resource) => import.bring(resource, only).await?,
            Err(rejection) => Fate::Failed(rejection.into()),
        });
    }
    // A token that reaches nothing of what is sent is refused as for a single resource.
    if let Some(failure) = import.out_of_scope.take_if(|_| import.actors.values().all(Option::is_none)) {
        return Err(failure);
    }
    Ok(text_json(StatusCode::OK, import.answer(fates).await?))
}

/// The type of a resource: that of the URL, if it names one.
fn kind(resource: &Value, only: Option<&'static str>) -> Result<&'static str, Rejection> {
    let kind = r4::kind(resource)?;
    if only.is_none_or(|only| only == kind) {
        Ok(kind)
    } else {
        Err(Rejection::value("resourceType", "must be the type that the URL names"))
    }
}

impl Import<'_> {
    /// Carries out an entry as far as it goes by itself. What fails the whole request is an error.
    async fn bring(&mut self, resource: &Value, only: Option<&'static str>) -> Result<Fate, Failure> {
        let kind = match kind(resource, only) {
            Ok(kind) => kind,
            Err(rejection) => return Ok(Fate::Failed(rejection.into())),
        };
        let Some(actor) = self.actor(kind).await? else {
            let text = "The scope of the access token does not allow this.";
            return Ok(failed(StatusCode::FORBIDDEN, IssueCode::Forbidden, text));
        };
        let converted = r4::convert(kind, resource);
        let fate = if kind == "Observation" {
            self.observation(&actor, &converted).await
        } else {
            self.auxiliary(&actor, kind, &converted).await
        };
        fate.or_else(
            |failure| if failure.status().is_client_error() { Ok(Fate::Failed(failure)) } else { Err(failure) },
        )
    }

    async fn actor(&mut self, kind: &'static str) -> Result<Option<Actor>, Failure> {
        if let Some(actor) = self.actors.get(kind) {
            return Ok(*actor);
        }
        let actor = match self.request.fhir_actor(self.app, kind, Interaction::Create).await {
            Ok(actor) => Some(actor),
            Err(failure) if failure.status() == StatusCode::FORBIDDEN => {
                self.out_of_scope = Some(failure);
                None
            }
            Err(failure) => return Err(failure),
        };
        self.actors.insert(kind, actor);
        Ok(actor)
    }

    async fn observation(&mut self, actor: &Actor, converted: &Converted) -> Result<Fate, Failure> {
        let named = converted.resource.get("meta").and_then(|meta| meta.get("source")).and_then(Value::as_str);
        let prepared = self.sources.brought(actor, named.and_then(source_id), &converted.resource).await?;
        Ok(Fate::Observation(Box::new(prepared), converted.outcome()))
    }

    async fn auxiliary(&self, actor: &Actor, kind: &'static str, converted: &Converted) -> Result<Fate, Failure> {
        let submission = Submission::parse_any_release(kind, &converted.resource, &fhir_base(self.app))?;
        let new = NewAuxiliary {
            kind,
            source: self.request.fhir_source(submission.source)?,
            upstream_id: submission.upstream_id.as_deref(),
            named_patient: submission.patient,
            content: &submission.content,
            may_update: self.request.reaches(self.app, kind, Interaction::Update).await?,
        };
        let context = self.request.audit(Some(actor), Action::Create, kind);
        let when_revoked = self.app.settings.when_revoked;
        match self.app.store().await?.store_auxiliary(&context, actor, when_revoked, &new).await? {
            AuxiliaryUpload::Stored(resource) => Ok(Fate::Stored(kind, Box::new(resource), converted.outcome())),
            AuxiliaryUpload::AnotherPatient => Err(another_patient(kind)),
            AuxiliaryUpload::Refused(layer) => Err(refused(kind, layer)),
        }
    }

    /// Stores the observations, and answers for every entry in order.
    async fn answer(&self, fates: Vec<Fate>) -> Result<String, Failure> {
        let mut prepared = Vec::new();
        let mut waiting = Vec::with_capacity(fates.len());
        for fate in fates {
            waiting.push(match fate {
                Fate::Observation(one, outcome) => {
                    prepared.push(*one);
                    Err(outcome)
                }
                done => Ok(done),
            });
        }
        let mut verdicts = match self.actors.get("Observation") {
            Some(Some(actor)) if !prepared.is_empty() => {
                upload::store(self.app, self.request, actor, false, &prepared).await?
            }
            _ => Vec::new(),
        }
        .into_iter()
        .zip(&prepared);
        let mut response = BatchResponse::new(BatchKind::Batch);
        for fate in waiting {
            match fate {
                Ok(done) => tell(&mut response, &done)?,
                Err(outcome) => {
                    let (verdict, one) = verdicts.next().ok_or(Failure::NotFound)?;
                    tell_observation(&mut response, &verdict, one, &outcome);
                }
            }
        }
        Ok(response.finish())
    }
}

fn failed(status: StatusCode, code: IssueCode, text: &str) -> Fate {
    Fate::Failed(Failure::Outcome(status, OperationOutcome::error(code, text)))
}

fn tell(response: &mut BatchResponse, fate: &Fate) -> Result<(), Failure> {
    match fate {
        Fate::Failed(failure) => response.failed(failure.status().as_u16(), &failure.outcome()),
        Fate::Stored(kind, resource, outcome) => {
            let status = if resource.version > 1 { 200 } else { 201 };
            let location = format!("{kind}/{}", resource.id);
            response.brought(status, &location, &shown(kind, resource)?.to_string(), outcome);
        }
        Fate::Observation(..) => {}
    }
    Ok(())
}

fn tell_observation(response: &mut BatchResponse, verdict: &UploadVerdict, one: &Prepared, outcome: &OperationOutcome) {
    if let UploadVerdict::Stored(stored) = verdict {
        let mut resource = String::with_capacity(stored.content.len() + 256);
        write_resource(&mut resource, &upload::place(stored), &stored.content);
        response.brought(201, &format!("Observation/{}", stored.id), &resource, outcome);
        return;
    }
    let failure = upload::failure(verdict, one).unwrap_or(Failure::NotFound);
    response.failed(failure.status().as_u16(), &failure.outcome());
}
