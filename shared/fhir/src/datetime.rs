//! FHIR `date`, `dateTime` and `instant` texts (<https://hl7.org/fhir/R5/datatypes.html#dateTime>),
//! and the date values of search, which may also stop at the minute or leave the time zone out.

use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use jiff::{Span, Timestamp, ToSpan};

/// How much of a date was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Precision {
    Year,
    Month,
    Day,
    Minute,
    Second,
}

/// A date text and the span of time it stands for: `low` is in it, `high` is the first instant after. What is after the last
/// instant there is, late on 9999-12-30, counts as that instant: `9999-12-31` is how many write "no end".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) low: Timestamp,
    pub(crate) high: Timestamp,
    /// The calendar day of `low`, as written.
    pub(crate) day: Date,
    pub(crate) precision: Precision,
    pub(crate) zoned: bool,
    /// Whether `low` is the instant that is written, and not the last one in its place.
    pub(crate) exact: bool,
}

impl Moment {
    /// The calendar day after the last one the text stands for, when the text has no time.
    pub(crate) fn day_after(&self) -> Option<Date> {
        let span = match self.precision {
            Precision::Year => 1.year(),
            Precision::Month => 1.month(),
            Precision::Day => 1.day(),
            Precision::Minute | Precision::Second => return None,
        };
        Some(self.day.saturating_add(span))
    }
}

/// Reads digits and separators from the front of a text.
struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn eat(&mut self, byte: u8) -> Option<()> {
        let (first, rest) = self.rest.split_first()?;
        (*first == byte).then(|| self.rest = rest)
    }

    fn done(&self) -> bool {
        self.rest.is_empty()
    }

    fn number(&mut self, width: usize) -> Option<i16> {
        let (digits, rest) = self.rest.split_at_checked(width)?;
        self.rest = rest;
        digits
            .iter()
            .try_fold(0_i16, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i16::from(digit - b'0')))
    }

    fn two(&mut self) -> Option<i8> {
        i8::try_from(self.number(2)?).ok()
    }

    /// The fraction of a second in nanoseconds, and the smallest step its digits can say.
    /// Digits after the sixth are read and dropped: nothing we store is finer than a microsecond.
    fn fraction(&mut self) -> Option<(i32, i64)> {
        let (mut nanos, mut step, mut digits) = (0_i32, 1_000_000_000_i32, 0_usize);
        while let Some((digit, rest)) = self.rest.split_first().filter(|(digit, _)| digit.is_ascii_digit()) {
            self.rest = rest;
            digits += 1;
            if digits <= 6 {
                step /= 10;
                nanos += i32::from(digit - b'0') * step;
            }
        }
        (1..=18).contains(&digits).then_some((nanos, i64::from(step)))
    }

    /// `Z`, `+hh:mm` or `-hh:mm`; at most 14 hours, as in the `dateTime` pattern of R5.
    fn offset(&mut self) -> Option<Offset> {
        if self.eat(b'Z').is_some() {
            return Some(Offset::UTC);
        }
        let sign = if self.eat(b'+').is_some() {
            1
        } else {
            self.eat(b'-')?;
            -1
        };
        let hours = i32::from(self.two()?);
        self.eat(b':')?;
        let minutes = i32::from(self.two()?);
        let seconds = hours * 3600 + minutes * 60;
        if minutes > 59 || seconds > 14 * 3600 {
            return None;
        }
        Offset::from_seconds(sign * seconds).ok()
    }
}

/// Reads a date text; a time without a zone is taken as UTC, and `zoned` says so.
pub(crate) fn parse(text: &str) -> Option<Moment> {
    let mut reader = Reader { rest: text.as_bytes() };
    let year = reader.number(4)?;
    // Year 0 is no FHIR year.
    if year < 1 {
        return None;
    }
    if reader.done() {
        return Some(calendar(Date::new(year, 1, 1).ok()?, Precision::Year, 1.year()));
    }
    reader.eat(b'-')?;
    let month = reader.two()?;
    if reader.done() {
        return Some(calendar(Date::new(year, month, 1).ok()?, Precision::Month, 1.month()));
    }
    reader.eat(b'-')?;
    let day = Date::new(year, month, reader.two()?).ok()?;
    if reader.done() {
        return Some(calendar(day, Precision::Day, 1.day()));
    }
    reader.eat(b'T')?;
    clock(day, reader)
}

fn calendar(day: Date, precision: Precision, span: Span) -> Moment {
    let start = day.at(0, 0, 0, 0);
    moment(start, start.saturating_add(span), precision, None)
}

fn clock(day: Date, mut reader: Reader<'_>) -> Option<Moment> {
    let hour = reader.two()?;
    reader.eat(b':')?;
    let minute = reader.two()?;
    let (mut second, mut nanos, mut step, mut precision) = (0, 0, 60_000_000_000, Precision::Minute);
    if reader.eat(b':').is_some() {
        (second, step, precision) = (reader.two()?, 1_000_000_000, Precision::Second);
        if reader.eat(b'.').is_some() {
            (nanos, step) = reader.fraction()?;
        }
    }
    let offset = if reader.done() { None } else { Some(reader.offset()?) };
    if !reader.done() {
        return None;
    }
    let time = jiff::civil::Time::new(hour, minute, second, nanos).ok()?;
    let start = day.to_datetime(time);
    Some(moment(start, start.saturating_add(step.nanoseconds()), precision, offset))
}

fn moment(start: DateTime, end: DateTime, precision: Precision, offset: Option<Offset>) -> Moment {
    let zone = offset.unwrap_or(Offset::UTC);
    let low = zone.to_timestamp(start);
    Moment {
        exact: low.is_ok(),
        low: low.unwrap_or(Timestamp::MAX),
        high: zone.to_timestamp(end).unwrap_or(Timestamp::MAX),
        day: start.date(),
        precision,
        zoned: offset.is_some(),
    }
}

/// Reads an `instant`: at least to the second, with a time zone. If it is none: what is wrong with it.
pub(crate) fn instant(text: &str) -> Result<Timestamp, &'static str> {
    let to_the_second = |moment: &Moment| moment.precision == Precision::Second && moment.zoned;
    match parse(text).filter(to_the_second) {
        Some(moment) if moment.exact => Ok(moment.low),
        Some(_) => Err("must be before 9999-12-30"),
        None => Err("must be a date and a time with seconds and a time zone, as 2026-01-31T08:00:00Z"),
    }
}

/// Whether a text is a `dateTime`: partial dates are, a time needs seconds and a zone.
pub(crate) fn is_date_time(text: &str) -> bool {
    parse(text).is_some_and(|moment| {
        moment.precision <= Precision::Day || (moment.precision == Precision::Second && moment.zoned)
    })
}

/// An instant as R5 text in UTC, or nothing when its year has no R5 form.
pub(crate) fn text(at: Timestamp) -> Option<String> {
    (Offset::UTC.to_datetime(at).year() >= 1).then(|| at.to_string())
}
