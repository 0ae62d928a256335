//! Searching resources that are kept as they come: the same lanes as for observations, walked in the order of arrival.
//!
//! Parameters 1 to 9 are those of the search of observations; 10 sources, 11 beginnings of sources, 12 ids, 13 and 14 last
//! updated, 15 position, 16 count.

use super::{
    COLUMNS,
    read::{AuxiliaryResource, raw, resource},
};
use crate::{
    Filter, Reader, Store, StoreError,
    asked::{asked_and_counted, asked_with},
    observation::lanes::{
        ENROLLED, NO_VERDICT, ORGANIZATIONS, PERMITTED_LANES, PERMITTED_ORGANIZATIONS, STUDIES, UNCONDITIONAL_LANES,
        VERDICT, WANTED, named, of_asked_sources,
    },
};
use audit::Context;
use authz::Layer;
use std::sync::LazyLock;
use tokio_postgres::{
    Row,
    types::{Json, Type},
};

/// A search.
#[derive(Clone, Debug)]
pub struct AuxiliaryQuery {
    /// On whose authority.
    pub reader: Reader,
    /// The resource type.
    pub kind: &'static str,
    /// The patients named; empty: none.
    pub patients: Vec<i32>,
    /// A patient named by a business identifier: system (none: any) and value.
    pub patient_identifier: Option<(Option<String>, String)>,
    /// The study named; a query that names one is judged by it alone.
    pub study: Option<i32>,
    /// Only patients of this organization.
    pub organization: Option<i32>,
    /// Only from these sources, all of them: `meta.source`.
    pub sources: Vec<String>,
    /// Only from sources that begin so, with all of them.
    pub below: Vec<String>,
    /// Only these ids, UUIDs; empty: all.
    pub ids: Vec<String>,
    /// Bounds on the last update.
    pub updated: Filter,
    /// How many, at most 1,000.
    pub count: u16,
    /// Continue after this number.
    pub after: Option<i64>,
}

/// A page of a search.
#[derive(Clone, Debug, Default)]
pub struct AuxiliaryPage {
    /// The rows, the latest arrival first.
    pub rows: Vec<AuxiliaryResource>,
    /// True when the next page is not empty.
    pub more: bool,
}

/// The patients whom a search names.
const NAMED_PATIENTS: &str = "SELECT id FROM patient WHERE id = ANY ($3::int[])";

/// The rows of a lane.
fn lane_rows() -> String {
    format!(
        "SELECT f.number, f.patient_id
       FROM auxiliary f
      WHERE f.patient_id = l.patient_id AND f.scope_id = l.scope_id
        AND f.last_updated >= $13 AND f.last_updated < $14
        AND (cardinality($12::text[]) = 0 OR f.id = ANY ($12::text[]::uuid[]))
        AND {}",
        of_asked_sources("$10::text[]", "$11::text[]")
    )
}

fn lanes(practitioner: bool) -> String {
    if practitioner {
        [VERDICT, WANTED, &named(ENROLLED), PERMITTED_LANES].join(",")
    } else {
        [NO_VERDICT, WANTED, &named(""), UNCONDITIONAL_LANES].join(",")
    }
}

fn page(practitioner: bool) -> String {
    format!(
        "WITH {lanes},
page AS MATERIALIZED (
  SELECT k.number, k.patient_id
    FROM lane l CROSS JOIN LATERAL ({rows}
        AND f.number < $15
      ORDER BY f.number DESC LIMIT $16 + 1) k
   ORDER BY k.number DESC LIMIT $16 + 1
),
shown AS MATERIALIZED (
  SELECT * FROM page ORDER BY number DESC LIMIT $16
)
SELECT a.event_id, a.refused_by, (SELECT count(*) FROM page) > $16 AS more, {COLUMNS}
  FROM (SELECT v.refused_by,
               audit_record($1 || {noted},
                            CASE WHEN v.refused_by IS NULL THEN 'allowed' ELSE 'denied' END, v.refused_by,
                            {organizations},
                            {STUDIES},
                            ARRAY(SELECT patient_id FROM shown UNION SELECT id FROM patient WHERE id = ANY ($3::int[])),
                            '{{}}', (SELECT max(role) FROM lane)) AS event_id
          FROM verdict v) a
  LEFT JOIN (shown s JOIN auxiliary x ON x.number = s.number JOIN patient p ON p.id = x.patient_id) ON true
 ORDER BY x.number DESC",
        lanes = lanes(practitioner),
        organizations = if practitioner { PERMITTED_ORGANIZATIONS } else { ORGANIZATIONS },
        rows = lane_rows(),
        noted = asked_with(
            "jsonb_build_object('ids', (SELECT coalesce(jsonb_agg(i.id), '[]') FROM shown s JOIN auxiliary i ON i.number = s.number))",
            NAMED_PATIENTS,
            "SELECT patient_id FROM shown"
        )
    )
}

fn count(practitioner: bool) -> String {
    format!(
        "WITH {lanes},
counted AS MATERIALIZED (
  SELECT k.patient_id, count(*) AS n FROM lane l CROSS JOIN LATERAL ({rows}) k GROUP BY k.patient_id
)
SELECT v.refused_by, (SELECT coalesce(sum(n), 0)::bigint FROM counted) AS total,
       audit_record($1 || {noted}, CASE WHEN v.refused_by IS NULL THEN 'allowed' ELSE 'denied' END, v.refused_by,
                    {organizations},
                    {STUDIES},
                    ARRAY(SELECT patient_id FROM counted UNION SELECT id FROM patient WHERE id = ANY ($3::int[])),
                    '{{}}', (SELECT max(role) FROM lane)) AS event_id
  FROM verdict v
 WHERE $15::bigint IS NOT NULL AND $16::bigint IS NOT NULL",
        lanes = lanes(practitioner),
        organizations = if practitioner { PERMITTED_ORGANIZATIONS } else { ORGANIZATIONS },
        rows = lane_rows(),
        noted = asked_and_counted(NAMED_PATIENTS, "counted")
    )
}

static PAGES: LazyLock<[String; 2]> = LazyLock::new(|| [page(false), page(true)]);
static COUNTS: LazyLock<[String; 2]> = LazyLock::new(|| [count(false), count(true)]);

/// The types of the parameters.
static PARAMETERS: [Type; 16] = [
    Type::JSONB,
    Type::INT4,
    Type::INT4_ARRAY,
    Type::TEXT,
    Type::TEXT,
    Type::INT4,
    Type::INT4,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TIMESTAMPTZ,
    Type::TIMESTAMPTZ,
    Type::INT8,
    Type::INT8,
];

impl Store {
    /// One page of a search, and its audit record, in one statement. `Ok(Err(layer))`: the query names something outside the
    /// reader's organizations.
    pub async fn search_auxiliary(
        &self,
        context: &Context,
        query: &AuxiliaryQuery,
    ) -> Result<Result<AuxiliaryPage, Layer>, StoreError> {
        let [unconditional, permitted] = &*PAGES;
        let text = if is_practitioner(query) { permitted } else { unconditional };
        let rows = self.run_auxiliary(text, context, query).await?;
        let mut page = AuxiliaryPage::default();
        for row in &rows {
            if let Some(layer) = refused(row)? {
                return Ok(Err(layer));
            }
            page.more = row.try_get("more")?;
        }
        // One row of nulls stands for an empty page: the audit's half of the join.
        let is_there = |row: &&Row| row.try_get::<_, Option<i64>>("number").is_ok_and(|number| number.is_some());
        let rows: Vec<&Row> = rows.iter().filter(is_there).collect();
        let payloads = rows.iter().map(|row| raw(row)).collect::<Result<Vec<_>, _>>()?;
        for (row, text) in rows.iter().zip(self.opened(&payloads).await?) {
            page.rows.extend(text.map(|text| resource(row, text)).transpose()?);
        }
        // What cannot be opened any more is passed over: a page without anything would be taken for the last one.
        match rows.last().filter(|_| page.rows.is_empty() && page.more) {
            None => Ok(Ok(page)),
            Some(last) => {
                let further = AuxiliaryQuery { after: Some(last.try_get("number")?), ..query.clone() };
                Box::pin(self.search_auxiliary(context, &further)).await
            }
        }
    }

    /// How many resources a search finds in all, and its audit record, in one statement.
    pub async fn count_auxiliary(
        &self,
        context: &Context,
        query: &AuxiliaryQuery,
    ) -> Result<Result<i64, Layer>, StoreError> {
        let [unconditional, permitted] = &*COUNTS;
        let text = if is_practitioner(query) { permitted } else { unconditional };
        let rows = self.run_auxiliary(text, context, query).await?;
        let row = rows.first().ok_or(StoreError::Corrupt("total"))?;
        match refused(row)? {
            Some(layer) => Ok(Err(layer)),
            None => Ok(Ok(row.try_get("total")?)),
        }
    }

    async fn run_auxiliary(
        &self,
        text: &str,
        context: &Context,
        query: &AuxiliaryQuery,
    ) -> Result<Vec<Row>, StoreError> {
        let (practitioner, own, _) = query.reader.parts();
        // A patient's search is of their own data, whomever it names.
        let patients = own.map_or_else(|| query.patients.clone(), |own| vec![own]);
        let identifier = query.patient_identifier.as_ref().filter(|_| own.is_none());
        let system = identifier.and_then(|(system, _)| system.as_deref());
        let value = identifier.map(|(_, value)| value.as_str());
        let after = query.after.unwrap_or(i64::MAX);
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(text, &PARAMETERS).await?;
        let rows = client
            .query(
                &statement,
                &[
                    &Json(context),
                    &practitioner,
                    &patients,
                    &system,
                    &value,
                    &query.study,
                    &query.organization,
                    &["http://hl7.org/fhir/resource-types"].as_slice(),
                    &[query.kind].as_slice(),
                    &query.sources,
                    &query.below,
                    &query.ids,
                    &query.updated.min,
                    &query.updated.max,
                    &after,
                    &i64::from(query.count),
                ],
            )
            .await?;
        Ok(rows)
    }
}

fn is_practitioner(query: &AuxiliaryQuery) -> bool {
    matches!(query.reader, Reader::Practitioner(_))
}

fn refused(row: &Row) -> Result<Option<Layer>, StoreError> {
    row.try_get::<_, Option<&str>>("refused_by")?
        .map(|name| Layer::from_name(name).ok_or(StoreError::Corrupt("refused_by")))
        .transpose()
}
