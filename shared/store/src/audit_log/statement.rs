//! The statement that reads the audit: the same for everybody, but for whose events they are and what of them is shown.

use super::{AuditFilter, AuditScope, AuditSlice, LoggedBy, LoggedOutcome};
use authz::UserId;
use tokio_postgres::types::{ToSql, Type};

/// The values of every such statement: 1 audit context, 2 who asks, 3 organization, 4 the least role, 5 count, 6 skip, 7 how far to
/// count, 8 organizations and 9 patients that the record of the reading names.
const FIXED: usize = 9;

/// So many events are held at once, at most.
const AT_ONCE: i64 = 1_000;

/// What of an event one may know.
struct View {
    /// The organizations whose events these are, if they are of organizations.
    domain: &'static str,
    /// Whether anything may be shown.
    is_allowed: &'static str,
    /// Which events.
    within: &'static str,
    /// Whether the actor is named.
    actor: &'static str,
    /// Whether the patient of `y` is, where that is a question of organizations.
    patient: Option<&'static str>,
    /// Whether the study `s` is.
    study: &'static str,
    /// Whether the organization `o` is.
    organization: &'static str,
    /// The patients.
    patients: &'static str,
    /// Whether the patient `p`, whom the search names, is one whose events the reader may look for. Only these are in the record of the
    /// reading: nobody gets into the log of somebody else's patient by asking.
    named: &'static str,
    /// Of which organizations the record of the reading is, besides those that the search names. `d` is one of the domain.
    recorded: &'static str,
    /// The observations, where not all patients are shown; and the kinds.
    observations: &'static str,
    /// What came of it for the patient who asks: how much was counted, and whether anything was found.
    found: &'static str,
    /// From where.
    source: &'static str,
    /// Whether what the actor said of the reason is shown: it may name whom the event is of.
    reason: &'static str,
    /// Whether what is for super admins is shown.
    is_whole: &'static str,
}

/// Only the patient's own studies and organizations are named, those of before too: one request can be for several patients, and
/// whoever was refused could have named any.
/// An actor who is another patient (one who tried an id that is not theirs) is not named: patients do not learn who
/// other patients are.
const OWN: View = View {
    domain: "SELECT NULL::int AS id WHERE false",
    is_allowed: "true",
    within: "e.patient_ids @> ARRAY[$2::int]",
    actor: "(e.actor_type <> 'patient' OR e.actor_user_id = (SELECT p.user_id FROM patient p WHERE p.id = $2))",
    patient: None,
    study: "(EXISTS (SELECT FROM study_patient x WHERE x.study_id = s.id AND x.patient_id = $2)
             OR EXISTS (SELECT FROM consent_event x WHERE x.study_id = s.id AND x.patient_id = $2))",
    organization: "(EXISTS (SELECT FROM patient_organization_ever x WHERE x.organization_id = o.id AND x.patient_id = $2)
                    OR EXISTS (SELECT FROM consent_event x JOIN study y ON y.id = x.study_id
                                WHERE y.organization_id = o.id AND x.patient_id = $2))",
    patients: "ARRAY[$2::int]",
    named: "true",
    recorded: "false",
    observations: "
SELECT coalesce(array_agg(o.id ORDER BY o.id), '{}') AS ids, coalesce(array_agg(DISTINCT k.text ORDER BY k.text), '{}') AS kinds
  FROM observation o JOIN scope k ON k.id = o.scope_id WHERE o.id = ANY (e.observation_ids) AND o.patient_id = $2",
    found: "(e.detail->'counted'->>($2::text))::bigint AS counted, (e.detail->'asked' @> to_jsonb($2::int)) IS NOT TRUE AS is_found",
    source: "NULL::text",
    reason: "cardinality(e.patient_ids) = 1",
    is_whole: "false",
};

/// Of an event that is of other organizations too, nothing of these is shown: neither they, nor their studies, nor who their
/// patients are, nor observations of shared patients that no study here was ever granted. Who was a patient of the organization at
/// the time stays named after leaving it.
const DOMAIN: View = View {
    domain: "",
    is_allowed: "EXISTS (SELECT FROM domain)",
    within: "",
    actor: "(e.actor_type <> 'patient'
             OR EXISTS (SELECT FROM patient x JOIN patient_organization_ever y ON y.patient_id = x.id
                         WHERE x.user_id = e.actor_user_id AND e.occurred_at <= y.until AND y.organization_id IN (SELECT d.id FROM domain d)))",
    patient: Some("e.occurred_at <= y.until AND y.organization_id IN (SELECT d.id FROM domain d)"),
    study: "s.organization_id IN (SELECT d.id FROM domain d)",
    organization: "o.id IN (SELECT d.id FROM domain d)",
    patients: "ARRAY(SELECT DISTINCT y.patient_id FROM patient_organization_ever y
                      WHERE y.patient_id = ANY (e.patient_ids) AND e.occurred_at <= y.until
                        AND y.organization_id IN (SELECT d.id FROM domain d) ORDER BY 1)",
    named: "EXISTS (SELECT FROM patient_organization_ever y WHERE y.patient_id = p.id AND y.organization_id IN (SELECT d.id FROM domain d))",
    recorded: "false",
    observations: "
SELECT CASE WHEN e.organization_ids <@ ARRAY(SELECT d.id FROM domain d) THEN e.observation_ids
            ELSE ARRAY(SELECT o.id FROM observation o
                        WHERE o.id = ANY (e.observation_ids) AND o.patient_id = ANY (v.patient_ids)
                          AND EXISTS (SELECT FROM consent_event x JOIN study y ON y.id = x.study_id
                                       WHERE x.patient_id = o.patient_id AND x.scope_id = o.scope_id AND x.decision = 'granted'
                                         AND y.organization_id IN (SELECT d.id FROM domain d))
                        ORDER BY o.id)
            END AS ids, '{}'::text[] AS kinds",
    found: "NULL::bigint AS counted, true AS is_found",
    source: "CASE WHEN e.actor_type <> 'patient' THEN e.source_address END",
    reason: "e.organization_ids <@ ARRAY(SELECT d.id FROM domain d)",
    is_whole: "false",
};

const ORGANIZATION: View = View {
    domain: "SELECT m.organization_id AS id FROM organization_member m
              WHERE m.practitioner_id = $2 AND m.organization_id = $3 AND m.role >= $4::member_role
             UNION ALL SELECT o.id FROM organization o WHERE o.id = $3 AND $2 IS NULL",
    within: "true",
    ..DOMAIN
};

const MANAGED: View = View {
    domain: "SELECT m.organization_id AS id FROM organization_member m WHERE m.practitioner_id = $2 AND m.role >= $4::member_role",
    within: "e.organization_ids && ARRAY(SELECT d.id FROM domain d)",
    recorded: "EXISTS (SELECT FROM patient_organization_ever y WHERE y.patient_id = ANY (p.patients) AND y.organization_id = d.id)
                OR EXISTS (SELECT FROM shown s WHERE d.id = ANY (s.organization_ids))",
    ..DOMAIN
};

const EVERYTHING: View = View {
    domain: OWN.domain,
    is_allowed: "true",
    within: "true",
    actor: "true",
    patient: None,
    study: "true",
    organization: "true",
    patients: "e.patient_ids",
    named: "true",
    recorded: "false",
    observations: "SELECT e.observation_ids AS ids, '{}'::text[] AS kinds",
    found: DOMAIN.found,
    source: "e.source_address",
    reason: "true",
    is_whole: "true",
};

/// The actor's role in the organizations `o` that are named. Where the roles are not the same in all organizations of the event,
/// `detail` has each.
fn role(organization: &str) -> String {
    format!(
        "CASE WHEN e.detail ? 'roles'
              THEN (SELECT max((e.detail->'roles'->>(o.id::text))::member_role) FROM organization o
                     WHERE o.id = ANY (e.organization_ids) AND {organization})
              ELSE e.actor_role END"
    )
}

/// The organizations of the event in which the actor had a role.
const ACTED_IN: &str = "ARRAY(SELECT o.id FROM unnest(e.organization_ids) AS o (id)
              WHERE e.actor_role IS NOT NULL AND (e.detail->'roles' IS NULL OR e.detail->'roles' ? o.id::text))";

/// When the reading is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recorded {
    /// Also when nothing was found.
    Always,
    /// When something was.
    IfFound,
}

/// A statement and the values beyond the fixed ones.
pub(super) struct Statement {
    text: String,
    values: Vec<(Box<dyn ToSql + Sync + Send>, Type)>,
}

impl Statement {
    /// The statement of a page.
    pub(super) fn new(scope: AuditScope, filter: &AuditFilter, slice: AuditSlice, recorded: Recorded) -> Self {
        let view = match scope {
            AuditScope::Own(_) => &OWN,
            AuditScope::Organization { .. } => &ORGANIZATION,
            AuditScope::Managed(_) => &MANAGED,
            AuditScope::Everything => &EVERYTHING,
        };
        let mut statement = Self { text: String::new(), values: Vec::new() };
        let organization = statement.organization(scope, filter);
        let matching = statement.matching(view, filter);
        let from_here = match slice.after {
            None => "true".to_owned(),
            Some((at, id)) => {
                let (at, id) = (statement.bind(at, Type::TIMESTAMPTZ), statement.bind(id, Type::INT8));
                // The first comparison alone says which parts of the audit need not be read.
                format!("e.occurred_at <= {at} AND (e.occurred_at, e.id) < ({at}, {id})")
            }
        };
        let candidates =
            |condition: &str, order: &str, limit: &str| candidates(organization.as_deref(), condition, order, limit);
        // The first page is among what is counted: it is found once, and planned once for all parts of the audit.
        let is_counted_too = slice.after.is_none() && (1..=AT_ONCE).contains(&slice.counted);
        let parts = Parts {
            page: candidates(
                &format!("{matching} AND {from_here}"),
                "ORDER BY e.occurred_at DESC, e.id DESC",
                if is_counted_too { "greatest($5 + $6 + 1, $7)" } else { "$5 + $6 + 1" },
            ),
            total: if is_counted_too {
                "SELECT least(count(*), $7) FROM page".to_owned()
            } else if slice.counted > 0 {
                format!("SELECT count(*) FROM ({}) c", candidates(&matching, "", "$7"))
            } else {
                "0".to_owned()
            },
            is_recorded: match recorded {
                Recorded::Always => "g.is_allowed",
                Recorded::IfFound => "EXISTS (SELECT FROM page)",
            },
        };
        statement.text = text(view, &parts);
        statement
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn values(&self) -> impl Iterator<Item = (&(dyn ToSql + Sync), Type)> {
        self.values.iter().map(|(value, kind)| (&**value as &(dyn ToSql + Sync), kind.clone()))
    }

    /// One more value: its place in the statement.
    fn bind(&mut self, value: impl ToSql + Sync + Send + 'static, kind: Type) -> String {
        self.values.push((Box::new(value), kind));
        format!("${}", FIXED + self.values.len())
    }

    /// The organization whose events are all that is searched.
    fn organization(&mut self, scope: AuditScope, filter: &AuditFilter) -> Option<String> {
        match (scope, filter.organization) {
            (AuditScope::Organization { .. }, _) => Some("$3".to_owned()),
            (AuditScope::Everything, Some(id)) => Some(self.bind(id, Type::INT4)),
            _ => None,
        }
    }

    /// The condition of who did it: of those that are named.
    fn by(&mut self, view: &View, by: LoggedBy) -> String {
        let View { actor, .. } = view;
        let (LoggedBy::User(id) | LoggedBy::Practitioner(id) | LoggedBy::Patient(id)) = by;
        let id = self.bind(id, Type::INT4);
        let account = match by {
            LoggedBy::User(_) => id,
            LoggedBy::Practitioner(_) => format!("(SELECT p.user_id FROM practitioner p WHERE p.id = {id})"),
            LoggedBy::Patient(_) => format!("(SELECT p.user_id FROM patient p WHERE p.id = {id})"),
        };
        format!("e.actor_user_id = {account} AND {actor}")
    }

    /// The condition of a filter.
    fn matching(&mut self, view: &View, filter: &AuditFilter) -> String {
        let mut all = vec![view.within.to_owned()];
        if !filter.ids.is_empty() {
            all.push(format!("e.id = ANY ({})", self.bind(filter.ids.clone(), Type::INT8_ARRAY)));
        }
        all.extend(filter.by.map(|by| self.by(view, by)));
        if let Some(UserId(id)) = filter.by_others_than {
            all.push(format!("e.actor_user_id IS DISTINCT FROM {}", self.bind(id, Type::INT4)));
        }
        if !filter.patients.is_empty() {
            let ids = self.bind(filter.patients.clone(), Type::INT4_ARRAY);
            all.push(format!("e.patient_ids && {ids}"));
            all.extend(view.patient.map(|shown| {
                format!(
                    "EXISTS (SELECT FROM patient_organization_ever y WHERE y.patient_id = ANY ({ids}) AND y.patient_id = ANY (e.patient_ids) AND {shown})"
                )
            }));
        }
        if let Some(id) = filter.study {
            let (id, View { study, .. }) = (self.bind(id, Type::INT4), view);
            all.push(format!(
                "e.study_ids @> ARRAY[{id}] AND EXISTS (SELECT FROM study s WHERE s.id = {id} AND {study})"
            ));
        }
        if let Some(id) = filter.organization {
            let (id, View { organization, .. }) = (self.bind(id, Type::INT4), view);
            all.push(format!("e.organization_ids @> ARRAY[{id}] AND EXISTS (SELECT FROM organization o WHERE o.id = {id} AND {organization})"));
        }
        if let Some(id) = filter.subject {
            all.push(format!("e.subject_user_id = {}", self.bind(id, Type::INT4)));
        }
        if let Some(address) = &filter.address {
            all.push(format!("e.source_address = {}", self.bind(address.clone(), Type::TEXT)));
        }
        if let Some(id) = filter.finding {
            let id = self.bind(id, Type::INT4);
            all.push(format!(
                "e.id = ANY (ARRAY(SELECT unnest(f.event_ids) FROM security_finding f WHERE f.id = {id}))"
            ));
        }
        if !filter.actions.is_empty() {
            all.push(format!("e.action = ANY ({})", self.bind(filter.actions.clone(), Type::TEXT_ARRAY)));
        }
        all.extend(filter.outcome.map(|outcome| ended(outcome).to_owned()));
        all.extend(filter.privileged.map(|is| if is { "e.privileged" } else { "NOT e.privileged" }.to_owned()));
        for (comparison, at) in [(">=", filter.from), ("<", filter.to)] {
            if let Some(at) = at {
                all.push(format!("e.occurred_at {comparison} {}", self.bind(at, Type::TIMESTAMPTZ)));
            }
        }
        all.join(" AND ")
    }
}

/// The first events by a condition. Those of an organization are found by the index of the first organization of each event; the
/// few others, which have it as another one, are all looked at, so that no guess of how many there are can lead astray.
fn candidates(organization: Option<&str>, matching: &str, order: &str, limit: &str) -> String {
    match organization {
        None => format!("SELECT e.* FROM audit_event e WHERE {matching} {order} LIMIT {limit}"),
        Some(one) => format!(
            "SELECT e.* FROM (
  (SELECT e.* FROM audit_event e WHERE e.organization_ids[1] = {one} AND {matching} {order} LIMIT {limit})
  UNION ALL
  SELECT e.* FROM audit_event e
   WHERE cardinality(e.organization_ids) > 1 AND e.organization_ids[1] <> {one} AND e.organization_ids @> ARRAY[{one}] AND {matching}
) e {order} LIMIT {limit}"
        ),
    }
}

/// How an event ended. What the partial index is of is said in its own words.
const fn ended(outcome: LoggedOutcome) -> &'static str {
    match outcome {
        LoggedOutcome::Allowed => "e.outcome = 'allowed'",
        LoggedOutcome::Denied => "e.outcome = 'denied' AND e.outcome <> 'allowed'",
        LoggedOutcome::Failed => "e.outcome = 'failed' AND e.outcome <> 'allowed'",
        LoggedOutcome::NotAllowed => "e.outcome <> 'allowed'",
    }
}

/// What of the statement differs from call to call.
struct Parts {
    /// The events of the page, and one more.
    page: String,
    /// How many there are.
    total: String,
    /// Whether the reading is recorded.
    is_recorded: &'static str,
}

/// The whole statement. It has at least one row, so that the total of an empty page is told.
fn text(view: &View, Parts { page, total, is_recorded }: &Parts) -> String {
    let View {
        domain,
        is_allowed,
        actor,
        study,
        organization,
        patients,
        named,
        recorded,
        observations,
        found,
        source,
        reason,
        is_whole,
        ..
    } = view;
    let role = role(organization);
    format!(
        "
WITH domain AS MATERIALIZED ({domain}
), gate AS MATERIALIZED (
  SELECT {is_allowed} AS is_allowed, (SELECT m.role FROM organization_member m WHERE m.practitioner_id = $2 AND m.organization_id = $3) AS own_role
), page AS MATERIALIZED (
  SELECT x.* FROM gate g CROSS JOIN LATERAL ({page}) x WHERE g.is_allowed
), shown AS MATERIALIZED (
  SELECT e.*, {patients} AS shown_patients, CASE WHEN {actor} THEN e.actor_user_id END AS shown_actor
    FROM (SELECT * FROM page ORDER BY occurred_at DESC, id DESC LIMIT $5 OFFSET $6) e
), people AS MATERIALIZED (
  SELECT ARRAY(SELECT p.id FROM patient p WHERE p.id = ANY ($9) AND {named} UNION SELECT unnest(s.shown_patients) FROM shown s ORDER BY 1) AS patients,
         coalesce((SELECT jsonb_agg(DISTINCT s.shown_actor) FROM shown s WHERE s.shown_actor IS NOT NULL), '[]') AS users,
         -- The numbers as they were sent, whether anybody has them or not.
         (SELECT jsonb_agg(n.id ORDER BY n.id) FROM unnest($9) AS n (id)
           WHERE NOT EXISTS (SELECT FROM patient p WHERE p.id = n.id AND {named})) AS others,
         -- A patient's own log is read whether there is anything in it or not; and a count tells of all.
         (SELECT jsonb_agg(p.id ORDER BY p.id) FROM patient p
           WHERE p.id = ANY ($9) AND {named} AND $5 > 0
             AND NOT EXISTS (SELECT FROM shown s WHERE p.id = ANY (s.shown_patients))) AS asked
), total AS MATERIALIZED (
  SELECT (CASE WHEN g.is_allowed THEN ({total}) END)::int8 AS n FROM gate g
)
SELECT a.is_allowed, a.own_role::text AS own_role, a.event_id, (SELECT count(*) FROM page) > $5 + $6 AS more, coalesce((SELECT n FROM total), 0) AS total,
       e.id, e.occurred_at, e.request_id, e.actor_type, ({role})::text AS role, {ACTED_IN} AS acted_in, e.action, e.resource_type, e.outcome, e.refused_by, e.privileged,
       CASE WHEN {is_whole} THEN e.session END AS session, CASE WHEN {is_whole} THEN e.subject_user_id END AS subject_user_id,
       CASE WHEN {is_whole} THEN e.detail END AS detail, {source} AS source_address,
       CASE WHEN e.on_behalf_of = ANY (v.patient_ids) THEN e.on_behalf_of END AS on_behalf_of,
       u.id AS user_id, u.email, concat_ws(' ', nullif(u.first_name, ''), nullif(u.last_name, '')) AS user_name,
       (SELECT p.id FROM practitioner p WHERE p.user_id = u.id) AS practitioner_id, (SELECT p.id FROM patient p WHERE p.user_id = u.id) AS patient_id,
       CASE WHEN {is_whole} OR u.id IS NOT NULL AND {reason} THEN coalesce(e.reason, reason_of(e.id, e.occurred_at)) END AS reason,
       c.id AS client_id, c.name AS client_name, v.patient_ids, w.ids AS observation_ids, w.kinds, {found},
       coalesce((SELECT jsonb_agg(jsonb_build_object('id', s.id, 'name', s.name) ORDER BY s.id) FROM study s
                  WHERE s.id = ANY (e.study_ids) AND {study}), '[]') AS studies,
       coalesce((SELECT jsonb_agg(jsonb_build_object('id', o.id, 'name', o.name) ORDER BY o.id) FROM organization o
                  WHERE o.id = ANY (e.organization_ids) AND {organization}), '[]') AS organizations
  FROM (SELECT g.*, CASE WHEN {is_recorded}
                         THEN audit_record($1 || jsonb_build_object('detail', jsonb_strip_nulls(jsonb_build_object('users', p.users, 'others', p.others, 'asked', p.asked))), 'allowed', NULL,
                                           ARRAY(SELECT o.id FROM organization o WHERE o.id = ANY ($8)
                                                  UNION SELECT d.id FROM domain d WHERE {recorded} ORDER BY 1), '{{}}', p.patients, '{{}}',
                                           (SELECT max(m.role) FROM organization_member m WHERE m.practitioner_id = $2
                                               AND m.organization_id IN (SELECT d.id FROM domain d))) END AS event_id
          FROM gate g CROSS JOIN people p) a
  LEFT JOIN (shown e
             CROSS JOIN LATERAL (SELECT e.shown_patients AS patient_ids) v
             CROSS JOIN LATERAL ({observations}) w
             -- Who is to be erased has no name any more.
             LEFT JOIN app_user u ON u.id = e.shown_actor AND NOT EXISTS (SELECT FROM erasure r WHERE r.user_id = u.id)
             LEFT JOIN oauth_client c ON c.id = e.client_id) ON true
 ORDER BY e.occurred_at DESC, e.id DESC"
    )
}
