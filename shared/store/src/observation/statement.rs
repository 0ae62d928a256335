//! The statements of the search, put together from fixed parts once per process.
//!
//! A search walks lanes. A lane is a part of an index that is already in page order: one patient and one scope in
//! `observation`, or one study and one scope in `study_observation`. Each lane gives at most one page, the pages are
//! merged, and only then is content fetched: the cost depends on the number of lanes and the page size, not on the
//! size of the table nor on the depth of the page. A search for what FHIR Sources brought walks `source_observation`, which has
//! nothing else.
//!
//! Everything that varies is chosen from these constants by enums; nothing from a request is ever part of a text.

use super::{
    lanes::{
        ENROLLED, ENROLLED_WITH_SOURCES, FEED_LANES, NO_VERDICT, ORGANIZATIONS, PERMITTED_LANES,
        PERMITTED_ORGANIZATIONS, STUDIES, UNCONDITIONAL_LANES, VERDICT, WANTED, named, of_asked_sources,
    },
    query::{BroughtBy, Column, Order, PageSize},
};
use crate::asked::{asked, asked_and_counted};
use std::{borrow::Cow, collections::HashMap, sync::LazyLock};
use tokio_postgres::types::Type;

/// Where the rows come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A practitioner names patients: the lanes are what the permits allow.
    Permitted,
    /// A practitioner names only a study: the lanes are the study's feed, each row checked again.
    Feed,
    /// A patient, or a super admin naming patients or a study: no consent is asked.
    Unconditional,
    /// A super admin names nobody.
    Everything,
    /// A practitioner names ids or an identifier of observations.
    PermittedCandidates,
    /// Any other reader does, beside patients or a study.
    UnconditionalCandidates,
    /// A super admin names ids of observations, and nobody.
    AnyCandidates,
}

impl Source {
    const ALL: [Self; 7] = [
        Self::Permitted,
        Self::Feed,
        Self::Unconditional,
        Self::Everything,
        Self::PermittedCandidates,
        Self::UnconditionalCandidates,
        Self::AnyCandidates,
    ];
}

/// Whether a query bounds the effective time or the last update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Times {
    /// It does not.
    Any,
    /// It does.
    Bounded,
}

impl Times {
    const ALL: [Self; 2] = [Self::Any, Self::Bounded];
}

/// The types of the parameters, the same for every statement:
/// 1 audit context, 2 practitioner, 3 patients, 4 patient identifier's system, 5 its value, 6 study, 7 organization,
/// 8 code systems, 9 codes, 10 statuses, 11 ids, 12 identifier's system, 13 its value, 14 and 15 start, 16 and 17 end,
/// 18 and 19 last updated, 20 and 21 position, 22 count, 23 skip, 24 how far to count, 25 FHIR Sources, 26 their beginnings.
pub static PARAMETERS: [Type; 26] = [
    Type::JSONB,
    Type::INT4,
    Type::INT4_ARRAY,
    Type::TEXT,
    Type::TEXT,
    Type::INT4,
    Type::INT4,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::INT8_ARRAY,
    Type::TEXT,
    Type::TEXT,
    Type::TIMESTAMPTZ,
    Type::TIMESTAMPTZ,
    Type::TIMESTAMPTZ,
    Type::TIMESTAMPTZ,
    Type::TIMESTAMPTZ,
    Type::TIMESTAMPTZ,
    Type::TIMESTAMPTZ,
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
];

static PAGES: LazyLock<HashMap<(Source, Order, PageSize, Times), String>> = LazyLock::new(|| {
    let mut statements = HashMap::new();
    for source in Source::ALL {
        for order in Order::ALL {
            for size in PageSize::ALL {
                for times in Times::ALL {
                    statements
                        .insert((source, order, size, times), page(source, order, size, times, &BroughtBy::Anybody));
                }
            }
        }
    }
    statements
});

static COUNTS: LazyLock<HashMap<Source, String>> =
    LazyLock::new(|| Source::ALL.into_iter().map(|source| (source, count(source, &BroughtBy::Anybody))).collect());

/// The statement for a page. Those that ask who brought it are rare, and put together when they are needed.
pub fn page_statement(
    source: Source,
    order: Order,
    size: PageSize,
    times: Times,
    origin: &BroughtBy,
) -> Cow<'static, str> {
    match origin {
        BroughtBy::Anybody => PAGES.get(&(source, order, size, times)).map_or("", String::as_str).into(),
        BroughtBy::Nobody | BroughtBy::Sources { .. } => page(source, order, size, times, origin).into(),
    }
}

/// The statement for a count.
pub fn count_statement(source: Source, origin: &BroughtBy) -> Cow<'static, str> {
    match origin {
        BroughtBy::Anybody => COUNTS.get(&source).map_or("", String::as_str).into(),
        BroughtBy::Nobody | BroughtBy::Sources { .. } => count(source, origin).into(),
    }
}

/// The patients whom a query names.
const NAMED_PATIENTS: &str = "SELECT id FROM patient WHERE id = ANY ($3::int[])";

/// No lanes: only what the audit asks of them.
const NO_LANES: &str = "
lane AS MATERIALIZED (
  SELECT '{}'::int[] AS study_ids, '{}'::int[] AS organization_ids, NULL::member_role AS role WHERE false
)";

/// The observations that the ids or the identifier name, among the patients that the query names.
const CANDIDATES: &str = "
candidate AS MATERIALIZED (
  SELECT unnest($11::bigint[]) AS id WHERE $13::text IS NULL
  UNION
  SELECT i.observation_id FROM observation_identifier i
   WHERE i.patient_id IN (SELECT patient_id FROM named
                          UNION SELECT e.patient_id FROM study_patient e WHERE e.study_id = $6)
     AND i.value = $13 AND ($12::text IS NULL OR i.system = $12)
     AND (cardinality($11::bigint[]) = 0 OR i.observation_id = ANY ($11))
)";

/// The observations that the ids name.
const ANY_CANDIDATES: &str = "
candidate AS MATERIALIZED (SELECT DISTINCT unnest($11::bigint[]) AS id)";

/// What is asked of every row, as a table of one row. A bare parameter lets the planner see the values at hand. It then finds
/// less work for them than for unknown ones and plans each time, which in a large table costs more than the page; or it
/// expects a filter to let too few rows pass and sorts a whole lane. There is one good plan, the walk along the index.
const ASKED: &str = "
asked AS MATERIALIZED (
  SELECT $7::int AS organization_id, $10::text[] AS statuses, $14::timestamptz AS start_min, $15::timestamptz AS start_max,
         $16::timestamptz AS end_min, $17::timestamptz AS end_max, $18::timestamptz AS updated_min,
         $19::timestamptz AS updated_max, $20::timestamptz AS sorted_at, $21::bigint AS id,
         $25::text[] AS sources, $26::text[] AS below
)";

/// What is asked of every row besides its lane. `f` is the row.
const STATUS: &str =
    "(cardinality((SELECT statuses FROM asked)) = 0 OR f.status = ANY ((SELECT statuses FROM asked)::text[]))";

/// The bounds on the start of its effective time.
const STARTED: &str =
    "f.effective_start >= (SELECT start_min FROM asked) AND f.effective_start < (SELECT start_max FROM asked)";

/// The bounds on the end of it.
const ENDED: &str = "f.effective_end >= (SELECT end_min FROM asked) AND f.effective_end < (SELECT end_max FROM asked)";

/// The bounds on its last update.
const UPDATED: &str =
    "f.last_updated >= (SELECT updated_min FROM asked) AND f.last_updated < (SELECT updated_max FROM asked)";

/// The bounds on the times of a row, for rows that are wanted in an order, or in none to be counted. In an order only the
/// bounds on its own column may enter an index (`IS TRUE` keeps the others out): the planner cannot know how much they hold,
/// and would leave the order for them.
fn bounds(source: Source, times: Times, order: Option<Order>) -> String {
    let window = if has_lanes(source) { "AND f.effective_start >= l.earliest_start" } else { "" };
    match (times, order.map(Order::column)) {
        (Times::Any, _) => String::new(),
        (Times::Bounded, None) => format!("AND {STARTED} {window} AND {ENDED} AND {UPDATED}"),
        (Times::Bounded, Some(Column::EffectiveStart)) => {
            format!("AND {STARTED} {window} AND {ENDED} AND ({UPDATED}) IS TRUE")
        }
        (Times::Bounded, Some(Column::LastUpdated)) => format!("AND {UPDATED} AND ({STARTED}) IS TRUE AND {ENDED}"),
    }
}

/// The organization that its patient must belong to, where one is named.
const IN_ORGANIZATION: &str = "((SELECT organization_id FROM asked) IS NULL
             OR (SELECT true FROM patient_organization p
                  WHERE p.patient_id = f.patient_id AND p.organization_id = (SELECT organization_id FROM asked)))";

/// The consent of a row of the feed, asked again for each row: the feed itself decides nothing. It counts since the study asks
/// and since the patient is enrolled; who is not enrolled has no such time, and nothing is after none. Written as values and
/// not as EXISTS, which the planner may turn into a join of the whole lane.
const FEED_CONSENT: &str =
    "(SELECT c.may_search AND c.decided_at >= (SELECT greatest(l.requested_at, e.enrolled_at) FROM study_patient e
                                            WHERE e.study_id = f.study_id AND e.patient_id = f.patient_id)
           FROM consent_current c
          WHERE c.patient_id = f.patient_id AND c.study_id = f.study_id AND c.scope_id = f.scope_id)";

/// The consent of a candidate: some permit allows it.
const CANDIDATE_CONSENT: &str = "(f.patient_id, f.scope_id) IN (SELECT patient_id, scope_id FROM lane)";

/// The lanes with the earliest start of an observation that ends not before the window begins: earlier by as much as the longest of
/// the lane lasts. It bounds the index by start on the side where a window bounds only the ends. Those that last more than an
/// hour are indexed by how long.
fn windows(times: Times, table: &str, owner: &str) -> String {
    match times {
        Times::Any => String::new(),
        Times::Bounded => format!(
            ",
lane_window AS MATERIALIZED (
  SELECT l.*,
         a.end_min - make_interval(secs => coalesce(
           (SELECT max(extract(epoch FROM x.effective_end - x.effective_start)) FROM {table} x
             WHERE x.{owner} = l.{owner} AND x.scope_id = l.scope_id
               AND extract(epoch FROM x.effective_end - x.effective_start) > 3600), 3600)::float8) AS earliest_start
    FROM lane l CROSS JOIN asked a
)"
        ),
    }
}

/// What is asked of a row for who brought it.
fn brought(origin: &BroughtBy) -> String {
    match origin {
        BroughtBy::Anybody => String::new(),
        BroughtBy::Nobody => "AND f.source_id IS NULL".to_owned(),
        BroughtBy::Sources { .. } => {
            let asked = of_asked_sources("(SELECT sources FROM asked)", "(SELECT below FROM asked)");
            format!("AND f.source_id IS NOT NULL AND {asked}")
        }
    }
}

/// The table of the rows, and the name of their id in it.
fn table(source: Source, origin: &BroughtBy) -> (&'static str, &'static str) {
    let is_candidate =
        matches!(source, Source::PermittedCandidates | Source::UnconditionalCandidates | Source::AnyCandidates);
    match (source, origin) {
        (Source::Feed, _) => ("study_observation", "observation_id"),
        (_, BroughtBy::Sources { .. }) if !is_candidate => ("source_observation", "observation_id"),
        _ => ("observation", "id"),
    }
}

/// Whom a query of permits is about that names a study and no patient. There is no feed of what FHIR Sources brought.
const fn enrolled(origin: &BroughtBy) -> &'static str {
    match origin {
        BroughtBy::Sources { .. } => ENROLLED_WITH_SOURCES,
        BroughtBy::Anybody | BroughtBy::Nobody => "",
    }
}

/// The common table expressions before the page, and the body of a lane's rows without order and limit.
fn parts(source: Source, times: Times, order: Option<Order>, origin: &BroughtBy) -> (String, String) {
    let bounds = bounds(source, times, order);
    let brought = brought(origin);
    let (table, id) = table(source, origin);
    let columns = format!("f.{id} AS id, f.patient_id, f.last_updated, f.effective_start");
    match source {
        Source::Permitted | Source::Unconditional => (
            if source == Source::Permitted {
                [VERDICT, WANTED, &named(enrolled(origin)), PERMITTED_LANES].join(",")
            } else {
                [NO_VERDICT, WANTED, &named(""), UNCONDITIONAL_LANES].join(",")
            } + &windows(times, table, "patient_id"),
            format!(
                "SELECT {columns}
       FROM {table} f
      WHERE f.patient_id = l.patient_id AND f.scope_id = l.scope_id
        AND {STATUS} {bounds} {brought}"
            ),
        ),
        Source::Feed => (
            [VERDICT, WANTED, FEED_LANES].join(",") + &windows(times, table, "study_id"),
            format!(
                "SELECT {columns}
       FROM {table} f
      WHERE f.study_id = l.study_id AND f.scope_id = l.scope_id
        AND {STATUS} {bounds} {brought}
        AND {FEED_CONSENT}
        AND {IN_ORGANIZATION}"
            ),
        ),
        Source::Everything => (
            [NO_VERDICT, WANTED, NO_LANES].join(","),
            format!(
                "SELECT {columns}
       FROM {table} f
      WHERE f.scope_id IN (SELECT scope_id FROM wanted)
        AND {IN_ORGANIZATION}
        AND {STATUS} {bounds} {brought}"
            ),
        ),
        Source::AnyCandidates => (
            [NO_VERDICT, WANTED, NO_LANES, ANY_CANDIDATES].join(","),
            format!(
                "SELECT {columns}
       FROM candidate JOIN {table} f ON f.id = candidate.id
      WHERE f.scope_id IN (SELECT scope_id FROM wanted)
        AND {IN_ORGANIZATION}
        AND {STATUS} {bounds} {brought}"
            ),
        ),
        Source::PermittedCandidates | Source::UnconditionalCandidates => {
            let ctes = if source == Source::PermittedCandidates {
                [VERDICT, WANTED, &named(ENROLLED), PERMITTED_LANES, CANDIDATES].join(",")
            } else {
                [NO_VERDICT, WANTED, &named(""), UNCONDITIONAL_LANES, CANDIDATES].join(",")
            };
            (
                ctes,
                format!(
                    "SELECT {columns}
       FROM candidate JOIN {table} f ON f.id = candidate.id
      WHERE {CANDIDATE_CONSENT}
        AND {STATUS} {bounds} {brought}"
                ),
            )
        }
    }
}

/// The organizations of the record.
const fn organizations(source: Source) -> &'static str {
    match source {
        Source::Permitted | Source::PermittedCandidates => PERMITTED_ORGANIZATIONS,
        _ => ORGANIZATIONS,
    }
}

/// True when the rows of the source come lane by lane.
const fn has_lanes(source: Source) -> bool {
    matches!(source, Source::Permitted | Source::Unconditional | Source::Feed)
}

/// The rows of every lane, or of all at once, as `k`.
fn gathered(source: Source, times: Times, rows: &str) -> String {
    match (has_lanes(source), times) {
        (false, _) => format!("FROM ({rows}) k"),
        (true, Times::Any) => format!("FROM lane l CROSS JOIN LATERAL ({rows}) k"),
        (true, Times::Bounded) => format!("FROM lane_window l CROSS JOIN LATERAL ({rows}) k"),
    }
}

fn page(source: Source, order: Order, size: PageSize, times: Times, origin: &BroughtBy) -> String {
    let (ctes, rows) = parts(source, times, Some(order), origin);
    let column = order.column().name();
    let (direction, compare) = if order.is_descending() { ("DESC", "<") } else { ("ASC", ">") };
    let limit = size.limit();
    let (_, id) = table(source, origin);
    // A descending walk ends at the window's edge by the condition on the row; an ascending one is entered there.
    let position = if has_lanes(source) && times == Times::Bounded && order == Order::DateAsc {
        "greatest((SELECT sorted_at FROM asked), l.earliest_start)"
    } else {
        "(SELECT sorted_at FROM asked)"
    };
    let ordered = format!(
        "{rows}
        AND (f.{column}, f.{id}) {compare} ({position}, (SELECT id FROM asked))
      ORDER BY f.{column} {direction}, f.{id} {direction} LIMIT {limit}"
    );
    let gathered = gathered(source, times, &ordered);
    let noted = asked(NAMED_PATIENTS, "SELECT patient_id FROM shown");
    let organizations = organizations(source);
    format!(
        "WITH {ASKED},{ctes},
page AS MATERIALIZED (
  SELECT k.id, k.patient_id, k.{column} AS sorted_at {gathered}
   ORDER BY k.{column} {direction}, k.id {direction} LIMIT {limit}
),
shown AS MATERIALIZED (
  SELECT * FROM page ORDER BY sorted_at {direction}, id {direction} LIMIT $22 OFFSET $23
)
SELECT a.event_id, a.refused_by, (SELECT count(*) FROM page) > $22 + $23 AS more,
       o.id, o.version, o.last_updated, o.effective_start, o.content, o.payload, o.patient_id, o.source_id
  FROM (SELECT v.refused_by,
               audit_record($1 || {noted}, CASE WHEN v.refused_by IS NULL THEN 'allowed' ELSE 'denied' END, v.refused_by,
                            {organizations},
                            {STUDIES},
                            ARRAY(SELECT patient_id FROM shown UNION {NAMED_PATIENTS}),
                            ARRAY(SELECT id FROM shown),
                            (SELECT max(role) FROM lane)) AS event_id
          FROM verdict v) a
  LEFT JOIN (shown s JOIN observation o ON o.id = s.id) ON true
 ORDER BY o.{column} {direction}, o.id {direction}"
    )
}

fn count(source: Source, origin: &BroughtBy) -> String {
    let (ctes, rows) = parts(source, Times::Bounded, None, origin);
    let from = gathered(source, Times::Bounded, &rows);
    let noted = asked_and_counted(NAMED_PATIENTS, "counted");
    let organizations = organizations(source);
    format!(
        "WITH {ASKED},{ctes},
counted AS MATERIALIZED (
  SELECT k.patient_id, count(*) AS n FROM (SELECT k.patient_id {from} LIMIT $24) k GROUP BY k.patient_id
)
SELECT v.refused_by, (SELECT coalesce(sum(n), 0)::bigint FROM counted) AS total,
       audit_record($1 || {noted}, CASE WHEN v.refused_by IS NULL THEN 'allowed' ELSE 'denied' END, v.refused_by,
                    {organizations},
                    {STUDIES},
                    ARRAY(SELECT patient_id FROM counted UNION {NAMED_PATIENTS}),
                    '{{}}', (SELECT max(role) FROM lane)) AS event_id
  FROM verdict v"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_has_a_statement_and_skips_only_what_was_read_for_a_page_by_its_number() {
        for source in Source::ALL {
            for order in Order::ALL {
                for size in PageSize::ALL {
                    for times in Times::ALL {
                        let text = page_statement(source, order, size, times, &BroughtBy::Anybody);
                        assert!(text.contains("audit_record("), "{source:?}: a page without its audit");
                        assert_eq!(text.matches("OFFSET").count(), 1);
                        assert!(text.contains("LIMIT $22 OFFSET $23"));
                        assert!(text.contains(&format!("LIMIT {}", size.limit())));
                        assert_eq!(text.contains("start_min FROM"), times == Times::Bounded, "{source:?}: the times");
                    }
                }
            }
            assert!(count_statement(source, &BroughtBy::Anybody).contains("audit_record("));
        }
    }

    fn sources() -> BroughtBy {
        BroughtBy::Sources { is: Vec::new(), below: Vec::new() }
    }

    #[test]
    fn what_a_practitioner_gets_always_passes_the_consent() {
        for origin in [BroughtBy::Anybody, BroughtBy::Nobody, sources()] {
            let text = |source| page_statement(source, Order::DateAsc, PageSize::Small, Times::Any, &origin);
            for source in [Source::Permitted, Source::PermittedCandidates] {
                assert!(text(source).contains("practitioner_permit"), "{origin:?}");
            }
            assert!(text(Source::Feed).contains("consent_current"), "{origin:?}");
        }
    }

    #[test]
    fn an_origin_is_asked_of_every_row_and_what_sources_brought_has_a_path_of_its_own() {
        for source in Source::ALL {
            let text =
                |origin| page_statement(source, Order::LastUpdatedDesc, PageSize::Small, Times::Bounded, &origin);
            assert!(text(BroughtBy::Nobody).contains("source_id IS NULL"), "{source:?}");
            assert!(text(sources()).contains("sources FROM asked"), "{source:?}");
            assert!(!text(BroughtBy::Anybody).contains("source_observation"), "{source:?}");
            assert!(count_statement(source, &sources()).contains("sources FROM asked"), "{source:?}");
        }
        assert!(
            page_statement(Source::Permitted, Order::DateAsc, PageSize::Small, Times::Any, &sources())
                .contains("FROM source_observation f")
        );
    }
}
