//! What a search of observations can ask for.

use authz::{Actor, PatientId, PractitionerId, Principal};
use jiff::Timestamp;

/// On whose authority rows are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// A practitioner: only what `practitioner_permit` allows.
    Practitioner(PractitionerId),
    /// A patient: everything of their own, nothing of others.
    Patient(PatientId),
    /// A super admin: everything, audited as privileged.
    Privileged,
}

impl From<&Actor> for Reader {
    fn from(actor: &Actor) -> Self {
        match actor.principal {
            Principal::Practitioner(practitioner) => Self::Practitioner(practitioner),
            Principal::Patient(patient) => Self::Patient(patient),
            Principal::SuperAdmin => Self::Privileged,
        }
    }
}

impl Reader {
    /// The practitioner's id for the statement's parameter.
    pub(super) const fn practitioner(self) -> Option<i32> {
        match self {
            Self::Practitioner(PractitionerId(id)) => Some(id),
            Self::Patient(_) | Self::Privileged => None,
        }
    }

    /// The practitioner's id, the patient's id, and whether the reader is privileged: for statements that serve all.
    pub(crate) const fn parts(self) -> (Option<i32>, Option<i32>, bool) {
        match self {
            Self::Practitioner(practitioner) => (Some(practitioner.0), None, false),
            Self::Patient(patient) => (None, Some(patient.0), false),
            Self::Privileged => (None, None, true),
        }
    }
}

/// A column that a page can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// When the row was stored.
    LastUpdated,
    /// When its effective time starts.
    EffectiveStart,
}

impl Column {
    /// Its name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::LastUpdated => "last_updated",
            Self::EffectiveStart => "effective_start",
        }
    }
}

/// The order of a page. Ties are broken by id in the same direction, so that every order is total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Newest arrival first: the default.
    LastUpdatedDesc,
    /// Oldest arrival first.
    LastUpdatedAsc,
    /// Latest effective time first.
    DateDesc,
    /// Earliest effective time first.
    DateAsc,
}

impl Order {
    /// Every order.
    pub const ALL: [Self; 4] = [Self::LastUpdatedDesc, Self::LastUpdatedAsc, Self::DateDesc, Self::DateAsc];

    /// The column that the order follows.
    pub(super) const fn column(self) -> Column {
        match self {
            Self::LastUpdatedDesc | Self::LastUpdatedAsc => Column::LastUpdated,
            Self::DateDesc | Self::DateAsc => Column::EffectiveStart,
        }
    }

    pub(super) const fn is_descending(self) -> bool {
        matches!(self, Self::LastUpdatedDesc | Self::DateDesc)
    }
}

/// The classes of page sizes. The statement of a class has its limit as a literal, so that the planner knows that
/// few rows are wanted and a prepared statement keeps one good plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PageSize {
    /// Up to 20.
    Small,
    /// Up to 100.
    Medium,
    /// Up to 1,000.
    Large,
    /// A page by its number: up to 10,000 rows before it, and itself.
    Numbered,
}

impl PageSize {
    /// Every class.
    pub const ALL: [Self; 4] = [Self::Small, Self::Medium, Self::Large, Self::Numbered];

    /// The class that holds `count` rows.
    #[must_use]
    pub const fn holding(count: u16) -> Self {
        match count {
            0..=20 => Self::Small,
            21..=100 => Self::Medium,
            101..=1000 => Self::Large,
            1001.. => Self::Numbered,
        }
    }

    /// One more than the largest page of the class: the extra row tells that there is a next page.
    pub(crate) const fn limit(self) -> u16 {
        match self {
            Self::Small => 21,
            Self::Medium => 101,
            Self::Large => 1001,
            Self::Numbered => 11_001,
        }
    }
}

/// One alternative of the `code` parameter; an absent part matches anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodeFilter {
    /// The code system.
    pub system: Option<String>,
    /// The code.
    pub code: Option<String>,
}

/// Half-open bounds on times: `min <= time < max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Not before.
    pub min: Timestamp,
    /// Before.
    pub max: Timestamp,
}

impl Default for Filter {
    /// Lets every time pass.
    fn default() -> Self {
        Self { min: earliest(), max: latest() }
    }
}

/// 0001-01-01: before every time that an observation can have.
pub(crate) fn earliest() -> Timestamp {
    Timestamp::constant(-62_135_596_800, 0)
}

/// 9999-12-30: after every time that an observation can have.
pub(super) fn latest() -> Timestamp {
    Timestamp::constant(253_402_128_000, 0)
}

/// Where the observations come from that are asked for: what FHIR has in `meta.source`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum BroughtBy {
    /// Anywhere.
    #[default]
    Anybody,
    /// No FHIR Source.
    Nobody,
    /// FHIR Sources whose `meta.source` is each of `is` and begins with each of `below`.
    Sources {
        /// `_source`.
        is: Vec<String>,
        /// `_source:below`.
        below: Vec<String>,
    },
}

impl BroughtBy {
    /// What is asked of the names of FHIR Sources.
    pub(super) fn asked(&self) -> (&[String], &[String]) {
        match self {
            Self::Anybody | Self::Nobody => (&[], &[]),
            Self::Sources { is, below } => (is, below),
        }
    }
}

/// A search.
#[derive(Clone, Debug)]
pub struct ObservationQuery {
    /// On whose authority.
    pub reader: Reader,
    /// The patients named; empty: none.
    pub patients: Vec<i32>,
    /// A patient named by a business identifier: system (none: any) and value.
    pub patient_identifier: Option<(Option<String>, String)>,
    /// The study named; a query that names one is judged by it alone.
    pub study: Option<i32>,
    /// Only patients of this organization.
    pub organization: Option<i32>,
    /// Only these codes; empty: all.
    pub codes: Vec<CodeFilter>,
    /// Only these statuses; empty: all.
    pub statuses: Vec<String>,
    /// Only these ids; empty: all.
    pub ids: Vec<i64>,
    /// Only the observation with this identifier: system (none: any) and value.
    pub identifier: Option<(Option<String>, String)>,
    /// Where they come from.
    pub brought_by: BroughtBy,
    /// Bounds on the start of the effective time.
    pub start: Filter,
    /// Bounds on the end of the effective time.
    pub end: Filter,
    /// Bounds on the last update.
    pub updated: Filter,
    /// The order.
    pub order: Order,
    /// How many, at most 1,000.
    pub count: u16,
    /// How many rows come first that are not shown, at most 10,000.
    pub skip: u16,
    /// Continue after this position: the ordered time and the id of the last row of the page before.
    pub after: Option<(Timestamp, i64)>,
}

impl ObservationQuery {
    /// A search of everything that `reader` may find.
    #[must_use]
    pub fn new(reader: Reader) -> Self {
        Self {
            reader,
            patients: Vec::new(),
            patient_identifier: None,
            study: None,
            organization: None,
            codes: Vec::new(),
            statuses: Vec::new(),
            ids: Vec::new(),
            identifier: None,
            brought_by: BroughtBy::Anybody,
            start: Filter::default(),
            end: Filter::default(),
            updated: Filter::default(),
            order: Order::LastUpdatedDesc,
            count: 20,
            skip: 0,
            after: None,
        }
    }

    /// True when the query names a patient.
    #[must_use]
    pub fn names_patient(&self) -> bool {
        !self.patients.is_empty() || self.patient_identifier.is_some()
    }
}
