//! Refusals of actions: decided by `authz`, and recorded before they are answered.

use crate::{App, Failure, Request, factor::RECENT};
use audit::{Context, RefusedBy, Target};
use authz::{Actor, Basis, Layer, Permission, Refusal, Role};
use http::Method;
use oauth::OAuthError;

impl Request {
    /// Lets an action pass, or records its refusal and refuses it. `target` is what the request names, `role` the
    /// caller's role in the organization that the action is about. Called before the rest of the body is judged, so that
    /// what else is wrong with a request does not keep its refusal from the record.
    pub async fn permit(
        &self,
        app: &App,
        context: &Context,
        target: &Target,
        actor: &Actor,
        permission: Permission,
        role: Option<Role>,
    ) -> Result<Basis, Failure> {
        match authz::permit(actor, permission, role) {
            Ok(basis) => Ok(basis),
            Err(refusal) => Err(self.refuse(app, context, target, refusal).await),
        }
    }

    /// Lets only a super admin pass, or records the refusal and refuses.
    pub async fn permit_super_admin(
        &self,
        app: &App,
        context: &Context,
        target: &Target,
        actor: &Actor,
    ) -> Result<(), Failure> {
        if actor.is_privileged() {
            return self.is_recent(app, context, target).await;
        }
        Err(self.refuse(app, context, target, Refusal::known(Layer::UserType)).await)
    }

    /// Where the deployment asks for it, a super admin signs in anew before something is changed that only they may change
    /// (OWASP ASVS 5.0 section 7.5.3, RFC 9470).
    async fn is_recent(&self, app: &App, context: &Context, target: &Target) -> Result<(), Failure> {
        if !app.settings.super_admins_sign_in_recently || *self.method() == Method::GET {
            return Ok(());
        }
        let signed_in_at = self.authenticated(app).await?.signed_in_at;
        if app.now().duration_since(signed_in_at) < RECENT {
            return Ok(());
        }
        record(app, context, target, RefusedBy::Layer(Layer::Token)).await?;
        Err(OAuthError::old_user_authentication().into())
    }

    /// Records a refusal. What comes back is the failure to answer with: when the record cannot be written, that.
    pub async fn refuse(&self, app: &App, context: &Context, target: &Target, refusal: Refusal) -> Failure {
        match record(app, context, target, RefusedBy::Layer(refusal.layer)).await {
            Ok(()) => Failure::Refused(refusal),
            Err(failure) => failure,
        }
    }
}

async fn record(app: &App, context: &Context, target: &Target, reason: RefusedBy) -> Result<(), Failure> {
    app.store().await?.record_refusal(context, target, reason).await?;
    Ok(())
}
