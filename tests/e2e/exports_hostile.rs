//! `Group/{id}/$export`: people are erased, leave and lose their roles while an export runs and after, and callers ask for what they should
//! not.

use crate::exports::{Exporting, PETER, STUDY, VICTOR, found, named, observations};
use end_to_end::{
    World, answer,
    interrupted::{Interrupted, Points},
    reply::Reply,
    vault::OwnVault,
};
use reqwest::{Method, StatusCode};
use runtime::Occasion;
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs};

const VAULT: &str = "PAYLOAD_KEYS";
const FILES: &str = "SELECT count(*) FROM export_file";

/// Peter asks to be erased, and is.
async fn erase_peter(world: &World) {
    let own = "/api/v1/patients/me/erasure";
    let (_, told) = world.get(PETER, own).await;
    let (status, accepted) = world.post(PETER, own, &json!({ "confirmation": told["confirmation"] })).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{accepted}");
    let report = erasure::FUNCTION.run(&world.app, &Occasion::new("erasure", Value::Null)).await.expect("a report");
    assert_eq!(report["erased"].as_array().map(Vec::len), Some(1), "{report}");
}

/// The encrypted parts of Peter's, as they are in the archive.
async fn parts_of_peter(one: &Exporting) -> Vec<Vec<u8>> {
    let parts = "SELECT f.object::text, p.at, p.length FROM export_part p JOIN export_file f USING (job_id, number) WHERE p.patient_id = 40001";
    let objects = one.objects();
    let mut found = Vec::new();
    for row in one.world.sql(parts).await {
        let (name, at, length) = (row.get::<_, String>(0), row.get::<_, i32>(1), row.get::<_, i32>(2));
        let object = objects.iter().find(|object| object.ends_with(&name)).expect("the object");
        let range = usize::try_from(at).unwrap()..usize::try_from(at + length).unwrap();
        found.push(fs::read(object).expect("an object")[range].to_vec());
    }
    found
}

/// Whether one of the parts is in the archive still.
fn are_there(one: &Exporting, parts: &[Vec<u8>]) -> bool {
    one.objects().iter().any(|object| {
        let bytes = fs::read(object).expect("an object");
        parts.iter().any(|part| bytes.windows(part.len()).any(|window| window == part))
    })
}

#[tokio::test]
async fn of_an_erased_patient_no_byte_is_left_and_of_the_others_everything() {
    let own = OwnVault::new().await;
    let place = own.place();
    let one = Exporting::with(&[(VAULT, &place), ("PAYLOAD_KEY_CACHE_SECONDS", "0")]).await;
    one.upload(40).await;
    let (_, manifest) = one.export(STUDY).await;
    let running = one.start("/FHIR/R5/Group/30002/$export").await;
    let before = one.lines(&manifest).await;
    let parts = parts_of_peter(&one).await;
    assert!(parts.len() > 2 && are_there(&one, &parts));
    erase_peter(&one.world).await;
    // At once, before anything is written anew.
    let of_pamela: BTreeSet<String> = one.lines(&manifest).await.iter().map(ToString::to_string).collect();
    assert!(of_pamela.iter().all(|line| !line.contains("Patient/40001") && !line.contains("\"id\":\"40001\"")));
    assert_eq!(one.world.count("SELECT count(*) FROM export_part WHERE patient_id = 40001").await, 0);
    let expected: BTreeSet<String> =
        before.iter().map(ToString::to_string).filter(|line| line.contains("40002")).collect();
    assert!(!of_pamela.is_empty());
    assert_eq!(of_pamela, expected);
    let files = one.world.count(FILES).await;
    assert_eq!(one.run().await["mended"], files);
    assert!(!are_there(&one, &parts), "bytes of somebody who was erased");
    let again: BTreeSet<String> = one.lines(&manifest).await.iter().map(ToString::to_string).collect();
    assert_eq!(again, expected);
    assert_eq!(one.run().await["mended"], 0);
    assert_eq!(one.manifest(&running).await["error"], json!([]));
}

/// Killed at each packet, and taken up again: nothing of the erased is left, and all of the others.
#[tokio::test]
async fn files_that_are_written_anew_are_the_same_wherever_that_is_cut_off() {
    let own = OwnVault::new().await;
    let place = own.place();
    let one = Exporting::with(&[(VAULT, &place)]).await;
    one.upload(40).await;
    let (_, manifest) = one.export(STUDY).await;
    let parts = parts_of_peter(&one).await;
    erase_peter(&one.world).await;
    let expected = named(&one.lines(&manifest).await);
    let (interrupted, words) = (Interrupted::new().await, ["exports"]);
    let mut points = Points::of(interrupted.whole(&one.world, &words).await);
    let names = one.objects().len();
    while points.remain() {
        one.world.sql("UPDATE export_file SET torn = torn + 1").await;
        interrupted.kill(&one.world, &words, &mut points).await;
        // Whoever downloads in between gets all of it, or is told to come again.
        for file in manifest["output"].as_array().expect("files") {
            let reply = one.text(VICTOR, file["url"].as_str().expect("a URL")).await;
            assert!([StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE].contains(&reply.status), "{}", reply.text);
        }
        one.run().await;
        assert_eq!(named(&one.lines(&manifest).await), expected, "killed before {}", points.next());
        assert_eq!(one.objects().len(), names, "one object for each file");
    }
    assert!(!are_there(&one, &parts));
}

#[tokio::test]
async fn who_is_erased_while_an_export_is_written_is_in_none_of_it() {
    let own = OwnVault::new().await;
    let place = own.place();
    let one = Exporting::with(&[(VAULT, &place)]).await;
    one.upload(8).await;
    let status = one.start(STUDY).await;
    let store = one.world.app.store().await.expect("a store");
    let lease = std::time::Duration::from_mins(3);
    let job = store.claim_export(lease).await.expect("asked").expect("an export");
    let part = |patient| store::ExportPart { patient, numbers: vec![i64::from(patient)], text: "{}\n".to_owned() };
    let file = store::ExportFile { kind: "Patient".to_owned(), code: None, parts: vec![part(40001), part(40002)] };
    let sealed = store.seal_export(vec![file]).await.expect("sealed");
    erase_peter(&one.world).await;
    // What has a part of his is not taken, and the export goes on from where it was.
    assert!(!store.advance_export(&job, job.at, &sealed, false, lease).await.expect("asked"));
    assert_eq!(one.world.count(FILES).await, 0);
    one.world.sql("UPDATE export_job SET held_until = clock_timestamp()").await;
    one.run().await;
    let lines = one.lines(&one.manifest(&status).await).await;
    assert!(!lines.is_empty() && lines.iter().all(|line| !line.to_string().contains("Patient/40001")), "{lines:?}");
}

#[tokio::test]
async fn of_many_that_are_asked_for_at_once_one_runs() {
    let one = Exporting::new().await;
    let asked = futures_util::future::join_all((0..8).map(|_| one.ask(VICTOR, STUDY))).await;
    let mut statuses: Vec<u16> = asked.iter().map(|reply| reply.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![202], vec![429; 7]].concat());
    assert_eq!(one.world.count("SELECT count(*) FROM export_job").await, 1);
}

#[tokio::test]
async fn preferences_decide_about_what_is_not_known_and_not_about_what_would_narrow() {
    let one = Exporting::new().await;
    let ask = async |query: &str, prefer: &str| {
        one.world.sql("DELETE FROM export_job").await;
        let path = format!("{STUDY}?{query}");
        Reply::to(one.world.request(VICTOR, Method::GET, &path).header("prefer", prefer)).await
    };
    for (query, prefer, status) in [
        ("includeAssociatedData=LatestProvenanceResources", "respond-async", 202),
        ("includeAssociatedData=LatestProvenanceResources", "respond-async, handling=lenient", 202),
        ("includeAssociatedData=LatestProvenanceResources", "respond-async, handling=strict", 400),
        ("_type=Observation", "respond-async, handling=strict", 202),
        ("_type=Observation,Starship", "respond-async, handling=lenient", 400),
        ("_type=", "respond-async", 400),
        ("_typeFilter=Observation%3Fcode%3Dx", "respond-async, handling=lenient", 400),
        ("_elements=id", "respond-async, handling=lenient", 400),
        ("patient=Patient/40001", "respond-async, handling=lenient", 400),
        ("_since=2026-13-01", "respond-async, handling=lenient", 400),
        ("_since=2026-01-01T00:00:00Z&_since=2027-01-01T00:00:00Z", "respond-async", 400),
        ("_outputFormat=application/xml", "respond-async, handling=lenient", 400),
        ("_type=Observation", "handling=lenient", 400),
        ("_type=Observation", "return=minimal", 400),
    ] {
        let reply = ask(query, prefer).await;
        assert_eq!(reply.status.as_u16(), status, "{query} {prefer}: {}", reply.text);
        assert!(status == 202 || reply.json()["resourceType"] == "OperationOutcome", "{}", reply.text);
    }
}

#[tokio::test]
async fn one_that_gets_no_further_is_given_up_and_that_is_on_record() {
    let one = Exporting::new().await;
    let status = one.start(STUDY).await;
    one.world.sql("UPDATE export_job SET attempts = 1000").await;
    one.run().await;
    one.text(VICTOR, &status).await.refusal(500, "given up");
    let records =
        "SELECT count(*) FROM audit_event WHERE outcome = 'failed' AND action = 'execute' AND study_ids = '{30001}'
                      AND detail->>'operation' = 'export'";
    assert_eq!(one.world.count(records).await, 1);
    one.run().await;
    assert_eq!(one.world.count(records).await, 1, "once");
    // Another may be asked for.
    one.start(STUDY).await;
}

#[tokio::test]
async fn who_loses_the_role_gets_nothing_more_and_may_end_it() {
    let one = Exporting::new().await;
    one.upload(8).await;
    let (done, manifest) = one.export(STUDY).await;
    let running = one.start(STUDY).await;
    one.world.sql("DELETE FROM organization_member WHERE practitioner_id = 80004 AND organization_id = 20003").await;
    let file = manifest["output"][0]["url"].as_str().expect("a URL");
    for path in [done.as_str(), running.as_str(), file] {
        one.text(VICTOR, path).await.refusal(404, path);
    }
    // The one that runs comes to its end with nothing in it.
    let before = one.world.count(FILES).await;
    one.run().await;
    assert_eq!(one.world.count(FILES).await, before);
    let (ended, _) = answer(one.world.request(VICTOR, Method::DELETE, &done)).await;
    assert_eq!((ended, one.objects()), (StatusCode::ACCEPTED, Vec::new()));
}

#[tokio::test]
async fn who_leaves_the_study_is_in_no_download_and_who_joins_later_in_no_file() {
    let one = Exporting::new().await;
    one.upload(20).await;
    let (_, manifest) = one.export(STUDY).await;
    one.world.sql("DELETE FROM study_patient WHERE study_id = 30001 AND patient_id = 40001").await;
    let without = one.lines(&manifest).await;
    assert_eq!(observations(&without), found(&one.world).await);
    assert!(!named(&without).contains("Patient/40001") && !without.is_empty());
    // What came later is in the next export.
    one.upload(20).await;
    assert_eq!(named(&one.lines(&manifest).await), named(&without));
}

#[tokio::test]
async fn no_name_of_a_file_leads_elsewhere() {
    let one = Exporting::new().await;
    one.upload(8).await;
    let (status, manifest) = one.export(STUDY).await;
    let other = manifest["output"].as_array().expect("files").iter().map(|file| file["url"].as_str().expect("a URL"));
    let name = other
        .clone()
        .find(|url| url.contains("Observation-"))
        .expect("observations")
        .rsplit('/')
        .next()
        .expect("a name");
    let number = name.trim_start_matches("Observation-").trim_end_matches(".ndjson");
    for wrong in [
        // The scopes of a token are those of the type in the name.
        format!("Patient-{number}.ndjson"),
        format!("Observation-{number}.csv"),
        format!("Observation-{number}.parquet"),
        format!("Observation-0{number}.ndjson"),
        format!("Observation-+{number}.ndjson"),
        "Observation-99999999999.ndjson".to_owned(),
        "Observation.ndjson".to_owned(),
        format!("Observation-{number}.exe"),
        "..%2F..%2Fetc%2Fpasswd".to_owned(),
    ] {
        one.text(VICTOR, &format!("{status}/{wrong}")).await.refusal(404, &wrong);
    }
    let elsewhere = status.replace("30001", "30002");
    one.text(VICTOR, &elsewhere).await.refusal(404, "another study");
    one.text(VICTOR, &format!("{elsewhere}/{name}")).await.refusal(404, "another study");
    one.text(VICTOR, &status.to_uppercase().replace("/FHIR/R5/GROUP", "/FHIR/R5/Group").replace("$EXPORT", "$export"))
        .await
        .refusal(404, "the id as nobody wrote it");
}

/// The public client: it has what its scopes say.
const SCOPED: i32 = 4;

#[tokio::test]
async fn a_token_exports_what_its_scopes_open_and_another_client_knows_nothing_of_it() {
    let one = Exporting::new().await;
    one.upload(8).await;
    let ask = async |token: &str, path: &str| {
        let path = path.strip_prefix(&one.world.base).unwrap_or(path);
        Reply::to(one.world.anonymous(Method::GET, path).bearer_auth(token).header("prefer", "respond-async")).await
    };
    let token = async |scope: &str| one.world.token_of(VICTOR, SCOPED, &format!("openid {scope}")).await;
    for scope in ["user/Observation.rs", "user/Group.s user/Observation.rs", "patient/*.rs", "user/Group.r"] {
        ask(&token(scope).await, STUDY).await.refusal(403, scope);
    }
    let narrow = token("user/Group.r user/Observation.s").await;
    ask(&narrow, &format!("{STUDY}?_type=Patient")).await.refusal(403, "a type that the token does not open");
    let started = ask(&narrow, STUDY).await;
    assert_eq!(started.status, StatusCode::ACCEPTED, "{}", started.text);
    let status = started.header("content-location").to_owned();
    one.run().await;
    let manifest = ask(&narrow, &status).await.json();
    let files = manifest["output"].as_array().expect("files");
    assert!(!files.is_empty() && files.iter().all(|file| file["type"] == "Observation"), "{manifest}");
    let file = files[0]["url"].as_str().expect("a URL");
    assert_eq!(ask(&narrow, file).await.status, StatusCode::OK);
    ask(&token("user/Group.r user/Patient.s").await, file).await.refusal(403, "a file of a type that it does not open");
    // Another client of the same account.
    one.world
        .sql("UPDATE export_job j SET client_id = (SELECT min(c.id) FROM oauth_client c WHERE c.id <> j.client_id)")
        .await;
    for path in [status.as_str(), file] {
        ask(&narrow, path).await.refusal(404, path);
    }
}
