//! Searches of Group, Organization, Device and Practitioner: what filters them, and their pages.

use end_to_end::{World, ids, link};
use reqwest::StatusCode;
use serde_json::Value;

const KINDS: [(&str, &str); 4] = [
    ("admin", "/FHIR/R5/Group"),
    ("admin", "/FHIR/R5/Organization"),
    ("viewer_victor", "/FHIR/R5/Device"),
    ("admin", "/FHIR/R5/Practitioner"),
];

async fn found(world: &World, user: &str, search: &str) -> Vec<String> {
    let (status, bundle) = world.get(user, search).await;
    assert_eq!(status, StatusCode::OK, "{search}: {bundle}");
    ids(&bundle)
}

/// The ids of all pages, and what the first says there is in all.
async fn walked(world: &World, user: &str, search: &str) -> (Vec<String>, Value) {
    let (mut seen, mut next, mut total) = (Vec::new(), Some(search.to_owned()), None);
    while let Some(path) = next {
        let (status, page) = world.get(user, &path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {page}");
        seen.extend(ids(&page));
        total.get_or_insert_with(|| page["total"].clone());
        next = link(world, &page, "next").map(str::to_owned);
    }
    (seen, total.unwrap_or_default())
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_overlap() {
    let world = World::new().await;
    for (user, path) in KINDS {
        let whole = found(&world, user, path).await;
        let mut by_id = whole.clone();
        by_id.sort_by_key(|id| id.parse::<i64>().expect("a number"));
        assert_eq!(whole, by_id, "{path}: in the order of the ids");
        assert!(whole.len() > 4, "{path}: {whole:?}");
        for count in [1, 2, 3, whole.len(), whole.len() + 1] {
            let (seen, total) = walked(&world, user, &format!("{path}?_count={count}&_total=accurate")).await;
            assert_eq!((&seen, &total), (&whole, &whole.len().into()), "{path} by {count}");
        }
        let (_, counted) = world.get(user, &format!("{path}?_summary=count")).await;
        assert_eq!(counted["total"], whole.len(), "{path}");
        let (_, first) = world.get(user, &format!("{path}?_count=2")).await;
        let other = format!("{}&name=x", link(&world, &first, "next").expect("a next page"));
        assert_eq!(world.get(user, &other).await.0, StatusCode::BAD_REQUEST, "{path}: a cursor is of its search");
    }
    let roots = found(&world, "admin", "/FHIR/R5/Organization?_count=1").await;
    assert_eq!(roots, ["0"], "the root has the first id");
}

#[tokio::test]
async fn names_are_compared_as_the_modifier_says() {
    let world = World::new().await;
    world.sql("UPDATE study SET name = '100%_true' WHERE id = 30005").await;
    for (path, filter, expected) in [
        ("Organization", "name=LIFE", &["20003"][..]),
        ("Organization", "name=lab", &[]),
        ("Organization", "name:contains=LAB", &["20003", "20007", "20008"]),
        ("Organization", "name:exact=Lifespan%20Lab", &["20003"]),
        ("Organization", "name:exact=Lifespan%20lab", &[]),
        ("Organization", "name=life,neptunian", &["20003", "20007"]),
        ("Group", "name=lifespan", &["30001", "30002"]),
        ("Group", "name=lifespan&organization=20006", &[]),
        ("Group", "name:contains=study&organization=20006", &["30003"]),
        ("Group", "name:contains=%25_", &["30005"]),
        ("Group", "name:contains=0_t", &[]),
        ("Device", "name=ca", &["70001"]),
        ("Device", "name:contains=A&_id=70001,70004", &["70001", "70004"]),
    ] {
        assert_eq!(found(&world, "admin", &format!("/FHIR/R5/{path}?{filter}")).await, expected, "{path} {filter}");
    }
}

#[tokio::test]
async fn times_and_sources_filter() {
    let world = World::new().await;
    for (user, path) in KINDS {
        let all = found(&world, user, path).await.len();
        for (filter, expected) in [
            ("_lastUpdated=gt2100-01-01", 0),
            ("_lastUpdated=lt2100-01-01", all),
            ("_lastUpdated=ge2000-01-01&_lastUpdated=lt2000-01-02", 0),
            ("_source=https://jupyterhealth.org/jhe", all),
            ("_source=https://elsewhere.example", 0),
        ] {
            let search = format!("{path}?{filter}&_total=accurate");
            let (_, bundle) = world.get(user, &search).await;
            assert_eq!((ids(&bundle).len(), &bundle["total"]), (expected, &expected.into()), "{search}");
        }
    }
}

#[tokio::test]
async fn who_searches_finds_what_is_theirs_and_no_more() {
    let world = World::new().await;
    for (user, groups, organizations) in [
        ("viewer_victor", &["30001", "30002"][..], &["20003"][..]),
        ("ll_patient_peter", &["30001", "30002"], &["20003"]),
        ("ccl_patient_paul", &["30005"], &["20008"]),
    ] {
        assert_eq!(walked(&world, user, "/FHIR/R5/Group?_count=1").await.0, groups, "{user}");
        assert_eq!(walked(&world, user, "/FHIR/R5/Organization?_count=1").await.0, organizations, "{user}");
        let (_, counted) = world.get(user, "/FHIR/R5/Group?_summary=count").await;
        assert_eq!(counted["total"], groups.len(), "{user}");
    }
}
