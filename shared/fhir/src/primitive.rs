//! Rules of the FHIR primitive types, with our limits
//! (<https://hl7.org/fhir/R5/datatypes.html#primitive>).

/// The longest string element we keep, in characters.
pub(crate) const MAX_STRING: usize = 1_000;

/// What is wrong with a `string`, if anything.
pub(crate) fn string_fault(text: &str) -> Option<&'static str> {
    if text.trim().is_empty() {
        Some("must not be empty")
    } else if text.chars().count() > MAX_STRING {
        Some("must not be longer than 1,000 characters")
    } else if text.chars().any(char::is_control) {
        Some("must not contain control characters")
    } else {
        None
    }
}

/// The longest text of a note or a result, in characters.
pub(crate) const MAX_TEXT: usize = 64 * 1024;

/// What is wrong with a longer text, which can have lines, if anything.
pub(crate) fn text_fault(text: &str) -> Option<&'static str> {
    if text.trim().is_empty() {
        Some("must not be empty")
    } else if text.chars().count() > MAX_TEXT {
        Some("must not be longer than 65,536 characters")
    } else if text.chars().any(|c| c.is_control() && !['\n', '\r', '\t'].contains(&c)) {
        Some("must not contain control characters but tabs and ends of lines")
    } else {
        None
    }
}

/// What is wrong with a `uri`, if anything.
pub(crate) fn uri_fault(text: &str) -> Option<&'static str> {
    string_fault(text).or_else(|| text.contains(char::is_whitespace).then_some("must not contain whitespace"))
}

/// What is wrong with a `code`, if anything: no whitespace but single spaces inside.
pub(crate) fn code_fault(text: &str) -> Option<&'static str> {
    let spaced = text.split(' ').any(|word| word.is_empty() || word.contains(char::is_whitespace));
    string_fault(text).or_else(|| spaced.then_some("must not contain whitespace but single spaces inside"))
}

/// What is wrong with a language tag (BCP 47), if anything.
pub(crate) fn language_fault(text: &str) -> Option<&'static str> {
    let tag = text.len() <= 64
        && text
            .split('-')
            .all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    (!tag).then_some("must be a language tag such as en or en-US")
}

/// A positive decimal number without sign or leading zero.
fn digits(text: &str) -> Option<&str> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0') && !text.is_empty();
    plain.then_some(text)
}

/// An id of a patient, study, organization, practitioner or device.
pub(crate) fn id32(text: &str) -> Option<i32> {
    digits(text)?.parse().ok()
}

/// An id of an observation.
pub(crate) fn id64(text: &str) -> Option<i64> {
    digits(text)?.parse().ok()
}

/// A literal reference taken apart: the base of an absolute one, and the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) base: Option<String>,
    pub(crate) id: i32,
}

/// Reads `Patient/40001`.
pub(crate) fn relative(text: &str, resource_type: &str) -> Option<i32> {
    id32(text.strip_prefix(resource_type)?.strip_prefix('/')?)
}

/// Reads `Patient/40001` or an absolute http(s) URL ending so.
pub(crate) fn reference(text: &str, resource_type: &str) -> Option<Reference> {
    if let Some(id) = relative(text, resource_type) {
        return Some(Reference { base: None, id });
    }
    let (before, id) = text.rsplit_once('/')?;
    let base = before.strip_suffix(resource_type)?.strip_suffix('/')?;
    let absolute = base.starts_with("https://") || base.starts_with("http://");
    if !absolute || uri_fault(base).is_some() {
        return None;
    }
    Some(Reference { base: Some(base.to_owned()), id: id32(id)? })
}

/// A name from the caller that is short and plain enough to repeat in an answer.
pub(crate) fn quotable(name: &str) -> Option<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    (!name.is_empty() && name.len() <= 64 && name.bytes().all(plain)).then_some(name)
}
