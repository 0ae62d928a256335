//! What making an account and ending it have in common, by whichever route.

use audit::{Action, Context, RefusedBy, Target};
use authz::{Actor, Layer, Refusal, UserId};
use jiff::SignedDuration;
use mail::{MailError, Mailer};
use oauth::Secret;
use runtime::{App, Failure, Request, Response, browser::with_token, no_content};
use store::{Changed, Expected, NewUser, Standing, StandingChange, StoreError, UserChange};

/// How long the link to the first password works. After that, "Forgot your password" sends another.
const LINK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A practitioner's account to make.
pub struct Wanted<'a> {
    /// The name of the e-mail's field in the body.
    pub email_field: &'static str,
    /// E-mail.
    pub email: &'a str,
    /// Given name.
    pub first_name: &'a str,
    /// Family name.
    pub last_name: &'a str,
    /// Whether it is a super admin's.
    pub is_superuser: bool,
}

/// Makes a practitioner's account and sends the link to its first password: the account and the practitioner. A deployment
/// without mail makes accounts for single sign-on.
pub async fn practitioner(app: &App, context: &Context, wanted: &Wanted<'_>) -> Result<(UserId, i32), Failure> {
    let mailer = match Mailer::of(app) {
        Ok(mailer) => Some((mailer, Secret::generate()?)),
        Err(MailError::Off) => None,
        Err(error) => return Err(error.into()),
    };
    let new = NewUser {
        email: wanted.email,
        first_name: wanted.first_name,
        last_name: wanted.last_name,
        is_superuser: wanted.is_superuser,
        link: mailer.as_ref().map(|(_, token)| (token.hash(), app.now() + LINK)),
    };
    let store = app.store().await?;
    let created = match store.create_user(context, &new).await {
        Err(StoreError::Duplicate(_)) => {
            store.record_refusal(context, &Target::email(wanted.email), RefusedBy::Invalid).await?;
            return Err(Failure::field(wanted.email_field, "There is an account with this e-mail address."));
        }
        other => other?,
    };
    let created = created.ok_or(Failure::Refused(Refusal::known(Layer::UserType)))?;
    if let Some((mailer, token)) = &mailer {
        // The account is there, and another link can be asked for.
        Box::pin(mailer.send_unanswered(app, wanted.email, "Choose your password", &text(app, token))).await;
    }
    Ok(created)
}

fn text(app: &App, token: &Secret) -> String {
    format!(
        "There is an account for you at JupyterHealth Exchange.\n\n\
         Open this link within a week to choose your password. It works once.\n\n{}\n\n\
         Later, ask for another link:\n\n{}/accounts/reset/\n",
        with_token(app, "/accounts/verify/", token),
        app.settings.site_url
    )
}

/// Ends an account, whatever it was before.
pub async fn end(app: &App, request: &Request, actor: &Actor, user: UserId) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Delete, "User");
    let standing = Standing { is_superuser: None, is_active: Some(false) };
    let change = UserChange { standing: Some(standing), ..UserChange::default() };
    made(app, request, &context, user, &request.expected(), &change).await?;
    Ok(no_content())
}

/// Makes a change of an account.
pub async fn made(
    app: &App,
    request: &Request,
    context: &Context,
    user: UserId,
    expected: &Expected,
    change: &UserChange<'_>,
) -> Result<(), Failure> {
    let store = app.store().await?;
    match store.change_user(context, user, expected, change).await? {
        Changed::Done(StandingChange::Done) => Ok(()),
        Changed::Done(StandingChange::Patient) => {
            Err(Failure::field("isSuperuser", "A patient's account cannot be a super admin's."))
        }
        Changed::Done(StandingChange::Contained) => {
            Err(Failure::field("isActive", "The account is contained. An operator has to release it first."))
        }
        Changed::Done(StandingChange::Erasure) => {
            Err(Failure::field("isActive", "The patient is being erased. The account stays closed."))
        }
        Changed::Done(StandingChange::Refused) => {
            Err(request.refuse(app, context, &Target::user(user), Refusal::known(Layer::UserType)).await)
        }
        Changed::Stale => Err(Failure::Changed),
        Changed::Missing => {
            store.record_refusal(context, &Target::nothing(), RefusedBy::NotFound).await?;
            Err(Failure::NotFound)
        }
    }
}
