//! The settings that a super admin keeps.

use crate::{
    Changed, Expected, Slice, Store, StoreError,
    page::{self, Order, Page},
};
use audit::Context;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::LazyLock;
use tokio_postgres::{
    Row,
    types::{Json, Type},
};

/// A setting.
#[derive(Clone, Debug)]
pub struct Setting {
    /// From 1.
    pub id: i32,
    /// Its name.
    pub key: String,
    /// `string`, `int`, `bool`, `float` or `json`.
    pub value_type: String,
    /// Its value; none when the deployment's environment decides it.
    pub value: Option<Value>,
    /// When it last changed.
    pub last_updated: Timestamp,
}

/// A setting to keep.
#[derive(Clone, Debug)]
pub struct NewSetting<'a> {
    /// Its name.
    pub key: &'a str,
    /// Its type.
    pub value_type: &'a str,
    /// Its value.
    pub value: &'a Value,
}

/// What came of a change of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingChange {
    /// It was done.
    Done,
    /// The deployment's environment decides it.
    Fixed,
}

const ONE: &str = "SELECT id, key, value_type, value, last_updated FROM setting WHERE id = $1";

static PAGE: LazyLock<String> =
    LazyLock::new(|| page::statement("SELECT id, key, value_type, value, last_updated FROM setting", Order::Id, 1));

/// 1 audit context, 2 name, 3 type, 4 value.
const CREATE: &str = "
WITH created AS (
  INSERT INTO setting (key, value_type, value) VALUES ($2, $3, $4) RETURNING *
)
SELECT c.*, audit_record($1, 'allowed', NULL, '{}', '{}', '{}', '{}', NULL, NULL, to_jsonb(c)) FROM created c";

/// 1 audit context, 2 setting, 3 versions, 4 name, 5 type, 6 value.
const CHANGE: &str = "
WITH was AS MATERIALIZED (
  SELECT * FROM setting WHERE id = $2 FOR UPDATE
), changed AS (
  UPDATE setting s SET key = $4, value_type = $5, value = $6, last_updated = clock_timestamp()
    FROM was w
   WHERE s.id = w.id AND w.value IS NOT NULL AND ($3::timestamptz[] IS NULL OR w.last_updated = ANY ($3))
  RETURNING s.*
)
SELECT w.value IS NULL AS is_fixed, c.id IS NOT NULL AS done,
       CASE WHEN c.id IS NOT NULL THEN
         audit_record($1 || jsonb_build_object('detail', jsonb_build_object('setting', c.key)), 'allowed', NULL,
                      '{}', '{}', '{}', '{}', NULL, to_jsonb(w), to_jsonb(c)) END
  FROM was w LEFT JOIN changed c ON true";

/// 1 audit context, 2 setting, 3 versions.
const DELETE: &str = "
WITH was AS MATERIALIZED (
  SELECT * FROM setting WHERE id = $2 FOR UPDATE
), deleted AS (
  DELETE FROM setting s USING was w
   WHERE s.id = w.id AND w.value IS NOT NULL AND ($3::timestamptz[] IS NULL OR w.last_updated = ANY ($3))
  RETURNING s.*
)
SELECT w.value IS NULL AS is_fixed, d.id IS NOT NULL AS done,
       CASE WHEN d.id IS NOT NULL THEN audit_record($1, 'allowed', NULL, '{}', '{}', '{}', '{}', NULL, to_jsonb(d), NULL) END
  FROM was w LEFT JOIN deleted d ON true";

/// A facility whose records patients can bring themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordHolder {
    facility_name: String,
    #[serde(default)]
    address_text: String,
    #[serde(default)]
    city: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    postal_code: String,
    #[serde(default)]
    brand_name: String,
    fhir_base_url: String,
}

/// 1 setting, 2 what is looked for, 3 how many.
const BRANDS: &str = "
SELECT b.value
  FROM setting s
 CROSS JOIN LATERAL jsonb_array_elements(CASE WHEN jsonb_typeof(s.value) = 'array' THEN s.value ELSE '[]' END) WITH ORDINALITY AS b(value, n)
 WHERE s.key = $1
   AND position(lower($2) IN lower(concat_ws(' ', b.value->>'facilityName', b.value->>'brandName', b.value->>'city',
                                             b.value->>'state', b.value->>'postalCode'))) > 0
 ORDER BY lower(b.value->>'facilityName'), b.n
 LIMIT $3";

impl Store {
    /// The first facilities of the setting `key` that have a text in them, by name.
    pub async fn brands(&self, key: &str, wanted: &str, most: i64) -> Result<Vec<RecordHolder>, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(BRANDS, &[Type::TEXT, Type::TEXT, Type::INT8]).await?;
        let rows = client.query(&statement, &[&key, &wanted, &most]).await?;
        rows.iter().map(|row| Ok(row.try_get::<_, Json<RecordHolder>>(0)?.0)).collect()
    }

    /// A page of the settings, by id.
    pub async fn settings(&self, slice: Slice) -> Result<Page<Setting>, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(&PAGE, &page::TYPES).await?;
        let page = page::Values::from(slice);
        page::read(&client.query(&statement, &[&page.after, &page.count, &page.skip, &page.far]).await?, setting)
    }

    /// The setting with this id.
    pub async fn setting(&self, id: i32) -> Result<Option<Setting>, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(ONE, &[Type::INT4]).await?;
        client.query_opt(&statement, &[&id]).await?.as_ref().map(setting).transpose()
    }

    /// Keeps a new setting, with the audit record, in one statement.
    pub async fn create_setting(&self, context: &Context, new: &NewSetting<'_>) -> Result<Setting, StoreError> {
        let client = self.connection().await?;
        let types = [Type::JSONB, Type::TEXT, Type::TEXT, Type::JSONB];
        let statement = client.prepare_typed_cached(CREATE, &types).await?;
        let row = client.query_one(&statement, &[&Json(context), &new.key, &new.value_type, &Json(new.value)]).await?;
        setting(&row)
    }

    /// Changes a setting, with the audit record, in one statement.
    pub async fn change_setting(
        &self,
        context: &Context,
        id: i32,
        expected: &Expected,
        new: &NewSetting<'_>,
    ) -> Result<Changed<SettingChange>, StoreError> {
        let client = self.connection().await?;
        let types = [Type::JSONB, Type::INT4, Type::TIMESTAMPTZ_ARRAY, Type::TEXT, Type::TEXT, Type::JSONB];
        let statement = client.prepare_typed_cached(CHANGE, &types).await?;
        let row = client
            .query_opt(
                &statement,
                &[&Json(context), &id, &expected.times(), &new.key, &new.value_type, &Json(new.value)],
            )
            .await?;
        changed(row.as_ref())
    }

    /// Deletes a setting, with the audit record, in one statement.
    pub async fn delete_setting(
        &self,
        context: &Context,
        id: i32,
        expected: &Expected,
    ) -> Result<Changed<SettingChange>, StoreError> {
        let client = self.connection().await?;
        let types = [Type::JSONB, Type::INT4, Type::TIMESTAMPTZ_ARRAY];
        let statement = client.prepare_typed_cached(DELETE, &types).await?;
        changed(client.query_opt(&statement, &[&Json(context), &id, &expected.times()]).await?.as_ref())
    }
}

fn changed(row: Option<&Row>) -> Result<Changed<SettingChange>, StoreError> {
    let Some(row) = row else { return Ok(Changed::Missing) };
    Ok(match (row.try_get("is_fixed")?, row.try_get("done")?) {
        (true, _) => Changed::Done(SettingChange::Fixed),
        (false, true) => Changed::Done(SettingChange::Done),
        (false, false) => Changed::Stale,
    })
}

fn setting(row: &Row) -> Result<Setting, StoreError> {
    Ok(Setting {
        id: row.try_get("id")?,
        key: row.try_get("key")?,
        value_type: row.try_get("value_type")?,
        value: row.try_get::<_, Option<Json<Value>>>("value")?.map(|Json(value)| value),
        last_updated: row.try_get("last_updated")?,
    })
}
