//! What is planned, and what is found.

use super::*;
use proptest::{collection::vec, prelude::*};

const KEEP: Policy = Policy { daily: 35, weekly: 12, monthly: 12, yearly: 7 };
const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/1";

fn now() -> Timestamp {
    "2027-01-15T08:00:00Z".parse().unwrap()
}

/// One that was taken so many hours ago.
fn one(hours: i64) -> Snapshot {
    let at = now() - SignedDuration::from_hours(hours);
    let id = name("jhe", at);
    Snapshot { arn: format!("arn:{id}"), id, at, state: State::Ready, key: Some(KEY.to_owned()), is_tagged: true }
}

fn with(hours: i64, change: impl FnOnce(&mut Snapshot)) -> Snapshot {
    let mut snapshot = one(hours);
    change(&mut snapshot);
    snapshot
}

fn days(count: i64) -> Vec<Snapshot> {
    (0..count).map(|day| one(24 * day + 1)).collect()
}

fn plan(here: &[Snapshot], there: Option<&[Snapshot]>) -> Plan {
    Plan::of(now(), "jhe", KEEP, here, there)
}

#[test]
fn a_name_says_whose_it_is_and_when_it_was_taken() {
    assert_eq!(name("jhe", now()), "jhe-20270115t080000");
    assert_eq!(time_of("jhe", "jhe-20270115t080000"), Some(now()));
    for other in
        ["jhe-before-the-upgrade", "jhe-2-20270115t080000", "other-20270115t080000", "jhe20270115t080000", "jhe-"]
    {
        assert_eq!(time_of("jhe", other), None, "{other}");
    }
}

#[test]
fn one_is_taken_a_day() {
    let is_taken = |here: &[Snapshot]| plan(here, None).take.is_some();
    let making = with(1, |one| one.state = State::Making);
    let failed = with(1, |one| one.state = State::Failed);
    for (here, expected) in [
        (vec![], true),
        (vec![one(19)], false),
        (vec![one(20)], true),
        (vec![one(50), making], false),
        (vec![one(50), failed], true),
    ] {
        assert_eq!(is_taken(&here), expected, "{here:?}");
    }
}

#[test]
fn what_is_kept_here_is_copied_the_newest_first_and_a_few_at_once() {
    let here = days(100);
    assert!(plan(&here, None).copy.is_empty(), "without a second region nothing is copied");
    let first = plan(&here, Some(&[])).copy;
    assert_eq!(first, here[..5]);
    assert!(plan(&first, Some(&first)).copy.is_empty());
    // Those that are under way count.
    let making: Vec<Snapshot> =
        first[..4].iter().cloned().map(|one| Snapshot { state: State::Making, ..one }).collect();
    assert_eq!(plan(&here, Some(&making)).copy, here[4..5]);
    // What is not ready, not encrypted or not kept is not copied.
    let not_ready = with(1, |one| one.state = State::Making);
    let in_the_clear = with(30, |one| one.key = None);
    assert!(plan(&[not_ready, in_the_clear], Some(&[])).copy.is_empty());
}

#[test]
fn what_is_not_ours_is_not_deleted() {
    let untagged: Vec<Snapshot> = days(100).into_iter().map(|one| Snapshot { is_tagged: false, ..one }).collect();
    let plan = plan(&untagged, Some(&untagged));
    assert_eq!((plan.forget_here.len(), plan.forget_there.len()), (0, 0));
}

#[test]
fn what_failed_is_deleted_after_it_was_told() {
    let failed = |hours| plan(&[with(hours, |one| one.state = State::Failed)], None).forget_here.len();
    assert_eq!((failed(1), failed(37)), (0, 1));
}

#[test]
fn what_is_missing_not_encrypted_or_not_tagged_is_found() {
    let found = |snapshots: &[Snapshot]| findings(now(), KEEP, Region::Second, snapshots, Some(KEY)).join("; ");
    let id = one(1).id;
    for (snapshots, expected) in [
        (vec![], String::new()),
        (vec![one(1)], String::new()),
        (vec![one(36)], String::new()),
        (vec![one(37)], "there is none of the last 36 hours in the second region".to_owned()),
        (
            vec![one(48), with(1, |one| one.state = State::Making)],
            "there is none of the last 36 hours in the second region".to_owned(),
        ),
        (vec![with(1, |one| one.state = State::Making)], String::new()),
        (vec![with(1, |one| one.state = State::Failed)], format!("{id} failed in the second region")),
        (vec![with(1, |one| one.key = None)], format!("{id} is not encrypted in the second region")),
        (
            vec![with(1, |one| one.key = Some("other".to_owned()))],
            format!("{id} is encrypted by another key in the second region"),
        ),
        (vec![with(1, |one| one.is_tagged = false)], format!("{id} is not tagged in the second region")),
        (days(67), "there are 67, and the policy keeps 66 at most in the second region".to_owned()),
    ] {
        assert_eq!(found(&snapshots), expected, "{snapshots:?}");
    }
    // Once this function has acted there is one here.
    assert_eq!(findings(now(), KEEP, Region::Own, &[], None), ["there is none at all"]);
    // In the own region it is the database's key, whichever that is.
    assert!(findings(now(), KEEP, Region::Own, &[with(1, |one| one.key = Some("other".to_owned()))], None).is_empty());
}

/// Snapshots at any hours of three years, in any state.
fn snapshots() -> impl Strategy<Value = Vec<Snapshot>> {
    vec((0_i64..26_280, 0_u8..10, any::<bool>()), 0..120).prop_map(|all| {
        let mut all: Vec<Snapshot> = all
            .into_iter()
            .map(|(hours, state, is_tagged)| {
                let state = match state {
                    0 => State::Making,
                    1 => State::Failed,
                    _ => State::Ready,
                };
                Snapshot { state, is_tagged: is_tagged || state == State::Ready, ..one(hours) }
            })
            .collect();
        all.sort_by_key(|one| one.at);
        all.dedup_by_key(|one| one.at);
        all
    })
}

proptest! {
    #[test]
    fn the_newest_stays_and_no_more_than_the_policy_says(
        here in snapshots(),
        (daily, weekly, monthly, yearly) in (0_usize..40, 0_usize..15, 0_usize..15, 0_usize..8),
    ) {
        let keep = Policy { daily, weekly, monthly, yearly };
        let forgotten = Plan::of(now(), "jhe", keep, &here, None).forget_here;
        let left: Vec<&Snapshot> = here.iter().filter(|one| !forgotten.contains(&one.id)).collect();
        if let Some(newest) = newest(&here) {
            prop_assert!(left.contains(&newest));
        }
        let ready = left.iter().filter(|one| one.state == State::Ready);
        prop_assert!(ready.count() <= (daily + weekly + monthly + yearly).max(1));
        prop_assert!(here.iter().filter(|one| one.state == State::Making).all(|one| left.contains(&one)));
        // Once more there is nothing to delete.
        let again: Vec<Snapshot> = left.into_iter().cloned().collect();
        prop_assert_eq!(Plan::of(now(), "jhe", keep, &again, None).forget_here, Vec::<String>::new());
    }

    #[test]
    fn copies_are_of_what_is_kept_and_not_there(here in snapshots(), there in snapshots()) {
        let plan = plan(&here, Some(&there));
        for copied in &plan.copy {
            prop_assert!(here.contains(copied) && !there.iter().any(|one| one.id == copied.id));
            prop_assert!(!plan.forget_here.contains(&copied.id));
        }
    }
}
