//! `GET` and `POST /accounts/email-code/`: a one-time code by e-mail, which some clients ask for after the sign-in. For who is
//! signed in in the browser; the code is worth something only in this session.
//!
//! Loading the page sends nothing: a code is sent when the person asks for it.

use audit::Action;
use http::Method;
use jiff::SignedDuration;
use mail::Message;
use oauth::{factor::EmailCode, throttle::Policy};
use runtime::{
    App, Failure, Function, Needs, Protocol, Request, Response, account,
    browser::{self, FORM_FIELD, SignedIn, field, local_path, with_next},
    pages::{self, Field},
    redirect,
};

/// The function.
pub const FUNCTION: Function = Function::new("accounts-email-code", Protocol::Page, Needs::Database, |app, request| {
    Box::pin(handle(app, request))
});

/// The page, and the name of its forms.
const PAGE: &str = "/accounts/email-code/";

const TITLE: &str = "Code by e-mail";

/// How long a code works.
const CODE: SignedDuration = SignedDuration::from_mins(10);

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    if ![Method::GET, Method::POST].contains(request.method()) {
        return Err(Failure::MethodNotAllowed);
    }
    let query = request.query()?;
    let asked = local_path(field(&query, "next"));
    let Some(signed_in) = browser::signed_in(app, request).await? else {
        return Ok(browser::to_sign_in(&with_next(PAGE, asked)));
    };
    if *request.method() == Method::GET {
        return offer(app, &signed_in, asked).await;
    }
    let form = browser::bound_form(app, request, PAGE, &signed_in.token).await?;
    let next = local_path(field(&form, "next"));
    match field(&form, "code") {
        None => {
            send(app, request, &signed_in).await?;
            ask(app, &signed_in, next, None).await
        }
        Some(code) => {
            let context = request.audit(None, Action::Execute, "EmailCode");
            let hash = EmailCode::presented(code).hash(&signed_in.token);
            if app.store().await?.try_email_code(&context, &signed_in.token.hash(), &hash).await? {
                return Ok(redirect(next));
            }
            let problem = "This code is not right, or it is too old. After five tries ask for a new one.";
            ask(app, &signed_in, next, Some(problem)).await
        }
    }
}

async fn offer(app: &App, signed_in: &SignedIn, next: &str) -> Result<Response, Failure> {
    browser::bound_page(app, PAGE, &signed_in.token, |token| {
        let form = pages::form(PAGE, &[(FORM_FIELD, token), ("next", next)], &[], "Send me a code");
        let text =
            "<p>The app that you are going to asks for a code that we send to the e-mail address of your account.</p>";
        pages::in_session(TITLE, &format!("{text}{form}"))
    })
    .await
}

async fn ask(app: &App, signed_in: &SignedIn, next: &str, problem: Option<&str>) -> Result<Response, Failure> {
    let code = Field {
        name: "code",
        label: "Code",
        kind: "text",
        autocomplete: "one-time-code",
        hint: Some("Eight digits. The code works for ten minutes, in this browser."),
        problem,
        longest: 20,
        ..Field::default()
    };
    browser::bound_page(app, PAGE, &signed_in.token, |token| {
        let hidden = [(FORM_FIELD, token), ("next", next)];
        let form = pages::form(PAGE, &hidden, &[code], "Continue");
        let again = pages::quiet_form(PAGE, &hidden, "Send another code");
        pages::in_session(TITLE, &format!("{form}{again}"))
    })
    .await
}

async fn send(app: &App, request: &Request, signed_in: &SignedIn) -> Result<(), Failure> {
    let user = signed_in.session.user;
    let context = request.audit(None, Action::Create, "EmailCode").on_account(user);
    account::attempt(app, request, &context, &Policy::MAIL, &format!("code {}", user.0)).await?;
    let store = app.store().await?;
    let account = store.account_of(user).await?.ok_or(Failure::NotFound)?;
    let code = EmailCode::generate()?;
    let hash = code.hash(&signed_in.token);
    store.keep_email_code(&context, &signed_in.token.hash(), &hash, app.now() + CODE).await?;
    let text = format!(
        "Your code for JupyterHealth Exchange is\n\n    {}\n\nIt works for ten minutes, in the browser that asked for it. Nobody \
         of us will ever ask you for it.\n",
        code.text()
    );
    let message = Message::new(&account.email, "Your code", &text).map_err(mail::MailError::from)?;
    Ok(mail::send(app, &message).await?)
}
