//! Pushed authorization requests (RFC 9126): a client sends its request here itself and is given a reference, and the
//! browser brings the reference alone. What is asked for cannot be changed on the way, nor read.

use jiff::{SignedDuration, Timestamp};

use crate::dpop::{Proof, Thumbprint};
use crate::error::{ErrorCode, OAuthError};
use crate::params::Params;
use crate::token::Secret;

/// How long a reference waits for a browser, `expires_in` (RFC 9126 2.2). The client sends the browser on at once.
pub const WAITS: SignedDuration = SignedDuration::from_secs(90);

/// How long the request lasts from when a browser first brought its reference: the person signs in meanwhile, with a second
/// step maybe, and comes back by the same reference (RFC 9126 4 allows that).
pub const LASTS: SignedDuration = SignedDuration::from_mins(15);

/// How many requests of one public client wait or are open from one network: anybody can push them (RFC 9126 7.2 leaves the
/// bound to the server). Many people of one clinic may use the same app at the same time.
pub const MOST_WAITING: i32 = 100;

/// RFC 9126 2.2.
const PREFIX: &str = "urn:ietf:params:oauth:request_uri:";

/// The reference that a client is given.
#[must_use]
pub fn request_uri(reference: &Secret) -> String {
    format!("{PREFIX}{}", reference.expose())
}

/// The secret in a `request_uri` of ours. None for any other: nothing is ever fetched (RFC 9126 7.1).
#[must_use]
pub fn reference(request_uri: &str) -> Option<Secret> {
    request_uri.strip_prefix(PREFIX).filter(|text| !text.is_empty() && text.len() <= 128).map(Secret::presented)
}

/// A pushed request as stored, that a browser brought the reference of.
#[derive(Debug, Clone)]
pub struct Pushed {
    /// The parameters, as a form.
    pub parameters: String,
    /// When a browser first brought the reference.
    pub opened_at: Timestamp,
}

/// What is pushed, without what proves who the client is, which is proved already (RFC 9126 2.1).
///
/// A proof binds the code to its key, as `dpop_jkt` does. Who sends both means the same key (RFC 9449 10.1).
pub(crate) fn parameters(
    params: &Params,
    known: &[&str],
    client_id: &str,
    proof: Option<&Proof>,
) -> Result<Params, OAuthError> {
    // RFC 9126 2.1: a reference instead of a request is refused.
    if params.get("request_uri")?.is_some() {
        return Err(OAuthError::invalid_request("A pushed request has no request_uri."));
    }
    let key = proof.map(|proof| &proof.key);
    if let (Some(named), Some(key)) = (params.get("dpop_jkt")?, key)
        && named != key.as_str()
    {
        return Err(OAuthError::new(ErrorCode::InvalidDpopProof, "The dpop_jkt names another key than the proof."));
    }
    let asked = params
        .pairs()
        .filter(|(name, _)| known.contains(name) && *name != "client_id" && (key.is_none() || *name != "dpop_jkt"));
    let own = [("client_id", Some(client_id)), ("dpop_jkt", key.map(Thumbprint::as_str))];
    let own = own.into_iter().filter_map(|(name, value)| Some((name, value?)));
    Params::from_pairs(asked.chain(own))
}

#[cfg(test)]
mod tests;
