use std::cell::Cell;

use super::*;

/// Asks the cache at a time, in seconds since the start; reading gives the number or fails. Says whether it was
/// read, and what came.
struct Clock {
    start: Instant,
    cache: Cache<u32>,
}

impl Clock {
    fn new() -> Self {
        Self { start: Instant::now(), cache: Cache::new() }
    }

    async fn ask(&self, second: u64, answer: Result<u32, &'static str>) -> (bool, Result<u32, &'static str>) {
        let read = Cell::new(false);
        let value = self
            .cache
            .get(self.start + Duration::from_secs(second), async || {
                read.set(true);
                answer
            })
            .await;
        (read.get(), value.map(|value| *value))
    }
}

#[tokio::test]
async fn a_value_is_kept_for_five_minutes() {
    let clock = Clock::new();
    assert_eq!(clock.ask(0, Ok(1)).await, (true, Ok(1)));
    assert_eq!(clock.ask(299, Ok(2)).await, (false, Ok(1)));
    assert_eq!(clock.ask(300, Ok(2)).await, (true, Ok(2)));
    assert_eq!(clock.ask(301, Ok(3)).await, (false, Ok(2)));
}

#[tokio::test]
async fn a_first_failure_is_an_error_and_not_remembered() {
    let clock = Clock::new();
    assert_eq!(clock.ask(0, Err("down")).await, (true, Err("down")));
    assert_eq!(clock.ask(0, Ok(1)).await, (true, Ok(1)));
}

#[tokio::test]
async fn the_old_value_bridges_a_failure() {
    let clock = Clock::new();
    clock.ask(0, Ok(1)).await.1.unwrap();
    assert_eq!(clock.ask(300, Err("down")).await, (true, Ok(1)));
    assert_eq!(clock.ask(329, Ok(2)).await, (false, Ok(1)), "not every request tries");
    assert_eq!(clock.ask(330, Ok(2)).await, (true, Ok(2)));
}

#[tokio::test]
async fn after_an_hour_of_failures_nothing_is_answered() {
    let clock = Clock::new();
    clock.ask(0, Ok(1)).await.1.unwrap();
    assert_eq!(clock.ask(3590, Err("down")).await, (true, Ok(1)));
    assert_eq!(clock.ask(3599, Err("down")).await, (false, Ok(1)));
    assert_eq!(clock.ask(3600, Err("down")).await, (true, Err("down")));
    assert_eq!(clock.ask(3600, Err("down")).await, (true, Err("down")), "the old value is gone");
    assert_eq!(clock.ask(3601, Ok(2)).await, (true, Ok(2)));
}

#[tokio::test]
async fn a_value_older_than_the_limit_is_not_used_after_a_pause() {
    let clock = Clock::new();
    clock.ask(0, Ok(1)).await.1.unwrap();
    assert_eq!(clock.ask(86_400, Err("down")).await, (true, Err("down")));
}

#[tokio::test]
async fn a_forgotten_value_is_read_again() {
    let clock = Clock::new();
    clock.ask(0, Ok(1)).await.1.unwrap();
    clock.cache.forget().await;
    assert_eq!(clock.ask(1, Ok(2)).await, (true, Ok(2)));
}
