//! SAML 2.0 as a service provider: what is sent to an identity provider, and whether to believe what it sends back.
//!
//! Pure: no HTTP, no clock, no database, no environment. Time is an argument, and so is every identifier that has to be
//! random. The sources are the OASIS standards of 2005: *Assertions and Protocols* (called Core here), *Bindings*,
//! *Profiles* and *Metadata*, and the W3C's *XML Signature*.
//!
//! Every message is parsed once. The element whose content counts is the very node that a signature was found to
//! cover; there is no second parser and no second lookup that could see something else.

mod account;
mod keys;
mod logout;
mod metadata;
mod pending;
mod provider;
mod redirect;
mod refusal;
mod response;
mod signature;
mod signing;
mod subject;
mod xml;

#[cfg(test)]
mod testing;

pub use account::{Domains, Names};
pub use keys::TrustedKeys;
pub use logout::{LogoutAnswer, LogoutOrder, SignOut};
pub use metadata::{IdentityProvider, SignOutEndpoint};
pub use pending::Pending;
pub use provider::ServiceProvider;
pub use redirect::{Kind, Redirected};
pub use refusal::Refusal;
pub use response::{Expectation, SignIn};
pub use signing::{SigningError, SigningKey};
pub use subject::NameId;

/// How far two clocks may be apart.
const SKEW: jiff::SignedDuration = jiff::SignedDuration::from_secs(60);

/// The namespaces and identifiers of the standards.
pub(crate) mod names {
    pub(crate) const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
    pub(crate) const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
    pub(crate) const METADATA: &str = "urn:oasis:names:tc:SAML:2.0:metadata";
    pub(crate) const SIGNATURE: &str = "http://www.w3.org/2000/09/xmldsig#";
    pub(crate) const EXCLUSIVE_C14N: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
    pub(crate) const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
    pub(crate) const REDIRECT: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";
    pub(crate) const POST: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";
    pub(crate) const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";
    pub(crate) const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
    pub(crate) const ENTITY: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity";
    pub(crate) const EMAIL: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress";
}
