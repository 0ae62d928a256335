//! What was changed since it was sealed, and where.

use crate::{Hash, leaf::Event, merkle::Tree};
use std::collections::{BTreeSet, HashMap};

/// The events under a seal, in order: the number and the hash of each. It is kept beside the seal, so that a change is not only
/// found but located.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeafList(Vec<(i64, Hash)>);

impl LeafList {
    /// The bytes of an entry: the number, big-endian, and the hash.
    const ENTRY: usize = 8 + Hash::LENGTH;

    /// Adds an event.
    pub fn push(&mut self, event: &Event) {
        self.0.push((event.id, event.hash()));
    }

    /// How many events it has.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tree over it.
    #[must_use]
    pub fn tree(&self) -> Tree {
        Tree::over(self.0.iter().map(|(_, hash)| hash))
    }

    /// The hashes in order, and the place of an event among them.
    #[must_use]
    pub fn place(&self, event: i64) -> Option<(usize, Vec<Hash>)> {
        let place = self.0.iter().position(|(id, _)| *id == event)?;
        Some((place, self.0.iter().map(|(_, hash)| *hash).collect()))
    }

    /// As it is kept.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * Self::ENTRY);
        for (id, hash) in &self.0 {
            bytes.extend(id.to_be_bytes());
            bytes.extend(hash.as_bytes());
        }
        bytes
    }

    /// As it was kept. None: it is no such list.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (entries, rest) = bytes.as_chunks::<{ Self::ENTRY }>();
        if !rest.is_empty() {
            return None;
        }
        let entry = |entry: &[u8; Self::ENTRY]| {
            let (id, hash) = entry.split_first_chunk::<8>()?;
            Some((i64::from_be_bytes(*id), Hash::from_bytes(*hash.first_chunk()?)))
        };
        entries.iter().map(entry).collect::<Option<_>>().map(Self)
    }
}

/// An event that is not as it was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// It was not there.
    Inserted(i64),
    /// It was otherwise.
    Changed(i64),
    /// It is not there any more.
    Deleted(i64),
}

/// The events under a seal, set against those that are there.
#[derive(Debug)]
pub struct Comparison {
    sealed: HashMap<i64, Hash>,
    found: BTreeSet<Difference>,
}

impl Comparison {
    /// With what was sealed.
    #[must_use]
    pub fn with(list: &LeafList) -> Self {
        Self { sealed: list.0.iter().copied().collect(), found: BTreeSet::new() }
    }

    /// An event is there.
    pub fn see(&mut self, event: &Event) {
        match self.sealed.remove(&event.id) {
            None => self.found.insert(Difference::Inserted(event.id)),
            Some(hash) if hash != event.hash() => self.found.insert(Difference::Changed(event.id)),
            Some(_) => true,
        };
    }

    /// All events were seen: what differs.
    #[must_use]
    pub fn end(self) -> BTreeSet<Difference> {
        let Self { sealed, mut found } = self;
        found.extend(sealed.into_keys().map(Difference::Deleted));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use serde_json::{Map, json};

    fn event(id: i64, action: &str) -> Event {
        let columns = Map::from_iter([("action".to_owned(), json!(action))]);
        Event { id, occurred_at: Timestamp::UNIX_EPOCH, columns }
    }

    fn list(events: &[Event]) -> LeafList {
        let mut list = LeafList::default();
        for event in events {
            list.push(event);
        }
        list
    }

    fn differences(sealed: &[Event], there: &[Event]) -> Vec<Difference> {
        let mut comparison = Comparison::with(&list(sealed));
        for event in there {
            comparison.see(event);
        }
        comparison.end().into_iter().collect()
    }

    #[test]
    fn what_differs_is_named() {
        let [one, two, three] = [event(1, "read"), event(2, "read"), event(3, "search")];
        let sealed = [one.clone(), two.clone(), three.clone()];
        let changed = event(2, "update");
        let found = |there: &[Event]| differences(&sealed, there);
        assert_eq!(found(&sealed), []);
        assert_eq!(found(&[one.clone(), three.clone()]), [Difference::Deleted(2)]);
        assert_eq!(found(&[one.clone(), changed.clone(), three.clone()]), [Difference::Changed(2)]);
        let with_more = [one.clone(), event(9, "read"), two.clone(), three.clone(), three.clone()];
        assert_eq!(found(&with_more), [Difference::Inserted(3), Difference::Inserted(9)]);
        // Two numbers that changed places.
        let swapped = [one, event(3, "read"), event(2, "search")];
        assert_eq!(found(&swapped), [Difference::Changed(2), Difference::Changed(3)]);
        assert_eq!(differences(&[], &[two]), [Difference::Inserted(2)]);
    }

    #[test]
    fn a_list_reads_as_it_was_written_and_has_a_place_for_each_event() {
        let list = list(&[event(-1, "a"), event(i64::MAX, "b"), event(0, "c")]);
        let bytes = list.to_bytes();
        assert_eq!((bytes.len(), list.len(), list.is_empty()), (120, 3, false));
        assert_eq!(LeafList::parse(&bytes), Some(list.clone()));
        assert_eq!(LeafList::parse(&bytes[1..]), None);
        assert_eq!(LeafList::parse(&[]), Some(LeafList::default()));
        let (place, hashes) = list.place(i64::MAX).unwrap();
        assert_eq!((place, hashes[1], list.tree().size()), (1, event(i64::MAX, "b").hash(), 3));
        assert_eq!(list.place(5), None);
    }
}
