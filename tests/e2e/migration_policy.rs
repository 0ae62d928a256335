//! Migrations never stop the writers: they are applied while the functions of the version before are serving.

use crate::template::{names, text};
use std::collections::BTreeSet;

/// A migration: its number and its statements, in small letters, without comments and bodies of functions.
fn statements(sql: &str) -> Vec<String> {
    let mut plain = String::new();
    for (part, piece) in sql.split("$$").enumerate() {
        if part % 2 == 0 {
            plain.push_str(piece);
        }
    }
    let lines: Vec<&str> = plain.lines().map(|line| line.split("--").next().unwrap_or_default()).collect();
    lines
        .join(" ")
        .split(';')
        .map(|statement| statement.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase())
        .filter(|statement| !statement.is_empty())
        .collect()
}

/// The word after a phrase, as a bare name.
fn after<'a>(statement: &'a str, phrase: &str) -> Option<&'a str> {
    let (_, rest) = statement.split_once(phrase)?;
    rest.split([' ', '(']).find(|word| !word.is_empty() && !["if", "not", "exists", "only"].contains(word))
}

/// Tables of people's own making, of thousands of rows: an index of 20,000 is made within a tenth of a second, and who writes
/// meanwhile waits that long.
const SHORT: [&str; 2] = ["organization", "study"];

/// The tables that statements make.
fn made(statements: &[String]) -> BTreeSet<String> {
    let made = statements.iter().filter(|statement| statement.starts_with("create table"));
    made.filter_map(|statement| after(statement, "create table")).map(str::to_owned).collect()
}

/// Why a statement would block the writers of a table that exists already, or break the version that is running. A table of that
/// name that the same migration makes (`made`) is a new one: the old one has another name by then, and the running version finds
/// the new one.
fn problem(statement: &str, existing: &BTreeSet<String>, made: &BTreeSet<String>) -> Option<&'static str> {
    let is_old = |table: Option<&str>| table.is_some_and(|table| existing.contains(table) && !made.contains(table));
    let indexed = after(statement, " on ").filter(|table| !SHORT.contains(table));
    if statement.starts_with("create") && statement.contains("index ") && is_old(indexed) {
        return (!statement.contains("index concurrently ")).then_some("an index without CONCURRENTLY");
    }
    if statement.starts_with("drop table") || statement.starts_with("truncate") || statement.starts_with("lock ") {
        return is_old(statement.split(' ').next_back()).then_some("a table that is in use");
    }
    if !statement.starts_with("alter table") || !is_old(after(statement, "alter table")) {
        return None;
    }
    let adds_unchecked = statement.contains("not valid") || statement.contains("using index");
    let rules = [
        (statement.contains("drop column"), "a column that the running version reads"),
        (statement.contains(" rename "), "a name that the running version uses"),
        (statement.contains(" type "), "a rewrite of the table"),
        (statement.contains("set not null"), "a scan under an exclusive lock; add a CHECK NOT VALID first"),
        (
            statement.contains("add column") && statement.contains("not null") && !statement.contains("default"),
            "rows without it",
        ),
        (
            statement.contains("add column") && statement.contains("default") && statement.contains("()"),
            "a rewrite of the table",
        ),
        (statement.contains("add column") && statement.contains("generated"), "a rewrite of the table"),
        (
            statement.contains("add column") && statement.contains("references"),
            "a scan under a lock; add the key NOT VALID",
        ),
        (statement.contains("add constraint") && !adds_unchecked, "a scan under a lock; add it NOT VALID"),
        (
            ["add primary key", "add unique", "add check", "add foreign key"]
                .iter()
                .any(|words| statement.contains(words))
                && !adds_unchecked,
            "a scan under a lock",
        ),
    ];
    rules.into_iter().find(|(applies, _)| *applies).map(|(_, why)| why)
}

/// The problems of migrations in order.
fn problems(migrations: &[String]) -> Vec<String> {
    let mut existing = BTreeSet::new();
    let mut found = Vec::new();
    for sql in migrations {
        let statements = statements(sql);
        let made = made(&statements);
        for statement in &statements {
            found.extend(problem(statement, &existing, &made).map(|why| format!("{why}: {statement}")));
        }
        existing.extend(made);
    }
    found
}

#[test]
fn migrations_are_numbered_without_a_gap() {
    let mut numbers: Vec<u32> = names("shared/store/migrations")
        .iter()
        .map(|name| {
            let number = name.strip_prefix('V').and_then(|rest| rest.split_once("__")).map(|(number, _)| number);
            number
                .and_then(|number| number.parse().ok())
                .unwrap_or_else(|| panic!("{name} is not V<number>__<name>.sql"))
        })
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=u32::try_from(numbers.len()).unwrap()).collect::<Vec<_>>());
}

#[test]
fn no_migration_stops_the_writers() {
    let mut files: Vec<String> = names("shared/store/migrations").into_iter().collect();
    files.sort_by_key(|name| {
        name.trim_start_matches('V').split("__").next().and_then(|number| number.parse::<u32>().ok())
    });
    let migrations: Vec<String> = files.iter().map(|name| text(format!("shared/store/migrations/{name}"))).collect();
    let tables = statements(&migrations.concat()).iter().filter(|one| one.starts_with("create table")).count();
    assert!(tables > 20, "only {tables} tables were seen");
    assert_eq!(problems(&migrations), Vec::<String>::new());
}

#[test]
fn what_would_stop_the_writers_is_found() {
    let first = "CREATE TABLE a (id int); CREATE INDEX a_id ON a (id); CREATE TABLE study (id int); CREATE TABLE study_patient (id int);"
        .to_owned();
    for (sql, allowed) in [
        ("CREATE INDEX x ON a (id)", false),
        ("CREATE UNIQUE INDEX x ON a USING btree (id)", false),
        ("CREATE INDEX CONCURRENTLY x ON a (id)", true),
        ("CREATE INDEX x ON study (id)", true),
        ("CREATE INDEX x ON study_patient (id)", false),
        ("CREATE TABLE b (id int); CREATE INDEX x ON b (id)", true),
        ("ALTER TABLE a DROP COLUMN id", false),
        ("ALTER TABLE a RENAME COLUMN id TO b", false),
        ("ALTER TABLE a RENAME TO b", false),
        ("ALTER TABLE a RENAME TO b; CREATE TABLE a (id int)", true),
        ("ALTER TABLE a ALTER COLUMN id TYPE bigint", false),
        ("ALTER TABLE a ALTER COLUMN id SET NOT NULL", false),
        ("ALTER TABLE a ADD COLUMN b text", true),
        ("ALTER TABLE a ADD COLUMN b text NOT NULL DEFAULT ''", true),
        ("ALTER TABLE a ADD COLUMN b text NOT NULL", false),
        ("ALTER TABLE a ADD COLUMN b timestamptz DEFAULT clock_timestamp()", false),
        ("ALTER TABLE a ADD CONSTRAINT c CHECK (id > 0)", false),
        ("ALTER TABLE a ADD CONSTRAINT c CHECK (id > 0) NOT VALID", true),
        ("ALTER TABLE a VALIDATE CONSTRAINT c", true),
        ("DROP TABLE a", false),
        ("DROP TABLE IF EXISTS a", false),
        ("TRUNCATE a", false),
        ("-- CREATE INDEX x ON a (id)\nSELECT 1", true),
        ("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ DROP TABLE a; $$", true),
    ] {
        let found = problems(&[first.clone(), sql.to_owned()]);
        assert_eq!(found.is_empty(), allowed, "{sql}: {found:?}");
    }
}
