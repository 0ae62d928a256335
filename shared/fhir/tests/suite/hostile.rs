//! Properties: nothing panics, and what is written is JSON.

use fhir::bundle::{BatchRequest, Searchset};
use fhir::observation::{Place, Submission, write_resource, write_summary};
use fhir::outcome::{IssueCode, OperationOutcome};
use fhir::search::{Directory, DirectorySearch, Handling, ObservationSearch, PatientSearch};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{observation, parsed};

/// Any JSON, with element names that matter among the keys.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "(Patient|Device)/[0-9]{1,12}".prop_map(Value::from),
        Just(json!("final")),
        Just(json!("POST")),
        Just(json!("application/json")),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let key = prop_oneof![
            "resourceType|status|code|coding|system|value|subject|reference|valueAttachment|data|entry|request|type",
            ".{0,6}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn pointers() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "/resourceType",
        "/status",
        "/code",
        "/code/coding",
        "/code/coding/0",
        "/code/coding/0/system",
        "/subject",
        "/subject/reference",
        "/device",
        "/device/reference",
        "/valueAttachment",
        "/valueAttachment/contentType",
        "/valueAttachment/data",
    ])
}

fn any_query() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = prop_oneof![
        "patient|subject|code|date|_id|_count|_sort|status|identifier|_lastUpdated|_cursor|_summary|_total|_format|_source",
        "name|family|given|birthdate|organization|_has:Group:member:_id|patient.identifier|_source:below",
        ".{0,12}",
    ];
    let value = prop_oneof![
        ".{0,16}",
        "[0-9]{1,12}(,[0-9]{1,6}){0,3}",
        "(eq|ne|gt|lt|ge|le|sa|eb|ap)?[0-9]{4}(-[0-9]{2}(-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]{1,9})?)?Z?)?)?)?",
        "[a-z:/\\\\]{0,8}\\|[a-z,\\\\$|]{0,8}",
        "final|count|accurate|json|-date|false",
    ];
    prop::collection::vec((name, value), 0..6)
}

proptest! {
    #[test]
    fn any_json_is_read_or_refused(value in any_json()) {
        if let Err(rejection) = Submission::parse(&value) {
            prop_assert_eq!(parsed(&rejection.outcome().to_json())["resourceType"].clone(), json!("OperationOutcome"));
        }
        if let Err(rejection) = BatchRequest::parse(&value) {
            prop_assert_eq!(rejection.status() / 100, 4);
        }
        let bundle = json!({ "resourceType": "Bundle", "type": "batch", "entry": [value] });
        prop_assert_eq!(BatchRequest::parse(&bundle).unwrap().entries.len(), 1);
    }

    #[test]
    fn an_observation_with_anything_in_it_is_read_or_refused(pointer in pointers(), value in any_json()) {
        let mut resource = observation();
        *resource.pointer_mut(pointer).unwrap() = value;
        if let Ok(submission) = Submission::parse(&resource) {
            prop_assert!(parsed(&submission.content(None, None, 1)).is_object());
        }
    }

    #[test]
    fn accepted_texts_come_back(display in ".{0,40}", value in ".{0,40}", data: Vec<u8>, id: i64, user: i32) {
        use base64::Engine as _;
        let data = base64::engine::general_purpose::STANDARD.encode(data);
        let mut resource = observation();
        resource["identifier"] = json!([{ "value": value }]);
        resource["code"]["coding"][0]["display"] = json!(display);
        resource["valueAttachment"]["data"] = json!(data);
        if let Ok(submission) = Submission::parse(&resource) {
            let content = submission.content(Some("other"), None, user);
            let mut text = String::new();
            let place = Place { id, version: 1, last_updated: Timestamp::UNIX_EPOCH, source: None };
            write_resource(&mut text, &place, &content);
            let written = parsed(&text);
            prop_assert_eq!(&written["identifier"], &resource["identifier"]);
            prop_assert_eq!(&written["code"], &resource["code"]);
            prop_assert_eq!(&written["valueAttachment"], &resource["valueAttachment"]);
            prop_assert_eq!(written["id"].clone(), json!(id.to_string()));
            let mut summary = String::new();
            write_summary(&mut summary, &place, &submission);
            prop_assert_eq!(&parsed(&summary)["code"], &resource["code"]);
        }
    }

    #[test]
    fn any_query_is_read_or_refused(query in any_query()) {
        for handling in [Handling::Lenient, Handling::Strict] {
            // What was understood means the same when it is read again.
            if let Ok(mut search) = ObservationSearch::parse(&query, handling) {
                search.page.cursor = None;
                let again = ObservationSearch::parse(&search.canonical_pairs(), Handling::Strict).unwrap();
                prop_assert_eq!(again, search);
            }
            if let Ok(mut search) = PatientSearch::parse(&query, handling) {
                search.page.cursor = None;
                let again = PatientSearch::parse(&search.canonical_pairs(), Handling::Strict).unwrap();
                prop_assert_eq!(again, search);
            }
            if let Ok(mut search) = DirectorySearch::parse(Directory::Group, &query, handling) {
                search.page.cursor = None;
                let again = DirectorySearch::parse(Directory::Group, &search.canonical_pairs(), Handling::Strict).unwrap();
                prop_assert_eq!(again, search);
            }
        }
    }

    #[test]
    fn what_is_written_is_json(text: String, url: String) {
        let outcome = OperationOutcome::error(IssueCode::Exception, &text).to_json();
        prop_assert!(parsed(&outcome)["issue"][0].is_object());
        let mut page = Searchset::new();
        page.entry(&url, &outcome);
        page.next(&text);
        let page = parsed(&page.finish(&url));
        prop_assert_eq!(&page["link"][1]["url"], &json!(text));
        prop_assert_eq!(&page["entry"][0]["fullUrl"], &json!(url));
    }
}
