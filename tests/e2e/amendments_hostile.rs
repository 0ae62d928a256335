//! Amendments at the wrong moment, in the wrong place and by the wrong hands.

use end_to_end::{
    World,
    amending::{WHY, amend, amend_well, amended, becoming, correct, path, rate, rate_at, store, upload, versions},
    answer, ids, link, point,
};
use futures_util::future::join_all;
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

const PETER: &str = "ll_patient_peter";
const VICTOR: &str = "viewer_victor";
const MEGAN: &str = "member_megan";
const RATE: &str = "omh:heart-rate:2.0";
const FEED: &str = "SELECT count(*) FROM study_observation WHERE observation_id =";

/// All resources of a search, page by page.
async fn walk(world: &World, user: &str, first: &str) -> Vec<Value> {
    let (mut walked, mut next) = (Vec::new(), Some(first.to_owned()));
    while let Some(page) = next {
        let (status, bundle) = world.get(user, &page).await;
        assert_eq!(status, StatusCode::OK, "{page}: {bundle}");
        walked.extend(bundle["entry"].as_array().into_iter().flatten().map(|entry| entry["resource"].clone()));
        next = link(world, &bundle, "next").map(str::to_owned);
    }
    walked
}

fn ids_of(resources: &[Value]) -> Vec<&str> {
    resources.iter().filter_map(|resource| resource["id"].as_str()).collect()
}

#[tokio::test]
async fn of_many_who_amend_the_same_version_one_does() {
    let world = World::new().await;
    let id = upload(&world, PETER, 60, "").await;
    for version in 1..4 {
        let bodies: Vec<Value> = (0..8).map(|beats| amended(&id, "amended", 61 + beats, "")).collect();
        let replies = join_all(bodies.iter().map(|body| amend(&world, PETER, version, body))).await;
        let mut statuses: Vec<u16> = replies.iter().map(|(status, _)| status.as_u16()).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [[200].as_slice(), &[412; 7]].concat(), "{replies:?}");
        let (won, told) = replies.iter().find(|(status, _)| *status == StatusCode::OK).expect("one");
        let (_, kept) = world.get(PETER, &path(&id)).await;
        assert_eq!((*won, told), (StatusCode::OK, &kept), "what was answered is what is there");
    }
    let (_, history) = world.get(PETER, &format!("{}/_history", path(&id))).await;
    let numbers: Vec<String> = versions(&history).into_iter().map(|(version, _)| version).collect();
    assert_eq!(numbers, ["4", "3", "2", "1"]);
}

/// Amendments, decisions and reads at the same time: what a practitioner is shown is one version or the other, and none when the
/// consent has ended.
#[tokio::test]
async fn a_decision_and_an_amendment_at_once_leave_nothing_in_the_feed_that_is_not_granted() {
    let world = World::new().await;
    let id = upload(&world, PETER, 60, "").await;
    let by_study = format!("/FHIR/R5/Observation?patient._has:Group:member:_id=30001&_id={id}");
    for (version, consented) in (1..).zip([false, true, false, true, false]) {
        let body = amended(&id, "amended", 60 + version, "");
        let (made, ()) =
            tokio::join!(amend_well(&world, PETER, version, &body), world.decide(PETER, 40001, 30001, RATE, consented));
        let (_, found) = world.get(VICTOR, &by_study).await;
        let read = world.get(VICTOR, &path(&id)).await.0;
        let lines = world.count(&format!("{FEED} {id} AND study_id = 30001")).await;
        if consented {
            assert_eq!((found["entry"][0]["resource"].clone(), read, lines), (made, StatusCode::OK, 1));
        } else {
            assert_eq!((ids(&found), read, lines), (Vec::new(), StatusCode::NOT_FOUND, 0));
        }
    }
}

#[tokio::test]
async fn what_is_amended_while_nobody_may_see_it_is_seen_once_and_new_when_they_may() {
    let world = World::new().await;
    let id = upload(&world, MEGAN, 60, "").await;
    world.decide(PETER, 40001, 30001, RATE, false).await;
    let hidden = amended(&id, "corrected", 66, "");
    let (status, told) = amend(&world, MEGAN, 1, &hidden).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "who may not read it is not told that it is there: {told}");
    assert!(!told.to_string().contains("40001"), "{told}");
    let made = amend_well(&world, PETER, 1, &hidden).await;
    assert_eq!(world.count(&format!("{FEED} {id} AND study_id = 30001")).await, 0);
    for asked in [path(&id), format!("{}/_history", path(&id)), format!("{}/_history/1", path(&id))] {
        for reader in [VICTOR, MEGAN] {
            assert_eq!(world.get(reader, &asked).await.0, StatusCode::NOT_FOUND, "{reader} {asked}");
        }
    }
    world.decide(PETER, 40001, 30001, RATE, true).await;
    for lanes in ["patient=40001", "patient._has:Group:member:_id=30001"] {
        let found = walk(&world, VICTOR, &format!("/FHIR/R5/Observation?{lanes}&_id={id}")).await;
        assert_eq!(found, std::slice::from_ref(&made), "{lanes}");
    }
}

#[tokio::test]
async fn who_lost_the_role_or_is_of_another_organization_amends_nothing() {
    let world = World::new().await;
    let id = upload(&world, MEGAN, 60, "").await;
    let body = amended(&id, "amended", 61, "");
    for stranger in ["manager_mark", "ll_patient_pamela", "ccl_cardio_patient_pat"] {
        let (status, told) = amend(&world, stranger, 1, &body).await;
        let (missing, told_of_missing) = amend(&world, stranger, 1, &amended("69999", "amended", 61, "")).await;
        assert_eq!((status, missing), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND), "{stranger}");
        assert_eq!(told["issue"], told_of_missing["issue"], "{stranger}: what is not theirs is as what is not there");
    }
    assert_eq!(answer(world.anonymous(Method::PUT, &path(&id)).json(&body)).await.0, StatusCode::UNAUTHORIZED);
    let role = async |to: &str| {
        world
            .sql(&format!(
                "UPDATE organization_member m SET role = '{to}' FROM practitioner p JOIN app_user u ON u.id = p.user_id
                  WHERE p.id = m.practitioner_id AND u.email = 'member_megan@example.com'"
            ))
            .await;
    };
    role("viewer").await;
    assert_eq!(amend(&world, MEGAN, 1, &body).await.0, StatusCode::FORBIDDEN, "a viewer reads");
    role("member").await;
    amend_well(&world, MEGAN, 1, &body).await;
    world
        .sql(
            "DELETE FROM organization_member m USING practitioner p JOIN app_user u ON u.id = p.user_id
              WHERE p.id = m.practitioner_id AND u.email = 'member_megan@example.com'",
        )
        .await;
    let refused = amend(&world, MEGAN, 2, &body).await.0;
    assert!(refused == StatusCode::NOT_FOUND || refused == StatusCode::FORBIDDEN, "{refused}");
    assert_eq!(world.count("SELECT count(*) FROM observation_version").await, 1);
}

#[tokio::test]
async fn an_amendment_makes_no_other_observation_of_it() {
    let world = World::new().await;
    let id = upload(&world, PETER, 60, "").await;
    let pressure = point::blood_pressure(120, "2026-03-01T08:00:00Z");
    let of = |patient: i32, device: i32, point: &Value| {
        becoming(&id, "amended", point::observation(patient, device, point, ""))
    };
    let rate_of = point::heart_rate(61, "2026-03-01T08:00:00Z");
    // The data of one kind under the code of another.
    let mut disguised = of(40001, 70001, &rate_of);
    disguised["valueAttachment"] = of(40001, 70001, &pressure)["valueAttachment"].clone();
    // The code that decides is the first of Open mHealth: what is put before it decides nothing, and what is put after it neither.
    let mut coded = of(40001, 70001, &pressure);
    let codings = coded["code"]["coding"].as_array_mut().expect("codings");
    codings.push(json!({ "system": "https://w3id.org/openmhealth", "code": RATE }));
    for (what, body) in [
        ("another patient's", of(40002, 70001, &rate_of)),
        ("of nobody", of(49999, 70001, &rate_of)),
        ("of another kind", of(40001, 70001, &pressure)),
        ("of another kind, disguised", disguised),
        ("of another kind first", coded),
        ("of another device", of(40001, 70002, &rate_of)),
        ("with an identifier", becoming(&id, "amended", rate(61, "new"))),
    ] {
        let (status, told) = amend(&world, PETER, 1, &body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{what}: {told}");
    }
    let (_, kept) = world.get(PETER, &path(&id)).await;
    assert_eq!((&kept["meta"]["versionId"], &kept["status"]), (&json!("1"), &json!("final")));
    // Nor by a Bundle, another method or the history.
    let entry = json!({ "resource": amended(&id, "amended", 61, ""),
        "request": { "method": "PUT", "url": format!("Observation/{id}"), "ifMatch": "W/\"1\"" } });
    for kind in ["batch", "transaction"] {
        let bundle = json!({ "resourceType": "Bundle", "type": kind, "entry": [entry] });
        let (status, told) = world.post(PETER, "/FHIR/R5", &bundle).await;
        assert!(
            status.is_client_error()
                || told["entry"][0]["response"]["status"].as_str().is_some_and(|said| said.starts_with('4')),
            "{kind}: {status} {told}"
        );
    }
    let body = amended(&id, "amended", 61, "");
    for (method, at) in [
        (Method::PATCH, path(&id)),
        (Method::DELETE, path(&id)),
        (Method::POST, path(&id)),
        (Method::PUT, format!("{}/_history/1", path(&id))),
        (Method::DELETE, format!("{}/_history", path(&id))),
        (Method::PUT, "/FHIR/R5/Observation".to_owned()),
    ] {
        let request =
            world.request(PETER, method.clone(), &at).header(header::IF_MATCH, "W/\"1\"").header("x-jhe-reason", WHY);
        let status = answer(request.json(&body)).await.0;
        assert!(matches!(status.as_u16(), 404 | 405), "{method} {at}: {status}");
    }
    assert_eq!(world.count("SELECT count(*) FROM observation_version").await, 0);
}

#[tokio::test]
async fn the_condition_is_if_match_with_a_version_and_nothing_instead() {
    let world = World::new().await;
    let id = upload(&world, PETER, 60, "").await;
    let body = amended(&id, "amended", 61, "");
    let send = async |headers: &[(&str, &str)]| {
        let request = world.request(PETER, Method::PUT, &path(&id)).header("x-jhe-reason", WHY).json(&body);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        answer(request).await.0.as_u16()
    };
    for (headers, expected) in [
        (&[("if-unmodified-since", "Fri, 01 Jan 2100 00:00:00 GMT")][..], 400),
        (&[("if-none-match", "*")], 400),
        (&[("if-none-match", "W/\"1\"")], 400),
        (&[("if-match", "")], 412),
        (&[("if-match", "1")], 412),
        (&[("if-match", "W/\"0\"")], 412),
        (&[("if-match", "W/\"99999999999999999999\"")], 412),
        (&[("if-match", "W/\"7\", W/\"2\"")], 412),
        (&[("if-match", "W/\"7\", W/\"1\"")], 200),
        (&[("if-match", "\"2\"")], 200),
        (&[("if-match", "W/\"1\"")], 412),
    ] {
        assert_eq!(send(headers).await, expected, "{headers:?}");
    }
}

#[tokio::test]
async fn what_has_another_time_now_is_where_that_time_is_and_a_walk_by_change_misses_nothing() {
    let world = World::new().await;
    world.sql("DELETE FROM study_observation WHERE patient_id = 40001").await;
    world.sql("DELETE FROM observation WHERE patient_id = 40001").await;
    let mut made = Vec::new();
    for day in 1..7 {
        made.push(store(&world, PETER, &rate_at(60 + day, &format!("2026-03-0{day}T08:00:00Z"), "")).await);
    }
    // The second is of after the last, the fifth of before the first.
    amend_well(&world, PETER, 1, &becoming(&made[1], "corrected", rate_at(62, "2026-03-09T08:00:00Z", ""))).await;
    amend_well(&world, PETER, 1, &becoming(&made[4], "entered-in-error", rate_at(65, "2026-02-09T08:00:00Z", "")))
        .await;
    let order = |places: [usize; 6]| places.map(|place| made[place].as_str());
    for whom in ["patient=40001", "patient._has:Group:member:_id=30001&patient=40001"] {
        for user in [PETER, VICTOR, "admin"] {
            for (sort, expected) in [
                ("date", order([4, 0, 2, 3, 5, 1])),
                ("-date", order([1, 5, 3, 2, 0, 4])),
                ("_lastUpdated", order([0, 2, 3, 5, 1, 4])),
                ("-_lastUpdated", order([4, 1, 5, 3, 2, 0])),
            ] {
                for count in [1, 2, 100] {
                    let asked = format!("/FHIR/R5/Observation?{whom}&_sort={sort}&_count={count}");
                    assert_eq!(ids_of(&walk(&world, user, &asked).await), expected, "{user} {asked}");
                }
            }
        }
    }
    for (days, found) in
        [("date=ge2026-03-08", &made[1..2]), ("date=lt2026-03-01", &made[4..5]), ("date=2026-03-02", &[])]
    {
        let asked = format!("/FHIR/R5/Observation?patient=40001&{days}");
        assert_eq!(ids_of(&walk(&world, VICTOR, &asked).await), found, "{asked}");
    }
    // What is amended behind a walk by change comes again at its end, in its new version; what is amended before it comes once.
    let asked = "/FHIR/R5/Observation?patient=40001&_sort=_lastUpdated&_count=2";
    let (_, first) = world.get(VICTOR, asked).await;
    assert_eq!(ids(&first), [made[0].as_str(), made[2].as_str()]);
    correct(&world, PETER, &made[2]).await;
    correct(&world, PETER, &made[3]).await;
    let rest = walk(&world, VICTOR, link(&world, &first, "next").expect("a page")).await;
    assert_eq!(ids_of(&rest), [5, 1, 4, 2, 3].map(|place: usize| made[place].as_str()));
    // One by the time of measuring meets each once.
    let asked = "/FHIR/R5/Observation?patient=40001&_sort=date&_count=2";
    let (_, first) = world.get(VICTOR, asked).await;
    correct(&world, PETER, &made[0]).await;
    correct(&world, PETER, &made[5]).await;
    let rest = walk(&world, VICTOR, link(&world, &first, "next").expect("a page")).await;
    assert_eq!(
        [ids(&first), ids_of(&rest).into_iter().map(str::to_owned).collect()].concat(),
        order([4, 0, 2, 3, 5, 1])
    );
}

#[tokio::test]
async fn what_is_withdrawn_is_counted_and_shown_as_such_everywhere() {
    let world = World::new().await;
    let id = upload(&world, PETER, 60, "").await;
    let count = async |filter: &str| {
        let asked = format!("/FHIR/R5/Observation?patient=40001&_summary=count{filter}");
        world.get(VICTOR, &asked).await.1["total"].as_i64().expect("a total")
    };
    let all = count("").await;
    assert_eq!((count("&status=entered-in-error").await, count("&status=final").await), (0, all));
    let end = world.audit_end().await;
    let withdrawn = amend_well(&world, PETER, 1, &amended(&id, "entered-in-error", 60, "")).await;
    assert_eq!(count("").await, all, "it is counted, as it is shown");
    assert_eq!((count("&status=entered-in-error").await, count("&status=final").await), (1, all - 1));
    assert_eq!(count("&status=final,amended,corrected").await, all - 1);
    let (_, total) = world.get(VICTOR, "/FHIR/R5/Observation?patient=40001&_total=accurate&_count=1").await;
    assert_eq!(total["total"], all);
    let (_, everything) = world.get(PETER, "/FHIR/R5/Patient/40001/$everything?_type=Observation&_count=100").await;
    let shown = everything["entry"].as_array().expect("entries").iter().map(|entry| &entry["resource"]);
    assert_eq!(shown.filter(|one| one["id"] == json!(id)).collect::<Vec<_>>(), [&withdrawn]);
    let (_, list) = world.get(VICTOR, &format!("/api/v1/observations?patient_id=40001&observation_id={id}")).await;
    assert_eq!(
        (list["count"].clone(), &list["results"][0]["status"]),
        (json!(1), &json!("entered-in-error")),
        "{list}"
    );
    // The patient reads who it was and why; a sentence never has a value.
    let (_, log) = world.get(PETER, "/api/v1/patients/me/access-log?pageSize=100").await;
    let rows = log["results"].as_array().expect("rows");
    let row = rows.iter().find(|row| row["action"] == "update").expect("the amendment");
    assert_eq!((&row["reason"], &row["observationIds"]), (&json!(WHY), &json!([id])));
    assert!(row["summary"].as_str().expect("a sentence").starts_with("You changed"), "{row}");
    let event = format!(
        "SELECT count(*) FROM audit_event WHERE id > {end} AND action = 'update' AND detail->>'status' = 'entered-in-error'"
    );
    assert_eq!(world.count(&event).await, 1);
    // Who asked for what changed since then is told.
    let since = withdrawn["meta"]["lastUpdated"].as_str().expect("a time");
    let changed = walk(&world, VICTOR, &format!("/FHIR/R5/Observation?patient=40001&_lastUpdated=ge{since}")).await;
    assert_eq!(changed, std::slice::from_ref(&withdrawn));
}

#[tokio::test]
async fn what_came_from_a_source_stays_of_it() {
    let world = World::new().await;
    let mut sources = Vec::new();
    for label in ["Clinic", "Other"] {
        let body = json!({ "label": label, "dataSource": 70005, "fhirBaseUrl": "https://ehr.example/R5" });
        let (status, made) = world.post(PETER, "/api/v1/fhir_sources", &body).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        sources.push(made["id"].as_i64().expect("an id"));
    }
    let named = |number: usize| format!("https://jupyterhealth.org/fhir/fhir-source/{}", sources[number]);
    let mut brought = rate(60, "");
    brought["id"] = json!("there-1");
    brought["meta"] = json!({ "source": named(0) });
    let id = store(&world, PETER, &brought).await;
    let (_, first) = world.get(PETER, &path(&id)).await;
    assert_eq!(first["meta"]["source"], named(0));
    let mut body = first.clone();
    body["status"] = json!("entered-in-error");
    body["meta"]["source"] = json!(named(1));
    let second = amend_well(&world, PETER, 1, &body).await;
    assert_eq!((&second["meta"]["source"], &second["identifier"]), (&json!(named(0)), &first["identifier"]));
    for (source, status, expected) in
        [(0, "", 1), (0, "&status=entered-in-error", 1), (0, "&status=final", 0), (1, "", 0)]
    {
        let asked = format!("/FHIR/R5/Observation?patient=40001&_source={}{status}", named(source));
        let found = walk(&world, VICTOR, &asked).await;
        assert_eq!(found.len(), expected, "{asked}");
        assert!(found.iter().all(|one| *one == second), "{asked}");
    }
    let (_, version) = world.get(VICTOR, &format!("{}/_history/1", path(&id))).await;
    assert_eq!(version, first);
}

#[tokio::test]
async fn a_history_asks_for_the_scope_that_a_read_does_and_its_pages_are_the_readers_own() {
    let world = World::new().await;
    let id = upload(&world, PETER, 60, "").await;
    for version in 1..4 {
        amend_well(&world, PETER, version, &amended(&id, "amended", 60 + version, "")).await;
    }
    let history = format!("{}/_history", path(&id));
    for (scope, expected) in [
        ("openid patient/Observation.s", StatusCode::FORBIDDEN),
        ("openid patient/Observation.u", StatusCode::FORBIDDEN),
        ("openid patient/Patient.rs", StatusCode::FORBIDDEN),
        ("openid patient/Observation.r", StatusCode::OK),
    ] {
        let token = world.token_of(PETER, 4, scope).await;
        for asked in [history.clone(), format!("{history}/1")] {
            let status = answer(world.anonymous(Method::GET, &asked).bearer_auth(&token)).await.0;
            assert_eq!(status, expected, "{scope} {asked}");
        }
    }
    let (_, page) = world.get(PETER, &format!("{history}?_count=2")).await;
    let next = link(&world, &page, "next").expect("another page").to_owned();
    assert_eq!(world.get(PETER, &next).await.0, StatusCode::OK);
    // A link is its reader's, and of its observation.
    assert!(world.get(VICTOR, &next).await.0.is_client_error());
    let other = upload(&world, PETER, 70, "").await;
    let moved = next.replace(&format!("/{id}/"), &format!("/{other}/"));
    assert!(moved != next && world.get(PETER, &moved).await.0.is_client_error());
    for wrong in ["0", "-1", "x", "2147483648", "1.0", "%20"] {
        let status = world.get(PETER, &format!("{history}/{wrong}")).await.0;
        assert!(matches!(status.as_u16(), 400 | 404), "{wrong}: {status}");
    }
}
