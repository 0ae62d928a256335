//! `jhe exposed`: who was affected between two times, and the notices that the law asks for.

use end_to_end::World;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::{collections::BTreeSet, os::unix::fs::PermissionsExt as _, path::Path};

async fn now(world: &World) -> String {
    world.sql("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')").await[0]
        .get(0)
}

fn exposed(world: &World, words: &[&str]) -> String {
    let done = world.run(&[&["exposed"], words].concat());
    assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("text")
}

fn document(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What was shown of each patient: the observations.
fn shown(document: &Value) -> Vec<(i64, BTreeSet<i64>)> {
    let patients = document["patients"].as_array().expect("patients").iter();
    patients
        .map(|patient| {
            let exposures = patient["exposures"].as_array().expect("exposures").iter();
            let ids = exposures.flat_map(|one| one["observations"].as_array().expect("ids").iter());
            (patient["patient"].as_i64().expect("a number"), ids.map(|id| id.as_i64().expect("a number")).collect())
        })
        .collect()
}

/// The observations of a patient that somebody reads.
async fn read(world: &World, user: &str, patient: i32) -> BTreeSet<i64> {
    let (status, bundle) = world.get(user, &format!("/FHIR/R5/Observation?patient={patient}")).await;
    assert_eq!(status, StatusCode::OK, "{bundle}");
    end_to_end::ids(&bundle).iter().map(|id| id.parse().expect("a number")).collect()
}

#[tokio::test]
async fn every_patient_and_observation_that_was_shown_is_listed_and_nothing_else() {
    let world = World::new().await;
    read(&world, "viewer_victor", 40001).await;
    let from = now(&world).await;
    let peters = read(&world, "viewer_victor", 40001).await;
    let pamelas = read(&world, "manager_mary", 40002).await;
    assert!(!peters.is_empty() && !pamelas.is_empty());
    // What is refused showed nothing.
    assert_eq!(world.get("manager_mark", "/FHIR/R5/Observation?patient=40001").await.0, StatusCode::FORBIDDEN);
    let to = now(&world).await;
    read(&world, "manager_mary", 40001).await;
    let between = ["--from", &from, "--to", &to];
    let all = document(&exposed(&world, &between));
    assert_eq!(shown(&all), [(40001, peters.clone()), (40002, pamelas.clone())]);
    assert_eq!(all["total"], json!({ "patients": 2, "events": 2, "observations": peters.len() + pamelas.len() }));
    let first = &all["patients"][0];
    assert_eq!((&first["exposures"][0]["user"], &first["exposures"][0]["action"]), (&json!(10004), &json!("search")));
    assert_eq!(first["exposures"][0]["organizations"], json!([20003]));
    assert_eq!(first["observations"], peters.len());
    for (words, patients) in [
        (["--user", "viewer_victor@example.com"], vec![40001]),
        (["--user", "10002"], vec![40002]),
        (["--patient", "40001"], vec![40001]),
        (["--organization", "20003"], vec![40001, 40002]),
        (["--organization", "20008"], vec![]),
        (["--client", "4"], vec![40001, 40002]),
        (["--client", "1"], vec![]),
    ] {
        let some = document(&exposed(&world, &[&between[..], &words].concat()));
        assert_eq!(shown(&some).iter().map(|(patient, _)| *patient).collect::<Vec<_>>(), patients, "{words:?}");
    }
}

#[tokio::test]
async fn what_was_only_looked_for_showed_nothing_and_what_was_counted_says_so() {
    let world = World::new().await;
    let from = now(&world).await;
    for (user, path) in [
        ("viewer_victor", "/FHIR/R5/Observation?patient=40001&date=lt1990"),
        ("viewer_victor", "/FHIR/R5/Observation?patient=40001&date=lt1990&_summary=count"),
        ("viewer_victor", "/FHIR/R5/QuestionnaireResponse?patient=40001"),
        ("viewer_victor", "/FHIR/R5/QuestionnaireResponse?patient=40001&_summary=count"),
        ("viewer_victor", "/FHIR/R5/Patient?_id=40001&family=Nobody"),
        ("manager_mary", "/api/v1/organizations/20003/audit-events?patient=40001&from=2100-01-01T00:00:00Z"),
        ("manager_mary", "/api/v1/invitation?patient_id=40002&status=redeemed"),
        ("manager_mary", "/api/v1/users/search_by_email?email=ll_patient_peter%40example.com"),
    ] {
        let (status, answer) = world.get(user, path).await;
        assert!(status == StatusCode::OK || status == StatusCode::NOT_FOUND, "{path}: {status} {answer}");
    }
    let between = ["--from", &from, "--to", "2100-01-01T00:00:00Z"];
    let nothing = document(&exposed(&world, &between));
    assert_eq!(shown(&nothing), [], "{nothing}");
    let path = "/FHIR/R5/Observation?patient=40001,40002&patient._has:Group:member:_id=30001&_summary=count&code=https://w3id.org/openmhealth|omh:heart-rate:2.0";
    let (status, answer) = world.get("viewer_victor", path).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let counted = document(&exposed(&world, &between));
    let of = |patient: &Value| (patient["patient"].clone(), patient["exposures"][0]["counted"].clone());
    let found: Vec<_> = counted["patients"].as_array().expect("patients").iter().map(of).collect();
    let total: i64 = found.iter().filter_map(|(_, counted)| counted.as_i64()).sum();
    assert!(total > 0 && answer["total"] == total, "{counted} {answer}");
    assert!(shown(&counted).iter().all(|(_, ids)| ids.is_empty()), "{counted}");
}

/// What somebody is shown of all patients whom they may read is divided among these patients' organizations.
#[tokio::test]
async fn each_organization_is_told_of_its_own_patients_only_also_of_what_a_super_admin_read() {
    let world = World::new().await;
    for (user, path, own) in [
        (
            "three_org_tom",
            "/FHIR/R5/Observation?patient=40001,40002,40003,40004,40005",
            &[
                (40001, vec![20003]),
                (40002, vec![20003]),
                (40003, vec![20007]),
                (40004, vec![20008]),
                (40005, vec![20008]),
            ][..],
        ),
        ("admin", "/FHIR/R5/Observation?patient=40001,40005", &[(40001, vec![20003]), (40005, vec![20006, 20008])]),
    ] {
        let from = now(&world).await;
        let (status, bundle) = world.get(user, path).await;
        assert_eq!(status, StatusCode::OK, "{bundle}");
        let to = now(&world).await;
        let home = tempfile::tempdir().expect("a directory");
        let directory = home.path().join("notices");
        let between = ["--from", &from, "--to", &to];
        let notices = ["--notices", directory.to_str().expect("a path")];
        let all = document(&exposed(&world, &[&between[..], &notices].concat()));
        let patients = all["patients"].as_array().expect("patients");
        let found: Vec<_> =
            patients.iter().map(|one| (one["patient"].clone(), one["exposures"][0]["organizations"].clone())).collect();
        let expected: Vec<_> = own.iter().map(|(patient, of)| (json!(patient), json!(of))).collect();
        assert_eq!(found, expected, "{user}");
        let concerned: BTreeSet<i32> = own.iter().flat_map(|(_, of)| of).copied().collect();
        for organization in [20003, 20004, 20006, 20007, 20008] {
            let of_it: Vec<i32> = own.iter().filter(|(_, of)| of.contains(&organization)).map(|(id, _)| *id).collect();
            let some = exposed(&world, &[&between[..], &["--organization", &organization.to_string()]].concat());
            let ids: Vec<i64> = of_it.iter().map(|id| i64::from(*id)).collect();
            assert_eq!(
                shown(&document(&some)).into_iter().map(|(id, _)| id).collect::<Vec<_>>(),
                ids,
                "{user} {organization}"
            );
            let name = format!("controller-{organization}.txt");
            assert_eq!(directory.join(&name).exists(), concerned.contains(&organization), "{user} {name}");
            if !of_it.is_empty() {
                let text = notice(&directory, &name);
                let ids: Vec<String> = of_it.iter().map(ToString::to_string).collect();
                assert!(text.contains(&format!("exchange: {}\n", ids.join(" "))), "{user} {name}: {text}");
                assert!(text.contains(&format!("shown: {}\n", ids.len())), "{user} {name}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn the_question_is_on_record_before_it_is_answered_and_names_are_given_only_when_asked() {
    let world = World::new().await;
    let from = now(&world).await;
    read(&world, "viewer_victor", 40001).await;
    let end = world.audit_end().await;
    let asked = ["--from", &from, "--to", "2100-01-01T00:00:00Z", "--user", "viewer_victor@example.com"];
    for format in ["json", "csv"] {
        let text = exposed(&world, &[&asked[..], &["--format", format]].concat());
        assert!(text.contains("40001") && !text.contains("Stevens") && !text.contains("@example.com"), "{text}");
        let text = exposed(&world, &[&asked[..], &["--format", format, "--contacts"]].concat());
        assert!(text.contains("Stevens") && text.contains("ll_patient_peter@example.com"), "{text}");
    }
    let events = world.audit_after(end).await;
    assert_eq!(events.len(), 4);
    for event in &events {
        let seen = (event.actor_type.as_str(), event.action.as_str(), event.resource_type.as_str());
        assert_eq!(seen, ("system", "execute", "Exposure"));
    }
    let detail: Value =
        world.sql(&format!("SELECT detail FROM audit_event WHERE id > {end} ORDER BY id DESC LIMIT 1")).await[0].get(0);
    assert_eq!((&detail["user"], &detail["contacts"]), (&json!(10004), &json!(true)), "{detail}");
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_said_is_refused() {
    let world = World::new().await;
    let end = world.audit_end().await;
    let whole = ["--from", "2026-01-01T00:00:00Z", "--to", "2100-01-01T00:00:00Z"];
    for words in [
        &["--from", "2026-01-01T00:00:00Z"][..],
        &["--from", "yesterday", "--to", "today"],
        &["--from", "2026-03-01T17:00:00Z", "--to", "2026-03-01T09:00:00Z"],
        &["--from", "2026-03-01T09:00:00Z", "--to", "2026-03-01T09:00:00Z"],
        &[&whole[..], &["--user", "nobody@example.com"]].concat(),
        &[&whole[..], &["--client", "nothing"]].concat(),
        &[&whole[..], &["--patient", "Peter"]].concat(),
        &[&whole[..], &["--format", "xml"]].concat(),
        &[&whole[..], &["--everybody", "yes"]].concat(),
        &[&whole[..], &["--patient"]].concat(),
    ] {
        let done = world.run(&[&["exposed"], words].concat());
        assert_eq!(done.status.code(), Some(1), "{words:?}");
        assert!(done.stdout.is_empty() && !done.stderr.is_empty(), "{words:?}");
    }
    assert_eq!(world.audit_after(end).await, []);
}

fn notice(directory: &Path, name: &str) -> String {
    let path = directory.join(name);
    let mode = std::fs::metadata(&path).unwrap_or_else(|error| panic!("{name}: {error}")).permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{name}");
    std::fs::read_to_string(path).expect("a notice")
}

#[tokio::test]
async fn the_notices_are_filled_in_for_each_patient_and_each_organization_and_nobody_else_reads_them() {
    let world = World::new().await;
    let from = now(&world).await;
    read(&world, "viewer_victor", 40001).await;
    assert_eq!(world.get("manager_mary", "/FHIR/R5/Patient/40002").await.0, StatusCode::OK);
    let home = tempfile::tempdir().expect("a directory");
    let directory = home.path().join("notices");
    let words = ["--from", &from, "--to", "2100-01-01T00:00:00Z", "--notices", directory.to_str().expect("a path")];
    let printed = exposed(&world, &words);
    assert!(!printed.contains("Stevens"), "names are in the letters only");
    let mut names: Vec<String> = std::fs::read_dir(&directory)
        .expect("the notices")
        .map(|entry| entry.expect("a file").file_name().into_string().expect("a name"))
        .collect();
    names.sort();
    let expected =
        ["controller-20003.txt", "hhs.txt", "patient-40001.txt", "patient-40002.txt", "supervisory-authority.txt"];
    assert_eq!(names, expected);
    let peters = notice(&directory, "patient-40001.txt");
    assert!(peters.contains("ll_patient_peter@example.com") && peters.contains("Stevens"), "{peters}");
    assert!(peters.contains("- Blood pressure") || peters.contains("- Blood Pressure"), "{peters}");
    assert!(!peters.contains("40001") && !peters.contains("122"), "neither numbers nor values: {peters}");
    let pamelas = notice(&directory, "patient-40002.txt");
    assert!(pamelas.contains("- name, date of birth"), "{pamelas}");
    let controllers = notice(&directory, "controller-20003.txt");
    assert!(controllers.contains("Lifespan Lab") && controllers.contains("40001 40002"), "{controllers}");
    for name in ["hhs.txt", "supervisory-authority.txt"] {
        let text = notice(&directory, name);
        assert!(text.contains(": 2") && !text.contains("Stevens") && !text.contains("40001"), "{name}: {text}");
    }
    let again = world.run(&[&["exposed"], &words[..]].concat());
    assert!(!again.status.success(), "somebody may have worked on them");
}

/// `jhe exposed ... | head`, with a reader who is gone before anything is written.
#[tokio::test]
async fn a_reader_who_has_enough_is_no_failure_of_any_command() {
    let world = World::new().await;
    read(&world, "viewer_victor", 40001).await;
    let home = tempfile::tempdir().expect("a directory");
    let whole = ["exposed", "--from", "2020-01-01T00:00:00Z", "--to", "2100-01-01T00:00:00Z"];
    for words in [&whole[..], &["help"], &["security-monitor"], &["retention", "report"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let done = world.command(home.path(), words).stdout(writer).output().expect("jhe is built before the tests");
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success() && !said.contains("panicked") && !said.contains("pipe"), "{words:?}: {said}");
    }
}
