//! Who has viewed a patient's data.

use crate::{COUNTED, Slice, Store, StoreError};
use audit::Context;
use authz::PatientId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_postgres::types::{Json, Type};

/// A study, an organization or a user, by id and name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Its id.
    pub id: i32,
    /// Its name.
    pub name: String,
}

/// One event of the audit that concerns a patient.
#[derive(Clone, Debug)]
pub struct AccessLogEntry {
    /// The event's number.
    pub id: i64,
    /// When.
    pub occurred_at: Timestamp,
    /// Who: id, e-mail and name of the user; none when nobody was authenticated, or it was another patient.
    pub actor: Option<(i32, String, String)>,
    /// What kind of user.
    pub actor_type: String,
    /// The role that was used.
    pub role: Option<String>,
    /// The app: its id and name.
    pub client: Option<(i32, String)>,
    /// For which studies.
    pub studies: Vec<Named>,
    /// Through which organizations.
    pub organizations: Vec<Named>,
    /// What was done.
    pub action: String,
    /// To what.
    pub resource_type: String,
    /// Which of the patient's observations were returned or written.
    pub observation_ids: Vec<i64>,
    /// `allowed`, `denied` or `failed`.
    pub outcome: String,
    /// The layer that refused.
    pub refused_by: Option<String>,
    /// True for a super admin's access.
    pub privileged: bool,
    /// Why, in the words of the actor who is named.
    pub reason: Option<String>,
}

/// A page of the log, newest first.
#[derive(Clone, Debug, Default)]
pub struct AccessLogPage {
    /// The events.
    pub rows: Vec<AccessLogEntry>,
    /// True when the next page is not empty.
    pub more: bool,
    /// How many there are, [`COUNTED`](crate::COUNTED) at most.
    pub total: i64,
}

/// Of a refusal, only the patient's own studies and organizations are named: whoever was refused could have named any.
/// An actor who is another patient (one who tried an id that is not theirs) is not named: patients do not learn who
/// other patients are.
const LOG: &str = "
WITH mine AS NOT MATERIALIZED (
  SELECT * FROM audit_event WHERE patient_ids @> ARRAY[$2::int]
), page AS MATERIALIZED (
  SELECT * FROM mine WHERE id < $3 ORDER BY id DESC LIMIT $4 + $5 + 1
), shown AS MATERIALIZED (
  SELECT * FROM page ORDER BY id DESC LIMIT $4 OFFSET $5
), total AS MATERIALIZED (
  SELECT count(*) AS n FROM (SELECT FROM mine LIMIT $6) c
)
SELECT a.event_id AS own_event, (SELECT count(*) FROM page) > $4 + $5 AS more, (SELECT n FROM total) AS total,
       e.id, e.occurred_at, e.actor_type, e.actor_role::text AS role, e.action, e.resource_type, e.outcome, e.refused_by, e.privileged,
       u.id AS user_id, u.email, concat_ws(' ', nullif(u.first_name, ''), nullif(u.last_name, '')) AS user_name,
       CASE WHEN u.id IS NOT NULL THEN e.reason END AS reason,
       c.id AS client_id, c.name AS client_name,
       coalesce((SELECT jsonb_agg(jsonb_build_object('id', s.id, 'name', s.name) ORDER BY s.id) FROM study s
                  WHERE s.id = ANY (e.study_ids)
                    AND (e.outcome = 'allowed' OR EXISTS (SELECT FROM study_patient x WHERE x.study_id = s.id AND x.patient_id = $2))), '[]') AS studies,
       coalesce((SELECT jsonb_agg(jsonb_build_object('id', o.id, 'name', o.name) ORDER BY o.id) FROM organization o
                  WHERE o.id = ANY (e.organization_ids)
                    AND (e.outcome = 'allowed' OR EXISTS (SELECT FROM patient_organization x WHERE x.organization_id = o.id AND x.patient_id = $2))), '[]') AS organizations,
       CASE WHEN cardinality(e.patient_ids) = 1 THEN e.observation_ids
            ELSE ARRAY(SELECT o.id FROM observation o WHERE o.id = ANY (e.observation_ids) AND o.patient_id = $2 ORDER BY o.id) END AS observation_ids
  FROM (SELECT audit_record($1, 'allowed', NULL, '{}', '{}', ARRAY[$2::int], '{}') AS event_id) a
  LEFT JOIN (shown e
             LEFT JOIN app_user u ON u.id = e.actor_user_id
                                 AND (e.actor_type <> 'patient' OR u.id = (SELECT p.user_id FROM patient p WHERE p.id = $2))
             LEFT JOIN oauth_client c ON c.id = e.client_id) ON true
 ORDER BY e.id DESC";

impl Store {
    /// A page of the events that concern a patient, newest first, with its own audit record, in one statement.
    pub async fn access_log(
        &self,
        context: &Context,
        patient: PatientId,
        slice: Slice,
    ) -> Result<AccessLogPage, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(LOG, &[Type::JSONB, Type::INT4, Type::INT8, Type::INT8, Type::INT8, Type::INT8])
            .await?;
        let rows = client
            .query(&statement, &[&Json(context), &patient.0, &slice.before(), &slice.count, &slice.skip, &COUNTED])
            .await?;
        let mut page = AccessLogPage::default();
        for row in &rows {
            page.more = row.try_get("more")?;
            page.total = row.try_get("total")?;
            let Some(id) = row.try_get("id")? else {
                continue;
            };
            let actor = match row.try_get::<_, Option<i32>>("user_id")? {
                Some(user) => Some((user, row.try_get("email")?, row.try_get("user_name")?)),
                None => None,
            };
            let client = match row.try_get::<_, Option<i32>>("client_id")? {
                Some(client) => Some((client, row.try_get("client_name")?)),
                None => None,
            };
            page.rows.push(AccessLogEntry {
                id,
                occurred_at: row.try_get("occurred_at")?,
                actor,
                actor_type: row.try_get("actor_type")?,
                role: row.try_get("role")?,
                client,
                studies: row.try_get::<_, Json<Vec<Named>>>("studies")?.0,
                organizations: row.try_get::<_, Json<Vec<Named>>>("organizations")?.0,
                action: row.try_get("action")?,
                resource_type: row.try_get("resource_type")?,
                observation_ids: row.try_get("observation_ids")?,
                outcome: row.try_get("outcome")?,
                refused_by: row.try_get("refused_by")?,
                privileged: row.try_get("privileged")?,
                reason: row.try_get("reason")?,
            });
        }
        Ok(page)
    }
}
