//! A patient's business identifiers find one patient of an organization.

use end_to_end::World;
use serde_json::{Value, json};

const PATH: &str = "/api/v1/patients";

fn body(organization: i32, email: &str, identifiers: &Value) -> Value {
    json!({ "organizationId": organization, "telecomEmail": email, "nameFamily": "New", "nameGiven": "Nora",
            "birthDate": "1991-04-12", "identifiers": identifiers })
}

#[tokio::test]
async fn an_identifier_is_given_once_and_belongs_to_one_patient_of_the_organization() {
    let world = World::new().await;
    let own = json!({ "system": "urn:oid:1.2.3", "value": "N1" });
    let other = json!({ "system": "urn:oid:1.2.3", "value": "N2" });
    let elsewhere = json!({ "system": "urn:oid:9.9.9", "value": "N1" });
    let users = async || world.count("SELECT count(*) FROM app_user").await;

    let before = users().await;
    let (status, answer) =
        world.post("member_megan", PATH, &body(20003, "a@example.com", &json!([own, other, own]))).await;
    assert_eq!((status.as_u16(), answer), (400, json!({ "identifiers[2]": ["It is given more than once."] })));
    assert_eq!(users().await, before);

    let (status, answer) = world.post("member_megan", PATH, &body(20003, "a@example.com", &json!([own]))).await;
    assert_eq!(status.as_u16(), 201, "{answer}");
    let created = users().await;
    let end = world.audit_end().await;
    for identifiers in [json!([other, own]), json!([elsewhere, own])] {
        let (status, answer) = world.post("member_megan", PATH, &body(20003, "b@example.com", &identifiers)).await;
        let expected = json!({ "identifiers[1]": ["A patient of the organization has this identifier."] });
        assert_eq!((status.as_u16(), answer), (400, expected));
    }
    assert_eq!(users().await, created, "nobody was created");
    let events = world.audit_after(end).await;
    assert_eq!(events.len(), 2, "{events:?}");
    for event in events {
        assert_eq!((event.outcome.as_str(), event.refused_by.as_deref()), ("denied", Some("invalid")));
        assert_eq!((event.organizations, event.role.as_deref()), (vec![20003], Some("member")));
    }
    // The same value of another system is another identifier.
    let (status, answer) =
        world.post("member_megan", PATH, &body(20003, "b@example.com", &json!([other, elsewhere]))).await;
    assert_eq!(status.as_u16(), 201, "{answer}");
    // What patients of other organizations have is neither in the way nor told.
    let (status, answer) = world.post("manager_mark", PATH, &body(20006, "c@example.com", &json!([own, other]))).await;
    assert_eq!(status.as_u16(), 201, "{answer}");
}

#[tokio::test]
async fn of_two_at_once_one_gets_the_identifier() {
    let world = World::new().await;
    let identifiers = json!([{ "system": "urn:oid:1.2.3", "value": "N1" }]);
    let posts = ["a@example.com", "b@example.com", "c@example.com", "d@example.com"].map(|email| {
        let body = body(20003, email, &identifiers);
        let world = &world;
        async move { world.post("member_megan", PATH, &body).await.0.as_u16() }
    });
    let [a, b, c, d] = posts;
    let mut statuses = <[u16; 4]>::from(tokio::join!(a, b, c, d));
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 400, 400, 400]);
}
