//! Practitioners as others see them.

use crate::{
    COUNTED, DirectoryFilter, DirectoryPage, Organization, Slice, Store, StoreError, directory, observation::Reader,
    organization::OWN,
};
use audit::Context;
use jiff::Timestamp;
use serde::Serialize;
use std::sync::LazyLock;
use tokio_postgres::{
    Row,
    types::{Json, Type},
};

/// A practitioner's name.
#[derive(Clone, Debug)]
pub struct Practitioner {
    /// From 80001.
    pub id: i32,
    /// Family name.
    pub family: String,
    /// Given name.
    pub given: String,
    /// When the record last changed.
    pub last_updated: Timestamp,
}

/// A practitioner with an active account, as a super admin sees them.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PractitionerAccount {
    /// From 80001.
    pub id: i32,
    /// The account, from 10001.
    pub jhe_user_id: i32,
    /// Family name, if there is one.
    pub name_family: Option<String>,
    /// Given name, if there is one.
    pub name_given: Option<String>,
    /// E-mail.
    pub telecom_email: String,
    /// The organizations in which the practitioner has a role.
    pub organizations: Vec<Organization>,
    /// When the account last changed.
    #[serde(skip)]
    pub last_updated: Timestamp,
}

/// A page of practitioners.
#[derive(Clone, Debug, Default)]
pub struct PractitionerPage {
    /// The practitioners, by id.
    pub rows: Vec<PractitionerAccount>,
    /// True when the next page is not empty.
    pub more: bool,
    /// How many there are, [`COUNTED`](crate::COUNTED) at most.
    pub total: i64,
}

/// 1 audit context, 2 after, 3 count, 4 ids, 5 skip, 6 how far to count. At least one row.
const ACCOUNTS: &str = "
WITH page AS MATERIALIZED (
  SELECT p.id FROM practitioner p JOIN app_user u ON u.id = p.user_id
   WHERE u.is_active AND p.id > $2 AND (cardinality($4::int[]) = 0 OR p.id = ANY ($4)) ORDER BY p.id LIMIT $3 + $5 + 1
), shown AS MATERIALIZED (
  SELECT id FROM page ORDER BY id LIMIT $3 OFFSET $5
)
SELECT a.event_id, (SELECT count(*) FROM page) > $3 + $5 AS more,
       (SELECT count(*) FROM (SELECT FROM practitioner p JOIN app_user u ON u.id = p.user_id WHERE u.is_active LIMIT $6) c) AS total,
       p.id, u.id AS user_id, nullif(u.last_name, '') AS family, nullif(u.first_name, '') AS given, u.email, u.last_updated,
       coalesce((SELECT jsonb_agg(jsonb_build_object('id', o.id, 'name', o.name, 'type', o.type, 'partOf', o.part_of,
                                                     'currentUserRole', 'super_user', 'lastUpdated', o.last_updated) ORDER BY o.id)
                   FROM organization_member m JOIN organization o ON o.id = m.organization_id
                  WHERE m.practitioner_id = p.id), '[]') AS organizations
  FROM (SELECT audit_record($1 || jsonb_build_object('detail', jsonb_build_object('users',
                              ARRAY(SELECT p.user_id FROM shown s JOIN practitioner p ON p.id = s.id ORDER BY 1))),
                            'allowed', NULL, '{}', '{}', '{}', '{}') AS event_id) a
  LEFT JOIN (shown s JOIN practitioner p ON p.id = s.id JOIN app_user u ON u.id = p.user_id) ON true
 ORDER BY p.id";

/// The practitioners `p`, with their accounts `u`, whom the reader may see: 1 practitioner, 2 patient, 3 whether all.
static VISIBLE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "($3 OR p.id = $1 OR p.id IN (SELECT practitioner_id FROM organization_member WHERE organization_id IN {OWN}))"
    )
});

/// By which organizations the reader sees those of a table.
fn seen_by(table: &str) -> String {
    format!(
        "ARRAY(SELECT DISTINCT m.organization_id FROM {table} s JOIN organization_member m ON m.practitioner_id = s.id
                WHERE m.organization_id IN {OWN} ORDER BY 1)"
    )
}

/// The reader's highest role in these organizations.
fn role_among(table: &str) -> String {
    format!(
        "(SELECT max(own.role) FROM organization_member own
           WHERE own.practitioner_id = $1 AND own.organization_id = ANY ({}))",
        seen_by(table)
    )
}

/// 1 to 3 the reader, 4 audit context, 5 ids, from 6 the values of a search. At least one row. Whom the reader does not see is not told
/// apart from who does not exist.
static SEARCH: LazyLock<String> = LazyLock::new(|| {
    let found = format!(
        "FROM practitioner p JOIN app_user u ON u.id = p.user_id
   WHERE {visible}
     AND (cardinality($5::int[]) = 0 OR p.id = ANY ($5))
     AND ($6::text[] IS NULL OR CASE WHEN $7 THEN u.last_name LIKE ANY ($6) OR u.first_name LIKE ANY ($6)
                                     ELSE u.last_name ILIKE ANY ($6) OR u.first_name ILIKE ANY ($6) END)
     AND ($8::timestamptz IS NULL OR p.last_updated >= $8) AND ($9::timestamptz IS NULL OR p.last_updated < $9)",
        visible = *VISIBLE
    );
    format!(
        "
WITH page AS MATERIALIZED (
  SELECT p.id {found} AND p.id > $10 ORDER BY p.id LIMIT $11 + 1
), shown AS MATERIALIZED (
  SELECT id FROM page ORDER BY id LIMIT $11
)
SELECT a.event_id, (SELECT count(*) FROM page) > $11 AS more, CASE WHEN $12 THEN (SELECT count(*) {found}) END AS total,
       '{{}}'::int[] AS unseen,
       p.id, u.last_name, u.first_name, p.last_updated
  FROM (SELECT audit_record($4 || jsonb_build_object('detail', jsonb_build_object('users',
                              ARRAY(SELECT p.user_id FROM shown s JOIN practitioner p ON p.id = s.id ORDER BY 1))),
                            'allowed', NULL, {seen_by}, '{{}}', '{{}}', '{{}}', {role}) AS event_id) a
  LEFT JOIN (shown s JOIN practitioner p ON p.id = s.id JOIN app_user u ON u.id = p.user_id) ON true
 ORDER BY p.id",
        seen_by = seen_by("shown"),
        role = role_among("shown")
    )
});

/// 1 to 3 the reader, 4 audit context, 5 id. One row.
static READ: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
WITH target AS MATERIALIZED (
  SELECT p.id, p.user_id, {visible} AS is_seen FROM practitioner p WHERE p.id = $5
), seen AS MATERIALIZED (
  SELECT id, user_id FROM target WHERE is_seen
)
SELECT a.event_id, p.id, u.last_name, u.first_name, p.last_updated
  FROM (SELECT audit_record($4 || jsonb_build_object('detail', jsonb_build_object('user', (SELECT user_id FROM target))),
                            CASE WHEN EXISTS (SELECT FROM seen) THEN 'allowed' ELSE 'denied' END,
                            CASE WHEN EXISTS (SELECT FROM seen) THEN NULL WHEN EXISTS (SELECT FROM target) THEN 'organization'
                                 ELSE 'not_found' END,
                            {seen_by}, '{{}}', '{{}}', '{{}}', {role}) AS event_id) a
  LEFT JOIN (seen s JOIN practitioner p ON p.id = s.id JOIN app_user u ON u.id = p.user_id) ON true",
        visible = *VISIBLE,
        seen_by = seen_by("seen"),
        role = role_among("seen")
    )
});

impl Store {
    /// A page of the practitioners of the reader's organizations, and the reader; of all for a super admin. With the audit record
    /// of who was shown, in one statement.
    pub async fn practitioners(
        &self,
        context: &Context,
        reader: Reader,
        filter: &DirectoryFilter,
    ) -> Result<DirectoryPage<Practitioner>, StoreError> {
        let (practitioner, patient, privileged) = reader.parts();
        let client = self.connection().await?;
        let types = [Type::INT4, Type::INT4, Type::BOOL, Type::JSONB, Type::INT4_ARRAY];
        let statement = client.prepare_typed_cached(&SEARCH, &[types.as_slice(), &directory::TYPES].concat()).await?;
        let values = directory::Values::from(filter);
        let context = Json(context);
        let values = values.following(&[&practitioner, &patient, &privileged, &context, &filter.ids]);
        directory::read(&client.query(&statement, &values).await?, named)
    }

    /// A practitioner whom the reader may see, with the audit record, in one statement.
    pub async fn practitioner(
        &self,
        context: &Context,
        reader: Reader,
        id: i32,
    ) -> Result<Option<Practitioner>, StoreError> {
        let (practitioner, patient, privileged) = reader.parts();
        let client = self.connection().await?;
        let types = [Type::INT4, Type::INT4, Type::BOOL, Type::JSONB, Type::INT4];
        let statement = client.prepare_typed_cached(&READ, &types).await?;
        let row = client.query_one(&statement, &[&practitioner, &patient, &privileged, &Json(context), &id]).await?;
        row.try_get::<_, Option<i32>>("id")?.map(|_| named(&row)).transpose()
    }

    /// A page of the practitioners with an active account, for a super admin; with ids, only those. With the audit record, in
    /// one statement.
    pub async fn practitioner_accounts(
        &self,
        context: &Context,
        ids: &[i32],
        slice: Slice,
    ) -> Result<PractitionerPage, StoreError> {
        let client = self.connection().await?;
        let types = [Type::JSONB, Type::INT4, Type::INT8, Type::INT4_ARRAY, Type::INT8, Type::INT8];
        let statement = client.prepare_typed_cached(ACCOUNTS, &types).await?;
        let mut page = PractitionerPage::default();
        let rows = client
            .query(&statement, &[&Json(context), &slice.after_id(), &slice.count, &ids, &slice.skip, &COUNTED])
            .await?;
        for row in rows {
            page.more = row.try_get("more")?;
            page.total = row.try_get("total")?;
            page.rows.extend(account(&row)?);
        }
        Ok(page)
    }
}

fn named(row: &Row) -> Result<Practitioner, StoreError> {
    Ok(Practitioner {
        id: row.try_get("id")?,
        family: row.try_get("last_name")?,
        given: row.try_get("first_name")?,
        last_updated: row.try_get("last_updated")?,
    })
}

/// The account of a row that may hold none.
fn account(row: &Row) -> Result<Option<PractitionerAccount>, StoreError> {
    let Some(id) = row.try_get("id")? else { return Ok(None) };
    Ok(Some(PractitionerAccount {
        id,
        jhe_user_id: row.try_get("user_id")?,
        name_family: row.try_get("family")?,
        name_given: row.try_get("given")?,
        telecom_email: row.try_get("email")?,
        organizations: row.try_get::<_, Json<Vec<Organization>>>("organizations")?.0,
        last_updated: row.try_get("last_updated")?,
    }))
}
