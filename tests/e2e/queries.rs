//! Queries that are not what they should be: refused under the name of what is wrong.

use end_to_end::{World, answer, keys, reply::Reply};
use reqwest::{Method, StatusCode};
use serde_json::json;

/// Every list of `/api/v1` that has pages, each with somebody who may read it.
pub const LISTS: [(&str, &str); 19] = [
    ("admin", "/api/v1/clients"),
    ("viewer_victor", "/api/v1/data_sources"),
    ("ll_patient_peter", "/api/v1/fhir_sources"),
    ("member_megan", "/api/v1/invitation"),
    ("admin", "/api/v1/jhe_settings"),
    ("admin", "/api/v1/security-findings"),
    ("ll_patient_pamela", "/api/v1/observations"),
    ("manager_mary", "/api/v1/organizations"),
    ("member_megan", "/api/v1/patients"),
    ("viewer_victor", "/api/v1/practitioner_clients"),
    ("admin", "/api/v1/practitioners"),
    ("viewer_victor", "/api/v1/studies"),
    ("viewer_victor", "/api/v1/studies/30001/patients"),
    ("admin", "/api/v1/users"),
    ("ll_patient_peter", "/api/v1/patients/40001/consents/history"),
    ("manager_mary", "/api/v1/organizations/20003/legal-holds"),
    ("manager_mary", "/api/v1/organizations/20003/retention-notices"),
    ("manager_mary", "/api/v1/organizations/20003/retention-report"),
    ("ll_patient_peter", "/api/v1/patients/me/retention-notices"),
];

#[tokio::test]
async fn every_list_refuses_what_it_cannot_mean_by_its_name() {
    let world = World::new().await;
    for (user, list) in LISTS {
        assert_eq!(world.get(user, list).await.0, StatusCode::OK, "{user} {list}");
        for (query, field) in [
            ("page_size=0", "page_size"),
            ("pageSize=0", "pageSize"),
            ("pageSize=-1", "pageSize"),
            ("pageSize=", "pageSize"),
            ("pageSize=1&page_size=2", "page_size"),
            ("page_size=1&pageSize=2", "pageSize"),
            ("page=1&page=2", "page"),
            ("x[]=", "x[]"),
            ("x%5B%5D=1", "x[]"),
            ("patient_id[]=40001", "patient_id[]"),
            ("a%20b=1", "a b"),
            ("name=%ff", "name"),
            ("x=%C3%28", "x"),
            ("%ff=1", "\u{fffd}"),
            ("cursor=%ff", "cursor"),
        ] {
            let (status, told) = world.get(user, &format!("{list}?{query}")).await;
            assert_eq!(
                (status, keys(&told)),
                (StatusCode::BAD_REQUEST, [field].into()),
                "{user} {list}?{query}: {told}"
            );
        }
        // More rows than there can be on a page are as many as there can be.
        assert_eq!(world.get(user, &format!("{list}?pageSize=100000")).await.0, StatusCode::OK, "{list}");
        // Who looks for an incident has to know what was searched for.
        let expected = if list.ends_with("findings") { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        assert_eq!(world.get(user, &format!("{list}?other=1")).await.0, expected, "{list}");
    }
}

#[tokio::test]
async fn a_filter_is_refused_by_the_name_that_the_caller_wrote() {
    let world = World::new().await;
    for (user, path, field) in [
        ("member_megan", "/api/v1/invitation?patientId=x", "patientId"),
        ("member_megan", "/api/v1/invitation?patient_id=x", "patient_id"),
        ("member_megan", "/api/v1/observations?patientId=40001&observationId=x", "observationId"),
        ("member_megan", "/api/v1/studies?organizationId=x", "organizationId"),
    ] {
        let (status, told) = world.get(user, path).await;
        assert_eq!((status, keys(&told)), (StatusCode::BAD_REQUEST, [field].into()), "{path}: {told}");
    }
}

#[tokio::test]
async fn a_query_that_is_no_text_is_refused_by_every_protocol_once_it_is_known_who_asks() {
    let world = World::new().await;
    for path in ["/FHIR/R5/Observation?patient=40001&x=%ff", "/FHIR/R5/Patient/40001?%ff", "/FHIR/R5/Group?name=%c3"] {
        Reply::to(world.request("viewer_victor", Method::GET, path)).await.refusal(400, path);
        Reply::to(world.anonymous(Method::GET, path)).await.refusal(401, path);
    }
    let form = world
        .request("viewer_victor", Method::POST, "/FHIR/R5/Patient/_search")
        .header("content-type", "application/x-www-form-urlencoded")
        .body("_id=40001&name=%ff");
    Reply::to(form).await.refusal(400, "a form");
    let read = answer(world.request("viewer_victor", Method::GET, "/api/v1/patients/40001?x=%ff")).await;
    assert_eq!(read, (StatusCode::BAD_REQUEST, json!({ "x": ["It is not valid UTF-8."] })));
    let token = world
        .anonymous(Method::POST, "/o/token/")
        .header("content-type", "application/x-www-form-urlencoded")
        .body("grant_type=authorization_code&code=%ff");
    let (status, told) = answer(token).await;
    assert_eq!((status, &told["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_request")), "{told}");
    let page = Reply::to(world.anonymous(Method::GET, "/o/authorize/?client_id=%ff")).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
}
