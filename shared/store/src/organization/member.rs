//! Who works in an organization, and in which role.

use crate::{
    Store, StoreError,
    invitation::{CANCELLED, CANCELLED_FOR, cancel_shown},
    observation::Reader,
};
use audit::{Context, RefusedBy};
use authz::{OrganizationId, Role, UserId};
use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::types::{Json, Type};

/// A practitioner with a role, as the list of an organization shows it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// The account, from 10001.
    pub id: i32,
    /// E-mail.
    pub email: String,
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// `viewer`, `member` or `manager`.
    pub role: String,
    /// Whether the account can be used: for managers of the organization and super admins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_active: Option<bool>,
}

/// A role as it was given.
#[derive(Clone, Debug)]
pub struct Membership {
    /// The role's number.
    pub id: i32,
    /// The practitioner, from 80001.
    pub practitioner: i32,
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// When the practitioner's record last changed.
    pub practitioner_updated: Timestamp,
    /// The organizations in which the practitioner has a role and which the reader may see.
    pub organizations: Vec<i32>,
    /// The organization's name.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// The organization that it is part of.
    pub part_of: Option<i32>,
    /// When it last changed.
    pub last_updated: Timestamp,
    /// False when the practitioner had a role before.
    pub is_new: bool,
}

/// What came of giving or taking a role.
#[derive(Clone, Debug)]
pub enum RoleChange<T = ()> {
    /// It was done.
    Done(T),
    /// There is no active practitioner's account with this id, or it has no role to be taken.
    Nobody,
    /// It is the last manager: the organization would have none.
    LastManager,
}

/// 1 to 3 the reader, 4 audit context, 5 organization. At least one row: the verdict.
const LIST: &str = "
WITH own AS MATERIALIZED (
  SELECT max(role) AS role FROM organization_member WHERE organization_id = $5 AND practitioner_id = $1
), verdict AS MATERIALIZED (
  -- A patient is told the same of every number: it does not tell which organizations there are.
  SELECT role, CASE WHEN $2 IS NOT NULL THEN 'user_type'
                    WHEN NOT EXISTS (SELECT FROM organization WHERE id = $5) THEN 'not_found'
                    WHEN $3 THEN NULL
                    WHEN role IS NULL THEN 'organization' END AS refused_by
    FROM own
)
SELECT a.refused_by, a.event_id, u.id, u.email, u.first_name, u.last_name, m.role::text AS role,
       CASE WHEN $3 OR a.role = 'manager' THEN u.is_active END AS is_active
  FROM (SELECT v.refused_by, v.role, audit_record($4 || CASE WHEN v.refused_by IS NULL THEN jsonb_build_object('detail', jsonb_build_object('users',
                                                        ARRAY(SELECT p.user_id FROM organization_member o JOIN practitioner p ON p.id = o.practitioner_id
                                                               WHERE o.organization_id = $5 ORDER BY 1))) ELSE '{}' END,
                                          CASE WHEN v.refused_by IS NULL THEN 'allowed' ELSE 'denied' END, v.refused_by,
                                          ARRAY(SELECT id FROM organization WHERE id = $5), '{}', '{}', '{}', v.role) AS event_id
          FROM verdict v) a
  LEFT JOIN (organization_member m JOIN practitioner p ON p.id = m.practitioner_id JOIN app_user u ON u.id = p.user_id)
         ON m.organization_id = $5 AND a.refused_by IS NULL
 ORDER BY u.id";

/// The roles of an organization are given and taken one after the other, so that two managers do not remove each other. What
/// comes after sees what was done before.
const IN_TURN: &str = "SELECT id FROM organization WHERE id = $1 FOR NO KEY UPDATE";

/// Of the practitioner's account $3 in the organization $2: the role it has, and whether another active manager is there.
const TARGET: &str = "
target AS MATERIALIZED (
  SELECT p.id, u.id AS user_id, u.first_name, u.last_name, u.is_active, p.last_updated, m.role,
         EXISTS (SELECT FROM organization_member o JOIN practitioner q ON q.id = o.practitioner_id
                   JOIN app_user v ON v.id = q.user_id
                  WHERE o.organization_id = $2 AND o.role = 'manager' AND v.is_active AND v.id <> $3) AS has_other
    FROM app_user u JOIN practitioner p ON p.user_id = u.id
    LEFT JOIN organization_member m ON m.practitioner_id = p.id AND m.organization_id = $2
   WHERE u.id = $3
)";

/// The role of who acts, in the organization $2.
const ACTORS_ROLE: &str = "
(SELECT m.role FROM organization_member m JOIN practitioner p ON p.id = m.practitioner_id
  WHERE m.organization_id = $2 AND p.user_id = ($1->>'actor_user_id')::int)";

/// What the account $3 issued for the organization $2 and was shown, for each row of `from`: it has the tokens.
fn cancel_shown_for_organization(from: &str, condition: &str) -> String {
    let of_role =
        "i.issued_by = $3 AND i.id IN (SELECT invitation_id FROM invitation_organization WHERE organization_id = $2)";
    cancel_shown(from, &format!("{condition} AND {of_role}"))
}

/// 1 audit context, 2 organization, 3 account, 4 role, 5 and 6 the reader. No row: nobody. In the record the role is the
/// member that has the account's number. Who becomes a viewer invites no more.
fn give() -> String {
    let cancelled = cancel_shown_for_organization("verdict v, given g", "v.role >= 'member' AND g.role < 'member'");
    format!(
        "
WITH {TARGET}, verdict AS MATERIALIZED (
  SELECT t.*, t.role = 'manager' AND $4 <> 'manager' AND NOT t.has_other AS is_last FROM target t WHERE t.is_active
), given AS (
  INSERT INTO organization_member (organization_id, practitioner_id, role)
  SELECT $2, id, $4::text::member_role FROM verdict WHERE is_last IS NOT TRUE
  ON CONFLICT (practitioner_id, organization_id) DO UPDATE SET role = excluded.role
  RETURNING id, organization_id, practitioner_id, role
), cancelled AS ({cancelled})
SELECT coalesce(v.is_last, false) AS is_last, g.id, v.id AS practitioner, v.first_name, v.last_name,
       v.last_updated AS practitioner_updated, v.role IS NULL AS is_new, o.name, o.type, o.part_of, o.last_updated,
       ARRAY(SELECT m.organization_id FROM organization_member m
              WHERE m.practitioner_id = v.id
                AND ($6 OR m.organization_id IN (SELECT organization_id FROM organization_member WHERE practitioner_id = $5))
             UNION SELECT g.organization_id WHERE g.id IS NOT NULL ORDER BY 1) AS organizations,
       CASE WHEN v.is_last THEN audit_record($1, 'denied', 'invalid', ARRAY[$2], '{{}}', '{{}}', '{{}}', {ACTORS_ROLE})
            ELSE audit_record($1 || jsonb_build_object('detail', jsonb_build_object('user', v.user_id)), 'allowed', NULL,
                              ARRAY[$2], '{{}}', {CANCELLED_FOR}, '{{}}', {ACTORS_ROLE},
                              CASE WHEN v.role IS NOT NULL THEN jsonb_build_object('role', v.role) END,
                              jsonb_build_object('role', g.role) || coalesce({CANCELLED}, '{{}}')) END
  FROM verdict v JOIN organization o ON o.id = $2 LEFT JOIN given g ON true"
    )
}

/// 1 audit context, 2 organization, 3 account. No row: nobody.
fn take() -> String {
    let cancelled = cancel_shown_for_organization("taken", "true");
    format!(
        "
WITH {TARGET}, verdict AS MATERIALIZED (
  SELECT t.*, t.role = 'manager' AND NOT t.has_other AS is_last FROM target t WHERE t.role IS NOT NULL
), taken AS (
  DELETE FROM organization_member m USING verdict v
   WHERE m.organization_id = $2 AND m.practitioner_id = v.id AND NOT v.is_last
  RETURNING m.role
), cancelled AS ({cancelled})
SELECT v.is_last,
       CASE WHEN v.is_last THEN audit_record($1, 'denied', 'invalid', ARRAY[$2], '{{}}', '{{}}', '{{}}', {ACTORS_ROLE})
            ELSE audit_record($1 || jsonb_build_object('detail', jsonb_build_object('user', v.user_id)), 'allowed', NULL,
                              ARRAY[$2], '{{}}', {CANCELLED_FOR}, '{{}}', {ACTORS_ROLE}, jsonb_build_object('role', v.role), {CANCELLED}) END
  FROM verdict v"
    )
}

impl Store {
    /// Who works in an organization, for who works there and for super admins. Recorded, also when refused.
    pub async fn members(
        &self,
        context: &Context,
        reader: Reader,
        organization: OrganizationId,
    ) -> Result<Result<Vec<Member>, RefusedBy>, StoreError> {
        let (practitioner, patient, privileged) = reader.parts();
        let client = self.connection().await?;
        let types = [Type::INT4, Type::INT4, Type::BOOL, Type::JSONB, Type::INT4];
        let statement = client.prepare_typed_cached(LIST, &types).await?;
        let rows =
            client.query(&statement, &[&practitioner, &patient, &privileged, &Json(context), &organization.0]).await?;
        let mut members = Vec::with_capacity(rows.len());
        for row in &rows {
            if let Some(reason) = row.try_get::<_, Option<&str>>("refused_by")? {
                return Ok(Err(RefusedBy::from_name(reason).ok_or(StoreError::Corrupt("refused_by"))?));
            }
            if let Some(id) = row.try_get("id")? {
                members.push(Member {
                    id,
                    email: row.try_get("email")?,
                    first_name: row.try_get("first_name")?,
                    last_name: row.try_get("last_name")?,
                    role: row.try_get("role")?,
                    is_active: row.try_get("is_active")?,
                });
            }
        }
        Ok(Ok(members))
    }

    /// Gives an active practitioner a role, or another one, with the audit record, in one transaction.
    pub async fn give_role(
        &self,
        context: &Context,
        reader: Reader,
        organization: OrganizationId,
        user: UserId,
        role: Role,
    ) -> Result<RoleChange<Membership>, StoreError> {
        let (practitioner, _, privileged) = reader.parts();
        let mut client = self.connection().await?;
        let transaction = client.transaction().await?;
        let turn = transaction.prepare_typed_cached(IN_TURN, &[Type::INT4]).await?;
        transaction.query_opt(&turn, &[&organization.0]).await?;
        let types = [Type::JSONB, Type::INT4, Type::INT4, Type::TEXT, Type::INT4, Type::BOOL];
        let statement = transaction.prepare_typed_cached(&give(), &types).await?;
        let row = transaction
            .query_opt(
                &statement,
                &[&Json(context), &organization.0, &user.0, &role.name(), &practitioner, &privileged],
            )
            .await?;
        transaction.commit().await?;
        let Some(row) = row else { return Ok(RoleChange::Nobody) };
        if row.try_get("is_last")? {
            return Ok(RoleChange::LastManager);
        }
        Ok(RoleChange::Done(Membership {
            id: row.try_get("id")?,
            practitioner: row.try_get("practitioner")?,
            first_name: row.try_get("first_name")?,
            last_name: row.try_get("last_name")?,
            practitioner_updated: row.try_get("practitioner_updated")?,
            organizations: row.try_get("organizations")?,
            name: row.try_get("name")?,
            kind: row.try_get("type")?,
            part_of: row.try_get("part_of")?,
            last_updated: row.try_get("last_updated")?,
            is_new: row.try_get("is_new")?,
        }))
    }

    /// Takes a practitioner's role, with the audit record, in one transaction.
    pub async fn take_role(
        &self,
        context: &Context,
        organization: OrganizationId,
        user: UserId,
    ) -> Result<RoleChange, StoreError> {
        let mut client = self.connection().await?;
        let transaction = client.transaction().await?;
        let turn = transaction.prepare_typed_cached(IN_TURN, &[Type::INT4]).await?;
        transaction.query_opt(&turn, &[&organization.0]).await?;
        let statement = transaction.prepare_typed_cached(&take(), &[Type::JSONB, Type::INT4, Type::INT4]).await?;
        let row = transaction.query_opt(&statement, &[&Json(context), &organization.0, &user.0]).await?;
        transaction.commit().await?;
        Ok(match row {
            None => RoleChange::Nobody,
            Some(row) if row.try_get("is_last")? => RoleChange::LastManager,
            Some(_) => RoleChange::Done(()),
        })
    }
}
