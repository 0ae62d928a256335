//! Practitioners by FHIR: whom a caller sees, and that it is on record who was shown.

use end_to_end::{World, ids, link};
use reqwest::StatusCode;
use serde_json::{Value, json};

const PATH: &str = "/FHIR/R5/Practitioner";

/// Of the last record: its action, its outcome, why it was refused, the organizations, what it says besides, whether privileged.
async fn last(world: &World) -> (String, String, Option<String>, Vec<i32>, Value, bool) {
    let rows = world
        .sql(
            "SELECT action, outcome, refused_by, organization_ids, detail, privileged FROM audit_event
              WHERE resource_type = 'Practitioner' ORDER BY id DESC LIMIT 1",
        )
        .await;
    let row = &rows[0];
    (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4), row.get(5))
}

/// The accounts of practitioners, in order.
async fn users(world: &World, practitioners: &[String]) -> Value {
    let ids = practitioners.join(",");
    let rows = world
        .sql(&format!(
            "SELECT coalesce(jsonb_agg(user_id ORDER BY user_id), '[]') FROM practitioner WHERE id = ANY ('{{{ids}}}')"
        ))
        .await;
    rows[0].get(0)
}

#[tokio::test]
async fn a_search_of_practitioners_records_who_was_shown() {
    let world = World::new().await;
    for (user, query, number) in [
        ("viewer_victor", "", 4),
        ("viewer_victor", "?_count=2", 2),
        ("viewer_victor", "?name=nobody", 0),
        ("viewer_victor", "?_id=80004,80006", 1),
        ("viewer_victor", "?_lastUpdated=lt2000-01-01", 0),
        ("viewer_victor", "?_summary=count", 0),
        ("ll_patient_peter", "", 4),
        ("admin", "?_count=1000", 6),
    ] {
        let (status, page) = world.get(user, &format!("{PATH}{query}")).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let shown = if page["entry"].is_array() { ids(&page) } else { Vec::new() };
        let (action, outcome, refused, organizations, detail, privileged) = last(&world).await;
        assert_eq!((action.as_str(), outcome.as_str(), refused), ("search", "allowed", None), "{user} {query}");
        assert_eq!(detail["users"], users(&world, &shown).await, "{user} {query}");
        assert_eq!((shown.len() >= number, privileged), (true, user == "admin"), "{user} {query}: {shown:?}");
        if user == "viewer_victor" {
            assert_eq!(shown.len(), number, "{query}");
            assert_eq!(organizations.is_empty(), shown.is_empty(), "{query}");
        }
    }
}

#[tokio::test]
async fn a_read_of_a_practitioner_is_recorded_shown_or_not() {
    let world = World::new().await;
    let megan: Value = world.demo["users"]["member_megan"]["user_id"].clone();
    let row = world.sql(&format!("SELECT id FROM practitioner WHERE user_id = {megan}")).await;
    let id: i32 = row[0].get(0);
    for (user, path, status, outcome, refused) in [
        ("viewer_victor", id, StatusCode::OK, "allowed", None),
        ("ll_patient_peter", id, StatusCode::OK, "allowed", None),
        ("admin", id, StatusCode::OK, "allowed", None),
        ("manager_mark", id, StatusCode::NOT_FOUND, "denied", Some("organization")),
        ("manager_mark", 99999, StatusCode::NOT_FOUND, "denied", Some("not_found")),
    ] {
        assert_eq!(world.get(user, &format!("{PATH}/{path}")).await.0, status, "{user} {path}");
        let (action, told, reason, _, detail, _) = last(&world).await;
        assert_eq!((action.as_str(), told.as_str(), reason.as_deref()), ("read", outcome, refused), "{user} {path}");
        let expected = if path == id { megan.clone() } else { Value::Null };
        assert_eq!(detail["user"], expected, "{user} {path}");
    }
}

#[tokio::test]
async fn pages_names_and_counts_agree() {
    let world = World::new().await;
    let all = ids(&world.get("viewer_victor", PATH).await.1);
    let mut next = format!("{PATH}?_count=1&_total=accurate");
    let mut shown = Vec::new();
    loop {
        let (_, page) = world.get("viewer_victor", &next).await;
        assert_eq!(page["total"], all.len());
        shown.extend(ids(&page));
        match link(&world, &page, "next") {
            Some(more) => next = more.to_owned(),
            None => break,
        }
    }
    assert_eq!(shown, all);
    let (_, one) = world.get("viewer_victor", &format!("{PATH}/{}", all[0])).await;
    let family = one["name"][0]["family"].as_str().expect("a name");
    for (query, found) in [
        (format!("name:exact={family}"), true),
        (format!("name={}", family.to_uppercase()), true),
        (format!("name:contains={}", &family[1..]), true),
        (format!("name:exact={}", family.to_uppercase()), false),
        ("name=%25".to_owned(), false),
        ("_source=https://jupyterhealth.org/jhe".to_owned(), true),
        ("_source=https://elsewhere.example".to_owned(), false),
    ] {
        let (_, page) = world.get("viewer_victor", &format!("{PATH}?{query}")).await;
        assert_eq!(ids(&page).contains(&all[0]), found, "{query}");
    }
    let (_, counted) = world.get("viewer_victor", &format!("{PATH}?_summary=count")).await;
    assert_eq!(counted["total"], json!(all.len()));
}
