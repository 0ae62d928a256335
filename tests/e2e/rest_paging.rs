//! Pages of `/api/v1`: short lists by number, forward and back; lists of any length forward by their links.

use end_to_end::{World, row_ids};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// The path of a link of this site.
fn path(world: &World, link: &Value) -> Option<String> {
    let link = link.as_str()?;
    Some(link.strip_prefix(world.base.as_str()).expect("of this site").to_owned())
}

#[tokio::test]
async fn a_short_list_is_read_forward_back_and_by_number() {
    let world = World::new().await;
    let list = "/api/v1/organizations?pageSize=4";
    let (_, whole) = world.get("admin", "/api/v1/organizations").await;
    assert_eq!((row_ids(&whole).len(), &whole["next"], &whole["previous"]), (9, &Value::Null, &Value::Null));

    let (mut forward, mut pages, mut at) = (Vec::new(), Vec::new(), Some(list.to_owned()));
    while let Some(next) = at {
        let (status, page) = world.get("admin", &next).await;
        assert_eq!((status, &page["count"]), (StatusCode::OK, &json!(9)), "{next}");
        forward.extend(row_ids(&page));
        at = path(&world, &page["next"]);
        pages.push(page);
    }
    assert_eq!((pages.len(), &forward), (3, &row_ids(&whole)));
    for (number, page) in (1..).zip(&pages) {
        assert_eq!(world.get("admin", &format!("{list}&page={number}")).await.1, *page, "{number}");
    }

    let (mut back, mut at) = (Vec::new(), pages.last().cloned());
    while let Some(page) = at {
        back.splice(0..0, row_ids(&page));
        at = match path(&world, &page["previous"]) {
            Some(previous) => Some(world.get("admin", &previous).await.1),
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

#[tokio::test]
async fn a_later_page_of_a_long_list_has_a_link_and_no_number() {
    let world = World::new().await;
    for (user, list) in [
        ("three_org_tom", "/api/v1/patients"),
        ("admin", "/api/v1/studies/30001/patients"),
        ("ll_patient_peter", "/api/v1/patients/me/access-log"),
        ("ll_patient_peter", "/api/v1/patients/40001/consents/history"),
    ] {
        let (_, first) = world.get(user, &format!("{list}?pageSize=1")).await;
        assert!(first["next"].is_string(), "{list}: {first}");
        let end = world.audit_end().await;
        let (status, answer) = world.get(user, &format!("{list}?pageSize=1&page=2")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{list}: {answer}");
        assert!(answer["page"][0].as_str().expect("a text").contains("next"), "{answer}");
        // Nobody was shown, and so the record names nobody who was not asked about.
        if list == "/api/v1/patients" {
            assert_eq!(world.audit_after(end).await.pop().expect("a record").patients, [0_i32; 0]);
        }
        let (status, answer) = world.get(user, &format!("{list}?pageSize=1&page=999")).await;
        assert_eq!((status, &answer["detail"]), (StatusCode::NOT_FOUND, &json!("Invalid page.")), "{list}");
    }
}
