//! What is checked, and what to do about it. The order is that of the report.

/// One thing that is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The site is reached by TLS.
    Https,
    /// Clear text leads to TLS.
    Redirect,
    /// No old TLS.
    TlsVersions,
    /// The public keys that apps pin.
    Pins,
    /// HSTS.
    StrictTransport,
    /// The flags of cookies.
    Cookies,
    /// Nothing without a token.
    Tokens,
    /// The database refuses clear text.
    ClearDatabase,
    /// The session with the database is encrypted.
    EncryptedSession,
    /// The server of the database is who it says.
    DatabaseIdentity,
    /// The database is not on the internet.
    PrivateDatabase,
    /// The database logs who came and what changed.
    DatabaseLog,
    /// The database's log has no values.
    DatabaseLogValues,
    /// The login of the functions.
    Roles,
    /// Connections and timeouts.
    Limits,
    /// How the database keeps passwords.
    Passwords,
    /// The past stays as it is.
    AuditImmutable,
    /// Encryption at rest.
    Storage,
    /// Automated backups.
    Backups,
    /// Restoring was tried.
    RestoreDrill,
    /// The schema is that of the migrations.
    AsMigrated,
    /// Roles and organizations.
    AccessControl,
    /// No upload without consent.
    UploadNeedsConsent,
    /// Nobody sees what consent was withdrawn for.
    RevocationHides,
    /// Super admins have two factors.
    SecondFactors,
    /// Secrets are replaced.
    SecretsAge,
    /// The audit's seals.
    Seals,
    /// Deletion of what lapsed.
    Retention,
}

/// What is said of a check.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The check.
    pub check: Check,
    /// Its name.
    pub id: &'static str,
    /// What has to be so.
    pub requirement: &'static str,
    /// What to do when it is not.
    pub remedy: &'static str,
}

const fn entry(check: Check, id: &'static str, requirement: &'static str, remedy: &'static str) -> Entry {
    Entry { check, id, requirement, remedy }
}

/// All checks.
#[must_use]
pub fn catalogue() -> &'static [Entry] {
    &CATALOGUE
}

static CATALOGUE: [Entry; 28] = [
    entry(Check::Https, "site-https", "The site's URL is https", "Set SITE_URL to the public https URL."),
    entry(
        Check::Redirect,
        "site-redirect",
        "Clear text is answered with a redirect to https, or not at all",
        "Answer port 80 with 301 to https, as infra/self-hosted/nginx/jhe.conf does.",
    ),
    entry(
        Check::TlsVersions,
        "site-tls-versions",
        "TLS 1.0 and 1.1 are refused, 1.2 or 1.3 is taken, with a certificate that is valid for the name",
        "Set `ssl_protocols TLSv1.2 TLSv1.3`, or the minimum of the load balancer to TLS 1.2, and renew the certificate.",
    ),
    entry(
        Check::Pins,
        "site-pins",
        "A public key of the site's is among those that are published for apps to pin, and their next change is to come",
        "Compute the pins by `jhe pins --site URL`, set TLS_PINS and TLS_PINS_CHANGE; docs/deploy says how to change keys. Without apps that pin, leave both unset.",
    ),
    entry(
        Check::StrictTransport,
        "site-hsts",
        "Answers have Strict-Transport-Security for a year or more",
        "Let the proxy pass the header on, or add it: max-age=63072000; includeSubDomains.",
    ),
    entry(
        Check::Cookies,
        "site-cookies",
        "Cookies are Secure, HttpOnly and SameSite",
        "Let the proxy pass cookies on as they are; SITE_URL has to be https for Secure.",
    ),
    entry(
        Check::Tokens,
        "site-tokens",
        "Health data and people are answered to nobody without a token",
        "Look for a proxy or cache that answers in the place of jhe, or adds a token.",
    ),
    entry(
        Check::ClearDatabase,
        "database-clear-text",
        "The database refuses connections without TLS",
        "Use hostssl rules alone in pg_hba.conf, rds.force_ssl=1, sslMode=ENCRYPTED_ONLY or require_secure_transport=ON, and client_tls_sslmode=require in PgBouncer.",
    ),
    entry(
        Check::EncryptedSession,
        "database-session",
        "The session with the database is encrypted by TLS 1.2 or 1.3 (pg_stat_ssl), and older TLS is refused",
        "Set DB_SSL_MODE=verify-full, server_tls_sslmode=verify-full in PgBouncer, and ssl_min_protocol_version=TLSv1.2.",
    ),
    entry(
        Check::DatabaseIdentity,
        "database-identity",
        "The server's certificate is verified, with the name of the server",
        "Set DB_SSL_MODE=verify-full and DB_SSL_ROOT_CERT to the provider's authorities.",
    ),
    entry(
        Check::PrivateDatabase,
        "database-private",
        "The database has no address on the internet",
        "Use private addresses alone, and let only the functions reach them.",
    ),
    entry(
        Check::DatabaseLog,
        "database-log",
        "The database logs connections, disconnections, changes and durations, by pgaudit what log_statement does not see",
        "Set log_connections=on, log_disconnections=on, log_statement=mod, log_duration=on and, with shared_preload_libraries=pgaudit, pgaudit.log=write,ddl,role; then run `jhe migrate`.",
    ),
    entry(
        Check::DatabaseLogValues,
        "database-log-values",
        "The database's log holds no values: they are health data",
        "Set log_parameter_max_length=0, log_parameter_max_length_on_error=0, log_error_verbosity=terse, log_min_error_statement=panic and pgaudit.log_parameter=off.",
    ),
    entry(
        Check::Roles,
        "database-roles",
        "The functions' login can do what the functions do, and nothing else",
        "Run `jhe migrate` as the owner with DB_USER set, and revoke what is named.",
    ),
    entry(
        Check::Limits,
        "database-limits",
        "Connections and the time of statements are limited",
        "Run `jhe migrate` as the owner, which sets the timeouts of the login; lower DB_POOL_SIZE or raise max_connections.",
    ),
    entry(
        Check::Passwords,
        "database-passwords",
        "The database keeps the passwords that it is given from now on as SCRAM-SHA-256",
        "Set password_encryption=scram-sha-256 and give the logins new passwords.",
    ),
    entry(
        Check::AuditImmutable,
        "audit-immutable",
        "Records of the audit and of consents are neither changed nor deleted",
        "Run `jhe migrate` on a restored copy and compare; enable the triggers and revoke the rights that are named.",
    ),
    entry(
        Check::Storage,
        "storage-encrypted",
        "The storage of the database is encrypted",
        "Give the provider's description of this one database by --facts (docs/deploy says how), or --data-directory where the database is on this machine.",
    ),
    entry(
        Check::Backups,
        "backups",
        "A backup of the last two days is kept, by jhe or by the provider for seven days or more",
        "Set BACKUP_TO and let `jhe backup` run daily; or give the provider's description by --facts, and turn on automated backups of 7 to 35 days.",
    ),
    entry(
        Check::RestoreDrill,
        "restore-drill",
        "Restoring a backup was tried in the last ten days, and succeeded",
        "Run `jhe backup verify`, and see that it runs weekly: it needs the login of the owner, who has to have the right to make databases.",
    ),
    entry(
        Check::AsMigrated,
        "database-as-migrated",
        "The schema with its triggers, functions and rights is what the migrations of this version make",
        "Run `jhe migrate`; undo what is named. If it could not be compared, give the login of the owner, who has to have the right to make databases.",
    ),
    entry(
        Check::AccessControl,
        "access-control",
        "Who has no role over somebody sees nothing of them and changes nothing",
        "If it failed, stop serving: the version or its database is not what was released. If it could not be tried, give the login of the owner, who has to have the right to make databases.",
    ),
    entry(
        Check::UploadNeedsConsent,
        "upload-needs-consent",
        "Nothing is stored that the patient did not consent to",
        "If it failed, stop serving: the version or its database is not what was released. If it could not be tried, give the login of the owner, who has to have the right to make databases.",
    ),
    entry(
        Check::RevocationHides,
        "revocation-hides",
        "What consent is withdrawn for is hidden at once",
        "If it failed, stop serving: the version or its database is not what was released. If it could not be tried, give the login of the owner, who has to have the right to make databases.",
    ),
    entry(
        Check::SecondFactors,
        "super-admins-factors",
        "Every super admin has a second factor, and needs it",
        "Set REQUIRE_SECOND_FACTOR_FOR_SUPER_ADMINS=true, and let those who are named sign in and enrol one, or end their accounts.",
    ),
    entry(
        Check::SecretsAge,
        "secrets-age",
        "Signing keys are rotated in time, and no other secret is older than a year",
        "Run `jhe rotate-keys`, see why the daily call fails, and replace what is named. Keep secrets in files or in Secrets Manager, where their age is seen; of what systemd loads, give --credentials.",
    ),
    entry(
        Check::Seals,
        "seals",
        "The audit is as it was sealed",
        "Run `jhe audit verify` and treat what it finds as an incident; where nothing is sealed, see why `jhe audit seal` fails.",
    ),
    entry(
        Check::Retention,
        "retention",
        "What lapsed was deleted in the last six hours",
        "See why the hourly call fails, and run `jhe retention run`; `jhe retention report` counts what is to be deleted.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_check_has_a_name_of_its_own_and_says_what_to_do() {
        let names: BTreeSet<&str> = catalogue().iter().map(|entry| entry.id).collect();
        assert_eq!(names.len(), catalogue().len());
        for entry in catalogue() {
            assert!(entry.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", entry.id);
            assert!(entry.remedy.ends_with('.') && !entry.requirement.ends_with('.'), "{}", entry.id);
        }
    }
}
