//! What refers to a documented request: it outlives the patient, so it must not say who they were.

use store::PatientWords;

/// Names of fewer letters are not looked for: too many other words are like them.
const LETTERS: usize = 3;

/// How many of the last digits tell a telephone number, however its beginning is written.
const DIGITS: usize = 7;

/// What has fewer digits is no telephone number.
const FEWEST_DIGITS: usize = 5;

/// Whether a reference has something that says who the patient is: a name as a word, an address, a telephone number or an identifier.
pub(crate) fn says_who(reference: &str, patient: &PatientWords) -> bool {
    let reference = reference.to_lowercase();
    let is_there = |word: String| reference.split(|at: char| !at.is_alphabetic()).any(|other| other == word);
    patient.names.iter().flat_map(|name| words(name)).any(is_there)
        || patient.addresses.iter().any(|address| stands_in(&reference, &address.to_lowercase()))
        || patient.identifiers.iter().any(|value| stands_in(&reference, &value.to_lowercase()))
        || patient.phone.as_deref().is_some_and(|phone| has_number(&reference, phone))
}

/// The words of a name.
fn words(name: &str) -> impl Iterator<Item = String> {
    let words = name.split(|at: char| !at.is_alphabetic());
    words.filter(|word| word.chars().count() >= LETTERS).map(str::to_lowercase)
}

/// Whether a text stands in another, and is no part of a longer word or number there.
fn stands_in(text: &str, part: &str) -> bool {
    let part = part.trim();
    let is_end = |at: Option<char>| at.is_none_or(|at| !at.is_alphanumeric());
    !part.is_empty()
        && text.match_indices(part).any(|(at, found)| {
            let (before, rest) = text.split_at(at);
            is_end(before.chars().next_back()) && is_end(rest.get(found.len()..).and_then(|rest| rest.chars().next()))
        })
}

/// Whether a text has a telephone number, with whatever between its digits.
fn has_number(text: &str, phone: &str) -> bool {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let phone = digits(phone);
    let last = phone.get(phone.len().saturating_sub(DIGITS)..).unwrap_or_default();
    // A letter ends a number; what is written between digits does not.
    last.len() >= FEWEST_DIGITS && text.split(char::is_alphabetic).any(|part| digits(part).contains(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patient() -> PatientWords {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        PatientWords {
            names: texts(&["Zebuline Ng", "Quixotte-Äbel d'Or"]),
            addresses: texts(&["Zeb@Example.com"]),
            phone: Some("+1 (555) 010-0199".to_owned()),
            identifiers: texts(&["MRN-77", "4"]),
        }
    }

    #[test]
    fn what_says_who_the_patient_was_is_found() {
        for reference in [
            "letter of Zebuline",
            "letter of ZEBULINE QUIXOTTE",
            "quixotte_2026",
            "Quixotte2026.pdf",
            "scan äbel",
            "SCAN ÄBEL",
            "mail from zeb@example.com, Monday",
            "call from 555-010-0199",
            "call from +1 555 010 0199",
            "call from 0100199",
            "file mrn-77",
            "(MRN-77)",
            "file 4",
        ] {
            assert!(says_who(reference, &patient()), "{reference}");
        }
    }

    #[test]
    fn numbers_and_other_words_are_references() {
        for reference in [
            "letter of 2026-11-20",
            "file 40001",
            "letter 7",
            "Zebulines",
            "Ng",
            "or",
            "MRN-778",
            "xMRN-77",
            "other-zeb@example.community",
            "call 555, then 010, from desk 0199 b",
            "form 44",
        ] {
            assert!(!says_who(reference, &patient()), "{reference}");
        }
        let nobody =
            PatientWords { names: vec![String::new()], phone: Some("12".to_owned()), ..PatientWords::default() };
        assert!(!says_who("12", &nobody));
    }
}
