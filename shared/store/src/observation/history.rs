//! The versions of one observation, the newest first: judged as a read of it is, and recorded with what is shown.

use super::{
    query::Reader,
    read::{PRACTITIONER_LAYERS, TARGET, UNCONDITIONAL_LAYERS},
    search::{Found, found},
};
use crate::{Store, StoreError, meter, payloads::Raw};
use audit::{Context, RefusedBy};
use std::sync::LazyLock;
use tokio_postgres::types::{Json, Type};

/// What is asked of the versions of an observation.
#[derive(Clone, Copy, Debug)]
pub struct HistoryQuery {
    /// The observation.
    pub id: i64,
    /// Only this version.
    pub version: Option<i32>,
    /// Only versions before this one.
    pub before: Option<i32>,
    /// How many, at most 1,000.
    pub count: u16,
}

/// A page of versions.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The versions, the newest first.
    pub rows: Vec<Found>,
    /// True when there are earlier ones.
    pub more: bool,
}

/// The most bytes of payloads on a page of more than one version: Lambda answers with 6 MB.
const MOST_BYTES: u32 = 3 * 1024 * 1024;

/// 1 audit context, 2 observation, 3 reader, 4 version, 5 before which version, 6 count. An observation that may be read and has no such
/// version is not there.
fn statement(layers: &str, organizations: &str, studies: &str, role: &str) -> String {
    format!(
        "{TARGET}{layers}, every_version AS MATERIALIZED (
  SELECT o.version, coalesce(octet_length(o.payload), octet_length(o.content)) AS bytes
    FROM target t JOIN observation o ON o.id = t.id
  UNION ALL
  SELECT e.version, octet_length(e.payload) FROM target t JOIN observation_version e ON e.observation_id = t.id
), page AS MATERIALIZED (
  SELECT e.version, e.bytes FROM every_version e JOIN verdict w ON w.refused_by IS NULL
   WHERE ($4::int IS NULL OR e.version = $4) AND ($5::int IS NULL OR e.version < $5)
   ORDER BY e.version DESC LIMIT $6::bigint + 1
), shown AS MATERIALIZED (
  SELECT r.version
    FROM (SELECT p.version, row_number() OVER so_far AS n, sum(p.bytes) OVER so_far AS filled
            FROM page p WINDOW so_far AS (ORDER BY p.version DESC)) r
   WHERE r.n = 1 OR r.n <= $6 AND r.filled <= {MOST_BYTES}
), judged AS MATERIALIZED (
  SELECT coalesce(v.refused_by, CASE WHEN NOT EXISTS (SELECT FROM shown) THEN 'not_found' END) AS refused_by FROM verdict v
)
SELECT a.event_id, a.refused_by, (SELECT count(*) FROM page) > (SELECT count(*) FROM shown) AS more,
       x.id, x.version, x.last_updated, x.effective_start, x.content, x.payload, x.patient_id, x.source_id
  FROM (SELECT j.refused_by,
               audit_record($1 || jsonb_build_object('detail', jsonb_build_object('operation', 'history',
                              'versions', (SELECT coalesce(jsonb_agg(s.version ORDER BY s.version), '[]') FROM shown s))),
                            CASE WHEN j.refused_by IS NULL THEN 'allowed' ELSE 'denied' END, j.refused_by,
                            {organizations}, {studies}, ARRAY(SELECT patient_id FROM target), ARRAY(SELECT id FROM target),
                            {role}) AS event_id
          FROM judged j) a
  LEFT JOIN (shown s CROSS JOIN LATERAL (
               SELECT o.id, o.version, o.last_updated, o.effective_start, o.content, o.payload, o.patient_id, o.source_id
                 FROM observation o WHERE o.id = $2 AND o.version = s.version
               UNION ALL
               SELECT e.observation_id, e.version, e.last_updated, e.effective_start, NULL, e.payload, e.patient_id, e.source_id
                 FROM observation_version e WHERE e.observation_id = $2 AND e.version = s.version) x) ON true
 ORDER BY x.version DESC"
    )
}

static OF_PRACTITIONER: LazyLock<String> = LazyLock::new(|| {
    statement(
        PRACTITIONER_LAYERS,
        "ARRAY(SELECT DISTINCT organization_id FROM permit)",
        "ARRAY(SELECT DISTINCT study_id FROM permit)",
        "(SELECT max(role) FROM permit)",
    )
});
static UNCONDITIONAL: LazyLock<String> = LazyLock::new(|| statement(UNCONDITIONAL_LAYERS, "'{}'", "'{}'", "NULL"));

impl Store {
    /// Versions of an observation, and the audit record, in one statement. `Ok(Err(reason))`: it is not the reader's to see, or there is
    /// no such version.
    pub async fn observation_history(
        &self,
        context: &Context,
        reader: Reader,
        query: &HistoryQuery,
    ) -> Result<Result<History, RefusedBy>, StoreError> {
        let (text, who) = match reader {
            Reader::Practitioner(practitioner) => (&*OF_PRACTITIONER, Some(practitioner.0)),
            Reader::Patient(patient) => (&*UNCONDITIONAL, Some(patient.0)),
            Reader::Privileged => (&*UNCONDITIONAL, None),
        };
        let types = [Type::JSONB, Type::INT8, Type::INT4, Type::INT4, Type::INT4, Type::INT8];
        let rows = {
            let client = self.connection().await?;
            let statement = client.prepare_typed_cached(text, &types).await?;
            let count = i64::from(query.count);
            let context = Json(context);
            client.query(&statement, &[&context, &query.id, &who, &query.version, &query.before, &count]).await?
        };
        let mut history = History::default();
        for row in &rows {
            if let Some(refused) = row.try_get::<_, Option<&str>>("refused_by")? {
                return Ok(Err(RefusedBy::from_name(refused).ok_or(StoreError::Corrupt("refused_by"))?));
            }
            history.more = row.try_get("more")?;
        }
        let unopened = rows.iter().map(found).collect::<Result<Vec<_>, _>>()?;
        let raw = rows.iter().zip(&unopened).map(|(row, one)| Raw::of(row, one.place));
        let raw = raw.collect::<Result<Vec<_>, StoreError>>()?;
        // All have one key. Whose key was destroyed is no patient any more.
        let opened = self.opened(&raw).await?;
        history.rows = unopened.into_iter().zip(opened).filter_map(|(one, text)| Some(one.with(text?))).collect();
        if history.rows.is_empty() {
            return Ok(Err(RefusedBy::NotFound));
        }
        meter::observations_read(history.rows.len());
        Ok(Ok(history))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_pass_the_consent_that_the_observation_passes() {
        for (text, is_of_practitioner) in [(&*OF_PRACTITIONER, true), (&*UNCONDITIONAL, false)] {
            assert_eq!(text.contains("practitioner_permit"), is_of_practitioner);
            assert!(text.contains("audit_record(") && text.len() < 16 * 1024);
        }
    }
}
