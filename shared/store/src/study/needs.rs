//! What a study asks for and uses: scopes, data sources, clients.

use super::{ACTING_ROLE, COLUMNS, Study, VISIBLE, study};
use crate::{
    Store, StoreError,
    link::{self, Added, Link, Part},
    observation::Reader,
};
use audit::Context;
use authz::StudyId;
use serde_json::Value;
use tokio_postgres::types::{Json, Type};

/// A kind of what a study needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StudyNeed {
    /// The scopes that it asks patients for.
    Scope,
    /// The data sources that it expects data from.
    DataSource,
    /// The apps that its patients are invited to.
    Client,
}

impl StudyNeed {
    const fn link(self) -> Link {
        let (table, part) = match self {
            Self::Scope => ("study_scope_request", Part::Scope),
            Self::DataSource => ("study_data_source", Part::DataSource),
            Self::Client => ("study_client", Part::Client),
        };
        Link {
            table,
            owner: ("study", "study_id"),
            there: "true",
            part,
            organizations: "ARRAY[s.organization_id]",
            studies: "ARRAY[s.id]",
            role: ACTING_ROLE,
        }
    }

    /// 1 to 3 the reader, 4 study.
    fn list(self) -> String {
        let parts = self.link().parts();
        format!(
            "
SELECT {COLUMNS}, {parts} AS parts
  FROM study s JOIN organization o ON o.id = s.organization_id
 WHERE s.id = $4 AND {VISIBLE}"
        )
    }
}

impl Store {
    /// A study that the reader may see, with what it needs of a kind: each as it is shown, with its `id`.
    pub async fn study_needs(
        &self,
        reader: Reader,
        id: StudyId,
        need: StudyNeed,
    ) -> Result<Option<(Study, Vec<Value>)>, StoreError> {
        let (practitioner, patient, privileged) = reader.parts();
        let client = self.connection().await?;
        let types = [Type::INT4, Type::INT4, Type::BOOL, Type::INT4];
        let statement = client.prepare_typed_cached(&need.list(), &types).await?;
        let row = client.query_opt(&statement, &[&practitioner, &patient, &privileged, &id.0]).await?;
        row.map(|row| Ok((study(&row)?, row.try_get::<_, Json<Vec<Value>>>("parts")?.0))).transpose()
    }

    /// Lets a study need something, with the audit record, in one statement. What it needs already stays.
    pub async fn add_study_need(
        &self,
        context: &Context,
        id: StudyId,
        need: StudyNeed,
        part: i32,
    ) -> Result<Added, StoreError> {
        link::add(self, context, &need.link(), id.0, part).await
    }

    /// Lets a study need something no more, with the audit record, in one statement.
    pub async fn remove_study_need(
        &self,
        context: &Context,
        id: StudyId,
        need: StudyNeed,
        part: i32,
    ) -> Result<bool, StoreError> {
        link::remove(self, context, &need.link(), id.0, part).await
    }
}
