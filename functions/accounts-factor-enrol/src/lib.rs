//! `GET` and `POST /accounts/second-factor/enrol/`: an authenticator app is set up (RFC 6238), and recovery codes are shown once.
//!
//! Two ways lead here: from the sign-in of somebody who must have a second factor and has none, where a session starts only
//! when it is set up; and from the account of who signed in recently.

mod qr;

use audit::Action;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{Method, StatusCode};
use mail::Notice;
use oauth::{
    factor::{Step, TotpSecret},
    throttle::Policy,
};
use runtime::{
    App, Failure, Function, Needs, Protocol, Request, Response, account,
    browser::{self, FORM_FIELD, Form, field, local_path, with_next},
    factor::{self, Admission, Visitor},
    html,
    pages::{self, Field, escape},
};
use store::NewAuthenticator;

/// The function.
pub const FUNCTION: Function =
    Function::new("accounts-factor-enrol", Protocol::Page, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    });

/// The page, and the name of its form.
const PAGE: &str = "/accounts/second-factor/enrol/";

const TITLE: &str = "Set up an authenticator app";

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    if ![Method::GET, Method::POST].contains(request.method()) {
        return Err(Failure::MethodNotAllowed);
    }
    let query = request.query()?;
    let asked = local_path(field(&query, "next"));
    let visitor = match Visitor::admit(app, request).await? {
        Admission::Admitted(visitor) => visitor,
        Admission::SignIn => return Ok(browser::to_sign_in(&with_next(PAGE, asked))),
        Admission::SignInAgain => return Ok(browser::to_sign_in_again(&with_next(PAGE, asked))),
    };
    if *request.method() == Method::GET {
        return show(app, &visitor, &TotpSecret::generate()?, asked, None).await;
    }
    let form = browser::bound_form(app, request, PAGE, &visitor.token).await?;
    enrol(app, request, &visitor, &form).await
}

async fn show(
    app: &App,
    visitor: &Visitor,
    secret: &TotpSecret,
    next: &str,
    problem: Option<&str>,
) -> Result<Response, Failure> {
    let sealed = URL_SAFE_NO_PAD.encode(secret.seal(&app.factor_key().await?, visitor.account.id.0)?);
    let uri = secret.uri("JupyterHealth Exchange", &visitor.account.email);
    let code = Field {
        name: "code",
        label: "Code",
        kind: "text",
        autocomplete: "one-time-code",
        hint: Some("The six digits that the app shows now."),
        problem,
        longest: 20,
        ..Field::default()
    };
    browser::bound_page(app, PAGE, &visitor.token, |token| {
        let hidden = [(FORM_FIELD, token), ("next", next), ("secret", &sealed)];
        let body = format!(
            "{intro}<p>Scan this with an authenticator app:</p>{qr}<p>Or type it into the app:</p>\
             <p class=\"code\">{text}</p><p class=\"hint\">On this device: <a href=\"{uri}\">open the app</a></p>{form}\
             <p class=\"links\"><a href=\"{passkey}\">Use a passkey instead</a></p>",
            intro = if visitor.first.is_none() {
                ""
            } else {
                "<p>Your account needs a second factor besides the password.</p>"
            },
            passkey = escape(&with_next("/accounts/second-factor/passkey/enrol/", next)),
            qr = qr::svg(&uri),
            text = grouped(&secret.text()),
            uri = escape(&uri),
            form = pages::form(PAGE, &hidden, &[code], "Turn on"),
        );
        visitor.page(TITLE, &body)
    })
    .await
}

async fn enrol(app: &App, request: &Request, visitor: &Visitor, form: &Form) -> Result<Response, Failure> {
    let user = visitor.account.id;
    let next = local_path(field(form, "next"));
    let key = app.factor_key().await?;
    let secret = field(form, "secret")
        .and_then(|sealed| URL_SAFE_NO_PAD.decode(sealed).ok())
        .and_then(|sealed| TotpSecret::open(&key, user.0, &sealed))
        .ok_or_else(|| Failure::Invalid("The form is not complete.".to_owned()))?;
    let context = request.audit(None, Action::Create, "SecondFactor").on_account(user);
    account::attempt(app, request, &context, &Policy::SECOND_FACTOR, &format!("enrol {}", user.0)).await?;
    let Some(step) = secret.verify(field(form, "code").unwrap_or_default(), app.now(), Step(i64::MIN)) else {
        account::refused(app, &context).await?;
        let problem = "This code is not right. Type the one that the app shows now.";
        return show(app, visitor, &secret, next, Some(problem)).await;
    };
    let (codes, hashes) = factor::recovery_codes()?;
    let sealed = secret.seal(&key, user.0)?;
    let new = NewAuthenticator { user, sealed: &sealed, step, recovery: &hashes, session: visitor.session() };
    if !app.store().await?.enrol_authenticator(&context, &new).await? {
        return Err(Failure::Conflict("A second factor is set up already."));
    }
    mail::tell(app, request, &visitor.account.email, Notice::AuthenticatorAdded).await;
    let response = html(StatusCode::OK, factor::done_page(TITLE, "Your second factor is on.", &codes, next));
    match &visitor.first {
        None => Ok(response),
        Some(first) => account::complete(app, request, first, "otp", response).await,
    }
}

/// In groups of four, as people read it.
fn grouped(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let groups: Vec<String> = characters.chunks(4).map(|group| group.iter().collect()).collect();
    groups.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_in_groups() {
        assert_eq!(grouped("ABCDEFGHIJ"), "ABCD EFGH IJ");
    }
}
