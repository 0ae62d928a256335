//! `/api/v1/users` and `/api/v1/practitioners`: who sees which accounts, and who makes them.

use end_to_end::{
    World, answer,
    browser::{Browser, form_token},
    keys, row_ids,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const USERS: &str = "/api/v1/users";

const KEYS: [&str; 7] = ["email", "firstName", "id", "isSuperuser", "lastName", "patient", "userType"];

fn new(email: &str) -> Value {
    json!({ "email": email, "firstName": "Nina", "lastName": "Ng", "userType": "practitioner", "isSuperuser": false })
}

#[tokio::test]
async fn accounts_are_not_listed_to_everybody() {
    let world = World::new().await;
    for (user, expected) in [
        ("admin", (10001..=10011).collect::<Vec<_>>()),
        ("manager_mary", vec![10002, 10003, 10004, 10005]),
        ("manager_mark", vec![10005, 10008]),
        // A manager of one of three.
        ("three_org_tom", vec![10005]),
        ("member_megan", vec![10003]),
        ("viewer_victor", vec![10004]),
        ("ll_patient_peter", vec![10006]),
    ] {
        let end = world.audit_end().await;
        let (status, page) = world.get(user, USERS).await;
        assert_eq!((status, row_ids(&page)), (StatusCode::OK, expected.clone()), "{user}");
        assert_eq!(page["count"], expected.len(), "{user}");
        let event = world.audit_after(end).await.pop().expect("a record");
        let patients = i32::from(user == "ll_patient_peter") + 5 * i32::from(user == "admin");
        assert_eq!(
            (event.action.as_str(), event.patients.len()),
            ("search", usize::try_from(patients).unwrap()),
            "{user}"
        );
    }
    let (_, page) = world.get("manager_mary", USERS).await;
    assert_eq!(keys(&page["results"][0]), KEYS.into());
    let (_, first) = world.get("admin", &format!("{USERS}?pageSize=4")).await;
    let next = first["next"].as_str().and_then(|link| link.strip_prefix(world.base.as_str())).expect("a link");
    assert_eq!(row_ids(&world.get("admin", next).await.1), [10005, 10006, 10007, 10008]);
}

#[tokio::test]
async fn one_account_is_shown_to_its_owner_its_managers_and_super_admins() {
    let world = World::new().await;
    let refused = json!({ "detail": "You do not have permission to perform this action." });
    for (user, id, status) in [
        ("ll_patient_peter", 10006, 200),
        ("ll_patient_pamela", 10006, 403),
        ("viewer_victor", 10004, 200),
        ("viewer_victor", 10003, 403),
        ("manager_mary", 10003, 200),
        ("manager_mary", 10008, 403),
        // Patients are seen as patients.
        ("manager_mary", 10006, 403),
        ("admin", 10006, 200),
        ("admin", 19999, 404),
        // Nobody learns which ids there are.
        ("manager_mary", 19999, 403),
        ("ll_patient_peter", 19999, 403),
    ] {
        let end = world.audit_end().await;
        let (answered, body) = world.get(user, &format!("{USERS}/{id}")).await;
        assert_eq!(answered.as_u16(), status, "{user} {id}");
        assert!(status != 403 || body == refused, "{body}");
        let event = world.audit_after(end).await.pop().expect("a record");
        let expected: &[i32] = if id == 10006 { &[40001] } else { &[] };
        assert_eq!(event.patients, expected, "{user} {id}");
    }
    let (_, peter) = world.get("ll_patient_peter", &format!("{USERS}/10006")).await;
    assert_eq!((keys(&peter), &peter["patient"]["id"]), (KEYS.into(), &json!(40001)));
    assert_eq!(world.get("admin", &format!("{USERS}/10006")).await.1["isActive"], true);
}

#[tokio::test]
async fn an_email_finds_a_practitioner_for_managers_and_never_a_patient() {
    let world = World::new().await;
    let find = |user: &'static str, email: &'static str| {
        let (world, path) = (&world, format!("{USERS}/search_by_email?email={email}"));
        async move { world.get(user, &path).await }
    };
    let (status, found) = find("manager_mary", "Manager_Mark@example.com").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        found,
        json!({ "id": 10008, "email": "manager_mark@example.com", "firstName": "ManagerMark", "lastName": "Knox",
                "patient": null, "userType": "practitioner", "isSuperuser": false })
    );
    let nobody = find("manager_mary", "nobody@example.com").await;
    assert_eq!(nobody.0, StatusCode::NOT_FOUND);
    for email in ["ll_patient_peter@example.com", "admin@example.com", "manager_mark", "%25@example.com"] {
        assert_eq!(find("manager_mary", email).await, nobody, "{email}");
    }
    let end = world.audit_end().await;
    assert_eq!(find("admin", "npl_patient_percy@example.com").await.0, StatusCode::NOT_FOUND);
    assert_eq!(
        world.audit_after(end).await.pop().expect("a record").patients,
        [40003],
        "the patient can read who tried"
    );
    for user in ["ll_patient_peter", "viewer_victor", "member_megan"] {
        assert_eq!(find(user, "manager_mark@example.com").await.0, StatusCode::FORBIDDEN, "{user}");
    }
    assert_eq!(world.get("manager_mary", &format!("{USERS}/search_by_email")).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn only_a_super_admin_makes_changes_and_ends_accounts_of_others() {
    let world = World::new().await;
    for user in ["ll_patient_peter", "viewer_victor", "member_megan", "manager_mary", "manager_mark"] {
        let end = world.audit_end().await;
        assert_eq!(world.post(user, USERS, &new("x@example.com")).await.0, StatusCode::FORBIDDEN, "{user}");
        let body = json!({ "firstName": "Mine", "isSuperuser": true });
        for id in [10007, 10001, 10005, 19999] {
            let path = format!("{USERS}/{id}");
            assert_eq!(world.send(user, Method::PATCH, &path, &body).await.0, StatusCode::FORBIDDEN, "{user} {id}");
            let deleted = answer(world.request(user, Method::DELETE, &path)).await.0;
            assert_eq!(deleted, StatusCode::FORBIDDEN, "{user} {id}");
        }
        let events = world.audit_after(end).await;
        assert_eq!(events.len(), 9, "{user}");
        assert!(events.iter().all(|event| event.refused_by.as_deref() == Some("user_type")), "{user}");
        assert_eq!(events[1].patients, [40002], "a patient can read who tried to change the account");
        for (method, path) in [
            (Method::GET, "/api/v1/practitioners"),
            (Method::GET, "/api/v1/practitioners/80003"),
            (Method::POST, "/api/v1/practitioners"),
            (Method::PATCH, "/api/v1/practitioners/80003"),
            (Method::DELETE, "/api/v1/practitioners/80003"),
        ] {
            let body = json!({ "telecomEmail": "p@x.yz", "nameFamily": "a", "nameGiven": "b" });
            assert_eq!(world.send(user, method.clone(), path, &body).await.0, StatusCode::FORBIDDEN, "{user} {method}");
        }
    }
    assert_eq!(world.count("SELECT count(*) FROM app_user WHERE is_active AND is_superuser").await, 1);
}

#[tokio::test]
async fn a_new_practitioner_is_sent_a_link_to_choose_a_password() {
    let world = World::new().await;
    let (status, made) = world.post("admin", USERS, &new("nina@example.com")).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(
        (&made["id"], &made["userType"], &made["patient"]),
        (&json!(10012), &json!("practitioner"), &Value::Null)
    );
    let mails = world.mails();
    let mail = mails.last().expect("a mail");
    assert_eq!(mail.to, "nina@example.com");
    let (_, rest) = mail.text.split_once("/accounts/verify/?token=").expect("a link");
    let token = rest.split_whitespace().next().expect("a token").to_owned();
    assert_eq!(world.tables_with(&token).await, [""; 0], "kept in the clear");

    let browser = Browser::new(&world);
    let page = browser.get(&format!("/accounts/verify/?token={token}")).await;
    let password = "a long walk by the lake";
    let form = form_token(&page);
    let fields = [
        ("csrfmiddlewaretoken", form.as_str()),
        ("token", token.as_str()),
        ("new_password", password),
        ("repeated", password),
    ];
    assert_eq!(browser.post("/accounts/verify/", &fields).await.status, StatusCode::OK);
    let signed_in = browser.sign_in("nina@example.com", password, "/").await;
    assert_eq!(signed_in.status, StatusCode::FOUND, "{}", signed_in.text);
    // Without a role there is nothing to see.
    assert_eq!(world.count("SELECT count(*) FROM organization_member m JOIN practitioner p ON p.id = m.practitioner_id WHERE p.user_id = 10012").await, 0);
}

#[tokio::test]
async fn an_account_is_made_by_field_and_once() {
    let world = World::new().await;
    let with = |name: &str, value: Value| {
        let mut body = new("nina@example.com");
        body[name] = value;
        body
    };
    for (body, field) in [
        (with("email", json!("no address")), "email"),
        (with("email", json!("LL_patient_peter@example.com")), "email"),
        (with("firstName", json!("")), "firstName"),
        (with("lastName", Value::Null), "lastName"),
        (with("firstName", json!("Ni\u{202e}an")), "firstName"),
        (with("lastName", json!("New\u{200b}")), "lastName"),
        (with("userType", json!("patient")), "userType"),
        (with("isSuperuser", json!("yes")), "isSuperuser"),
        (with("password", json!("secret")), "password"),
        (with("isActive", json!(true)), "isActive"),
    ] {
        let (status, problem) = world.post("admin", USERS, &body).await;
        assert_eq!((status, keys(&problem)), (StatusCode::BAD_REQUEST, [field].into()), "{body}");
    }
    assert_eq!(world.count("SELECT count(*) FROM app_user").await, 11);
    let end = world.audit_end().await;
    let (status, made) = world.post("admin", USERS, &with("isSuperuser", json!(true))).await;
    assert_eq!((status, &made["isSuperuser"]), (StatusCode::CREATED, &json!(true)));
    assert!(world.audit_after(end).await.iter().all(|event| event.privileged && event.outcome == "allowed"));
}

#[tokio::test]
async fn practitioners_are_the_same_accounts_under_another_name() {
    let world = World::new().await;
    let path = "/api/v1/practitioners";
    let (_, page) = world.get("admin", path).await;
    assert_eq!((&page["count"], row_ids(&page).len()), (&json!(6), 6));
    let admin = json!({ "id": 80001, "jheUserId": 10001, "nameFamily": null, "nameGiven": null,
                        "telecomEmail": "admin@example.com", "organizations": [] });
    assert_eq!(page["results"][0], admin);
    assert_eq!(page["results"][1]["organizations"][0]["name"], "Planetary Research Institute");

    let body = json!({ "telecomEmail": "p@x.yz", "nameFamily": "a", "nameGiven": "b" });
    let (status, made) = world.post("admin", path, &body).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(
        made,
        json!({ "id": 80007, "jheUserId": 10012, "nameFamily": "a", "nameGiven": "b", "telecomEmail": "p@x.yz", "organizations": [] })
    );
    let one = format!("{path}/80007");
    let (status, changed) = world.send("admin", Method::PATCH, &one, &json!({ "nameFamily": "c" })).await;
    assert_eq!((status, &changed["nameFamily"], &changed["nameGiven"]), (StatusCode::OK, &json!("c"), &json!("b")));
    let mail = json!({ "telecomEmail": "q@x.yz" });
    assert_eq!(world.send("admin", Method::PATCH, &one, &mail).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(world.get("admin", &one).await.1, changed);
    assert_eq!(answer(world.request("admin", Method::DELETE, &one)).await.0, StatusCode::NO_CONTENT);
    assert_eq!(world.get("admin", &one).await.0, StatusCode::NOT_FOUND);
    assert_eq!(answer(world.request("admin", Method::DELETE, &format!("{path}/80001"))).await.0, StatusCode::FORBIDDEN);
    assert_eq!(world.count("SELECT count(*) FROM app_user WHERE id = 10012 AND NOT is_active").await, 1);
}

/// A form that sends all its fields is saved.
#[tokio::test]
async fn what_a_form_says_besides_of_a_practitioner_is_understood_and_not_kept() {
    let world = World::new().await;
    let body = json!({ "identifier": null, "nameFamily": "Rosales", "nameGiven": "Meg", "birthDate": "1980-02-03",
        "telecomPhone": "+1-157-915-3889" });
    let (status, told) =
        world.send("admin", Method::PATCH, "/api/v1/practitioners/80004?organizationId=undefined", &body).await;
    assert_eq!((status, &told["nameGiven"]), (StatusCode::OK, &json!("Meg")), "{told}");
    let (status, _) = world.send("admin", Method::PATCH, "/api/v1/practitioners/80004", &json!({ "nick": "M" })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}
