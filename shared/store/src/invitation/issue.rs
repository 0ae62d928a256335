//! Issuing and ending invitations.

use crate::{Store, StoreError, study::HAS_ENDED};
use audit::Context;
use authz::{PatientId, PractitionerId, Role, UserId};
use deadpool_postgres::Transaction;
use jiff::Timestamp;
use oauth::{TokenHash, pkce::Challenge};
use std::sync::LazyLock;
use tokio_postgres::types::{Json, Type};

/// An invitation to issue.
#[derive(Debug)]
pub struct NewInvitation<'a> {
    /// For whom.
    pub patient: PatientId,
    /// The client's row.
    pub client: i32,
    /// The hash of the token that the link carries.
    pub token: TokenHash,
    /// Who issues it.
    pub issued_by: UserId,
    /// From when on it is worth nothing.
    pub expires_at: Timestamp,
    /// How often it may be sent by e-mail; none when it is not.
    pub emailed: Option<Rate>,
    /// The invitation that it replaces, whether redeemed or not. Open ones of the same patient, client and organization end
    /// anyway.
    pub replaces: Option<i32>,
    /// The deployment's fixed challenge, for clients set to static PKCE.
    pub static_challenge: Option<&'a Challenge>,
}

/// How many invitations are sent by e-mail before no more are.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// To one patient in a day.
    pub per_patient_and_day: i64,
    /// By one coordinator in an hour.
    pub per_sender_and_hour: i64,
}

/// An invitation as issued.
#[derive(Clone, Debug)]
pub struct IssuedInvitation {
    /// From 101.
    pub id: i32,
    /// The client's invitation link, with `CODE` where the token goes.
    pub invitation_url: String,
    /// When it was issued.
    pub last_updated: Timestamp,
    /// The e-mail of the patient's account.
    pub email: String,
    /// True when the client is set to static PKCE.
    pub static_pkce: bool,
}

/// Whom an invitation is about.
#[derive(Clone, Copy, Debug)]
pub struct InvitationOf {
    /// For whom.
    pub patient: PatientId,
    /// The client's row.
    pub client: i32,
    /// The highest role of the practitioner who asks, in the organizations that issued it and that the patient belongs to.
    pub role: Option<Role>,
}

/// What came of issuing an invitation.
#[derive(Clone, Debug)]
pub enum Issue {
    /// It is issued.
    Issued(IssuedInvitation),
    /// There is no such patient, or who asks may not invite them any more.
    NoPatient,
    /// There is no such client, or it cannot exchange a code.
    NoClient,
    /// The client is set to static PKCE, and the deployment has no fixed challenge.
    NoChallenge,
    /// The patient's studies that use the client have all ended.
    StudiesEnded,
    /// The patient is also of an organization in which who asks is nobody: the link is not shown, only sent.
    ByEmailOnly,
    /// Enough has been sent.
    TooMany,
}

/// So that of two invitations issued at the same time one ends the other, and that none is issued while the patient joins an
/// organization. It does not wait for uploads.
pub(crate) const PATIENT_IN_TURN: &str = "SELECT FROM patient WHERE id = $1 FOR NO KEY UPDATE";

/// So that nobody issues an invitation while their role is taken. Invitations do not wait for each other.
const ROLES_STAY: &str = "
SELECT FROM organization o WHERE o.id IN (SELECT organization_id FROM patient_organization WHERE patient_id = $1) FOR SHARE";

/// One row, always: what came of it, and the invitation if it was issued. Each is recorded, with the organizations by which it was
/// allowed and the role in them; a super admin's with all of the patient. It is of these organizations, and ends what is open of
/// them; what another organization issued stays. To whom it is shown can use it, and so act as the patient in every organization of
/// theirs: it is shown to who works in all of them, and to super admins.
///
/// 1 audit context, 2 patient, 3 client, 4 token, 5 who issues, 6 end, 7 and 8 the most mails (none: not mailed), 9 the
/// invitation that is replaced, 10 whether there is a fixed challenge.
static ISSUE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
WITH allowing AS MATERIALIZED (
  SELECT o.organization_id, r.role
    FROM patient_organization o
    LEFT JOIN (SELECT m.organization_id, m.role FROM organization_member m JOIN practitioner p ON p.id = m.practitioner_id
                WHERE p.user_id = ($1->>'actor_user_id')::int AND $1->>'actor_type' = 'practitioner') r
      ON r.organization_id = o.organization_id
   WHERE o.patient_id = $2 AND (r.role >= 'member' OR $1->>'actor_type' = 'super_admin')
), issuer AS MATERIALIZED (
  SELECT id FROM app_user WHERE id = $5 AND is_active AND (is_superuser OR $1->>'actor_type' <> 'super_admin') FOR KEY SHARE
), who AS MATERIALIZED (
  SELECT p.id, u.email FROM patient p JOIN app_user u ON u.id = p.user_id WHERE p.id = $2
), app AS MATERIALIZED (
  SELECT c.id, c.invitation_url, c.static_pkce FROM oauth_client c
   WHERE c.id = $3 AND cardinality(c.redirect_uris) > 0 AND 'authorization_code' = ANY (c.grant_types)
     AND c.invitation_url IS NOT NULL AND c.deleted_at IS NULL AND c.contained_at IS NULL
), verdict AS MATERIALIZED (
  SELECT CASE WHEN NOT EXISTS (SELECT FROM who) OR NOT EXISTS (SELECT FROM issuer)
                OR $1->>'actor_type' <> 'super_admin' AND NOT EXISTS (SELECT FROM allowing) THEN 'no_patient'
              WHEN NOT EXISTS (SELECT FROM app) THEN 'no_client'
              WHEN (SELECT static_pkce FROM app) AND NOT $10 THEN 'no_challenge'
              WHEN (SELECT bool_and({HAS_ENDED})
                      FROM study_client c JOIN study s ON s.id = c.study_id
                      JOIN study_patient e ON e.study_id = s.id AND e.patient_id = $2
                     WHERE c.client_id = $3) THEN 'studies_ended'
              WHEN $7 IS NULL AND EXISTS (SELECT FROM patient_organization o
                     WHERE o.patient_id = $2 AND o.organization_id NOT IN (SELECT organization_id FROM allowing)) THEN 'by_email_only'
              WHEN (SELECT count(*) FROM invitation
                     WHERE patient_id = $2 AND emailed AND issued_at > clock_timestamp() - interval '1 day') >= $7
                OR (SELECT count(*) FROM invitation
                     WHERE issued_by = $5 AND emailed AND issued_at > clock_timestamp() - interval '1 hour') >= $8
              THEN 'too_many' ELSE 'issued' END AS is
), superseded AS (
  UPDATE invitation i SET status = 'reissued', last_updated = clock_timestamp()
    FROM verdict, invitation was
   WHERE verdict.is = 'issued' AND i.patient_id = $2 AND i.client_id = $3 AND was.id = i.id
     AND (i.status = 'issued' OR i.id = $9 AND i.status = 'redeemed')
     AND ($1->>'actor_type' = 'super_admin'
          OR EXISTS (SELECT FROM invitation_organization x JOIN allowing a ON a.organization_id = x.organization_id WHERE x.invitation_id = i.id))
  RETURNING i.id, was.status AS was, i.status
), ended AS MATERIALIZED (
  SELECT jsonb_object_agg(id, was) AS was, jsonb_object_agg(id, status) AS status FROM superseded HAVING count(*) > 0
), issued AS (
  INSERT INTO invitation (patient_id, client_id, token_hash, issued_by, expires_at, emailed, issued_from)
  SELECT $2, $3, $4, $5, $6, $7 IS NOT NULL, $1->>'source_address' FROM verdict WHERE verdict.is = 'issued'
  RETURNING *
), of_organizations AS (
  INSERT INTO invitation_organization (invitation_id, organization_id) SELECT i.id, a.organization_id FROM issued i CROSS JOIN allowing a
)
SELECT v.is, i.id, i.last_updated, w.email, c.invitation_url, c.static_pkce,
       audit_record($1, CASE WHEN i.id IS NOT NULL THEN 'allowed' ELSE 'denied' END,
                    CASE WHEN i.id IS NOT NULL THEN NULL WHEN v.is = 'no_patient' THEN 'not_found' ELSE 'invalid' END,
                    ARRAY(SELECT organization_id FROM allowing ORDER BY 1),
                    '{{}}', ARRAY(SELECT id FROM who), '{{}}', (SELECT max(role) FROM allowing),
                    (SELECT jsonb_build_object('replaced', ended.was) FROM ended),
                    to_jsonb(i) - 'token_hash' || coalesce((SELECT jsonb_build_object('replaced', ended.status) FROM ended), '{{}}')) AS event_id
  FROM verdict v LEFT JOIN issued i ON true LEFT JOIN who w ON true LEFT JOIN app c ON true"
    )
});

const ISSUE_TYPES: [Type; 10] = [
    Type::JSONB,
    Type::INT4,
    Type::INT4,
    Type::BYTEA,
    Type::INT4,
    Type::TIMESTAMPTZ,
    Type::INT8,
    Type::INT8,
    Type::INT4,
    Type::BOOL,
];

/// For a client with static PKCE the invitation's token is itself the code that the app exchanges, with the one verifier
/// that it knows. 1 patient, 2 client, 3 token, 4 challenge, 5 end. See [`super::redeem`] for when it is worth something.
const STATIC_CODE: &str = "
WITH granted AS (
  INSERT INTO oauth_grant (user_id, client_id, scope, auth_time)
  SELECT p.user_id, c.id, array_to_string(c.scopes, ' '), clock_timestamp()
    FROM patient p CROSS JOIN oauth_client c WHERE p.id = $1 AND c.id = $2
  RETURNING id, client_id
)
INSERT INTO oauth_code (code_hash, grant_id, redirect_uri, code_challenge, issued_at, expires_at)
SELECT $3, g.id, c.redirect_uris[1], $4, clock_timestamp(), $5
  FROM granted g JOIN oauth_client c ON c.id = g.client_id";

const CANCEL: &str = "
WITH cancelled AS (
  UPDATE invitation SET status = 'cancelled', last_updated = clock_timestamp()
   WHERE id = $2 AND status IN ('issued', 'redeemed')
  RETURNING *
)
SELECT audit_record($1, 'allowed', NULL,
                    ARRAY(SELECT organization_id FROM invitation_organization WHERE invitation_id = i.id ORDER BY 1),
                    '{}', ARRAY[i.patient_id], '{}',
                    (SELECT max(m.role) FROM invitation_organization o JOIN organization_member m ON m.organization_id = o.organization_id
                       JOIN practitioner p ON p.id = m.practitioner_id
                      WHERE o.invitation_id = i.id AND p.user_id = ($1->>'actor_user_id')::int),
                    CASE WHEN c.id IS NOT NULL THEN to_jsonb(i) - 'token_hash' END, to_jsonb(c) - 'token_hash') AS event_id
  FROM invitation i LEFT JOIN cancelled c ON c.id = i.id WHERE i.id = $2";

/// 1 invitation, 2 the practitioner who asks, if it is one.
const OF: &str = "
SELECT i.patient_id, i.client_id,
       (SELECT max(m.role)::text
          FROM invitation_organization x
          JOIN patient_organization o ON o.organization_id = x.organization_id AND o.patient_id = i.patient_id
          JOIN organization_member m ON m.organization_id = x.organization_id AND m.practitioner_id = $2
         WHERE x.invitation_id = i.id) AS role
  FROM invitation i WHERE i.id = $1";

impl Store {
    /// Issues an invitation with its audit record, in one transaction; earlier open ones of the same patient, client and
    /// organization end.
    pub async fn issue_invitation(
        &self,
        context: &Context,
        invitation: &NewInvitation<'_>,
    ) -> Result<Issue, StoreError> {
        let mut client = self.connection().await?;
        let transaction = client.transaction().await?;
        for lock in [PATIENT_IN_TURN, ROLES_STAY] {
            let lock = transaction.prepare_cached(lock).await?;
            transaction.execute(&lock, &[&invitation.patient.0]).await?;
        }
        let issue = issue(&transaction, context, invitation).await?;
        if let (Issue::Issued(IssuedInvitation { static_pkce: true, .. }), Some(challenge)) =
            (&issue, invitation.static_challenge)
        {
            store_static_code(&transaction, invitation, challenge).await?;
        }
        transaction.commit().await?;
        Ok(issue)
    }

    /// Whose invitation this is, for which client, and the practitioner's highest role in the organizations that issued it.
    pub async fn invitation_of(
        &self,
        id: i32,
        practitioner: Option<PractitionerId>,
    ) -> Result<Option<InvitationOf>, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(OF, &[Type::INT4, Type::INT4]).await?;
        let Some(row) = client.query_opt(&statement, &[&id, &practitioner.map(|id| id.0)]).await? else {
            return Ok(None);
        };
        let role = row.try_get::<_, Option<&str>>("role")?.map(str::parse).transpose();
        Ok(Some(InvitationOf {
            patient: PatientId(row.try_get("patient_id")?),
            client: row.try_get("client_id")?,
            role: role.map_err(|_| StoreError::Corrupt("role"))?,
        }))
    }

    /// Cancels an invitation, redeemed or not, with the audit record, in one statement. The tokens that it brought stay.
    pub async fn cancel_invitation(&self, context: &Context, id: i32) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(CANCEL, &[Type::JSONB, Type::INT4]).await?;
        client.query_one(&statement, &[&Json(context), &id]).await?;
        Ok(())
    }
}

async fn issue(
    transaction: &Transaction<'_>,
    context: &Context,
    invitation: &NewInvitation<'_>,
) -> Result<Issue, StoreError> {
    let statement = transaction.prepare_typed_cached(&ISSUE, &ISSUE_TYPES).await?;
    let row = transaction
        .query_one(
            &statement,
            &[
                &Json(context),
                &invitation.patient.0,
                &invitation.client,
                &invitation.token.as_bytes().as_slice(),
                &invitation.issued_by.0,
                &invitation.expires_at,
                &invitation.emailed.map(|rate| rate.per_patient_and_day),
                &invitation.emailed.map(|rate| rate.per_sender_and_hour),
                &invitation.replaces,
                &invitation.static_challenge.is_some(),
            ],
        )
        .await?;
    Ok(match row.try_get("is")? {
        "issued" => Issue::Issued(IssuedInvitation {
            id: row.try_get("id")?,
            invitation_url: row.try_get("invitation_url")?,
            last_updated: row.try_get("last_updated")?,
            email: row.try_get("email")?,
            static_pkce: row.try_get("static_pkce")?,
        }),
        "no_patient" => Issue::NoPatient,
        "no_client" => Issue::NoClient,
        "no_challenge" => Issue::NoChallenge,
        "studies_ended" => Issue::StudiesEnded,
        "by_email_only" => Issue::ByEmailOnly,
        _ => Issue::TooMany,
    })
}

async fn store_static_code(
    transaction: &Transaction<'_>,
    invitation: &NewInvitation<'_>,
    challenge: &Challenge,
) -> Result<(), StoreError> {
    let types = [Type::INT4, Type::INT4, Type::BYTEA, Type::TEXT, Type::TIMESTAMPTZ];
    let statement = transaction.prepare_typed_cached(STATIC_CODE, &types).await?;
    transaction
        .execute(
            &statement,
            &[
                &invitation.patient.0,
                &invitation.client,
                &invitation.token.as_bytes().as_slice(),
                &challenge.as_str(),
                &invitation.expires_at,
            ],
        )
        .await?;
    Ok(())
}
