//! Observations whose time is over by policy: every study that was ever given them has to let them go, nothing is held, it was announced,
//! and then they are deleted, judged again at that moment, and certified.

use end_to_end::{
    World,
    backups::contents,
    interrupted::{Interrupted, Points},
};
use reqwest::{Method, StatusCode};
use retention::{BEGINNING, FUNCTION};
use runtime::Occasion;
use serde_json::{Value, json};
use std::{collections::BTreeSet, fmt::Write as _};
use tokio_postgres::error::SqlState;

/// An organization with two studies that ask for one kind of data, and a patient who granted it to both. Of the patient's observations
/// there is one of every hundred days, the first of a hundred days ago, the tenth of a thousand.
const FIXTURE: &str = "
INSERT INTO organization (id, name, type, part_of) VALUES (29001, 'Keeper', 'team', 0);
INSERT INTO organization_member (organization_id, practitioner_id, role)
SELECT 29001, p.id, 'manager' FROM practitioner p JOIN app_user u ON u.id = p.user_id WHERE u.email ILIKE 'manager_mary@example.com';
INSERT INTO app_user (id, email, user_type) VALUES (19001, 'kept@example.com', 'patient');
INSERT INTO patient (id, user_id, name_family, name_given, birth_date, telecom_email) VALUES (49001, 19001, 'K', 'K', '1990-01-01', 'kept@example.com');
INSERT INTO patient_organization VALUES (49001, 29001);
INSERT INTO study (id, organization_id, name) VALUES (39001, 29001, 'One'), (39002, 29001, 'Two');
INSERT INTO study_scope_request (study_id, scope_id) VALUES (39001, 50001), (39002, 50001);
INSERT INTO study_patient (study_id, organization_id, patient_id) VALUES (39001, 29001, 49001), (39002, 29001, 49001);
INSERT INTO consent_event (patient_id, study_id, scope_id, decision, decided_by, request_id)
VALUES (49001, 39001, 50001, 'granted', 19001, 'x'), (49001, 39002, 50001, 'granted', 19001, 'x');
INSERT INTO observation (id, patient_id, scope_id, data_source_id, status, last_updated, effective_start, effective_end, content)
SELECT 900000 + n, 49001, 50001, 70001, 'final', t, t, t, '{}'
  FROM generate_series(1, 10) n, LATERAL (SELECT clock_timestamp() - n * interval '100 days' AS t) x;
INSERT INTO observation_identifier (patient_id, value, system, observation_id) SELECT 49001, id::text, '', id FROM observation WHERE patient_id = 49001;
";

/// All that is of the patient.
const LEFT: &str = "SELECT count(*) FROM observation WHERE patient_id = 49001";

const BY: &str = "(SELECT min(id) FROM app_user)";

pub(crate) async fn world() -> World {
    let world = World::new().await;
    world.as_owner().await.batch_execute(FIXTURE).await.expect("the fixture");
    world
}

pub(crate) async fn call(world: &World, input: Value) -> Value {
    FUNCTION.run(&world.app, &Occasion::new("retention-test", input)).await.expect("a report")
}

/// A policy: whose, and its days.
pub(crate) fn policy(organization: &str, study: &str, completion: &str, withdrawal: &str, age: &str) -> String {
    format!(
        "INSERT INTO retention_policy (organization_id, study_id, after_completion, after_withdrawal, by_age, changed_by)
         VALUES ({organization}, {study}, {completion}, {withdrawal}, {age}, {BY});"
    )
}

fn completed(study: i32, days: i32) -> String {
    format!(
        "UPDATE study SET status = 'completed', access_until = clock_timestamp() - interval '1 day' * ({days} - 30) WHERE id = {study};
         UPDATE study_end SET ended_at = clock_timestamp() - interval '{days} days' WHERE study_id = {study};"
    )
}

fn decided(study: i32, decision: &str, days: i32) -> String {
    format!(
        "INSERT INTO consent_event (patient_id, study_id, scope_id, decision, decided_by, request_id)
         VALUES (49001, {study}, 50001, '{decision}', 19001, 'x');
         UPDATE consent_current SET decided_at = clock_timestamp() - interval '{days} days' WHERE patient_id = 49001 AND study_id = {study};"
    )
}

fn left(study: i32, days: i32) -> String {
    format!(
        "DELETE FROM study_patient WHERE patient_id = 49001 AND study_id = {study};
         UPDATE enrolment_end SET ended_at = clock_timestamp() - interval '{days} days' WHERE patient_id = 49001 AND study_id = {study};"
    )
}

fn hold(kind: &str, patient: &str, study: &str) -> String {
    format!(
        "INSERT INTO legal_hold (kind, patient_id, study_id, organization_id, reason, placed_by)
         VALUES ('{kind}', {patient}, {study}, 29001, 'A dispute', {BY});"
    )
}

#[tokio::test]
async fn something_is_due_when_every_study_that_was_given_it_lets_it_go_and_nothing_holds_it() {
    let world = world().await;
    let of_all = |completion: &str, withdrawal: &str, age: &str| policy("NULL", "NULL", completion, withdrawal, age);
    let of_organization =
        |completion: &str, withdrawal: &str, age: &str| policy("29001", "NULL", completion, withdrawal, age);
    let age = of_organization("NULL", "NULL", "365");
    let cases: Vec<(&str, Vec<String>, i64)> = vec![
        ("nobody says anything", vec![], 0),
        ("by age", vec![of_all("NULL", "NULL", "365")], 7),
        ("by the age of one study's data alone", vec![policy("NULL", "39001", "NULL", "NULL", "365")], 0),
        ("by age, for the organization", vec![age.clone()], 7),
        ("the narrower policy says longer", vec![age.clone(), policy("NULL", "39001", "NULL", "NULL", "2000")], 0),
        ("the narrower policy says shorter", vec![of_organization("NULL", "NULL", "850"), policy("NULL", "39001", "NULL", "NULL", "365")], 2),
        ("what the narrower does not say, the wider says", vec![age.clone(), policy("NULL", "39001", "900", "NULL", "NULL")], 7),
        ("both have ended", vec![of_all("400", "NULL", "NULL"), completed(39001, 500), completed(39002, 500)], 10),
        ("not for long enough", vec![of_all("400", "NULL", "NULL"), completed(39001, 500), completed(39002, 390)], 0),
        ("one goes on", vec![of_all("400", "NULL", "NULL"), completed(39001, 500)], 0),
        (
            "it was promised to be kept for longer",
            vec![
                of_all("400", "NULL", "NULL"),
                completed(39001, 500),
                completed(39002, 500),
                "UPDATE study SET retention_days = 600 WHERE id = 39001;".to_owned(),
            ],
            0,
        ),
        (
            "access still lasts",
            vec![
                of_all("400", "NULL", "NULL"),
                completed(39001, 500),
                completed(39002, 500),
                "UPDATE study SET access_until = clock_timestamp() + interval '1 day' WHERE id = 39001;".to_owned(),
            ],
            0,
        ),
        (
            "their last days are over",
            vec![
                of_all("400", "NULL", "NULL"),
                "UPDATE study SET ends_on = current_date - 500, access_until = clock_timestamp() - interval '470 days' WHERE organization_id = 29001;"
                    .to_owned(),
            ],
            10,
        ),
        ("withdrawn from both", vec![of_all("NULL", "400", "NULL"), decided(39001, "withdrawn", 500), decided(39002, "withdrawn", 500)], 10),
        ("withdrawn from one", vec![of_all("NULL", "400", "NULL"), decided(39001, "withdrawn", 500)], 0),
        ("withdrawn lately", vec![of_all("NULL", "400", "NULL"), decided(39001, "withdrawn", 500), decided(39002, "withdrawn", 390)], 0),
        (
            "granted again",
            vec![
                of_all("NULL", "400", "NULL"),
                decided(39001, "withdrawn", 500),
                decided(39002, "withdrawn", 500),
                decided(39002, "granted", 0),
            ],
            0,
        ),
        ("left both", vec![of_all("NULL", "400", "NULL"), left(39001, 500), left(39002, 500)], 10),
        ("left one, and the other has ended", vec![of_all("400", "400", "NULL"), left(39001, 500), completed(39002, 500)], 10),
        ("left lately", vec![of_all("NULL", "400", "NULL"), left(39001, 500), left(39002, 300)], 0),
        (
            "the minimum was raised since",
            vec![age.clone(), "UPDATE retention_floor SET minimum_days = 650;".to_owned()],
            4,
        ),
        ("the patient is held", vec![age.clone(), hold("patient", "49001", "NULL")], 0),
        ("another patient is held", vec![age.clone(), hold("patient", "40001", "NULL")], 7),
        ("a study is held", vec![age.clone(), hold("study", "NULL", "39002")], 0),
        ("a study is held that was left", vec![age.clone(), hold("study", "NULL", "39002"), left(39002, 1)], 0),
        ("the organization is held", vec![age.clone(), hold("organization", "NULL", "NULL")], 0),
        (
            "the hold was released",
            vec![
                age.clone(),
                hold("patient", "49001", "NULL"),
                format!("UPDATE legal_hold SET released_by = {BY}, released_at = clock_timestamp();"),
            ],
            7,
        ),
    ];
    for (what, statements, expected) in cases {
        let mut client = world.as_owner().await;
        let transaction = client.transaction().await.expect("a transaction");
        for statement in &statements {
            transaction.batch_execute(statement).await.unwrap_or_else(|error| panic!("{what}: {statement}: {error:?}"));
        }
        let due = "SELECT coalesce(sum(observations), 0)::int8 FROM retention_due_lanes('{49001}')";
        let due: i64 = transaction.query_one(due, &[]).await.expect("what is due").get(0);
        assert_eq!(due, expected, "{what}");
    }
}

/// Lets the time of notices pass.
pub(crate) async fn time_passes(world: &World) {
    world
        .sql("UPDATE retention_plan SET noticed_at = noticed_at - interval '31 days', delete_after = delete_after - interval '31 days'
               WHERE noticed_at IS NOT NULL AND finished_at IS NULL")
        .await;
}

pub(crate) async fn announced() -> World {
    let world = world().await;
    world.sql(&policy("29001", "NULL", "NULL", "NULL", "365")).await;
    let done = call(&world, json!({})).await;
    assert_eq!((&done["announced"], done["of"].get("observation")), (&json!(1), None), "{done}");
    world
}

#[tokio::test]
async fn what_is_due_is_announced_first_and_then_deleted_and_certified() {
    let world = announced().await;
    assert_eq!(world.count(LEFT).await, 10);
    // Once a day, and what is announced is not announced again.
    assert_eq!(call(&world, json!({ "now": true })).await["announced"], 0);
    let others = "SELECT count(*) FROM observation WHERE patient_id <> 49001";
    let others_before = world.count(others).await;
    time_passes(&world).await;
    let end = world.audit_end().await;
    let done = call(&world, json!({})).await;
    assert_eq!((&done["of"]["observation"], &done["certified"]), (&json!(7), &json!([1])), "{done}");
    assert_eq!((world.count(LEFT).await, world.count(others).await), (3, others_before));
    for table in ["observation_identifier", "study_observation"] {
        let orphans = format!(
            "SELECT count(*) FROM {table} t WHERE NOT EXISTS (SELECT FROM observation o WHERE o.id = t.observation_id)"
        );
        assert_eq!(world.count(&orphans).await, 0, "{table}");
    }
    // On record, with the patient and what it was.
    let record = format!("SELECT count(*) FROM audit_event WHERE id > {end} AND resource_type = 'Retention' AND patient_ids = '{{49001}}'
                             AND observation_ids = ARRAY(SELECT generate_series(900004::int8, 900010)) AND actor_type = 'system' AND action = 'delete'");
    assert_eq!(world.count(&record).await, 1);
    // A stranger checks it with the key.
    let shown = call(&world, json!({ "certificate": "1", "ids": true })).await;
    let (text, key) = (shown["certificate"].as_str().expect("a text"), shown["publicKey"].as_str().expect("a key"));
    let signature = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        shown["signature"].as_str().expect("a signature"),
    );
    let signature = signature.expect("base64");
    let key = ecdsa::PublicKey::from_pem(key).expect("a key");
    assert!(key.verifies(text.as_bytes(), &signature));
    assert!(!key.verifies(text.replace('7', "8").as_bytes(), &signature));
    let facts: Value = serde_json::from_str(text.strip_prefix(BEGINNING).expect("what it is")).expect("JSON");
    assert_eq!((&facts["observations"], &facts["patients"], &facts["plan"]), (&json!(7), &json!(1), &json!(1)));
    assert_eq!(facts["by"]["policies"][0]["byAge"], 365);
    let ids: Vec<i64> = serde_json::from_value(shown["observationIds"].clone()).expect("ids");
    assert_eq!(ids, (900_004..=900_010).collect::<Vec<_>>());
    let lines = ids.iter().fold(String::new(), |lines, id| lines + &id.to_string() + "\n");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, lines.as_bytes());
    let digest = digest.as_ref().iter().fold(String::new(), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    });
    assert_eq!(facts["idsSha256"], digest);
    // It is not changed by anybody, and made once.
    world.as_owner().await.batch_execute("UPDATE retention_plan SET certificate = 'x'").await.expect_err("refused");
    assert_eq!(call(&world, json!({})).await["certified"], json!([]));
    // The same by the command.
    let printed = world.run(&["retention", "certificate", "1"]);
    let printed: Value = serde_json::from_slice(&printed.stdout).expect("JSON");
    assert_eq!(printed["certificate"], shown["certificate"]);
}

#[tokio::test]
async fn whatever_happens_between_the_notice_and_the_deletion_counts() {
    for (what, statement) in [
        ("a hold of the patient", hold("patient", "49001", "NULL")),
        ("a hold of the study", hold("study", "NULL", "39001")),
        ("another policy", "UPDATE retention_policy SET by_age = 2000".to_owned()),
        ("a policy of one study", policy("NULL", "39002", "NULL", "NULL", "2000")),
        ("none any more", "DELETE FROM retention_policy".to_owned()),
        ("another minimum", "UPDATE retention_floor SET minimum_days = 2000".to_owned()),
        (
            "a study of another organization is given it",
            "INSERT INTO patient_organization VALUES (49001, 20003); INSERT INTO study_scope_request (study_id, scope_id) VALUES (30001, 50001) ON CONFLICT DO NOTHING;
             INSERT INTO study_patient (study_id, organization_id, patient_id) VALUES (30001, 20003, 49001);
             INSERT INTO consent_event (patient_id, study_id, scope_id, decision, decided_by, request_id) VALUES (49001, 30001, 50001, 'granted', 19001, 'x')"
                .to_owned(),
        ),
    ] {
        let world = announced().await;
        time_passes(&world).await;
        world.as_owner().await.batch_execute(&statement).await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let done = call(&world, json!({})).await;
        assert_eq!((world.count(LEFT).await, done["of"].get("observation")), (10, None), "{what}: {done}");
    }
    // A longer notice counts too, and what came after the notice is not deleted by it.
    let world = announced().await;
    time_passes(&world).await;
    world.sql("UPDATE retention_floor SET notice_days = 60").await;
    assert_eq!((call(&world, json!({})).await["deleted"].as_u64(), world.count(LEFT).await), (Some(0), 10));
    world.sql("UPDATE retention_floor SET notice_days = 30").await;
    world
        .sql("INSERT INTO observation (id, patient_id, scope_id, data_source_id, status, last_updated, effective_start, effective_end, content)
              VALUES (900050, 49001, 50001, 70001, 'final', clock_timestamp(), '2001-01-01', '2001-01-01', '{}')")
        .await;
    call(&world, json!({})).await;
    assert_eq!(world.count(LEFT).await, 4);
}

#[tokio::test]
async fn a_hold_that_is_placed_while_something_is_deleted_stops_it() {
    let world = announced().await;
    time_passes(&world).await;
    let store = store::Store::new(&world.owner_config()).expect("a store");
    let context = Occasion::new("retention-test", json!({})).audit(audit::Action::Delete, "Retention");
    assert_eq!(store.delete_due(&context, 2).await.expect("a batch").deleted, 2);
    let body = json!({ "patientId": 49001, "reason": "A dispute" });
    let (status, placed) = world.post("manager_mary", "/api/v1/organizations/29001/legal-holds", &body).await;
    assert_eq!(status, StatusCode::CREATED, "{placed}");
    assert_eq!(store.delete_due(&context, 2).await.expect("a batch").deleted, 0);
    call(&world, json!({})).await;
    assert_eq!(world.count(LEFT).await, 8);
    // Released, it is announced anew.
    let released = format!("/api/v1/organizations/29001/legal-holds/{}", placed["id"]);
    assert_eq!(world.send("manager_mary", Method::DELETE, &released, &json!(null)).await.0, StatusCode::NO_CONTENT);
    let done = call(&world, json!({ "now": true })).await;
    assert_eq!((&done["announced"], world.count(LEFT).await), (&json!(1), 8));
}

#[tokio::test]
async fn only_who_deletes_by_the_policies_may_delete_and_reads_nothing() {
    let world = announced().await;
    time_passes(&world).await;
    let client = world.as_group("retention").await;
    for statement in [
        "SELECT FROM observation",
        "DELETE FROM observation",
        "SELECT FROM consent_event",
        "UPDATE retention_plan SET delete_after = 'epoch'",
        "UPDATE retention_floor SET notice_days = 1",
        "INSERT INTO retention_policy (by_age, changed_by) VALUES (365, 10001)",
        "UPDATE legal_hold SET released_at = now()",
        "SELECT email FROM app_user",
        "SELECT name_family FROM patient",
    ] {
        let error = client.batch_execute(statement).await.expect_err(statement);
        assert_eq!(error.code().map(SqlState::code), Some("42501"), "{statement}: {error:?}");
    }
    for group in ["fhir_read", "fhir_write", "identity", "people"] {
        let other = world.as_group(group).await;
        let error = other.batch_execute("SELECT retention_delete('{}', 1)").await.expect_err(group);
        assert_eq!(error.code().map(SqlState::code), Some("42501"), "{group}");
    }
    world
        .as_function()
        .await
        .batch_execute("SELECT retention_delete('{}', 1)")
        .await
        .expect_err("the functions' login");
    // With its own login, as on AWS, it does all of it; with the functions' own it says what is missing.
    let user = format!("{}_retention", std::env::var("DB_USER").expect("DB_USER"));
    let (without, _) = world.process_with(&[("DB_OWNER_USER", "")]).await;
    let refused = FUNCTION.run(&without, &Occasion::new("retention-test", json!({}))).await.expect_err("refused");
    assert!(refused.detail().contains("DB_RETENTION_USER"), "{}", refused.detail());
    let (app, _) = world.process_with(&[("DB_USER", &user), ("DB_OWNER_USER", "")]).await;
    let done = FUNCTION.run(&app, &Occasion::new("retention-test", json!({}))).await.expect("done");
    assert_eq!((&done["of"]["observation"], &done["certified"]), (&json!(7), &json!([1])), "{done}");
    let report = FUNCTION
        .run(&app, &Occasion::new("retention-test", json!({ "report": true, "patients": true })))
        .await
        .expect("a report");
    assert_eq!(report["by_policy"]["observations"], 0, "{report}");
}

#[tokio::test]
async fn the_report_changes_nothing_and_counts_by_study_kind_and_patient() {
    let world = world().await;
    world.sql(&policy("29001", "NULL", "NULL", "NULL", "365")).await;
    let before = contents(&world.owner_config()).await;
    let report = call(&world, json!({ "report": true, "patients": true })).await;
    let by_policy = &report["by_policy"];
    assert_eq!((&by_policy["observations"], &by_policy["patients"]), (&json!(7), &json!(1)), "{report}");
    let code: String = world.sql("SELECT code FROM scope WHERE id = 50001").await[0].get(0);
    assert_eq!(by_policy["studies"], json!({ "39001": { code.as_str(): 7 }, "39002": { code.as_str(): 7 } }));
    assert_eq!(
        by_policy["lanes"],
        json!([{ "patient": 49001, "code": code, "observations": 7, "studies": [39001, 39002] }])
    );
    assert!(contents(&world.owner_config()).await == before, "nothing is changed");
}

/// Observations and other resources of the patient, all long over their time: more than some batches.
const MANY: &str = "
INSERT INTO observation (id, patient_id, scope_id, data_source_id, status, last_updated, effective_start, effective_end, content)
SELECT 910000 + n, 49001, 50001, 70001, 'final', '2020-01-01', '2020-01-01', '2020-01-01', '{}' FROM generate_series(1, 1500) n;
INSERT INTO observation_identifier (patient_id, value, system, observation_id) SELECT 49001, id::text, '', id FROM observation WHERE id > 910000;
INSERT INTO auxiliary (patient_id, scope_id, source_id, last_updated, content)
SELECT 49001, 50011, s.id, '2020-01-01', '{}' FROM fhir_source s, generate_series(1, 300) n WHERE s.patient_id = 49001;
UPDATE auxiliary SET version = 2 WHERE patient_id = 49001;
DELETE FROM auxiliary WHERE patient_id = 49001 AND number % 3 = 0;
SET session_replication_role = replica;
UPDATE auxiliary_version SET ended_at = '2020-01-02' WHERE patient_id = 49001;
SET session_replication_role = origin";

#[tokio::test]
async fn killed_at_twenty_points_it_ends_as_if_it_had_not_been() {
    const ANNOUNCE: [&str; 3] = ["retention", "run", "--now"];
    const DELETE: [&str; 2] = ["retention", "run"];
    let world = world().await;
    world.sql(&policy("NULL", "NULL", "NULL", "NULL", "1100")).await;
    world.sql("INSERT INTO fhir_source (patient_id, data_source_id, label, fhir_base_url) VALUES (49001, 70005, 'F', 'https://e.example')").await;
    let (interrupted, owner) = (Interrupted::new().await, world.as_owner().await);
    let clean = contents(&world.owner_config()).await;
    owner.batch_execute(MANY).await.expect("observations");
    let mut announcing = Points::of(interrupted.whole(&world, &ANNOUNCE).await);
    time_passes(&world).await;
    let mut deleting = Points::of(interrupted.whole(&world, &DELETE).await);
    let mut rounds = 1;
    while announcing.remain() || deleting.remain() {
        rounds += 1;
        let at = (announcing.next(), deleting.next());
        owner.batch_execute(MANY).await.expect("observations");
        interrupted.kill(&world, &ANNOUNCE, &mut announcing).await;
        interrupted.whole(&world, &ANNOUNCE).await;
        assert_eq!(
            world.count("SELECT count(*) FROM retention_lane WHERE closed_at IS NULL").await,
            2,
            "announced once"
        );
        assert_eq!(
            world.count("SELECT count(*) FROM retention_plan WHERE noticed_at IS NULL AND finished_at IS NULL").await,
            0
        );
        time_passes(&world).await;
        interrupted.kill(&world, &DELETE, &mut deleting).await;
        interrupted.whole(&world, &DELETE).await;
        for (table, contents) in contents(&world.owner_config()).await {
            let differs = table.starts_with("audit") || table.starts_with("retention");
            assert!(contents == clean[&table] || differs, "at {at:?}: {table}");
        }
    }
    // Each time the same was deleted, once, and is certified once.
    let certified =
        world.sql("SELECT split_part(certificate, E'\\n', 2) FROM retention_plan WHERE certificate IS NOT NULL").await;
    let certified: Vec<Value> = certified.iter().map(|row| serde_json::from_str(row.get(0)).expect("JSON")).collect();
    assert_eq!(certified.len(), rounds);
    let digests: BTreeSet<&str> = certified.iter().filter_map(|facts| facts["idsSha256"].as_str()).collect();
    assert_eq!(digests.len(), 1, "{digests:?}");
    assert!(certified.iter().all(|facts| facts["observations"] == 1500 && facts["resources"] == 300));
    let recorded = "SELECT sum(cardinality(observation_ids))::int8 FROM audit_event WHERE resource_type = 'Retention'";
    assert_eq!(world.count(recorded).await, i64::try_from(rounds).expect("few") * 1500);
}
