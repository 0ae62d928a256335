//! Seals: what was recorded between two times, as one hash, signed and tied to the seal before.

use crate::Hash;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ecdsa::PublicKey;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The name of the form of heads.
pub const FORM: &str = "jhe-audit-seal/1";

/// Why a seal does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Its text is no head.
    #[error("it is not one")]
    Unreadable,
    /// Another key signed it, or nobody.
    #[error("its signature is not good")]
    Signature,
    /// Its number is not the one that it is kept under.
    #[error("it has the number of another one")]
    Number,
    /// It does not name the seal before it.
    #[error("it does not follow from the one before")]
    Chain,
    /// It does not begin where the one before ends.
    #[error("it does not begin where the one before ends")]
    Times,
    /// Its root is not that of its list.
    #[error("its root is not that of its events")]
    Root,
}

/// What a seal says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// [`FORM`].
    pub form: String,
    /// Its number. The first one is 1.
    pub sequence: i64,
    /// The events are those from this time on.
    pub from: Timestamp,
    /// They are those before this time.
    pub to: Timestamp,
    /// How many there are.
    pub events: u64,
    /// The root of the tree over them, in the order of time and number.
    pub root: Hash,
    /// The hash of the head before; none for the first one.
    pub previous: Option<Hash>,
    /// When it was made.
    pub made_at: Timestamp,
    /// The key that signs it: see [`PublicKey::id`].
    pub key: Hash,
}

impl Head {
    /// The text that is signed.
    #[must_use]
    pub fn text(&self) -> String {
        // A head has no maps and no floats, which alone could fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether it is the one after another, or the first one.
    pub fn follows(&self, before: Option<&(Head, Hash)>) -> Result<(), Fault> {
        let (sequence, from, hash) = match before {
            Some((head, hash)) => (head.sequence + 1, head.to, Some(*hash)),
            None => (1, Timestamp::UNIX_EPOCH, None),
        };
        if self.sequence != sequence {
            return Err(Fault::Number);
        }
        if self.previous != hash {
            return Err(Fault::Chain);
        }
        if self.from != from || self.to <= self.from {
            return Err(Fault::Times);
        }
        Ok(())
    }
}

/// A head and its signature, as they are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// The text of the head, as it was signed.
    pub head: String,
    /// ECDSA over P-384 and SHA-384, DER in base64.
    pub signature: String,
}

impl Seal {
    /// A head that was signed.
    #[must_use]
    pub fn new(head: &Head, signature: &[u8]) -> Self {
        Self { head: head.text(), signature: STANDARD.encode(signature) }
    }

    /// What the next head says of this one.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of(&[self.head.as_bytes()])
    }

    /// The head, if the key signed it.
    pub fn open(&self, key: &PublicKey) -> Result<Head, Fault> {
        let signature = STANDARD.decode(&self.signature).map_err(|_| Fault::Unreadable)?;
        if !key.verifies(self.head.as_bytes(), &signature) {
            return Err(Fault::Signature);
        }
        let head: Head = serde_json::from_str(&self.head).map_err(|_| Fault::Unreadable)?;
        if head.form == FORM { Ok(head) } else { Err(Fault::Unreadable) }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use ecdsa::PrivateKey;

    /// A key that signs, and its public half.
    pub(crate) struct Key {
        private: PrivateKey,
        pub(crate) public: PublicKey,
    }

    impl Key {
        pub(crate) fn new() -> Self {
            let private = PrivateKey::from_pem(&PrivateKey::generate().unwrap()).unwrap();
            Self { public: private.public().clone(), private }
        }

        pub(crate) fn seal(&self, head: &Head) -> Seal {
            Seal::new(head, &self.private.sign(head.text().as_bytes()).unwrap())
        }
    }

    pub(crate) fn first(key: &PublicKey) -> Head {
        Head {
            form: FORM.to_owned(),
            sequence: 1,
            from: Timestamp::UNIX_EPOCH,
            to: "2026-03-01T12:00:00Z".parse().unwrap(),
            events: 1,
            root: Hash::of(&[b"leaf"]),
            previous: None,
            made_at: "2026-03-01T12:01:00Z".parse().unwrap(),
            key: Hash::from_bytes(key.id()),
        }
    }

    #[test]
    fn a_seal_opens_with_its_key_and_its_text_alone() {
        let (key, other) = (Key::new(), Key::new());
        let head = first(&key.public);
        let seal = key.seal(&head);
        assert_eq!(seal.open(&key.public), Ok(head.clone()));
        assert_eq!(seal.open(&other.public), Err(Fault::Signature));
        let changed = Seal { head: seal.head.replace("\"events\":1", "\"events\":2"), ..seal.clone() };
        assert_eq!(changed.open(&key.public), Err(Fault::Signature));
        assert_eq!(Seal { signature: "!".to_owned(), ..seal.clone() }.open(&key.public), Err(Fault::Unreadable));
        let another_form = key.seal(&Head { form: "jhe-audit-seal/2".to_owned(), ..head });
        assert_eq!(another_form.open(&key.public), Err(Fault::Unreadable));
        assert_eq!(seal.open(&PublicKey::from_der(vec![1, 2, 3])), Err(Fault::Signature));
    }

    #[test]
    fn seals_are_a_chain_without_gaps() {
        let key = Key::new();
        let one = first(&key.public);
        assert_eq!(one.follows(None), Ok(()));
        let before = (one.clone(), key.seal(&one).hash());
        let to = "2026-03-01T13:00:00Z".parse().unwrap();
        let two = Head { sequence: 2, from: one.to, to, previous: Some(before.1), ..one.clone() };
        assert_eq!(two.follows(Some(&before)), Ok(()));
        for (wrong, fault) in [
            (Head { sequence: 3, ..two.clone() }, Fault::Number),
            (Head { previous: None, ..two.clone() }, Fault::Chain),
            (Head { previous: Some(Hash::of(&[])), ..two.clone() }, Fault::Chain),
            (Head { from: to, ..two.clone() }, Fault::Times),
            (Head { from: Timestamp::UNIX_EPOCH, ..two.clone() }, Fault::Times),
            (Head { to: one.to, ..two.clone() }, Fault::Times),
        ] {
            assert_eq!(wrong.follows(Some(&before)), Err(fault), "{wrong:?}");
        }
        assert_eq!(two.follows(None), Err(Fault::Number));
    }
}
