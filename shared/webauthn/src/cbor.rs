//! CBOR as authenticators write it: the canonical form of CTAP2, without lengths that are left open, and not deep.

use crate::Refusal;
use minicbor::{
    Decoder,
    data::{Int, Type},
};

/// How deep arrays and maps may be in each other. Statements of attestation have four levels (CTAP 2.1 section 6).
const DEPTH: u32 = 8;

/// How many entries a map may have: every one that is read has fewer.
const ENTRIES: u64 = 64;

/// A reader of one item that came from outside.
pub(crate) struct Reader<'a>(Decoder<'a>);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(Decoder::new(bytes))
    }

    /// How many bytes were read.
    pub(crate) fn position(&self) -> usize {
        self.0.position()
    }

    /// The beginning of a map: how many entries follow.
    pub(crate) fn map(&mut self) -> Result<u64, Refusal> {
        match self.0.map() {
            Ok(Some(entries)) if entries <= ENTRIES => Ok(entries),
            _ => Err(Refusal::Malformed),
        }
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Refusal> {
        self.0.str().map_err(|_| Refusal::Malformed)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Refusal> {
        self.0.bytes().map_err(|_| Refusal::Malformed)
    }

    pub(crate) fn integer(&mut self) -> Result<i64, Refusal> {
        self.0.i64().map_err(|_| Refusal::Malformed)
    }

    /// Reads over one item, whatever it is.
    pub(crate) fn skip(&mut self) -> Result<(), Refusal> {
        self.skip_within(DEPTH)
    }

    /// Reads over one map; any other item is refused.
    pub(crate) fn skip_map(&mut self) -> Result<(), Refusal> {
        match self.0.datatype() {
            Ok(Type::Map) => self.skip(),
            _ => Err(Refusal::Malformed),
        }
    }

    fn skip_within(&mut self, depth: u32) -> Result<(), Refusal> {
        let depth = depth.checked_sub(1).ok_or(Refusal::Malformed)?;
        match self.0.datatype().map_err(|_| Refusal::Malformed)? {
            Type::Map => {
                for _ in 0..self.map()? {
                    self.skip_within(depth)?;
                    self.skip_within(depth)?;
                }
                Ok(())
            }
            Type::Array => match self.0.array() {
                Ok(Some(items)) if items <= ENTRIES => (0..items).try_for_each(|_| self.skip_within(depth)),
                _ => Err(Refusal::Malformed),
            },
            Type::Bytes => self.bytes().map(|_| ()),
            Type::String => self.text().map(|_| ()),
            Type::Bool => self.0.bool().map(|_| ()).map_err(|_| Refusal::Malformed),
            Type::Null => self.0.null().map_err(|_| Refusal::Malformed),
            Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => {
                self.0.decode::<Int>().map(|_| ()).map_err(|_| Refusal::Malformed)
            }
            // Floating point numbers, tags and lengths that are left open are not in the canonical form.
            _ => Err(Refusal::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_item_is_read_over_and_nothing_that_is_not_canonical() {
        for (bytes, length) in [
            (&[0xa0][..], Some(1)),
            (&[0xa1, 0x61, b'a', 0x82, 0x01, 0xf5, 0x00], Some(6)),
            (&[0x43, 1, 2, 3], Some(4)),
            (&[0x3b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Some(9)),
            (&[], None),
            (&[0xa1, 0x01], None),
            (&[0x43, 1, 2], None),
            (&[0xbf, 0xff], None),
            (&[0x9f, 0xff], None),
            (&[0x5f, 0xff], None),
            (&[0xf9, 0x3c, 0x00], None),
            (&[0xc0, 0x00], None),
            (&[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], None),
            (&[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], None),
        ] {
            let mut reader = Reader::new(bytes);
            assert_eq!(reader.skip().ok().map(|()| reader.position()), length, "{bytes:x?}");
        }
    }

    #[test]
    fn what_is_too_deep_is_not_followed() {
        let deep = |levels: usize| [vec![0x81; levels - 1], vec![0x80]].concat();
        assert!(Reader::new(&deep(8)).skip().is_ok());
        assert!(Reader::new(&deep(9)).skip().is_err());
        assert!(Reader::new(&vec![0x81; 100_000]).skip().is_err());
    }
}
