//! What the sender of an import is told.

use api::Problems;
use serde::Serialize;
use store::{Imported, PatientImport};

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// How far it got.
    pub import: PatientImport,
    /// Where to go on; none when all rows were read.
    pub next_row: Option<usize>,
    /// What came of each row.
    pub results: Vec<Outcome>,
}

/// What came of a row.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    row: usize,
    status: &'static str,
    id: Option<i32>,
    #[serde(skip_serializing_if = "Problems::is_empty")]
    problems: Problems,
}

impl Outcome {
    /// A row that is not valid. More problems than a person reads at once are not told.
    pub fn invalid(row: usize, problems: Problems) -> Self {
        const TOLD: usize = 10;
        Self { row, status: "invalid", id: None, problems: problems.into_iter().take(TOLD).collect() }
    }

    /// A row that was sent to the database.
    pub fn of(row: usize, imported: Imported) -> Self {
        let conflict = |id, field: String, problem: &str| Self {
            row,
            status: "conflict",
            id,
            problems: Problems::from([(field, vec![problem.to_owned()])]),
        };
        match imported {
            Imported::Created(id) => Self { row, status: "created", id: Some(id), problems: Problems::new() },
            Imported::EmailTaken(id) => conflict(id, "telecomEmail".to_owned(), "An account has this e-mail."),
            Imported::IdentifierTaken(position) => {
                conflict(None, format!("identifiers[{position}]"), "A patient of the organization has this identifier.")
            }
        }
    }

    /// Its row.
    pub const fn row(&self) -> usize {
        self.row
    }

    /// About how many bytes of JSON it is.
    pub fn size(&self) -> usize {
        let problems = self.problems.iter();
        80 + problems
            .map(|(field, texts)| field.len() + 8 + texts.iter().map(|text| text.len() + 3).sum::<usize>())
            .sum::<usize>()
    }
}
