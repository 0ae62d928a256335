//! End-to-end tests, over HTTP against the standalone host with a real PostgreSQL.

mod audit;
mod audit_immutable;
mod bundle;
mod consent_property;
mod database_tls;
mod faults;
mod observation_access;
mod observation_create;
mod observation_create_invalid;
mod observation_paging;
mod observation_search;
mod observation_search_access;
mod observation_upload_rules;
