//! Passwords that are a walk over the keys of a keyboard.

/// The rows of a keyboard, each set off by half a key from the one above.
const ROWS: [&str; 4] = ["1234567890-=", "qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./"];

/// Fewer jumps to a key that is not beside the last one are a walk.
const MIN_JUMPS: usize = 5;

/// True when the fingers hardly leave the way, be it of one hand or of two that take turns: `qwerty123456`, `q1w2e3r4t5y6`.
pub(super) fn is_walk(lower: &str) -> bool {
    let of_each_hand = jumps(lower.chars().step_by(2)) + jumps(lower.chars().skip(1).step_by(2));
    jumps(lower.chars()) < MIN_JUMPS || of_each_hand < MIN_JUMPS
}

/// How many characters are not beside, nor the same as, the one before.
fn jumps(characters: impl Iterator<Item = char>) -> usize {
    let mut before = None;
    let mut jumps = 0;
    for character in characters {
        let key = place(character);
        let is_near =
            before == Some(character) || before.and_then(place).zip(key).is_some_and(|(a, b)| are_beside(a, b));
        jumps += usize::from(!is_near);
        before = Some(character);
    }
    jumps
}

/// The row and the place in it.
fn place(character: char) -> Option<(usize, usize)> {
    ROWS.iter().enumerate().find_map(|(row, keys)| Some((row, keys.find(character)?)))
}

/// Whether two keys touch: in the same row, or one below the other to its left or right.
fn are_beside(one: (usize, usize), other: (usize, usize)) -> bool {
    let (upper, lower) = if one.0 <= other.0 { (one, other) } else { (other, one) };
    match lower.0 - upper.0 {
        0 => upper.1.abs_diff(lower.1) == 1,
        1 => lower.1 == upper.1 || lower.1 + 1 == upper.1,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_over_the_keys_is_found() {
        for walk in [
            "qwertyuiop12",
            "qwerty123456",
            "1qaz2wsx3edc",
            "zaq12wsxcde3",
            "q1w2e3r4t5y6",
            "qazwsxedcrfv",
            "asdfghjkl;'",
            "zxcvbnmasdfg",
            "aaaaaaaaaaaa",
        ] {
            assert!(is_walk(walk), "{walk}");
        }
        for other in ["correct horse battery", "we were treeless", "kx9vqpl2mzrt", "typewriter queen", "пароль не из"]
        {
            assert!(!is_walk(other), "{other}");
        }
    }

    #[test]
    fn keys_touch_in_both_directions() {
        for (a, b) in [('1', 'q'), ('2', 'q'), ('q', 'a'), ('w', 'a'), ('s', 'z'), ('g', 'h')] {
            let (a, b) = (place(a).unwrap(), place(b).unwrap());
            assert!(are_beside(a, b) && are_beside(b, a), "{a:?} {b:?}");
        }
        for (a, b) in [('1', 'w'), ('1', 'a'), ('q', 's'), ('q', 'e'), ('p', '1')] {
            assert!(!are_beside(place(a).unwrap(), place(b).unwrap()), "{a} {b}");
        }
    }
}
