//! Claims about the user: the `id_token` (OpenID Connect Core 2) and userinfo (5.3).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::authentication::{self, Acr};
use crate::discovery::Endpoints;
use crate::scope::{EMAIL, FHIR_USER, PROFILE, Scope};
use crate::token::{Secret, sha256};

/// A user as far as clients may learn of.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The id of the user.
    pub user: i32,
    /// The e-mail address.
    pub email: Option<String>,
    /// Whether the user has shown to receive mail there, if that is known.
    pub email_verified: Option<bool>,
    /// The given name.
    pub given_name: Option<String>,
    /// The family name.
    pub family_name: Option<String>,
    /// The patient, if the user is one.
    pub patient: Option<i32>,
    /// The practitioner, if the user is one.
    pub practitioner: Option<i32>,
}

impl Subject {
    /// The URL of the resource that stands for the user. None when it is not clear which.
    fn fhir_user(&self, endpoints: &Endpoints) -> Option<String> {
        let (kind, id) = match (self.patient, self.practitioner) {
            (Some(patient), None) => ("Patient", patient),
            (None, Some(practitioner)) => ("Practitioner", practitioner),
            _ => return None,
        };
        Some(format!("{}/{kind}/{id}", endpoints.fhir()))
    }
}

/// The claims of the standard scopes (OpenID Connect Core 5.4), and the document at userinfo.
#[derive(Debug, Clone, Serialize)]
pub struct UserClaims {
    sub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    given_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    family_name: Option<String>,
    #[serde(rename = "fhirUser", skip_serializing_if = "Option::is_none")]
    fhir_user: Option<String>,
}

impl UserClaims {
    /// What the scope lets the client see.
    #[must_use]
    pub fn for_scope(subject: &Subject, scope: &Scope, endpoints: &Endpoints) -> Self {
        let email = scope.contains(EMAIL);
        let profile = scope.contains(PROFILE);
        Self {
            sub: subject.user.to_string(),
            email: subject.email.clone().filter(|_| email),
            email_verified: subject.email_verified.filter(|_| email),
            given_name: subject.given_name.clone().filter(|_| profile),
            family_name: subject.family_name.clone().filter(|_| profile),
            fhir_user: subject.fhir_user(endpoints).filter(|_| scope.contains(FHIR_USER)),
        }
    }
}

/// The facts an `id_token` is made of.
#[derive(Debug)]
pub struct IdTokenFacts<'a> {
    /// The endpoints, with the issuer.
    pub endpoints: &'a Endpoints,
    /// The `client_id` it is for.
    pub client_id: &'a str,
    /// The user.
    pub subject: &'a Subject,
    /// What was granted.
    pub scope: &'a Scope,
    /// The nonce of the authorization request.
    pub nonce: Option<&'a str>,
    /// When the user logged in.
    pub auth_time: Timestamp,
    /// How, by the methods of the session.
    pub methods: &'a [String],
    /// The access token issued with it.
    pub access_token: &'a Secret,
    /// How long it is good.
    pub lifetime: SignedDuration,
    /// The time.
    pub now: Timestamp,
}

/// The claims of an `id_token` (OpenID Connect Core 2). Sign them as a [`crate::signing::UnsignedToken`].
#[derive(Debug, Serialize)]
pub struct IdTokenClaims {
    iss: String,
    aud: String,
    exp: i64,
    iat: i64,
    auth_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amr: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
    at_hash: String,
    #[serde(flatten)]
    user: UserClaims,
}

impl IdTokenClaims {
    /// Puts the facts into claims.
    #[must_use]
    pub fn new(facts: &IdTokenFacts<'_>) -> Self {
        let iat = facts.now.as_second();
        Self {
            iss: facts.endpoints.issuer().to_owned(),
            aud: facts.client_id.to_owned(),
            exp: iat.saturating_add(facts.lifetime.as_secs()),
            iat,
            auth_time: facts.auth_time.as_second(),
            acr: Acr::of(facts.methods).map(Acr::as_str),
            amr: authentication::amr(facts.methods),
            nonce: facts.nonce.map(str::to_owned),
            at_hash: at_hash(facts.access_token),
            user: UserClaims::for_scope(facts.subject, facts.scope, facts.endpoints),
        }
    }
}

/// What an `id_token` of ours says when it comes back as a hint.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct IdTokenHint {
    /// The user.
    #[serde(rename = "sub")]
    pub user: String,
    /// The client it was issued to.
    #[serde(rename = "aud")]
    pub client_id: String,
}

/// The left half of the SHA-256 of the access token (OpenID Connect Core 3.1.3.6).
fn at_hash(access_token: &Secret) -> String {
    let hash = sha256(access_token.expose().as_bytes());
    let (left, _) = hash.split_at(hash.len() / 2);
    URL_SAFE_NO_PAD.encode(left)
}

#[cfg(test)]
mod tests;
