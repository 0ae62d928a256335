//! `GET /FHIR/R5/Observation?date=`: what a window finds, in every order and page by page, when observations last from no time
//! to weeks.

use end_to_end::{
    World, ids, link,
    point::{bundle, observation, point},
};
use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use serde_json::{Value, json};

const PETER: i32 = 40001;
const CAREX: i32 = 70001;
const VICTOR: &str = "viewer_victor";

/// An observation of heart rate over a time.
struct Interval {
    start: Timestamp,
    end: Timestamp,
    id: String,
}

/// A start every seven hours from 1 March 2026, lasting in turn no time, ten minutes, just an hour, nine hours and, now and then, weeks.
fn intervals() -> Vec<Interval> {
    let first: Timestamp = "2026-03-01T00:00:00Z".parse().expect("a time");
    let lasting = [0, 10, 60, 0, 9 * 60, 0, 61, 20 * 24 * 60];
    (0_i32..60)
        .map(|n| {
            let start = first + SignedDuration::from_hours(7) * n;
            let minutes = lasting[usize::try_from(n).expect("small") % lasting.len()];
            Interval { start, end: start + SignedDuration::from_mins(minutes), id: String::new() }
        })
        .collect()
}

fn upload(interval: &Interval) -> Value {
    let frame = if interval.start == interval.end {
        json!({ "date_time": interval.start.to_string() })
    } else {
        json!({ "time_interval": { "start_date_time": interval.start.to_string(), "end_date_time": interval.end.to_string() } })
    };
    let body = json!({ "heart_rate": { "unit": "beats/min", "value": 60 }, "effective_time_frame": frame });
    observation(PETER, CAREX, &point("omh:heart-rate:2.0", &body), &interval.start.to_string())
}

/// Every id of a search, page by page.
async fn walked(world: &World, query: &str) -> Vec<String> {
    let mut path = format!("/FHIR/R5/Observation?{query}&_count=7");
    let mut found = Vec::new();
    loop {
        let (status, page) = world.get(VICTOR, &path).await;
        assert_eq!(status, StatusCode::OK, "{query}: {page}");
        found.extend(ids(&page));
        match link(world, &page, "next") {
            Some(next) => path = next.to_owned(),
            None => return found,
        }
    }
}

#[tokio::test]
async fn a_window_finds_all_that_reaches_into_it_in_every_order_page_by_page() {
    let world = World::new().await;
    let mut all = intervals();
    let uploads: Vec<Value> = all.iter().map(upload).collect();
    let (status, answer) = world.post("ll_patient_peter", "/FHIR/R5", &bundle("transaction", &uploads)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    for (interval, id) in all.iter_mut().zip(ids(&answer)) {
        interval.id = id;
    }
    // A bound by ge is passed by what does not end before it, a bound by lt by what starts before it.
    let windows = [
        ("2026-03-02T00:00:00Z", "2026-03-04T00:00:00Z"),
        ("2026-03-10T00:30:00Z", "2026-03-10T00:45:00Z"),
        ("2026-03-01T00:00:00Z", "2026-04-30T00:00:00Z"),
        ("2026-03-25T00:00:00Z", "2026-03-26T00:00:00Z"),
        ("2026-05-01T00:00:00Z", "2026-06-01T00:00:00Z"),
    ];
    let who = ["patient=40001", "patient._has:Group:member:_id=30001"];
    for (from, to) in windows {
        let (min, max): (Timestamp, Timestamp) = (from.parse().expect("a time"), to.parse().expect("a time"));
        let expected: Vec<&str> = all
            .iter()
            .filter(|interval| interval.end >= min && interval.start < max)
            .map(|interval| interval.id.as_str())
            .collect();
        let reversed: Vec<&str> = expected.iter().rev().copied().collect();
        for named in who {
            let query = format!("{named}&date=ge{from}&date=lt{to}");
            assert_eq!(walked(&world, &query).await, reversed, "{query}: the latest first, unless asked otherwise");
            for (sort, expected) in
                [("date", &expected), ("-date", &reversed), ("_lastUpdated", &expected), ("-_lastUpdated", &reversed)]
            {
                let query = format!("{query}&_sort={sort}");
                assert_eq!(walked(&world, &query).await, *expected, "{query}");
            }
            let (_, counted) = world.get(VICTOR, &format!("/FHIR/R5/Observation?{query}&_summary=count")).await;
            assert_eq!(counted["total"], expected.len(), "{query}");
        }
    }
}
