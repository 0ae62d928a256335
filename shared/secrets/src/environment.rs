//! Secrets from environment variables, or from the files they name.

use std::fs;

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use crate::{Key, Secrets, SecretsError};

const LINK_KEY: &str = "LINK_KEY";
const FORM_KEY: &str = "FORM_KEY";
const FACTOR_KEY: &str = "FACTOR_KEY";
const PAYLOAD_KEY: &str = "PAYLOAD_KEY";
const DATABASE_PASSWORD: &str = "DB_PASSWORD";
const SMTP_PASSWORD: &str = "SMTP_PASSWORD";
const SAML_KEY: &str = "SAML_SP_PRIVATE_KEY";

/// The variables that hold secrets. Each can instead be given with `_FILE` and the name of a file.
pub const VARIABLES: [&str; 7] =
    [LINK_KEY, FORM_KEY, FACTOR_KEY, PAYLOAD_KEY, DATABASE_PASSWORD, SMTP_PASSWORD, SAML_KEY];

/// Whether the environment means to give the keys. Then it must give all of them.
pub(crate) fn gives_keys(lookup: &impl Fn(&str) -> Option<String>) -> bool {
    [LINK_KEY, FORM_KEY, FACTOR_KEY]
        .iter()
        .any(|name| set(lookup, name).is_some() || set(lookup, &format!("{name}_FILE")).is_some())
}

impl Secrets {
    /// Reads `LINK_KEY`, `FORM_KEY`, `FACTOR_KEY` and, if there are any, `DB_PASSWORD`,
    /// `SMTP_PASSWORD` and `SAML_SP_PRIVATE_KEY`.
    pub fn from_environment(lookup: &impl Fn(&str) -> Option<String>) -> Result<Self, SecretsError> {
        Ok(Self {
            database_username: None,
            database_password: database_password(lookup)?,
            link_key: Some(key(lookup, LINK_KEY)?.into()),
            form_key: Some(key(lookup, FORM_KEY)?.into()),
            factor_key: Some(key(lookup, FACTOR_KEY)?.into()),
            // A process that touches no payload has no need of it; one that does is told that it is missing.
            payload_key: payload_key(lookup)?.map(Into::into),
            origin_keys: Vec::new(),
            smtp_password: smtp_password(lookup)?,
            saml_key: saml_key(lookup)?,
        })
    }
}

/// A secret that is in a variable, or in the file that the variable `NAME_FILE` names.
pub fn secret(
    lookup: &impl Fn(&str) -> Option<String>,
    name: &'static str,
) -> Result<Option<SecretString>, SecretsError> {
    Ok(value(lookup, name)?.map(|text| text.as_str().into()))
}

/// The password of the database, if one is set.
pub(crate) fn database_password(
    lookup: &impl Fn(&str) -> Option<String>,
) -> Result<Option<SecretString>, SecretsError> {
    secret(lookup, DATABASE_PASSWORD)
}

/// The password at the SMTP server, if one is set.
pub(crate) fn smtp_password(lookup: &impl Fn(&str) -> Option<String>) -> Result<Option<SecretString>, SecretsError> {
    secret(lookup, SMTP_PASSWORD)
}

/// The key that wraps the keys of patients, if one is set.
pub(crate) fn payload_key(lookup: &impl Fn(&str) -> Option<String>) -> Result<Option<Key>, SecretsError> {
    let text = value(lookup, PAYLOAD_KEY)?;
    text.map(|text| Key::parse(&text).ok_or(SecretsError::NotAKey(PAYLOAD_KEY))).transpose()
}

/// The key for single sign-on, if one is set.
pub(crate) fn saml_key(lookup: &impl Fn(&str) -> Option<String>) -> Result<Option<SecretString>, SecretsError> {
    Ok(value(lookup, SAML_KEY)?.map(|text| pem(&text)))
}

fn key(lookup: &impl Fn(&str) -> Option<String>, name: &'static str) -> Result<Key, SecretsError> {
    Key::parse(&required(lookup, name)?).ok_or(SecretsError::NotAKey(name))
}

/// Tools that keep variables on one line write the line ends of a PEM file as `\n`.
fn pem(text: &str) -> SecretString {
    if text.contains('\n') { text.into() } else { text.replace("\\n", "\n").into() }
}

fn required(lookup: &impl Fn(&str) -> Option<String>, name: &'static str) -> Result<Zeroizing<String>, SecretsError> {
    value(lookup, name)?.ok_or(SecretsError::MissingVariable(name))
}

fn value(
    lookup: &impl Fn(&str) -> Option<String>,
    name: &'static str,
) -> Result<Option<Zeroizing<String>>, SecretsError> {
    match (set(lookup, name), set(lookup, &format!("{name}_FILE"))) {
        (Some(_), Some(_)) => Err(SecretsError::TwoVariables(name)),
        (Some(text), None) => Ok(Some(text)),
        (None, Some(path)) => {
            let text = fs::read_to_string(path.as_str());
            let text = Zeroizing::new(text.map_err(|source| SecretsError::VariableFile { variable: name, source })?);
            let trimmed = Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned());
            // An empty file is a mistake in the deployment, not the absence of a secret.
            if trimmed.is_empty() { Err(SecretsError::MissingVariable(name)) } else { Ok(Some(trimmed)) }
        }
        (None, None) => Ok(None),
    }
}

/// A variable that is set to something.
fn set(lookup: &impl Fn(&str) -> Option<String>, name: &str) -> Option<Zeroizing<String>> {
    lookup(name).filter(|text| !text.is_empty()).map(Zeroizing::new)
}

#[cfg(test)]
mod tests;
