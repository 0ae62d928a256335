use fhir::cursor::{BadCursor, CursorKey, Position};
use proptest::prelude::*;

const FILTER: &str = "10002 Observation?patient=40001";

#[test]
fn what_a_key_before_or_after_signed_is_taken_as_well() {
    let position = Position { at: 1, id: 2 };
    let [before, now, after, other] = [1, 2, 3, 4].map(|byte| CursorKey::new(&[byte; 32]));
    let now = now.accepting([[1; 32], [3; 32]].iter());
    for (key, opened) in
        [(&before, Ok(position)), (&now, Ok(position)), (&after, Ok(position)), (&other, Err(BadCursor))]
    {
        assert_eq!(now.open(FILTER, &key.seal(FILTER, &position)), opened);
    }
    assert_eq!(before.open(FILTER, &now.seal(FILTER, &position)), Err(BadCursor), "signed by the current key alone");
}

proptest! {
    #[test]
    fn a_cursor_opens_where_it_was_made(at: i64, id: i64, filter: String) {
        let key = CursorKey::new(&[7; 32]);
        let position = Position { at, id };
        prop_assert_eq!(key.open(&filter, &key.seal(&filter, &position)), Ok(position));
    }

    #[test]
    fn another_filter_or_key_does_not_open_it(at: i64, id: i64, filter: String, other: String) {
        prop_assume!(filter != other);
        let key = CursorKey::new(&[7; 32]);
        let token = key.seal(&filter, &Position { at, id });
        prop_assert_eq!(key.open(&other, &token), Err(BadCursor));
        prop_assert_eq!(CursorKey::new(&[8; 32]).open(&filter, &token), Err(BadCursor));
    }

    #[test]
    fn no_text_opens_by_chance(token in ".{0,80}|[A-Za-z0-9_-]{64}") {
        prop_assert_eq!(CursorKey::new(&[7; 32]).open(FILTER, &token), Err(BadCursor));
    }
}

#[test]
fn every_changed_character_closes_it() {
    let key = CursorKey::new(&[7; 32]);
    let token = key.seal(FILTER, &Position { at: 1_763_751_653_679_315, id: 60010 });
    assert_eq!(token.len(), 64);
    for index in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert_eq!(key.open(FILTER, &changed), Err(BadCursor), "{index}");
    }
    assert_eq!(key.open(FILTER, &token[..63]), Err(BadCursor));
    assert_eq!(key.open(FILTER, &format!("{token}A")), Err(BadCursor));
}
