//! Payloads are encrypted with a key for each patient, and the keys are not in the database.

use end_to_end::{
    World, answer, ids,
    interrupted::{Interrupted, Points},
    point,
    vault::OwnVault,
};
use reqwest::{Method, StatusCode};
use runtime::Occasion;
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, time::Duration};
use store::Encrypted;

const PETER: i32 = 40001;
const PAMELA: i32 = 40002;

/// Words of payloads that nothing else in the database has.
const WORDS: [&str; 2] = ["valueAttachment", "https://jupyterhealth.org/fhir/identifier/jhe-user-id"];

async fn upload(world: &World, identifier: &str) -> (StatusCode, Value) {
    let body = point::heart_rate(66, "2026-02-01T08:00:00Z");
    let observation = point::observation(PETER, 70001, &body, identifier);
    world.post("ll_patient_peter", "/FHIR/R5/Observation", &observation).await
}

#[tokio::test]
async fn what_is_stored_holds_no_payload_and_what_is_read_is_what_was_sent() {
    let world = World::new().await;
    let (status, stored) = upload(&world, "sealed-1").await;
    assert_eq!(status, StatusCode::CREATED, "{stored}");
    let (_, read) =
        world.get("viewer_victor", &format!("/FHIR/R5/Observation/{}", stored["id"].as_str().unwrap())).await;
    assert_eq!(read, stored);
    for word in WORDS {
        assert_eq!(world.rows_with(word).await, 0, "{word}");
    }
    // The search can fail.
    world.sql("UPDATE patient SET name_given = 'valueAttachment' WHERE id = 40001").await;
    assert_eq!(world.rows_with(WORDS[0]).await, 1);
    let clear = "SELECT count(*) FROM observation WHERE content IS NOT NULL OR payload IS NULL";
    assert_eq!(world.count(clear).await, 0);
}

#[tokio::test]
async fn a_payload_opens_in_no_other_row_and_for_no_other_patient() {
    let world = World::new().await;
    let rows = world.sql("SELECT id FROM observation WHERE patient_id = 40001 ORDER BY id").await;
    let (first, second): (i64, i64) = (rows[0].get(0), rows[1].get(0));
    let read = async |id: i64| world.get("admin", &format!("/FHIR/R5/Observation/{id}")).await.0;
    assert_eq!(read(first).await, StatusCode::OK);
    world
        .sql(&format!(
            "UPDATE observation SET payload = (SELECT payload FROM observation WHERE id = {second}) WHERE id = {first}"
        ))
        .await;
    assert_eq!((read(first).await, read(second).await), (StatusCode::INTERNAL_SERVER_ERROR, StatusCode::OK));
    world.sql(&format!("UPDATE observation SET patient_id = 40002 WHERE id = {second}")).await;
    assert_eq!(read(second).await, StatusCode::INTERNAL_SERVER_ERROR);
    // A search that meets such a one shows nothing at all.
    assert_eq!(world.get("admin", "/FHIR/R5/Observation?patient=40002").await.0, StatusCode::INTERNAL_SERVER_ERROR);
}

/// What everybody gets who asks for what the vault has the key of.
async fn everything(world: &World) -> Vec<StatusCode> {
    let mut found = Vec::new();
    for path in [
        "/FHIR/R5/Observation?patient=40001",
        "/FHIR/R5/Observation/60001",
        "/api/v1/observations?patient_id=40001",
        "/api/v1/observations/60001",
        "/FHIR/R5/Patient/40001/$everything",
    ] {
        found.push(world.get("admin", path).await.0);
    }
    found.push(upload(world, "while it was away").await.0);
    found
}

#[tokio::test]
async fn without_the_vault_nothing_is_shown_and_nothing_stored() {
    let (world, place) = OwnVault::world("0").await;
    let first = world.count("SELECT min(id) FROM observation WHERE patient_id = 40001").await;
    assert_eq!(first, 60001);
    let elsewhere = place.keys.with_extension("away");
    fs::rename(&place.keys, &elsewhere).expect("renamed");
    let before = world.count("SELECT count(*) FROM observation").await;
    assert_eq!(everything(&world).await, [StatusCode::SERVICE_UNAVAILABLE; 6]);
    assert_eq!(world.count("SELECT count(*) FROM observation").await, before);
    // No keys were made in its place, by which what is there would be lost.
    assert!(!place.keys.exists() || fs::read_dir(&place.keys).expect("a directory").count() == 0);
    let _ = fs::remove_dir(&place.keys);
    fs::rename(&elsewhere, &place.keys).expect("renamed");
    let after = everything(&world).await;
    assert!(after.iter().all(StatusCode::is_success), "{after:?}");
}

#[tokio::test]
async fn a_key_that_does_not_unwrap_is_no_reason_to_show_a_part_of_a_page() {
    let (world, place) = OwnVault::world("0").await;
    let file = place.keys.join(world.payload_key(PAMELA).await.to_string());
    let mut bytes = fs::read(&file).expect("a key");
    bytes[20] ^= 1;
    fs::write(&file, bytes).expect("written");
    let by_study = "/FHIR/R5/Observation?patient._has:Group:member:_id=30001";
    assert_eq!(world.get("viewer_victor", by_study).await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.get("viewer_victor", "/FHIR/R5/Observation?patient=40001").await.0, StatusCode::OK);
}

#[tokio::test]
async fn what_a_destroyed_key_encrypted_is_as_if_it_did_not_exist() {
    let (world, _place) = OwnVault::world("0").await;
    let by_study = "/FHIR/R5/Observation?patient._has:Group:member:_id=30001";
    let all = ids(&world.get("viewer_victor", by_study).await.1).len();
    let of_peter = ids(&world.get("viewer_victor", "/FHIR/R5/Observation?patient=40001").await.1).len();
    assert!(of_peter > 0 && all > of_peter);
    world.destroy_key(PETER).await;
    assert_eq!(ids(&world.get("viewer_victor", by_study).await.1).len(), all - of_peter);
    assert_eq!(ids(&world.get("viewer_victor", "/FHIR/R5/Observation?patient=40001").await.1), Vec::<String>::new());
    for path in ["/FHIR/R5/Observation/60001", "/api/v1/observations/60001"] {
        assert_eq!(world.get("admin", path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    let (_, list) = world.get("admin", "/api/v1/observations?patient_id=40001").await;
    assert_eq!(list["results"], json!([]));
    // Nobody uploads for them, and the key is not made again.
    assert_eq!(upload(&world, "afterwards").await.0, StatusCode::FORBIDDEN);
    assert_eq!(world.vault().tombstones().await.expect("tombstones").len(), 1);
}

/// A page of which nothing can be opened is not the last one.
#[tokio::test]
async fn pages_go_on_behind_what_cannot_be_opened() {
    let (world, _place) = OwnVault::world("0").await;
    let find = async |sort: &str| {
        let mut found = BTreeSet::new();
        let mut next = Some(format!("/FHIR/R5/Observation?patient._has:Group:member:_id=30001&_count=1&_sort={sort}"));
        while let Some(path) = next {
            let (status, bundle) = world.get("viewer_victor", &path).await;
            assert_eq!(status, StatusCode::OK, "{bundle}");
            found.extend(ids(&bundle));
            next = end_to_end::link(&world, &bundle, "next").map(str::to_owned);
        }
        found
    };
    let of_peter: BTreeSet<String> = world
        .sql("SELECT id::text FROM observation WHERE patient_id = 40001")
        .await
        .iter()
        .map(|row| row.get(0))
        .collect();
    let all = find("-_lastUpdated").await;
    world.destroy_key(PETER).await;
    let left: BTreeSet<String> = all.difference(&of_peter).cloned().collect();
    assert!(left.len() > 1 && left.len() < all.len());
    for sort in ["-_lastUpdated", "_lastUpdated", "-date", "date"] {
        assert_eq!(find(sort).await, left, "{sort}");
    }
}

#[tokio::test]
async fn everything_of_a_patient_goes_on_behind_what_cannot_be_opened() {
    let (world, _place) = OwnVault::world("0").await;
    let types = async |path: &str| {
        let (mut found, mut next) = (BTreeSet::new(), Some(path.to_owned()));
        while let Some(path) = next {
            let (status, bundle) = world.get("ll_patient_peter", &path).await;
            assert_eq!(status, StatusCode::OK, "{bundle}");
            let entries = bundle["entry"].as_array().into_iter().flatten();
            found.extend(entries.map(|entry| entry["resource"]["resourceType"].as_str().expect("a type").to_owned()));
            next = end_to_end::link(&world, &bundle, "next").map(str::to_owned);
        }
        found
    };
    let path = "/FHIR/R5/Patient/40001/$everything?_count=1";
    assert!(types(path).await.is_superset(&["Patient", "Consent", "Observation"].map(str::to_owned).into()));
    world.destroy_key(PETER).await;
    assert_eq!(types(path).await, ["Patient", "Consent"].map(str::to_owned).into());
    assert_eq!(types(&format!("{path}&_type=Observation")).await, BTreeSet::new());
}

/// Rows as the version before stored them, and their resources.
async fn in_the_clear(world: &World) -> Vec<Value> {
    let mut found = Vec::new();
    for row in world.sql("SELECT id, patient_id, payload FROM observation ORDER BY id").await {
        let (id, patient, payload): (i64, i32, Vec<u8>) = (row.get(0), row.get(1), row.get(2));
        let key = payload::key_of(&payload).expect("a payload");
        let held = world.vault().held(&BTreeSet::from([key]), std::time::Instant::now()).await.expect("a vault");
        let payload::Held::Key(key) = &held[&key] else { panic!("no key") };
        let text = payload::open(key, payload::Place::Observation { patient, id }, &payload).expect("opened");
        world
            .as_owner()
            .await
            .execute("UPDATE observation SET payload = NULL, content = $2 WHERE id = $1", &[&id, &text])
            .await
            .expect("written");
        found.push(world.get("admin", &format!("/FHIR/R5/Observation/{id}")).await.1);
    }
    found
}

#[tokio::test]
async fn what_was_stored_in_the_clear_is_encrypted_in_batches_and_reads_the_same() {
    let world = World::new().await;
    world
        .sql("INSERT INTO observation (patient_id, scope_id, data_source_id, status, last_updated, effective_start, effective_end, content)
              SELECT 40001, 50002, 70001, 'final', now(), now(), now(), '{\"n\":' || n || '}' FROM generate_series(1, 450) n")
        .await;
    let count =
        async |which: &str| world.count(&format!("SELECT count(*) FROM observation WHERE {which} IS NOT NULL")).await;
    assert_eq!(count("content").await, 450);
    // Stopped after no time at all, nothing is done and it is said.
    let owner = world.owner_config();
    let run = async |patience| {
        world.app.encrypt_payloads(&owner, Duration::ZERO, patience).await.expect("run").expect("a vault")
    };
    assert_eq!(run(Duration::ZERO).await, Encrypted { rows: 0, is_complete: false });
    assert_eq!(run(Duration::from_mins(1)).await, Encrypted { rows: 450, is_complete: true });
    assert_eq!((count("content").await, count("payload").await), (0, 459));
    assert_eq!(run(Duration::from_mins(1)).await, Encrypted { rows: 0, is_complete: true });
    let (_, last) = world.get("admin", "/FHIR/R5/Observation?patient=40001&_count=1").await;
    assert_eq!(last["entry"][0]["resource"]["n"], 450, "{last}");
}

/// Rows of the patient in the clear, more than some batches, before anybody has looked for them.
const CLEAR: &str = "
DELETE FROM observation WHERE id > 920000;
UPDATE payload_walk SET is_done = false, reached = NULL, found = false;
INSERT INTO observation (id, patient_id, scope_id, data_source_id, status, last_updated, effective_start, effective_end, content)
SELECT 920000 + n, 40001, 50002, 70001, 'final', now(), now(), now(), '{\"n\":' || n || '}' FROM generate_series(1, 450) n";

#[tokio::test]
async fn encrypting_that_is_killed_anywhere_goes_on_and_nothing_is_lost() {
    const WORDS: [&str; 2] = ["encrypt-payloads", "--now"];
    let world = World::new().await;
    let (interrupted, owner) = (Interrupted::new().await, world.as_owner().await);
    let read = async || {
        let (_, found) = world.get("admin", "/FHIR/R5/Observation?patient=40001&_count=500").await;
        let numbers = found["entry"].as_array().unwrap().iter().filter_map(|entry| entry["resource"]["n"].as_i64());
        numbers.collect::<BTreeSet<i64>>()
    };
    owner.batch_execute(CLEAR).await.expect("in the clear");
    let mut points = Points::of(interrupted.whole(&world, &WORDS).await);
    while points.remain() {
        owner.batch_execute(CLEAR).await.expect("in the clear");
        interrupted.kill(&world, &WORDS, &mut points).await;
        assert_eq!(read().await, (1..=450).collect(), "killed before {}", points.next());
        interrupted.whole(&world, &WORDS).await;
        assert_eq!(world.count("SELECT count(*) FROM observation WHERE content IS NOT NULL").await, 0);
        assert_eq!(read().await, (1..=450).collect(), "killed before {}", points.next());
    }
}

#[tokio::test]
async fn the_clock_encrypts_when_no_function_of_the_version_before_runs_and_says_so_in_the_audit() {
    let world = World::with(&[("DB_OWNER_USER", &std::env::var("DB_OWNER_USER").expect("DB_OWNER_USER"))]).await;
    in_the_clear(&world).await;
    let end = world.audit_end().await;
    let call = async |input: Value| {
        payloads_encrypt::FUNCTION.run(&world.app, &Occasion::new("encrypt", input)).await.expect("a report")
    };
    assert_eq!(call(json!({})).await, json!({ "outcome": "not yet" }));
    assert_eq!(call(json!({ "now": true })).await, json!({ "outcome": "complete", "rows": 9 }));
    assert_eq!(call(json!({})).await, json!({ "outcome": "complete", "rows": 0 }));
    let rows = world
        .sql(&format!(
            "SELECT detail::text, actor_type FROM audit_event WHERE id > {end} AND resource_type = 'Payload'"
        ))
        .await;
    let rows: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(rows, [(r#"{"rows": 9}"#.to_owned(), "system".to_owned())]);
}

#[tokio::test]
async fn rows_in_the_clear_are_read_until_they_are_encrypted() {
    let world = World::new().await;
    let before: Vec<Value> = in_the_clear(&world).await;
    let again: Vec<Value> = {
        let ran = world.app.encrypt_payloads(&world.owner_config(), Duration::ZERO, Duration::from_mins(1)).await;
        assert_eq!(ran.expect("run"), Some(Encrypted { rows: 9, is_complete: true }));
        let mut read = Vec::new();
        for one in &before {
            read.push(world.get("admin", &format!("/FHIR/R5/Observation/{}", one["id"].as_str().unwrap())).await.1);
        }
        read
    };
    assert_eq!(again, before);
    assert!(before.iter().all(|one| one["resourceType"] == "Observation"));
}

const SOURCE: &str = "/FHIR/R5/QuestionnaireResponse";

/// The versions of resources are encrypted as the resources are, and nobody changes one otherwise.
#[tokio::test]
async fn resources_and_their_versions_are_encrypted() {
    let world = World::new().await;
    let source = world
        .sql("INSERT INTO fhir_source (patient_id, data_source_id, label, fhir_base_url) VALUES (40001, 70005, 'Forms', 'https://e.example') RETURNING id")
        .await[0]
        .get::<_, i32>(0);
    for statement in [
        "INSERT INTO study_scope_request (study_id, scope_id) VALUES (30001, 50011) ON CONFLICT DO NOTHING",
        "INSERT INTO consent_event (patient_id, study_id, scope_id, decision, decided_by, request_id)
         SELECT 40001, 30001, 50011, 'granted', user_id, 'test' FROM patient WHERE id = 40001",
    ] {
        world.sql(statement).await;
    }
    let send = async |method: Method, path: String, body: Value| {
        let request = world.request("ll_patient_peter", method, &path).header("X-JHE-FHIR-Source-ID", source);
        answer(request.json(&body)).await
    };
    let resource = json!({ "resourceType": "QuestionnaireResponse", "id": "up-1", "status": "completed", "questionnaire": "https://e.example/unheard-of" });
    let (status, stored) = send(Method::POST, SOURCE.to_owned(), resource).await;
    assert_eq!(status, StatusCode::CREATED, "{stored}");
    let one = format!("{SOURCE}/{}", stored["id"].as_str().unwrap());
    let (status, changed) = send(Method::PATCH, one.clone(), json!({ "status": "amended" })).await;
    assert_eq!((status, &changed["status"]), (StatusCode::OK, &json!("amended")), "{changed}");
    assert_eq!(world.get("ll_patient_peter", &one).await.1, changed);
    assert_eq!(world.rows_with("unheard-of").await, 0);

    // As the version before stored them: read, searched and changed, and encrypted when their turn comes.
    for statement in [
        "ALTER TABLE auxiliary_version DISABLE TRIGGER auxiliary_version_immutable",
        r#"UPDATE auxiliary SET payload = NULL, content = '{"status":"completed","questionnaire":"https://e.example/unheard-of"}'"#,
        r#"UPDATE auxiliary_version SET payload = NULL, content = '{"status":"completed","questionnaire":"https://e.example/unheard-of"}'"#,
        "ALTER TABLE auxiliary_version ENABLE TRIGGER auxiliary_version_immutable",
    ] {
        world.sql(statement).await;
    }
    assert_eq!(ids(&world.get("ll_patient_peter", SOURCE).await.1).len(), 1);
    let ran =
        world.app.encrypt_payloads(&world.owner_config(), Duration::ZERO, Duration::from_mins(1)).await.expect("run");
    assert_eq!(ran, Some(Encrypted { rows: 2, is_complete: true }));
    assert_eq!(world.rows_with("unheard-of").await, 0);
    assert_eq!(world.get("ll_patient_peter", &one).await.1["status"], "completed");
    assert_eq!(world.count("SELECT count(*) FROM auxiliary_version").await, 1, "to encrypt makes no version");
    let client = world.as_owner().await;
    for statement in [
        "UPDATE auxiliary_version SET payload = '\\x00'",
        "UPDATE auxiliary_version SET payload = NULL, content = '{}'",
        "DELETE FROM auxiliary_version",
    ] {
        let error = client.batch_execute(statement).await.expect_err(statement);
        assert_eq!(error.code().map(|code| code.code().to_owned()).as_deref(), Some("42501"), "{statement}");
    }
}

/// Two statements more than without encryption would be two more round trips: a read still takes two, an upload what it took.
#[tokio::test]
async fn keys_are_asked_for_once_for_a_page_and_kept_for_a_while() {
    let (world, place) = OwnVault::world("300").await;
    let search = "/FHIR/R5/Observation?patient=40001";
    assert_eq!(world.get("viewer_victor", search).await.0, StatusCode::OK);
    // What is known is used without a look at the vault.
    fs::remove_dir_all(&place.keys).expect("removed");
    assert_eq!(world.get("viewer_victor", search).await.0, StatusCode::OK);
    assert_eq!(upload(&world, "by a key that is known").await.0, StatusCode::CREATED);
    let (_, another) = world.process_with(&[]).await;
    let fresh = reqwest::Client::new().get(format!("{another}{search}")).bearer_auth(world.token("viewer_victor"));
    assert_eq!(fresh.send().await.expect("an answer").status(), StatusCode::SERVICE_UNAVAILABLE);
}
