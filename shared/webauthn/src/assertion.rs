//! The use of a credential (section 7.2).

use crate::{
    Expected, MAX_ID, MAX_TEXT, Refusal,
    authenticator::AuthenticatorData,
    client_data::{Ceremony, judge},
    key::PublicKey,
    registration::decoded,
};
use serde::Deserialize;

/// What the page sends of `navigator.credentials.get()` (section 5.1).
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "rawId")]
    id: String,
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    #[serde(rename = "authenticatorData")]
    data: String,
    signature: String,
    #[serde(rename = "userHandle")]
    owner: Option<String>,
}

/// An assertion as it was sent. Nothing is known about it yet.
#[derive(Debug)]
pub struct Assertion {
    /// Which credential it names.
    pub id: Vec<u8>,
    /// Whose it says the credential is.
    owner: Option<Vec<u8>>,
    client_data: Vec<u8>,
    data: Vec<u8>,
    signature: Vec<u8>,
}

/// What is known of the credential that an assertion names.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The id of its owner: what authenticators call the user handle.
    pub owner: &'a [u8],
    /// Its key.
    pub key: &'a [u8],
    /// How often it was used.
    pub count: u32,
    /// Whether it may be on several devices.
    pub backup_eligible: bool,
}

/// What has to be kept of a use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// How often the credential was used by now.
    pub count: u32,
    /// Whether it is on several devices.
    pub backed_up: bool,
}

impl Assertion {
    /// Reads the JSON text that the page sends.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        if text.len() > MAX_TEXT {
            return Err(Refusal::TooLarge);
        }
        let answer: Answer = serde_json::from_str(text).map_err(|_| Refusal::Malformed)?;
        let id = decoded(&answer.id)?;
        if id.is_empty() || id.len() > MAX_ID {
            return Err(Refusal::Malformed);
        }
        Ok(Self {
            id,
            owner: answer.owner.filter(|owner| !owner.is_empty()).map(|owner| decoded(&owner)).transpose()?,
            client_data: decoded(&answer.client_data)?,
            data: decoded(&answer.data)?,
            signature: decoded(&answer.signature)?,
        })
    }

    /// Judges the assertion. Where nobody is known yet (`names_owner`), the authenticator has to say whose the credential
    /// is; else it may.
    pub fn judge(&self, expected: &Expected<'_>, known: &Known<'_>, names_owner: bool) -> Result<Use, Refusal> {
        match &self.owner {
            None if names_owner => return Err(Refusal::Owner),
            Some(owner) if owner != known.owner => return Err(Refusal::Owner),
            _ => {}
        }
        let hash = judge(&self.client_data, Ceremony::Get, expected)?;
        let data = AuthenticatorData::parse(&self.data)?;
        if data.credential.is_some() {
            return Err(Refusal::Malformed);
        }
        data.judge(expected)?;
        // Section 6.1.3: whether it may be backed up never changes.
        if data.is_backup_eligible() != known.backup_eligible {
            return Err(Refusal::Backup);
        }
        PublicKey::parse(known.key)?.verify(&[self.data.as_slice(), &hash].concat(), &self.signature)?;
        // Section 6.1.1 and step 22: two zeros mean that the authenticator does not count.
        if (data.count > 0 || known.count > 0) && data.count <= known.count {
            return Err(Refusal::Counter);
        }
        Ok(Use { count: data.count, backed_up: data.is_backed_up() })
    }
}

#[cfg(test)]
mod tests;
