//! The consent ledger: decisions are appended; the present and the past are read from it.

mod read;
mod record;

pub use record::ConsentRecord;
pub(crate) use record::{CONSENT, known_to};

use crate::{DataSource, Named, Patient, Scope, Store, StoreError, error::refers_to_nothing, study::status};
use audit::{Context, RefusedBy};
use authz::{
    Actor, PatientId,
    study::{Plan, StudyStatus},
};
use jiff::{Timestamp, civil::Date};
use serde::Deserialize;
use tokio_postgres::types::{Json, Type};

/// A decision about one scope of one study.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentDecision {
    /// The study may have the data.
    Granted,
    /// It may not.
    Refused,
    /// The decision is taken back: nothing is decided, nothing is shown.
    Withdrawn,
}

impl ConsentDecision {
    /// The name in the ledger.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
        }
    }

    fn from_name(name: &str) -> Result<Self, StoreError> {
        [Self::Granted, Self::Refused, Self::Withdrawn]
            .into_iter()
            .find(|decision| decision.name() == name)
            .ok_or(StoreError::Corrupt("decision"))
    }

    /// What existing apps call `consented`: none when nothing is decided.
    #[must_use]
    pub const fn consented(self) -> Option<bool> {
        match self {
            Self::Granted => Some(true),
            Self::Refused => Some(false),
            Self::Withdrawn => None,
        }
    }
}

/// Who decides.
#[derive(Clone, Debug)]
pub enum DecidedBy {
    /// The patient.
    Patient,
    /// A practitioner on behalf of the patient, with the reference of the patient's authorization.
    OnBehalf(String),
}

/// One decision to append.
#[derive(Clone, Debug)]
pub struct ConsentChange {
    /// The study.
    pub study: i32,
    /// The scope's code system.
    pub system: String,
    /// The scope's code.
    pub code: String,
    /// The decision.
    pub decision: ConsentDecision,
    /// The actions granted: `r`, `s` or `rs`.
    pub actions: String,
}

/// A decision as appended.
#[derive(Clone, Debug)]
pub struct ConsentOutcome {
    /// The event's number in the ledger.
    pub id: i64,
    /// The enrolment that the decision is about; none when it ended before a grant was taken back.
    pub enrolment: Option<i32>,
    /// The study.
    pub study: i32,
    /// The scope.
    pub scope: Scope,
    /// What was decided.
    pub decision: ConsentDecision,
    /// The actions.
    pub actions: String,
    /// When.
    pub decided_at: Timestamp,
}

/// One scope that a study asks for, and what is decided about it.
#[derive(Clone, Debug, Deserialize)]
pub struct ScopeState {
    /// The scope.
    pub scope: Scope,
    /// The latest decision, if there is one.
    pub decision: Option<ConsentDecision>,
    /// Its actions.
    pub actions: Option<String>,
    /// When it was made.
    pub decided_at: Option<Timestamp>,
}

/// A study of the patient with the state of its consents.
#[derive(Clone, Debug, Deserialize)]
pub struct StudyConsents {
    /// The study.
    pub id: i32,
    /// Its name.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// Its organization.
    pub organization_id: i32,
    /// Its organization's name.
    pub organization_name: String,
    /// Its organization's type.
    pub organization_type: String,
    /// The data sources that it uses.
    pub data_sources: Vec<DataSource>,
    /// Its status now.
    pub status: StudyStatus,
    /// The day on which it starts.
    pub starts_on: Option<Date>,
    /// The last day on which it runs.
    pub ends_on: Option<Date>,
    /// Until when its researchers have access, if that is set.
    pub access_until: Option<Timestamp>,
    /// Whether they have access now.
    pub gives_access: bool,
    /// False when the enrolment ended and a grant still stands: it shows nothing, and can be taken back.
    pub enrolled: bool,
    /// The scopes that it asks for; of an ended enrolment, those whose grant stands.
    pub scopes: Vec<ScopeState>,
}

/// What a patient has consented to, at one instant.
#[derive(Clone, Debug)]
pub struct ConsentState {
    /// The patient.
    pub patient: Patient,
    /// The patient's studies that the caller may see.
    pub studies: Vec<StudyConsents>,
}

/// An event of the ledger.
#[derive(Clone, Debug)]
pub struct ConsentEvent {
    /// Its number.
    pub id: i64,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// The study.
    pub study: Named,
    /// The scope.
    pub scope: Scope,
    /// The decision.
    pub decision: ConsentDecision,
    /// The actions.
    pub actions: String,
    /// The user who decided.
    pub decided_by: Named,
    /// The authorization, when a practitioner decided on behalf of the patient.
    pub authorization_reference: Option<String>,
}

/// A page of the ledger, newest first.
#[derive(Clone, Debug, Default)]
pub struct ConsentHistory {
    /// The events.
    pub rows: Vec<ConsentEvent>,
    /// True when the next page is not empty.
    pub more: bool,
    /// How many there are, [`COUNTED`](crate::COUNTED) at most.
    pub total: i64,
}

/// What a decision must meet: the study's life, the enrolment, the request, what is decided so far, and the practitioner's role in the study's
/// organization.
const FACTS: &str = "
SELECT i.n, e.id AS enrolment, s.id AS scope_id, s.text,
       EXISTS (SELECT FROM study_scope_request r WHERE r.study_id = i.study_id AND r.scope_id = s.id) AS requested,
       EXISTS (SELECT FROM consent_current c
                WHERE c.patient_id = $1 AND c.study_id = i.study_id AND c.scope_id = s.id AND c.decision = 'granted') AS granted,
       (SELECT m.role::text FROM organization_member m
         WHERE m.organization_id = t.organization_id AND m.practitioner_id = $5) AS role, t.status, t.starts_on, t.ends_on
  FROM unnest($2::int[], $3::text[], $4::text[]) WITH ORDINALITY AS i(study_id, system, code, n)
  LEFT JOIN study t ON t.id = i.study_id
  LEFT JOIN study_patient e ON e.study_id = t.id AND e.patient_id = $1
  LEFT JOIN scope s ON s.code = i.code AND s.system = i.system
 ORDER BY i.n";

/// One row per decision, in the order of the request. The ledger's trigger numbers and dates each.
const APPEND: &str = "
INSERT INTO consent_event (patient_id, study_id, scope_id, decision, actions, decided_by, authorization_reference, request_id)
SELECT $1, i.study_id, i.scope_id, i.decision, i.actions, $6, $7, $8
  FROM unnest($2::int[], $3::int[], $4::text[], $5::text[]) WITH ORDINALITY AS i(study_id, scope_id, decision, actions, n)
 ORDER BY i.n
RETURNING id, decided_at";

/// What the caller of [`Store::decide_consents`] judges a change by.
#[derive(Clone, Debug)]
pub struct ConsentFacts {
    /// Where the study is in its life; none when there is no such study.
    pub study: Option<Plan>,
    /// The enrolment; none when the patient is not enrolled in the study.
    pub enrolment: Option<i32>,
    /// The scope; none when no scope has this code.
    pub scope: Option<Scope>,
    /// True when the study asks for the scope.
    pub requested: bool,
    /// True when the latest decision about the scope is a grant to the study.
    pub granted: bool,
    /// The practitioner's role in the study's organization.
    pub role: Option<authz::Role>,
}

impl Store {
    /// Appends decisions, all or none, with the audit record, in one transaction. `judge` decides each change by its
    /// facts; its refusal is recorded and returned with the position of the change.
    pub async fn decide_consents<E: Copy + Into<RefusedBy>>(
        &self,
        context: &Context,
        actor: &Actor,
        patient: PatientId,
        decided_by: &DecidedBy,
        changes: &[ConsentChange],
        judge: impl Fn(ConsentDecision, &ConsentFacts) -> Result<(), E> + Sync,
    ) -> Result<Result<Vec<ConsentOutcome>, (usize, E)>, StoreError> {
        match self.try_to_decide(context, actor, patient, decided_by, changes, &judge).await {
            // Of a patient who was erased meanwhile it is found now that there is nobody.
            Err(StoreError::Contention) => {
                self.try_to_decide(context, actor, patient, decided_by, changes, &judge).await
            }
            decided => decided,
        }
    }

    async fn try_to_decide<E: Copy + Into<RefusedBy>>(
        &self,
        context: &Context,
        actor: &Actor,
        patient: PatientId,
        decided_by: &DecidedBy,
        changes: &[ConsentChange],
        judge: &(impl Fn(ConsentDecision, &ConsentFacts) -> Result<(), E> + Sync),
    ) -> Result<Result<Vec<ConsentOutcome>, (usize, E)>, StoreError> {
        let studies: Vec<i32> = changes.iter().map(|change| change.study).collect();
        let mut client = self.connection().await?;
        let transaction = client.transaction().await?;
        let facts = facts(&transaction, patient, actor.practitioner(), changes).await?;
        for (position, (facts, change)) in facts.iter().zip(changes).enumerate() {
            if let Err(reason) = judge(change.decision, facts) {
                record_change(&transaction, context, Some(reason.into()), &studies, patient).await?;
                transaction.commit().await?;
                return Ok(Err((position, reason)));
            }
        }
        let outcomes = append(&transaction, context, actor.user, patient, decided_by, changes, facts).await?;
        record_change(&transaction, context, None, &studies, patient).await?;
        transaction.commit().await?;
        Ok(Ok(outcomes))
    }
}

async fn facts(
    transaction: &deadpool_postgres::Transaction<'_>,
    patient: PatientId,
    practitioner: Option<authz::PractitionerId>,
    changes: &[ConsentChange],
) -> Result<Vec<ConsentFacts>, StoreError> {
    let studies: Vec<i32> = changes.iter().map(|change| change.study).collect();
    let systems: Vec<&str> = changes.iter().map(|change| change.system.as_str()).collect();
    let codes: Vec<&str> = changes.iter().map(|change| change.code.as_str()).collect();
    let statement = transaction
        .prepare_typed_cached(FACTS, &[Type::INT4, Type::INT4_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::INT4])
        .await?;
    let rows =
        transaction.query(&statement, &[&patient.0, &studies, &systems, &codes, &practitioner.map(|id| id.0)]).await?;
    rows.iter()
        .zip(changes)
        .map(|(row, change)| {
            let text: Option<String> = row.try_get("text")?;
            let scope = row.try_get::<_, Option<i32>>("scope_id")?.map(|id| Scope {
                id,
                coding_system: change.system.clone(),
                coding_code: change.code.clone(),
                text: text.unwrap_or_default(),
            });
            let role = row.try_get::<_, Option<&str>>("role")?.map(str::parse).transpose();
            let (starts_on, ends_on) = (row.try_get("starts_on")?, row.try_get("ends_on")?);
            let status = row.try_get::<_, Option<&str>>("status")?.map(status).transpose()?;
            Ok(ConsentFacts {
                study: status.map(|status| Plan { status, starts_on, ends_on }),
                enrolment: row.try_get("enrolment")?,
                scope,
                requested: row.try_get("requested")?,
                granted: row.try_get("granted")?,
                role: role.map_err(|_| StoreError::Corrupt("role"))?,
            })
        })
        .collect()
}

async fn append(
    transaction: &deadpool_postgres::Transaction<'_>,
    context: &Context,
    user: authz::UserId,
    patient: PatientId,
    decided_by: &DecidedBy,
    changes: &[ConsentChange],
    facts: Vec<ConsentFacts>,
) -> Result<Vec<ConsentOutcome>, StoreError> {
    let judged: Vec<(Option<i32>, Scope)> = facts
        .into_iter()
        .map(|facts| Ok((facts.enrolment, facts.scope.ok_or(StoreError::Corrupt("judged without scope"))?)))
        .collect::<Result<_, StoreError>>()?;
    let studies: Vec<i32> = changes.iter().map(|change| change.study).collect();
    let scopes: Vec<i32> = judged.iter().map(|(_, scope)| scope.id).collect();
    let decisions: Vec<&str> = changes.iter().map(|change| change.decision.name()).collect();
    let actions: Vec<&str> = changes.iter().map(|change| change.actions.as_str()).collect();
    let reference = match decided_by {
        DecidedBy::Patient => None,
        DecidedBy::OnBehalf(reference) => Some(reference.as_str()),
    };
    let statement = transaction
        .prepare_typed_cached(
            APPEND,
            &[
                Type::INT4,
                Type::INT4_ARRAY,
                Type::INT4_ARRAY,
                Type::TEXT_ARRAY,
                Type::TEXT_ARRAY,
                Type::INT4,
                Type::TEXT,
                Type::TEXT,
            ],
        )
        .await?;
    let rows = transaction
        .query(
            &statement,
            &[&patient.0, &studies, &scopes, &decisions, &actions, &user.0, &reference, &context.request_id],
        )
        .await
        .map_err(|error| if refers_to_nothing(&error) { StoreError::Contention } else { error.into() })?;
    rows.iter()
        .zip(changes.iter().zip(judged))
        .map(|(row, (change, (enrolment, scope)))| {
            Ok(ConsentOutcome {
                id: row.try_get(0)?,
                enrolment,
                study: change.study,
                scope,
                decision: change.decision,
                actions: change.actions.clone(),
                decided_at: row.try_get(1)?,
            })
        })
        .collect()
}

async fn record_change(
    transaction: &deadpool_postgres::Transaction<'_>,
    context: &Context,
    refused_by: Option<RefusedBy>,
    studies: &[i32],
    patient: PatientId,
) -> Result<(), StoreError> {
    let statement = transaction
        .prepare_typed_cached(
            "SELECT audit_record($1, $2, $3, ARRAY(SELECT DISTINCT organization_id FROM study WHERE id = ANY ($4)),
                                 ARRAY(SELECT DISTINCT id FROM study WHERE id = ANY ($4)),
                                 ARRAY(SELECT id FROM patient WHERE id = $5), '{}',
                                 (SELECT max(m.role) FROM study s JOIN organization_member m ON m.organization_id = s.organization_id
                                    JOIN practitioner p ON p.id = m.practitioner_id
                                   WHERE s.id = ANY ($4) AND p.user_id = ($1->>'actor_user_id')::int))",
            &[Type::JSONB, Type::TEXT, Type::TEXT, Type::INT4_ARRAY, Type::INT4],
        )
        .await?;
    let outcome = if refused_by.is_none() { "allowed" } else { "denied" };
    let reason = refused_by.map(RefusedBy::name);
    transaction.execute(&statement, &[&Json(context), &outcome, &reason, &studies, &patient.0]).await?;
    Ok(())
}
