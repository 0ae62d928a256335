//! End-to-end tests, over HTTP against the standalone host with a real PostgreSQL.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod access_log;
mod audit;
mod audit_immutable;
mod audit_refusals;
mod audit_roles;
mod bundle;
mod consent_property;
mod consent_withdrawal;
mod consents;
mod database_tls;
mod end_of_time;
mod faults;
mod hostile;
mod invitations;
mod json_bodies;
mod landing_page;
mod least_privilege;
mod login;
mod logs;
mod migration_policy;
mod oauth;
mod oauth_tokens;
mod observation_access;
mod observation_create;
mod observation_create_invalid;
mod observation_paging;
mod observation_review;
mod observation_search;
mod observation_search_access;
mod observation_upload_rules;
mod observation_window;
mod patient_identifiers;
mod patients;
mod rest_matrix;
mod rest_paging;
mod source_policy;
mod studies;
mod template;
