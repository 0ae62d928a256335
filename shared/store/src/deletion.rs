//! Observations and other resources whose time is over by policy: found, announced, deleted and certified. What is due is decided in the database.

use crate::{DatabaseConfig, LoginError, Store, StoreError, migrate::connect_owner};
use audit::Context;
use serde::Deserialize;
use serde_json::Value;
use tokio_postgres::types::{Json, Type};

/// What one call did, and whether there is more to do.
#[derive(Clone, Debug, Deserialize)]
pub struct Progress {
    /// Whether to call again.
    pub more: bool,
    /// Lanes that were announced: a patient and a kind of data each.
    #[serde(default)]
    pub lanes: u64,
    /// Observations that were deleted.
    #[serde(default)]
    pub deleted: u64,
    /// Other resources that were deleted.
    #[serde(default)]
    pub resources: u64,
}

/// What is due of a patient and a kind of data.
#[derive(Clone, Debug)]
pub struct DueLane {
    /// Whose.
    pub patient: i32,
    /// The code of the kind.
    pub code: String,
    /// How many observations.
    pub observations: i64,
    /// The studies that the patient ever granted it to.
    pub studies: Vec<i32>,
}

/// What was signed of a plan that was carried out.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The signed text.
    pub text: String,
    /// The signature.
    pub signature: Vec<u8>,
    /// The key that checks it, as PEM.
    pub public_key: String,
}

impl Store {
    /// Whether there is any policy.
    pub async fn has_retention_policies(&self) -> Result<bool, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_cached("SELECT EXISTS (SELECT FROM retention_policy)").await?;
        Ok(client.query_one(&statement, &[]).await?.try_get(0)?)
    }

    /// Whether this login deletes by the policies.
    pub async fn may_delete_by_policy(&self) -> Result<bool, StoreError> {
        let client = self.connection().await?;
        let statement =
            client.prepare_cached("SELECT has_function_privilege('retention_delete(jsonb, int)', 'EXECUTE')").await?;
        Ok(client.query_one(&statement, &[]).await?.try_get(0)?)
    }

    /// Looks at the next patients for what is due. `now`: also when that was done today.
    pub async fn collect_due(&self, context: &Context, patients: u16, now: bool) -> Result<Progress, StoreError> {
        let client = self.connection().await?;
        let types = [Type::JSONB, Type::INT4, Type::BOOL];
        let statement = client.prepare_typed_cached("SELECT retention_collect($1, $2, $3)", &types).await?;
        let Json(progress) =
            client.query_one(&statement, &[&Json(context), &i32::from(patients), &now]).await?.try_get(0)?;
        Ok(progress)
    }

    /// Deletes a batch of what was announced and is due still, with its audit record, in one transaction.
    pub async fn delete_due(&self, context: &Context, most: u16) -> Result<Progress, StoreError> {
        let client = self.connection().await?;
        let types = [Type::JSONB, Type::INT4];
        let statement = client.prepare_typed_cached("SELECT retention_delete($1, $2)", &types).await?;
        let Json(progress) = client.query_one(&statement, &[&Json(context), &i32::from(most)]).await?.try_get(0)?;
        Ok(progress)
    }

    /// What is to be certified: the first plan that was carried out and has no certificate.
    pub async fn certifiable(&self) -> Result<Option<(i64, Value)>, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_cached("SELECT retention_certifiable()").await?;
        let Some(Json(facts)) = client.query_one(&statement, &[]).await?.try_get::<_, Option<Json<Value>>>(0)? else {
            return Ok(None);
        };
        let plan = facts.get("plan").and_then(Value::as_i64).ok_or(StoreError::Corrupt("retention_plan"))?;
        Ok(Some((plan, facts)))
    }

    /// Keeps the certificate of a plan, with its audit record.
    pub async fn certify(&self, context: &Context, plan: i64, certificate: &Certificate) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let types = [Type::JSONB, Type::INT8, Type::TEXT, Type::BYTEA, Type::TEXT];
        let statement = client.prepare_typed_cached("SELECT retention_certify($1, $2, $3, $4, $5)", &types).await?;
        let Certificate { text, signature, public_key } = certificate;
        client.execute(&statement, &[&Json(context), &plan, text, signature, public_key]).await?;
        Ok(())
    }

    /// The certificate of a plan.
    pub async fn certificate(&self, plan: i64) -> Result<Option<Certificate>, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_cached(
                "SELECT certificate, signature, public_key FROM retention_plan WHERE id = $1 AND certificate IS NOT NULL",
            )
            .await?;
        let row = client.query_opt(&statement, &[&plan]).await?;
        row.map(|row| {
            Ok(Certificate { text: row.try_get(0)?, signature: row.try_get(1)?, public_key: row.try_get(2)? })
        })
        .transpose()
    }

    /// The ids of the other resources that a plan deleted, in order.
    pub async fn deleted_resources(&self, plan: i64) -> Result<Vec<String>, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_cached(
                "SELECT coalesce(array_agg(i.id::text ORDER BY i.id), '{}')
                   FROM retention_batch b CROSS JOIN unnest(b.resource_ids) i (id) WHERE b.plan_id = $1",
            )
            .await?;
        Ok(client.query_one(&statement, &[&plan]).await?.try_get(0)?)
    }

    /// The numbers of the observations that a plan deleted, in order.
    pub async fn deleted_observations(&self, plan: i64) -> Result<Vec<i64>, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_cached(
                "SELECT coalesce(array_agg(i.id ORDER BY i.id), '{}')
                   FROM retention_batch b CROSS JOIN unnest(b.observation_ids) i (id) WHERE b.plan_id = $1",
            )
            .await?;
        Ok(client.query_one(&statement, &[&plan]).await?.try_get(0)?)
    }

    /// What is due of the next patients after one, and the last of these: none, when there is no other patient.
    pub async fn due_lanes(&self, after: i32, patients: u16) -> Result<(Vec<DueLane>, Option<i32>), StoreError> {
        let client = self.connection().await?;
        let next = client.prepare_typed_cached(
            "SELECT coalesce(array_agg(id ORDER BY id), '{}') FROM (SELECT id FROM patient WHERE id > $1 ORDER BY id LIMIT $2) p",
            &[Type::INT4, Type::INT8],
        );
        let ids: Vec<i32> = client.query_one(&next.await?, &[&after, &i64::from(patients)]).await?.try_get(0)?;
        let statement = client
            .prepare_typed_cached(
                "SELECT d.patient_id, c.code, d.observations, d.study_ids
                   FROM retention_due_lanes($1) d JOIN scope c ON c.id = d.scope_id ORDER BY d.patient_id, c.code",
                &[Type::INT4_ARRAY],
            )
            .await?;
        let rows = client.query(&statement, &[&ids]).await?;
        let lanes = rows.iter().map(|row| {
            Ok(DueLane {
                patient: row.try_get(0)?,
                code: row.try_get(1)?,
                observations: row.try_get(2)?,
                studies: row.try_get(3)?,
            })
        });
        Ok((lanes.collect::<Result<_, StoreError>>()?, ids.last().copied()))
    }
}

/// Sets what no policy undercuts, as the owner. A change is on record.
pub async fn set_retention_floor(
    owner: &DatabaseConfig,
    minimum_days: i32,
    notice_days: i32,
) -> Result<(), LoginError> {
    const SET: &str = r#"
WITH was AS MATERIALIZED (
  SELECT to_jsonb(f) AS row FROM retention_floor f
), now AS (
  UPDATE retention_floor SET minimum_days = $1, notice_days = $2 WHERE (minimum_days, notice_days) <> ($1, $2) RETURNING *
)
SELECT audit_record('{"request_id": "migrate", "actor_type": "system", "action": "update", "resource_type": "Retention"}',
                    'allowed', NULL, '{}', '{}', '{}', '{}', NULL, was.row, to_jsonb(now))
  FROM now CROSS JOIN was"#;
    let client = connect_owner(owner).await?;
    client.execute(SET, &[&minimum_days, &notice_days]).await.map_err(StoreError::from)?;
    Ok(())
}
