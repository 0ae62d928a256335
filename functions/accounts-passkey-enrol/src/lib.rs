//! `GET` and `POST /accounts/second-factor/passkey/enrol/`: a passkey is added to an account (Web Authentication Level 3
//! section 7.1). For who signed in recently, and for the sign-in of somebody who must have a second factor and has none.

use audit::{Action, RefusedBy};
use authz::Layer;
use http::{Method, StatusCode};
use mail::Notice;
use oauth::{Secret, TokenHash, factor::RecoveryCode, throttle::Policy, token::random_bytes};
use runtime::{
    App, Failure, Function, Needs, Protocol, Request, Response, account,
    browser::{self, FORM_FIELD, field, local_path, with_next},
    ceremony::{ANSWER, CHALLENGE, Call, CeremonyPage},
    factor::{self, Admission, Visitor},
    html,
    pages::{self, Field, escape},
};
use store::{Ceremony, NewPasskey, Registered};
use webauthn::{Expected, NewCredential, Owner, Refusal, Registration, RelyingParty};

/// The function.
pub const FUNCTION: Function =
    Function::new("accounts-passkey-enrol", Protocol::Page, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    });

/// The page, and the name of its form.
const PAGE: &str = "/accounts/second-factor/passkey/enrol/";

const TITLE: &str = "Add a passkey";

/// The longest name of a passkey, in characters.
const LONGEST: usize = 60;

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
        let name = browser::kind(request.header(http::header::USER_AGENT).unwrap_or_default());
        return show(app, &visitor, asked, name, None).await;
    }
    let form = browser::bound_form(app, request, PAGE, &visitor.token).await?;
    let next = local_path(field(&form, "next"));
    let Some(name) = field(&form, "name").and_then(usable_name) else {
        return show(app, &visitor, next, "", Some("Type a name of up to 60 characters.")).await;
    };
    match field(&form, ANSWER) {
        None => ask(app, &visitor, name, next).await,
        Some(answer) => add(app, request, &visitor, name, next, answer).await,
    }
}

/// A name by which its owner knows it again.
fn usable_name(typed: &str) -> Option<&str> {
    let name = typed.trim();
    (1..=LONGEST).contains(&name.chars().count()).then_some(name).filter(|name| !name.contains(char::is_control))
}

async fn show(
    app: &App,
    visitor: &Visitor,
    next: &str,
    name: &str,
    problem: Option<&str>,
) -> Result<Response, Failure> {
    let name = Field {
        name: "name",
        label: "Name",
        kind: "text",
        autocomplete: "off",
        value: name,
        hint: Some("So that you know it again in your list, such as the name of the device."),
        problem,
        longest: LONGEST,
    };
    browser::bound_page(app, PAGE, &visitor.token, |token| {
        let form = pages::form(PAGE, &[(FORM_FIELD, token), ("next", next)], &[name], "Add a passkey");
        let intro = if visitor.first.is_none() {
            ""
        } else {
            "<p>Your account needs a second factor besides the password.</p>"
        };
        let app_instead = escape(&with_next("/accounts/second-factor/enrol/", next));
        let body = format!(
            "{intro}<p>A passkey is kept by your phone, your computer or a security key, and opened as you open that: by \
             fingerprint, face or PIN. It works on this site only, so nobody can trick you into giving it away.</p>{form}\
             <p class=\"links\"><a href=\"{app_instead}\">Use an authenticator app instead</a></p>"
        );
        visitor.page(TITLE, &body)
    })
    .await
}

/// The page on which the browser makes the passkey.
async fn ask(app: &App, visitor: &Visitor, name: &str, next: &str) -> Result<Response, Failure> {
    let store = app.store().await?;
    let challenge = Secret::generate()?;
    let ends = app.now() + CHALLENGE;
    store.open_ceremony(Ceremony::Register, &visitor.token.hash(), &challenge.hash(), ends).await?;
    let handle = store.passkey_handle(visitor.account.id, &random_bytes()?).await?;
    let own = store.passkeys(visitor.account.id).await?;
    let owner = Owner { id: &handle, name: &visitor.account.email };
    let others = own.iter().map(|one| one.credential_id.as_slice());
    let party = RelyingParty::of_site(&app.settings.site_url);
    let options = webauthn::creation(&party, "JupyterHealth Exchange", owner, challenge.expose(), others);
    let token = app.form_key().await?.issue(PAGE, visitor.token.expose())?;
    let page = CeremonyPage {
        title: TITLE,
        path: PAGE,
        call: Call::Create,
        options: &options.to_string(),
        hidden: &[(FORM_FIELD, &token), ("next", next), ("name", name)],
        other: (&with_next(PAGE, next), "Back"),
    };
    Ok(page.response())
}

async fn add(
    app: &App,
    request: &Request,
    visitor: &Visitor,
    name: &str,
    next: &str,
    answer: &str,
) -> Result<Response, Failure> {
    let user = visitor.account.id;
    let context = request.audit(None, Action::Create, "Passkey").on_account(user);
    let attempted = format!("enrol {}", user.0);
    let counted = account::attempt(app, request, &context, &Policy::SECOND_FACTOR, &attempted).await?;
    let store = app.store().await?;
    let challenge = store.take_ceremony(Ceremony::Register, &visitor.token.hash()).await?;
    let credential = match judge(app, challenge.as_ref(), answer) {
        Ok(credential) => credential,
        Err(refusal) => {
            let layer = RefusedBy::Layer(Layer::Token);
            store.record_refused_message(&context, layer, &refusal.to_string()).await?;
            return Ok(failed("Your browser's answer could not be used. It may have taken too long.", next));
        }
    };
    let (codes, hashes) = factor::recovery_codes()?;
    let new = NewPasskey {
        user,
        credential_id: &credential.id,
        key: &credential.key,
        count: credential.count,
        backup_eligible: credential.backup_eligible,
        backed_up: credential.backed_up,
        name,
        recovery: &hashes,
        session: visitor.session(),
    };
    match store.add_passkey(&context, &new).await? {
        Registered::Yes { new_codes } => {
            store.attempt_succeeded(&counted.keys).await?;
            mail::tell(app, request, &visitor.account.email, Notice::PasskeyAdded).await;
            added(app, request, visitor, if new_codes { &codes } else { &[] }, next).await
        }
        Registered::HasFactor => Err(Failure::Conflict("A second factor is set up already.")),
        Registered::TooMany => Ok(failed("Your account has 20 passkeys. Remove one first.", next)),
        Registered::Taken => Ok(failed("This passkey is registered already.", next)),
    }
}

fn judge(app: &App, challenge: Option<&TokenHash>, answer: &str) -> Result<NewCredential, Refusal> {
    let challenge = challenge.ok_or(Refusal::Challenge)?;
    let party = RelyingParty::of_site(&app.settings.site_url);
    let expected = Expected { party: &party, challenge: challenge.as_bytes(), verified: false };
    Registration::parse(answer)?.judge(&expected)
}

async fn added(
    app: &App,
    request: &Request,
    visitor: &Visitor,
    codes: &[RecoveryCode],
    next: &str,
) -> Result<Response, Failure> {
    let response = html(StatusCode::OK, factor::done_page(TITLE, "Your passkey is added.", codes, next));
    match &visitor.first {
        None => Ok(response),
        Some(first) => account::complete(app, request, first, "pop", response).await,
    }
}

fn failed(text: &str, next: &str) -> Response {
    let body = format!(
        "<p class=\"alert\" role=\"alert\">{}</p><p class=\"links\"><a href=\"{}\">Back</a></p>",
        escape(text),
        escape(&with_next(PAGE, next))
    );
    html(StatusCode::OK, pages::page(TITLE, &body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passkey_is_named_by_some_characters() {
        assert_eq!(usable_name("  My phone "), Some("My phone"));
        assert_eq!(usable_name(&"ä".repeat(60)), Some("ä".repeat(60).as_str()));
        for bad in ["", "  ", "a\nb", &"a".repeat(61)] {
            assert_eq!(usable_name(bad), None, "{bad:?}");
        }
    }
}
