//! A host with the private PostgreSQL: the database that `DB_NAME` names, what is restored there, and what its site is called.

use end_to_end::private::Private;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Output,
};

const OWN: &str = "/api/v1/patients/me/erasure";
const OF_STUDY: &str = "/FHIR/R5/Observation?patient._has:Group:member:_id=30001";

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What a command reports that succeeds.
fn report(output: &Output) -> Value {
    assert!(output.status.success(), "{}", said(output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(output)))
}

/// A call of the host with a user's token of the demo world.
async fn call(base: &str, demo: &Value, user: &str, path: &str, body: Option<&Value>) -> (StatusCode, Value) {
    let token = demo["users"][user]["access_token"].as_str().expect("a token");
    let client = reqwest::Client::new();
    let request = match body {
        Some(body) => {
            client.post(format!("{base}{path}")).body(body.to_string()).header("content-type", "application/json")
        }
        None => client.get(format!("{base}{path}")),
    };
    let answer = request.bearer_auth(token).send().await.expect("an answer");
    let status = answer.status();
    (status, serde_json::from_str(&answer.text().await.expect("a body")).unwrap_or_default())
}

// docs/backup.md, "Restore", step by step.
#[tokio::test]
async fn a_backup_is_restored_beside_the_served_database_and_served_in_its_place() {
    let host = Private::new();
    let backups = host.path("backups").display().to_string();
    let serving = host.serve(&["--demo"], &[]);
    let demo: Value = serde_json::from_slice(&fs::read(host.path("home/demo.json")).expect("the world")).expect("JSON");
    assert_eq!(report(&host.run(&["backup", "--to", &backups], &[]))["outcome"], "made");

    // The patient is erased, after the backup.
    let (_, bundle) = call(&serving.base, &demo, "viewer_victor", OF_STUDY, None).await;
    assert!(bundle.to_string().contains("Patient/40001"), "{bundle}");
    let (_, told) = call(&serving.base, &demo, "ll_patient_peter", OWN, None).await;
    let confirmed = json!({ "confirmation": told["confirmation"] });
    let (status, answer) = call(&serving.base, &demo, "ll_patient_peter", OWN, Some(&confirmed)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    let erased = report(&host.run(&["erase"], &[]));
    assert_eq!(erased["erased"].as_array().map(Vec::len), Some(1), "{erased}");

    // 1 and 2. It is there again, beside the served one.
    let restored = report(&host.run(&["restore", "latest", "--into", "jhe_again", "--from", &backups], &[]));
    assert_eq!((&restored["outcome"], &restored["database"]), (&json!("restored"), &json!("jhe_again")));
    let peter = "SELECT id::text FROM patient WHERE id = 40001";
    assert_eq!(host.texts("jhe_again", peter).await, ["40001"]);

    // 3. And what is done there is done there.
    let again = [("DB_NAME", "jhe_again")];
    let migrated = host.run(&["migrate"], &again);
    assert!(
        migrated.status.success() && said(&migrated).contains("jhe_again has every migration"),
        "{}",
        said(&migrated)
    );
    let of_served = report(&host.run(&["erase"], &[]));
    assert_eq!((&of_served["erased"], &of_served["again"]), (&json!([]), &json!(0)), "{of_served}");
    assert_eq!(host.texts("jhe_again", peter).await, ["40001"]);
    let of_restored = report(&host.run(&["erase"], &again));
    assert_eq!(
        (of_restored["erased"].as_array().map(Vec::len), &of_restored["again"]),
        (Some(1), &json!(1)),
        "{of_restored}"
    );
    assert!(host.texts("jhe_again", peter).await.is_empty());
    serving.end();

    // 4. Nobody is found where it is served; and it is that one which is served.
    let serving = host.serve(&[], &again);
    let reads = "SELECT id::text FROM audit_event WHERE resource_type = 'Observation' AND action = 'search'";
    let before = (host.texts("jhe", reads).await.len(), host.texts("jhe_again", reads).await.len());
    let (status, bundle) = call(&serving.base, &demo, "viewer_victor", OF_STUDY, None).await;
    assert_eq!(status, StatusCode::OK, "{bundle}");
    assert!(bundle["total"] != 0 && !bundle.to_string().contains("Patient/40001"), "{bundle}");
    let after = (host.texts("jhe", reads).await.len(), host.texts("jhe_again", reads).await.len());
    assert_eq!(after, (before.0, before.1 + 1));
    let evidence = host.path("evidence");
    let words = ["verify", "--target", "local", "--only", "backups", "--report", evidence.to_str().expect("a path")];
    let verified = said(&host.run(&words, &again));
    let report = fs::read_dir(&evidence).unwrap_or_else(|error| panic!("{error}: {verified}"));
    let mut reports = report.map(|entry| entry.expect("an entry").path());
    let report = reports.find(|path| path.extension().is_some_and(|ending| ending == "json")).expect("a report");
    assert!(fs::read_to_string(report).expect("a report").contains("/jhe_again\""), "{verified}");
    serving.end();
}

#[tokio::test]
async fn a_database_that_is_not_there_is_refused_in_words_and_not_made() {
    let host = Private::new();
    let refused = |output: &Output, name: &str, words: &str| {
        assert_eq!(output.status.code(), Some(1), "{name}: {}", said(output));
        assert!(said(output).contains(words), "{name}: {}", said(output));
    };
    for (name, words) in [
        ("nowhere", "the private server has no database nowhere"),
        ("postgres", "is a database of the server itself"),
        ("jhe_drill", "is a name for what drills make and drop"),
    ] {
        for command in [&["migrate"][..], &["erase"], &["backup", "--to", "/nowhere"]] {
            refused(&host.run(command, &[("DB_NAME", name)]), name, words);
        }
        assert!(Private::comes_up(host.start(&[], &[("DB_NAME", name)])).is_none(), "{name} is served");
    }
    // The same beside a host that serves; and the default is made.
    let serving = host.serve(&[], &[]);
    for command in [&["migrate"][..], &["erase"]] {
        refused(&host.run(command, &[("DB_NAME", "nowhere")]), "nowhere", "no database nowhere");
    }
    assert_eq!(host.databases().await, ["jhe"]);
    // Who names the owner of a server elsewhere means that, and is not given a server.
    let output = host.run(&["migrate"], &[("DB_OWNER_USER", "jhe_owner")]);
    refused(&output, "elsewhere", "DB_HOST is not set");
    serving.end();
}

#[tokio::test]
async fn a_restoration_that_is_refused_leaves_no_database() {
    let host = Private::new();
    let backups = host.path("backups").display().to_string();
    let serving = host.serve(&[], &[]);
    let made = report(&host.run(&["backup", "--to", &backups], &[]));
    let id = made["backup"].as_str().expect("an id");
    let refused = |words: &[&str], why: &str| {
        let output = host.run(words, &[]);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {}", said(&output));
        assert!(said(&output).contains(why), "{words:?}: {}", said(&output));
    };
    let into = ["--into", "jhe_again"];
    refused(&[&["restore", "latest"], &into[..]].concat(), "BACKUP_TO");
    refused(&[&["restore", "nope", "--from", &backups], &into[..]].concat(), "there is no complete backup nope");
    refused(&[&["restore", "latest", "--from", "/nowhere"], &into[..]].concat(), "there is no complete backup");
    // It begins well, and is all or nothing.
    let chunk = host.path("backups").join(id).join("app_user/000000");
    let whole = fs::read(&chunk).expect("a chunk");
    fs::remove_file(&chunk).expect("gone");
    let words = [&["restore", id, "--from", &backups], &into[..]].concat();
    refused(&words, "chunk 0 of app_user is missing");
    assert_eq!(host.databases().await, ["jhe"]);
    // One that was there before stays.
    host.texts("postgres", "CREATE DATABASE jhe_again").await;
    refused(&words, "chunk 0 of app_user is missing");
    assert_eq!(host.databases().await, ["jhe", "jhe_again"]);
    fs::write(&chunk, whole).expect("back");
    assert_eq!(report(&host.run(&words, &[]))["outcome"], "restored");
    refused(&words, "is not empty");
    assert_eq!(host.texts("jhe_again", "SELECT 'whole' FROM refinery_schema_history LIMIT 1").await, ["whole"]);
    serving.end();
}

#[tokio::test]
async fn commands_and_the_host_call_the_site_the_same() {
    let host = Private::new();
    let backups = host.path("backups").display().to_string();
    let site = |report: &Value| {
        let manifest = host.path("backups").join(report["backup"].as_str().expect("an id")).join("manifest.json");
        let signed: Value = serde_json::from_slice(&fs::read(manifest).expect("a manifest")).expect("JSON");
        let manifest: Value = serde_json::from_str(signed["manifest"].as_str().expect("a text")).expect("JSON");
        manifest["site"].as_str().expect("a site").to_owned()
    };
    let serving = host.serve(&[], &[]);
    let port = serving.base.rsplit(':').next().expect("a port").to_owned();
    let beside = report(&host.run(&["backup", "--to", &backups], &[("PORT", &port)]));
    assert_eq!(site(&beside), serving.base);
    serving.end();
    let alone = report(&host.run(&["backup", "--to", &backups], &[("PORT", &port)]));
    assert_eq!(site(&alone), format!("http://localhost:{port}"));
    let named = [("PORT", port.as_str()), ("SITE_URL", "https://jhe.example.org")];
    assert_eq!(site(&report(&host.run(&["backup", "--to", &backups], &named))), "https://jhe.example.org");
}

/// Of this test alone: a port of another address may be taken by other tests meanwhile.
const ADDRESS: &str = "127.77.0.12";

#[tokio::test]
async fn who_starts_again_while_the_host_is_ending_waits_for_it() {
    let host = Private::new();
    let first = host.serve(&[], &[("BIND", ADDRESS)]);
    let port = first.base.rsplit(':').next().expect("a port").to_owned();
    let address = format!("{ADDRESS}:{port}");
    // A request that is under way: its body is asked for.
    let mut request = TcpStream::connect(&address).expect("connected");
    let head = "POST /api/v1/patients HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    request.write_all(head.as_bytes()).expect("sent");
    let mut answer = [0; 12];
    request.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 100");
    first.ask_to_end();
    while TcpStream::connect(&address).is_ok() {
        tokio::task::yield_now().await;
    }
    // The port is free, and the directory is not.
    let mut second = host.start(&[], &[("BIND", ADDRESS), ("PORT", &port)]);
    while second.try_wait().expect("its state").is_none() && TcpStream::connect(&address).is_err() {
        tokio::task::yield_now().await;
    }
    request.write_all(b"{}").expect("sent");
    let mut rest = String::new();
    request.read_to_string(&mut rest).expect("the answer");
    assert!(rest.contains("HTTP/1.1 401"), "{rest}");
    first.end_as_asked();
    Private::ready(second).end();
    // Who is not ending is not waited for.
    let serving = host.serve(&[], &[]);
    let output = host.run(&["serve"], &[("PORT", "0")]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("another jhe uses"), "{}", said(&output));
    serving.end();
}
