use fhir::observation::ObservationStatus;
use fhir::search::{CodeParam, Handling, ObservationSearch, Sort, SystemMatch, TokenParam};

use crate::support::{facts, pairs, refused, search};

fn code(system: Option<&str>, code: Option<&str>) -> CodeParam {
    CodeParam { system: system.map(str::to_owned), code: code.map(str::to_owned) }
}

fn token(system: SystemMatch, value: Option<&str>) -> TokenParam {
    TokenParam { system, value: value.map(str::to_owned) }
}

#[test]
fn nothing_asked_is_the_default() {
    let all = search(&[]);
    assert_eq!(all, ObservationSearch::default());
    assert_eq!((all.page.count, all.page.summary_count, all.page.total_accurate), (20, false, false));
    assert_eq!(all.order(), Sort::LastUpdatedDesc);
    assert!(all.canonical_pairs().is_empty());
}

#[test]
fn the_client_of_the_notebooks_is_understood() {
    let asked = search(&[
        ("patient._has:Group:member:_id", "30001"),
        ("patient", "40001"),
        ("code", "https://w3id.org/openmhealth|omh:blood-glucose:4.0"),
        ("_count", "1000"),
    ]);
    assert_eq!((asked.study, asked.patients.as_slice(), asked.page.count), (Some(30001), &[40001][..], 1000));
    assert_eq!(asked.codes, [code(Some("https://w3id.org/openmhealth"), Some("omh:blood-glucose:4.0"))]);
}

#[test]
fn patients_are_ids_or_references() {
    for (name, value) in [
        ("patient", "40002,Patient/40001,40002"),
        ("subject", "Patient/40001,Patient/40002"),
        ("patient:Patient", "40001,40002"),
        ("subject:Patient", "40002,40001"),
    ] {
        assert_eq!(search(&[(name, value)]).patients, [40001, 40002], "{name}={value}");
    }
}

#[test]
fn ids_must_be_ids() {
    let bad =
        ["", "abc", "-1", "+1", "0", "007", "1.0", "99999999999999999999", "1,", ",", "1;2", "1 ", "Group", "%31", "١"];
    let names =
        ["patient", "subject", "patient._has:Group:member:_id", "_has:Group:member:_id", "patient.organization", "_id"];
    for name in names {
        for value in bad {
            assert_eq!(refused(name, value), (400, "value"));
        }
    }
    assert_eq!(refused("patient", "2147483648"), (400, "value"));
    for value in ["Device/40001", "https://h.example/Patient/40001", "/Patient/40001", "Patient/Patient/1"] {
        assert_eq!(refused("patient", value), (400, "value"));
    }
    assert_eq!(refused("patient.organization", "20001,20002"), (400, "value"));
    assert_eq!(search(&[("_id", "9223372036854775807,60010")]).ids, [60010, i64::MAX]);
    assert_eq!(search(&[("patient.organization", "Organization/20001")]).organization, Some(20001));
    assert_eq!(search(&[("_has:Group:member:_id", "30001")]).study, Some(30001));
}

#[test]
fn lists_are_bounded() {
    let ids = |most: i32| (1..=most).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
    assert_eq!(search(&[("patient", &ids(100))]).patients.len(), 100);
    for name in ["patient", "_id", "code", "status", "identifier"] {
        assert_eq!(refused(name, &ids(101)), (400, "value"));
    }
    assert!(ObservationSearch::parse(&pairs(&[("x", "y"); 100]), Handling::Lenient).is_ok());
    assert!(ObservationSearch::parse(&pairs(&[("x", "y"); 101]), Handling::Lenient).is_err());
}

#[test]
fn a_token_has_a_system_no_system_or_any() {
    let system = || SystemMatch::Is("urn:a".to_owned());
    let table = [
        ("abc", token(SystemMatch::Any, Some("abc"))),
        ("|abc", token(SystemMatch::Absent, Some("abc"))),
        ("urn:a|abc", token(system(), Some("abc"))),
        ("urn:a|", token(system(), None)),
        (r"a\\|b", token(SystemMatch::Is(r"a\".to_owned()), Some("b"))),
        (r"urn:a|a\,b\|c\$d\\e", token(system(), Some(r"a,b|c$d\e"))),
    ];
    for (value, expected) in table {
        assert_eq!(search(&[("identifier", value)]).identifier.as_ref(), Some(&expected), "{value}");
        assert_eq!(search(&[("patient.identifier", value)]).patient_identifier, Some(expected), "{value}");
    }
    for value in ["", "|", "a|b|c", "a,b", r"a\", r"a\n", "a\u{0}b"] {
        assert_eq!(refused("identifier", value), (400, "value"));
        assert_eq!(refused("patient.identifier", value), (400, "value"));
    }
}

#[test]
fn codes_may_be_several() {
    let table = [
        ("omh:heart-rate:2.0", vec![code(None, Some("omh:heart-rate:2.0"))]),
        ("urn:a|", vec![code(Some("urn:a"), None)]),
        ("|a", vec![code(Some(""), Some("a"))]),
        ("urn:a|b,a", vec![code(None, Some("a")), code(Some("urn:a"), Some("b"))]),
        ("a,a", vec![code(None, Some("a"))]),
    ];
    for (value, expected) in table {
        assert_eq!(search(&[("code", value)]).codes, expected, "{value}");
    }
    for value in ["", "|", "a,,b", "a|b|c"] {
        assert_eq!(refused("code", value), (400, "value"));
    }
}

#[test]
fn statuses_are_those_of_the_value_set() {
    use ObservationStatus::{Amended, Final};
    assert_eq!(search(&[("status", "amended,final,final")]).statuses, [Final, Amended]);
    assert_eq!(search(&[("status", "http://hl7.org/fhir/observation-status|final")]).statuses, [Final]);
    for value in ["bogus", "", "final,", "urn:a|final", "|final", "http://hl7.org/fhir/observation-status|"] {
        assert_eq!(refused("status", value), (400, "value"));
    }
}

#[test]
fn the_order_can_be_chosen() {
    let table = [
        ("date", Sort::DateAsc),
        ("-date", Sort::DateDesc),
        ("_lastUpdated", Sort::LastUpdatedAsc),
        ("lastUpdated", Sort::LastUpdatedAsc),
        ("-_lastUpdated", Sort::LastUpdatedDesc),
        ("-lastUpdated", Sort::LastUpdatedDesc),
    ];
    for (value, sort) in table {
        assert_eq!(search(&[("_sort", value)]).order(), sort);
        assert_eq!(search(&[("_sort", value), ("date", "ge2026")]).order(), sort);
    }
    assert_eq!(search(&[("date", "ge2026")]).order(), Sort::DateDesc);
    for value in ["", "code", "date,-_lastUpdated", "--date", "Date"] {
        assert_eq!(refused("_sort", value), (400, "not-supported"));
    }
}

#[test]
fn what_takes_one_value_comes_once() {
    let table = [
        ("patient", "1", "patient"),
        ("patient", "1", "subject"),
        ("code", "a", "code"),
        ("status", "final", "status"),
        ("_id", "1", "_id"),
        ("_sort", "date", "_sort"),
        ("identifier", "a", "identifier"),
        ("_has:Group:member:_id", "1", "patient._has:Group:member:_id"),
        ("patient.organization", "1", "patient.organization"),
        ("patient.identifier", "a", "patient.identifier"),
        ("_count", "1", "_count"),
        ("_summary", "count", "_summary"),
        ("_total", "none", "_total"),
        ("_format", "json", "_format"),
        ("_cursor", "a", "_cursor"),
    ];
    for (name, value, again) in table {
        let rejection =
            ObservationSearch::parse(&pairs(&[(name, value), (again, value)]), Handling::Lenient).unwrap_err();
        assert_eq!(facts(&rejection), (400, "value", ""), "{name} {again}");
    }
}
