//! `GET` and `POST /o/authorize/`: the authorization endpoint (RFC 6749 section 3.1, OpenID Connect Core 1.0 section
//! 3.1.2). Public: whoever comes without a session is sent to sign in.
//!
//! A code can be issued on GET, as OAuth has it: the request comes from the client's page. It is worth nothing without
//! the verifier that only the client has. A pushed request (RFC 9126) is used up by any answer to its client.

mod consent;
mod opened;

use audit::{Action, RefusedBy, Target};
use authz::{ClientId, Layer};
use consent::Decision;
use http::Method;
use oauth::{
    Client, Secret, TokenHash,
    authentication::Acr,
    authorize::{Authorization, AuthorizeRequest, NextStep, PageError, Refusal, Session},
    discovery::Endpoints,
    throttle::Policy,
};
use runtime::{
    App, Failure, Function, Needs, Protocol, Request, Response,
    browser::{self, SignedIn},
    client, redirect,
};
use store::{Attempt, NewCode};

/// The function.
pub const FUNCTION: Function =
    Function::new("oauth-authorize", Protocol::Page, Needs::Database, |app, request| Box::pin(handle(app, request)));

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let form = match *request.method() {
        Method::GET => Vec::new(),
        Method::POST => request.form()?,
        _ => return Err(Failure::MethodNotAllowed),
    };
    let asked = AuthorizeRequest::parse(request.query()?.into_iter().chain(form.clone())).map_err(page)?;
    let Some(mut client) = app.store().await?.client(asked.client_id()).await? else {
        return Err(misdirected(app, request, None, PageError::UnknownClient).await);
    };
    client.requires_pushed_requests |= app.settings.requires_pushed_requests;
    let site_url = app.settings.site_url.as_str();
    let endpoints = Endpoints::new(site_url);
    let reference = asked.reference().map(|reference| reference.hash());
    let asked = match &reference {
        Some(reference) => resolve(app, request, &client, asked, reference).await?,
        None => asked,
    };
    let answer = Answer { app, client: client.id, issuer: endpoints.issuer(), reference };
    let addressed = match asked.for_client(&client) {
        Ok(addressed) => addressed,
        Err(error) => return Err(misdirected(app, request, Some(client.id), error).await),
    };
    // From here on the redirect URI is the client's own, and errors go there.
    let mut authorization = match addressed.validate(&client) {
        Ok(authorization) => authorization,
        Err(refusal) => return answer.refuse(&refusal).await,
    };
    if !client::knows(app, &authorization.audience).await? {
        return answer.refuse(&authorization.unknown_resource()).await;
    }
    opened::keep(app, request, &mut authorization).await?;
    let signed_in = browser::signed_in(app, request).await?;
    // An earlier consent does not count: a public client cannot prove that it is the same (RFC 6749 section 10.2).
    let session = match &signed_in {
        Some(one) => Some(Session {
            auth_time: one.session.started_at,
            has_consented: false,
            could_be_stronger: authorization.asks_two_factors() && could_be_stronger(app, one).await?,
        }),
        None => None,
    };
    let step = match authorization.next_step(&client, site_url, session.as_ref(), app.now()) {
        Ok(step) => step,
        Err(refusal) => return answer.refuse(&refusal).await,
    };
    let asked = Asked { app, request, client: &client, authorization: &authorization, answer: &answer };
    if let Some(signed_in) = signed_in.as_ref().filter(|_| step != NextStep::LogIn)
        && asked.needs_email_code(signed_in).await?
    {
        // For the client it is as if nobody were signed in (OpenID Connect Core 1.0 section 3.1.2.6).
        return match authorization.next_step(&client, site_url, None, app.now()) {
            Err(refusal) => answer.refuse(&refusal).await,
            Ok(_) => asked.email_code().await,
        };
    }
    match (step, &signed_in) {
        (NextStep::LogIn, signed_in) | (_, signed_in @ None) => asked.sign_in(signed_in.is_some()).await,
        (NextStep::IssueCode, Some(signed_in)) => asked.issue_code(signed_in).await,
        (NextStep::AskConsent, Some(signed_in)) => match Decision::of(&form)? {
            None => asked.ask(signed_in).await,
            Some((decision, token)) => {
                let binding = consent::binding(signed_in, &authorization);
                browser::check_form(app, request, consent::FORM, &binding, token).await?;
                match decision {
                    Decision::Allow => asked.issue_code(signed_in).await,
                    Decision::Deny => asked.deny(signed_in).await,
                }
            }
        },
    }
}

/// Whether who signed in by one factor has a second one.
async fn could_be_stronger(app: &App, signed_in: &SignedIn) -> Result<bool, Failure> {
    if Acr::of(&signed_in.session.methods) == Some(Acr::TwoFactors) {
        return Ok(false);
    }
    Ok(app.store().await?.account_of(signed_in.session.user).await?.is_some_and(|account| account.has_factor()))
}

/// Errors before the redirect URI is known to be the client's are shown, never sent (RFC 6749 section 4.1.2.1).
fn page(error: PageError) -> Failure {
    Failure::Invalid(error.to_string())
}

/// A request that leads nowhere, because the client or its redirect URI is not known: somebody may try whom they can send where.
/// It is recorded, with the client if it is one; of one network so many and no more, since anybody can send any number.
async fn misdirected(app: &App, request: &Request, client: Option<i32>, error: PageError) -> Failure {
    let recorded = async {
        let store = app.store().await?;
        let name = client.map(|id| id.to_string()).unwrap_or_default();
        let policy = Policy::MISDIRECTED;
        if let Attempt::Counted(_) = store.begin_attempt(&policy, &policy.keys(&name, &request.network())).await? {
            let mut context = request.audit(None, Action::Execute, "Authorization");
            context.client_id = client.map(ClientId);
            store.record_refused_message(&context, RefusedBy::Invalid, &error.to_string()).await?;
        }
        Ok::<_, Failure>(())
    };
    recorded.await.err().unwrap_or_else(|| page(error))
}

/// The pushed request that the browser brought the reference of. A reference that stands for nothing is recorded.
async fn resolve(
    app: &App,
    request: &Request,
    client: &Client,
    asked: AuthorizeRequest,
    reference: &TokenHash,
) -> Result<AuthorizeRequest, Failure> {
    let store = app.store().await?;
    let Some(pushed) = store.open_pushed_request(reference, client.id).await? else {
        let context = request.audit(None, Action::Execute, "Authorization");
        store.record_refusal(&context, &Target::nothing(), RefusedBy::Layer(Layer::Token)).await?;
        return Err(page(PageError::UnknownReference));
    };
    asked.resolve(&pushed).map_err(page)
}

/// The way of an answer to the client.
struct Answer<'a> {
    app: &'a App,
    client: i32,
    issuer: &'a str,
    reference: Option<TokenHash>,
}

impl Answer<'_> {
    /// Uses up the request, if it was pushed: it is answered once (RFC 9126 section 7.3).
    async fn begin(&self) -> Result<(), Failure> {
        match &self.reference {
            Some(reference) if !self.app.store().await?.use_pushed_request(reference, self.client).await? => {
                Err(page(PageError::UnknownReference))
            }
            _ => Ok(()),
        }
    }

    async fn refuse(&self, refusal: &Refusal) -> Result<Response, Failure> {
        self.begin().await?;
        Ok(redirect(&refusal.location(self.issuer)))
    }
}

/// A valid request, to be answered.
struct Asked<'a> {
    app: &'a App,
    request: &'a Request,
    client: &'a Client,
    authorization: &'a Authorization,
    answer: &'a Answer<'a>,
}

impl Asked<'_> {
    /// To the sign-in page, and back from there to this request. Who is signed in and sent there has to sign in anew.
    async fn sign_in(&self, is_signed_in: bool) -> Result<Response, Failure> {
        let back = self.back().await?;
        Ok(if is_signed_in || self.authorization.asks_login() {
            browser::to_sign_in_again(&back)
        } else {
            browser::to_sign_in(&back)
        })
    }

    /// The way back to this request.
    async fn back(&self) -> Result<String, Failure> {
        Ok(format!("/o/authorize/?{}", opened::query(self.app, self.authorization).await?))
    }

    /// Whether the client asks for a code by e-mail that the person has not typed in this session.
    async fn needs_email_code(&self, signed_in: &SignedIn) -> Result<bool, Failure> {
        let has_typed_it = signed_in.session.methods.iter().any(|method| method == "email");
        Ok(!has_typed_it && self.app.store().await?.asks_email_code(self.client.id).await?)
    }

    /// To the page of the code, and back from there to this request.
    async fn email_code(&self) -> Result<Response, Failure> {
        Ok(redirect(&browser::with_next("/accounts/email-code/", &self.back().await?)))
    }

    /// The person said no, which is recorded.
    async fn deny(&self, signed_in: &SignedIn) -> Result<Response, Failure> {
        let answer = self.answer.refuse(&self.authorization.denied()).await?;
        let context = self.request.audit(None, Action::Execute, "Authorization");
        self.app.store().await?.record_denial(&context, signed_in.session.user, self.client.id).await?;
        Ok(answer)
    }

    async fn issue_code(&self, signed_in: &SignedIn) -> Result<Response, Failure> {
        self.answer.begin().await?;
        let code = Secret::generate()?;
        let context = self.request.audit(None, Action::Execute, "Authorization");
        let new = NewCode {
            hash: code.hash(),
            user: signed_in.session.user,
            client: self.client.id,
            scope: &self.authorization.scope,
            audience: &self.authorization.audience,
            auth_time: signed_in.session.started_at,
            methods: &signed_in.session.methods,
            redirect_uri: self.authorization.return_to.redirect_uri(),
            challenge: &self.authorization.challenge,
            nonce: self.authorization.nonce.as_deref(),
            key: self.authorization.key.as_ref(),
            expires_at: self.app.now() + self.app.settings.lifetimes.code,
        };
        self.app.store().await?.issue_code(&context, &new).await?;
        Ok(redirect(&self.authorization.return_to.with_code(code.expose(), self.answer.issuer)))
    }

    async fn ask(&self, signed_in: &SignedIn) -> Result<Response, Failure> {
        let profile = self.app.store().await?.profile(signed_in.session.user).await?;
        let email = profile.ok_or(Failure::NotFound)?.email;
        let binding = consent::binding(signed_in, self.authorization);
        let token = self.app.form_key().await?.issue(consent::FORM, &binding)?;
        let query = opened::query(self.app, self.authorization).await?;
        Ok(consent::page(&self.app.settings, self.client, self.authorization, &query, &email, &token))
    }
}
