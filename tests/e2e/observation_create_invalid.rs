//! An upload that is not acceptable is refused with the reason, and leaves nothing behind.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use end_to_end::{
    World,
    point::{blood_pressure, code_of, heart_rate, observation},
    reply::Reply,
};
use reqwest::Method;
use serde_json::{Value, json};

const PATH: &str = "/FHIR/R5/Observation";
const AT: &str = "2026-02-01T08:00:00Z";

/// A valid observation with one member, named by its JSON pointer, replaced; null takes it away.
fn with(pointer: &str, value: Value) -> Value {
    let mut resource = observation(40001, 70001, &heart_rate(60, AT), "invalid");
    replace(&mut resource, pointer, value);
    resource
}

/// The same for a member of the data point.
fn with_point(pointer: &str, value: Value) -> Value {
    let mut point = heart_rate(60, AT);
    replace(&mut point, pointer, value);
    let mut resource = observation(40001, 70001, &heart_rate(60, AT), "invalid");
    resource["valueAttachment"]["data"] = json!(STANDARD.encode(point.to_string()));
    resource
}

fn replace(target: &mut Value, pointer: &str, value: Value) {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    let parent = target.pointer_mut(parent).expect("a parent");
    match (value, name.parse::<usize>()) {
        (value, Ok(index)) => parent[index] = value,
        (Value::Null, _) => {
            parent.as_object_mut().expect("an object").remove(name).expect("a member to take away");
        }
        (value, _) => parent[name] = value,
    }
}

/// Uploads each, and checks the status, the shape, that nothing is stored, and that no value is repeated.
async fn all_refused(cases: Vec<(&str, u16, Value)>) {
    let world = World::new().await;
    let before = world.stored().await;
    for (what, status, resource) in cases {
        let reply = Reply::to(world.request("ll_patient_peter", Method::POST, PATH).json(&resource)).await;
        reply.refusal(status, what);
        assert!(!reply.text.contains("SECRET"), "{what} repeats the value: {}", reply.text);
    }
    assert_eq!(world.stored().await, before);
}

#[tokio::test]
async fn missing_pieces_are_named() {
    let world = World::new().await;
    let before = world.stored().await;
    let pieces = [
        "/resourceType",
        "/status",
        "/code",
        "/code/coding",
        "/code/coding/0/code",
        "/code/coding/0/system",
        "/subject",
        "/subject/reference",
        "/device",
        "/device/reference",
        "/valueAttachment",
        "/valueAttachment/data",
        "/valueAttachment/contentType",
        "/identifier/0/value",
    ];
    for piece in pieces {
        let reply =
            Reply::to(world.request("ll_patient_peter", Method::POST, PATH).json(&with(piece, Value::Null))).await;
        let outcome = reply.refusal(400, piece);
        let expression = outcome["issue"][0]["expression"][0].as_str().unwrap_or_default();
        assert!(expression.starts_with("Observation."), "{piece}: {outcome}");
    }
    assert_eq!(world.stored().await, before);
}

#[tokio::test]
async fn wrong_types_and_values_are_refused() {
    all_refused(vec![
        ("an array", 400, json!([])),
        ("a text", 400, json!("Observation")),
        ("a number", 400, json!(1)),
        ("null", 400, Value::Null),
        ("nothing", 400, json!({})),
        ("another type", 400, with("/resourceType", json!("Patient"))),
        ("status of another type", 400, with("/status", json!(1))),
        ("code of another type", 400, with("/code", json!("omh:heart-rate:2.0"))),
        ("coding of another type", 400, with("/code/coding", json!({}))),
        ("no codings", 400, with("/code/coding", json!([]))),
        ("a null coding", 400, with("/code/coding/0", Value::Null)),
        ("subject of another type", 400, with("/subject/reference", json!("Device/40001"))),
        ("subject without an id", 400, with("/subject/reference", json!("Patient/"))),
        ("subject zero", 400, with("/subject/reference", json!("Patient/0"))),
        ("negative subject", 400, with("/subject/reference", json!("Patient/-1"))),
        ("huge subject", 400, with("/subject/reference", json!("Patient/99999999999999999999"))),
        (
            "subject of another server",
            400,
            with("/subject/reference", json!("https://other.example/FHIR/R5/Patient/40001")),
        ),
        ("device that does not exist", 400, with("/device/reference", json!("Device/79999"))),
        ("device zero", 400, with("/device/reference", json!("Device/0"))),
        ("an unknown code", 400, with("/code/coding/0/code", json!("omh:SECRET:1.0"))),
        ("a code of another system", 400, with("/code/coding/0/system", json!("https://other.example"))),
        (
            "a known schema that no study can ask for",
            400,
            with("/code/coding/0/system", json!("https://w3id.org/ieee1752")),
        ),
        ("identifier that is no list", 400, with("/identifier", json!({ "value": "a" }))),
        ("an empty identifier", 400, with("/identifier/0/value", json!(""))),
        ("a number as identifier", 400, with("/identifier/0/value", json!(1))),
        ("a NUL in an identifier", 400, with("/identifier/0/value", json!("a\u{0}b"))),
        ("a NUL in a system", 400, with("/identifier/0/system", json!("a\u{0}b"))),
        ("an identifier too long", 400, with("/identifier/0/value", json!("a".repeat(5000)))),
        ("a NUL in a text", 400, with("/subject/display", json!("a\u{0}b"))),
        ("an unknown element", 400, with("/mood", json!("SECRET"))),
        ("an element that is not kept", 400, with("/valueString", json!("SECRET"))),
        (
            "a modifier extension",
            400,
            with("/modifierExtension", json!([{ "url": "https://e", "valueBoolean": true }])),
        ),
        ("an effective time without a zone", 400, with("/effectiveDateTime", json!("2026-02-01T08:00:00"))),
        ("an effective day that does not exist", 400, with("/effectiveDateTime", json!("2026-02-30T08:00:00Z"))),
    ])
    .await;
}

#[tokio::test]
async fn an_attachment_must_be_inline_json_in_base64() {
    let data = |text: &str| with("/valueAttachment/data", json!(text));
    all_refused(vec![
        ("not base64", 400, data("SECRET!!")),
        ("base64 without padding", 400, data("e30")),
        ("base64url", 400, data("_-8=")),
        ("base64 with a line break", 400, data("e3\n0=")),
        ("empty", 400, data("")),
        ("a number", 400, with("/valueAttachment/data", json!(1))),
        ("a URL", 400, with("/valueAttachment/url", json!("https://SECRET.example"))),
        ("another content type", 400, with("/valueAttachment/contentType", json!("text/plain"))),
        ("a size that is not its size", 400, with("/valueAttachment/size", json!("1"))),
        ("a hash that is not its hash", 400, with("/valueAttachment/hash", json!("AAAAAAAAAAAAAAAAAAAAAAAAAAA="))),
    ])
    .await;
}

#[tokio::test]
async fn a_data_point_must_obey_its_schema() {
    let data = |bytes: &[u8]| with("/valueAttachment/data", json!(STANDARD.encode(bytes)));
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    all_refused(vec![
        ("not JSON", 422, data(b"SECRET")),
        ("not UTF-8", 422, data(b"{\"a\":\"\xff\"}")),
        ("two documents", 422, data(b"{} {}")),
        ("an array", 422, data(b"[]")),
        ("nothing in it", 422, data(b"{}")),
        ("nested deeply", 422, data(deep.as_bytes())),
        ("no header", 422, with_point("/header", Value::Null)),
        ("no body", 422, with_point("/body", Value::Null)),
        ("no uuid", 422, with_point("/header/uuid", Value::Null)),
        ("no schema id", 422, with_point("/header/schema_id", Value::Null)),
        ("no creation time", 422, with_point("/header/source_creation_date_time", Value::Null)),
        ("a creation time that is none", 422, with_point("/header/source_creation_date_time", json!("SECRET"))),
        ("no measure", 422, with_point("/body/heart_rate", Value::Null)),
        ("a unit of another measure", 422, with_point("/body/heart_rate/unit", json!("SECRET"))),
        ("a text as value", 422, with_point("/body/heart_rate/value", json!("SECRET"))),
        ("no time frame", 422, with_point("/body/effective_time_frame", Value::Null)),
        ("a time that is none", 422, with_point("/body/effective_time_frame/date_time", json!("SECRET"))),
        (
            "a day that does not exist",
            422,
            with_point("/body/effective_time_frame/date_time", json!("2026-02-30T00:00:00Z")),
        ),
    ])
    .await;
}

#[tokio::test]
async fn the_header_must_name_the_schema_of_the_code() {
    let mut other = observation(40001, 70001, &blood_pressure(120, AT), "");
    other["code"]["coding"][0]["code"] = json!(code_of(&heart_rate(60, AT)));
    all_refused(vec![
        ("another schema", 422, other),
        ("another version", 422, with_point("/header/schema_id/version", json!("1.0"))),
        ("another name", 422, with_point("/header/schema_id/name", json!("body-weight"))),
        ("another namespace", 422, with_point("/header/schema_id/namespace", json!("ieee"))),
    ])
    .await;
}

#[tokio::test]
async fn bodies_that_are_no_json_are_refused() {
    let world = World::new().await;
    let before = world.stored().await;
    let deep = format!("{}1{}", "{\"a\":".repeat(200), "}".repeat(200));
    let bodies: [(&str, &[u8]); 8] = [
        ("empty", b""),
        ("half", b"{\"resourceType\": \"Observation\""),
        ("a word", b"SECRET"),
        ("not UTF-8", b"{\"a\": \"\xff\xfe\"}"),
        ("a lone surrogate", b"{\"a\": \"\\ud800\"}"),
        ("a trailing comma", b"{\"a\": 1,}"),
        ("two documents", b"{}{}"),
        ("nested 200 deep", deep.as_bytes()),
    ];
    for (what, body) in bodies {
        let request = world.request("ll_patient_peter", Method::POST, PATH).header("content-type", "application/json");
        let reply = Reply::to(request.body(body.to_vec())).await;
        reply.refusal(400, what);
        assert!(!reply.text.contains("SECRET"), "{}", reply.text);
    }
    assert_eq!(world.stored().await, before);
}

#[tokio::test]
async fn a_body_over_six_megabytes_is_refused() {
    let world = World::new().await;
    let before = world.stored().await;
    let resource = with("/subject/display", json!("a".repeat(6 * 1024 * 1024)));
    let reply = Reply::to(world.request("ll_patient_peter", Method::POST, PATH).json(&resource)).await;
    reply.refusal(413, "too large");
    assert_eq!(world.stored().await, before);
}
