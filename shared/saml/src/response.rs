//! The answer to a request to sign in, judged (Core 2.3 to 2.5 and 3.3.3, Profiles 4.1.4.2 and 4.1.4.3).

use crate::{
    IdentityProvider, NameId, Refusal, SKEW, names,
    signature::covered_elements,
    xml::{self, MAX_MESSAGE, attribute, child, children, elements, everywhere, is, text},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use uppsala::{Document, NodeId};

/// What a response has to be, to be believed.
#[derive(Debug)]
pub struct Expectation<'a> {
    /// Who may have issued it.
    pub identity_provider: &'a IdentityProvider,
    /// This service provider's name: the audience.
    pub entity_id: &'a str,
    /// Where the response came: the destination and the recipient.
    pub acs_url: &'a str,
    /// The `ID` of the request that this browser made.
    pub request_id: &'a str,
    /// When the request asked for a new sign-in (`ForceAuthn`): one from before does not do.
    pub not_before: Option<Timestamp>,
    /// The time.
    pub now: Timestamp,
}

/// Somebody whom the identity provider signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// The assertion's `ID`: it counts once.
    pub assertion_id: String,
    /// Until when the `ID` has to be remembered.
    pub lapses_at: Timestamp,
    /// The name of the person there.
    pub name_id: NameId,
    /// The session there.
    pub session_index: Option<String>,
    /// When the session has to end here.
    pub session_ends_at: Option<Timestamp>,
    /// When the person signed in there.
    pub authenticated_at: Timestamp,
    /// What else it says about the person, by name.
    pub attributes: Vec<(String, String)>,
}

impl SignIn {
    /// Judges the `SAMLResponse` field of a form (Bindings 3.5.4).
    pub fn judge(field: &str, expected: &Expectation<'_>) -> Result<Self, Refusal> {
        // Base64 needs four characters for three bytes.
        if field.len() > MAX_MESSAGE / 3 * 4 {
            return Err(Refusal::TooLarge);
        }
        let plain: String = field.split_ascii_whitespace().collect();
        let bytes = STANDARD.decode(plain).map_err(|_| Refusal::Malformed)?;
        let xml = String::from_utf8(bytes).map_err(|_| Refusal::Malformed)?;
        let document = xml::parse_message(&xml)?;
        let response = xml::root(&document, names::PROTOCOL, "Response")?;
        judge_response(&document, response, expected)?;
        let assertion = only_assertion(&document, response)?;
        let covered = covered_elements(&document, &expected.identity_provider.keys)?;
        // A signature of the whole response is no substitute: the assertion is what is believed.
        if !covered.contains(&assertion) {
            return Err(Refusal::Unsigned);
        }
        judge_assertion(&document, assertion, expected)
    }
}

/// The envelope (Core 3.2.2).
fn judge_response(document: &Document<'_>, response: NodeId, expected: &Expectation<'_>) -> Result<(), Refusal> {
    xml::identifier(document, response)?;
    if attribute(document, response, "Destination") != Some(expected.acs_url) {
        return Err(Refusal::Destination);
    }
    if attribute(document, response, "InResponseTo") != Some(expected.request_id) {
        return Err(Refusal::Unsolicited);
    }
    if xml::issuer(document, response)?.is_some_and(|issuer| issuer != expected.identity_provider.entity_id) {
        return Err(Refusal::Issuer);
    }
    judge_instant(document, response, expected.now)?;
    if succeeded(document, response)? { Ok(()) } else { Err(Refusal::NotSuccessful) }
}

/// Whether the status is success (Core 3.2.2.2).
pub(crate) fn succeeded(document: &Document<'_>, message: NodeId) -> Result<bool, Refusal> {
    let status = child(document, message, names::PROTOCOL, "Status")?.ok_or(Refusal::Malformed)?;
    let code = child(document, status, names::PROTOCOL, "StatusCode")?.ok_or(Refusal::Malformed)?;
    Ok(attribute(document, code, "Value") == Some(names::SUCCESS))
}

/// Nothing was issued in the future.
pub(crate) fn judge_instant(document: &Document<'_>, node: NodeId, now: Timestamp) -> Result<(), Refusal> {
    let issued = xml::time(document, node, "IssueInstant")?.ok_or(Refusal::Malformed)?;
    if issued > now + SKEW { Err(Refusal::NotYetValid) } else { Ok(()) }
}

/// The one assertion: no other one anywhere in the document, whatever it hides in.
fn only_assertion(document: &Document<'_>, response: NodeId) -> Result<NodeId, Refusal> {
    let is_encrypted = ["EncryptedAssertion", "EncryptedID", "EncryptedAttribute"]
        .iter()
        .any(|name| !everywhere(document, names::ASSERTION, name).is_empty());
    if is_encrypted {
        return Err(Refusal::Encrypted);
    }
    let here = children(document, response, names::ASSERTION, "Assertion");
    let anywhere = everywhere(document, names::ASSERTION, "Assertion");
    let responses = everywhere(document, names::PROTOCOL, "Response");
    match (here.as_slice(), anywhere.len(), responses.len()) {
        ([only], 1, 1) => Ok(*only),
        _ => Err(Refusal::Assertions),
    }
}

fn judge_assertion(document: &Document<'_>, assertion: NodeId, expected: &Expectation<'_>) -> Result<SignIn, Refusal> {
    let assertion_id = xml::identifier(document, assertion)?;
    if xml::issuer(document, assertion)?.as_deref() != Some(expected.identity_provider.entity_id.as_str()) {
        return Err(Refusal::Issuer);
    }
    judge_instant(document, assertion, expected.now)?;
    judge_conditions(document, assertion, expected)?;
    let subject = child(document, assertion, names::ASSERTION, "Subject")?.ok_or(Refusal::Malformed)?;
    let name = child(document, subject, names::ASSERTION, "NameID")?.ok_or(Refusal::Malformed)?;
    let lapses_at = confirmed_until(document, subject, expected)? + SKEW;
    let authentication = authentication(document, assertion, expected.now)?;
    if expected.not_before.is_some_and(|asked| authentication.at < asked - SKEW) {
        return Err(Refusal::TooOld);
    }
    Ok(SignIn {
        assertion_id,
        lapses_at,
        name_id: NameId::read(document, name)?,
        session_index: authentication.session_index,
        session_ends_at: authentication.ends_at,
        authenticated_at: authentication.at,
        attributes: attributes(document, assertion)?,
    })
}

/// The conditions (Core 2.5.1). One that is not known makes the assertion worth nothing (2.5.1.1).
fn judge_conditions(document: &Document<'_>, assertion: NodeId, expected: &Expectation<'_>) -> Result<(), Refusal> {
    let conditions = child(document, assertion, names::ASSERTION, "Conditions")?.ok_or(Refusal::Audience)?;
    judge_window(document, conditions, expected.now)?;
    let mut restricted = false;
    for condition in elements(document, conditions) {
        if is(document, condition, names::ASSERTION, "AudienceRestriction") {
            restricted = true;
            if !names_audience(document, condition, expected.entity_id)? {
                return Err(Refusal::Audience);
            }
        } else if !["OneTimeUse", "ProxyRestriction"].iter().any(|name| is(document, condition, names::ASSERTION, name))
        {
            return Err(Refusal::Condition);
        }
    }
    // Profiles 4.1.4.2: an audience restriction has to be there.
    if restricted { Ok(()) } else { Err(Refusal::Audience) }
}

fn names_audience(document: &Document<'_>, restriction: NodeId, entity_id: &str) -> Result<bool, Refusal> {
    for audience in children(document, restriction, names::ASSERTION, "Audience") {
        if text(document, audience)? == entity_id {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `NotBefore` and `NotOnOrAfter`, with room for the clocks.
fn judge_window(document: &Document<'_>, node: NodeId, now: Timestamp) -> Result<(), Refusal> {
    if xml::time(document, node, "NotBefore")?.is_some_and(|start| start > now + SKEW) {
        return Err(Refusal::NotYetValid);
    }
    if xml::time(document, node, "NotOnOrAfter")?.is_some_and(|end| end <= now - SKEW) {
        return Err(Refusal::Expired);
    }
    Ok(())
}

/// Until when the subject is confirmed as the bearer, here and for this request (Profiles 4.1.4.2). One such confirmation
/// is enough; of others, the reason of the last is told.
fn confirmed_until(document: &Document<'_>, subject: NodeId, expected: &Expectation<'_>) -> Result<Timestamp, Refusal> {
    let mut reason = Refusal::Recipient;
    for confirmation in children(document, subject, names::ASSERTION, "SubjectConfirmation") {
        if attribute(document, confirmation, "Method") != Some(names::BEARER) {
            continue;
        }
        match judge_bearer(document, confirmation, expected) {
            Ok(end) => return Ok(end),
            Err(refusal) => reason = refusal,
        }
    }
    Err(reason)
}

fn judge_bearer(
    document: &Document<'_>,
    confirmation: NodeId,
    expected: &Expectation<'_>,
) -> Result<Timestamp, Refusal> {
    let data = child(document, confirmation, names::ASSERTION, "SubjectConfirmationData")?;
    let data = data.ok_or(Refusal::Recipient)?;
    if attribute(document, data, "Recipient") != Some(expected.acs_url) {
        return Err(Refusal::Recipient);
    }
    if attribute(document, data, "InResponseTo") != Some(expected.request_id) {
        return Err(Refusal::Unsolicited);
    }
    judge_window(document, data, expected.now)?;
    xml::time(document, data, "NotOnOrAfter")?.ok_or(Refusal::Expired)
}

/// The sign-in there (Core 2.7.2).
struct Authentication {
    at: Timestamp,
    session_index: Option<String>,
    ends_at: Option<Timestamp>,
}

/// When somebody signed in there, which session that made, and when it has to end. There has to be a statement of it
/// (Profiles 4.1.4.2).
fn authentication(document: &Document<'_>, assertion: NodeId, now: Timestamp) -> Result<Authentication, Refusal> {
    let statements = children(document, assertion, names::ASSERTION, "AuthnStatement");
    let [statement] = *statements.as_slice() else { return Err(Refusal::Malformed) };
    let at = xml::time(document, statement, "AuthnInstant")?.ok_or(Refusal::Malformed)?;
    if at > now + SKEW {
        return Err(Refusal::NotYetValid);
    }
    let ends_at = xml::time(document, statement, "SessionNotOnOrAfter")?;
    if ends_at.is_some_and(|end| end <= now) {
        return Err(Refusal::Expired);
    }
    let session_index = attribute(document, statement, "SessionIndex").map(str::to_owned);
    if session_index
        .as_ref()
        .is_some_and(|index| index.is_empty() || index.len() > 1024 || index.contains(char::is_control))
    {
        return Err(Refusal::Malformed);
    }
    Ok(Authentication { at, session_index, ends_at })
}

/// The attributes with a text as their value (Core 2.7.3). Values of other types mean nothing here.
fn attributes(document: &Document<'_>, assertion: NodeId) -> Result<Vec<(String, String)>, Refusal> {
    let mut found = Vec::new();
    for statement in children(document, assertion, names::ASSERTION, "AttributeStatement") {
        for node in children(document, statement, names::ASSERTION, "Attribute") {
            let name = attribute(document, node, "Name").ok_or(Refusal::Malformed)?;
            for value in children(document, node, names::ASSERTION, "AttributeValue") {
                if elements(document, value).is_empty() {
                    found.push((name.to_owned(), text(document, value)?));
                }
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
