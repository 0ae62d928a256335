//! Access tokens: who is behind one.

use crate::{
    Store, StoreError,
    account::is_strong_enough,
    oauth::{key_of, scope_of},
};
use authz::{Actor, ClientId, GrantId, PatientId, PractitionerId, Principal, UserId};
use jiff::Timestamp;
use oauth::{Scope, dpop::Thumbprint, resource::Audience, smart};

/// The caller behind a valid access token.
#[derive(Clone, Debug)]
pub struct Authenticated {
    /// Who asks.
    pub actor: Actor,
    /// The grant that the token comes from.
    pub grant: GrantId,
    /// The scope of the token.
    pub scope: Scope,
    /// What the token is for.
    pub audience: Audience,
    /// Whether the token has all the access of its user: its client is one of the operator's own, and neither the token nor
    /// the grant that it comes from names a SMART scope.
    pub whole_access: bool,
    /// The key that the token is bound to.
    pub key: Option<Thumbprint>,
    /// Whether the client acts by itself for the account (RFC 6749 section 4.4).
    pub is_by_client: bool,
    /// Whether the sign-in that the token comes from was as strong as the account asks for by now.
    pub is_strong_enough: bool,
    /// When the user signed in, or the client asked for itself.
    pub signed_in_at: Timestamp,
}

impl Store {
    /// The caller behind an access token, by the token's SHA-256. None when no valid token has this hash: unknown,
    /// expired, revoked alone or with its grant, of a client that was deleted or is contained, or the user is no longer active.
    ///
    /// `super_admins_need_factor`: whether a super admin has to have signed in by two factors.
    pub async fn authenticate(
        &self,
        token_hash: &[u8; 32],
        super_admins_need_factor: bool,
    ) -> Result<Option<Authenticated>, StoreError> {
        let client = self.connection().await?;
        let strong_enough = is_strong_enough("g.methods", "$2");
        let statement = client
            .prepare_cached(&format!(
                "SELECT g.id AS grant_id, g.user_id, g.client_id, g.auth_time, t.scope, t.dpop_jkt, t.audience, g.scope AS granted, c.whole_access, u.is_superuser,
                        c.acts_as IS NOT DISTINCT FROM g.user_id AS is_by_client,
                        c.acts_as IS NOT DISTINCT FROM g.user_id AND g.methods = '{{}}' OR {strong_enough} AS is_strong_enough,
                        p.id AS patient_id, pr.id AS practitioner_id
                   FROM access_token t
                   JOIN oauth_grant g ON g.id = t.grant_id
                   JOIN oauth_client c ON c.id = g.client_id
                   JOIN app_user u ON u.id = g.user_id
                   LEFT JOIN patient p ON p.user_id = u.id
                   LEFT JOIN practitioner pr ON pr.user_id = u.id
                  WHERE t.token_hash = $1
                    AND t.expires_at > statement_timestamp()
                    AND t.revoked_at IS NULL
                    AND g.revoked_at IS NULL
                    AND c.deleted_at IS NULL
                    AND c.contained_at IS NULL
                    AND u.is_active"
            ))
            .await?;
        let Some(row) = client.query_opt(&statement, &[&token_hash.as_slice(), &super_admins_need_factor]).await?
        else {
            return Ok(None);
        };
        let principal = match (
            row.try_get::<_, bool>("is_superuser")?,
            row.try_get::<_, Option<i32>>("patient_id")?,
            row.try_get::<_, Option<i32>>("practitioner_id")?,
        ) {
            (true, _, _) => Principal::SuperAdmin,
            (false, Some(patient), None) => Principal::Patient(PatientId(patient)),
            (false, None, Some(practitioner)) => Principal::Practitioner(PractitionerId(practitioner)),
            // Neither or both: an account that is not set up has no access.
            (false, _, _) => return Ok(None),
        };
        let granted = scope_of(&row, "granted")?;
        Ok(Some(Authenticated {
            actor: Actor {
                user: UserId(row.try_get("user_id")?),
                client: ClientId(row.try_get("client_id")?),
                principal,
            },
            grant: GrantId(row.try_get("grant_id")?),
            key: key_of(&row)?,
            is_by_client: row.try_get("is_by_client")?,
            audience: Audience::of(row.try_get("audience")?),
            is_strong_enough: row.try_get("is_strong_enough")?,
            signed_in_at: row.try_get("auth_time")?,
            whole_access: row.try_get("whole_access")? && !smart::is_named(&granted),
            // What was taken back since the token was issued is not in it any more.
            scope: scope_of(&row, "scope")?.filter(|token| granted.contains(token)),
        }))
    }
}
