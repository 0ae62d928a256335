//! The time that a data point speaks of.

use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::TimeError;
use crate::duration::{Direction, Duration};
use crate::instant::{Misread, Stated, read_date};

/// The time at which, or interval in which, a measurement holds.
///
/// A time that states no offset is in UTC. Of an interval the start is never after the end.
///
/// A date with a part of the day stands for one of four intervals of six hours, in UTC since no
/// offset is stated with it: `night` is 00:00 to 06:00, `morning` 06:00 to 12:00, `afternoon`
/// 12:00 to 18:00 and `evening` 18:00 to 24:00 of that date. The schemas name the four parts and
/// give them no hours; equal quarters keep each part within its date.
///
/// Source: IEEE 1752.1, schemas `time-frame` and `time-interval`; Open mHealth, schemas
/// `time-interval` 1.x and `part-of-day` 1.x.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EffectiveTime {
    /// A point in time.
    Instant(Timestamp),
    /// An interval. The schemas leave open whether its bounds belong to it.
    Interval {
        /// When it starts.
        start: Timestamp,
        /// When it ends.
        end: Timestamp,
    },
}

impl EffectiveTime {
    /// The instant, or the start of the interval.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        match *self {
            Self::Instant(instant) => instant,
            Self::Interval { start, .. } => start,
        }
    }

    /// The instant, or the end of the interval.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        match *self {
            Self::Instant(instant) => instant,
            Self::Interval { end, .. } => end,
        }
    }

    /// Reads the effective time of a body that its schema accepts.
    ///
    /// The schema lets exactly one form match, and it ignores members that are of no form, such as
    /// a `duration` that is a text. So a form is taken only when all its members have their type.
    pub(crate) fn of_body(body: &Value) -> Result<Option<Self>, TimeError> {
        let Some(frame) = body.get("effective_time_frame") else {
            return Ok(None);
        };
        if let Some(text) = text(frame, "date_time") {
            return Ok(Some(Self::Instant(read("date_time", text)?.instant)));
        }
        let interval = frame.get("time_interval").ok_or(TimeError::NoForm)?;
        Self::of_interval(interval).map(Some)
    }

    fn of_interval(interval: &Value) -> Result<Self, TimeError> {
        let start = text(interval, "start_date_time");
        let end = text(interval, "end_date_time");
        let duration = interval.get("duration").and_then(Duration::read);
        let (start, end) = match (start, end, duration) {
            (Some(start), Some(end), None) => (read_start(start)?, read_end(end)?),
            (Some(start), None, Some(duration)) => {
                let start = read_start(start)?;
                (start, counted(duration?, start, Direction::Forward)?)
            }
            (None, Some(end), Some(duration)) => {
                let end = read_end(end)?;
                (counted(duration?, end, Direction::Back)?, end)
            }
            _ => return part_of_day(interval),
        };
        Self::between(start.instant, end.instant)
    }

    fn between(start: Timestamp, end: Timestamp) -> Result<Self, TimeError> {
        if end < start {
            return Err(TimeError::EndBeforeStart);
        }
        Ok(Self::Interval { start, end })
    }
}

fn text<'a>(value: &'a Value, member: &str) -> Option<&'a str> {
    value.get(member)?.as_str()
}

fn read(member: &'static str, text: &str) -> Result<Stated, TimeError> {
    Stated::read(text).map_err(|misread| match misread {
        Misread::NotADateTime => TimeError::NotADateTime(member),
        Misread::TooLate => TimeError::TooLate(member),
    })
}

fn read_start(text: &str) -> Result<Stated, TimeError> {
    read("time_interval/start_date_time", text)
}

fn read_end(text: &str) -> Result<Stated, TimeError> {
    read("time_interval/end_date_time", text)
}

fn counted(duration: Duration, from: Stated, way: Direction) -> Result<Stated, TimeError> {
    duration.counted(from, way).ok_or(TimeError::OutOfRange)
}

fn part_of_day(interval: &Value) -> Result<EffectiveTime, TimeError> {
    let (Some(date), Some(part)) = (text(interval, "date"), text(interval, "part_of_day")) else {
        return Err(TimeError::NoForm);
    };
    let first_hour = match part {
        "night" => 0,
        "morning" => 6,
        "afternoon" => 12,
        "evening" => 18,
        _ => return Err(TimeError::NoForm),
    };
    let date = read_date(date).ok_or(TimeError::NotADate)?;
    let start = Stated::at(date.at(first_hour, 0, 0, 0), Offset::UTC).ok_or(TimeError::OutOfRange)?.instant;
    let end = start.checked_add(SignedDuration::from_hours(6)).map_err(|_| TimeError::OutOfRange)?;
    EffectiveTime::between(start, end)
}
