//! `docs/configuration.md` has every variable that the code reads, and no other; and an answer for each setting of the HIPAA storage
//! guide.

use crate::{
    source_policy::{code, each_file},
    template::text,
};
use std::collections::{BTreeMap, BTreeSet};

/// Where the guide's settings are mapped to ours.
const GUIDE_SECTION: &str = "\n## The HIPAA storage guide's settings\n";

/// The settings that the guide names: of `.env`, of Django, of PostgreSQL and of `PgBouncer`.
const OF_GUIDE: [&str; 45] = [
    "DB_NAME",
    "DB_USER",
    "DB_PASSWORD",
    "DB_HOST",
    "DB_PORT",
    "DB_SSL_MODE",
    "DB_SSL_ROOT_CERT",
    "DB_SSL_CERT",
    "DB_SSL_KEY",
    "DB_CONN_MAX_AGE",
    "max_connections",
    "SITE_URL",
    "SECURE_SSL_REDIRECT",
    "SESSION_COOKIE_SECURE",
    "SESSION_COOKIE_HTTPONLY",
    "SESSION_COOKIE_SAMESITE",
    "CSRF_COOKIE_SECURE",
    "SECRET_KEY",
    "RS256",
    "PATIENT_AUTHORIZATION_CODE_VERIFIER",
    "PATIENT_AUTHORIZATION_CODE_CHALLENGE",
    "DJANGO_LOG_LEVEL",
    "LOGGING",
    "log_statement",
    "log_line_prefix",
    "log_connections",
    "log_disconnections",
    "log_duration",
    "rds.force_ssl",
    "require_secure_transport",
    "--require-ssl",
    "pool_mode",
    "max_client_conn",
    "default_pool_size",
    "client_tls_sslmode",
    "server_tls_sslmode",
    "ssl_protocols",
    "ssl_ciphers",
    "ssl_prefer_server_ciphers",
    "client_max_body_size",
    "Skip authorization",
    "SSO_VALID_DOMAINS",
    "SAML_METADATA_URL",
    "SAML_ACS_URL",
    "SAML_ENTITY_ID",
];

/// Written like variables, and none: a file of PostgreSQL, a version, what cargo sets.
const NO_VARIABLES: [&str; 4] = ["PG_VERSION", "POSTGRES_16", "CARGO_PKG_VERSION", "CARGO_MANIFEST_DIR"];

/// Calls that read a variable whose name has no underscore, which nothing else would tell from other words.
const READS: [&str; 4] = ["environment(\"", "lookup(\"", "env::var(\"", "variable(\""];

fn is_name(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_uppercase())
        && !word.ends_with('_')
        && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// The variables in a line of code: words with an underscore in quotes, and others where they are read.
fn variables(line: &str) -> impl Iterator<Item = &str> {
    let quoted = line.split('"').skip(1).step_by(2).filter(|word| word.contains('_'));
    let read = READS.iter().flat_map(move |call| line.split(call).skip(1).filter_map(|rest| rest.split('"').next()));
    quoted.chain(read).filter(|word| is_name(word) && !NO_VARIABLES.contains(word))
}

/// Each variable that the code reads, with a file that does. Tests are no code here.
fn read_by_code() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for directory in ["shared", "functions", "standalone"] {
        each_file(directory, &[".rs"], &mut |path, text| {
            if path.ends_with("/tests.rs") || path.ends_with("/testing.rs") || path.contains("/tests/") {
                return;
            }
            let text = text.split("\n#[cfg(test)]\n").next().unwrap_or_default();
            for name in text.lines().map(code).flat_map(variables) {
                found.insert(name.to_owned(), path.to_owned());
            }
        });
    }
    found
}

/// What functions read and no parameter of the template says, and why.
const NOT_BY_TEMPLATE: [(&str, &[&str]); 7] = [
    ("Lambda sets it", &["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]),
    (
        "it is a secret, which may not stand in an environment, or names a place for one",
        &[
            "DB_PASSWORD",
            "DB_OWNER_PASSWORD",
            "DB_BACKUP_PASSWORD",
            "DB_SECRET_ARN",
            "FACTOR_KEY",
            "FORM_KEY",
            "LINK_KEY",
            "PAYLOAD_KEY",
            "SMTP_PASSWORD",
            "SAML_SP_PRIVATE_KEY",
            "PATIENT_AUTHORIZATION_CODE_VERIFIER",
            "SIGNING_KEYS_FILE",
        ],
    ),
    (
        "it names a file, and a function has none; or a way that goes by a file",
        &[
            "DB_SSL_ROOT_CERT",
            "DB_SSL_CERT",
            "DB_SSL_KEY",
            "DB_OWNER_SSL_CERT",
            "DB_OWNER_SSL_KEY",
            "SAML_METADATA_FILE",
            "SAML_METADATA_CA_FILE",
            "SMTP_SSL_ROOT_CERT",
            "MAIL_DIRECTORY",
            "RESPONSE_CA_FILE",
            "AUDIT_SEAL_KEY_FILE",
            "AUDIT_SEAL_DIRECTORY",
            "BACKUP_IDENTITY_FILE",
            "BACKUP_SIGNING_KEY_FILE",
            "BACKUP_PUBLIC_KEY_FILE",
        ],
    ),
    (
        "on AWS there is one way to the database, and a connection for each process",
        &["DB_OWNER_HOST", "DB_OWNER_PORT", "DB_POOL_SIZE"],
    ),
    ("on AWS the owner makes backups, and keys of KMS open them", &["DB_BACKUP_USER", "BACKUP_RECIPIENTS"]),
    ("it has one value, or is for tests", &["SAML_ACS_URL", "AWS_ENDPOINT_URL"]),
    ("it is read when the functions are built", &["JHE_BUILD"]),
];

#[test]
fn every_setting_of_the_functions_is_in_the_template() {
    let template = text("template.yaml");
    let given = |name: &str| template.contains(&format!("{name}: "));
    let besides: BTreeSet<&str> = NOT_BY_TEMPLATE.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    let read = read_by_code();
    for (name, path) in read.iter().filter(|(_, path)| !path.contains("standalone/")) {
        assert!(given(name) != besides.contains(name.as_str()), "{path} reads {name}");
    }
    for name in besides {
        assert!(read.contains_key(name), "no code reads {name}");
    }
}

/// The words in code spans.
fn spans(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_detector_finds_variables() {
    let found = |line| variables(line).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>();
    assert_eq!(found(r#"lookup("DB_HOST").or_else(|| environment("PORT"))"#), ["DB_HOST", "PORT"]);
    assert_eq!(found(r#"match name { "GET" | "Db_x" | "PG_VERSION" => "UTF8" }"#), [""; 0]);
    assert_eq!(found(r#"const NAME: &str = "RATE_LIMIT_PER_MINUTE";"#), ["RATE_LIMIT_PER_MINUTE"]);
}

#[test]
fn every_variable_that_the_code_reads_is_described_and_no_other() {
    let page = text("docs/configuration.md");
    let (own, _) = page.split_once(GUIDE_SECTION).expect("the section of the guide's settings");
    let described = spans(own);
    let read = read_by_code();
    assert!(read.len() > 60, "{read:?}");
    for (name, path) in &read {
        assert!(
            described.contains(name.as_str()),
            "{path} reads {name}, which docs/configuration.md does not describe"
        );
    }
    for name in described.into_iter().filter(|name| is_name(name) && name.contains('_')) {
        let read_as = name.strip_suffix("_FILE").filter(|_| !read.contains_key(name)).unwrap_or(name);
        assert!(read.contains_key(read_as), "docs/configuration.md describes {name}, which no code reads");
    }
}

#[test]
fn every_setting_of_the_storage_guide_has_an_answer() {
    let page = text("docs/configuration.md");
    let (own, section) = page.split_once(GUIDE_SECTION).expect("the section of the guide's settings");
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
    for name in OF_GUIDE {
        let row = rows.iter().find(|row| spans(row.split('|').nth(1).unwrap_or_default()).contains(name));
        let row = row.unwrap_or_else(|| panic!("no row for {name}"));
        assert!(row.split('|').nth(2).is_some_and(|ours| !ours.trim().is_empty()), "{row}");
        // What is said to be ours is described above.
        for ours in spans(row.split('|').nth(2).unwrap_or_default()).into_iter().filter(|word| is_name(word)) {
            assert!(spans(own).contains(ours), "{ours}");
        }
    }
}
