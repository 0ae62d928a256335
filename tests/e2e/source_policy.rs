//! Rules about the source text itself.

use crate::template::{names, root, text};
use std::{collections::BTreeSet, fs, path::Path, process::Command};

/// The crates that decide and compute, and do nothing else.
const PURE: [&str; 10] =
    ["anomaly", "audit", "authz", "backup", "ecdsa", "fhir", "oauth", "omh", "payload", "webauthn"];

/// No file is longer.
const MAX_LINES: usize = 500;

/// Calls `visit` with the path (from the root of the repository) and the text of every file with one of the endings.
pub fn each_file(directory: &str, endings: &[&str], visit: &mut impl FnMut(&str, &str)) {
    for name in names(directory) {
        let path = if directory == "." { name.clone() } else { format!("{directory}/{name}") };
        let kind = fs::symlink_metadata(root().join(&path)).expect("the entry exists").file_type();
        if kind.is_dir()
            && !name.starts_with('.')
            && !["target", "node_modules", "__pycache__"].contains(&name.as_str())
        {
            each_file(&path, endings, visit);
        } else if kind.is_file() && endings.iter().any(|ending| name.ends_with(ending)) {
            visit(&path, &text(&path));
        }
    }
}

/// A line without the comment at its end.
pub fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

/// What makes a crate impure: clock, environment, files, network, threads.
fn impurity(line: &str) -> Option<&'static str> {
    const CALLS: [&str; 11] = [
        "SystemTime",
        "Timestamp::now",
        "Zoned::now",
        "Instant::now",
        "std::env",
        "env::var",
        "std::fs",
        "std::net",
        "std::process",
        "std::thread",
        "tokio",
    ];
    CALLS.into_iter().find(|call| code(line).contains(call))
}

/// True for a line that holds a statement of SQL.
fn is_sql(line: &str) -> bool {
    let line = code(line);
    ["SELECT ", "INSERT INTO ", "DELETE FROM ", "TRUNCATE "].iter().any(|word| line.contains(word))
        || line.split_once("UPDATE ").is_some_and(|(_, rest)| rest.contains(" SET "))
}

#[test]
fn the_detectors_detect() {
    assert_eq!(impurity("    let now = Timestamp::now();"), Some("Timestamp::now"));
    assert_eq!(impurity("use std::env;"), Some("std::env"));
    assert_eq!(impurity("// not SystemTime"), None);
    assert_eq!(impurity("Effective::Instant(at)"), None);
    for sql in ["\"SELECT id FROM patient\"", "INSERT INTO x VALUES (1)", "UPDATE a SET b = 1", "DELETE FROM a"] {
        assert!(is_sql(sql), "{sql}");
    }
    for other in ["Method::DELETE => x", "// SELECT id", "\"SELECTED\"", "Action::Update"] {
        assert!(!is_sql(other), "{other}");
    }
}

#[test]
fn no_file_is_too_long_to_read_in_one_sitting() {
    let mut seen = 0;
    each_file(".", &[".rs", ".py", ".sql", ".yaml", ".js", ".ts"], &mut |path, text| {
        seen += 1;
        // The route table is one file, whatever its length.
        assert!(
            path == "template.yaml" || text.lines().count() <= MAX_LINES,
            "{path} has {} lines",
            text.lines().count()
        );
    });
    assert!(seen > 100, "only {seen} files were looked at");
}

#[test]
fn no_module_is_named_utils() {
    each_file(".", &[".rs", ".py"], &mut |path, _| {
        let stem = Path::new(path).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        assert!(!["util", "utils", "helpers", "misc", "common"].contains(&stem), "{path}");
    });
}

#[test]
fn no_crate_holds_tests_that_are_not_run() {
    for group in ["functions", "shared"] {
        for name in names(group) {
            let untested = text(format!("{group}/{name}/Cargo.toml")).contains("\n[lib]\ntest = false\n");
            each_file(&format!("{group}/{name}/src"), &[".rs"], &mut |path, text| {
                let holds = ["#[test]", "#[tokio::test]", "proptest!"].iter().any(|mark| text.contains(mark));
                assert!(!(untested && holds), "{path} holds tests, and the manifest says that there are none");
            });
        }
    }
}

#[test]
fn no_function_holds_sql_or_knows_the_driver() {
    each_file("functions", &[".rs"], &mut |path, text| {
        for line in text.lines() {
            assert!(!is_sql(line), "{path}: {line}");
        }
    });
    for name in names("functions") {
        let manifest = text(format!("functions/{name}/Cargo.toml"));
        for driver in ["tokio-postgres", "deadpool", "refinery"] {
            assert!(!manifest.contains(driver), "{name} depends on {driver}");
        }
    }
}

#[test]
fn no_function_depends_on_another() {
    let functions = names("functions");
    for name in &functions {
        let manifest = text(format!("functions/{name}/Cargo.toml"));
        for line in manifest.lines() {
            let dependency = line.split(['.', ' ', '=']).next().unwrap_or_default();
            assert!(!functions.contains(dependency), "{name} depends on {dependency}");
        }
    }
}

#[test]
fn pure_crates_have_no_clock_no_environment_and_no_network_in_them() {
    for name in PURE {
        each_file(&format!("shared/{name}/src"), &[".rs"], &mut |path, text| {
            for line in text.lines() {
                assert_eq!(impurity(line), None, "{path}: {line}");
            }
        });
    }
}

#[test]
fn pure_crates_link_nothing_that_does_input_or_output() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    for name in PURE {
        let output = Command::new(&cargo)
            .args(["tree", "--offline", "--package", name, "--edges", "normal", "--prefix", "none", "--format", "{p}"])
            .current_dir(root())
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let tree = String::from_utf8(output.stdout).expect("names are text");
        let linked: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
        assert!(linked.contains(name), "{name}: {tree}");
        for crate_name in linked {
            let does_io = ["tokio", "hyper", "reqwest", "deadpool", "aws-config", "aws-sdk", "aws-smithy", "lambda"]
                .iter()
                .any(|prefix| crate_name.starts_with(prefix));
            assert!(!does_io, "{name} links {crate_name}");
        }
    }
}
