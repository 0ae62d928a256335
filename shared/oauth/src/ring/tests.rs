use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::signing::{KeyBits, SigningKey, generate_rsa_key};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn seconds(count: i64) -> SignedDuration {
    SignedDuration::from_secs(count)
}

fn pace() -> Pace {
    Pace::new(seconds(30 * DAY), seconds(900), seconds(HOUR)).unwrap()
}

#[test]
fn a_period_that_is_shorter_than_caches_and_tokens_live_is_none() {
    let least = 900 + HOUR + 300 + 300;
    assert_eq!(pace().least(), seconds(least));
    assert!(Pace::new(seconds(least), seconds(900), seconds(HOUR)).is_some());
    assert!(Pace::new(seconds(least - 1), seconds(900), seconds(HOUR)).is_none());
    assert!(Pace::new(SignedDuration::MAX, SignedDuration::MAX, seconds(1)).is_none());
}

#[test]
fn keys_move_up_when_due_or_when_asked_and_never_too_early() {
    let ring = Ring::new(String::new(), 1, 2, at(0));
    let (least, period) = (pace().least().as_secs(), 30 * DAY);
    for (asked, second, expected) in [
        (false, 0, Turn::NotDue(at(period))),
        (false, period - 1, Turn::NotDue(at(period))),
        (false, period, Turn::Rotate),
        (true, 0, Turn::TooEarly(at(least))),
        (true, least - 1, Turn::TooEarly(at(least))),
        (true, least, Turn::Rotate),
        (true, period, Turn::Rotate),
        // A clock that was put back.
        (true, -DAY, Turn::TooEarly(at(least))),
        (false, -DAY, Turn::NotDue(at(period))),
    ] {
        assert_eq!(ring.turn(&pace(), asked, at(second)), expected, "{asked} {second}");
    }
    let endless = Ring { rotated_at: Timestamp::MAX, ..ring };
    assert_eq!(endless.turn(&pace(), false, at(0)), Turn::NotDue(Timestamp::MAX));
}

#[test]
fn a_rotation_moves_every_key_up() {
    let first = Ring::new("r".to_owned(), 1, 2, at(0));
    assert_eq!(first.published().copied().collect::<Vec<_>>(), [1, 2]);
    let third = first.rotated(3, at(5)).rotated(4, at(9));
    assert_eq!(third, Ring { id: "r".to_owned(), current: 3, next: 4, previous: Some(2), rotated_at: at(9) });
    assert_eq!(third.published().copied().collect::<Vec<_>>(), [3, 4, 2]);
}

/// Rotations that were tried at these times, by whoever asks for them: every ring that was ever in force.
fn history(pace: &Pace, tries: &[i64]) -> Vec<Ring<u32>> {
    let mut rings = vec![Ring::new(String::new(), 0, 1, at(0))];
    for time in tries {
        let ring = rings.last().unwrap();
        if ring.turn(pace, true, at(*time)) == Turn::Rotate {
            let next = ring.next + 1;
            rings.push(ring.clone().rotated(next, at(*time)));
        }
    }
    rings
}

/// The ring that was in force.
fn in_force(rings: &[Ring<u32>], second: i64) -> &Ring<u32> {
    rings.iter().rev().find(|ring| ring.rotated_at <= at(second)).unwrap_or(&rings[0])
}

fn tries() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(0..20 * HOUR, 0..60).prop_map(|mut times| {
        times.sort_unstable();
        times
    })
}

proptest! {
    /// A process signs by a ring that it read up to `LIMIT` ago. Somebody checks the token, up to its end, by a key set that
    /// they fetched up to `JWKS_MAX_AGE` ago from a process that read its ring up to `LIMIT` before. `cache` is how old rings
    /// are in fact: up to five minutes when all is well, up to an hour while the secret cannot be read.
    #[test]
    fn every_token_verifies_by_the_keys_that_any_process_publishes(
        tries in tries(),
        signed_at in 0..20 * HOUR,
        cache in prop_oneof![Just(300_i64), Just(HOUR)],
        age in 0.0..1.0_f64,
        age_of_jwks in 0.0..1.0_f64,
        kept in 0..=300_i64,
        checked_after in 0..=900_i64,
    ) {
        let rings = history(&pace(), &tries);
        #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
        let read = |now: i64, age: f64| now - (age * cache as f64) as i64;
        let key = in_force(&rings, read(signed_at, age)).current;
        let published = in_force(&rings, read(signed_at + checked_after - kept, age_of_jwks));
        prop_assert!(published.published().any(|known| *known == key), "{key} {published:?}");
    }

    #[test]
    fn rotations_are_never_closer_than_tokens_and_caches_allow(tries in tries()) {
        let rings = history(&pace(), &tries);
        for pair in rings.windows(2) {
            prop_assert!(pair[1].rotated_at.duration_since(pair[0].rotated_at) >= pace().least());
            // No key is used twice, and each was published before it signs.
            prop_assert!(pair[1].current == pair[0].next && !pair[0].published().any(|key| *key == pair[1].next));
        }
    }
}

#[test]
fn rotations_that_are_closer_would_lose_tokens() {
    let (lifetime, cache) = (900, HOUR);
    // Two rotations between a signature by a ring of an hour ago and its check at the token's end.
    let rings = [0_u32, 1, 2].map(|number| Ring {
        previous: number.checked_sub(1),
        ..Ring::new(String::new(), number, number + 1, at(i64::from(number) * 2300))
    });
    let signed_at = 2300 + cache - 1;
    let key = in_force(&rings, signed_at - cache).current;
    let published = in_force(&rings, signed_at + lifetime);
    assert!(!published.published().any(|known| *known == key), "{key} {published:?}");
}

fn key(second: i64) -> RingKey {
    let pem = generate_rsa_key(KeyBits::B2048).unwrap();
    let public = SigningKey::from_pem(&pem).unwrap().public().clone();
    RingKey { public, private: PrivateHalf::Pem(pem), made_at: at(second) }
}

#[test]
fn a_ring_is_read_as_it_was_written() {
    let in_kms = RingKey { private: PrivateHalf::Kms("arn:aws:kms:1".to_owned()), ..key(2) };
    let ring = Ring::new("r".to_owned(), key(1), in_kms, at(3));
    let read = Ring::parse(&ring.to_text().unwrap()).unwrap();
    assert_eq!(read.to_text().unwrap().expose_secret(), ring.to_text().unwrap().expose_secret());
    assert_eq!((read.id.as_str(), read.rotated_at), ("r", at(3)));
    assert!(matches!(&read.next.private, PrivateHalf::Kms(arn) if arn == "arn:aws:kms:1"));
    assert!(matches!(&read.current.private, PrivateHalf::Pem(pem) if SigningKey::from_pem(pem).is_ok()));
    let rotated = read.rotated(key(4), at(5));
    let read = Ring::parse(&rotated.to_text().unwrap()).unwrap();
    assert_eq!(read.previous.as_ref().map(|key| key.made_at), Some(at(1)));
    let jwks = serde_json::to_value(read.jwks()).unwrap();
    let kids: Vec<&str> = jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect();
    assert_eq!(kids, read.published().map(|key| key.public.kid()).collect::<Vec<_>>());
    assert!(!jwks.to_string().contains("PRIVATE") && !jwks.to_string().contains("arn:"));
}

#[test]
fn a_wrong_text_is_refused_without_quoting_it() {
    let ring = Ring::new("r".to_owned(), key(1), key(2), at(3));
    let good: Value = serde_json::from_str(ring.to_text().unwrap().expose_secret()).unwrap();
    let changed = |name: &str, value: Value| {
        let mut changed = good.clone();
        changed["current"][name] = value;
        changed.to_string()
    };
    for (text, expected) in [
        (String::new(), RingError::Shape),
        ("{}".to_owned(), RingError::Shape),
        (r#"{"id":"s3cret"}"#.to_owned(), RingError::Shape),
        (changed("made_at", json!("s3cret")), RingError::Shape),
        (changed("kms", json!("s3cret")), RingError::PrivateHalf),
        (changed("pem", Value::Null), RingError::PrivateHalf),
        (changed("n", json!("s3cret")), RingError::Key(SigningError::PublicKey)),
    ] {
        let error = Ring::parse(&text.as_str().into()).unwrap_err();
        assert_eq!(error, expected, "{text}");
        assert!(!format!("{error} {error:?}").contains("s3cret"));
    }
    assert!(!format!("{ring:?}").contains("PRIVATE KEY"));
}
