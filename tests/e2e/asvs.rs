//! `docs/asvs.md` says what holds each requirement of OWASP ASVS 5.0.0, chapters V6, V7, V9, V10, or why nothing does.

use crate::{
    source_policy::{code, each_file},
    template::{root, text},
};
use std::collections::BTreeMap;

/// The sections of the chapters, and how many requirements each has.
const SECTIONS: [(&str, u32); 23] = [
    ("6.1", 3),
    ("6.2", 12),
    ("6.3", 8),
    ("6.4", 6),
    ("6.5", 8),
    ("6.6", 4),
    ("6.7", 2),
    ("6.8", 4),
    ("7.1", 3),
    ("7.2", 4),
    ("7.3", 2),
    ("7.4", 5),
    ("7.5", 3),
    ("7.6", 2),
    ("9.1", 3),
    ("9.2", 4),
    ("10.1", 2),
    ("10.2", 3),
    ("10.3", 5),
    ("10.4", 16),
    ("10.5", 5),
    ("10.6", 2),
    ("10.7", 3),
];

/// What a row says about its requirement.
#[derive(Debug, PartialEq)]
enum Verdict<'a> {
    /// These tests hold it.
    Held(Vec<&'a str>),
    /// It is about something that is not there.
    NotApplicable,
}

/// A requirement's row.
#[derive(Debug, PartialEq)]
struct Row<'a> {
    number: &'a str,
    verdict: Verdict<'a>,
}

/// A line of the document, when it is the row of a requirement. An error names what is wrong with it.
fn row(line: &str) -> Option<Result<Row<'_>, String>> {
    let inner = line.strip_prefix("| ")?.strip_suffix(" |")?;
    let cells: Vec<&str> = inner.split(" | ").collect();
    let number = cells.first()?;
    if !number.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let [number, asks, level, held] = *cells.as_slice() else {
        return Some(Err(format!("{number} has {} cells", cells.len())));
    };
    if asks.is_empty() || !["1", "2", "3"].contains(&level) {
        return Some(Err(format!("{number} says nothing or has no level")));
    }
    Some(verdict(held).map(|verdict| Row { number, verdict }).map_err(|error| format!("{number}: {error}")))
}

fn verdict(held: &str) -> Result<Verdict<'_>, String> {
    if held.strip_prefix("does not apply: ").is_some_and(|reason| !reason.trim().is_empty()) {
        return Ok(Verdict::NotApplicable);
    }
    let names = held.split("; ").next().unwrap_or_default().split(", ");
    let names: Option<Vec<&str>> = names.map(|name| name.strip_prefix('`')?.strip_suffix('`')).collect();
    names.map(Verdict::Held).ok_or_else(|| format!("neither tests nor a reason: {held}"))
}

/// Whether a name is that of a test: of one in a file, or of a check in a script that is run.
pub fn is_test(name: &str) -> bool {
    let Some((file, test)) = name.split_once("::") else { return false };
    if let Some(script) = file.strip_prefix("tests/python/") {
        let is_run = root().join(file).is_file() && text("tests/run.py").contains(script);
        return is_run && ["(\"", "(f\""].iter().any(|start| text(file).contains(&format!("{start}{test}\", ")));
    }
    let path = if file.starts_with("functions/") {
        file.to_owned()
    } else if file.contains('/') {
        format!("shared/{file}")
    } else {
        format!("tests/e2e/{file}.rs")
    };
    let is_compiled =
        file.contains('/') || text("tests/e2e/main.rs").lines().any(|line| line == format!("mod {file};"));
    is_compiled && root().join(&path).is_file() && has_test(&text(path), test)
}

/// Whether a source has a function of this name that is a test.
fn has_test(source: &str, name: &str) -> bool {
    let mut is_marked = false;
    for line in source.lines().map(str::trim) {
        match line {
            "#[test]" => is_marked = true,
            line if line.starts_with("#[tokio::test") => is_marked = true,
            line if line.starts_with("#[") || line.starts_with("//") => {}
            line => {
                let signature = line.trim_start_matches("async ");
                if is_marked && signature.strip_prefix("fn ").is_some_and(|rest| rest.starts_with(&format!("{name}(")))
                {
                    return true;
                }
                is_marked = false;
            }
        }
    }
    false
}

fn chapter(number: &str) -> &str {
    number.split('.').next().unwrap_or_default()
}

#[test]
fn every_requirement_is_held_or_has_a_reason() {
    let document = text("docs/asvs.md");
    let rows: Vec<Row<'_>> =
        document.lines().filter_map(row).map(|row| row.unwrap_or_else(|e| panic!("{e}"))).collect();
    let numbers: Vec<&str> = rows.iter().map(|row| row.number).collect();
    let expected: Vec<String> =
        SECTIONS.iter().flat_map(|(section, last)| (1..=*last).map(move |n| format!("{section}.{n}"))).collect();
    assert_eq!(numbers, expected, "each requirement once and in order");
    for row in &rows {
        if let Verdict::Held(names) = &row.verdict {
            for name in names {
                assert!(is_test(name), "{}: {name} is no test", row.number);
            }
        }
    }
}

#[test]
fn the_summary_counts_the_rows() {
    let document = text("docs/asvs.md");
    let mut counts: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    for row in document.lines().filter_map(row).flatten() {
        let column = match row.verdict {
            Verdict::Held(_) => 0,
            Verdict::NotApplicable => 1,
        };
        counts.entry(chapter(row.number)).or_default()[column] += 1;
    }
    assert_eq!(counts.len(), 4);
    for (chapter, [held, not_applicable]) in counts {
        let start = format!("| V{chapter} ");
        let end = format!(" | {held} | {not_applicable} |");
        assert!(document.lines().any(|line| line.starts_with(&start) && line.ends_with(&end)), "{start}...{end}");
    }
}

#[test]
fn a_row_without_a_test_or_a_reason_is_found() {
    let held = Verdict::Held(vec!["a::b", "c::d"]);
    assert_eq!(row("| 6.1.1 | x | 1 | `a::b`, `c::d`; so far |"), Some(Ok(Row { number: "6.1.1", verdict: held })));
    for no_row in ["| number | asks | level | held by |", "| --- | --- | --- | --- |", "| V6 x | 1 | 2 | 3 |", "text"] {
        assert_eq!(row(no_row), None, "{no_row}");
    }
    for bad in ["", "open: the reason", "open", "does not apply: ", "yes", "a::b", "`a::b` and more", "`a::b`, "] {
        assert!(matches!(row(&format!("| 6.1.1 | x | 1 | {bad} |")), Some(Err(_))), "{bad}");
    }
    for bad in [
        "| 6.1.1 | x | 4 | does not apply: y |",
        "| 6.1.1 | x | does not apply: y |",
        "| 6.1.1 |  | 1 | does not apply: y |",
    ] {
        assert!(matches!(row(bad), Some(Err(_))), "{bad}");
    }
    assert!(is_test("asvs::a_row_without_a_test_or_a_reason_is_found"));
    assert!(is_test("tests/python/saml_test.py::twice it is a replay"));
    for no_test in [
        "asvs::row",
        "asvs::nothing",
        "nothing::row",
        "oauth/src/pkce.rs::nothing",
        "tests/python/database.py",
        "tests/python/saml_test.py",
        "tests/python/saml_test.py::it is not there",
        "tests/python/database.py::psql",
    ] {
        assert!(!is_test(no_test), "{no_test}");
    }
}

// ASVS 6.2.6, 6.2.7
#[test]
fn fields_for_passwords_are_masked_and_named_for_password_managers() {
    let mut fields = 0;
    for directory in ["functions", "shared/runtime/src"] {
        each_file(directory, &[".rs"], &mut |path, source| {
            let lines: Vec<&str> = source.lines().map(str::trim).collect();
            for pair in lines.windows(2) {
                let is_masked = pair[0] == "kind: \"password\",";
                let is_named =
                    ["autocomplete: \"current-password\",", "autocomplete: \"new-password\","].contains(&pair[1]);
                assert_eq!(is_masked, is_named, "{path}: {pair:?}");
                fields += usize::from(is_masked);
            }
        });
    }
    assert_eq!(fields, 4, "signing in, changing, and the new one twice");
}

// ASVS 6.5.3, 7.2.3
#[test]
fn random_values_come_from_one_generator() {
    const OTHERS: [&str; 8] =
        ["fastrand", "getrandom", "thread_rng", "rand::rng", "rand::random", "SmallRng", "StdRng", "Uuid::"];
    for directory in ["functions", "shared", "standalone"] {
        each_file(directory, &[".rs", "Cargo.toml"], &mut |path, source| {
            for line in source.lines() {
                let other = OTHERS.into_iter().find(|other| code(line).contains(other));
                assert_eq!(other, None, "{path}: {line}");
                assert!(!path.ends_with("Cargo.toml") || !line.starts_with("rand"), "{path}: {line}");
            }
        });
    }
    assert!(text("shared/oauth/src/token.rs").contains("use aws_lc_rs::rand;"), "the one that there is");
}
