//! Why a message is not believed.

/// Why a message of an identity provider, or its metadata, is refused. The names go to the audit; nothing of the message
/// is in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not XML, not in the encoding of the binding, or not the elements that the schema has.
    #[error("the message is not well formed")]
    Malformed,
    /// Larger than any message of the profiles.
    #[error("the message is too large")]
    TooLarge,
    /// A document type declaration, which can define entities.
    #[error("the message has a document type declaration")]
    Doctype,
    /// A comment or a processing instruction, which can split a text in two.
    #[error("the message has a comment or a processing instruction")]
    Comment,
    /// An encrypted assertion, name or attribute.
    #[error("encrypted assertions are not supported")]
    Encrypted,
    /// Not exactly one assertion, or one at another place than directly in the response.
    #[error("the response does not hold exactly one assertion")]
    Assertions,
    /// The identity provider did not sign somebody in.
    #[error("the identity provider reports that it did not succeed")]
    NotSuccessful,
    /// The element that counts has no signature of its own.
    #[error("the assertion is not signed")]
    Unsigned,
    /// A signature that is built differently from what SAML allows, or at another place.
    #[error("a signature is not of the form that SAML prescribes")]
    SignatureForm,
    /// An algorithm that is not on the list, such as SHA-1.
    #[error("a signature uses an algorithm that is not accepted")]
    Algorithm,
    /// The signature does not verify with a key of the identity provider.
    #[error("a signature does not verify")]
    Signature,
    /// Issued by somebody else.
    #[error("the issuer is another one")]
    Issuer,
    /// Sent to another address.
    #[error("the message is for another destination")]
    Destination,
    /// No confirmation of the subject that this service provider may use.
    #[error("the subject is confirmed for another recipient")]
    Recipient,
    /// Meant for another service provider.
    #[error("the assertion is for another audience")]
    Audience,
    /// Not the answer to what this browser asked.
    #[error("the message does not answer a request of this browser")]
    Unsolicited,
    /// Not valid any more.
    #[error("the message has expired")]
    Expired,
    /// Not valid yet.
    #[error("the message is not valid yet")]
    NotYetValid,
    /// The sign-in there is older than the request for a new one.
    #[error("the sign-in at the identity provider is not a new one")]
    TooOld,
    /// A condition that this service provider does not know.
    #[error("the assertion has a condition that is not understood")]
    Condition,
    /// Seen before.
    #[error("the message was used before")]
    Replayed,
    /// No e-mail address, several, or none that can be an account's.
    #[error("the assertion names no e-mail address")]
    Email,
    /// An e-mail address of a domain that is not allowed.
    #[error("the e-mail address is not of an allowed domain")]
    Domain,
}

impl Refusal {
    /// The name in the audit.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Doctype => "doctype",
            Self::Comment => "comment",
            Self::Encrypted => "encrypted",
            Self::Assertions => "assertions",
            Self::NotSuccessful => "not_successful",
            Self::Unsigned => "unsigned",
            Self::SignatureForm => "signature_form",
            Self::Algorithm => "algorithm",
            Self::Signature => "signature",
            Self::Issuer => "issuer",
            Self::Destination => "destination",
            Self::Recipient => "recipient",
            Self::Audience => "audience",
            Self::Unsolicited => "unsolicited",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::TooOld => "too_old",
            Self::Condition => "condition",
            Self::Replayed => "replayed",
            Self::Email => "email",
            Self::Domain => "domain",
        }
    }
}
