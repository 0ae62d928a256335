//! The single parameters of an authorization request.

use jiff::SignedDuration;

use crate::authentication::Acr;
use crate::client::{Client, GrantType};
use crate::dpop::Thumbprint;
use crate::error::{ErrorCode, OAuthError};
use crate::params::{Params, is_vschar};
use crate::pkce::{self, Challenge};
use crate::scope::Scope;

pub(super) const MAX_STATE: usize = 2048;
pub(super) const MAX_NONCE: usize = 512;

/// Request objects (OpenID Connect Core 6) would override parameters, so they cannot just be ignored.
pub(super) fn refuse_request_objects(params: &Params) -> Result<(), OAuthError> {
    if params.get("request")?.is_some() {
        return Err(OAuthError::new(ErrorCode::RequestNotSupported, "The request parameter is not supported."));
    }
    if params.get("request_uri")?.is_some() {
        return Err(OAuthError::new(ErrorCode::RequestUriNotSupported, "The request_uri parameter is not supported."));
    }
    Ok(())
}

/// Only a code, only in the query. Tokens never travel in a URL (RFC 9700 2.1.2).
pub(super) fn check_response(params: &Params) -> Result<(), OAuthError> {
    match params.require("response_type", "The response_type is missing.")? {
        "code" => {}
        _ => {
            return Err(OAuthError::new(ErrorCode::UnsupportedResponseType, "Only response_type code is supported."));
        }
    }
    match params.get("response_mode")? {
        None | Some("query") => Ok(()),
        Some(_) => Err(OAuthError::invalid_request("Only response_mode query is supported.")),
    }
}

/// RFC 9700 2.1.1: every client uses PKCE. RFC 7636 4.3: a missing method would mean `plain`, which is refused.
pub(super) fn challenge(params: &Params) -> Result<Challenge, OAuthError> {
    let text = params.require("code_challenge", "Code challenge required.")?;
    if params.get("code_challenge_method")? != Some(pkce::METHOD) {
        return Err(OAuthError::invalid_request("The code_challenge_method must be S256."));
    }
    Challenge::parse(text).ok_or(OAuthError::invalid_request("The code_challenge is malformed."))
}

/// RFC 6749 3.3: the server may grant less than was asked.
pub(super) fn scope(params: &Params, client: &Client) -> Result<Scope, OAuthError> {
    let asked = params.get("scope")?.map(Scope::parse).transpose();
    let asked = asked.map_err(|_| OAuthError::new(ErrorCode::InvalidScope, "The scope is malformed."))?;
    client.grantable(asked.as_ref(), GrantType::AuthorizationCode)
}

pub(super) fn nonce(params: &Params) -> Result<Option<String>, OAuthError> {
    match params.get("nonce")? {
        Some(nonce) if nonce.len() > MAX_NONCE || !is_vschar(nonce) => {
            Err(OAuthError::invalid_request("The nonce is malformed."))
        }
        nonce => Ok(nonce.map(str::to_owned)),
    }
}

/// RFC 9449 10.
pub(super) fn key(params: &Params) -> Result<Option<Thumbprint>, OAuthError> {
    let malformed = OAuthError::invalid_request("The dpop_jkt is malformed.");
    params.get("dpop_jkt")?.map(|text| Thumbprint::parse(text).ok_or(malformed)).transpose()
}

pub(super) fn max_age(params: &Params) -> Result<Option<SignedDuration>, OAuthError> {
    let Some(text) = params.get("max_age")? else {
        return Ok(None);
    };
    let seconds = text.parse::<u32>().map_err(|_| OAuthError::invalid_request("The max_age is malformed."))?;
    Ok(Some(SignedDuration::from_secs(i64::from(seconds))))
}

/// `acr_values` are in order of preference. Those that are not known are nobody's.
pub(super) fn asks_two_factors(params: &Params) -> Result<bool, OAuthError> {
    let first = params.get("acr_values")?.and_then(|values| values.split(' ').find_map(Acr::parse));
    Ok(first == Some(Acr::TwoFactors))
}

/// `1*VSCHAR` (RFC 6749 appendix A.5), of bounded length.
pub(super) fn is_state(state: &str) -> bool {
    state.len() <= MAX_STATE && is_vschar(state)
}
