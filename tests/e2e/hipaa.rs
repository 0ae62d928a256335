//! `docs/compliance/hipaa.md` says what holds each technical safeguard of 45 CFR 164.312.

use crate::{asvs::is_test, template::text};

/// The paragraphs of 164.312, without the headings that only hold others.
const PARAGRAPHS: [&str; 12] = [
    "(a)(1)",
    "(a)(2)(i)",
    "(a)(2)(ii)",
    "(a)(2)(iii)",
    "(a)(2)(iv)",
    "(b)",
    "(c)(1)",
    "(c)(2)",
    "(d)",
    "(e)(1)",
    "(e)(2)(i)",
    "(e)(2)(ii)",
];

/// What only a deployment can do.
const OF_A_DEPLOYMENT: (&str, &[&str]) = ("by the deployment: ", &["(a)(2)(iv)"]);

/// The rows of the tables: the first cell, and the last.
pub fn rows(document: &str) -> Vec<(String, String)> {
    let rows = document.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.map(|row| row.split(" | ").collect::<Vec<_>>())
        .filter(|cells| !cells[0].starts_with("---") && !["paragraph", "field", "article"].contains(&cells[0]))
        .map(|cells| (cells[0].to_owned(), (*cells.last().expect("a cell")).to_owned()))
        .collect()
}

/// What is wrong with what a row says holds it. `others` are the rows that no test can hold, and how those begin.
pub fn problem(first: &str, held: &str, others: (&str, &[&str])) -> Option<String> {
    if let Some(where_to) = held.strip_prefix(others.0) {
        let is_one = others.1.contains(&first) && !where_to.is_empty();
        return (!is_one).then(|| format!("{first} is held by a test, or by nothing"));
    }
    let names: Vec<&str> = held.split("; ").next().unwrap_or_default().split(", ").collect();
    names.into_iter().find_map(|name| {
        let is_good = name.strip_prefix('`').and_then(|name| name.strip_suffix('`')).is_some_and(is_test);
        (!is_good).then(|| format!("{first}: {name} is no test"))
    })
}

#[test]
fn every_safeguard_is_held_by_tests_that_exist() {
    let rows = rows(&text("docs/compliance/hipaa.md"));
    let paragraphs: Vec<&str> =
        rows.iter().map(|(first, _)| first.as_str()).filter(|first| first.starts_with('(')).collect();
    assert_eq!(paragraphs, PARAGRAPHS, "each once and in order");
    assert!(rows.len() > PARAGRAPHS.len() + 15, "the fields of the audit: {}", rows.len());
    let problems: Vec<String> = rows.iter().filter_map(|(first, held)| problem(first, held, OF_A_DEPLOYMENT)).collect();
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn every_column_of_the_audit_is_among_the_fields() {
    let document = text("docs/compliance/hipaa.md");
    let schema = text("shared/store/migrations/V3__audit.sql");
    let (_, table) = schema.split_once("CREATE TABLE audit_event (").expect("the table");
    let columns = table.lines().skip(1).take_while(|line| !line.starts_with(')')).filter_map(|line| {
        let name = line.trim().split(' ').next()?;
        name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_').then_some(name)
    });
    let missing: Vec<&str> = columns
        .filter(|name| !["id", "detail", ""].contains(name) && !document.contains(&format!("`{name}`")))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn a_row_without_a_test_is_found() {
    assert_eq!(problem("(b)", "`audit::a_refusal_names_the_layer_that_refused`", OF_A_DEPLOYMENT), None);
    for (first, held) in
        [("(b)", "`audit::nothing_of_the_kind`"), ("(b)", "trust us"), ("(b)", "by the deployment: somehow")]
    {
        assert!(problem(first, held, OF_A_DEPLOYMENT).is_some(), "{held}");
    }
}
