//! Who finds what by searching: nothing but what the rule allows, and no word about the rest.

use end_to_end::{World, ids, reply::Reply};
use reqwest::{Method, StatusCode};

const PATH: &str = "/FHIR/R5/Observation";

async fn found(world: &World, user: &str, query: &str) -> Vec<String> {
    let (status, bundle) = world.get(user, &format!("{PATH}?{query}&_sort=_lastUpdated&_count=100")).await;
    assert_eq!(status, StatusCode::OK, "{user} {query}: {bundle}");
    ids(&bundle)
}

#[tokio::test]
async fn everybody_finds_what_their_studies_may_search_and_patients_their_own() {
    let world = World::new().await;
    let study = "patient._has:Group:member:_id=";
    let lifespan = ["60001", "60002", "60003", "60004", "60005"];
    let all = ["60001", "60002", "60003", "60004", "60005", "60006", "60007", "60008", "60009"];
    let cases: &[(&str, String, &[&str])] = &[
        ("viewer_victor", "patient=40001".to_owned(), &["60001", "60002"]),
        ("member_megan", "patient=40001".to_owned(), &["60001", "60002"]),
        ("manager_mary", "patient=40001".to_owned(), &["60001", "60002"]),
        ("three_org_tom", "patient=40001".to_owned(), &["60001", "60002"]),
        ("viewer_victor", format!("{study}30001"), &lifespan),
        ("viewer_victor", format!("{study}30002"), &["60003", "60005"]),
        ("three_org_tom", format!("{study}30004"), &["60007"]),
        ("three_org_tom", format!("{study}30005"), &["60008", "60009"]),
        ("manager_mark", format!("{study}30003"), &["60006"]),
        // Pat's oxygen saturation is consented to a study of another organization, his blood glucose to Mark's.
        ("manager_mark", "patient=40005".to_owned(), &["60006"]),
        ("three_org_tom", "patient=40005".to_owned(), &["60009"]),
        ("ll_patient_peter", "_total=none".to_owned(), &["60001", "60002"]),
        ("ccl_cardio_patient_pat", "_total=none".to_owned(), &["60006", "60009"]),
        ("ccl_cardio_patient_pat", format!("{study}30005"), &["60009"]),
        ("admin", "_total=none".to_owned(), &all),
        ("admin", format!("{study}30001"), &lifespan),
        ("admin", "patient=40003".to_owned(), &["60007"]),
        ("admin", "_id=60001,60007".to_owned(), &["60001", "60007"]),
        ("admin", format!("{study}30004&identifier=demo-6"), &["60007"]),
        ("admin", "_id=60001,60007&code=omh:body-temperature:4.0".to_owned(), &["60007"]),
        ("admin", "_id=60001,60007&patient.organization=20003".to_owned(), &["60001"]),
        ("admin", "code=omh:heart-rate:2.0".to_owned(), &["60002", "60004"]),
    ];
    for (user, query, expected) in cases {
        assert_eq!(found(&world, user, query).await, *expected, "{user} {query}");
    }
}

#[tokio::test]
async fn a_patient_who_names_another_finds_only_their_own() {
    let world = World::new().await;
    let own = ["60001", "60002"];
    for query in
        ["patient=40002", "patient=49999", "patient=40001,40002", "patient.identifier=abc123", "patient.identifier=no"]
    {
        assert_eq!(found(&world, "ll_patient_peter", query).await, own, "{query}");
    }
    for query in ["_id=60003", "patient=40002&_id=60003", "patient=40002&identifier=demo-2", "identifier=demo-2"] {
        assert_eq!(found(&world, "ll_patient_peter", query).await, [""; 0], "{query}");
    }
}

#[tokio::test]
async fn a_practitioner_must_name_a_patient_or_a_study() {
    let world = World::new().await;
    let queries = [
        "",
        "code=omh:heart-rate:2.0",
        "_id=60001",
        "identifier=demo-0",
        "patient.organization=20003",
        "_summary=count",
        "_sort=date",
    ];
    for user in ["viewer_victor", "manager_mary", "manager_mark"] {
        let end = world.audit_end().await;
        for query in queries {
            Reply::to(world.request(user, Method::GET, &format!("{PATH}?{query}"))).await.refusal(400, query);
        }
        assert_eq!(world.audit_after(end).await, [], "no data was reached");
    }
    // A super admin need not, but for what would have to look at every row.
    for query in ["_sort=date", "_sort=-date", "identifier=demo-0"] {
        Reply::to(world.request("admin", Method::GET, &format!("{PATH}?{query}"))).await.refusal(400, query);
    }
}

#[tokio::test]
async fn what_is_outside_the_callers_organizations_is_refused_like_what_does_not_exist() {
    let world = World::new().await;
    let pairs = [
        ("patient=40001", "patient=49999"),
        ("patient=40003,40001", "patient=40003,49999"),
        ("patient._has:Group:member:_id=30001", "patient._has:Group:member:_id=39999"),
        ("patient=40003&_has:Group:member:_id=30001", "patient=40003&_has:Group:member:_id=39999"),
        ("patient=40003&patient.organization=20003", "patient=40003&patient.organization=29999"),
        ("patient=40001&_id=60001", "patient=49999&_id=60001"),
        ("patient=40001&identifier=demo-0", "patient=49999&identifier=demo-0"),
        ("patient=40001&_summary=count", "patient=49999&_summary=count"),
        ("patient=40001&_total=accurate", "patient=49999&_total=accurate"),
        ("patient=40001&_sort=date", "patient=49999&_sort=date"),
    ];
    for (existing, unknown) in pairs {
        let ask = |query: &str| Reply::to(world.request("manager_mark", Method::GET, &format!("{PATH}?{query}")));
        let (existing_reply, unknown_reply) = (ask(existing).await, ask(unknown).await);
        existing_reply.refusal(403, existing);
        unknown_reply.refusal(403, unknown);
        assert_eq!(existing_reply.text, unknown_reply.text, "{existing}");
        assert!(!existing_reply.text.contains("4000"), "{}", existing_reply.text);
    }
    // An identifier is not a name: it finds nothing.
    for token in ["abc123", "no-such-identifier"] {
        let (status, bundle) = world.get("manager_mark", &format!("{PATH}?patient.identifier={token}")).await;
        assert_eq!((status, ids(&bundle).len()), (StatusCode::OK, 0), "{token}");
    }
}

#[tokio::test]
async fn each_condition_of_the_rule_is_needed() {
    let conditions = [
        "DELETE FROM organization_member WHERE practitioner_id = 80004",
        "DELETE FROM study_patient WHERE patient_id = 40001",
        "UPDATE study_patient SET enrolled_at = clock_timestamp() WHERE patient_id = 40001",
        "DELETE FROM study_scope_request WHERE study_id = 30001 AND scope_id = 50002",
        "UPDATE study_scope_request SET requested_at = clock_timestamp() WHERE study_id = 30001 AND scope_id = 50002",
        "UPDATE study SET status = 'completed', access_until = clock_timestamp() WHERE id = 30001",
        "UPDATE study SET ends_on = '2020-01-01', access_until = '2020-01-31' WHERE id = 30001",
        "UPDATE study SET status = 'archived', access_until = '-infinity' WHERE id = 30001",
        "UPDATE study SET status = 'draft', access_until = '-infinity' WHERE id = 30001",
        "INSERT INTO consent_event (patient_id, study_id, scope_id, decision, decided_by, request_id)
           VALUES (40001, 30001, 50002, 'withdrawn', 10006, 'test')",
        "INSERT INTO consent_event (patient_id, study_id, scope_id, decision, actions, decided_by, request_id)
           VALUES (40001, 30001, 50002, 'granted', 'r', 10006, 'test')",
    ];
    for condition in conditions {
        let world = World::new().await;
        assert!(found(&world, "viewer_victor", "patient=40001").await.contains(&"60001".to_owned()));
        world.sql(condition).await;
        for query in [
            "patient=40001",
            "_has:Group:member:_id=30001",
            "patient=40001&_id=60001",
            "patient=40001&identifier=demo-0",
        ] {
            let (status, bundle) = world.get("viewer_victor", &format!("{PATH}?{query}")).await;
            assert!([StatusCode::OK, StatusCode::FORBIDDEN].contains(&status), "{bundle}");
            assert!(!ids(&bundle).contains(&"60001".to_owned()), "{condition}: {query}");
        }
        assert!(found(&world, "ll_patient_peter", "_total=none").await.contains(&"60001".to_owned()), "{condition}");
    }
}

#[tokio::test]
async fn reading_and_searching_are_granted_apart() {
    let world = World::new().await;
    for (actions, read, searched) in
        [("r", StatusCode::OK, false), ("s", StatusCode::NOT_FOUND, true), ("rs", StatusCode::OK, true)]
    {
        let statement = format!(
            "INSERT INTO consent_event (patient_id, study_id, scope_id, decision, actions, decided_by, request_id)
             VALUES (40001, 30001, 50002, 'granted', '{actions}', 10006, 'test')"
        );
        world.sql(&statement).await;
        assert_eq!(world.get("viewer_victor", &format!("{PATH}/60001")).await.0, read, "{actions}");
        for query in ["patient=40001", "_has:Group:member:_id=30001"] {
            let ids = found(&world, "viewer_victor", query).await;
            assert_eq!(ids.contains(&"60001".to_owned()), searched, "{actions} {query}");
        }
    }
}

#[tokio::test]
async fn a_named_study_judges_alone() {
    let world = World::new().await;
    world.record_consent(40001, 30002, 50002, "granted").await;
    world.record_consent(40001, 30001, 50002, "withdrawn").await;
    let pressure = "60001".to_owned();
    assert!(found(&world, "viewer_victor", "patient=40001").await.contains(&pressure), "some study may");
    assert!(found(&world, "viewer_victor", "_has:Group:member:_id=30002").await.contains(&pressure));
    for query in [
        "_has:Group:member:_id=30001",
        "_has:Group:member:_id=30001&patient=40001",
        "_has:Group:member:_id=30001&_id=60001",
    ] {
        assert!(!found(&world, "viewer_victor", query).await.contains(&pressure), "{query}");
    }
}

#[tokio::test]
async fn under_strict_handling_a_patient_who_names_another_is_refused() {
    let world = World::new().await;
    let search = |query: &str, prefer: &str| {
        world.request("ll_patient_peter", Method::GET, &format!("{PATH}?{query}")).header("prefer", prefer)
    };
    for (query, named) in [
        ("patient=40002", &[40002][..]),
        ("subject=Patient/40002", &[40002]),
        ("patient=40001,40002,49999", &[40002]),
        ("patient=49999", &[]),
        ("patient=40002&_summary=count", &[40002]),
    ] {
        let end = world.audit_end().await;
        Reply::to(search(query, "handling=strict")).await.refusal(403, query);
        let events = world.audit_after(end).await;
        let [event] = events.as_slice() else { panic!("{query}: {events:?}") };
        assert_eq!((event.outcome.as_str(), event.refused_by.as_deref()), ("denied", Some("user_type")), "{query}");
        assert_eq!(event.patients, named, "{query}");
    }
    Reply::to(search("patient.identifier=E1234", "handling=strict")).await.refusal(400, "patient.identifier");
    for query in ["patient=40001", "_count=20"] {
        let reply = Reply::to(search(query, "handling=strict")).await;
        assert_eq!((reply.status, ids(&reply.json()).len()), (StatusCode::OK, 2), "{query}: {}", reply.text);
    }
}

#[tokio::test]
async fn the_self_link_of_a_patients_search_names_who_was_searched() {
    let world = World::new().await;
    for (query, expected) in [
        ("patient=40002&_count=1", "patient=40001"),
        ("subject=Patient/49999&_count=1", "patient=40001"),
        ("patient=40001&_count=1", "patient=40001"),
        ("patient.identifier=abc123&_count=1", "?_count=1"),
    ] {
        let (_, bundle) = world.get("ll_patient_peter", &format!("{PATH}?{query}")).await;
        let link = end_to_end::link(&world, &bundle, "self").expect("a link").to_owned();
        assert!(link.contains(expected), "{query}: {link}");
        assert!(["40002", "49999", "abc123"].iter().all(|other| !link.contains(other)), "{query}: {link}");
        let next = end_to_end::link(&world, &bundle, "next").expect("a next page").to_owned();
        let (status, second) = world.get("ll_patient_peter", &next).await;
        assert_eq!((status, ids(&second).len()), (StatusCode::OK, 1), "{query}: {second}");
    }
}
