//! Single logout: the identity provider's requests, and its answers to ours (Core 3.7, Profiles 4.4).

use crate::{
    IdentityProvider, Kind, NameId, Redirected, Refusal, SKEW, names,
    response::{judge_instant, succeeded},
    signature::covered_elements,
    xml::{self, MAX_MESSAGE, attribute, child, children, text},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use uppsala::{Document, NodeId};

/// How long a request counts that does not say it itself.
const LIFETIME: SignedDuration = SignedDuration::from_mins(5);

/// The most sessions that one request names.
const MAX_SESSIONS: usize = 100;

/// A request to sign somebody out here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutOrder {
    /// Its `ID`: it counts once, and the answer names it.
    pub id: String,
    /// Until when the `ID` has to be remembered.
    pub lapses_at: Timestamp,
    /// Who.
    pub name_id: NameId,
    /// Which sessions; none means all.
    pub session_indexes: Vec<String>,
    /// To be repeated in the answer.
    pub relay_state: Option<String>,
}

/// An answer to our own request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutAnswer {
    /// The `ID` of the request.
    pub in_response_to: String,
    /// Whether the person is signed out everywhere.
    pub succeeded: bool,
}

/// What an identity provider sends about signing out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignOut {
    /// It asks.
    Order(LogoutOrder),
    /// It answers.
    Answer(LogoutAnswer),
}

impl SignOut {
    /// Judges the query of an HTTP-Redirect. `here` is the address where it came.
    pub fn from_redirect(query: &str, from: &IdentityProvider, here: &str, now: Timestamp) -> Result<Self, Refusal> {
        let Redirected { kind, xml, relay_state } = Redirected::open(query, &from.keys)?;
        let document = xml::parse_message(&xml)?;
        // A signature inside is taken out for this binding (Bindings 3.4.4.1); one that is there is not ours to judge.
        read(&document, kind, relay_state, from, here, now)
    }

    /// Judges a form of HTTP-POST. The message itself has to be signed (Bindings 3.5.5.2).
    pub fn from_form(
        kind: Kind,
        field: &str,
        relay_state: Option<&str>,
        from: &IdentityProvider,
        here: &str,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        if field.len() > MAX_MESSAGE / 3 * 4 {
            return Err(Refusal::TooLarge);
        }
        let plain: String = field.split_ascii_whitespace().collect();
        let bytes = STANDARD.decode(plain).map_err(|_| Refusal::Malformed)?;
        let xml = String::from_utf8(bytes).map_err(|_| Refusal::Malformed)?;
        let document = xml::parse_message(&xml)?;
        let root = document.document_element().ok_or(Refusal::Malformed)?;
        if !covered_elements(&document, &from.keys)?.contains(&root) {
            return Err(Refusal::Unsigned);
        }
        let relay_state = relay_state.filter(|state| !state.is_empty() && state.len() <= 80).map(str::to_owned);
        read(&document, kind, relay_state, from, here, now)
    }
}

fn read(
    document: &Document<'_>,
    kind: Kind,
    relay_state: Option<String>,
    from: &IdentityProvider,
    here: &str,
    now: Timestamp,
) -> Result<SignOut, Refusal> {
    let name = match kind {
        Kind::Request => "LogoutRequest",
        Kind::Response => "LogoutResponse",
    };
    let message = xml::root(document, names::PROTOCOL, name)?;
    let id = xml::identifier(document, message)?;
    if xml::issuer(document, message)?.as_deref() != Some(from.entity_id.as_str()) {
        return Err(Refusal::Issuer);
    }
    if attribute(document, message, "Destination") != Some(here) {
        return Err(Refusal::Destination);
    }
    judge_instant(document, message, now)?;
    match kind {
        Kind::Request => read_order(document, message, id, relay_state, now).map(SignOut::Order),
        Kind::Response => Ok(SignOut::Answer(LogoutAnswer {
            in_response_to: attribute(document, message, "InResponseTo").ok_or(Refusal::Unsolicited)?.to_owned(),
            succeeded: succeeded(document, message)?,
        })),
    }
}

fn read_order(
    document: &Document<'_>,
    message: NodeId,
    id: String,
    relay_state: Option<String>,
    now: Timestamp,
) -> Result<LogoutOrder, Refusal> {
    let end = match xml::time(document, message, "NotOnOrAfter")? {
        Some(end) => end,
        None => xml::time(document, message, "IssueInstant")?.ok_or(Refusal::Malformed)? + LIFETIME,
    };
    if end <= now - SKEW {
        return Err(Refusal::Expired);
    }
    if child(document, message, names::ASSERTION, "EncryptedID")?.is_some() {
        return Err(Refusal::Encrypted);
    }
    let name = child(document, message, names::ASSERTION, "NameID")?.ok_or(Refusal::Malformed)?;
    let indexes = children(document, message, names::PROTOCOL, "SessionIndex");
    if indexes.len() > MAX_SESSIONS {
        return Err(Refusal::TooLarge);
    }
    let session_indexes = indexes.into_iter().map(|index| text(document, index)).collect::<Result<Vec<_>, _>>()?;
    Ok(LogoutOrder { id, lapses_at: end + SKEW, name_id: NameId::read(document, name)?, session_indexes, relay_state })
}

#[cfg(test)]
mod tests;
