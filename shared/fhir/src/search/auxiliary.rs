//! Search parameters of the resources that are kept as they come.

use crate::Rejection;
use crate::search::query::{Pairs, Query, id_list, one_id};
use crate::search::token::items;
use crate::search::{Handling, Page, Parameter, TokenParam};

pub(crate) const PARAMETERS: &[Parameter] =
    &[Parameter::new("patient", "reference"), Parameter::new("subject", "reference")];

const STUDY: &str = "patient._has:Group:member:_id";

/// A search for resources that are kept as they come. Empty lists and absent values do not filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuxiliarySearch {
    /// `patient` or `subject`: any of these patients.
    pub patients: Vec<i32>,
    /// `patient._has:Group:member:_id`: the patient takes part in this study.
    pub study: Option<i32>,
    /// `patient.organization`.
    pub organization: Option<i32>,
    /// `patient.identifier`.
    pub patient_identifier: Option<TokenParam>,
    /// `_id`: any of these.
    pub ids: Vec<String>,
    /// What every search takes.
    pub page: Page,
}

impl AuxiliarySearch {
    /// Reads the parameters.
    pub fn parse(pairs: &[(String, String)], handling: Handling) -> Result<Self, Rejection> {
        let mut search = Self::default();
        search.page = Query::read(pairs, handling, PARAMETERS, |query, name, value| search.take(query, name, value))?;
        Ok(search)
    }

    fn take(&mut self, query: &mut Query, name: &str, value: &str) -> Result<(), Rejection> {
        match name {
            "patient" | "subject" | "patient:Patient" | "subject:Patient" => {
                query.once("patient")?;
                self.patients = id_list(name, value, "Patient")?;
            }
            STUDY | "_has:Group:member:_id" | "subject._has:Group:member:_id" => {
                query.once(STUDY)?;
                self.study = Some(one_id(STUDY, value, "Group")?);
            }
            "patient.organization" => {
                query.once("patient.organization")?;
                self.organization = Some(one_id(name, value, "Organization")?);
            }
            "patient.identifier" => {
                query.once("patient.identifier")?;
                self.patient_identifier = Some(TokenParam::single(name, value)?);
            }
            "_id" => {
                query.once("_id")?;
                self.ids = uuids(value)?;
            }
            _ => query.other(name, value)?,
        }
        Ok(())
    }

    /// The search as it was understood: names and values, sorted, without the cursor.
    #[must_use]
    pub fn canonical_pairs(&self) -> Vec<(String, String)> {
        let mut pairs = Pairs::default();
        pairs.list("patient", &self.patients);
        pairs.optional(STUDY, self.study.as_ref());
        pairs.optional("patient.organization", self.organization.as_ref());
        pairs.optional("patient.identifier", self.patient_identifier.as_ref().map(TokenParam::text).as_ref());
        pairs.list("_id", &self.ids);
        pairs.finish(&self.page)
    }
}

/// Whether a text is a UUID in its usual form, in small or capital letters.
#[must_use]
pub fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn uuids(value: &str) -> Result<Vec<String>, Rejection> {
    let mut ids: Vec<String> = items("_id", value)?.into_iter().map(str::to_ascii_lowercase).collect();
    if !ids.iter().all(|id| is_uuid(id)) {
        return Err(Rejection::parameter("_id", "must be an id"));
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}
