//! An event as it is shown.

use crate::StoreError;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_postgres::{Row, types::Json};

/// A study, an organization or an app, by id and name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Its id.
    pub id: i32,
    /// Its name.
    pub name: String,
}

/// Who did something, by the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedActor {
    /// The account.
    pub user: i32,
    /// Its e-mail.
    pub email: String,
    /// The person's name.
    pub name: String,
    /// As a practitioner.
    pub practitioner: Option<i32>,
    /// As a patient.
    pub patient: Option<i32>,
}

impl LoggedActor {
    /// What stands for the person in a text: the name, or the e-mail of an account without one.
    #[must_use]
    pub fn shown(&self) -> &str {
        if self.name.is_empty() { &self.email } else { &self.name }
    }
}

/// One event, with what whoever reads it may know.
#[derive(Clone, Debug)]
pub struct LoggedEvent {
    /// The event's number.
    pub id: i64,
    /// When.
    pub occurred_at: Timestamp,
    /// The request.
    pub request_id: String,
    /// The session: for super admins.
    pub session: Option<String>,
    /// Who; none when nobody was authenticated, or it is not for the reader to know.
    pub actor: Option<LoggedActor>,
    /// What kind of user.
    pub actor_type: String,
    /// The role that was used.
    pub role: Option<String>,
    /// The app.
    pub client: Option<Named>,
    /// For which studies.
    pub studies: Vec<Named>,
    /// Through which organizations; or whose patients it was tried with.
    pub organizations: Vec<Named>,
    /// In which organizations of the event the actor had a role then. It is not shown: some may not be for the reader to know.
    pub acted_in: Vec<i32>,
    /// What was done.
    pub action: String,
    /// To what.
    pub resource_type: String,
    /// Of which patients.
    pub patient_ids: Vec<i32>,
    /// Which observations were returned or written.
    pub observation_ids: Vec<i64>,
    /// How many resources were counted, and not shown: for patients.
    pub counted: Option<i64>,
    /// Whether something was found: for patients.
    pub is_found: bool,
    /// What kinds of data these are: for patients.
    pub kinds: Vec<String>,
    /// `allowed`, `denied` or `failed`.
    pub outcome: String,
    /// The layer that refused.
    pub refused_by: Option<String>,
    /// True for a super admin's access.
    pub privileged: bool,
    /// Why, in the words of the actor who is named.
    pub reason: Option<String>,
    /// The patient for whom was decided.
    pub on_behalf_of: Option<i32>,
    /// From where: not for patients.
    pub source_address: Option<String>,
    /// The account that somebody tried to open: for super admins.
    pub subject_user_id: Option<i32>,
    /// What has no column: for super admins.
    pub detail: Option<Value>,
}

impl LoggedEvent {
    /// The event of a row; none of the row of a page that has none.
    pub(super) fn read(row: &Row) -> Result<Option<Self>, StoreError> {
        let Some(id) = row.try_get("id")? else { return Ok(None) };
        Ok(Some(Self {
            id,
            occurred_at: row.try_get("occurred_at")?,
            request_id: row.try_get("request_id")?,
            session: row.try_get("session")?,
            actor: actor(row)?,
            actor_type: row.try_get("actor_type")?,
            role: row.try_get("role")?,
            client: client(row)?,
            studies: row.try_get::<_, Json<Vec<Named>>>("studies")?.0,
            organizations: row.try_get::<_, Json<Vec<Named>>>("organizations")?.0,
            acted_in: row.try_get("acted_in")?,
            action: row.try_get("action")?,
            resource_type: row.try_get("resource_type")?,
            patient_ids: row.try_get("patient_ids")?,
            observation_ids: row.try_get("observation_ids")?,
            counted: row.try_get("counted")?,
            is_found: row.try_get("is_found")?,
            kinds: row.try_get("kinds")?,
            outcome: row.try_get("outcome")?,
            refused_by: row.try_get("refused_by")?,
            privileged: row.try_get("privileged")?,
            reason: row.try_get("reason")?,
            on_behalf_of: row.try_get("on_behalf_of")?,
            source_address: row.try_get("source_address")?,
            subject_user_id: row.try_get("subject_user_id")?,
            detail: row.try_get::<_, Option<Json<Value>>>("detail")?.map(|detail| detail.0),
        }))
    }
}

fn actor(row: &Row) -> Result<Option<LoggedActor>, StoreError> {
    let Some(user) = row.try_get("user_id")? else { return Ok(None) };
    Ok(Some(LoggedActor {
        user,
        email: row.try_get("email")?,
        name: row.try_get("user_name")?,
        practitioner: row.try_get("practitioner_id")?,
        patient: row.try_get("patient_id")?,
    }))
}

fn client(row: &Row) -> Result<Option<Named>, StoreError> {
    let Some(id) = row.try_get("client_id")? else { return Ok(None) };
    Ok(Some(Named { id, name: row.try_get("client_name")? }))
}
