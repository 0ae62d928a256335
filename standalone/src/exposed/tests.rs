use super::*;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
}

fn exposure(patient: i32, event: i64, observations: &[i64]) -> Exposure {
    Exposure {
        patient,
        event,
        at: at(event),
        request: format!("r{event}"),
        user: Some(10006),
        user_type: "practitioner".to_owned(),
        client: Some(4),
        action: "search".to_owned(),
        resource_type: "Observation".to_owned(),
        organizations: vec![20003],
        observations: observations.to_vec(),
        counted: None,
        contact: Some(ExposureContact {
            name: "=Nora, \"N\"".to_owned(),
            email: "nora@example.com".to_owned(),
            kinds: vec!["Heart rate".to_owned()],
        }),
    }
}

fn printed(format: Format, with_contacts: bool, exposures: &[Exposure]) -> (String, Vec<Affected>, Total) {
    let query = ExposureQuery {
        from: at(0),
        to: at(60),
        user: None,
        client: None,
        organization: None,
        patient: None,
        contacts: true,
    };
    let mut out = Vec::new();
    let mut tally = Tally::new(&mut out, format, &query, with_contacts);
    let mut affected: Vec<Affected> = exposures.iter().filter_map(|exposure| tally.take(exposure).unwrap()).collect();
    let (last, total) = tally.finish().unwrap();
    affected.extend(last);
    (String::from_utf8(out).unwrap(), affected, total)
}

#[test]
fn each_patient_is_complete_with_the_observations_once() {
    let shown = [exposure(40001, 1, &[60001, 60002]), exposure(40001, 2, &[60002]), exposure(40002, 1, &[60003])];
    let (text, affected, total) = printed(Format::Json, false, &shown);
    let document: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(document["total"], json!({ "patients": 2, "events": 3, "observations": 3 }));
    let first = &document["patients"][0];
    assert_eq!((&first["events"], &first["observations"]), (&json!(2), &json!(2)));
    assert_eq!((&first["first"], &first["last"]), (&json!(at(1)), &json!(at(2))));
    assert_eq!(first["exposures"][1]["observations"], json!([60002]));
    assert_eq!(document["patients"][1]["patient"], 40002);
    assert!(!text.contains("Nora") && !text.contains("nora@"), "{text}");
    assert_eq!(affected.iter().map(|one| one.patient).collect::<Vec<_>>(), [40001, 40002]);
    assert_eq!((total.patients, total.observations), (2, 3));
}

#[test]
fn nobody_affected_is_a_document_too() {
    let (text, affected, total) = printed(Format::Json, true, &[]);
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&document["patients"], affected.len(), total), (&json!([]), 0, Total::default()));
    assert_eq!(printed(Format::Csv, false, &[]).0.lines().count(), 1);
}

#[test]
fn names_are_printed_when_asked_and_are_no_formulas() {
    let shown = [exposure(40001, 1, &[60001, 60002])];
    let (text, ..) = printed(Format::Json, true, &shown);
    assert!(text.contains("nora@example.com"), "{text}");
    let (text, ..) = printed(Format::Csv, true, &shown);
    let row = text.lines().nth(1).unwrap();
    assert!(row.ends_with(",20003,60001 60002,,\"'=Nora, \"\"N\"\"\",nora@example.com"), "{row}");
    let (text, ..) = printed(Format::Csv, false, &shown);
    assert!(text.lines().all(|line| line.split(',').count() == COLUMNS.len()), "{text}");
}
