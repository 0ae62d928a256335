//! The demo world on a running host: the rows that the store writes, tokens for a day, and one observation for every
//! granted decision, uploaded through the same function as any other.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use jiff::{SignedDuration, Timestamp};
use oauth::{Secret, password, token::random_bytes};
use runtime::{App, Request, RequestParts};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use store::{DatabaseConfig, LoginError, demo};

/// Everybody's password.
pub const PASSWORD: &str = "Jhe1234!";

/// The public browser client that the demo tokens belong to.
pub const PUBLIC_CLIENT: &str = "eJAMvDpDlCc5chkyJH4SpccrbsykvSvPfnV6Wp4T";

/// The demo world cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The database.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// No random numbers.
    #[error("no random numbers")]
    Random,
    /// The time is out of range.
    #[error("the clock is not usable")]
    Clock,
    /// The functions refused what the demo uploads.
    #[error("the demo observations were not accepted (status {0})")]
    Upload(u16),
}

/// Where authorization codes of the demo clients go.
#[must_use]
pub fn redirect_uri(site_url: &str) -> String {
    format!("{site_url}/auth/callback")
}

/// Writes the rows of the demo world when the database has no users. False when it had.
pub async fn seed(owner: &DatabaseConfig, site_url: &str) -> Result<bool, DemoError> {
    let salt = random_bytes().map_err(|_| DemoError::Random)?;
    let hash = password::hash(PASSWORD, &salt).map_err(|_| DemoError::Random)?;
    Ok(demo::seed(owner, &redirect_uri(site_url), &hash).await?)
}

/// Lets the demo clients return to this address: the world may have been made when it was another.
pub async fn move_clients(owner: &DatabaseConfig, site_url: &str) -> Result<(), DemoError> {
    Ok(demo::move_clients(owner, &redirect_uri(site_url)).await?)
}

/// Gives everybody of the demo world a token for a day, and describes the world as `demo.json` has it.
pub async fn describe(owner: &DatabaseConfig, site_url: &str) -> Result<Value, DemoError> {
    let expires_at = Timestamp::now().checked_add(SignedDuration::from_hours(24)).map_err(|_| DemoError::Clock)?;
    let people = demo::users(owner).await?;
    let mut users = Map::new();
    let mut tokens = Vec::new();
    for user in people {
        let token = Secret::generate().map_err(|_| DemoError::Random)?;
        tokens.push((user.id, token.hash()));
        let name = user.email.split('@').next().unwrap_or_default().to_owned();
        let mut entry = json!({
            "email": user.email, "password": PASSWORD, "user_type": user.kind, "access_token": token.expose(), "user_id": user.id,
        });
        if let Some(fields) = entry.as_object_mut() {
            fields.extend(user.patient.map(|id| ("patient_id".to_owned(), json!(id))));
            fields.extend(user.practitioner.map(|id| ("practitioner_id".to_owned(), json!(id))));
        }
        users.insert(name, entry);
    }
    demo::issue_token(owner, &tokens, PUBLIC_CLIENT, expires_at).await?;
    Ok(json!({
        "base_url": site_url,
        "public_client": { "client_id": PUBLIC_CLIENT, "redirect_uri": redirect_uri(site_url) },
        "users": users,
        "ids": {
            "organizations": {
                "planetary_research_institute": 20001, "saturn_school_of_data_science": 20002, "lifespan_lab": 20003,
                "neptune_health_system": 20004, "department_of_medicine": 20005, "cardiology_division": 20006,
                "neptunian_pulse_lab": 20007, "cosmic_cardio_lab": 20008,
            },
            "studies": { "bp_hr": 30001, "bp": 30002, "bgl": 30003, "bt": 30004, "o2": 30005 },
            "patients": { "peter": 40001, "pamela": 40002, "percy": 40003, "paul": 40004, "pat": 40005 },
            "clients": { "carex": 1, "commonhealth": 2, "patient_access": 3, "admin_ui": 4 },
            "data_sources": {
                "carex": 70001, "dexcom": 70002, "ihealth": 70003, "oura": 70004, "questionnaire": 70005,
                "patient_access_api": 70006,
            },
        },
    }))
}

/// One observation for every granted Open mHealth decision: user, patient, data source, code, measure.
const OBSERVATIONS: [(&str, i32, i32, &str, &str); 9] = [
    ("ll_patient_peter", 40001, 70001, "omh:blood-pressure:4.0", BLOOD_PRESSURE),
    ("ll_patient_peter", 40001, 70001, "omh:heart-rate:2.0", r#""heart_rate":{"unit":"beats/min","value":62}"#),
    ("ll_patient_pamela", 40002, 70001, "omh:blood-pressure:4.0", BLOOD_PRESSURE),
    ("ll_patient_pamela", 40002, 70001, "omh:heart-rate:2.0", r#""heart_rate":{"unit":"beats/min","value":71}"#),
    ("ll_patient_pamela", 40002, 70001, "omh:blood-pressure:4.0", BLOOD_PRESSURE),
    ("ccl_cardio_patient_pat", 40005, 70002, "omh:blood-glucose:4.0", r#""blood_glucose":{"unit":"mg/dL","value":96}"#),
    ("npl_patient_percy", 40003, 70003, "omh:body-temperature:4.0", r#""body_temperature":{"unit":"C","value":36.7}"#),
    ("ccl_patient_paul", 40004, 70003, "omh:oxygen-saturation:2.0", OXYGEN),
    ("ccl_cardio_patient_pat", 40005, 70003, "omh:oxygen-saturation:2.0", OXYGEN),
];

const BLOOD_PRESSURE: &str =
    r#""systolic_blood_pressure":{"unit":"mmHg","value":122},"diastolic_blood_pressure":{"unit":"mmHg","value":77}"#;
const OXYGEN: &str = r#""oxygen_saturation":{"unit":"%","value":97}"#;

/// Uploads the demo observations through the function, as the patients of `world` (what [`describe`] gave).
pub async fn upload(app: &App, world: &Value) -> Result<(), DemoError> {
    for (number, (user, patient, device, code, measure)) in OBSERVATIONS.into_iter().enumerate() {
        let token = world.pointer(&format!("/users/{user}/access_token")).and_then(Value::as_str).unwrap_or_default();
        let resource = observation(number, patient, device, code, measure);
        let response = fhir_observation_create::FUNCTION.call(app, &post(token, &resource)).await;
        if !response.status().is_success() {
            return Err(DemoError::Upload(response.status().as_u16()));
        }
    }
    Ok(())
}

/// An observation of the demo world: a point of Open mHealth with one measure.
pub(crate) fn observation(number: usize, patient: i32, device: i32, code: &str, measure: &str) -> Value {
    let mut parts = code.split(':');
    let mut part = || parts.next().unwrap_or_default();
    let (namespace, name, version) = (part(), part(), part());
    let day = number + 1;
    let point = format!(
        r#"{{"header":{{"uuid":"5b1f2a70-0000-4000-8000-{number:012}","schema_id":{{"namespace":"{namespace}","name":"{name}","version":"{version}"}},"source_creation_date_time":"2026-01-{day:02}T08:00:00Z","modality":"sensed"}},"body":{{{measure},"effective_time_frame":{{"date_time":"2026-01-{day:02}T07:55:00Z"}}}}}}"#
    );
    json!({
        "resourceType": "Observation",
        "status": "final",
        "identifier": [{ "system": "https://demo.example/observation", "value": format!("demo-{number}") }],
        "code": { "coding": [{ "system": "https://w3id.org/openmhealth", "code": code }] },
        "subject": { "reference": format!("Patient/{patient}") },
        "device": { "reference": format!("Device/{device}") },
        "valueAttachment": { "contentType": "application/json", "data": STANDARD.encode(point) },
    })
}

fn post(token: &str, resource: &Value) -> Request {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/fhir+json"));
    if let Ok(value) = HeaderValue::from_str(&format!("Bearer {token}")) {
        headers.insert(header::AUTHORIZATION, value);
    }
    Request::from(RequestParts {
        method: Method::POST,
        path: "/FHIR/R5/Observation".to_owned(),
        variables: HashMap::new(),
        query: String::new(),
        headers,
        body: Bytes::from(resource.to_string()),
        source: None,
        id: "demo-world".to_owned(),
    })
}
