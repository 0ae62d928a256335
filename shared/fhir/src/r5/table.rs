//! The table of the definitions, read once.

use std::{collections::HashMap, iter::successors, sync::LazyLock};

use super::primitive::Primitive;

const TEXT: &str = include_str!("definitions.txt");

/// What an element can be.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// A value, of a list of codes if there is one, with spaces between them.
    Primitive(Primitive, Option<&'static str>),
    /// An object with elements of its own.
    Complex(&'static str),
    /// Any resource.
    Resource,
}

impl Kind {
    pub(super) const fn is_primitive(self) -> bool {
        matches!(self, Self::Primitive(..))
    }
}

/// An element of a type.
pub(super) struct Element {
    /// Its name, without the type at its end where it has one of several.
    pub(super) name: &'static str,
    pub(super) is_required: bool,
    pub(super) is_list: bool,
    /// Whether its name ends with its type: `value[x]`.
    pub(super) is_choice: bool,
    kinds: Vec<(&'static str, Kind)>,
}

impl Element {
    /// What the member with this name is, if it is this element.
    pub(super) fn named(&self, name: &str) -> Option<Kind> {
        let rest = name.strip_prefix(self.name)?;
        if !self.is_choice {
            return self.kinds.first().filter(|_| rest.is_empty()).map(|(_, kind)| *kind);
        }
        self.kinds.iter().find(|(kind, _)| is_capitalized(kind, rest)).map(|(_, kind)| *kind)
    }
}

/// Whether a text is a name with its first letter capital.
fn is_capitalized(name: &str, text: &str) -> bool {
    let (Some((first, rest)), Some((capital, end))) = (name.split_at_checked(1), text.split_at_checked(1)) else {
        return false;
    };
    rest == end && capital == first.to_ascii_uppercase()
}

/// A resource type, a data type, or an element that has elements.
pub(super) struct Type {
    base: &'static str,
    own: Vec<Element>,
}

impl Type {
    /// Its elements, with those of the types that it extends.
    pub(super) fn elements(&self) -> impl Iterator<Item = &Element> {
        successors(Some(self), |extended| data_type(extended.base)).flat_map(|one| &one.own)
    }
}

static TYPES: LazyLock<HashMap<&'static str, Type>> = LazyLock::new(|| read(TEXT));

/// A type by its name.
pub(super) fn data_type(name: &str) -> Option<&'static Type> {
    TYPES.get(name)
}

/// A resource type by its name. What others extend is none.
pub(super) fn resource(name: &str) -> Option<&'static Type> {
    let found = data_type(name)?;
    (name != "DomainResource" && ["DomainResource", "Resource"].contains(&found.base)).then_some(found)
}

fn read(text: &'static str) -> HashMap<&'static str, Type> {
    let lines = || text.lines().filter_map(|line| line.split_once(' ').or(Some((line, ""))));
    let codes: HashMap<&str, &'static str> =
        lines().filter_map(|(name, codes)| Some((name.strip_prefix('#')?, codes))).collect();
    lines()
        .filter(|(name, _)| !name.starts_with('#'))
        .map(|(name, rest)| {
            let (base, elements) = rest.split_once(' ').unwrap_or((rest, ""));
            (
                name,
                Type { base, own: elements.split_ascii_whitespace().filter_map(|one| element(one, &codes)).collect() },
            )
        })
        .collect()
}

fn element(text: &'static str, codes: &HashMap<&str, &'static str>) -> Option<Element> {
    let (name, types) = text.split_once('=')?;
    let bare = types.trim_end_matches(['!', '*', '+']);
    let sign = types.get(bare.len()..).unwrap_or_default();
    let kinds = bare.split('|').map(|kind| {
        let (kind, value_set) = kind.split_once('@').map_or((kind, None), |(kind, set)| (kind, Some(set)));
        let known = match Primitive::named(kind) {
            Some(primitive) => Kind::Primitive(primitive, value_set.and_then(|set| codes.get(set).copied())),
            None if kind == "Resource" => Kind::Resource,
            None => Kind::Complex(kind),
        };
        (kind, known)
    });
    Some(Element {
        name: name.strip_suffix("[x]").unwrap_or(name),
        is_required: ["!", "+"].contains(&sign),
        is_list: ["*", "+"].contains(&sign),
        is_choice: name.ends_with("[x]"),
        kinds: kinds.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_in_the_table_is_known() {
        for (name, rules) in &*TYPES {
            assert!(rules.base == "-" || data_type(rules.base).is_some(), "{name} extends {}", rules.base);
            for element in &rules.own {
                assert!(!element.kinds.is_empty(), "{name}.{}", element.name);
                for (_, kind) in &element.kinds {
                    match kind {
                        Kind::Complex(kind) => assert!(data_type(kind).is_some(), "{name}.{} is {kind}", element.name),
                        Kind::Primitive(_, codes) => assert_ne!(*codes, Some(""), "{name}.{}", element.name),
                        Kind::Resource => {}
                    }
                }
            }
        }
        let bound = TEXT.matches('@').count();
        let found =
            |element: &Element| element.kinds.iter().any(|(_, kind)| matches!(kind, Kind::Primitive(_, Some(_))));
        assert_eq!(TYPES.values().flat_map(|rules| &rules.own).filter(|element| found(element)).count(), bound);
        assert!(bound > 200, "{bound}");
    }

    #[test]
    fn resource_types_are_told_from_data_types() {
        let resources = TYPES.keys().filter(|name| resource(name).is_some()).count();
        assert_eq!(resources, 158);
        for name in ["Resource", "DomainResource", "Base", "Quantity", "Condition.stage", "Nonsense", ""] {
            assert!(resource(name).is_none(), "{name}");
        }
        for name in crate::auxiliary::TYPES {
            assert!(resource(name).is_some(), "{name}");
        }
    }
}
