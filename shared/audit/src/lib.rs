//! What the audit says of a request. Pure: the database adds the time and what the statement found.
//!
//! 45 CFR 164.312(b) asks who did what to which data, and when. [`Context`] is what the request knows before
//! it touches the database: who, from where, and what is asked. The statement that reads or writes health
//! data passes it to the database function `audit_record`, together with the ids that it found, so that
//! the access and its record are one.
//!
//! What was recorded is sealed: [`leaf`] and [`merkle`] make one hash of the events of a while, [`seal`] signs it and ties it to
//! the one before, [`comparison`] finds what was changed since, and [`proof`] shows one event to somebody who has only the public
//! key.

pub mod comparison;
mod hash;
pub mod leaf;
pub mod merkle;
pub mod proof;
pub mod seal;
mod session;
pub mod summary;
mod target;

pub use hash::Hash;
pub use session::Session;
pub use target::Target;

use authz::{Actor, ClientId, Layer, PatientId, UserId};
use serde::Serialize;

/// What was done, in the terms of FHIR `AuditEvent.action`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A resource was read by its id.
    Read,
    /// Resources were searched or listed.
    Search,
    /// Something was created.
    Create,
    /// Something was changed.
    Update,
    /// Something was deleted or ended.
    Delete,
    /// An operation ran: a sign-in, a token issued.
    Execute,
}

/// Why a request was refused: by a layer, or because the thing does not exist or the input is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedBy {
    /// One of the six layers.
    Layer(Layer),
    /// Nothing has this id.
    NotFound,
    /// The input was not acceptable.
    Invalid,
}

impl RefusedBy {
    /// The name in the audit.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Layer(layer) => layer.name(),
            Self::NotFound => "not_found",
            Self::Invalid => "invalid",
        }
    }

    /// The reason with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "not_found" => Some(Self::NotFound),
            "invalid" => Some(Self::Invalid),
            layer => Layer::from_name(layer).map(Self::Layer),
        }
    }
}

impl From<Layer> for RefusedBy {
    fn from(layer: Layer) -> Self {
        Self::Layer(layer)
    }
}

/// Who asks for what, from where. Serialised into the first argument of `audit_record`.
#[derive(Clone, Debug, Serialize)]
pub struct Context {
    /// The request's id, which is also in the logs and in the response.
    pub request_id: String,
    /// The user; none when nobody was authenticated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor_user_id: Option<UserId>,
    /// `anonymous`, `patient`, `practitioner`, `super_admin` or `system`.
    pub actor_type: &'static str,
    /// The OAuth client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    /// The grant of the access token, or the session of the browser.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Session>,
    /// What is done.
    pub action: Action,
    /// The FHIR resource type, or the name of what is touched.
    pub resource_type: &'static str,
    /// True for a super admin's access.
    pub privileged: bool,
    /// The patient for whom a practitioner decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<PatientId>,
    /// The caller's network address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_address: Option<String>,
    /// Why, in the caller's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The account that somebody tries to open, who has yet to prove to be its owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_user_id: Option<UserId>,
    /// Who called a command at the machine, by the account there: it is in `detail`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
}

impl Context {
    /// The context of a request by `actor`, or by nobody.
    #[must_use]
    pub fn new(
        request_id: &str,
        source_address: Option<&str>,
        actor: Option<&Actor>,
        action: Action,
        resource_type: &'static str,
    ) -> Self {
        Self {
            request_id: request_id.to_owned(),
            actor_user_id: actor.map(|actor| actor.user),
            actor_type: actor.map_or("anonymous", Actor::kind),
            client_id: actor.map(|actor| actor.client),
            session: None,
            action,
            resource_type,
            privileged: actor.is_some_and(Actor::is_privileged),
            on_behalf_of: None,
            source_address: source_address.map(str::to_owned),
            reason: None,
            subject_user_id: None,
            operator: None,
        }
    }

    /// The same context, with the reason that the caller gives.
    #[must_use]
    pub fn because(mut self, reason: Option<&str>) -> Self {
        self.reason = reason.map(str::to_owned);
        self
    }

    /// The same context, in a session.
    #[must_use]
    pub fn in_session(mut self, session: Option<Session>) -> Self {
        self.session = session;
        self
    }

    /// The same context, for an attempt to open this account.
    #[must_use]
    pub const fn on_account(mut self, user: UserId) -> Self {
        self.subject_user_id = Some(user);
        self
    }

    /// The context of what the system does by itself.
    #[must_use]
    pub fn of_system(request_id: &str, action: Action, resource_type: &'static str) -> Self {
        Self { actor_type: "system", ..Self::new(request_id, None, None, action, resource_type) }
    }

    /// The same context, of a command that this account of the operating system called.
    #[must_use]
    pub fn called_by(mut self, operator: Option<&str>) -> Self {
        self.operator = operator.map(str::to_owned);
        self
    }

    /// The same context, for a decision on behalf of a patient.
    #[must_use]
    pub const fn on_behalf_of(mut self, patient: PatientId) -> Self {
        self.on_behalf_of = Some(patient);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use authz::Principal;

    #[test]
    fn nobody_is_anonymous() {
        let context = Context::new("r1", None, None, Action::Read, "Observation");
        let json = serde_json::to_value(&context).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"request_id": "r1", "actor_type": "anonymous", "action": "read",
                "resource_type": "Observation", "privileged": false})
        );
    }

    #[test]
    fn the_system_is_not_anonymous() {
        let context = Context::of_system("r1", Action::Update, "SigningKeys");
        assert_eq!((context.actor_type, context.actor_user_id, context.privileged), ("system", None, false));
    }

    #[test]
    fn a_super_admins_access_is_privileged() {
        let actor = Actor { user: UserId(1), client: ClientId(2), principal: Principal::SuperAdmin };
        let context = Context::new("r1", Some("192.0.2.1"), Some(&actor), Action::Search, "Patient");
        assert!(context.privileged);
        assert_eq!(context.actor_type, "super_admin");
        assert_eq!(context.source_address.as_deref(), Some("192.0.2.1"));
    }

    #[test]
    fn who_is_tried_does_not_act() {
        let context = Context::new("r1", None, None, Action::Execute, "Session").on_account(UserId(5));
        assert_eq!((context.actor_user_id, context.subject_user_id), (None, Some(UserId(5))));
    }

    #[test]
    fn reasons_round_trip() {
        let reasons = Layer::ALL.map(RefusedBy::Layer).into_iter().chain([RefusedBy::NotFound, RefusedBy::Invalid]);
        for reason in reasons {
            assert_eq!(RefusedBy::from_name(reason.name()), Some(reason));
        }
        assert_eq!(RefusedBy::from_name("x"), None);
    }
}
