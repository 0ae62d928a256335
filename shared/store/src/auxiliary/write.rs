//! Storing, changing and deleting resources that are kept as they come.
//!
//! As with observations, the patient's row is locked against consent decisions while the verdict is found and carried out.
//! A trigger of the database keeps what a resource was before.

use super::{
    read::{AuxiliaryResource, raw, resource, who},
    statement,
};
use crate::{
    Reader, Store, StoreError, WhenRevoked,
    observation::create::{FACTS, LOCK, uploads_for},
    payloads::{key_id, sealed},
    refusal,
};
use audit::{Action, Context, RefusedBy, Target};
use authz::{Actor, Layer, Permission, Principal, Refusal, Role, permit};
use deadpool_postgres::Transaction;
use payload::{KeyId, Place};
use std::collections::BTreeMap;
use tokio_postgres::types::{Json, Type};

/// A resource to store.
#[derive(Clone, Debug)]
pub struct NewAuxiliary<'a> {
    /// The resource type.
    pub kind: &'static str,
    /// The FHIR Source that it comes from, and so its patient.
    pub source: i32,
    /// Its id there: what comes again is a new version of what came before.
    pub upstream_id: Option<&'a str>,
    /// The patient that it names, as far as it does.
    pub named_patient: Option<i32>,
    /// The content.
    pub content: &'a str,
    /// Whether the caller's token lets them change resources of this type.
    pub may_update: bool,
}

/// What came of storing a resource.
#[derive(Clone, Debug)]
pub enum AuxiliaryUpload {
    /// Stored: as its version tells, for the first time or again.
    Stored(AuxiliaryResource),
    /// Refused by a layer. A source that does not exist is refused as one of a stranger is.
    Refused(Layer),
    /// It names another patient than its source's.
    AnotherPatient,
}

/// What a change makes of a resource.
#[derive(Clone, Debug)]
pub struct ChangedContent {
    /// The patient that it names, as far as it does.
    pub named_patient: Option<i32>,
    /// The content.
    pub content: String,
}

/// What came of changing or deleting a resource.
#[derive(Clone, Debug)]
pub enum AuxiliaryChange {
    /// Done: the resource as it is now, or as it was before it was deleted.
    Done(AuxiliaryResource),
    /// It has another version than the caller expects.
    Stale,
    /// It names another patient than its source's.
    AnotherPatient,
    /// Refused by a layer.
    Refused(Refusal),
    /// Nothing has this id.
    Missing,
}

/// What is to become of a resource, given what it is.
pub type AuxiliaryUpsert<'a, E> = &'a (dyn Fn(&AuxiliaryResource) -> Result<ChangedContent, E> + Sync);

/// Who writes, and by which setting.
struct Writer<'a> {
    store: &'a Store,
    context: &'a Context,
    actor: &'a Actor,
    when_revoked: Option<WhenRevoked>,
}

/// A resource that the caller may change.
struct Current {
    resource: AuxiliaryResource,
    scope: i32,
    key: KeyId,
    role: Option<Role>,
}

impl Store {
    /// Stores a resource, with its audit record, if the caller may upload it. What comes again under the same id of its source is a
    /// change, and asks for all that a change asks for.
    pub async fn store_auxiliary(
        &self,
        context: &Context,
        actor: &Actor,
        when_revoked: WhenRevoked,
        new: &NewAuxiliary<'_>,
    ) -> Result<AuxiliaryUpload, StoreError> {
        let mut client = self.connection().await?;
        let transaction = client.transaction().await?;
        let writer = Writer { store: self, context, actor, when_revoked: Some(when_revoked) };
        let statement = transaction.prepare_typed_cached(statement::SOURCE, &[Type::INT4]).await?;
        let found = transaction.query_opt(&statement, &[&new.source]).await?;
        let patient: Option<i32> = found.map(|row| row.try_get(0)).transpose()?;
        let outcome = match patient {
            None => AuxiliaryUpload::Refused(stranger(actor)),
            Some(patient) => writer.store(&transaction, patient, new).await?,
        };
        let reason = match &outcome {
            AuxiliaryUpload::Stored(_) => None,
            AuxiliaryUpload::Refused(_) if patient.is_none() => Some(RefusedBy::NotFound),
            AuxiliaryUpload::Refused(layer) => Some(RefusedBy::Layer(*layer)),
            AuxiliaryUpload::AnotherPatient => Some(RefusedBy::Invalid),
        };
        if let Some(reason) = reason {
            refusal::record(&transaction, context, &Target::nothing().and_patients(patient), reason).await?;
        }
        transaction.commit().await?;
        Ok(outcome)
    }

    /// Changes a resource, with its audit record, if the caller may: `change` says what it becomes. `expected` are the versions
    /// that the caller wants to change; none for any.
    pub async fn change_auxiliary<E>(
        &self,
        context: &Context,
        actor: &Actor,
        when_revoked: WhenRevoked,
        target: (&'static str, &str),
        expected: Option<&[i32]>,
        change: AuxiliaryUpsert<'_, E>,
    ) -> Result<Result<AuxiliaryChange, E>, StoreError> {
        let writer = Writer { store: self, context, actor, when_revoked: Some(when_revoked) };
        writer.alter(target, expected, Some(change)).await
    }

    /// Deletes a resource, with its audit record, if the caller may.
    pub async fn delete_auxiliary(
        &self,
        context: &Context,
        actor: &Actor,
        target: (&'static str, &str),
        expected: Option<&[i32]>,
    ) -> Result<AuxiliaryChange, StoreError> {
        let writer = Writer { store: self, context, actor, when_revoked: None };
        match writer.alter::<std::convert::Infallible>(target, expected, None).await? {
            Ok(outcome) => Ok(outcome),
            Err(never) => match never {},
        }
    }
}

/// The layer by which somebody is refused whose patient the source is not.
const fn stranger(actor: &Actor) -> Layer {
    match actor.principal {
        Principal::Practitioner(_) => Layer::Organization,
        Principal::Patient(_) | Principal::SuperAdmin => Layer::UserType,
    }
}

impl Writer<'_> {
    fn practitioner(&self) -> Option<i32> {
        self.actor.practitioner().map(|id| id.0)
    }

    async fn lock(&self, transaction: &Transaction<'_>, patient: i32) -> Result<(), StoreError> {
        let own = self.actor.patient().ok().map(|id| id.0);
        let types = [Type::INT4_ARRAY, Type::INT4, Type::INT4];
        let statement = transaction.prepare_typed_cached(LOCK, &types).await?;
        transaction.execute(&statement, &[&[patient].as_slice(), &own, &self.practitioner()]).await?;
        Ok(())
    }

    async fn store(
        &self,
        transaction: &Transaction<'_>,
        patient: i32,
        new: &NewAuxiliary<'_>,
    ) -> Result<AuxiliaryUpload, StoreError> {
        self.lock(transaction, patient).await?;
        let types = [Type::INT4_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::INT4_ARRAY, Type::INT4];
        let statement = transaction.prepare_typed_cached(&FACTS, &types).await?;
        let system = "http://hl7.org/fhir/resource-types";
        let practitioner = self.practitioner();
        let facts = transaction
            .query_one(
                &statement,
                &[
                    &[patient].as_slice(),
                    &[system].as_slice(),
                    &[new.kind].as_slice(),
                    // The data source is the FHIR Source's affair.
                    &[0].as_slice(),
                    &practitioner,
                ],
            )
            .await?;
        let role: Option<Role> = role_named(facts.try_get("role")?)?;
        let allowed = uploads_for(self.actor, patient, role);
        if let Err(layer @ (Layer::UserType | Layer::Organization)) = allowed {
            return Ok(AuxiliaryUpload::Refused(layer));
        }
        // Where nobody asks for this type, nobody has consented to it.
        let scope: Option<i32> = facts.try_get("scope_id")?;
        let consented = self.consented(facts.try_get("ever_granted")?, facts.try_get("granted_now")?);
        let (Some(scope), true) = (scope, consented) else {
            return Ok(AuxiliaryUpload::Refused(Layer::Consent));
        };
        if let Err(layer) = allowed {
            return Ok(AuxiliaryUpload::Refused(layer));
        }
        if new.named_patient.is_some_and(|named| named != patient) {
            return Ok(AuxiliaryUpload::AnotherPatient);
        }
        let present = self.present(transaction, scope, new).await?;
        if let Some(id) = &present {
            if !new.may_update {
                return Ok(AuxiliaryUpload::Refused(Layer::Role));
            }
            if let Err(refusal) = self.current(transaction, (new.kind, id)).await? {
                return Ok(AuxiliaryUpload::Refused(refusal.layer));
            }
        }
        let place = Place::Auxiliary { patient, scope, source: new.source };
        let key = key_id(&facts)?.ok_or(StoreError::Corrupt("payload_key"))?;
        let Some(payload) = self.sealed(transaction, key, place, new.content).await? else {
            return Ok(AuxiliaryUpload::Refused(stranger(self.actor)));
        };
        let action = if present.is_some() { Action::Update } else { self.context.action };
        let context = Context { action, ..self.context.clone() };
        let types = [
            Type::JSONB,
            Type::INT4,
            Type::TEXT,
            Type::INT4,
            Type::INT4,
            Type::INT4,
            Type::TEXT,
            Type::BYTEA,
            Type::BOOL,
        ];
        let statement = transaction.prepare_typed_cached(&statement::STORE, &types).await?;
        let row = transaction
            .query_opt(
                &statement,
                &[
                    &Json(&context),
                    &practitioner,
                    &role.map(Role::name),
                    &patient,
                    &scope,
                    &new.source,
                    &new.upstream_id,
                    &payload,
                    &present.is_some(),
                ],
            )
            .await?
            .ok_or(StoreError::Contention)?;
        resource(&row, new.content.to_owned()).map(AuxiliaryUpload::Stored)
    }

    /// A text as it is stored; none for a patient whose key was destroyed.
    async fn sealed(
        &self,
        transaction: &Transaction<'_>,
        key: KeyId,
        place: Place,
        text: &str,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let held = self.store.keys_to_seal(transaction, &BTreeMap::from([(key, place.patient())])).await?;
        sealed(&held, key, place, text)
    }

    /// The id of what came from the source before under the same id.
    async fn present(
        &self,
        transaction: &Transaction<'_>,
        scope: i32,
        new: &NewAuxiliary<'_>,
    ) -> Result<Option<String>, StoreError> {
        let types = [Type::INT4, Type::INT4, Type::TEXT];
        let statement = transaction.prepare_typed_cached(statement::PRESENT, &types).await?;
        let found = transaction.query_opt(&statement, &[&new.source, &scope, &new.upstream_id]).await?;
        Ok(found.map(|row| row.try_get(0)).transpose()?)
    }

    fn consented(&self, ever_granted: bool, granted_now: bool) -> bool {
        self.when_revoked.is_none_or(|setting| setting.lets_pass(ever_granted, granted_now))
    }

    /// Changes a resource, or deletes it.
    async fn alter<E>(
        &self,
        target: (&'static str, &str),
        expected: Option<&[i32]>,
        change: Option<AuxiliaryUpsert<'_, E>>,
    ) -> Result<Result<AuxiliaryChange, E>, StoreError> {
        /// Somebody else can change it between the look and the change; then it is looked at again.
        const ATTEMPTS: usize = 4;
        let mut client = self.store.connection().await?;
        for _ in 0..ATTEMPTS {
            let transaction = client.transaction().await?;
            let statement = transaction.prepare_typed_cached(statement::PATIENT, &[Type::TEXT, Type::TEXT]).await?;
            let found = transaction.query_opt(&statement, &[&target.1, &target.0]).await?;
            let patient: Option<i32> = found.map(|row| row.try_get(0)).transpose()?;
            let outcome = match patient {
                None => AuxiliaryChange::Missing,
                Some(patient) => {
                    self.lock(&transaction, patient).await?;
                    match self.attempt(&transaction, patient, target, expected, change).await? {
                        Ok(Some(outcome)) => outcome,
                        Ok(None) => continue,
                        Err(error) => return Ok(Err(error)),
                    }
                }
            };
            let reason = match &outcome {
                AuxiliaryChange::Done(_) => None,
                AuxiliaryChange::Stale | AuxiliaryChange::AnotherPatient => Some(RefusedBy::Invalid),
                AuxiliaryChange::Refused(refusal) => Some(RefusedBy::Layer(refusal.layer)),
                AuxiliaryChange::Missing => Some(RefusedBy::NotFound),
            };
            if let Some(reason) = reason {
                let target = Target::nothing().and_patients(patient);
                refusal::record(&transaction, self.context, &target, reason).await?;
            }
            transaction.commit().await?;
            return Ok(Ok(outcome));
        }
        Err(StoreError::Contention)
    }

    /// Changes a resource of a patient who is locked, or deletes it: none when somebody else was faster.
    async fn attempt<E>(
        &self,
        transaction: &Transaction<'_>,
        patient: i32,
        target: (&'static str, &str),
        expected: Option<&[i32]>,
        change: Option<AuxiliaryUpsert<'_, E>>,
    ) -> Result<Result<Option<AuxiliaryChange>, E>, StoreError> {
        let current = match self.current(transaction, target).await? {
            Ok(current) => current,
            Err(refusal) => return Ok(Ok(Some(AuxiliaryChange::Refused(refusal)))),
        };
        if expected.is_some_and(|known| !known.contains(&current.resource.version)) {
            return Ok(Ok(Some(AuxiliaryChange::Stale)));
        }
        let content = match change.map(|change| change(&current.resource)).transpose() {
            Ok(content) => content,
            Err(error) => return Ok(Err(error)),
        };
        let named = content.as_ref().and_then(|content| content.named_patient);
        if named.is_some_and(|named| named != patient) {
            return Ok(Ok(Some(AuxiliaryChange::AnotherPatient)));
        }
        Ok(Ok(self.carry_out(transaction, &current, content).await?.map(AuxiliaryChange::Done)))
    }

    /// The resource of a patient who is locked, if the caller may change it. Who may not read it is not told that it is there.
    async fn current(
        &self,
        transaction: &Transaction<'_>,
        (kind, id): (&'static str, &str),
    ) -> Result<Result<Current, Refusal>, StoreError> {
        let reader = Reader::from(self.actor);
        let types = [Type::JSONB, Type::TEXT, Type::INT4, Type::TEXT];
        let statement = transaction.prepare_typed_cached(&statement::current(reader), &types).await?;
        let row = transaction.query_one(&statement, &[&Json(self.context), &id, &who(reader), &kind]).await?;
        if let Some(refused) = row.try_get::<_, Option<&str>>("refused_by")? {
            // Deleted meanwhile, it is as one that the caller may not see.
            return Ok(Err(Refusal::concealed(Layer::from_name(refused).unwrap_or(Layer::Consent))));
        }
        let role = role_named(row.try_get("role")?)?;
        if !matches!(self.actor.principal, Principal::Patient(_))
            && let Err(refusal) = permit(self.actor, Permission::UploadOnBehalf, role)
        {
            return Ok(Err(Refusal::known(refusal.layer)));
        }
        if !self.consented(row.try_get("ever_granted")?, row.try_get("granted_now")?) {
            return Ok(Err(Refusal::known(Layer::Consent)));
        }
        // Whose key was destroyed is no patient any more.
        let Some(text) = self.store.opened_one(raw(&row)?).await? else {
            return Ok(Err(Refusal::concealed(Layer::Consent)));
        };
        let key = key_id(&row)?.ok_or(StoreError::Corrupt("payload_key"))?;
        Ok(Ok(Current { resource: resource(&row, text)?, scope: row.try_get("scope_id")?, key, role }))
    }

    /// Makes the change: none when somebody else was faster.
    async fn carry_out(
        &self,
        transaction: &Transaction<'_>,
        current: &Current,
        becomes: Option<ChangedContent>,
    ) -> Result<Option<AuxiliaryResource>, StoreError> {
        let audited = Json(self.context);
        let practitioner = self.practitioner();
        let role = current.role.map(Role::name);
        let (number, version) = (current.resource.number, current.resource.version);
        let mut types = vec![Type::JSONB, Type::INT4, Type::TEXT, Type::INT8, Type::INT4];
        let (row, text) = if let Some(ChangedContent { content: text, .. }) = becomes {
            let (patient, source) = (current.resource.patient, current.resource.source);
            let place = Place::Auxiliary { patient, scope: current.scope, source };
            let Some(payload) = self.sealed(transaction, current.key, place, &text).await? else { return Ok(None) };
            types.push(Type::BYTEA);
            let statement = transaction.prepare_typed_cached(&statement::CHANGE, &types).await?;
            let changed = transaction
                .query_opt(&statement, &[&audited, &practitioner, &role, &number, &version, &payload])
                .await?;
            (changed, text)
        } else {
            let statement = transaction.prepare_typed_cached(&statement::DELETE, &types).await?;
            let deleted =
                transaction.query_opt(&statement, &[&audited, &practitioner, &role, &number, &version]).await?;
            (deleted, current.resource.content.clone())
        };
        row.map(|row| resource(&row, text)).transpose()
    }
}

fn role_named(name: Option<&str>) -> Result<Option<Role>, StoreError> {
    name.map(|name| name.parse().map_err(|_| StoreError::Corrupt("role"))).transpose()
}
