//! What the token of a request may be used for.
//!
//! A token that names SMART scopes is for the FHIR routes, each by its resource type and interaction. A token that names none
//! has the whole access of its user if its client is one of the operator's own; else it is a sign-in and opens no data.
//! The routes outside FHIR have no scopes of their own and need whole access.

use crate::{App, Failure, Request};
use audit::{Action, RefusedBy, Target};
use authz::{Actor, Layer, Principal};
use oauth::{
    OAuthError,
    smart::{self, Holder, Interaction},
};
use store::Authenticated;

impl Request {
    /// Who asks, if their token has whole access: for the routes that no scope names. A refusal is recorded.
    pub async fn actor(&self, app: &App) -> Result<Actor, Failure> {
        let caller = self.authenticated(app).await?;
        if caller.whole_access {
            return Ok(caller.actor);
        }
        Err(self.out_of_scope(app, &caller, Action::Execute, "Token", &Target::nothing()).await)
    }

    /// Whether the caller's token lets them do this with resources of this type. Nothing is recorded: a yes or no is part of another
    /// question.
    pub async fn reaches(&self, app: &App, resource: &str, interaction: Interaction) -> Result<bool, Failure> {
        Ok(reaches(&self.authenticated(app).await?, resource, interaction))
    }

    /// Who asks, if their token lets them do this with resources of this type (SMART App Launch 2.2, scopes). A refusal is
    /// recorded, with what the request names.
    pub async fn fhir_actor(
        &self,
        app: &App,
        resource: &'static str,
        interaction: Interaction,
    ) -> Result<Actor, Failure> {
        let caller = self.authenticated(app).await?;
        if reaches(&caller, resource, interaction) {
            return Ok(caller.actor);
        }
        Err(self.out_of_scope(app, &caller, action(interaction), resource, &self.named()).await)
    }

    /// Records that a token does not reach so far, and says so (RFC 6750 section 3.1, `insufficient_scope`).
    async fn out_of_scope(
        &self,
        app: &App,
        caller: &Authenticated,
        action: Action,
        resource: &'static str,
        target: &Target,
    ) -> Failure {
        let context = self.audit(Some(&caller.actor), action, resource);
        let recorded = async {
            Ok::<_, Failure>(app.store().await?.record_refusal(&context, target, RefusedBy::Layer(Layer::Token)).await?)
        };
        match recorded.await {
            Ok(()) => OAuthError::insufficient_scope("The scope of the access token does not allow this.").into(),
            Err(failure) => failure,
        }
    }
}

fn reaches(caller: &Authenticated, resource: &str, interaction: Interaction) -> bool {
    caller.whole_access || smart::permits(&caller.scope, holder(caller), resource, interaction)
}

const fn holder(caller: &Authenticated) -> Holder {
    match caller.actor.principal {
        _ if caller.is_by_client => Holder::Client,
        Principal::Patient(_) => Holder::Patient,
        Principal::Practitioner(_) | Principal::SuperAdmin => Holder::User,
    }
}

const fn action(interaction: Interaction) -> Action {
    match interaction {
        Interaction::Create => Action::Create,
        Interaction::Read => Action::Read,
        Interaction::Update => Action::Update,
        Interaction::Delete => Action::Delete,
        Interaction::Search => Action::Search,
    }
}
