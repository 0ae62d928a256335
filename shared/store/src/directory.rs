//! Searches of what lists of people and things are made of: studies, organizations, data sources, practitioners. Pages are by id.

use crate::{Slice, StoreError, TextFilter};
use jiff::Timestamp;
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

/// What is asked for. Everything that is set must hold.
#[derive(Clone, Debug, Default)]
pub struct DirectoryFilter {
    /// Only these ids; empty: all.
    pub ids: Vec<i32>,
    /// The name; of people the family or the given name.
    pub name: Option<TextFilter>,
    /// Not before, and before: the last update.
    pub updated: (Option<Timestamp>, Option<Timestamp>),
    /// Which page.
    pub slice: Slice,
    /// Whether to count all that match.
    pub with_total: bool,
}

/// A page of what a reader may see.
#[derive(Clone, Debug)]
pub struct DirectoryPage<T> {
    /// Its rows, by id.
    pub rows: Vec<T>,
    /// True when the next page is not empty.
    pub more: bool,
    /// How many there are in all, where that was asked for.
    pub total: Option<i64>,
    /// The ids that were asked for and are not the reader's to see.
    pub unseen: Vec<i32>,
}

impl<T> DirectoryPage<T> {
    /// Nothing; counted, where that was asked for.
    #[must_use]
    pub fn nothing(with_total: bool) -> Self {
        Self { rows: Vec::new(), more: false, total: with_total.then_some(0), unseen: Vec::new() }
    }
}

/// The types of [`Values`].
pub(crate) const TYPES: [Type; 7] =
    [Type::TEXT_ARRAY, Type::BOOL, Type::TIMESTAMPTZ, Type::TIMESTAMPTZ, Type::INT4, Type::INT8, Type::BOOL];

/// The parameters of a search: the name as patterns and whether they are exact, the last update not before and before, after,
/// count, whether to count all.
pub(crate) struct Values<'a> {
    patterns: Option<&'a [String]>,
    exact: bool,
    updated: (Option<Timestamp>, Option<Timestamp>),
    after: i32,
    count: i64,
    with_total: bool,
}

impl<'a> From<&'a DirectoryFilter> for Values<'a> {
    fn from(filter: &'a DirectoryFilter) -> Self {
        let (patterns, exact) = TextFilter::parts(filter.name.as_ref());
        // The root organization has the id 0.
        let after = filter.slice.after.map_or(-1, |id| i32::try_from(id).unwrap_or(i32::MAX));
        let (count, with_total) = (filter.slice.count, filter.with_total);
        Self { patterns, exact, updated: filter.updated, after, count, with_total }
    }
}

impl Values<'_> {
    /// Those of a statement: its own, and these.
    pub(crate) fn following<'v>(&'v self, own: &[&'v (dyn ToSql + Sync)]) -> Vec<&'v (dyn ToSql + Sync)> {
        let mut values = own.to_vec();
        values.extend([
            &self.patterns as &(dyn ToSql + Sync),
            &self.exact,
            &self.updated.0,
            &self.updated.1,
            &self.after,
            &self.count,
            &self.with_total,
        ]);
        values
    }
}

/// The statement of a search of `list`, a query without an order whose rows have `id`, `name` and `last_updated`. `unseen` are the ids
/// that are not to be seen, `first` is the number of the first of [`Values`]. It has at least one row.
pub(crate) fn statement(list: &str, unseen: &str, first: usize) -> String {
    let [name, exact, from, before, after, count, with_total] =
        [first, first + 1, first + 2, first + 3, first + 4, first + 5, first + 6];
    format!(
        "
WITH listed AS NOT MATERIALIZED ({list}
), found AS NOT MATERIALIZED (
  SELECT * FROM listed
   WHERE (${name}::text[] IS NULL OR CASE WHEN ${exact} THEN name LIKE ANY (${name}) ELSE name ILIKE ANY (${name}) END)
     AND (${from}::timestamptz IS NULL OR last_updated >= ${from}) AND (${before}::timestamptz IS NULL OR last_updated < ${before})
), page AS MATERIALIZED (
  SELECT * FROM found WHERE id > ${after} ORDER BY id LIMIT ${count} + 1
), shown AS MATERIALIZED (
  SELECT * FROM page ORDER BY id LIMIT ${count}
)
SELECT CASE WHEN ${with_total} THEN (SELECT count(*) FROM found) END AS total, (SELECT count(*) FROM page) > ${count} AS more,
       {unseen} AS unseen, s.*
  FROM (VALUES (1)) one LEFT JOIN shown s ON true
 ORDER BY id"
    )
}

/// The page of the rows of such a statement.
pub(crate) fn read<T>(
    rows: &[Row],
    one: impl Fn(&Row) -> Result<T, StoreError>,
) -> Result<DirectoryPage<T>, StoreError> {
    let mut page = DirectoryPage::nothing(false);
    for row in rows {
        page.more = row.try_get("more")?;
        page.total = row.try_get("total")?;
        page.unseen = row.try_get("unseen")?;
        if row.try_get::<_, Option<i32>>("id")?.is_some() {
            page.rows.push(one(row)?);
        }
    }
    Ok(page)
}
