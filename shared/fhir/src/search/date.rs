//! `date` values (<https://hl7.org/fhir/R5/search.html#date>).
//!
//! A value stands for a span of time, from `low` to before `high`; so does a resource, from its start
//! to its end, which are the same for an instant. Every prefix becomes comparisons of the resource's
//! start and end, so that a database answers from an index:
//!
//! | prefix | resource | meaning |
//! | --- | --- | --- |
//! | eq | start >= low and end < high | the value contains the resource |
//! | gt | end >= high | the time after the value overlaps the resource |
//! | lt | start < low | the time before the value overlaps the resource |
//! | ge | end >= low | the value, or the time after it, overlaps the resource |
//! | le | start < high | the value, or the time before it, overlaps the resource |
//! | sa | start >= high | the resource starts after the value |
//! | eb | end < low | the resource ends before the value |
//! | ap | start < high and end >= low | the value overlaps the resource |
//!
//! For instants this is R5 to the letter. For a period, ge and le also match one that straddles the
//! edge of the value, which R5's wording of ge and le would take only from gt, lt or eq. `ne` is no
//! comparison of bounds and is not supported.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::Rejection;
use crate::datetime::{self, Moment};

/// The most repetitions of a date parameter.
const MAX_REPEATS: usize = 10;

#[derive(Clone, Copy)]
enum Prefix {
    Eq,
    Gt,
    Lt,
    Ge,
    Le,
    Sa,
    Eb,
    Ap,
}

/// One end of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The instant.
    pub at: Timestamp,
    /// Whether the instant itself is in the range.
    pub inclusive: bool,
}

/// What a date parameter asks of a resource's start and end. Repetitions are combined with AND.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DateBounds {
    /// The start is at or after this; always inclusive.
    pub start_min: Option<Bound>,
    /// The start is before this; always exclusive.
    pub start_max: Option<Bound>,
    /// The end is at or after this; always inclusive.
    pub end_min: Option<Bound>,
    /// The end is before this; always exclusive.
    pub end_max: Option<Bound>,
    asked: Vec<String>,
}

/// What a date parameter asks of a calendar day, such as a birth date.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayBounds {
    /// The first day that matches.
    pub from: Option<Date>,
    /// The first day after those that match.
    pub before: Option<Date>,
    asked: Vec<String>,
}

/// Takes a value apart; without a prefix it means `eq`.
fn read(name: &str, value: &str) -> Result<(Prefix, Moment), Rejection> {
    let (prefix, text) = match value.split_at_checked(2) {
        Some((prefix, text)) if prefix.bytes().all(|byte| byte.is_ascii_lowercase()) => (prefix, text),
        _ => ("eq", value),
    };
    let prefix = match prefix {
        "eq" => Prefix::Eq,
        "gt" => Prefix::Gt,
        "lt" => Prefix::Lt,
        "ge" => Prefix::Ge,
        "le" => Prefix::Le,
        "sa" => Prefix::Sa,
        "eb" => Prefix::Eb,
        "ap" => Prefix::Ap,
        "ne" => {
            let problem = format!("Search parameter {name} does not support the prefix ne");
            return Err(Rejection::parameter_not_supported(problem));
        }
        _ => return Err(Rejection::parameter(name, "has an unknown prefix")),
    };
    let moment = datetime::parse(text).ok_or_else(|| Rejection::parameter(name, problem(text)))?;
    Ok((prefix, moment))
}

fn problem(text: &str) -> &'static str {
    if text.contains(' ') {
        "must be a date such as 2025-09-21 or 2025-09-21T10:00:00Z; write + as %2B in a URL"
    } else {
        "must be a date such as 2025, 2025-09, 2025-09-21 or 2025-09-21T10:00:00Z"
    }
}

fn remember(asked: &mut Vec<String>, name: &str, value: &str) -> Result<(), Rejection> {
    if asked.len() >= MAX_REPEATS {
        return Err(Rejection::parameter(name, "must not be repeated more than 10 times"));
    }
    if let Err(index) = asked.binary_search_by(|known| known.as_str().cmp(value)) {
        asked.insert(index, value.to_owned());
    }
    Ok(())
}

fn raise(bound: &mut Option<Bound>, at: Timestamp) {
    let at = bound.map_or(at, |bound| bound.at.max(at));
    *bound = Some(Bound { at, inclusive: true });
}

fn lower(bound: &mut Option<Bound>, at: Timestamp) {
    let at = bound.map_or(at, |bound| bound.at.min(at));
    *bound = Some(Bound { at, inclusive: false });
}

impl DateBounds {
    /// Adds one value of the parameter.
    pub(super) fn add(&mut self, name: &str, value: &str) -> Result<(), Rejection> {
        let (prefix, Moment { low, high, .. }) = read(name, value)?;
        remember(&mut self.asked, name, value)?;
        match prefix {
            Prefix::Eq => {
                raise(&mut self.start_min, low);
                lower(&mut self.end_max, high);
            }
            Prefix::Gt => raise(&mut self.end_min, high),
            Prefix::Lt => lower(&mut self.start_max, low),
            Prefix::Ge => raise(&mut self.end_min, low),
            Prefix::Le => lower(&mut self.start_max, high),
            Prefix::Sa => raise(&mut self.start_min, high),
            Prefix::Eb => lower(&mut self.end_max, low),
            Prefix::Ap => {
                lower(&mut self.start_max, high);
                raise(&mut self.end_min, low);
            }
        }
        Ok(())
    }

    /// The same for something that is an instant, where start and end are one: at or after the first,
    /// before the second.
    #[must_use]
    pub fn instant(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        let at = |bound: Option<Bound>| bound.map(|bound| bound.at);
        let least = at(self.start_min).max(at(self.end_min));
        let most = match (at(self.start_max), at(self.end_max)) {
            (Some(start), Some(end)) => Some(start.min(end)),
            (start, end) => start.or(end),
        };
        (least, most)
    }

    /// Whether a resource from `start` to `end` matches.
    #[must_use]
    pub fn matches(&self, start: Timestamp, end: Timestamp) -> bool {
        self.start_min.is_none_or(|bound| start >= bound.at)
            && self.start_max.is_none_or(|bound| start < bound.at)
            && self.end_min.is_none_or(|bound| end >= bound.at)
            && self.end_max.is_none_or(|bound| end < bound.at)
    }

    /// Whether nothing was asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// The values that were asked, in order.
    pub(super) fn asked(&self) -> &[String] {
        &self.asked
    }
}

impl DayBounds {
    /// Adds one value of the parameter; a value with a time is refused.
    pub(super) fn add(&mut self, name: &str, value: &str) -> Result<(), Rejection> {
        let (prefix, moment) = read(name, value)?;
        let after = moment.day_after().ok_or_else(|| Rejection::parameter(name, "must not have a time"))?;
        remember(&mut self.asked, name, value)?;
        let day = moment.day;
        match prefix {
            Prefix::Eq | Prefix::Ap => {
                self.not_before(day);
                self.not_after(after);
            }
            Prefix::Gt | Prefix::Sa => self.not_before(after),
            Prefix::Ge => self.not_before(day),
            Prefix::Lt | Prefix::Eb => self.not_after(day),
            Prefix::Le => self.not_after(after),
        }
        Ok(())
    }

    fn not_before(&mut self, day: Date) {
        self.from = self.from.max(Some(day));
    }

    fn not_after(&mut self, day: Date) {
        self.before = Some(self.before.map_or(day, |before| before.min(day)));
    }

    /// The values that were asked, in order.
    pub(super) fn asked(&self) -> &[String] {
        &self.asked
    }
}
