//! Refusals of actions: decided by `authz`, and recorded before they are answered.

use crate::{App, Failure, Request};
use audit::{Context, RefusedBy, Target};
use authz::{Actor, Basis, Layer, Permission, Refusal, Role};

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
            return Ok(());
        }
        Err(self.refuse(app, context, target, Refusal::known(Layer::UserType)).await)
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
