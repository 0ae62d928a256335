use super::*;
use StudyStatus::{Active, Archived, Completed, Draft};

const GRACE: SignedDuration = SignedDuration::from_hours(30 * 24);

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn day(text: &str) -> Option<Date> {
    (!text.is_empty()).then(|| text.parse().unwrap())
}

fn plan(status: StudyStatus, ends_on: &str) -> Plan {
    Plan { status, starts_on: None, ends_on: day(ends_on) }
}

fn life(status: StudyStatus, ends_on: &str, access: AccessUntil) -> Life {
    plan(status, ends_on).with(access)
}

fn until(text: &str) -> AccessUntil {
    AccessUntil::Until(time(text))
}

#[test]
fn which_status_may_follow_which() {
    for (from, allowed) in [
        (Draft, &[Draft, Active, Archived][..]),
        (Active, &[Active, Completed, Archived]),
        (Completed, &[Completed, Active, Archived]),
        (Archived, &[Archived]),
    ] {
        for next in StudyStatus::ALL {
            assert_eq!(from.may_become(next), allowed.contains(&next), "{from:?} to {next:?}");
        }
    }
}

#[test]
fn a_study_begins_as_a_draft_or_active() {
    for (status, ends_on, expected) in [
        (Draft, "", Ok(AccessUntil::Never)),
        (Draft, "2027-01-31", Ok(AccessUntil::Never)),
        (Active, "", Ok(AccessUntil::Always)),
        (Active, "2027-01-31", Ok(until("2027-03-03T00:00:00Z"))),
        (Active, "9999-12-31", Ok(AccessUntil::Always)),
        (Completed, "", Err(LifeError::NotABeginning)),
        (Archived, "", Err(LifeError::NotABeginning)),
    ] {
        assert_eq!(plan(status, ends_on).begins(GRACE).map(|life| life.access), expected, "{status:?} {ends_on}");
    }
}

#[test]
fn a_study_does_not_end_before_it_starts() {
    for (start, end, good) in [
        ("2027-01-02", "2027-01-01", false),
        ("2027-01-01", "2027-01-01", true),
        ("", "2027-01-01", true),
        ("2027-01-01", "", true),
    ] {
        let plan = Plan { status: Active, starts_on: day(start), ends_on: day(end) };
        assert_eq!(plan.begins(GRACE).is_ok(), good, "{start} {end}");
        let follows = life(Draft, "", AccessUntil::Never).followed_by(plan, time("2026-01-01T00:00:00Z"), GRACE);
        assert_eq!(follows.is_ok(), good, "{start} {end}");
    }
}

#[test]
fn access_ends_with_the_grace_period_after_the_end() {
    let now = time("2026-11-22T10:00:00Z");
    let later = until("2026-12-22T10:00:00Z");
    let by_date = until("2027-03-03T00:00:00Z");
    for (what, before, plan, expected) in [
        ("a draft is started", life(Draft, "", AccessUntil::Never), plan(Active, ""), AccessUntil::Always),
        ("with an end", life(Draft, "", AccessUntil::Never), plan(Active, "2027-01-31"), by_date),
        ("an end is set", life(Active, "", AccessUntil::Always), plan(Active, "2027-01-31"), by_date),
        ("an end is taken away", life(Active, "2027-01-31", by_date), plan(Active, ""), AccessUntil::Always),
        ("completed", life(Active, "", AccessUntil::Always), plan(Completed, ""), later),
        ("completed before its end", life(Active, "2027-01-31", by_date), plan(Completed, "2027-01-31"), later),
        (
            "completed after its end",
            life(Active, "2026-11-01", until("2026-12-02T00:00:00Z")),
            plan(Completed, "2026-11-01"),
            until("2026-12-02T00:00:00Z"),
        ),
        (
            "completed with a later end than the grace period",
            life(Completed, "", later),
            plan(Completed, "2027-12-31"),
            later,
        ),
        (
            "completed with an earlier end",
            life(Completed, "", later),
            plan(Completed, "2026-11-01"),
            until("2026-12-02T00:00:00Z"),
        ),
        ("taken up again in time", life(Completed, "", later), plan(Active, ""), AccessUntil::Always),
        ("archived", life(Active, "", AccessUntil::Always), plan(Archived, ""), AccessUntil::Never),
        ("archived after completion", life(Completed, "", later), plan(Archived, ""), AccessUntil::Never),
        (
            "nothing changes though the grace period is another",
            life(Completed, "", until("2026-11-23T00:00:00Z")),
            plan(Completed, ""),
            until("2026-11-23T00:00:00Z"),
        ),
    ] {
        assert_eq!(before.followed_by(plan, now, GRACE).map(|life| life.access), Ok(expected), "{what}");
    }
}

#[test]
fn what_has_ended_is_not_opened_again() {
    let now = time("2026-11-22T10:00:00Z");
    let over = until("2026-11-22T00:00:00Z");
    for (before, plan, expected) in [
        (life(Completed, "", over), plan(Active, ""), Err(LifeError::HasEnded)),
        (life(Active, "2026-10-22", over), plan(Active, ""), Err(LifeError::HasEnded)),
        (life(Active, "2026-10-22", over), plan(Active, "2027-01-01"), Err(LifeError::HasEnded)),
        (life(Active, "2026-10-22", over), plan(Completed, "2026-10-22"), Ok(over)),
        (life(Active, "2026-10-22", over), plan(Archived, "2026-10-22"), Ok(AccessUntil::Never)),
        (life(Archived, "", AccessUntil::Never), plan(Active, ""), Err(LifeError::DoesNotFollow)),
        (life(Archived, "", AccessUntil::Never), plan(Archived, "2027-01-01"), Err(LifeError::IsArchived)),
        (life(Archived, "2026-10-22", AccessUntil::Never), plan(Archived, ""), Err(LifeError::IsArchived)),
        (life(Archived, "2026-10-22", AccessUntil::Never), plan(Archived, "2026-10-22"), Ok(AccessUntil::Never)),
        (life(Active, "2026-10-22", over), plan(Active, "2026-10-22"), Ok(over)),
    ] {
        let access = before.followed_by(plan, now, GRACE).map(|life| life.access);
        assert_eq!(access, expected, "{before:?} {plan:?}");
    }
}

#[test]
fn no_change_gives_access_to_a_draft_or_the_archive_or_after_the_end() {
    let now = time("2026-11-22T10:00:00Z");
    let accesses =
        [AccessUntil::Never, until("2026-11-22T09:00:00Z"), until("2026-11-22T11:00:00Z"), AccessUntil::Always];
    for before in StudyStatus::ALL {
        for after in StudyStatus::ALL {
            for access in accesses {
                for (first, second) in
                    [("", ""), ("", "2026-10-01"), ("", "2027-10-01"), ("2026-10-01", ""), ("2026-10-01", "2027-10-01")]
                {
                    let access = if matches!(before, Draft | Archived) { AccessUntil::Never } else { access };
                    let life = life(before, first, access);
                    let Ok(next) = life.followed_by(plan(after, second), now, GRACE) else { continue };
                    let gives = next.access.allows(now);
                    assert!(!gives || matches!(after, Active | Completed), "{life:?} {next:?}");
                    assert!(!gives || before == Draft || access.allows(now), "{life:?} {next:?}");
                    if after == Completed && first == second {
                        assert!(next.access <= access, "completing never lengthens: {life:?} {next:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_study_ends_with_its_last_day() {
    for (status, ends_on, now, ended, open) in [
        (Active, "", "2026-11-22T10:00:00Z", false, true),
        (Active, "2026-11-22", "2026-11-22T23:59:59Z", false, true),
        (Active, "2026-11-22", "2026-11-23T00:00:00Z", true, false),
        (Draft, "", "2026-11-22T10:00:00Z", false, false),
        (Draft, "2026-11-21", "2026-11-22T10:00:00Z", true, false),
        (Completed, "2027-11-21", "2026-11-22T10:00:00Z", true, false),
        (Archived, "", "2026-11-22T10:00:00Z", true, false),
    ] {
        let plan = plan(status, ends_on);
        assert_eq!((plan.has_ended(time(now)), plan.is_open(time(now))), (ended, open), "{status:?} {ends_on} {now}");
    }
}

#[test]
fn names_round_trip() {
    for status in StudyStatus::ALL {
        assert_eq!(status.name().parse::<StudyStatus>().ok(), Some(status));
        assert_eq!(serde_json::to_value(status).unwrap(), status.name());
    }
    assert!("ended".parse::<StudyStatus>().is_err());
}
