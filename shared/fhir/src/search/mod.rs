//! Search parameters (<https://hl7.org/fhir/R5/search.html>), from decoded name and value pairs to
//! typed filters.
//!
//! Unknown parameters are ignored under [`Handling::Lenient`], and refused under
//! [`Handling::Strict`]. A modifier that a known parameter does not have is always refused: R5 says
//! so, because a modifier can turn the meaning round. An empty value is refused too: a filter that is
//! there but says nothing must not widen the answer. So is `_page`: a caller who counts pages would
//! read the first one for ever.

mod audit_event;
mod auxiliary;
mod date;
mod directory;
mod everything;
mod export;
mod history;
mod link;
mod observation;
mod page;
mod patient;
mod query;
mod token;

pub use audit_event::{Agent, AuditEventSearch, AuditOutcome};
pub use auxiliary::{AuxiliarySearch, is_uuid};
pub use date::{Bound, DateBounds, DayBounds};
pub use directory::{Directory, DirectorySearch};
pub use everything::Everything;
pub use export::{Export, ExportFormat};
pub use history::HistorySearch;
pub use link::{filter_text, link};
pub use observation::{ObservationSearch, Sort};
pub use page::{DEFAULT_COUNT, MAX_COUNT, Page, SourceFilter};
pub use patient::{Matching, PatientSearch, StringParam};
pub use token::{CodeParam, SystemMatch, TokenParam};

pub(crate) use audit_event::PARAMETERS as AUDIT_EVENT_PARAMETERS;
pub(crate) use auxiliary::PARAMETERS as AUXILIARY_PARAMETERS;
pub(crate) use directory::{GROUP_PARAMETERS, PARAMETERS as DIRECTORY_PARAMETERS};
pub(crate) use observation::PARAMETERS as OBSERVATION_PARAMETERS;
pub(crate) use patient::PARAMETERS as PATIENT_PARAMETERS;

/// What to do about parameters that are not supported
/// (<https://hl7.org/fhir/R5/search.html#errors>).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Handling {
    /// Ignore them: the link to the search itself tells what was understood.
    #[default]
    Lenient,
    /// Refuse the search.
    Strict,
}

impl Handling {
    /// Reads the `Prefer` header (RFC 7240): strict only when it says `handling=strict`.
    #[must_use]
    pub fn from_prefer(header: &str) -> Self {
        let strict = header.split([',', ';']).any(|preference| {
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            name.trim().eq_ignore_ascii_case("handling")
                && value.trim().trim_matches('"').eq_ignore_ascii_case("strict")
        });
        if strict { Self::Strict } else { Self::Lenient }
    }
}

/// A parameter as the capability statement lists it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter {
    /// The name.
    pub(crate) name: &'static str,
    /// The type (<https://hl7.org/fhir/R5/valueset-search-param-type.html>).
    pub(crate) kind: &'static str,
}

/// Parameters of every resource type.
pub(crate) const COMMON_PARAMETERS: &[Parameter] =
    &[Parameter::new("_id", "token"), Parameter::new("_lastUpdated", "date")];

impl Parameter {
    pub(crate) const fn new(name: &'static str, kind: &'static str) -> Self {
        Self { name, kind }
    }
}
