//! The three kinds of what a study needs, each with its path, its body and its rows.

use api::{
    Shape,
    shapes::study::{WHICH_CLIENT, WHICH_DATA_SOURCE, WHICH_SCOPE},
};
use runtime::{Request, study::Of};
use serde::Serialize;
use serde_json::Value;
use store::{Study, StudyNeed};

/// A kind of what a study needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Scope,
    DataSource,
    Client,
}

/// A row of a list. The id is that of what is needed: within a study it names the row.
#[derive(Serialize)]
pub struct Row<'a> {
    id: &'a Value,
    study: Of<'a>,
    #[serde(flatten)]
    part: Shown<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Shown<'a> {
    ScopeCode(&'a Value),
    DataSource(&'a Value),
    Client(&'a Value),
}

impl Part {
    /// The kind that a path is about.
    pub fn of(request: &Request) -> Option<Self> {
        match request.path().rsplit('/').next() {
            Some("scope_requests") => Some(Self::Scope),
            Some("data_sources") => Some(Self::DataSource),
            Some("clients") => Some(Self::Client),
            _ => None,
        }
    }

    /// The same for the store.
    pub const fn need(self) -> StudyNeed {
        match self {
            Self::Scope => StudyNeed::Scope,
            Self::DataSource => StudyNeed::DataSource,
            Self::Client => StudyNeed::Client,
        }
    }

    /// The shape of the body that names one.
    pub const fn body(self) -> &'static Shape {
        match self {
            Self::Scope => &WHICH_SCOPE,
            Self::DataSource => &WHICH_DATA_SOURCE,
            Self::Client => &WHICH_CLIENT,
        }
    }

    /// The field of the body that names it.
    pub const fn field(self) -> &'static str {
        match self {
            Self::Scope => "scopeCodeId",
            Self::DataSource => "dataSourceId",
            Self::Client => "clientId",
        }
    }

    /// The row of one, as a patient of the study sees it, or somebody else.
    pub fn row<'a>(self, study: &'a Study, patient: Option<i32>, one: &'a Value) -> Row<'a> {
        let part = match self {
            Self::Scope => Shown::ScopeCode(one),
            Self::DataSource => Shown::DataSource(one),
            Self::Client => Shown::Client(one),
        };
        Row { id: one.get("id").unwrap_or(&Value::Null), study: Of::new(study, patient), part }
    }
}
