//! The page behind a link that came by e-mail: a password is chosen there. Loading it changes nothing, since programs that
//! look at mail load links too; only the form uses the link.

use crate::{
    App, Failure, Request, Response, account,
    browser::{self, FORM_FIELD, FormCookie, field},
    html,
    pages::{self, Field, escape},
};
use audit::Action;
use http::{Method, StatusCode};
use oauth::{Secret, throttle::Policy};
use store::LinkPurpose;

/// A kind of link.
#[derive(Clone, Copy, Debug)]
pub struct LinkPage {
    /// What the link is for.
    pub purpose: LinkPurpose,
    /// The path of the page.
    pub path: &'static str,
    /// The path of the page on which another link can be asked for.
    pub again: &'static str,
    /// The title.
    pub title: &'static str,
    /// What is said after the password was chosen.
    pub done: &'static str,
}

impl LinkPage {
    /// Answers a request for the page. With the answer, the address of the account whose password was chosen.
    pub async fn handle(&self, app: &App, request: &Request) -> Result<(Response, Option<String>), Failure> {
        match *request.method() {
            Method::GET => {
                let query = request.query()?;
                let token = Secret::presented(field(&query, "token").unwrap_or_default());
                let usable = app.store().await?.link(&token.hash(), self.purpose).await?.is_some();
                if !usable {
                    return Ok((self.unusable(), None));
                }
                let cookie = FormCookie::read_or_make(request)?;
                Ok((self.show(app, &cookie, &token, account::NEW_PASSWORD).await?, None))
            }
            Method::POST => self.choose(app, request).await,
            _ => Err(Failure::MethodNotAllowed),
        }
    }

    async fn show(
        &self,
        app: &App,
        cookie: &FormCookie,
        link: &Secret,
        fields: [Field<'_>; 2],
    ) -> Result<Response, Failure> {
        browser::anonymous_page(app, cookie, self.path, |token| {
            let hidden = [(FORM_FIELD, token), ("token", link.expose())];
            pages::page(self.title, &pages::form(self.path, &hidden, &fields, "Save password"))
        })
        .await
    }

    async fn choose(&self, app: &App, request: &Request) -> Result<(Response, Option<String>), Failure> {
        let (form, cookie) = browser::anonymous_form(app, request, self.path).await?;
        let link = Secret::presented(field(&form, "token").unwrap_or_default());
        let store = app.store().await?;
        let context = request.audit(None, Action::Update, "Password");
        let Some(account) = store.link(&link.hash(), self.purpose).await? else {
            account::refused(app, &context).await?;
            return Ok((self.unusable(), None));
        };
        let password = match account::chosen(app, &account.email, &form) {
            Ok(password) => password,
            Err(fields) => return Ok((self.show(app, &cookie, &link, *fields).await?, None)),
        };
        let hash = account::hash(password).await?;
        if !store.use_link(&context, &link.hash(), self.purpose, &hash).await? {
            return Ok((self.unusable(), None));
        }
        // Who reads the account's mail is its owner: from here they need not wait for what others did elsewhere.
        let keys = Policy::PASSWORD.keys(&account.email.to_lowercase(), &request.network());
        store.begin_attempt(&Policy::PASSWORD, &keys).await?;
        store.attempt_succeeded(&keys).await?;
        let body = format!(
            "{}<p>You have been signed out everywhere.</p><p class=\"links\"><a href=\"/accounts/login/\">Sign in</a></p>",
            pages::done(self.done)
        );
        Ok((html(StatusCode::OK, pages::page(self.title, &body)), Some(account.email)))
    }

    /// The same for a link that was used, that is too old and that never was.
    fn unusable(&self) -> Response {
        let body = format!(
            "<p class=\"alert\" role=\"alert\">This link does not work any more. Each works once, and not for long.</p>\
             <p class=\"links\"><a href=\"{}\">Ask for a new link</a></p>",
            escape(self.again)
        );
        html(StatusCode::GONE, pages::page(self.title, &body))
    }
}
