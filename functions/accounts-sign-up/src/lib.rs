//! `GET` and `POST /accounts/sign-up/`: a patient whose account a coordinator made asks for a link by e-mail, with the code of
//! an invitation. Public: the code and the address together are what the patient has.
//!
//! The answer is the same, and comes at the same time, whether or not the two belong together.

use audit::Action;
use http::{Method, StatusCode};
use jiff::SignedDuration;
use mail::Mailer;
use oauth::{Secret, TokenHash, throttle::Policy, token::INVITATION_LENGTH};
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
    Function::new("accounts-sign-up", Protocol::Page, Needs::Database, |app, request| Box::pin(handle(app, request)));

/// The page, and the name of its form.
const PAGE: &str = "/accounts/sign-up/";

const TITLE: &str = "Sign up";

/// How long the link works.
const LINK: SignedDuration = SignedDuration::from_mins(30);

const CODE: Field<'static> = Field {
    name: "invitation",
    label: "Invitation code",
    kind: "text",
    autocomplete: "off",
    value: "",
    hint: Some("Paste the code, or the whole link that you were given."),
    problem: None,
    longest: 2000,
};

const EMAIL: Field<'static> = Field {
    name: "email",
    label: "E-mail address",
    kind: "email",
    autocomplete: "username",
    value: "",
    hint: Some("The one that you gave to the people of your study."),
    problem: None,
    longest: MAX_EMAIL,
};

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    match *request.method() {
        Method::GET => show(app, &FormCookie::read_or_make(request)?, [CODE, EMAIL]).await,
        Method::POST => {
            let (form, cookie) = browser::anonymous_form(app, request, PAGE).await?;
            let typed = |name| field(&form, name).unwrap_or_default();
            match (code(typed(CODE.name)), account::email(typed(EMAIL.name))) {
                (Some(code), Some(email)) => ask(app, request, &code, &email).await,
                (code, email) => {
                    let no_code = code.is_none().then_some("This is not an invitation code.");
                    let no_email = email.is_none().then_some("Enter your e-mail address.");
                    let fields = [
                        Field { value: typed(CODE.name), problem: no_code, ..CODE },
                        Field { value: typed(EMAIL.name), problem: no_email, ..EMAIL },
                    ];
                    show(app, &cookie, fields).await
                }
            }
        }
        _ => Err(Failure::MethodNotAllowed),
    }
}

async fn show(app: &App, cookie: &FormCookie, fields: [Field<'_>; 2]) -> Result<Response, Failure> {
    browser::anonymous_page(app, cookie, PAGE, |token| {
        let form = pages::form(PAGE, &[(FORM_FIELD, token)], &fields, "Send the link");
        let text = "<p>With an invitation to a study you can choose a password for your account.</p>";
        pages::page(TITLE, &format!("{text}{form}"))
    })
    .await
}

/// The code at the end of what was pasted: the code itself, `<host>_<code>`, or a link that ends with it.
fn code(pasted: &str) -> Option<TokenHash> {
    let trimmed = pasted.trim();
    let start = trimmed.rfind(|c: char| !c.is_ascii_alphanumeric()).map_or(0, |at| at + 1);
    let code = trimmed.get(start..).filter(|code| code.len() == INVITATION_LENGTH)?;
    Some(TokenHash::of(code))
}

async fn ask(app: &App, request: &Request, code: &TokenHash, email: &str) -> Result<Response, Failure> {
    let context = request.audit(None, Action::Execute, "SignUp");
    account::attempt(app, request, &context, &Policy::MAIL, email).await?;
    let mailer = Mailer::of(app)?;
    account::steady(async {
        let token = Secret::generate()?;
        let link = NewLink { email, token: token.hash(), expires_at: app.now() + LINK };
        let window = app.settings.invitation_window_seconds;
        let found = app.store().await?.request_sign_up(&context, &link, code, window).await?;
        let Some(recipient) = found else { return Ok(()) };
        let (subject, text) = if recipient.has_password {
            ("You have a password already", has_password(app))
        } else {
            ("Choose your password", first_password(app, &token))
        };
        // Only for an account can it go wrong.
        Box::pin(mailer.send_unanswered(app, &recipient.email, subject, &text)).await;
        Ok::<(), Failure>(())
    })
    .await?;
    let body = format!(
        "{}<p>If the code and the address belong together, an e-mail with a link is on its way. The link works once, for \
         half an hour.</p><p class=\"links\"><a href=\"/accounts/login/\">Back to sign in</a></p>",
        pages::done("Look into your mailbox.")
    );
    Ok(html(StatusCode::OK, pages::page(TITLE, &body)))
}

fn first_password(app: &App, token: &Secret) -> String {
    format!(
        "Welcome to JupyterHealth Exchange.\n\n\
         Open this link within half an hour to choose your password. It works once.\n\n{}\n\n\
         If you did not ask for it, do nothing.\n",
        with_token(app, "/accounts/verify/", token)
    )
}

fn has_password(app: &App) -> String {
    format!(
        "Somebody, we hope you, wanted to sign up at JupyterHealth Exchange with your invitation. You have a password \
         already. Sign in with it, or choose a new one if you forgot it:\n\n{}/accounts/reset/\n",
        app.settings.site_url
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_in_what_people_paste() {
        let plain = "8NG3Sz7fULsoyypl9vmutzYOa6kkbgny";
        for pasted in [
            plain.to_owned(),
            format!(" {plain}\n"),
            format!("jhe.example_{plain}"),
            format!("https://carex.ai/invitation/jhe.example_{plain}"),
            format!("https://a.example?invitation=localhost%3A8000_{plain}"),
        ] {
            assert_eq!(code(&pasted), Some(TokenHash::of(plain)), "{pasted}");
        }
        for pasted in ["", "x", "8NG3Sz7fULsoyypl9vmutzYOa6kkbgn", "é"] {
            assert_eq!(code(pasted), None, "{pasted}");
        }
    }
}
