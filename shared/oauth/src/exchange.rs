//! Token exchange (RFC 8693): the `id_token` that another provider, such as an EHR, gave to a client for a practitioner who
//! signed in there, for an access token here.
//!
//! The provider is on a list of the deployment's, with the audience that its tokens must have and its keys. A token of one's
//! own is believed by its signature alone, for some minutes, once. Whose account it opens is for the caller to look up.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::client::{Client, ClientKind, GrantType, KeySource};
use crate::client_auth::ClientAuthentication;
use crate::error::{ErrorCode, OAuthError};
use crate::grant::GrantError;
use crate::jws::{Jws, Recipients, is_id};
use crate::keys::KeySet;
use crate::params::Params;
use crate::registration::is_fetchable;
use crate::resource::Audience;
use crate::scope::{OFFLINE_ACCESS, ONLINE_ACCESS, Scope};
use crate::token::TokenHash;

/// The one type that is issued (RFC 8693 3).
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// The types that are taken: an `id_token`, which is a JWT.
const SUBJECT_TYPES: [&str; 2] = ["urn:ietf:params:oauth:token-type:id_token", "urn:ietf:params:oauth:token-type:jwt"];
/// How old a token may be, unless set otherwise: it is exchanged as soon as the practitioner has signed in.
const MAX_AGE: u32 = 300;
/// The oldest that may be set.
const LONGEST_AGE: u32 = 3600;
/// How far the provider's clock may be ahead of ours.
const CLOCKS: SignedDuration = SignedDuration::from_secs(30);
/// Longer than any name of a person.
const MAX_NAME: usize = 512;

/// A well-formed request. Neither the client nor the token is checked yet.
#[derive(Debug)]
pub struct ExchangeRequest {
    /// Who asks.
    pub client: ClientAuthentication,
    /// What is exchanged.
    pub token: SubjectToken,
    /// What is asked for.
    pub scope: Option<Scope>,
    /// What the access token is to be for, by `resource` and `audience` (RFC 8693 2.1).
    pub audience: Audience,
}

impl ExchangeRequest {
    /// Reads the `Authorization` header and the form.
    pub fn parse(authorization: Option<&str>, params: &Params) -> Result<Self, OAuthError> {
        let grant_type = params.require("grant_type", "The grant_type is missing.")?;
        if GrantType::parse(grant_type) != Some(GrantType::TokenExchange) {
            return Err(OAuthError::new(ErrorCode::UnsupportedGrantType, "Only tokens are exchanged here."));
        }
        let token = params.require("subject_token", "The subject_token is missing.")?;
        let kind = params.require("subject_token_type", "The subject_token_type is missing.")?;
        if !SUBJECT_TYPES.contains(&kind) {
            return Err(OAuthError::invalid_request("The subject_token_type is not supported."));
        }
        if params.get("requested_token_type")?.is_some_and(|kind| kind != ACCESS_TOKEN) {
            return Err(OAuthError::invalid_request("Only access tokens are issued."));
        }
        // RFC 8693 1.1: nobody acts on behalf of the practitioner.
        if params.get("actor_token")?.is_some() || params.get("actor_token_type")?.is_some() {
            return Err(OAuthError::invalid_request("An actor_token is not supported."));
        }
        let scope = params.get("scope")?.map(Scope::parse).transpose();
        Ok(Self {
            client: ClientAuthentication::parse(authorization, params)?,
            token: SubjectToken::parse(token).map_err(|_| unacceptable())?,
            scope: scope.map_err(|_| OAuthError::new(ErrorCode::InvalidScope, "The scope is malformed."))?,
            audience: Audience::named_by(params, &["resource", "audience"])?,
        })
    }
}

/// The answer for every token that is not exchanged (RFC 8693 2.2.2). One sentence for every reason, so that nothing is learnt
/// about the practitioner.
#[must_use]
pub const fn unacceptable() -> OAuthError {
    OAuthError::invalid_request("The subject_token is not acceptable.")
}

/// What a client may have for a practitioner's token. The client is authenticated already.
///
/// There is no refresh token: the practitioner is here for as long as the provider says so, one token at a time.
pub fn scope(client: &Client, asked: Option<&Scope>) -> Result<Scope, GrantError> {
    if matches!(client.kind, ClientKind::Public) || !client.may_use(GrantType::TokenExchange) {
        return Err(GrantError::NotRegistered);
    }
    let scope = client.grantable(asked, GrantType::TokenExchange).map_err(|_| GrantError::NoScope)?;
    let scope = scope.filter(|token| token != OFFLINE_ACCESS && token != ONLINE_ACCESS);
    if scope.is_empty() { Err(GrantError::NoScope) } else { Ok(scope) }
}

/// A provider whose tokens are exchanged.
#[derive(Debug, Clone)]
pub struct TrustedIssuer {
    /// Its `iss`.
    pub issuer: String,
    /// Where its keys are.
    pub keys: KeySource,
    audience: String,
    claim: String,
    second_factor: Vec<String>,
    max_age: SignedDuration,
}

/// A provider as a deployment writes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    issuer: String,
    audience: String,
    jwks_uri: Option<String>,
    jwks: Option<Value>,
    claim: Option<String>,
    #[serde(default)]
    second_factor: Vec<String>,
    max_age_seconds: Option<u32>,
}

impl TrustedIssuer {
    /// Reads the list, JSON. An error says what is wrong with it.
    pub fn list(text: &str) -> Result<Vec<Self>, &'static str> {
        let written: Vec<Written> = serde_json::from_str(text).map_err(|_| {
            "it is not a list of objects with issuer, audience, and jwksUri or jwks; and claim, secondFactor, maxAgeSeconds"
        })?;
        let issuers: Vec<Self> = written.into_iter().map(Self::checked).collect::<Result<_, _>>()?;
        let is_twice = |one: &Self| issuers.iter().filter(|other| other.issuer == one.issuer).count() > 1;
        if issuers.iter().any(is_twice) { Err("an issuer is there twice") } else { Ok(issuers) }
    }

    fn checked(written: Written) -> Result<Self, &'static str> {
        let keys = match (written.jwks, written.jwks_uri) {
            (Some(keys), None) => KeySource::Value(KeySet::from_value(&keys).map_err(|_| "a jwks is not usable")?),
            (None, Some(url)) if is_fetchable(&url) => KeySource::Url(url),
            (None, Some(_)) => return Err("a jwksUri is not an https URL with a host name"),
            _ => return Err("an issuer has either jwksUri or jwks"),
        };
        // OpenID Connect Core 2: an issuer is an https URL.
        if !written.issuer.starts_with("https://") || written.audience.is_empty() {
            return Err("an issuer is an https URL, and an audience is not empty");
        }
        let max_age = written.max_age_seconds.unwrap_or(MAX_AGE);
        if max_age == 0 || max_age > LONGEST_AGE {
            return Err("maxAgeSeconds is from 1 to 3600");
        }
        Ok(Self {
            issuer: written.issuer,
            keys,
            audience: written.audience,
            claim: written.claim.unwrap_or_else(|| "fhirUser".to_owned()),
            second_factor: written.second_factor,
            max_age: SignedDuration::from_secs(i64::from(max_age)),
        })
    }
}

/// Why a token is not believed. For tests and the audit; the client learns less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// Not an `id_token`, or by an algorithm that is not offered.
    #[error("malformed")]
    Malformed,
    /// Of a provider that is not on the list.
    #[error("unknown_issuer")]
    UnknownIssuer,
    /// It is meant for somebody else, or for others too.
    #[error("wrong_audience")]
    WrongAudience,
    /// Its time is over.
    #[error("expired")]
    Expired,
    /// It was issued too long ago.
    #[error("too_old")]
    TooOld,
    /// Its time has not come.
    #[error("not_yet")]
    NotYet,
    /// None of the provider's keys made the signature.
    #[error("wrong_signature")]
    WrongSignature,
    /// It does not say who the person is.
    #[error("no_name")]
    NoName,
}

/// The claims of OpenID Connect Core 2 that count; a claim of them that comes twice is an error. `nonce` is between the client
/// and the provider: only the client knows which one it sent.
#[derive(Clone, Deserialize)]
struct Claims {
    iss: String,
    aud: Recipients,
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
    azp: Option<String>,
    jti: Option<String>,
    acr: Option<String>,
    #[serde(default)]
    amr: Vec<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// A token as presented. Nothing in it is proved before [`SubjectToken::verify`].
#[derive(Clone)]
pub struct SubjectToken(Jws<Claims>);

impl std::fmt::Debug for SubjectToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SubjectToken(..)")
    }
}

/// What a provider says of a person who signed in there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Person {
    /// The person, as the provider calls them.
    pub name: String,
    /// Whether the person proved a second factor there.
    pub has_second_factor: bool,
    /// When the token was issued.
    pub issued_at: Timestamp,
    /// The token counts only when this was not used before.
    pub id: TokenHash,
    /// Until when that must be remembered.
    pub lapses_at: Timestamp,
}

impl SubjectToken {
    fn parse(jwt: &str) -> Result<Self, SubjectError> {
        let jws = Jws::<Claims>::parse(jwt).ok_or(SubjectError::Malformed)?;
        // RFC 8725 3.11: what says to be something else, such as an access token (RFC 9068), is none.
        let is_jwt = jws.kind().is_none_or(|kind| kind.eq_ignore_ascii_case("JWT"));
        let has_id = jws.claims.jti.as_deref().is_none_or(is_id);
        if is_jwt && has_id { Ok(Self(jws)) } else { Err(SubjectError::Malformed) }
    }

    /// The id of the key that the token names.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.0.kid()
    }

    /// The provider that the token claims to be of.
    pub fn issuer<'a>(&self, trusted: &'a [TrustedIssuer]) -> Result<&'a TrustedIssuer, SubjectError> {
        trusted.iter().find(|one| one.issuer == self.0.claims.iss).ok_or(SubjectError::UnknownIssuer)
    }

    /// Whether the provider made this token, for us, now (OpenID Connect Core 3.1.3.7), and of whom it speaks.
    pub fn verify(&self, issuer: &TrustedIssuer, keys: &KeySet, now: Timestamp) -> Result<Person, SubjectError> {
        let claims = &self.0.claims;
        if claims.iss != issuer.issuer {
            return Err(SubjectError::UnknownIssuer);
        }
        // 3 to 5: for the one audience that is expected, and for nobody else.
        let is_ours = claims.aud.sole() == Some(issuer.audience.as_str());
        if !is_ours || claims.azp.as_ref().is_some_and(|party| *party != issuer.audience) {
            return Err(SubjectError::WrongAudience);
        }
        // 6.
        if !self.0.is_by(keys) {
            return Err(SubjectError::WrongSignature);
        }
        // 9 and 10.
        let instant = |second| Timestamp::from_second(second).map_err(|_| SubjectError::Malformed);
        let (expires_at, issued_at) = (instant(claims.exp)?, instant(claims.iat)?);
        if now >= expires_at {
            return Err(SubjectError::Expired);
        }
        for start in [Some(claims.iat), claims.nbf].into_iter().flatten() {
            if instant(start)?.duration_since(now) > CLOCKS {
                return Err(SubjectError::NotYet);
            }
        }
        if now.duration_since(issued_at) >= issuer.max_age {
            return Err(SubjectError::TooOld);
        }
        let too_old_at = issued_at.checked_add(issuer.max_age).map_err(|_| SubjectError::Malformed)?;
        Ok(Person {
            name: self.name(issuer)?,
            has_second_factor: self.has_second_factor(issuer),
            issued_at: issued_at.min(now),
            id: self.id(),
            lapses_at: expires_at.min(too_old_at),
        })
    }

    fn name(&self, issuer: &TrustedIssuer) -> Result<String, SubjectError> {
        let name = self.0.claims.others.get(&issuer.claim).and_then(Value::as_str);
        let name = name.filter(|name| !name.is_empty() && name.len() <= MAX_NAME && !name.contains('\0'));
        name.map(str::to_owned).ok_or(SubjectError::NoName)
    }

    /// `mfa` (RFC 8176), or what the deployment knows to mean as much (OpenID Connect Core 2, `acr` and `amr`).
    fn has_second_factor(&self, issuer: &TrustedIssuer) -> bool {
        let claims = &self.0.claims;
        let is_enough = |value: &String| issuer.second_factor.contains(value);
        claims.amr.iter().any(|method| method == "mfa" || is_enough(method))
            || claims.acr.as_ref().is_some_and(is_enough)
    }

    /// By the `jti`, if there is one, else by what is signed.
    fn id(&self) -> TokenHash {
        let claims = &self.0.claims;
        match &claims.jti {
            Some(jti) => TokenHash::of(&format!("{}\n{jti}", claims.iss)),
            None => TokenHash::of(self.0.message()),
        }
    }
}

#[cfg(test)]
mod tests;
