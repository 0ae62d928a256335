//! `GET /FHIR/R5/Observation`: every search parameter, and how the answer is shaped.

use end_to_end::{
    World, ids, link,
    point::{blood_pressure, bundle, heart_rate, observation, point},
    reply::Reply,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const PATH: &str = "/FHIR/R5/Observation";
const VICTOR: &str = "viewer_victor";
const PETER: i32 = 40001;
const CAREX: i32 = 70001;

/// A world in which Peter has four more observations, named `night`, `last`, `first` and `second` in the order of their ids.
/// Their effective times: `first` and `second` on 1 March 2026, `night` over the midnight between the 2nd and the 3rd, `last`
/// on the 4th.
struct Fixture {
    world: World,
    names: Vec<(String, &'static str)>,
    uploaded_at: String,
}

impl Fixture {
    async fn new() -> Self {
        let world = World::new().await;
        let night = point(
            "omh:heart-rate:2.0",
            &json!({
                "heart_rate": { "unit": "beats/min", "value": 51 },
                "effective_time_frame": { "time_interval": {
                    "start_date_time": "2026-03-02T23:00:00Z", "end_date_time": "2026-03-03T01:00:00Z" } },
            }),
        );
        let mut second = observation(PETER, CAREX, &heart_rate(64, "2026-03-01T12:00:00Z"), "b");
        second["status"] = json!("preliminary");
        let uploads = [
            observation(PETER, CAREX, &night, "c"),
            observation(PETER, CAREX, &blood_pressure(125, "2026-03-04T00:00:00Z"), "d"),
            observation(PETER, CAREX, &blood_pressure(119, "2026-03-01T10:00:00Z"), "a"),
            second,
        ];
        let (status, answer) = world.post("ll_patient_peter", "/FHIR/R5", &bundle("transaction", &uploads)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let mut names = vec![("60001".to_owned(), "demo-1"), ("60002".to_owned(), "demo-2")];
        names.extend(ids(&answer).into_iter().zip(["night", "last", "first", "second"]));
        let uploaded_at = answer["entry"][0]["resource"]["meta"]["lastUpdated"].as_str().expect("a time").to_owned();
        Self { world, names, uploaded_at }
    }

    /// What a search by a user finds, by name, in order.
    async fn found(&self, user: &str, query: &[(&str, &str)]) -> Vec<String> {
        let (status, bundle) = end_to_end::answer(self.world.request(user, Method::GET, PATH).query(query)).await;
        assert_eq!(status, StatusCode::OK, "{query:?}: {bundle}");
        self.named(&bundle)
    }

    fn named(&self, bundle: &Value) -> Vec<String> {
        let name =
            |id: String| self.names.iter().find(|(known, _)| *known == id).map_or(id, |(_, name)| (*name).to_owned());
        ids(bundle).into_iter().map(name).collect()
    }
}

/// Names and values of parameters.
type Query = &'static [(&'static str, &'static str)];

const ALL: [&str; 6] = ["demo-1", "demo-2", "night", "last", "first", "second"];

#[tokio::test]
async fn every_parameter_filters_as_the_specification_says() {
    let fixture = Fixture::new().await;
    let rates = ["demo-2", "night", "second"];
    let cases: &[(Query, &[&str])] = &[
        (&[("patient", "40001")], &ALL),
        (&[("patient", "Patient/40001")], &ALL),
        (&[("subject", "Patient/40001")], &ALL),
        (
            &[("patient", "40001,40002")],
            &["demo-1", "demo-2", "60003", "60004", "60005", "night", "last", "first", "second"],
        ),
        // A study, in both spellings, judged by its own consents.
        (&[("patient._has:Group:member:_id", "30001"), ("patient", "40001")], &ALL),
        (&[("_has:Group:member:_id", "30001"), ("patient", "40001")], &ALL),
        (&[("patient._has:Group:member:_id", "30002"), ("patient", "40001")], &[]),
        (&[("patient._has:Group:member:_id", "30002")], &["60003", "60005"]),
        (&[("_has:Group:member:_id", "30002")], &["60003", "60005"]),
        (
            &[("patient._has:Group:member:_id", "30001"), ("code", "omh:heart-rate:2.0")],
            &["demo-2", "60004", "night", "second"],
        ),
        (&[("patient.organization", "20003"), ("patient", "40001")], &ALL),
        // The patient's identifier: system and value both count.
        (&[("patient.identifier", "https://openwearables.io/ns/patient-id|abc123")], &ALL),
        (&[("patient.identifier", "urn:oid:1.2.3.4|E1234")], &ALL),
        (&[("patient.identifier", "urn:oid:1.2.3.4|abc123")], &[]),
        (&[("patient.identifier", "abc123")], &ALL),
        (&[("patient.identifier", "|abc123")], &[]),
        // The observation's identifier.
        (&[("patient", "40001"), ("identifier", "https://test.example|a")], &["first"]),
        (&[("patient", "40001"), ("identifier", "https://other.example|a")], &[]),
        (&[("patient", "40001"), ("identifier", "a")], &["first"]),
        (&[("patient", "40001"), ("identifier", "|a")], &[]),
        (&[("patient", "40002"), ("identifier", "https://test.example|a")], &[]),
        (&[("patient._has:Group:member:_id", "30001"), ("identifier", "https://test.example|a")], &["first"]),
        // Codes, one or several.
        (&[("patient", "40001"), ("code", "https://w3id.org/openmhealth|omh:heart-rate:2.0")], &rates),
        (&[("patient", "40001"), ("code", "omh:heart-rate:2.0")], &rates),
        (
            &[("patient", "40001"), ("code", "omh:heart-rate:2.0,https://w3id.org/openmhealth|omh:blood-pressure:4.0")],
            &ALL,
        ),
        (&[("patient", "40001"), ("code", "https://w3id.org/openmhealth|")], &ALL),
        (&[("patient", "40001"), ("code", "https://other.example|omh:heart-rate:2.0")], &[]),
        (&[("patient", "40001"), ("code", "omh:no-such:1.0")], &[]),
        // Status, ids, source.
        (&[("patient", "40001"), ("status", "preliminary")], &["second"]),
        (&[("patient", "40001"), ("status", "preliminary,final")], &ALL),
        (&[("patient", "40001"), ("status", "amended")], &[]),
        (&[("patient", "40001"), ("_id", "60001")], &["demo-1"]),
        (&[("patient", "40001"), ("_id", "60002,60001,60001")], &["demo-1", "demo-2"]),
        (&[("patient", "40001"), ("_id", "60003")], &[]),
        (&[("patient", "40001"), ("_id", "99999")], &[]),
        (&[("patient", "40001"), ("_id", "60001"), ("code", "omh:heart-rate:2.0")], &[]),
        (&[("patient", "40001"), ("_source", "https://other.example")], &[]),
        // What is not known is ignored, unless the caller is strict.
        (&[("patient", "40001"), ("favourite", "yes")], &ALL),
    ];
    for (query, expected) in cases {
        let mut sorted = query.to_vec();
        sorted.push(("_sort", "_lastUpdated"));
        assert_eq!(fixture.found(VICTOR, &sorted).await, *expected, "{query:?}");
    }
}

#[tokio::test]
async fn dates_follow_the_prefixes_for_instants_and_periods_and_repeat_as_and() {
    let fixture = Fixture::new().await;
    let cases: &[(&[&str], &[&str])] = &[
        (&["2026"], &ALL),
        (&["2026-03"], &["night", "last", "first", "second"]),
        (&["2026-03-01"], &["first", "second"]),
        (&["eq2026-03-01"], &["first", "second"]),
        (&["2026-03-01T10:00:00Z"], &["first"]),
        (&["2026-03-01T11:00:00+01:00"], &["first"]),
        // The night is neither within the 2nd nor within the 3rd.
        (&["2026-03-02"], &[]),
        (&["2026-03-03"], &[]),
        (&["ge2026-03-02"], &["night", "last"]),
        (&["gt2026-03-02"], &["night", "last"]),
        (&["sa2026-03-02"], &["last"]),
        (&["gt2026-03-01T12:00:00Z"], &["night", "last"]),
        (&["ge2026-03-01T12:00:00Z"], &["night", "last", "second"]),
        (&["ge2026-02", "lt2026-03-03"], &["night", "first", "second"]),
        (&["ge2026-02", "eb2026-03-03"], &["first", "second"]),
        (&["ge2026-02", "le2026-03-03"], &["night", "first", "second"]),
        (&["ge2026-02", "le2026-03-04"], &["night", "last", "first", "second"]),
        (&["ge2026-02", "le2026-03-01T13:00:00+01:00"], &["first", "second"]),
        (&["ap2026-03-03"], &["night"]),
        (&["ge2026-03-01", "le2026-03-01"], &["first", "second"]),
        (&["ge2026-03-04", "lt2026-03-04"], &[]),
        (&["lt2026"], &[]),
        (&["gt9998"], &[]),
    ];
    for (dates, expected) in cases {
        let mut query = vec![("patient", "40001"), ("_sort", "_lastUpdated")];
        query.extend(dates.iter().map(|date| ("date", *date)));
        assert_eq!(fixture.found(VICTOR, &query).await, *expected, "{dates:?}");
    }
    let at = fixture.uploaded_at.clone();
    let cases: &[(&str, &[&str])] = &[
        ("ge", &["night", "last", "first", "second"]),
        ("eq", &["night", "last", "first", "second"]),
        ("", &["night", "last", "first", "second"]),
        ("lt", &["demo-1", "demo-2"]),
        ("eb", &["demo-1", "demo-2"]),
        ("le", &ALL),
        ("gt", &[]),
        ("sa", &[]),
    ];
    for (prefix, expected) in cases {
        let value = format!("{prefix}{at}");
        let query = [("patient", "40001"), ("_sort", "_lastUpdated"), ("_lastUpdated", value.as_str())];
        assert_eq!(fixture.found(VICTOR, &query).await, *expected, "_lastUpdated={value}");
    }
}

#[tokio::test]
async fn four_orders_and_equal_times_by_id() {
    let fixture = Fixture::new().await;
    let by_update = ["demo-1", "demo-2", "night", "last", "first", "second"];
    let by_date = ["demo-1", "demo-2", "first", "second", "night", "last"];
    let reversed = |names: [&'static str; 6]| names.into_iter().rev().collect::<Vec<_>>();
    let cases = [
        ("_lastUpdated", by_update.to_vec()),
        ("-_lastUpdated", reversed(by_update)),
        ("date", by_date.to_vec()),
        ("-date", reversed(by_date)),
    ];
    for (sort, expected) in cases {
        for user in [VICTOR, "ll_patient_peter", "admin"] {
            let found = fixture.found(user, &[("patient", "40001"), ("_sort", sort)]).await;
            assert_eq!(found, expected, "{user} {sort}");
        }
    }
    let found = fixture.found(VICTOR, &[("patient", "40001")]).await;
    assert_eq!(found, reversed(by_update), "the latest change first, unless asked otherwise");
}

#[tokio::test]
async fn counts_are_given_when_asked_for_and_the_page_size_is_bounded() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let at = |query: &str| format!("{PATH}?patient=40001&{query}");
    for query in ["_summary=count", "_count=0"] {
        let (status, counted) = world.get(VICTOR, &at(query)).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(counted["total"], 6, "{query}: {counted}");
        assert_eq!(counted["entry"], Value::Null, "{query}");
    }
    let (_, page) = world.get(VICTOR, &at("_total=accurate&_count=2&_sort=_lastUpdated")).await;
    assert_eq!(page["total"], 6);
    assert_eq!(fixture.named(&page), ["demo-1", "demo-2"]);
    let (_, page) = world.get(VICTOR, &at("_count=2")).await;
    assert_eq!(page["total"], Value::Null, "no total unless asked");
    let (_, filtered) = world.get(VICTOR, &at("_summary=count&code=omh:heart-rate:2.0&date=ge2026-03")).await;
    assert_eq!(filtered["total"], 2);
    let (status, clamped) = world.get(VICTOR, &at("_count=5000")).await;
    assert_eq!(status, StatusCode::OK);
    let own = link(world, &clamped, "self").expect("a self link");
    assert!(own.contains("_count=1000"), "understood as the most: {own}");
    for (user, total) in [("ll_patient_peter", 6), ("admin", 6)] {
        let (_, counted) = world.get(user, &at("_summary=count")).await;
        assert_eq!(counted["total"], total, "{user}");
    }
}

#[tokio::test]
async fn a_page_has_the_shape_of_a_searchset() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (_, page) = world.get(VICTOR, &format!("{PATH}?patient=40001&_count=2&code=omh:heart-rate:2.0")).await;
    assert_eq!(page["resourceType"], "Bundle");
    assert_eq!(page["type"], "searchset");
    for entry in page["entry"].as_array().expect("entries") {
        let id = entry["resource"]["id"].as_str().expect("an id");
        assert_eq!(entry["fullUrl"], format!("{}{PATH}/{id}", world.base));
        assert_eq!(entry["search"]["mode"], "match");
        let (_, read) = world.get(VICTOR, &format!("{PATH}/{id}")).await;
        assert_eq!(entry["resource"], read, "the same resource as a read gives");
    }
    let own = link(world, &page, "self").expect("a self link").to_owned();
    assert!(own.contains("patient=40001") && own.contains("code=omh:heart-rate:2.0"), "{own}");
    let (_, again) = world.get(VICTOR, &own).await;
    assert_eq!(ids(&again), ids(&page), "the self link is the search");
    let (_, empty) = world.get(VICTOR, &format!("{PATH}?patient=40001&code=omh:no-such:1.0")).await;
    assert_eq!(empty["entry"], json!([]));
    assert!(link(world, &empty, "next").is_none());
}

#[tokio::test]
async fn what_cannot_be_understood_is_refused() {
    let world = World::new().await;
    let cases = [
        "_count=-1",
        "_count=abc",
        "_count=",
        "_count=1&_count=2",
        "_sort=code",
        "_sort=date,_lastUpdated",
        "_page=2",
        "_summary=maybe",
        "_total=perhaps",
        "_cursor=",
        "_cursor=abc",
        "_cursor=%00",
        "patient=40001&patient=40002",
        "patient=abc",
        "patient=",
        "patient=0",
        "patient=-1",
        "patient=99999999999999999999",
        "patient=40001,",
        "patient=Group/40001",
        "patient=%00",
        "patient._has:Group:member:_id=abc",
        "patient._has:Group:member:_id=1,2",
        "_has:Group:member:_id=30001&patient._has:Group:member:_id=30001",
        "patient.organization=abc",
        "_id=abc",
        "_id=0",
        "_id=99999999999999999999",
        "date=yesterday",
        "date=",
        "date=2026-13",
        "date=2026-02-30",
        "date=xx2026",
        "date=ne2026",
        "date=2026-03-01T10:00:00%2B99:00",
        "date=2026-03-01T10:00:00+01:00",
        "date=%00",
        "_lastUpdated=never",
        "status=bogus",
        "status=",
        "code=%00",
        "code=a\\b",
        "identifier=https://a%7C",
        "identifier=",
        "identifier=%00",
        "patient.identifier=",
        "patient.identifier=%00%7C%00",
        "code:not=omh:heart-rate:2.0",
        "date:missing=true",
        "_sort:asc=date",
        "_source=",
        "_source=%00",
    ];
    for case in cases {
        let named = if case.contains("patient") { String::new() } else { "patient=40001&".to_owned() };
        let reply = Reply::to(world.request(VICTOR, Method::GET, &format!("{PATH}?{named}{case}"))).await;
        reply.refusal(400, case);
    }
    let strict = world
        .request(VICTOR, Method::GET, &format!("{PATH}?patient=40001&favourite=yes"))
        .header("prefer", "handling=strict");
    Reply::to(strict).await.refusal(400, "an unknown parameter, strictly");
    let long = format!("{PATH}?patient=40001&{}", "x=1&".repeat(120));
    Reply::to(world.request(VICTOR, Method::GET, &long)).await.refusal(400, "120 parameters");
    let many = (40_001..40_200).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
    Reply::to(world.request(VICTOR, Method::GET, &format!("{PATH}?patient={many}"))).await.refusal(400, "199 patients");
}

#[tokio::test]
async fn json_is_answered_as_the_caller_names_it_and_nothing_else_is() {
    let world = World::new().await;
    let path = format!("{PATH}?patient=40001");
    let cases = [
        ("application/fhir+json", "application/fhir+json"),
        ("Application/FHIR+JSON; fhirVersion=5.0", "application/fhir+json"),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("application/fhir+xml;q=0.5, application/fhir+json;q=0.4", "application/fhir+json"),
        ("text/html, application/xhtml+xml, */*;q=0.8", "application/json"),
    ];
    for (accepted, answered) in cases {
        let reply = Reply::to(world.request(VICTOR, Method::GET, &path).header("accept", accepted)).await;
        assert_eq!(reply.status, StatusCode::OK, "{accepted}: {}", reply.text);
        assert_eq!(reply.header("content-type"), answered, "{accepted}");
    }
    for accepted in ["application/xml", "application/fhir+xml", "text/html", "application/fhir+json;q=0"] {
        let end = world.audit_end().await;
        for path in [path.as_str(), "/FHIR/R5/Observation/60001", "/FHIR/R5/metadata"] {
            let reply = Reply::to(world.request(VICTOR, Method::GET, path).header("accept", accepted)).await;
            reply.refusal(406, accepted);
        }
        assert_eq!(world.audit_after(end).await, [], "nothing was read");
    }
    Reply::to(world.request(VICTOR, Method::GET, &format!("{path}&_format=xml"))).await.refusal(406, "_format=xml");
    let json = Reply::to(world.request(VICTOR, Method::GET, &format!("{path}&_format=json"))).await;
    assert_eq!(json.status, StatusCode::OK);
}

#[tokio::test]
async fn a_search_by_post_is_the_search_by_get() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let form = [("patient", "40001"), ("code", "omh:heart-rate:2.0"), ("_sort", "date"), ("date", "ge2026-03")];
    let expected = fixture.found(VICTOR, &form).await;
    assert_eq!(expected, ["second", "night"]);
    let path = format!("{PATH}/_search");
    let (status, found) = end_to_end::answer(world.request(VICTOR, Method::POST, &path).form(&form)).await;
    assert_eq!(status, StatusCode::OK, "{found}");
    assert_eq!(fixture.named(&found), expected);
    // Parameters of the URL and of the form count together.
    let split = world.request(VICTOR, Method::POST, &format!("{path}?patient=40001&_sort=date")).form(&form[1..2]);
    let (_, found) = end_to_end::answer(split).await;
    assert_eq!(fixture.named(&found), ["demo-2", "second", "night"]);
    let request = world.request(VICTOR, Method::POST, &path).header("content-type", "application/json").body("{}");
    Reply::to(request).await.refusal(415, "a form is expected");
    Reply::to(world.request(VICTOR, Method::POST, &path)).await.refusal(400, "nobody named");
}

#[tokio::test]
async fn the_path_in_small_letters_is_the_same() {
    let world = World::new().await;
    for path in ["/Observation?patient=40001", "/Observation/60001"] {
        let (status, capital) = world.get(VICTOR, &format!("/FHIR/R5{path}")).await;
        let (small_status, small) = world.get(VICTOR, &format!("/fhir/r5{path}")).await;
        assert_eq!((status, small_status), (StatusCode::OK, StatusCode::OK), "{small}");
        assert_eq!(small, capital);
    }
    let resource = observation(PETER, CAREX, &heart_rate(60, "2026-02-01T08:00:00Z"), "");
    let (status, created) = world.post("ll_patient_peter", "/fhir/r5/Observation", &resource).await;
    assert_eq!(status, StatusCode::CREATED, "{created}");
    let (status, answer) = world.post("ll_patient_peter", "/fhir/r5", &bundle("batch", &[resource])).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let statement = Reply::to(world.anonymous(Method::GET, "/fhir/r5/metadata")).await;
    assert_eq!(statement.status, StatusCode::OK, "{}", statement.text);
}
