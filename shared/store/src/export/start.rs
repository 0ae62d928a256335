//! What who asks for an export sees of it.

use crate::{Store, StoreError};
use audit::{Context, RefusedBy};
use authz::{ClientId, PractitionerId, UserId};
use jiff::Timestamp;
use serde::Deserialize;
use tokio_postgres::types::{Json, ToSql, Type};

/// An export of a study that somebody asks for.
#[derive(Clone, Copy, Debug)]
pub struct NewExport<'a> {
    /// For whom.
    pub of: ExportOf,
    /// As whom they read.
    pub practitioner: PractitionerId,
    /// What was asked, for the manifest.
    pub request_url: &'a str,
    /// The types of resources.
    pub types: &'a [&'static str],
    /// Only what changed since.
    pub since: Option<Timestamp>,
    /// `ndjson`, `csv` or `parquet`.
    pub format: &'static str,
    /// For how many seconds it is there.
    pub seconds: u32,
}

/// Whose exports, and of what. To anybody else, or with another client, they do not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportOf {
    /// The account.
    pub user: UserId,
    /// The client.
    pub client: ClientId,
    /// The study.
    pub study: i32,
}

/// What came of asking for an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportStart {
    /// It runs, under this id.
    Started(String),
    /// Another of the same study runs for the same account.
    Running,
    /// The study is not one of the caller's organizations, or there is none.
    Refused(RefusedBy),
}

/// How an export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportState {
    /// It is being made, or waits for it.
    Running,
    /// Its files can be had.
    Done,
    /// It could not be made.
    Failed,
}

impl ExportState {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "running" => Some(Self::Running),
            "done" => Some(Self::Done),
            "failed" => Some(Self::Failed),
            _ => None,
        }
    }
}

/// A file of an export.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ExportListed {
    /// Its number.
    pub number: i32,
    /// The type of its resources.
    #[serde(rename = "type")]
    pub kind: String,
    /// The code of its observations, where there is a table for each.
    pub code: Option<String>,
}

/// What there is to say of an export.
#[derive(Clone, Debug)]
pub struct ExportStatus {
    /// How it is.
    pub state: ExportState,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// What was asked.
    pub request_url: String,
    /// `ndjson`, `csv` or `parquet`.
    pub format: String,
    /// How many patients are enrolled, and how many of them are done.
    pub patients: (i64, i64),
    /// Its files, once all are there.
    pub files: Vec<ExportListed>,
}

/// 1 audit context, 2 practitioner, 3 study, 4 user, 5 client, 6 request, 7 URL, 8 types, 9 since, 10 format, 11 seconds.
const START: &str = "
WITH target AS MATERIALIZED (
  SELECT s.id, m.role FROM study s JOIN organization_member m ON m.organization_id = s.organization_id AND m.practitioner_id = $2
   WHERE s.id = $3
), made AS (
  INSERT INTO export_job (user_id, practitioner_id, client_id, study_id, request_id, request_url, types, since, format, expires_at)
  SELECT $4, $2, $5, t.id, $6, $7, $8, $9, $10, clock_timestamp() + make_interval(secs => $11) FROM target t
  ON CONFLICT (user_id, study_id) WHERE state = 'running' DO NOTHING
  RETURNING id
), verdict AS MATERIALIZED (
  SELECT CASE WHEN EXISTS (SELECT FROM made) THEN NULL WHEN EXISTS (SELECT FROM target) THEN 'invalid'
              WHEN EXISTS (SELECT FROM study WHERE id = $3) THEN 'organization' ELSE 'not_found' END AS refused_by
)
SELECT v.refused_by, (SELECT id::text FROM made) AS job,
       audit_record($1 || jsonb_build_object('detail', jsonb_build_object('operation', 'export', 'export', (SELECT id FROM made), 'types', $8)),
                    CASE v.refused_by WHEN 'invalid' THEN 'failed' ELSE CASE WHEN v.refused_by IS NULL THEN 'allowed' ELSE 'denied' END END,
                    v.refused_by, ARRAY(SELECT organization_id FROM study WHERE id = $3), ARRAY(SELECT id FROM study WHERE id = $3),
                    '{}', '{}', (SELECT role FROM target)) AS event_id
  FROM verdict v";

/// 1 job, 2 user, 3 client, 4 study. Who is no member any more is told nothing, and may end it.
const STATUS: &str = "
SELECT j.state, j.requested_at, j.expires_at, j.request_url, j.format,
       (SELECT count(*) FROM study_patient e WHERE e.study_id = j.study_id) AS patients,
       (SELECT count(*) FROM study_patient e WHERE e.study_id = j.study_id AND e.patient_id < j.at_patient) AS patients_done,
       coalesce((SELECT jsonb_agg(jsonb_build_object('number', f.number, 'type', f.type, 'code', f.code)
                                  ORDER BY array_position(j.types, f.type), f.code, f.number)
                   FROM export_file f WHERE f.job_id = j.id AND j.state = 'done'), '[]') AS files
  FROM export_job j
 WHERE j.id = $1::text::uuid AND j.user_id = $2 AND j.client_id = $3 AND j.study_id = $4 AND j.expires_at > clock_timestamp()
   AND EXISTS (SELECT FROM study s JOIN organization_member m ON m.organization_id = s.organization_id
                WHERE s.id = j.study_id AND m.practitioner_id = j.practitioner_id)";

/// 1 audit context, 2 job, 3 user, 4 client, 5 study.
const END: &str = "
WITH gone AS (
  DELETE FROM export_job WHERE id = $2::text::uuid AND user_id = $3 AND client_id = $4 AND study_id = $5 RETURNING id, study_id
)
SELECT audit_record($1 || jsonb_build_object('detail', jsonb_build_object('operation', 'export', 'export', g.id)), 'allowed', NULL,
                    ARRAY(SELECT organization_id FROM study WHERE id = g.study_id), ARRAY[g.study_id], '{}', '{}')
  FROM gone g";

impl Store {
    /// Begins an export, and records it, in one statement.
    pub async fn start_export(&self, context: &Context, new: &NewExport<'_>) -> Result<ExportStart, StoreError> {
        let types = [
            Type::JSONB,
            Type::INT4,
            Type::INT4,
            Type::INT4,
            Type::INT4,
            Type::TEXT,
            Type::TEXT,
            Type::TEXT_ARRAY,
            Type::TIMESTAMPTZ,
            Type::TEXT,
            Type::FLOAT8,
        ];
        let (of, seconds) = (new.of, f64::from(new.seconds));
        let context_value = Json(context);
        let parameters: [&(dyn ToSql + Sync); 11] = [
            &context_value,
            &new.practitioner.0,
            &of.study,
            &of.user.0,
            &of.client.0,
            &context.request_id,
            &new.request_url,
            &new.types,
            &new.since,
            &new.format,
            &seconds,
        ];
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(START, &types).await?;
        let row = client.query_one(&statement, &parameters).await?;
        Ok(match row.try_get::<_, Option<&str>>("refused_by")? {
            None => ExportStart::Started(row.try_get("job")?),
            Some("invalid") => ExportStart::Running,
            Some(name) => ExportStart::Refused(RefusedBy::from_name(name).ok_or(StoreError::Corrupt("refused_by"))?),
        })
    }

    /// How an export is. `job` is a UUID.
    pub async fn export_status(&self, of: ExportOf, job: &str) -> Result<Option<ExportStatus>, StoreError> {
        let client = self.connection().await?;
        let types = [Type::TEXT, Type::INT4, Type::INT4, Type::INT4];
        let statement = client.prepare_typed_cached(STATUS, &types).await?;
        let Some(row) = client.query_opt(&statement, &[&job, &of.user.0, &of.client.0, &of.study]).await? else {
            return Ok(None);
        };
        let Json(files) = row.try_get("files")?;
        Ok(Some(ExportStatus {
            state: ExportState::from_name(row.try_get("state")?).ok_or(StoreError::Corrupt("state"))?,
            requested_at: row.try_get("requested_at")?,
            expires_at: row.try_get("expires_at")?,
            request_url: row.try_get("request_url")?,
            format: row.try_get("format")?,
            patients: (row.try_get("patients")?, row.try_get("patients_done")?),
            files,
        }))
    }

    /// Ends an export, and records it. False: there is none.
    pub async fn end_export(&self, context: &Context, of: ExportOf, job: &str) -> Result<bool, StoreError> {
        let client = self.connection().await?;
        let types = [Type::JSONB, Type::TEXT, Type::INT4, Type::INT4, Type::INT4];
        let statement = client.prepare_typed_cached(END, &types).await?;
        let parameters: [&(dyn ToSql + Sync); 5] = [&Json(context), &job, &of.user.0, &of.client.0, &of.study];
        Ok(client.query_opt(&statement, &parameters).await?.is_some())
    }
}
