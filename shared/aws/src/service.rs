//! A service that speaks the JSON protocol of AWS (`awsJson1_0`), asked without an SDK of its own: requests are signed here
//! (AWS Signature Version 4). For services of which a function needs two or three actions.

use crate::{ConfigurationError, http::Connections};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings};
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_types::body::SdkBody;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use serde::Deserialize;
use std::{error::Error, time::Duration, time::SystemTime};

/// A larger answer is none of such a service: those of `DynamoDB` are 16 MB at most.
const LARGEST: usize = 20 * 1024 * 1024;

/// The service did not do it.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// It says why, by a name such as `AccessDeniedException`. Its message is not kept: it could repeat the request.
    #[error("{0}")]
    Refused(String),
    /// It was not reached, or did not answer in time.
    #[error("it cannot be reached")]
    Unreachable(#[source] Box<dyn Error + Send + Sync>),
    /// It took too long.
    #[error("it took too long")]
    Timeout,
    /// The request cannot be signed.
    #[error("the request cannot be signed")]
    Signature(#[source] Box<dyn Error + Send + Sync>),
}

impl ServiceError {
    /// Whether the same request may succeed in a moment.
    fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Timeout => true,
            Self::Refused(name) => [
                "InternalServerError",
                "ProvisionedThroughputExceededException",
                "RequestLimitExceeded",
                "ServiceUnavailable",
                "ThrottlingException",
            ]
            .contains(&name.as_str()),
            Self::Signature(_) => false,
        }
    }
}

/// A service in the region that the environment names.
#[derive(Debug)]
pub struct Service {
    connections: Connections,
    identity: Identity,
    region: String,
    name: &'static str,
    endpoint: String,
    patience: Duration,
}

/// What a refusal says.
#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "__type")]
    kind: String,
}

impl Service {
    /// The service of this name, with the region and the credentials that the environment names: see [`crate::configuration`].
    pub fn new(
        lookup: impl Fn(&str) -> Option<String>,
        name: &'static str,
        patience: Duration,
    ) -> Result<Self, ConfigurationError> {
        let credentials: Credentials = crate::credentials(&lookup)?;
        let region = crate::region(&lookup)?;
        let endpoint = lookup("AWS_ENDPOINT_URL").unwrap_or_else(|| crate::endpoint(name, &region));
        Ok(Self {
            connections: crate::http::connections(patience)?,
            identity: credentials.into(),
            endpoint: format!("{}/", endpoint.trim_end_matches('/')),
            region,
            name,
            patience,
        })
    }

    /// Asks for an action by its whole name, `DynamoDB_20120810.Scan`. What may pass is asked for once more.
    pub async fn call(&self, action: &str, body: &str) -> Result<Vec<u8>, ServiceError> {
        match self.attempt(action, body).await {
            Err(error) if error.may_pass() => self.attempt(action, body).await,
            answer => answer,
        }
    }

    async fn attempt(&self, action: &str, body: &str) -> Result<Vec<u8>, ServiceError> {
        let request = self.signed(action, body, SystemTime::now()).map_err(ServiceError::Signature)?;
        tokio::time::timeout(self.patience, self.send(request)).await.unwrap_or(Err(ServiceError::Timeout))
    }

    async fn send(&self, request: Request<SdkBody>) -> Result<Vec<u8>, ServiceError> {
        let response =
            self.connections.request(request).await.map_err(|error| ServiceError::Unreachable(error.into()))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LARGEST).collect().await.map_err(ServiceError::Unreachable)?;
        let body = body.to_bytes().to_vec();
        if status == StatusCode::OK {
            return Ok(body);
        }
        // The name may come with the model that it is of before it: `com.amazonaws.dynamodb.v20120810#ResourceNotFoundException`.
        let refusal = serde_json::from_slice::<Refusal>(&body).ok();
        let name = refusal.and_then(|refusal| refusal.kind.rsplit('#').next().map(str::to_owned));
        Err(ServiceError::Refused(name.unwrap_or_else(|| status.to_string())))
    }

    fn signed(
        &self,
        action: &str,
        body: &str,
        now: SystemTime,
    ) -> Result<Request<SdkBody>, Box<dyn Error + Send + Sync>> {
        let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", action)];
        let settings = SigningSettings::default();
        let signable =
            SignableRequest::new("POST", &self.endpoint, headers.into_iter(), SignableBody::Bytes(body.as_bytes()))?;
        let instructions = crate::signature::of(signable, &self.identity, &self.region, self.name, settings, now)?;
        let mut request = Request::post(&self.endpoint).header(header::CONTENT_LENGTH, body.len());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        for (name, value) in instructions.headers() {
            request = request.header(name, value);
        }
        Ok(request.body(SdkBody::from(body))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::example;

    /// With the signature that botocore makes of the same request at the same time.
    #[test]
    fn a_request_is_signed_as_the_sdk_for_python_signs_it() {
        let service = Service::new(example(Some("session")), "dynamodb", Duration::from_secs(1)).unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
        let request = service.signed("DynamoDB_20120810.BatchGetItem", "{\"RequestItems\":{}}", now).unwrap();
        assert_eq!(request.uri(), "https://dynamodb.eu-central-1.amazonaws.com/");
        assert_eq!(request.headers()["x-amz-security-token"], "session");
        let authorization = request.headers()["authorization"].to_str().unwrap();
        let signature = "00bac389660e6398b13734d5d681837d688b7957eb91f70763010121f8c5a127";
        assert!(authorization.ends_with(&format!("Signature={signature}")), "{authorization}");
        assert!(!format!("{request:?} {service:?}").contains("wJalrXUtnFEMI"));
    }

    #[test]
    fn what_is_asked_for_again_is_what_may_pass() {
        for (name, may_pass) in
            [("ThrottlingException", true), ("InternalServerError", true), ("AccessDeniedException", false)]
        {
            assert_eq!(ServiceError::Refused(name.to_owned()).may_pass(), may_pass, "{name}");
        }
        assert!(ServiceError::Timeout.may_pass());
    }
}
