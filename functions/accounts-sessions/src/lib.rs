//! `GET` and `POST /accounts/sessions/`: where one is signed in, which apps have access, and an end to any of it (OWASP
//! ASVS 5.0 sections 7.4.2 to 7.5.2). For who is signed in in the browser.

use audit::Action;
use authz::GrantId;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Method;
use jiff::Timestamp;
use oauth::{TokenHash, words};
use runtime::{
    App, Failure, Function, Needs, Protocol, Request, Response,
    browser::{self, FORM_FIELD, Form, SignedIn, field},
    factor,
    pages::{self, escape, hidden_fields},
    redirect,
};
use store::{GrantEntry, SessionEntry};

/// The function.
pub const FUNCTION: Function =
    Function::new("accounts-sessions", Protocol::Page, Needs::Database, |app, request| Box::pin(handle(app, request)));

/// The page, and the name of its forms.
const PAGE: &str = "/accounts/sessions/";

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    if ![Method::GET, Method::POST].contains(request.method()) {
        return Err(Failure::MethodNotAllowed);
    }
    let Some(signed_in) = browser::signed_in(app, request).await? else {
        return Ok(browser::to_sign_in(PAGE));
    };
    if *request.method() == Method::POST {
        let form = browser::bound_form(app, request, PAGE, &signed_in.token).await?;
        let account = app.store().await?.account_of(signed_in.session.user).await?.ok_or(Failure::NotFound)?;
        if !factor::is_recent(app, &signed_in, &account) {
            return Ok(browser::to_sign_in_again(PAGE));
        }
        return end(app, request, &signed_in, &form).await;
    }
    show(app, request, &signed_in).await
}

async fn show(app: &App, request: &Request, signed_in: &SignedIn) -> Result<Response, Failure> {
    let store = app.store().await?;
    let user = signed_in.session.user;
    let sessions = store.sessions(user, app.settings.session_idle_seconds).await?;
    let grants = store.grants(user).await?;
    let query = request.query()?;
    browser::bound_page(app, PAGE, &signed_in.token, |token| {
        let done =
            if field(&query, "done").is_some() { pages::done("Done. That access has ended.") } else { String::new() };
        let current = signed_in.token.hash();
        let sessions: String = sessions.iter().map(|one| session_item(one, one.token == current, token)).collect();
        let grants = if grants.is_empty() {
            "<p>No app has access to your account.</p>".to_owned()
        } else {
            let site_url = &app.settings.site_url;
            let items: String = grants.iter().map(|one| grant_item(one, site_url, token)).collect();
            format!("<ul class=\"list\">{items}</ul>")
        };
        let body = format!(
            "{done}<h2>Browsers</h2><ul class=\"list\">{sessions}</ul><h2>Apps</h2>{grants}\
             <h2>Not sure about one of them?</h2>\
             <p>End everything but this browser, then <a href=\"/accounts/password/\">change your password</a>.</p>{}",
            button(token, "all", "", "End everything else", "")
        );
        pages::account("Sessions and apps", PAGE, &body)
    })
    .await
}

fn session_item(session: &SessionEntry, is_current: bool, token: &str) -> String {
    let end = if is_current {
        "<strong>This browser</strong>".to_owned()
    } else {
        let name = format!(" the session of {}", session.browser);
        button(token, "session", &URL_SAFE_NO_PAD.encode(session.token.as_bytes()), "End", &name)
    };
    format!(
        "<li><div><p><strong>{}</strong></p><p class=\"hint\">Signed in {}, last used {}</p></div>{end}</li>",
        escape(&session.browser),
        date(session.started_at),
        date(session.last_used_at),
    )
}

/// An app, with what it may do in the words in which that was allowed (OWASP ASVS 5.0 10.7.3).
fn grant_item(grant: &GrantEntry, site_url: &str, token: &str) -> String {
    let mut can = words::of_scope(&grant.scope, grant.whole_access);
    can.extend(words::of_audience(&grant.audience, site_url));
    let renewed = grant.renewed_at.map(|at| format!(", last renewed {}", date(at))).unwrap_or_default();
    format!(
        "<li><div><p><strong>{name}</strong></p><p class=\"hint\">Allowed {}{renewed}. Ends {} unless renewed.</p>\
         <p>It can:</p>{can}{parts}</div>{}</li>",
        date(grant.granted_at),
        date(grant.expires_at),
        button(token, "app", &grant.id.0.to_string(), "End", &format!(" the access of {}", grant.client)),
        name = escape(&grant.client),
        parts = parts(grant, token),
        can = pages::list(&can),
    )
}

/// A button for each part of an app's access that can be taken back without ending it (OWASP ASVS 5.0 10.7.3).
fn parts(grant: &GrantEntry, token: &str) -> String {
    let narrower = grant.scope.iter().filter(|part| grant.scope.without(part).is_some());
    let items: String = narrower
        .map(|part| {
            let hidden = [(FORM_FIELD, token), ("part-of", &grant.id.0.to_string()), ("part", part)];
            form(&hidden, &format!("No longer {}", words::of_token(part)), &format!(": {}", grant.client))
        })
        .collect();
    if items.is_empty() { items } else { format!("<p>Take a part of it back:</p>{items}") }
}

/// A form of one button that ends something.
fn button(token: &str, what: &str, which: &str, text: &str, whole: &str) -> String {
    form(&[(FORM_FIELD, token), (what, which)], text, whole)
}

/// A form of one button. The whole of its name is for who does not see what it stands beside.
fn form(hidden: &[(&str, &str)], text: &str, whole: &str) -> String {
    let label =
        if whole.is_empty() { String::new() } else { format!(" aria-label=\"{}{}\"", escape(text), escape(whole)) };
    format!(
        "<form method=\"post\" action=\"{PAGE}\">{}<button class=\"quiet\"{label}>{}</button></form>",
        hidden_fields(hidden),
        escape(text)
    )
}

fn date(time: Timestamp) -> String {
    time.strftime("%-d %b %Y, %H:%M UTC").to_string()
}

async fn end(app: &App, request: &Request, signed_in: &SignedIn, form: &Form) -> Result<Response, Failure> {
    let store = app.store().await?;
    let user = signed_in.session.user;
    let context = |kind| request.audit(None, Action::Delete, kind);
    if let (Some(grant), Some(part)) = (field(form, "part-of"), field(form, "part")) {
        let grant = store.grants(user).await?.into_iter().find(|one| one.id.0.to_string() == grant);
        let grant = grant.ok_or(Failure::NotFound)?;
        let rest = grant.scope.without(part).ok_or(Failure::NotFound)?;
        let context = request.audit(None, Action::Update, "Token");
        if !store.narrow_grant(&context, user, grant.id, (&grant.scope, &rest)).await? {
            return Err(Failure::NotFound);
        }
        return Ok(redirect(&format!("{PAGE}?done=1")));
    }
    match (field(form, "session"), field(form, "app"), field(form, "all")) {
        (Some(session), None, None) => {
            let hash = token_hash(session).ok_or(Failure::NotFound)?;
            store.end_session(&context("Session"), &hash, Some(user)).await?;
        }
        (None, Some(grant), None) => {
            let grant = grant.parse().map(GrantId).map_err(|_| Failure::NotFound)?;
            store.end_grant(&context("Token"), user, grant).await?;
        }
        (None, None, Some(_)) => store.end_everything(&context("Session"), user, &signed_in.token.hash()).await?,
        _ => return Err(Failure::Invalid("The form says nothing that can be ended.".to_owned())),
    }
    Ok(redirect(&format!("{PAGE}?done=1")))
}

fn token_hash(text: &str) -> Option<TokenHash> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    Some(TokenHash::from_bytes(bytes.try_into().ok()?))
}
