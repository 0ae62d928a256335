//! A file of an export as it is downloaded: each of its rows is judged again.

use super::{ExportOf, mend::object_name};
use crate::{
    Store, StoreError, meter,
    observation::lanes::{PERMITTED_LANES, WANTED},
    payloads::Raw,
};
use audit::{Context, RefusedBy};
use authz::PractitionerId;
use payload::Place;
use std::{collections::BTreeSet, sync::LazyLock};
use tokio_postgres::{
    Row,
    types::{Json, ToSql, Type},
};

/// A file of which something may be seen.
#[derive(Clone, Debug)]
pub struct ExportedFile {
    /// Its name in the archive, below that of the export.
    pub name: String,
    /// Whether it is being written anew, so that it may have another name at any time.
    pub is_torn: bool,
    /// The name that it had first: what its parts are bound to.
    object: String,
    /// The type of its resources.
    pub kind: String,
    /// The code of its observations, where there is a table for each.
    pub code: Option<String>,
    /// The parts of which something may be seen, in order.
    pub parts: Vec<ExportedPart>,
}

/// A part of a file.
#[derive(Clone, Debug)]
pub struct ExportedPart {
    part: i32,
    patient: i32,
    at: usize,
    length: usize,
    /// Which of its lines may be seen, from 0.
    lines: BTreeSet<usize>,
}

/// The parameters: 1 to 9 are those of the lanes, of which only the context, the practitioner and the study say something; 10 job, 11 number
/// of the file, 12 user, 13 client, 14 type.
static FILE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
WITH file AS MATERIALIZED (
  SELECT f.job_id, f.number, f.type, f.code, f.object, f.torn, f.mended
    FROM export_job j JOIN export_file f ON f.job_id = j.id
   WHERE j.id = $10::text::uuid AND j.user_id = $12 AND j.client_id = $13 AND j.practitioner_id = $2 AND j.study_id = $6
     AND j.state = 'done' AND j.expires_at > clock_timestamp() AND f.number = $11 AND f.type = $14 AND j.format = $15
), verdict AS MATERIALIZED (
  SELECT CASE WHEN NOT EXISTS (SELECT FROM file) THEN 'not_found'
              WHEN NOT EXISTS (SELECT FROM study s JOIN organization_member m ON m.organization_id = s.organization_id
                                WHERE s.id = $6 AND m.practitioner_id = $2) THEN 'organization' END AS refused_by
), part AS MATERIALIZED (
  SELECT f.type, p.* FROM file f JOIN export_part p ON p.job_id = f.job_id AND p.number = f.number
), named AS MATERIALIZED (
  SELECT DISTINCT patient_id FROM part
),{WANTED},{PERMITTED_LANES},
shown AS MATERIALIZED (
  SELECT p.part, p.patient_id, p.at, p.length, n.id, n.line
    FROM part p CROSS JOIN LATERAL unnest(p.numbers) WITH ORDINALITY AS n(id, line)
   WHERE CASE
     WHEN p.type IN ('Patient', 'Consent') THEN p.patient_id IN (SELECT l.patient_id FROM lane l)
     WHEN p.type = 'Observation' THEN
       (p.patient_id, (SELECT o.scope_id FROM observation o WHERE o.id = n.id AND o.patient_id = p.patient_id))
         IN (SELECT l.patient_id, l.scope_id FROM lane l)
     ELSE (p.patient_id, (SELECT x.scope_id FROM auxiliary x WHERE x.number = n.id AND x.patient_id = p.patient_id))
            IN (SELECT l.patient_id, l.scope_id FROM lane l) END
)
SELECT a.event_id, a.refused_by, f.object::text AS object, f.torn > f.mended AS is_torn, f.mended, f.code, s.part, s.patient_id, s.at, s.length, s.lines
  FROM (SELECT v.refused_by,
               audit_record($1 || jsonb_build_object('detail', jsonb_build_object('operation', 'export', 'export', $10::text, 'file', $11::int,
                              'ids', (SELECT coalesce(jsonb_agg(x.id), '[]') FROM shown s JOIN auxiliary x ON x.number = s.id
                                       WHERE $14 NOT IN ('Patient', 'Consent', 'Observation')),
                              'consents', (SELECT coalesce(jsonb_agg(s.id), '[]') FROM shown s WHERE $14 = 'Consent'))),
                            CASE WHEN v.refused_by IS NULL THEN 'allowed' ELSE 'denied' END, v.refused_by,
                            ARRAY(SELECT organization_id FROM study WHERE id = $6), ARRAY(SELECT id FROM study WHERE id = $6),
                            ARRAY(SELECT DISTINCT patient_id FROM shown), ARRAY(SELECT id FROM shown WHERE $14 = 'Observation'),
                            (SELECT max(role) FROM lane)) AS event_id
          FROM verdict v) a
  LEFT JOIN file f ON a.refused_by IS NULL
  LEFT JOIN (SELECT part, patient_id, at, length, array_agg(line ORDER BY line) AS lines FROM shown GROUP BY part, patient_id, at, length) s
         ON a.refused_by IS NULL
 ORDER BY s.part"
    )
});

static TYPES: [Type; 15] = [
    Type::JSONB,
    Type::INT4,
    Type::INT4_ARRAY,
    Type::TEXT,
    Type::TEXT,
    Type::INT4,
    Type::INT4,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT,
    Type::INT4,
    Type::INT4,
    Type::INT4,
    Type::TEXT,
    Type::TEXT,
];

impl Store {
    /// Which rows of a file may be seen now, and the record that they are, in one statement. `job` is a UUID, `format` the short name of its format.
    pub async fn read_export_file(
        &self,
        context: &Context,
        of: ExportOf,
        practitioner: PractitionerId,
        job: &str,
        (number, kind, format): (i32, &str, &str),
    ) -> Result<Result<ExportedFile, RefusedBy>, StoreError> {
        let (nothing, nobody, none): (Option<&str>, Option<i32>, [&str; 0]) = (None, None, []);
        let (context, patients) = (Json(context), Vec::<i32>::new());
        let parameters: [&(dyn ToSql + Sync); 15] = [
            &context,
            &practitioner.0,
            &patients,
            &nothing,
            &nothing,
            &of.study,
            &nobody,
            &none.as_slice(),
            &none.as_slice(),
            &job,
            &number,
            &of.user.0,
            &of.client.0,
            &kind,
            &format,
        ];
        let rows = {
            let client = self.connection().await?;
            let statement = client.prepare_typed_cached(&FILE, &TYPES).await?;
            client.query(&statement, &parameters).await?
        };
        let first = rows.first().ok_or(StoreError::Corrupt("verdict"))?;
        if let Some(refused) = first.try_get::<_, Option<&str>>("refused_by")? {
            return Ok(Err(RefusedBy::from_name(refused).ok_or(StoreError::Corrupt("refused_by"))?));
        }
        let mut file = ExportedFile {
            name: object_name(first.try_get("object")?, first.try_get("mended")?),
            is_torn: first.try_get("is_torn")?,
            object: first.try_get("object")?,
            kind: kind.to_owned(),
            code: first.try_get("code")?,
            parts: Vec::new(),
        };
        for row in &rows {
            // One row without a part stands for a file of which nothing may be seen.
            if row.try_get::<_, Option<i32>>("part")?.is_some() {
                file.parts.push(part(row)?);
            }
        }
        Ok(Ok(file))
    }

    /// The lines of a file that may be seen, part by part, from the bytes of its object. What a destroyed key encrypted is left out.
    pub async fn open_export(&self, file: &ExportedFile, bytes: &[u8]) -> Result<Vec<String>, StoreError> {
        let object = uuid(&file.object).ok_or(StoreError::Corrupt("object"))?;
        let mut raw = Vec::with_capacity(file.parts.len());
        for part in &file.parts {
            let place = Place::Part { patient: part.patient, object, part: part.part };
            let end = part.at.saturating_add(part.length);
            let sealed = bytes.get(part.at..end).ok_or(StoreError::Corrupt("object"))?;
            raw.push(Raw::Sealed(place, sealed.to_vec()));
        }
        let opened = self.opened(&raw).await?;
        let mut shown = Vec::new();
        for (part, text) in file.parts.iter().zip(opened) {
            let Some(text) = text else { continue };
            let lines = text.lines().enumerate().filter(|(number, _)| part.lines.contains(number));
            shown.extend(lines.map(|(_, line)| line.to_owned()));
        }
        if file.kind == "Observation" {
            meter::observations_read(shown.len());
        }
        Ok(shown)
    }
}

fn part(row: &Row) -> Result<ExportedPart, StoreError> {
    let length = |name: &str| -> Result<usize, StoreError> {
        usize::try_from(row.try_get::<_, i32>(name)?).map_err(|_| StoreError::Corrupt("part"))
    };
    // Ordinals begin at 1.
    let lines: Vec<i64> = row.try_get("lines")?;
    let lines = lines.into_iter().map(|line| usize::try_from(line.saturating_sub(1)));
    Ok(ExportedPart {
        part: row.try_get("part")?,
        patient: row.try_get("patient_id")?,
        at: length("at")?,
        length: length("length")?,
        lines: lines.collect::<Result<_, _>>().map_err(|_| StoreError::Corrupt("lines"))?,
    })
}

/// The bytes of a UUID as PostgreSQL writes it.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.chars().filter(|character| *character != '-').collect();
    (digits.len() == 32).then(|| u128::from_str_radix(&digits, 16).ok())?.map(u128::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_downloaded_passes_the_consent_and_has_its_record() {
        assert!(FILE.contains("practitioner_permit") && FILE.contains("audit_record("));
        // A longer statement pins a connection of RDS Proxy.
        assert!(FILE.len() < 16 * 1024, "{}", FILE.len());
    }

    #[test]
    fn a_uuid_is_sixteen_bytes() {
        assert_eq!(uuid("00010203-0405-0607-0809-0a0b0c0d0eff").map(|bytes| (bytes[1], bytes[15])), Some((1, 255)));
        for wrong in ["", "00010203", "0001020304050607-0809-0a0b0c0d0eff00", "g0010203-0405-0607-0809-0a0b0c0d0eff"] {
            assert_eq!(uuid(wrong), None, "{wrong}");
        }
    }
}
