//! End-to-end tests, over HTTP against the standalone host with a real PostgreSQL.

mod observation_access;
