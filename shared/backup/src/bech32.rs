//! Bech32 (BIP 173), in which age writes its keys. Without its limit of 90 characters, as there.

const CHARSET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// The checksum's step for each value.
fn polymod(values: impl Iterator<Item = u8>) -> u32 {
    const GENERATORS: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    values.fold(1_u32, |check, value| {
        let top = check >> 25;
        let next = ((check & 0x01ff_ffff) << 5) ^ u32::from(value);
        let taken = GENERATORS.iter().enumerate().filter(|(bit, _)| (top >> bit) & 1 == 1);
        taken.fold(next, |next, (_, generator)| next ^ generator)
    })
}

fn expanded(prefix: &str) -> impl Iterator<Item = u8> {
    prefix.bytes().map(|byte| byte >> 5).chain([0]).chain(prefix.bytes().map(|byte| byte & 31))
}

/// Groups of bits as groups of other sizes. None: what is left over is no padding.
fn regroup(values: &[u8], from: u32, to: u32, pads: bool) -> Option<Vec<u8>> {
    let (mut waiting, mut bits, mut groups) = (0_u32, 0, Vec::new());
    for value in values {
        waiting = ((waiting << from) | u32::from(*value)) & 0xffff;
        bits += from;
        while bits >= to {
            bits -= to;
            groups.push(u8::try_from((waiting >> bits) & ((1 << to) - 1)).ok()?);
        }
    }
    let rest = waiting & ((1 << bits) - 1);
    if pads && bits > 0 {
        groups.push(u8::try_from(rest << (to - bits)).ok()?);
        return Some(groups);
    }
    (pads || (bits < from && rest == 0)).then_some(groups)
}

/// Bytes with a prefix, in small letters.
pub fn encode(prefix: &str, bytes: &[u8]) -> Option<String> {
    let data = regroup(bytes, 8, 5, true)?;
    let check = polymod(expanded(prefix).chain(data.iter().copied()).chain([0; 6])) ^ 1;
    let check = (0..6).map(|place| u8::try_from((check >> (5 * (5 - place))) & 31).unwrap_or_default());
    let text = data.iter().copied().chain(check).filter_map(|value| CHARSET.get(usize::from(value)));
    Some(format!("{prefix}1{}", text.map(|byte| char::from(*byte)).collect::<String>()))
}

/// The bytes behind a prefix, all in small letters or all in capitals.
pub fn decode(prefix: &str, text: &str) -> Option<Vec<u8>> {
    let small = text.to_ascii_lowercase();
    if text != small && text != text.to_ascii_uppercase() {
        return None;
    }
    let (own, data) = small.rsplit_once('1')?;
    let place = |byte: u8| CHARSET.iter().position(|known| *known == byte).and_then(|place| u8::try_from(place).ok());
    let values = data.bytes().map(place).collect::<Option<Vec<u8>>>()?;
    if own != prefix || polymod(expanded(own).chain(values.iter().copied())) != 1 {
        return None;
    }
    regroup(values.get(..values.len().checked_sub(6)?)?, 5, 8, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of BIP 173's own list, with what is in it.
    const KNOWN: &str = "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw";

    #[test]
    fn a_known_text_is_read_and_written() {
        let bytes = decode("abcdef", KNOWN).unwrap();
        assert_eq!(bytes.len(), 20);
        assert_eq!(encode("abcdef", &bytes).unwrap(), KNOWN);
        assert_eq!(decode("abcdef", &KNOWN.to_uppercase()).unwrap(), bytes);
    }

    #[test]
    fn what_was_mistyped_is_refused() {
        for place in 0..KNOWN.len() {
            let mut text = KNOWN.as_bytes().to_vec();
            text[place] = if text[place] == b'q' { b'p' } else { b'q' };
            assert_eq!(decode("abcdef", std::str::from_utf8(&text).unwrap()), None, "{place}");
        }
        for wrong in ["", "1", "abcdef1", "abcdef1qqqqq", "Abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw", "ä1q"] {
            assert_eq!(decode("abcdef", wrong), None, "{wrong}");
        }
        assert_eq!(decode("age", KNOWN), None);
    }
}
