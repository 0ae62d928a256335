//! What a process knows of the vault, for a while.

use payload::{Held, KeyId};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// No more keys are in memory.
const MOST: usize = 10_000;

/// Keys with the time when they were read.
#[derive(Debug)]
pub(crate) struct Cache {
    fresh: Duration,
    known: Mutex<HashMap<KeyId, (Instant, Held)>>,
}

impl Cache {
    pub(crate) fn new(fresh: Duration) -> Self {
        Self { fresh, known: Mutex::default() }
    }

    /// What is known of these ids. What is too old is wiped, whoever's it is.
    pub(crate) fn known(&self, ids: &BTreeSet<KeyId>, now: Instant) -> HashMap<KeyId, Held> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (read_at, _)| now.saturating_duration_since(*read_at) < self.fresh);
        ids.iter().filter_map(|id| Some((*id, known.get(id)?.1.clone()))).collect()
    }

    /// Keeps what was read. What is missing may be made in a moment.
    pub(crate) fn keep(&self, id: KeyId, held: &Held, now: Instant) {
        if matches!(held, Held::Missing) || self.fresh.is_zero() {
            return;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(id, (now, held.clone()));
    }

    pub(crate) fn forget(&self, id: KeyId) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use payload::PatientKey;
    use std::sync::Arc;

    fn id(number: u32) -> KeyId {
        KeyId::from_bytes(&u128::from(number).to_be_bytes()).unwrap()
    }

    #[test]
    fn a_key_is_known_for_a_while_and_then_not_in_memory() {
        let cache = Cache::new(Duration::from_mins(5));
        let key = Arc::new(PatientKey::new(&[1; 32]).unwrap());
        let began = Instant::now();
        cache.keep(id(1), &Held::Key(Arc::clone(&key)), began);
        cache.keep(id(2), &Held::Destroyed, began);
        cache.keep(id(3), &Held::Missing, began);
        let all = BTreeSet::from([id(1), id(2), id(3)]);
        let known = |after| cache.known(&all, began + Duration::from_secs(after)).len();
        assert_eq!((known(0), known(299)), (2, 2));
        assert_eq!(Arc::strong_count(&key), 2);
        // Somebody else's key is asked for.
        cache.known(&BTreeSet::from([id(9)]), began + Duration::from_mins(5));
        assert_eq!(Arc::strong_count(&key), 1);
        assert_eq!(known(0), 0);
    }

    #[test]
    fn no_more_than_so_many_are_known() {
        let cache = Cache::new(Duration::from_mins(5));
        let now = Instant::now();
        for number in 0..=u32::try_from(MOST).unwrap() {
            cache.keep(id(number), &Held::Destroyed, now);
        }
        assert_eq!(cache.known.lock().unwrap().len(), 1);
    }

    #[test]
    fn what_is_not_to_be_kept_is_not_kept() {
        let now = Instant::now();
        let none = Cache::new(Duration::ZERO);
        none.keep(id(1), &Held::Destroyed, now);
        assert_eq!(none.known.lock().unwrap().len(), 0);
        let cache = Cache::new(Duration::from_mins(5));
        cache.keep(id(1), &Held::Destroyed, now);
        cache.forget(id(1));
        assert_eq!(cache.known(&BTreeSet::from([id(1)]), now).len(), 0);
    }
}
