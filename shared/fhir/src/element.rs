//! Reading elements of a submitted resource, each with its `FHIRPath`.

use serde_json::{Map, Value};

use crate::Rejection;
use crate::primitive::{code_fault, quotable, string_fault, uri_fault};

/// A rule of a primitive type: what is wrong with a text, if anything.
type Rule = fn(&str) -> Option<&'static str>;

/// An object in a submitted resource, and where it is.
#[derive(Clone, Debug)]
pub(crate) struct Element<'a> {
    members: &'a Map<String, Value>,
    path: String,
}

impl<'a> Element<'a> {
    /// The object at `path`.
    pub(crate) fn new(value: &'a Value, path: String) -> Result<Self, Rejection> {
        match value.as_object() {
            Some(members) if !members.is_empty() => Ok(Self { members, path }),
            Some(_) => Err(Rejection::structure(&path, "must not be empty")),
            None => Err(Rejection::structure(&path, "must be a JSON object")),
        }
    }

    /// The path of a member.
    pub(crate) fn at(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    /// The path of this element.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Refuses every member but those of `kept`: nothing is lost silently. Members that R5 defines
    /// and we do not keep are told apart from those it does not define.
    pub(crate) fn only(&self, kept: &[&str], defined: &[&str]) -> Result<(), Rejection> {
        let Some(name) = self.members.keys().find(|name| !kept.contains(&name.as_str())) else {
            return Ok(());
        };
        // `_name` carries the id and extensions of the primitive `name`.
        let base = name.strip_prefix('_').unwrap_or(name);
        let in_r5 = ["id", "extension"].contains(&base) || kept.contains(&base) || defined.contains(&base);
        match quotable(name) {
            Some(name) if in_r5 => {
                Err(Rejection::not_supported(&self.at(name), "is an R5 element that this server does not keep"))
            }
            Some(name) => Err(Rejection::structure(&self.at(name), "is not an element of R5")),
            None => Err(Rejection::structure(&self.path, "has an element that R5 does not define")),
        }
    }

    /// All members.
    pub(crate) const fn members(&self) -> &'a Map<String, Value> {
        self.members
    }

    /// A member as it is.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name)
    }

    /// A member that is an object.
    pub(crate) fn child(&self, name: &str) -> Result<Option<Self>, Rejection> {
        self.get(name).map(|value| Self::new(value, self.at(name))).transpose()
    }

    /// The objects of a list; none when the member is absent.
    pub(crate) fn list(&self, name: &str, most: usize) -> Result<Vec<Self>, Rejection> {
        let Some(value) = self.get(name) else {
            return Ok(Vec::new());
        };
        let path = self.at(name);
        let items = value.as_array().ok_or_else(|| Rejection::structure(&path, "must be a JSON array"))?;
        if items.is_empty() {
            return Err(Rejection::structure(&path, "must not be an empty array"));
        }
        if items.len() > most {
            return Err(Rejection::value(&path, &format!("must not have more than {most} items")));
        }
        items.iter().enumerate().map(|(index, item)| Self::new(item, format!("{path}[{index}]"))).collect()
    }

    /// A member that is text, and obeys the rule.
    pub(crate) fn text(&self, name: &str, rule: Rule) -> Result<Option<String>, Rejection> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let path = self.at(name);
        let text = value.as_str().ok_or_else(|| Rejection::structure(&path, "must be a JSON string"))?;
        match rule(text) {
            Some(problem) => Err(Rejection::value(&path, problem)),
            None => Ok(Some(text.to_owned())),
        }
    }

    /// A `string`.
    pub(crate) fn string(&self, name: &str) -> Result<Option<String>, Rejection> {
        self.text(name, string_fault)
    }

    /// A `uri`.
    pub(crate) fn uri(&self, name: &str) -> Result<Option<String>, Rejection> {
        self.text(name, uri_fault)
    }

    /// A `code`.
    pub(crate) fn code(&self, name: &str) -> Result<Option<String>, Rejection> {
        self.text(name, code_fault)
    }

    /// A `boolean`.
    pub(crate) fn boolean(&self, name: &str) -> Result<Option<bool>, Rejection> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        value.as_bool().map(Some).ok_or_else(|| Rejection::structure(&self.at(name), "must be true or false"))
    }
}

/// A member that must be there.
pub(crate) fn required<T>(member: Option<T>, path: &str) -> Result<T, Rejection> {
    member.ok_or_else(|| Rejection::required(path))
}
