//! Durations as data points write them: a number and one of eleven units.

use jiff::{SignedDuration, Span};
use serde_json::{Number, Value};

use crate::TimeError;
use crate::instant::Stated;

const NANOSECONDS: i128 = 1_000_000_000;
const MONTHS_PER_YEAR: f64 = 12.0;
/// More months than lie between the years -9999 and 9999.
const TOO_MANY_MONTHS: f64 = 240_000.0;

/// How long one unit is.
#[derive(Debug, Clone, Copy)]
enum Unit {
    /// A fixed length. A day is 24 hours and a week seven days, since a data point states an
    /// offset and no zone whose clocks could change.
    Fixed { picoseconds: i128, seconds: f64 },
    /// A number of calendar months.
    Calendar { months: f64 },
}

impl Unit {
    /// The units of IEEE 1752.1, schema `duration-unit-value`.
    fn named(name: &str) -> Option<Self> {
        let fixed = |picoseconds, seconds| Self::Fixed { picoseconds, seconds };
        let whole = |seconds: i32| fixed(i128::from(seconds) * 1000 * NANOSECONDS, seconds.into());
        Some(match name {
            "ps" => fixed(1, 1e-12),
            "ns" => fixed(1000, 1e-9),
            "us" => fixed(1_000_000, 1e-6),
            "ms" => fixed(1_000_000_000, 1e-3),
            "sec" => whole(1),
            "min" => whole(60),
            "h" => whole(3600),
            "d" => whole(86_400),
            "wk" => whole(604_800),
            "Mo" => Self::Calendar { months: 1.0 },
            "yr" => Self::Calendar { months: MONTHS_PER_YEAR },
            _ => return None,
        })
    }
}

/// A duration that is not negative.
///
/// Months and years follow the calendar from the instant that they are counted from, in the
/// offset in which that instant was stated; the last day of a shorter month stands for a day that
/// it lacks. What is left of a month is that share of the month that follows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Duration {
    /// A fixed length.
    Fixed(SignedDuration),
    /// Whole calendar months, and a share of the next.
    Calendar { months: i32, share: f64 },
}

/// Whether to count forward from a start or back from an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Back,
}

impl Duration {
    /// Reads `{"value": number, "unit": text}`. `None` if the value does not have that form.
    pub(crate) fn read(value: &Value) -> Option<Result<Self, TimeError>> {
        let Value::Number(number) = value.get("value")? else {
            return None;
        };
        let unit = Unit::named(value.get("unit")?.as_str()?)?;
        Some(match unit {
            Unit::Fixed { picoseconds, seconds } => fixed(number, picoseconds, seconds),
            Unit::Calendar { months } => calendar(number, months),
        })
    }

    /// The instant that lies this far from another.
    pub(crate) fn counted(self, from: Stated, way: Direction) -> Option<Stated> {
        let instant = match self {
            Self::Fixed(length) => shifted(from.instant, length, way)?,
            Self::Calendar { months, share } => {
                let whole = months_from(from, months, way)?.instant;
                if share > 0.0 {
                    let next = months_from(from, months.checked_add(1)?, way)?.instant;
                    let month = next.duration_since(whole).abs().as_secs_f64();
                    let rest = SignedDuration::try_from_secs_f64(month * share).ok()?;
                    shifted(whole, rest, way)?
                } else {
                    whole
                }
            }
        };
        Some(Stated { instant, ..from })
    }
}

fn shifted(from: jiff::Timestamp, length: SignedDuration, way: Direction) -> Option<jiff::Timestamp> {
    match way {
        Direction::Forward => from.checked_add(length).ok(),
        Direction::Back => from.checked_sub(length).ok(),
    }
}

fn months_from(from: Stated, months: i32, way: Direction) -> Option<Stated> {
    let span = Span::new().try_months(months).ok()?;
    let civil = match way {
        Direction::Forward => from.civil().checked_add(span),
        Direction::Back => from.civil().checked_sub(span),
    };
    Stated::at(civil.ok()?, from.offset)
}

/// A whole number is counted exactly. Any other is rounded to the nanosecond.
fn fixed(number: &Number, picoseconds: i128, seconds: f64) -> Result<Duration, TimeError> {
    let value = not_negative(number)?;
    let length = match number.as_i64() {
        Some(whole) => exact(i128::from(whole) * picoseconds)?,
        None => SignedDuration::try_from_secs_f64(value * seconds).map_err(|_| TimeError::OutOfRange)?,
    };
    Ok(Duration::Fixed(length))
}

/// The sign is checked before rounding could hide it.
fn not_negative(number: &Number) -> Result<f64, TimeError> {
    let value = number.as_f64().ok_or(TimeError::OutOfRange)?;
    if value < 0.0 {
        return Err(TimeError::EndBeforeStart);
    }
    Ok(value)
}

fn exact(picoseconds: i128) -> Result<SignedDuration, TimeError> {
    let nanoseconds = picoseconds / 1000;
    let seconds = i64::try_from(nanoseconds / NANOSECONDS);
    let rest = i32::try_from(nanoseconds % NANOSECONDS);
    match (seconds, rest) {
        (Ok(seconds), Ok(rest)) => Ok(SignedDuration::new(seconds, rest)),
        _ => Err(TimeError::OutOfRange),
    }
}

fn calendar(number: &Number, months_per_unit: f64) -> Result<Duration, TimeError> {
    let value = not_negative(number)? * months_per_unit;
    if value > TOO_MANY_MONTHS {
        return Err(TimeError::OutOfRange);
    }
    #[expect(clippy::cast_possible_truncation, reason = "the whole part of 0 to 240,000 fits")]
    let months = value.trunc() as i32;
    Ok(Duration::Calendar { months, share: value.fract() })
}
