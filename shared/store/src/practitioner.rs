//! Practitioners as others see them.

use crate::{COUNTED, Organization, Slice, Store, StoreError, observation::Reader, organization::OWN};
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
  FROM (SELECT audit_record($1, 'allowed', NULL, '{}', '{}', '{}', '{}') AS event_id) a
  LEFT JOIN (shown s JOIN practitioner p ON p.id = s.id JOIN app_user u ON u.id = p.user_id) ON true
 ORDER BY p.id";

static LIST: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
SELECT p.id, u.last_name, u.first_name, p.last_updated
  FROM practitioner p JOIN app_user u ON u.id = p.user_id
 WHERE ($3 OR p.id = $1
        OR p.id IN (SELECT practitioner_id FROM organization_member WHERE organization_id IN {OWN}))
   AND (cardinality($4::int[]) = 0 OR p.id = ANY ($4))
 ORDER BY p.id"
    )
});

impl Store {
    /// The practitioners of the reader's organizations, and the reader; all for a super admin. With ids, only those.
    pub async fn practitioners(&self, reader: Reader, ids: &[i32]) -> Result<Vec<Practitioner>, StoreError> {
        self.visible(&LIST, reader, ids)
            .await?
            .iter()
            .map(|row| {
                Ok(Practitioner {
                    id: row.try_get(0)?,
                    family: row.try_get(1)?,
                    given: row.try_get(2)?,
                    last_updated: row.try_get(3)?,
                })
            })
            .collect()
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

/// The practitioner of a row that may hold none.
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
