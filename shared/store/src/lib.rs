//! PostgreSQL: the pool, TLS, migrations, and all SQL of the product.
//!
//! One module per aggregate; each public method of [`Store`] is one statement or one short transaction.
//! Handlers see typed functions and never SQL. Values reach the database only as parameters.

mod access_log;
mod config;
mod consent;
mod data_source;
pub mod demo;
mod enrolment;
mod error;
mod invitation;
mod migrate;
mod oauth;
mod observation;
mod organization;
mod patient;
mod pool;
mod practitioner;
mod refusal;
mod session;
mod study;
mod tls;
mod token;
mod user;

pub use access_log::{AccessLogEntry, AccessLogPage, Named};
pub use config::{ConfigError, DatabaseConfig, SslMode};
pub use consent::{
    ConsentChange, ConsentDecision, ConsentEvent, ConsentFacts, ConsentHistory, ConsentOutcome, ConsentState,
    DecidedBy, ScopeState, StudyConsents,
};
pub use data_source::{DataSource, Scope};
pub use enrolment::Enrolment;
pub use error::StoreError;
pub use invitation::{InvitationCode, Issue, IssuedInvitation, NewInvitation, Redemption};
pub use migrate::{LoginError, connect_owner, create_database, create_login, migrate};
pub use oauth::{Exchanged, NewCode, NewTokens};
pub use observation::{
    CodeFilter, Filter, Found, NewObservation, ObservationPage, ObservationQuery, Order, PageSize, ReadOutcome, Reader,
    Stored, UploadVerdict, WhenRevoked,
};
pub use organization::Organization;
pub use patient::{Creation, Identifier, Lookup, NewPatient, Patient, PatientFilter, PatientPage, TextFilter};
pub use pool::Store;
pub use practitioner::Practitioner;
pub use session::{Account, LoginAttempt, LoginSession, NewSession};
pub use study::{Study, StudyOrganization};
pub use token::Authenticated;
pub use user::Profile;
