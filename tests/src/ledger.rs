//! What only the owner of the database can see or do: the audit, the ledger's rows, how much is stored.

use crate::World;
use tokio_postgres::{Client, Row, error::SqlState};

/// One row of the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// The request.
    pub request_id: String,
    /// The user.
    pub actor: Option<i32>,
    /// `anonymous`, `patient`, `practitioner` or `super_admin`.
    pub actor_type: String,
    /// The highest role that counted.
    pub role: Option<String>,
    /// The OAuth client.
    pub client: Option<i32>,
    /// What was done.
    pub action: String,
    /// To what.
    pub resource_type: String,
    /// The organizations by which it was allowed, or that were named.
    pub organizations: Vec<i32>,
    /// The studies by which it was allowed, or that were named.
    pub studies: Vec<i32>,
    /// The patients concerned.
    pub patients: Vec<i32>,
    /// The observations returned or written.
    pub observations: Vec<i64>,
    /// `allowed`, `denied` or `failed`.
    pub outcome: String,
    /// The layer that refused.
    pub refused_by: Option<String>,
    /// Whether a super admin did it.
    pub privileged: bool,
    /// From where.
    pub source: Option<String>,
    /// The account that somebody tried to open.
    pub subject: Option<i32>,
    /// Why a message was refused.
    pub why: Option<String>,
}

impl From<&Row> for AuditEvent {
    fn from(row: &Row) -> Self {
        Self {
            request_id: row.get("request_id"),
            actor: row.get("actor_user_id"),
            actor_type: row.get("actor_type"),
            role: row.get("role"),
            client: row.get("client_id"),
            action: row.get("action"),
            resource_type: row.get("resource_type"),
            organizations: row.get("organization_ids"),
            studies: row.get("study_ids"),
            patients: row.get("patient_ids"),
            observations: row.get("observation_ids"),
            outcome: row.get("outcome"),
            refused_by: row.get("refused_by"),
            privileged: row.get("privileged"),
            source: row.get("source_address"),
            subject: row.get("subject_user_id"),
            why: row.get("why"),
        }
    }
}

/// How many rows an upload can have made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Observations.
    pub observations: i64,
    /// Their identifiers.
    pub identifiers: i64,
    /// Rows of the studies' feeds.
    pub feed: i64,
}

impl World {
    /// Where the audit ends now.
    pub async fn audit_end(&self) -> i64 {
        self.count("SELECT coalesce(max(id), 0) FROM audit_event").await
    }

    /// The rows of the audit after a place in it, in order.
    pub async fn audit_after(&self, end: i64) -> Vec<AuditEvent> {
        let statement = format!(
            "SELECT *, actor_role::text AS role, detail->>'reason' AS why FROM audit_event WHERE id > {end} ORDER BY id"
        );
        self.sql(&statement).await.iter().map(AuditEvent::from).collect()
    }

    /// How much is stored.
    pub async fn stored(&self) -> Stored {
        Stored {
            observations: self.count("SELECT count(*) FROM observation").await,
            identifiers: self.count("SELECT count(*) FROM observation_identifier").await,
            feed: self.count("SELECT count(*) FROM study_observation").await,
        }
    }

    /// Appends a patient's own decision to the ledger: `granted`, `refused` or `withdrawn`.
    pub async fn record_consent(&self, patient: i32, study: i32, scope: i32, decision: &str) {
        let statement = format!(
            "INSERT INTO consent_event (patient_id, study_id, scope_id, decision, decided_by, request_id)
             SELECT id, {study}, {scope}, '{decision}', user_id, 'test' FROM patient WHERE id = {patient} RETURNING 1"
        );
        assert_eq!(self.sql(&statement).await.len(), 1, "a decision of patient {patient}");
    }
}

/// Why a statement fails; none when it does not.
pub async fn failure(client: &Client, statement: &str) -> Option<SqlState> {
    client
        .batch_execute(statement)
        .await
        .err()
        .map(|error| error.code().unwrap_or_else(|| panic!("{statement}: {error:?}")).clone())
}
