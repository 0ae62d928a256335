//! Organizations as a tree.

use super::{Organization, organization};
use crate::{Store, StoreError, observation::Reader, organization::OWN};
use std::{collections::HashMap, sync::LazyLock};
use tokio_postgres::types::Type;

/// 1 to 3 the reader. What the reader may see, and the root, each with the nearest above it that is seen too: what is between
/// is not told. The way up ends there, and after as many steps as organizations can be deep.
static SEEN: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
WITH RECURSIVE seen AS MATERIALIZED (
  SELECT o.*, CASE WHEN $3 THEN 'super_user' ELSE m.role::text END AS current_user_role
    FROM organization o
    LEFT JOIN organization_member m ON m.organization_id = o.id AND m.practitioner_id = $1
   WHERE $3 OR o.id = 0 OR o.id IN {OWN}
), up AS (
  SELECT s.id, s.part_of AS above, 1 AS steps FROM seen s
  UNION ALL
  SELECT u.id, o.part_of, u.steps + 1
    FROM up u JOIN organization o ON o.id = u.above
   WHERE u.steps < 100 AND u.above NOT IN (SELECT id FROM seen)
)
SELECT s.id, s.name, s.type, s.part_of, s.last_updated, s.current_user_role, u.above
  FROM seen s LEFT JOIN up u ON u.id = s.id AND u.above IN (SELECT id FROM seen)
 ORDER BY s.name, s.id"
    )
});

impl Store {
    /// The organization with this id and, as its children, all below it that the reader may see. What stands between them and
    /// the reader may not see is left out. The root is seen by everybody: it has no content of its own. None: the reader may
    /// not see it.
    pub async fn organization_tree(&self, reader: Reader, id: i32) -> Result<Option<Organization>, StoreError> {
        let (practitioner, patient, privileged) = reader.parts();
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(&SEEN, &[Type::INT4, Type::INT4, Type::BOOL]).await?;
        let mut top = None;
        let mut below: HashMap<i32, Vec<Organization>> = HashMap::new();
        for row in client.query(&statement, &[&practitioner, &patient, &privileged]).await? {
            let organization = organization(&row)?;
            if organization.id == id {
                top = Some(organization);
            } else if let Some(above) = row.try_get("above")? {
                below.entry(above).or_default().push(organization);
            }
        }
        Ok(top.map(|top| grown(top, &mut below)))
    }
}

/// The organization with what is below it, in the order in which it was read. Each is taken out of `below`, so this ends
/// whatever the rows say; and it goes no deeper than organizations do.
fn grown(mut organization: Organization, below: &mut HashMap<i32, Vec<Organization>>) -> Organization {
    let children = below.remove(&organization.id).unwrap_or_default();
    organization.children = children.into_iter().map(|child| grown(child, below)).collect();
    organization
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(id: i32) -> Organization {
        Organization {
            id,
            name: id.to_string(),
            kind: "team".to_owned(),
            part_of: None,
            current_user_role: None,
            requires_second_factor: None,
            children: Vec::new(),
            last_updated: "2026-11-21T10:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_tree_ends_whatever_the_rows_say() {
        let mut below = HashMap::from([
            (1, vec![named(2), named(3)]),
            (3, vec![named(4)]),
            (4, vec![named(1)]),
            (9, vec![named(8)]),
        ]);
        let tree = grown(named(1), &mut below);
        let ids =
            |organization: &Organization| -> Vec<i32> { organization.children.iter().map(|one| one.id).collect() };
        assert_eq!(ids(&tree), [2, 3]);
        assert_eq!(ids(&tree.children[1]), [4]);
        assert_eq!(ids(&tree.children[1].children[0]), [1]);
        assert_eq!(ids(&tree.children[1].children[0].children[0]), [0_i32; 0]);
        assert_eq!(below.len(), 1);
    }
}
