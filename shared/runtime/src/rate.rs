//! How many requests a user may send with a client: a token bucket in the database,
//! from which each process takes a batch at a time and spends it in memory.
//!
//! A full bucket holds the requests of a minute, and is refilled evenly. So within t minutes nobody sends more than the limit
//! times (1 + t), and a batch for each process. A bucket is stored as the time until which it is spent; see
//! [`store::Store::take_share`].

use crate::{App, Failure};
use authz::{Actor, ClientId, UserId};
use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The time in which a bucket is filled, and the time after which a batch is no longer spent.
const MINUTE: Duration = Duration::from_mins(1);

/// The largest batch: so many requests cost one statement.
const BATCH: u32 = 20;

/// How many users' batches a process remembers before it looks for old ones.
const REMEMBERED: usize = 10_000;

/// A limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    per_minute: NonZeroU32,
}

impl RateLimit {
    /// A limit of so many requests a minute. None when there is no limit: zero.
    #[must_use]
    pub fn per_minute(requests: u32) -> Option<Self> {
        NonZeroU32::new(requests).map(|per_minute| Self { per_minute })
    }

    /// How many requests a process takes at once: never more than a tenth of the limit, so that several processes can.
    fn batch(self) -> u32 {
        (self.per_minute.get() / 10).clamp(1, BATCH)
    }

    /// The time in which a batch comes back.
    fn batch_time(self) -> Duration {
        MINUTE * self.batch() / self.per_minute.get()
    }

    /// How long until a batch can be taken from a bucket that is spent for so long.
    fn wait(self, spent: Duration) -> Duration {
        (spent + self.batch_time()).saturating_sub(MINUTE)
    }
}

/// What a process knows of one user with one client.
#[derive(Clone, Copy, Debug)]
enum Standing {
    /// So many requests are left of what it took, until then.
    Left(u32, Instant),
    /// The bucket is empty until then.
    Empty(Instant),
}

impl Standing {
    const fn until(&self) -> Instant {
        match self {
            Self::Left(_, until) | Self::Empty(until) => *until,
        }
    }
}

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Serve it.
    Pass,
    /// Refuse it: the next may come after this time.
    Wait(Duration),
    /// Ask the database.
    Ask,
}

/// What a process took and did not spend yet.
#[derive(Debug, Default)]
struct Batches(HashMap<(UserId, ClientId), Standing>);

impl Batches {
    /// Spends one request.
    fn spend(&mut self, who: (UserId, ClientId), now: Instant) -> Verdict {
        match self.0.get_mut(&who) {
            Some(Standing::Left(left, until)) if *left > 0 && now < *until => {
                *left -= 1;
                Verdict::Pass
            }
            Some(Standing::Empty(until)) if now < *until => Verdict::Wait(*until - now),
            _ => Verdict::Ask,
        }
    }

    /// Remembers a batch that was taken, of which one is spent at once. One that was taken at the same time stays.
    fn took(&mut self, who: (UserId, ClientId), limit: RateLimit, now: Instant) {
        let left = match self.0.get(&who) {
            Some(Standing::Left(left, until)) if now < *until => *left,
            _ => 0,
        };
        self.remember(who, Standing::Left(left.saturating_add(limit.batch() - 1), now + MINUTE), now);
    }

    fn remember(&mut self, who: (UserId, ClientId), standing: Standing, now: Instant) {
        if self.0.len() >= REMEMBERED {
            self.0.retain(|_, known| now < known.until());
        }
        if self.0.len() >= REMEMBERED {
            self.0.clear();
        }
        self.0.insert(who, standing);
    }
}

/// The rates of a process.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<Batches>);

impl Rates {
    fn with<T>(&self, act: impl FnOnce(&mut Batches) -> T) -> T {
        // A panic elsewhere leaves the map whole.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts a request of a caller who is known, or refuses it.
    pub(crate) async fn count(&self, app: &App, actor: &Actor) -> Result<(), Failure> {
        let Some(limit) = app.settings.rate_limit else { return Ok(()) };
        let who = (actor.user, actor.client);
        match self.with(|batches| batches.spend(who, Instant::now())) {
            Verdict::Pass => return Ok(()),
            Verdict::Wait(wait) => return Err(too_many(wait)),
            Verdict::Ask => {}
        }
        let taken = app.store().await?.take_share(actor.user, actor.client, limit.batch_time(), MINUTE).await?;
        let now = Instant::now();
        match taken {
            None => {
                self.with(|batches| batches.took(who, limit, now));
                Ok(())
            }
            Some(spent) => {
                let wait = limit.wait(spent);
                self.with(|batches| batches.remember(who, Standing::Empty(now + wait), now));
                Err(too_many(wait))
            }
        }
    }
}

/// Whole seconds, rounded up: who waits that long is served.
fn too_many(wait: Duration) -> Failure {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    Failure::TooManyRequests(u32::try_from(seconds).unwrap_or(u32::MAX).max(1))
}

#[cfg(test)]
mod tests;
