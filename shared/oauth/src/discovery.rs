//! The documents by which clients find the endpoints.
//!
//! They say what the server does now, and nothing else.

use serde::Serialize;

use crate::authentication::Acr;
use crate::client::GrantType;
use crate::pkce;
use crate::scope;

/// The endpoints under a base URL such as `https://exchange.example`.
#[derive(Debug, Clone)]
pub struct Endpoints {
    base: String,
    issuer: String,
    fhir: String,
}

/// What a deployment decides that the documents tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offers {
    /// No client may do without pushing its requests (RFC 9126 5).
    pub pushed_requests_only: bool,
    /// Tokens of other providers are exchanged (RFC 8693).
    pub token_exchange: bool,
}

impl Offers {
    /// The grant types, in the order in which they are named.
    fn grant_types(self) -> Vec<&'static str> {
        let all = GrantType::ALL.into_iter();
        all.filter(|grant| self.token_exchange || *grant != GrantType::TokenExchange).map(GrantType::as_str).collect()
    }
}

impl Endpoints {
    /// The endpoints of a deployment. A slash at the end of the base URL does not matter.
    #[must_use]
    pub fn new(base_url: &str) -> Self {
        let base = base_url.trim_end_matches('/');
        Self { base: base.to_owned(), issuer: format!("{base}/o"), fhir: format!("{base}/FHIR/R5") }
    }

    /// The issuer, `<base>/o`.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The FHIR base, without a slash at its end.
    #[must_use]
    pub fn fhir(&self) -> &str {
        &self.fhir
    }

    /// Where users are sent.
    #[must_use]
    pub fn authorization(&self) -> String {
        format!("{}/authorize/", self.issuer)
    }

    /// Where codes and refresh tokens are exchanged.
    #[must_use]
    pub fn token(&self) -> String {
        format!("{}/token/", self.issuer)
    }

    /// Where tokens of other providers are exchanged (RFC 8693).
    #[must_use]
    pub fn token_exchange(&self) -> String {
        format!("{}/token-exchange", self.issuer)
    }

    /// Where authorization requests are pushed (RFC 9126).
    #[must_use]
    pub fn pushed_authorization_request(&self) -> String {
        format!("{}/par/", self.issuer)
    }

    /// Where tokens are revoked (RFC 7009).
    #[must_use]
    pub fn revocation(&self) -> String {
        format!("{}/revoke_token/", self.issuer)
    }

    /// Where tokens are introspected (RFC 7662).
    #[must_use]
    pub fn introspection(&self) -> String {
        format!("{}/introspect/", self.issuer)
    }

    /// Where claims about the user are.
    #[must_use]
    pub fn userinfo(&self) -> String {
        format!("{}/userinfo/", self.issuer)
    }

    /// Where a client sends a browser to sign out.
    #[must_use]
    pub fn end_session(&self) -> String {
        format!("{}/logout/", self.issuer)
    }

    /// Where the public key is.
    #[must_use]
    pub fn jwks(&self) -> String {
        format!("{}/.well-known/jwks.json", self.issuer)
    }
}

const RESPONSE_TYPES: &[&str] = &["code"];
const RESPONSE_MODES: &[&str] = &["query"];
const TOKEN_AUTH_METHODS: &[&str] = &["none", "client_secret_basic", "client_secret_post", "private_key_jwt"];
const INTROSPECTION_AUTH_METHODS: &[&str] = &["client_secret_basic", "client_secret_post", "private_key_jwt"];
const ASSERTION_ALGORITHMS: &[&str] = &["RS256", "RS384", "ES256", "ES384"];
const CHALLENGE_METHODS: &[&str] = &[pkce::METHOD];
const CLAIMS: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "auth_time",
    "acr",
    "amr",
    "nonce",
    "at_hash",
    "email",
    "email_verified",
    "given_name",
    "family_name",
    "fhirUser",
];

/// SMART App Launch 2.2, conformance, "Capability Sets".
const CAPABILITIES: &[&str] = &[
    "launch-standalone",
    "client-public",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "context-standalone-patient",
    "permission-offline",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
    "sso-openid-connect",
];

/// Authorization server metadata (RFC 8414 2).
#[derive(Debug, Serialize)]
pub struct ServerMetadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    /// Not in the registry of RFC 8414. Without it the grant type would be looked for at the token endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_exchange_endpoint: Option<String>,
    jwks_uri: String,
    scopes_supported: &'static [&'static str],
    response_types_supported: &'static [&'static str],
    response_modes_supported: &'static [&'static str],
    grant_types_supported: Vec<&'static str>,
    token_endpoint_auth_methods_supported: &'static [&'static str],
    token_endpoint_auth_signing_alg_values_supported: &'static [&'static str],
    revocation_endpoint: String,
    revocation_endpoint_auth_methods_supported: &'static [&'static str],
    revocation_endpoint_auth_signing_alg_values_supported: &'static [&'static str],
    introspection_endpoint: String,
    introspection_endpoint_auth_methods_supported: &'static [&'static str],
    introspection_endpoint_auth_signing_alg_values_supported: &'static [&'static str],
    code_challenge_methods_supported: &'static [&'static str],
    dpop_signing_alg_values_supported: &'static [&'static str],
    pushed_authorization_request_endpoint: String,
    require_pushed_authorization_requests: bool,
    authorization_response_iss_parameter_supported: bool,
}

impl ServerMetadata {
    /// The document at `/.well-known/oauth-authorization-server`.
    #[must_use]
    pub fn new(endpoints: &Endpoints, offers: Offers) -> Self {
        Self {
            issuer: endpoints.issuer.clone(),
            authorization_endpoint: endpoints.authorization(),
            token_endpoint: endpoints.token(),
            token_exchange_endpoint: offers.token_exchange.then(|| endpoints.token_exchange()),
            jwks_uri: endpoints.jwks(),
            scopes_supported: &scope::SUPPORTED,
            response_types_supported: RESPONSE_TYPES,
            response_modes_supported: RESPONSE_MODES,
            grant_types_supported: offers.grant_types(),
            token_endpoint_auth_methods_supported: TOKEN_AUTH_METHODS,
            token_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
            revocation_endpoint: endpoints.revocation(),
            revocation_endpoint_auth_methods_supported: TOKEN_AUTH_METHODS,
            revocation_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
            introspection_endpoint: endpoints.introspection(),
            introspection_endpoint_auth_methods_supported: INTROSPECTION_AUTH_METHODS,
            introspection_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
            code_challenge_methods_supported: CHALLENGE_METHODS,
            dpop_signing_alg_values_supported: ASSERTION_ALGORITHMS,
            pushed_authorization_request_endpoint: endpoints.pushed_authorization_request(),
            require_pushed_authorization_requests: offers.pushed_requests_only,
            authorization_response_iss_parameter_supported: true,
        }
    }
}

/// OpenID provider metadata (OpenID Connect Discovery 3).
#[derive(Debug, Serialize)]
pub struct OpenIdConfiguration {
    #[serde(flatten)]
    server: ServerMetadata,
    userinfo_endpoint: String,
    end_session_endpoint: String,
    subject_types_supported: &'static [&'static str],
    id_token_signing_alg_values_supported: &'static [&'static str],
    claims_supported: &'static [&'static str],
    acr_values_supported: [&'static str; Acr::ALL.len()],
    prompt_values_supported: &'static [&'static str],
    claims_parameter_supported: bool,
    request_parameter_supported: bool,
    request_uri_parameter_supported: bool,
}

impl OpenIdConfiguration {
    /// The document at `/.well-known/openid-configuration` under the issuer.
    #[must_use]
    pub fn new(endpoints: &Endpoints, offers: Offers) -> Self {
        Self {
            server: ServerMetadata::new(endpoints, offers),
            userinfo_endpoint: endpoints.userinfo(),
            end_session_endpoint: endpoints.end_session(),
            subject_types_supported: &["public"],
            id_token_signing_alg_values_supported: &["RS256"],
            claims_supported: CLAIMS,
            acr_values_supported: Acr::ALL.map(Acr::as_str),
            prompt_values_supported: &["none", "login", "consent"],
            claims_parameter_supported: false,
            request_parameter_supported: false,
            request_uri_parameter_supported: false,
        }
    }
}

/// SMART App Launch 2.2 conformance.
#[derive(Debug, Serialize)]
pub struct SmartConfiguration {
    issuer: String,
    jwks_uri: String,
    authorization_endpoint: String,
    token_endpoint: String,
    token_endpoint_auth_methods_supported: &'static [&'static str],
    token_endpoint_auth_signing_alg_values_supported: &'static [&'static str],
    revocation_endpoint: String,
    introspection_endpoint: String,
    grant_types_supported: Vec<&'static str>,
    scopes_supported: &'static [&'static str],
    response_types_supported: &'static [&'static str],
    code_challenge_methods_supported: &'static [&'static str],
    capabilities: &'static [&'static str],
}

impl SmartConfiguration {
    /// The document at `/.well-known/smart-configuration` under the FHIR base.
    #[must_use]
    pub fn new(endpoints: &Endpoints, offers: Offers) -> Self {
        Self {
            issuer: endpoints.issuer.clone(),
            jwks_uri: endpoints.jwks(),
            authorization_endpoint: endpoints.authorization(),
            token_endpoint: endpoints.token(),
            token_endpoint_auth_methods_supported: TOKEN_AUTH_METHODS,
            token_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
            revocation_endpoint: endpoints.revocation(),
            introspection_endpoint: endpoints.introspection(),
            grant_types_supported: offers.grant_types(),
            scopes_supported: &scope::SUPPORTED,
            response_types_supported: RESPONSE_TYPES,
            code_challenge_methods_supported: CHALLENGE_METHODS,
            capabilities: CAPABILITIES,
        }
    }
}

/// Metadata of this server as a resource server (RFC 9728 2): the FHIR API, `/api/v1` and userinfo together.
#[derive(Debug, Serialize)]
pub struct ProtectedResource {
    resource: String,
    authorization_servers: [String; 1],
    scopes_supported: &'static [&'static str],
    bearer_methods_supported: &'static [&'static str],
    resource_name: &'static str,
    dpop_signing_alg_values_supported: &'static [&'static str],
    dpop_bound_access_tokens_required: bool,
}

impl ProtectedResource {
    /// The document at `/.well-known/oauth-protected-resource`. The resource is what a token is for that names none (RFC 8707).
    #[must_use]
    pub fn new(endpoints: &Endpoints) -> Self {
        Self {
            resource: endpoints.base.clone(),
            authorization_servers: [endpoints.issuer.clone()],
            scopes_supported: &scope::SUPPORTED,
            bearer_methods_supported: &["header"],
            resource_name: "JupyterHealth Exchange",
            dpop_signing_alg_values_supported: ASSERTION_ALGORITHMS,
            dpop_bound_access_tokens_required: false,
        }
    }
}

#[cfg(test)]
mod tests;
