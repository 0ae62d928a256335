//! Practitioners as others see them.

use crate::{Store, StoreError, observation::Reader};
use jiff::Timestamp;
use tokio_postgres::types::Type;

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

const VISIBLE: &str = "
SELECT p.id, u.last_name, u.first_name, p.last_updated
  FROM practitioner p JOIN app_user u ON u.id = p.user_id
 WHERE ($3 OR p.id = $1
        OR EXISTS (SELECT FROM organization_member theirs
                     JOIN organization_member mine ON mine.organization_id = theirs.organization_id
                    WHERE theirs.practitioner_id = p.id AND mine.practitioner_id = $1)
        OR EXISTS (SELECT FROM organization_member theirs
                     JOIN patient_organization mine ON mine.organization_id = theirs.organization_id
                    WHERE theirs.practitioner_id = p.id AND mine.patient_id = $2))
   AND (cardinality($4::int[]) = 0 OR p.id = ANY ($4))
 ORDER BY p.id";

impl Store {
    /// The practitioners of the reader's organizations, and the reader; all for a super admin. With ids, only those.
    pub async fn practitioners(&self, reader: Reader, ids: &[i32]) -> Result<Vec<Practitioner>, StoreError> {
        let (practitioner, patient, privileged) = reader.parts();
        let client = self.connection().await?;
        let statement =
            client.prepare_typed_cached(VISIBLE, &[Type::INT4, Type::INT4, Type::BOOL, Type::INT4_ARRAY]).await?;
        let rows = client.query(&statement, &[&practitioner, &patient, &privileged, &ids]).await?;
        rows.iter()
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
}
