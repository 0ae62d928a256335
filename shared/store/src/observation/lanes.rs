//! The lanes of a search, as parts of its statement: whom and what a query names, and which pairs of a patient and a scope the
//! reader may see of that. The same for observations and for resources that are kept as they come.

/// A practitioner may name only patients, studies and organizations of their own organizations. One that does not
/// exist is refused alike, so that the answer does not tell which ids exist.
pub(crate) const VERDICT: &str = "
verdict AS MATERIALIZED (
  SELECT CASE WHEN
    EXISTS (SELECT FROM unnest($3::int[]) AS named(id)
             WHERE NOT EXISTS (SELECT FROM patient_organization p
                                 JOIN organization_member m ON m.organization_id = p.organization_id
                                WHERE p.patient_id = named.id AND m.practitioner_id = $2))
    OR ($6::int IS NOT NULL
        AND NOT EXISTS (SELECT FROM study s
                          JOIN organization_member m ON m.organization_id = s.organization_id
                         WHERE s.id = $6 AND m.practitioner_id = $2))
    OR ($7::int IS NOT NULL
        AND NOT EXISTS (SELECT FROM organization_member m
                         WHERE m.organization_id = $7 AND m.practitioner_id = $2))
  THEN 'organization' END AS refused_by
)";

/// Nothing to refuse: the reader sees all that the lanes hold.
pub(crate) const NO_VERDICT: &str = "
verdict AS MATERIALIZED (SELECT NULL::text AS refused_by)";

/// The scopes that the `code` parameter lets pass.
pub(crate) const WANTED: &str = "
wanted AS MATERIALIZED (
  SELECT s.id AS scope_id FROM scope s
   WHERE cardinality($8::text[]) = 0
      OR EXISTS (SELECT FROM unnest($8::text[], $9::text[]) AS f(system, code)
                  WHERE (f.system IS NULL OR f.system = s.system) AND (f.code IS NULL OR f.code = s.code))
)";

/// The patients that the query names, by id, by identifier, or by both at once.
const NAMED: &str = "
  SELECT n.id AS patient_id FROM unnest($3::int[]) AS n(id)
   WHERE $5::text IS NULL
      OR EXISTS (SELECT FROM patient_identifier i
                  WHERE i.patient_id = n.id AND i.value = $5 AND ($4::text IS NULL OR i.system = $4))
  UNION
  SELECT i.patient_id FROM patient_identifier i
   WHERE cardinality($3::int[]) = 0 AND i.value = $5 AND ($4::text IS NULL OR i.system = $4)
";

/// With a study but no patient named, those enrolled in it.
pub(crate) const ENROLLED: &str = "  UNION
  SELECT e.patient_id FROM study_patient e WHERE e.study_id = $6 AND cardinality($3::int[]) = 0 AND $5::text IS NULL
";

/// The same of those who have a FHIR Source: nobody else has an observation that comes from one.
pub(super) const ENROLLED_WITH_SOURCES: &str = "  UNION
  SELECT e.patient_id FROM study_patient e
   WHERE e.study_id = $6 AND cardinality($3::int[]) = 0 AND $5::text IS NULL
     AND EXISTS (SELECT FROM fhir_source s WHERE s.patient_id = e.patient_id)
";

/// The patients that a search is about, as `named`; `or_enrolled` is empty or [`ENROLLED`].
pub(crate) fn named(or_enrolled: &str) -> String {
    format!("\nnamed AS MATERIALIZED ({NAMED}{or_enrolled})")
}

pub(crate) const PERMITTED_LANES: &str = "
lane AS MATERIALIZED (
  SELECT c.patient_id, c.scope_id, array_agg(c.study_id) AS study_ids,
         array_agg(c.organization_id) AS organization_ids, max(c.role) AS role
    FROM named n
    JOIN practitioner_permit c ON c.patient_id = n.patient_id
    JOIN wanted w ON w.scope_id = c.scope_id
    JOIN verdict v ON v.refused_by IS NULL
   WHERE c.practitioner_id = $2 AND c.may_search
     AND ($6::int IS NULL OR c.study_id = $6)
     AND ($7::int IS NULL OR EXISTS (SELECT FROM patient_organization p
                                      WHERE p.patient_id = c.patient_id AND p.organization_id = $7))
   GROUP BY c.patient_id, c.scope_id
)";

pub(super) const FEED_LANES: &str = "
lane AS MATERIALIZED (
  SELECT s.id AS study_id, r.scope_id, r.requested_at, ARRAY[s.id] AS study_ids, ARRAY[s.organization_id] AS organization_ids, m.role
    FROM study s
    JOIN organization_member m ON m.organization_id = s.organization_id AND m.practitioner_id = $2
    JOIN study_scope_request r ON r.study_id = s.id
    JOIN wanted w ON w.scope_id = r.scope_id
    JOIN verdict v ON v.refused_by IS NULL
   WHERE s.id = $6 AND s.access_until > now()
)";

/// With a study and no patient named, the patients are those enrolled and the scopes those requested.
pub(crate) const UNCONDITIONAL_LANES: &str = "
lane AS MATERIALIZED (
  SELECT p.patient_id, w.scope_id, '{}'::int[] AS study_ids, '{}'::int[] AS organization_ids, NULL::member_role AS role
    FROM (SELECT patient_id FROM named
          UNION
          SELECT e.patient_id FROM study_patient e WHERE e.study_id = $6 AND cardinality($3::int[]) = 0 AND $5::text IS NULL) p
   CROSS JOIN wanted w
   WHERE ($6::int IS NULL
          OR (EXISTS (SELECT FROM study_patient e WHERE e.study_id = $6 AND e.patient_id = p.patient_id)
              AND EXISTS (SELECT FROM study_scope_request r WHERE r.study_id = $6 AND r.scope_id = w.scope_id)))
     AND ($7::int IS NULL OR EXISTS (SELECT FROM patient_organization o
                                      WHERE o.patient_id = p.patient_id AND o.organization_id = $7))
)";

/// Whether something that comes from the FHIR Source of the row `f` is asked for: `is` and `below` are arrays of what `_source` and
/// `_source:below` ask, and all must match. Written as values and not as EXISTS, which the planner may turn into a join that
/// leaves the order of the lane.
pub(crate) fn of_asked_sources(is: &str, below: &str) -> String {
    format!(
        "(SELECT bool_and(named.source = 'https://jupyterhealth.org/fhir/fhir-source/' || f.source_id)
           FROM unnest({is}) named(source)) IS NOT FALSE
        AND (SELECT bool_and(starts_with('https://jupyterhealth.org/fhir/fhir-source/' || f.source_id, named.source))
               FROM unnest({below}) named(source)) IS NOT FALSE"
    )
}

/// What the audit tells of organizations: those whose studies allow what is shown, and those that the query names, refused
/// or not. An id that does not exist is not told.
pub(crate) const ORGANIZATIONS: &str = "ARRAY(SELECT unnest(organization_ids) FROM lane
            UNION SELECT id FROM organization WHERE id = $7 UNION SELECT organization_id FROM study WHERE id = $6)";

/// The same for lanes of permits. Where nothing is permitted of a patient whom the query names, those by which the reader reaches the
/// patient are told: a search for what nobody consented to is of theirs.
pub(crate) const PERMITTED_ORGANIZATIONS: &str = "ARRAY(SELECT unnest(organization_ids) FROM lane
            UNION SELECT id FROM organization WHERE id = $7 UNION SELECT organization_id FROM study WHERE id = $6
            UNION SELECT m.organization_id FROM unnest($3::int[]) AS n (id)
                    JOIN patient_organization p ON p.patient_id = n.id
                    JOIN organization_member m ON m.organization_id = p.organization_id AND m.practitioner_id = $2
                   WHERE $6::int IS NULL AND $7::int IS NULL AND (SELECT refused_by FROM verdict) IS NULL
                     AND NOT EXISTS (SELECT FROM lane l WHERE l.patient_id = n.id))";

/// The same of studies.
pub(crate) const STUDIES: &str = "ARRAY(SELECT unnest(study_ids) FROM lane UNION SELECT id FROM study WHERE id = $6)";
