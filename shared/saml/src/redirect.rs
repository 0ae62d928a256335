//! The HTTP-Redirect binding: a message in a URL, compressed, with its signature beside it (Bindings 3.4).

use crate::{Refusal, SigningError, SigningKey, TrustedKeys, keys::Algorithm, signing::ALGORITHM, xml::MAX_MESSAGE};
use base64::{Engine, engine::general_purpose::STANDARD};
use miniz_oxide::{deflate::compress_to_vec, inflate::decompress_to_vec_with_limit};

/// The longest `RelayState` that is repeated (Bindings 3.4.3).
const MAX_RELAY_STATE: usize = 80;

/// Whether a message asks or answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `SAMLRequest`.
    Request,
    /// `SAMLResponse`.
    Response,
}

impl Kind {
    const fn parameter(self) -> &'static str {
        match self {
            Self::Request => "SAMLRequest",
            Self::Response => "SAMLResponse",
        }
    }
}

/// The address that carries a signed message (Bindings 3.4.4.1).
pub(crate) fn address(
    endpoint: &str,
    kind: Kind,
    message: &str,
    relay_state: Option<&str>,
    key: &SigningKey,
) -> Result<String, SigningError> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair(kind.parameter(), &STANDARD.encode(compress_to_vec(message.as_bytes(), 6)));
    if let Some(state) = relay_state {
        query.append_pair("RelayState", state);
    }
    query.append_pair("SigAlg", ALGORITHM);
    let signed = query.finish();
    let mut signature = form_urlencoded::Serializer::new(String::new());
    signature.append_pair("Signature", &key.sign(signed.as_bytes())?);
    let separator = if endpoint.contains('?') { '&' } else { '?' };
    Ok(format!("{endpoint}{separator}{signed}&{}", signature.finish()))
}

/// A message that came by HTTP-Redirect with a right signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirected {
    /// Whether it asks or answers.
    pub kind: Kind,
    /// The message.
    pub xml: String,
    /// To be repeated in the answer.
    pub relay_state: Option<String>,
}

impl Redirected {
    /// Reads a query. The signature is over the parameters as they were sent, octet by octet (Bindings 3.4.4.1), in the
    /// order of the standard, and each parameter counts once.
    pub fn open(query: &str, keys: &TrustedKeys) -> Result<Self, Refusal> {
        let request = parameter(query, "SAMLRequest")?;
        let response = parameter(query, "SAMLResponse")?;
        let (kind, message) = match (request, response) {
            (Some(request), None) => (Kind::Request, request),
            (None, Some(response)) => (Kind::Response, response),
            _ => return Err(Refusal::Malformed),
        };
        let relay_state = parameter(query, "RelayState")?;
        let algorithm = parameter(query, "SigAlg")?.ok_or(Refusal::Unsigned)?;
        let signature = parameter(query, "Signature")?.ok_or(Refusal::Unsigned)?;
        let mut signed = format!("{}={message}", kind.parameter());
        if let Some(state) = relay_state {
            signed.push_str("&RelayState=");
            signed.push_str(state);
        }
        signed.push_str("&SigAlg=");
        signed.push_str(algorithm);
        let algorithm = Algorithm::from_uri(&decoded(algorithm))?;
        let signature = STANDARD.decode(decoded(signature)).map_err(|_| Refusal::Malformed)?;
        if !keys.verify(algorithm, signed.as_bytes(), &signature) {
            return Err(Refusal::Signature);
        }
        let relay_state = relay_state.map(decoded).filter(|state| !state.is_empty());
        if relay_state.as_ref().is_some_and(|state| state.len() > MAX_RELAY_STATE) {
            return Err(Refusal::TooLarge);
        }
        Ok(Self { kind, xml: inflated(message)?, relay_state })
    }
}

/// A parameter as it was sent. One that is sent twice is refused.
fn parameter<'a>(query: &'a str, name: &str) -> Result<Option<&'a str>, Refusal> {
    let mut found = query.split('&').filter_map(|pair| pair.split_once('=')).filter(|(key, _)| decoded(key) == name);
    match (found.next(), found.next()) {
        (None, _) => Ok(None),
        // A name that is written in another way would not be what was signed.
        (Some((key, value)), None) if key == name => Ok(Some(value)),
        _ => Err(Refusal::Malformed),
    }
}

fn decoded(value: &str) -> String {
    form_urlencoded::parse(format!("v={value}").as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

fn inflated(value: &str) -> Result<String, Refusal> {
    let compressed = STANDARD.decode(decoded(value)).map_err(|_| Refusal::Malformed)?;
    let bytes = decompress_to_vec_with_limit(&compressed, MAX_MESSAGE).map_err(|error| match error.status {
        miniz_oxide::inflate::TINFLStatus::HasMoreOutput => Refusal::TooLarge,
        _ => Refusal::Malformed,
    })?;
    String::from_utf8(bytes).map_err(|_| Refusal::Malformed)
}

#[cfg(test)]
mod tests;
