//! The name that an identity provider gives a person (Core 2.2.3).

use crate::{
    Refusal, names,
    xml::{attribute, escape, text},
};
use uppsala::{Document, NodeId};

/// A `NameID`, as it is to be repeated in a request to sign out (Profiles 4.4.4.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameId {
    /// The name.
    pub value: String,
    /// What kind of name it is.
    pub format: Option<String>,
    /// The identity provider among several that share names.
    pub name_qualifier: Option<String>,
    /// The service provider for which the name was made.
    pub sp_name_qualifier: Option<String>,
}

/// The longest part of a name.
const MAX_LENGTH: usize = 1024;

impl NameId {
    pub(crate) fn read(document: &Document<'_>, node: NodeId) -> Result<Self, Refusal> {
        let value = text(document, node)?;
        let part = |name| attribute(document, node, name).map(str::to_owned);
        let name = Self {
            value,
            format: part("Format"),
            name_qualifier: part("NameQualifier"),
            sp_name_qualifier: part("SPNameQualifier"),
        };
        let is_possible = !name.value.is_empty()
            && [&name.format, &name.name_qualifier, &name.sp_name_qualifier]
                .into_iter()
                .flatten()
                .chain([&name.value])
                .all(|part| part.len() <= MAX_LENGTH && !part.contains(char::is_control));
        if is_possible { Ok(name) } else { Err(Refusal::Malformed) }
    }

    /// Whether the name is an e-mail address.
    pub(crate) fn is_email(&self) -> bool {
        self.format.as_deref() == Some(names::EMAIL)
    }

    pub(crate) fn write(&self) -> String {
        let part = |name: &str, value: &Option<String>| {
            value.as_deref().map(|value| format!(" {name}=\"{}\"", escape(value))).unwrap_or_default()
        };
        format!(
            "<saml:NameID{}{}{}>{}</saml:NameID>",
            part("Format", &self.format),
            part("NameQualifier", &self.name_qualifier),
            part("SPNameQualifier", &self.sp_name_qualifier),
            escape(&self.value)
        )
    }
}
