//! How old what is secret is.

use super::{Subject, Verdict};
use jiff::SignedDuration;
use oauth::ring::Turn;
use secrets::VARIABLES;
use signing_keys::rotation::Rotator;
use std::{
    fs,
    path::PathBuf,
    time::{Duration, SystemTime},
};

/// No secret in a file is older: it is replaced once a year.
const OLDEST: Duration = Duration::from_hours(365 * 24);

/// The daily call may be late by so much.
const LATE: SignedDuration = SignedDuration::from_hours(48);

/// Signing keys are rotated in time, and no secret in a file is too old.
pub async fn age(subject: &Subject) -> Verdict {
    let keys = match overdue(subject).await {
        Ok(false) => "signing keys are rotated in time",
        Ok(true) => return Verdict::Fail("the rotation of signing keys is more than two days late".to_owned()),
        Err(verdict) => return verdict,
    };
    let files = files(subject);
    let old: Vec<String> = files.iter().filter(|path| is_old(path)).map(|path| path.display().to_string()).collect();
    if !old.is_empty() {
        return Verdict::Fail(format!("older than a year: {}", old.join(", ")));
    }
    let elsewhere =
        if files.is_empty() { "; other secrets are not in files, and their age is not seen from here" } else { "" };
    Verdict::Pass(format!("{keys}; {} secrets in files are younger than a year{elsewhere}", files.len()))
}

async fn overdue(subject: &Subject) -> Result<bool, Verdict> {
    let unknown = |error: signing_keys::KeysError| Verdict::NotCheckable(format!("the signing keys: {error}"));
    let rotator = Rotator::of(&subject.app).map_err(unknown)?;
    let Some(present) = rotator.present().await.map_err(unknown)? else {
        return Err(Verdict::Fail("there are no signing keys".to_owned()));
    };
    let earlier = subject.app.now().checked_sub(LATE).unwrap_or_else(|_| subject.app.now());
    Ok(rotator.turn(&present, false, earlier) == Turn::Rotate)
}

/// The files that hold secrets: those that variables name, and those of the host itself.
fn files(subject: &Subject) -> Vec<PathBuf> {
    let named = VARIABLES.iter().filter_map(|name| subject.app.variable(&format!("{name}_FILE"))).map(PathBuf::from);
    let own = subject.app.secret_directory().and_then(|directory| fs::read_dir(directory).ok());
    let own = own.into_iter().flatten().flatten().map(|entry| entry.path());
    // The ring has its own times. The key of the seals is not replaced: what it signed has to be verified for years.
    let own = own.filter(|path| path.extension().is_none_or(|ending| ending == "pem"));
    named.chain(own).collect()
}

fn is_old(path: &PathBuf) -> bool {
    let written = fs::metadata(path).and_then(|metadata| metadata.modified());
    written.is_ok_and(|written| SystemTime::now().duration_since(written).is_ok_and(|age| age > OLDEST))
}
