//! Search parameters of Patient (<https://hl7.org/fhir/R5/patient-search.html>).

use crate::Rejection;
use crate::search::query::{Pairs, Query, id_list, one_id};
use crate::search::token::{join, texts};
use crate::search::{DayBounds, Handling, Page, Parameter, TokenParam};

pub(crate) const PARAMETERS: &[Parameter] = &[
    Parameter::new("birthdate", "date"),
    Parameter::new("family", "string"),
    Parameter::new("given", "string"),
    Parameter::new("identifier", "token"),
    Parameter::new("name", "string"),
    Parameter::new("organization", "reference"),
];

const STUDY: &str = "_has:Group:member:_id";

/// How a string is compared; case never matters but for `Exact`
/// (<https://hl7.org/fhir/R5/search.html#string>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matching {
    /// The text starts with the value.
    StartsWith,
    /// `:contains`: the value is anywhere in the text.
    Contains,
    /// `:exact`: the text is the value.
    Exact,
}

/// A string parameter: any of the values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StringParam {
    /// How to compare.
    pub matching: Matching,
    /// The values.
    pub values: Vec<String>,
}

impl StringParam {
    /// Reads the values of a parameter whose name may end with a modifier.
    pub(super) fn parse(name: &str, value: &str) -> Result<Self, Rejection> {
        let matching = match name.split_once(':') {
            Some((_, "contains")) => Matching::Contains,
            Some((_, "exact")) => Matching::Exact,
            _ => Matching::StartsWith,
        };
        let mut values = texts(name, value)?;
        values.sort_unstable();
        values.dedup();
        Ok(Self { matching, values })
    }

    /// Adds the parameter that says the same.
    pub(super) fn pair(this: Option<&Self>, name: &str, pairs: &mut Pairs) {
        if let Some(param) = this {
            let modifier = match param.matching {
                Matching::StartsWith => "",
                Matching::Contains => ":contains",
                Matching::Exact => ":exact",
            };
            pairs.add(&format!("{name}{modifier}"), join(&param.values));
        }
    }
}

/// A search for Patients. Empty lists and absent values do not filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatientSearch {
    /// `_id`: any of these.
    pub ids: Vec<i32>,
    /// `identifier`.
    pub identifier: Option<TokenParam>,
    /// `name`: the family or the given name.
    pub name: Option<StringParam>,
    /// `family`.
    pub family: Option<StringParam>,
    /// `given`.
    pub given: Option<StringParam>,
    /// `birthdate`.
    pub birth_date: DayBounds,
    /// `organization`.
    pub organization: Option<i32>,
    /// `_has:Group:member:_id`: takes part in this study.
    pub study: Option<i32>,
    /// What every search takes.
    pub page: Page,
}

impl PatientSearch {
    /// Reads the parameters. The names that a search for Observations uses (`patient`,
    /// `patient.identifier`, ...) are taken too.
    pub fn parse(pairs: &[(String, String)], handling: Handling) -> Result<Self, Rejection> {
        let mut search = Self::default();
        search.page = Query::read(pairs, handling, PARAMETERS, |query, name, value| search.take(query, name, value))?;
        Ok(search)
    }

    fn take(&mut self, query: &mut Query, name: &str, value: &str) -> Result<(), Rejection> {
        match name {
            "_id" | "patient" => {
                query.once("_id")?;
                self.ids = id_list(name, value, "Patient")?;
            }
            "identifier" | "patient.identifier" => {
                query.once("identifier")?;
                self.identifier = Some(TokenParam::single(name, value)?);
            }
            "name" | "name:contains" | "name:exact" => {
                query.once("name")?;
                self.name = Some(StringParam::parse(name, value)?);
            }
            "family" | "family:contains" | "family:exact" => {
                query.once("family")?;
                self.family = Some(StringParam::parse(name, value)?);
            }
            "given" | "given:contains" | "given:exact" => {
                query.once("given")?;
                self.given = Some(StringParam::parse(name, value)?);
            }
            "organization" | "patient.organization" => {
                query.once("organization")?;
                self.organization = Some(one_id(name, value, "Organization")?);
            }
            STUDY | "patient._has:Group:member:_id" => {
                query.once(STUDY)?;
                self.study = Some(one_id(STUDY, value, "Group")?);
            }
            "birthdate" => self.birth_date.add(name, value)?,
            _ => query.other(name, value)?,
        }
        Ok(())
    }

    /// The search as it was understood: names and values, sorted, without the cursor.
    #[must_use]
    pub fn canonical_pairs(&self) -> Vec<(String, String)> {
        let mut pairs = Pairs::default();
        pairs.list("_id", &self.ids);
        pairs.optional("identifier", self.identifier.as_ref().map(TokenParam::text).as_ref());
        StringParam::pair(self.name.as_ref(), "name", &mut pairs);
        StringParam::pair(self.family.as_ref(), "family", &mut pairs);
        StringParam::pair(self.given.as_ref(), "given", &mut pairs);
        pairs.repeat("birthdate", self.birth_date.asked());
        pairs.optional("organization", self.organization.as_ref());
        pairs.optional(STUDY, self.study.as_ref());
        pairs.finish(&self.page)
    }
}
