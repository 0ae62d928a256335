use super::*;
use ::parquet::{
    file::reader::{FileReader as _, SerializedFileReader},
    record::Field,
};
use omh::known_codes;
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Number, json};
use std::collections::{BTreeMap, BTreeSet};

const RATE: Option<&str> = Some("omh:heart-rate:2.0");

fn line(id: &str, body: &Value) -> String {
    let schema = json!({ "namespace": "omh", "name": "heart-rate", "version": "2.0" });
    line_of(id, "omh:heart-rate:2.0", &json!({ "header": { "schema_id": schema }, "body": body }))
}

fn line_of(id: &str, code: &str, point: &Value) -> String {
    let data = STANDARD.encode(point.to_string());
    json!({ "resourceType": "Observation", "id": id, "meta": { "lastUpdated": "2026-01-02T00:00:00.000001Z" }, "status": "final",
        "code": { "coding": [{ "code": code }] }, "subject": { "reference": "Patient/40001" },
        "device": { "reference": "Device/70001" }, "effectiveDateTime": "2026-01-01T01:00:00+01:00",
        "valueAttachment": { "data": data } })
    .to_string()
}

fn table(lines: &[String], code: Option<&str>) -> Vec<BTreeMap<String, String>> {
    let bytes = csv(lines, code).unwrap();
    let mut reader = ::csv::Reader::from_reader(bytes.as_slice());
    reader.deserialize().collect::<Result<_, _>>().unwrap()
}

/// The rows of a file, by name.
fn read(lines: &[String], code: Option<&str>) -> Vec<BTreeMap<String, Field>> {
    let file = SerializedFileReader::new(bytes::Bytes::from(parquet(lines, code).unwrap())).unwrap();
    file.get_row_iter(None)
        .unwrap()
        .map(|row| row.unwrap().get_column_iter().map(|(name, field)| (name.clone(), field.clone())).collect())
        .collect()
}

fn names(lines: &[String], code: Option<&str>) -> String {
    String::from_utf8(csv(lines, code).unwrap()).unwrap().lines().next().unwrap().to_owned()
}

#[test]
fn the_columns_are_those_of_the_schema_whatever_is_in_a_file() {
    let one = line("60001", &json!({ "heart_rate": { "unit": "beats/min", "value": 60 }, "of_its_own": 1 }));
    assert_eq!(names(&[one], RATE), names(&[], RATE));
    assert!(names(&[], RATE).contains(",effective_time_frame.date_time,"));
    assert!(names(&[], RATE).ends_with(",other"));
    assert!(names(&[], None).contains(",valueQuantity.unit,valueQuantity.value,"));
    let first = "patient_id,observation_id,last_updated,status,code,effective_start,effective_end,device_id,header_uuid,\
                 source_creation_date_time,modality,";
    for code in known_codes().map(Some).chain([None]) {
        let names = names(&[], code);
        assert!(names.starts_with(first), "{names}");
        let each: Vec<&str> = names.split(',').collect();
        assert_eq!(each.iter().collect::<BTreeSet<_>>().len(), each.len(), "{names}");
    }
}

#[test]
fn a_header_has_columns_and_what_else_it_has_is_kept() {
    let schema = json!({ "namespace": "omh", "name": "heart-rate", "version": "2.0" });
    let sent = |header: Value| {
        line_of(
            "60001",
            "omh:heart-rate:2.0",
            &json!({ "header": header, "body": { "heart_rate": { "unit": "beats/min", "value": 60 } } }),
        )
    };
    let felt =
        sent(json!({ "uuid": "5b1f2a70-0000-4000-8000-000000000001", "schema_id": schema, "modality": "self-reported",
        "source_creation_date_time": "2026-01-01T01:00:00Z", "acquisition_rate": { "number_of_times": 1 } }));
    let row = &table(std::slice::from_ref(&felt), RATE)[0];
    assert_eq!(row["header_uuid"], "5b1f2a70-0000-4000-8000-000000000001");
    assert_eq!(
        (row["modality"].as_str(), row["source_creation_date_time"].as_str()),
        ("self-reported", "2026-01-01T01:00:00Z")
    );
    let other = "{\"header\":{\"acquisition_rate\":{\"number_of_times\":1}}}";
    assert_eq!(row["other"], other);
    let row = &read(&[felt], RATE)[0];
    assert_eq!(row["source_creation_date_time"], Field::TimestampMicros(1_767_229_200_000_000));
    assert_eq!(
        (&row["modality"], &row["other"]),
        (&Field::Str("self-reported".to_owned()), &Field::Str(other.to_owned()))
    );
    // The instant is in the column, and the offset is not lost with it.
    let elsewhere = sent(json!({ "schema_id": schema, "source_creation_date_time": "2026-01-01T02:00:00+01:00" }));
    let row = &read(std::slice::from_ref(&elsewhere), RATE)[0];
    assert_eq!(row["source_creation_date_time"], Field::TimestampMicros(1_767_229_200_000_000));
    let other = "{\"header\":{\"source_creation_date_time\":\"2026-01-01T02:00:00+01:00\"}}";
    assert_eq!(row["other"], Field::Str(other.to_owned()));
    assert_eq!(table(&[elsewhere], RATE)[0]["other"], "");
}

#[test]
fn however_many_members_somebody_sends_the_table_does_not_grow_with_them() {
    let body = |row: usize| Value::Object((0..500).map(|n| (format!("m{row}_{n}"), json!(n))).collect());
    let lines: Vec<String> = (0..50).map(|row| line("60001", &body(row))).collect();
    let sent: usize = lines.iter().map(String::len).sum();
    assert!(csv(&lines, RATE).unwrap().len() < sent);
    assert!(parquet(&lines, RATE).unwrap().len() < sent);
}

#[test]
fn a_row_has_what_its_data_point_says_and_nothing_of_another() {
    let rate = line("60001", &json!({ "heart_rate": { "unit": "beats/min", "value": 60 }, "list": [1, "a,b"] }));
    let other = line("60002", &json!({ "heart_rate": { "unit": 7, "value": -1.50 }, "note": "a \"b\"\nc" }));
    let rows = table(&[rate.clone(), other.clone()], RATE);
    let cell = |row: usize, name: &str| rows[row][name].clone();
    assert_eq!((cell(0, "patient_id"), cell(0, "observation_id")), ("40001".to_owned(), "60001".to_owned()));
    assert_eq!((cell(0, "heart_rate.value"), cell(0, "heart_rate.unit")), ("60".to_owned(), "beats/min".to_owned()));
    assert_eq!(cell(0, "other"), "{\"body\":{\"list\":[1,\"a,b\"]}}");
    // A number as it was sent; what is no text is in no column of texts.
    assert_eq!((cell(1, "heart_rate.value"), cell(1, "heart_rate.unit")), ("-1.5".to_owned(), String::new()));
    assert_eq!(cell(1, "other"), "{\"body\":{\"heart_rate\":{\"unit\":7},\"note\":\"a \\\"b\\\"\\nc\"}}");
    let rows = read(&[rate, other], RATE);
    assert_eq!(rows[0]["heart_rate.value"], Field::Double(60.0));
    assert_eq!(rows[1]["heart_rate.value"], Field::Double(-1.5));
    assert_eq!(
        (&rows[0]["heart_rate.unit"], &rows[1]["heart_rate.unit"]),
        (&Field::Str("beats/min".to_owned()), &Field::Null)
    );
    assert_eq!((&rows[0]["patient_id"], &rows[1]["observation_id"]), (&Field::Long(40001), &Field::Long(60002)));
    // 2026-01-01T00:00:00Z.
    assert_eq!(rows[0]["effective_start"], Field::TimestampMicros(1_767_225_600_000_000));
    assert_eq!(rows[0]["last_updated"], Field::TimestampMicros(1_767_312_000_000_001));
    assert_eq!(rows[0]["effective_end"], Field::Null);
}

#[test]
fn what_is_no_instant_and_no_number_is_kept_beside() {
    let lab = json!({ "resourceType": "Observation", "id": "60001", "status": "final", "subject": { "reference": "Patient/40001" },
        "meta": { "lastUpdated": "2026-01-02T00:00:00Z" }, "code": { "coding": [{ "code": "2339-0" }] },
        "device": { "reference": "urn:uuid:x" }, "effectiveDateTime": "2026-01",
        "valueQuantity": { "value": 6.3, "unit": "mmol/l", "comparator": "<" } })
    .to_string();
    let row = &read(std::slice::from_ref(&lab), Some("2339-0"))[0];
    assert_eq!((&row["valueQuantity.value"], &row["effective_start"]), (&Field::Double(6.3), &Field::Null));
    let other = "{\"observation\":{\"device_id\":\"urn:uuid:x\",\"effective_start\":\"2026-01\",\"valueQuantity\":{\"comparator\":\"<\"}}}";
    assert_eq!(row["other"], Field::Str(other.to_owned()));
    assert_eq!(table(&[lab], None)[0]["effective_start"], "2026-01");
}

#[test]
fn a_text_is_no_formula() {
    for text in ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "  =1"] {
        let unit = line("60001", &json!({ "heart_rate": { "unit": text, "value": -1 } }));
        let row = table(std::slice::from_ref(&unit), RATE).remove(0);
        assert_eq!(row["heart_rate.unit"], format!("'{text}"));
        assert_eq!(row["heart_rate.value"], "-1", "a number is none");
        // Programs that read Parquet know a text from a formula.
        assert_eq!(read(&[unit], RATE)[0]["heart_rate.unit"], Field::Str(text.to_owned()));
    }
    let names = line("60001", &json!({ "=x": "@y" }));
    assert_eq!(table(&[names], RATE)[0]["other"], "{\"body\":{\"=x\":\"@y\"}}");
}

#[test]
fn nothing_is_a_table_without_rows() {
    assert_eq!(table(&[], RATE).len(), 0);
    assert_eq!(read(&[], RATE).len(), 0);
    assert!(csv(&["{".to_owned()], None).is_err());
}

/// A cell of a file of CSV as what it says.
fn said(kind: Option<ColumnKind>, text: &str) -> Option<Value> {
    match kind {
        _ if text.is_empty() => None,
        None | Some(ColumnKind::Text) => Some(text.strip_prefix('\'').unwrap_or(text).into()),
        Some(_) => Some(serde_json::from_str(text).unwrap()),
    }
}

/// A cell of a file of Parquet likewise.
fn held(kind: Option<ColumnKind>, field: &Field) -> Option<Value> {
    match field {
        Field::Null => None,
        Field::Str(text) if kind == Some(ColumnKind::Json) => Some(serde_json::from_str(text).unwrap()),
        Field::Str(text) => Some(text.as_str().into()),
        Field::Double(number) => Some(Number::from_f64(*number).unwrap().into()),
        Field::Long(number) => Some((*number).into()),
        Field::Bool(value) => Some((*value).into()),
        Field::TimestampMicros(micros) => Some(jiff::Timestamp::from_microsecond(*micros).unwrap().to_string().into()),
        other => panic!("{other:?}"),
    }
}

/// The data point of a row, by what `docs/portability.md` says of the columns and of nothing else.
fn put_together(code: &str, cell: impl Fn(Option<ColumnKind>, &str) -> Option<Value>) -> Value {
    let other = cell(Some(ColumnKind::Text), "other");
    let mut other: Value =
        other.map_or_else(|| json!({}), |text| serde_json::from_str(text.as_str().unwrap()).unwrap());
    let mut point = other["data_point"].take();
    if point.is_null() {
        point = json!({});
    }
    for part in ["header", "body"] {
        if let Some(left) = other.get_mut(part) {
            point[part] = left.take();
        }
    }
    let mut names = code.split(':');
    let mut name = || names.next().unwrap();
    let header = &mut point["header"];
    if header.get("schema_id").is_none() {
        header["schema_id"] = json!({ "namespace": name(), "name": name(), "version": name() });
    }
    for (column, member) in
        [("header_uuid", "uuid"), ("source_creation_date_time", "source_creation_date_time"), ("modality", "modality")]
    {
        let kind = (column != "source_creation_date_time").then_some(ColumnKind::Text);
        if let Some(value) = cell(kind, column).filter(|_| header.get(member).is_none()) {
            header[member] = value;
        }
    }
    for Column { path, kind } in omh::columns(code).unwrap() {
        let Some(value) = cell(Some(kind), &path) else { continue };
        let place = path.split('.').fold(&mut point["body"], |place, name| &mut place[name]);
        if place.is_null() {
            *place = value;
        }
    }
    point
}

/// Whether two values say the same: `1.50` is `1.5`.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            parquet_file::decimal(&one.to_string()) == parquet_file::decimal(&other.to_string())
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, one)| other.get(name).is_some_and(|other| is_same(one, other)))
        }
        (one, other) => one == other,
    }
}

/// What somebody sends as a value: of the schema's kinds, and whatever else.
fn values() -> impl Strategy<Value = Value> {
    let numbers = "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE]-?[0-9]{1,2})?";
    let leaf = prop_oneof![
        numbers.prop_map(|text| serde_json::from_str(&text).unwrap()),
        select(vec![
            json!(5),
            json!(9_007_199_254_740_993_i64),
            json!(true),
            json!(null),
            json!({}),
            json!([]),
            json!("")
        ]),
        "[-=+@' \\t\\r\\na-c\"\\\\,é]{0,6}".prop_map(Value::from),
        select(vec![
            "2026-01-01T02:00:00+01:00",
            "2026-01-01T01:00:00Z",
            "2026-01-01T01:00:00.0000001Z",
            "2026-01",
            "beats/min"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            vec((names_of_members(), inner), 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn names_of_members() -> impl Strategy<Value = String> {
    let names = "heart_rate value unit effective_time_frame date_time time_interval start_date_time duration descriptive_statistic \
                 total_sleep_time sleep_events heart_rate.value .value header body other data_point observation uuid modality \
                 source_creation_date_time schema_id external_datasheets effective_start";
    let names: Vec<String> = names.split(' ').map(str::to_owned).chain([String::new()]).collect();
    select(names)
}

fn members() -> impl Strategy<Value = Value> {
    vec((names_of_members(), values()), 0..6).prop_map(|members| Value::Object(members.into_iter().collect()))
}

proptest! {
    #[test]
    fn of_a_data_point_nothing_is_lost(
        code in select(vec!["omh:heart-rate:2.0", "ieee:total-sleep-time:1.0"]),
        (mut point, mut header, body) in (members(), members(), prop_oneof![members(), values()]),
        rate in values(),
        names_the_schema in any::<bool>(),
    ) {
        if names_the_schema || header.get("schema_id").is_none() {
            let (namespace, rest) = code.split_once(':').unwrap();
            let (name, version) = rest.split_once(':').unwrap();
            header["schema_id"] = json!({ "namespace": namespace, "name": name, "version": version });
        }
        point["header"] = header;
        point["body"] = body;
        if point["body"].is_object() {
            point["body"]["heart_rate"] = json!({ "value": rate, "unit": "beats/min" });
        }
        let line = [line_of("60001", code, &point)];
        let rows = table(&line, Some(code));
        let again = put_together(code, |kind, name| said(kind, &rows[0][name]));
        prop_assert!(is_same(&again, &point), "CSV: {} of {}", again, point);
        let rows = read(&line, Some(code));
        let again = put_together(code, |kind, name| held(kind, &rows[0][name]));
        prop_assert!(is_same(&again, &point), "Parquet: {} of {}", again, point);
    }
}
