//! A file of a package: what of the patient's data fits into one answer, compressed.

use crate::{index::About, names::Names};
use audit::Context;
use authz::PatientId;
use exports::Lines;
use fhir::search::Everything;
use jiff::{Timestamp, tz::TimeZone};
use runtime::Failure;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    io::{Cursor, Write},
};
use store::{ConsentRecord, EverythingAfter, EverythingPage, EverythingQuery, EverythingRow, Patient, Reader, Store};
use zip::{ZipWriter, result::ZipError, write::SimpleFileOptions};

/// The most bytes of resources that are held for a file, but for what its last page has more.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// The largest file: Lambda answers with 6 MB, of which base64 takes a quarter.
const LARGEST: usize = 4 * 1024 * 1024;

/// Rows of a page.
const ROWS: u16 = 1000;

/// A page of everything, as lines.
struct Piece {
    lines: Lines,
    next: Option<EverythingAfter>,
}

/// What was read for a file.
pub struct Pieces {
    read: Vec<Piece>,
    record: Option<Patient>,
    decisions: Vec<ConsentRecord>,
}

/// A file to be made.
pub struct Volume {
    /// Which one of the package, from 1.
    pub number: i64,
    /// The exchange.
    pub site: String,
    /// When.
    pub made_at: Timestamp,
    /// What the first file tells besides.
    pub about: Option<About>,
}

/// A table of a file.
pub struct Table {
    /// The file.
    pub name: String,
    /// The code of what is in it.
    pub code: String,
    /// How many rows it has.
    pub rows: usize,
}

impl Pieces {
    /// Reads from a position on, page by page, each judged and on record.
    pub async fn gather(
        store: &Store,
        context: &Context,
        patient: PatientId,
        after: Option<EverythingAfter>,
    ) -> Result<Self, Failure> {
        let types: Vec<&'static str> = Everything::all().collect();
        let mut query = EverythingQuery {
            reader: Reader::Patient(patient),
            patient: patient.0,
            study: None,
            types: &types,
            since: None,
            count: ROWS,
            after,
        };
        let mut all = Self { read: Vec::new(), record: None, decisions: Vec::new() };
        let mut bytes: usize = 0;
        loop {
            let page = store.everything(context, &query).await?.map_err(|_| Failure::NotFound)?;
            let lines = Lines::of(&page, true)?;
            bytes = bytes.saturating_add(lines.bytes);
            query.after = page.next;
            all.read.push(Piece { lines, next: page.next });
            all.note(page);
            if query.after.is_none() || bytes >= MOST_BYTES {
                return Ok(all);
            }
        }
    }

    fn note(&mut self, page: EverythingPage) {
        for row in page.rows {
            match row {
                EverythingRow::Patient(record) => self.record = Some(record),
                EverythingRow::Consent(decision) => self.decisions.push(decision),
                EverythingRow::Observation(_) | EverythingRow::Auxiliary(..) => {}
            }
        }
    }

    /// The patient's record, if it is among what was read.
    pub const fn record(&self) -> Option<&Patient> {
        self.record.as_ref()
    }

    /// The decisions among what was read, oldest first.
    pub fn decisions(&self) -> &[ConsentRecord] {
        &self.decisions
    }
}

#[derive(Deserialize)]
struct Id<'a> {
    #[serde(borrow)]
    id: std::borrow::Cow<'a, str>,
}

impl Volume {
    /// The file, and where the next one begins. Data that cannot be compressed are left to the next one.
    pub fn made(&self, mut pieces: Pieces) -> Result<(Vec<u8>, Option<EverythingAfter>), Failure> {
        loop {
            let pages = pieces.read.len();
            let next = pieces.read.last().and_then(|piece| piece.next);
            let bytes = self.zipped(&pieces.read, next.is_some())?;
            if bytes.len() <= LARGEST || pages < 2 {
                return Ok((bytes, next));
            }
            pieces.read.truncate(pages / 2);
        }
    }

    fn zipped(&self, pieces: &[Piece], has_next: bool) -> Result<Vec<u8>, Failure> {
        let mut archive = Archive::new(self.made_at)?;
        let counts = self.bundle(&mut archive, pieces)?;
        let tables = self.tables(&mut archive, pieces)?;
        if let Some(about) = &self.about {
            archive.file("who-looked.csv", about.log.as_bytes())?;
            let page = about.page(&self.site, self.made_at, &counts, &tables, has_next);
            archive.file("index.html", page.as_bytes())?;
        }
        archive.finish()
    }

    /// All resources as one Bundle (<https://hl7.org/fhir/R5/bundle.html#collection>). How many there are of each type.
    fn bundle(&self, archive: &mut Archive, pieces: &[Piece]) -> Result<BTreeMap<String, usize>, Failure> {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        archive.begin(&format!("fhir/{}-bundle.json", self.number))?;
        archive.write(format!(
            "{{\"resourceType\":\"Bundle\",\"type\":\"collection\",\"timestamp\":\"{}\"",
            self.made_at
        ))?;
        let mut before = ",\"entry\":[\n";
        for (kind, _, text) in pieces.iter().flat_map(|piece| piece.lines.each()) {
            let Id { id } = serde_json::from_str(text)?;
            let url = serde_json::to_string(&format!("{}/FHIR/R5/{kind}/{id}", self.site))?;
            archive.write(format!("{before}{{\"fullUrl\":{url},\"resource\":{text}}}"))?;
            before = ",\n";
            let count = counts.entry(kind.to_owned()).or_default();
            *count = count.saturating_add(1);
        }
        archive.write(if counts.is_empty() { "}\n" } else { "\n]}\n" })?;
        Ok(counts)
    }

    /// The observations as tables, one for each kind of data.
    fn tables(&self, archive: &mut Archive, pieces: &[Piece]) -> Result<Vec<Table>, Failure> {
        let mut by_code: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let observations =
            pieces.iter().flat_map(|piece| piece.lines.each()).filter(|(kind, ..)| *kind == "Observation");
        for (_, code, text) in observations {
            by_code.entry(code.unwrap_or_default()).or_default().push(text);
        }
        let mut names = Names::default();
        let mut tables = Vec::with_capacity(by_code.len());
        for (code, lines) in by_code {
            let name = names.table(code, self.number);
            archive.file(&name, &tables::csv(&lines, Some(code)).map_err(internal)?)?;
            tables.push(Table { name, code: code.to_owned(), rows: lines.len() });
        }
        Ok(tables)
    }
}

/// The file in the making.
struct Archive {
    writer: ZipWriter<Cursor<Vec<u8>>>,
    options: SimpleFileOptions,
}

impl Archive {
    fn new(at: Timestamp) -> Result<Self, Failure> {
        let time = at.to_zoned(TimeZone::UTC).datetime();
        let part = |value: i8| u8::try_from(value).map_err(internal);
        let time = zip::DateTime::from_date_and_time(
            u16::try_from(time.year()).map_err(internal)?,
            part(time.month())?,
            part(time.day())?,
            part(time.hour())?,
            part(time.minute())?,
            part(time.second())?,
        )
        .map_err(internal)?;
        let options = SimpleFileOptions::default().last_modified_time(time).unix_permissions(0o600);
        Ok(Self { writer: ZipWriter::new(Cursor::new(Vec::new())), options })
    }

    fn begin(&mut self, name: &str) -> Result<(), Failure> {
        self.writer.start_file(name, self.options).map_err(zip_failed)
    }

    fn write(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), Failure> {
        self.writer.write_all(bytes.as_ref()).map_err(internal)
    }

    fn file(&mut self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        self.begin(name)?;
        self.write(bytes)
    }

    fn finish(self) -> Result<Vec<u8>, Failure> {
        Ok(self.writer.finish().map_err(zip_failed)?.into_inner())
    }
}

fn zip_failed(error: ZipError) -> Failure {
    internal(error)
}

fn internal(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::Internal(Box::new(error))
}
