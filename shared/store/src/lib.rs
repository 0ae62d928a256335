//! PostgreSQL: the pool, TLS, migrations, and all SQL of the product.
//!
//! One module per aggregate; each public method of [`Store`] is one statement or one short transaction.
//! Handlers see typed functions and never SQL. Values reach the database only as parameters.

mod account;
mod administration;
mod asked;
mod attempt;
mod audit_log;
mod audit_parts;
mod auxiliary;
mod backup_run;
mod change;
mod client;
mod client_origin;
mod config;
mod consent;
mod containment;
mod data_source;
mod database;
mod deletion;
pub mod demo;
mod directory;
mod dpop;
mod drill;
mod enrolment;
mod erasure;
mod error;
mod everything;
mod export;
mod exposure;
mod factor;
mod fhir_source;
mod idempotency;
mod inspection;
mod invitation;
mod link;
mod login;
mod logout;
pub mod meter;
mod migrate;
mod monitor;
mod oauth;
mod observation;
mod organization;
mod page;
mod passkey;
mod patient;
mod payloads;
mod pool;
mod practitioner;
mod pushed_request;
mod rate_limit;
mod refusal;
mod restoration;
mod retention;
mod retention_rules;
mod seal;
mod session;
mod setting;
mod single_sign_on;
mod slice;
mod snapshot;
mod study;
mod tls;
mod token;
mod user;

pub use account::{Account, LinkPurpose, NewLink, OwnFactors, Recipient};
pub use attempt::Attempt;
pub use audit_log::{
    AuditFilter, AuditPage, AuditScope, AuditSlice, LoggedActor, LoggedBy, LoggedEvent, LoggedOutcome, Named, NotShown,
};
pub use audit_parts::{AuditGap, AuditParts};
pub use auxiliary::{
    AuxiliaryChange, AuxiliaryPage, AuxiliaryQuery, AuxiliaryRead, AuxiliaryResource, AuxiliaryUpload, AuxiliaryUpsert,
    ChangedContent, NewAuxiliary,
};
pub use backup_run::{BackupRun, NewBackupRun, RunKind};
pub use change::{Changed, Expected};
pub use client::{
    ClientChange, ClientRecord, ClientRegistration, ClientSummary, NewOwnClient, OwnClient, RegisteredClient,
    SecretChange,
};
pub use config::{ConfigError, DatabaseConfig, SslMode};
pub use consent::{
    ConsentChange, ConsentDecision, ConsentEvent, ConsentFacts, ConsentHistory, ConsentOutcome, ConsentRecord,
    ConsentState, DecidedBy, ScopeState, StudyConsents,
};
pub use containment::{AccountName, Containment, Incident, Measure, contain};
pub use data_source::{DataSource, Scope, SourceParts};
pub use database::{
    create_database, create_drill_database, create_empty_database, drop_database, drop_drill_database,
    drop_empty_database, has_database,
};
pub use deletion::{Certificate, DueLane, Progress, set_retention_floor};
pub use directory::{DirectoryFilter, DirectoryPage};
pub use drill::{AccessCase, Turn, access_cases, take_turn};
pub use enrolment::Enrolment;
pub use erasure::{Erasure, ErasureRequest, PatientWords};
pub use error::StoreError;
pub use everything::{EverythingAfter, EverythingPage, EverythingQuery, EverythingRow};
pub use export::{
    ExportCursor, ExportFile, ExportJob, ExportListed, ExportOf, ExportPart, ExportStart, ExportState, ExportStatus,
    ExportTidied, ExportedFile, ExportedPart, NewExport, SealedFile, TornFile,
};
pub use exposure::{Exposure, ExposureContact, ExposureQuery};
pub use factor::{Authenticator, Factor, FirstStep, NewAuthenticator, NewChallenge, Removal};
pub use fhir_source::{FhirSource, FhirSourceChange, SourceChanged};
pub use idempotency::{Earlier, KeyClaim, KeyOwner};
pub use inspection::{
    Attempts, ClearText, DatabaseSession, SuperAdmins, clear_text, definitions, owners_changes_of_the_past,
};
pub use invitation::{
    Invitation, InvitationCode, InvitationFilter, InvitationOf, InvitationPage, Issue, IssuedInvitation, NewInvitation,
    Rate, Redemption,
};
pub use link::Added;
pub use login::{Login, Logins};
pub use logout::LogoutClient;
pub use migrate::{
    ChangeLog, LoginError, ROLES, connect_owner, create_backup_login, create_login, is_login, log_changes, migrate,
};
pub use monitor::{
    ActorDay, FailedSignIns, FindingChange, FindingFilter, MonitorDay, NewFinding, OfficeHours, PeerGroup,
    SecurityFinding, Untold,
};
pub use oauth::{Exchanged, NewAccess, NewCode, NewTokens, Revocation, SignedInElsewhere};
pub use observation::{
    Amended, Amendment, BroughtBy, CodeFilter, Filter, Found, History, HistoryQuery, NamedObservation,
    NamedObservationPage, NewObservation, ObservationPage, ObservationQuery, Order, PageSize, ReadOutcome, Reader,
    Stored, UploadVerdict, WhenRevoked,
};
pub use organization::{
    Deletion, Member, Membership, Misplaced, NewOrganization, Organization, OrganizationChange, RoleChange,
};
pub use page::Page;
pub use passkey::{Ceremony, KnownPasskey, NewPasskey, Passkey, Registered};
pub use patient::{
    Asking, AskingOrganization, ClientInvitation, Creation, Decision, Identifier, Imported, Lookup, NewPatient,
    OrganizationRequest, Patient, PatientChange, PatientChanged, PatientClient, PatientFilter, PatientImport,
    PatientPage, TextFilter,
};
pub use payloads::{Encrypted, KeysError, PayloadKeys, encrypt_payloads};
pub use pool::Store;
pub use practitioner::{Practitioner, PractitionerAccount, PractitionerPage};
pub use pushed_request::{Bound, NewPushedRequest, Push};
pub use refusal::{Ending, Leftover};
pub use restoration::{Restoration, RestoreError};
pub use retention::RetentionRun;
pub use retention_rules::{Days, Held, PolicyInForce, PolicyOf, RetentionList, Rows};
pub use seal::{After, Change, SealedEvent, StoredSeal};
pub use session::{GrantEntry, LoginSession, NewSession, Origin, SessionEntry};
pub use setting::{NewSetting, RecordHolder, Setting, SettingChange};
pub use single_sign_on::{LinkedSession, Outsider, SignOutOrder, SsoAccount, SsoAttempt};
pub use slice::{ALL, COUNTED, Slice};
pub use snapshot::{AppliedMigration, Moment, Snapshot, StoredSequence, StoredTable};
pub use study::{RetentionPolicy, Study, StudyDeletion, StudyNeed, StudyOrganization, StudyRecord};
pub use token::Authenticated;
pub use user::{NewUser, Profile, Standing, StandingChange, User, UserChange, UserPage};
