//! A new credential (section 7.1).

use crate::{
    Expected, MAX_TEXT, Refusal,
    authenticator::AuthenticatorData,
    cbor::Reader,
    client_data::{Ceremony, judge},
    key::PublicKey,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

/// What the page sends of `navigator.credentials.create()` (section 5.1).
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "rawId")]
    id: String,
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    #[serde(rename = "attestationObject")]
    attestation: String,
}

/// A registration as it was sent. Nothing is known about it yet.
#[derive(Debug)]
pub struct Registration {
    id: Vec<u8>,
    client_data: Vec<u8>,
    attestation: Vec<u8>,
}

/// A credential to keep (section 4, credential record).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCredential {
    /// Its id.
    pub id: Vec<u8>,
    /// Its key, as the authenticator wrote it.
    pub key: Vec<u8>,
    /// How often it was used.
    pub count: u32,
    /// Whether it may be on several devices.
    pub backup_eligible: bool,
    /// Whether it is.
    pub backed_up: bool,
}

impl Registration {
    /// Reads the JSON text that the page sends.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        if text.len() > MAX_TEXT {
            return Err(Refusal::TooLarge);
        }
        let answer: Answer = serde_json::from_str(text).map_err(|_| Refusal::Malformed)?;
        Ok(Self {
            id: decoded(&answer.id)?,
            client_data: decoded(&answer.client_data)?,
            attestation: decoded(&answer.attestation)?,
        })
    }

    /// The credential, if the registration is what was asked for.
    pub fn judge(&self, expected: &Expected<'_>) -> Result<NewCredential, Refusal> {
        judge(&self.client_data, Ceremony::Create, expected)?;
        let data = AuthenticatorData::parse(authenticator_data(&self.attestation)?)?;
        data.judge(expected)?;
        let (id, key) = data.credential.ok_or(Refusal::Malformed)?;
        if id != self.id {
            return Err(Refusal::Credential);
        }
        PublicKey::parse(key)?;
        Ok(NewCredential {
            id: id.to_vec(),
            key: key.to_vec(),
            count: data.count,
            backup_eligible: data.is_backup_eligible(),
            backed_up: data.is_backed_up(),
        })
    }
}

/// The authenticator's data in an attestation object (section 6.5.4). The statement is read over.
fn authenticator_data(object: &[u8]) -> Result<&[u8], Refusal> {
    let mut reader = Reader::new(object);
    let mut found = None;
    for _ in 0..reader.map()? {
        match (reader.text()?, found) {
            ("authData", None) => found = Some(reader.bytes()?),
            ("authData", Some(_)) => return Err(Refusal::Malformed),
            _ => reader.skip()?,
        }
    }
    found.filter(|_| reader.position() == object.len()).ok_or(Refusal::Malformed)
}

/// The bytes of a text in base64url.
pub(crate) fn decoded(text: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Refusal::Malformed)
}

#[cfg(test)]
mod tests;
