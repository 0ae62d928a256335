//! What a table holds, in three numbers: rows, bytes, and a hash that does not depend on the order of the rows.

use crate::FormatError;
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

/// What a table holds. Two tables with the same are the same, in whatever order their rows are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// How many rows.
    pub rows: u64,
    /// How many bytes the text of `COPY` has.
    pub bytes: u64,
    /// The sum of the SHA-256 of every row, as a number of 256 bits that wraps, in hexadecimal. It finds what went wrong;
    /// against those who would make two tables with the same sum there is the signature of the manifest.
    pub sum: String,
}

/// Counts and hashes rows as they pass. `COPY` in its text form has a row in each line, whatever is in the row.
#[derive(Debug, Default)]
pub struct Digest {
    rows: u64,
    bytes: u64,
    /// From the lowest.
    sum: [u64; 4],
    /// A row whose end has not passed yet.
    begun: Vec<u8>,
}

impl Digest {
    /// Takes what comes next.
    pub fn update(&mut self, text: &[u8]) {
        self.bytes = self.bytes.wrapping_add(text.len() as u64);
        let mut rest = text;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (row, after) = rest.split_at(end.saturating_add(1));
            if self.begun.is_empty() {
                self.row(row);
            } else {
                self.begun.extend_from_slice(row);
                let row = std::mem::take(&mut self.begun);
                self.row(&row);
            }
            rest = after;
        }
        self.begun.extend_from_slice(rest);
    }

    fn row(&mut self, row: &[u8]) {
        self.rows = self.rows.wrapping_add(1);
        let hash = digest(&SHA256, row);
        let mut carry = 0_u128;
        for (part, bytes) in self.sum.iter_mut().zip(hash.as_ref().as_chunks::<8>().0) {
            let total = u128::from(*part) + u128::from(u64::from_le_bytes(*bytes)) + carry;
            *part = u64::try_from(total & u128::from(u64::MAX)).unwrap_or_default();
            carry = total >> 64;
        }
    }

    /// What passed. Fails when the last row has no end.
    pub fn finish(self) -> Result<Contents, FormatError> {
        if !self.begun.is_empty() {
            return Err(FormatError::Manifest);
        }
        let [a, b, c, d] = self.sum;
        Ok(Contents { rows: self.rows, bytes: self.bytes, sum: format!("{d:016x}{c:016x}{b:016x}{a:016x}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    fn contents(pieces: &[&[u8]]) -> Contents {
        let mut digest = Digest::default();
        for piece in pieces {
            digest.update(piece);
        }
        digest.finish().unwrap()
    }

    #[test]
    fn nothing_has_a_digest_too() {
        assert_eq!(contents(&[]), Contents { rows: 0, bytes: 0, sum: "0".repeat(64) });
    }

    #[test]
    fn a_row_that_is_changed_doubled_or_lost_is_noticed() {
        let whole = contents(&[b"a\t1\nb\t2\n"]);
        for other in [&b"a\t1\nb\t3\n"[..], b"a\t1\n", b"a\t1\nb\t2\nb\t2\n", b"a\t2\nb\t1\n", b"a\t1b\n\t2\n"] {
            assert_ne!(contents(&[other]).sum, whole.sum);
        }
        let mut unended = Digest::default();
        unended.update(b"a\t1\nb");
        assert!(unended.finish().is_err());
    }

    proptest! {
        #[test]
        fn neither_the_order_of_rows_nor_the_pieces_matter(rows in vec("[a-z]{0,9}", 0..20), cut in 0_usize..100) {
            let line = |row: &String| [row, "\n"].concat();
            let text: String = rows.iter().map(line).collect();
            let backwards: String = rows.iter().rev().map(line).collect();
            let (one, other) = text.as_bytes().split_at(cut.min(text.len()));
            prop_assert_eq!(contents(&[one, other]), contents(&[backwards.as_bytes()]));
        }
    }
}
