//! Whether a body has the shape that its route takes.

use crate::{Field, Kind, Shape};
use jiff::{Timestamp, civil::Date};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What is wrong, by the field's name; in a list and in an object by its place: `identifiers[0].value`.
pub type Problems = BTreeMap<String, Vec<String>>;

/// Whether all required members must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// All: something is created.
    Whole,
    /// Only what is to change.
    Part,
}

const NOT_A_NUMBER: &str = "A valid integer is required.";
const NOT_A_TEXT: &str = "Not a valid string.";
const NULL: &str = "This field may not be null.";

/// The control characters that a text with lines may have.
pub const LINES: [char; 3] = ['\n', '\r', '\t'];

impl Shape {
    /// All that is wrong with an object. No value is repeated.
    #[must_use]
    pub fn problems(&self, object: &Map<String, Value>, completeness: Completeness) -> Problems {
        let mut problems = Problems::new();
        self.check(object, completeness, "", &mut problems);
        problems
    }

    fn check(&self, object: &Map<String, Value>, completeness: Completeness, place: &str, problems: &mut Problems) {
        for name in object.keys().filter(|name| self.fields.iter().all(|field| !field.is_named(name))) {
            // As much of the name as tells which field it is.
            let name: String = name.chars().take(100).collect();
            add(problems, &format!("{place}{name}"), "This field is not known.");
        }
        for field in self.fields {
            let at = format!("{place}{}", field.name);
            if object.keys().filter(|name| field.is_named(name)).count() > 1 {
                add(problems, &at, "It is given more than once.");
            }
            match field.of(object) {
                Some(value) => field.kind.check(value, &at, problems),
                None if field.required && completeness == Completeness::Whole => {
                    add(problems, &at, "This field is required.");
                }
                None => {}
            }
        }
    }
}

impl Field {
    fn is_named(&self, name: &str) -> bool {
        self.name == name || snake_case(self.name) == name
    }

    fn of<'a>(&self, object: &'a Map<String, Value>) -> Option<&'a Value> {
        object.get(self.name).or_else(|| object.get(&snake_case(self.name)))
    }
}

impl Kind {
    fn check(&self, value: &Value, at: &str, problems: &mut Problems) {
        match (self, value) {
            (Self::OrNull(_), Value::Null) => {}
            (Self::OrNull(kind), _) => kind.check(value, at, problems),
            (_, Value::Null) => add(problems, at, NULL),
            (Self::List(kind, limit), _) => match value.as_array() {
                None => add(problems, at, "Expected a list of items."),
                Some(items) if items.len() > *limit => {
                    add(problems, at, &format!("Expected at most {limit} items."));
                }
                Some(items) => {
                    for (index, item) in items.iter().enumerate() {
                        kind.check(item, &format!("{at}[{index}]"), problems);
                    }
                }
            },
            (Self::Object(shape), _) => match value.as_object() {
                None => add(problems, at, "Expected an object."),
                Some(object) => shape.check(object, Completeness::Whole, &format!("{at}."), problems),
            },
            _ => {
                if let Err(problem) = self.check_scalar(value) {
                    add(problems, at, &problem);
                }
            }
        }
    }

    fn check_scalar(&self, value: &Value) -> Result<(), String> {
        let text = || value.as_str().map(str::trim).ok_or_else(|| NOT_A_TEXT.to_owned());
        let ensure = |holds: bool, problem: &str| if holds { Ok(()) } else { Err(problem.to_owned()) };
        match self {
            Self::Integer => ensure(whole_number(value).is_some_and(|id| i32::try_from(id).is_ok()), NOT_A_NUMBER),
            Self::Long => ensure(whole_number(value).is_some(), NOT_A_NUMBER),
            Self::Boolean => ensure(value.is_boolean(), "Must be a valid boolean."),
            Self::Text(limit) => check_text(text()?, *limit, char::is_control),
            Self::Lines(limit) => check_text(text()?, *limit, |c| c.is_control() && !LINES.contains(&c)),
            Self::AnyText => text().map(drop),
            Self::Email => ensure(is_email(text()?), "Enter a valid email address."),
            Self::Date => ensure(date(text()?).is_some(), "Enter a valid date, as in 1990-01-31."),
            Self::Instant => {
                ensure(text()?.parse::<Timestamp>().is_ok(), "Enter an instant such as 2026-11-21T18:00:00Z.")
            }
            Self::OneOf(choices) => {
                ensure(choices.contains(&text()?), &format!("Expected one of: {}.", choices.join(", ")))
            }
            Self::Document | Self::Named(_) => ensure(value.is_object(), "Expected an object."),
            // Checked by the caller, which knows the place.
            Self::List(..) | Self::Object(_) | Self::OrNull(_) | Self::Any => Ok(()),
        }
    }
}

fn add(problems: &mut Problems, at: &str, problem: &str) {
    problems.entry(at.to_owned()).or_default().push(problem.to_owned());
}

fn check_text(text: &str, limit: usize, is_refused: impl Fn(char) -> bool) -> Result<(), String> {
    if text.is_empty() {
        Err("This field may not be blank.".to_owned())
    } else if text.chars().count() > limit {
        Err(format!("Ensure this field has no more than {limit} characters."))
    } else if text.chars().any(is_refused) {
        Err("Control characters are not allowed.".to_owned())
    } else {
        Ok(())
    }
}

fn whole_number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// A day written `YYYY-MM-DD`, of the years 1 to 9999.
fn date(text: &str) -> Option<Date> {
    let written =
        |(index, byte): (usize, u8)| if matches!(index, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() };
    let well_formed = text.len() == 10 && text.bytes().enumerate().all(written);
    well_formed.then(|| text.parse::<Date>().ok()).flatten().filter(|date| date.year() >= 1)
}

/// Whether a text is a mailbox of RFC 5321 in its common form: no quotes, no address literal, a domain with a dot, 254
/// characters at most.
#[must_use]
pub fn is_email(text: &str) -> bool {
    let atom = |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte);
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.len() <= 254
        && text.split_once('@').is_some_and(|(local, domain)| {
            (1..=64).contains(&local.len())
                && local.bytes().all(atom)
                && local.split('.').all(|part| !part.is_empty())
                && domain.contains('.')
                && domain.split('.').all(label)
        })
}

/// `organizationId` and `organization_id` name the same.
#[must_use]
pub fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests;
