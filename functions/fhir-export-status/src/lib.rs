//! `GET` and `DELETE /FHIR/R5/Group/{id}/$export/{job}`: how an export is, with its files when it is done; and the end of it
//! (<https://hl7.org/fhir/uv/bulkdata/STU2/export.html#bulk-data-status-request>).

use audit::Action;
use exports::{Caller, job};
use fhir::{
    outcome::{IssueCode, OperationOutcome},
    search::ExportFormat,
};
use http::{HeaderValue, Method, StatusCode, header};
use jiff::SignedDuration;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, empty, text_json, upload::fhir_base};
use serde_json::{Value, json};
use store::{ExportState, ExportStatus};

/// The function.
pub const FUNCTION: Function =
    Function::new("fhir-export-status", Protocol::Fhir, Needs::Database, |app, request| Box::pin(handle(app, request)));

/// After so many seconds it may be asked again.
const AGAIN: HeaderValue = HeaderValue::from_static("10");

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let caller = Caller::of(app, request).await?;
    let job = job(request)?;
    let store = app.store().await?;
    if request.method() == Method::DELETE {
        let context = request.audit(Some(&caller.actor), Action::Delete, "Group");
        if !store.end_export(&context, caller.of, job).await? {
            return Err(Failure::NotFound);
        }
        // What is left over is removed by the next run.
        if let Some(files) = exports::files(app)?
            && let Err(error) = files.0.remove(job).await
        {
            tracing::warn!(%error, "the files of an export are left to the next run");
        }
        return Ok(empty(StatusCode::ACCEPTED));
    }
    let status = store.export_status(caller.of, job).await?.ok_or(Failure::NotFound)?;
    match status.state {
        ExportState::Running => Ok(running(&status)),
        ExportState::Done => {
            let mut response = text_json(StatusCode::OK, manifest(app, &caller, job, &status).to_string());
            let expires = status.expires_at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            if let Ok(expires) = HeaderValue::from_str(&expires) {
                response.headers_mut().insert(header::EXPIRES, expires);
            }
            Ok(response)
        }
        ExportState::Failed => Err(Failure::Outcome(
            StatusCode::INTERNAL_SERVER_ERROR,
            OperationOutcome::error(IssueCode::Exception, "The export could not be made. Delete it and ask again."),
        )),
    }
}

fn running(status: &ExportStatus) -> Response {
    let mut response = empty(StatusCode::ACCEPTED);
    let (all, done) = status.patients;
    if let Ok(progress) = HeaderValue::from_str(&format!("{done} of {all} patients")) {
        response.headers_mut().insert("x-progress", progress);
    }
    response.headers_mut().insert(header::RETRY_AFTER, AGAIN);
    response
}

/// So long before the export was asked for nothing was being written any more that is not in the files: a statement of a function ends
/// after 15 seconds, and a transaction that waits for one does too. What is written has the time at which it was, and is seen later.
const IN_FLIGHT: SignedDuration = SignedDuration::from_mins(1);

/// What changed after `transactionTime` may be in the files, and nothing that changed before it is missing.
fn manifest(app: &App, caller: &Caller, job: &str, status: &ExportStatus) -> Value {
    let base = format!("{}/Group/{}/$export/{job}", fhir_base(app), caller.of.study);
    let format = ExportFormat::from_name(&status.format).unwrap_or_default();
    let output = status.files.iter().map(|file| {
        let name = format!("{}-{}.{}", file.kind, file.number, format.name());
        let mut entry = json!({ "type": file.kind, "url": format!("{base}/{name}") });
        if let (Some(code), Some(entry)) = (&file.code, entry.as_object_mut()) {
            let extension = json!({ "https://jupyterhealth.org/fhir/export/code": code });
            entry.insert("extension".to_owned(), extension);
        }
        entry
    });
    json!({
        "transactionTime": (status.requested_at - IN_FLIGHT).to_string(),
        "request": status.request_url,
        "requiresAccessToken": true,
        "outputFormat": format.media_type(),
        "output": output.collect::<Vec<_>>(),
        "deleted": [],
        "error": [],
    })
}
