//! What managers and super admins say about how long observations are kept, and what is seen of it.

use crate::{Slice, Store, StoreError, slice::COUNTED};
use audit::Context;
use authz::{OrganizationId, PatientId, StudyId, UserId};
use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::types::{Json, ToSql, Type};

/// Whose policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyOf {
    /// The deployment's.
    Deployment,
    /// An organization's.
    Organization(OrganizationId),
    /// A study's.
    Study(StudyId),
}

impl PolicyOf {
    const fn ids(self) -> (Option<i32>, Option<i32>) {
        match self {
            Self::Deployment => (None, None),
            Self::Organization(id) => (Some(id.0), None),
            Self::Study(id) => (None, Some(id.0)),
        }
    }
}

/// After how many days observations are deleted. None: the policy does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Days {
    /// After the end of the study.
    pub after_completion: Option<i32>,
    /// After the patient withdrew the consent, or left.
    pub after_withdrawal: Option<i32>,
    /// After what was observed, and after it was stored.
    pub by_age: Option<i32>,
}

/// A policy, and what it comes to.
#[derive(Clone, Copy, Debug)]
pub struct PolicyInForce {
    /// What it says itself.
    pub own: Days,
    /// What counts: its own, or that of the wider policy.
    pub in_force: Days,
    /// What none undercuts.
    pub minimum_days: i32,
    /// How long before a deletion it is announced.
    pub notice_days: i32,
    /// When it was last changed, if ever.
    pub last_updated: Option<Timestamp>,
}

/// 1 organization, 2 study. No row: there is none such.
const POLICY: &str = "
SELECT own.after_completion, own.after_withdrawal, own.by_age, own.last_updated,
       coalesce(own.after_completion, org.after_completion, dep.after_completion) AS completion_in_force,
       coalesce(own.after_withdrawal, org.after_withdrawal, dep.after_withdrawal) AS withdrawal_in_force,
       coalesce(own.by_age, org.by_age, dep.by_age) AS age_in_force, f.minimum_days, f.notice_days
  FROM retention_floor f
  LEFT JOIN retention_policy own ON own.organization_id IS NOT DISTINCT FROM $1 AND own.study_id IS NOT DISTINCT FROM $2
  LEFT JOIN study s ON s.id = $2
  LEFT JOIN retention_policy org ON org.organization_id = s.organization_id
  LEFT JOIN retention_policy dep ON dep.organization_id IS NULL AND dep.study_id IS NULL
 WHERE ($1 IS NULL OR EXISTS (SELECT FROM organization o WHERE o.id = $1)) AND ($2 IS NULL OR s.id IS NOT NULL)";

/// 1 audit context, 2 organization, 3 study, 4 to 6 days, 7 who.
const SET: &str = "
WITH was AS MATERIALIZED (
  SELECT to_jsonb(p) AS row FROM retention_policy p WHERE p.organization_id IS NOT DISTINCT FROM $2 AND p.study_id IS NOT DISTINCT FROM $3
), now AS (
  INSERT INTO retention_policy (organization_id, study_id, after_completion, after_withdrawal, by_age, changed_by)
  VALUES ($2, $3, $4, $5, $6, $7)
  ON CONFLICT (organization_id, study_id) DO UPDATE
     SET after_completion = EXCLUDED.after_completion, after_withdrawal = EXCLUDED.after_withdrawal, by_age = EXCLUDED.by_age,
         changed_by = EXCLUDED.changed_by, last_updated = clock_timestamp()
  RETURNING *
)
SELECT audit_record($1, 'allowed', NULL,
                    ARRAY(SELECT $2 WHERE $2 IS NOT NULL UNION ALL SELECT s.organization_id FROM study s WHERE s.id = $3),
                    ARRAY(SELECT $3 WHERE $3 IS NOT NULL), '{}', '{}', NULL, (SELECT row FROM was), to_jsonb(now))
  FROM now";

/// What is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// A patient's observations.
    Patient(PatientId),
    /// Those of everybody who is or was in a study.
    Study(StudyId),
    /// Those of everybody who is or was with the organization.
    Organization,
}

/// A hold as it is shown.
macro_rules! hold {
    ($row:literal) => {
        concat!(
            "jsonb_build_object('id', ",
            $row,
            ".id, 'kind', ",
            $row,
            ".kind, 'patientId', ",
            $row,
            ".patient_id, 'studyId', ",
            $row,
            ".study_id, 'reason', ",
            $row,
            ".reason, 'placedBy', ",
            $row,
            ".placed_by, 'placedAt', ",
            $row,
            ".placed_at, 'releasedBy', ",
            $row,
            ".released_by, 'releasedAt', ",
            $row,
            ".released_at, 'erasuresWaiting', erasures_waiting(ROW(",
            $row,
            ".*)::legal_hold))"
        )
    };
}

/// 1 audit context, 2 organization, 3 kind, 4 patient, 5 study, 6 reason, 7 who. No row: what is to be held is not the organization's.
const HOLD: &str = concat!(
    "
WITH placed AS (
  INSERT INTO legal_hold (kind, patient_id, study_id, organization_id, reason, placed_by)
  SELECT $3, $4, $5, $2, $6, $7
   -- Also who left: whoever asks to be erased does, and a hold keeps what there is.
   WHERE CASE $3 WHEN 'patient' THEN EXISTS (SELECT FROM patient_organization_ever o JOIN patient p ON p.id = o.patient_id
                                              WHERE o.patient_id = $4 AND o.organization_id = $2)
                 WHEN 'study' THEN EXISTS (SELECT FROM study s WHERE s.id = $5 AND s.organization_id = $2)
                 ELSE EXISTS (SELECT FROM organization o WHERE o.id = $2) END
  RETURNING *
)
SELECT ",
    hold!("h"),
    ",
       audit_record($1, 'allowed', NULL, ARRAY[$2], ARRAY(SELECT $5 WHERE $5 IS NOT NULL), ARRAY(SELECT $4 WHERE $4 IS NOT NULL), '{}',
                    NULL, NULL, to_jsonb(h))
  FROM placed h"
);

/// 1 audit context, 2 organization, 3 hold, 4 who. No row: there is no such hold, or it was released.
const RELEASE: &str = "
WITH was AS MATERIALIZED (
  SELECT * FROM legal_hold h WHERE h.id = $3 AND h.organization_id = $2 AND h.released_at IS NULL
), now AS (
  UPDATE legal_hold h SET released_by = $4, released_at = clock_timestamp() FROM was w WHERE h.id = w.id AND h.released_at IS NULL RETURNING h.*
)
SELECT audit_record($1, 'allowed', NULL, ARRAY[$2], ARRAY(SELECT n.study_id WHERE n.study_id IS NOT NULL),
                    ARRAY(SELECT n.patient_id WHERE n.patient_id IS NOT NULL), '{}', NULL, to_jsonb(w), to_jsonb(n))
  FROM now n CROSS JOIN was w";

/// 1 audit context, 2 organization, 3 before this one, 4 rows that are skipped, 5 rows, 6 rows that are counted.
const HOLDS: &str = concat!(
    "
WITH page AS MATERIALIZED (
  SELECT * FROM legal_hold h WHERE h.organization_id = $2 AND h.id < $3 ORDER BY h.id DESC OFFSET $4 LIMIT $5 + 1
), shown AS MATERIALIZED (
  SELECT * FROM page ORDER BY id DESC LIMIT $5
)
SELECT (SELECT coalesce(jsonb_agg(",
    hold!("h"),
    " ORDER BY h.id DESC), '[]') FROM shown h) AS rows, (SELECT count(*) > $5 FROM page) AS more,
       (SELECT count(*) FROM (SELECT FROM legal_hold h WHERE h.organization_id = $2 LIMIT $6) c) AS total, (SELECT min(id)::int8 FROM shown) AS last,
       audit_record($1, 'allowed', NULL, ARRAY[$2], '{}', ARRAY(SELECT DISTINCT patient_id FROM shown WHERE patient_id IS NOT NULL), '{}')"
);

/// A lane of a plan as it is shown.
const LANE: &str =
    "jsonb_build_object('plan', l.plan_id, 'patientId', l.patient_id, 'code', c.code, 'noticedAt', p.noticed_at,
  'deleteAfter', p.delete_after, 'observations', l.observations, 'deleted', l.deleted, 'closedAt', l.closed_at,
  'held', l.closed_at IS NULL AND is_held(l.patient_id))";

/// 1 audit context, 2 organization, 3 to 6 as above. What was announced of the patients of an organization, or was given to its studies.
fn of_organization() -> String {
    format!(
        "
WITH page AS MATERIALIZED (
  SELECT l.*, {LANE} AS row FROM retention_lane l JOIN retention_plan p ON p.id = l.plan_id AND p.noticed_at IS NOT NULL JOIN scope c ON c.id = l.scope_id
   WHERE l.organization_ids @> ARRAY[$2] AND l.id < $3 ORDER BY l.id DESC OFFSET $4 LIMIT $5 + 1
), shown AS MATERIALIZED (
  SELECT * FROM page ORDER BY id DESC LIMIT $5
)
SELECT (SELECT coalesce(jsonb_agg(h.row ORDER BY h.id DESC), '[]') FROM shown h) AS rows, (SELECT count(*) > $5 FROM page) AS more,
       (SELECT count(*) FROM (SELECT FROM retention_lane l JOIN retention_plan p ON p.id = l.plan_id AND p.noticed_at IS NOT NULL
                               WHERE l.organization_ids @> ARRAY[$2] LIMIT $6) c) AS total, (SELECT min(id) FROM shown) AS last,
       audit_record($1, 'allowed', NULL, ARRAY[$2], '{{}}', ARRAY(SELECT DISTINCT patient_id FROM shown), '{{}}')"
    )
}

/// 1 audit context, 2 patient, 3 to 6 as above.
fn of_patient() -> String {
    format!(
        "
WITH page AS MATERIALIZED (
  SELECT l.*, {LANE} AS row FROM retention_lane l JOIN retention_plan p ON p.id = l.plan_id AND p.noticed_at IS NOT NULL JOIN scope c ON c.id = l.scope_id
   WHERE l.patient_id = $2 AND l.id < $3 ORDER BY l.id DESC OFFSET $4 LIMIT $5 + 1
), shown AS MATERIALIZED (
  SELECT * FROM page ORDER BY id DESC LIMIT $5
)
SELECT (SELECT coalesce(jsonb_agg(h.row ORDER BY h.id DESC), '[]') FROM shown h) AS rows, (SELECT count(*) > $5 FROM page) AS more,
       (SELECT count(*) FROM (SELECT FROM retention_lane l JOIN retention_plan p ON p.id = l.plan_id AND p.noticed_at IS NOT NULL
                               WHERE l.patient_id = $2 LIMIT $6) c) AS total, (SELECT min(id) FROM shown) AS last,
       audit_record($1, 'allowed', NULL, '{{}}', '{{}}', ARRAY[$2], '{{}}')"
    )
}

/// 1 audit context, 2 organization, 3 after this patient, 4 to 6 as above. Patients of the organization, and what is due of each now of
/// what was given to its studies alone.
const DUE: &str = "
WITH page AS MATERIALIZED (
  SELECT o.patient_id AS id FROM patient_organization o WHERE o.organization_id = $2 AND o.patient_id > $3
   ORDER BY o.patient_id OFFSET $4 LIMIT $5 + 1
), shown AS MATERIALIZED (
  SELECT * FROM page ORDER BY id LIMIT $5
), due AS MATERIALIZED (
  SELECT d.patient_id, jsonb_agg(jsonb_build_object('code', c.code, 'observations', d.observations,
           'studies', ARRAY(SELECT s.id FROM study s WHERE s.id = ANY (d.study_ids) AND s.organization_id = $2 ORDER BY 1)) ORDER BY c.code) AS kinds
    FROM retention_due_lanes(ARRAY(SELECT id FROM shown)) d JOIN scope c ON c.id = d.scope_id WHERE d.organization_ids @> ARRAY[$2]
   GROUP BY d.patient_id
)
SELECT (SELECT coalesce(jsonb_agg(jsonb_build_object('patientId', s.id, 'kinds', coalesce(d.kinds, '[]')) ORDER BY s.id), '[]')
          FROM shown s LEFT JOIN due d ON d.patient_id = s.id) AS rows, (SELECT count(*) > $5 FROM page) AS more,
       (SELECT count(*) FROM (SELECT FROM patient_organization o WHERE o.organization_id = $2 LIMIT $6) c) AS total,
       (SELECT max(id)::int8 FROM shown) AS last,
       audit_record($1, 'allowed', NULL, ARRAY[$2], '{}', ARRAY(SELECT id FROM shown), '{}')";

/// A page of rows as they are shown.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The rows.
    pub rows: Vec<Value>,
    /// The key of the last one, when more follow.
    pub next: Option<i64>,
    /// How many there are, as far as they are counted.
    pub total: i64,
}

/// Which list.
#[derive(Clone, Copy, Debug)]
pub enum RetentionList {
    /// Legal holds of an organization.
    Holds(OrganizationId),
    /// What was announced of an organization's patients.
    Notices(OrganizationId),
    /// What is due now of an organization's patients.
    Due(OrganizationId),
    /// What was announced of a patient.
    Own(PatientId),
}

impl Store {
    /// A policy, and what it comes to. None: there is no such organization or study.
    pub async fn retention_policy(&self, of: PolicyOf) -> Result<Option<PolicyInForce>, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(POLICY, &[Type::INT4, Type::INT4]).await?;
        let (organization, study) = of.ids();
        let Some(row) = client.query_opt(&statement, &[&organization, &study]).await? else { return Ok(None) };
        let days = |names: [&str; 3]| {
            let [completion, withdrawal, age] = names;
            Ok::<_, StoreError>(Days {
                after_completion: row.try_get(completion)?,
                after_withdrawal: row.try_get(withdrawal)?,
                by_age: row.try_get(age)?,
            })
        };
        Ok(Some(PolicyInForce {
            own: days(["after_completion", "after_withdrawal", "by_age"])?,
            in_force: days(["completion_in_force", "withdrawal_in_force", "age_in_force"])?,
            minimum_days: row.try_get("minimum_days")?,
            notice_days: row.try_get("notice_days")?,
            last_updated: row.try_get("last_updated")?,
        }))
    }

    /// Sets a policy, with the audit record, in one statement.
    pub async fn set_retention_policy(
        &self,
        context: &Context,
        of: PolicyOf,
        days: Days,
        by: UserId,
    ) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let int = Type::INT4;
        let types = [Type::JSONB, int.clone(), int.clone(), int.clone(), int.clone(), int.clone(), int];
        let statement = client.prepare_typed_cached(SET, &types).await?;
        let (organization, study) = of.ids();
        let Days { after_completion, after_withdrawal, by_age } = days;
        let context = Json(context);
        let values: [&(dyn ToSql + Sync); 7] =
            [&context, &organization, &study, &after_completion, &after_withdrawal, &by_age, &by.0];
        client.query_one(&statement, &values).await?;
        Ok(())
    }

    /// Places a legal hold, with the audit record, in one statement. None: what is to be held is not the organization's.
    pub async fn place_hold(
        &self,
        context: &Context,
        organization: OrganizationId,
        held: Held,
        reason: &str,
        by: UserId,
    ) -> Result<Option<Value>, StoreError> {
        let client = self.connection().await?;
        let types = [Type::JSONB, Type::INT4, Type::TEXT, Type::INT4, Type::INT4, Type::TEXT, Type::INT4];
        let statement = client.prepare_typed_cached(HOLD, &types).await?;
        let (kind, patient, study) = match held {
            Held::Patient(patient) => ("patient", Some(patient.0), None),
            Held::Study(study) => ("study", None, Some(study.0)),
            Held::Organization => ("organization", None, None),
        };
        let context = Json(context);
        let values: [&(dyn ToSql + Sync); 7] = [&context, &organization.0, &kind, &patient, &study, &reason, &by.0];
        let row = client.query_opt(&statement, &values).await?;
        Ok(row.map(|row| row.try_get::<_, Json<Value>>(0)).transpose()?.map(|Json(hold)| hold))
    }

    /// Releases a legal hold, with the audit record, in one statement. False: there is no such hold any more.
    pub async fn release_hold(
        &self,
        context: &Context,
        organization: OrganizationId,
        hold: i32,
        by: UserId,
    ) -> Result<bool, StoreError> {
        let client = self.connection().await?;
        let types = [Type::JSONB, Type::INT4, Type::INT4, Type::INT4];
        let statement = client.prepare_typed_cached(RELEASE, &types).await?;
        Ok(client.query_opt(&statement, &[&Json(context), &organization.0, &hold, &by.0]).await?.is_some())
    }

    /// A page of a list, with the audit record, in one statement.
    pub async fn retention_list(
        &self,
        context: &Context,
        list: RetentionList,
        slice: Slice,
    ) -> Result<Rows, StoreError> {
        let client = self.connection().await?;
        let (sql, owner) = match list {
            RetentionList::Holds(id) => (HOLDS.to_owned(), id.0),
            RetentionList::Notices(id) => (of_organization(), id.0),
            RetentionList::Due(id) => (DUE.to_owned(), id.0),
            RetentionList::Own(id) => (of_patient(), id.0),
        };
        let key = if matches!(list, RetentionList::Due(_)) { slice.after.unwrap_or(0) } else { slice.before() };
        let types = [Type::JSONB, Type::INT4, Type::INT8, Type::INT8, Type::INT8, Type::INT8];
        let statement = client.prepare_typed_cached(&sql, &types).await?;
        let row =
            client.query_one(&statement, &[&Json(context), &owner, &key, &slice.skip, &slice.count, &COUNTED]).await?;
        let Json(rows) = row.try_get("rows")?;
        let next = if row.try_get("more")? { row.try_get("last")? } else { None };
        Ok(Rows { rows, next, total: row.try_get("total")? })
    }
}
