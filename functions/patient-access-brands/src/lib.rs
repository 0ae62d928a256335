//! `GET /api/v1/patient-access/brands`: the facilities from which patients can bring their records, for an app to offer.
//!
//! The operator keeps them in the setting `patient_access.brands`; without it there are none. The shape follows the
//! user-access brands of SMART App Launch 2.2.

use api::{
    Content, Kind, Operation, Parameter, Shape, parameter, required,
    shapes::brand::{BRAND, BRANDS_KEY},
};
use http::StatusCode;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json};
use serde::Serialize;
use store::RecordHolder;

/// The function.
pub const FUNCTION: Function =
    Function::new("patient-access-brands", Protocol::Rest, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    })
    .describing(&OPERATIONS);

/// The most that one answer has.
const MOST: i64 = 50;

/// The longest text that is looked for, in characters.
const LONGEST: usize = 100;

const FILTERS: [Parameter; 1] =
    [parameter("q", Kind::AnyText, "Only those with this text in the name, brand, city, state or postal code.")];

const FOUND: Shape =
    Shape { name: "BrandsFound", fields: &[required("results", Kind::List(&Kind::Object(&BRAND), 50))] };

const OPERATIONS: [Operation; 1] = [Operation::new(
    "GET /api/v1/patient-access/brands",
    "The facilities from which patients can bring their records: the first 50 by name",
    "Every user.",
)
.with(&[&FILTERS])
.answers(&[(200, Content::Object(&FOUND))])];

#[derive(Serialize)]
struct Found {
    results: Vec<RecordHolder>,
}

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    request.actor(app).await?;
    let query = request.query()?;
    let wanted = query.iter().find(|(name, _)| name == "q").map_or("", |(_, value)| value.trim());
    // A text with a null character is in nothing.
    let results = if wanted.chars().count() > LONGEST || wanted.contains('\0') {
        Vec::new()
    } else {
        app.store().await?.brands(BRANDS_KEY, wanted, MOST).await?
    };
    Ok(json(StatusCode::OK, &Found { results })?)
}
