//! What every function uses: settings, tracing, request to actor, failure to response, and the two hosts' adapter.
//!
//! A handler is an `async fn(&App, &Request) -> Result<Response, Failure>`. [`Function`] names it and says which
//! protocol its errors speak; [`lambda::main`] runs it on AWS Lambda, and the standalone host mounts it beside the
//! others. Both go through [`Function::call`]. What the clock calls is a [`Scheduled`] function, what
//! a service of AWS calls a [`Hook`].

mod access;
pub mod account;
mod app;
pub mod auxiliary;
pub mod browser;
pub mod ceremony;
pub mod client;
pub mod consent;
pub mod cors;
mod database;
pub mod directory;
pub mod everything;
pub mod factor;
mod failure;
mod function;
mod hook;
mod idempotency;
mod key_sets;
pub mod lambda;
pub mod link;
mod members;
pub mod metrics;
mod named;
mod origin;
pub mod pages;
pub mod patient;
mod payloads;
mod permit;
mod proof;
mod rate;
mod read_later;
mod reason;
mod record;
mod request;
mod response;
pub mod rest;
mod scheduled;
pub mod search;
mod settings;
pub mod study;
pub mod telemetry;
pub mod upload;
mod version;

pub use app::{App, SetupError};
pub use database::{owner, retention_floor};
pub use failure::{Failure, Protocol};
pub use function::{Function, Needs};
pub use hook::Hook;
pub use key_sets::{KeySets, KeySetsError};
pub use oauth::smart::Interaction;
pub use rate::RateLimit;
pub use request::{Request, RequestParts};
pub use response::{
    Response, empty, html, json, no_content, protect, read_response, record_response, redirect, text_json,
    version_response,
};
pub use scheduled::{Occasion, Scheduled, UnknownOption};
pub use secrets::Part;
pub use settings::{Settings, TOKEN_EXCHANGE_ISSUERS};
pub use version::versioned;

/// The version that every host reports.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The largest request body, in bytes: what AWS Lambda takes.
pub const MAX_BODY: usize = 6 * 1024 * 1024;
