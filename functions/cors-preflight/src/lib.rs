//! `OPTIONS` of every path: what a browser asks before a script of another origin may send a request (Fetch standard,
//! "CORS-preflight fetch", <https://fetch.spec.whatwg.org/#cors-preflight-fetch>). Public.

use runtime::{Function, Needs, Protocol, cors};

/// The function. The database knows the origins of clients.
pub const FUNCTION: Function = Function::new("cors-preflight", Protocol::Rest, Needs::Database, |_, request| {
    Box::pin(std::future::ready(Ok(cors::preflight(request))))
});
