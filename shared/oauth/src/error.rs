//! Errors as OAuth 2.0 and OpenID Connect put them on the wire.
//!
//! A description is a fixed text. It cannot repeat what the caller sent.

use serde::ser::{Serialize, SerializeStruct, Serializer};

/// The error codes of RFC 6749 4.1.2.1 and 5.2, RFC 6750 3.1, RFC 8707 2 and OpenID Connect Core 3.1.2.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// A parameter is missing, repeated, or malformed.
    InvalidRequest,
    /// Client authentication failed.
    InvalidClient,
    /// The code or refresh token is unknown, expired, used, or somebody else's.
    InvalidGrant,
    /// This client may not use this grant.
    UnauthorizedClient,
    /// The server does not offer this grant.
    UnsupportedGrantType,
    /// The server does not offer this response type.
    UnsupportedResponseType,
    /// The scope is malformed or more than may be had.
    InvalidScope,
    /// The user or the server said no.
    AccessDenied,
    /// Something broke here.
    ServerError,
    /// Try later.
    TemporarilyUnavailable,
    /// `prompt=none`, and nobody is logged in.
    LoginRequired,
    /// `prompt=none`, and the user has not agreed yet.
    ConsentRequired,
    /// The `request` parameter is not supported.
    RequestNotSupported,
    /// The `request_uri` parameter is not supported.
    RequestUriNotSupported,
    /// A resource is malformed, unknown, or not for this client (RFC 8707 2).
    InvalidTarget,
    /// The proof of possession is missing or not good (RFC 9449 5).
    InvalidDpopProof,
    /// The access token is missing, unknown, expired or revoked (RFC 6750).
    InvalidToken,
    /// The access token does not allow this (RFC 6750).
    InsufficientScope,
    /// The user has to sign in more strongly (RFC 9470).
    InsufficientUserAuthentication,
    /// The same, where the sign-in was too long ago (RFC 9470 3).
    OldUserAuthentication,
}

impl ErrorCode {
    /// The value of `error`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::AccessDenied => "access_denied",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
            Self::RequestNotSupported => "request_not_supported",
            Self::RequestUriNotSupported => "request_uri_not_supported",
            Self::InvalidTarget => "invalid_target",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
            Self::InsufficientUserAuthentication | Self::OldUserAuthentication => "insufficient_user_authentication",
        }
    }
}

/// An error to be answered to a client: a code and a fixed sentence.
///
/// As JSON it is the body of RFC 6749 5.2, `{"error": .., "error_description": ..}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}: {description}", code.as_str())]
pub struct OAuthError {
    /// The value of `error`.
    pub code: ErrorCode,
    /// The value of `error_description`.
    pub description: &'static str,
}

impl OAuthError {
    /// An error with its sentence.
    #[must_use]
    pub const fn new(code: ErrorCode, description: &'static str) -> Self {
        Self { code, description }
    }

    /// `invalid_request` with its sentence.
    #[must_use]
    pub const fn invalid_request(description: &'static str) -> Self {
        Self::new(ErrorCode::InvalidRequest, description)
    }

    /// `invalid_client`. One sentence for every reason, so that nothing is learnt about the client.
    #[must_use]
    pub const fn invalid_client() -> Self {
        Self::new(ErrorCode::InvalidClient, "Client authentication failed.")
    }

    /// `invalid_grant`. One sentence for every reason, so that nothing is learnt about the grant.
    #[must_use]
    pub const fn invalid_grant() -> Self {
        Self::new(ErrorCode::InvalidGrant, "The code or refresh token is not valid.")
    }

    /// `insufficient_scope` with its sentence (RFC 6750 3.1).
    #[must_use]
    pub const fn insufficient_scope(description: &'static str) -> Self {
        Self::new(ErrorCode::InsufficientScope, description)
    }

    /// `insufficient_user_authentication`.
    #[must_use]
    pub const fn insufficient_user_authentication() -> Self {
        Self::new(ErrorCode::InsufficientUserAuthentication, "A sign-in with a second factor is needed.")
    }

    /// `insufficient_user_authentication`, for a sign-in that was too long ago.
    #[must_use]
    pub const fn old_user_authentication() -> Self {
        Self::new(ErrorCode::OldUserAuthentication, "A sign-in of the last ten minutes is needed.")
    }

    /// `server_error`, for failures that only the log may explain.
    #[must_use]
    pub const fn server_error() -> Self {
        Self::new(ErrorCode::ServerError, "The server could not answer.")
    }

    /// The HTTP status of a direct answer (RFC 6749 5.2, RFC 6750 3.1).
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self.code {
            ErrorCode::InvalidClient
            | ErrorCode::InvalidToken
            | ErrorCode::InsufficientUserAuthentication
            | ErrorCode::OldUserAuthentication => 401,
            ErrorCode::InsufficientScope => 403,
            ErrorCode::ServerError => 500,
            ErrorCode::TemporarilyUnavailable => 503,
            _ => 400,
        }
    }

    /// The `WWW-Authenticate` header that a 401 must carry (RFC 6749 5.2, RFC 6750 3).
    #[must_use]
    pub const fn www_authenticate(&self) -> Option<&'static str> {
        match self.code {
            ErrorCode::InvalidClient => Some("Basic realm=\"token\""),
            ErrorCode::InvalidToken => Some("Bearer realm=\"api\", error=\"invalid_token\""),
            ErrorCode::InsufficientScope => Some("Bearer realm=\"api\", error=\"insufficient_scope\""),
            // RFC 9470 3: what to ask for in the next authorization request.
            ErrorCode::InsufficientUserAuthentication => Some(
                "Bearer realm=\"api\", error=\"insufficient_user_authentication\", \
                 acr_values=\"urn:jupyterhealth:acr:two-factors\"",
            ),
            ErrorCode::OldUserAuthentication => {
                Some("Bearer realm=\"api\", error=\"insufficient_user_authentication\", max_age=600")
            }
            _ => None,
        }
    }
}

impl Serialize for OAuthError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_struct("OAuthError", 2)?;
        body.serialize_field("error", self.code.as_str())?;
        body.serialize_field("error_description", self.description)?;
        body.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authentication::Acr;

    #[test]
    fn the_body_is_that_of_rfc_6749_5_2() {
        let body = serde_json::to_string(&OAuthError::invalid_request("The code is missing.")).unwrap();
        assert_eq!(body, r#"{"error":"invalid_request","error_description":"The code is missing."}"#);
    }

    #[test]
    fn every_401_names_a_scheme() {
        let token = OAuthError::new(ErrorCode::InvalidToken, "The token is not valid.");
        let weak = OAuthError::insufficient_user_authentication();
        for error in [OAuthError::invalid_client(), token, weak, OAuthError::old_user_authentication()] {
            assert_eq!(error.status(), 401);
            assert!(error.www_authenticate().is_some());
        }
        assert!(weak.www_authenticate().unwrap().contains(Acr::TwoFactors.as_str()));
        assert_eq!(OAuthError::invalid_grant().status(), 400);
        assert_eq!(OAuthError::invalid_grant().www_authenticate(), None);
        assert_eq!(OAuthError::server_error().status(), 500);
    }
}
