//! `Group/{id}/$export`: what is in the files, who gets them, and what ends it.

use end_to_end::{
    World, answer,
    interrupted::{Interrupted, Points},
    point::{blood_pressure, bundle, heart_rate, observation},
    reply::Reply,
    vault::OwnVault,
};
use reqwest::{Method, StatusCode};
use runtime::Occasion;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

pub const VICTOR: &str = "viewer_victor";
pub const PETER: &str = "ll_patient_peter";
pub const STUDY: &str = "/FHIR/R5/Group/30001/$export";
pub const RATE: &str = "omh:heart-rate:2.0";
const PRESSURE: &str = "omh:blood-pressure:4.0";

/// A world whose exports have a place of their own.
pub struct Exporting {
    /// The world.
    pub world: World,
    place: tempfile::TempDir,
}

impl Exporting {
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let place = tempfile::tempdir().expect("a directory");
        let exports = place.path().display().to_string();
        let settings: Vec<_> = settings.iter().copied().chain([("EXPORTS", exports.as_str())]).collect();
        Self { world: World::with(&settings).await, place }
    }

    /// So many observations of Peter's and of Pamela's, of two kinds.
    pub async fn upload(&self, count: i32) {
        let resources: Vec<Value> = (0..count)
            .map(|number| {
                let at = format!("2026-04-{:02}T08:00:00Z", 1 + number % 20);
                let point = if number % 3 == 0 { blood_pressure(110, &at) } else { heart_rate(60, &at) };
                observation(if number % 4 == 3 { 40002 } else { 40001 }, 70001, &point, "")
            })
            .collect();
        let (status, answer) = self.world.post("manager_mary", "/FHIR/R5", &bundle("transaction", &resources)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }

    pub async fn ask(&self, user: &str, path: &str) -> Reply {
        let request = self.world.request(user, Method::GET, path);
        Reply::to(request.header("prefer", "respond-async").header("accept", "application/fhir+json")).await
    }

    /// Asks for an export: the path of its status.
    pub async fn start(&self, path: &str) -> String {
        let reply = self.ask(VICTOR, path).await;
        assert_eq!(reply.status, StatusCode::ACCEPTED, "{}", reply.text);
        let place = reply.header("content-location");
        place.strip_prefix(&self.world.base).expect("a URL of this site").to_owned()
    }

    pub async fn run(&self) -> Value {
        export_run::FUNCTION.run(&self.world.app, &Occasion::new("exports", json!({}))).await.expect("a report")
    }

    pub async fn manifest(&self, status: &str) -> Value {
        let (code, manifest) = self.world.get(VICTOR, status).await;
        assert_eq!(code, StatusCode::OK, "{manifest}");
        manifest
    }

    pub async fn text(&self, user: &str, url: &str) -> Reply {
        let path = url.strip_prefix(&self.world.base).unwrap_or(url);
        Reply::to(self.world.request(user, Method::GET, path)).await
    }

    /// Every line of every file.
    pub async fn lines(&self, manifest: &Value) -> Vec<Value> {
        let mut lines = Vec::new();
        for file in manifest["output"].as_array().expect("files") {
            let reply = self.text(VICTOR, file["url"].as_str().expect("a URL")).await;
            assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
            assert_eq!(reply.header("content-type"), "application/fhir+ndjson");
            for line in reply.text.lines() {
                let line: Value = serde_json::from_str(line).expect("JSON");
                assert_eq!(line["resourceType"], file["type"], "{line}");
                lines.push(line);
            }
        }
        lines
    }

    /// An export from its beginning to its end.
    pub async fn export(&self, path: &str) -> (String, Value) {
        let status = self.start(path).await;
        self.run().await;
        let manifest = self.manifest(&status).await;
        (status, manifest)
    }

    pub fn objects(&self) -> Vec<String> {
        walk(self.place.path())
    }
}

fn walk(place: &Path) -> Vec<String> {
    let entries = fs::read_dir(place).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path.display().to_string()] }).collect()
}

/// Which resources these are, each once.
pub fn named(lines: &[Value]) -> BTreeSet<String> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let names: Vec<String> =
        lines.iter().map(|one| format!("{}/{}", text(&one["resourceType"]), text(&one["id"]))).collect();
    let each = names.iter().cloned().collect::<BTreeSet<_>>();
    assert_eq!(each.len(), names.len(), "each once: {names:?}");
    each
}

pub fn observations(lines: &[Value]) -> BTreeSet<String> {
    named(lines).into_iter().filter(|name| name.starts_with("Observation/")).collect()
}

/// What a search by the study finds.
pub async fn found(world: &World) -> BTreeSet<String> {
    let path = "/FHIR/R5/Observation?patient._has:Group:member:_id=30001&_count=1000";
    let (status, page) = world.get(VICTOR, path).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    let entries = page["entry"].as_array().expect("entries");
    entries.iter().map(|entry| format!("Observation/{}", entry["resource"]["id"].as_str().expect("an id"))).collect()
}

#[tokio::test]
async fn an_export_has_what_a_search_by_the_study_finds_and_says_how_far_it_is() {
    let one = Exporting::new().await;
    one.upload(40).await;
    let status = one.start(STUDY).await;
    let waiting = Reply::to(one.world.request(VICTOR, Method::GET, &status)).await;
    assert_eq!(waiting.status, StatusCode::ACCEPTED, "{}", waiting.text);
    assert_eq!((waiting.header("x-progress"), waiting.header("retry-after")), ("0 of 2 patients", "10"));
    assert_eq!(one.run().await["exports"], 1);
    let done = Reply::to(one.world.request(VICTOR, Method::GET, &status)).await;
    assert_eq!((done.status, done.header("content-type")), (StatusCode::OK, "application/json"));
    assert!(done.header("expires").ends_with(" GMT"), "{:?}", done.headers);
    let manifest = done.json();
    assert_eq!(manifest["requiresAccessToken"], true);
    assert_eq!(manifest["request"], format!("{}{STUDY}", one.world.base), "{manifest}");
    assert_eq!((&manifest["error"], &manifest["deleted"]), (&json!([]), &json!([])));
    let lines = one.lines(&manifest).await;
    assert_eq!(observations(&lines), found(&one.world).await);
    assert!(observations(&lines).len() > 40);
    let all = named(&lines);
    assert!(all.contains("Patient/40001") && all.contains("Patient/40002"), "{all:?}");
    // The decisions are those about this study.
    let consents = all.iter().filter(|name| name.starts_with("Consent/")).count();
    let made = one.world.count("SELECT count(*) FROM consent_event WHERE study_id = 30001").await;
    assert_eq!(i64::try_from(consents), Ok(made));
    // Each is as its own route shows it.
    for line in lines.iter().filter(|line| line["resourceType"] == "Observation").take(3) {
        let path = format!("/FHIR/R5/Observation/{}", line["id"].as_str().unwrap());
        assert_eq!(one.world.get(VICTOR, &path).await, (StatusCode::OK, line.clone()));
    }
}

#[tokio::test]
async fn what_is_asked_for_is_judged_by_the_study_alone() {
    let one = Exporting::new().await;
    one.upload(40).await;
    // Peter consents to nothing in this study: not even his record is in it.
    let (_, manifest) = one.export("/FHIR/R5/Group/30002/$export").await;
    let lines = one.lines(&manifest).await;
    let of: BTreeSet<&str> = lines.iter().filter_map(|line| line["subject"]["reference"].as_str()).collect();
    assert!(!of.is_empty() && of.iter().all(|who| *who == "Patient/40002"), "{of:?}");
    assert!(!named(&lines).contains("Patient/40001"));
    let codes: BTreeSet<&str> = lines
        .iter()
        .filter(|line| line["resourceType"] == "Observation")
        .filter_map(|line| line["code"]["coding"][0]["code"].as_str())
        .collect();
    assert_eq!(codes, BTreeSet::from([PRESSURE]));
}

#[tokio::test]
async fn types_and_a_time_narrow_it() {
    let one = Exporting::new().await;
    one.upload(4).await;
    let (_, manifest) = one.export(&format!("{STUDY}?_type=Patient,Consent")).await;
    let files = manifest["output"].as_array().unwrap();
    let kinds: BTreeSet<&str> = files.iter().filter_map(|file| file["type"].as_str()).collect();
    assert_eq!(kinds, BTreeSet::from(["Consent", "Patient"]));
    // A minute earlier than it was asked for.
    let asked: jiff::Timestamp = manifest["transactionTime"].as_str().unwrap().parse().unwrap();
    let since = asked + jiff::SignedDuration::from_mins(1);
    let before = found(&one.world).await;
    one.upload(8).await;
    let (_, manifest) = one.export(&format!("{STUDY}?_since={since}")).await;
    let lines = one.lines(&manifest).await;
    let new: BTreeSet<String> = found(&one.world).await.difference(&before).cloned().collect();
    assert_eq!(observations(&lines), new);
    assert_eq!(named(&lines), new, "nothing else has changed");
    let body = json!({ "resourceType": "Parameters", "parameter": [{ "name": "_type", "valueString": "Patient" }] });
    let post = || one.world.request(VICTOR, Method::POST, STUDY).header("prefer", "respond-async");
    assert_eq!(Reply::to(post().json(&body)).await.status, StatusCode::ACCEPTED);
    one.world.sql("DELETE FROM export_job").await;
    assert_eq!(Reply::to(post()).await.status, StatusCode::ACCEPTED, "no body has no parameters");
    // Those of the URL count with a body as well.
    for (query, status) in
        [("_type=Nothing", 400), ("_typeFilter=x", 400), ("patient=40001", 400), ("_type=Consent", 202)]
    {
        one.world.sql("DELETE FROM export_job").await;
        let path = format!("{STUDY}?{query}");
        let asked = one.world.request(VICTOR, Method::POST, &path).header("prefer", "respond-async").json(&body);
        assert_eq!(Reply::to(asked).await.status.as_u16(), status, "{query}");
    }
    assert_eq!(one.world.count("SELECT count(*) FROM export_job WHERE types = '{Patient,Consent}'").await, 1);
}

/// What is written while an export is asked for has an earlier time, and is seen later.
#[tokio::test]
async fn what_was_in_flight_is_in_the_next_export() {
    let one = Exporting::new().await;
    let writer = one.world.as_owner().await;
    let write = "BEGIN; INSERT INTO observation (id, patient_id, scope_id, data_source_id, status, last_updated, effective_start, effective_end, content)
                 VALUES (930001, 40001, 50002, 70001, 'final', clock_timestamp(), now(), now(), '{\"n\":1}')";
    writer.batch_execute(write).await.expect("written");
    let (_, manifest) = one.export(STUDY).await;
    let late = "Observation/930001".to_owned();
    assert!(!observations(&one.lines(&manifest).await).contains(&late));
    writer.batch_execute("COMMIT").await.expect("committed");
    let since = manifest["transactionTime"].as_str().unwrap();
    let (_, manifest) = one.export(&format!("{STUDY}?_since={since}")).await;
    assert!(observations(&one.lines(&manifest).await).contains(&late));
}

#[tokio::test]
async fn what_is_not_understood_is_refused() {
    let one = Exporting::new().await;
    for query in [
        "_typeFilter=Observation%3Fstatus%3Dfinal",
        "_type=Nothing",
        "_outputFormat=text/html",
        "_since=x",
        "patient=1",
    ] {
        one.ask(VICTOR, &format!("{STUDY}?{query}")).await.refusal(400, query);
    }
    Reply::to(one.world.request(VICTOR, Method::GET, STUDY)).await.refusal(400, "no Prefer");
    one.ask(VICTOR, "/FHIR/R5/Group/30001/$everything").await.refusal(404, "another operation");
    one.ask(VICTOR, &format!("{STUDY}/1")).await.refusal(404, "no id of an export");
    assert_eq!(one.world.count("SELECT count(*) FROM export_job").await, 0);
}

#[tokio::test]
async fn who_may_not_export_gets_nothing_and_is_on_record() {
    let one = Exporting::new().await;
    for (user, status) in [(PETER, 403), ("admin", 403), ("manager_mark", 404)] {
        one.ask(user, STUDY).await.refusal(status, user);
    }
    one.ask(VICTOR, "/FHIR/R5/Group/39999/$export").await.refusal(404, "no such study");
    let denied = "SELECT count(*) FROM audit_event WHERE outcome = 'denied' AND resource_type = 'Group'";
    assert_eq!(one.world.count(denied).await, 4);
    // Nobody else knows of an export, though they may make the same.
    let (status, manifest) = one.export(STUDY).await;
    let file = manifest["output"][0]["url"].as_str().unwrap().to_owned();
    for user in ["manager_mary", "three_org_tom", "manager_mark"] {
        one.text(user, &status).await.refusal(404, user);
        one.text(user, &file).await.refusal(404, user);
        let ended = Reply::to(one.world.request(user, Method::DELETE, &status)).await;
        ended.refusal(404, user);
    }
    assert_eq!(one.text(VICTOR, &file).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_revocation_is_honoured_while_it_runs_and_after() {
    let one = Exporting::new().await;
    one.upload(40).await;
    let status = one.start(STUDY).await;
    // Peter withdraws before he is read, Pamela after the files are there.
    one.world.decide(PETER, 40001, 30001, RATE, false).await;
    one.run().await;
    let manifest = one.manifest(&status).await;
    let lines = one.lines(&manifest).await;
    assert_eq!(observations(&lines), found(&one.world).await);
    one.world.decide("ll_patient_pamela", 40002, 30001, RATE, false).await;
    let fewer = one.lines(&manifest).await;
    assert!(fewer.len() < lines.len());
    assert_eq!(observations(&fewer), found(&one.world).await);
    // Nothing of somebody who left the study; and again when they granted again.
    one.world.sql("DELETE FROM study_patient WHERE study_id = 30001 AND patient_id = 40001").await;
    let of_pamela = one.lines(&manifest).await;
    assert!(of_pamela.iter().all(|line| !line.to_string().contains("Patient/40001")), "{of_pamela:?}");
    one.world.decide("ll_patient_pamela", 40002, 30001, RATE, true).await;
    assert!(one.lines(&manifest).await.len() > of_pamela.len());
    // Who is no member any more gets nothing.
    one.world.sql("DELETE FROM organization_member WHERE practitioner_id = 80004").await;
    one.text(VICTOR, manifest["output"][0]["url"].as_str().unwrap()).await.refusal(404, "no member");
}

#[tokio::test]
async fn every_row_is_on_record_when_it_is_written_and_when_it_is_downloaded() {
    let one = Exporting::new().await;
    one.upload(40).await;
    let ids = async |since: i64| -> BTreeSet<String> {
        let events = format!(
            "SELECT DISTINCT unnest(observation_ids) FROM audit_event WHERE id > {since} AND actor_user_id = 10004
                AND detail ->> 'operation' = 'export' AND study_ids = '{{30001}}' AND outcome = 'allowed'"
        );
        let rows = one.world.sql(&events).await;
        rows.iter().map(|row| format!("Observation/{}", row.get::<_, i64>(0))).collect()
    };
    let last = "SELECT max(id) FROM audit_event";
    let before = one.world.count(last).await;
    let (_, manifest) = one.export(STUDY).await;
    let expected = found(&one.world).await;
    assert_eq!(ids(before).await, expected);
    let before = one.world.count(last).await;
    let lines = one.lines(&manifest).await;
    assert_eq!((ids(before).await, observations(&lines)), (expected.clone(), expected));
    // Patients find it in their access log.
    let (_, log) = one.world.get(PETER, "/api/v1/patients/me/access-log").await;
    assert!(log.to_string().contains("ViewerVictor") || log.to_string().contains("10004"), "{log}");
}

#[tokio::test]
async fn what_lies_there_says_nothing_and_a_destroyed_key_takes_it_away() {
    let own = OwnVault::new().await;
    let place = own.place();
    let one = Exporting::with(&[("PAYLOAD_KEYS", &place), ("PAYLOAD_KEY_CACHE_SECONDS", "0")]).await;
    one.upload(40).await;
    let (_, manifest) = one.export(STUDY).await;
    let objects = one.objects();
    assert!(!objects.is_empty());
    for object in &objects {
        let bytes = fs::read(object).expect("an object");
        for word in ["Observation", "Stevens", "valueAttachment", "Patient/"] {
            assert!(!bytes.windows(word.len()).any(|window| window == word.as_bytes()), "{object}: {word}");
        }
    }
    for word in ["valueAttachment"] {
        assert_eq!(one.world.rows_with(word).await, 0, "{word}");
    }
    one.world.destroy_key(40001).await;
    let lines = one.lines(&manifest).await;
    assert!(!lines.is_empty() && lines.iter().all(|line| !line.to_string().contains("40001")), "{lines:?}");
}

#[tokio::test]
async fn a_part_opens_in_no_other_place() {
    let one = Exporting::new().await;
    one.upload(8).await;
    let (_, manifest) = one.export(&format!("{STUDY}?_type=Observation")).await;
    let url = manifest["output"][0]["url"].as_str().unwrap().to_owned();
    one.world.sql("UPDATE export_part SET patient_id = 40002 WHERE patient_id = 40001").await;
    // None of its rows is of that patient.
    assert!(!one.text(VICTOR, &url).await.text.contains("Patient/40001"));
    one.world.sql("UPDATE export_part SET patient_id = 40001, part = part + 10").await;
    assert_eq!(one.text(VICTOR, &url).await.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn one_runs_for_an_account_and_it_ends_when_it_is_deleted_or_its_time_is_over() {
    let one = Exporting::new().await;
    let first = one.start(STUDY).await;
    let busy = one.ask(VICTOR, STUDY).await;
    let told = busy.refusal(429, "another runs");
    assert!(told["issue"][0]["diagnostics"].as_str().expect("a text").contains("still being written"), "{told}");
    assert_eq!(busy.header("retry-after"), "60");
    let other = one.start("/FHIR/R5/Group/30002/$export").await;
    one.run().await;
    assert!(one.objects().len() > 1);
    let file = one.manifest(&first).await["output"][0]["url"].as_str().unwrap().to_owned();
    for status in [StatusCode::ACCEPTED, StatusCode::NOT_FOUND] {
        let (ended, _) = answer(one.world.request(VICTOR, Method::DELETE, &first)).await;
        assert_eq!(ended, status);
    }
    one.text(VICTOR, &first).await.refusal(404, "deleted");
    one.text(VICTOR, &file).await.refusal(404, "deleted");
    let left: BTreeSet<String> = one.objects().into_iter().collect();
    let id = other.rsplit('/').next().unwrap();
    assert!(!left.is_empty() && left.iter().all(|object| object.contains(id)), "{left:?}");
    one.world.sql("UPDATE export_job SET expires_at = clock_timestamp()").await;
    one.text(VICTOR, &other).await.refusal(404, "its time is over");
    assert_eq!(one.run().await["ended"], 1);
    assert_eq!((one.objects().len(), one.world.count("SELECT count(*) FROM export_part").await), (0, 0));
}

#[tokio::test]
async fn the_export_of_a_disabled_account_ends() {
    let one = Exporting::new().await;
    one.start(STUDY).await;
    one.world.sql("UPDATE app_user SET is_active = false WHERE id = 10004").await;
    assert_eq!(one.run().await["ended"], 1);
    assert_eq!(one.world.count("SELECT count(*) FROM export_job").await, 0);
    let recorded =
        "SELECT count(*) FROM audit_event WHERE actor_type = 'system' AND action = 'delete' AND study_ids = '{30001}'";
    assert_eq!(one.world.count(recorded).await, 1);
}

#[tokio::test]
async fn who_lost_the_export_to_another_changes_nothing() {
    let one = Exporting::new().await;
    one.upload(8).await;
    let status = one.start(STUDY).await;
    let store = one.world.app.store().await.expect("a store");
    let lease = std::time::Duration::from_mins(3);
    let job = store.claim_export(lease).await.expect("asked").expect("an export");
    assert!(store.claim_export(lease).await.expect("asked").is_none(), "nobody else takes it meanwhile");
    one.world.sql("UPDATE export_job SET held_until = clock_timestamp()").await;
    one.run().await;
    assert!(!store.advance_export(&job, job.at, &[], false, lease).await.expect("asked"));
    assert_eq!(observations(&one.lines(&one.manifest(&status).await).await), found(&one.world).await);
}

#[tokio::test]
async fn a_table_has_a_row_for_each_observation_of_a_kind() {
    let one = Exporting::new().await;
    one.upload(40).await;
    let (_, manifest) = one.export(&format!("{STUDY}?_outputFormat=text/csv")).await;
    assert_eq!(manifest["outputFormat"], "text/csv");
    assert_eq!(manifest["request"], format!("{}{STUDY}?_outputFormat=text/csv", one.world.base), "as it was asked");
    let mut rows = BTreeMap::new();
    for file in manifest["output"].as_array().unwrap() {
        let reply = one.text(VICTOR, file["url"].as_str().unwrap()).await;
        assert_eq!((reply.status, reply.header("content-type")), (StatusCode::OK, "text/csv"), "{}", reply.text);
        let head = reply.text.lines().next().unwrap();
        assert!(head.starts_with("patient_id,observation_id,"), "{head}");
        let code = file["extension"]["https://jupyterhealth.org/fhir/export/code"].as_str().unwrap();
        assert_eq!(head.contains("heart_rate.value"), code == RATE, "{code}: {head}");
        for row in reply.text.lines().skip(1) {
            assert!(row.contains(code), "{row}");
            let id = row.split(',').nth(1).unwrap();
            rows.insert(format!("Observation/{id}"), row.to_owned());
        }
    }
    assert_eq!(rows.into_keys().collect::<BTreeSet<_>>(), found(&one.world).await);
}

/// Killed at twenty points, and taken up again each time: the files have the same rows.
#[tokio::test]
async fn an_export_that_is_killed_anywhere_is_the_same_in_the_end() {
    let one = Exporting::new().await;
    one.upload(40).await;
    let interrupted = Interrupted::new().await;
    let (status, words) = (one.start(STUDY).await, ["exports"]);
    let mut points = Points::of(interrupted.whole(&one.world, &words).await);
    let expected = named(&one.lines(&one.manifest(&status).await).await);
    while points.remain() {
        let (ended, _) = answer(one.world.request(VICTOR, Method::DELETE, &status)).await;
        assert!(matches!(ended, StatusCode::ACCEPTED | StatusCode::NOT_FOUND), "{ended}");
        one.world.sql("DELETE FROM export_job").await;
        let status = one.start(STUDY).await;
        interrupted.kill(&one.world, &words, &mut points).await;
        one.world.sql("UPDATE export_job SET held_until = clock_timestamp() WHERE holder IS NOT NULL").await;
        one.run().await;
        assert_eq!(named(&one.lines(&one.manifest(&status).await).await), expected, "killed before {}", points.next());
    }
    one.world.sql("DELETE FROM export_job").await;
    one.run().await;
    assert_eq!(one.objects(), Vec::<String>::new(), "nothing is left over");
}
