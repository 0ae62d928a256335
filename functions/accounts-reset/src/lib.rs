//! `GET` and `POST /accounts/reset/`: a person who forgot the password asks for a link by e-mail. Public.
//!
//! The answer is the same, and comes at the same time, whether or not there is an account (OWASP ASVS 5.0 section 6.3.8).

use audit::Action;
use http::{Method, StatusCode};
use jiff::SignedDuration;
use mail::Mailer;
use oauth::{Secret, throttle::Policy};
use runtime::{
    App, Failure, Function, Needs, Protocol, Request, Response,
    account::{self, MAX_EMAIL},
    browser::{self, FORM_FIELD, FormCookie, field, with_token},
    html,
    pages::{self, Field},
};
use store::NewLink;

/// The function.
pub const FUNCTION: Function =
    Function::new("accounts-reset", Protocol::Page, Needs::Database, |app, request| Box::pin(handle(app, request)));

/// The page, and the name of its form.
const PAGE: &str = "/accounts/reset/";

const TITLE: &str = "Forgot your password?";

/// How long the link works.
const LINK: SignedDuration = SignedDuration::from_mins(30);

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    match *request.method() {
        Method::GET => show(app, &FormCookie::read_or_make(request)?, None).await,
        Method::POST => {
            let (form, cookie) = browser::anonymous_form(app, request, PAGE).await?;
            match field(&form, "email").and_then(account::email) {
                None => show(app, &cookie, Some("Enter the e-mail address of your account.")).await,
                Some(email) => ask(app, request, &email).await,
            }
        }
        _ => Err(Failure::MethodNotAllowed),
    }
}

async fn show(app: &App, cookie: &FormCookie, problem: Option<&str>) -> Result<Response, Failure> {
    let email = Field {
        name: "email",
        label: "E-mail address",
        kind: "email",
        autocomplete: "username",
        problem,
        longest: MAX_EMAIL,
        ..Field::default()
    };
    browser::anonymous_page(app, cookie, PAGE, |token| {
        let form = pages::form(PAGE, &[(FORM_FIELD, token)], &[email], "Send the link");
        pages::page(TITLE, &format!("<p>We send you a link with which you can choose a new one.</p>{form}"))
    })
    .await
}

async fn ask(app: &App, request: &Request, email: &str) -> Result<Response, Failure> {
    let context = request.audit(None, Action::Execute, "PasswordReset");
    account::attempt(app, request, &context, &Policy::MAIL, email).await?;
    let mailer = Mailer::of(app)?;
    account::steady(async {
        let token = Secret::generate()?;
        let link = NewLink { email, token: token.hash(), expires_at: app.now() + LINK };
        let Some(recipient) = app.store().await?.request_reset(&context, &link).await? else { return Ok(()) };
        // Only for an account can it go wrong.
        Box::pin(mailer.send_unanswered(app, &recipient.email, "Choose a new password", &text(app, &token))).await;
        Ok::<(), Failure>(())
    })
    .await?;
    let body = format!(
        "{}<p>If there is an account with this address, an e-mail with a link is on its way. The link works once, for half \
         an hour.</p><p>Nothing there after a few minutes? Look into the spam folder, or ask the people of your study.</p>\
         <p class=\"links\"><a href=\"/accounts/login/\">Back to sign in</a></p>",
        pages::done("Look into your mailbox.")
    );
    Ok(html(StatusCode::OK, pages::page(TITLE, &body)))
}

fn text(app: &App, token: &Secret) -> String {
    format!(
        "Somebody, we hope you, asked to choose a new password at JupyterHealth Exchange.\n\n\
         Open this link within half an hour to choose one. It works once.\n\n{}\n\n\
         If it was not you, do nothing: your password stays as it is.\n",
        with_token(app, "/accounts/reset/confirm/", token)
    )
}
