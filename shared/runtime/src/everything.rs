//! Where a page of everything of a patient ends, as the links of its readers say it.

use crate::Failure;
use fhir::cursor::Position;
use jiff::Timestamp;
use store::EverythingAfter;

/// No observation has these times: they say of a position that it is among the decisions, or among the resources that are kept as they
/// come.
const DECISIONS: i64 = i64::MIN;
const KEPT: i64 = i64::MAX;

/// The position that a link tells of, to go on after it.
#[must_use]
pub fn position(after: EverythingAfter) -> Position {
    match after {
        EverythingAfter::Consent(id) => Position { at: DECISIONS, id },
        EverythingAfter::Observation(at, id) => Position { at: at.as_microsecond(), id },
        EverythingAfter::Auxiliary(number) => Position { at: KEPT, id: number },
    }
}

/// Where to go on, as the position of a link says.
pub fn place(position: Position) -> Result<EverythingAfter, Failure> {
    Ok(match position {
        Position { at: DECISIONS, id } => EverythingAfter::Consent(id),
        Position { at: KEPT, id } => EverythingAfter::Auxiliary(id),
        Position { at, id } => {
            let at = Timestamp::from_microsecond(at).map_err(|error| Failure::Internal(Box::new(error)))?;
            EverythingAfter::Observation(at, id)
        }
    })
}
