//! The audit, as patients, managers and super admins read it: newest first, and each reading recorded by the statement that
//! reads.

mod row;
mod statement;

pub use row::{LoggedActor, LoggedEvent, Named};

use crate::{Store, StoreError};
use audit::Context;
use authz::{OrganizationId, PatientId, PractitionerId, Role, UserId};
use jiff::Timestamp;
use statement::{Recorded, Statement};
use tokio_postgres::types::{Json, ToSql, Type};

/// Whose events are read, and on whose authority. Of each event, only what is theirs is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditScope {
    /// A patient's own.
    Own(PatientId),
    /// An organization's.
    Organization {
        /// The organization.
        id: OrganizationId,
        /// Who asks, if not a super admin.
        practitioner: Option<PractitionerId>,
    },
    /// Those of the organizations in which a practitioner has the role for it.
    Managed(PractitionerId),
    /// Everything.
    Everything,
}

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoggedBy {
    /// An account.
    User(i32),
    /// A practitioner.
    Practitioner(i32),
    /// A patient.
    Patient(i32),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoggedOutcome {
    /// It was done.
    Allowed,
    /// It was refused.
    Denied,
    /// It could not be done.
    Failed,
    /// It was refused or could not be done.
    NotAllowed,
}

/// Which of the events. What is absent or empty does not filter. It finds nothing by what is not shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Those with one of these numbers.
    pub ids: Vec<i64>,
    /// By whom.
    pub by: Option<LoggedBy>,
    /// Not by this account.
    pub by_others_than: Option<UserId>,
    /// Of one of these patients.
    pub patients: Vec<i32>,
    /// Of a study.
    pub study: Option<i32>,
    /// Of an organization.
    pub organization: Option<i32>,
    /// Attempts to open this account.
    pub subject: Option<i32>,
    /// From this address.
    pub address: Option<String>,
    /// What a finding of the security monitor was found by.
    pub finding: Option<i32>,
    /// One of these: `read`, `search`, `create`, `update`, `delete`, `execute`.
    pub actions: Vec<String>,
    /// How it ended.
    pub outcome: Option<LoggedOutcome>,
    /// Whether a super admin did it.
    pub privileged: Option<bool>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
}

/// Which page of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditSlice {
    /// The time and number of the last event of the page before.
    pub after: Option<(Timestamp, i64)>,
    /// How many events come first that are not shown.
    pub skip: i64,
    /// How many events.
    pub count: i64,
    /// How far the events are counted.
    pub counted: i64,
}

/// A page of the audit.
#[derive(Clone, Debug, Default)]
pub struct AuditPage {
    /// The events, newest first.
    pub rows: Vec<LoggedEvent>,
    /// True when the next page is not empty.
    pub more: bool,
    /// How many there are, at most as many as were to be counted.
    pub total: i64,
}

/// Who asks may not read it; which role they have in the organization, if any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotShown(pub Option<Role>);

impl Store {
    /// One event, with the record of its reading, in one statement. Nothing is recorded where there is none to show.
    pub async fn audit_event(
        &self,
        context: &Context,
        scope: AuditScope,
        least: Role,
        id: i64,
    ) -> Result<Option<LoggedEvent>, StoreError> {
        let filter = AuditFilter { ids: vec![id], ..AuditFilter::default() };
        let one = AuditSlice { count: 1, ..AuditSlice::default() };
        let statement = Statement::new(scope, &filter, one, Recorded::IfFound);
        let page = self.read_audit(context, scope, least, &filter, one, &statement).await?;
        Ok(page.ok().and_then(|page| page.rows.into_iter().next()))
    }

    /// A page of the audit with its own record, in one statement. Only who has at least the role `least` is shown what is an
    /// organization's; nothing is recorded when nothing may be shown.
    ///
    /// The statement is planned for its values: which parts of the audit are read, and by which index, depends on them.
    pub async fn audit_log(
        &self,
        context: &Context,
        scope: AuditScope,
        least: Role,
        filter: &AuditFilter,
        slice: AuditSlice,
    ) -> Result<Result<AuditPage, NotShown>, StoreError> {
        let statement = Statement::new(scope, filter, slice, Recorded::Always);
        self.read_audit(context, scope, least, filter, slice, &statement).await
    }

    async fn read_audit(
        &self,
        context: &Context,
        scope: AuditScope,
        least: Role,
        filter: &AuditFilter,
        slice: AuditSlice,
        statement: &Statement,
    ) -> Result<Result<AuditPage, NotShown>, StoreError> {
        let client = self.connection().await?;
        let (viewer, organization) = scope.parts();
        let named_organizations: Vec<i32> = organization.into_iter().chain(filter.organization).collect();
        let named_patients =
            if let AuditScope::Own(patient) = scope { vec![patient.0] } else { filter.patients.clone() };
        let (record, least) = (Json(context), least.name());
        let mut values: Vec<(&(dyn ToSql + Sync), Type)> = vec![
            (&record, Type::JSONB),
            (&viewer, Type::INT4),
            (&organization, Type::INT4),
            (&least, Type::TEXT),
            (&slice.count, Type::INT8),
            (&slice.skip, Type::INT8),
            (&slice.counted, Type::INT8),
            (&named_organizations, Type::INT4_ARRAY),
            (&named_patients, Type::INT4_ARRAY),
        ];
        values.extend(statement.values());
        let rows = client.query_typed(statement.text(), &values).await?;
        let mut page = AuditPage::default();
        for row in &rows {
            if !row.try_get::<_, bool>("is_allowed")? {
                let role: Option<&str> = row.try_get("own_role")?;
                let role = role.map(|role| role.parse().map_err(|_| StoreError::Corrupt("role"))).transpose()?;
                return Ok(Err(NotShown(role)));
            }
            page.more = row.try_get("more")?;
            page.total = row.try_get("total")?;
            page.rows.extend(LoggedEvent::read(row)?);
        }
        Ok(Ok(page))
    }
}

impl AuditScope {
    /// Who asks, and the organization.
    const fn parts(self) -> (Option<i32>, Option<i32>) {
        match self {
            Self::Own(patient) => (Some(patient.0), None),
            Self::Organization { id, practitioner: Some(practitioner) } => (Some(practitioner.0), Some(id.0)),
            Self::Organization { id, practitioner: None } => (None, Some(id.0)),
            Self::Managed(practitioner) => (Some(practitioner.0), None),
            Self::Everything => (None, None),
        }
    }
}
