//! How old what is secret is.

use super::{Subject, Target, Verdict};
use jiff::{SignedDuration, Timestamp};
use oauth::ring::Turn;
use secrets::{Part, VARIABLES, current_since};
use signing_keys::rotation::Rotator;
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

/// No secret is older: it is replaced once a year.
const OLDEST: SignedDuration = SignedDuration::from_hours(365 * 24);

/// The daily call may be late by so much.
const LATE: SignedDuration = SignedDuration::from_hours(48);

/// A secret by its place, and since when it is as it is. None where that is not seen.
type Secret = (String, Option<Timestamp>);

/// Signing keys are rotated in time, and no other secret is too old.
pub async fn age(subject: &Subject) -> Verdict {
    match overdue(subject).await {
        Ok(false) => {}
        Ok(true) => return Verdict::Fail("the rotation of signing keys is more than two days late".to_owned()),
        Err(verdict) => return verdict,
    }
    let mut known = files(subject);
    known.extend(in_secrets_manager(subject).await);
    known.extend(in_variables(subject));
    judged(&known, subject.app.now())
}

fn judged(known: &[Secret], now: Timestamp) -> Verdict {
    let old = places(known, |since| since.is_some_and(|since| now.duration_since(since) > OLDEST));
    let unseen = places(known, |since| since.is_none());
    if !old.is_empty() {
        Verdict::Fail(format!("older than a year: {}", old.join(", ")))
    } else if !unseen.is_empty() {
        Verdict::NotCheckable(format!("signing keys are rotated in time; the age is not seen of {}", unseen.join(", ")))
    } else if known.is_empty() {
        Verdict::NotCheckable("signing keys are rotated in time; no other secret is seen from here".to_owned())
    } else {
        Verdict::Pass(format!("signing keys are rotated in time; {} secrets are younger than a year", known.len()))
    }
}

/// Where the secrets are of which something holds.
fn places(known: &[Secret], holds: impl Fn(Option<Timestamp>) -> bool) -> Vec<&str> {
    known.iter().filter(|(_, since)| holds(*since)).map(|(place, _)| place.as_str()).collect()
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
fn files(subject: &Subject) -> Vec<Secret> {
    let named = VARIABLES.iter().filter_map(|name| subject.app.variable(&format!("{name}_FILE")));
    let named = named.filter(|path| !path.is_empty()).map(PathBuf::from);
    let loaded = subject.app.variable("CREDENTIALS_DIRECTORY").filter(|path| !path.is_empty()).map(PathBuf::from);
    let source = subject.given.credentials.as_deref();
    let mut known: Vec<Secret> = named.map(|path| of_file(&path, loaded.as_deref(), source)).collect();
    // On AWS no function has a directory: what is here is of this host alone, and may have been made just now.
    if let Some(directory) = subject.app.secret_directory().filter(|_| subject.target != Target::Aws) {
        known.extend(of_directory(directory));
    }
    known
}

/// A file that a variable names. systemd copies what it loads when it starts a unit: the copy says nothing, its source does.
fn of_file(path: &Path, loaded: Option<&Path>, source: Option<&Path>) -> Secret {
    let since = match loaded.and_then(|loaded| path.strip_prefix(loaded).ok()) {
        None => written(path),
        Some(name) => source.and_then(|source| written(&source.join(name))),
    };
    (path.display().to_string(), since)
}

/// The secrets of the host itself. A directory that cannot be read may have any.
fn of_directory(directory: &Path) -> Vec<Secret> {
    let unseen = || (directory.display().to_string(), None);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(_) => return vec![unseen()],
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    // The ring has its own times. The key of the seals is not replaced: what it signed has to be verified for years.
    let kept = |path: &io::Result<PathBuf>| {
        path.as_ref().map_or(true, |path| path.extension().is_none_or(|ending| ending == "pem"))
    };
    paths
        .filter(kept)
        .map(|path| path.map_or_else(|_| unseen(), |path| (path.display().to_string(), written(&path))))
        .collect()
}

fn written(path: &Path) -> Option<Timestamp> {
    Timestamp::try_from(fs::metadata(path).ok()?.modified().ok()?).ok()
}

/// The secrets in Secrets Manager that variables name.
async fn in_secrets_manager(subject: &Subject) -> Vec<Secret> {
    let named: BTreeSet<String> = Part::ALL
        .iter()
        .filter_map(|part| subject.app.variable(part.variable()))
        .filter(|name| !name.is_empty())
        .collect();
    let mut known = Vec::new();
    for name in named {
        let since = current_since(subject.app.variables(), &name).await.ok().flatten();
        known.push((name, since.and_then(|second| Timestamp::from_second(second).ok())));
    }
    known
}

/// The secrets that are in variables themselves: nobody sees since when. On a developer's machine they are the host's own.
fn in_variables(subject: &Subject) -> Vec<Secret> {
    let set = |name: &&&str| subject.app.variable(name).is_some_and(|value| !value.is_empty());
    let known = VARIABLES.iter().filter(set).map(|name| ((*name).to_owned(), None));
    if subject.target == Target::Local { Vec::new() } else { known.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_that_was_loaded_is_as_old_as_its_source() {
        let (loaded, source) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (copy, own) = (loaded.path().join("key"), source.path().join("other"));
        fs::write(&copy, "x").unwrap();
        fs::write(&own, "x").unwrap();
        let since = |path: &Path, source: Option<&Path>| of_file(path, Some(loaded.path()), source).1;
        assert_eq!(since(&copy, None), None, "its time is that of the start");
        assert_eq!(since(&copy, Some(source.path())), None, "there is no such source");
        assert!(since(&own, None).is_some(), "this one was not loaded");
        let first = source.path().join("key");
        fs::File::create(&first).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(since(&copy, Some(source.path())), Some(Timestamp::UNIX_EPOCH));
    }

    #[test]
    fn a_directory_that_cannot_be_read_may_have_any_secret() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(of_directory(&place.path().join("nothing")), []);
        let file = place.path().join("link_key");
        fs::write(&file, "x").unwrap();
        fs::write(place.path().join("audit_seal.key"), "x").unwrap();
        let found = of_directory(place.path());
        assert!(matches!(found.as_slice(), [(path, Some(_))] if *path == file.display().to_string()), "{found:?}");
        assert!(matches!(of_directory(&file).as_slice(), [(_, None)]), "it is no directory");
    }

    #[test]
    fn what_is_old_fails_and_what_is_not_seen_never_passes() {
        let now: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let young = ("young".to_owned(), Some("2025-03-02T00:00:00Z".parse().unwrap()));
        let old = ("old".to_owned(), Some("2025-02-27T00:00:00Z".parse().unwrap()));
        let unseen = ("unseen".to_owned(), None);
        for (known, word) in [
            (&[young.clone()][..], "pass"),
            (&[young.clone(), old.clone()], "fail"),
            (&[unseen.clone(), old], "fail"),
            (&[young, unseen], "not checkable"),
            (&[], "not checkable"),
        ] {
            assert_eq!(judged(known, now).word(), word, "{known:?}");
        }
    }
}
