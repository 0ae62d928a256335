//! Whether the audit is as it was sealed.

use super::{Subject, Target, Verdict};
use jiff::SignedDuration;
use seals::Extent;

/// Events of this time are hashed again, in whole days. To hash all of them is for `jhe audit verify`.
const DAYS: i64 = 31;

/// Sealing is every quarter of an hour: where nothing was sealed of what is older, it does not run.
const FIRST: SignedDuration = SignedDuration::from_hours(1);

/// What AWS keeps the seals and their key by.
const IN_AWS: [&str; 2] = ["AUDIT_SEAL_BUCKET", "AUDIT_SEAL_KEY_ID"];

/// The settings without which the seals of this deployment, or their key, are not found. Where there are defaults they are of this
/// host, so nothing of AWS is there.
pub(super) fn unset(subject: &Subject, names: &[&'static str]) -> Option<String> {
    let is_set = |name: &str| subject.app.variable(name).is_some_and(|value| !value.is_empty());
    let unset: Vec<&str> = names.iter().copied().filter(|name| !is_set(name)).collect();
    (subject.target == Target::Aws && !unset.is_empty()).then(|| format!("{} is not set", unset.join(" and ")))
}

/// The seals, and the events of the last month against them.
pub(super) async fn verify(subject: &Subject) -> Verdict {
    let app = &subject.app;
    if let Some(unset) = unset(subject, &IN_AWS) {
        return Verdict::NotCheckable(format!("the seals are in S3, signed by a key in KMS: {unset}"));
    }
    let since = app.now().checked_sub(SignedDuration::from_hours(DAYS * 24)).ok();
    match seals::check(app, &Extent { since, head: None }).await {
        Ok(report) if !report.is_good() => Verdict::Fail(report.to_string().trim_start().replace('\n', " ")),
        Ok(report) if report.seals == 0 => {
            let lag =
                report.unsealed.unsealed_since.map(|_| SignedDuration::from_secs(report.unsealed.seal_lag_seconds));
            nothing_sealed(lag)
        }
        Ok(report) => Verdict::Pass(format!(
            "{} seals follow from one another; {} events of the last {DAYS} days are as they were sealed",
            report.seals, report.events
        )),
        Err(failure) => {
            failure.log();
            Verdict::NotCheckable(format!("the seals cannot be read: {}", failure.detail()))
        }
    }
}

/// Without a seal nothing says that the audit is as it was. `lag` is the age of the oldest event, if there is one.
fn nothing_sealed(lag: Option<SignedDuration>) -> Verdict {
    match lag {
        None => Verdict::NotCheckable("nothing was recorded yet, and nothing sealed".to_owned()),
        Some(lag) if lag > FIRST => {
            Verdict::Fail(format!("nothing was ever sealed, and there are events of {} minutes ago", lag.as_mins()))
        }
        Some(_) => Verdict::NotCheckable("nothing was sealed yet, of events of the last hour".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_seal_nothing_passes_and_after_an_hour_it_fails() {
        let minutes = SignedDuration::from_mins;
        for (lag, word) in [
            (None, "not checkable"),
            (Some(minutes(0)), "not checkable"),
            (Some(minutes(60)), "not checkable"),
            (Some(minutes(61)), "fail"),
        ] {
            assert_eq!(nothing_sealed(lag).word(), word, "{lag:?}");
        }
    }
}
