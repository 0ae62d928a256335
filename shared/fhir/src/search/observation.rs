//! Search parameters of Observation (<https://hl7.org/fhir/R5/observation-search.html>).

use crate::Rejection;
use crate::observation::ObservationStatus;
use crate::search::query::{Pairs, Query, id_list, long_id_list, one_id};
use crate::search::token::items;
use crate::search::{CodeParam, DateBounds, Handling, Page, Parameter, SystemMatch, TokenParam};

pub(crate) const PARAMETERS: &[Parameter] = &[
    Parameter::new("code", "token"),
    Parameter::new("date", "date"),
    Parameter::new("identifier", "token"),
    Parameter::new("patient", "reference"),
    Parameter::new("status", "token"),
    Parameter::new("subject", "reference"),
];

const STUDY: &str = "patient._has:Group:member:_id";

/// The order of a page. Equal values are ordered by id in the same direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// The latest change first.
    LastUpdatedDesc,
    /// The earliest change first.
    LastUpdatedAsc,
    /// The earliest effective start first.
    DateAsc,
    /// The latest effective start first.
    DateDesc,
}

impl Sort {
    fn parse(value: &str) -> Result<Self, Rejection> {
        match value {
            "-_lastUpdated" | "-lastUpdated" => Ok(Self::LastUpdatedDesc),
            "_lastUpdated" | "lastUpdated" => Ok(Self::LastUpdatedAsc),
            "date" => Ok(Self::DateAsc),
            "-date" => Ok(Self::DateDesc),
            _ => Err(Rejection::parameter_not_supported(
                "Search parameter _sort supports date, -date, _lastUpdated and -_lastUpdated".to_owned(),
            )),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::LastUpdatedDesc => "-_lastUpdated",
            Self::LastUpdatedAsc => "_lastUpdated",
            Self::DateAsc => "date",
            Self::DateDesc => "-date",
        }
    }
}

/// A search for Observations. Empty lists and absent values do not filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservationSearch {
    /// `patient` or `subject`: any of these patients.
    pub patients: Vec<i32>,
    /// `patient._has:Group:member:_id`: the patient takes part in this study.
    pub study: Option<i32>,
    /// `patient.organization`.
    pub organization: Option<i32>,
    /// `patient.identifier`.
    pub patient_identifier: Option<TokenParam>,
    /// `identifier`.
    pub identifier: Option<TokenParam>,
    /// `code`: any of these.
    pub codes: Vec<CodeParam>,
    /// `status`: any of these.
    pub statuses: Vec<ObservationStatus>,
    /// `_id`: any of these.
    pub ids: Vec<i64>,
    /// `date`: the effective time.
    pub effective: DateBounds,
    /// `_sort`, where it is given; see [`ObservationSearch::order`].
    pub sort: Option<Sort>,
    /// What every search takes.
    pub page: Page,
}

impl ObservationSearch {
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
            "identifier" => {
                query.once("identifier")?;
                self.identifier = Some(TokenParam::single(name, value)?);
            }
            "code" => {
                query.once("code")?;
                self.codes = CodeParam::list(name, value)?;
            }
            "status" => {
                query.once("status")?;
                self.statuses = statuses(value)?;
            }
            "_id" => {
                query.once("_id")?;
                self.ids = long_id_list(name, value)?;
            }
            "_sort" => {
                query.once("_sort")?;
                self.sort = Some(Sort::parse(value)?);
            }
            "date" => self.effective.add(name, value)?,
            _ => query.other(name, value)?,
        }
        Ok(())
    }

    /// The order of the pages: as asked; else by date when `date` bounds it, so that a page costs no more than its rows; else
    /// the latest change first.
    #[must_use]
    pub fn order(&self) -> Sort {
        let unasked = if self.effective.asked().is_empty() { Sort::LastUpdatedDesc } else { Sort::DateDesc };
        self.sort.unwrap_or(unasked)
    }

    /// The search as it was understood: names and values, sorted, without the cursor.
    #[must_use]
    pub fn canonical_pairs(&self) -> Vec<(String, String)> {
        let mut pairs = Pairs::default();
        pairs.list("patient", &self.patients);
        pairs.optional(STUDY, self.study.as_ref());
        pairs.optional("patient.organization", self.organization.as_ref());
        pairs.optional("patient.identifier", self.patient_identifier.as_ref().map(TokenParam::text).as_ref());
        pairs.optional("identifier", self.identifier.as_ref().map(TokenParam::text).as_ref());
        pairs.list("code", &self.codes.iter().map(CodeParam::text).collect::<Vec<_>>());
        pairs.list("status", &self.statuses.iter().map(|status| status.as_str()).collect::<Vec<_>>());
        pairs.list("_id", &self.ids);
        pairs.repeat("date", self.effective.asked());
        pairs.optional("_sort", self.sort.map(Sort::as_str).as_ref());
        pairs.finish(&self.page)
    }
}

fn statuses(value: &str) -> Result<Vec<ObservationStatus>, Rejection> {
    let mut statuses: Vec<ObservationStatus> =
        items("status", value)?.into_iter().map(status).collect::<Result<_, _>>()?;
    statuses.sort_unstable();
    statuses.dedup();
    Ok(statuses)
}

fn status(item: &str) -> Result<ObservationStatus, Rejection> {
    let token = TokenParam::parse("status", item)?;
    let system = match &token.system {
        SystemMatch::Any => true,
        SystemMatch::Absent => false,
        SystemMatch::Is(system) => system == ObservationStatus::SYSTEM,
    };
    token
        .value
        .filter(|_| system)
        .and_then(|code| ObservationStatus::from_code(&code))
        .ok_or_else(|| Rejection::parameter("status", "must be codes of the observation-status value set"))
}
