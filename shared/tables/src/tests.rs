use super::*;
use ::parquet::{
    file::reader::{FileReader as _, SerializedFileReader},
    record::Field,
};
use serde_json::json;

const RATE: Option<&str> = Some("omh:heart-rate:2.0");

fn line(id: &str, body: &Value) -> String {
    let data = STANDARD.encode(json!({ "header": {}, "body": body }).to_string());
    json!({ "resourceType": "Observation", "id": id, "meta": { "lastUpdated": "2026-01-02T00:00:00.000001Z" }, "status": "final",
        "code": { "coding": [{ "code": "omh:heart-rate:2.0" }] }, "subject": { "reference": "Patient/40001" },
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
    assert_eq!(cell(0, "other"), "{\"list\":[1,\"a,b\"]}");
    // A number as it was sent; what is no text is in no column of texts.
    assert_eq!((cell(1, "heart_rate.value"), cell(1, "heart_rate.unit")), ("-1.5".to_owned(), String::new()));
    assert_eq!(cell(1, "other"), "{\"heart_rate.unit\":7,\"note\":\"a \\\"b\\\"\\nc\"}");
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
    let other = "{\"device_id\":\"urn:uuid:x\",\"effective_start\":\"2026-01\",\"valueQuantity.comparator\":\"<\"}";
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
    assert_eq!(table(&[names], RATE)[0]["other"], "{\"=x\":\"@y\"}");
}

#[test]
fn nothing_is_a_table_without_rows() {
    assert_eq!(table(&[], RATE).len(), 0);
    assert_eq!(read(&[], RATE).len(), 0);
    assert!(csv(&["{".to_owned()], None).is_err());
}
