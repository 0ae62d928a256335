//! Reading one resource by its id.

use super::{COLUMNS, TARGET};
use crate::{
    Reader, Store, StoreError,
    observation::read::{PRACTITIONER_LAYERS, UNCONDITIONAL_LAYERS},
    payloads::Raw,
};
use audit::{Context, RefusedBy};
use jiff::Timestamp;
use payload::Place;
use std::sync::LazyLock;
use tokio_postgres::{
    Row,
    types::{Json, Type},
};

/// A resource as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuxiliaryResource {
    /// Its id, a UUID.
    pub id: String,
    /// Its place in the order of pages.
    pub number: i64,
    /// Its version, from 1.
    pub version: i32,
    /// When that version was stored.
    pub last_updated: Timestamp,
    /// Its FHIR Source.
    pub source: i32,
    /// Its patient.
    pub patient: i32,
    /// The patient's name.
    pub patient_name: String,
    /// The FHIR resource without what is known of it elsewhere, as JSON text.
    pub content: String,
}

/// The resource of a row with the columns of [`COLUMNS`], whose payload says this.
pub(crate) fn resource(row: &Row, content: String) -> Result<AuxiliaryResource, StoreError> {
    Ok(AuxiliaryResource {
        id: row.try_get("id")?,
        number: row.try_get("number")?,
        version: row.try_get("version")?,
        last_updated: row.try_get("last_updated")?,
        source: row.try_get("source_id")?,
        patient: row.try_get("patient_id")?,
        patient_name: row.try_get("patient_name")?,
        content,
    })
}

/// The payload of such a row.
pub(crate) fn raw(row: &Row) -> Result<Raw, StoreError> {
    let (patient, scope, source) = (row.try_get("patient_id")?, row.try_get("scope_id")?, row.try_get("source_id")?);
    Raw::of(row, Place::Auxiliary { patient, scope, source })
}

/// What came of a read.
#[derive(Clone, Debug)]
pub enum AuxiliaryRead {
    /// The resource.
    Found(AuxiliaryResource),
    /// Refused, by a layer or because nothing has this id. The caller is told "not found" in both cases.
    Refused(RefusedBy),
}

/// The layers of a read, and of a change: whoever may not read a resource is not told that it is there.
pub(super) const fn layers(reader: Reader) -> &'static str {
    match reader {
        Reader::Practitioner(_) => PRACTITIONER_LAYERS,
        Reader::Patient(_) | Reader::Privileged => UNCONDITIONAL_LAYERS,
    }
}

/// The reader for `$3` of the layers.
pub(super) fn who(reader: Reader) -> Option<i32> {
    let (practitioner, patient, _) = reader.parts();
    practitioner.or(patient)
}

/// The audit with the verdict, and the content only when all layers allow. The audit numbers observations only; of these
/// resources it has the ids.
fn read(reader: Reader) -> String {
    let (organizations, studies, role) = match reader {
        Reader::Practitioner(_) => (
            "ARRAY(SELECT DISTINCT organization_id FROM permit)",
            "ARRAY(SELECT DISTINCT study_id FROM permit)",
            "(SELECT max(role) FROM permit)",
        ),
        Reader::Patient(_) | Reader::Privileged => ("'{}'", "'{}'", "NULL"),
    };
    format!(
        "{TARGET}{layers}
SELECT a.event_id, a.refused_by, {COLUMNS}
  FROM (SELECT v.refused_by,
               audit_record($1 || jsonb_build_object('detail', jsonb_build_object('ids', jsonb_build_array($2::text))),
                            CASE WHEN v.refused_by IS NULL THEN 'allowed' ELSE 'denied' END, v.refused_by,
                            {organizations}, {studies}, ARRAY(SELECT patient_id FROM target), '{{}}', {role}) AS event_id
          FROM verdict v) a
  LEFT JOIN (target t JOIN auxiliary x ON x.number = t.id JOIN patient p ON p.id = x.patient_id) ON a.refused_by IS NULL",
        layers = layers(reader)
    )
}

static BY_PRACTITIONER: LazyLock<String> = LazyLock::new(|| read(Reader::Practitioner(authz::PractitionerId(0))));
static UNCONDITIONAL: LazyLock<String> = LazyLock::new(|| read(Reader::Privileged));

impl Store {
    /// Reads a resource, and writes its audit record, in one statement. `id` is a UUID.
    pub async fn read_auxiliary(
        &self,
        context: &Context,
        reader: Reader,
        kind: &str,
        id: &str,
    ) -> Result<AuxiliaryRead, StoreError> {
        let text = match reader {
            Reader::Practitioner(_) => &*BY_PRACTITIONER,
            Reader::Patient(_) | Reader::Privileged => &*UNCONDITIONAL,
        };
        let client = self.connection().await?;
        let types = [Type::JSONB, Type::TEXT, Type::INT4, Type::TEXT];
        let statement = client.prepare_typed_cached(text, &types).await?;
        let row = client.query_one(&statement, &[&Json(context), &id, &who(reader), &kind]).await?;
        drop(client);
        if let Some(refused) = row.try_get::<_, Option<&str>>("refused_by")? {
            return RefusedBy::from_name(refused).map(AuxiliaryRead::Refused).ok_or(StoreError::Corrupt("refused_by"));
        }
        match self.opened_one(raw(&row)?).await? {
            Some(text) => resource(&row, text).map(AuxiliaryRead::Found),
            // Whose key was destroyed is no patient any more.
            None => Ok(AuxiliaryRead::Refused(RefusedBy::NotFound)),
        }
    }
}
