//! Erasure: nothing is left that names the patient, not in backups either, whatever is cut off in between.

use crate::erasures_words::{WORDS, mark};
use end_to_end::{
    World, amending, answer,
    backups::{BackedUp, Empty},
    ids, point,
    proxy::{Direction, Proxy},
    sealed::Sealed,
    vault::OwnVault,
};
use reqwest::{Method, StatusCode};
use runtime::{App, Occasion};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio_postgres::error::SqlState;

pub const PETER: i32 = 40001;
const HOLDS: &str = "/api/v1/organizations/20003/legal-holds";
pub const OWN: &str = "/api/v1/patients/me/erasure";
pub const ON_BEHALF: &str = "/api/v1/patients/40001/erasure";
const OF_PETER: &str = "/FHIR/R5/Observation?patient=40001";
const EVERYTHING: &str = "/FHIR/R5/Patient/40001/$everything";
const LOOKUP: &str = "/api/v1/patients/global_lookup?email=ll_patient_peter%40example.com";
const OF_STUDY: &str = "/FHIR/R5/Observation?patient._has:Group:member:_id=30001";

pub async fn erase(app: &App) -> Value {
    erasure::FUNCTION.run(app, &Occasion::new("erasure-test", Value::Null)).await.expect("a report")
}

/// The patient asks for it, as they are told to.
pub async fn ask(world: &World) -> Value {
    let (status, told) = world.get("ll_patient_peter", OWN).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    let (status, accepted) =
        world.post("ll_patient_peter", OWN, &json!({ "confirmation": told["confirmation"] })).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{accepted}");
    accepted
}

#[tokio::test]
async fn a_patient_is_told_what_happens_and_has_to_say_so_again() {
    let (world, _vault) = OwnVault::world("0").await;
    let (_, told) = world.get("ll_patient_peter", OWN).await;
    assert!(
        told["erased"].as_array().is_some_and(|it| it.len() > 3)
            && told["kept"].as_array().is_some_and(|it| it.len() > 2)
    );
    let (_, of_another) = world.get("ll_patient_pamela", OWN).await;
    for wrong in [json!({}), json!({ "confirmation": "yes" }), json!({ "confirmation": of_another["confirmation"] })] {
        let (status, answer) = world.post("ll_patient_peter", OWN, &wrong).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}: {answer}");
    }
    for user in ["viewer_victor", "manager_mary", "admin"] {
        assert_eq!(world.get(user, OWN).await.0, StatusCode::FORBIDDEN, "{user}");
        assert_eq!(world.post(user, OWN, &json!({})).await.0, StatusCode::FORBIDDEN, "{user}");
    }
    assert_eq!(world.count("SELECT count(*) FROM erasure").await, 0);
    assert_eq!(ask(&world).await["patientId"], PETER);
}

/// What everybody finds of a patient who asked to be erased.
async fn finds_nothing(world: &World) {
    assert_eq!(world.get("ll_patient_peter", "/api/v1/patients/me").await.0, StatusCode::UNAUTHORIZED);
    assert_ne!(world.get("viewer_victor", OF_PETER).await.0, StatusCode::OK);
    let (status, bundle) = world.get("viewer_victor", OF_STUDY).await;
    assert_eq!(status, StatusCode::OK, "{bundle}");
    assert!(!bundle.to_string().contains("Patient/40001"), "{bundle}");
    assert_eq!(world.get("viewer_victor", "/FHIR/R5/Observation/60001").await.0, StatusCode::NOT_FOUND);
    assert_eq!(world.get("manager_mary", "/api/v1/patients/40001").await.0, StatusCode::NOT_FOUND);
    assert_eq!(world.get("viewer_victor", EVERYTHING).await.0, StatusCode::NOT_FOUND);
    assert_eq!(world.get("ll_patient_peter", EVERYTHING).await.0, StatusCode::UNAUTHORIZED);
    let (status, found) = world.get("manager_mary", LOOKUP).await;
    assert!(!found.to_string().contains("40001"), "{status} {found}");
}

#[tokio::test]
async fn from_the_request_on_nobody_finds_the_patient_and_afterwards_nothing_is_there() {
    let (world, _vault) = OwnVault::world("0").await;
    let before = ids(&world.get("viewer_victor", OF_STUDY).await.1).len();
    let of_peter = ids(&world.get("viewer_victor", OF_PETER).await.1).len();
    ask(&world).await;
    finds_nothing(&world).await;
    // Not carried out yet: it is there still, and who asks again is told the same.
    assert!(world.count("SELECT count(*) FROM observation WHERE patient_id = 40001").await > 0);
    let again = world.post("admin", ON_BEHALF, &json!({ "authorizationReference": "letter 7" })).await;
    assert_eq!((again.0, &again.1["erasedAt"]), (StatusCode::ACCEPTED, &Value::Null), "{}", again.1);
    let report = erase(&world.app).await;
    assert_eq!(report["erased"].as_array().map(Vec::len), Some(1), "{report}");
    finds_nothing(&world).await;
    for path in ["/FHIR/R5/Observation/60001", "/FHIR/R5/Patient/40001", EVERYTHING, "/api/v1/patients/40001"] {
        assert_eq!(world.get("admin", path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(ids(&world.get("viewer_victor", OF_STUDY).await.1).len(), before - of_peter);
    assert_eq!(
        world.post("admin", ON_BEHALF, &json!({ "authorizationReference": "letter 7" })).await.0,
        StatusCode::NOT_FOUND
    );
    // Lists and logs that had them are shown.
    for path in [
        "/api/v1/studies/30001/patients",
        "/api/v1/patients",
        "/api/v1/studies/30001",
        "/api/v1/organizations/20003/audit-events",
    ] {
        let (status, answer) = world.get("manager_mary", path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
    }
    assert_eq!(world.get("admin", "/api/v1/audit-events?patient=40001").await.0, StatusCode::OK);
    let done = erase(&world.app).await;
    assert_eq!((&done["erased"], &done["again"]), (&json!([]), &json!(0)), "{done}");
}

#[tokio::test]
async fn nothing_that_names_the_patient_is_left_and_what_is_left_proves_what_was() {
    let vault = OwnVault::new().await;
    let sealed = Sealed::set(&[("PAYLOAD_KEYS", &vault.place()), ("PAYLOAD_KEY_CACHE_SECONDS", "0")]).await;
    let world = &sealed.world;
    mark(world).await;
    // Its answer is kept, encrypted, for who sends it again.
    let observation = point::observation(PETER, 70001, &point::heart_rate(62, "2026-02-03T08:00:00Z"), "twice");
    let request = world.request("member_megan", Method::POST, "/FHIR/R5/Observation").header("idempotency-key", "k");
    assert_eq!(answer(request.json(&observation)).await.0, StatusCode::CREATED);
    let answers = "SELECT count(*) FROM idempotency_key WHERE answer IS NOT NULL";
    assert_eq!(world.count(answers).await, 1);
    let of_another = json!({ "telecomPhone": "555-0111" });
    let (status, answer) = world.send("member_megan", Method::PATCH, "/api/v1/patients/40002", &of_another).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let decisions = "SELECT string_agg(concat_ws(' ', id, decided_at, study_id, scope_id, decision, decided_by), ',' ORDER BY id) FROM consent_event WHERE patient_id = 40001";
    let decided: String = world.sql(decisions).await[0].get(0);
    let events = world.count("SELECT count(*) FROM audit_event WHERE patient_ids @> '{40001}'").await;
    sealed.seal().await.expect("sealed");
    ask(world).await;
    let report = erase(&world.app).await;
    for word in WORDS {
        assert_eq!(world.rows_with(word).await, 0, "{word}");
    }
    assert_eq!(world.count(answers).await, 0);
    assert_eq!(world.sql(decisions).await[0].get::<_, String>(0), decided);
    assert!(world.count("SELECT count(*) FROM audit_event WHERE patient_ids @> '{40001}'").await > events);
    // Nobody else lost anything.
    assert!(world.count("SELECT count(*) FROM observation WHERE patient_id = 40002").await > 0);
    // The audit is as it was sealed, and says that it was done: the certificate.
    sealed.seal().await.expect("sealed");
    assert_eq!(sealed.findings().await, Vec::<String>::new());
    let event = report["erased"][0]["event"].to_string();
    let proved = sealed.command(&["audit", "prove", &event]).output().expect("run");
    let text = String::from_utf8_lossy(&proved.stdout);
    assert!(
        proved.status.success() && text.contains("own_request"),
        "{text} {}",
        String::from_utf8_lossy(&proved.stderr)
    );
    // What somebody else takes out is found all the same.
    let client = world.as_owner().await;
    let refused = client.batch_execute("DELETE FROM audit_change").await.expect_err("refused");
    assert_eq!(refused.code().map(SqlState::code), Some("42501"));
}

#[tokio::test]
async fn on_behalf_of_a_patient_it_takes_a_documented_request_and_every_organization() {
    let (world, _vault) = OwnVault::world("0").await;
    let body = json!({ "authorizationReference": "letter of 2026-11-20" });
    for (user, expected) in [
        ("viewer_victor", StatusCode::FORBIDDEN),
        ("member_megan", StatusCode::FORBIDDEN),
        ("ll_patient_pamela", StatusCode::FORBIDDEN),
    ] {
        assert_eq!(world.post(user, ON_BEHALF, &body).await.0, expected, "{user}");
    }
    assert_eq!(world.post("manager_mary", "/api/v1/patients/40003/erasure", &body).await.0, StatusCode::NOT_FOUND);
    assert_eq!(world.post("manager_mary", ON_BEHALF, &json!({})).await.0, StatusCode::BAD_REQUEST);
    world.sql("INSERT INTO patient_organization VALUES (40001, 20004)").await;
    assert_eq!(world.post("manager_mary", ON_BEHALF, &body).await.0, StatusCode::FORBIDDEN);
    assert_eq!(world.count("SELECT count(*) FROM erasure").await, 0);
    world.sql("DELETE FROM patient_organization WHERE patient_id = 40001 AND organization_id = 20004").await;
    let (status, accepted) = world.post("manager_mary", ON_BEHALF, &body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{accepted}");
    finds_nothing(&world).await;
    let (status, _) = world.post("admin", "/api/v1/patients/40002/erasure", &body).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let report = erase(&world.app).await;
    assert_eq!(report["erased"].as_array().map(Vec::len), Some(2), "{report}");
    let rows = world.sql("SELECT why, authorization_reference FROM erasure ORDER BY patient_id").await;
    let why: Vec<(String, Option<String>)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(
        why,
        [
            ("request_on_behalf".to_owned(), Some("letter of 2026-11-20".to_owned())),
            ("request_on_behalf".to_owned(), Some("letter of 2026-11-20".to_owned()))
        ]
    );
}

#[tokio::test]
async fn who_left_the_last_organization_long_ago_is_erased_unless_they_join_again() {
    let (world, _vault) = OwnVault::world("0").await;
    let left = async |patient: i32| {
        world.count(&format!("SELECT count(*) FROM patient WHERE id = {patient} AND left_at IS NOT NULL")).await
    };
    world.sql("INSERT INTO patient_organization VALUES (40001, 20004)").await;
    let (status, _) =
        world.send("manager_mary", Method::DELETE, "/api/v1/patients/40001?organization_id=20003", &json!({})).await;
    assert_eq!((status, left(PETER).await), (StatusCode::NO_CONTENT, 0), "one is left");
    world.sql("DELETE FROM patient_organization WHERE patient_id = 40001").await;
    let (status, _) =
        world.send("manager_mary", Method::DELETE, "/api/v1/patients/40002?organization_id=20003", &json!({})).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!((left(PETER).await, left(40002).await), (1, 1));
    world.sql("UPDATE patient SET left_at = now() - interval '29 days' WHERE left_at IS NOT NULL").await;
    assert_eq!(erase(&world.app).await["left"], 0);
    world.sql("UPDATE patient SET left_at = now() - interval '31 days' WHERE left_at IS NOT NULL").await;
    // Who joins again stays, and starts anew when they leave.
    world.sql("INSERT INTO patient_organization VALUES (40002, 20003)").await;
    assert_eq!(left(40002).await, 0);
    let (never, _) = world.process_with(&[("ERASURE_AFTER_DAYS", "0")]).await;
    assert_eq!(erase(&never).await["left"], 0, "a deployment that erases nobody who did not ask");
    let report = erase(&world.app).await;
    assert_eq!((&report["left"], report["erased"].as_array().map(Vec::len)), (&json!(1), Some(1)), "{report}");
    assert_eq!(world.count("SELECT count(*) FROM patient WHERE id = 40001").await, 0);
    assert_eq!(world.count("SELECT count(*) FROM patient WHERE id = 40002").await, 1);
}

#[tokio::test]
async fn after_an_older_backup_is_restored_the_erased_stay_unreadable_and_are_erased_again() {
    let vault = OwnVault::new().await;
    let settings = [("PAYLOAD_KEYS", vault.place()), ("PAYLOAD_KEY_CACHE_SECONDS", "0".to_owned())];
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let kept = BackedUp::with(&settings).await;
    let backup = kept.back_up().await;
    ask(&kept.world).await;
    erase(&kept.world.app).await;
    let empty = Empty::new(&kept.world).await;
    kept.restore(&backup, &empty, &[]).await.expect("restored");
    let count = async |what: &str| {
        empty.texts(&format!("SELECT count(*)::text FROM {what}")).await[0].parse::<i64>().expect("a number")
    };
    assert_eq!(count("patient WHERE id = 40001").await, 1, "the backup is of before");
    assert!(count("observation WHERE patient_id = 40001 AND payload IS NOT NULL").await > 0);

    // Served from there, nobody reads them: not even a super admin.
    let restored = kept.world.over(&empty.0.name);
    let context = Occasion::new("read", Value::Null).audit(audit::Action::Read, "Observation");
    let store = restored.store().await.expect("a store");
    let read = store.read_observation(&context, store::Reader::Privileged, 60001).await.expect("an answer");
    assert!(matches!(read, store::ReadOutcome::Refused(_)), "{read:?}");
    let of_others =
        empty.texts("SELECT min(id)::text FROM observation WHERE patient_id = 40002").await[0].parse().expect("an id");
    let read = store.read_observation(&context, store::Reader::Privileged, of_others).await.expect("an answer");
    assert!(matches!(read, store::ReadOutcome::Found(_)), "{read:?}");

    // And what calls the clock erases them again.
    let report = erase(&restored).await;
    assert_eq!((&report["again"], report["erased"].as_array().map(Vec::len)), (&json!(1), Some(1)), "{report}");
    for what in [
        "patient WHERE id = 40001",
        "observation WHERE patient_id = 40001",
        "observation_identifier WHERE patient_id = 40001",
    ] {
        assert_eq!(count(what).await, 0, "{what}");
    }
    assert!(count("erasure WHERE why = 'own_request' AND patient_id = 40001 AND erased_at IS NOT NULL").await == 1);
    assert_eq!(erase(&restored).await["again"], 0);
}

/// What is left of Peter, and of everybody else.
pub async fn left(world: &World) -> Vec<i64> {
    let mut found = Vec::new();
    for what in [
        "patient",
        "app_user",
        "observation",
        "observation_version",
        "observation_identifier",
        "study_observation",
        "consent_current",
        "consent_event",
        "patient_organization",
        "study_patient",
        "erasure WHERE erased_at IS NOT NULL",
        "audit_event WHERE action = 'delete'",
    ] {
        found.push(world.count(&format!("SELECT count(*) FROM {what}")).await);
    }
    found.push(i64::try_from(world.vault().tombstones().await.expect("tombstones").len()).expect("few"));
    found
}

/// Cut off at any packet to or from the database, and called again, it ends as if it had not been.
async fn cut_everywhere(direction: Direction) -> usize {
    let (whole, _vault) = OwnVault::world("0").await;
    amending::correct(&whole, "ll_patient_peter", "60001").await;
    ask(&whole).await;
    erase(&whole.app).await;
    let expected = left(&whole).await;
    drop(whole);
    let mut cuts = 0;
    for packet in 0.. {
        let (world, _vault) = OwnVault::world("0").await;
        amending::correct(&world, "ll_patient_peter", "60001").await;
        ask(&world).await;
        let proxy = Proxy::start(World::database_port()).await;
        let (app, _) = world.process_with(&[("DB_PORT", &proxy.port.to_string()), ("DB_POOL_SIZE", "1")]).await;
        app.warm_up().await.expect("settings").expect("connected");
        proxy.arm(direction, packet);
        let _ = erasure::FUNCTION.run(&app, &Occasion::new("cut", Value::Null)).await;
        let was_cut = proxy.disarm(direction);
        erase(&world.app).await;
        assert_eq!(left(&world).await, expected, "{direction:?} {packet}");
        if !was_cut {
            break;
        }
        cuts += 1;
    }
    cuts
}

#[tokio::test]
async fn whatever_is_cut_off_on_the_way_the_end_is_the_same() {
    let to = cut_everywhere(Direction::ToDatabase).await;
    let from = cut_everywhere(Direction::FromDatabase).await;
    assert!(to + from >= 20, "{to} {from}");
}

#[tokio::test]
async fn without_the_vault_nothing_is_deleted_before_its_key_is_destroyed() {
    let (world, vault) = OwnVault::world("0").await;
    ask(&world).await;
    std::fs::remove_dir_all(&vault.keys).expect("removed");
    std::fs::write(&vault.keys, "no directory").expect("written");
    let occasion = Occasion::new("without", Value::Null);
    assert!(erasure::FUNCTION.run(&world.app, &occasion).await.is_err());
    assert_eq!(world.count("SELECT count(*) FROM patient WHERE id = 40001").await, 1);
}

/// Places a hold, and says where it is released.
pub async fn hold(world: &World, body: &Value) -> String {
    let (status, placed) = world.post("manager_mary", HOLDS, body).await;
    assert_eq!(status, StatusCode::CREATED, "{placed}");
    format!("{HOLDS}/{}", placed["id"])
}

#[tokio::test]
async fn a_legal_hold_keeps_what_there_is_until_it_is_released_and_then_the_clock_erases() {
    for body in [
        json!({ "patientId": PETER, "reason": "The dispute with Peter" }),
        json!({ "studyId": 30001, "reason": "An audit" }),
        json!({ "reason": "An order" }),
    ] {
        let (world, _vault) = OwnVault::world("0").await;
        let stored = "SELECT count(*) FROM observation WHERE patient_id = 40001";
        let before = world.count(stored).await;
        assert_eq!(world.get("ll_patient_peter", OWN).await.1["held"], Value::Null);
        let hold = hold(&world, &body).await;
        // The patient is told before and after.
        let (_, told) = world.get("ll_patient_peter", OWN).await;
        let accepted = ask(&world).await;
        assert!(!told["held"].as_str().is_some_and(|held| held.contains("is accepted")), "{told}");
        for said in [&told, &accepted] {
            assert!(
                said["held"]
                    .as_str()
                    .is_some_and(|held| held.contains("17(3)(b) and (e)") && held.contains("authority")),
                "{said}"
            );
        }
        // It works all the same that nobody finds them, and nothing is deleted, however often the clock calls.
        finds_nothing(&world).await;
        for _ in 0..2 {
            let report = erase(&world.app).await;
            assert_eq!((&report["erased"], &report["held"]), (&json!([]), &json!(1)), "{body}: {report}");
        }
        assert_eq!(world.count(stored).await, before, "{body}");
        assert_eq!(world.vault().tombstones().await.expect("tombstones").len(), 0, "{body}");
        // Who asks on behalf is told, too.
        let (_, again) = world.post("admin", ON_BEHALF, &json!({ "authorizationReference": "letter 7" })).await;
        assert!(again["held"].as_str().is_some_and(|held| held.starts_with("A legal hold")), "{again}");
        // Who places another one, or releases this one, sees that somebody waits.
        let (_, other) = world.post("manager_mary", HOLDS, &json!({ "patientId": 40002, "reason": "A dispute" })).await;
        let waiting = async || {
            let (_, list) = world.get("manager_mary", HOLDS).await;
            [0, 1].map(|at| list["results"][at]["erasuresWaiting"].as_i64().expect("a number"))
        };
        assert_eq!((&other["erasuresWaiting"], waiting().await), (&json!(0), [0, 1]), "{body}");
        assert_eq!(world.send("manager_mary", Method::DELETE, &hold, &Value::Null).await.0, StatusCode::NO_CONTENT);
        assert_eq!(waiting().await, [0, 0], "{body}");
        let report = erase(&world.app).await;
        assert_eq!(
            (report["erased"].as_array().map(Vec::len), &report["held"]),
            (Some(1), &json!(0)),
            "{body}: {report}"
        );
        assert_eq!((world.count(stored).await, world.rows_with("The dispute with Peter").await), (0, 0), "{body}");
        // The hold is in its list still, by number.
        let (_, list) = world.get("manager_mary", HOLDS).await;
        assert_eq!((&list["count"], &list["results"][1]["patientId"]), (&json!(2), &body["patientId"]), "{list}");
    }
}

#[tokio::test]
async fn a_hold_of_others_keeps_nothing_of_the_patient() {
    let (world, _vault) = OwnVault::world("0").await;
    for body in
        [json!({ "patientId": 40002, "reason": "A dispute" }), json!({ "studyId": 30002, "reason": "An audit" })]
    {
        hold(&world, &body).await;
    }
    world.sql("DELETE FROM consent_current WHERE patient_id = 40001 AND study_id = 30002").await;
    world.sql("DELETE FROM study_patient WHERE patient_id = 40001 AND study_id = 30002").await;
    world.sql("DELETE FROM enrolment_end WHERE patient_id = 40001 AND study_id = 30002").await;
    assert_eq!(ask(&world).await["held"], Value::Null);
    assert_eq!(erase(&world.app).await["erased"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_hold_comes_before_the_beginning_of_an_erasure_or_after_it() {
    // It is being placed while the clock calls: the call waits for it, and finds it.
    let (world, _vault) = OwnVault::world("0").await;
    ask(&world).await;
    let owner = world.as_owner().await;
    let place = "INSERT INTO legal_hold (kind, organization_id, reason, placed_by) VALUES ('organization', 20003, 'An order', 10001)";
    owner.batch_execute(&format!("BEGIN; {place}")).await.expect("placed, and not committed");
    let app = Arc::clone(&world.app);
    let call = tokio::spawn(async move { erase(&app).await });
    assert!(world.waits(&call).await, "the call did not wait for the hold");
    owner.batch_execute("COMMIT").await.expect("committed");
    assert_eq!(call.await.expect("a report")["held"], 1);
    // Once it is begun, the key may be gone: a hold that is placed then keeps nothing, and the rest follows.
    owner.batch_execute("UPDATE legal_hold SET released_by = 10001, released_at = now()").await.expect("released");
    let store = world.app.store().await.expect("a store");
    let asked = store.erasures_to_carry_out().await.expect("one");
    assert!(store.begin_erasure(&asked[0]).await.expect("an answer"));
    owner.batch_execute(place).await.expect("placed");
    assert_eq!(erase(&world.app).await["erased"].as_array().map(Vec::len), Some(1));
    // And nothing is deleted that was not begun.
    let context = Occasion::new("not-begun", Value::Null).audit(audit::Action::Delete, "Patient");
    owner.batch_execute("INSERT INTO erasure (patient_id, user_id, payload_key, why) SELECT id, user_id, payload_key, 'left' FROM patient WHERE id = 40002").await.expect("asked");
    let asked = store.erasures_to_carry_out().await.expect("one");
    assert!(store.carry_out_erasure(&context, &asked[0]).await.is_err());
    assert_eq!(world.count("SELECT count(*) FROM patient WHERE id = 40002").await, 1);
}

#[tokio::test]
async fn who_left_long_ago_and_is_held_stays_as_they_are_until_the_hold_ends() {
    let (world, _vault) = OwnVault::world("0").await;
    hold(&world, &json!({ "reason": "An order" })).await;
    world.sql("DELETE FROM patient_organization WHERE patient_id = 40001").await;
    world.sql("UPDATE patient SET left_at = now() - interval '31 days' WHERE id = 40001").await;
    let report = erase(&world.app).await;
    assert_eq!((&report["left"], &report["erased"], &report["held"]), (&json!(0), &json!([]), &json!(0)), "{report}");
    assert_eq!(world.get("ll_patient_peter", "/api/v1/patients/me").await.0, StatusCode::OK);
    world.sql("UPDATE legal_hold SET released_by = 10001, released_at = now()").await;
    assert_eq!(erase(&world.app).await["left"], 1);
}
