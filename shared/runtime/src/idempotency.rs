//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): a POST that is sent twice is carried out once.
//!
//! The first request with a key claims it, is carried out, and leaves its answer. The same request again within a day is
//! answered with that. A key belongs to a user with a client, and who asks again must hold a token that may do the same.
//! When what the caller may see has changed since, the answer comes without its body: it may be about people.

mod seal;

use crate::{App, Failure, Protocol, Request, Response, SetupError};
use audit::Action;
use aws_lc_rs::digest::{Context as Digest, SHA256};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;
use oauth::TokenHash;
use seal::Seal;
use secrets::Part;
use std::future::Future;
use store::{Authenticated, Earlier, KeyClaim, KeyOwner, Store, StoreError};

/// The header of the request.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The header of an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A claim without an answer is older than this only when its request ended without one: every request ends before.
const LONGEST_SECONDS: i64 = 30;

/// A larger answer is not kept.
const LARGEST_ANSWER: usize = 1024 * 1024;

/// A key, as sent.
#[derive(Clone, Copy)]
pub(crate) struct Key<'a>(&'a str);

impl<'a> Key<'a> {
    /// The key of a request that has one and a token. Without a token there is nobody for whom an answer could be kept. A
    /// search changes nothing, so it has no need of a key, and is judged anew each time.
    pub(crate) fn of(request: &'a Request, protocol: Protocol) -> Result<Option<Self>, Failure> {
        let is_ours = matches!(protocol, Protocol::Rest | Protocol::Fhir)
            && request.method() == Method::POST
            && request.action() == Action::Create;
        let mut values = request.headers().get_all(KEY).iter();
        let Some(value) = values.next().filter(|_| is_ours && request.header(header::AUTHORIZATION).is_some()) else {
            return Ok(None);
        };
        // Visible characters: RFC 5234 appendix B.1, VCHAR.
        value
            .to_str()
            .ok()
            .filter(|text| (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()))
            .filter(|_| values.next().is_none())
            .map(|text| Some(Self(text)))
            .ok_or_else(|| {
                Failure::Invalid("Idempotency-Key has to be one value of 1 to 255 visible characters.".to_owned())
            })
    }
}

/// Carries a request out, unless its key was used before.
pub(crate) async fn once(
    protocol: Protocol,
    app: &App,
    request: &Request,
    key: Key<'_>,
    handler: impl Future<Output = Result<Response, Failure>>,
) -> Result<Response, Failure> {
    let caller = request.authenticated(app).await?;
    let store = app.store().await?;
    let owner = KeyOwner { actor: &caller.actor, key: TokenHash::of(key.0) };
    let fingerprint = fingerprint(request, &caller)?;
    let secrets = app.secrets(Part::Application).await?;
    let seal = Seal::new(secrets.link_key().map_err(SetupError::from)?.expose(), key.0, owner, &fingerprint);
    let claim = match claim(store, owner, &fingerprint, request.id()).await? {
        KeyClaim::Made(claim) => claim,
        KeyClaim::Taken(earlier) => {
            let mut response = repeated(&earlier, &fingerprint, &seal)?;
            let context = request.audit(Some(&caller.actor), Action::Execute, "IdempotencyKey");
            store.record_replay(&context, owner).await?;
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
            return Ok(response);
        }
    };
    let result = handler.await;
    if let Err(error) = conclude(store, owner, claim, &Kept::of(&result, protocol), &seal).await {
        // What was done is done: the caller is told, now. Who asks again is told that the answer is not known.
        tracing::warn!(%error, "the answer of an idempotent request could not be kept");
    }
    result
}

async fn claim(store: &Store, owner: KeyOwner<'_>, fingerprint: &[u8], request_id: &str) -> Result<KeyClaim, Failure> {
    for _ in 0..3 {
        if let Some(claim) = store.claim_key(owner, fingerprint, request_id).await? {
            return Ok(claim);
        }
    }
    Err(Failure::Running)
}

/// What was asked. What the token may do is a part of it: one that may do less is not shown the answer to one that may do
/// more. Each part comes with its length, so that no two requests give the same bytes.
fn fingerprint(request: &Request, caller: &Authenticated) -> Result<[u8; 32], Failure> {
    let mut digest = Digest::new(&SHA256);
    let scope = format!("{} {}", caller.whole_access, caller.scope);
    let said = |name: &str| request.header(name).unwrap_or_default();
    let parts = [
        request.method().as_str(),
        request.path(),
        request.raw_query(),
        scope.as_str(),
        said("content-type"),
        said("if-match"),
        said("if-none-exist"),
        said("x-jhe-fhir-source-id"),
    ];
    for part in parts.map(str::as_bytes).into_iter().chain([request.body()?]) {
        digest.update(&part.len().to_be_bytes());
        digest.update(part);
    }
    digest.finish().as_ref().try_into().map_err(|error| Failure::Internal(Box::new(error)))
}

/// The answer to a request whose key was used before.
fn repeated(earlier: &Earlier, fingerprint: &[u8], seal: &Seal) -> Result<Response, Failure> {
    if earlier.fingerprint != fingerprint {
        return Err(Failure::Unprocessable("This Idempotency-Key was used for another request."));
    }
    if !earlier.is_finished {
        return Err(if earlier.age < LONGEST_SECONDS {
            Failure::Running
        } else {
            Failure::Conflict(
                "The request with this Idempotency-Key was interrupted. Whether it took effect is not known; it is not \
                 carried out again.",
            )
        });
    }
    let answer =
        earlier.answer.as_deref().and_then(|sealed| seal.open(sealed)).ok_or(Failure::Conflict(
            "The request with this Idempotency-Key was carried out. Its answer was not kept.",
        ))?;
    if earlier.is_as_before { Ok(answer) } else { without_body(answer) }
}

/// That something was done and where it is: whether it may be read today, a request for it tells.
fn without_body(mut answer: Response) -> Result<Response, Failure> {
    if !answer.status().is_success() {
        return Err(Failure::Conflict(
            "The request with this Idempotency-Key was refused. What its caller may do has changed since: use a new key.",
        ));
    }
    answer.headers_mut().remove(header::CONTENT_TYPE);
    answer.headers_mut().remove(header::CONTENT_DISPOSITION);
    *answer.body_mut() = Bytes::new();
    Ok(answer)
}

/// What is left of a request that was carried out.
#[derive(Debug)]
enum Kept {
    /// The answer.
    Answer(Response),
    /// Nothing: the same key may be used again.
    Nothing,
    /// The claim alone: whether anything was done is not known.
    Claim,
}

impl Kept {
    fn of(result: &Result<Response, Failure>, protocol: Protocol) -> Self {
        let response = match result {
            Ok(response) => response.clone(),
            Err(Failure::Unavailable(error) | Failure::Internal(error)) if is_in_doubt(error.as_ref()) => {
                return Self::Claim;
            }
            Err(failure) => failure.response(protocol),
        };
        let status = response.status();
        let asks_again = [StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS].contains(&status);
        if status.is_server_error() || asks_again { Self::Nothing } else { Self::Answer(response) }
    }
}

/// Whether a statement may have taken effect although it failed: the connection broke before its answer came.
fn is_in_doubt(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::Unavailable(_) | StoreError::Driver(_)))
}

async fn conclude(
    store: &Store,
    owner: KeyOwner<'_>,
    claim: Timestamp,
    kept: &Kept,
    seal: &Seal,
) -> Result<(), StoreError> {
    match kept {
        Kept::Claim => Ok(()),
        Kept::Nothing => store.free_key(owner, claim).await,
        Kept::Answer(response) => {
            let small = Some(response).filter(|response| response.body().len() <= LARGEST_ANSWER);
            let sealed = small.and_then(|response| seal.seal(response));
            store.keep_answer(owner, claim, sealed.as_deref()).await
        }
    }
}

#[cfg(test)]
mod tests;
