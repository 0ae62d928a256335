use fhir::search::{Handling, ObservationSearch};
use jiff::Timestamp;
use proptest::prelude::*;

use crate::support::{facts, pairs};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn bounds(values: &[&str]) -> fhir::search::DateBounds {
    let query: Vec<(&str, &str)> = values.iter().map(|value| ("date", *value)).collect();
    ObservationSearch::parse(&pairs(&query), Handling::Strict).unwrap().effective
}

/// The last instant there is.
const END: &str = "9999-12-30T22:00:00.999999999Z";

/// Instants before, in and after the day, and one on each edge.
const BEFORE: &str = "2025-09-20T23:59:59.999999Z";
const FIRST: &str = "2025-09-21T00:00:00Z";
const LAST: &str = "2025-09-21T23:59:59.999999Z";
const AFTER: &str = "2025-09-22T00:00:00Z";

#[test]
fn prefixes_compare_instants_with_a_day() {
    // value, then whether BEFORE, FIRST, LAST and AFTER match
    let table = [
        ("2025-09-21", [false, true, true, false]),
        ("eq2025-09-21", [false, true, true, false]),
        ("ap2025-09-21", [false, true, true, false]),
        ("gt2025-09-21", [false, false, false, true]),
        ("sa2025-09-21", [false, false, false, true]),
        ("ge2025-09-21", [false, true, true, true]),
        ("lt2025-09-21", [true, false, false, false]),
        ("eb2025-09-21", [true, false, false, false]),
        ("le2025-09-21", [true, true, true, false]),
    ];
    for (value, expected) in table {
        let bounds = bounds(&[value]);
        let (least, most) = bounds.instant();
        for (text, expected) in [BEFORE, FIRST, LAST, AFTER].into_iter().zip(expected) {
            let instant = at(text);
            assert_eq!(bounds.matches(instant, instant), expected, "{value} {text}");
            let collapsed = least.is_none_or(|least| instant >= least) && most.is_none_or(|most| instant < most);
            assert_eq!(collapsed, expected, "{value} {text} as one instant");
        }
    }
}

#[test]
fn prefixes_compare_periods_with_a_day() {
    // periods: before, straddling the start, inside, straddling the end, after, around
    let periods = [
        ("2025-09-20T01:00:00Z", "2025-09-20T02:00:00Z"),
        ("2025-09-20T23:00:00Z", "2025-09-21T07:00:00Z"),
        ("2025-09-21T01:00:00Z", "2025-09-21T02:00:00Z"),
        ("2025-09-21T23:00:00Z", "2025-09-22T07:00:00Z"),
        ("2025-09-22T01:00:00Z", "2025-09-22T02:00:00Z"),
        ("2025-09-20T01:00:00Z", "2025-09-23T01:00:00Z"),
    ];
    let table = [
        ("eq", [false, false, true, false, false, false]),
        ("gt", [false, false, false, true, true, true]),
        ("lt", [true, true, false, false, false, true]),
        ("ge", [false, true, true, true, true, true]),
        ("le", [true, true, true, true, false, true]),
        ("sa", [false, false, false, false, true, false]),
        ("eb", [true, false, false, false, false, false]),
        ("ap", [false, true, true, true, false, true]),
    ];
    for (prefix, expected) in table {
        let bounds = bounds(&[&format!("{prefix}2025-09-21")]);
        for ((start, end), expected) in periods.into_iter().zip(expected) {
            assert_eq!(bounds.matches(at(start), at(end)), expected, "{prefix} {start} {end}");
        }
    }
}

#[test]
fn a_value_is_as_long_as_its_precision() {
    let table = [
        ("2025", "2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2024-02", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"),
        ("2025-12-31", "2025-12-31T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2025-09-21T10:05", "2025-09-21T10:05:00Z", "2025-09-21T10:06:00Z"),
        ("2025-09-21T10:05Z", "2025-09-21T10:05:00Z", "2025-09-21T10:06:00Z"),
        ("2025-09-21T10:05:59+02:00", "2025-09-21T08:05:59Z", "2025-09-21T08:06:00Z"),
        ("2025-09-21T23:30:00-05:30", "2025-09-22T05:00:00Z", "2025-09-22T05:00:01Z"),
        ("2025-09-21T10:05:59.5Z", "2025-09-21T10:05:59.5Z", "2025-09-21T10:05:59.6Z"),
        ("2025-09-21T10:05:59.123Z", "2025-09-21T10:05:59.123Z", "2025-09-21T10:05:59.124Z"),
        ("2025-09-21T10:05:59.123456789Z", "2025-09-21T10:05:59.123456Z", "2025-09-21T10:05:59.123457Z"),
        ("0001-01-01", "0001-01-01T00:00:00Z", "0001-01-02T00:00:00Z"),
        ("9998", "9998-01-01T00:00:00Z", "9999-01-01T00:00:00Z"),
        // Beyond the last instant, which is a little before the end of 9999-12-30.
        ("9999", "9999-01-01T00:00:00Z", END),
        ("9999-12", "9999-12-01T00:00:00Z", END),
        ("9999-12-30", "9999-12-30T00:00:00Z", END),
        ("9999-12-31", END, END),
        ("9999-12-31T23:59:59Z", END, END),
        ("9999-12-31T23:59:59.999999-14:00", END, END),
    ];
    for (value, low, high) in table {
        let bounds = bounds(&[value]);
        assert_eq!(bounds.start_min.map(|bound| (bound.at, bound.inclusive)), Some((at(low), true)), "{value}");
        assert_eq!(bounds.end_max.map(|bound| (bound.at, bound.inclusive)), Some((at(high), false)), "{value}");
    }
}

#[test]
fn repetitions_narrow() {
    let forward = bounds(&["ge2025-01", "ge2025-03", "lt2025-06", "lt2025-05"]);
    let bounds = bounds(&["lt2025-05", "ge2025-03", "lt2025-06", "ge2025-01"]);
    assert_eq!(forward, bounds, "in any order");
    assert_eq!(bounds.end_min.unwrap().at, at("2025-03-01T00:00:00Z"));
    assert_eq!(bounds.start_max.unwrap().at, at("2025-05-01T00:00:00Z"));
    assert_eq!((bounds.start_min, bounds.end_max), (None, None));
    let (least, most) = bounds.instant();
    assert_eq!((least, most), (Some(at("2025-03-01T00:00:00Z")), Some(at("2025-05-01T00:00:00Z"))));
}

#[test]
fn bad_dates_are_refused() {
    let bad = [
        "",
        "ge",
        "x",
        "25",
        "2025-",
        "2025-13",
        "2025-00-01",
        "2025-9-1",
        "2025-02-29",
        "2025-09-21T",
        "2025-09-21T10",
        "2025-09-21T10Z",
        "2025-09-21T24:00Z",
        "2025-09-21T10:60Z",
        "2025-09-21T10:00:60Z",
        "2025-09-21T10:00:00.Z",
        "2025-09-21T10:00:00+2:00",
        "2025-09-21T10:00:00+15:00",
        "2025-09-21T10:00:00 02:00",
        "2025-09-21Z",
        "2025-09-21T10:00:00Zjunk",
        "+2025",
        "-2025",
        "0000",
        "99999",
        "GE2025",
        "xx2025",
        "ge 2025",
        "2025-09-21,2025-09-22",
        "２０２５",
        "é2025",
    ];
    for name in ["date", "_lastUpdated"] {
        for value in bad {
            let rejection = ObservationSearch::parse(&pairs(&[(name, value)]), Handling::Lenient).unwrap_err();
            assert_eq!(facts(&rejection), (400, "value", ""), "{name}={value}");
            assert!(rejection.to_string().contains(name));
        }
        let rejection = ObservationSearch::parse(&pairs(&[(name, "ne2025")]), Handling::Lenient).unwrap_err();
        assert_eq!(facts(&rejection), (400, "not-supported", ""));
    }
    let rejection = ObservationSearch::parse(&pairs(&[("date", "2025"); 11]), Handling::Lenient);
    assert!(rejection.is_ok(), "the same value again says nothing new");
    let years: Vec<String> = (2000..2011).map(|year| year.to_string()).collect();
    let many: Vec<(&str, &str)> = years.iter().map(|year| ("date", year.as_str())).collect();
    assert!(ObservationSearch::parse(&pairs(&many), Handling::Lenient).is_err());
}

proptest! {
    /// For instants the bounds say what the prefixes mean in R5.
    #[test]
    fn instants_are_compared_to_the_letter(seconds in -2_000_000_000_i64..4_000_000_000, shift in -3_i64..=3) {
        let value = Timestamp::from_second(seconds).unwrap();
        let instant = Timestamp::from_second(seconds + shift).unwrap();
        let table = [
            ("eq", shift == 0), ("gt", shift > 0), ("lt", shift < 0), ("ge", shift >= 0), ("le", shift <= 0),
            ("sa", shift > 0), ("eb", shift < 0), ("ap", shift == 0),
        ];
        for (prefix, expected) in table {
            let bounds = bounds(&[&format!("{prefix}{value}")]);
            prop_assert_eq!(bounds.matches(instant, instant), expected, "{}", prefix);
        }
    }
}
