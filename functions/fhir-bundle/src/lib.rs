//! `POST /FHIR/R5` and `POST /FHIR/R5/`: a Bundle of observations to store (<https://hl7.org/fhir/R5/http.html#transaction>).
//!
//! Of a `batch` each entry has its own fate, and its own entry in the response, in order. Of a `transaction` all are stored
//! or none. `X-JHE-FHIR-Source-ID` names the FHIR Source of all, the `meta.source` of an entry that of its own.

use fhir::{
    bundle::{BatchKind, BatchRequest, BatchResponse},
    observation::write_summary,
    outcome::{IssueCode, OperationOutcome},
};
use http::StatusCode;
use runtime::{
    App, Failure, Function, Interaction, Needs, Protocol, Request, Response, text_json,
    upload::{self, Prepared, Sources},
};
use serde_json::Value;
use store::{Stored, UploadVerdict};

/// The function.
pub const FUNCTION: Function =
    Function::new("fhir-bundle", Protocol::Fhir, Needs::Database, |app, request| Box::pin(handle(app, request)));

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.fhir_actor(app, "Observation", Interaction::Create).await?;
    let body: Value = request.json()?;
    let batch = BatchRequest::parse(&body)?;
    let transaction = batch.kind == BatchKind::Transaction;
    let mut sources = Sources::new(app, request);
    let mut failures = Vec::with_capacity(batch.entries.len());
    let mut prepared = Vec::with_capacity(batch.entries.len());
    for entry in batch.entries {
        let one = match entry {
            Ok(resource) => sources.prepare(&actor, resource).await,
            Err(rejection) => Err(rejection.into()),
        };
        match one {
            Ok(one) => {
                failures.push(None);
                prepared.push(one);
            }
            Err(failure) if transaction || !failure.status().is_client_error() => return Err(failure),
            Err(failure) => failures.push(Some(failure)),
        }
    }
    let verdicts = if prepared.is_empty() {
        Vec::new()
    } else {
        upload::store(app, request, &actor, transaction, &prepared).await?
    };
    if transaction {
        whole(&verdicts, &prepared)?;
    }
    Ok(text_json(StatusCode::OK, respond(batch.kind, failures, verdicts, &prepared)))
}

/// A transaction succeeds whole or fails with the first reason.
fn whole(verdicts: &[UploadVerdict], prepared: &[Prepared]) -> Result<(), Failure> {
    verdicts
        .iter()
        .zip(prepared)
        .filter(|(verdict, _)| !matches!(verdict, UploadVerdict::NotStored))
        .find_map(|(verdict, one)| upload::failure(verdict, one))
        .map_or(Ok(()), Err)
}

fn respond(
    kind: BatchKind,
    failures: Vec<Option<Failure>>,
    verdicts: Vec<UploadVerdict>,
    prepared: &[Prepared],
) -> String {
    let mut response = BatchResponse::new(kind);
    let mut outcomes = verdicts.into_iter().zip(prepared);
    for failure in failures {
        if let Some(failure) = failure {
            response.failed(failure.status().as_u16(), &failure.outcome());
        } else if let Some((verdict, one)) = outcomes.next() {
            match &verdict {
                UploadVerdict::Stored(stored) => created(&mut response, stored, one),
                _ => refused(&mut response, &verdict, one),
            }
        }
    }
    response.finish()
}

fn created(response: &mut BatchResponse, stored: &Stored, prepared: &Prepared) {
    let mut resource = String::with_capacity(512);
    write_summary(&mut resource, &upload::place(stored), &prepared.submission);
    response.created(stored.id, stored.last_updated, &resource);
}

fn refused(response: &mut BatchResponse, verdict: &UploadVerdict, prepared: &Prepared) {
    match upload::failure(verdict, prepared) {
        Some(failure) => response.failed(failure.status().as_u16(), &failure.outcome()),
        None => response.failed(500, &OperationOutcome::error(IssueCode::Exception, "An internal error occurred.")),
    }
}
