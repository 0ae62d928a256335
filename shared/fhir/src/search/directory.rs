//! Search parameters of Group, Device, Organization and Practitioner.

use crate::Rejection;
use crate::search::query::{Pairs, Query, id_list, one_id};
use crate::search::{Handling, Page, Parameter, StringParam};

pub(crate) const PARAMETERS: &[Parameter] = &[Parameter::new("name", "string")];

pub(crate) const GROUP_PARAMETERS: &[Parameter] =
    &[Parameter::new("managing-entity", "reference"), Parameter::new("name", "string")];

/// What is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directory {
    /// Studies.
    Group,
    /// Data sources.
    Device,
    /// Organizations.
    Organization,
    /// Practitioners.
    Practitioner,
}

impl Directory {
    /// The resource type.
    #[must_use]
    pub fn resource_type(self) -> &'static str {
        match self {
            Self::Group => "Group",
            Self::Device => "Device",
            Self::Organization => "Organization",
            Self::Practitioner => "Practitioner",
        }
    }
}

/// A search for one of these types. Empty lists and absent values do not filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectorySearch {
    /// What is searched.
    pub directory: Directory,
    /// `_id`: any of these.
    pub ids: Vec<i32>,
    /// `name`.
    pub name: Option<StringParam>,
    /// `managing-entity` or `organization` of a Group: the organization that runs the study.
    pub organization: Option<i32>,
    /// What every search takes.
    pub page: Page,
}

impl DirectorySearch {
    /// Reads the parameters.
    pub fn parse(directory: Directory, pairs: &[(String, String)], handling: Handling) -> Result<Self, Rejection> {
        let known = if directory == Directory::Group { GROUP_PARAMETERS } else { PARAMETERS };
        let mut search = Self { directory, ids: Vec::new(), name: None, organization: None, page: Page::default() };
        search.page = Query::read(pairs, handling, known, |query, name, value| search.take(query, name, value))?;
        Ok(search)
    }

    fn take(&mut self, query: &mut Query, name: &str, value: &str) -> Result<(), Rejection> {
        match name {
            "_id" => {
                query.once("_id")?;
                self.ids = id_list(name, value, self.directory.resource_type())?;
            }
            "name" | "name:contains" | "name:exact" => {
                query.once("name")?;
                self.name = Some(StringParam::parse(name, value)?);
            }
            "managing-entity" | "organization" if self.directory == Directory::Group => {
                query.once("managing-entity")?;
                self.organization = Some(one_id(name, value, "Organization")?);
            }
            _ => query.other(name, value)?,
        }
        Ok(())
    }

    /// The search as it was understood: names and values, sorted, without the cursor.
    #[must_use]
    pub fn canonical_pairs(&self) -> Vec<(String, String)> {
        let mut pairs = Pairs::default();
        pairs.list("_id", &self.ids);
        StringParam::pair(self.name.as_ref(), "name", &mut pairs);
        pairs.optional("managing-entity", self.organization.as_ref());
        pairs.finish(&self.page)
    }
}
