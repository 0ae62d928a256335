//! The list of common and breached passwords, and what is made of two of them or of one several times.

use std::cmp::Ordering;

/// Common passwords without what people put around them, one a line, in order. See `NOTICE.md` beside it.
const LIST: &str = include_str!("common.txt");

/// The fewest characters of a listed word that others are made of.
const SHORTEST: usize = 5;

/// True for a common password, whatever is put around it and whichever letters are written as digits or signs.
pub(super) fn is_common(lower: &str) -> bool {
    let core = bare(lower);
    let plain: String = core.chars().map(letter).collect();
    let whole: String = lower.chars().map(letter).collect();
    is_listed(lower) || [core, &plain, bare(&whole)].into_iter().any(|text| is_listed(text) || is_made_of_listed(text))
}

/// A text without the digits and signs at its ends.
fn bare(text: &str) -> &str {
    text.trim_matches(|c: char| !c.is_alphabetic())
}

/// True for two listed words side by side, and for one that is written several times.
fn is_made_of_listed(text: &str) -> bool {
    (SHORTEST..=text.len().saturating_sub(SHORTEST)).any(|length| {
        text.split_at_checked(length).is_some_and(|(piece, rest)| {
            is_listed(piece) && (is_listed(rest) || piece.repeat(text.len() / length) == text)
        })
    })
}

/// Looks a line up by halving. The text is searched as it is, so that nothing has to be made of it first.
fn is_listed(text: &str) -> bool {
    let mut rest = LIST;
    while !rest.is_empty() {
        let middle = rest.floor_char_boundary(rest.len() / 2);
        let start = rest.get(..middle).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1);
        let Some((line, after)) = rest.get(start..).map(|rest| rest.split_once('\n').unwrap_or((rest, ""))) else {
            return false;
        };
        rest = match text.cmp(line) {
            Ordering::Equal => return !text.is_empty(),
            Ordering::Greater => after,
            Ordering::Less => rest.get(..start).unwrap_or_default(),
        };
    }
    false
}

/// The letter that a digit or a sign is written for.
const fn letter(character: char) -> char {
    match character {
        '0' => 'o',
        '1' => 'l',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        '!' => 'i',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PolicyError, check};
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_list_is_in_order_and_names_each_once() {
        let lines: Vec<&str> = LIST.lines().collect();
        assert!(lines.len() > 38_000);
        assert!(lines.windows(2).all(|pair| pair[0] < pair[1]));
        // No leftovers of a table.
        let odd = |line: &&&str| line.contains(['"', ',', '\t']) || line.to_lowercase() != **line;
        assert_eq!(lines.iter().find(odd), None);
        assert!(lines.iter().all(|line| line.len() >= SHORTEST));
    }

    #[test]
    fn every_line_is_found_and_nothing_beside_it() {
        for line in LIST.lines() {
            assert!(is_listed(line), "{line}");
        }
        for other in ["", "\n", "0", "zzzzzzzzzzzzzzz", "passwordlessness", "password\n", "\u{e9}t\u{e9}"] {
            assert!(!is_listed(other), "{other:?}");
        }
    }

    // ASVS 6.2.4, 6.2.12: at least 3,000 that are long enough to be chosen, each refused as it is.
    #[test]
    fn more_than_three_thousand_that_are_long_enough_are_refused_as_they_are() {
        let long: Vec<&str> = LIST.lines().filter(|line| line.chars().count() >= 12).collect();
        assert!(long.len() >= 3_900, "{}", long.len());
        for password in long {
            assert_eq!(check(password, &[]), Err(PolicyError::Common), "{password}");
        }
    }

    // What people do to a breached password when it is too short.
    #[test]
    fn a_breached_password_is_refused_with_what_makes_it_long_enough() {
        let mut refused = BTreeSet::new();
        for word in LIST.lines().filter(|line| line.bytes().all(|byte| byte.is_ascii_lowercase())) {
            for made in [
                format!("{word}1234567"),
                format!("!!{word}2026!"),
                format!("{word}{word}{word}"),
                format!("{word}password"),
            ] {
                if made.len() >= 12 {
                    assert_eq!(check(&made, &[]), Err(PolicyError::Common), "{made}");
                    refused.insert(made);
                }
            }
        }
        assert!(refused.len() > 100_000, "{}", refused.len());
    }
}
