//! Parameters of `Patient/[id]/$everything` (<https://hl7.org/fhir/R5/operation-patient-everything.html>).

use jiff::Timestamp;

use crate::auxiliary::TYPES;
use crate::search::query::{Pairs, Query};
use crate::search::token::items;
use crate::search::{Handling, Page};
use crate::{Rejection, datetime};

/// The types that are not kept as they come. The order is that of their resources in the answer.
const OWN: [&str; 3] = ["Patient", "Consent", "Observation"];

/// What would narrow the answer and is not supported. To pass it over would give more than was asked for.
const NARROWING: [&str; 5] = ["start", "end", "_lastUpdated", "_source", "_source:below"];

/// What is asked of everything of a patient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Everything {
    /// `_type`: only these types, each once and in order; empty: all.
    pub types: Vec<&'static str>,
    /// `_since`: only what changed at this time or later.
    pub since: Option<Timestamp>,
    /// `_count` and the cursor.
    pub page: Page,
}

impl Everything {
    /// Reads the parameters.
    pub fn parse(pairs: &[(String, String)], handling: Handling) -> Result<Self, Rejection> {
        let mut asked = Self::default();
        asked.page = Query::read(pairs, handling, &[], |query, name, value| asked.take(query, name, value))?;
        if asked.page.summary_count {
            return Err(Rejection::parameter("_count", "must be 1 or more"));
        }
        asked.types.sort_by_key(|kind| Self::all().position(|known| known == *kind));
        asked.types.dedup();
        Ok(asked)
    }

    fn take(&mut self, query: &mut Query, name: &str, value: &str) -> Result<(), Rejection> {
        match name {
            "_type" => {
                for item in items(name, value)? {
                    let known = Self::all().find(|known| *known == item);
                    self.types.push(
                        known.ok_or_else(|| Rejection::parameter(name, "must name types of a patient's resources"))?,
                    );
                }
                Ok(())
            }
            "_since" => {
                query.once("_since")?;
                self.since = Some(datetime::instant(value).map_err(|problem| Rejection::parameter(name, problem))?);
                Ok(())
            }
            "_count" | "_cursor" | "_format" | "_page" => query.other(name, value),
            "_summary" | "_total" => query.foreign(name),
            _ if NARROWING.contains(&name) => Err(Rejection::parameter_not_supported(format!(
                "Parameter {name} is not supported: name types or a time (_type, _since)"
            ))),
            _ => query.foreign(name),
        }
    }

    /// Every type of a patient's resources, in the order of the answer.
    pub fn all() -> impl Iterator<Item = &'static str> {
        OWN.into_iter().chain(TYPES)
    }

    /// What was understood: names and values, sorted, without the cursor.
    #[must_use]
    pub fn canonical_pairs(&self) -> Vec<(String, String)> {
        let mut pairs = Pairs::default();
        pairs.list("_type", &self.types);
        pairs.optional("_since", self.since.as_ref());
        pairs.finish(&self.page)
    }
}
