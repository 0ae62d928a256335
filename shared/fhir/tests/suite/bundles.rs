use fhir::bundle::{BatchKind, BatchRequest, BatchResponse, HistoryBundle, Searchset, count_only, status_line};
use fhir::observation::{Place, Submission};
use fhir::outcome::{IssueCode, OperationOutcome};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::{facts, observation, parsed};

fn at() -> Timestamp {
    "2026-11-21T19:00:53.679315Z".parse().unwrap()
}

fn batch(entries: &Value) -> Value {
    json!({ "resourceType": "Bundle", "type": "batch", "entry": entries })
}

fn post(resource: &Value) -> Value {
    json!({ "resource": resource, "request": { "method": "POST", "url": "Observation" } })
}

#[test]
fn a_page_has_its_entries_links_and_total() {
    let content = Submission::parse(&observation()).unwrap().content(None, None, 10006);
    let mut page = Searchset::new();
    let place = Place { id: 60010, version: 1, last_updated: at(), source: None };
    page.observation("https://h.example/FHIR/R5", &place, &content);
    page.entry("https://h.example/FHIR/R5/Patient/1", r#"{"resourceType":"Patient","id":"1"}"#);
    page.total(7);
    page.next("https://h.example/FHIR/R5/Observation?_cursor=a");
    let page = parsed(&page.finish("https://h.example/FHIR/R5/Observation?patient=40001"));
    assert_eq!(page["resourceType"], "Bundle");
    assert_eq!(page["type"], "searchset");
    assert_eq!(page["total"], json!(7));
    assert_eq!(
        page["link"],
        json!([
            { "relation": "self", "url": "https://h.example/FHIR/R5/Observation?patient=40001" },
            { "relation": "next", "url": "https://h.example/FHIR/R5/Observation?_cursor=a" },
        ])
    );
    assert_eq!(page["entry"][0]["fullUrl"], "https://h.example/FHIR/R5/Observation/60010");
    assert_eq!(page["entry"][0]["resource"]["valueAttachment"]["data"], "eyJhIjoxfQ==");
    assert_eq!(page["entry"][1]["resource"]["id"], "1");
    for entry in page["entry"].as_array().unwrap() {
        assert_eq!(entry["search"], json!({ "mode": "match" }));
    }
}

#[test]
fn a_page_without_matches_keeps_entry_for_its_readers() {
    let page = parsed(&Searchset::new().finish("https://h.example/x"));
    let expected = json!({
        "resourceType": "Bundle", "type": "searchset", "entry": [],
        "link": [{ "relation": "self", "url": "https://h.example/x" }],
    });
    assert_eq!(page, expected);
}

#[test]
fn of_an_operation_and_of_a_history_nothing_is_empty() {
    let link = json!([{ "relation": "self", "url": "https://h.example/x" }]);
    let page = parsed(&Searchset::new().finish_operation("https://h.example/x"));
    assert_eq!(page, json!({ "resourceType": "Bundle", "type": "searchset", "link": link }));
    let history = parsed(&HistoryBundle::new().finish("https://h.example/x"));
    assert_eq!(history, json!({ "resourceType": "Bundle", "type": "history", "link": link }));
    let mut page = Searchset::new();
    page.entry("https://h.example/y", "{}");
    assert_eq!(parsed(&page.finish_operation("https://h.example/x"))["entry"][0]["fullUrl"], "https://h.example/y");
}

#[test]
fn a_count_is_a_total_and_no_entries() {
    let page = parsed(&count_only("https://h.example/x?_summary=count", 0));
    assert_eq!(page["total"], json!(0));
    assert_eq!(page.get("entry"), None);
    assert_eq!(page["link"][0]["relation"], "self");
}

#[test]
fn urls_cannot_break_out_of_their_text() {
    let mut page = Searchset::new();
    page.next("https://h.example/\"}]\u{1}\n\\");
    let page = parsed(&page.finish("\"},{"));
    assert_eq!(page["link"][0]["url"], "\"},{");
    assert_eq!(page["link"][1]["url"], "https://h.example/\"}]\u{1}\n\\");
}

#[test]
fn a_batch_keeps_the_order_of_its_entries() {
    let first = observation();
    let mut second = observation();
    second["status"] = json!("amended");
    let request = batch(&json!([post(&first), post(&second)]));
    let request = BatchRequest::parse(&request).unwrap();
    assert_eq!(request.kind, BatchKind::Batch);
    assert_eq!(request.entries, vec![Ok(&first), Ok(&second)]);
}

#[test]
fn a_transaction_is_told_from_a_batch() {
    let mut request = batch(&json!([post(&observation())]));
    request["type"] = json!("transaction");
    assert_eq!(BatchRequest::parse(&request).unwrap().kind, BatchKind::Transaction);
}

#[test]
fn a_bad_entry_is_refused_alone() {
    let entry = |request: Value| json!({ "resource": observation(), "request": request });
    let cases = [
        (entry(json!({ "method": "PUT", "url": "Observation/1" })), 405, "not-supported", "request.method"),
        (entry(json!({ "method": "DELETE", "url": "Observation" })), 405, "not-supported", "request.method"),
        (entry(json!({ "method": "post", "url": "Observation" })), 405, "not-supported", "request.method"),
        (entry(json!({ "method": "POST", "url": "Patient" })), 404, "not-supported", "request.url"),
        (
            entry(json!({ "method": "POST", "url": "https://h.example/Observation" })),
            404,
            "not-supported",
            "request.url",
        ),
        (entry(json!({ "method": "POST", "url": "Observation?x=1" })), 404, "not-supported", "request.url"),
        (entry(json!({ "url": "Observation" })), 400, "required", "request.method"),
        (entry(json!({ "method": "POST" })), 400, "required", "request.url"),
        (
            entry(json!({ "method": "POST", "url": "Observation", "ifNoneExist": "identifier=a|b" })),
            400,
            "not-supported",
            "request.ifNoneExist",
        ),
        (json!({ "resource": observation() }), 400, "required", "request"),
        (json!({ "request": { "method": "POST", "url": "Observation" } }), 400, "required", "resource"),
        (entry(json!("POST")), 400, "structure", "request"),
    ];
    for (bad, status, code, path) in cases {
        let bundle = batch(&json!([post(&observation()), bad, post(&observation())]));
        let request = BatchRequest::parse(&bundle).unwrap();
        assert!(request.entries[0].is_ok() && request.entries[2].is_ok());
        let rejection = request.entries[1].as_ref().unwrap_err();
        assert_eq!(facts(rejection), (status, code, format!("Bundle.entry[1].{path}").as_str()));
    }
    let bundle = batch(&json!(["text", null, {}]));
    for (index, entry) in BatchRequest::parse(&bundle).unwrap().entries.iter().enumerate() {
        assert_eq!(facts(entry.as_ref().unwrap_err()), (400, "structure", format!("Bundle.entry[{index}]").as_str()));
    }
}

#[test]
fn what_is_no_batch_is_refused_whole() {
    let cases = [
        (json!({ "resourceType": "Bundle", "type": "batch" }), 400, "required", "Bundle.entry"),
        (json!({ "resourceType": "Bundle", "type": "batch", "entry": [] }), 400, "structure", "Bundle.entry"),
        (json!({ "resourceType": "Bundle", "type": "batch", "entry": {} }), 400, "structure", "Bundle.entry"),
        (json!({ "resourceType": "Bundle", "entry": [{}] }), 400, "required", "Bundle.type"),
        (json!({ "resourceType": "Bundle", "type": "searchset", "entry": [{}] }), 400, "value", "Bundle.type"),
        (json!({ "resourceType": "Patient", "type": "batch", "entry": [{}] }), 400, "structure", "Bundle.resourceType"),
        (json!({ "type": "batch", "entry": [{}] }), 400, "required", "Bundle.resourceType"),
        (json!([]), 400, "structure", "Bundle"),
        (json!({ "resourceType": "Bundle", "type": "batch", "entry": [{}], "x": 1 }), 400, "structure", "Bundle.x"),
        (batch(&json!(vec![json!({}); 1001])), 413, "too-costly", "Bundle.entry"),
    ];
    for (bundle, status, code, path) in cases {
        assert_eq!(facts(&BatchRequest::parse(&bundle).unwrap_err()), (status, code, path));
    }
    assert_eq!(BatchRequest::parse(&batch(&json!(vec![json!({}); 1000]))).unwrap().entries.len(), 1000);
}

#[test]
fn an_answer_has_one_entry_for_each() {
    let mut answer = BatchResponse::new(BatchKind::Batch);
    answer.created(60017, at(), r#"{"resourceType":"Observation","id":"60017"}"#);
    answer.failed(409, &OperationOutcome::error(IssueCode::Duplicate, "There is one."));
    let answer = parsed(&answer.finish());
    assert_eq!(answer["type"], "batch-response");
    assert_eq!(
        answer["entry"][0],
        json!({
            "resource": { "resourceType": "Observation", "id": "60017" },
            "response": {
                "status": "201 Created", "location": "Observation/60017", "etag": "W/\"1\"",
                "lastModified": "2026-11-21T19:00:53.679315Z",
            },
        })
    );
    assert_eq!(answer["entry"][1]["response"]["status"], "409 Conflict");
    assert_eq!(answer["entry"][1]["response"]["outcome"]["issue"][0]["code"], "duplicate");
    let answer = parsed(&BatchResponse::new(BatchKind::Transaction).finish());
    assert_eq!(answer["type"], "transaction-response");
}

#[test]
fn a_status_has_a_reason_if_it_is_known() {
    for (status, line) in
        [(201, "201 Created"), (403, "403 Forbidden"), (422, "422 Unprocessable Entity"), (299, "299")]
    {
        assert_eq!(status_line(status), line);
    }
}
