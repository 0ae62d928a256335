use fhir::search::{Handling, ObservationSearch, SourceFilter, filter_text, link};

use crate::support::{facts, pairs, refused, search};

#[test]
fn the_page_can_be_chosen() {
    for (value, count) in [("1", 1), ("1000", 1000), ("1001", 1000), ("70000", 1000), ("99999999999999999999", 1000)] {
        let page = search(&[("_count", value)]).page;
        assert_eq!((page.count, page.summary_count), (count, false), "{value}");
    }
    assert!(search(&[("_count", "0")]).page.summary_count);
    assert!(search(&[("_summary", "count")]).page.summary_count);
    assert!(!search(&[("_summary", "false")]).page.summary_count);
    assert!(search(&[("_total", "accurate")]).page.total_accurate);
    for value in ["none", "estimate"] {
        assert!(!search(&[("_total", value)]).page.total_accurate);
    }
    assert_eq!(search(&[("_cursor", "AZaz09-_")]).page.cursor.as_deref(), Some("AZaz09-_"));
    let bad = [
        ("_count", ""),
        ("_count", "-1"),
        ("_count", "1.5"),
        ("_count", "ten"),
        ("_count", "999999999999999999999"),
        ("_summary", ""),
        ("_summary", "yes"),
        ("_total", ""),
        ("_total", "exact"),
        ("_cursor", ""),
        ("_cursor", "a+b"),
        ("_cursor", "é"),
    ];
    for (name, value) in bad {
        assert_eq!(refused(name, value), (400, "value"));
    }
    assert_eq!(refused("_page", "2"), (400, "not-supported"));
}

#[test]
fn a_summary_we_do_not_make_is_ignored_or_refused() {
    for value in ["true", "text", "data"] {
        let query = pairs(&[("_summary", value)]);
        let lenient = ObservationSearch::parse(&query, Handling::Lenient).unwrap();
        assert_eq!(lenient, ObservationSearch::default(), "{value}");
        let rejection = ObservationSearch::parse(&query, Handling::Strict).unwrap_err();
        assert_eq!(facts(&rejection), (400, "not-supported", ""));
    }
}

#[test]
fn json_is_the_format() {
    for value in [
        "json",
        "application/json",
        "application/fhir+json",
        "application/fhir json",
        "text/json",
        "application/fhir+json; fhirVersion=5.0",
    ] {
        assert_eq!(search(&[("_format", value)]), ObservationSearch::default(), "{value}");
    }
    for value in ["xml", "application/fhir+xml", "html", "ttl", ""] {
        assert_eq!(refused("_format", value), (406, "not-supported"));
    }
}

#[test]
fn sources_are_compared() {
    let page = search(&[("_source:below", "https://jupyterhealth.org/fhir/fhir-source/")]).page;
    assert_eq!(page.sources, [SourceFilter::Below("https://jupyterhealth.org/fhir/fhir-source/".to_owned())]);
    assert!(page.wants_source("https://jupyterhealth.org/fhir/fhir-source/90003"));
    assert!(!page.wants_source(fhir::SOURCE));
    assert!(search(&[("_source", fhir::SOURCE)]).page.wants_source(fhir::SOURCE));
    assert!(!search(&[("_source", "https://jupyterhealth.org/jh")]).page.wants_source(fhir::SOURCE));
    assert!(search(&[]).page.wants_source(fhir::SOURCE));
    assert_eq!(refused("_source", ""), (400, "value"));
}

#[test]
fn what_is_unknown_is_ignored_or_refused() {
    let query = pairs(&[("patient", "40001"), ("bananas", "1"), ("_elements", "id"), ("bananas", "2")]);
    let lenient = ObservationSearch::parse(&query, Handling::Lenient).unwrap();
    assert_eq!(lenient.canonical_pairs(), pairs(&[("patient", "40001")]));
    let rejection = ObservationSearch::parse(&query, Handling::Strict).unwrap_err();
    assert_eq!(facts(&rejection), (400, "not-supported", ""));
    assert!(rejection.to_string().contains("bananas"));
    let strange = pairs(&[("\u{1b}[31m", "1")]);
    assert!(ObservationSearch::parse(&strange, Handling::Lenient).is_ok());
    assert!(!ObservationSearch::parse(&strange, Handling::Strict).unwrap_err().to_string().contains('\u{1b}'));
}

#[test]
fn an_unknown_modifier_is_always_refused() {
    let names = [
        "code:not",
        "patient:missing",
        "patient:identifier",
        "subject:Group",
        "date:missing",
        "_id:exact",
        "status:not",
        "identifier:of-type",
        "patient.identifier:of-type",
        "patient.organization:missing",
        "_lastUpdated:x",
        "_has:Observation:patient:code",
        "patient._has:Group:member:name",
        "_sort:desc",
        "_count:x",
        "_source:above",
    ];
    for name in names {
        assert_eq!(refused(name, "1"), (400, "not-supported"));
    }
}

#[test]
fn handling_comes_from_the_prefer_header() {
    for header in ["handling=strict", "return=minimal, handling=strict", "HANDLING=\"Strict\"", "handling = strict; x"]
    {
        assert_eq!(Handling::from_prefer(header), Handling::Strict, "{header}");
    }
    for header in ["", "handling=lenient", "handling", "strict", "x-handling=strict", "handling=strictly"] {
        assert_eq!(Handling::from_prefer(header), Handling::Lenient, "{header}");
    }
}

#[test]
fn links_say_what_was_understood() {
    let asked = search(&[
        ("_count", "2"),
        ("subject", "Patient/40005"),
        ("code", "https://w3id.org/openmhealth|omh:a:1"),
        ("date", "ge2025-01-01T00:00:00+02:00"),
    ]);
    let pairs = asked.canonical_pairs();
    let query = "_count=2&code=https://w3id.org/openmhealth%7Comh:a:1&date=ge2025-01-01T00:00:00%2B02:00&patient=40005";
    assert_eq!(
        link("https://h.example/FHIR/R5/Observation", &pairs, None),
        format!("https://h.example/FHIR/R5/Observation?{query}")
    );
    assert_eq!(link("/x", &[], None), "/x");
    assert_eq!(link("/x", &[], Some("a_-")), "/x?_cursor=a_-");
    assert!(link("/x", &pairs, Some("abc")).ends_with("&patient=40005&_cursor=abc"));
}

#[test]
fn a_cursor_is_bound_to_filters_and_order_only() {
    let text = |query: &[(&str, &str)]| filter_text("Observation", &search(query).canonical_pairs());
    let base = text(&[("patient", "40001")]);
    assert_eq!(base, "Observation?patient=40001");
    assert_eq!(text(&[("patient", "40001"), ("_count", "7"), ("_total", "accurate"), ("_cursor", "a")]), base);
    assert_ne!(text(&[("patient", "40001"), ("_sort", "date")]), base);
    assert_ne!(text(&[("patient", "40002")]), base);
    assert_ne!(filter_text("Patient", &[]), filter_text("Group", &[]));
}
