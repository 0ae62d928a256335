//! Accounts as others see them.

use crate::{COUNTED, Patient, Slice, Store, StoreError, observation::Reader, patient::RECORD, patient::record};
use audit::{Context, RefusedBy};
use authz::UserId;
use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::{
    Row,
    types::{Json, Type},
};

/// An account.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// From 10001.
    pub id: i32,
    /// Also the name to sign in with.
    pub email: String,
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// The patient's record, if the account is a patient's.
    pub patient: Option<Patient>,
    /// `patient` or `practitioner`.
    pub user_type: String,
    /// True for a super admin.
    pub is_superuser: bool,
    /// Whether it can be used: for super admins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_active: Option<bool>,
    /// When it last changed.
    #[serde(skip)]
    pub last_updated: Timestamp,
}

/// A page of accounts.
#[derive(Clone, Debug, Default)]
pub struct UserPage {
    /// The accounts, by id.
    pub rows: Vec<User>,
    /// True when the next page is not empty.
    pub more: bool,
    /// How many there are, [`COUNTED`](crate::COUNTED) at most.
    pub total: i64,
}

const COLUMNS: &str =
    "u.id, u.email, u.first_name, u.last_name, u.user_type, u.is_superuser, u.is_active, u.last_updated";

/// The accounts that a reader may list: the own one, and for a manager those of the practitioners in the organizations that
/// they manage. `$1` is the practitioner, `$5` the reader's account.
const OWN: &str = "
(SELECT $5::int AS id
 UNION
 SELECT p.user_id
   FROM organization_member mine JOIN organization_member m ON m.organization_id = mine.organization_id
   JOIN practitioner p ON p.id = m.practitioner_id
  WHERE mine.practitioner_id = $1 AND mine.role = 'manager')";

/// The organizations that the reader manages, for the record.
const MANAGED: &str =
    "ARRAY(SELECT organization_id FROM organization_member WHERE practitioner_id = $1 AND role = 'manager' ORDER BY 1)";

/// 1 to 3 the reader, 4 audit context, 5 the reader's account, 6 after, 7 count, 8 skip, 9 how far to count. At least one row.
fn list(reader: Reader) -> String {
    let source = if reader == Reader::Privileged {
        "app_user u".to_owned()
    } else {
        format!("{OWN} own JOIN app_user u ON u.id = own.id")
    };
    format!(
        "
WITH page AS MATERIALIZED (
  SELECT u.id FROM {source} WHERE u.id > $6 ORDER BY u.id LIMIT $7 + $8 + 1
), shown AS MATERIALIZED (
  SELECT id FROM page ORDER BY id LIMIT $7 OFFSET $8
)
SELECT a.event_id, (SELECT count(*) FROM page) > $7 + $8 AS more, (SELECT count(*) FROM (SELECT FROM {source} LIMIT $9) c) AS total, {COLUMNS},
       CASE WHEN p.id IS NOT NULL THEN {RECORD} END AS record
  FROM (SELECT audit_record($4 || jsonb_build_object('detail', jsonb_build_object('users', ARRAY(SELECT id FROM shown ORDER BY 1))),
                            'allowed', NULL, {MANAGED}, '{{}}',
                            ARRAY(SELECT p.id FROM shown s JOIN patient p ON p.user_id = s.id ORDER BY 1), '{{}}',
                            CASE WHEN cardinality({MANAGED}) > 0 THEN 'manager'::member_role END) AS event_id) a
  LEFT JOIN (shown s JOIN app_user u ON u.id = s.id LEFT JOIN patient p ON p.user_id = u.id) ON true
 ORDER BY u.id"
    )
}

/// 1 to 3 the reader, 4 audit context, 5 the reader's account, 6 the account. One row, always.
fn one() -> String {
    format!(
        "
WITH verdict AS MATERIALIZED (
  SELECT CASE WHEN NOT EXISTS (SELECT FROM app_user WHERE id = $6) THEN 'not_found'
              WHEN $3 OR EXISTS (SELECT FROM {OWN} own WHERE own.id = $6) THEN NULL
              WHEN $2 IS NOT NULL THEN 'user_type' ELSE 'organization' END AS refused_by
)
SELECT a.refused_by, a.event_id, {COLUMNS}, CASE WHEN p.id IS NOT NULL THEN {RECORD} END AS record
  FROM (SELECT v.refused_by,
               audit_record($4 || jsonb_build_object('detail', jsonb_build_object('user', $6)),
                            CASE WHEN v.refused_by IS NULL THEN 'allowed' ELSE 'denied' END, v.refused_by,
                            ARRAY(SELECT m.organization_id FROM organization_member m JOIN practitioner q ON q.id = m.practitioner_id
                                   WHERE q.user_id = $6 AND m.organization_id = ANY ({MANAGED}) ORDER BY 1),
                            '{{}}', ARRAY(SELECT id FROM patient WHERE user_id = $6), '{{}}') AS event_id
          FROM verdict v) a
  LEFT JOIN (app_user u LEFT JOIN patient p ON p.user_id = u.id) ON u.id = $6 AND a.refused_by IS NULL"
    )
}

/// The practitioner with an e-mail, so that a manager can give them a role: 1 to 3 the reader, 4 audit context, 5 e-mail. One
/// row, always. Patients are not found; that somebody tried is in their log.
const BY_EMAIL: &str = "
WITH own AS MATERIALIZED (
  SELECT max(role) AS role FROM organization_member WHERE practitioner_id = $1
), verdict AS MATERIALIZED (
  SELECT role, CASE WHEN $3 THEN NULL WHEN $2 IS NOT NULL THEN 'user_type' WHEN role IS DISTINCT FROM 'manager' THEN 'role' END AS refused_by
    FROM own
), found AS MATERIALIZED (
  SELECT u.* FROM app_user u JOIN practitioner p ON p.user_id = u.id
   WHERE lower(u.email) = lower($5) AND u.is_active AND ($3 OR NOT u.is_superuser) AND (SELECT refused_by FROM verdict) IS NULL
)
SELECT v.refused_by, u.id, u.email, u.first_name, u.last_name, u.user_type, u.is_superuser, u.is_active, u.last_updated,
       NULL::jsonb AS record,
       audit_record($4 || jsonb_build_object('detail', jsonb_build_object('user', u.id) || coalesce(
                      (SELECT jsonb_build_object('asked', jsonb_agg(p.id)) FROM patient p JOIN app_user x ON x.id = p.user_id
                        WHERE lower(x.email) = lower($5) HAVING count(*) > 0), '{}')),
                    CASE WHEN v.refused_by IS NULL THEN 'allowed' ELSE 'denied' END, v.refused_by, '{}', '{}',
                    ARRAY(SELECT p.id FROM patient p JOIN app_user x ON x.id = p.user_id WHERE lower(x.email) = lower($5)),
                    '{}', v.role)
  FROM verdict v LEFT JOIN found u ON true";

impl Store {
    /// A page of the accounts that the reader may list: all for a super admin. With the audit record, in one statement.
    pub async fn users(
        &self,
        context: &Context,
        reader: Reader,
        own: UserId,
        slice: Slice,
    ) -> Result<UserPage, StoreError> {
        let (practitioner, patient, privileged) = reader.parts();
        let client = self.connection().await?;
        let types = [
            Type::INT4,
            Type::INT4,
            Type::BOOL,
            Type::JSONB,
            Type::INT4,
            Type::INT4,
            Type::INT8,
            Type::INT8,
            Type::INT8,
        ];
        let statement = client.prepare_typed_cached(&list(reader), &types).await?;
        let rows = client
            .query(
                &statement,
                &[
                    &practitioner,
                    &patient,
                    &privileged,
                    &Json(context),
                    &own.0,
                    &slice.after_id(),
                    &slice.count,
                    &slice.skip,
                    &COUNTED,
                ],
            )
            .await?;
        let mut page = UserPage::default();
        for row in &rows {
            page.more = row.try_get("more")?;
            page.total = row.try_get("total")?;
            page.rows.extend(user(row, reader)?);
        }
        Ok(page)
    }

    /// One account, if the reader may see it. Recorded, also when refused.
    pub async fn user(
        &self,
        context: &Context,
        reader: Reader,
        own: UserId,
        id: UserId,
    ) -> Result<Result<User, RefusedBy>, StoreError> {
        let (practitioner, patient, privileged) = reader.parts();
        let client = self.connection().await?;
        let types = [Type::INT4, Type::INT4, Type::BOOL, Type::JSONB, Type::INT4, Type::INT4];
        let statement = client.prepare_typed_cached(&one(), &types).await?;
        let row = client
            .query_one(&statement, &[&practitioner, &patient, &privileged, &Json(context), &own.0, &id.0])
            .await?;
        found(&row, reader)
    }

    /// The active practitioner with this e-mail, for managers and super admins; a manager finds no super admin. Recorded,
    /// also when refused.
    pub async fn practitioner_by_email(
        &self,
        context: &Context,
        reader: Reader,
        email: &str,
    ) -> Result<Result<User, RefusedBy>, StoreError> {
        let (practitioner, patient, privileged) = reader.parts();
        let client = self.connection().await?;
        let types = [Type::INT4, Type::INT4, Type::BOOL, Type::JSONB, Type::TEXT];
        let statement = client.prepare_typed_cached(BY_EMAIL, &types).await?;
        let row = client.query_one(&statement, &[&practitioner, &patient, &privileged, &Json(context), &email]).await?;
        found(&row, reader)
    }
}

fn found(row: &Row, reader: Reader) -> Result<Result<User, RefusedBy>, StoreError> {
    if let Some(reason) = row.try_get::<_, Option<&str>>("refused_by")? {
        return Ok(Err(RefusedBy::from_name(reason).ok_or(StoreError::Corrupt("refused_by"))?));
    }
    Ok(user(row, reader)?.ok_or(RefusedBy::NotFound))
}

/// The account of a row that may hold none.
fn user(row: &Row, reader: Reader) -> Result<Option<User>, StoreError> {
    let Some(id) = row.try_get("id")? else { return Ok(None) };
    Ok(Some(User {
        id,
        email: row.try_get("email")?,
        first_name: row.try_get("first_name")?,
        last_name: row.try_get("last_name")?,
        patient: record(row)?,
        user_type: row.try_get("user_type")?,
        is_superuser: row.try_get("is_superuser")?,
        is_active: if reader == Reader::Privileged { Some(row.try_get("is_active")?) } else { None },
        last_updated: row.try_get("last_updated")?,
    }))
}
