use fhir::search::{Directory, DirectorySearch, Handling, Matching, PatientSearch, StringParam, SystemMatch};
use jiff::civil::{Date, date};

use crate::support::{facts, pairs};

fn patients(query: &[(&str, &str)]) -> PatientSearch {
    PatientSearch::parse(&pairs(query), Handling::Strict).unwrap()
}

fn string(matching: Matching, values: &[&str]) -> StringParam {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    StringParam { matching, values }
}

#[test]
fn patients_are_found_by_every_parameter() {
    let asked = patients(&[
        ("_id", "40001,40002"),
        ("identifier", "urn:oid:1.2|E1"),
        ("name", "Ste"),
        ("family:exact", "Stevens"),
        ("given:contains", "eter"),
        ("organization", "20003"),
        ("_has:Group:member:_id", "30001"),
        ("_lastUpdated", "ge2025"),
        ("_count", "5"),
    ]);
    assert_eq!(asked.ids, [40001, 40002]);
    assert_eq!(asked.identifier.as_ref().unwrap().system, SystemMatch::Is("urn:oid:1.2".to_owned()));
    assert_eq!(asked.name, Some(string(Matching::StartsWith, &["Ste"])));
    assert_eq!(asked.family, Some(string(Matching::Exact, &["Stevens"])));
    assert_eq!(asked.given, Some(string(Matching::Contains, &["eter"])));
    assert_eq!((asked.organization, asked.study, asked.page.count), (Some(20003), Some(30001), 5));
    assert!(asked.page.last_updated.end_min.is_some());
    let again = PatientSearch::parse(&asked.canonical_pairs(), Handling::Strict).unwrap();
    assert_eq!(again, asked);
}

#[test]
fn the_names_of_observation_searches_work_too() {
    let one = patients(&[
        ("patient", "40001"),
        ("patient._has:Group:member:_id", "30001"),
        ("patient.organization", "20003"),
        ("patient.identifier", "E1"),
    ]);
    let two = patients(&[
        ("_id", "40001"),
        ("_has:Group:member:_id", "30001"),
        ("organization", "20003"),
        ("identifier", "E1"),
    ]);
    assert_eq!(one, two);
}

#[test]
fn strings_may_be_several() {
    assert_eq!(patients(&[("name", r"b,a,b,c\,d")]).name, Some(string(Matching::StartsWith, &["a", "b", "c,d"])));
    for value in ["", ",", "a,", "a\u{7}"] {
        let rejection = PatientSearch::parse(&pairs(&[("name", value)]), Handling::Lenient).unwrap_err();
        assert_eq!(facts(&rejection), (400, "value", ""), "{value:?}");
    }
    for name in ["name:text", "family:missing", "birthdate:missing", "given:"] {
        let rejection = PatientSearch::parse(&pairs(&[(name, "a")]), Handling::Lenient).unwrap_err();
        assert_eq!(facts(&rejection), (400, "not-supported", ""), "{name}");
    }
}

#[test]
fn birth_dates_are_days() {
    let days = |value: &str| {
        let search = patients(&[("birthdate", value)]);
        (search.birth_date.from, search.birth_date.before)
    };
    let table: [(&str, Option<Date>, Option<Date>); 10] = [
        ("1982-01-13", Some(date(1982, 1, 13)), Some(date(1982, 1, 14))),
        ("1982", Some(date(1982, 1, 1)), Some(date(1983, 1, 1))),
        ("ap1982-02", Some(date(1982, 2, 1)), Some(date(1982, 3, 1))),
        ("gt1982", Some(date(1983, 1, 1)), None),
        ("sa1982", Some(date(1983, 1, 1)), None),
        ("ge1982", Some(date(1982, 1, 1)), None),
        ("lt1982", None, Some(date(1982, 1, 1))),
        ("eb1982", None, Some(date(1982, 1, 1))),
        ("le1982", None, Some(date(1983, 1, 1))),
        ("le1982-12-31", None, Some(date(1983, 1, 1))),
    ];
    for (value, from, before) in table {
        assert_eq!(days(value), (from, before), "{value}");
    }
    let between = patients(&[("birthdate", "ge1980"), ("birthdate", "lt1990"), ("birthdate", "ge1985")]).birth_date;
    assert_eq!((between.from, between.before), (Some(date(1985, 1, 1)), Some(date(1990, 1, 1))));
    for value in ["1982-01-13T00:00Z", "ne1982", "13.1.1982", ""] {
        assert!(PatientSearch::parse(&pairs(&[("birthdate", value)]), Handling::Lenient).is_err(), "{value}");
    }
}

#[test]
fn the_other_types_share_their_parameters() {
    let types = [Directory::Group, Directory::Device, Directory::Organization, Directory::Practitioner];
    for directory in types {
        let query = pairs(&[
            ("_id", "70001"),
            ("name", "Care"),
            ("_summary", "count"),
            ("_total", "accurate"),
            ("_lastUpdated", "lt2025"),
        ]);
        let asked = DirectorySearch::parse(directory, &query, Handling::Strict).unwrap();
        assert_eq!(
            (asked.ids.as_slice(), asked.name.as_ref()),
            (&[70001][..], Some(&string(Matching::StartsWith, &["Care"])))
        );
        assert!(asked.page.summary_count && asked.page.total_accurate);
        let again = DirectorySearch::parse(directory, &asked.canonical_pairs(), Handling::Strict).unwrap();
        assert_eq!(again, asked);

        let reference = format!("{}/70001", directory.resource_type());
        let by_reference = DirectorySearch::parse(directory, &pairs(&[("_id", &reference)]), Handling::Strict).unwrap();
        assert_eq!(by_reference.ids, [70001]);

        let organization = pairs(&[("organization", "20003")]);
        let asked = DirectorySearch::parse(directory, &organization, Handling::Lenient).unwrap();
        let group = directory == Directory::Group;
        assert_eq!(asked.organization, group.then_some(20003));
        assert_eq!(DirectorySearch::parse(directory, &organization, Handling::Strict).is_ok(), group);
    }
}
