//! The checks of a deployment, one result each: `jhe verify`.
//!
//! What is protected by law has to be shown to be. Each [`Check`] asks one thing of the deployment that the environment leads to
//! and gives a [`Verdict`] with its reason. What cannot be seen from here is said to be so; it never passes.

mod backups;
mod catalogue;
mod database;
mod old_tls;
pub mod provider;
pub mod report;
mod retention;
mod runs;
mod sealed;
mod secrets_age;
pub mod site;
pub mod storage;
pub mod world;

pub use catalogue::{Check, Entry, catalogue};

use runtime::App;
use serde::Serialize;
use std::{path::PathBuf, str::FromStr, sync::Arc};
use store::DatabaseConfig;

/// Where a deployment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Amazon Web Services.
    Aws,
    /// Google Cloud SQL.
    Gcp,
    /// Azure Database for PostgreSQL.
    Azure,
    /// Machines of one's own.
    SelfHosted,
    /// A developer's machine, without anybody's data.
    Local,
}

impl Target {
    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Gcp => "gcp",
            Self::Azure => "azure",
            Self::SelfHosted => "self-hosted",
            Self::Local => "local",
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Aws, Self::Gcp, Self::Azure, Self::SelfHosted, Self::Local];
        all.into_iter()
            .find(|target| target.name() == text)
            .ok_or_else(|| format!("{text} is no target: use aws, gcp, azure, self-hosted or local"))
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is as it has to be.
    Pass(String),
    /// It is not.
    Fail(String),
    /// It cannot be seen from here.
    NotCheckable(String),
}

impl Verdict {
    /// The word for it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Pass(_) => "pass",
            Self::Fail(_) => "fail",
            Self::NotCheckable(_) => "not checkable",
        }
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> &str {
        let (Self::Pass(reason) | Self::Fail(reason) | Self::NotCheckable(reason)) = self;
        reason
    }
}

/// A result, with what to do about it.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The name of the check.
    pub id: &'static str,
    /// What has to be so.
    pub requirement: &'static str,
    /// `pass`, `fail` or `not checkable`.
    pub verdict: &'static str,
    /// What was seen.
    pub reason: String,
    /// What to do, unless it passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<&'static str>,
}

/// What is looked at.
pub struct Subject {
    /// Where it is.
    pub target: Target,
    /// The state of a process of it.
    pub app: Arc<App>,
    /// How its functions reach the database; a password is not needed.
    pub database: DatabaseConfig,
    /// How the owner of the tables reaches it, if that is known.
    pub owner: Option<DatabaseConfig>,
    /// What else was given.
    pub given: Given,
}

/// What the command was given to look with.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// The provider's description of the database, as its own tool prints it in JSON.
    pub facts: Option<serde_json::Value>,
    /// A PEM file with the authorities to trust for the site, besides those of the web.
    pub authorities: Option<PathBuf>,
    /// The site in clear text, where that is not port 80 of the same host.
    pub clear_url: Option<String>,
    /// Where the credentials of systemd come from: those that a unit is given are copies, made when it starts.
    pub credentials: Option<PathBuf>,
    /// The directory of the database, where it is on this machine.
    pub data_directory: Option<PathBuf>,
}

impl Subject {
    /// Runs the checks that are wanted, one after the other; all of them for an empty list.
    pub async fn examine(&self, wanted: &[String]) -> Vec<Finding> {
        let mut scratch = None;
        let mut findings = Vec::new();
        for entry in catalogue().iter().filter(|entry| wanted.is_empty() || wanted.iter().any(|id| id == entry.id)) {
            // Boxed, for all checks in one would make the future of the command too deep.
            let verdict = Box::pin(self.verdict(entry.check, &mut scratch)).await;
            findings.push(Finding {
                id: entry.id,
                requirement: entry.requirement,
                verdict: verdict.word(),
                reason: verdict.reason().to_owned(),
                remedy: (!matches!(verdict, Verdict::Pass(_))).then_some(entry.remedy),
            });
        }
        if let Some(Ok(scratch)) = scratch {
            scratch.end().await;
        }
        findings
    }

    async fn verdict(&self, check: Check, scratch: &mut Option<Result<world::Scratch, Verdict>>) -> Verdict {
        match check {
            Check::Https => site::https(self),
            Check::Redirect => site::redirect(self).await,
            Check::TlsVersions => site::tls_versions(self).await,
            Check::Pins => site::pins(self).await,
            Check::StrictTransport => site::strict_transport(self).await,
            Check::Cookies => site::cookies(self).await,
            Check::Tokens => site::tokens(self).await,
            Check::ClearDatabase => database::clear(self).await,
            Check::EncryptedSession => database::session(self).await,
            Check::DatabaseIdentity => database::identity(self),
            Check::PrivateDatabase => database::private(self).await,
            Check::DatabaseLog => database::log(self).await,
            Check::DatabaseLogValues => database::log_values(self).await,
            Check::Roles => database::roles(self).await,
            Check::Limits => database::limits(self).await,
            Check::Passwords => database::passwords(self).await,
            Check::AuditImmutable => database::audit_immutable(self).await,
            Check::Storage => storage::encrypted(self),
            Check::Backups => backups::kept(self).await,
            Check::AsMigrated | Check::AccessControl | Check::UploadNeedsConsent | Check::RevocationHides => {
                if scratch.is_none() {
                    *scratch = Some(world::Scratch::make(self).await);
                }
                match scratch {
                    Some(Ok(scratch)) => scratch.verdict(check).await,
                    Some(Err(verdict)) => verdict.clone(),
                    None => Verdict::NotCheckable("there is no world to try it in".to_owned()),
                }
            }
            Check::SecondFactors => database::second_factors(self).await,
            Check::SecretsAge => secrets_age::age(self).await,
            Check::RestoreDrill => backups::drilled(self).await,
            Check::Seals => sealed::verify(self).await,
            Check::Retention => retention::ran(self).await,
        }
    }
}
