//! `Patient/{id}/$everything`, and the decisions that it shows: what the patient has, what others may see of it, and what is on record.

use end_to_end::{
    World, answer, ids, link,
    point::{blood_pressure, bundle, heart_rate, observation},
    reply::Reply,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const PETER: &str = "ll_patient_peter";
const VICTOR: &str = "viewer_victor";
const PATH: &str = "/FHIR/R5/Patient/40001/$everything";
const RATE: &str = "omh:heart-rate:2.0";

fn resources(bundle: &Value) -> Vec<Value> {
    let entries = bundle["entry"].as_array().unwrap_or_else(|| panic!("no entries: {bundle}"));
    entries.iter().map(|entry| entry["resource"].clone()).collect()
}

/// Which resources these are, by type and id.
fn named(resources: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    resources.iter().map(|one| format!("{}/{}", text(&one["resourceType"]), text(&one["id"]))).collect()
}

fn of_type(resources: &[Value], kind: &str) -> BTreeSet<String> {
    named(resources).into_iter().filter(|name| name.starts_with(&format!("{kind}/"))).collect()
}

/// All pages.
async fn walk(world: &World, user: &str, first: &str) -> Vec<Value> {
    let mut path = first.to_owned();
    let mut walked = Vec::new();
    loop {
        let (status, page) = world.get(user, &path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {page}");
        let found = resources(&page);
        assert!(!found.is_empty(), "{path}: no page is empty but a lone one");
        walked.extend(found);
        match link(world, &page, "next") {
            Some(next) => path = next.to_owned(),
            None => return walked,
        }
    }
}

/// Peter's source of resources that are kept as they come.
async fn source(world: &World) -> i64 {
    let body = json!({ "label": "Forms", "dataSource": 70005, "fhirBaseUrl": "https://fhir.halo.example/R4" });
    let (status, made) = world.post(PETER, "/api/v1/fhir_sources", &body).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    made["id"].as_i64().expect("an id")
}

/// A resource of that source, of about so many bytes.
async fn form(world: &World, source: i64, bytes: usize) -> String {
    let form = json!({ "resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": "Questionnaire/q",
        "meta": { "source": format!("https://jupyterhealth.org/fhir/fhir-source/{source}") },
        "item": [{ "linkId": "cough", "text": "x".repeat(bytes + 1) }] });
    let (status, made) = world.post(PETER, "/FHIR/R5/QuestionnaireResponse", &form).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    made["id"].as_str().expect("an id").to_owned()
}

/// So many observations of Peter's and of Pamela's.
pub async fn upload(world: &World, count: i32) {
    let resources: Vec<Value> = (0..count)
        .map(|number| {
            let at = format!("2026-04-{:02}T08:00:00Z", 1 + number % 20);
            let point = if number % 3 == 0 { blood_pressure(110, &at) } else { heart_rate(60, &at) };
            observation(if number % 4 == 3 { 40002 } else { 40001 }, 70001, &point, "")
        })
        .collect();
    let (status, answer) = world.post("manager_mary", "/FHIR/R5", &bundle("transaction", &resources)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

/// A world in which Peter has a form, too.
async fn world() -> World {
    let world = World::new().await;
    let source = source(&world).await;
    form(&world, source, 0).await;
    world
}

#[tokio::test]
async fn a_patient_gets_all_that_is_theirs_as_each_route_shows_it() {
    let world = world().await;
    upload(&world, 8).await;
    let (status, page) = world.get(PETER, &format!("{PATH}?_count=1000")).await;
    assert_eq!((status, &page["type"]), (StatusCode::OK, &json!("searchset")), "{page}");
    assert!(link(&world, &page, "next").is_none());
    let all = resources(&page);
    for (kind, statement) in [
        ("Patient", "SELECT 1::bigint"),
        ("Consent", "SELECT count(*) FROM consent_event WHERE patient_id = 40001"),
        ("Observation", "SELECT count(*) FROM observation WHERE patient_id = 40001"),
        ("QuestionnaireResponse", "SELECT count(*) FROM auxiliary WHERE patient_id = 40001"),
    ] {
        let expected = world.count(statement).await;
        assert!(expected > 0, "{kind}");
        assert_eq!(i64::try_from(of_type(&all, kind).len()), Ok(expected), "{kind}");
    }
    for entry in page["entry"].as_array().expect("entries") {
        let url = entry["fullUrl"].as_str().and_then(|url| url.strip_prefix(&world.base)).expect("a URL of this site");
        assert_eq!(world.get(PETER, url).await, (StatusCode::OK, entry["resource"].clone()), "{url}");
    }
}

#[tokio::test]
async fn pages_of_any_size_give_each_resource_once_and_in_one_order() {
    let world = world().await;
    upload(&world, 40).await;
    for user in [PETER, VICTOR, "admin"] {
        let whole = named(&walk(&world, user, &format!("{PATH}?_count=1000")).await);
        assert!(whole.len() > 30, "{user}: {whole:?}");
        for count in [1, 2, 7, whole.len()] {
            assert_eq!(named(&walk(&world, user, &format!("{PATH}?_count={count}")).await), whole, "{user} {count}");
        }
    }
}

#[tokio::test]
async fn what_changes_during_a_walk_is_not_missed() {
    let world = world().await;
    upload(&world, 20).await;
    let existing: BTreeSet<String> =
        named(&walk(&world, PETER, &format!("{PATH}?_count=1000")).await).into_iter().collect();
    let mut path = format!("{PATH}?_count=3");
    let mut seen = Vec::new();
    for page in 0.. {
        let (_, bundle) = world.get(PETER, &path).await;
        seen.extend(named(&resources(&bundle)));
        if page == 2 {
            upload(&world, 4).await;
            world.decide(PETER, 40001, 30001, RATE, false).await;
        }
        match link(&world, &bundle, "next") {
            Some(next) => path = next.to_owned(),
            None => break,
        }
    }
    let once: BTreeSet<String> = seen.iter().cloned().collect();
    assert_eq!(once.len(), seen.len(), "nothing twice");
    assert!(once.is_superset(&existing));
    // Three of the four are Peter's. The decision came after the decisions were shown.
    assert_eq!(once.len(), existing.len() + 3);
}

#[tokio::test]
async fn a_practitioner_gets_what_the_searches_find_and_a_revocation_counts_at_once() {
    let world = world().await;
    upload(&world, 12).await;
    let found = async |user: &str| {
        let all = walk(&world, user, &format!("{PATH}?_count=5")).await;
        let mut searched = BTreeSet::new();
        for kind in ["Observation", "QuestionnaireResponse"] {
            let (_, bundle) = world.get(user, &format!("/FHIR/R5/{kind}?patient=40001&_count=1000")).await;
            searched.extend(named(&resources(&bundle)));
        }
        let mut shown = of_type(&all, "Observation");
        shown.extend(of_type(&all, "QuestionnaireResponse"));
        assert_eq!(shown, searched, "{user}");
        (shown.len(), all)
    };
    let (before, all) = found(VICTOR).await;
    assert_eq!((of_type(&all, "Patient").len(), of_type(&all, "Consent").len()), (1, 3));
    // A walk that has begun does not go on with what is revoked.
    let (_, first) = world.get(VICTOR, &format!("{PATH}?_type=Observation&_count=1")).await;
    let next = link(&world, &first, "next").expect("a next page").to_owned();
    world.decide(PETER, 40001, 30001, RATE, false).await;
    for resource in walk(&world, VICTOR, &next).await {
        assert_ne!(resource["code"]["coding"][0]["code"], RATE, "{resource}");
    }
    let (after, all) = found(VICTOR).await;
    assert!(after < before && after > 0, "{before} {after}");
    let consents: BTreeMap<String, String> = all
        .iter()
        .filter(|one| one["resourceType"] == "Consent")
        .map(|one| (one["id"].to_string(), format!("{} {}", one["status"], one["decision"])))
        .collect();
    let told: Vec<&str> = consents.values().map(String::as_str).collect();
    assert_eq!(told.iter().filter(|text| **text == "\"active\" \"permit\"").count(), 2, "{consents:?}");
    assert!(told.contains(&"\"inactive\" \"permit\"") && told.contains(&"\"active\" \"deny\""), "{consents:?}");
    let (everything, _) = found(PETER).await;
    assert_eq!(everything, before, "the patient still has all");
    world.sql("DELETE FROM study_patient WHERE patient_id = 40001").await;
    let (none, _) = found(VICTOR).await;
    assert_eq!(none, 0);
}

#[tokio::test]
async fn decisions_about_studies_elsewhere_are_not_told() {
    let world = World::new().await;
    // Both organizations have this patient; each has a study of its own with a decision.
    let path = "/FHIR/R5/Patient/40005/$everything?_type=Consent";
    let decisions = "SELECT c.id FROM consent_event c JOIN study s ON s.id = c.study_id WHERE c.patient_id = 40005";
    let all: Vec<i64> = world.sql(decisions).await.iter().map(|row| row.get(0)).collect();
    let mut partial = 0;
    for user in world.demo["users"].as_object().expect("users").keys() {
        let (status, page) = world.get(user, path).await;
        if status != StatusCode::OK {
            assert_eq!(status, StatusCode::NOT_FOUND, "{user}");
            continue;
        }
        let accounts = format!(
            "SELECT id FROM app_user WHERE email = '{user}@example.com' AND user_type = 'practitioner' AND NOT is_superuser"
        );
        let is_practitioner = !world.sql(&accounts).await.is_empty();
        let known = world
            .sql(&format!(
                "{decisions} AND EXISTS (SELECT FROM practitioner p JOIN organization_member m ON m.practitioner_id = p.id
                                          WHERE p.user_id IN ({accounts}) AND m.organization_id = s.organization_id)"
            ))
            .await;
        let shown = resources(&page).len();
        assert_eq!(shown, if is_practitioner { known.len() } else { all.len() }, "{user}");
        partial += usize::from(is_practitioner && shown < all.len());
        for id in &all {
            let is_shown = ids(&page).contains(&id.to_string());
            let expected = if is_shown { StatusCode::OK } else { StatusCode::NOT_FOUND };
            assert_eq!(world.get(user, &format!("/FHIR/R5/Consent/{id}")).await.0, expected, "{user} {id}");
        }
    }
    assert!(partial > 0, "somebody knows only some");
}

async fn last(world: &World) -> (String, Option<String>, String, Vec<i32>) {
    let rows = world
        .sql("SELECT outcome, refused_by, resource_type, patient_ids FROM audit_event ORDER BY id DESC LIMIT 1")
        .await;
    (rows[0].get(0), rows[0].get(1), rows[0].get(2), rows[0].get(3))
}

#[tokio::test]
async fn each_refusal_says_the_same_and_is_recorded_by_its_layer() {
    let world = world().await;
    for (user, patient, layer, kept) in [
        ("ll_patient_pamela", 40001, "user_type", vec![40001]),
        ("manager_mark", 40001, "organization", vec![40001]),
        ("ll_patient_pamela", 49999, "not_found", vec![]),
        ("manager_mark", 49999, "not_found", vec![]),
        ("admin", 49999, "not_found", vec![]),
    ] {
        let path = format!("/FHIR/R5/Patient/{patient}/$everything");
        let reply = Reply::to(world.request(user, Method::GET, &path)).await;
        let refusal = reply.refusal(404, user);
        assert!(!refusal.to_string().contains("40001"), "{refusal}");
        let expected = ("denied".to_owned(), Some(layer.to_owned()), "Patient".to_owned(), kept);
        assert_eq!(last(&world).await, expected, "{user} {patient}");
        let (status, consent) = world.get(user, "/FHIR/R5/Consent/1").await;
        if patient == 40001 {
            assert_eq!(status, StatusCode::NOT_FOUND, "{consent}");
            assert_eq!(last(&world).await.1.as_deref(), Some(layer), "{user}");
        }
    }
    assert_eq!(world.get(PETER, "/FHIR/R5/Consent/99999").await.0, StatusCode::NOT_FOUND);
    assert_eq!(last(&world).await.1.as_deref(), Some("not_found"));
    for path in
        ["/FHIR/R5/Patient/40001/everything", "/FHIR/R5/Patient/40001/$nothing", "/FHIR/R5/Patient/x/$everything"]
    {
        assert_eq!(world.get(PETER, path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(answer(world.anonymous(Method::GET, PATH)).await.0, StatusCode::UNAUTHORIZED);
    for path in ["/FHIR/R5/Patient/40001/%24everything", "/fhir/r5/Patient/40001/$everything"] {
        assert_eq!(world.get(PETER, path).await.0, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn every_page_is_on_record_with_each_resource_on_it() {
    let world = world().await;
    upload(&world, 12).await;
    for (user, reader) in [(PETER, "patient"), (VICTOR, "practitioner"), ("admin", "super_admin")] {
        let from = world.count("SELECT max(id) FROM audit_event").await;
        let all = walk(&world, user, &format!("{PATH}?_count=4")).await;
        let rows = world
            .sql(&format!(
                "SELECT actor_type, action, resource_type, outcome, patient_ids, observation_ids, organization_ids, study_ids, privileged,
                        ARRAY(SELECT jsonb_array_elements_text(detail->'ids')) AS ids,
                        ARRAY(SELECT jsonb_array_elements_text(detail->'consents')) AS consents
                   FROM audit_event WHERE id > {from} ORDER BY id"
            ))
            .await;
        let (mut observations, mut others, mut consents) = (Vec::new(), Vec::new(), Vec::new());
        for row in &rows {
            assert_eq!(
                (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4)),
                (reader, "read", "Patient", "allowed", vec![40001]),
                "{user}"
            );
            observations.extend(row.get::<_, Vec<i64>>("observation_ids"));
            others.extend(row.get::<_, Vec<String>>("ids"));
            consents.extend(row.get::<_, Vec<String>>("consents"));
            assert_eq!(row.get::<_, bool>("privileged"), user == "admin");
            let organizations: Vec<i32> = row.get("organization_ids");
            assert_eq!(organizations.contains(&20003), user != PETER, "{user}: {organizations:?}");
        }
        let count = |kind: &str| of_type(&all, kind).len();
        assert_eq!(rows.len(), all.len().div_ceil(4), "{user}: one for each page");
        let written: Vec<String> = observations.iter().map(|id| format!("Observation/{id}")).collect();
        assert_eq!(written.iter().cloned().collect::<BTreeSet<_>>(), of_type(&all, "Observation"), "{user}");
        assert_eq!(written.len(), count("Observation"), "{user}: none twice");
        assert_eq!((others.len(), consents.len()), (count("QuestionnaireResponse"), count("Consent")), "{user}");
        let studies: Vec<i32> = rows.iter().flat_map(|row| row.get::<_, Vec<i32>>("study_ids")).collect();
        assert_eq!(studies.contains(&30001), user == VICTOR, "{user}: {studies:?}");
    }
    // The patient reads of it.
    let (_, log) = world.get(PETER, "/api/v1/patients/me/access-log?pageSize=100").await;
    let told = |actor: &str| {
        let rows = log["results"].as_array().expect("rows").iter();
        rows.filter(|row| row["summary"].as_str().is_some_and(|text| text.contains(actor) && text.contains("viewed")))
            .count()
    };
    assert!(told("Victor") > 0, "{log}");
}

#[tokio::test]
async fn a_page_without_anything_shows_nobody() {
    let world = World::new().await;
    let (status, page) = world.get(VICTOR, &format!("{PATH}?_type=Condition")).await;
    assert_eq!((status, page.get("entry")), (StatusCode::OK, None), "{page}");
    let rows = world.sql("SELECT detail->'asked' FROM audit_event ORDER BY id DESC LIMIT 1").await;
    assert_eq!(rows[0].get::<_, Option<Value>>(0), Some(json!([40001])));
}

#[tokio::test]
async fn types_and_times_narrow_and_what_is_not_supported_is_not_passed_over() {
    let world = world().await;
    let types = async |query: &str| -> BTreeSet<String> {
        let all = walk(&world, PETER, &format!("{PATH}?{query}")).await;
        all.iter().map(|one| one["resourceType"].as_str().expect("a type").to_owned()).collect()
    };
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<String>>();
    assert_eq!(types("_count=1000").await, set(&["Consent", "Observation", "Patient", "QuestionnaireResponse"]));
    assert_eq!(types("_type=Observation,Patient").await, set(&["Observation", "Patient"]));
    assert_eq!(types("_type=Consent&_type=QuestionnaireResponse").await, set(&["Consent", "QuestionnaireResponse"]));

    let (_, page) = world.get(PETER, &format!("{PATH}?_type=Patient,Observation,Patient&_count=1&favourite=1")).await;
    let own = link(&world, &page, "self").expect("a link");
    assert_eq!(own, format!("{PATH}?_count=1&_type=Patient,Observation"), "what was understood");

    upload(&world, 3).await;
    let since = world.sql("SELECT to_char(max(last_updated) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') FROM observation").await;
    let since: String = since[0].get(0);
    let late = walk(&world, PETER, &format!("{PATH}?_since={since}")).await;
    assert_eq!(of_type(&late, "Observation").len(), late.len(), "{late:?}");
    assert!(!late.is_empty(), "at the time itself, too");
    world.decide(PETER, 40001, 30001, RATE, false).await;
    let form = "UPDATE auxiliary SET last_updated = clock_timestamp() WHERE patient_id = 40001";
    world.sql(form).await;
    assert_eq!(types(&format!("_since={since}")).await, set(&["Consent", "Observation", "QuestionnaireResponse"]));
    let (_, none) = world.get(PETER, &format!("{PATH}?_since=2099-01-01T00:00:00Z")).await;
    // Nothing is empty in FHIR's JSON.
    assert_eq!((&none["type"], none.get("entry")), (&json!("searchset"), None), "{none}");
    assert!(none["link"].is_array(), "{none}");

    for refused in [
        "_type=Practitioner",
        "_type=observation",
        "_type=",
        "_type=Observation,",
        "_since=2026",
        "_since=2026-01-01T00:00:00",
        "_since=2026-01-01T00:00:00Z&_since=2026-01-01T00:00:00Z",
        "start=2026-01-01",
        "end=2026-01-01",
        "_lastUpdated=2026",
        "_source=x",
        "_page=2",
        "_count=0",
        "_count=x",
        "_cursor=x",
        "_format=xml",
    ] {
        let reply = Reply::to(world.request(PETER, Method::GET, &format!("{PATH}?{refused}"))).await;
        let status = if refused == "_format=xml" { 406 } else { 400 };
        reply.refusal(status, refused);
    }
    let strict = world.request(PETER, Method::GET, &format!("{PATH}?favourite=1")).header("prefer", "handling=strict");
    Reply::to(strict).await.refusal(400, "strict");
}

#[tokio::test]
async fn a_token_gets_the_types_that_its_scopes_open() {
    let world = world().await;
    let ask = async |scope: &str, query: &str| {
        let token = world.token_of(PETER, 4, &format!("openid {scope}")).await;
        answer(world.anonymous(Method::GET, &format!("{PATH}?_count=1000{query}")).bearer_auth(&token)).await
    };
    for (scope, types) in [
        ("patient/*.rs", vec!["Consent", "Observation", "Patient", "QuestionnaireResponse"]),
        ("patient/Patient.r", vec!["Patient"]),
        ("patient/Patient.r patient/Observation.r", vec!["Patient"]),
        ("patient/Patient.r patient/Observation.s patient/Consent.s", vec!["Consent", "Observation", "Patient"]),
    ] {
        let (status, page) = ask(scope, "").await;
        assert_eq!(status, StatusCode::OK, "{scope}: {page}");
        let shown: BTreeSet<String> =
            resources(&page).iter().map(|one| one["resourceType"].as_str().unwrap_or_default().to_owned()).collect();
        assert_eq!(shown, types.iter().map(|kind| (*kind).to_owned()).collect(), "{scope}");
        let own = link(&world, &page, "self").expect("a link");
        assert_eq!(own.contains("_type="), scope != "patient/*.rs", "{scope}: the link says what was narrowed: {own}");
    }
    for (scope, query) in [
        ("patient/Observation.rs", ""),
        ("patient/Patient.s", ""),
        ("patient/Patient.r patient/Observation.r", "&_type=Observation"),
        ("patient/Patient.rs patient/Observation.rs", "&_type=Observation,Consent"),
    ] {
        assert_eq!(ask(scope, query).await.0, StatusCode::FORBIDDEN, "{scope} {query}");
        assert_eq!(last(&world).await.1.as_deref(), Some("token"), "{scope}");
    }
}

#[tokio::test]
async fn large_resources_make_short_pages() {
    let world = World::new().await;
    let source = source(&world).await;
    for _ in 0..5 {
        form(&world, source, 1_000_000).await;
    }
    let mut path = format!("{PATH}?_type=QuestionnaireResponse&_count=1000");
    let mut sizes = Vec::new();
    loop {
        let reply = Reply::to(world.request(PETER, Method::GET, &path)).await;
        assert!(reply.text.len() < 4 * 1024 * 1024, "{}", reply.text.len());
        let page: Value = serde_json::from_str(&reply.text).expect("JSON");
        sizes.push(resources(&page).len());
        match link(&world, &page, "next") {
            Some(next) => path = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(sizes, [3, 2]);
    assert_eq!(world.count("SELECT max(jsonb_array_length(detail->'ids'))::bigint FROM audit_event WHERE detail->>'operation' = 'everything'").await, 3);
}

#[tokio::test]
async fn a_next_link_works_only_for_its_user_patient_and_filter() {
    let world = world().await;
    let (_, first) = world.get(VICTOR, &format!("{PATH}?_count=2")).await;
    let next = link(&world, &first, "next").expect("a next page").to_owned();
    let (_, cursor) = next.split_once("_cursor=").expect("a cursor");
    assert_eq!(world.get(VICTOR, &next).await.0, StatusCode::OK);
    for (user, path) in [
        (PETER, next.clone()),
        ("member_megan", next.clone()),
        (VICTOR, next.replace("40001", "40002")),
        (VICTOR, format!("{PATH}?_type=Observation&_cursor={cursor}")),
        (VICTOR, format!("{PATH}?_since=2026-01-01T00:00:00Z&_cursor={cursor}")),
        (VICTOR, format!("/FHIR/R5/Observation?patient=40001&_cursor={cursor}")),
    ] {
        Reply::to(world.request(user, Method::GET, &path)).await.refusal(400, &format!("{user} {path}"));
    }
}

#[tokio::test]
async fn a_decision_is_a_consent_that_says_what_whom_and_whether_it_counts() {
    let world = World::new().await;
    let (status, first) = world.get(PETER, "/FHIR/R5/Consent/1").await;
    assert_eq!(status, StatusCode::OK, "{first}");
    let study = json!({ "reference": "Group/30001", "display": "Lifespan Study on BP & HR" });
    assert_eq!((&first["status"], &first["decision"]), (&json!("active"), &json!("permit")));
    assert_eq!(first["subject"], json!({ "reference": "Patient/40001" }));
    assert_eq!(first["grantee"], json!([{ "reference": "Organization/20003" }]));
    assert_eq!(first["provision"][0]["actor"][0]["reference"], study);
    let data = &first["provision"][0]["code"][0]["coding"][0];
    assert_eq!(data["system"], "https://w3id.org/openmhealth", "{first}");
    assert!(first.get("manager").is_none() && first.get("sourceAttachment").is_none(), "{first}");

    let code = data["code"].as_str().expect("a code").to_owned();
    let body = json!({ "authorizationReference": "Paper form 7", "studyScopeConsents": [{ "studyId": 30001, "scopeConsents": [
        { "codingSystem": "https://w3id.org/openmhealth", "codingCode": code, "consented": false }] }] });
    let (status, changed) = world.send("member_megan", Method::PATCH, "/api/v1/patients/40001/consents", &body).await;
    assert_eq!(status, StatusCode::OK, "{changed}");
    let latest = world.count("SELECT max(id) FROM consent_event").await;
    let (_, after) = world.get(PETER, "/FHIR/R5/Consent/1").await;
    assert_eq!((&after["status"], &after["decision"]), (&json!("inactive"), &json!("permit")));
    assert_ne!(after["meta"]["versionId"], first["meta"]["versionId"]);
    let (_, refusal) = world.get(VICTOR, &format!("/FHIR/R5/Consent/{latest}")).await;
    assert_eq!((&refusal["status"], &refusal["decision"]), (&json!("active"), &json!("deny")));
    assert_eq!(refusal["sourceAttachment"], json!([{ "title": "Paper form 7" }]), "{refusal}");
    assert_eq!(refusal["manager"][0]["type"], "Practitioner", "{refusal}");

    // Where the study does not ask any more, a decision about it does not count.
    assert_eq!(world.get(PETER, "/FHIR/R5/Consent/2").await.1["status"], "active");
    world.sql("DELETE FROM study_patient WHERE patient_id = 40001 AND study_id = 30001").await;
    assert_eq!(world.get(PETER, "/FHIR/R5/Consent/2").await.1["status"], "inactive");
}
