//! Failures, and the one place where a failure becomes a response.
//!
//! What the caller may know is in the body. What only the operator may know is logged under the request's id.

use crate::{Response, SetupError, html, pages, text_json};
use audit::RefusedBy;
use authz::{Layer, Refusal, Visibility};
use fhir::{
    Rejection,
    outcome::{IssueCode, OperationOutcome},
};
use http::{HeaderValue, StatusCode, header};
use oauth::{ErrorCode, OAuthError};
use serde_json::json;
use std::collections::BTreeMap;
use store::{LoginError, StoreError};

/// Which protocol a function speaks, and so the shape of its errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// FHIR: an `OperationOutcome`.
    Fhir,
    /// OAuth: RFC 6749 section 5.2.
    OAuth,
    /// `/api/v1`: `{"detail": ...}`, or the fields that are wrong.
    Rest,
    /// A page for a person.
    Page,
}

/// Why a request did not succeed.
#[derive(Debug)]
pub enum Failure {
    /// No valid access token.
    Unauthenticated,
    /// The proof that the token's key is held is missing or not good (RFC 9449 section 7.1).
    Unproved,
    /// The token comes from a sign-in by one factor, and its user must have two by now (RFC 9470 section 3).
    WeakSignIn,
    /// Refused by a layer.
    Refused(Refusal),
    /// Nothing that the caller may know of has this name.
    NotFound,
    /// The list has no page of this number.
    NoSuchPage,
    /// No route has this method.
    MethodNotAllowed,
    /// The input is not acceptable; the text says what and never repeats a value.
    Invalid(String),
    /// Fields of the input are not acceptable.
    Fields(BTreeMap<String, Vec<String>>),
    /// FHIR input is not acceptable.
    Rejected(Rejection),
    /// An outcome with several issues, or a status of its own.
    Outcome(StatusCode, OperationOutcome),
    /// An error of an OAuth endpoint.
    OAuth(OAuthError),
    /// Something exists already, or is in another state than the request expects.
    Conflict(&'static str),
    /// It has changed since the caller read it (`If-Match`).
    Changed,
    /// The same request is being carried out: ask again.
    Running,
    /// The request is well-formed and cannot be carried out.
    Unprocessable(&'static str),
    /// What was asked for has ended.
    Gone(&'static str),
    /// Refused, with a text of its own.
    Forbidden(&'static str),
    /// Too many attempts; try again after so many seconds.
    TooManyRequests(u32),
    /// What the caller asked for before is being carried out; ask again after so many seconds.
    Busy(&'static str, u32),
    /// The body is larger than the host takes.
    TooLarge,
    /// The body's type is not one that the route takes.
    UnsupportedMediaType,
    /// The caller accepts nothing that the route can answer.
    NotAcceptable,
    /// The database or another service is not available, or was too slow: try again.
    Unavailable(Box<dyn std::error::Error + Send + Sync>),
    /// A defect of ours.
    Internal(Box<dyn std::error::Error + Send + Sync>),
}

impl Failure {
    /// One field that is not acceptable.
    #[must_use]
    pub fn field(name: &str, problem: &str) -> Self {
        Self::Fields(BTreeMap::from([(name.to_owned(), vec![problem.to_owned()])]))
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Unauthenticated | Self::Unproved | Self::WeakSignIn => StatusCode::UNAUTHORIZED,
            Self::Refused(Refusal { visibility: Visibility::Known, .. }) | Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Refused(Refusal { visibility: Visibility::Concealed, .. }) | Self::NotFound | Self::NoSuchPage => {
                StatusCode::NOT_FOUND
            }
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Invalid(_) | Self::Fields(_) => StatusCode::BAD_REQUEST,
            Self::Rejected(rejection) => StatusCode::from_u16(rejection.status()).unwrap_or(StatusCode::BAD_REQUEST),
            Self::Outcome(status, _) => *status,
            Self::OAuth(error) => StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST),
            Self::Conflict(_) | Self::Running => StatusCode::CONFLICT,
            Self::Unprocessable(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Changed => StatusCode::PRECONDITION_FAILED,
            Self::Gone(_) => StatusCode::GONE,
            Self::TooManyRequests(_) | Self::Busy(..) => StatusCode::TOO_MANY_REQUESTS,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The layer that refused, if one did.
    #[must_use]
    pub fn layer(&self) -> Option<Layer> {
        match self {
            Self::Refused(refusal) => Some(refusal.layer),
            _ if self.status() == StatusCode::UNAUTHORIZED => Some(Layer::Token),
            _ => None,
        }
    }

    /// What the caller is told.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Unauthenticated => "Authentication credentials were not provided.".to_owned(),
            Self::Unproved => "The proof of possession is not good.".to_owned(),
            Self::WeakSignIn => "A sign-in with a second factor is needed.".to_owned(),
            Self::Refused(Refusal { visibility: Visibility::Known, .. }) => {
                "You do not have permission to perform this action.".to_owned()
            }
            Self::Refused(_) | Self::NotFound => "Not found.".to_owned(),
            Self::NoSuchPage => "Invalid page.".to_owned(),
            Self::MethodNotAllowed => "Method not allowed.".to_owned(),
            Self::Invalid(detail) => detail.clone(),
            Self::Fields(fields) => fields
                .iter()
                .map(|(name, problems)| format!("{name}: {}", problems.join(" ")))
                .collect::<Vec<_>>()
                .join("; "),
            Self::Rejected(rejection) => rejection.to_string(),
            Self::Outcome(..) => "The request was not acceptable.".to_owned(),
            Self::OAuth(error) => error.description.to_owned(),
            Self::Conflict(detail) | Self::Unprocessable(detail) | Self::Gone(detail) | Self::Forbidden(detail) => {
                (*detail).to_owned()
            }
            Self::Running => "The request with this Idempotency-Key is still being carried out.".to_owned(),
            Self::Changed => "It has changed since it was read. Read it again, then decide.".to_owned(),
            Self::TooManyRequests(seconds) => {
                format!("Too many attempts. Please wait {} and try again.", in_words(*seconds))
            }
            Self::Busy(detail, seconds) => format!("{detail} Please ask again in {}.", in_words(*seconds)),
            Self::TooLarge => "The request body is larger than 6 MB.".to_owned(),
            Self::UnsupportedMediaType => "The type of the request body is not supported.".to_owned(),
            Self::NotAcceptable => "Only application/json and application/fhir+json can be answered.".to_owned(),
            Self::Unavailable(_) => "The service is not available at the moment. Please try again.".to_owned(),
            Self::Internal(_) => "An internal error occurred.".to_owned(),
        }
    }

    const fn issue_code(&self) -> IssueCode {
        match self {
            Self::Unauthenticated | Self::Unproved | Self::WeakSignIn => IssueCode::Login,
            Self::Refused(Refusal { visibility: Visibility::Known, .. })
            | Self::Forbidden(_)
            | Self::OAuth(OAuthError { code: ErrorCode::InsufficientScope, .. }) => IssueCode::Forbidden,
            Self::Refused(_) | Self::NotFound | Self::NoSuchPage | Self::Gone(_) => IssueCode::NotFound,
            Self::MethodNotAllowed | Self::UnsupportedMediaType | Self::NotAcceptable => IssueCode::NotSupported,
            Self::Conflict(_) | Self::Changed | Self::Running => IssueCode::Conflict,
            Self::TooManyRequests(_) | Self::Busy(..) => IssueCode::Throttled,
            Self::TooLarge => IssueCode::TooCostly,
            Self::Unavailable(_) => IssueCode::Transient,
            Self::Internal(_) => IssueCode::Exception,
            Self::Invalid(_)
            | Self::Unprocessable(_)
            | Self::Fields(_)
            | Self::Rejected(_)
            | Self::Outcome(..)
            | Self::OAuth(_) => IssueCode::Invalid,
        }
    }

    /// The failure as an outcome, for one entry of a batch or a whole response.
    #[must_use]
    pub fn outcome(&self) -> OperationOutcome {
        match self {
            Self::Outcome(_, outcome) => outcome.clone(),
            Self::Rejected(rejection) => rejection.outcome(),
            _ => OperationOutcome::error(self.issue_code(), &self.detail()),
        }
    }

    fn oauth_error(&self) -> OAuthError {
        match self {
            Self::OAuth(error) => *error,
            Self::Unauthenticated => OAuthError::new(ErrorCode::InvalidToken, "The access token is not valid."),
            Self::Unproved => OAuthError::new(ErrorCode::InvalidDpopProof, "The proof of possession is not good."),
            Self::WeakSignIn => OAuthError::insufficient_user_authentication(),
            Self::Unavailable(_) | Self::TooManyRequests(_) | Self::Busy(..) => {
                OAuthError::new(ErrorCode::TemporarilyUnavailable, "Please try again later.")
            }
            Self::Internal(_) => OAuthError::server_error(),
            _ => OAuthError::invalid_request("The request is not acceptable."),
        }
    }

    /// The response in the protocol's shape.
    #[must_use]
    pub fn response(&self, protocol: Protocol) -> Response {
        let status = self.status();
        let mut response = match protocol {
            Protocol::Fhir => text_json(status, self.outcome().to_json()),
            Protocol::Rest => text_json(
                status,
                match self {
                    Self::Fields(fields) => json!(fields).to_string(),
                    _ => json!({ "detail": self.detail() }).to_string(),
                },
            ),
            Protocol::OAuth => {
                text_json(status, serde_json::to_string(&self.oauth_error()).unwrap_or_else(|_| "{}".to_owned()))
            }
            Protocol::Page => html(status, pages::error(status, &self.detail())),
        };
        let headers = response.headers_mut();
        match self {
            Self::Unauthenticated => {
                headers.insert(
                    header::WWW_AUTHENTICATE,
                    HeaderValue::from_static("Bearer realm=\"api\", DPoP algs=\"RS256 RS384 ES256 ES384\""),
                );
            }
            Self::Unproved => {
                headers.insert(
                    header::WWW_AUTHENTICATE,
                    HeaderValue::from_static("DPoP error=\"invalid_dpop_proof\", algs=\"RS256 RS384 ES256 ES384\""),
                );
            }
            Self::WeakSignIn => {
                let challenge = OAuthError::insufficient_user_authentication().www_authenticate();
                headers.extend(challenge.map(|text| (header::WWW_AUTHENTICATE, HeaderValue::from_static(text))));
            }
            Self::OAuth(error) => {
                if let Some(challenge) = error.www_authenticate() {
                    headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
                }
            }
            Self::Unavailable(_) | Self::Running => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
            }
            Self::TooManyRequests(seconds) | Self::Busy(_, seconds) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
            }
            _ => {}
        }
        response
    }

    /// Logs what only the operator may know.
    pub fn log(&self) {
        match self {
            Self::Unavailable(error) => {
                tracing::warn!(error = %chain(error.as_ref()), "not available");
            }
            Self::Internal(error) => tracing::error!(error = %chain(error.as_ref()), "internal error"),
            _ => {}
        }
    }
}

/// A time to wait, never less than it is.
fn in_words(seconds: u32) -> String {
    match seconds {
        0 | 1 => "a second".to_owned(),
        2..=90 => format!("{seconds} seconds"),
        _ => format!("{} minutes", seconds.div_ceil(60)),
    }
}

/// An error and its causes. None of our errors holds a value of a row or a parameter.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::Timeout | StoreError::Contention | StoreError::Keys(_) => {
                Self::Unavailable(Box::new(error))
            }
            StoreError::Unstorable => Self::Invalid("A value cannot be stored.".to_owned()),
            StoreError::Duplicate(_) => Self::Conflict("It exists already."),
            StoreError::Corrupt(_) | StoreError::Refused(_) | StoreError::Driver(_) => Self::Internal(Box::new(error)),
        }
    }
}

impl From<LoginError> for Failure {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Store(error) => error.into(),
            other => Self::Internal(Box::new(other)),
        }
    }
}

impl From<SetupError> for Failure {
    fn from(error: SetupError) -> Self {
        match error {
            SetupError::Secrets(_) => Self::Unavailable(Box::new(error)),
            SetupError::Config(_) | SetupError::Vault(_) => Self::Internal(Box::new(error)),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl From<OAuthError> for Failure {
    fn from(error: OAuthError) -> Self {
        Self::OAuth(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Internal(Box::new(error))
    }
}

impl From<oauth::RandomError> for Failure {
    fn from(error: oauth::RandomError) -> Self {
        Self::Internal(Box::new(error))
    }
}

impl From<RefusedBy> for Failure {
    /// A read that the database refused: what is outside the caller's organizations does not exist for them.
    fn from(reason: RefusedBy) -> Self {
        match reason {
            RefusedBy::Layer(layer @ (Layer::Organization | Layer::Enrolment)) => {
                Self::Refused(Refusal::concealed(layer))
            }
            RefusedBy::Layer(layer) => Self::Refused(Refusal::known(layer)),
            RefusedBy::NotFound => Self::NotFound,
            RefusedBy::Invalid => Self::Invalid("The request is not acceptable.".to_owned()),
        }
    }
}
