//! Creating, changing and deleting studies.

use super::{ACTING_ROLE, COLUMNS, RetentionPolicy, Study, study};
use crate::{Changed, Expected, Store, StoreError};
use audit::Context;
use authz::{
    OrganizationId, StudyId,
    study::{AccessUntil, Life},
};
use jiff::Timestamp;
use std::sync::LazyLock;
use tokio_postgres::types::{Json, Timestamp as Finite, ToSql, Type};

/// What a study is, or is to become. Whose it is never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StudyRecord {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// A picture for patients' apps.
    pub icon_url: Option<String>,
    /// Its life.
    pub life: Life,
    /// How long its data are kept.
    pub retention: Option<RetentionPolicy>,
}

impl From<&Study> for StudyRecord {
    fn from(study: &Study) -> Self {
        Self {
            name: study.name.clone(),
            description: study.description.clone(),
            icon_url: study.icon_url.clone(),
            life: study.life,
            retention: study.retention.clone(),
        }
    }
}

/// What came of deleting a study.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StudyDeletion {
    /// It is gone.
    Deleted,
    /// Somebody was enrolled or decided about it: it stays.
    HadPatients,
    /// It is another than the caller expected, and was left so.
    Stale,
    /// There is no such study.
    Missing,
}

/// 1 audit context, 2 organization, 3 on the record. No row: there is no such organization.
static CREATE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
WITH s AS (
  INSERT INTO study (organization_id, name, description, icon_url, status, starts_on, ends_on, access_until, retention_reference, retention_days)
  SELECT o.id, $3, $4, $5, $6, $7, $8, $9, $10, $11 FROM organization o WHERE o.id = $2
  RETURNING *
)
SELECT {COLUMNS},
       audit_record($1, 'allowed', NULL, ARRAY[s.organization_id], ARRAY[s.id], '{{}}', '{{}}', {ACTING_ROLE}, NULL, to_jsonb(s))
  FROM s JOIN organization o ON o.id = s.organization_id"
    )
});

/// The study as it is, kept so until the transaction ends.
static LOCK: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {COLUMNS} FROM study s JOIN organization o ON o.id = s.organization_id WHERE s.id = $1 FOR NO KEY UPDATE OF s"
    )
});

/// 1 audit context, 2 study, 3 on the record.
static CHANGE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
WITH was AS MATERIALIZED (
  SELECT to_jsonb(study) AS row FROM study WHERE id = $2
), s AS (
  UPDATE study SET name = $3, description = $4, icon_url = $5, status = $6, starts_on = $7, ends_on = $8, access_until = $9,
                   retention_reference = $10, retention_days = $11, last_updated = clock_timestamp()
   WHERE id = $2 RETURNING *
)
SELECT {COLUMNS},
       audit_record($1, 'allowed', NULL, ARRAY[s.organization_id], ARRAY[s.id], '{{}}', '{{}}', {ACTING_ROLE}, was.row, to_jsonb(s))
  FROM s JOIN organization o ON o.id = s.organization_id CROSS JOIN was"
    )
});

/// 1 audit context, 2 study, 3 expected times. Who is being enrolled at the same time marks the study first, or finds none.
static DELETE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
WITH s AS MATERIALIZED (
  SELECT * FROM study WHERE id = $2
), gone AS (
  DELETE FROM study d USING s
   WHERE d.id = s.id AND NOT d.ever_enrolled AND ($3::timestamptz[] IS NULL OR d.last_updated = ANY ($3))
     AND NOT EXISTS (SELECT FROM consent_event c WHERE c.study_id = d.id)
     AND NOT EXISTS (SELECT FROM legal_hold h WHERE h.study_id = d.id)
  RETURNING d.id
)
SELECT EXISTS (SELECT FROM gone) AS gone, $3::timestamptz[] IS NULL OR s.last_updated = ANY ($3) AS expected,
       audit_record($1, CASE WHEN EXISTS (SELECT FROM gone) THEN 'allowed' ELSE 'denied' END,
                    CASE WHEN NOT EXISTS (SELECT FROM gone) THEN 'invalid' END,
                    ARRAY[s.organization_id], ARRAY[s.id], '{{}}', '{{}}', {ACTING_ROLE},
                    CASE WHEN EXISTS (SELECT FROM gone) THEN to_jsonb(s) END, NULL)
  FROM s"
    )
});

/// The types of the parameters of [`CREATE`] and [`CHANGE`].
const RECORD: [Type; 11] = [
    Type::JSONB,
    Type::INT4,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::DATE,
    Type::DATE,
    Type::TIMESTAMPTZ,
    Type::TEXT,
    Type::INT4,
];

impl Store {
    /// Creates a study of an organization, with the audit record, in one statement. None: there is no such organization.
    pub async fn create_study(
        &self,
        context: &Context,
        organization: OrganizationId,
        record: &StudyRecord,
    ) -> Result<Option<Study>, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(&CREATE, &RECORD).await?;
        let values = Values::from(record);
        let row = client.query_opt(&statement, &values.after(&Json(context), &organization.0)).await?;
        row.as_ref().map(study).transpose()
    }

    /// Changes a study, with the audit record, in one transaction. `judge` sees the study as it is and says what it is to
    /// become; when it refuses, the study stays as it is.
    pub async fn change_study<E>(
        &self,
        context: &Context,
        id: StudyId,
        expected: &Expected,
        judge: impl FnOnce(&Study) -> Result<StudyRecord, E> + Send,
    ) -> Result<Result<Changed<Study>, E>, StoreError> {
        let mut client = self.connection().await?;
        let transaction = client.transaction().await?;
        let lock = transaction.prepare_typed_cached(&LOCK, &[Type::INT4]).await?;
        let Some(row) = transaction.query_opt(&lock, &[&id.0]).await? else {
            return Ok(Ok(Changed::Missing));
        };
        let current = study(&row)?;
        if expected.times().is_some_and(|times| !times.contains(&current.last_updated)) {
            return Ok(Ok(Changed::Stale));
        }
        let record = match judge(&current) {
            Ok(record) => record,
            Err(refused) => return Ok(Err(refused)),
        };
        let statement = transaction.prepare_typed_cached(&CHANGE, &RECORD).await?;
        let values = Values::from(&record);
        let row = transaction.query_one(&statement, &values.after(&Json(context), &id.0)).await?;
        let changed = study(&row)?;
        transaction.commit().await?;
        Ok(Ok(Changed::Done(changed)))
    }

    /// Deletes a study that never had patients, with the audit record, in one statement.
    pub async fn delete_study(
        &self,
        context: &Context,
        id: StudyId,
        expected: &Expected,
    ) -> Result<StudyDeletion, StoreError> {
        let client = self.connection().await?;
        let statement =
            client.prepare_typed_cached(&DELETE, &[Type::JSONB, Type::INT4, Type::TIMESTAMPTZ_ARRAY]).await?;
        let Some(row) = client.query_opt(&statement, &[&Json(context), &id.0, &expected.times()]).await? else {
            return Ok(StudyDeletion::Missing);
        };
        Ok(match (row.try_get("gone")?, row.try_get("expected")?) {
            (true, _) => StudyDeletion::Deleted,
            (false, true) => StudyDeletion::HadPatients,
            (false, false) => StudyDeletion::Stale,
        })
    }
}

/// The values of a record as parameters.
struct Values<'a> {
    record: &'a StudyRecord,
    status: &'static str,
    access: Finite<Timestamp>,
    retention_reference: Option<&'a str>,
    retention_days: Option<i32>,
}

impl<'a> From<&'a StudyRecord> for Values<'a> {
    fn from(record: &'a StudyRecord) -> Self {
        Self {
            record,
            status: record.life.status.name(),
            access: match record.life.access {
                AccessUntil::Never => Finite::NegInfinity,
                AccessUntil::Always => Finite::PosInfinity,
                AccessUntil::Until(end) => Finite::Value(end),
            },
            retention_reference: record.retention.as_ref().and_then(|policy| policy.reference.as_deref()),
            retention_days: record.retention.as_ref().and_then(|policy| policy.days),
        }
    }
}

impl Values<'_> {
    /// The parameters, after the audit context and the id.
    fn after<'b>(&'b self, context: &'b Json<&'b Context>, id: &'b i32) -> [&'b (dyn ToSql + Sync); 11] {
        [
            context,
            id,
            &self.record.name,
            &self.record.description,
            &self.record.icon_url,
            &self.status,
            &self.record.life.starts_on,
            &self.record.life.ends_on,
            &self.access,
            &self.retention_reference,
            &self.retention_days,
        ]
    }
}
