//! `GET /FHIR/R5/Group/{id}/$export/{job}/{file}`: a file of an export
//! (<https://hl7.org/fhir/uv/bulkdata/STU2/export.html#bulk-data-output-file-request>), as far as the caller may still see what is in it.

use audit::Action;
use exports::{Caller, job};
use fhir::search::{Everything, ExportFormat};
use http::{HeaderValue, header};
use runtime::{App, Failure, Function, Interaction, Needs, Protocol, Request, Response};

/// The function.
pub const FUNCTION: Function =
    Function::new("fhir-export-file", Protocol::Fhir, Needs::Database, |app, request| Box::pin(handle(app, request)));

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let caller = Caller::of(app, request).await?;
    let job = job(request)?;
    let (kind, number, format) = request.variable("file").and_then(named).ok_or(Failure::NotFound)?;
    request.fhir_actor(app, kind, Interaction::Search).await?;
    let files = exports::files(app)?.ok_or(Failure::NotFound)?;
    let store = app.store().await?;
    let context = request.audit(Some(&caller.actor), Action::Read, kind);
    let file =
        store.read_export_file(&context, caller.of, caller.practitioner, job, (number, kind, format.name())).await?;
    // Whatever refused, the caller is told the same.
    let file = file.map_err(|_| Failure::NotFound)?;
    let lines = if file.parts.is_empty() {
        Vec::new()
    } else {
        let bytes = files.0.get(&format!("{job}/{}", file.name)).await.map_err(exports::unavailable)?;
        match bytes {
            Some(bytes) => store.open_export(&file, &bytes).await?,
            None if file.is_torn => return Err(Failure::Unavailable("the file is being written anew".into())),
            None => return Err(Failure::Gone("The file is no more: ask for another export.")),
        }
    };
    let body = match format {
        ExportFormat::Ndjson => {
            let length = lines.iter().map(|line| line.len().saturating_add(1)).sum();
            let mut text = String::with_capacity(length);
            for line in &lines {
                text.push_str(line);
                text.push('\n');
            }
            text.into_bytes()
        }
        ExportFormat::Csv => tables::csv(&lines, file.code.as_deref()).map_err(internal)?,
        ExportFormat::Parquet => tables::parquet(&lines, file.code.as_deref()).map_err(internal)?,
    };
    let mut response = Response::new(body.into());
    let media_type = HeaderValue::from_static(format.media_type());
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    Ok(response)
}

fn internal(error: tables::TableError) -> Failure {
    Failure::Internal(Box::new(error))
}

/// The type, the number and the format of a file by its name, as the manifest has it: `Observation-7.ndjson`.
fn named(name: &str) -> Option<(&'static str, i32, ExportFormat)> {
    let (name, format) = name.rsplit_once('.')?;
    let (kind, number) = name.rsplit_once('-')?;
    let kind = Everything::all().find(|known| *known == kind)?;
    let number = number.parse().ok().filter(|value: &i32| value.to_string() == number)?;
    Some((kind, number, ExportFormat::from_name(format)?))
}
