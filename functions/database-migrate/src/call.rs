//! What `CloudFormation` says, and what it is told.

use runtime::Failure;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// The name of what is made. It never changes: a resource whose name changes is deleted under the old one.
const RESOURCE: &str = "migrations";

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum RequestType {
    /// The stack is made.
    Create,
    /// The migrations changed.
    Update,
    /// The stack is deleted, or undone.
    Delete,
}

/// A call.
#[derive(Debug, PartialEq, Eq)]
pub struct Call {
    pub request_type: RequestType,
    /// Where the answer is put: whoever has this URL may.
    pub response_url: String,
    /// How long a database that cannot be reached is tried.
    pub patience: Duration,
    stack: String,
    request: String,
    resource: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    request_type: RequestType,
    #[serde(rename = "ResponseURL")]
    response_url: String,
    stack_id: String,
    request_id: String,
    logical_resource_id: String,
    #[serde(default)]
    resource_properties: Properties,
}

/// `CloudFormation` makes texts of all numbers.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Properties {
    patience: Option<String>,
}

impl Call {
    /// Reads an event.
    pub fn parse(event: Value) -> Result<Self, Failure> {
        // The parser's own message can quote the URL.
        let wrong = || Failure::Invalid("The event is not one of a custom resource.".to_owned());
        let event: Event = serde_json::from_value(event).map_err(|_| wrong())?;
        let seconds = event.resource_properties.patience.map_or(Ok(0), |text| text.parse()).map_err(|_| wrong())?;
        Ok(Self {
            request_type: event.request_type,
            response_url: event.response_url,
            patience: Duration::from_secs(seconds),
            stack: event.stack_id,
            request: event.request_id,
            resource: event.logical_resource_id,
        })
    }
}

/// An answer.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Answer<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    physical_resource_id: &'static str,
    stack_id: &'a str,
    request_id: &'a str,
    logical_resource_id: &'a str,
}

impl<'a> Answer<'a> {
    /// It is done.
    pub fn success(call: &'a Call) -> Self {
        Self {
            status: "SUCCESS",
            reason: "",
            physical_resource_id: RESOURCE,
            stack_id: &call.stack,
            request_id: &call.request,
            logical_resource_id: &call.resource,
        }
    }

    /// It could not be done.
    pub fn failure(call: &'a Call, reason: &'a str) -> Self {
        Self { status: "FAILED", reason, ..Self::success(call) }
    }

    /// The text that is put.
    pub fn text(&self) -> String {
        serde_json::json!(self).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event() -> Value {
        json!({
            "RequestType": "Update", "ResponseURL": "https://s3.example/a?b=c", "StackId": "stack", "RequestId": "r",
            "LogicalResourceId": "Migration", "PhysicalResourceId": "migrations", "ResourceType": "Custom::Migration",
            "ResourceProperties": { "ServiceToken": "arn", "Migrations": "digest", "Patience": "300" },
            "OldResourceProperties": {}
        })
    }

    #[test]
    fn an_event_says_what_to_do_and_where_to_answer() {
        let call = Call::parse(event()).unwrap();
        assert_eq!((call.request_type, call.response_url.as_str()), (RequestType::Update, "https://s3.example/a?b=c"));
        assert_eq!(call.patience, Duration::from_mins(5));
        let mut short = event();
        short["ResourceProperties"] = json!({});
        assert_eq!(Call::parse(short).unwrap().patience, Duration::ZERO);
    }

    #[test]
    fn another_event_is_refused_without_quoting_it() {
        for (name, value) in [
            ("RequestType", json!("Drop")),
            ("ResponseURL", json!(null)),
            ("StackId", json!(1)),
            ("ResourceProperties", json!({ "Patience": "long" })),
        ] {
            let mut wrong = event();
            wrong[name] = value;
            let failure = Call::parse(wrong).unwrap_err();
            assert!(matches!(&failure, Failure::Invalid(text) if !text.contains("s3.example")), "{name}: {failure:?}");
        }
        assert!(Call::parse(json!("event")).is_err());
    }

    #[test]
    fn an_answer_names_what_was_asked_for() {
        let call = Call::parse(event()).unwrap();
        let names = json!({ "PhysicalResourceId": "migrations", "StackId": "stack", "RequestId": "r", "LogicalResourceId": "Migration" });
        for (answer, more) in [
            (Answer::success(&call), json!({ "Status": "SUCCESS" })),
            (Answer::failure(&call, "Not now."), json!({ "Status": "FAILED", "Reason": "Not now." })),
        ] {
            let mut expected = names.clone();
            expected.as_object_mut().unwrap().append(&mut more.as_object().unwrap().clone());
            assert_eq!(serde_json::from_str::<Value>(&answer.text()).unwrap(), expected);
        }
    }
}
