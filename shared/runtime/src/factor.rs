//! Setting up second factors: who may, how recently they have to have signed in, and recovery codes.

use crate::{
    App, Failure, Request, account,
    browser::{self, SignedIn},
    pages::{self, escape},
};
use jiff::SignedDuration;
use oauth::{
    RandomError, Secret, TokenHash,
    factor::{RECOVERY_CODES, RecoveryCode},
};
use store::{Account, FirstStep};

/// How long a sign-in is new enough to change how one signs in, and what is as sensitive (OWASP ASVS 5.0 sections 7.5.1 to 7.5.3).
pub(crate) const RECENT: SignedDuration = SignedDuration::from_mins(10);

/// Whether the sign-in is recent, and as strong as the account asks for now.
#[must_use]
pub fn is_recent(app: &App, signed_in: &SignedIn, account: &Account) -> bool {
    let age = app.now().duration_since(signed_in.session.started_at);
    let is_full =
        !account::needs_second_step(app, account) || signed_in.session.methods.iter().any(|method| method == "mfa");
    is_full && age < RECENT
}

/// Somebody who may set up a factor.
#[derive(Debug)]
pub struct Visitor {
    /// The account.
    pub account: Account,
    /// To what forms are bound: the session, or the open second step.
    pub token: Secret,
    /// The sign-in that waits for its first factor; none in a session.
    pub first: Option<FirstStep>,
}

/// Whether somebody may set up a factor.
#[derive(Debug)]
pub enum Admission {
    /// Yes.
    Admitted(Box<Visitor>),
    /// After signing in.
    SignIn,
    /// After signing in anew.
    SignInAgain,
}

impl Visitor {
    /// Who is signed in, recently; else whose sign-in waits for a second factor that is not set up. Who has one uses it: the
    /// password alone never adds or replaces one.
    pub async fn admit(app: &App, request: &Request) -> Result<Admission, Failure> {
        let store = app.store().await?;
        if let Some(signed_in) = browser::signed_in(app, request).await? {
            return Ok(match store.account_of(signed_in.session.user).await? {
                None => Admission::SignIn,
                Some(account) if !is_recent(app, &signed_in, &account) => Admission::SignInAgain,
                Some(account) => Admission::Admitted(Box::new(Self { account, token: signed_in.token, first: None })),
            });
        }
        let Some(token) = browser::challenge_token(&app.settings, request) else { return Ok(Admission::SignIn) };
        let Some(first) = store.challenge(&token.hash()).await? else { return Ok(Admission::SignIn) };
        let account = store.account_of(first.user).await?.filter(|account| !account.has_factor());
        Ok(account.map_or(Admission::SignIn, |account| {
            Admission::Admitted(Box::new(Self { account, token, first: Some(first) }))
        }))
    }

    /// A page for this visitor.
    #[must_use]
    pub fn page(&self, title: &str, body: &str) -> String {
        if self.first.is_none() { pages::in_session(title, body) } else { pages::page(title, body) }
    }

    /// The session, if there is one.
    #[must_use]
    pub fn session(&self) -> Option<TokenHash> {
        self.first.is_none().then(|| self.token.hash())
    }
}

/// Recovery codes and their hashes.
pub fn recovery_codes() -> Result<(Vec<RecoveryCode>, Vec<TokenHash>), RandomError> {
    let codes = (0..RECOVERY_CODES).map(|_| RecoveryCode::generate()).collect::<Result<Vec<_>, _>>()?;
    let hashes = codes.iter().map(RecoveryCode::hash).collect();
    Ok((codes, hashes))
}

/// The page after something was set up, with recovery codes if there are new ones. They are shown here and never again.
#[must_use]
pub fn done_page(title: &str, done: &str, codes: &[RecoveryCode], next: &str) -> String {
    let list = if codes.is_empty() {
        String::new()
    } else {
        let items: Vec<String> = codes.iter().map(RecoveryCode::text).collect();
        format!(
            "<h2>Recovery codes</h2><p>Each of these works once when you have nothing else at hand. Keep them where you will \
             find them and others will not: they are not shown again.</p><ul class=\"code\"><li>{}</li></ul>",
            items.join("</li><li>")
        )
    };
    let body = format!("{}{list}<p class=\"links\"><a href=\"{}\">Continue</a></p>", pages::done(done), escape(next));
    pages::in_session(title, &body)
}
