//! Whether the audit is as it was sealed.

use super::{Subject, Target, Verdict};
use jiff::SignedDuration;
use seals::Extent;

/// Events of this time are hashed again, in whole days. To hash all of them is for `jhe audit verify`.
const DAYS: i64 = 31;

/// The seals, and the events of the last month against them.
pub(super) async fn verify(subject: &Subject) -> Verdict {
    let app = &subject.app;
    if subject.target == Target::Aws && app.variable("AUDIT_SEAL_BUCKET").is_none() {
        return Verdict::NotCheckable("the seals are in S3: set AUDIT_SEAL_BUCKET and AUDIT_SEAL_KEY_ID".to_owned());
    }
    let since = app.now().checked_sub(SignedDuration::from_hours(DAYS * 24)).ok();
    match seals::check(app, &Extent { since, head: None }).await {
        Ok(report) if report.is_good() => Verdict::Pass(format!(
            "{} seals follow from one another; {} events of the last {DAYS} days are as they were sealed",
            report.seals, report.events
        )),
        Ok(report) => Verdict::Fail(report.to_string().trim_start().replace('\n', " ")),
        Err(failure) => {
            failure.log();
            Verdict::NotCheckable(format!("the seals cannot be read: {}", failure.detail()))
        }
    }
}
