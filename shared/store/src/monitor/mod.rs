//! The security monitor: days that are counted, what is usual, and what was found.

mod day;
mod finding;
mod history;

pub use day::{MonitorDay, OfficeHours};
pub use finding::{FindingChange, FindingFilter, NewFinding, SecurityFinding, Untold};
pub use history::{ActorDay, FailedSignIns, PeerGroup};

/// The events behind the figures of a day, as conditions on a row `e` of the audit. Each figure counts by the same one by
/// which its events are listed.
mod events {
    /// Something of patients was shown or counted: observations, other resources, or who they are. Who was only asked for was not.
    pub(super) const HEALTH_DATA: &str = "e.outcome = 'allowed' AND e.action IN ('read', 'search')
         AND (cardinality(e.observation_ids) > 0 OR NOT to_jsonb(e.patient_ids) <@ coalesce(e.detail->'asked', '[]'))";
    /// How many observations and other resources.
    pub(super) const RESOURCES: &str = "cardinality(e.observation_ids)
         + CASE WHEN jsonb_typeof(e.detail->'ids') = 'array' THEN jsonb_array_length(e.detail->'ids') ELSE 0 END";
    pub(super) const REFUSALS: &str = "e.outcome = 'denied' AND e.refused_by NOT IN ('token', 'invalid')";
    pub(super) const CONSENT_CHANGES: &str =
        "e.outcome = 'allowed' AND e.resource_type = 'Consent' AND e.action IN ('create', 'update', 'delete')";
    /// Where passwords, codes and keys of people are judged.
    pub(super) const FAILED_SIGN_INS: &str =
        "e.outcome = 'denied' AND e.refused_by = 'token'
         AND e.resource_type IN ('Session', 'Password', 'SecondFactor', 'RecoveryCode', 'EmailCode', 'Passkey', 'PasswordReset')";
    pub(super) const SIGN_INS: &str = "e.outcome = 'allowed' AND e.resource_type = 'Session' AND e.action = 'execute'";
    /// Whose account somebody signs in to, or tries to.
    pub(super) const SUBJECT: &str = "coalesce(e.subject_user_id, e.actor_user_id)";
    /// `$3` time zone, `$4` and `$5` the hours in which offices open and close.
    pub(super) const OUT_OF_HOURS: &str = "e.privileged AND (extract(isodow FROM e.occurred_at AT TIME ZONE $3) > 5
                           OR extract(hour FROM e.occurred_at AT TIME ZONE $3) NOT BETWEEN $4 AND $5 - 1)";
}
