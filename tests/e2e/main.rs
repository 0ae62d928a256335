//! End-to-end tests, over HTTP against the standalone host with a real PostgreSQL.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod access_log;
mod accounts_email_code;
mod accounts_factor;
mod accounts_password;
mod accounts_reset;
mod accounts_sessions;
mod accounts_throttle;
mod audit;
mod audit_immutable;
mod audit_refusals;
mod bundle;
mod consent_property;
mod consents;
mod database_tls;
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
mod patients;
mod rest_matrix;
mod rest_paging;
mod single_sign_on;
mod source_policy;
mod studies;
mod template;
