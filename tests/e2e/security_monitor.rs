//! The security monitor: each incident that is planted in the audit is one finding, and people are told of it without a word
//! about anybody.

use end_to_end::World;
use runtime::{App, Failure, Occasion};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Who is told.
pub const OFFICER: &str = "officer@hospital.example";

const TOLD: (&str, &str) = ("SECURITY_MAIL_TO", OFFICER);

/// Offices that are closed now, whenever that is.
pub fn closed_now() -> (&'static str, &'static str) {
    let hour = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).hour();
    ("SECURITY_OFFICE_HOURS", if (1..=2).contains(&hour) { "20-21" } else { "1-2" })
}

pub async fn call(app: &App) -> Result<Value, Failure> {
    security_monitor::FUNCTION.run(app, &Occasion::new("scheduled", json!({}))).await
}

/// What somebody did, so many times and so long ago.
struct Did {
    user: i32,
    kind: &'static str,
    times: i32,
    ago: &'static str,
    action: &'static str,
    resource: &'static str,
    patients: &'static str,
    observations: i32,
    refused_by: Option<&'static str>,
}

impl Did {
    const READ: Self = Self {
        user: 10003,
        kind: "practitioner",
        times: 1,
        ago: "0 s",
        action: "search",
        resource: "Observation",
        patients: "1, 3",
        observations: 100,
        refused_by: None,
    };

    async fn plant(&self, world: &World) {
        let Self { user, kind, times, ago, action, resource, patients, observations, .. } = self;
        let (outcome, refused_by) =
            self.refused_by.map_or(("allowed", "NULL".to_owned()), |layer| ("denied", format!("'{layer}'")));
        world
            .sql(&format!(
                "INSERT INTO audit_event (occurred_at, request_id, actor_user_id, actor_type, actor_role, action, resource_type,
                                          organization_ids, study_ids, patient_ids, observation_ids, outcome, refused_by, privileged)
                 SELECT clock_timestamp() - interval '{ago}', 'planted', {user}, '{kind}',
                        CASE WHEN '{kind}' = 'practitioner' THEN 'member'::member_role END, '{action}', '{resource}', '{{}}', '{{}}',
                        ARRAY(SELECT generate_series({patients})), ARRAY(SELECT generate_series(1, {observations})), '{outcome}',
                        {refused_by}, '{kind}' = 'super_admin'
                   FROM generate_series(1, {times})"
            ))
            .await;
    }
}

/// Four weeks in which everybody reads a hundred observations of three patients a day, and the monitor has seen it.
async fn ordinary_weeks(world: &World) {
    world
        .sql(
            "INSERT INTO activity_day (user_id, day, actor_type, actor_role, events, observations, patients, refusals, consent_changes, out_of_hours)
             SELECT u, current_date - d, 'practitioner', 'member', 5, 90 + (u + d) % 20, 3, 0, 0, 0
               FROM generate_series(10002, 10012) u CROSS JOIN generate_series(2, 28) d",
        )
        .await;
    // So that midnight does not come between what is planted and who looks.
    world
        .sql("INSERT INTO security_monitor (judged_from, next_day) VALUES (current_date - 6, current_date - 1) ON CONFLICT DO NOTHING")
        .await;
}

async fn failed_sign_ins(world: &World, count: i32, subject: &str, address: &str) {
    world
        .sql(&format!(
            "INSERT INTO audit_event (request_id, actor_type, action, resource_type, organization_ids, study_ids, patient_ids,
                                      observation_ids, outcome, refused_by, privileged, source_address, subject_user_id)
             SELECT 'planted', 'anonymous', 'execute', 'Session', '{{}}', '{{}}', '{{}}', '{{}}', 'denied', 'token', false, {address}, {subject}
               FROM generate_series(1, {count})"
        ))
        .await;
}

/// One incident of each kind, each of somebody else.
pub async fn incidents(world: &World) {
    ordinary_weeks(world).await;
    for did in [
        Did { user: 10003, times: 60, ..Did::READ },
        Did { user: 10004, patients: "1, 400", observations: 90, ..Did::READ },
        Did { user: 10005, times: 40, refused_by: Some("organization"), ..Did::READ },
        Did { user: 10006, times: 45, action: "create", resource: "Consent", observations: 0, ..Did::READ },
        Did { user: 10001, kind: "super_admin", observations: 1, ..Did::READ },
        Did { user: 10900, observations: 1, ..Did::READ },
    ] {
        did.plant(world).await;
    }
    world
        .sql("INSERT INTO activity_day SELECT 10900, current_date - 70, 'practitioner', 'member', 1, 1, 1, 0, 0, 0")
        .await;
    failed_sign_ins(world, 12, "10007", "'198.51.100.' || (generate_series % 12)").await;
    failed_sign_ins(world, 25, "NULL", "'198.51.100.77'").await;
}

/// The findings: kind, account or address, and how many events are behind each.
async fn found(world: &World) -> Vec<(String, String, i64)> {
    let rows = world
        .sql(
            "SELECT kind, coalesce(user_id::text, source_address), cardinality(event_ids)::bigint FROM security_finding
              ORDER BY kind, 2",
        )
        .await;
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

fn expected() -> Vec<(String, String, i64)> {
    [
        ("breadth", "10004", 1),
        ("consent_changes", "10006", 45),
        ("dormant_account", "10900", 1),
        ("failed_sign_ins_from_address", "198.51.100.77", 25),
        ("failed_sign_ins_of_account", "10007", 12),
        ("privileged_out_of_hours", "10001", 1),
        ("refusals", "10005", 40),
        ("volume", "10003", 60),
    ]
    .map(|(kind, who, events)| (kind.to_owned(), who.to_owned(), events))
    .to_vec()
}

#[tokio::test]
async fn each_planted_incident_is_one_finding_however_often_somebody_looks() {
    let world = World::with(&[TOLD, closed_now()]).await;
    incidents(&world).await;
    let report = call(&world.app).await.expect("a report");
    assert_eq!((&report["new_findings"], &report["told"]), (&json!(8), &json!(8)), "{report}");
    assert_eq!(found(&world).await, expected());
    let report = call(&world.app).await.expect("a report");
    assert_eq!((&report["new_findings"], &report["told"]), (&json!(0), &json!(0)), "{report}");
    assert_eq!(found(&world).await, expected());
    assert_eq!(world.mails().len(), 1);
    let recorded = "SELECT count(*) FROM audit_event WHERE actor_type = 'system' AND action = 'create' AND resource_type = 'SecurityFinding'";
    assert_eq!(world.count(recorded).await, 8);
}

#[tokio::test]
async fn a_quiet_day_has_no_finding() {
    let world = World::with(&[TOLD, closed_now()]).await;
    ordinary_weeks(&world).await;
    for user in 10002..=10012 {
        Did { user, times: 2, observations: 60, ..Did::READ }.plant(&world).await;
        Did { user, times: 3, refused_by: Some("consent"), ..Did::READ }.plant(&world).await;
    }
    failed_sign_ins(&world, 9, "10007", "'198.51.100.7'").await;
    let report = call(&world.app).await.expect("a report");
    assert_eq!(report["new_findings"], 0, "{report}");
    assert_eq!(found(&world).await, []);
    assert!(world.mails().is_empty());
}

#[tokio::test]
async fn lists_of_people_and_other_resources_are_data_too_and_what_was_only_asked_for_is_none() {
    let world = World::with(&[TOLD, closed_now()]).await;
    ordinary_weeks(&world).await;
    let detail = async |user: i32, value: &str| {
        let statement = format!(
            "INSERT INTO audit_event (request_id, actor_user_id, actor_type, actor_role, action, resource_type, organization_ids, study_ids,
                                      patient_ids, observation_ids, outcome, privileged, detail)
             SELECT 'planted', {user}, 'practitioner', 'member', 'search', 'QuestionnaireResponse', '{{}}', '{{}}',
                    ARRAY(SELECT generate_series(1, CASE WHEN n = 0 THEN 400 ELSE 3 END)), '{{}}', 'allowed', false, {value}
               FROM generate_series(CASE WHEN {user} = 10005 THEN 0 ELSE 1 END, CASE WHEN {user} = 10005 THEN 0 ELSE 60 END) n"
        );
        world.sql(&statement).await;
    };
    Did { user: 10003, resource: "Patient", patients: "1, 400", observations: 0, ..Did::READ }.plant(&world).await;
    detail(10004, "jsonb_build_object('ids', (SELECT jsonb_agg(gen_random_uuid()) FROM generate_series(1, 100)))")
        .await;
    detail(10005, "jsonb_build_object('asked', (SELECT jsonb_agg(g) FROM generate_series(1, 400) g))").await;
    call(&world.app).await.expect("a report");
    let expected = [("breadth", "10003", 1), ("volume", "10004", 60)];
    assert_eq!(found(&world).await, expected.map(|(kind, who, events)| (kind.to_owned(), who.to_owned(), events)));
}

#[tokio::test]
async fn a_message_says_where_to_look_and_nothing_about_anybody() {
    let world = World::with(&[TOLD, closed_now()]).await;
    incidents(&world).await;
    call(&world.app).await.expect("a report");
    let mails = world.mails();
    let [mail] = &mails[..] else { panic!("{mails:?}") };
    assert_eq!((mail.to.as_str(), mail.subject.as_str()), (OFFICER, "JupyterHealth Exchange: 8 security findings"));
    for id in 1..=8 {
        assert!(mail.text.contains(&format!("{}/api/v1/security-findings/{id}\n", world.base)), "{}", mail.text);
    }
    let text = mail.text.to_lowercase().replace(&world.base, "");
    let people = world.sql("SELECT email, first_name, last_name, id::text FROM app_user").await;
    let words: BTreeSet<String> =
        people.iter().flat_map(|row| (0..4).map(move |n| row.get::<_, String>(n).to_lowercase())).collect();
    for word in words.iter().map(String::as_str).chain([
        "patient",
        "observation",
        "blood",
        "heart",
        "omh",
        "198.51.100",
        "10900",
    ]) {
        assert!(word.is_empty() || !text.contains(word), "{word}: {text}");
    }
}

#[tokio::test]
async fn what_nobody_could_be_told_is_told_by_the_next_call() {
    let world = World::with(&[("SECURITY_MAIL_TO", "no address"), closed_now()]).await;
    incidents(&world).await;
    call(&world.app).await.expect_err("nobody can be told");
    assert_eq!(found(&world).await, expected());
    assert_eq!(world.count("SELECT count(*) FROM security_finding WHERE notified_at IS NULL").await, 8);
    let (mended, _) = world.process_with(&[TOLD]).await;
    let report = call(&mended).await.expect("a report");
    assert_eq!((&report["new_findings"], &report["told"]), (&json!(0), &json!(8)), "{report}");
    assert_eq!(world.mails().len(), 1);
    assert_eq!(world.count("SELECT count(*) FROM security_finding WHERE notified_at IS NULL").await, 0);
}

#[tokio::test]
async fn after_an_outage_the_days_between_are_judged_too_and_none_twice() {
    let world = World::with(&[closed_now()]).await;
    ordinary_weeks(&world).await;
    world.sql("UPDATE security_monitor SET next_day = current_date - 5").await;
    Did { user: 10003, times: 60, ago: "3 days", ..Did::READ }.plant(&world).await;
    assert_eq!(call(&world.app).await.expect("a report")["new_findings"], 1);
    let days =
        "SELECT count(*) FROM security_finding WHERE kind = 'volume' AND day IN (current_date - 3, current_date - 4)";
    assert_eq!(world.count(days).await, 1);
    assert!(world.count("SELECT (current_date - next_day)::bigint FROM security_monitor").await <= 1);
    // What is planted in a day that is done is not looked at again.
    Did { user: 10004, times: 60, ago: "3 days", ..Did::READ }.plant(&world).await;
    assert_eq!(call(&world.app).await.expect("a report")["new_findings"], 0);
}

#[tokio::test]
async fn the_days_before_the_first_call_are_learned_from_and_not_judged() {
    let world = World::with(&[closed_now()]).await;
    Did { user: 10003, times: 60, ago: "3 days", ..Did::READ }.plant(&world).await;
    for ago in ["4 days", "5 days", "6 days", "7 days", "8 days", "9 days", "10 days", "11 days", "12 days"] {
        Did { ago, ..Did::READ }.plant(&world).await;
    }
    assert_eq!(call(&world.app).await.expect("a report")["new_findings"], 0);
    assert_eq!(world.count("SELECT sum(observations)::bigint FROM activity_day WHERE user_id = 10003").await, 6900);
}

#[tokio::test]
async fn a_finding_grows_with_its_day_and_is_told_once() {
    let world = World::with(&[TOLD, closed_now()]).await;
    ordinary_weeks(&world).await;
    Did { times: 60, ..Did::READ }.plant(&world).await;
    call(&world.app).await.expect("a report");
    Did { times: 20, ..Did::READ }.plant(&world).await;
    assert_eq!(call(&world.app).await.expect("a report")["new_findings"], 0);
    assert_eq!(world.count("SELECT measured FROM security_finding").await, 8000);
    assert_eq!(found(&world).await, [("volume".to_owned(), "10003".to_owned(), 80)]);
    assert_eq!(world.mails().len(), 1);
}

#[tokio::test]
async fn a_setting_that_cannot_be_used_stops_the_monitor_and_is_named_in_no_answer() {
    for (name, value) in
        [("SECURITY_TIME_ZONE", "Mars/Olympus"), ("SECURITY_TOPIC_ARN", "arn:aws:sns:eu-central-1:123456789012:topic")]
    {
        let world = World::with(&[(name, value)]).await;
        assert!(call(&world.app).await.is_err(), "{name}");
    }
}
