//! What no other statement records: refusals of actions, of tokens, of what a directory does not show; and what is done
//! outside the database.

use crate::{Store, StoreError, meter, oauth::ACTING};
use audit::{Context, RefusedBy, Target};
use authz::{Layer, UserId};
use deadpool_postgres::GenericClient;
use serde_json::Value;
use std::sync::LazyLock;
use tokio_postgres::types::{Json, Type};

/// What exists of what a request names: 1 audit context, 2 reason, 3 organizations, 4 studies, 5 patients, 6 e-mail, 7 account.
/// The caller is told the same of what is not theirs and of what nobody has; only the audit knows the difference. Where a
/// layer after the organization refused, those that the caller shares with the patients are recorded; and the caller's
/// highest role in all that are recorded.
const NAMED: &str = "
WITH organizations AS MATERIALIZED (
  SELECT id FROM organization WHERE id = ANY ($3::int[])
  UNION SELECT organization_id FROM study WHERE id = ANY ($4::int[])
), studies AS MATERIALIZED (
  SELECT id FROM study WHERE id = ANY ($4::int[])
), patients AS MATERIALIZED (
  SELECT id FROM patient WHERE id = ANY ($5::int[])
  UNION SELECT p.id FROM patient p JOIN app_user u ON u.id = p.user_id WHERE lower(u.email) = lower($6)
  UNION SELECT id FROM patient WHERE user_id = $7
), roles AS MATERIALIZED (
  SELECT m.organization_id, m.role
    FROM practitioner p JOIN organization_member m ON m.practitioner_id = p.id
   WHERE p.user_id = ($1->>'actor_user_id')::int AND $1->>'actor_type' = 'practitioner'
), concerned AS MATERIALIZED (
  SELECT id FROM organizations
  UNION SELECT r.organization_id
          FROM patients p JOIN patient_organization o ON o.patient_id = p.id JOIN roles r ON r.organization_id = o.organization_id
         WHERE $2 <> 'organization'
)";

/// The last arguments of the record.
const FOUND: &str = "
ARRAY(SELECT id FROM concerned ORDER BY id), ARRAY(SELECT id FROM studies ORDER BY id), ARRAY(SELECT id FROM patients ORDER BY id),
'{}', (SELECT max(r.role) FROM roles r JOIN concerned c ON c.id = r.organization_id)";

/// A layer that conceals says the same of what does not exist.
const REASON: &str = "
CASE WHEN $2 = 'organization' AND NOT EXISTS (SELECT FROM organizations) AND NOT EXISTS (SELECT FROM patients)
          AND cardinality($3::int[] || $4::int[] || $5::int[]) > 0
     THEN 'not_found' ELSE $2 END";

static REFUSED: LazyLock<String> =
    LazyLock::new(|| format!("{NAMED} SELECT audit_record($1, 'denied', {REASON}, {FOUND})"));

/// 8 outcome, 9 function, 10 status, 11 id. What a change read before it was refused or failed does not say how it ended. Whether the request is on record is seen among the last events of who asks: those that
/// their other requests write while it runs are fewer.
static LEFTOVER: LazyLock<String> = LazyLock::new(|| {
    format!(
        "{NAMED}
SELECT audit_record($1 || jsonb_build_object('detail', jsonb_strip_nulls(jsonb_build_object('function', $9, 'status', $10, 'id', $11))),
                    $8, {REASON}, {FOUND})
 WHERE NOT EXISTS (SELECT FROM (SELECT request_id, outcome, action FROM audit_event
                                 WHERE actor_user_id = ($1->>'actor_user_id')::int AND occurred_at > statement_timestamp() - interval '1 hour'
                                 ORDER BY occurred_at DESC, id DESC LIMIT 1000) e
                    WHERE e.request_id = $1->>'request_id'
                      AND ($8 = 'allowed' OR e.outcome <> 'allowed' OR e.action NOT IN ('read', 'search') OR $1->>'action' IN ('read', 'search')))"
    )
});

const TYPES: [Type; 7] =
    [Type::JSONB, Type::TEXT, Type::INT4_ARRAY, Type::INT4_ARRAY, Type::INT4_ARRAY, Type::TEXT, Type::INT4];

/// How a request ended that no other statement recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was carried out.
    Allowed,
    /// It was refused, by a layer or because nothing has the id.
    Denied(RefusedBy),
    /// It could not be carried out: the input is not valid, or what is there is in another state.
    Failed,
}

impl Ending {
    const fn outcome(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied(_) => "denied",
            Self::Failed => "failed",
        }
    }

    const fn refused_by(self) -> Option<&'static str> {
        match self {
            Self::Allowed => None,
            Self::Denied(reason) => Some(reason.name()),
            Self::Failed => Some(RefusedBy::Invalid.name()),
        }
    }
}

/// A request that no other statement recorded. None of its values is in it.
#[derive(Clone, Copy, Debug)]
pub struct Leftover<'a> {
    /// The function that served it.
    pub function: &'static str,
    /// The status of its answer.
    pub status: i32,
    /// What the path names, unless nothing has that number.
    pub id: Option<i32>,
    /// Who and what the path names.
    pub target: &'a Target,
    /// How it ended.
    pub ending: Ending,
}

impl Store {
    /// Records what is about to be done outside the database.
    pub async fn record(&self, context: &Context) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached("SELECT audit_record($1, 'allowed', NULL, '{}', '{}', '{}', '{}')", &[Type::JSONB])
            .await?;
        client.query_one(&statement, &[&Json(context)]).await?;
        Ok(())
    }

    /// Records what the system did, how it ended, and what of that has no column.
    pub async fn record_outcome(&self, context: &Context, is_good: bool, detail: &Value) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                "SELECT audit_record($1 || jsonb_build_object('detail', $4), $2, $3, '{}', '{}', '{}', '{}')",
                &[Type::JSONB, Type::TEXT, Type::TEXT, Type::JSONB],
            )
            .await?;
        let ending = if is_good { Ending::Allowed } else { Ending::Failed };
        client.query_one(&statement, &[&Json(context), &ending.outcome(), &ending.refused_by(), &Json(detail)]).await?;
        Ok(())
    }

    /// Records a refusal, with what exists of what the request named.
    pub async fn record_refusal(
        &self,
        context: &Context,
        target: &Target,
        reason: RefusedBy,
    ) -> Result<(), StoreError> {
        record(&self.connection().await?, context, target, reason).await
    }

    /// Records how a request ended, unless a statement of its own recorded it.
    pub async fn record_leftover(&self, context: &Context, request: &Leftover<'_>) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let types = [TYPES.as_slice(), &[Type::TEXT, Type::TEXT, Type::INT4, Type::INT4]].concat();
        let statement = client.prepare_typed_cached(&LEFTOVER, &types).await?;
        let Leftover { function, status, id, target, ending } = request;
        client
            .execute(
                &statement,
                &[
                    &Json(context),
                    &ending.refused_by(),
                    &target.organization_ids(),
                    &target.study_ids(),
                    &target.patient_ids(),
                    &target.account_email(),
                    &target.user_id(),
                    &ending.outcome(),
                    function,
                    status,
                    id,
                ],
            )
            .await?;
        Ok(())
    }

    /// Records a refused attempt on the account with this address, in small letters, as somebody typed it: which account it
    /// is, if there is one, and nothing of the text. The work is the same without one.
    pub async fn record_refused_attempt(&self, context: &Context, address: &str) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                "SELECT audit_record($1 || jsonb_build_object('subject_user_id', (SELECT id FROM app_user WHERE lower(email) = $3)),
                                     'denied', $2, '{}', '{}', '{}', '{}')",
                &[Type::JSONB, Type::TEXT, Type::TEXT],
            )
            .await?;
        let reason = RefusedBy::Layer(Layer::Token).name();
        client.query_one(&statement, &[&Json(context), &reason, &address]).await?;
        meter::failed_sign_in();
        Ok(())
    }

    /// Records that a person did not allow a client what it asked for.
    pub async fn record_denial(&self, context: &Context, user: UserId, client: i32) -> Result<(), StoreError> {
        let connection = self.connection().await?;
        let statement = connection
            .prepare_typed_cached(
                &format!(
                    "SELECT audit_record($1 || {ACTING} || jsonb_build_object('client_id', $3,
                                                                              'detail', jsonb_build_object('reason', 'access_denied')),
                                         'denied', $4, '{{}}', '{{}}', ARRAY(SELECT id FROM patient WHERE user_id = u.id), '{{}}')
                       FROM app_user u WHERE u.id = $2"
                ),
                &[Type::JSONB, Type::INT4, Type::INT4, Type::TEXT],
            )
            .await?;
        let reason = RefusedBy::Layer(Layer::Consent).name();
        connection.query_one(&statement, &[&Json(context), &user.0, &client, &reason]).await?;
        Ok(())
    }

    /// Records that a message of somebody who signs in was refused, and why.
    pub async fn record_refused_message(
        &self,
        context: &Context,
        refused_by: RefusedBy,
        reason: &str,
    ) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                "SELECT audit_record($1 || jsonb_build_object('detail', jsonb_build_object('reason', $3)),
                                     'denied', $2, '{}', '{}', '{}', '{}')",
                &[Type::JSONB, Type::TEXT, Type::TEXT],
            )
            .await?;
        client.query_one(&statement, &[&Json(context), &refused_by.name(), &reason]).await?;
        if refused_by == RefusedBy::Layer(Layer::Token) {
            meter::failed_sign_in();
        }
        Ok(())
    }
}

/// Records a refusal on a connection, or in a transaction.
pub(crate) async fn record(
    client: &impl GenericClient,
    context: &Context,
    target: &Target,
    reason: RefusedBy,
) -> Result<(), StoreError> {
    let statement = client.prepare_typed_cached(&REFUSED, &TYPES).await?;
    client
        .execute(
            &statement,
            &[
                &Json(context),
                &reason.name(),
                &target.organization_ids(),
                &target.study_ids(),
                &target.patient_ids(),
                &target.account_email(),
                &target.user_id(),
            ],
        )
        .await?;
    Ok(())
}
