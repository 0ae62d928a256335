//! Files in the making: pages of patients become files of one type each.

use fhir::observation::write_resource;
use runtime::{Failure, auxiliary, consent, patient, upload::found_place};
use serde_json::Value;
use std::{collections::BTreeMap, mem};
use store::{EverythingPage, EverythingRow, ExportFile, ExportPart};

/// The most bytes of lines that are held, and so the most of a file that is made of more than one page: Lambda answers with 6 MB.
pub const MOST_BYTES: usize = 3 * 1024 * 1024;

/// A type of resources, and the code of its observations where there is a table for each.
type Kind = (String, Option<String>);

/// What was read and is in no file yet.
#[derive(Debug, Default)]
pub struct Gathered {
    files: BTreeMap<Kind, Vec<ExportPart>>,
    bytes: usize,
}

/// A page as lines.
#[derive(Debug)]
pub struct Lines {
    of: Vec<(Kind, i64, String)>,
    /// How many bytes they are.
    pub bytes: usize,
}

impl Lines {
    /// The lines of a page. With `by_code`, observations are apart by what they are of.
    pub fn of(page: &EverythingPage, by_code: bool) -> Result<Self, Failure> {
        let mut lines = Self { of: Vec::with_capacity(page.rows.len()), bytes: 0 };
        for row in &page.rows {
            let (kind, number, mut text) = line(row)?;
            let code = if by_code { code(&text)? } else { None };
            // A line of its own: in JSON a line break is a blank between what it says.
            if text.contains(['\n', '\r']) {
                text = text.replace(['\n', '\r'], " ");
            }
            text.push('\n');
            lines.bytes = lines.bytes.saturating_add(text.len());
            lines.of.push(((kind, code), number, text));
        }
        Ok(lines)
    }

    /// The resources: the type of each, the code of an observation where these are apart, and its text.
    pub fn each(&self) -> impl Iterator<Item = (&str, Option<&str>, &str)> {
        self.of.iter().map(|((kind, code), _, text)| (kind.as_str(), code.as_deref(), text.trim_end()))
    }
}

impl Gathered {
    /// Whether there is room for more lines. There always is for the first.
    #[must_use]
    pub fn holds(&self, lines: &Lines) -> bool {
        self.bytes == 0 || self.bytes.saturating_add(lines.bytes) <= MOST_BYTES
    }

    /// Adds lines of a patient.
    pub fn add(&mut self, patient: i32, lines: Lines) {
        self.bytes = self.bytes.saturating_add(lines.bytes);
        for (kind, number, text) in lines.of {
            let parts = self.files.entry(kind).or_default();
            if parts.last().is_none_or(|part| part.patient != patient) {
                parts.push(ExportPart { patient, ..ExportPart::default() });
            }
            if let Some(part) = parts.last_mut() {
                part.numbers.push(number);
                part.text.push_str(&text);
            }
        }
    }

    /// All that was gathered, as files.
    pub fn take(&mut self) -> Vec<ExportFile> {
        self.bytes = 0;
        let files = mem::take(&mut self.files).into_iter();
        files.map(|((kind, code), parts)| ExportFile { kind, code, parts }).collect()
    }
}

/// The type of a row, its number, and its resource.
fn line(row: &EverythingRow) -> Result<(String, i64, String), Failure> {
    Ok(match row {
        EverythingRow::Patient(row) => ("Patient".to_owned(), i64::from(row.id), patient::resource(row)),
        EverythingRow::Consent(row) => ("Consent".to_owned(), row.id, consent::resource(row).to_json()),
        EverythingRow::Observation(row) => {
            let mut text = String::with_capacity(row.content.len().saturating_add(256));
            write_resource(&mut text, &found_place(row), &row.content);
            ("Observation".to_owned(), row.id, text)
        }
        EverythingRow::Auxiliary(kind, row) => (kind.clone(), row.number, auxiliary::shown(kind, row)?.to_string()),
    })
}

/// The first code of an observation.
fn code(text: &str) -> Result<Option<String>, Failure> {
    let resource: Value = serde_json::from_str(text).map_err(|error| Failure::Internal(Box::new(error)))?;
    Ok(resource.pointer("/code/coding/0/code").and_then(Value::as_str).map(str::to_owned))
}
