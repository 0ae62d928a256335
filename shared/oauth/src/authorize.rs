//! The authorization request (RFC 6749 4.1.1, RFC 7636 4.3, OpenID Connect Core 3.1.2.1), in three steps.
//!
//! 1. [`AuthorizeRequest::parse`] finds the client's name. The caller looks the client up.
//! 2. [`AuthorizeRequest::for_client`] matches the redirect URI. Until here an error is shown on a page and never
//!    sent to the URI, because whoever named it may be an attacker (RFC 6749 4.1.2.1, RFC 9700 4.11).
//! 3. [`Addressed::validate`] checks the rest. From here on an error is a redirect.
//!
//! [`Authorization::next_step`] then says what the user still has to do.

mod parameters;
mod prompt;

use form_urlencoded::Serializer;
use jiff::{SignedDuration, Timestamp};

use crate::client::{Client, GrantType};
use crate::dpop::{Proof, Thumbprint};
use crate::error::{ErrorCode, OAuthError};
use crate::params::Params;
use crate::pkce::Challenge;
use crate::pushed::{self, Pushed};
use crate::redirect;
use crate::resource::Audience;
use crate::scope::Scope;
use crate::token::Secret;
use prompt::Prompt;

/// The one parameter that may come several times (RFC 8707 2).
const RESOURCE: &str = "resource";

/// The parameters that count. Any other is ignored (RFC 6749 3.1).
const KNOWN: [&str; 16] = [
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    RESOURCE,
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "dpop_jkt",
    "prompt",
    "max_age",
    "acr_values",
    "request",
    "request_uri",
];

/// A request that cannot be answered by redirect. Show a page with status 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// The request is too large.
    #[error("The request is too large.")]
    TooLarge,
    /// No client is named, or two.
    #[error("The request names no client.")]
    NoClient,
    /// The client is not known. For the caller, who looks it up.
    #[error("The client is not known.")]
    UnknownClient,
    /// No redirect URI is named, or two.
    #[error("The request names no redirect URI.")]
    NoRedirectUri,
    /// The redirect URI is not one of the client's.
    #[error("The redirect URI is not registered for the client.")]
    UnknownRedirectUri,
    /// No pushed request of the client has this reference now.
    #[error("The request has expired or was answered already. Please go back to the app and start again.")]
    UnknownReference,
}

/// How a request came here.
#[derive(Debug, Clone)]
enum Way {
    /// By the browser, in full.
    Browser {
        /// When the person was first sent here with it, where that is known.
        opened_at: Option<Timestamp>,
    },
    /// By the client itself, to be pushed.
    Pushing,
    /// By the client itself; the browser brought the reference.
    Pushed {
        /// The reference.
        request_uri: String,
        /// When it was first brought.
        opened_at: Timestamp,
    },
}

/// A request of which only the client's name is known.
pub struct AuthorizeRequest {
    params: Params,
    client_id: String,
    way: Way,
}

impl AuthorizeRequest {
    /// Takes the decoded query.
    pub fn parse<K, V>(pairs: impl IntoIterator<Item = (K, V)>) -> Result<Self, PageError>
    where
        K: Into<String>,
        V: Into<String>,
    {
        let params = Params::from_pairs(pairs).map_err(|_| PageError::TooLarge)?;
        let client_id = params.get("client_id").ok().flatten().ok_or(PageError::NoClient)?.to_owned();
        Ok(Self { params, client_id, way: Way::Browser { opened_at: None } })
    }

    /// Takes the form of a client that pushes a request (RFC 9126 2.1). The client is authenticated already.
    pub fn pushing(params: &Params, client: &Client, proof: Option<&Proof>) -> Result<Self, OAuthError> {
        let client_id = client.client_id.clone();
        let params = pushed::parameters(params, &KNOWN, &client_id, proof)?;
        Ok(Self { params, client_id, way: Way::Pushing })
    }

    /// The reference to a pushed request, if the browser brings one: look the request up by its hash and the client.
    #[must_use]
    pub fn reference(&self) -> Option<Secret> {
        pushed::reference(self.params.get("request_uri").ok().flatten()?)
    }

    /// The request that the reference stands for. Parameters beside the reference do not count (RFC 9126 4, RFC 9101 5).
    pub fn resolve(self, pushed: &Pushed) -> Result<Self, PageError> {
        let request_uri = self.params.get("request_uri").ok().flatten().ok_or(PageError::UnknownReference)?.to_owned();
        let params = Params::from_form(&pushed.parameters).map_err(|_| PageError::TooLarge)?;
        // RFC 9126 2.2: the reference is bound to the client that pushed the request.
        if params.get("client_id").ok().flatten() != Some(self.client_id.as_str()) {
            return Err(PageError::UnknownReference);
        }
        Ok(Self { params, client_id: self.client_id, way: Way::Pushed { request_uri, opened_at: pushed.opened_at } })
    }

    /// The client to look up.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Matches the redirect URI with those of the client.
    ///
    /// It is required, though RFC 6749 3.1.2.3 lets a client with one URI leave it out: OpenID Connect asks for it,
    /// and a request that says where it goes cannot be misread.
    pub fn for_client(self, client: &Client) -> Result<Addressed, PageError> {
        if self.client_id != client.client_id {
            return Err(PageError::UnknownClient);
        }
        let uri = self.params.get("redirect_uri").ok().flatten().ok_or(PageError::NoRedirectUri)?;
        if !redirect::is_registered(&client.redirect_uris, uri) {
            return Err(PageError::UnknownRedirectUri);
        }
        let state = self.params.get("state").ok().flatten();
        let state = state.filter(|state| parameters::is_state(state)).map(str::to_owned);
        let return_to = ReturnTo { redirect_uri: uri.to_owned(), state };
        Ok(Addressed { params: self.params, return_to, way: self.way })
    }
}

/// Where the response goes: a registered redirect URI, and the client's state if it was well-formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnTo {
    redirect_uri: String,
    state: Option<String>,
}

impl ReturnTo {
    /// The redirect URI as presented, to be stored with the code.
    #[must_use]
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// The location that carries the code.
    #[must_use]
    pub fn with_code(&self, code: &str, issuer: &str) -> String {
        redirect::with_code(&self.redirect_uri, code, self.state.as_deref(), issuer)
    }

    /// The location that carries an error, `access_denied` when the user says no.
    #[must_use]
    pub fn with_error(&self, error: &OAuthError, issuer: &str) -> String {
        redirect::with_error(&self.redirect_uri, error, self.state.as_deref(), issuer)
    }
}

/// An error to be answered by redirect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Where to.
    pub return_to: ReturnTo,
    /// What.
    pub error: OAuthError,
}

impl Refusal {
    /// The location of the redirect.
    #[must_use]
    pub fn location(&self, issuer: &str) -> String {
        self.return_to.with_error(&self.error, issuer)
    }
}

/// A request whose client and redirect URI are right.
pub struct Addressed {
    params: Params,
    return_to: ReturnTo,
    way: Way,
}

impl Addressed {
    /// Checks everything else.
    pub fn validate(self, client: &Client) -> Result<Authorization, Refusal> {
        match self.check(client) {
            Ok(authorization) => Ok(authorization),
            Err(error) => Err(Refusal { return_to: self.return_to, error }),
        }
    }

    fn check(&self, client: &Client) -> Result<Authorization, OAuthError> {
        let params = &self.params;
        // RFC 6749 3.1: no parameter twice.
        for name in KNOWN.into_iter().filter(|name| *name != RESOURCE) {
            params.get(name)?;
        }
        parameters::refuse_request_objects(params)?;
        // RFC 9126 6.
        if client.requires_pushed_requests && matches!(self.way, Way::Browser { .. }) {
            return Err(OAuthError::invalid_request("The client has to push its requests."));
        }
        parameters::check_response(params)?;
        if !client.may_use(GrantType::AuthorizationCode) {
            return Err(OAuthError::new(ErrorCode::UnauthorizedClient, "The client may not ask for a code."));
        }
        // A state that was not taken over above is malformed. It must not be echoed.
        if params.get("state")?.is_some() && self.return_to.state.is_none() {
            return Err(OAuthError::invalid_request("The state is malformed."));
        }
        Ok(Authorization {
            return_to: self.return_to.clone(),
            challenge: parameters::challenge(params)?,
            scope: parameters::scope(params, client)?,
            audience: Audience::asked(params)?,
            nonce: parameters::nonce(params)?,
            key: parameters::key(params)?,
            prompt: Prompt::parse(params.get("prompt")?)?,
            max_age: parameters::max_age(params)?,
            asks_two_factors: parameters::asks_two_factors(params)?,
            params: params.clone(),
            way: self.way.clone(),
        })
    }
}

/// A valid request, to be put to the user.
pub struct Authorization {
    /// Where the response goes.
    pub return_to: ReturnTo,
    /// The challenge, to be stored with the code.
    pub challenge: Challenge,
    /// What the client may have of what it asked for, to be stored with the code.
    pub scope: Scope,
    /// What the tokens are for, to be stored with the code: known to exist, but for what is elsewhere.
    pub audience: Audience,
    /// The nonce, to be stored with the code.
    pub nonce: Option<String>,
    /// The key that the code is bound to, to be stored with it.
    pub key: Option<Thumbprint>,
    prompt: Prompt,
    max_age: Option<SignedDuration>,
    asks_two_factors: bool,
    params: Params,
    way: Way,
}

/// What the caller knows about the browser.
#[derive(Debug, Clone, Copy)]
pub struct Session {
    /// When the user logged in.
    pub auth_time: Timestamp,
    /// Whether the user agreed earlier to give this client this scope.
    pub has_consented: bool,
    /// Whether the user signed in by one factor and has a second one.
    pub could_be_stronger: bool,
}

/// What has to happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextStep {
    /// The user logs in, then comes back by [`Authorization::query_after_login`].
    LogIn,
    /// The user is asked to agree.
    AskConsent,
    /// A code may be issued.
    IssueCode,
}

impl Authorization {
    /// Decides by the prompt (OpenID Connect Core 3.1.2.1) and the session, if there is one.
    pub fn next_step(
        &self,
        client: &Client,
        site_url: &str,
        session: Option<&Session>,
        now: Timestamp,
    ) -> Result<NextStep, Refusal> {
        let silent = self.prompt == Prompt::None;
        // `acr_values` asks for a claim that is voluntary (OpenID Connect Core 3.1.2.1, 5.5.1.1): who has no second factor, or
        // cannot be asked, is signed in as they are, and the `id_token` says how.
        let is_strong = |session: &&Session| silent || !(self.asks_two_factors && session.could_be_stronger);
        let fresh = session.filter(|session| self.is_fresh(session, now)).filter(is_strong);
        match fresh {
            None if silent => Err(self.refuse(ErrorCode::LoginRequired, "The user is not logged in.")),
            None => Ok(NextStep::LogIn),
            Some(session) if self.needs_consent(client, site_url, session) && silent => {
                Err(self.refuse(ErrorCode::ConsentRequired, "The user has not agreed."))
            }
            Some(session) if self.needs_consent(client, site_url, session) => Ok(NextStep::AskConsent),
            Some(_) => Ok(NextStep::IssueCode),
        }
    }

    /// The refusal to send when a resource elsewhere does not exist (RFC 8707 2.1).
    #[must_use]
    pub fn unknown_resource(&self) -> Refusal {
        Refusal { return_to: self.return_to.clone(), error: Audience::unknown() }
    }

    /// Whether the client prefers a user who signed in by two factors.
    #[must_use]
    pub const fn asks_two_factors(&self) -> bool {
        self.asks_two_factors
    }

    /// Whether it depends on the time whether a login is fresh enough: then the caller keeps when the request was opened, and
    /// says so by [`Authorization::opened`].
    #[must_use]
    pub const fn depends_on_time(&self) -> bool {
        matches!((self.max_age, &self.way), (Some(age), Way::Browser { .. }) if !age.is_zero())
    }

    /// When the person was first sent here with the request, where that is known.
    #[must_use]
    pub const fn opened_at(&self) -> Option<Timestamp> {
        match self.way {
            Way::Browser { opened_at } => opened_at,
            Way::Pushed { opened_at, .. } => Some(opened_at),
            Way::Pushing => None,
        }
    }

    /// The same request, which the person was first sent here with at this time, and which lasts no longer than a sign-in takes.
    /// False: it is over by now, or not opened yet.
    pub fn opened(&mut self, at: Timestamp, now: Timestamp) -> bool {
        let is_open = at <= now && now.duration_since(at) < pushed::LASTS;
        match &mut self.way {
            Way::Browser { opened_at } if is_open => *opened_at = Some(at),
            _ => return false,
        }
        true
    }

    /// Whether a login is asked for even of who is logged in.
    #[must_use]
    pub fn asks_login(&self) -> bool {
        self.prompt.asks_login() || self.max_age == Some(SignedDuration::ZERO)
    }

    /// The refusal to send when the user says no.
    #[must_use]
    pub fn denied(&self) -> Refusal {
        self.refuse(ErrorCode::AccessDenied, "The user did not agree.")
    }

    /// The parameters to store when the request is pushed, as a form.
    #[must_use]
    pub fn parameters(&self) -> String {
        Serializer::new(String::new()).extend_pairs(self.params.pairs()).finish()
    }

    /// The query of this request for the way back from the login page. What a login has just satisfied,
    /// `prompt=login` and `max_age=0`, is left out, else the user would log in for ever. Of a pushed request it is the
    /// reference.
    #[must_use]
    pub fn query_after_login(&self) -> String {
        let mut query = Serializer::new(String::new());
        if let Way::Pushed { request_uri, .. } = &self.way {
            let client_id = self.params.get("client_id").ok().flatten().unwrap_or_default();
            return query.append_pair("client_id", client_id).append_pair("request_uri", request_uri).finish();
        }
        for (name, value) in self.params.pairs().filter(|(name, _)| KNOWN.contains(name)) {
            match (name, value) {
                ("prompt", _) if self.prompt == Prompt::Login => {}
                ("prompt", _) if self.prompt == Prompt::LoginAndConsent => {
                    query.append_pair("prompt", "consent");
                }
                ("max_age", _) if self.max_age == Some(SignedDuration::ZERO) => {}
                _ => {
                    query.append_pair(name, value);
                }
            }
        }
        query.finish()
    }

    fn refuse(&self, code: ErrorCode, description: &'static str) -> Refusal {
        Refusal { return_to: self.return_to.clone(), error: OAuthError::new(code, description) }
    }

    fn is_fresh(&self, session: &Session, now: Timestamp) -> bool {
        // Who signed in since the request was opened did so for it. Whose login was fresh then need not sign in again because
        // they read what they are asked to agree to (OpenID Connect Core 3.1.2.1).
        let opened_at = self.opened_at();
        if opened_at.is_some_and(|opened_at| session.auth_time >= opened_at) {
            return true;
        }
        let age = opened_at.unwrap_or(now).duration_since(session.auth_time);
        !self.prompt.asks_login() && self.max_age.is_none_or(|max| age < max)
    }

    fn needs_consent(&self, client: &Client, site_url: &str, session: &Session) -> bool {
        let is_vouched_for = client.skips_consent(self.return_to.redirect_uri(), site_url);
        self.prompt.asks_consent() || (!is_vouched_for && !session.has_consented)
    }
}

#[cfg(test)]
mod tests;
