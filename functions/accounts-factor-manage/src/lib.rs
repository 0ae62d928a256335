//! `GET` and `POST /accounts/second-factor/manage/`: the second factors of who is signed in in the browser: which there are,
//! removing one, and new recovery codes. A change takes a recent sign-in.

use audit::Action;
use http::{Method, StatusCode};
use jiff::Timestamp;
use mail::Notice;
use oauth::factor::RecoveryCode;
use runtime::{
    App, Failure, Function, Needs, Protocol, Request, Response, account,
    browser::{self, FORM_FIELD, Form, SignedIn, field, with_next},
    factor, html,
    pages::{self, escape, hidden_fields},
    redirect,
};
use store::{Account, Factor, Passkey, Removal};

/// The function.
pub const FUNCTION: Function =
    Function::new("accounts-factor-manage", Protocol::Page, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    });

/// The page, and the name of its forms.
const PAGE: &str = "/accounts/second-factor/manage/";

const TITLE: &str = "Second factor";

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    if ![Method::GET, Method::POST].contains(request.method()) {
        return Err(Failure::MethodNotAllowed);
    }
    let Some(signed_in) = browser::signed_in(app, request).await? else {
        return Ok(browser::to_sign_in(PAGE));
    };
    let account = app.store().await?.account_of(signed_in.session.user).await?.ok_or(Failure::NotFound)?;
    if *request.method() == Method::GET {
        return show(app, request, &signed_in, &account).await;
    }
    let form = browser::bound_form(app, request, PAGE, &signed_in.token).await?;
    if !factor::is_recent(app, &signed_in, &account) {
        return Ok(browser::to_sign_in_again(PAGE));
    }
    change(app, request, &account, &form).await
}

async fn show(app: &App, request: &Request, signed_in: &SignedIn, account: &Account) -> Result<Response, Failure> {
    let enrol = |page: &str| escape(&with_next(page, PAGE));
    let passkey = enrol("/accounts/second-factor/passkey/enrol/");
    let authenticator = enrol("/accounts/second-factor/enrol/");
    if !account.has_factor() {
        let body = format!(
            "<p>Your account is protected by the password alone. With a passkey or an authenticator app, who learns the \
             password still cannot sign in.</p><p class=\"links\"><a href=\"{passkey}\">Add a passkey</a>\
             <a href=\"{authenticator}\">Set up an authenticator app</a></p>"
        );
        return Ok(html(StatusCode::OK, pages::account(TITLE, PAGE, &body)));
    }
    let store = app.store().await?;
    let left = store.recovery_codes_left(account.id).await?;
    let own = store.passkeys(account.id).await?;
    let is_needed =
        account::must_have_factor(app, account) && own.len() + usize::from(account.factors.authenticator) == 1;
    let query = request.query()?;
    browser::bound_page(app, PAGE, &signed_in.token, |token| {
        let items = items(account, &own, token, is_needed);
        let needed = if is_needed {
            "<p>Your account must have a second factor, so the last one cannot be removed. Add another one first.</p>"
        } else {
            ""
        };
        let body = format!(
            "{done}<ul class=\"list\">{items}</ul>{needed}<p class=\"links\"><a href=\"{passkey}\">Add a passkey</a>\
             <a href=\"{authenticator}\">{app}</a></p><h2>Recovery codes</h2>\
             <p>You have {left} recovery codes left. Each signs you in once when you have nothing else at hand.</p>{codes}",
            done =
                if field(&query, "done").is_some() { pages::done("Done. It is removed.") } else { String::new() },
            app = if account.factors.authenticator {
                "Set up another authenticator app, with new recovery codes"
            } else {
                "Set up an authenticator app, with new recovery codes"
            },
            codes = pages::quiet_form(PAGE, &[(FORM_FIELD, token), ("codes", "1")], "Make new recovery codes"),
        );
        pages::account(TITLE, PAGE, &body)
    })
    .await
}

fn items(account: &Account, passkeys: &[Passkey], token: &str, is_needed: bool) -> String {
    let remove = |what: &str, which: &str, name: &str| {
        if is_needed { String::new() } else { remove_button(token, what, which, name) }
    };
    let app = account.factors.authenticator.then(|| {
        format!(
            "<li><div><p><strong>Authenticator app</strong></p></div>{}</li>",
            remove("authenticator", "1", "the authenticator app")
        )
    });
    let passkeys = passkeys.iter().map(|one| {
        format!(
            "<li><div><p><strong>{name}</strong></p><p class=\"hint\">Passkey, {kept}; added {added}{used}</p></div>{remove}</li>",
            name = escape(&one.name),
            kept = if one.backed_up { "on all your devices" } else { "on one device" },
            added = date(one.created_at),
            used = one.last_used_at.map(|at| format!(", last used {}", date(at))).unwrap_or_default(),
            remove = remove("passkey", &one.id.to_string(), &format!("the passkey {}", one.name)),
        )
    });
    app.into_iter().chain(passkeys).collect()
}

/// A form of one button. The whole of its name is for who does not see what it stands beside.
fn remove_button(token: &str, what: &str, which: &str, name: &str) -> String {
    format!(
        "<form method=\"post\" action=\"{PAGE}\">{}<button class=\"quiet\" aria-label=\"Remove {}\">Remove</button></form>",
        hidden_fields(&[(FORM_FIELD, token), (what, which)]),
        escape(name)
    )
}

fn date(time: Timestamp) -> String {
    time.strftime("%-d %b %Y").to_string()
}

async fn change(app: &App, request: &Request, account: &Account, form: &Form) -> Result<Response, Failure> {
    match (field(form, "authenticator"), field(form, "passkey"), field(form, "codes")) {
        (Some(_), None, None) => remove(app, request, account, Factor::Authenticator).await,
        (None, Some(number), None) => {
            let number = number.parse().map_err(|_| Failure::NotFound)?;
            remove(app, request, account, Factor::Passkey(number)).await
        }
        (None, None, Some(_)) => new_codes(app, request, account).await,
        _ => Err(Failure::Invalid("The form says nothing that can be changed.".to_owned())),
    }
}

async fn remove(app: &App, request: &Request, account: &Account, which: Factor) -> Result<Response, Failure> {
    let kind = match which {
        Factor::Authenticator => "SecondFactor",
        Factor::Passkey(_) => "Passkey",
    };
    let context = request.audit(None, Action::Delete, kind).on_account(account.id);
    let may_be_last = !account::must_have_factor(app, account);
    match app.store().await?.remove_factor(&context, account.id, which, may_be_last).await? {
        Removal::Unknown => Err(Failure::NotFound),
        Removal::Needed => {
            account::refused(app, &context).await?;
            Err(Failure::Forbidden("Your account must have a second factor."))
        }
        Removal::Removed { was_last } => {
            mail::tell(app, request, &account.email, Notice::FactorRemoved).await;
            if !was_last {
                return Ok(redirect(&format!("{PAGE}?done=1")));
            }
            let body = pages::done("The second factor is off. Your recovery codes are worth nothing any more.");
            Ok(html(StatusCode::OK, pages::account(TITLE, PAGE, &body)))
        }
    }
}

async fn new_codes(app: &App, request: &Request, account: &Account) -> Result<Response, Failure> {
    let (codes, hashes): (Vec<RecoveryCode>, _) = factor::recovery_codes()?;
    let context = request.audit(None, Action::Create, "RecoveryCode");
    if !app.store().await?.renew_recovery_codes(&context, account.id, &hashes).await? {
        return Err(Failure::Conflict("Set up a second factor first."));
    }
    mail::tell(app, request, &account.email, Notice::CodesMade).await;
    let done = "You have new recovery codes. Those of before are worth nothing any more.";
    Ok(html(StatusCode::OK, factor::done_page(TITLE, done, &codes, PAGE)))
}
