//! Organizations, and the caller's roles in them.

mod change;
mod member;
mod tree;

pub use change::{Deletion, Misplaced, NewOrganization, OrganizationChange};
pub use member::{Member, Membership, RoleChange};

use crate::{
    DirectoryFilter, DirectoryPage, Slice, Store, StoreError, directory,
    observation::Reader,
    page::{self, Order, Page},
};
use authz::{OrganizationId, PatientId, PractitionerId, Role, StudyId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

/// An organization as the caller sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Organization {
    /// From 20001; 0 is the root.
    pub id: i32,
    /// Its name.
    pub name: String,
    /// Its type: `edu`, `prov`, `dept`, `team`, `laboratory`, `root`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The organization that it is part of.
    pub part_of: Option<i32>,
    /// The caller's role in it: `super_user` for a super admin, none for a patient.
    pub current_user_role: Option<String>,
    /// Whether its members need a second factor to sign in. Told to those who can change it, where one is read or all are listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires_second_factor: Option<bool>,
    /// Always empty here; filled where a tree is asked for.
    #[serde(default)]
    pub children: Vec<Organization>,
    /// When it last changed.
    #[serde(skip_serializing)]
    pub last_updated: Timestamp,
}

/// The rule, once: a practitioner's organizations are those of their roles, a patient's those that they belong to. `$1` is
/// the practitioner, `$2` the patient.
pub(crate) const OWN: &str = "
(SELECT organization_id FROM organization_member WHERE practitioner_id = $1
 UNION ALL
 SELECT organization_id FROM patient_organization WHERE patient_id = $2)";

static LIST: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
SELECT o.id, o.name, o.type, o.part_of, o.last_updated,
       CASE WHEN $3 THEN 'super_user' ELSE m.role::text END AS current_user_role,
       CASE WHEN $3 OR m.role = 'manager' THEN o.requires_second_factor END AS requires_second_factor
  FROM organization o
  LEFT JOIN organization_member m ON m.organization_id = o.id AND m.practitioner_id = $1
 WHERE ($3 OR o.id IN {OWN})
   AND (cardinality($4::int[]) = 0 OR o.id = ANY ($4))"
    )
});

static ALL: LazyLock<String> = LazyLock::new(|| format!("{}\n ORDER BY o.name, o.id", *LIST));

static PAGE: LazyLock<String> = LazyLock::new(|| page::statement(&LIST, Order::NameIn("organization"), 5));

static SEARCH: LazyLock<String> = LazyLock::new(|| {
    let unseen = format!(
        "ARRAY(SELECT i FROM unnest($4::int[]) i
          WHERE NOT EXISTS (SELECT FROM organization o WHERE o.id = i AND ($3 OR o.id IN {OWN})))"
    );
    directory::statement(&LIST, &unseen, 5)
});

impl Store {
    /// The organizations that the reader may see: those of the practitioner's roles, those of the patient, or all for
    /// a super admin. With ids, only those.
    pub async fn organizations(&self, reader: Reader, ids: &[i32]) -> Result<Vec<Organization>, StoreError> {
        self.visible(&ALL, reader, ids).await?.iter().map(listed).collect()
    }

    /// A search of them.
    pub async fn find_organizations(
        &self,
        reader: Reader,
        filter: &DirectoryFilter,
    ) -> Result<DirectoryPage<Organization>, StoreError> {
        let (practitioner, patient, privileged) = reader.parts();
        let client = self.connection().await?;
        let types = [Type::INT4, Type::INT4, Type::BOOL, Type::INT4_ARRAY];
        let statement = client.prepare_typed_cached(&SEARCH, &[types.as_slice(), &directory::TYPES].concat()).await?;
        let values = directory::Values::from(filter);
        let values = values.following(&[&practitioner, &patient, &privileged, &filter.ids]);
        directory::read(&client.query(&statement, &values).await?, listed)
    }

    /// A page of them, by name.
    pub async fn organization_page(&self, reader: Reader, slice: Slice) -> Result<Page<Organization>, StoreError> {
        let (practitioner, patient, privileged) = reader.parts();
        let client = self.connection().await?;
        let types = [[Type::INT4, Type::INT4, Type::BOOL, Type::INT4_ARRAY].as_slice(), &page::TYPES].concat();
        let statement = client.prepare_typed_cached(&PAGE, &types).await?;
        let page = page::Values::from(slice);
        let values: [&(dyn ToSql + Sync); 8] = [
            &practitioner,
            &patient,
            &privileged,
            &[0_i32; 0].as_slice(),
            &page.after,
            &page.count,
            &page.skip,
            &page.far,
        ];
        page::read(&client.query(&statement, &values).await?, listed)
    }

    /// The rows of a list of what a reader may see: 1 to 3 the reader, 4 ids.
    pub(crate) async fn visible(&self, list: &str, reader: Reader, ids: &[i32]) -> Result<Vec<Row>, StoreError> {
        let (practitioner, patient, privileged) = reader.parts();
        let client = self.connection().await?;
        let statement =
            client.prepare_typed_cached(list, &[Type::INT4, Type::INT4, Type::BOOL, Type::INT4_ARRAY]).await?;
        Ok(client.query(&statement, &[&practitioner, &patient, &privileged, &ids]).await?)
    }

    /// The practitioner's role in an organization.
    pub async fn role_in_organization(
        &self,
        practitioner: Option<PractitionerId>,
        organization: OrganizationId,
    ) -> Result<Option<Role>, StoreError> {
        self.role(practitioner, "SELECT $2", Some(organization.0)).await
    }

    /// The practitioner's highest role in the organizations of a patient.
    pub async fn role_over_patient(
        &self,
        practitioner: Option<PractitionerId>,
        patient: PatientId,
    ) -> Result<Option<Role>, StoreError> {
        let theirs = "SELECT organization_id FROM patient_organization WHERE patient_id = $2";
        self.role(practitioner, theirs, Some(patient.0)).await
    }

    /// The practitioner's role in the organization of a study.
    pub async fn role_over_study(
        &self,
        practitioner: Option<PractitionerId>,
        study: StudyId,
    ) -> Result<Option<Role>, StoreError> {
        self.role(practitioner, "SELECT organization_id FROM study WHERE id = $2", Some(study.0)).await
    }

    /// The practitioner's highest role anywhere.
    pub async fn highest_role(&self, practitioner: Option<PractitionerId>) -> Result<Option<Role>, StoreError> {
        self.role(practitioner, "SELECT id FROM organization WHERE $2 IS NULL", None).await
    }

    /// The practitioner's highest role in the organizations that a query selects; the query may use the `target` as `$2`.
    async fn role(
        &self,
        practitioner: Option<PractitionerId>,
        organizations: &'static str,
        target: Option<i32>,
    ) -> Result<Option<Role>, StoreError> {
        let Some(practitioner) = practitioner else {
            return Ok(None);
        };
        let statement = format!(
            "SELECT max(role)::text FROM organization_member WHERE practitioner_id = $1 AND organization_id IN ({organizations})"
        );
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(&statement, &[Type::INT4, Type::INT4]).await?;
        let row = client.query_one(&statement, &[&practitioner.0, &target]).await?;
        row.try_get::<_, Option<&str>>(0)?.map(|name| name.parse().map_err(|_| StoreError::Corrupt("role"))).transpose()
    }
}

/// The organization of a row of [`LIST`].
fn listed(row: &Row) -> Result<Organization, StoreError> {
    let requires_second_factor = row.try_get("requires_second_factor")?;
    Ok(Organization { requires_second_factor, ..organization(row)? })
}

fn organization(row: &Row) -> Result<Organization, StoreError> {
    Ok(Organization {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        kind: row.try_get("type")?,
        part_of: row.try_get("part_of")?,
        current_user_role: row.try_get("current_user_role")?,
        requires_second_factor: None,
        children: Vec::new(),
        last_updated: row.try_get("last_updated")?,
    })
}
