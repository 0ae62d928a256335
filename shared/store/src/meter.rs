//! What one request uses of the database, counted for the metrics of the host.
//!
//! The counts belong to the task that serves the request, so that no function has to pass them on. Outside a request nothing
//! is counted.

use std::{cell::Cell, time::Duration};

/// What was counted of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Observations that were answered.
    pub observations_read: u64,
    /// Observations that were stored.
    pub observations_written: u64,
    /// Attempts to sign in that were wrong.
    pub failed_sign_ins: u64,
    /// How long connections of the pool were waited for; none when the request took none.
    pub pool_wait: Option<Duration>,
}

tokio::task_local! {
    static USAGE: Cell<Usage>;
}

/// Does the work of a request and gives what it used.
pub async fn metered<F: Future>(work: F) -> (F::Output, Usage) {
    let counted = async {
        let output = work.await;
        (output, USAGE.with(Cell::get))
    };
    USAGE.scope(Cell::default(), counted).await
}

/// Counts an attempt to sign in that was wrong.
pub fn failed_sign_in() {
    count(|usage| usage.failed_sign_ins += 1);
}

pub(crate) fn observations_read(number: usize) {
    count(|usage| usage.observations_read += as_count(number));
}

pub(crate) fn observations_written(number: usize) {
    count(|usage| usage.observations_written += as_count(number));
}

pub(crate) fn waited(time: Duration) {
    count(|usage| usage.pool_wait = Some(usage.pool_wait.unwrap_or_default() + time));
}

fn as_count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn count(change: impl FnOnce(&mut Usage)) {
    // Fails only outside a request.
    let _ = USAGE.try_with(|cell| {
        let mut usage = cell.get();
        change(&mut usage);
        cell.set(usage);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_request_has_counts_of_its_own() {
        let one = metered(async {
            observations_read(2);
            tokio::task::yield_now().await;
            observations_read(3);
            observations_written(1);
        });
        let other = metered(async {
            failed_sign_in();
            tokio::task::yield_now().await;
            waited(Duration::from_micros(5));
            waited(Duration::from_micros(6));
        });
        let (((), one), ((), other)) = tokio::join!(one, other);
        assert_eq!(one, Usage { observations_read: 5, observations_written: 1, ..Usage::default() });
        let waited = Some(Duration::from_micros(11));
        assert_eq!(other, Usage { failed_sign_ins: 1, pool_wait: waited, ..Usage::default() });
    }

    #[tokio::test]
    async fn outside_a_request_nothing_is_counted() {
        observations_read(7);
        assert_eq!(metered(async {}).await.1, Usage::default());
    }
}
