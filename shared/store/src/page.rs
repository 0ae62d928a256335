//! Pages of lists that hold no health data: whose rows need no record of who saw them.

use crate::{COUNTED, Slice, StoreError};
use tokio_postgres::{Row, types::Type};

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// Its rows.
    pub rows: Vec<T>,
    /// True when the next page is not empty.
    pub more: bool,
    /// How many rows the list has, [`COUNTED`] at most.
    pub total: i64,
}

impl<T> Default for Page<T> {
    /// Of a list that has no rows.
    fn default() -> Self {
        Self { rows: Vec::new(), more: false, total: 0 }
    }
}

/// The order of a list.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    /// By id.
    Id,
    /// By id, the newest first.
    Newest,
    /// By name, and by id among those of one name: of the rows of this table. The place of a page is that of the row which the
    /// page before ended with; without that row there is no such page.
    NameIn(&'static str),
}

/// The types of the parameters of a page: after, count, skip, how far to count.
pub(crate) const TYPES: [Type; 4] = [Type::INT4, Type::INT8, Type::INT8, Type::INT8];

/// The statement of a page of `list`, a query without an order whose rows have `id` and, if need be, `name`. `first` is the number
/// of the first of the page's own parameters. It has at least one row, so that the total of an empty page is told.
pub(crate) fn statement(list: &str, order: Order, first: usize) -> String {
    let [after, count, skip, far] = [first, first + 1, first + 2, first + 3];
    // The beginning is two values and no condition, so that an index by both leads there.
    let (key, place, begins) = match order {
        Order::Id => ("id", String::new(), format!("id > coalesce(${after}, -1)")),
        Order::Newest => ("id DESC", String::new(), format!("id < coalesce(${after}, {})", i32::MAX)),
        Order::NameIn(table) => (
            "name, id",
            format!(
                "place AS MATERIALIZED (
  SELECT '' AS name, -1 AS id WHERE ${after} IS NULL UNION ALL SELECT k.name, k.id FROM {table} k WHERE k.id = ${after}
), "
            ),
            "(name, id) > ((SELECT name FROM place), (SELECT id FROM place))".to_owned(),
        ),
    };
    format!(
        "
WITH {place}listed AS NOT MATERIALIZED ({list}
), page AS MATERIALIZED (
  SELECT * FROM listed WHERE {begins} ORDER BY {key} LIMIT ${count} + ${skip} + 1
), shown AS MATERIALIZED (
  SELECT * FROM page ORDER BY {key} LIMIT ${count} OFFSET ${skip}
)
SELECT (SELECT count(*) FROM (SELECT FROM listed LIMIT ${far}) c) AS total, (SELECT count(*) FROM page) > ${count} + ${skip} AS more, s.*
  FROM (VALUES (1)) one LEFT JOIN shown s ON true
 ORDER BY {key}"
    )
}

/// The values of a page's parameters.
pub(crate) struct Values {
    pub after: Option<i32>,
    pub count: i64,
    pub skip: i64,
    pub far: i64,
}

impl From<Slice> for Values {
    fn from(slice: Slice) -> Self {
        let after = slice.after.map(|id| i32::try_from(id).unwrap_or(i32::MAX));
        Self { after, count: slice.count, skip: slice.skip, far: COUNTED }
    }
}

/// The page of the rows of such a statement.
pub(crate) fn read<T>(rows: &[Row], one: impl Fn(&Row) -> Result<T, StoreError>) -> Result<Page<T>, StoreError> {
    let mut page = Page::default();
    for row in rows {
        page.more = row.try_get("more")?;
        page.total = row.try_get("total")?;
        if row.try_get::<_, Option<i32>>("id")?.is_some() {
            page.rows.push(one(row)?);
        }
    }
    Ok(page)
}
