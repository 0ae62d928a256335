//! `GET` and `POST /accounts/second-factor/`: the second step of a sign-in: a code of the authenticator, a recovery code, or
//! the way to use a passkey.
//! For the browser in which the password was right; there is no session before the code is.

use audit::Action;
use authz::UserId;
use http::Method;
use mail::Notice;
use oauth::{
    Secret,
    factor::{RecoveryCode, TotpSecret},
    throttle::Policy,
};
use runtime::{
    App, Failure, Function, Needs, Protocol, Request, Response, account,
    browser::{self, FORM_FIELD, field, local_path},
    pages::{self, Field},
    redirect,
};
use store::Account;

/// The function.
pub const FUNCTION: Function =
    Function::new("accounts-factor", Protocol::Page, Needs::Database, |app, request| Box::pin(handle(app, request)));

/// The page, and the name of its form.
const PAGE: &str = "/accounts/second-factor/";

/// Where a passkey is the second step.
const PASSKEY: &str = "/accounts/second-factor/passkey/";

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    if ![Method::GET, Method::POST].contains(request.method()) {
        return Err(Failure::MethodNotAllowed);
    }
    let query = request.query()?;
    let asked = local_path(field(&query, "next"));
    let token = browser::challenge_token(&app.settings, request);
    let store = app.store().await?;
    let first = match &token {
        None => None,
        Some(token) => store.challenge(&token.hash()).await?,
    };
    let (Some(token), Some(first)) = (token, first) else {
        return Ok(browser::to_sign_in(asked));
    };
    let account = store.account_of(first.user).await?.ok_or(Failure::NotFound)?;
    if *request.method() == Method::GET {
        return show(app, &account, &token, asked, None).await;
    }
    let form = browser::bound_form(app, request, PAGE, &token).await?;
    let next = local_path(field(&form, "next"));
    if is_right(app, request, &account, field(&form, "code").unwrap_or_default()).await? {
        return account::complete(app, request, &first, "otp", redirect(next)).await;
    }
    show(app, &account, &token, next, Some("This code is not right. Try another one.")).await
}

/// The page: a code for who has an authenticator, a passkey for who has one, and a recovery code for everybody.
async fn show(
    app: &App,
    account: &Account,
    token: &Secret,
    next: &str,
    problem: Option<&str>,
) -> Result<Response, Failure> {
    let code = Field {
        name: "code",
        label: if account.factors.authenticator { "Code" } else { "Recovery code" },
        kind: "text",
        autocomplete: "one-time-code",
        hint: Some(if account.factors.authenticator {
            "Six digits from your authenticator app, or one of your recovery codes."
        } else {
            "When you do not have your passkey. Each works once."
        }),
        problem,
        longest: 40,
        ..Field::default()
    };
    browser::bound_page(app, PAGE, token, |form_token| {
        let hidden = [(FORM_FIELD, form_token), ("next", next)];
        let code = pages::form(PAGE, &hidden, &[code], "Continue");
        let passkey = match (account.factors.passkey, account.factors.authenticator) {
            (false, _) => String::new(),
            (true, true) => pages::quiet_form(PASSKEY, &hidden, "Use a passkey"),
            (true, false) => pages::form(PASSKEY, &hidden, &[], "Use a passkey"),
        };
        let forms = if account.factors.authenticator { [code, passkey] } else { [passkey, code] };
        pages::page("Second step", &forms.concat())
    })
    .await
}

/// Whether the code is one of the user's. Each works once; every failure is counted and recorded.
async fn is_right(app: &App, request: &Request, account: &Account, code: &str) -> Result<bool, Failure> {
    let user = account.id;
    let context = request.audit(None, Action::Execute, "SecondFactor").on_account(user);
    let counted = account::attempt(app, request, &context, &Policy::SECOND_FACTOR, &user.0.to_string()).await?;
    let store = app.store().await?;
    let is_right = match RecoveryCode::presented(code) {
        Some(recovery) => {
            let context = request.audit(None, Action::Execute, "RecoveryCode");
            let is_right = store.use_recovery_code(&context, user, &recovery.hash()).await?;
            if is_right {
                mail::tell(app, request, &account.email, Notice::CodeUsed).await;
            }
            is_right
        }
        None => is_of_authenticator(app, user, code).await?,
    };
    if is_right {
        store.attempt_succeeded(&counted.keys).await?;
    } else {
        account::refused(app, &context).await?;
        if counted.tells {
            mail::tell(app, request, &account.email, Notice::WrongCodes).await;
        }
    }
    Ok(is_right)
}

async fn is_of_authenticator(app: &App, user: UserId, code: &str) -> Result<bool, Failure> {
    let store = app.store().await?;
    let Some(authenticator) = store.authenticator(user).await? else { return Ok(false) };
    let key = app.factor_key().await?;
    let secret = TotpSecret::open(&key, user.0, &authenticator.sealed)
        .ok_or_else(|| Failure::Internal("an authenticator was encrypted by another FACTOR_KEY".into()))?;
    match secret.verify(code, app.now(), authenticator.last_step) {
        Some(step) => Ok(store.use_step(user, step).await?),
        None => Ok(false),
    }
}
