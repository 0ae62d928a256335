//! Resources that are kept as they come: of one patient and one scope, by the same rule as observations.

pub(crate) mod read;
mod search;
mod statement;
mod write;

pub use read::{AuxiliaryRead, AuxiliaryResource};
pub use search::{AuxiliaryPage, AuxiliaryQuery};
pub use write::{AuxiliaryChange, AuxiliaryUpload, AuxiliaryUpsert, ChangedContent, NewAuxiliary};

/// What is read and changed, by id and type: `$2` and `$4`. Its number takes the place of an observation's id.
const TARGET: &str = "
WITH target AS MATERIALIZED (
  SELECT a.number AS id, a.patient_id, a.scope_id
    FROM auxiliary a JOIN scope s ON s.id = a.scope_id
   WHERE a.id = $2::text::uuid AND s.system = 'http://hl7.org/fhir/resource-types' AND s.code = $4
), ";

/// The columns of a resource `x` and its patient `p`, as [`read::resource`] takes them.
const COLUMNS: &str = "x.id::text AS id, x.number, x.version, x.last_updated, x.source_id, x.patient_id,
       concat_ws(' ', p.name_given, p.name_family) AS patient_name, x.content, x.payload, x.scope_id,
       uuid_send(p.payload_key) AS payload_key";
