//! What the authenticator says (section 6.1).

use crate::{Expected, MAX_ID, Refusal, cbor::Reader};

/// The flags (section 6.1): somebody is there, the authenticator knows who, the credential may be backed up, it is.
const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const HAS_CREDENTIAL: u8 = 0x40;
const HAS_EXTENSIONS: u8 = 0x80;

/// A new credential: its id and its key.
type Attested<'a> = (&'a [u8], &'a [u8]);

/// The data of an authenticator.
#[derive(Debug)]
pub(crate) struct AuthenticatorData<'a> {
    relying_party: &'a [u8],
    flags: u8,
    /// How often the credential was used, as the authenticator counts; zero when it does not.
    pub(crate) count: u32,
    /// The new credential, at a registration.
    pub(crate) credential: Option<Attested<'a>>,
}

impl<'a> AuthenticatorData<'a> {
    /// Reads the data. Nothing may be left over.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let (relying_party, rest) = bytes.split_at_checked(32).ok_or(Refusal::Malformed)?;
        let (flags, rest) = rest.split_first().ok_or(Refusal::Malformed)?;
        let (count, mut rest) = rest.split_first_chunk::<4>().ok_or(Refusal::Malformed)?;
        let mut data = Self { relying_party, flags: *flags, count: u32::from_be_bytes(*count), credential: None };
        if data.has(HAS_CREDENTIAL) {
            let (credential, after) = attested(rest)?;
            data.credential = Some(credential);
            rest = after;
        }
        if data.has(HAS_EXTENSIONS) {
            let mut reader = Reader::new(rest);
            reader.skip_map()?;
            rest = rest.get(reader.position()..).ok_or(Refusal::Malformed)?;
        }
        if rest.is_empty() { Ok(data) } else { Err(Refusal::Malformed) }
    }

    /// What both ceremonies ask of the data (section 7.1 steps 13 to 18, section 7.2 steps 16 to 20).
    pub(crate) fn judge(&self, expected: &Expected<'_>) -> Result<(), Refusal> {
        if !expected.party.has_hash(self.relying_party) {
            return Err(Refusal::RelyingParty);
        }
        if !self.has(PRESENT) {
            return Err(Refusal::Presence);
        }
        if expected.verified && !self.has(VERIFIED) {
            return Err(Refusal::Verification);
        }
        // Section 6.1.3: what may not be backed up is not.
        if self.is_backed_up() && !self.is_backup_eligible() {
            return Err(Refusal::Backup);
        }
        Ok(())
    }

    const fn has(&self, flag: u8) -> bool {
        self.flags & flag == flag
    }

    pub(crate) const fn is_backup_eligible(&self) -> bool {
        self.has(BACKUP_ELIGIBLE)
    }

    pub(crate) const fn is_backed_up(&self) -> bool {
        self.has(BACKED_UP)
    }
}

/// The new credential, and what follows (section 6.5.1).
fn attested(bytes: &[u8]) -> Result<(Attested<'_>, &[u8]), Refusal> {
    // The first 16 bytes name the model, which is not asked for.
    let (_, rest) = bytes.split_at_checked(16).ok_or(Refusal::Malformed)?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or(Refusal::Malformed)?;
    let length = usize::from(u16::from_be_bytes(*length));
    if length == 0 || length > MAX_ID {
        return Err(Refusal::Malformed);
    }
    let (id, rest) = rest.split_at_checked(length).ok_or(Refusal::Malformed)?;
    let mut reader = Reader::new(rest);
    reader.skip()?;
    let (key, after) = rest.split_at_checked(reader.position()).ok_or(Refusal::Malformed)?;
    Ok(((id, key), after))
}
