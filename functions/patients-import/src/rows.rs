//! The rows of a body, read one by one.

use crate::row::whole;
use api::{Problems, snake_case};
use runtime::{Failure, Request, rest::Fields};
use serde_json::{Map, Value, json};

/// The most rows of a request.
pub const MAX_ROWS: usize = 10_000;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180, with a header.
    Csv,
    /// A JSON object in each line.
    NdJson,
}

impl Format {
    /// The format that a request says it has. Only UTF-8 is read.
    pub fn of(request: &Request) -> Result<Self, Failure> {
        let charset = request.header(http::header::CONTENT_TYPE).and_then(|value| {
            let parameters = value.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
            parameters.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("charset")).map(|(_, value)| value)
        });
        if charset.is_some_and(|name| !name.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")) {
            return Err(Failure::UnsupportedMediaType);
        }
        match request.media_type().as_deref() {
            Some("text/csv") => Ok(Self::Csv),
            Some("application/x-ndjson") => Ok(Self::NdJson),
            _ => Err(Failure::UnsupportedMediaType),
        }
    }
}

/// The columns of CSV. An identifier of a row has two.
const COLUMNS: [&str; 7] =
    ["telecomEmail", "nameFamily", "nameGiven", "birthDate", "telecomPhone", "identifierSystem", "identifierValue"];

/// The rows of a body.
#[derive(Debug)]
pub struct Rows<'a> {
    body: &'a [u8],
    format: Format,
    columns: Vec<&'static str>,
}

impl<'a> Rows<'a> {
    /// The rows of a body, if there are not too many, and what a header says is known.
    pub fn new(format: Format, body: &'a [u8]) -> Result<Self, Failure> {
        if body.starts_with(&[0xFF, 0xFE]) || body.starts_with(&[0xFE, 0xFF]) {
            return Err(Failure::Invalid("The body must be UTF-8; it is UTF-16.".to_owned()));
        }
        // A byte order mark of UTF-8 says nothing.
        let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
        let columns = if format == Format::Csv { columns(body)? } else { Vec::new() };
        let rows = Self { body, format, columns };
        match rows.count() {
            0 => Err(Failure::Invalid("There are no rows.".to_owned())),
            1..=MAX_ROWS => Ok(rows),
            _ => Err(Failure::Invalid(format!("There are more than {MAX_ROWS} rows."))),
        }
    }

    fn count(&self) -> usize {
        match self.format {
            Format::Csv => reader(self.body).byte_records().take(MAX_ROWS + 1).count(),
            Format::NdJson => lines(self.body).take(MAX_ROWS + 1).count(),
        }
    }

    /// The rows with their numbers, from 1; a header and empty lines are not counted.
    pub fn numbered(self) -> impl Iterator<Item = (usize, Result<Fields, Problems>)> + Send + 'a {
        let Self { body, format, columns } = self;
        let csv = (format == Format::Csv).then(|| {
            reader(body).into_byte_records().map(move |record| match record {
                Ok(record) => of_record(&columns, record),
                Err(_) => Err(whole("The row cannot be read.")),
            })
        });
        let json = (format == Format::NdJson).then(|| {
            lines(body).map(|line| {
                Fields::line(line).ok_or_else(|| whole("Expected a JSON object in UTF-8, each member once."))
            })
        });
        (1..).zip(csv.into_iter().flatten().chain(json.into_iter().flatten()))
    }
}

fn reader(body: &[u8]) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(body)
}

/// The lines that are not empty.
fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> + Send {
    body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty())
}

/// The columns that the header names, in camel or snake case.
fn columns(body: &[u8]) -> Result<Vec<&'static str>, Failure> {
    let mut reader = reader(body);
    let header = reader.byte_headers().map_err(|_| Failure::Invalid("The header cannot be read.".to_owned()))?;
    let mut columns = Vec::with_capacity(header.len());
    for name in header {
        let name = std::str::from_utf8(name).map_err(|_| Failure::Invalid("The body must be UTF-8.".to_owned()))?;
        let known = COLUMNS.into_iter().find(|known| *known == name || snake_case(known) == name);
        let Some(known) = known else {
            // As much of the name as tells which column it is.
            let name: String = name.chars().take(100).collect();
            return Err(Failure::field(&name, "This column is not known."));
        };
        if columns.contains(&known) {
            return Err(Failure::field(known, "This column is there twice."));
        }
        columns.push(known);
    }
    Ok(columns)
}

/// The fields of a record. An empty one counts as absent.
fn of_record(columns: &[&'static str], record: csv::ByteRecord) -> Result<Fields, Problems> {
    let record = csv::StringRecord::from_byte_record(record).map_err(|_| whole("The row is not UTF-8."))?;
    if record.len() != columns.len() {
        return Err(whole(&format!("Expected {} columns, found {}.", columns.len(), record.len())));
    }
    let mut fields = Map::new();
    let mut identifier = Map::new();
    for (column, value) in columns.iter().zip(&record).filter(|(_, value)| !value.is_empty()) {
        match *column {
            "identifierSystem" => identifier.insert("system".to_owned(), value.into()),
            "identifierValue" => identifier.insert("value".to_owned(), value.into()),
            _ => fields.insert((*column).to_owned(), value.into()),
        };
    }
    if !identifier.is_empty() {
        fields.insert("identifiers".to_owned(), json!([identifier]));
    }
    Fields::of(&Value::Object(fields)).ok_or_else(|| whole("The row cannot be read."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "telecomEmail,nameFamily,name_given,birthDate,telecomPhone,identifierSystem,identifierValue\n";

    fn read(format: Format, body: &[u8]) -> Vec<(usize, Result<String, String>)> {
        let rows = Rows::new(format, body).unwrap().numbered();
        rows.map(|(row, fields)| {
            let family = fields.map(|fields| fields.text("nameFamily", 150).unwrap_or_default());
            (row, family.map_err(|problems| problems.into_keys().collect()))
        })
        .collect()
    }

    #[test]
    fn csv_is_read_with_quotes_a_mark_and_any_line_end() {
        let rows =
            "a@example.com,\"Da \"\"X\"\", Silva\",G,1990-01-01,,,\r\n\nb@example.com, Müller ,G,1990-01-01,,urn:x,1\n";
        let body = format!("\u{FEFF}{HEADER}{rows}");
        let expected = vec![(1, Ok("Da \"X\", Silva".to_owned())), (2, Ok("Müller".to_owned()))];
        assert_eq!(read(Format::Csv, body.as_bytes()), expected);
    }

    #[test]
    fn a_row_that_cannot_be_read_does_not_keep_the_others_from_being_read() {
        let mut body = HEADER.as_bytes().to_vec();
        body.extend(b"a@example.com,M\xFCller,G,1990-01-01,,,\nb@example.com,F\nc@example.com,Fine,G,1990-01-01,,,\n");
        let row = || Err("row".to_owned());
        assert_eq!(read(Format::Csv, &body), [(1, row()), (2, row()), (3, Ok("Fine".to_owned()))]);
        let body = b"{\"nameFamily\": \"A\"}\r\n\n{\"a\": 1, \"a\": 2}\n[]\n{\"nameFamily\": \"\xFC\"}\n{\"nameFamily\": \"B\"}";
        let expected = [(1, Ok("A".to_owned())), (2, row()), (3, row()), (4, row()), (5, Ok("B".to_owned()))];
        assert_eq!(read(Format::NdJson, body), expected);
    }

    #[test]
    fn what_is_no_table_of_patients_is_refused_whole() {
        let long = format!("{HEADER}{}", "a\n".repeat(MAX_ROWS + 1));
        for body in ["", HEADER, "telecomEmail,password\nx,y\n", "nameGiven,name_given\nx,y\n", long.as_str()] {
            assert!(Rows::new(Format::Csv, body.as_bytes()).is_err(), "{body:.60}");
        }
        assert!(Rows::new(Format::Csv, b"\xFF\xFEt\0e\0").is_err());
        assert!(Rows::new(Format::NdJson, b" \n\n").is_err());
        assert!(Rows::new(Format::NdJson, "{}\n".repeat(MAX_ROWS).as_bytes()).is_ok());
        assert!(Rows::new(Format::NdJson, "{}\n".repeat(MAX_ROWS + 1).as_bytes()).is_err());
    }
}
