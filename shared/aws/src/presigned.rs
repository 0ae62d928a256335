//! Requests that are signed here and sent by somebody else: a service of AWS in another region, in our name (AWS Signature
//! Version 4, "Authenticating requests: using query parameters").

use crate::Missing;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings};
use aws_smithy_runtime_api::client::identity::Identity;
use std::{error::Error, time::Duration, time::SystemTime};

/// A request cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum PresignError {
    /// A variable is not set.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// The signature cannot be made.
    #[error("the signature cannot be made")]
    Signature(#[source] Box<dyn Error + Send + Sync>),
}

/// How long it can be sent.
const LIFETIME: Duration = Duration::from_hours(1);

/// The address of a request with these parameters to a service in the region that the environment names, with the credentials
/// that it names: see [`crate::configuration`]. Who has the address can send just this request.
pub fn presigned(
    lookup: impl Fn(&str) -> Option<String>,
    service: &str,
    parameters: &[(&str, &str)],
    now: SystemTime,
) -> Result<String, PresignError> {
    let credentials: Credentials = crate::credentials(&lookup)?;
    let region = crate::region(&lookup)?;
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    let address = format!("{}/?{query}", crate::endpoint(service, &region));
    signed(&credentials.into(), &region, service, address, LIFETIME, now).map_err(PresignError::Signature)
}

/// An address with its signature.
pub(crate) fn signed(
    identity: &Identity,
    region: &str,
    service: &str,
    address: String,
    lifetime: Duration,
    now: SystemTime,
) -> Result<String, Box<dyn Error + Send + Sync>> {
    let mut settings = SigningSettings::default();
    settings.expires_in = Some(lifetime);
    settings.signature_location = SignatureLocation::QueryParams;
    let request = SignableRequest::new("GET", &address, std::iter::empty(), SignableBody::empty())?;
    let instructions = crate::signature::of(request, identity, region, service, settings, now)?;
    Ok(form_urlencoded::Serializer::new(address).extend_pairs(instructions.params()).finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::example;

    /// With the signature that botocore makes of the same request at the same time.
    #[test]
    fn a_request_for_a_copy_is_signed_as_the_sdk_for_python_signs_it() {
        let request = [
            ("Action", "CopyDBSnapshot"),
            ("Version", "2014-10-31"),
            ("SourceDBSnapshotIdentifier", "arn:aws:rds:eu-central-1:123456789012:snapshot:jhe-1"),
            ("TargetDBSnapshotIdentifier", "jhe-1"),
            ("KmsKeyId", "arn:aws:kms:eu-west-1:123456789012:key/1"),
            ("DestinationRegion", "eu-west-1"),
        ];
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
        let address = presigned(example(None), "rds", &request, now).unwrap();
        assert!(address.starts_with("https://rds.eu-central-1.amazonaws.com/?Action=CopyDBSnapshot&"), "{address}");
        let signature = "64108e86fbc094ab2e33efd78202389ab437324cb5157c2d2845059741b3bbc8";
        assert!(address.contains(&format!("X-Amz-Signature={signature}")), "{address}");
        assert!(!address.contains("wJalrXUtnFEMI"));
    }

    #[test]
    fn without_a_region_nothing_is_signed() {
        let without = |name: &str| example(None)(name).filter(|_| name != "AWS_REGION");
        let error = presigned(without, "rds", &[], SystemTime::UNIX_EPOCH).unwrap_err();
        assert!(matches!(error, PresignError::Missing(Missing("AWS_REGION"))), "{error}");
    }
}
