//! End-to-end tests, over HTTP against the standalone host with a real PostgreSQL.

mod consent_property;
mod observation_access;
mod observation_create;
mod observation_create_invalid;
mod observation_upload_rules;
