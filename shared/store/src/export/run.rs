//! An export as it is carried out: taken by one worker at a time, and moved on together with its files.

use crate::{
    EverythingAfter, Store, StoreError,
    payloads::{key_id, sealed},
};
use audit::Context;
use authz::{Actor, ClientId, PractitionerId, Principal, UserId};
use jiff::Timestamp;
use payload::{KeyId, Place};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};
use tokio_postgres::{
    Row,
    error::SqlState,
    types::{Json, ToSql, Type},
};

/// How often a worker may take an export that gets no further.
const ATTEMPTS: i32 = 60;

/// An export that a worker has taken.
#[derive(Clone, Debug)]
pub struct ExportJob {
    /// Its id: a UUID.
    pub id: String,
    /// The name under which it was taken.
    pub holder: String,
    /// Who asked for it.
    pub actor: Actor,
    /// As whom they read.
    pub practitioner: PractitionerId,
    /// The request by which they asked.
    pub request_id: String,
    /// The study.
    pub study: i32,
    /// The types of resources.
    pub types: Vec<String>,
    /// Only what changed since.
    pub since: Option<Timestamp>,
    /// `ndjson`, `csv` or `parquet`.
    pub format: String,
    /// How far it is.
    pub at: ExportCursor,
}

/// How far an export is: everything of the patients before this one, and of this one what is before a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportCursor {
    /// The patient.
    pub patient: i32,
    /// Of that patient, after this.
    pub after: Option<EverythingAfter>,
}

impl ExportCursor {
    fn of(row: &Row) -> Result<Self, StoreError> {
        let number: Option<i64> = row.try_get("after_number")?;
        let after = match (row.try_get::<_, Option<i16>>("after_class")?, number) {
            (Some(1), Some(number)) => Some(EverythingAfter::Consent(number)),
            (Some(2), Some(number)) => Some(EverythingAfter::Observation(row.try_get("after_time")?, number)),
            (Some(3), Some(number)) => Some(EverythingAfter::Auxiliary(number)),
            (None, None) => None,
            _ => return Err(StoreError::Corrupt("after_class")),
        };
        Ok(Self { patient: row.try_get("at_patient")?, after })
    }

    /// Class, time and number of the position.
    const fn columns(self) -> (Option<i16>, Option<Timestamp>, Option<i64>) {
        match self.after {
            None => (None, None, None),
            Some(EverythingAfter::Consent(number)) => (Some(1), None, Some(number)),
            Some(EverythingAfter::Observation(at, number)) => (Some(2), Some(at), Some(number)),
            Some(EverythingAfter::Auxiliary(number)) => (Some(3), None, Some(number)),
        }
    }
}

/// Resources of one patient in a file: a line for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportPart {
    /// The patient.
    pub patient: i32,
    /// The number of what each line is of.
    pub numbers: Vec<i64>,
    /// The lines, each with its end.
    pub text: String,
}

/// A file as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportFile {
    /// The type of its resources.
    pub kind: String,
    /// The code of its observations, where there is a table for each.
    pub code: Option<String>,
    /// Its parts.
    pub parts: Vec<ExportPart>,
}

/// A file as it is kept.
#[derive(Clone, Debug)]
pub struct SealedFile {
    /// Its name in the archive, below that of the export: a UUID.
    pub object: String,
    /// What is in it.
    pub bytes: Vec<u8>,
    kind: String,
    code: Option<String>,
    parts: Vec<SealedPart>,
}

#[derive(Clone, Debug, Serialize)]
struct SealedPart {
    file: i32,
    part: i32,
    patient: i32,
    at: i32,
    length: i32,
    numbers: Vec<i64>,
}

/// What was done to exports that ended.
#[derive(Clone, Debug, Default)]
pub struct ExportTidied {
    /// How many are no more.
    pub ended: usize,
    /// The ids of those that are there.
    pub there: BTreeSet<String>,
}

/// What is over is deleted, and what belongs to an account that may do nothing any more; each is recorded. 1 audit context.
const ENDED: &str = "
WITH gone AS (
  DELETE FROM export_job j
   WHERE j.expires_at <= clock_timestamp() OR NOT EXISTS (SELECT FROM app_user u WHERE u.id = j.user_id AND u.is_active)
  RETURNING j.id, j.study_id
)
SELECT audit_record($1 || jsonb_build_object('detail', jsonb_build_object('operation', 'export', 'export', g.id)), 'allowed', NULL,
                    ARRAY(SELECT organization_id FROM study WHERE id = g.study_id), ARRAY[g.study_id], '{}', '{}')
  FROM gone g";

/// 1 audit context, 2 attempts.
const GIVEN_UP: &str = "
WITH given_up AS (
  UPDATE export_job SET state = 'failed', ended_at = clock_timestamp(), holder = NULL, held_until = NULL
   WHERE state = 'running' AND attempts >= $2 AND (held_until IS NULL OR held_until < clock_timestamp())
  RETURNING id, study_id
)
SELECT audit_record($1 || jsonb_build_object('action', 'execute', 'detail', jsonb_build_object('operation', 'export', 'export', g.id)), 'failed', 'invalid',
                    ARRAY(SELECT organization_id FROM study WHERE id = g.study_id), ARRAY[g.study_id], '{}', '{}')
  FROM given_up g";

/// 1 for how many seconds, 2 attempts. Who waited longest is first.
const CLAIM: &str = "
UPDATE export_job SET holder = gen_random_uuid(), held_until = clock_timestamp() + make_interval(secs => $1), attempts = attempts + 1
 WHERE id = (SELECT id FROM export_job
              WHERE state = 'running' AND expires_at > clock_timestamp() AND attempts < $2
                AND (held_until IS NULL OR held_until < clock_timestamp())
              ORDER BY attempts, requested_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id::text, holder::text, user_id, client_id, practitioner_id, request_id, study_id, types, since, format, at_patient, after_class,
          after_time, after_number";

/// The next patient of whom something may be seen: 1 practitioner, 2 study, 3 not before this patient. Whom this finds is judged
/// again by the statement that reads.
const NEXT: &str = "
SELECT e.patient_id FROM study_patient e
 WHERE e.study_id = $2 AND e.patient_id >= $3
   AND EXISTS (SELECT FROM practitioner_permit c
                WHERE c.practitioner_id = $1 AND c.study_id = $2 AND c.patient_id = e.patient_id AND c.may_search)
 ORDER BY e.patient_id LIMIT 1";

const KEYS: &str = "SELECT id, uuid_send(payload_key) AS payload_key FROM patient WHERE id = ANY ($1)";

const OBJECTS: &str = "SELECT n.id::text AS name, uuid_send(n.id) AS bytes FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, $1)) n";

/// 1 job, 2 holder, 3 patient, 4 class, 5 time, 6 number, 7 how many files, 8 whether all is done, 9 for how many seconds.
const MOVE: &str = "
UPDATE export_job
   SET at_patient = $3, after_class = $4, after_time = $5, after_number = $6, files = files + $7, attempts = 0,
       state = CASE WHEN $8 THEN 'done' ELSE state END, ended_at = CASE WHEN $8 THEN clock_timestamp() END,
       holder = CASE WHEN $8 THEN NULL ELSE holder END,
       held_until = CASE WHEN $8 THEN NULL ELSE clock_timestamp() + make_interval(secs => $9) END
 WHERE id = $1::text::uuid AND holder = $2::text::uuid AND state = 'running' AND expires_at > clock_timestamp()
RETURNING files - $7 AS first";

/// 1 job, 2 the number of the first, 3 types, 4 codes, 5 objects.
const FILES: &str = "
INSERT INTO export_file (job_id, number, type, code, object)
SELECT $1::text::uuid, $2 + f.n::int, f.type, f.code, f.object::uuid
  FROM unnest($3::text[], $4::text[], $5::text[]) WITH ORDINALITY AS f(type, code, object, n)";

/// 1 job, 2 the number of the first, 3 parts.
const PARTS: &str = "
INSERT INTO export_part (job_id, number, part, patient_id, at, length, numbers)
SELECT $1::text::uuid, $2 + p.file, p.part, p.patient, p.at, p.length,
       ARRAY(SELECT n.value::bigint FROM jsonb_array_elements_text(p.numbers) WITH ORDINALITY AS n(value, line) ORDER BY n.line)
  FROM jsonb_to_recordset($3) AS p(file int, part int, patient int, at int, length int, numbers jsonb)";

const RELEASE: &str = "
UPDATE export_job SET holder = NULL, held_until = NULL WHERE id = $1::text::uuid AND holder = $2::text::uuid AND state = 'running'";

impl Store {
    /// Deletes exports that are over, with a record of each, and gives up those that get no further.
    pub async fn tidy_exports(&self, context: &Context) -> Result<ExportTidied, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(ENDED, &[Type::JSONB]).await?;
        let ended = client.query(&statement, &[&Json(context)]).await?.len();
        let statement = client.prepare_typed_cached(GIVEN_UP, &[Type::JSONB, Type::INT4]).await?;
        client.query(&statement, &[&Json(context), &ATTEMPTS]).await?;
        let there = client.prepare_typed_cached("SELECT id::text FROM export_job", &[]).await?;
        let rows = client.query(&there, &[]).await?;
        let there = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        Ok(ExportTidied { ended, there })
    }

    /// Takes an export that nobody works on, for so long.
    pub async fn claim_export(&self, lease: Duration) -> Result<Option<ExportJob>, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(CLAIM, &[Type::FLOAT8, Type::INT4]).await?;
        let Some(row) = client.query_opt(&statement, &[&lease.as_secs_f64(), &ATTEMPTS]).await? else {
            return Ok(None);
        };
        let practitioner = PractitionerId(row.try_get("practitioner_id")?);
        Ok(Some(ExportJob {
            id: row.try_get("id")?,
            holder: row.try_get("holder")?,
            actor: Actor {
                user: UserId(row.try_get("user_id")?),
                client: ClientId(row.try_get("client_id")?),
                principal: Principal::Practitioner(practitioner),
            },
            practitioner,
            request_id: row.try_get("request_id")?,
            study: row.try_get("study_id")?,
            types: row.try_get("types")?,
            since: row.try_get("since")?,
            format: row.try_get("format")?,
            at: ExportCursor::of(&row)?,
        }))
    }

    /// The next patient of an export, this one or a later one, of whom something may be seen.
    pub async fn next_export_patient(&self, job: &ExportJob, from: i32) -> Result<Option<i32>, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(NEXT, &[Type::INT4, Type::INT4, Type::INT4]).await?;
        let row = client.query_opt(&statement, &[&job.practitioner.0, &job.study, &from]).await?;
        row.map(|row| row.try_get(0)).transpose().map_err(Into::into)
    }

    /// Encrypts files, each part with the key of its patient. What is of somebody whose key was destroyed, or who is no more, is left
    /// out, and so is a file with nothing in it.
    pub async fn seal_export(&self, files: Vec<ExportFile>) -> Result<Vec<SealedFile>, StoreError> {
        if files.is_empty() {
            return Ok(Vec::new());
        }
        let patients: Vec<i32> = {
            let all: BTreeSet<i32> = files.iter().flat_map(|file| &file.parts).map(|part| part.patient).collect();
            all.into_iter().collect()
        };
        let mut client = self.connection().await?;
        let transaction = client.transaction().await?;
        let statement = transaction.prepare_typed_cached(KEYS, &[Type::INT4_ARRAY]).await?;
        let mut ids = HashMap::new();
        for row in transaction.query(&statement, &[&patients]).await? {
            let id: KeyId = key_id(&row)?.ok_or(StoreError::Corrupt("payload_key"))?;
            ids.insert(row.try_get::<_, i32>("id")?, id);
        }
        let of: BTreeMap<KeyId, i32> = ids.iter().map(|(patient, id)| (*id, *patient)).collect();
        let held = self.keys_to_seal(&transaction, &of).await?;
        let statement = transaction.prepare_typed_cached(OBJECTS, &[Type::INT4]).await?;
        let count = i32::try_from(files.len()).map_err(|_| StoreError::Corrupt("files"))?;
        let objects = transaction.query(&statement, &[&count]).await?;
        transaction.commit().await?;
        drop(client);

        let mut kept = Vec::with_capacity(files.len());
        for (file, object) in files.into_iter().zip(&objects) {
            let name: &[u8] = object.try_get("bytes")?;
            let name: [u8; 16] = name.try_into().map_err(|_| StoreError::Corrupt("object"))?;
            let (mut bytes, mut parts) = (Vec::new(), Vec::new());
            for (number, part) in (0_i32..).zip(file.parts) {
                let Some(id) = ids.get(&part.patient) else { continue };
                let place = Place::Part { patient: part.patient, object: name, part: number };
                let Some(one) = sealed(&held, *id, place, &part.text)? else { continue };
                let offset = |length: usize| i32::try_from(length).map_err(|_| StoreError::Corrupt("part"));
                parts.push(SealedPart {
                    file: offset(kept.len())?.saturating_add(1),
                    part: number,
                    patient: part.patient,
                    at: offset(bytes.len())?,
                    length: offset(one.len())?,
                    numbers: part.numbers,
                });
                bytes.extend_from_slice(&one);
            }
            if !parts.is_empty() {
                kept.push(SealedFile {
                    object: object.try_get("name")?,
                    bytes,
                    kind: file.kind,
                    code: file.code,
                    parts,
                });
            }
        }
        Ok(kept)
    }

    /// Moves an export on together with the files up to there, in one transaction. False: it is no more, somebody else has taken it, or
    /// a patient is no more, and nothing was changed.
    pub async fn advance_export(
        &self,
        job: &ExportJob,
        at: ExportCursor,
        files: &[SealedFile],
        is_done: bool,
        lease: Duration,
    ) -> Result<bool, StoreError> {
        let mut client = self.connection().await?;
        let transaction = client.transaction().await?;
        let types = [
            Type::TEXT,
            Type::TEXT,
            Type::INT4,
            Type::INT2,
            Type::TIMESTAMPTZ,
            Type::INT8,
            Type::INT4,
            Type::BOOL,
            Type::FLOAT8,
        ];
        let statement = transaction.prepare_typed_cached(MOVE, &types).await?;
        let (class, time, number) = at.columns();
        let count = i32::try_from(files.len()).map_err(|_| StoreError::Corrupt("files"))?;
        let parameters: [&(dyn ToSql + Sync); 9] =
            [&job.id, &job.holder, &at.patient, &class, &time, &number, &count, &is_done, &lease.as_secs_f64()];
        let Some(row) = transaction.query_opt(&statement, &parameters).await? else { return Ok(false) };
        let first: i32 = row.try_get("first")?;
        if !files.is_empty() {
            let kinds: Vec<&str> = files.iter().map(|file| file.kind.as_str()).collect();
            let codes: Vec<Option<&str>> = files.iter().map(|file| file.code.as_deref()).collect();
            let objects: Vec<&str> = files.iter().map(|file| file.object.as_str()).collect();
            let types = [Type::TEXT, Type::INT4, Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY];
            let statement = transaction.prepare_typed_cached(FILES, &types).await?;
            transaction.execute(&statement, &[&job.id, &first, &kinds, &codes, &objects]).await?;
            let parts: Vec<&SealedPart> = files.iter().flat_map(|file| &file.parts).collect();
            let statement = transaction.prepare_typed_cached(PARTS, &[Type::TEXT, Type::INT4, Type::JSONB]).await?;
            match transaction.execute(&statement, &[&job.id, &first, &Json(parts)]).await {
                // A patient was erased since they were read. What is read again is without them.
                Err(error) if error.code() == Some(&SqlState::FOREIGN_KEY_VIOLATION) => return Ok(false),
                inserted => drop(inserted?),
            }
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Leaves an export to the next call.
    pub async fn release_export(&self, job: &ExportJob) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(RELEASE, &[Type::TEXT, Type::TEXT]).await?;
        client.execute(&statement, &[&job.id, &job.holder]).await?;
        Ok(())
    }
}
