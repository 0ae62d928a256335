//! The OAuth 2.0 and OpenID Connect engine of the exchange.
//!
//! Everything here is a decision on values: a request is parsed, a record from the database is judged,
//! a document is built. There is no HTTP framework, no clock, no database and no environment. Time is
//! an argument. The one thing taken from outside is randomness, in [`token`], [`signing`] and nowhere else:
//! it reads no state that a test could want to set.
//!
//! The rules are those of RFC 6749 as narrowed by RFC 9700 and OAuth 2.1: the authorization code grant with
//! PKCE S256, rotating refresh tokens, exact redirect URIs, no token in a URL, and the client credentials grant for clients
//! that act for one account.

pub mod assertion;
pub mod authentication;
pub mod authorize;
pub mod client;
pub mod client_auth;
pub mod csrf;
pub mod discovery;
pub mod dpop;
pub mod error;
pub mod exchange;
pub mod factor;
pub mod grant;
pub mod id_token;
pub mod introspection;
mod jws;
pub mod keys;
pub mod logout;
pub mod params;
pub mod password;
pub mod pkce;
pub mod pushed;
pub mod redirect;
pub mod registration;
pub mod resource;
pub mod ring;
pub mod scope;
pub mod signing;
pub mod smart;
pub mod throttle;
pub mod token;
pub mod token_request;
pub mod token_response;
pub mod words;

pub use client::{AuthMethod, Client, ClientKind, Credential, GrantType, KeySource};
pub use error::{ErrorCode, OAuthError};
pub use keys::KeySet;
pub use params::Params;
pub use scope::Scope;
pub use token::{Secret, TokenHash};

/// The system could not give random bytes. Nothing may be issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no random bytes available")]
pub struct RandomError;
