//! How every client of an AWS service is set up.

mod database_token;
mod http;
mod presigned;
mod service;
mod signature;
#[cfg(feature = "testing")]
pub mod testing;

pub use database_token::{DatabaseTokens, TOKEN_LIFETIME};
pub use presigned::{PresignError, presigned};
pub use service::{Service, ServiceError};

use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_types::{
    SdkConfig,
    region::Region,
    sdk_config::{RetryConfig, SharedCredentialsProvider, TimeoutConfig},
};
use std::time::Duration;

/// Callers wait, so a request is tried once more and then given up.
const ATTEMPTS: u32 = 2;

/// A variable that every client needs is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("set {0}: AWS is asked with the credentials in the environment")]
pub struct Missing(pub &'static str);

/// AWS cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// A variable is not set.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// The configuration for the region and with the credentials that the environment names, as Lambda sets it: `AWS_REGION`,
/// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`; and `AWS_ENDPOINT_URL`. The SDK's own chain of other
/// places to look for credentials would be an eighth of every function. One attempt at a request takes no longer than
/// `patience`.
pub fn configuration(
    lookup: impl Fn(&str) -> Option<String>,
    patience: Duration,
) -> Result<SdkConfig, ConfigurationError> {
    let credentials = credentials(&lookup)?;
    let timeouts = TimeoutConfig::builder().connect_timeout(patience).operation_attempt_timeout(patience).build();
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region(&lookup)?))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http::client(patience)?)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
    config.set_endpoint_url(lookup("AWS_ENDPOINT_URL"));
    Ok(config.build())
}

fn credentials(lookup: &impl Fn(&str) -> Option<String>) -> Result<Credentials, Missing> {
    let required = |name| lookup(name).ok_or(Missing(name));
    let (id, secret) = (required("AWS_ACCESS_KEY_ID")?, required("AWS_SECRET_ACCESS_KEY")?);
    Ok(Credentials::new(id, secret, lookup("AWS_SESSION_TOKEN"), None, "environment"))
}

fn region(lookup: &impl Fn(&str) -> Option<String>) -> Result<String, Missing> {
    lookup("AWS_REGION").ok_or(Missing("AWS_REGION"))
}

/// Where a service in a region is asked.
fn endpoint(service: &str, region: &str) -> String {
    let host = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("https://{service}.{region}.{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_variable_that_is_missing_is_named() {
        let names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"];
        for missing in names {
            let lookup = |name: &str| (names.contains(&name) && name != missing).then(|| "x".to_owned());
            let error = configuration(lookup, Duration::from_secs(1)).err();
            assert!(matches!(error, Some(ConfigurationError::Missing(Missing(name))) if name == missing), "{error:?}");
        }
        let config = configuration(|name| Some(name.to_owned()), Duration::from_secs(1)).unwrap();
        assert_eq!(config.region().map(Region::as_ref), Some("AWS_REGION"));
        assert_eq!(config.endpoint_url(), Some("AWS_ENDPOINT_URL"));
    }
}
