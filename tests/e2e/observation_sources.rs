//! Observations that come from a FHIR Source: they keep it, are found by it, and the rule of every observation governs them.

use end_to_end::{
    World, ids, link,
    point::{heart_rate, observation},
    reply::Reply,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const BASE: &str = "https://jupyterhealth.org/fhir/fhir-source/";
const OWN: &str = "https://jupyterhealth.org/jhe";
const PATH: &str = "/FHIR/R5/Observation";
const HEADER: &str = "X-JHE-FHIR-Source-ID";

async fn source(world: &World, user: &str) -> i64 {
    let body = json!({ "label": "EHR", "dataSource": 70005, "fhirBaseUrl": "https://ehr.example/R5" });
    let (status, made) = world.post(user, "/api/v1/fhir_sources", &body).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    made["id"].as_i64().expect("an id")
}

/// A heart rate of Peter's, measured on a day of March 2026.
fn rate(day: u8) -> Value {
    observation(40001, 70001, &heart_rate(60 + i32::from(day), &format!("2026-03-{day:02}T08:00:00Z")), "")
}

async fn bring(world: &World, user: &str, source: i64, resource: &Value) -> Reply {
    Reply::to(world.request(user, Method::POST, PATH).header(HEADER, source.to_string()).json(resource)).await
}

/// A world in which Peter has two FHIR Sources, with two observations of the first, one of the second, and those of the demo that
/// are of none: with the sources, and the ids in the order of arrival.
async fn world() -> (World, [i64; 2], Vec<String>) {
    let world = World::new().await;
    let sources = [source(&world, "ll_patient_peter").await, source(&world, "ll_patient_peter").await];
    let mut brought = Vec::new();
    for (from, day) in [(0, 3), (1, 2), (0, 1)] {
        let reply = bring(&world, "ll_patient_peter", sources[from], &rate(day)).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text);
        brought.push(reply.json()["id"].as_str().expect("an id").to_owned());
    }
    (world, sources, brought)
}

async fn found(world: &World, user: &str, query: &str) -> Vec<String> {
    let (status, page) = world.get(user, &format!("{PATH}?{query}")).await;
    assert_eq!(status, StatusCode::OK, "{user} {query}: {page}");
    ids(&page)
}

#[tokio::test]
async fn what_a_source_brought_tells_so_wherever_it_is_shown() {
    let (world, sources, brought) = world().await;
    let named = format!("{BASE}{}", sources[0]);
    let (_, read) = world.get("viewer_victor", &format!("{PATH}/{}", brought[0])).await;
    assert_eq!(read["meta"]["source"], named);
    assert_eq!(read["device"]["reference"], "Device/70001", "the device that it named");
    let (_, page) = world.get("viewer_victor", &format!("{PATH}?patient=40001&_sort=_lastUpdated")).await;
    let shown: Vec<&Value> =
        page["entry"].as_array().expect("entries").iter().map(|entry| &entry["resource"]["meta"]["source"]).collect();
    let second = format!("{BASE}{}", sources[1]);
    assert_eq!(shown, [OWN, OWN, &named, &second, &named]);
    let mut by_meta = rate(4);
    by_meta["meta"] = json!({ "source": second });
    let (status, created) = world.post("ll_patient_peter", PATH, &by_meta).await;
    assert_eq!((status, &created["meta"]["source"]), (StatusCode::CREATED, &json!(second)));
    let (status, created) = world.post("ll_patient_peter", PATH, &rate(5)).await;
    assert_eq!((status, &created["meta"]["source"]), (StatusCode::CREATED, &json!(OWN)));
}

#[tokio::test]
async fn searches_know_the_source() {
    let (world, [first, second], brought) = world().await;
    let newest = |places: &[usize]| -> Vec<String> { places.iter().map(|place| brought[*place].clone()).collect() };
    for whom in
        ["patient=40001", "patient._has:Group:member:_id=30001", "patient=40001&patient._has:Group:member:_id=30001"]
    {
        for (user, whom) in [("viewer_victor", whom), ("admin", whom), ("ll_patient_peter", "_count=20")] {
            for (filter, expected) in [
                (format!("_source={BASE}{first}"), newest(&[2, 0])),
                (format!("_source={BASE}{second}"), newest(&[1])),
                (format!("_source={BASE}9"), newest(&[])),
                (format!("_source:below={BASE}"), newest(&[2, 1, 0])),
                (format!("_source:below={BASE}{second}"), newest(&[1])),
                (format!("_source={BASE}{first}&_source={BASE}{second}"), newest(&[])),
                (format!("_source={BASE}{first}&_source:below={BASE}"), newest(&[2, 0])),
                ("_source=https://ehr.example/R5".to_owned(), newest(&[])),
                (format!("_source:below={BASE}&_sort=date"), newest(&[2, 1, 0])),
                (format!("_source:below={BASE}&_sort=-date"), newest(&[0, 1, 2])),
                (format!("_source:below={BASE}&date=ge2026-03-02&_sort=date"), newest(&[1, 0])),
                (format!("_source:below={BASE}&date=lt2026-03-02"), newest(&[2])),
                (format!("_source:below={BASE}&status=final&_lastUpdated=ge2026-01-01"), newest(&[2, 1, 0])),
                (format!("_source:below={BASE}&code=https://w3id.org/openmhealth|omh:blood-pressure:4.0"), newest(&[])),
                (format!("_source={BASE}{first}&_id={},{}", brought[0], brought[1]), newest(&[0])),
            ] {
                assert_eq!(found(&world, user, &format!("{whom}&{filter}")).await, expected, "{user} {whom} {filter}");
            }
            let own = found(&world, user, &format!("{whom}&_source={OWN}")).await;
            let below = found(&world, user, &format!("{whom}&_source:below=https://jupyterhealth.org/")).await;
            let all = found(&world, user, whom).await;
            assert!(!own.is_empty() && own.iter().all(|id| !brought.contains(id)), "{user} {whom}");
            assert_eq!((own.len() + 3, &below), (all.len(), &all), "{user} {whom}");
        }
    }
    let everywhere = found(&world, "admin", &format!("_source:below={BASE}")).await;
    assert_eq!(everywhere, newest(&[2, 1, 0]), "a super admin names nobody");
}

#[tokio::test]
async fn pages_and_counts_are_of_what_the_source_brought() {
    let (world, _, brought) = world().await;
    for whom in ["patient=40001", "patient._has:Group:member:_id=30001"] {
        let mut next = format!("{PATH}?{whom}&_source:below={BASE}&_count=2&_total=accurate");
        let mut shown = Vec::new();
        loop {
            let (_, page) = world.get("viewer_victor", &next).await;
            assert_eq!(page["total"], 3, "{whom}");
            shown.extend(ids(&page));
            match link(&world, &page, "next") {
                Some(more) => next = more.to_owned(),
                None => break,
            }
        }
        assert_eq!(shown.iter().rev().cloned().collect::<Vec<_>>(), brought, "{whom}");
        let (_, counted) = world.get("viewer_victor", &format!("{PATH}?{whom}&_source={OWN}&_summary=count")).await;
        let own = found(&world, "viewer_victor", &format!("{whom}&_source={OWN}")).await.len();
        assert_eq!(counted["total"], own, "{whom}");
    }
}

#[tokio::test]
async fn the_rule_of_every_observation_hides_and_shows_what_a_source_brought() {
    let (world, _, brought) = world().await;
    let searches = [
        format!("patient=40001&_source:below={BASE}"),
        format!("patient._has:Group:member:_id=30001&_source:below={BASE}"),
        format!("patient=40001&_id={}&_source:below={BASE}", brought[0]),
    ];
    for (consented, shown) in [(true, [3, 3, 1]), (false, [0, 0, 0]), (true, [3, 3, 1])] {
        world.decide("ll_patient_peter", 40001, 30001, "omh:heart-rate:2.0", consented).await;
        for (search, expected) in searches.iter().zip(shown) {
            assert_eq!(found(&world, "viewer_victor", search).await.len(), expected, "{search}");
        }
        assert_eq!(found(&world, "ll_patient_peter", &searches[0]).await.len(), 3, "the patient's own");
    }
    assert!(found(&world, "ll_patient_pamela", &searches[0]).await.is_empty(), "another patient's own");
    for search in &searches {
        let (status, _) = world.get("manager_mark", &format!("{PATH}?{search}")).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{search}");
    }
    // Outside every organization of the caller's, whatever source is asked for.
    let nobody = format!("{PATH}?patient=40003&_source=https://x.example");
    assert_eq!(world.get("viewer_victor", &nobody).await.0, StatusCode::FORBIDDEN);
    world.sql("DELETE FROM study_patient WHERE patient_id = 40001").await;
    for search in &searches {
        assert!(found(&world, "viewer_victor", search).await.is_empty(), "{search}");
    }
    let audited = "SELECT count(*) FROM audit_event WHERE action = 'search' AND outcome = 'allowed' AND observation_ids @> (SELECT array_agg(observation_id) FROM source_observation)";
    assert!(world.count(audited).await >= 4, "the audit has what was shown");
}

#[tokio::test]
async fn a_source_is_the_patients_own_and_known() {
    let (world, [first, second], _) = world().await;
    let before = world.stored().await;
    // A source of a stranger and one that does not exist are told apart by nothing.
    for user in ["ll_patient_pamela", "manager_mark", "admin"] {
        let known = bring(&world, user, first, &rate(4)).await;
        let unknown = bring(&world, user, 99999, &rate(4)).await;
        assert_eq!(known.refusal(403, user), unknown.refusal(403, user));
    }
    bring(&world, "viewer_victor", first, &rate(4)).await.refusal(403, "the role");
    let mut of_another = rate(4);
    of_another["subject"]["reference"] = json!("Patient/40002");
    bring(&world, "ll_patient_peter", first, &of_another).await.refusal(400, "another patient than the source's");
    let mut contradicting = rate(4);
    contradicting["meta"] = json!({ "source": format!("{BASE}{second}") });
    bring(&world, "ll_patient_peter", first, &contradicting).await.refusal(400, "two sources");
    assert_eq!(world.stored().await, before);
    assert_eq!(bring(&world, "member_megan", first, &rate(4)).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_source_that_observations_name_is_not_deleted() {
    let (world, [first, _], _) = world().await;
    let unused = source(&world, "ll_patient_peter").await;
    let path = |id: i64| format!("/api/v1/fhir_sources/{id}");
    let (status, answer) = world.send("ll_patient_peter", Method::DELETE, &path(first), &Value::Null).await;
    assert_eq!(
        (status, &answer["detail"]),
        (StatusCode::CONFLICT, &json!("Resources come from it. Delete them first."))
    );
    assert_eq!(world.get("ll_patient_peter", &path(first)).await.0, StatusCode::OK);
    assert_eq!(
        world.send("ll_patient_peter", Method::DELETE, &path(unused), &Value::Null).await.0,
        StatusCode::NO_CONTENT
    );
}

#[tokio::test]
async fn entries_of_a_bundle_and_of_an_import_keep_their_sources() {
    let (world, [first, second], _) = world().await;
    let entry =
        |resource: Value| json!({ "resource": resource, "request": { "method": "POST", "url": "Observation" } });
    let mut by_meta = rate(5);
    by_meta["meta"] = json!({ "source": format!("{BASE}{second}") });
    let mut unknown = rate(6);
    unknown["meta"] = json!({ "source": format!("{BASE}99999") });
    let bundle = json!({ "resourceType": "Bundle", "type": "batch",
        "entry": [entry(rate(4)), entry(by_meta.clone()), entry(unknown)] });
    let (status, answer) = world.post("ll_patient_peter", "/FHIR/R5", &bundle).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let told: Vec<_> = answer["entry"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|entry| (entry["response"]["status"].as_str(), entry["resource"]["meta"]["source"].as_str()))
        .collect();
    let named = format!("{BASE}{second}");
    assert_eq!(
        told,
        [(Some("201 Created"), Some(OWN)), (Some("201 Created"), Some(named.as_str())), (Some("403 Forbidden"), None)]
    );
    let whole = world
        .request("ll_patient_peter", Method::POST, "/FHIR/R5")
        .header(HEADER, first.to_string())
        .json(&json!({ "resourceType": "Bundle", "type": "transaction", "entry": [entry(rate(7))] }));
    assert_eq!(end_to_end::answer(whole).await.0, StatusCode::OK);
    assert_eq!(found(&world, "ll_patient_peter", &format!("_source={BASE}{first}")).await.len(), 3);
    let import = world
        .request("ll_patient_peter", Method::POST, "/fhir-import/R4")
        .header(HEADER, first.to_string())
        .json(&rate(8));
    let (_, answer) = end_to_end::answer(import).await;
    assert_eq!(answer["entry"][0]["resource"]["meta"]["source"], format!("{BASE}{first}"), "{answer}");
}
