//! Everything of one patient that a reader may see, in pages: the record, the decisions, the observations, and the resources that are kept
//! as they come.
//!
//! One statement judges, reads and records a page. What may be seen of observations and other resources is decided by the lanes of their
//! searches, what of decisions by the rule of the ledger's history. For an export it names a study and is judged by that alone: nothing of
//! a patient is shown who consents to nothing there.

use crate::{
    AuxiliaryResource, ConsentRecord, Found, Patient, Store, StoreError,
    asked::asked_with,
    auxiliary::read::{raw, resource},
    consent::{CONSENT, known_to},
    meter,
    observation::{
        PageSize, Reader,
        lanes::{PERMITTED_LANES, UNCONDITIONAL_LANES, WANTED},
        query::earliest,
    },
    patient::{PERSON, record},
    payloads::Raw,
};
use audit::{Context, RefusedBy};
use jiff::Timestamp;
use payload::Place;
use tokio_postgres::{
    Row,
    types::{Json, ToSql, Type},
};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct EverythingQuery<'a> {
    /// On whose authority.
    pub reader: Reader,
    /// The patient.
    pub patient: i32,
    /// Only what this study was given: an export.
    pub study: Option<i32>,
    /// The types of resources: `Patient`, `Consent`, `Observation`, and those that are kept as they come.
    pub types: &'a [&'static str],
    /// Only what changed since.
    pub since: Option<Timestamp>,
    /// How many, at most 1,000.
    pub count: u16,
    /// Continue after this.
    pub after: Option<EverythingAfter>,
}

/// The last row of the page before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EverythingAfter {
    /// The record, or, with its number, a decision.
    Consent(i64),
    /// An observation, by its last update and id.
    Observation(Timestamp, i64),
    /// Another resource, by its number.
    Auxiliary(i64),
}

/// A resource of the patient's.
#[derive(Clone, Debug)]
pub enum EverythingRow {
    /// The record, without organizations.
    Patient(Patient),
    /// A decision.
    Consent(ConsentRecord),
    /// An observation.
    Observation(Found),
    /// A resource of this type.
    Auxiliary(String, AuxiliaryResource),
}

/// A page.
#[derive(Clone, Debug, Default)]
pub struct EverythingPage {
    /// The rows: the record, the decisions, the observations, the others; of each the oldest first.
    pub rows: Vec<EverythingRow>,
    /// Where the next page begins; none: this is the last one.
    pub next: Option<EverythingAfter>,
}

/// The most bytes of payloads on a page of more than one row: Lambda answers with 6 MB.
const MOST_BYTES: u32 = 3 * 1024 * 1024;

/// What is not in a payload of what is answered: URLs, ids, the whole of a decision.
const FRAME: u32 = 1024;

/// Who may be asked for: by a patient only they themself, by a practitioner the patients of their organizations.
const VERDICT: &str = "
verdict AS MATERIALIZED (
  SELECT CASE
    WHEN NOT EXISTS (SELECT FROM patient WHERE id = ANY ($3::int[])) THEN 'not_found'
    WHEN $11 OR $10::int = ANY ($3::int[]) THEN NULL
    WHEN $10::int IS NOT NULL THEN 'user_type'
    WHEN $6::int IS NOT NULL AND NOT EXISTS (SELECT FROM study s JOIN organization_member m ON m.organization_id = s.organization_id
                                              WHERE s.id = $6 AND m.practitioner_id = $2) THEN 'organization'
    WHEN $6::int IS NOT NULL AND NOT EXISTS (SELECT FROM study_patient e WHERE e.study_id = $6 AND e.patient_id = ANY ($3::int[]))
      THEN 'enrolment'
    WHEN NOT EXISTS (SELECT FROM patient_organization p JOIN organization_member m ON m.organization_id = p.organization_id
                      WHERE p.patient_id = ANY ($3::int[]) AND m.practitioner_id = $2) THEN 'organization'
  END AS refused_by
)";

/// The patient, unless the verdict refuses: there are no lanes then, nor anything else.
const NAMED: &str = "
named AS MATERIALIZED (
  SELECT p.id AS patient_id FROM patient p JOIN verdict v ON v.refused_by IS NULL WHERE p.id = ANY ($3::int[])
)";

/// What is asked of every row, as a table of one row: see the search of observations.
const ASKED: &str = "
asked AS MATERIALIZED (
  SELECT $12::timestamptz AS since, $13::boolean AS patient, $14::boolean AS consents, $15::bigint AS consent,
         $16::boolean AS observations, $17::timestamptz AS updated, $18::bigint AS observation,
         $19::text[] AS kinds, $20::bigint AS number
)";

/// The rows of each class that a page can hold, in their order, as `class`, `at` and `id`.
fn candidates(limit: u16) -> String {
    let known = known_to("$2", "$10", "$11");
    format!(
        "
page AS MATERIALIZED (
  SELECT * FROM (
    (SELECT 0 AS class, '-infinity'::timestamptz AS at, 0::bigint AS id, 0 AS bytes
       FROM named n JOIN patient p ON p.id = n.patient_id
      WHERE (SELECT patient FROM asked) AND p.last_updated >= (SELECT since FROM asked)
        AND ($6::int IS NULL OR EXISTS (SELECT FROM lane)))
    UNION ALL
    (SELECT 1, '-infinity', c.id, 0
       FROM named n JOIN consent_event c ON c.patient_id = n.patient_id JOIN study y ON y.id = c.study_id
      WHERE (SELECT consents FROM asked) AND c.id > (SELECT consent FROM asked) AND c.decided_at >= (SELECT since FROM asked)
        AND {known} AND ($6::int IS NULL OR c.study_id = $6 AND EXISTS (SELECT FROM lane))
      ORDER BY c.id LIMIT {limit})
    UNION ALL
    (SELECT 2, k.last_updated, k.id, k.bytes
       FROM lane l CROSS JOIN LATERAL (
         SELECT f.last_updated, f.id, coalesce(octet_length(f.payload), octet_length(f.content)) AS bytes
           FROM observation f
          WHERE (SELECT observations FROM asked) AND f.patient_id = l.patient_id AND f.scope_id = l.scope_id
            AND f.last_updated >= (SELECT since FROM asked)
            AND (f.last_updated, f.id) > ((SELECT updated FROM asked), (SELECT observation FROM asked))
          ORDER BY f.last_updated, f.id LIMIT {limit}) k
      ORDER BY k.last_updated, k.id LIMIT {limit})
    UNION ALL
    (SELECT 3, '-infinity', k.number, k.bytes
       FROM lane l JOIN scope x ON x.id = l.scope_id AND x.system = 'http://hl7.org/fhir/resource-types'
                                AND x.code = ANY ((SELECT kinds FROM asked)::text[])
      CROSS JOIN LATERAL (
         SELECT f.number, coalesce(octet_length(f.payload), octet_length(f.content)) AS bytes
           FROM auxiliary f
          WHERE f.patient_id = l.patient_id AND f.scope_id = l.scope_id
            AND f.last_updated >= (SELECT since FROM asked) AND f.number > (SELECT number FROM asked)
          ORDER BY f.number LIMIT {limit}) k
      ORDER BY k.number LIMIT {limit})
  ) every_class ORDER BY class, at, id LIMIT {limit}
)"
    )
}

/// The parameters: 1 to 9 are those of the lanes, of which only the context, the practitioner, the patient and the study say something; 10 the patient
/// who reads, 11 whether the reader is privileged, 12 since, 13 whether the record is asked for, 14 and 15 decisions and after which,
/// 16 to 18 observations and after which, 19 and 20 other types and after which, 21 count.
fn statement(practitioner: bool, size: PageSize) -> String {
    let (lanes, organizations, studies) = if practitioner {
        (
            PERMITTED_LANES,
            "ARRAY(SELECT m.organization_id FROM named n JOIN patient_organization p ON p.patient_id = n.patient_id
                     JOIN organization_member m ON m.organization_id = p.organization_id AND m.practitioner_id = $2)",
            "ARRAY(SELECT unnest(l.study_ids) FROM lane l WHERE EXISTS (SELECT FROM shown WHERE class > 1)
                   UNION SELECT c.study_id FROM shown s JOIN consent_event c ON c.id = s.id WHERE s.class = 1
                   UNION SELECT id FROM study WHERE id = $6)",
        )
    } else {
        (UNCONDITIONAL_LANES, "'{}'", "'{}'")
    };
    let candidates = candidates(size.limit());
    let noted = asked_with(
        "jsonb_build_object('operation', CASE WHEN $6::int IS NULL THEN 'everything' ELSE 'export' END,
                              'ids', (SELECT coalesce(jsonb_agg(i.id), '[]') FROM shown s JOIN auxiliary i ON i.number = s.id WHERE s.class = 3),
                              'consents', (SELECT coalesce(jsonb_agg(s.id), '[]') FROM shown s WHERE s.class = 1))",
        "SELECT unnest($3::int[])",
        "SELECT patient_id FROM named WHERE EXISTS (SELECT FROM shown)",
    );
    format!(
        "WITH {ASKED},{VERDICT},{NAMED},{WANTED},{lanes},{candidates},
shown AS MATERIALIZED (
  SELECT class, at, id
    FROM (SELECT p.*, row_number() OVER so_far AS n, sum(p.bytes + {FRAME}) OVER so_far AS filled
            FROM page p WINDOW so_far AS (ORDER BY p.class, p.at, p.id)) r
   WHERE r.n = 1 OR r.n <= $21 AND r.filled <= {MOST_BYTES}
)
SELECT a.event_id, a.refused_by, (SELECT count(*) FROM page) > (SELECT count(*) FROM shown) AS more,
       s.class, s.id AS number, CASE WHEN s.class = 0 THEN {PERSON} END AS record,
       CASE WHEN s.class = 1 THEN {CONSENT} END AS consent,
       coalesce(o.last_updated, u.last_updated) AS last_updated, o.effective_start,
       coalesce(o.source_id, u.source_id) AS source_id, coalesce(o.content, u.content) AS content,
       coalesce(o.payload, u.payload) AS payload, u.id::text AS id, coalesce(o.version, u.version) AS version, u.scope_id, p.id AS patient_id, concat_ws(' ', p.name_given, p.name_family) AS patient_name, k.code AS kind
  FROM (SELECT v.refused_by,
               audit_record($1 || {noted},
                            CASE WHEN v.refused_by IS NULL THEN 'allowed' ELSE 'denied' END, v.refused_by,
                            {organizations}, {studies}, ARRAY(SELECT id FROM patient WHERE id = ANY ($3::int[])),
                            ARRAY(SELECT id FROM shown WHERE class = 2), (SELECT max(role) FROM lane)) AS event_id
          FROM verdict v) a
  LEFT JOIN (shown s JOIN named n ON true JOIN patient p ON p.id = n.patient_id
             LEFT JOIN observation o ON s.class = 2 AND o.id = s.id
             LEFT JOIN (auxiliary u JOIN scope k ON k.id = u.scope_id) ON s.class = 3 AND u.number = s.id
             LEFT JOIN (consent_event c JOIN study y ON y.id = c.study_id JOIN scope x ON x.id = c.scope_id)
                    ON s.class = 1 AND c.id = s.id) ON true
 ORDER BY s.class, s.at, s.id"
    )
}

static TYPES: [Type; 21] = [
    Type::JSONB,
    Type::INT4,
    Type::INT4_ARRAY,
    Type::TEXT,
    Type::TEXT,
    Type::INT4,
    Type::INT4,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::INT4,
    Type::BOOL,
    Type::TIMESTAMPTZ,
    Type::BOOL,
    Type::BOOL,
    Type::INT8,
    Type::BOOL,
    Type::TIMESTAMPTZ,
    Type::INT8,
    Type::TEXT_ARRAY,
    Type::INT8,
    Type::INT8,
];

/// What is left of what is asked for after a position: of each class whether it is, and after which row.
struct Left<'a> {
    patient: bool,
    consents: (bool, i64),
    observations: (bool, Timestamp, i64),
    kinds: (Vec<&'a str>, i64),
}

impl<'a> Left<'a> {
    fn of(query: &EverythingQuery<'a>) -> Self {
        let asks = |kind: &str| query.types.contains(&kind);
        let own = ["Patient", "Consent", "Observation"];
        let kinds = || query.types.iter().copied().filter(|kind| !own.contains(kind)).collect();
        let first = (earliest(), i64::MIN);
        let (class, consent, (updated, observation), number) = match query.after {
            None => (0, 0, first, 0),
            Some(EverythingAfter::Consent(id)) => (1, id, first, 0),
            Some(EverythingAfter::Observation(at, id)) => (2, 0, (at, id), 0),
            Some(EverythingAfter::Auxiliary(number)) => (3, 0, first, number),
        };
        Self {
            patient: class == 0 && asks("Patient"),
            consents: (class <= 1 && asks("Consent"), consent),
            observations: (class <= 2 && asks("Observation"), updated, observation),
            kinds: (kinds(), number),
        }
    }
}

impl Store {
    /// A page of everything of a patient's, and its audit record, in one statement. `Ok(Err(reason))`: the patient is not the reader's to
    /// see.
    pub async fn everything(
        &self,
        context: &Context,
        query: &EverythingQuery<'_>,
    ) -> Result<Result<EverythingPage, RefusedBy>, StoreError> {
        let (practitioner, own, privileged) = query.reader.parts();
        let (nothing, nobody, none): (Option<&str>, Option<i32>, [&str; 0]) = (None, None, []);
        let (context, patients, left) = (Json(context), vec![query.patient], Left::of(query));
        let since = query.since.unwrap_or_else(earliest).max(earliest());
        let parameters: [&(dyn ToSql + Sync); 21] = [
            &context,
            &practitioner,
            &patients,
            &nothing,
            &nothing,
            &query.study,
            &nobody,
            &none.as_slice(),
            &none.as_slice(),
            &own,
            &privileged,
            &since,
            &left.patient,
            &left.consents.0,
            &left.consents.1,
            &left.observations.0,
            &left.observations.1,
            &left.observations.2,
            &left.kinds.0,
            &left.kinds.1,
            &i64::from(query.count),
        ];
        let text = statement(practitioner.is_some(), PageSize::holding(query.count));
        let rows = {
            let client = self.connection().await?;
            let prepared = client.prepare_typed_cached(&text, &TYPES).await?;
            client.query(&prepared, &parameters).await?
        };
        let mut more = false;
        for row in &rows {
            if let Some(refused) = row.try_get::<_, Option<&str>>("refused_by")? {
                return Ok(Err(RefusedBy::from_name(refused).ok_or(StoreError::Corrupt("refused_by"))?));
            }
            more = row.try_get("more")?;
        }
        // One row without a class stands for an empty page: the audit's half of the join.
        let is_there = |row: &&Row| row.try_get::<_, Option<i32>>("class").is_ok_and(|class| class.is_some());
        let rows: Vec<&Row> = rows.iter().filter(is_there).collect();
        let next = rows.last().filter(|_| more).map(|row| place(row)).transpose()?;
        let mut page = EverythingPage { rows: Vec::with_capacity(rows.len()), next };
        let mut payloads = Vec::with_capacity(rows.len());
        for row in &rows {
            payloads.extend(payload(row)?);
        }
        let mut texts = self.opened(&payloads).await?.into_iter();
        for row in &rows {
            page.rows.extend(shown(row, &mut texts)?);
        }
        let observations = page.rows.iter().filter(|row| matches!(row, EverythingRow::Observation(_)));
        meter::observations_read(observations.count());
        // What cannot be opened any more is passed over: a page without anything would be taken for the last one.
        match page.next.filter(|_| page.rows.is_empty()) {
            None => Ok(Ok(page)),
            after => Box::pin(self.everything(context.0, &EverythingQuery { after, ..query.clone() })).await,
        }
    }
}

/// The position of a row.
fn place(row: &Row) -> Result<EverythingAfter, StoreError> {
    let number = row.try_get("number")?;
    Ok(match row.try_get::<_, i32>("class")? {
        // Numbers of decisions begin at 1, and that of the record is 0.
        0 | 1 => EverythingAfter::Consent(number),
        2 => EverythingAfter::Observation(row.try_get("last_updated")?, number),
        _ => EverythingAfter::Auxiliary(number),
    })
}

/// The payload of a row that has one.
fn payload(row: &Row) -> Result<Option<Raw>, StoreError> {
    Ok(match row.try_get::<_, i32>("class")? {
        0 | 1 => None,
        2 => {
            let (patient, id, version) = (row.try_get("patient_id")?, row.try_get("number")?, row.try_get("version")?);
            Some(Raw::of(row, Place::of_observation(patient, id, version))?)
        }
        _ => Some(raw(row)?),
    })
}

/// The resource of a row. `texts` are the payloads of the rows that have one, in order; none of a row: it cannot be opened any more.
fn shown(row: &Row, texts: &mut impl Iterator<Item = Option<String>>) -> Result<Option<EverythingRow>, StoreError> {
    let class: i32 = row.try_get("class")?;
    match class {
        0 => return Ok(Some(EverythingRow::Patient(record(row)?.ok_or(StoreError::Corrupt("record"))?))),
        1 => return Ok(Some(EverythingRow::Consent(row.try_get::<_, Json<ConsentRecord>>("consent")?.0))),
        _ => {}
    }
    let Some(content) = texts.next().flatten() else { return Ok(None) };
    if class != 2 {
        return Ok(Some(EverythingRow::Auxiliary(row.try_get("kind")?, resource(row, content)?)));
    }
    Ok(Some(EverythingRow::Observation(Found {
        id: row.try_get("number")?,
        version: row.try_get("version")?,
        last_updated: row.try_get("last_updated")?,
        effective_start: row.try_get("effective_start")?,
        source: row.try_get("source_id")?,
        content,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_practitioner_gets_passes_the_consent_and_every_page_has_its_record() {
        for size in PageSize::ALL {
            assert!(statement(true, size).contains("practitioner_permit"));
            assert!(!statement(false, size).contains("practitioner_permit"));
            for practitioner in [false, true] {
                let text = statement(practitioner, size);
                assert!(text.contains("audit_record("));
                // A longer statement pins a connection of RDS Proxy.
                assert!(text.len() < 16 * 1024, "{}", text.len());
            }
        }
    }

    #[test]
    fn a_page_goes_on_in_the_class_in_which_the_one_before_ended() {
        let types = ["Condition", "Consent", "Observation", "Patient"];
        let left = |after| {
            let reader = Reader::Privileged;
            let left = Left::of(&EverythingQuery {
                reader,
                patient: 1,
                study: None,
                types: &types,
                since: None,
                count: 1,
                after,
            });
            (left.patient, left.consents, left.observations.0, left.observations.2, left.kinds.1)
        };
        let at = Timestamp::UNIX_EPOCH;
        assert_eq!(left(None), (true, (true, 0), true, i64::MIN, 0));
        assert_eq!(left(Some(EverythingAfter::Consent(7))), (false, (true, 7), true, i64::MIN, 0));
        assert_eq!(left(Some(EverythingAfter::Observation(at, 7))), (false, (false, 0), true, 7, 0));
        assert_eq!(left(Some(EverythingAfter::Auxiliary(7))), (false, (false, 0), false, i64::MIN, 7));
    }
}
