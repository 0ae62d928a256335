//! How to reach the database, from the environment.

use secrecy::SecretString;
use std::{path::PathBuf, str::FromStr, time::Duration};

/// How much of the server's identity is checked; libpq's names and meanings (PostgreSQL documentation, 34.19).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS when the server offers it; nothing is verified. Also libpq's `allow`.
    Prefer,
    /// TLS, but the certificate is verified only when a root certificate is configured.
    Require,
    /// TLS, and the certificate must come from a trusted authority.
    VerifyCa,
    /// TLS, a trusted authority, and the certificate must name the host. The default.
    VerifyFull,
}

impl FromStr for SslMode {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text {
            "disable" => Ok(Self::Disable),
            "allow" | "prefer" => Ok(Self::Prefer),
            "require" => Ok(Self::Require),
            "verify-ca" => Ok(Self::VerifyCa),
            "verify-full" => Ok(Self::VerifyFull),
            _ => Err(ConfigError::Invalid(
                "DB_SSL_MODE",
                "use disable, allow, prefer, require, verify-ca or verify-full",
            )),
        }
    }
}

/// A setting is missing or not usable.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The variable must be set.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// The variable's value is not usable.
    #[error("{0} is not usable: {1}")]
    Invalid(&'static str, &'static str),
    /// A file that a variable names cannot be read or holds nothing usable.
    #[error("the file that {0} names is not usable")]
    File(&'static str, #[source] std::io::Error),
    /// The TLS settings do not fit together.
    #[error("TLS to the database cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// Where the database is and how to talk to it.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// `DB_HOST`.
    pub host: String,
    /// `DB_PORT`, 5432 by default.
    pub port: u16,
    /// `DB_NAME`.
    pub name: String,
    /// `DB_USER`.
    pub user: String,
    /// `DB_PASSWORD`, or from the secret store; none with certificate or IAM authentication.
    pub password: Option<SecretString>,
    /// `DB_SSL_MODE`, `verify-full` by default.
    pub ssl_mode: SslMode,
    /// `DB_SSL_ROOT_CERT`: a PEM file; without it the public authorities are trusted.
    pub ssl_root_cert: Option<PathBuf>,
    /// `DB_SSL_CERT`: a PEM file with the client's certificate.
    pub ssl_cert: Option<PathBuf>,
    /// `DB_SSL_KEY`: a PEM file with the client's key.
    pub ssl_key: Option<PathBuf>,
    /// `DB_POOL_SIZE`: connections per process. One on Lambda, where a process serves one request at a time.
    pub pool_size: usize,
    /// `DB_CONNECT_TIMEOUT` in seconds, 3 by default: also how long a request waits for a free connection.
    pub connect_timeout: Duration,
}

impl DatabaseConfig {
    /// Reads the settings by a lookup in the environment; `pool_size` is the host's default.
    pub fn from_env(
        lookup: impl Fn(&str) -> Option<String>,
        password: Option<SecretString>,
        pool_size: usize,
    ) -> Result<Self, ConfigError> {
        let required = |name: &'static str| lookup(name).ok_or(ConfigError::Missing(name));
        let path = |name: &str| lookup(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let config = Self {
            host: required("DB_HOST")?,
            port: number(&lookup, "DB_PORT", 5432)?,
            name: required("DB_NAME")?,
            user: required("DB_USER")?,
            password,
            ssl_mode: lookup("DB_SSL_MODE").map_or(Ok(SslMode::VerifyFull), |mode| mode.parse())?,
            ssl_root_cert: path("DB_SSL_ROOT_CERT"),
            ssl_cert: path("DB_SSL_CERT"),
            ssl_key: path("DB_SSL_KEY"),
            pool_size: number(&lookup, "DB_POOL_SIZE", pool_size)?,
            connect_timeout: Duration::from_secs(number(&lookup, "DB_CONNECT_TIMEOUT", 3)?),
        };
        if config.ssl_cert.is_some() != config.ssl_key.is_some() {
            return Err(ConfigError::Invalid("DB_SSL_CERT", "set DB_SSL_CERT and DB_SSL_KEY together"));
        }
        Ok(config)
    }
}

fn number<T: FromStr>(
    lookup: impl Fn(&str) -> Option<String>,
    name: &'static str,
    default: T,
) -> Result<T, ConfigError> {
    lookup(name)
        .map_or(Ok(default), |text| text.parse().map_err(|_| ConfigError::Invalid(name, "it is not a number in range")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Result<DatabaseConfig, ConfigError> {
        let minimal = [("DB_HOST", "db"), ("DB_NAME", "jhe"), ("DB_USER", "u")];
        DatabaseConfig::from_env(
            |name| pairs.iter().chain(&minimal).find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()),
            None,
            1,
        )
    }

    #[test]
    fn verify_full_is_the_default() {
        assert_eq!(config(&[]).unwrap().ssl_mode, SslMode::VerifyFull);
    }

    #[test]
    fn every_mode_of_libpq_is_understood() {
        for (text, mode) in [
            ("disable", SslMode::Disable),
            ("allow", SslMode::Prefer),
            ("prefer", SslMode::Prefer),
            ("require", SslMode::Require),
            ("verify-ca", SslMode::VerifyCa),
            ("verify-full", SslMode::VerifyFull),
        ] {
            assert_eq!(config(&[("DB_SSL_MODE", text)]).unwrap().ssl_mode, mode);
        }
    }

    #[test]
    fn a_setting_that_is_not_understood_is_refused_by_name() {
        for (name, value) in [("DB_SSL_MODE", "off"), ("DB_PORT", "x"), ("DB_PORT", "70000"), ("DB_POOL_SIZE", "-1")] {
            let error = config(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn a_client_certificate_needs_its_key() {
        assert!(config(&[("DB_SSL_CERT", "/c")]).is_err());
        assert!(config(&[("DB_SSL_KEY", "/k")]).is_err());
        assert!(config(&[("DB_SSL_CERT", "/c"), ("DB_SSL_KEY", "/k")]).is_ok());
    }
}
