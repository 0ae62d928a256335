//! Pages of patients.

use super::{Patient, RECORD, VISIBLE, record};
use crate::{Slice, Store, StoreError, asked::asked, observation::Reader};
use audit::{Context, RefusedBy};
use jiff::{Timestamp, civil::Date};
use tokio_postgres::types::{Json, ToSql, Type};

/// A condition on a text: it matches one of the patterns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextFilter {
    patterns: Vec<String>,
    exact: bool,
}

impl TextFilter {
    /// The text is one of the values.
    #[must_use]
    pub fn exact(values: &[String]) -> Self {
        Self { patterns: values.iter().map(|value| literal(value)).collect(), exact: true }
    }

    /// The text starts with one of the values, whatever the case.
    #[must_use]
    pub fn starts_with(values: &[String]) -> Self {
        let patterns = values.iter().map(|value| format!("{}%", literal(value))).collect();
        Self { patterns, exact: false }
    }

    /// One of the values is in the text, whatever the case.
    #[must_use]
    pub fn contains(values: &[String]) -> Self {
        let patterns = values.iter().map(|value| format!("%{}%", literal(value))).collect();
        Self { patterns, exact: false }
    }

    /// The patterns and whether they are exact, as parameters of a statement.
    pub(crate) fn parts(filter: Option<&Self>) -> (Option<&[String]>, bool) {
        filter.map_or((None, false), |filter| (Some(filter.patterns.as_slice()), filter.exact))
    }
}

/// A text as a pattern of LIKE that matches only itself.
fn literal(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '\\' | '%' | '_') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

/// Which patients are asked for. Everything that is set must hold.
#[derive(Clone, Debug, Default)]
pub struct PatientFilter {
    /// Only these ids; empty: all.
    pub ids: Vec<i32>,
    /// Only patients of this organization.
    pub organization: Option<i32>,
    /// Only patients enrolled in this study.
    pub study: Option<i32>,
    /// Only the patient with this identifier: system (none: any) and value.
    pub identifier: Option<(Option<String>, String)>,
    /// The family or the given name.
    pub name: Option<TextFilter>,
    /// The family name.
    pub family: Option<TextFilter>,
    /// The given name.
    pub given: Option<TextFilter>,
    /// Born on or after, and before.
    pub birth_date: (Option<Date>, Option<Date>),
    /// The record last changed at or after, and before.
    pub updated: (Option<Timestamp>, Option<Timestamp>),
    /// Which of them, by id.
    pub slice: Slice,
}

/// A page of patients.
#[derive(Clone, Debug, Default)]
pub struct PatientPage {
    /// The patients, by id.
    pub rows: Vec<Patient>,
    /// True when the next page is not empty.
    pub more: bool,
    /// How many there are in all, where that was asked for.
    pub total: Option<i64>,
}

/// From which table a page is read: the one that has few rows for the filter, and has them in the order of ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// The patients named by id, or a patient's own record.
    Ids,
    /// The enrolments of a study.
    Study,
    /// The identifiers with a value.
    Identifier,
    /// The patients of one organization.
    Organization,
    /// The patients of a practitioner's organizations.
    Own,
    /// All patients, for a super admin.
    All,
}

impl Access {
    fn of(reader: Reader, filter: &PatientFilter) -> Self {
        if matches!(reader, Reader::Patient(_)) || !filter.ids.is_empty() {
            Self::Ids
        } else if filter.study.is_some() {
            Self::Study
        } else if filter.identifier.is_some() {
            Self::Identifier
        } else if filter.organization.is_some() {
            Self::Organization
        } else if reader == Reader::Privileged {
            Self::All
        } else {
            Self::Own
        }
    }

    /// The column that the page is in the order of, the table that it is of, and the rows that count.
    const fn source(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Ids => ("p.id", "patient p", "p.id = ANY ($5)"),
            Self::Study => ("e.patient_id", "study_patient e", "e.study_id = $7"),
            Self::Identifier => (
                "p.id",
                "patient p",
                "p.id IN (SELECT i.patient_id FROM patient_identifier i
                           WHERE i.value = $9 AND ($8::text IS NULL OR i.system = $8))",
            ),
            Self::Organization => ("b.patient_id", "patient_organization b", "b.organization_id = $6"),
            Self::Own => ("b.patient_id", "patient_organization b", "b.organization_id = own.organization_id"),
            Self::All => ("p.id", "patient p", "true"),
        }
    }

    /// The rows of the source that meet the conditions. Patients are joined only where a condition is on their record:
    /// without one, an index has all that a page of ids and a count need.
    fn rows(self, conditions: &str) -> String {
        let (key, table, source) = self.source();
        let join = if conditions.is_empty() || matches!(self, Self::Ids | Self::Identifier | Self::All) {
            String::new()
        } else {
            format!("JOIN patient p ON p.id = {key}")
        };
        format!("{table} {join} WHERE {source} {conditions}")
    }

    /// The first rows after `$16`, one more than a page, and how many rows match in all.
    fn page_and_total(self, filter: &PatientFilter) -> (String, String) {
        let rows = self.rows(&self.conditions(filter));
        let (key, ..) = self.source();
        let first = format!("SELECT {key} AS id FROM {rows} AND {key} > $16 ORDER BY {key} LIMIT $17 + $23 + 1");
        if self == Self::Own {
            // One lane per organization; who is a patient of two of them is in two lanes.
            let lanes = |rows: &str| {
                format!("organization_member own CROSS JOIN LATERAL ({rows}) lane WHERE own.practitioner_id = $1")
            };
            let all = lanes(&format!("SELECT {key} AS id FROM {rows}"));
            let first = lanes(&first);
            return (
                format!("SELECT DISTINCT lane.id FROM {first} ORDER BY lane.id LIMIT $17 + $23 + 1"),
                format!("SELECT count(DISTINCT c.id) FROM (SELECT lane.id FROM {all} LIMIT $22) c"),
            );
        }
        (first, format!("SELECT count(*) FROM (SELECT FROM {rows} LIMIT $22) c"))
    }

    /// The conditions that are asked for and not met by the source. Only those are in the text of the statement: one text
    /// that serves every filter has a plan that serves none.
    fn conditions(self, filter: &PatientFilter) -> String {
        let visible = format!("AND {VISIBLE}");
        let name = format!("AND ({} OR {})", like("name_family", 10), like("name_given", 10));
        let family = format!("AND {}", like("name_family", 12));
        let given = format!("AND {}", like("name_given", 14));
        [
            // The other sources hold only what the reader may see: their own organizations, or what the verdict passed.
            (matches!(self, Self::Ids | Self::Identifier), visible.as_str()),
            (
                self != Self::Organization && filter.organization.is_some(),
                "AND EXISTS (SELECT FROM patient_organization o WHERE o.patient_id = p.id AND o.organization_id = $6)",
            ),
            (
                self != Self::Study && filter.study.is_some(),
                "AND EXISTS (SELECT FROM study_patient s WHERE s.patient_id = p.id AND s.study_id = $7)",
            ),
            (
                self != Self::Identifier && filter.identifier.is_some(),
                "AND EXISTS (SELECT FROM patient_identifier n
                              WHERE n.patient_id = p.id AND n.value = $9 AND ($8::text IS NULL OR n.system = $8))",
            ),
            (filter.name.is_some(), name.as_str()),
            (filter.family.is_some(), family.as_str()),
            (filter.given.is_some(), given.as_str()),
            (filter.birth_date.0.is_some(), "AND p.birth_date >= $18"),
            (filter.birth_date.1.is_some(), "AND p.birth_date < $19"),
            (filter.updated.0.is_some(), "AND p.last_updated >= $20"),
            (filter.updated.1.is_some(), "AND p.last_updated < $21"),
        ]
        .into_iter()
        .filter_map(|(asked, condition)| asked.then_some(condition))
        .collect::<Vec<_>>()
        .join("\n     ")
    }
}

/// The condition that a column matches one of the patterns of a parameter; the parameter after it says whether exactly.
fn like(column: &str, patterns: u8) -> String {
    let exact = patterns + 1;
    format!("CASE WHEN ${exact} THEN p.{column} LIKE ANY (${patterns}) ELSE p.{column} ILIKE ANY (${patterns}) END")
}

/// 1 to 3 the reader, 4 audit context, 5 ids, 6 organization, 7 study, 8 and 9 identifier, 10 to 15 name, family and
/// given as patterns and whether they are exact, 16 after, 17 count, 18 and 19 birth date, 20 and 21 last update, 22
/// how far to count, if at all, 23 skip.
///
/// The verdict: what the query names must be the reader's. What does not exist is refused alike, so that the answer does
/// not tell which ids exist; only the audit knows the difference.
fn statement(reader: Reader, filter: &PatientFilter) -> String {
    let (page, total) = Access::of(reader, filter).page_and_total(filter);
    let noted = asked("SELECT id FROM patient WHERE id = ANY ($5::int[])", "SELECT id FROM shown");
    format!(
        "
WITH verdict AS MATERIALIZED (
  SELECT CASE
    WHEN $3 THEN CASE
      WHEN cardinality($5::int[]) > 0 AND NOT EXISTS (SELECT FROM patient WHERE id = ANY ($5)) THEN 'not_found'
      WHEN $6::int IS NOT NULL AND NOT EXISTS (SELECT FROM organization WHERE id = $6) THEN 'not_found'
      WHEN $7::int IS NOT NULL AND NOT EXISTS (SELECT FROM study WHERE id = $7) THEN 'not_found' END
    WHEN EXISTS (SELECT FROM unnest($5::int[]) AS named(id) LEFT JOIN patient p ON p.id = named.id
                  WHERE p.id IS NULL OR {VISIBLE} IS NOT TRUE)
      THEN CASE WHEN NOT EXISTS (SELECT FROM patient WHERE id = ANY ($5)) THEN 'not_found'
                WHEN $2::int IS NOT NULL THEN 'user_type' ELSE 'organization' END
    WHEN $6::int IS NOT NULL
         AND NOT EXISTS (SELECT FROM organization_member m WHERE m.organization_id = $6 AND m.practitioner_id = $1)
         AND NOT EXISTS (SELECT FROM patient_organization o WHERE o.organization_id = $6 AND o.patient_id = $2)
      THEN 'organization'
    WHEN $7::int IS NOT NULL
         AND NOT EXISTS (SELECT FROM study s JOIN organization_member m ON m.organization_id = s.organization_id
                          WHERE s.id = $7 AND m.practitioner_id = $1)
         AND NOT EXISTS (SELECT FROM study_patient e WHERE e.study_id = $7 AND e.patient_id = $2)
      THEN 'organization'
    END AS refused_by
), page AS MATERIALIZED (
  {page}
), shown AS MATERIALIZED (
  SELECT id FROM page WHERE (SELECT refused_by FROM verdict) IS NULL ORDER BY id LIMIT $17 OFFSET $23
), through AS MATERIALIZED (
  SELECT DISTINCT m.organization_id, m.role
    FROM (SELECT id FROM shown UNION SELECT unnest($5::int[]) WHERE (SELECT refused_by FROM verdict) IS NULL) s
    JOIN patient_organization o ON o.patient_id = s.id
    JOIN organization_member m ON m.organization_id = o.organization_id AND m.practitioner_id = $1
)
SELECT a.event_id, a.refused_by, (SELECT count(*) FROM page) > $17 + $23 AS more,
       CASE WHEN $22 IS NOT NULL AND a.refused_by IS NULL THEN ({total}) END AS total,
       CASE WHEN p.id IS NOT NULL THEN {RECORD} END AS record
  FROM (SELECT v.refused_by,
               audit_record($4 || {noted}, CASE WHEN v.refused_by IS NULL THEN 'allowed' ELSE 'denied' END, v.refused_by,
                            ARRAY(SELECT organization_id FROM through UNION SELECT id FROM organization WHERE id = $6
                                  UNION SELECT organization_id FROM study WHERE id = $7),
                            ARRAY(SELECT id FROM study WHERE id = $7),
                            ARRAY(SELECT id FROM shown UNION SELECT id FROM patient WHERE id = ANY ($5)), '{{}}',
                            (SELECT max(role) FROM through)) AS event_id
          FROM verdict v) a
  LEFT JOIN (shown s JOIN patient p ON p.id = s.id) ON true
 ORDER BY p.id"
    )
}

const TYPES: [Type; 23] = [
    Type::INT4,
    Type::INT4,
    Type::BOOL,
    Type::JSONB,
    Type::INT4_ARRAY,
    Type::INT4,
    Type::INT4,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT_ARRAY,
    Type::BOOL,
    Type::TEXT_ARRAY,
    Type::BOOL,
    Type::TEXT_ARRAY,
    Type::BOOL,
    Type::INT4,
    Type::INT8,
    Type::DATE,
    Type::DATE,
    Type::TIMESTAMPTZ,
    Type::TIMESTAMPTZ,
    Type::INT8,
    Type::INT8,
];

impl Store {
    /// A page of patients, how many there are up to a number, and the audit record, in one statement. `Ok(Err(reason))`: the filter names a patient, an
    /// organization or a study that is not the reader's.
    pub async fn patients(
        &self,
        context: &Context,
        reader: Reader,
        filter: &PatientFilter,
        count_to: Option<i64>,
    ) -> Result<Result<PatientPage, RefusedBy>, StoreError> {
        let (practitioner, patient, privileged) = reader.parts();
        let ids = match reader {
            Reader::Patient(own) if filter.ids.is_empty() => vec![own.0],
            _ => filter.ids.clone(),
        };
        let (system, value) = filter
            .identifier
            .as_ref()
            .map_or((None, None), |(system, value)| (system.as_deref(), Some(value.as_str())));
        let (name, name_exact) = TextFilter::parts(filter.name.as_ref());
        let (family, family_exact) = TextFilter::parts(filter.family.as_ref());
        let (given, given_exact) = TextFilter::parts(filter.given.as_ref());
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(&statement(reader, filter), &TYPES).await?;
        let parameters: [&(dyn ToSql + Sync); 23] = [
            &practitioner,
            &patient,
            &privileged,
            &Json(context),
            &ids,
            &filter.organization,
            &filter.study,
            &system,
            &value,
            &name,
            &name_exact,
            &family,
            &family_exact,
            &given,
            &given_exact,
            &filter.slice.after_id(),
            &filter.slice.count,
            &filter.birth_date.0,
            &filter.birth_date.1,
            &filter.updated.0,
            &filter.updated.1,
            &count_to,
            &filter.slice.skip,
        ];
        let rows = client.query(&statement, &parameters).await?;
        let mut page = PatientPage::default();
        for row in &rows {
            if let Some(refused) = row.try_get::<_, Option<&str>>("refused_by")? {
                return Ok(Err(RefusedBy::from_name(refused).ok_or(StoreError::Corrupt("refused_by"))?));
            }
            page.more = row.try_get("more")?;
            page.total = row.try_get("total")?;
            page.rows.extend(record(row)?);
        }
        Ok(Ok(page))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patient_is_only_ever_read_by_id_and_every_source_but_the_readers_own_is_checked() {
        let everything = PatientFilter {
            study: Some(1),
            organization: Some(1),
            identifier: Some((None, String::new())),
            ..PatientFilter::default()
        };
        for filter in [PatientFilter::default(), everything] {
            let reader = Reader::Patient(authz::PatientId(1));
            assert_eq!(Access::of(reader, &filter), Access::Ids);
            assert!(Access::Ids.conditions(&filter).contains(VISIBLE));
            assert!(Access::Identifier.conditions(&filter).contains(VISIBLE));
        }
        let reader = Reader::Practitioner(authz::PractitionerId(1));
        assert_eq!(Access::of(reader, &PatientFilter::default()), Access::Own);
        assert_eq!(Access::of(Reader::Privileged, &PatientFilter::default()), Access::All);
    }

    #[test]
    fn a_value_is_never_a_pattern() {
        assert_eq!(literal("50%_\\"), "50\\%\\_\\\\");
        assert_eq!(TextFilter::contains(&["a_".to_owned()]).patterns, ["%a\\_%"]);
        assert_eq!(TextFilter::exact(&["%".to_owned()]).patterns, ["\\%"]);
    }
}
