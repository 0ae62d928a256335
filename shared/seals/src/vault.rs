//! Where seals are kept outside of the database, and who signs them: as the settings say.

use crate::SealsError;
use archive::{Archive, Bucket, Lock, LockMode};
use jiff::SignedDuration;
use runtime::App;
use signer::{Place, Signer};

/// Six years, as long as the audit itself (45 CFR 164.316(b)(2)(i)).
const RETENTION: SignedDuration = SignedDuration::from_hours(2192 * 24);

/// The place: a bucket in S3 with Object Lock, or a directory.
pub(crate) fn vault(app: &App) -> Result<Archive, SealsError> {
    if let Some(bucket) = setting(app, "AUDIT_SEAL_BUCKET") {
        let until =
            app.now().saturating_add(RETENTION).map_err(|_| SealsError::Setting("the clock", "it is not one"))?;
        let lock = Lock { mode: lock_mode(app)?, until };
        return Ok(Archive::Bucket(Bucket::open(&bucket, app.variables())?.locked(lock)));
    }
    let directory = setting(app, "AUDIT_SEAL_DIRECTORY");
    let directory = directory.ok_or(SealsError::Setting("AUDIT_SEAL_BUCKET", "it is not set"))?;
    Ok(Archive::open(&directory, app.variables())?)
}

fn lock_mode(app: &App) -> Result<LockMode, SealsError> {
    match setting(app, "AUDIT_SEAL_LOCK_MODE").as_deref() {
        None | Some("COMPLIANCE") => Ok(LockMode::Compliance),
        Some("GOVERNANCE") => Ok(LockMode::Governance),
        Some(_) => Err(SealsError::Setting("AUDIT_SEAL_LOCK_MODE", "use COMPLIANCE or GOVERNANCE")),
    }
}

/// The key that signs, if there is one.
pub(crate) async fn signer(app: &App) -> Result<Option<Signer>, SealsError> {
    Ok(Signer::of(&place(app)?, app.variables()).await?)
}

/// The same. A key in a file is made where there is none.
pub(crate) async fn signer_made(app: &App) -> Result<Signer, SealsError> {
    Ok(Signer::made(&place(app)?, app.variables()).await?)
}

/// The key in KMS, or the private file: `AUDIT_SEAL_KEY_FILE`, or the one among the secrets of a standalone host.
fn place(app: &App) -> Result<Place, SealsError> {
    let file = setting(app, "AUDIT_SEAL_KEY_FILE").map(Into::into);
    let file = file.or_else(|| app.secret_directory().map(|directory| directory.join("audit_seal.key")));
    Place::of(setting(app, "AUDIT_SEAL_KEY_ID"), file).ok_or(SealsError::Setting("AUDIT_SEAL_KEY_ID", "it is not set"))
}

/// A setting that says something.
fn setting(app: &App, name: &str) -> Option<String> {
    app.variable(name).filter(|value| !value.is_empty())
}
