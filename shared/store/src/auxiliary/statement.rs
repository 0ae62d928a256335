//! The statements that store, change and delete resources that are kept as they come.

use super::{COLUMNS, TARGET, read::layers};
use crate::{Reader, observation::create::granted_now};
use std::sync::LazyLock;

/// 1 source.
pub(super) const SOURCE: &str = "SELECT patient_id FROM fhir_source WHERE id = $1";

/// What the audit tells of `x`: the organizations of the patient's for which the caller, `$2`, may upload.
const ORGANIZATIONS: &str = "ARRAY(SELECT o.organization_id FROM patient_organization o
             WHERE o.patient_id = x.patient_id
               AND ($2::int IS NULL
                    OR EXISTS (SELECT FROM organization_member m
                                WHERE m.organization_id = o.organization_id AND m.practitioner_id = $2 AND m.role >= 'member'))
             ORDER BY 1)";

/// 1 audit context, 2 practitioner, 3 role. The audit has the id and the version, never the content.
fn recorded(done: &str) -> String {
    format!(
        "{done}
SELECT {COLUMNS},
       audit_record($1 || jsonb_build_object('detail', jsonb_build_object('ids', jsonb_build_array(x.id), 'version', x.version)),
                    'allowed', NULL, {ORGANIZATIONS}, '{{}}', ARRAY[x.patient_id], '{{}}', $3::text::member_role) AS event_id
  FROM done x JOIN patient p ON p.id = x.patient_id"
    )
}

/// 1 source, 2 scope, 3 id there.
pub(super) const PRESENT: &str =
    "SELECT id::text FROM auxiliary WHERE source_id = $1 AND scope_id = $2 AND upstream_id = $3";

/// 4 patient, 5 scope, 6 source, 7 id there, 8 payload, 9 whether it is there and may be changed. What came in meanwhile is not
/// overwritten: nobody has judged that.
pub(super) static STORE: LazyLock<String> = LazyLock::new(|| {
    recorded(
        "
WITH done AS (
  INSERT INTO auxiliary (patient_id, scope_id, source_id, upstream_id, payload) VALUES ($4, $5, $6, $7, $8)
  ON CONFLICT (source_id, scope_id, upstream_id) DO UPDATE
    SET version = auxiliary.version + 1, last_updated = clock_timestamp(), content = NULL, payload = EXCLUDED.payload
    WHERE $9
  RETURNING *
)",
    )
});

/// 4 number, 5 version, 6 payload.
pub(super) static CHANGE: LazyLock<String> = LazyLock::new(|| {
    recorded(
        "
WITH done AS (
  UPDATE auxiliary SET version = version + 1, last_updated = clock_timestamp(), content = NULL, payload = $6
   WHERE number = $4 AND version = $5 RETURNING *
)",
    )
});

/// 4 number, 5 version.
pub(super) static DELETE: LazyLock<String> = LazyLock::new(|| {
    recorded(
        "
WITH done AS (
  DELETE FROM auxiliary WHERE number = $4 AND version = $5 RETURNING *
)",
    )
});

pub(super) const PATIENT: &str = "
SELECT a.patient_id FROM auxiliary a JOIN scope s ON s.id = a.scope_id
 WHERE a.id = $1::text::uuid AND s.system = 'http://hl7.org/fhir/resource-types' AND s.code = $2";

/// A resource that is to be changed, and what decides whether it may be.
pub(super) fn current(reader: Reader) -> String {
    let role = match reader {
        Reader::Practitioner(_) => "(SELECT max(role)::text FROM permit)",
        Reader::Patient(_) | Reader::Privileged => "NULL::text",
    };
    format!(
        "{TARGET}{layers}
SELECT v.refused_by, {role} AS role,
       EXISTS (SELECT FROM target t JOIN consent_event e ON e.patient_id = t.patient_id AND e.scope_id = t.scope_id
                WHERE e.decision = 'granted') AS ever_granted,
       EXISTS (SELECT FROM target t WHERE {granted_now}) AS granted_now, {COLUMNS}
  FROM verdict v
  LEFT JOIN (target t JOIN auxiliary x ON x.number = t.id JOIN patient p ON p.id = x.patient_id) ON v.refused_by IS NULL",
        layers = layers(reader),
        granted_now = granted_now("t.patient_id", "t.scope_id")
    )
}
