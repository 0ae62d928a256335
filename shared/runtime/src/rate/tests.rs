use super::*;
use proptest::prelude::*;

const WHO: (UserId, ClientId) = (UserId(1), ClientId(2));

/// The database's side, as `store::Store::take_share` has it in SQL: an end-to-end test holds the two together.
#[derive(Default)]
struct Bucket(Duration);

impl Bucket {
    fn take(&mut self, now: Duration, part: Duration) -> Option<Duration> {
        if self.0.max(now) + part <= now + MINUTE {
            self.0 = self.0.max(now) + part;
            return None;
        }
        Some(self.0.saturating_sub(now))
    }
}

struct Model {
    limit: RateLimit,
    start: Instant,
    bucket: Bucket,
    processes: Vec<Batches>,
}

impl Model {
    fn new(per_minute: u32, processes: usize) -> Self {
        Self {
            limit: RateLimit::per_minute(per_minute).unwrap(),
            start: Instant::now(),
            bucket: Bucket::default(),
            processes: (0..processes).map(|_| Batches::default()).collect(),
        }
    }

    /// A request at a time after the start: nothing when it is served, else how long to wait.
    fn request(&mut self, process: usize, at: Duration) -> Option<Duration> {
        let now = self.start + at;
        let batches = &mut self.processes[process];
        match batches.spend(WHO, now) {
            Verdict::Pass => return None,
            Verdict::Wait(wait) => return Some(wait),
            Verdict::Ask => {}
        }
        let Some(spent) = self.bucket.take(at, self.limit.batch_time()) else {
            batches.took(WHO, self.limit, now);
            return None;
        };
        let wait = self.limit.wait(spent);
        batches.remember(WHO, Standing::Empty(now + wait), now);
        Some(wait)
    }
}

#[test]
fn a_batch_is_a_tenth_of_the_limit_at_most() {
    for (per_minute, batch) in [(1, 1), (9, 1), (50, 5), (200, 20), (3000, 20), (u32::MAX, 20)] {
        assert_eq!(RateLimit::per_minute(per_minute).unwrap().batch(), batch, "{per_minute}");
    }
    assert_eq!(RateLimit::per_minute(0), None);
    assert_eq!(RateLimit::per_minute(3000).unwrap().batch_time(), Duration::from_millis(400));
}

#[test]
fn one_process_serves_the_limit_at_once_and_then_refuses_without_asking() {
    let mut model = Model::new(3000, 1);
    let served = (0..5000).filter(|_| model.request(0, Duration::ZERO).is_none()).count();
    assert_eq!(served, 3000);
    let wait = model.request(0, Duration::ZERO).unwrap();
    assert_eq!(wait, Duration::from_millis(400));
    assert_eq!(model.processes[0].spend(WHO, model.start), Verdict::Wait(wait));
    assert_eq!(model.request(0, wait), None);
}

#[test]
fn nineteen_of_twenty_requests_ask_nobody() {
    let mut batches = Batches::default();
    let limit = RateLimit::per_minute(3000).unwrap();
    let now = Instant::now();
    let mut asked = 0;
    for _ in 0..200 {
        if batches.spend(WHO, now) == Verdict::Ask {
            asked += 1;
            batches.took(WHO, limit, now);
        }
    }
    assert_eq!(asked, 10);
    assert_eq!(batches.spend((UserId(1), ClientId(3)), now), Verdict::Ask, "another client has its own");
    batches.took(WHO, limit, now);
    assert_eq!(batches.spend(WHO, now + MINUTE), Verdict::Ask, "what is old is not spent");
}

#[test]
fn what_a_process_remembers_has_an_end() {
    let mut batches = Batches::default();
    let now = Instant::now();
    for user in 0..25_000 {
        batches.remember((UserId(user), ClientId(1)), Standing::Left(1, now + MINUTE), now);
        assert!(batches.0.len() <= REMEMBERED);
    }
}

#[test]
fn the_time_to_wait_is_in_whole_seconds() {
    for (millis, expected) in [(0, 1), (1, 1), (400, 1), (1000, 1), (1001, 2), (59_999, 60)] {
        let Failure::TooManyRequests(seconds) = too_many(Duration::from_millis(millis)) else { panic!("{millis}") };
        assert_eq!(seconds, expected, "{millis}");
    }
}

proptest! {
    #[test]
    fn nobody_is_served_more_than_the_bucket_and_a_batch_for_each_process(
        per_minute in 1_u32..400,
        processes in 1_usize..5,
        steps in proptest::collection::vec((0_usize..5, 0_u64..1500), 1..600),
    ) {
        let mut model = Model::new(per_minute, processes);
        let mut at = Duration::ZERO;
        let mut served: Vec<Duration> = Vec::new();
        for (process, pause) in steps {
            at += Duration::from_millis(pause);
            if model.request(process % processes, at).is_none() {
                served.push(at);
            }
        }
        for (first, from) in served.iter().enumerate() {
            for (last, to) in served.iter().enumerate().skip(first) {
                let refilled = f64::from(per_minute) * to.saturating_sub(*from).as_secs_f64() / 60.0;
                let batches = u32::try_from(processes).unwrap() * model.limit.batch();
                let most = f64::from(per_minute + batches) + refilled;
                let count = f64::from(u32::try_from(last - first + 1).unwrap());
                prop_assert!(count <= most + 1e-6, "{count} > {most}");
            }
        }
    }

    #[test]
    fn who_waits_as_told_is_served(
        per_minute in 1_u32..400,
        processes in 1_usize..5,
        steps in proptest::collection::vec((0_usize..5, 0_u64..200), 1..600),
    ) {
        let mut model = Model::new(per_minute, processes);
        let mut at = Duration::ZERO;
        for (process, pause) in steps {
            at += Duration::from_millis(pause);
            if let Some(wait) = model.request(process % processes, at) {
                prop_assert!(wait <= MINUTE);
                at += wait;
                prop_assert_eq!(model.request(process % processes, at), None);
            }
        }
    }
}
