//! Who may do what. Pure: no clock, no network, no database, no environment.
//!
//! A request passes six layers, in this order: token, user type, organization, enrolment, consent,
//! role ([`Layer`]). Rows are decided in the database, by the view `practitioner_permit`; actions are
//! decided here, by [`permit`]. [`consent`] states the row rule as a function, so that a test can
//! compare every decision of the database with it.

pub mod actor;
pub mod consent;
pub mod id;
pub mod permission;
pub mod study;

pub use actor::{Actor, Principal};
pub use id::{
    ClientId, DataSourceId, GrantId, InvitationId, ObservationId, OrganizationId, PatientId, PractitionerId, ScopeId,
    StudyId, UserId,
};
pub use permission::{Basis, Layer, Permission, Refusal, Role, Visibility, permit};
pub use study::StudyStatus;
