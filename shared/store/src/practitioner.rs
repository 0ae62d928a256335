//! Practitioners as others see them.

use crate::{Store, StoreError, observation::Reader, organization::OWN};
use jiff::Timestamp;
use std::sync::LazyLock;

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
}
