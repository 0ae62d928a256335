//! `GET` and `POST /accounts/second-factor/enrol/`: an authenticator app is set up (RFC 6238), and recovery codes are shown once.
//!
//! Two ways lead here: from the sign-in of somebody who must have a second factor and has none, where a session starts only
//! when it is set up; and from the account of who is signed in, where the password is asked for again.

mod qr;

use audit::Action;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{Method, StatusCode};
use oauth::{
    Secret, TokenHash,
    factor::{RECOVERY_CODES, RecoveryCode, Step, TotpSecret},
    throttle::Policy,
};
use runtime::{
    App, Failure, Function, Needs, Protocol, Request, Response, account,
    browser::{self, FORM_FIELD, Form, field, local_path, with_next},
    html,
    pages::{self, Field, escape},
};
use store::{Account, NewAuthenticator};

/// The function.
pub const FUNCTION: Function =
    Function::new("accounts-factor-enrol", Protocol::Page, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    });

/// The page, and the name of its form.
const PAGE: &str = "/accounts/second-factor/enrol/";

const TITLE: &str = "Set up a second factor";

/// Who is here.
struct Visitor {
    account: Account,
    /// To what the form is bound: the open second step, or the session.
    token: Secret,
    /// Whether there is a session already.
    is_signed_in: bool,
}

/// What is wrong with what was typed.
#[derive(Clone, Copy, Default)]
struct Problems {
    password: Option<&'static str>,
    code: Option<&'static str>,
}

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    if ![Method::GET, Method::POST].contains(request.method()) {
        return Err(Failure::MethodNotAllowed);
    }
    let query = request.query();
    let asked = local_path(field(&query, "next"));
    let Some(visitor) = visitor(app, request).await? else {
        return Ok(browser::to_sign_in(&with_next(PAGE, asked)));
    };
    if *request.method() == Method::GET {
        return show(app, &visitor, &TotpSecret::generate()?, asked, Problems::default()).await;
    }
    let form = browser::bound_form(app, request, PAGE, &visitor.token).await?;
    enrol(app, request, &visitor, &form).await
}

/// Who is signed in; else whose sign-in waits for a second factor that is not set up. Who has one uses it: the password
/// alone never replaces it.
async fn visitor(app: &App, request: &Request) -> Result<Option<Visitor>, Failure> {
    let store = app.store().await?;
    if let Some(signed_in) = browser::signed_in(app, request).await? {
        let account = store.account_of(signed_in.session.user).await?;
        return Ok(account.map(|account| Visitor { account, token: signed_in.token, is_signed_in: true }));
    }
    let Some(token) = browser::challenge_token(&app.settings, request) else { return Ok(None) };
    let Some(user) = store.challenge(&token.hash()).await? else { return Ok(None) };
    let account = store.account_of(user).await?.filter(|account| !account.has_factor);
    Ok(account.map(|account| Visitor { account, token, is_signed_in: false }))
}

async fn show(
    app: &App,
    visitor: &Visitor,
    secret: &TotpSecret,
    next: &str,
    problems: Problems,
) -> Result<Response, Failure> {
    let sealed = URL_SAFE_NO_PAD.encode(secret.seal(&app.factor_key().await?, visitor.account.id.0)?);
    let uri = secret.uri("JupyterHealth Exchange", &visitor.account.email);
    let password = Field {
        name: "password",
        label: "Your password",
        kind: "password",
        autocomplete: "current-password",
        problem: problems.password,
        ..Field::default()
    };
    let code = Field {
        name: "code",
        label: "Code",
        kind: "text",
        autocomplete: "one-time-code",
        hint: Some("The six digits that the app shows now."),
        problem: problems.code,
        longest: 20,
        ..Field::default()
    };
    let fields: &[Field<'_>] = if visitor.is_signed_in { &[password, code] } else { &[code] };
    browser::bound_page(app, PAGE, &visitor.token, |token| {
        let hidden = [(FORM_FIELD, token), ("next", next), ("secret", &sealed)];
        let body = format!(
            "{intro}<p>Scan this with an authenticator app:</p>{qr}<p>Or type it into the app:</p>\
             <p class=\"code\">{text}</p><p class=\"hint\">On this device: <a href=\"{uri}\">open the app</a></p>{form}",
            intro = if visitor.is_signed_in { "" } else { "<p>Your account needs a second factor besides the password.</p>" },
            qr = qr::svg(&uri),
            text = grouped(&secret.text()),
            uri = escape(&uri),
            form = pages::form(PAGE, &hidden, fields, "Turn on"),
        );
        pages::page(TITLE, &body)
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
    let context = request.audit(None, Action::Create, "SecondFactor");
    if visitor.is_signed_in
        && !account::confirm(app, request, &context, &visitor.account, field(form, "password")).await?
    {
        let problems = Problems { password: Some("This is not your password."), code: None };
        return show(app, visitor, &secret, next, problems).await;
    }
    account::attempt(app, request, &context, &Policy::SECOND_FACTOR, &format!("enrol {}", user.0)).await?;
    let Some(step) = secret.verify(field(form, "code").unwrap_or_default(), app.now(), Step(i64::MIN)) else {
        account::refused(app, &context).await?;
        let problems =
            Problems { password: None, code: Some("This code is not right. Type the one that the app shows now.") };
        return show(app, visitor, &secret, next, problems).await;
    };
    let codes = (0..RECOVERY_CODES).map(|_| RecoveryCode::generate()).collect::<Result<Vec<_>, _>>()?;
    let hashes: Vec<TokenHash> = codes.iter().map(RecoveryCode::hash).collect();
    let sealed = secret.seal(&key, user.0)?;
    let new = NewAuthenticator { user, sealed: &sealed, step, recovery: &hashes, replaces: visitor.is_signed_in };
    if !app.store().await?.enrol_authenticator(&context, &new).await? {
        return Err(Failure::Conflict("A second factor is set up already."));
    }
    let response = html(StatusCode::OK, enrolled(&codes, next));
    if visitor.is_signed_in {
        return Ok(response);
    }
    account::start(app, request, user, &["pwd", "otp", "mfa"], response).await
}

/// The page with the recovery codes. They are shown here and never again.
fn enrolled(codes: &[RecoveryCode], next: &str) -> String {
    let items: Vec<String> = codes.iter().map(RecoveryCode::text).collect();
    let body = format!(
        "{done}<h2>Recovery codes</h2><p>Each of these works once when you do not have the app. Keep them where you will find \
         them and others will not: they are not shown again.</p><ul class=\"code\"><li>{items}</li></ul>\
         <p class=\"links\"><a href=\"{next}\">Continue</a></p>",
        done = pages::done("Your second factor is on."),
        items = items.join("</li><li>"),
        next = escape(next),
    );
    pages::page(TITLE, &body)
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
