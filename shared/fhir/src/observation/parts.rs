//! The data types inside an Observation that we keep.

use std::collections::HashSet;

use super::parse::is_of_data_points;
use crate::Rejection;
use crate::element::{Element, required};
use crate::json::Object;
use crate::primitive;

const MAX_IDENTIFIERS: usize = 20;
const MAX_CODINGS: usize = 20;

/// The code system LOINC (<https://hl7.org/fhir/R5/loinc.html>).
const LOINC: &str = "http://loinc.org";

/// `Identifier.use` (<https://hl7.org/fhir/R5/valueset-identifier-use.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentifierUse {
    /// Recommended for display.
    Usual,
    /// Considered the most trusted.
    Official,
    /// Temporary.
    Temp,
    /// Secondary use.
    Secondary,
    /// No longer valid.
    Old,
}

impl IdentifierUse {
    const ALL: [Self; 5] = [Self::Usual, Self::Official, Self::Temp, Self::Secondary, Self::Old];

    /// The code on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Usual => "usual",
            Self::Official => "official",
            Self::Temp => "temp",
            Self::Secondary => "secondary",
            Self::Old => "old",
        }
    }
}

/// `Identifier`: we need the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifier {
    /// The namespace of the value.
    pub system: Option<String>,
    /// The value.
    pub value: String,
    /// What it is for.
    pub used_for: Option<IdentifierUse>,
}

impl Identifier {
    fn read(element: &Element<'_>) -> Result<Self, Rejection> {
        element.only(&["system", "value", "use"], &["type", "period", "assigner"])?;
        let used_for = element
            .code("use")?
            .map(|code| {
                IdentifierUse::ALL.into_iter().find(|known| known.as_str() == code).ok_or_else(|| {
                    Rejection::value(&element.at("use"), "must be a code of the identifier-use value set")
                })
            })
            .transpose()?;
        Ok(Self {
            system: element.uri("system")?,
            value: required(element.string("value")?, &element.at("value"))?,
            used_for,
        })
    }

    pub(super) fn to_json(&self) -> String {
        Object::new()
            .optional("use", self.used_for.map(IdentifierUse::as_str))
            .optional("system", self.system.as_deref())
            .string("value", &self.value)
            .finish()
    }
}

/// Reads `identifier`; the same system and value twice would collide with itself.
pub(super) fn identifiers(root: &Element<'_>) -> Result<Vec<Identifier>, Rejection> {
    let elements = root.list("identifier", MAX_IDENTIFIERS)?;
    let identifiers: Vec<Identifier> = elements.iter().map(Identifier::read).collect::<Result<_, _>>()?;
    let mut seen = HashSet::new();
    if identifiers.iter().all(|identifier| seen.insert((&identifier.system, &identifier.value))) {
        Ok(identifiers)
    } else {
        Err(Rejection::value(&root.at("identifier"), "has the same system and value twice"))
    }
}

/// `Coding`, as sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coding {
    /// The code system.
    pub system: Option<String>,
    /// The version of the code system.
    pub version: Option<String>,
    /// The code.
    pub code: Option<String>,
    /// The code in words.
    pub display: Option<String>,
    /// Whether a user chose it.
    pub user_selected: Option<bool>,
}

impl Coding {
    fn read(element: &Element<'_>) -> Result<Self, Rejection> {
        element.only(&["system", "version", "code", "display", "userSelected"], &[])?;
        Ok(Self {
            system: element.uri("system")?,
            version: element.string("version")?,
            code: element.code("code")?,
            display: element.string("display")?,
            user_selected: element.boolean("userSelected")?,
        })
    }

    fn to_json(&self) -> String {
        let coding = Object::new()
            .optional("system", self.system.as_deref())
            .optional("version", self.version.as_deref())
            .optional("code", self.code.as_deref())
            .optional("display", self.display.as_deref());
        match self.user_selected {
            Some(chosen) => coding.value("userSelected", &chosen.into()).finish(),
            None => coding.finish(),
        }
    }
}

/// A coding that has both a system and a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coded {
    /// The code system.
    pub system: String,
    /// The code.
    pub code: String,
}

/// `CodeableConcept`, as sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeableConcept {
    /// The codings.
    pub coding: Vec<Coding>,
    /// The concept in words.
    pub text: Option<String>,
}

impl CodeableConcept {
    pub(super) fn read(element: &Element<'_>) -> Result<Self, Rejection> {
        element.only(&["coding", "text"], &[])?;
        let coding = element.list("coding", MAX_CODINGS)?.iter().map(Coding::read).collect::<Result<_, _>>()?;
        Ok(Self { coding, text: element.string("text")? })
    }

    /// The coding we go by.
    pub(super) fn coded(&self) -> Option<Coded> {
        let coding = self.coding.get(self.main()?)?;
        let (system, code) = coding.system.as_ref().zip(coding.code.as_ref())?;
        Some(Coded { system: system.clone(), code: code.clone() })
    }

    /// The first coding of data points or LOINC that has a system and a code; else the first of any system. Records often have
    /// a code of their own before the one that others know.
    fn main(&self) -> Option<usize> {
        let named = |coding: &Coding| coding.system.is_some() && coding.code.is_some();
        let known = |coding: &Coding| {
            coding.system.as_deref().is_some_and(|system| system == LOINC || is_of_data_points(system))
        };
        let first =
            |wanted: &dyn Fn(&Coding) -> bool| self.coding.iter().position(|coding| named(coding) && wanted(coding));
        first(&known).or_else(|| first(&|_| true))
    }

    /// The same concept, with words for the coding we go by if the client sent none.
    pub(super) fn with_display(&self, display: Option<&str>) -> Self {
        let mut concept = self.clone();
        let main = self.main().and_then(|position| concept.coding.get_mut(position));
        if let Some(coding) = main.filter(|coding| coding.display.is_none()) {
            coding.display = display.map(str::to_owned);
        }
        concept
    }

    pub(super) fn to_json(&self) -> String {
        let codings: Vec<String> = self.coding.iter().map(Coding::to_json).collect();
        Object::new().list("coding", &codings).optional("text", self.text.as_deref()).finish()
    }
}

/// A `Reference` to something of ours, with what we keep of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Referred {
    pub(super) id: i32,
    pub(super) display: Option<String>,
    /// The base of an absolute reference: the server that the id belongs to.
    pub(super) base: Option<String>,
}

impl Referred {
    pub(super) fn read(root: &Element<'_>, name: &str, resource_type: &str) -> Result<Self, Rejection> {
        let element = required(root.child(name)?, &root.at(name))?;
        element.only(&["reference", "display"], &["type", "identifier"])?;
        let path = element.at("reference");
        let text = required(element.string("reference")?, &path)?;
        let reference = primitive::reference(&text, resource_type)
            .ok_or_else(|| Rejection::value(&path, &format!("must be {resource_type}/ and an id of this server")))?;
        Ok(Self { id: reference.id, display: element.string("display")?, base: reference.base })
    }
}
