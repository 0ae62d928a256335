//! `/api/v1/organizations`: who sees which, makes, changes, moves and deletes them.

use end_to_end::{World, answer, keys, reply::Reply};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/organizations";

/// The ids of a tree, each followed by those below it in brackets.
fn outline(tree: &Value) -> String {
    let below: Vec<String> = tree["children"].as_array().expect("children").iter().map(outline).collect();
    if below.is_empty() { tree["id"].to_string() } else { format!("{}({})", tree["id"], below.join(" ")) }
}

async fn make(world: &World, user: &str, part_of: &Value) -> (StatusCode, Value) {
    world.post(user, PATH, &json!({ "name": "New sub", "type": "team", "partOf": part_of })).await
}

#[tokio::test]
async fn the_tree_has_only_what_the_caller_may_see() {
    let world = World::new().await;
    for (user, id, expected) in [
        ("admin", 0, "0(20004(20005(20006(20008 20007))) 20001(20002(20003)))"),
        ("manager_mary", 0, "0(20001(20002(20003)))"),
        ("manager_mark", 0, "0(20004(20005(20006(20007))))"),
        ("manager_mark", 20005, "20005(20006(20007))"),
        // What stands between the root and these is not theirs to see.
        ("three_org_tom", 0, "0(20008 20003 20007)"),
        ("ll_patient_peter", 0, "0(20003)"),
        ("ccl_cardio_patient_pat", 0, "0(20006(20008))"),
        ("member_megan", 20003, "20003"),
    ] {
        let (status, tree) = world.get(user, &format!("{PATH}/{id}/tree")).await;
        assert_eq!((status, outline(&tree).as_str()), (StatusCode::OK, expected), "{user} {id}");
        assert_eq!(keys(&tree), ["children", "currentUserRole", "id", "name", "partOf", "type"].into());
    }
    let end = world.audit_end().await;
    assert_eq!(world.get("member_megan", &format!("{PATH}/20002/tree")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(world.get("member_megan", &format!("{PATH}/29999/tree")).await.0, StatusCode::NOT_FOUND);
    let events = world.audit_after(end).await;
    assert_eq!(
        (events[0].organizations.as_slice(), events[0].refused_by.as_deref()),
        (&[20002][..], Some("organization"))
    );
    assert_eq!(events[1].refused_by.as_deref(), Some("not_found"));
}

#[tokio::test]
async fn types_studies_and_own_organizations_are_told_in_the_shape_that_apps_read() {
    let world = World::new().await;
    let (_, types) = world.get("ll_patient_peter", &format!("{PATH}/types")).await;
    assert_eq!((keys(&types).len(), &types["crs"]), (18, &json!("Clinical Research Sponsor")));
    let (_, studies) = world.get("viewer_victor", &format!("{PATH}/20003/studies")).await;
    assert_eq!(
        studies[0],
        json!({ "id": 30002, "name": "Lifespan Study on BP", "description": "Blood Pressure", "organization": 20003, "iconUrl": null })
    );
    assert_eq!(studies.as_array().map(Vec::len), Some(2));
    assert_eq!(world.get("manager_mary", &format!("{PATH}/20001/studies")).await, (StatusCode::OK, json!([])));
    for user in ["manager_mark", "npl_patient_percy"] {
        assert_eq!(world.get(user, &format!("{PATH}/20003/studies")).await.0, StatusCode::NOT_FOUND, "{user}");
    }
    for (user, count) in [("manager_mary", 3), ("three_org_tom", 3), ("ll_patient_peter", 0), ("admin", 0)] {
        let (_, own) = world.get(user, "/api/v1/users/organizations").await;
        assert_eq!(own.as_array().map(Vec::len), Some(count), "{user}");
    }
}

#[tokio::test]
async fn a_manager_of_the_parent_makes_a_part_of_it_and_manages_it() {
    let world = World::new().await;
    let (status, made) = make(&world, "manager_mary", &json!(20003)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(
        made,
        json!({ "id": 20009, "name": "New sub", "type": "team", "partOf": 20003, "currentUserRole": "manager",
                "requiresSecondFactor": false, "children": [] })
    );
    let (_, members) = world.get("manager_mary", &format!("{PATH}/20009/users")).await;
    assert_eq!((members.as_array().map(Vec::len), &members[0]["id"]), (Some(1), &json!(10002)));
    // What is part of it is not theirs by itself.
    assert_eq!(world.get("member_megan", &format!("{PATH}/20009")).await.0, StatusCode::NOT_FOUND);

    let (status, made) = make(&world, "admin", &json!(20003)).await;
    assert_eq!((status, &made["currentUserRole"]), (StatusCode::CREATED, &json!("super_user")));
    for part_of in [json!(0), Value::Null] {
        assert_eq!(make(&world, "admin", &part_of).await.1["partOf"], 0);
    }
}

#[tokio::test]
async fn nobody_else_makes_one_and_refusals_are_recorded() {
    let world = World::new().await;
    for (user, part_of, status, layer) in [
        ("ll_patient_peter", 20003, 403, "user_type"),
        ("viewer_victor", 20003, 403, "role"),
        ("member_megan", 20003, 403, "role"),
        ("manager_mark", 20003, 404, "organization"),
        ("three_org_tom", 20003, 403, "role"),
        ("manager_mary", 0, 403, "user_type"),
        ("manager_mary", 29999, 404, "not_found"),
    ] {
        let end = world.audit_end().await;
        let (answered, _) = make(&world, user, &json!(part_of)).await;
        let event = world.audit_after(end).await.pop().expect("a record");
        assert_eq!((answered.as_u16(), event.refused_by.as_deref()), (status, Some(layer)), "{user} {part_of}");
    }
    assert_eq!(world.count("SELECT count(*) FROM organization").await, 9);
}

#[tokio::test]
async fn what_is_wrong_is_told_by_field() {
    let world = World::new().await;
    for (body, field) in [
        (json!({ "type": "team", "partOf": 20003 }), "name"),
        (json!({ "name": "N", "type": "root", "partOf": 20003 }), "type"),
        (json!({ "name": "N", "type": "x", "partOf": 20003 }), "type"),
        (json!({ "name": "N\u{0}", "type": "team", "partOf": 20003 }), "name"),
        (json!({ "name": "N", "type": "team", "partOf": "x" }), "partOf"),
        (json!({ "name": "N", "type": "team", "partOf": 20003, "currentUserRole": "manager" }), "currentUserRole"),
    ] {
        let (status, problem) = world.post("manager_mary", PATH, &body).await;
        assert_eq!((status, keys(&problem)), (StatusCode::BAD_REQUEST, [field].into()), "{body}");
    }
    let (status, problem) = make(&world, "admin", &json!(29999)).await;
    assert_eq!((status, keys(&problem)), (StatusCode::BAD_REQUEST, ["partOf"].into()));
}

#[tokio::test]
async fn organizations_go_no_deeper_than_a_tree_is_read() {
    let world = World::new().await;
    let mut part_of = json!(20003);
    for level in 5..=20 {
        let (status, made) = make(&world, "manager_mary", &part_of).await;
        assert_eq!(status, StatusCode::CREATED, "{level}");
        part_of = made["id"].clone();
    }
    let (status, problem) = make(&world, "manager_mary", &part_of).await;
    assert_eq!((status, keys(&problem)), (StatusCode::BAD_REQUEST, ["partOf"].into()));
    // A chain is no longer by being moved either.
    let (_, other) = make(&world, "manager_mary", &json!(20001)).await;
    let moved = json!({ "partOf": part_of });
    let path = format!("{PATH}/{}", other["id"]);
    assert_eq!(world.send("manager_mary", Method::PATCH, &path, &moved).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(world.get("manager_mary", &format!("{PATH}/0/tree")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_manager_changes_the_organization_and_the_audit_has_before_and_after() {
    let world = World::new().await;
    let end = world.audit_end().await;
    let path = format!("{PATH}/20003");
    let (status, changed) = world.send("manager_mary", Method::PATCH, &path, &json!({ "name": "Renamed" })).await;
    assert_eq!((status, &changed["name"], &changed["type"]), (StatusCode::OK, &json!("Renamed"), &json!("laboratory")));
    let event = world.audit_after(end).await.pop().expect("a record");
    assert_eq!((event.organizations.as_slice(), event.role.as_deref()), (&[20003][..], Some("manager")));
    let change = world.sql("SELECT before::text, after::text FROM audit_change ORDER BY event_id DESC LIMIT 1").await;
    assert_eq!(change[0].get::<_, &str>(0), r#"{"name": "Lifespan Lab"}"#);
    assert_eq!(change[0].get::<_, &str>(1), r#"{"name": "Renamed"}"#);
    for (user, status) in
        [("viewer_victor", 403), ("member_megan", 403), ("manager_mark", 404), ("ll_patient_peter", 403)]
    {
        let answered = world.send(user, Method::PATCH, &path, &json!({ "name": "Mine" })).await.0;
        assert_eq!(answered.as_u16(), status, "{user}");
        let answered = answer(world.request(user, Method::DELETE, &path)).await.0;
        assert_eq!(answered.as_u16(), status, "{user}");
    }
}

#[tokio::test]
async fn no_organization_but_the_root_is_part_of_none() {
    let world = World::new().await;
    for user in ["manager_mary", "admin"] {
        for name in ["partOf", "part_of"] {
            let (status, problem) =
                world.send(user, Method::PATCH, &format!("{PATH}/20003"), &json!({ name: null })).await;
            assert_eq!(
                (status, keys(&problem)),
                (StatusCode::BAD_REQUEST, ["partOf"].into()),
                "{user} {name}: {problem}"
            );
        }
    }
}

#[tokio::test]
async fn a_change_of_another_version_is_refused() {
    let world = World::new().await;
    let path = format!("{PATH}/20003");
    let read = Reply::to(world.request("manager_mary", Method::GET, &path)).await;
    let tag = read.header("etag").to_owned();
    let change = |name: &str| {
        let request = world.request("manager_mary", Method::PATCH, &path).header("if-match", &tag);
        request.json(&json!({ "name": name }))
    };
    let first = Reply::to(change("First")).await;
    assert_eq!(first.status, StatusCode::OK);
    assert_ne!(first.header("etag"), tag);
    assert_eq!(Reply::to(change("Second")).await.status, StatusCode::PRECONDITION_FAILED);
    let delete = world.request("manager_mary", Method::DELETE, &path).header("if-match", &tag);
    assert_eq!(Reply::to(delete).await.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(world.get("manager_mary", &path).await.1["name"], "First");
}

#[tokio::test]
async fn who_moves_an_organization_manages_both_and_makes_no_circle() {
    let world = World::new().await;
    let to = |user: &'static str, id: i32, part_of: i32| {
        let (world, path) = (&world, format!("{PATH}/{id}"));
        async move { world.send(user, Method::PATCH, &path, &json!({ "partOf": part_of })).await }
    };
    assert_eq!(to("manager_mary", 20003, 20005).await.0, StatusCode::NOT_FOUND);
    assert_eq!(to("manager_mary", 20003, 0).await.0, StatusCode::FORBIDDEN);
    assert_eq!(to("manager_mary", 20001, 20003).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(to("manager_mary", 20001, 20001).await.0, StatusCode::BAD_REQUEST);
    // As it is now: nothing is moved, so nothing above has to be managed.
    assert_eq!(to("manager_mary", 20001, 0).await.0, StatusCode::OK);
    let (status, moved) = to("manager_mary", 20003, 20001).await;
    assert_eq!((status, &moved["partOf"]), (StatusCode::OK, &json!(20001)));
    assert_eq!(to("admin", 20003, 0).await.1["partOf"], 0);
    assert_eq!(to("admin", 20003, 29999).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(to("admin", 0, 20003).await.0, StatusCode::CONFLICT);
}

#[tokio::test]
async fn only_an_empty_organization_is_deleted_and_the_roles_in_it_end() {
    let world = World::new().await;
    let delete = |user: &'static str, id: i32| {
        let request = world.request(user, Method::DELETE, &format!("{PATH}/{id}"));
        async move { answer(request).await }
    };
    for (id, what) in [(20002, "part of it"), (20003, "studies"), (0, "root")] {
        let (status, said) = delete("admin", id).await;
        assert_eq!(status, StatusCode::CONFLICT, "{id}");
        assert!(said["detail"].as_str().expect("a detail").contains(what), "{said}");
    }
    let (_, made) = make(&world, "manager_mary", &json!(20003)).await;
    assert_eq!(made["id"], 20009);
    world.sql("INSERT INTO patient_organization VALUES (40001, 20009)").await;
    let (status, said) = delete("manager_mary", 20009).await;
    assert_eq!(
        (status, said["detail"].as_str().map(|text| text.contains("patients"))),
        (StatusCode::CONFLICT, Some(true))
    );
    world.sql("DELETE FROM patient_organization WHERE organization_id = 20009").await;
    let end = world.audit_end().await;
    assert_eq!(delete("manager_mary", 20009).await.0, StatusCode::NO_CONTENT);
    assert_eq!(world.count("SELECT count(*) FROM organization_member WHERE organization_id = 20009").await, 0);
    let event = world.audit_after(end).await.pop().expect("a record");
    assert_eq!((event.action.as_str(), event.role.as_deref()), ("delete", Some("manager")));
    let kept = world
        .sql("SELECT before->'members' = '{\"10002\": \"manager\"}' FROM audit_change ORDER BY event_id DESC LIMIT 1");
    assert!(kept.await[0].get::<_, bool>(0));
    assert_eq!(delete("manager_mary", 20009).await.0, StatusCode::NOT_FOUND);
    assert_eq!(delete("admin", 20009).await.0, StatusCode::NOT_FOUND);
}
