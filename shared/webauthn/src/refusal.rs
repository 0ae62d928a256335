//! Why an answer is not believed.

/// The reason. It goes to the audit; what the person is told is the same for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It cannot be read.
    #[error("malformed")]
    Malformed,
    /// It is larger than any real one.
    #[error("too_large")]
    TooLarge,
    /// It belongs to the other ceremony.
    #[error("type")]
    Type,
    /// It answers another challenge.
    #[error("challenge")]
    Challenge,
    /// It was made on another site.
    #[error("origin")]
    Origin,
    /// It was made in a frame of another site.
    #[error("cross_origin")]
    CrossOrigin,
    /// The credential is another site's.
    #[error("relying_party")]
    RelyingParty,
    /// Nobody was there.
    #[error("presence")]
    Presence,
    /// The authenticator does not know who was there.
    #[error("verification")]
    Verification,
    /// The flags about backups contradict each other, or what was said before.
    #[error("backup")]
    Backup,
    /// The key is of a kind that is not taken, or no key.
    #[error("key")]
    Key,
    /// The credential is not the one that was asked for.
    #[error("credential")]
    Credential,
    /// The credential is somebody else's.
    #[error("owner")]
    Owner,
    /// The signature is wrong.
    #[error("signature")]
    Signature,
    /// The counter did not go on: there may be a copy of the authenticator.
    #[error("counter")]
    Counter,
}
