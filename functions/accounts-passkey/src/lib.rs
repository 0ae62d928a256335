//! `GET` and `POST /accounts/passkey/` and `/accounts/second-factor/passkey/`: a person signs in with a passkey alone, or
//! completes a sign-in with one (Web Authentication Level 3). Public.
//!
//! The button of another page sends a form here, and the answer is a page on which the browser asks for the passkey; that
//! page sends its answer here again. A passkey alone is two factors, since the authenticator has to know its person.

use audit::{Action, RefusedBy};
use authz::{Layer, UserId};
use http::{Method, StatusCode};
use mail::Notice;
use oauth::{Secret, TokenHash, throttle::Policy};
use runtime::{
    App, Failure, Function, Needs, Protocol, Request, Response,
    account::{self, SignIn},
    browser::{self, FORM_FIELD, field, local_path, with_next},
    ceremony::{ANSWER, CHALLENGE, Call, CeremonyPage},
    html,
    pages::{self, escape},
    redirect,
};
use store::{Ceremony, KnownPasskey};
use webauthn::{Assertion, Expected, Known, Refusal, RelyingParty, Use};

/// The function.
pub const FUNCTION: Function =
    Function::new("accounts-passkey", Protocol::Page, Needs::Database, |app, request| Box::pin(handle(app, request)));

/// Where somebody signs in with a passkey alone, and where that page was before.
const ALONE: &str = "/accounts/passkey/";
const SIGN_IN: &str = "/accounts/login/";

/// Where a sign-in is completed, and the page that leads there, whose forms come here.
const SECOND: &str = "/accounts/second-factor/passkey/";
const SECOND_STEP: &str = "/accounts/second-factor/";

const TITLE: &str = "Use your passkey";

/// How somebody signs in with a passkey that knows its person (RFC 8176 section 2).
const METHODS: [&str; 3] = ["pop", "user", "mfa"];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let completes = request.path() == SECOND;
    match *request.method() {
        Method::GET => {
            let query = request.query()?;
            let page = if completes { SECOND_STEP } else { SIGN_IN };
            Ok(redirect(&with_next(page, local_path(field(&query, "next")))))
        }
        Method::POST if completes => second_step(app, request).await,
        Method::POST => alone(app, request).await,
        _ => Err(Failure::MethodNotAllowed),
    }
}

/// A sign-in of its own: the passkey says who it is.
async fn alone(app: &App, request: &Request) -> Result<Response, Failure> {
    let (form, cookie) = browser::anonymous_form(app, request, browser::SIGN_IN_FORM).await?;
    let next = local_path(field(&form, "next"));
    let network = request.network();
    let binding = TokenHash::of(cookie.binding());
    let Some(answer) = field(&form, ANSWER) else {
        let context = request.audit(None, Action::Execute, "Passkey");
        account::attempt(app, request, &context, &Policy::PASSKEY, &network).await?;
        let asked = Asked { ceremony: Ceremony::SignIn, path: ALONE, other: (SIGN_IN, "Sign in in another way"), next };
        let token = app.form_key().await?.issue(browser::SIGN_IN_FORM, cookie.binding())?;
        return asked.page(app, &binding, &token, &[]).await;
    };
    let Some(user) = accepted(app, request, Ceremony::SignIn, &binding, answer, None).await? else {
        return Ok(refused(&with_next(SIGN_IN, next)));
    };
    app.store().await?.attempt_succeeded(&Policy::PASSKEY.keys(&network, &network)).await?;
    let sign_in = SignIn { user, methods: &METHODS, origin: None, completes: false };
    account::start(app, request, &sign_in, redirect(next)).await
}

/// The second step of the sign-in that waits in this browser.
async fn second_step(app: &App, request: &Request) -> Result<Response, Failure> {
    let store = app.store().await?;
    let token = browser::challenge_token(&app.settings, request);
    let first = match &token {
        None => None,
        Some(token) => store.challenge(&token.hash()).await?,
    };
    let (Some(token), Some(first)) = (token, first) else { return Ok(browser::to_sign_in("/")) };
    let form = browser::bound_form(app, request, SECOND_STEP, &token).await?;
    let next = local_path(field(&form, "next"));
    let Some(answer) = field(&form, ANSWER) else {
        let own = store.passkeys(first.user).await?;
        let ids: Vec<&[u8]> = own.iter().map(|one| one.credential_id.as_slice()).collect();
        let other = (SECOND_STEP, "Use a code instead");
        let asked = Asked { ceremony: Ceremony::SecondStep, path: SECOND, other, next };
        let form_token = app.form_key().await?.issue(SECOND_STEP, token.expose())?;
        return asked.page(app, &token.hash(), &form_token, &ids).await;
    };
    let context = request.audit(None, Action::Execute, "Passkey").on_account(first.user);
    let account = first.user.0.to_string();
    let counted = account::attempt(app, request, &context, &Policy::SECOND_FACTOR, &account).await?;
    let own = Some(first.user);
    if accepted(app, request, Ceremony::SecondStep, &token.hash(), answer, own).await?.is_none() {
        if counted.tells
            && let Some(owner) = store.account_of(first.user).await?
        {
            mail::tell(app, request, &owner.email, Notice::WrongCodes).await;
        }
        return Ok(refused(&with_next(SECOND_STEP, next)));
    }
    store.attempt_succeeded(&counted.keys).await?;
    account::complete(app, request, &first, "pop", redirect(next)).await
}

/// A page that asks the browser for a passkey.
struct Asked<'a> {
    ceremony: Ceremony,
    path: &'a str,
    other: (&'a str, &'a str),
    next: &'a str,
}

impl Asked<'_> {
    /// The page, for whoever has `binding`. `ids` are the passkeys that do; none means any.
    async fn page(&self, app: &App, binding: &TokenHash, token: &str, ids: &[&[u8]]) -> Result<Response, Failure> {
        let challenge = Secret::generate()?;
        let store = app.store().await?;
        store.open_ceremony(self.ceremony, binding, &challenge.hash(), app.now() + CHALLENGE).await?;
        let party = RelyingParty::of_site(&app.settings.site_url);
        let is_alone = self.ceremony == Ceremony::SignIn;
        let options = webauthn::request(&party, challenge.expose(), is_alone, ids.iter().copied());
        let page = CeremonyPage {
            title: TITLE,
            path: self.path,
            call: Call::Get,
            options: &options.to_string(),
            hidden: &[(FORM_FIELD, token), ("next", self.next)],
            other: (&with_next(self.other.0, self.next), self.other.1),
        };
        Ok(page.response())
    }
}

/// Whose passkey answered the challenge of whoever has `binding`: that of `own`, where somebody is known already. Every
/// use and every refusal is recorded.
async fn accepted(
    app: &App,
    request: &Request,
    ceremony: Ceremony,
    binding: &TokenHash,
    answer: &str,
    own: Option<UserId>,
) -> Result<Option<UserId>, Failure> {
    let store = app.store().await?;
    let mut context = request.audit(None, Action::Execute, "Passkey");
    context.subject_user_id = own;
    let challenge = store.take_ceremony(ceremony, binding).await?;
    let judged = match (challenge, Assertion::parse(answer)) {
        (None, _) => Err(Refusal::Challenge),
        (_, Err(refusal)) => Err(refusal),
        (Some(challenge), Ok(assertion)) => match store.passkey(&assertion.id).await? {
            Some(known) if own.is_none_or(|own| own == known.user) => {
                judge(app, &challenge, &assertion, &known, own.is_none()).map(|used| (known, used))
            }
            Some(_) => Err(Refusal::Owner),
            None => Err(Refusal::Credential),
        },
    };
    let refusal = match judged {
        Ok((known, used)) => {
            if store.use_passkey(&context, known.id, used.count, used.backed_up).await? {
                return Ok(Some(known.user));
            }
            Refusal::Counter
        }
        Err(refusal) => refusal,
    };
    let layer = RefusedBy::Layer(Layer::Token);
    store.record_refused_message(&context, layer, &refusal.to_string()).await?;
    Ok(None)
}

fn judge(
    app: &App,
    challenge: &TokenHash,
    assertion: &Assertion,
    known: &KnownPasskey,
    is_alone: bool,
) -> Result<Use, Refusal> {
    let party = RelyingParty::of_site(&app.settings.site_url);
    let expected = Expected { party: &party, challenge: challenge.as_bytes(), verified: is_alone };
    let credential =
        Known { owner: &known.handle, key: &known.key, count: known.count, backup_eligible: known.backup_eligible };
    assertion.judge(&expected, &credential, is_alone)
}

/// Why is in the audit and not told.
fn refused(back: &str) -> Response {
    let body = format!(
        "<p class=\"alert\" role=\"alert\">This passkey could not be used. It may be one that was removed here, or it took too \
         long.</p><p class=\"links\"><a href=\"{}\">Try again, or in another way</a></p>",
        escape(back)
    );
    html(StatusCode::OK, pages::page(TITLE, &body))
}
