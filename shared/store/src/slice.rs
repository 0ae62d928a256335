//! Which rows of a list, and how many are counted.

/// How far a list of `/api/v1` counts its rows: what is counted is read, so that a count without end costs as much as the
/// list is long.
pub const COUNTED: i64 = 10_000;

/// Counts to the end.
pub const ALL: i64 = i64::MAX;

/// So many rows after the key that the page before ended with, or, where a page is asked for by its number, after so many
/// rows. To skip costs as much as to read, so the caller bounds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// The key of the last row of the page before.
    pub after: Option<i64>,
    /// How many rows come first that are not shown.
    pub skip: i64,
    /// How many rows.
    pub count: i64,
}

impl Slice {
    /// One row: for statements that read a single one as a page.
    pub const ONE: Self = Self { after: None, skip: 0, count: 1 };

    /// The position in a list by rising keys.
    pub(crate) fn after_id(self) -> i32 {
        self.after.map_or(0, |id| i32::try_from(id).unwrap_or(i32::MAX))
    }

    /// The position in a list by falling keys.
    pub(crate) fn before(self) -> i64 {
        self.after.unwrap_or(i64::MAX)
    }

    /// The same, where keys are of 32 bits.
    pub(crate) fn before_id(self) -> i32 {
        i32::try_from(self.before()).unwrap_or(i32::MAX)
    }
}
