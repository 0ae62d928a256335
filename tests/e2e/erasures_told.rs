//! Erasure: what was asked for is done whatever else fails, no reference says who somebody was, and who calls is told how it goes.

use crate::{
    erasures::{ON_BEHALF, OWN, PETER, ask, erase},
    exports::{Exporting, STUDY},
};
use end_to_end::{World, vault::OwnVault};
use reqwest::StatusCode;
use runtime::Occasion;
use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Output, Stdio},
};

const THERE: &str = "SELECT count(*) FROM patient WHERE id = ";

/// A call that fails.
async fn fails(world: &World) {
    let call = erasure::FUNCTION.run(&world.app, &Occasion::new("erasure-test", Value::Null)).await;
    assert!(call.is_err(), "{call:?}");
}

#[tokio::test]
async fn what_was_asked_for_is_done_whatever_fails_beside_it() {
    let (world, _vault) = OwnVault::world("0").await;
    let is_there = async |patient: i32| world.count(&format!("{THERE}{patient}")).await == 1;
    let leaves = async |patient: i32| {
        world.sql(&format!("DELETE FROM patient_organization WHERE patient_id = {patient}")).await;
        world.sql(&format!("UPDATE patient SET left_at = now() - interval '31 days' WHERE id = {patient}")).await;
    };
    // There is a tombstone, which each call looks at.
    let letter = json!({ "authorizationReference": "letter 7" });
    assert_eq!(world.post("admin", "/api/v1/patients/40002/erasure", &letter).await.0, StatusCode::ACCEPTED);
    assert_eq!(erase(&world.app).await["erased"].as_array().map(Vec::len), Some(1));

    ask(&world).await;
    leaves(40004).await;
    world.sql("REVOKE EXECUTE ON FUNCTION erase_again FROM jhe_app").await;
    fails(&world).await;
    assert!(!is_there(PETER).await, "who asked is erased");
    assert!(!is_there(40004).await, "and who left");

    world.sql("GRANT EXECUTE ON FUNCTION erase_again TO jhe_app").await;
    world.sql("REVOKE EXECUTE ON FUNCTION request_erasures_of_left FROM jhe_app").await;
    assert_eq!(world.post("admin", "/api/v1/patients/40003/erasure", &letter).await.0, StatusCode::ACCEPTED);
    let home = tempfile::tempdir().expect("a directory");
    let mut command = world.command(home.path(), &["erase"]);
    let output = command.env("LOG_LEVEL", "info").env("METRICS_STAGE", "a-test").output().expect("jhe is built");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    let told = text(&output.stderr);
    assert!(told.lines().any(|line| line.contains("done before it failed") && line.contains("erasure")), "{told}");
    assert_eq!(metrics(&output)["Erased"], 1);
    assert!(!is_there(40003).await, "who left is another matter");
    world.sql("GRANT EXECUTE ON FUNCTION request_erasures_of_left TO jhe_app").await;
    let report = erase(&world.app).await;
    assert_eq!((&report["erased"], &report["left"]), (&json!([]), &json!(0)), "{report}");
}

/// What it says before it serves or ends.
fn first_words(mut command: Command) -> (String, Option<String>) {
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("jhe is built before the tests");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
    if line.is_empty() {
        let output = child.wait_with_output().expect("its end");
        assert!(!output.status.success());
        return (line, Some(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    child.kill().expect("killed");
    child.wait().expect("its end");
    (line, None)
}

#[tokio::test]
async fn a_number_that_cannot_be_read_is_refused_by_name_before_anything_is_done() {
    let world = World::new().await;
    let home = tempfile::tempdir().expect("a directory");
    for (name, value) in [
        ("ERASURE_AFTER_DAYS", "30d"),
        ("EXPORT_SECONDS", "1h"),
        ("BACKUP_KEEP_DAYS", "a month"),
        ("SECURITY_DORMANT_DAYS", "1"),
        ("SECURITY_OFFICE_HOURS", "nine to five"),
        ("RETENTION_NOTICE_DAYS", "0"),
        ("SIGNING_KEY_DAYS", "30d"),
        ("SMTP_PORT", "smtp"),
        ("DB_CONNECT_TIMEOUT", "3s"),
        ("PAYLOAD_KEY_CACHE_SECONDS", "99999"),
    ] {
        for word in ["serve", "erase"] {
            let mut command = world.command(home.path(), &[word]);
            command.env(name, value).env("PORT", "0");
            let (said, why) = first_words(command);
            let why = why.unwrap_or_else(|| panic!("{word} with {name}={value}: {said}"));
            assert!(why.contains(name), "{word}: {why}");
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The lines of a log with this message.
fn lines(output: &Output, message: &str) -> Vec<Value> {
    assert!(output.status.success(), "{} {}", text(&output.stdout), text(&output.stderr));
    let log = text(&output.stderr);
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let found: Vec<Value> = lines.filter(|line| line["message"] == message).collect();
    assert!(!found.is_empty(), "{message}: {log}");
    found
}

/// The metrics that a command printed.
fn metrics(output: &Output) -> Value {
    let printed = text(&output.stdout);
    let line = printed.lines().find(|line| line.starts_with("{\"") && line.contains("CloudWatchMetrics"));
    serde_json::from_str(line.unwrap_or_else(|| panic!("none: {printed}"))).expect("JSON")
}

#[tokio::test]
async fn who_calls_by_hand_sees_how_it_goes_and_the_figures_say_how_much_it_was() {
    let (world, _vault) = OwnVault::world("0").await;
    ask(&world).await;
    let name: String = world.sql("SELECT name_family FROM patient WHERE id = 40001").await[0].get(0);
    let home = tempfile::tempdir().expect("a directory");
    let run = |world: &World, word: &str| {
        let mut command = world.command(home.path(), &[word]);
        command.env("LOG_LEVEL", "info").env("METRICS_STAGE", "a-test").output().expect("jhe is built before the tests")
    };
    let output = run(&world, "erase");
    let told = lines(&output, "erased");
    assert!(told.iter().any(|line| line["patient"] == PETER && line["event"].is_i64()), "{told:?}");
    assert!(!text(&output.stderr).contains(&name) && !text(&output.stdout).contains(&name));
    let figures = metrics(&output);
    assert_eq!((&figures["Erased"], figures.get("ErasuresHeld")), (&json!(1), None), "{figures}");

    let one = Exporting::new().await;
    one.world
        .sql(
            r#"INSERT INTO observation (patient_id, scope_id, data_source_id, status, last_updated, effective_start, effective_end, content)
             SELECT o.patient_id, o.scope_id, o.data_source_id, o.status, o.last_updated, o.effective_start, o.effective_end,
                    '{"status":"final"}'
               FROM (SELECT * FROM observation WHERE patient_id = 40001 ORDER BY id LIMIT 1) o CROSS JOIN generate_series(1, 12000)"#,
        )
        .await;
    one.start(STUDY).await;
    let output = run(&one.world, "exports");
    let on_the_way = lines(&output, "exporting");
    assert!(on_the_way.iter().all(|line| line["rows"].as_u64() >= Some(10_000)), "{on_the_way:?}");
    let [done] = &lines(&output, "exported")[..] else { panic!("{}", text(&output.stderr)) };
    let rows = done["rows"].as_u64().expect("a count");
    assert!(rows > 12_000 && done["study"] == 30001, "{done}");
    let figures = metrics(&output);
    assert_eq!((&figures["ExportsDone"], &figures["RowsExported"]), (&json!(1), &json!(rows)), "{figures}");
}

#[tokio::test]
async fn a_reference_that_says_who_the_patient_is_is_refused() {
    let (world, _vault) = OwnVault::world("0").await;
    world.sql("UPDATE patient SET name_given = 'Zebuline', name_family = 'Quixotte', telecom_phone = '+1 555 010 0199' WHERE id = 40001").await;
    world.sql("INSERT INTO patient_identifier (patient_id, system, value) VALUES (40001, 'urn:mrn', 'MRN-4711')").await;
    for reference in [
        "letter of Zebuline Quixotte, a@example.com",
        "scan_QUIXOTTE.pdf",
        "from LL_Patient_Peter@Example.com",
        "call of 555-010-0199",
        "file mrn-4711",
    ] {
        let body = json!({ "authorizationReference": reference });
        for user in ["manager_mary", "admin"] {
            let (status, answer) = world.post(user, ON_BEHALF, &body).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{reference}: {answer}");
            let why = answer["authorizationReference"][0].as_str().unwrap_or_default();
            assert!(why.contains("outlives the patient") && !answer.to_string().contains("Quixotte"), "{answer}");
        }
        // Who may not ask learns nothing by it.
        assert_eq!(world.post("viewer_victor", ON_BEHALF, &body).await.0, StatusCode::FORBIDDEN);
    }
    assert_eq!(world.count("SELECT count(*) FROM erasure").await, 0);
    let (status, accepted) =
        world.post("manager_mary", ON_BEHALF, &json!({ "authorizationReference": "file 40001/7" })).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{accepted}");
    assert_eq!(world.rows_with("Zebuline").await, world.rows_with("Quixotte").await, "in the record alone");
}

#[tokio::test]
async fn the_patient_is_told_what_is_kept_and_super_admins_find_them_until_it_is_done() {
    let (world, _vault) = OwnVault::world("0").await;
    let (_, told) = world.get("ll_patient_peter", OWN).await;
    let kept = told["kept"].to_string();
    assert!(kept.contains("Which organizations you were with, and until when"), "{kept}");
    ask(&world).await;
    let find = async || world.get("admin", "/api/v1/patients/40001").await.0;
    assert_eq!(find().await, StatusCode::OK);
    erase(&world.app).await;
    assert_eq!(find().await, StatusCode::NOT_FOUND);
    assert!(world.count("SELECT count(*) FROM patient_organization_past WHERE patient_id = 40001").await > 0);
}
