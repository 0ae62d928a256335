//! Backups, and whether one was tried: by what `jhe backup` and `jhe backup verify` remember.

use super::{
    Subject, Target, Verdict, provider,
    runs::{asked, untimely},
};
use jiff::{SignedDuration, Timestamp};
use store::{BackupRun, RunKind};

/// A backup that is older is not the last one: there is one a day.
const BACKUP: SignedDuration = SignedDuration::from_hours(48);

/// There is a drill a week.
const DRILL: SignedDuration = SignedDuration::from_hours(10 * 24);

async fn last(subject: &Subject, kind: RunKind) -> Result<Option<BackupRun>, Verdict> {
    let place = subject.app.variable("BACKUP_TO");
    asked(subject, async |store| store.last_backup_run(kind, place.as_deref()).await).await
}

/// Whether there is a backup of late: one of ours, or else of the provider.
pub(super) async fn kept(subject: &Subject) -> Verdict {
    let ours = match last(subject, RunKind::Backup).await {
        Err(verdict) => verdict,
        Ok(None) => Verdict::NotCheckable("jhe made none, and no provider describes any".to_owned()),
        Ok(Some(run)) => judged(&run, run.taken_at, BACKUP, "the last backup", subject.app.now()),
    };
    either(ours, provider::backups(subject))
}

/// One that is good will do. Else what the provider says counts, unless it is nothing and ours fails.
fn either(ours: Verdict, by_provider: Option<Verdict>) -> Verdict {
    match (ours, by_provider) {
        (ours, None)
        | (ours @ Verdict::Pass(_), Some(_))
        | (ours @ Verdict::Fail(_), Some(Verdict::NotCheckable(_))) => ours,
        (_, Some(verdict)) => verdict,
    }
}

/// Whether restoring was tried of late.
pub(super) async fn drilled(subject: &Subject) -> Verdict {
    match last(subject, RunKind::Drill).await {
        Ok(Some(run)) => judged(&run, run.ended_at, DRILL, "the last drill", subject.app.now()),
        Ok(None) => match last(subject, RunKind::Backup).await {
            Ok(backup) => never(subject.target, backup.is_some()),
            Err(verdict) => verdict,
        },
        Err(verdict) => verdict,
    }
}

/// No drill is on record. That of a provider's backup leaves none.
fn never(target: Target, makes_backups: bool) -> Verdict {
    match target {
        Target::Local => Verdict::NotCheckable("no drill is on record; nobody's data belongs in it".to_owned()),
        Target::Aws | Target::Gcp | Target::Azure if !makes_backups => Verdict::NotCheckable(
            "no drill is on record, and jhe makes no backups: what was tried with the provider's is not seen"
                .to_owned(),
        ),
        _ => Verdict::Fail("no drill is on record".to_owned()),
    }
}

fn judged(run: &BackupRun, at: Timestamp, limit: SignedDuration, what: &str, now: Timestamp) -> Verdict {
    let said = |name: &str| run.report.get(name).map(ToString::to_string).unwrap_or_default();
    if !run.succeeded {
        return Verdict::Fail(format!("{what}, of {at}, failed: {}", said("why")));
    }
    if let Some(verdict) = untimely(what, at, limit, now) {
        return verdict;
    }
    let details = ["rows", "rpo_seconds", "rto_seconds"].map(|name| (name, said(name)));
    let details = details.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name} {value}"));
    Verdict::Pass(format!("{what} is of {at}: {}", details.collect::<Vec<_>>().join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(succeeded: bool) -> BackupRun {
        let at = Timestamp::UNIX_EPOCH;
        BackupRun {
            backup: "x".to_owned(),
            taken_at: at,
            ended_at: at,
            succeeded,
            report: json!({ "why": "broken", "rows": 7 }),
        }
    }

    #[test]
    fn what_failed_or_is_long_ago_does_not_pass() {
        let at = |hours| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours);
        let word = |succeeded, hours| judged(&run(succeeded), at(0), BACKUP, "it", at(hours)).word();
        assert_eq!((word(true, 1), word(true, 48), word(true, 49), word(false, 1)), ("pass", "pass", "fail", "fail"));
        let verdict = judged(&run(false), at(0), BACKUP, "it", at(1));
        assert!(verdict.reason().contains("broken"), "{verdict:?}");
        assert_eq!(judged(&run(true), at(2), BACKUP, "it", at(0)).word(), "not checkable", "what is to come");
    }

    #[test]
    fn without_a_drill_only_who_has_the_providers_backups_alone_may_have_tried_one() {
        for (target, makes_backups, word) in [
            (Target::SelfHosted, false, "fail"),
            (Target::SelfHosted, true, "fail"),
            (Target::Aws, true, "fail"),
            (Target::Gcp, false, "not checkable"),
            (Target::Local, true, "not checkable"),
        ] {
            assert_eq!(never(target, makes_backups).word(), word, "{target:?} {makes_backups}");
        }
    }

    #[test]
    fn one_good_backup_will_do_and_none_that_is_not_seen() {
        let pass = || Verdict::Pass("ours".to_owned());
        let fail = || Verdict::Fail("ours".to_owned());
        let unseen = || Verdict::NotCheckable("ours".to_owned());
        for (ours, theirs, word) in [
            (pass(), None, "pass"),
            (fail(), None, "fail"),
            (unseen(), None, "not checkable"),
            (pass(), Some(fail()), "pass"),
            (pass(), Some(unseen()), "pass"),
            (fail(), Some(pass()), "pass"),
            (unseen(), Some(pass()), "pass"),
            (fail(), Some(unseen()), "fail"),
            (unseen(), Some(fail()), "fail"),
            (unseen(), Some(unseen()), "not checkable"),
        ] {
            assert_eq!(either(ours, theirs).word(), word);
        }
    }
}
