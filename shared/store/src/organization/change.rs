//! Organizations made, changed, moved and deleted.

use crate::{Changed, Expected, Store, StoreError};
use audit::Context;
use authz::{OrganizationId, PractitionerId};
use tokio_postgres::types::{Json, Type};

/// How many organizations can be above one another, the root included. Who reads a tree need not be ready for more.
pub const DEEPEST: i32 = 20;

/// An organization to make.
#[derive(Clone, Debug)]
pub struct NewOrganization<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type.
    pub kind: &'a str,
    /// The organization that it is to be part of.
    pub part_of: OrganizationId,
    /// Who becomes its manager: the practitioner who makes it.
    pub manager: Option<PractitionerId>,
}

/// What is to change of an organization.
#[derive(Clone, Copy, Debug, Default)]
pub struct OrganizationChange<'a> {
    /// Its name.
    pub name: Option<&'a str>,
    /// Its type.
    pub kind: Option<&'a str>,
    /// The organization that it becomes part of.
    pub part_of: Option<OrganizationId>,
    /// Whether its members need a second factor to sign in.
    pub requires_second_factor: Option<bool>,
}

/// Where an organization cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misplaced {
    /// The organization above does not exist.
    Nowhere,
    /// It would be too deep.
    TooDeep,
    /// It would be part of itself.
    Inside,
}

/// What still belongs to an organization that is to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// It was deleted, and with it the roles in it.
    Deleted,
    /// Organizations are part of it.
    HasOrganizations,
    /// It has studies.
    HasStudies,
    /// It has patients.
    HasPatients,
    /// Something of it is or was under a legal hold, which is kept on record.
    HasHolds,
    /// It is the root.
    Root,
}

/// One row, always. 1 audit context, 2 name, 3 type, 4 the organization above, 5 its manager, 6 how deep it may be. The one
/// above is locked, so that it is not deleted meanwhile.
const CREATE: &str = "
WITH RECURSIVE parent AS MATERIALIZED (
  SELECT id, part_of FROM organization WHERE id = $4 FOR KEY SHARE
), above AS (
  SELECT id, part_of, 1 AS level FROM parent
  UNION ALL
  SELECT o.id, o.part_of, a.level + 1 FROM above a JOIN organization o ON o.id = a.part_of WHERE a.level < $6
), created AS (
  INSERT INTO organization (name, type, part_of)
  SELECT $2, $3, id FROM parent WHERE (SELECT max(level) FROM above) < $6
  RETURNING *
), managed AS (
  INSERT INTO organization_member (organization_id, practitioner_id, role)
  SELECT id, $5, 'manager' FROM created WHERE $5 IS NOT NULL
)
SELECT c.id, EXISTS (SELECT FROM parent) AS has_parent,
       CASE WHEN c.id IS NULL THEN audit_record($1, 'denied', 'invalid', ARRAY(SELECT id FROM parent), '{}', '{}', '{}')
            ELSE audit_record($1, 'allowed', NULL, ARRAY[c.part_of, c.id], '{}', '{}', '{}',
                              (SELECT role FROM organization_member WHERE organization_id = $4 AND practitioner_id = $5),
                              NULL, to_jsonb(c)) END
  FROM (VALUES (1)) one LEFT JOIN created c ON true";

/// One organization is moved after the other, so that two moves do not make a circle.
const IN_TURN: &str = "SELECT pg_advisory_xact_lock(hashtextextended('organizations are moved', 0))";

/// Why $1 cannot be part of $2, as deep as $3.
const MISPLACED: &str = "
WITH RECURSIVE parent AS MATERIALIZED (
  SELECT id, part_of FROM organization WHERE id = $2 FOR KEY SHARE
), above AS (
  SELECT id, part_of, 1 AS level FROM parent
  UNION ALL
  SELECT o.id, o.part_of, a.level + 1 FROM above a JOIN organization o ON o.id = a.part_of WHERE a.level < $3
), below AS (
  SELECT id, 1 AS level FROM organization WHERE id = $1
  UNION ALL
  SELECT o.id, b.level + 1 FROM below b JOIN organization o ON o.part_of = b.id WHERE b.level < $3
)
SELECT CASE WHEN NOT EXISTS (SELECT FROM parent) THEN 'nowhere'
            WHEN EXISTS (SELECT FROM above WHERE id = $1) THEN 'inside'
            WHEN (SELECT max(level) FROM above) + (SELECT max(level) FROM below) > $3 THEN 'too_deep' END";

/// 1 audit context, 2 organization, 3 versions, 4 name, 5 type, 6 the organization above, 7 whether its members need
/// a second factor.
const CHANGE: &str = "
WITH was AS MATERIALIZED (
  SELECT * FROM organization WHERE id = $2 FOR NO KEY UPDATE
), changed AS (
  UPDATE organization o
     SET name = coalesce($4, o.name), type = coalesce($5, o.type), part_of = coalesce($6, o.part_of),
         requires_second_factor = coalesce($7, o.requires_second_factor), last_updated = clock_timestamp()
    FROM was WHERE o.id = was.id AND ($3::timestamptz[] IS NULL OR was.last_updated = ANY ($3))
  RETURNING o.*
)
SELECT c.id IS NOT NULL AS done,
       CASE WHEN c.id IS NOT NULL THEN
         audit_record($1, 'allowed', NULL, ARRAY(SELECT w.id UNION SELECT w.part_of WHERE w.part_of <> c.part_of
                                                 UNION SELECT c.part_of WHERE w.part_of <> c.part_of), '{}', '{}', '{}',
                      (SELECT m.role FROM organization_member m JOIN practitioner p ON p.id = m.practitioner_id
                        WHERE m.organization_id = $2 AND p.user_id = ($1->>'actor_user_id')::int), to_jsonb(w), to_jsonb(c)) END
  FROM was w LEFT JOIN changed c ON true";

/// Waits for whoever gives the organization something, and keeps others from it.
const CLAIM: &str = "SELECT last_updated FROM organization WHERE id = $1 FOR UPDATE";

/// 1 audit context, 2 organization. The roles in it are in the record; they end with it.
const DELETE: &str = "
WITH verdict AS MATERIALIZED (
  SELECT CASE WHEN $2 = 0 THEN 'root'
              WHEN EXISTS (SELECT FROM organization WHERE part_of = $2) THEN 'organizations'
              WHEN EXISTS (SELECT FROM study WHERE organization_id = $2) THEN 'studies'
              WHEN EXISTS (SELECT FROM patient_organization WHERE organization_id = $2) THEN 'patients'
              WHEN EXISTS (SELECT FROM legal_hold WHERE organization_id = $2) THEN 'holds' END AS held_by
), members AS MATERIALIZED (
  SELECT jsonb_object_agg(p.user_id, m.role) AS roles,
         max(m.role) FILTER (WHERE p.user_id = ($1->>'actor_user_id')::int) AS own
    FROM organization_member m JOIN practitioner p ON p.id = m.practitioner_id WHERE m.organization_id = $2
), deleted AS (
  DELETE FROM organization o USING verdict v WHERE o.id = $2 AND v.held_by IS NULL RETURNING o.*
)
SELECT v.held_by,
       CASE WHEN d.id IS NULL THEN audit_record($1, 'denied', 'invalid', ARRAY[$2], '{}', '{}', '{}', m.own)
            ELSE audit_record($1, 'allowed', NULL, ARRAY[$2], '{}', '{}', '{}', m.own,
                              to_jsonb(d) || jsonb_build_object('members', m.roles), NULL) END
  FROM verdict v CROSS JOIN members m LEFT JOIN deleted d ON true";

impl Store {
    /// Makes an organization, with the audit record, in one statement: its id.
    pub async fn create_organization(
        &self,
        context: &Context,
        new: &NewOrganization<'_>,
    ) -> Result<Result<i32, Misplaced>, StoreError> {
        let client = self.connection().await?;
        let types = [Type::JSONB, Type::TEXT, Type::TEXT, Type::INT4, Type::INT4, Type::INT4];
        let statement = client.prepare_typed_cached(CREATE, &types).await?;
        let manager = new.manager.map(|manager| manager.0);
        let row = client
            .query_one(&statement, &[&Json(context), &new.name, &new.kind, &new.part_of.0, &manager, &DEEPEST])
            .await?;
        Ok(match row.try_get::<_, Option<i32>>("id")? {
            Some(id) => Ok(id),
            None if row.try_get("has_parent")? => Err(Misplaced::TooDeep),
            None => Err(Misplaced::Nowhere),
        })
    }

    /// Changes an organization, with the audit record, in one transaction.
    pub async fn change_organization(
        &self,
        context: &Context,
        id: OrganizationId,
        expected: &Expected,
        change: OrganizationChange<'_>,
    ) -> Result<Result<Changed, Misplaced>, StoreError> {
        let mut client = self.connection().await?;
        let transaction = client.transaction().await?;
        if let Some(parent) = change.part_of {
            transaction.query_one(&transaction.prepare_cached(IN_TURN).await?, &[]).await?;
            let statement = transaction.prepare_typed_cached(MISPLACED, &[Type::INT4, Type::INT4, Type::INT4]).await?;
            let row = transaction.query_one(&statement, &[&id.0, &parent.0, &DEEPEST]).await?;
            match row.try_get::<_, Option<&str>>(0)? {
                None => {}
                Some("nowhere") => return Ok(Err(Misplaced::Nowhere)),
                Some("inside") => return Ok(Err(Misplaced::Inside)),
                Some(_) => return Ok(Err(Misplaced::TooDeep)),
            }
        }
        let types = [Type::JSONB, Type::INT4, Type::TIMESTAMPTZ_ARRAY, Type::TEXT, Type::TEXT, Type::INT4, Type::BOOL];
        let statement = transaction.prepare_typed_cached(CHANGE, &types).await?;
        let parent = change.part_of.map(|parent| parent.0);
        let row = transaction
            .query_opt(
                &statement,
                &[
                    &Json(context),
                    &id.0,
                    &expected.times(),
                    &change.name,
                    &change.kind,
                    &parent,
                    &change.requires_second_factor,
                ],
            )
            .await?;
        let Some(row) = row else { return Ok(Ok(Changed::Missing)) };
        if !row.try_get::<_, bool>("done")? {
            return Ok(Ok(Changed::Stale));
        }
        transaction.commit().await?;
        Ok(Ok(Changed::Done(())))
    }

    /// Deletes an organization that has no organizations, studies or patients, with the audit record, in one transaction.
    pub async fn delete_organization(
        &self,
        context: &Context,
        id: OrganizationId,
        expected: &Expected,
    ) -> Result<Changed<Deletion>, StoreError> {
        let mut client = self.connection().await?;
        let transaction = client.transaction().await?;
        let claim = transaction.prepare_typed_cached(CLAIM, &[Type::INT4]).await?;
        let Some(row) = transaction.query_opt(&claim, &[&id.0]).await? else { return Ok(Changed::Missing) };
        let last_updated = row.try_get(0)?;
        if expected.times().is_some_and(|times| !times.contains(&last_updated)) {
            return Ok(Changed::Stale);
        }
        let statement = transaction.prepare_typed_cached(DELETE, &[Type::JSONB, Type::INT4]).await?;
        let row = transaction.query_one(&statement, &[&Json(context), &id.0]).await?;
        transaction.commit().await?;
        Ok(Changed::Done(match row.try_get::<_, Option<&str>>("held_by")? {
            None => Deletion::Deleted,
            Some("root") => Deletion::Root,
            Some("organizations") => Deletion::HasOrganizations,
            Some("studies") => Deletion::HasStudies,
            Some("holds") => Deletion::HasHolds,
            Some(_) => Deletion::HasPatients,
        }))
    }
}
