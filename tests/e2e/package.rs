//! `patients/me/package`: what a patient takes home.

use crate::everything::upload;
use end_to_end::{World, answer};
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Cursor, Read as _},
};
use zip::ZipArchive;

const PETER: &str = "ll_patient_peter";
const PATH: &str = "/api/v1/patients/me/package";

/// A file of a package: what is in it, by name.
struct Package {
    headers: HeaderMap,
    size: usize,
    files: BTreeMap<String, String>,
}

impl Package {
    async fn of(world: &World, user: &str, path: &str) -> Self {
        let response = world.request(user, Method::GET, path).send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let headers = response.headers().clone();
        let bytes = response.bytes().await.expect("a body");
        let mut archive = ZipArchive::new(Cursor::new(&bytes)).expect("a zip file");
        let mut files = BTreeMap::new();
        for place in 0..archive.len() {
            let mut file = archive.by_index(place).expect("a file");
            let mut text = String::new();
            file.read_to_string(&mut text).expect("its text");
            let name = file.name().expect("a name").into_owned();
            assert!(files.insert(name, text).is_none(), "nothing is there twice");
        }
        Self { headers, size: bytes.len(), files }
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a text"))
    }

    /// The link to the next file, as a path.
    fn next(&self) -> Option<String> {
        let link = self.header("link").strip_prefix('<')?.strip_suffix(">; rel=\"next\"")?;
        Some(link[link.find("/api/").expect("a path")..].to_owned())
    }

    /// The resources of the Bundle, by type and id.
    fn resources(&self, volume: usize) -> BTreeMap<String, Value> {
        let bundle: Value = serde_json::from_str(&self.files[&format!("fhir/{volume}-bundle.json")]).expect("JSON");
        assert_eq!((&bundle["resourceType"], &bundle["type"]), (&json!("Bundle"), &json!("collection")));
        let entries = bundle["entry"].as_array().expect("entries");
        let name = |entry: &Value| {
            let resource = &entry["resource"];
            let name = format!(
                "{}/{}",
                resource["resourceType"].as_str().expect("a type"),
                resource["id"].as_str().expect("an id")
            );
            assert!(entry["fullUrl"].as_str().expect("a URL").ends_with(&format!("/FHIR/R5/{name}")), "{entry}");
            name
        };
        let found: BTreeMap<String, Value> =
            entries.iter().map(|entry| (name(entry), entry["resource"].clone())).collect();
        assert_eq!(found.len(), entries.len(), "nothing is there twice");
        found
    }

    /// The ids of observations in the tables.
    fn rows(&self) -> Vec<String> {
        let tables = self.files.iter().filter(|(name, _)| name.starts_with("tables/"));
        let rows = tables.flat_map(|(_, text)| text.split("\r\n").skip(1).filter(|line| !line.is_empty()));
        rows.map(|line| line.split(',').nth(1).expect("an id").to_owned()).collect()
    }
}

fn observations(resources: &BTreeMap<String, Value>) -> BTreeSet<String> {
    resources.keys().filter_map(|name| name.strip_prefix("Observation/")).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_package_has_what_everything_has_as_fhir_and_as_tables() {
    let world = World::new().await;
    upload(&world, 12).await;
    let (status, everything) = world.get(PETER, "/FHIR/R5/Patient/40001/$everything?_count=1000").await;
    assert_eq!(status, StatusCode::OK, "{everything}");
    let package = Package::of(&world, PETER, PATH).await;
    assert_eq!(package.header("content-type"), "application/zip");
    let name = package.header("content-disposition");
    assert!(name.starts_with("attachment; filename=\"health-data-20") && name.ends_with(".zip\""), "{name}");
    assert_eq!((package.next(), package.header("cache-control").contains("no-store")), (None, true));

    let resources = package.resources(1);
    let shown = everything["entry"].as_array().expect("entries");
    assert_eq!(shown.len(), resources.len());
    for entry in shown {
        let resource = &entry["resource"];
        let name = format!("{}/{}", resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap());
        assert_eq!(resources.get(&name), Some(resource), "{name}");
    }
    let rows = package.rows();
    assert!(rows.len() > 8);
    assert_eq!(rows.iter().cloned().collect::<BTreeSet<_>>(), observations(&resources));
    assert_eq!(rows.len(), observations(&resources).len());
    let pressure = &package.files["tables/1-omh_blood-pressure_4.0.csv"];
    assert!(pressure.lines().next().expect("a head").contains("systolic_blood_pressure.value"), "{pressure}");
}

#[tokio::test]
async fn the_page_says_in_words_who_may_see_and_who_looked() {
    let world = World::new().await;
    world.get("viewer_victor", "/FHIR/R5/Observation?patient=40001").await;
    let package = Package::of(&world, PETER, PATH).await;
    let page = &package.files["index.html"];
    for words in [
        "<h1>Your health data</h1>",
        "Peter",
        "Lifespan Study on BP &amp; HR",
        "ViewerVictor Rosales of Lifespan Lab",
        "href=\"tables/1-omh_blood-pressure_4.0.csv\"",
        "href=\"who-looked.csv\"",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("<script") && !page.contains("src="), "it loads nothing");
    assert!(package.files["who-looked.csv"].contains("viewer_victor@example.com"));
    // What the patient does is on record, taking a package too, and does not hide the others.
    assert!(
        !page.contains("<td>You ") && !package.files["who-looked.csv"].contains("ll_patient_peter@example.com"),
        "{page}"
    );
    let own = "SELECT count(*) FROM audit_event WHERE patient_ids = '{40001}' AND actor_type = 'patient' AND resource_type = 'Patient' AND action = 'read'";
    assert_eq!(world.count(own).await, 1);
}

#[tokio::test]
async fn what_others_typed_is_text() {
    let world = World::new().await;
    world.sql("UPDATE study SET name = '<script>alert(1)</script>' WHERE id = 30001").await;
    world.sql("UPDATE app_user SET first_name = '=cmd()<img src=x>' WHERE email = 'viewer_victor@example.com'").await;
    world.sql("UPDATE patient SET name_given = '</style><b>' WHERE id = 40001").await;
    world.get("viewer_victor", "/FHIR/R5/Observation?patient=40001").await;
    let package = Package::of(&world, PETER, PATH).await;
    let page = &package.files["index.html"];
    assert!(page.contains("&lt;script&gt;alert(1)") && page.contains("&lt;/style&gt;&lt;b&gt;"), "{page}");
    assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("<b>"), "{page}");
    assert!(package.files["who-looked.csv"].contains("\"'=cmd()"));
}

#[tokio::test]
async fn only_a_patient_has_a_package_and_only_their_own() {
    let world = World::new().await;
    for (user, refused) in [("manager_mary", 403), ("viewer_victor", 403), ("admin", 403)] {
        let (status, body) = world.get(user, PATH).await;
        assert_eq!(status.as_u16(), refused, "{user}: {body}");
    }
    assert_eq!(answer(world.anonymous(Method::GET, PATH)).await.0, StatusCode::UNAUTHORIZED);
    let own = Package::of(&world, "ll_patient_pamela", PATH).await.resources(1);
    let subjects: BTreeSet<&str> = own.values().filter_map(|one| one["subject"]["reference"].as_str()).collect();
    assert_eq!(subjects, BTreeSet::from(["Patient/40002"]));
}

/// Observations that cannot be compressed well, 20 MB together.
const MUCH: &str = "
INSERT INTO observation (patient_id, scope_id, data_source_id, status, last_updated, effective_start, effective_end, content)
SELECT o.patient_id, o.scope_id, o.data_source_id, o.status, o.last_updated + n * interval '1 second', o.effective_start, o.effective_end,
       jsonb_build_object('resourceType', 'Observation', 'status', 'final',
         'note', jsonb_build_array(jsonb_build_object('text', (SELECT string_agg(md5(n::text || k), '') FROM generate_series(1, 12500) k))))::text
  FROM (SELECT * FROM observation WHERE patient_id = 40001 ORDER BY id LIMIT 1) o CROSS JOIN generate_series(1, 50) n";

#[tokio::test]
async fn what_does_not_fit_into_one_file_is_in_the_next() {
    let world = World::new().await;
    world.sql(MUCH).await;
    let all: i64 = world.count("SELECT count(*) FROM observation WHERE patient_id = 40001").await;
    let (mut path, mut found, mut volume) = (PATH.to_owned(), BTreeSet::new(), 1);
    loop {
        let package = Package::of(&world, PETER, &path).await;
        assert!(package.size < 4_400_000, "Lambda can answer with {}", package.size);
        assert_eq!(package.files.contains_key("index.html"), volume == 1);
        for id in observations(&package.resources(volume)) {
            assert!(found.insert(id), "in two files");
        }
        let Some(next) = package.next() else { break };
        assert!(package.files.get("index.html").is_none_or(|page| page.contains("did not fit into one file")));
        (path, volume) = (next, volume + 1);
        // What the link says is bound to who got it.
        let (status, _) = world.get("ll_patient_pamela", &path).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }
    assert!(volume > 2, "{volume}");
    assert_eq!(i64::try_from(found.len()).unwrap(), all);
}

#[tokio::test]
async fn there_is_no_file_but_by_the_links() {
    let world = World::new().await;
    for (query, status) in [("?page=2", 404), ("?page=0", 404), ("?cursor=x", 400), ("?since=2026-01-01", 400)] {
        assert_eq!(world.get(PETER, &format!("{PATH}{query}")).await.0.as_u16(), status, "{query}");
    }
}
