//! What is tried with a patient who is to be erased, or was.

use crate::{
    erasures::{ON_BEHALF, OWN, PETER, ask, erase, hold, left},
    hostile::{filled, method, routes},
};
use end_to_end::{
    World,
    backups::{BackedUp, Empty},
    browser::{Browser, email},
    ids,
    interrupted::{Interrupted, Points},
    reply::Reply,
    sealed::Sealed,
    vault::OwnVault,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const REQUESTS: &str = "/api/v1/patients/me/organization-requests";
pub const ACCOUNT: &str = "/api/v1/users/10006";

/// Tables that keep numbers of who was erased, and nothing else of them.
const BY_NUMBER: [&str; 8] = [
    "activity_day",
    "consent_event",
    "erasure",
    "legal_hold",
    "patient_organization_past",
    "retention_batch",
    "retention_lane",
    "security_finding",
];

/// Where a row is of Peter or of his account.
pub async fn rows_of_peter(world: &World) -> Vec<String> {
    let columns = "SELECT c.table_name::text, c.column_name::text FROM information_schema.columns c
                     JOIN information_schema.tables t USING (table_schema, table_name)
                    WHERE table_schema = 'public' AND t.table_type = 'BASE TABLE' AND column_name IN ('patient_id', 'user_id')";
    let mut found = Vec::new();
    for row in world.sql(columns).await {
        let (table, column): (String, String) = (row.get(0), row.get(1));
        if BY_NUMBER.contains(&table.as_str()) {
            continue;
        }
        let count = format!("SELECT count(*) FROM \"{table}\" WHERE {column} IN (40001, 10006)");
        if world.count(&count).await > 0 {
            found.push(table);
        }
    }
    for rows in ["patient WHERE id = 40001", "app_user WHERE id = 10006"] {
        if world.count(&format!("SELECT count(*) FROM {rows}")).await > 0 {
            found.push(rows.to_owned());
        }
    }
    found
}

/// Ways into Peter's account that are open.
const OPEN: &str = "SELECT (SELECT count(*) FROM oauth_grant WHERE user_id = 10006 AND revoked_at IS NULL)
                         + (SELECT count(*) FROM account_link WHERE user_id = 10006 AND used_at IS NULL)";

#[tokio::test]
async fn who_asks_twice_at_once_is_erased_once() {
    let (world, _vault) = OwnVault::world("0").await;
    let (_, told) = world.get("ll_patient_peter", OWN).await;
    let own = json!({ "confirmation": told["confirmation"] });
    let letter = json!({ "authorizationReference": "letter 7" });
    let asked = futures_util::future::join_all((0..8).map(|number| {
        if number % 2 == 0 {
            world.post("ll_patient_peter", OWN, &own)
        } else {
            world.post("admin", ON_BEHALF, &letter)
        }
    }))
    .await;
    let accepted: Vec<&Value> =
        asked.iter().filter(|(status, _)| *status == StatusCode::ACCEPTED).map(|(_, body)| body).collect();
    assert!(accepted.len() >= 4, "{asked:?}");
    assert!(accepted.iter().all(|one| one["id"] == accepted[0]["id"]), "{asked:?}");
    // Who comes late has no account any more.
    assert!(asked.iter().all(|(status, _)| [202, 401].contains(&status.as_u16())), "{asked:?}");
    assert_eq!(world.count("SELECT count(*) FROM erasure").await, 1);
    let events =
        "SELECT count(*) FROM audit_event WHERE detail ? 'erasure' AND action = 'execute' AND outcome = 'allowed'";
    assert_eq!(world.count(events).await, 1);
    // Two clocks at once, too.
    let (one, other) =
        tokio::join!(async { erase(&world.app).await }, async { erase(&world.second_process().await.0).await });
    assert_eq!(rows_of_peter(&world).await, Vec::<String>::new(), "{one} {other}");
    assert_eq!(world.count("SELECT count(*) FROM audit_event WHERE detail ? 'erasure' AND action = 'delete'").await, 1);
    assert_eq!(world.vault().tombstones().await.expect("tombstones").len(), 1);
}

#[tokio::test]
async fn nothing_that_the_patient_had_opens_anything_any_more() {
    let (world, _vault) = OwnVault::world("0").await;
    let tokens = world.tokens("ll_patient_peter").await;
    let text = |name: &str| tokens[name].as_str().expect("a token").to_owned();
    let (access, refresh) = (text("access_token"), text("refresh_token"));
    let app = world.token_of("ll_patient_peter", 1, "patient/Observation.rs").await;
    let code = world.code("ll_patient_peter").await;
    let browser = Browser::signed_in(&world, "ll_patient_peter").await;
    let (status, invitation) =
        world.post("member_megan", "/api/v1/invitation", &json!({ "patientId": PETER, "client_id": 1 })).await;
    assert_eq!(status, StatusCode::CREATED, "{invitation}");
    let invitation = invitation["token"].as_str().expect("a token").to_owned();
    let of_app = async || {
        let request = world.anonymous(Method::GET, "/FHIR/R5/Observation?patient=40001").bearer_auth(&app);
        Reply::to(request).await.status
    };
    assert!(world.accepts(&access).await);
    assert_eq!(of_app().await, StatusCode::OK);
    let opens_nothing = async |when: &str| {
        assert!(!world.accepts(&access).await, "{when}");
        assert_eq!(of_app().await, StatusCode::UNAUTHORIZED, "{when}");
        assert_eq!(world.refresh(&refresh).await.0, StatusCode::BAD_REQUEST, "{when}");
        assert_eq!(world.exchange(&code, end_to_end::browser::VERIFIER).await.0, StatusCode::BAD_REQUEST, "{when}");
        let redeemed = world.anonymous(Method::POST, &format!("/api/v1/invitation/{invitation}"));
        assert!(Reply::to(redeemed).await.status.is_client_error(), "{when}");
        let page = browser.get(&world.authorize_path().await).await;
        assert!(page.header("location").contains("/accounts/login/"), "{when}: {}", page.header("location"));
        let again = Browser::new(&world).sign_in(&email("ll_patient_peter"), standalone::demo::PASSWORD, "/").await;
        assert!(again.status == StatusCode::OK && again.text.contains("is not right"), "{when}: {}", again.status);
        let page = Browser::new(&world);
        let form = page.get("/accounts/reset/").await;
        let token = end_to_end::browser::form_token(&form);
        let address = email("ll_patient_peter");
        page.post("/accounts/reset/", &[("csrfmiddlewaretoken", &token), ("email", &address)]).await;
        assert_eq!(world.count(OPEN).await, 0, "{when}");
        // Nor does a super admin make it active again.
        let (status, said) = world.send("admin", Method::PATCH, ACCOUNT, &json!({ "isActive": true })).await;
        assert!(status.is_client_error(), "{when}: {status} {said}");
        // Nobody does it for him.
        let (status, _) =
            world.post("member_megan", "/api/v1/invitation", &json!({ "patientId": PETER, "client_id": 1 })).await;
        assert!(status.is_client_error(), "{when}");
    };
    world.sql("INSERT INTO account_link VALUES (sha256('a link'), 10006, 'reset', now() + interval '1 hour')").await;
    assert!(world.count(OPEN).await > 1);
    hold(&world, &json!({ "reason": "An order" })).await;
    ask(&world).await;
    opens_nothing("asked for, and held").await;
    assert_eq!(erase(&world.app).await["held"], 1);
    opens_nothing("held").await;
    world.sql("UPDATE legal_hold SET released_by = 10001, released_at = now()").await;
    erase(&world.app).await;
    opens_nothing("erased").await;
    assert_eq!(rows_of_peter(&world).await, Vec::<String>::new());
}

#[tokio::test]
async fn who_was_erased_may_come_again_as_somebody_else() {
    let (world, _vault) = OwnVault::world("0").await;
    let address = world.sql("SELECT email FROM app_user WHERE id = 10006").await[0].get::<_, String>(0);
    let again = json!({ "organizationId": 20003, "telecomEmail": address, "nameFamily": "Stevens", "nameGiven": "Peter",
                        "birthDate": "1980-01-01" });
    ask(&world).await;
    // The address is taken until then.
    let (status, taken) = world.post("member_megan", "/api/v1/patients", &again).await;
    assert!(status.is_client_error(), "{status} {taken}");
    erase(&world.app).await;
    let (status, made) = world.post("member_megan", "/api/v1/patients", &again).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let id = made["id"].as_i64().expect("a number");
    assert_ne!(id, i64::from(PETER));
    assert_eq!(world.count(&format!("SELECT count(*) FROM observation WHERE patient_id = {id}")).await, 0);
    assert_eq!(world.count(&format!("SELECT count(*) FROM consent_event WHERE patient_id = {id}")).await, 0);
    // What was is not theirs, and nothing of the erasure reaches them.
    let report = erase(&world.app).await;
    assert_eq!((&report["erased"], &report["again"], &report["left"]), (&json!([]), &json!(0), &json!(0)), "{report}");
    let path = format!("/api/v1/patients/{id}");
    assert_eq!(world.get("member_megan", &path).await.0, StatusCode::OK);
    // They can be erased in their turn.
    let letter = json!({ "authorizationReference": "letter 8" });
    assert_eq!(world.post("admin", &format!("{path}/erasure"), &letter).await.0, StatusCode::ACCEPTED);
    assert_eq!(erase(&world.app).await["erased"].as_array().map(Vec::len), Some(1));
    assert_eq!(world.vault().tombstones().await.expect("tombstones").len(), 2);
}

/// What lists and finds, of the patient by number, and of his organization and study.
fn queries() -> Vec<(&'static str, String)> {
    let by_number = [
        "/FHIR/R5/Patient?_id=40001",
        "/FHIR/R5/Patient?name=Steven",
        "/FHIR/R5/Observation?patient=40001",
        "/FHIR/R5/Observation?patient=40001&_summary=count",
        "/FHIR/R5/AuditEvent?patient=Patient/40001",
        "/api/v1/observations?patient_id=40001",
        "/api/v1/audit-events?patient=40001",
        "/api/v1/patients?organization_id=20003",
        "/api/v1/patients/global_lookup?email=nobody%40example.com",
    ];
    let mut paths: Vec<String> = by_number.map(str::to_owned).into();
    for route in routes().iter().filter(|route| route.method == "GET" && route.path.starts_with("/api/v1/")) {
        paths.extend(["20003", "30001"].map(|id| filled(&route.path, id)));
    }
    paths.sort_unstable();
    paths.dedup();
    ["viewer_victor", "manager_mary", "admin"]
        .iter()
        .flat_map(|user| paths.iter().map(|path| (*user, path.clone())))
        .collect()
}

/// What answers the same whether there is such a patient.
const TELLS_NOTHING: [&str; 1] = ["PATCH /api/v1/patients/{id}/global_add_organization"];

#[tokio::test]
async fn no_route_knows_the_number_of_who_is_erased_and_none_fails() {
    let (world, _vault) = OwnVault::world("0").await;
    ask(&world).await;
    for when in ["asked for", "erased"] {
        for route in routes().iter().filter(|route| route.path.contains('{')) {
            let name = format!("{} {}", route.method, route.path);
            let of_patients = route.path.contains("/patients/{") || route.path.contains("/Patient/{");
            for user in ["viewer_victor", "manager_mary", "manager_mark", "ll_patient_pamela", "admin"] {
                if !of_patients && user != "manager_mary" {
                    continue;
                }
                let request = world.request(user, method(route), &filled(&route.path, "40001")).json(&json!({}));
                let reply = Reply::to(request).await;
                let what = format!("{when}: {user} {name}: {} {}", reply.status, reply.text);
                assert!(!reply.status.is_server_error(), "{what}");
                // Until he is gone super admins find him.
                let may = when == "asked for" && user == "admin" || TELLS_NOTHING.contains(&name.as_str());
                assert!(may || !of_patients || reply.status.is_client_error(), "{what}");
                assert!(when == "asked for" && user == "admin" || !reply.text.contains("Stevens"), "{what}");
            }
        }
        for (user, path) in queries() {
            let reply = Reply::to(world.request(user, Method::GET, &path)).await;
            let what = format!("{when}: {user} {path}: {} {}", reply.status, reply.text);
            assert!(!reply.status.is_server_error(), "{what}");
            let may = when == "asked for" && user == "admin";
            assert!(may || !reply.text.contains("Stevens") && !reply.text.contains("ll_patient_peter"), "{what}");
        }
        erase(&world.app).await;
    }
    assert_eq!(world.get("admin", ACCOUNT).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn searches_and_backups_neither_wait_for_a_deletion_nor_make_it_wait() {
    const COUNTED: &str = "/FHIR/R5/Observation?patient._has:Group:member:_id=30001&_total=accurate";
    let (world, _vault) = OwnVault::world("0").await;
    let of_peter = world.get("viewer_victor", "/FHIR/R5/Observation?patient=40001&_total=accurate").await.1;
    let before = world.get("viewer_victor", COUNTED).await.1;
    let others = before["total"].as_i64().expect("a total") - of_peter["total"].as_i64().expect("a total");
    assert!(others > 0 && before["total"] != json!(others), "{before}");
    let counts = async |when: &str| {
        let (status, page) = world.get("viewer_victor", COUNTED).await;
        assert_eq!(
            (status, &page["total"], ids(&page).len()),
            (StatusCode::OK, &json!(others), usize::try_from(others).expect("few")),
            "{when}"
        );
    };
    ask(&world).await;
    counts("asked for").await;
    // Half of the deletion, which is undone again.
    let owner = world.as_owner().await;
    owner.batch_execute("BEGIN; SELECT begin_erasure(id), erase_rows(id, 1) FROM erasure").await.expect("half of it");
    counts("within it").await;
    owner.batch_execute("ROLLBACK").await.expect("undone");
    counts("after it was cut off").await;
    // A backup that is being made has a snapshot of before.
    owner.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.expect("begun");
    let stored = "SELECT count(*) FROM observation WHERE patient_id = 40001";
    let seen = owner.query_one(stored, &[]).await.expect("a count").get::<_, i64>(0);
    assert_eq!(erase(&world.app).await["erased"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (world.count(stored).await, owner.query_one(stored, &[]).await.expect("a count").get::<_, i64>(0)),
        (0, seen)
    );
    counts("erased").await;
}

#[tokio::test]
async fn a_backup_of_between_the_request_and_its_end_is_erased_when_it_is_restored() {
    let vault = OwnVault::new().await;
    let settings = [("PAYLOAD_KEYS", vault.place()), ("PAYLOAD_KEY_CACHE_SECONDS", "0".to_owned())];
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let kept = BackedUp::with(&settings).await;
    let placed = hold(&kept.world, &json!({ "reason": "An order" })).await;
    ask(&kept.world).await;
    let backup = kept.back_up().await;
    assert_eq!(kept.world.send("manager_mary", Method::DELETE, &placed, &Value::Null).await.0, StatusCode::NO_CONTENT);
    erase(&kept.world.app).await;
    let empty = Empty::new(&kept.world).await;
    kept.restore(&backup, &empty, &[]).await.expect("restored");
    let count = async |what: &str| {
        empty.texts(&format!("SELECT count(*)::text FROM {what}")).await[0].parse::<i64>().expect("a number")
    };
    assert_eq!(count("erasure WHERE patient_id = 40001 AND erased_at IS NULL").await, 1);
    // The hold of that backup keeps nothing: the key is destroyed.
    let report = erase(&kept.world.over(&empty.0.name)).await;
    assert_eq!((&report["again"], report["erased"].as_array().map(Vec::len)), (&json!(1), Some(1)), "{report}");
    for what in ["patient WHERE id = 40001", "observation WHERE patient_id = 40001", "app_user WHERE id = 10006"] {
        assert_eq!(count(what).await, 0, "{what}");
    }
    // And the backup of afterwards brings nobody back.
    let after = kept.back_up().await;
    let empty = Empty::new(&kept.world).await;
    kept.restore(&after, &empty, &[]).await.expect("restored");
    assert_eq!(empty.texts("SELECT count(*)::text FROM patient WHERE id = 40001").await, ["0"]);
    assert_eq!(erase(&kept.world.over(&empty.0.name)).await["again"], 0);
}

#[tokio::test]
async fn the_audit_verifies_by_its_command_after_an_erasure_and_finds_who_takes_more() {
    let vault = OwnVault::new().await;
    let sealed = Sealed::set(&[("PAYLOAD_KEYS", &vault.place()), ("PAYLOAD_KEY_CACHE_SECONDS", "0")]).await;
    let world = &sealed.world;
    for (patient, name) in [(40001, "Formerly"), (40002, "Another")] {
        let path = format!("/api/v1/patients/{patient}");
        let (status, answer) = world.send("member_megan", Method::PATCH, &path, &json!({ "nameFamily": name })).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    sealed.seal().await.expect("sealed");
    ask(world).await;
    erase(&world.app).await;
    sealed.seal().await.expect("sealed");
    let verified = sealed.command(&["audit", "verify"]).output().expect("run");
    let said = String::from_utf8_lossy(&verified.stdout).into_owned() + &String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success(), "{said}");
    // Nobody is named in what is left.
    let named = "SELECT count(*) FROM audit_event e WHERE e::text ~* 'stevens|formerly|ll_patient_peter'";
    assert_eq!(world.count(named).await, 0);
    // Taking out what was not erased is found: the change of another patient, and the event of the erasure.
    sealed
        .tamper("DELETE FROM audit_change c USING audit_event e WHERE e.id = c.event_id AND e.patient_ids = '{40002}'")
        .await;
    let verified = sealed.command(&["audit", "verify"]).output().expect("run");
    assert!(!verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

/// Peter asks, and Pamela does by letter.
async fn two_ask(world: &World) {
    ask(world).await;
    let letter = json!({ "authorizationReference": "letter 7" });
    assert_eq!(world.post("admin", "/api/v1/patients/40002/erasure", &letter).await.0, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_process_that_is_killed_anywhere_leaves_what_the_next_one_ends() {
    let (whole, _vault) = OwnVault::world("0").await;
    two_ask(&whole).await;
    let interrupted = Interrupted::new().await;
    let mut points = Points::of(interrupted.whole(&whole, &["erase"]).await);
    let expected = left(&whole).await;
    assert_eq!(rows_of_peter(&whole).await, Vec::<String>::new());
    drop(whole);
    while points.remain() {
        let after = points.next();
        let (world, _vault) = OwnVault::world("0").await;
        two_ask(&world).await;
        interrupted.kill(&world, &["erase"], &mut points).await;
        erase(&world.app).await;
        assert_eq!(left(&world).await, expected, "after {after}");
        assert_eq!(rows_of_peter(&world).await, Vec::<String>::new(), "after {after}");
    }
}

#[tokio::test]
async fn nobody_asks_for_somebody_else_without_being_entitled_to() {
    let (world, _vault) = OwnVault::world("0").await;
    let letter = json!({ "authorizationReference": "letter 7" });
    // The patient has the way that asks again.
    for (user, path, expected) in [
        ("ll_patient_peter", ON_BEHALF, StatusCode::FORBIDDEN),
        ("ll_patient_pamela", ON_BEHALF, StatusCode::FORBIDDEN),
        ("manager_mark", ON_BEHALF, StatusCode::NOT_FOUND),
        ("member_megan", ON_BEHALF, StatusCode::FORBIDDEN),
        ("admin", "/api/v1/patients/49999/erasure", StatusCode::NOT_FOUND),
        ("manager_mary", "/api/v1/patients/49999/erasure", StatusCode::NOT_FOUND),
    ] {
        let end = world.audit_end().await;
        let (status, answer) = world.post(user, path, &letter).await;
        assert_eq!(status, expected, "{user} {path}: {answer}");
        let event = world.audit_after(end).await.pop().expect("a record");
        assert_eq!(event.outcome, "denied", "{user} {path}");
    }
    for wrong in [
        json!({}),
        json!({ "authorizationReference": "" }),
        json!({ "authorizationReference": "x".repeat(201) }),
        json!([]),
    ] {
        let (status, answer) = world.post("admin", ON_BEHALF, &wrong).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}: {answer}");
    }
    // A manager who is none any more, and a super admin who is none any more, by the time that it is decided.
    let function = world.as_function().await;
    for acting in ["10002", "10001"] {
        world.sql("DELETE FROM organization_member WHERE practitioner_id = (SELECT id FROM practitioner WHERE user_id = 10002)").await;
        world.sql("UPDATE app_user SET is_superuser = false WHERE id = 10001").await;
        let context = format!(
            r#"{{"request_id": "r", "actor_user_id": {acting}, "actor_type": "practitioner", "action": "execute", "resource_type": "Patient"}}"#
        );
        let statement = format!("SELECT request_erasure('{context}', 40001, 'letter 7')");
        assert_eq!(function.query_one(&statement, &[]).await.expect("an answer").get::<_, String>(0), "elsewhere");
    }
    assert_eq!(world.count("SELECT count(*) FROM erasure").await, 0);
    assert_eq!(world.get("ll_patient_peter", REQUESTS).await.0, StatusCode::OK);
}

#[tokio::test]
async fn what_is_held_may_be_held_again_after_the_patient_asked() {
    let (world, _vault) = OwnVault::world("0").await;
    let body = json!({ "patientId": 40001, "reason": "A dispute" });
    let first = hold(&world, &body).await;
    ask(&world).await;
    let second = hold(&world, &body).await;
    for (hold, erased) in [(first, 0), (second, 1)] {
        assert_eq!(world.send("manager_mary", Method::DELETE, &hold, &Value::Null).await.0, StatusCode::NO_CONTENT);
        let report = erase(&world.app).await;
        assert_eq!(report["erased"].as_array().map(Vec::len), Some(erased), "{report}");
    }
}
