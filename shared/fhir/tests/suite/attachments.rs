use fhir::observation::{MAX_ATTACHMENT, Submission};
use serde_json::{Value, json};

use crate::support::{attachment, facts, with};

fn rejected(resource: &Value) -> (u16, &'static str, String) {
    let rejection = Submission::parse(resource).unwrap_err();
    let (status, code, expression) = facts(&rejection);
    (status, code, expression.to_owned())
}

#[test]
fn decodes_base64_strictly() {
    for data in [
        "eyJhIjoxfQ",
        "eyJhIjoxfQ=",
        "eyJhIjoxfQ==\n",
        " eyJhIjoxfQ==",
        "eyJh IjoxfQ==",
        "eyJhIjoxfR==",
        "_-8=",
        "====",
        "",
    ] {
        let expected = (400, "value", "Observation.valueAttachment.data".to_owned());
        assert_eq!(rejected(&with("/valueAttachment/data", json!(data))), expected, "{data:?}");
    }
    // Bytes that are no UTF-8 are bytes as well.
    let submission = Submission::parse(&with("/valueAttachment/data", json!("/+8="))).unwrap();
    assert_eq!(attachment(&submission).bytes, [0xff, 0xef]);
}

#[test]
fn bounds_the_attachment() {
    let most = MAX_ATTACHMENT / 3 * 4;
    let submission = Submission::parse(&with("/valueAttachment/data", json!("A".repeat(most)))).unwrap();
    assert_eq!(attachment(&submission).bytes.len(), MAX_ATTACHMENT);
    let expected = (413, "too-costly", "Observation.valueAttachment.data".to_owned());
    assert_eq!(rejected(&with("/valueAttachment/data", json!("A".repeat(most + 4)))), expected);
}

#[test]
fn takes_json_media_types_only() {
    let json_types =
        ["application/json", "Application/JSON", "application/fhir+json", "application/json; charset=utf-8"];
    for content_type in json_types {
        let submission = Submission::parse(&with("/valueAttachment/contentType", json!(content_type))).unwrap();
        assert_eq!(attachment(&submission).content_type, content_type);
    }
    for content_type in [
        "text/plain",
        "json",
        "application/jsonp",
        "/+json",
        "a/b/+json",
        "application/json,text/html",
        "application/ json",
    ] {
        let expected = (400, "value", "Observation.valueAttachment.contentType".to_owned());
        assert_eq!(rejected(&with("/valueAttachment/contentType", json!(content_type))), expected, "{content_type}");
    }
}

#[test]
fn believes_size_and_hash_only_when_true() {
    for size in [json!("7"), json!(7)] {
        assert!(Submission::parse(&with("/valueAttachment/size", size)).is_ok());
    }
    for size in [json!("8"), json!(8), json!(-7), json!(7.0), json!("7 "), json!(true)] {
        let expected = (400, "value", "Observation.valueAttachment.size".to_owned());
        assert_eq!(rejected(&with("/valueAttachment/size", size)), expected);
    }
    assert!(Submission::parse(&with("/valueAttachment/hash", json!("n4nHQM60bXQYySSnisV5QdXpZSA="))).is_ok());
    let expected = (400, "value", "Observation.valueAttachment.hash".to_owned());
    assert_eq!(rejected(&with("/valueAttachment/hash", json!("AAAAAAAAAAAAAAAAAAAAAAAAAAA="))), expected);
}
