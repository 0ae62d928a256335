//! The table as Parquet (<https://parquet.apache.org/docs/file-format/>): one row group, compressed with zstd.

use crate::{CREATED, FIRST, HEADER, OBSERVATION, OTHER, Row, Table, TableError, others, whole};
use jiff::Timestamp;
use omh::ColumnKind;
use parquet::{
    basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel},
    column::writer::ColumnWriter,
    data_type::ByteArray,
    errors::ParquetError,
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::types::Type,
};
use serde_json::Value;
use std::{mem, str::FromStr as _, sync::Arc};

/// How a column is written. Each value may be missing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    Text,
    Integer,
    Number,
    Boolean,
    /// An instant, in microseconds of UTC.
    Time,
}

impl From<ColumnKind> for Written {
    fn from(kind: ColumnKind) -> Self {
        match kind {
            ColumnKind::Text | ColumnKind::Json => Self::Text,
            ColumnKind::Number => Self::Number,
            ColumnKind::Integer => Self::Integer,
            ColumnKind::Boolean => Self::Boolean,
        }
    }
}

impl Written {
    fn column(self, name: &str) -> Result<Type, ParquetError> {
        let (physical, logical) = match self {
            Self::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Self::Integer => (Physical::INT64, None),
            Self::Number => (Physical::DOUBLE, None),
            Self::Boolean => (Physical::BOOLEAN, None),
            Self::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
        };
        Type::primitive_type_builder(name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .build()
    }
}

/// Observations of a kind, a resource on each line, as a file of Parquet. What is in memory is the table, and the file.
pub fn parquet<T: AsRef<str>>(lines: &[T], code: Option<&str>) -> Result<Vec<u8>, TableError> {
    let Table { columns, rows } = Table::of(lines, code)?;
    let first = FIRST.iter().map(|(name, kind)| ((*name).to_owned(), kind.map_or(Written::Time, Written::from)));
    let rest = columns.into_iter().map(|column| (column.path, Written::from(column.kind)));
    let columns: Vec<(String, Written)> = first.chain(rest).chain([(OTHER.to_owned(), Written::Text)]).collect();

    let mut cells: Vec<Vec<Value>> = columns.iter().map(|_| Vec::with_capacity(rows.len())).collect();
    for mut row in rows {
        keep_what_no_column_holds(&mut row, &columns);
        let Row { first, values, other, .. } = row;
        let values = first.into_iter().chain(values).chain([others(other)]);
        for (column, value) in cells.iter_mut().zip(values) {
            column.push(value);
        }
    }

    let types = columns.iter().map(|(name, kind)| kind.column(name).map(Arc::new)).collect::<Result<_, _>>()?;
    let schema = Type::group_type_builder("observation").with_fields(types).build()?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by("JupyterHealth Exchange".to_owned())
        .build();
    let mut file = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties))?;
    let mut group = file.next_row_group()?;
    let mut written = columns.iter().zip(cells);
    while let (Some(mut writer), Some(((_, kind), cells))) = (group.next_column()?, written.next()) {
        write(writer.untyped(), *kind, &cells)?;
        writer.close()?;
    }
    group.close()?;
    Ok(file.into_inner()?)
}

/// A day is no instant, and an id that is no number no integer: they are kept as what no column takes. So is, besides the value in its
/// column, what that does not give back as it was sent: when the source created the data point, with its offset, and a number with more
/// digits than it has place for.
fn keep_what_no_column_holds(row: &mut Row, columns: &[(String, Written)]) {
    let (of_first, of_values) = columns.split_at(FIRST.len());
    let mut kept = Vec::new();
    for (value, (name, kind)) in row.first.iter_mut().zip(of_first) {
        let part = if name == CREATED { HEADER } else { OBSERVATION };
        if !value.is_null() && !is_of(*kind, value) {
            kept.push((part, name, mem::take(value)));
        } else if part == HEADER && value.as_str().is_some_and(|text| Some(text.to_owned()) != as_instant(value)) {
            kept.push((part, name, value.clone()));
        }
    }
    for (value, (path, kind)) in row.values.iter().zip(of_values) {
        if *kind == Written::Number && !value.is_null() && !is_exact(value) {
            kept.push((row.part, path, value.clone()));
        }
    }
    for (part, path, value) in kept {
        row.keep(part, path, Some(value));
    }
}

/// An instant as its column gives it back.
fn as_instant(value: &Value) -> Option<String> {
    Some(Timestamp::from_microsecond(micros(value)?).ok()?.to_string())
}

/// Whether a number is what is read where it is written with 64 bits. `1.50` is `1.5`.
fn is_exact(value: &Value) -> bool {
    let number = value.as_f64().and_then(serde_json::Number::from_f64);
    number.is_some_and(|number| decimal(&number.to_string()) == decimal(&value.to_string()))
}

/// The sign, the digits without zeros at their ends, and the power of ten of the last of them: the same for the same number.
pub(crate) fn decimal(text: &str) -> Option<(bool, String, i64)> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) =
        mantissa.trim_start_matches('-').split_once('.').unwrap_or((mantissa.trim_start_matches('-'), ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    let power = i64::from_str(exponent).ok()?.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let power = power.checked_add(i64::try_from(digits.len().saturating_sub(significant.len())).ok()?)?;
    let significant = significant.trim_start_matches('0');
    let is_zero = significant.is_empty();
    Some((text.starts_with('-') && !is_zero, significant.to_owned(), if is_zero { 0 } else { power }))
}

/// Whether one of the first columns takes a value.
fn is_of(kind: Written, value: &Value) -> bool {
    match kind {
        Written::Time => micros(value).is_some(),
        Written::Integer => integer(value).is_some(),
        _ => value.is_string(),
    }
}

/// Microseconds of UTC.
fn micros(value: &Value) -> Option<i64> {
    value.as_str()?.parse::<Timestamp>().ok().map(Timestamp::as_microsecond)
}

/// A whole number, also an id, which is a text in FHIR.
fn integer(value: &Value) -> Option<i64> {
    whole(value).or_else(|| value.as_str()?.parse().ok())
}

fn bytes(value: &Value) -> Option<ByteArray> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(ByteArray::from(text.as_str())),
        other => Some(ByteArray::from(other.to_string().into_bytes())),
    }
}

fn write(writer: &mut ColumnWriter<'_>, kind: Written, cells: &[Value]) -> Result<(), ParquetError> {
    let by = |value: &Value| if kind == Written::Time { micros(value) } else { integer(value) };
    match writer {
        ColumnWriter::BoolColumnWriter(writer) => {
            let (values, levels) = present(cells, Value::as_bool);
            writer.write_batch(&values, Some(&levels), None)
        }
        ColumnWriter::Int64ColumnWriter(writer) => {
            let (values, levels) = present(cells, by);
            writer.write_batch(&values, Some(&levels), None)
        }
        ColumnWriter::DoubleColumnWriter(writer) => {
            let (values, levels) = present(cells, Value::as_f64);
            writer.write_batch(&values, Some(&levels), None)
        }
        ColumnWriter::ByteArrayColumnWriter(writer) => {
            let (values, levels) = present(cells, bytes);
            writer.write_batch(&values, Some(&levels), None)
        }
        _ => Err(ParquetError::General("a column of another type".to_owned())),
    }
    .map(drop)
}

/// The values that are there, and for each cell whether it has one.
fn present<T>(cells: &[Value], as_value: impl Fn(&Value) -> Option<T>) -> (Vec<T>, Vec<i16>) {
    let mut values = Vec::with_capacity(cells.len());
    let levels = cells.iter().map(|cell| match as_value(cell) {
        Some(value) => {
            values.push(value);
            1
        }
        None => 0,
    });
    let levels = levels.collect();
    (values, levels)
}
