//! The data types of R5 that are kept as they were sent, as tables
//! (<https://hl7.org/fhir/R5/datatypes.html>), and the check against them.

use serde_json::{Map, Value};

use crate::Rejection;
use crate::datetime::is_date_time;
use crate::primitive::{code_fault, quotable, string_fault, text_fault, uri_fault};

/// The longest number, in characters.
const MAX_NUMBER: usize = 64;

/// The most items of a list.
const MAX_ITEMS: usize = 100;

/// What is wrong with an object beyond its members, if anything.
type Invariant = fn(&Map<String, Value>) -> Option<&'static str>;

/// What an element can be.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Text that obeys a rule.
    Text(fn(&str) -> Option<&'static str>),
    /// `decimal`: its digits are kept.
    Decimal,
    /// `integer`.
    Integer,
    /// `positiveInt`.
    PositiveInteger,
    /// `boolean`.
    Boolean,
    /// A data type with members.
    Complex(&'static [Member], Invariant),
}

/// How many of a member there are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Many {
    Optional,
    Required,
    List,
}

/// A member of a data type.
#[derive(Clone, Copy)]
pub(crate) struct Member {
    pub(crate) name: &'static str,
    kind: Kind,
    many: Many,
}

pub(crate) const fn optional(name: &'static str, kind: Kind) -> Member {
    Member { name, kind, many: Many::Optional }
}

pub(crate) const fn required(name: &'static str, kind: Kind) -> Member {
    Member { name, kind, many: Many::Required }
}

pub(crate) const fn list(name: &'static str, kind: Kind) -> Member {
    Member { name, kind, many: Many::List }
}

pub(crate) const STRING: Kind = Kind::Text(string_fault);
pub(crate) const TEXT: Kind = Kind::Text(text_fault);
const URI: Kind = Kind::Text(uri_fault);
const CODE: Kind = Kind::Text(code_fault);
pub(crate) const DATE_TIME: Kind = Kind::Text(|text| (!is_date_time(text)).then_some("must be a FHIR dateTime"));
pub(crate) const TIME: Kind = Kind::Text(|text| (!is_time(text)).then_some("must be a FHIR time such as 08:00:00"));
const COMPARATOR: Kind = Kind::Text(|text| {
    (!["<", "<=", ">=", ">", "ad"].contains(&text)).then_some("must be a code of the quantity-comparator value set")
});
const SAMPLES: Kind = Kind::Text(|text| {
    let fits = |byte: u8| byte.is_ascii_digit() || b" .-+eEUL".contains(&byte);
    (text.trim().is_empty() || !text.bytes().all(fits))
        .then_some("must be decimals, E, U and L, with spaces between them")
});

const CODING: Kind = Kind::Complex(
    &[
        optional("system", URI),
        optional("version", STRING),
        optional("code", CODE),
        optional("display", STRING),
        optional("userSelected", Kind::Boolean),
    ],
    nothing,
);
pub(crate) const CODEABLE_CONCEPT: Kind = Kind::Complex(&[list("coding", CODING), optional("text", STRING)], nothing);
pub(crate) const QUANTITY: Kind = Kind::Complex(
    &[
        optional("value", Kind::Decimal),
        optional("comparator", COMPARATOR),
        optional("unit", STRING),
        optional("system", URI),
        optional("code", CODE),
    ],
    coded_in_a_system,
);
/// `SimpleQuantity`: a Quantity without a comparator.
pub(crate) const SIMPLE_QUANTITY: Kind = Kind::Complex(
    &[optional("value", Kind::Decimal), optional("unit", STRING), optional("system", URI), optional("code", CODE)],
    coded_in_a_system,
);
pub(crate) const RANGE: Kind =
    Kind::Complex(&[optional("low", SIMPLE_QUANTITY), optional("high", SIMPLE_QUANTITY)], nothing);
pub(crate) const RATIO: Kind =
    Kind::Complex(&[required("numerator", QUANTITY), required("denominator", SIMPLE_QUANTITY)], nothing);
pub(crate) const PERIOD: Kind = Kind::Complex(&[optional("start", DATE_TIME), optional("end", DATE_TIME)], in_order);
pub(crate) const SAMPLED_DATA: Kind = Kind::Complex(
    &[
        required("origin", SIMPLE_QUANTITY),
        optional("interval", Kind::Decimal),
        required("intervalUnit", CODE),
        optional("factor", Kind::Decimal),
        optional("lowerLimit", Kind::Decimal),
        optional("upperLimit", Kind::Decimal),
        required("dimensions", Kind::PositiveInteger),
        optional("codeMap", URI),
        optional("offsets", SAMPLES),
        optional("data", SAMPLES),
    ],
    |members| {
        // sdd-1 of R5: something says when the samples were taken.
        (members.contains_key("interval") == members.contains_key("offsets"))
            .then_some("needs interval or offsets, and not both")
    },
);
pub(crate) const ANNOTATION: Kind =
    Kind::Complex(&[optional("authorString", STRING), optional("time", DATE_TIME), required("text", TEXT)], nothing);

pub(crate) const fn nothing(_: &Map<String, Value>) -> Option<&'static str> {
    None
}

/// qty-3: a code is of a system.
fn coded_in_a_system(members: &Map<String, Value>) -> Option<&'static str> {
    (members.contains_key("code") && !members.contains_key("system")).then_some("needs the system of its code")
}

/// per-1. Texts that are no dates are refused as members.
fn in_order(members: &Map<String, Value>) -> Option<&'static str> {
    let moment = |name| members.get(name).and_then(Value::as_str).and_then(crate::datetime::parse);
    let (start, end) = (moment("start")?, moment("end")?);
    (end.high <= start.low).then_some("must not end before it starts")
}

/// A `time`: hh:mm:ss, with a fraction or without.
pub(crate) fn is_time(text: &str) -> bool {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let part = |from: usize, most: u8| {
        clock.get(from..from + 2).is_some_and(|digits| {
            digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u8>().is_ok_and(|number| number <= most)
        })
    };
    let colons = clock.len() == 8 && clock.get(2..3) == Some(":") && clock.get(5..6) == Some(":");
    let digits = (1..=9).contains(&fraction.len()) && fraction.bytes().all(|byte| byte.is_ascii_digit());
    colons && part(0, 23) && part(3, 59) && part(6, 59) && digits
}

/// Checks an element: everything in it is of its type, and nothing is in it that is not kept.
pub(crate) fn check(value: &Value, kind: Kind, path: &str) -> Result<(), Rejection> {
    match kind {
        Kind::Text(rule) => {
            let text = value.as_str().ok_or_else(|| Rejection::structure(path, "must be a JSON string"))?;
            rule(text).map_or(Ok(()), |problem| Err(Rejection::value(path, problem)))
        }
        Kind::Boolean if value.is_boolean() => Ok(()),
        Kind::Boolean => Err(Rejection::structure(path, "must be true or false")),
        Kind::Decimal | Kind::Integer | Kind::PositiveInteger => check_number(value, kind, path),
        Kind::Complex(members, invariant) => check_object(value, members, invariant, path),
    }
}

fn check_number(value: &Value, kind: Kind, path: &str) -> Result<(), Rejection> {
    if !value.is_number() {
        return Err(Rejection::structure(path, "must be a JSON number"));
    }
    let fits = match kind {
        Kind::Integer => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        Kind::PositiveInteger => value.as_i64().is_some_and(|number| number > 0 && i32::try_from(number).is_ok()),
        _ => value.to_string().len() <= MAX_NUMBER && value.as_f64().is_some_and(f64::is_finite),
    };
    if fits { Ok(()) } else { Err(Rejection::value(path, "is a number out of range")) }
}

fn check_object(value: &Value, members: &[Member], invariant: Invariant, path: &str) -> Result<(), Rejection> {
    let object = value
        .as_object()
        .filter(|object| !object.is_empty())
        .ok_or_else(|| Rejection::structure(path, "must be a JSON object with members"))?;
    if let Some(name) = object.keys().find(|name| !members.iter().any(|member| member.name == name.as_str())) {
        let at = quotable(name).map_or_else(|| path.to_owned(), |name| format!("{path}.{name}"));
        return Err(Rejection::not_supported(&at, "is not kept by this server"));
    }
    for member in members {
        let at = format!("{path}.{}", member.name);
        match object.get(member.name) {
            Some(value) => member.check(value, &at)?,
            None if member.many == Many::Required => return Err(Rejection::required(&at)),
            None => {}
        }
    }
    invariant(object).map_or(Ok(()), |problem| Err(Rejection::value(path, problem)))
}

impl Member {
    /// Checks the value of this member, which is at `path`.
    pub(crate) fn check(&self, value: &Value, path: &str) -> Result<(), Rejection> {
        if self.many != Many::List {
            return check(value, self.kind, path);
        }
        let items = value
            .as_array()
            .filter(|items| !items.is_empty())
            .ok_or_else(|| Rejection::structure(path, "must be a JSON array with items"))?;
        if items.len() > MAX_ITEMS {
            return Err(Rejection::too_costly(path, "must not have more than 100 items"));
        }
        items.iter().enumerate().try_for_each(|(index, item)| check(item, self.kind, &format!("{path}[{index}]")))
    }

    /// Takes out of the value of this member what is not kept, and names it in `dropped`.
    pub(crate) fn prune(&self, value: &mut Value, path: &str, dropped: &mut Vec<String>) {
        match value {
            Value::Array(items) => {
                for item in items.iter_mut() {
                    prune(item, self.kind, path, dropped);
                }
                items.retain(|item| !is_empty(item));
            }
            other => prune(other, self.kind, path, dropped),
        }
    }
}

fn prune(value: &mut Value, kind: Kind, path: &str, dropped: &mut Vec<String>) {
    if let (Value::Object(object), Kind::Complex(members, _)) = (value, kind) {
        prune_object(object, members, path, dropped);
    }
}

/// Takes the members out of an object that are not among these.
pub(crate) fn prune_object(object: &mut Map<String, Value>, members: &[Member], path: &str, dropped: &mut Vec<String>) {
    object.retain(|name, value| {
        let at = format!("{path}.{}", quotable(name).unwrap_or("?"));
        if let Some(member) = members.iter().find(|member| member.name == name.as_str()) {
            member.prune(value, &at, dropped);
            return !is_empty(value);
        }
        if !dropped.contains(&at) {
            dropped.push(at);
        }
        false
    });
}

/// FHIR has no empty objects and lists.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}
