//! Studies.

mod change;
mod needs;

pub use change::{StudyDeletion, StudyRecord};
pub use needs::StudyNeed;

use crate::{
    DirectoryFilter, DirectoryPage, Slice, Store, StoreError, directory,
    observation::Reader,
    page::{self, Order, Page},
};
use authz::study::{AccessUntil, Life, StudyStatus};
use jiff::{Timestamp, civil::Date};
use serde::Serialize;
use std::sync::LazyLock;
use tokio_postgres::{
    Row,
    types::{Timestamp as Finite, ToSql, Type},
};

/// The organization of a study, as a study shows it.
#[derive(Clone, Debug, Serialize)]
pub struct StudyOrganization {
    /// From 20001.
    pub id: i32,
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
}

/// How long the data of a study are kept after its end, and by what rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RetentionPolicy {
    /// The name or the address of the policy.
    pub reference: Option<String>,
    /// How many days.
    pub days: Option<i32>,
}

/// A study, a FHIR Group.
#[derive(Clone, Debug)]
pub struct Study {
    /// From 30001.
    pub id: i32,
    /// Its name.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// Whose it is.
    pub organization: StudyOrganization,
    /// A picture for patients' apps.
    pub icon_url: Option<String>,
    /// Where it is in its life.
    pub life: Life,
    /// How long its data are kept.
    pub retention: Option<RetentionPolicy>,
    /// When it last changed.
    pub last_updated: Timestamp,
}

/// The columns of a [`Study`]: `s` is the study, `o` its organization.
const COLUMNS: &str = "
s.id, s.name, s.description, s.icon_url, s.status, s.starts_on, s.ends_on, s.access_until, s.retention_reference, s.retention_days,
s.last_updated, o.id AS organization_id, o.name AS organization_name, o.type AS organization_type";

/// Practitioners see the studies of their organizations, patients those in which they are enrolled: 1 to 3 the reader.
const VISIBLE: &str = "
($3
 OR EXISTS (SELECT FROM organization_member m WHERE m.organization_id = s.organization_id AND m.practitioner_id = $1)
 OR EXISTS (SELECT FROM study_patient e WHERE e.study_id = s.id AND e.patient_id = $2))";

static LIST: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
SELECT {COLUMNS}
  FROM study s JOIN organization o ON o.id = s.organization_id
 WHERE {VISIBLE}
   AND (cardinality($4::int[]) = 0 OR s.id = ANY ($4))
   AND ($5::int IS NULL OR s.organization_id = $5)"
    )
});

static ALL: LazyLock<String> = LazyLock::new(|| format!("{}\n ORDER BY s.name, s.id", *LIST));

static PAGE: LazyLock<String> = LazyLock::new(|| page::statement(&LIST, Order::NameIn("study"), 6));

static SEARCH: LazyLock<String> = LazyLock::new(|| {
    let unseen = format!(
        "ARRAY(SELECT i FROM unnest($4::int[]) i WHERE NOT EXISTS (SELECT FROM study s WHERE s.id = i AND {VISIBLE}))"
    );
    directory::statement(&LIST, &unseen, 6)
});

/// The role, in the organization of the study `s`, of the practitioner who acts; `$1` is the audit context.
const ACTING_ROLE: &str = "
(SELECT m.role FROM practitioner p JOIN organization_member m ON m.practitioner_id = p.id
  WHERE p.user_id = ($1->>'actor_user_id')::int AND $1->>'actor_type' = 'practitioner' AND m.organization_id = s.organization_id)";

/// A study that takes no new patients, consents, invitations or requests, as `authz::study::Plan::has_ended` says; `s` is the study.
pub(crate) const HAS_ENDED: &str = "
(s.status IN ('completed', 'archived') OR coalesce(s.ends_on < (now() AT TIME ZONE 'UTC')::date, false))";

impl Store {
    /// The studies that the reader may see. With ids, only those; with an organization, only its.
    pub async fn studies(
        &self,
        reader: Reader,
        ids: &[i32],
        organization: Option<i32>,
    ) -> Result<Vec<Study>, StoreError> {
        let (practitioner, patient, privileged) = reader.parts();
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(&ALL, &[Type::INT4, Type::INT4, Type::BOOL, Type::INT4_ARRAY, Type::INT4])
            .await?;
        let rows = client.query(&statement, &[&practitioner, &patient, &privileged, &ids, &organization]).await?;
        rows.iter().map(study).collect()
    }

    /// A search of them; with an organization, only of its. What of the ids is not the reader's is told whatever else is asked.
    pub async fn find_studies(
        &self,
        reader: Reader,
        organization: Option<i32>,
        filter: &DirectoryFilter,
    ) -> Result<DirectoryPage<Study>, StoreError> {
        let (practitioner, patient, privileged) = reader.parts();
        let client = self.connection().await?;
        let types = [Type::INT4, Type::INT4, Type::BOOL, Type::INT4_ARRAY, Type::INT4];
        let statement = client.prepare_typed_cached(&SEARCH, &[types.as_slice(), &directory::TYPES].concat()).await?;
        let values = directory::Values::from(filter);
        let values = values.following(&[&practitioner, &patient, &privileged, &filter.ids, &organization]);
        directory::read(&client.query(&statement, &values).await?, study)
    }

    /// A page of them, by name.
    pub async fn study_page(
        &self,
        reader: Reader,
        organization: Option<i32>,
        slice: Slice,
    ) -> Result<Page<Study>, StoreError> {
        let (practitioner, patient, privileged) = reader.parts();
        let client = self.connection().await?;
        let types = [Type::INT4, Type::INT4, Type::BOOL, Type::INT4_ARRAY, Type::INT4];
        let statement = client.prepare_typed_cached(&PAGE, &[types.as_slice(), &page::TYPES].concat()).await?;
        let page = page::Values::from(slice);
        let values: [&(dyn ToSql + Sync); 9] = [
            &practitioner,
            &patient,
            &privileged,
            &[0_i32; 0].as_slice(),
            &organization,
            &page.after,
            &page.count,
            &page.skip,
            &page.far,
        ];
        page::read(&client.query(&statement, &values).await?, study)
    }
}

/// The study of a row with [`COLUMNS`].
fn study(row: &Row) -> Result<Study, StoreError> {
    Ok(Study {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        organization: StudyOrganization {
            id: row.try_get("organization_id")?,
            name: row.try_get("organization_name")?,
            kind: row.try_get("organization_type")?,
        },
        icon_url: row.try_get("icon_url")?,
        life: Life {
            status: status(row.try_get("status")?)?,
            starts_on: row.try_get::<_, Option<Date>>("starts_on")?,
            ends_on: row.try_get::<_, Option<Date>>("ends_on")?,
            access: access(row.try_get("access_until")?),
        },
        retention: retention(row.try_get("retention_reference")?, row.try_get("retention_days")?),
        last_updated: row.try_get("last_updated")?,
    })
}

/// The status with this name.
pub(crate) fn status(name: &str) -> Result<StudyStatus, StoreError> {
    name.parse().map_err(|_| StoreError::Corrupt("status"))
}

/// Until when researchers have access, as the database has it.
const fn access(until: Finite<Timestamp>) -> AccessUntil {
    match until {
        Finite::NegInfinity => AccessUntil::Never,
        Finite::PosInfinity => AccessUntil::Always,
        Finite::Value(end) => AccessUntil::Until(end),
    }
}

fn retention(reference: Option<String>, days: Option<i32>) -> Option<RetentionPolicy> {
    (reference.is_some() || days.is_some()).then_some(RetentionPolicy { reference, days })
}
