//! Studies.

use crate::{Store, StoreError, observation::Reader};
use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::types::Type;

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

/// A study, a FHIR Group.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
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
    /// `draft`, `active`, `completed` or `archived`.
    #[serde(skip)]
    pub status: String,
    /// When it last changed.
    #[serde(skip)]
    pub last_updated: Timestamp,
}

/// Practitioners see the studies of their organizations, patients those in which they are enrolled.
const VISIBLE: &str = "
SELECT s.id, s.name, s.description, s.icon_url, s.status, s.last_updated,
       o.id AS organization_id, o.name AS organization_name, o.type AS organization_type
  FROM study s JOIN organization o ON o.id = s.organization_id
 WHERE ($3
        OR EXISTS (SELECT FROM organization_member m WHERE m.organization_id = s.organization_id AND m.practitioner_id = $1)
        OR EXISTS (SELECT FROM study_patient e WHERE e.study_id = s.id AND e.patient_id = $2))
   AND (cardinality($4::int[]) = 0 OR s.id = ANY ($4))
   AND ($5::int IS NULL OR s.organization_id = $5)
 ORDER BY s.name, s.id";

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
            .prepare_typed_cached(VISIBLE, &[Type::INT4, Type::INT4, Type::BOOL, Type::INT4_ARRAY, Type::INT4])
            .await?;
        let rows = client.query(&statement, &[&practitioner, &patient, &privileged, &ids, &organization]).await?;
        rows.iter()
            .map(|row| {
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
                    status: row.try_get("status")?,
                    last_updated: row.try_get("last_updated")?,
                })
            })
            .collect()
    }
}
