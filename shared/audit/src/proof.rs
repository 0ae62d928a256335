//! That one event was recorded, shown to somebody who has the public key and nothing else.

use crate::{
    Hash, merkle,
    seal::{Fault, Head, Seal},
};
use ecdsa::PublicKey;
use serde::{Deserialize, Serialize};

/// The name of the form of proofs.
pub const FORM: &str = "jhe-audit-proof/1";

/// A proof. `docs/check_proof.py` checks it without this program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// [`FORM`].
    pub form: String,
    /// The event, as it is hashed: see [`crate::leaf`].
    pub leaf: String,
    /// Its place among the events under the seal.
    pub index: u64,
    /// The hashes that lead from it to the root: see [`merkle::path`].
    pub path: Vec<Hash>,
    /// The seal.
    pub seal: Seal,
    /// The public half of the key, in PEM. Who checks the proof needs it from somewhere else, too.
    pub public_key: String,
}

impl Proof {
    /// What the seal says, if the event is under it and the key signed it.
    pub fn check(&self, key: &PublicKey) -> Result<Head, Fault> {
        let head = self.seal.open(key)?;
        let leaf = merkle::leaf_hash(self.leaf.as_bytes());
        let root = merkle::root_by_path(leaf, self.index, head.events, &self.path);
        if self.form == FORM && root == Some(head.root) { Ok(head) } else { Err(Fault::Root) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        merkle::Tree,
        seal::tests::{Key, first},
    };

    #[test]
    fn a_proof_is_of_its_event_and_of_nothing_else() {
        let key = Key::new();
        let leaves: Vec<Hash> = (0..5).map(|number| merkle::leaf_hash(format!("event {number}").as_bytes())).collect();
        let head = Head { events: 5, root: Tree::over(&leaves).root(), ..first(&key.public) };
        let proof = Proof {
            form: FORM.to_owned(),
            leaf: "event 3".to_owned(),
            index: 3,
            path: merkle::path(&leaves, 3).unwrap(),
            seal: key.seal(&head),
            public_key: key.public.to_pem(),
        };
        assert_eq!(proof.check(&key.public), Ok(head.clone()));
        for wrong in [
            Proof { leaf: "event 2".to_owned(), ..proof.clone() },
            Proof { index: 2, ..proof.clone() },
            Proof { path: proof.path[1..].to_vec(), ..proof.clone() },
            Proof { form: "another".to_owned(), ..proof.clone() },
            Proof { seal: key.seal(&Head { events: 9, ..head.clone() }), ..proof.clone() },
        ] {
            assert_eq!(wrong.check(&key.public), Err(Fault::Root), "{wrong:?}");
        }
        assert_eq!(proof.check(&Key::new().public), Err(Fault::Signature));
    }
}
