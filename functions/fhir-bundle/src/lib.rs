//! `POST /FHIR/R5` and `POST /FHIR/R5/`: a Bundle of observations to store (<https://hl7.org/fhir/R5/http.html#transaction>).
//!
//! Of a `batch` each entry has its own fate, and its own entry in the response, in order. Of a `transaction` all are stored
//! or none.

use fhir::{
    Rejection,
    bundle::{BatchKind, BatchRequest, BatchResponse},
    observation::write_summary,
    outcome::{IssueCode, OperationOutcome},
};
use http::StatusCode;
use runtime::{
    App, Failure, Function, Interaction, Needs, Protocol, Request, Response, text_json,
    upload::{self, Prepared},
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
    let checked: Vec<Result<Prepared, Rejection>> =
        batch.entries.into_iter().map(|entry| upload::prepare(app, entry?)).collect();

    let mut rejections = Vec::with_capacity(checked.len());
    let mut prepared = Vec::with_capacity(checked.len());
    for one in checked {
        match one {
            Ok(one) => {
                rejections.push(None);
                prepared.push(one);
            }
            Err(rejection) if transaction => return Err(Failure::Rejected(rejection)),
            Err(rejection) => rejections.push(Some(rejection)),
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
    Ok(text_json(StatusCode::OK, respond(batch.kind, rejections, verdicts, &prepared)))
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
    rejections: Vec<Option<Rejection>>,
    verdicts: Vec<UploadVerdict>,
    prepared: &[Prepared],
) -> String {
    let mut response = BatchResponse::new(kind);
    let mut outcomes = verdicts.into_iter().zip(prepared);
    for rejection in rejections {
        if let Some(rejection) = rejection {
            response.failed(rejection.status(), &rejection.outcome());
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
    write_summary(&mut resource, stored.id, stored.last_updated, &prepared.submission);
    response.created(stored.id, stored.last_updated, &resource);
}

fn refused(response: &mut BatchResponse, verdict: &UploadVerdict, prepared: &Prepared) {
    match upload::failure(verdict, prepared) {
        Some(failure) => response.failed(failure.status().as_u16(), &failure.outcome()),
        None => response.failed(500, &OperationOutcome::error(IssueCode::Exception, "An internal error occurred.")),
    }
}
