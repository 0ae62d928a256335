//! Requests to the token endpoint (RFC 6749 4.1.3, 4.4.2 and 6).

use crate::client::GrantType;
use crate::client_auth::ClientAuthentication;
use crate::error::{ErrorCode, OAuthError};
use crate::params::Params;
use crate::pkce::Verifier;
use crate::resource::Audience;
use crate::scope::Scope;
use crate::token::Secret;

/// A well-formed request. Neither the client nor the grant is checked yet.
#[derive(Debug)]
pub struct TokenRequest {
    /// Who asks. None only with a refresh token: a public client has nothing to prove, and the token says whose it is
    /// (RFC 6749 6 asks for neither name nor proof; SMART App Launch 2.2, "Refresh access token").
    pub client: Option<ClientAuthentication>,
    /// What for.
    pub grant: Grant,
}

/// What is exchanged for tokens.
#[derive(Debug)]
pub enum Grant {
    /// `authorization_code`.
    AuthorizationCode(CodeExchange),
    /// `refresh_token`.
    RefreshToken(RefreshExchange),
    /// `client_credentials`.
    ClientCredentials(ServiceRequest),
}

/// The parameters of RFC 6749 4.1.3 and RFC 7636 4.5.
#[derive(Debug)]
pub struct CodeExchange {
    /// The code; look it up by its hash.
    pub code: Secret,
    /// The redirect URI of the authorization request.
    pub redirect_uri: String,
    /// The verifier.
    pub verifier: Verifier,
    /// What the access token is to be for (RFC 8707 2.2).
    pub audience: Audience,
}

/// The parameters of RFC 6749 6.
#[derive(Debug)]
pub struct RefreshExchange {
    /// The refresh token; look it up by its hash.
    pub refresh_token: Secret,
    /// A narrower scope for the new access token.
    pub scope: Option<Scope>,
    /// What the new access token is to be for (RFC 8707 2.2).
    pub audience: Audience,
}

/// The parameters of RFC 6749 4.4.2.
#[derive(Debug)]
pub struct ServiceRequest {
    /// What is asked for.
    pub scope: Option<Scope>,
    /// What the access token is to be for (RFC 8707 2.2).
    pub audience: Audience,
}

impl TokenRequest {
    /// Reads the `Authorization` header and the form.
    pub fn parse(authorization: Option<&str>, params: &Params) -> Result<Self, OAuthError> {
        let grant_type = params.require("grant_type", "The grant_type is missing.")?;
        let unsupported = OAuthError::new(ErrorCode::UnsupportedGrantType, "The grant type is not supported.");
        let grant = match GrantType::parse(grant_type) {
            Some(GrantType::AuthorizationCode) => Grant::AuthorizationCode(CodeExchange::parse(params)?),
            Some(GrantType::RefreshToken) => Grant::RefreshToken(RefreshExchange::parse(params)?),
            Some(GrantType::ClientCredentials) => Grant::ClientCredentials(ServiceRequest::parse(params)?),
            Some(GrantType::TokenExchange) | None => return Err(unsupported),
        };
        let client = match grant {
            Grant::RefreshToken(_) if !ClientAuthentication::is_attempted(authorization, params)? => None,
            _ => Some(ClientAuthentication::parse(authorization, params)?),
        };
        Ok(Self { client, grant })
    }
}

impl CodeExchange {
    fn parse(params: &Params) -> Result<Self, OAuthError> {
        let code = params.require("code", "The code is missing.")?;
        let redirect_uri = params.require("redirect_uri", "The redirect_uri is missing.")?;
        let verifier = params.require("code_verifier", "The code_verifier is missing.")?;
        // A verifier without the syntax of one cannot meet any challenge (RFC 7636 4.6).
        let verifier = Verifier::parse(verifier).ok_or(OAuthError::invalid_grant())?;
        let audience = Audience::asked(params)?;
        Ok(Self { code: Secret::presented(code), redirect_uri: redirect_uri.to_owned(), verifier, audience })
    }
}

impl RefreshExchange {
    fn parse(params: &Params) -> Result<Self, OAuthError> {
        let token = params.require("refresh_token", "The refresh_token is missing.")?;
        let audience = Audience::asked(params)?;
        Ok(Self { refresh_token: Secret::presented(token), scope: scope(params)?, audience })
    }
}

impl ServiceRequest {
    fn parse(params: &Params) -> Result<Self, OAuthError> {
        Ok(Self { scope: scope(params)?, audience: Audience::asked(params)? })
    }
}

fn scope(params: &Params) -> Result<Option<Scope>, OAuthError> {
    let scope = params.get("scope")?.map(Scope::parse).transpose();
    scope.map_err(|_| OAuthError::new(ErrorCode::InvalidScope, "The scope is malformed."))
}

#[cfg(test)]
mod tests;
