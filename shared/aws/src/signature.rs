//! AWS Signature Version 4, of requests that no SDK makes.

use aws_sigv4::{
    http_request::{SignableRequest, SigningInstructions, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_runtime_api::client::identity::Identity;
use std::{error::Error, time::SystemTime};

/// What a request to a service in a region gets to be signed.
pub(crate) fn of(
    request: SignableRequest<'_>,
    identity: &Identity,
    region: &str,
    service: &str,
    settings: SigningSettings,
    now: SystemTime,
) -> Result<SigningInstructions, Box<dyn Error + Send + Sync>> {
    let parameters = v4::SigningParams::builder()
        .identity(identity)
        .region(region)
        .name(service)
        .time(now)
        .settings(settings)
        .build()?;
    Ok(sign(request, &parameters.into())?.into_parts().0)
}

/// An environment with the credentials of AWS's own examples, and the token of a session where one is named.
#[cfg(test)]
pub(crate) fn example(session: Option<&str>) -> impl Fn(&str) -> Option<String> {
    move |name| match name {
        "AWS_ACCESS_KEY_ID" => Some("AKIDEXAMPLE".to_owned()),
        "AWS_SECRET_ACCESS_KEY" => Some("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
        "AWS_SESSION_TOKEN" => session.map(str::to_owned),
        "AWS_REGION" => Some("eu-central-1".to_owned()),
        _ => None,
    }
}
