//! Dates and times as data points write them.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;

/// Why a text is no instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misread {
    /// It is not a date and time.
    NotADateTime,
    /// It is after the last instant there is, late on 9999-12-30.
    TooLate,
}

/// An instant, with the offset in which it was stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stated {
    pub(crate) instant: Timestamp,
    pub(crate) offset: Offset,
}

impl Stated {
    /// Reads a date and time by RFC 3339 section 5.6, and the wider forms of ISO 8601 that common
    /// clients write: no seconds, `+0100` or `+01` as the offset, or no offset at all, which means
    /// UTC (IEEE 1752.1, schema `date-time`). Digits past the nanosecond are dropped, and a leap
    /// second counts as the second before it.
    pub(crate) fn read(text: &str) -> Result<Self, Misread> {
        let (civil, offset) = read_parts(text).ok_or(Misread::NotADateTime)?;
        Self::at(civil, offset).ok_or(Misread::TooLate)
    }

    /// The instant at which clocks of this offset show this date and time.
    pub(crate) fn at(civil: DateTime, offset: Offset) -> Option<Self> {
        let instant = offset.to_timestamp(civil).ok()?;
        Some(Self { instant, offset })
    }

    /// What clocks of the stated offset show at the instant.
    pub(crate) fn civil(self) -> DateTime {
        self.offset.to_datetime(self.instant)
    }
}

fn read_parts(text: &str) -> Option<(DateTime, Offset)> {
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let zone_at = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at_checked(zone_at)?;
    Some((read_date(date)?.to_datetime(read_clock(clock)?), read_offset(zone)?))
}

/// Reads a `full-date` of RFC 3339 section 5.6.
pub(crate) fn read_date(text: &str) -> Option<Date> {
    let (year, rest) = text.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    Date::new(digits(year, 4)?, narrow(digits(month, 2)?)?, narrow(digits(day, 2)?)?).ok()
}

fn read_clock(text: &str) -> Option<Time> {
    let (hour, rest) = text.split_once(':')?;
    let (minute, second) = rest.split_once(':').unwrap_or((rest, "00"));
    let (second, nanosecond) = match second.split_once('.') {
        Some((second, fraction)) => (second, read_fraction(fraction)?),
        None => (second, 0),
    };
    let second = match digits(second, 2)? {
        60 => 59,
        other => other,
    };
    Time::new(narrow(digits(hour, 2)?)?, narrow(digits(minute, 2)?)?, narrow(second)?, nanosecond).ok()
}

/// The nanoseconds of a fraction of a second.
fn read_fraction(text: &str) -> Option<i32> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = text.bytes().chain(std::iter::repeat(b'0')).take(9);
    Some(digits.fold(0, |sum, digit| sum * 10 + i32::from(digit - b'0')))
}

fn read_offset(text: &str) -> Option<Offset> {
    let (sign, rest) = match text.split_at_checked(1) {
        None | Some(("Z" | "z", "")) => return Some(Offset::UTC),
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        Some(_) => return None,
    };
    let (hours, minutes) = match rest.split_once(':') {
        Some(parts) => parts,
        None if rest.len() == 2 => (rest, "00"),
        None => rest.split_at_checked(2)?,
    };
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    Offset::from_seconds(sign * (i32::from(hours) * 3600 + i32::from(minutes) * 60)).ok()
}

/// Reads exactly so many ASCII digits.
fn digits(text: &str, count: usize) -> Option<i16> {
    if text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn narrow(number: i16) -> Option<i8> {
    i8::try_from(number).ok()
}
