//! Pages of `/api/v1`: lists of any length by their links, and by number as far as is cheap, forward and back.

use end_to_end::{World, row_ids};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// The path of a link of this site.
fn path(world: &World, link: &Value) -> Option<String> {
    let link = link.as_str()?;
    Some(link.strip_prefix(world.base.as_str()).expect("of this site").to_owned())
}

#[tokio::test]
async fn a_list_that_is_kept_short_is_read_forward_back_and_by_number() {
    let world = World::new().await;
    for _ in 0..9 {
        let made = world.post("viewer_victor", "/api/v1/practitioner_clients", &json!({ "label": "notebook" })).await;
        assert_eq!(made.0, StatusCode::CREATED);
    }
    let list = "/api/v1/practitioner_clients?pageSize=4";
    let (_, whole) = world.get("viewer_victor", "/api/v1/practitioner_clients").await;
    assert_eq!((row_ids(&whole).len(), &whole["next"], &whole["previous"]), (9, &Value::Null, &Value::Null));

    let (mut forward, mut pages, mut at) = (Vec::new(), Vec::new(), Some(list.to_owned()));
    while let Some(next) = at {
        let (status, page) = world.get("viewer_victor", &next).await;
        assert_eq!((status, &page["count"]), (StatusCode::OK, &json!(9)), "{next}");
        forward.extend(row_ids(&page));
        at = path(&world, &page["next"]);
        pages.push(page);
    }
    assert_eq!((pages.len(), &forward), (3, &row_ids(&whole)));
    for (number, page) in (1..).zip(&pages) {
        assert_eq!(world.get("viewer_victor", &format!("{list}&page={number}")).await.1, *page, "{number}");
    }

    let (mut back, mut at) = (Vec::new(), pages.last().cloned());
    while let Some(page) = at {
        back.splice(0..0, row_ids(&page));
        at = match path(&world, &page["previous"]) {
            Some(previous) => Some(world.get("viewer_victor", &previous).await.1),
            None => None,
        };
    }
    assert_eq!(back, forward);
}

#[tokio::test]
async fn a_page_that_is_not_there_is_invalid() {
    let world = World::new().await;
    let invalid = (StatusCode::NOT_FOUND, json!({ "detail": "Invalid page." }));
    for list in ["organizations", "studies", "data_sources", "patients", "studies/30001/patients"] {
        for page in ["99", "0", "-1", "abc", "", "99999999999999999999", "9223372036854775807"] {
            assert_eq!(
                world.get("manager_mary", &format!("/api/v1/{list}?page={page}")).await,
                invalid,
                "{list} {page}"
            );
        }
        let first = world.get("manager_mary", &format!("/api/v1/{list}")).await;
        assert_eq!(first.0, StatusCode::OK, "{list}");
        assert_eq!(world.get("manager_mary", &format!("/api/v1/{list}?page=1")).await, first, "{list}");
    }
    // A list of nothing has its first page.
    world.sql("DELETE FROM study_patient WHERE patient_id = 40003").await;
    let (status, empty) = world.get("manager_mark", "/api/v1/studies/30004/patients").await;
    assert_eq!((status, &empty["count"]), (StatusCode::OK, &json!(0)), "{empty}");
}

/// Lists of any length, each with somebody who sees several rows of it.
const LONG_LISTS: [(&str, &str); 13] = [
    ("admin", "/api/v1/organizations"),
    ("admin", "/api/v1/studies"),
    ("viewer_victor", "/api/v1/studies"),
    ("viewer_victor", "/api/v1/data_sources"),
    ("admin", "/api/v1/clients"),
    ("admin", "/api/v1/jhe_settings"),
    ("three_org_tom", "/api/v1/patients"),
    ("admin", "/api/v1/studies/30001/patients"),
    ("ll_patient_peter", "/api/v1/patients/40001/consents/history"),
    ("admin", "/api/v1/users"),
    ("admin", "/api/v1/practitioners"),
    ("admin", "/api/v1/invitation"),
    ("ll_patient_pamela", "/api/v1/observations"),
];

#[tokio::test]
async fn a_page_of_a_long_list_by_its_number_is_the_one_that_the_links_lead_to() {
    let world = World::new().await;
    for patient in [40_001, 40_002, 40_003] {
        let body = json!({ "patientId": patient, "client_id": 1 });
        assert_eq!(world.post("admin", "/api/v1/invitation", &body).await.0, StatusCode::CREATED, "{patient}");
    }
    for (user, list) in LONG_LISTS {
        let (mut pages, mut at) = (Vec::new(), Some(format!("{list}?pageSize=1")));
        while let Some(next) = at {
            let (status, page) = world.get(user, &next).await;
            assert_eq!(status, StatusCode::OK, "{next}: {page}");
            at = path(&world, &page["next"]);
            pages.push(page);
        }
        assert_eq!(
            Some(pages.len()),
            pages[0]["count"].as_u64().and_then(|count| usize::try_from(count).ok()),
            "{list}"
        );
        assert!(pages.len() > 1, "{list}");
        for (number, page) in (1..).zip(&pages) {
            let end = world.audit_end().await;
            let (status, numbered) = world.get(user, &format!("{list}?pageSize=1&page={number}")).await;
            assert_eq!((status, &numbered["results"]), (StatusCode::OK, &page["results"]), "{list} {number}");
            assert_eq!(numbered["next"].is_string(), page["next"].is_string(), "{list} {number}");
            // What was skipped was not shown, and is not recorded as if it had been.
            if list == "/api/v1/patients" {
                let shown = json!(world.audit_after(end).await.pop().expect("a record").patients);
                assert_eq!(shown, json!(row_ids(&numbered)), "{number}");
            }
            let back = path(&world, &page["previous"]);
            assert_eq!(back.is_some(), number > 1, "{list} {number}");
            if let Some(back) = back {
                assert_eq!(world.get(user, &back).await.1["results"], pages[number - 2]["results"], "{list} {number}");
            }
        }
        let (status, answer) = world.get(user, &format!("{list}?pageSize=1&page={}", pages.len() + 1)).await;
        assert_eq!((status, &answer["detail"]), (StatusCode::NOT_FOUND, &json!("Invalid page.")), "{list}");
    }
}

/// Lists in the order of names, and statements that add rows of one name.
const BY_NAME: [(&str, &str); 2] = [
    (
        "/api/v1/organizations",
        "INSERT INTO organization (name, type, part_of) VALUES ('Twins', 'team', 0), ('Twins', 'team', 0), ('aaa', 'team', 0)",
    ),
    (
        "/api/v1/studies",
        "INSERT INTO study (organization_id, name) VALUES (20003, 'Twins'), (20003, 'Twins'), (20003, 'aaa')",
    ),
];

#[tokio::test]
async fn a_list_by_name_has_each_row_once_and_no_page_after_a_row_that_is_gone() {
    let world = World::new().await;
    for (list, twins) in BY_NAME {
        world.sql(twins).await;
        let (_, whole) = world.get("admin", &format!("{list}?pageSize=1000")).await;
        let (mut seen, mut after_twins, mut at) = (Vec::new(), None, Some(format!("{list}?pageSize=1")));
        while let Some(next) = at {
            let (status, page) = world.get("admin", &next).await;
            assert_eq!((status, &page["count"]), (StatusCode::OK, &whole["count"]), "{next}: {page}");
            seen.extend(page["results"].as_array().expect("rows").clone());
            at = path(&world, &page["next"]);
            if page["results"][0]["name"] == "Twins" {
                after_twins.clone_from(&at);
            }
        }
        assert_eq!(json!(seen), whole["results"], "{list}");
        world
            .sql(&format!(
                "DELETE FROM {} WHERE name = 'Twins'",
                if list.ends_with("studies") { "study" } else { "organization" }
            ))
            .await;
        let gone = world.get("admin", &after_twins.expect("a page")).await;
        assert_eq!(gone, (StatusCode::NOT_FOUND, json!({ "detail": "Invalid page." })), "{list}");
    }
}

#[tokio::test]
async fn no_more_rows_are_skipped_for_a_page_by_its_number_than_can_be_counted_cheaply() {
    let world = World::new().await;
    world
        .sql(
            "INSERT INTO consent_event (id, decided_at, patient_id, study_id, scope_id, decision, actions, decided_by, request_id)
             SELECT nextval('consent_event_id'), c.decided_at, c.patient_id, c.study_id, c.scope_id, c.decision, c.actions, c.decided_by, c.request_id
               FROM generate_series(1, 10010), (SELECT * FROM consent_event WHERE patient_id = 40001 LIMIT 1) c",
        )
        .await;
    let list = "/api/v1/patients/40001/consents/history?pageSize=1";
    let (status, furthest_numbered) = world.get("ll_patient_peter", &format!("{list}&page=10001")).await;
    assert_eq!(status, StatusCode::OK, "{furthest_numbered}");
    let (status, answer) = world.get("ll_patient_peter", &format!("{list}&page=10002")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    assert!(answer["page"][0].as_str().expect("a text").contains("next"), "{answer}");
    // By links it goes on.
    let next = path(&world, &furthest_numbered["next"]).expect("a link");
    let (status, further) = world.get("ll_patient_peter", &next).await;
    assert_eq!((status, further["previous"].is_string()), (StatusCode::OK, true), "{further}");
    let (_, furthest) = world.get("ll_patient_peter", &path(&world, &further["next"]).expect("a link")).await;
    assert_eq!((row_ids(&furthest).len(), &furthest["previous"]), (1, &Value::Null), "{furthest}");
}
