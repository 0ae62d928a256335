//! The standalone host: the same functions as on AWS Lambda, behind one HTTP server, by the routes of `template.yaml`.
//! Without a configured database it runs a private PostgreSQL of its own.

pub mod demo;
pub mod embedded;
pub mod exposed;
mod functions;
mod proxies;
pub mod routes;
pub mod schedule;
pub mod server;
pub mod verify;

pub use functions::{FUNCTIONS, SCHEDULED};
pub use proxies::{NoProxy, TrustedProxies};
