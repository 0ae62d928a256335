//! The FHIR R5 resources we serve, search parameters, bundles and outcomes.
//!
//! Pure: no clock, network, database or environment. Input is hostile JSON and query text; output is
//! JSON text that validates as R5 (<https://hl7.org/fhir/R5/>).

pub mod audit_event;
pub mod auxiliary;
pub mod bundle;
pub mod capability;
pub mod consent;
pub mod cursor;
mod datetime;
pub mod device;
mod element;
pub mod group;
mod json;
pub mod observation;
pub mod organization;
pub mod outcome;
pub mod patient;
pub mod practitioner;
mod primitive;
pub mod r4;
mod r5;
pub mod rejection;
pub mod resource;
pub mod search;
mod shape;

pub use rejection::Rejection;

/// `meta.source` of every resource this exchange stores itself.
pub const SOURCE: &str = "https://jupyterhealth.org/jhe";

/// Code system that says which model of the exchange a Group, Device or Organization is.
pub const MODEL_SYSTEM: &str = "https://jupyterhealth.org/fhir/CodeSystem/model";

/// Identifier system of `Observation.subject.identifier`: the user id of the patient.
pub const USER_ID_SYSTEM: &str = "https://jupyterhealth.org/fhir/identifier/jhe-user-id";
