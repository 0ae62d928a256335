//! Where secrets come from, and how long they are kept.
//!
//! | host | source | chosen when |
//! | --- | --- | --- |
//! | AWS Lambda | JSON secrets in AWS Secrets Manager, one for each [`Part`] | a variable of a [`Part`] is set |
//! | self-hosted | environment variables, or files they name | one of the keys is set |
//! | standalone | a private directory, filled at first start | neither is set |
//!
//! What is replaced while functions run, and read by few of them, is a [`Document`] of its own: a secret that one function
//! may write. What Secrets Manager itself has replaced is a [`Rotation`] to the function that does it.
//!
//! A [`SecretStore`] is opened once per process and asked before each use. The environment is given as a function
//! and the time as an argument.

mod cache;
mod directory;
mod document;
mod environment;
mod error;
mod key;
mod login;
mod part;
mod private_file;
mod rotation;
mod secrets_manager;
mod store;
#[cfg(test)]
mod testing;

pub use cache::{Cache, FRESH, LIMIT};
pub use document::{Document, Stored, Version, hex};
pub use environment::{VARIABLES, secret};
pub use error::SecretsError;
pub use key::{Key, Keys};
pub use login::Login;
pub use part::Part;
pub use private_file::{private_file, private_file_or};
pub use rotation::{Progress, Rotation};
pub use secrets_manager::current_since;
pub use store::SecretStore;

use secrecy::SecretString;

/// The secrets of a deployment, or those of one [`Part`]. All of it is wiped when dropped and shown by nothing.
#[derive(Debug)]
pub struct Secrets {
    /// The database user that goes with the password, when the secret names it.
    pub database_username: Option<String>,
    /// The password of the database, unless it is reached without one.
    pub database_password: Option<SecretString>,
    pub(crate) link_key: Option<Keys>,
    pub(crate) form_key: Option<Keys>,
    pub(crate) factor_key: Option<Keys>,
    pub(crate) payload_key: Option<Keys>,
    /// The password at the SMTP server, if mail is sent by one that asks for it.
    pub smtp_password: Option<SecretString>,
    /// What a proxy says to prove that a request came through it, and what it said before, if there is such a proxy.
    pub origin_keys: Vec<SecretString>,
    /// The RSA key that signs requests for single sign-on, in PEM, if there is one.
    pub saml_key: Option<SecretString>,
}

impl Secrets {
    /// Signs the cursors in links to further pages, and encrypts the answers that are kept for requests that are sent again.
    pub fn link_key(&self) -> Result<&Keys, SecretsError> {
        self.link_key.as_ref().ok_or(SecretsError::Missing("link_key"))
    }

    /// Signs form tokens.
    pub fn form_key(&self) -> Result<&Keys, SecretsError> {
        self.form_key.as_ref().ok_or(SecretsError::Missing("form_key"))
    }

    /// Encrypts the secrets of authenticators in the database.
    pub fn factor_key(&self) -> Result<&Keys, SecretsError> {
        self.factor_key.as_ref().ok_or(SecretsError::Missing("factor_key"))
    }

    /// Wraps the keys with which the payloads of patients are encrypted.
    pub fn payload_key(&self) -> Result<&Keys, SecretsError> {
        self.payload_key.as_ref().ok_or(SecretsError::Missing("payload_key"))
    }
}
