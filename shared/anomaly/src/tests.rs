//! Days that are unusual, and days that only look so.

use super::*;
use proptest::prelude::*;

/// What is usual for a role: a median, and twice and four times as much on one day of four and of ten.
fn quantiles(medians: [i64; 5]) -> [Vec<f64>; 5] {
    medians.map(|median| [median, 2 * median, 4 * median].map(usual::logarithm).to_vec())
}

fn kinds(today: [i64; 5], before: &[Vec<i64>; 5], peers: Option<[i64; 5]>) -> Vec<Kind> {
    let quantiles = peers.map(quantiles);
    let peers = quantiles.as_ref().map(|known| Peers { days: 400, quantiles: known.each_ref().map(Vec::as_slice) });
    of_day(&today, before, peers).into_iter().map(|anomaly| anomaly.kind).collect()
}

/// Twenty days that differ a little.
fn steady(measures: [i64; 5]) -> [Vec<i64>; 5] {
    measures.map(|middle| (0..20).map(|day| middle + middle * (day % 5 - 2) / 10).collect())
}

const RESEARCHER: [i64; 5] = [2000, 30, 2, 0, 0];

#[test]
fn a_day_as_any_other_is_not_unusual() {
    assert_eq!(kinds(RESEARCHER, &steady(RESEARCHER), Some(RESEARCHER)), []);
    assert_eq!(kinds([3500, 45, 5, 0, 0], &steady(RESEARCHER), Some(RESEARCHER)), []);
}

#[test]
fn each_measure_is_found_by_itself() {
    for (today, expected) in [
        ([60_000, 30, 2, 0, 0], Kind::Volume),
        ([2000, 600, 2, 0, 0], Kind::Breadth),
        ([2000, 30, 60, 0, 0], Kind::Refusals),
        ([2000, 30, 2, 40, 0], Kind::ConsentChanges),
        ([2000, 30, 2, 0, 1], Kind::PrivilegedOutOfHours),
    ] {
        assert_eq!(kinds(today, &steady(RESEARCHER), Some(RESEARCHER)), [expected]);
    }
}

#[test]
fn what_is_usual_for_the_role_takes_more_to_be_unusual() {
    let quiet = steady([100, 3, 0, 0, 0]);
    assert_eq!(kinds([600, 3, 0, 0, 0], &quiet, Some([2000, 30, 2, 0, 0])), []);
    assert_eq!(kinds([600, 3, 0, 0, 0], &quiet, Some([100, 3, 0, 0, 0])), [Kind::Volume]);
}

#[test]
fn who_is_new_is_measured_by_the_role() {
    let none: [Vec<i64>; 5] = Default::default();
    assert_eq!(kinds([2500, 40, 0, 0, 0], &none, Some(RESEARCHER)), []);
    assert_eq!(kinds([4_000_000, 60_000, 0, 0, 0], &none, Some(RESEARCHER)), [Kind::Volume, Kind::Breadth]);
    assert_eq!(kinds([400_000, 3000, 0, 0, 0], &none, None), []);
}

#[test]
fn days_of_two_kinds_are_both_usual() {
    // Two days a week with a clinic.
    let before: Vec<i64> = (0..20).map(|day| if day % 5 < 2 { 30 } else { 0 }).collect();
    let before = [vec![0; 20], vec![0; 20], vec![0; 20], before, vec![0; 20]];
    assert_eq!(kinds([0, 0, 0, 45, 0], &before, None), []);
    assert_eq!(kinds([0, 0, 0, 45, 0], &steady([0, 0, 0, 0, 0]), None), [Kind::ConsentChanges]);
}

#[test]
fn who_is_on_call_works_at_night() {
    let nights: Vec<i64> = (0..20).map(|day| i64::from(day % 4 == 0)).collect();
    let before = [vec![0; 20], vec![0; 20], vec![0; 20], vec![0; 20], nights];
    assert_eq!(kinds([0, 0, 0, 0, 9], &before, None), []);
    assert_eq!(kinds([0, 0, 0, 0, 9], &Default::default(), None), [Kind::PrivilegedOutOfHours]);
}

#[test]
fn an_account_wakes_after_so_many_days() {
    for (idle, found) in [(None, false), (Some(1), false), (Some(59), false), (Some(60), true), (Some(400), true)] {
        assert_eq!(awakening(idle, 60).is_some(), found, "{idle:?}");
    }
}

#[test]
fn wrong_sign_ins_are_many_from_ten_and_from_twenty() {
    for (failed, of_account, from_address, busy_address) in
        [(9, false, false, false), (10, true, false, false), (20, true, true, false), (60, true, true, true)]
    {
        assert_eq!(sign_ins_of_account(failed).is_some(), of_account, "{failed}");
        assert_eq!(sign_ins_from_address(failed, 3).is_some(), from_address, "{failed}");
        assert_eq!(sign_ins_from_address(failed, 50).is_some(), busy_address, "{failed}");
    }
}

#[test]
fn kinds_have_names_of_their_own() {
    let names: std::collections::BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(names.len(), Kind::ALL.len());
}

proptest! {
    /// A strange day among twenty does not make a second one usual.
    #[test]
    fn a_thief_does_not_teach_what_is_usual(stolen in 100_000_i64..1_000_000, days in 0_usize..2) {
        let mut before = steady(RESEARCHER);
        for day in before[0].iter_mut().take(days) {
            *day = stolen;
        }
        prop_assert_eq!(kinds([stolen, 30, 2, 0, 0], &before, Some(RESEARCHER)), [Kind::Volume]);
    }

    /// More is never less unusual.
    #[test]
    fn more_is_never_less_unusual(before in prop::collection::vec(0_i64..10_000, 8..28), less in 0_i64..100_000, more in 0_i64..100_000) {
        let usual = Usual::of_days(&before, 8, 0.25).unwrap();
        prop_assert!(usual.score(less + more) >= usual.score(less));
    }

    /// No figures make it panic or give what is no number.
    #[test]
    fn any_figures_are_judged(today in prop::array::uniform5(any::<i64>()), days in prop::collection::vec(any::<i64>(), 0..30)) {
        let before = [days.clone(), days.clone(), days.clone(), days.clone(), days];
        for anomaly in of_day(&today, &before, None) {
            prop_assert!(anomaly.score.is_finite() && anomaly.expected.is_finite());
        }
    }
}
