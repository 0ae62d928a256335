//! Merkle trees as those of Certificate Transparency: RFC 6962 section 2.1.
//!
//! Leaves and nodes are hashed with another first byte, so that no node passes for a leaf.

use crate::Hash;

/// The hash of a leaf with this content.
#[must_use]
pub fn leaf_hash(content: &[u8]) -> Hash {
    Hash::of(&[&[0], content])
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash::of(&[&[1], left.as_bytes(), right.as_bytes()])
}

/// A tree that grows leaf by leaf. It keeps one hash for each full subtree: as many as its size has bits.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    size: u64,
    /// The largest one first.
    full: Vec<Hash>,
}

impl Tree {
    /// The tree over these leaves.
    #[must_use]
    pub fn over<'a>(leaves: impl IntoIterator<Item = &'a Hash>) -> Self {
        let mut tree = Self::default();
        for leaf in leaves {
            tree.push(*leaf);
        }
        tree
    }

    /// Adds the hash of a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        let mut rest = self.size;
        // A subtree of the same size stands left of it: both are one twice as large.
        while rest & 1 == 1
            && let Some(left) = self.full.pop()
        {
            hash = node_hash(&left, &hash);
            rest >>= 1;
        }
        self.full.push(hash);
        self.size += 1;
    }

    /// How many leaves it has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Its hash.
    #[must_use]
    pub fn root(&self) -> Hash {
        let from_the_right = self.full.iter().rev().copied();
        from_the_right.reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(|| Hash::of(&[]))
    }
}

/// The hashes that lead from a leaf to the root, the lowest one first (RFC 6962 section 2.1.1). None: there is no such leaf.
#[must_use]
pub fn path(leaves: &[Hash], index: usize) -> Option<Vec<Hash>> {
    if index >= leaves.len() {
        return None;
    }
    let mut hashes = Vec::new();
    let (mut subtree, mut index) = (leaves, index);
    while subtree.len() > 1 {
        let (left, right) = subtree.split_at_checked(split(subtree.len()))?;
        let beside;
        (subtree, beside, index) =
            if index < left.len() { (left, right, index) } else { (right, left, index - left.len()) };
        hashes.push(Tree::over(beside).root());
    }
    hashes.reverse();
    Some(hashes)
}

/// The largest power of two that is smaller than a size above one.
const fn split(size: usize) -> usize {
    1 << (size - 1).ilog2()
}

/// The root that a path leads to (RFC 9162 section 2.1.3.2). None: it is no path of a leaf of this number in such a tree.
#[must_use]
pub fn root_by_path(leaf: Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut index, mut last, mut hash) = (index, size - 1, leaf);
    for beside in path {
        if last == 0 {
            return None;
        }
        if index & 1 == 1 || index == last {
            hash = node_hash(beside, &hash);
            // The last leaf of a tree that is not full has nothing beside it on some levels.
            while index & 1 == 0 && index != 0 {
                index >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, beside);
        }
        index >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The leaves that the test suites of Certificate Transparency use, and the roots of the trees over the first 1 to 8.
    const LEAVES: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    const ROOTS: [&str; 8] = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    /// RFC 6962's definition, word for word.
    fn defined(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Hash::of(&[]),
            [one] => *one,
            many => {
                let (left, right) = many.split_at(split(many.len()));
                node_hash(&defined(left), &defined(right))
            }
        }
    }

    fn leaves(count: usize) -> Vec<Hash> {
        (0..count).map(|number| leaf_hash(&number.to_be_bytes())).collect()
    }

    #[test]
    fn trees_have_the_roots_of_certificate_transparency() {
        let mut tree = Tree::default();
        assert_eq!(tree.root().to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        for (leaf, root) in LEAVES.into_iter().zip(ROOTS) {
            tree.push(leaf_hash(leaf));
            assert_eq!(tree.root().to_string(), root, "{} leaves", tree.size());
        }
    }

    proptest! {
        #[test]
        fn a_tree_that_grows_is_the_one_that_is_defined(count in 0_usize..300) {
            let leaves = leaves(count);
            prop_assert_eq!(Tree::over(&leaves).root(), defined(&leaves));
        }

        #[test]
        fn every_leaf_has_a_path_and_it_is_of_no_other_place_leaf_or_size(count in 1_usize..200, seed in 0_usize..200) {
            let leaves = leaves(count);
            let (index, root) = (seed % count, Tree::over(&leaves).root());
            let path = path(&leaves, index).unwrap();
            let (place, size) = (index as u64, count as u64);
            let leads = |leaf, place, size, path: &[Hash]| root_by_path(leaf, place, size, path) == Some(root);
            prop_assert!(leads(leaves[index], place, size, &path));
            prop_assert!(!leads(leaf_hash(b"another"), place, size, &path));
            for other in (0..size).filter(|other| *other != place) {
                prop_assert!(!leads(leaves[index], other, size, &path));
            }
            for at in 0..path.len() {
                let mut wrong = path.clone();
                wrong[at] = leaf_hash(b"another");
                prop_assert!(!leads(leaves[index], place, size, &wrong));
            }
            prop_assert!(path.is_empty() || !leads(leaves[index], place, size, &path[1..]));
            prop_assert!(!leads(leaves[index], place, size, &[&path[..], &[root]].concat()));
        }
    }

    #[test]
    fn what_is_no_leaf_has_no_path() {
        let leaves = leaves(3);
        assert_eq!(path(&leaves, 3), None);
        assert_eq!(path(&[], 0), None);
        assert_eq!(root_by_path(leaves[0], 3, 3, &[]), None);
        assert_eq!(root_by_path(leaves[0], 0, 0, &[]), None);
    }
}
