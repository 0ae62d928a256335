//! `GET` and `POST /accounts/second-factor/`: the second step of a sign-in, a code of the authenticator or a recovery code.
//! For the browser in which the password was right; there is no session before the code is.

use audit::Action;
use authz::UserId;
use http::Method;
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

/// The function.
pub const FUNCTION: Function =
    Function::new("accounts-factor", Protocol::Page, Needs::Database, |app, request| Box::pin(handle(app, request)));

/// The page, and the name of its form.
const PAGE: &str = "/accounts/second-factor/";

/// How the person signed in (RFC 8176 section 2).
const METHODS: [&str; 3] = ["pwd", "otp", "mfa"];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    if ![Method::GET, Method::POST].contains(request.method()) {
        return Err(Failure::MethodNotAllowed);
    }
    let query = request.query();
    let asked = local_path(field(&query, "next"));
    let token = browser::challenge_token(&app.settings, request);
    let store = app.store().await?;
    let user = match &token {
        None => None,
        Some(token) => store.challenge(&token.hash()).await?,
    };
    let (Some(token), Some(user)) = (token, user) else {
        return Ok(browser::to_sign_in(asked));
    };
    if *request.method() == Method::GET {
        return show(app, &token, asked, None).await;
    }
    let form = browser::bound_form(app, request, PAGE, &token).await?;
    let next = local_path(field(&form, "next"));
    if is_right(app, request, user, field(&form, "code").unwrap_or_default()).await? {
        return account::start(app, request, user, &METHODS, redirect(next)).await;
    }
    show(app, &token, next, Some("This code is not right. Wait for the next one and try again.")).await
}

async fn show(app: &App, token: &Secret, next: &str, problem: Option<&str>) -> Result<Response, Failure> {
    let code = Field {
        name: "code",
        label: "Code",
        kind: "text",
        autocomplete: "one-time-code",
        hint: Some("Six digits from your authenticator app, or one of your recovery codes."),
        problem,
        longest: 40,
        ..Field::default()
    };
    browser::bound_page(app, PAGE, token, |form_token| {
        let form = pages::form(PAGE, &[(FORM_FIELD, form_token), ("next", next)], &[code], "Continue");
        pages::page("Second step", &form)
    })
    .await
}

/// Whether the code is one of the user's. Each works once; every failure is counted and recorded.
async fn is_right(app: &App, request: &Request, user: UserId, code: &str) -> Result<bool, Failure> {
    let context = request.audit(None, Action::Execute, "SecondFactor");
    let keys = account::attempt(app, request, &context, &Policy::SECOND_FACTOR, &user.0.to_string()).await?;
    let store = app.store().await?;
    let is_right = match RecoveryCode::presented(code) {
        Some(recovery) => {
            let context = request.audit(None, Action::Execute, "RecoveryCode");
            store.use_recovery_code(&context, user, &recovery.hash()).await?
        }
        None => is_of_authenticator(app, user, code).await?,
    };
    if is_right {
        store.attempt_succeeded(&keys).await?;
    } else {
        account::refused(app, &context).await?;
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
