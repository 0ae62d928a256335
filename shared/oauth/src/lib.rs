//! The OAuth 2.0 and OpenID Connect engine of the exchange.
//!
//! Everything here is a decision on values: a request is parsed, a record from the database is judged,
//! a document is built. There is no HTTP framework, no clock, no database and no environment. Time is
//! an argument. The one thing taken from outside is randomness, in [`token`], [`signing`] and nowhere else:
//! it reads no state that a test could want to set.
//!
//! The rules are those of RFC 6749 as narrowed by RFC 9700 and OAuth 2.1: only the authorization code
//! grant with PKCE S256, rotating refresh tokens, exact redirect URIs, and no token in a URL.

pub mod authorize;
pub mod client;
pub mod client_auth;
pub mod csrf;
pub mod discovery;
pub mod error;
pub mod factor;
pub mod grant;
pub mod id_token;
pub mod params;
pub mod password;
pub mod pkce;
pub mod redirect;
pub mod scope;
pub mod signing;
pub mod throttle;
pub mod token;
pub mod token_request;
pub mod token_response;

pub use client::{Client, ClientKind, GrantType};
pub use error::{ErrorCode, OAuthError};
pub use params::Params;
pub use scope::Scope;
pub use token::{Secret, TokenHash};

/// The system could not give random bytes. Nothing may be issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no random bytes available")]
pub struct RandomError;
