//! Signing in, as every page of it needs it: attempts that are counted, passwords, and the session at the end.

use crate::{
    App, Failure, Request, Response,
    browser::{self, field},
    pages::Field,
    redirect,
};
use audit::{Action, Context, RefusedBy, Session, Target};
use authz::{Layer, UserId};
use jiff::SignedDuration;
use oauth::{
    Secret, password,
    throttle::{Keys, Policy},
    token::random_bytes,
};
use std::time::Duration;
use store::{Account, Attempt, FirstStep, NewChallenge, NewSession, Origin, SsoAccount, meter};
use tokio::sync::Semaphore;

/// The longest e-mail address that mail can be sent to (RFC 5321 section 4.5.3.1.3).
pub const MAX_EMAIL: usize = 254;

/// How long a right password waits for its second step.
const CHALLENGE: SignedDuration = SignedDuration::from_mins(10);

/// How long an answer takes at least that an e-mail may have to wait for.
const STEADY: Duration = Duration::from_secs(1);

/// Passwords hashed at the same time. Each takes 19 MiB and a core.
static HASHES: Semaphore = Semaphore::const_new(4);

/// An address as typed, in small letters, as accounts are looked up and attempts are counted. None when it cannot be one.
#[must_use]
pub fn email(typed: &str) -> Option<String> {
    let email = typed.trim().to_lowercase();
    let is_possible = !email.is_empty() && email.len() <= MAX_EMAIL && !email.chars().any(char::is_control);
    is_possible.then_some(email)
}

/// An attempt that is counted and may be judged.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// Under what it is counted.
    pub keys: Keys,
    /// Whether the owner of the account is to be told, if it is wrong.
    pub tells: bool,
}

/// Counts an attempt on an account from the caller's network. `account` is the address that was typed, where the context does
/// not say whose account it is. One that has to wait is recorded and answered 429.
pub async fn attempt(
    app: &App,
    request: &Request,
    context: &Context,
    policy: &Policy,
    account: &str,
) -> Result<Counted, Failure> {
    let keys = policy.keys(account, &request.network());
    match app.store().await?.begin_attempt(policy, &keys).await? {
        Attempt::Counted(on_account) => Ok(Counted { keys, tells: policy.tells(on_account) }),
        Attempt::Wait(seconds) => {
            if context.subject_user_id.is_some() {
                refused(app, context).await?;
            } else {
                guessed(app, context, account).await?;
            }
            Err(Failure::TooManyRequests(seconds))
        }
    }
}

/// Records that somebody could not prove who they are.
pub async fn refused(app: &App, context: &Context) -> Result<(), Failure> {
    let reason = RefusedBy::Layer(Layer::Token);
    meter::failed_sign_in();
    Ok(app.store().await?.record_refusal(context, &Target::nothing(), reason).await?)
}

/// Records that somebody could not prove to be the owner of the account with the address that they typed.
pub async fn guessed(app: &App, context: &Context, email: &str) -> Result<(), Failure> {
    Ok(app.store().await?.record_refused_attempt(context, email).await?)
}

/// Whether a password is the one that was hashed. The work is the same without a hash, and it is done beside the requests,
/// not in their way, and not for too many at once.
pub async fn verify(password: Secret, stored: Option<String>) -> Result<bool, Failure> {
    let _permit = HASHES.acquire().await.map_err(|error| Failure::Internal(Box::new(error)))?;
    tokio::task::spawn_blocking(move || password::verify(password.expose(), stored.as_deref()))
        .await
        .map_err(|error| Failure::Internal(Box::new(error)))
}

/// The hash of a password that may be chosen.
pub async fn hash(password: Secret) -> Result<String, Failure> {
    let salt = random_bytes::<16>()?;
    let _permit = HASHES.acquire().await.map_err(|error| Failure::Internal(Box::new(error)))?;
    tokio::task::spawn_blocking(move || password::hash(password.expose(), &salt))
        .await
        .map_err(|error| Failure::Internal(Box::new(error)))?
        .map_err(|error| Failure::Internal(Box::new(error)))
}

/// The fields in which a new password is typed.
pub const NEW_PASSWORD: [Field<'static>; 2] = [
    Field {
        name: "new_password",
        label: "New password",
        kind: "password",
        autocomplete: "new-password",
        value: "",
        hint: Some("At least 12 characters. Several words are easy to remember and hard to guess."),
        problem: None,
        longest: 0,
    },
    Field {
        name: "repeated",
        label: "New password again",
        kind: "password",
        autocomplete: "new-password",
        value: "",
        hint: None,
        problem: None,
        longest: 0,
    },
];

/// The new password in a form, if the account may have it; else the fields with what is wrong.
pub fn chosen(app: &App, email: &str, form: &[(String, String)]) -> Result<Secret, Box<[Field<'static>; 2]>> {
    let [mut first, mut second] = NEW_PASSWORD;
    let password = field(form, first.name).unwrap_or_default();
    let names = [email, "JupyterHealth Exchange", &app.settings.site_url];
    match password::check(password, &names) {
        Err(problem) => first.problem = Some(problem.text()),
        Ok(()) if field(form, second.name) != Some(password) => second.problem = Some("The two are not the same."),
        Ok(()) => return Ok(Secret::presented(password)),
    }
    Err(Box::new([first, second]))
}

/// Does work whose length must not tell whether there is an account: the answer never comes before [`STEADY`] is over, and
/// sending one e-mail takes less.
pub async fn steady<T>(work: impl Future<Output = T>) -> T {
    tokio::join!(work, tokio::time::sleep(STEADY)).0
}

/// Checks the password of who is signed in, before something is changed that the password protects.
pub async fn confirm(
    app: &App,
    request: &Request,
    context: &Context,
    account: &Account,
    password: Option<&str>,
) -> Result<bool, Failure> {
    let context = &context.clone().on_account(account.id);
    let counted = attempt(app, request, context, &Policy::PASSWORD, &account.email.to_lowercase()).await?;
    let password = Secret::presented(password.unwrap_or_default());
    if verify(password, account.password_hash.clone()).await? {
        app.store().await?.attempt_succeeded(&counted.keys).await?;
        return Ok(true);
    }
    refused(app, context).await?;
    Ok(false)
}

/// Whether the account may not be without a second factor: an organization of its owner, or this site, asks for one.
#[must_use]
pub fn must_have_factor(app: &App, account: &Account) -> bool {
    account.organization_requires_factor || (account.is_superuser && app.settings.super_admins_need_factor)
}

/// Whether a sign-in to the account takes a second step: it has a factor, or must have one.
#[must_use]
pub fn needs_second_step(app: &App, account: &Account) -> bool {
    account.has_factor() || must_have_factor(app, account)
}

/// Goes on after the first step, a right password or a sign-in at an identity provider: to the session, or to the second
/// step that the account needs.
pub async fn after_first_step(
    app: &App,
    request: &Request,
    account: &Account,
    origin: Option<Origin<'_>>,
    next: &str,
) -> Result<Response, Failure> {
    if !needs_second_step(app, account) {
        // An identity provider knows how somebody signed in; nothing is claimed of that here.
        let methods: &[&str] = if origin.is_none() { &["pwd"] } else { &[] };
        let sign_in = SignIn { user: account.id, methods, origin, completes: false };
        return start(app, request, &sign_in, redirect(next)).await;
    }
    let token = Secret::generate()?;
    let context = request.audit(None, Action::Execute, if origin.is_none() { "Password" } else { "Session" });
    let challenge = NewChallenge { token: token.hash(), user: account.id, expires_at: app.now() + CHALLENGE, origin };
    app.store().await?.start_challenge(&context, &challenge).await?;
    let page = if account.has_factor() { "/accounts/second-factor/" } else { "/accounts/second-factor/enrol/" };
    let mut response = redirect(&browser::with_next(page, next));
    browser::set_challenge(&app.settings, &mut response, &token, CHALLENGE.as_secs());
    Ok(response)
}

/// Why an account is not opened by an identity provider.
pub type Barred = (RefusedBy, &'static str);

/// Whether an account may be opened by an identity provider. The one place where that is decided: a patient never, and a
/// super admin neither, whose password and second factor are ours to check.
pub const fn vouched_for(account: SsoAccount) -> Result<UserId, Barred> {
    if !account.is_active {
        Err((RefusedBy::Layer(Layer::Token), "closed_account"))
    } else if account.is_superuser {
        Err((RefusedBy::Layer(Layer::UserType), "second_factor"))
    } else if account.is_practitioner {
        Ok(account.id)
    } else {
        Err((RefusedBy::Layer(Layer::UserType), "no_practitioner"))
    }
}

/// A sign-in that is complete.
#[derive(Clone, Copy, Debug)]
pub struct SignIn<'a> {
    /// Who.
    pub user: UserId,
    /// How (RFC 8176 section 2).
    pub methods: &'a [&'a str],
    /// The identity provider, where one did it all.
    pub origin: Option<Origin<'a>>,
    /// Whether it is the second step that is open in the browser.
    pub completes: bool,
}

/// Completes a sign-in whose second step is done by `method` (RFC 8176).
pub async fn complete(
    app: &App,
    request: &Request,
    first: &FirstStep,
    method: &str,
    response: Response,
) -> Result<Response, Failure> {
    let methods: Vec<&str> = first.methods.iter().map(String::as_str).chain([method, "mfa"]).collect();
    let sign_in = SignIn { user: first.user, methods: &methods, origin: None, completes: true };
    start(app, request, &sign_in, response).await
}

/// Starts a session with a new token, whatever the browser had before: nobody can plant one in advance. The open second
/// step of the browser ends.
pub async fn start(
    app: &App,
    request: &Request,
    sign_in: &SignIn<'_>,
    mut response: Response,
) -> Result<Response, Failure> {
    let token = Secret::generate()?;
    let session = NewSession {
        token: token.hash(),
        user: sign_in.user,
        expires_at: app.now() + app.settings.lifetimes.session,
        replaces: browser::session_token(&app.settings, request).map(|old| old.hash()),
        challenge: browser::challenge_token(&app.settings, request).map(|open| open.hash()),
        completes: sign_in.completes,
        browser: browser::kind(request.header(http::header::USER_AGENT).unwrap_or_default()),
        methods: sign_in.methods,
        origin: sign_in.origin,
    };
    let begun = Session::of_browser(session.token.as_bytes());
    let context = request.audit(None, Action::Execute, "Session").in_session(Some(begun));
    app.store().await?.start_session(&context, &session).await?;
    browser::set_session(&app.settings, &mut response, &token);
    if session.challenge.is_some() {
        browser::clear_challenge(&app.settings, &mut response);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_active_practitioner_is_opened_by_an_identity_provider() {
        let good = SsoAccount { id: UserId(1), is_active: true, is_superuser: false, is_practitioner: true };
        assert_eq!(vouched_for(good), Ok(UserId(1)));
        for (account, reason) in [
            (SsoAccount { is_active: false, ..good }, "closed_account"),
            (SsoAccount { is_superuser: true, ..good }, "second_factor"),
            (SsoAccount { is_practitioner: false, ..good }, "no_practitioner"),
        ] {
            assert_eq!(vouched_for(account).err().map(|(_, reason)| reason), Some(reason));
        }
    }

    #[test]
    fn the_spelling_of_an_address_does_not_matter() {
        for name in ["mary@example.com", "Mary@Example.COM", " mary@example.com "] {
            assert_eq!(email(name).as_deref(), Some("mary@example.com"));
        }
        for bad in ["", " ", "a\0b@example.com", &"a".repeat(MAX_EMAIL + 1)] {
            assert_eq!(email(bad), None, "{bad:?}");
        }
    }
}
