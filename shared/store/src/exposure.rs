//! Who was affected by an incident: what the audit says was shown of each patient between two times.

use crate::{AccountName, Named, Store, StoreError};
use audit::Context;
use jiff::Timestamp;
use serde_json::json;
use tokio_postgres::{
    Row,
    types::{Json, Type},
};

/// What is asked.
#[derive(Clone, Debug)]
pub struct ExposureQuery {
    /// From this time on.
    pub from: Timestamp,
    /// Until before this time.
    pub to: Timestamp,
    /// To this account.
    pub user: Option<AccountName>,
    /// To this client, by its `client_id` or its number.
    pub client: Option<String>,
    /// Of patients of this organization.
    pub organization: Option<i32>,
    /// Of this patient.
    pub patient: Option<i32>,
    /// Whether patients are to be told: with their names, addresses and the kinds of data.
    pub contacts: bool,
}

/// What one event showed of one patient.
#[derive(Clone, Debug)]
pub struct Exposure {
    /// Whose data.
    pub patient: i32,
    /// The event of the audit.
    pub event: i64,
    /// When.
    pub at: Timestamp,
    /// The request.
    pub request: String,
    /// To whom; none when nobody was authenticated.
    pub user: Option<i32>,
    /// To what kind of user.
    pub user_type: String,
    /// By which client.
    pub client: Option<i32>,
    /// `read`, `search` or `update`: an update answers with the whole.
    pub action: String,
    /// Of what.
    pub resource_type: String,
    /// Of which organizations the patient is: of the event's, or of all where the event names none of the patient's.
    pub organizations: Vec<i32>,
    /// Which of the patient's observations.
    pub observations: Vec<i64>,
    /// How many resources were counted, of which none was shown.
    pub counted: Option<i64>,
    /// Whom to tell, and what kinds of data these observations are; none when that was not asked.
    pub contact: Option<ExposureContact>,
}

/// Whom to tell.
#[derive(Clone, Debug)]
pub struct ExposureContact {
    /// The patient's name.
    pub name: String,
    /// The patient's e-mail address.
    pub email: String,
    /// What kinds of data the observations are.
    pub kinds: Vec<String>,
}

/// How many rows are in memory at a time.
const BATCH: i32 = 500;

/// 1 account, 2 its e-mail, 3 client.
const RESOLVE: &str = "
SELECT (SELECT id FROM app_user WHERE id = $1 OR lower(email) = lower($2)) AS account,
       (SELECT id FROM oauth_client WHERE client_id = $3 OR id::text = $3 ORDER BY client_id = $3 DESC LIMIT 1) AS client";

/// 1 from, 2 to, 3 account, 4 client, 5 organization, 6 patient, 7 whether with contacts. An update is among them since its
/// answer is the whole record; what was created was known to who created it. Of whom a search found nothing, nothing was shown.
///
/// The organizations are the patient's own at the time, and those that the ledger has. Of these the ones through which it
/// was shown are meant; where the event names none of them (a super admin needs none), all are. An event of one organization that
/// nobody was privileged for is of its patients.
const EXPOSED: &str = "
SELECT x.patient, e.id, e.occurred_at, e.request_id, e.actor_user_id, e.actor_type, e.client_id, e.action, e.resource_type,
       own.ids AS organization_ids,
       ARRAY(SELECT o.id FROM observation o WHERE o.id = ANY (e.observation_ids) AND o.patient_id = x.patient ORDER BY o.id) AS observations,
       (e.detail->'counted'->>x.patient::text)::bigint AS counted,
       CASE WHEN $7 THEN concat_ws(' ', p.name_given, p.name_family) END AS name,
       CASE WHEN $7 THEN coalesce(p.telecom_email, '') END AS email,
       CASE WHEN $7 THEN ARRAY(SELECT DISTINCT s.text FROM observation o JOIN scope s ON s.id = o.scope_id
                                WHERE o.id = ANY (e.observation_ids) AND o.patient_id = x.patient ORDER BY s.text) END AS kinds
  FROM audit_event e CROSS JOIN LATERAL unnest(e.patient_ids) AS x (patient) LEFT JOIN patient p ON $7 AND p.id = x.patient
 CROSS JOIN LATERAL (
   SELECT ARRAY(SELECT y.organization_id FROM patient_organization_ever y WHERE y.patient_id = x.patient AND e.occurred_at <= y.until
                 UNION SELECT s.organization_id FROM consent_event c JOIN study s ON s.id = c.study_id WHERE c.patient_id = x.patient
                 UNION SELECT e.organization_ids[1] WHERE cardinality(e.organization_ids) = 1 AND NOT e.privileged
                 ORDER BY 1) AS ids) every_one
 CROSS JOIN LATERAL (
   SELECT CASE WHEN every_one.ids && e.organization_ids
               THEN ARRAY(SELECT o.id FROM unnest(every_one.ids) AS o (id) WHERE o.id = ANY (e.organization_ids) ORDER BY o.id)
               ELSE every_one.ids END AS ids) own
 WHERE e.occurred_at >= $1 AND e.occurred_at < $2 AND e.outcome = 'allowed' AND e.action IN ('read', 'search', 'update')
   AND (e.detail->'asked' @> to_jsonb(x.patient)) IS NOT TRUE
   AND ($3::int IS NULL OR e.actor_user_id = $3) AND ($4::int IS NULL OR e.client_id = $4)
   AND ($5::int IS NULL OR own.ids @> ARRAY[$5])
   AND ($6::int IS NULL OR e.patient_ids @> ARRAY[$6] AND x.patient = $6)
 ORDER BY x.patient, e.occurred_at, e.id";

impl Store {
    /// Calls `each` with what was shown of each patient, by patient and time. That it was asked is on record before anything is
    /// given out. The rows are fetched some at a time, however many there are. False: there is no such account or client.
    pub async fn exposures<E: From<StoreError>>(
        &self,
        context: &Context,
        query: &ExposureQuery,
        mut each: impl FnMut(Exposure) -> Result<(), E>,
    ) -> Result<bool, E> {
        let Some((user, client)) = self.resolved(query).await? else { return Ok(false) };
        self.record_question(context, query, user, client).await?;
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await.map_err(StoreError::from)?;
        // It is asked once in a long while, by an operator, and may have years to look through.
        transaction.batch_execute("SET LOCAL statement_timeout = '30min'").await.map_err(StoreError::from)?;
        let types = [Type::TIMESTAMPTZ, Type::TIMESTAMPTZ, Type::INT4, Type::INT4, Type::INT4, Type::INT4, Type::BOOL];
        let statement = transaction.prepare_typed(EXPOSED, &types).await.map_err(StoreError::from)?;
        let portal = transaction
            .bind(
                &statement,
                &[&query.from, &query.to, &user, &client, &query.organization, &query.patient, &query.contacts],
            )
            .await
            .map_err(StoreError::from)?;
        loop {
            let rows = transaction.query_portal(&portal, BATCH).await.map_err(StoreError::from)?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                each(exposure(row)?)?;
            }
        }
        drop(portal);
        transaction.commit().await.map_err(StoreError::from)?;
        Ok(true)
    }

    /// The names of organizations.
    pub async fn names_of_organizations(&self, ids: &[i32]) -> Result<Vec<Named>, StoreError> {
        let connection = self.connection().await?;
        let statement = connection
            .prepare_typed("SELECT id, name FROM organization WHERE id = ANY ($1) ORDER BY id", &[Type::INT4_ARRAY])
            .await?;
        let rows = connection.query(&statement, &[&ids]).await?;
        rows.iter().map(|row| Ok(Named { id: row.try_get("id")?, name: row.try_get("name")? })).collect()
    }

    /// The account and the client that are named. None: one of them is not there.
    async fn resolved(&self, query: &ExposureQuery) -> Result<Option<(Option<i32>, Option<i32>)>, StoreError> {
        let (id, email) = match &query.user {
            None => (None, None),
            Some(AccountName::Id(id)) => (Some(*id), None),
            Some(AccountName::Email(email)) => (None, Some(email)),
        };
        let connection = self.connection().await?;
        let statement = connection.prepare_typed(RESOLVE, &[Type::INT4, Type::TEXT, Type::TEXT]).await?;
        let row = connection.query_one(&statement, &[&id, &email, &query.client]).await?;
        let (user, client): (Option<i32>, Option<i32>) = (row.try_get("account")?, row.try_get("client")?);
        let is_there = user.is_some() == query.user.is_some() && client.is_some() == query.client.is_some();
        Ok(is_there.then_some((user, client)))
    }

    /// Records what was asked. It says who was shown as well as a list of them would: what the audit has does not change.
    async fn record_question(
        &self,
        context: &Context,
        query: &ExposureQuery,
        user: Option<i32>,
        client: Option<i32>,
    ) -> Result<(), StoreError> {
        let organizations: Vec<i32> = query.organization.into_iter().collect();
        let patients: Vec<i32> = query.patient.into_iter().collect();
        let detail = json!({ "detail": {
            "from": query.from, "to": query.to, "user": user, "client": client, "contacts": query.contacts } });
        let connection = self.connection().await?;
        let statement = connection
            .prepare_typed(
                "SELECT audit_record($1 || $2, 'allowed', NULL, $3, '{}', $4, '{}')",
                &[Type::JSONB, Type::JSONB, Type::INT4_ARRAY, Type::INT4_ARRAY],
            )
            .await?;
        connection.query_one(&statement, &[&Json(context), &Json(&detail), &organizations, &patients]).await?;
        Ok(())
    }
}

fn exposure(row: &Row) -> Result<Exposure, StoreError> {
    let name: Option<String> = row.try_get("name")?;
    let contact = name
        .map(|name| {
            Ok::<_, StoreError>(ExposureContact { name, email: row.try_get("email")?, kinds: row.try_get("kinds")? })
        })
        .transpose()?;
    Ok(Exposure {
        patient: row.try_get("patient")?,
        event: row.try_get("id")?,
        at: row.try_get("occurred_at")?,
        request: row.try_get("request_id")?,
        user: row.try_get("actor_user_id")?,
        user_type: row.try_get("actor_type")?,
        client: row.try_get("client_id")?,
        action: row.try_get("action")?,
        resource_type: row.try_get("resource_type")?,
        organizations: row.try_get("organization_ids")?,
        observations: row.try_get("observations")?,
        counted: row.try_get("counted")?,
        contact,
    })
}
