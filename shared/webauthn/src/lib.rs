//! Web Authentication Level 3 (<https://www.w3.org/TR/webauthn-3/>) as a relying party: what a browser is asked, and whether
//! to believe what it brings back. Sections named here are of that document.
//!
//! Pure: no HTTP, no clock, no database, no environment, and nothing random. The caller makes challenges, keeps each for
//! minutes, and takes it away at its first use.
//!
//! Attestation is not asked for, and a statement that comes all the same is not read: which device somebody uses is not
//! ours to decide (`docs/decisions/0024-passkeys.md`).

mod assertion;
mod authenticator;
mod cbor;
mod client_data;
mod key;
mod options;
mod party;
mod refusal;
mod registration;

#[cfg(test)]
mod testing;

pub use assertion::{Assertion, Known, Use};
pub use options::{Owner, creation, request};
pub use party::RelyingParty;
pub use refusal::Refusal;
pub use registration::{NewCredential, Registration};

/// The longest id of a credential (section 5.8.3 and 6.5.1).
pub const MAX_ID: usize = 1023;

/// The longest text that is read. A registration is some kilobytes even with a statement of attestation.
const MAX_TEXT: usize = 64 * 1024;

/// What an answer has to be, to be believed.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// This site.
    pub party: &'a RelyingParty,
    /// The SHA-256 of the challenge, as it was sent in base64url.
    pub challenge: &'a [u8; 32],
    /// Whether the authenticator must know its person, by a PIN or a finger, and not just that somebody is there.
    pub verified: bool,
}
