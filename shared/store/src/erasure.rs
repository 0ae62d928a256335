//! Erasure: who is to be forgotten. What is asked for takes effect at once; what there is of the patient is deleted by another function.

use crate::{Store, StoreError};
use audit::Context;
use authz::PatientId;
use jiff::Timestamp;
use payload::KeyId;
use tokio_postgres::{
    Row,
    types::{Json, Type},
};

/// How many rows one statement deletes.
const AT_ONCE: i32 = 10_000;

/// An erasure that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// Its id, a UUID.
    pub id: String,
    /// The patient.
    pub patient: i32,
    /// The patient's key.
    pub key: KeyId,
    /// `own_request`, `request_on_behalf` or `left`.
    pub why: String,
    /// The account that asked for it; none when nobody did.
    pub requested_by: Option<i32>,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// Whether a legal hold keeps what there is, so that it waits.
    pub held: bool,
    /// When it was carried out.
    pub erased_at: Option<Timestamp>,
    /// The event of the audit that says so.
    pub event: Option<i64>,
}

/// What came of asking for an erasure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErasureRequest {
    /// It was accepted, now or before.
    Accepted(Erasure),
    /// The patient is of an organization that the caller does not manage.
    Elsewhere,
    /// There is no such patient.
    Missing,
}

/// What says who a patient is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatientWords {
    /// Given and family name.
    pub names: Vec<String>,
    /// E-mail addresses: of the record and of the account.
    pub addresses: Vec<String>,
    /// Telephone.
    pub phone: Option<String>,
    /// Values of business identifiers.
    pub identifiers: Vec<String>,
}

/// What says who the patient `$1` is.
const WORDS: &str = "
SELECT ARRAY[p.name_given, p.name_family] AS names, ARRAY[p.telecom_email, u.email] AS addresses, p.telecom_phone AS phone,
       ARRAY(SELECT i.value FROM patient_identifier i WHERE i.patient_id = p.id) AS identifiers
  FROM patient p JOIN app_user u ON u.id = p.user_id
 WHERE p.id = $1";

const COLUMNS: &str = "e.id::text AS id, e.patient_id, uuid_send(e.payload_key) AS payload_key, e.why, e.requested_by, e.requested_at, \
                       e.begun_at IS NULL AND is_held(e.patient_id) AS held, e.erased_at, e.event_id";

fn erasure(row: &Row) -> Result<Erasure, StoreError> {
    Ok(Erasure {
        id: row.try_get("id")?,
        patient: row.try_get("patient_id")?,
        key: crate::payloads::key_id(row)?.ok_or(StoreError::Corrupt("payload_key"))?,
        why: row.try_get("why")?,
        requested_by: row.try_get("requested_by")?,
        requested_at: row.try_get("requested_at")?,
        held: row.try_get("held")?,
        erased_at: row.try_get("erased_at")?,
        event: row.try_get("event_id")?,
    })
}

impl Store {
    /// Accepts that a patient is to be erased: by their own request, or by one that is documented with this reference. From now on nobody
    /// finds them. The database decides who may, and writes the audit record.
    pub async fn request_erasure(
        &self,
        context: &Context,
        patient: PatientId,
        reference: Option<&str>,
    ) -> Result<ErasureRequest, StoreError> {
        let client = self.connection().await?;
        let types = [Type::JSONB, Type::INT4, Type::TEXT];
        let statement = client.prepare_typed_cached("SELECT request_erasure($1, $2, $3)", &types).await?;
        let row = client.query_one(&statement, &[&Json(context), &patient.0, &reference]).await?;
        match row.try_get::<_, &str>(0)? {
            "missing" => Ok(ErasureRequest::Missing),
            "elsewhere" => Ok(ErasureRequest::Elsewhere),
            id => {
                let text = format!("SELECT {COLUMNS} FROM erasure e WHERE e.id = $1::text::uuid");
                let statement = client.prepare_typed_cached(&text, &[Type::TEXT]).await?;
                erasure(&client.query_one(&statement, &[&id]).await?).map(ErasureRequest::Accepted)
            }
        }
    }

    /// What says who a patient is, to be kept out of what outlives them. None: there is no such patient. Whoever asks has to be judged before.
    pub async fn words_of_patient(&self, patient: PatientId) -> Result<Option<PatientWords>, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(WORDS, &[Type::INT4]).await?;
        let Some(row) = client.query_opt(&statement, &[&patient.0]).await? else { return Ok(None) };
        let texts = |name: &str| -> Result<Vec<String>, StoreError> {
            Ok(row.try_get::<_, Vec<Option<String>>>(name)?.into_iter().flatten().collect())
        };
        Ok(Some(PatientWords {
            names: texts("names")?,
            addresses: texts("addresses")?,
            phone: row.try_get("phone")?,
            identifiers: texts("identifiers")?,
        }))
    }

    /// Asks for the erasure of those who are of no organization for so many days, a hundred at most: how many.
    pub async fn request_erasures_of_left(&self, context: &Context, days: i32) -> Result<i32, StoreError> {
        let client = self.connection().await?;
        let types = [Type::JSONB, Type::INT4];
        let statement = client.prepare_typed_cached("SELECT request_erasures_of_left($1, $2)", &types).await?;
        Ok(client.query_one(&statement, &[&Json(context), &days]).await?.try_get(0)?)
    }

    /// Asks again for what was carried out before this database's backup was restored. False: the patient is not here.
    pub async fn erase_again(
        &self,
        context: &Context,
        key: KeyId,
        patient: i32,
        why: &str,
        requested_by: Option<i32>,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let client = self.connection().await?;
        let types = [Type::JSONB, Type::INT4, Type::TEXT, Type::TEXT, Type::INT4, Type::TIMESTAMPTZ];
        let text = "SELECT erase_again($1, $2, $3::text::uuid, $4, $5, $6)";
        let statement = client.prepare_typed_cached(text, &types).await?;
        let row = client
            .query_one(&statement, &[&Json(context), &patient, &key.to_string(), &why, &requested_by, &at])
            .await?;
        Ok(row.try_get(0)?)
    }

    /// What is to be carried out, the oldest first.
    pub async fn erasures_to_carry_out(&self) -> Result<Vec<Erasure>, StoreError> {
        let client = self.connection().await?;
        let text = format!("SELECT {COLUMNS} FROM erasure e WHERE e.erased_at IS NULL ORDER BY e.requested_at, e.id");
        let statement = client.prepare_typed_cached(&text, &[]).await?;
        client.query(&statement, &[]).await?.iter().map(erasure).collect()
    }

    /// Whether a legal hold covers a patient.
    pub async fn is_held(&self, patient: PatientId) -> Result<bool, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached("SELECT is_held($1)", &[Type::INT4]).await?;
        Ok(client.query_one(&statement, &[&patient.0]).await?.try_get(0)?)
    }

    /// Whether an erasure may be carried out: from then on it has to be, and no legal hold stops it. False: one keeps what there is.
    pub async fn begin_erasure(&self, erasure: &Erasure) -> Result<bool, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached("SELECT begin_erasure($1::text::uuid)", &[Type::TEXT]).await?;
        Ok(client.query_one(&statement, &[&erasure.id]).await?.try_get(0)?)
    }

    /// Deletes all that there is of the patient, in one transaction, with the audit record: the number of that event, which is the
    /// same when it is done again. Call it when it is begun and the key is destroyed: what it encrypted has to be gone whatever happens here.
    pub async fn carry_out_erasure(&self, context: &Context, erasure: &Erasure) -> Result<i64, StoreError> {
        let mut client = self.connection().await?;
        let transaction = client.transaction().await?;
        let rows = transaction
            .prepare_typed_cached("SELECT erase_rows($1::text::uuid, $2)", &[Type::TEXT, Type::INT4])
            .await?;
        while transaction.query_one(&rows, &[&erasure.id, &AT_ONCE]).await?.try_get::<_, i64>(0)? > 0 {}
        let ends = transaction
            .prepare_typed_cached("SELECT erase_patient($1, $2::text::uuid)", &[Type::JSONB, Type::TEXT])
            .await?;
        let event = transaction.query_one(&ends, &[&Json(context), &erasure.id]).await?.try_get(0)?;
        transaction.commit().await?;
        Ok(event)
    }
}
