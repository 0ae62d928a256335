//! Whether a resource is one of FHIR R5: its elements, how many there are of each, their types, and codes of value sets that are
//! required (<https://hl7.org/fhir/R5/json.html>).
//!
//! The rules are a table that `scripts/r5_definitions.py` makes from the definitions that HL7 publishes. Not checked are the
//! invariants, what a reference is to, and value sets that cannot be listed, or are of more than a `code`.

mod primitive;
mod table;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::Rejection;
use crate::primitive::quotable;
use primitive::Primitive;
use table::{Element, Kind, Type};

/// Where an element is. It is written only when something is wrong there.
#[derive(Clone, Copy)]
struct Place<'a> {
    above: Option<&'a Place<'a>>,
    name: &'a str,
    index: Option<usize>,
}

impl<'a> Place<'a> {
    const fn top(name: &'a str) -> Self {
        Self { above: None, name, index: None }
    }

    const fn member(&'a self, name: &'a str) -> Self {
        Self { above: Some(self), name, index: None }
    }

    const fn item(self, index: usize) -> Self {
        Self { index: Some(index), ..self }
    }

    /// The `FHIRPath`.
    fn text(&self) -> String {
        let mut text = self.above.map(|above| above.text() + ".").unwrap_or_default();
        text.push_str(self.name);
        if let Some(index) = self.index {
            // Writing to a String does not fail.
            let _ = write!(text, "[{index}]");
        }
        text
    }
}

/// Checks a resource of a type, whose `resourceType` says so. The depth of the value must be bounded.
pub(crate) fn check(kind: &str, resource: &Value) -> Result<(), Rejection> {
    let place = Place::top(kind);
    let rules = table::resource(kind).ok_or_else(|| Rejection::not_served("resource type", "is not of R5"))?;
    object(resource, rules, true, &place)
}

/// Checks a resource inside another.
fn contained(value: &Value, place: &Place<'_>) -> Result<(), Rejection> {
    let named = value.get("resourceType").and_then(Value::as_str);
    let rules = named.and_then(table::resource).ok_or_else(|| {
        Rejection::value(&place.member("resourceType").text(), "must be the name of a resource type of R5")
    })?;
    object(value, rules, true, place)
}

/// Checks an object: each of its members is one of its type, and nothing is missing.
fn object(value: &Value, rules: &Type, is_resource: bool, place: &Place<'_>) -> Result<(), Rejection> {
    let members = value
        .as_object()
        .filter(|members| !members.is_empty())
        .ok_or_else(|| Rejection::structure(&place.text(), "must be a JSON object with members"))?;
    for (name, value) in members {
        if is_resource && name == "resourceType" {
            continue;
        }
        member(members, name, value, rules, place)?;
    }
    rules.elements().try_for_each(|element| complete(members, element, place))
}

/// Checks a member by its name.
fn member(
    members: &Map<String, Value>,
    name: &str,
    value: &Value,
    rules: &Type,
    place: &Place<'_>,
) -> Result<(), Rejection> {
    let found = |name: &str| rules.elements().find_map(|element| Some((element, element.named(name)?)));
    if let Some((element, kind)) = found(name) {
        let other = if kind.is_primitive() { members.get(&format!("_{name}")) } else { None };
        return counted(value, other, element, kind, &place.member(name));
    }
    // `_name` has the id and the extensions of the primitive `name`.
    match name.strip_prefix('_').and_then(found) {
        Some((element, kind)) if kind.is_primitive() => {
            let described = Kind::Complex("Element");
            counted(value, members.get(name.get(1..).unwrap_or_default()), element, described, &place.member(name))
        }
        _ => Err(match quotable(name) {
            Some(name) => Rejection::structure(&place.member(name).text(), "is not an element of R5"),
            None => Rejection::structure(&place.text(), "has an element that R5 does not define"),
        }),
    }
}

/// Checks a value that is there once, or a list. In a list of primitives an item is null where `other`, the list of what is known
/// of the items besides, has something.
fn counted(
    value: &Value,
    other: Option<&Value>,
    element: &Element,
    kind: Kind,
    place: &Place<'_>,
) -> Result<(), Rejection> {
    if !element.is_list {
        return single(value, kind, place);
    }
    let items = value
        .as_array()
        .filter(|items| !items.is_empty())
        .ok_or_else(|| Rejection::structure(&place.text(), "must be a JSON array with items"))?;
    let others = other.and_then(Value::as_array);
    if others.is_some_and(|others| others.len() != items.len()) {
        return Err(Rejection::structure(&place.text(), "must have as many items as what is known of them besides"));
    }
    for (index, item) in items.iter().enumerate() {
        let beside = others.and_then(|others| others.get(index)).is_some_and(|other| !other.is_null());
        if !(item.is_null() && beside) {
            single(item, kind, &place.item(index))?;
        }
    }
    Ok(())
}

fn single(value: &Value, kind: Kind, place: &Place<'_>) -> Result<(), Rejection> {
    match kind {
        Kind::Primitive(primitive, codes) => text(value, primitive, codes, place),
        Kind::Resource => contained(value, place),
        Kind::Complex(name) => match table::data_type(name) {
            Some(rules) => object(value, rules, false, place),
            None => Err(Rejection::structure(&place.text(), "is of a type that is not known")),
        },
    }
}

fn text(value: &Value, primitive: Primitive, codes: Option<&str>, place: &Place<'_>) -> Result<(), Rejection> {
    if let Some(problem) = primitive.misfit(value) {
        return Err(Rejection::structure(&place.text(), problem));
    }
    if let Some(problem) = primitive.fault(value) {
        return Err(Rejection::value(&place.text(), problem));
    }
    match (codes, value.as_str()) {
        (Some(codes), Some(code)) if !codes.split(' ').any(|known| known == code) => {
            Err(Rejection::value(&place.text(), "must be a code of its value set"))
        }
        _ => Ok(()),
    }
}

/// Checks that an element is there if it must be, and in one form only.
fn complete(members: &Map<String, Value>, element: &Element, place: &Place<'_>) -> Result<(), Rejection> {
    if !element.is_required && !element.is_choice {
        return Ok(());
    }
    let mut forms: Vec<&str> = members
        .keys()
        .map(|name| name.strip_prefix('_').unwrap_or(name))
        .filter(|name| element.named(name).is_some())
        .collect();
    forms.sort_unstable();
    forms.dedup();
    match forms.len() {
        0 if element.is_required => Err(Rejection::required(&place.member(element.name).text())),
        0 | 1 => Ok(()),
        _ => Err(Rejection::structure(&place.member(element.name).text(), "must be given once")),
    }
}
