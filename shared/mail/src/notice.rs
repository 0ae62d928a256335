//! Mails that tell a person of a change to how they sign in, or of somebody who tries to (OWASP ASVS 5.0 sections 6.3.5 and
//! 6.3.7). Nobody waits for one, and no change depends on it.

use crate::{MailError, Mailer};
use jiff::Timestamp;
use runtime::{App, Request, browser};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The password was changed in a session.
    PasswordChanged,
    /// The password was replaced by a link.
    PasswordReset,
    /// An authenticator app was set up.
    AuthenticatorAdded,
    /// A passkey was added.
    PasskeyAdded,
    /// An authenticator app or a passkey was removed.
    FactorRemoved,
    /// There are new recovery codes.
    CodesMade,
    /// A recovery code was used.
    CodeUsed,
    /// Many wrong passwords in a row.
    WrongPasswords,
    /// Many wrong codes in a row, after the right password.
    WrongCodes,
}

impl Notice {
    /// Every one, for the tests.
    #[cfg(test)]
    const ALL: [Self; 9] = [
        Self::PasswordChanged,
        Self::PasswordReset,
        Self::AuthenticatorAdded,
        Self::PasskeyAdded,
        Self::FactorRemoved,
        Self::CodesMade,
        Self::CodeUsed,
        Self::WrongPasswords,
        Self::WrongCodes,
    ];

    const fn subject(self) -> &'static str {
        match self {
            Self::PasswordChanged | Self::PasswordReset => "Your password was changed",
            Self::AuthenticatorAdded => "An authenticator app was set up",
            Self::PasskeyAdded => "A passkey was added",
            Self::FactorRemoved => "A second factor was removed",
            Self::CodesMade => "You have new recovery codes",
            Self::CodeUsed => "A recovery code was used",
            Self::WrongPasswords | Self::WrongCodes => "Somebody tries to sign in to your account",
        }
    }

    const fn what(self) -> &'static str {
        match self {
            Self::PasswordChanged => "The password of your account at JupyterHealth Exchange was changed.",
            Self::PasswordReset => {
                "A new password was chosen for your account at JupyterHealth Exchange, by a link that was sent to this address."
            }
            Self::AuthenticatorAdded => {
                "An authenticator app was set up for your account at JupyterHealth Exchange, with new recovery codes."
            }
            Self::PasskeyAdded => "A passkey was added to your account at JupyterHealth Exchange.",
            Self::FactorRemoved => {
                "An authenticator app or a passkey was removed from your account at JupyterHealth Exchange."
            }
            Self::CodesMade => {
                "New recovery codes were made for your account at JupyterHealth Exchange. Those of before are worth nothing."
            }
            Self::CodeUsed => {
                "One of your recovery codes was used to sign in to your account at JupyterHealth Exchange."
            }
            Self::WrongPasswords => {
                "A wrong password was typed for your account at JupyterHealth Exchange several times in a row. Whoever it is \
                 has to wait longer and longer between two tries."
            }
            Self::WrongCodes => {
                "Somebody typed the right password of your account at JupyterHealth Exchange, and then a wrong code several \
                 times in a row."
            }
        }
    }

    /// What to do when it was somebody else, and where.
    const fn advice(self) -> (&'static str, &'static str) {
        match self {
            Self::WrongPasswords => {
                ("you need not do anything. If you use this password elsewhere too, change it:", "/accounts/password/")
            }
            Self::WrongCodes => ("somebody knows your password. Change it now:", "/accounts/password/"),
            Self::PasswordChanged | Self::PasswordReset => {
                ("choose a new password now, and tell the people of your study:", "/accounts/reset/")
            }
            _ => (
                "change your password now, look at your second factors, and tell the people of your study:",
                "/accounts/second-factor/manage/",
            ),
        }
    }

    fn text(self, when: Timestamp, browser: &str, site: &str) -> String {
        let (advice, page) = self.advice();
        format!(
            "{}\n\nWhen: {}\nFrom: {browser}\n\nIf it was you, there is nothing to do. If it was somebody else, {advice}\n\n\
             {site}{page}\n",
            self.what(),
            when.strftime("%-d %b %Y, %H:%M UTC"),
        )
    }
}

/// Tells the owner of an account what happened in a request. What goes wrong with the mail is logged.
pub async fn tell(app: &App, request: &Request, email: &str, notice: Notice) {
    match Mailer::of(app) {
        Ok(mailer) => {
            let browser = browser::kind(request.header("user-agent").unwrap_or_default());
            let text = notice.text(app.now(), browser, &app.settings.site_url);
            Box::pin(mailer.send_unanswered(app, email, notice.subject(), &text)).await;
        }
        Err(MailError::Off) => {}
        Err(error) => tracing::error!(%error, "the mail was not sent"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mail_says_what_when_and_what_to_do() {
        let when = "2026-11-22T04:05:06Z".parse().unwrap();
        for notice in Notice::ALL {
            let text = notice.text(when, "Firefox on Linux", "https://jhe.example");
            assert!(text.contains("When: 22 Nov 2026, 04:05 UTC\nFrom: Firefox on Linux\n"), "{text}");
            assert!(text.contains("\n\nhttps://jhe.example/accounts/") && text.contains("somebody else, "), "{text}");
            assert!(!notice.subject().is_empty() && text.starts_with(notice.what()), "{text}");
        }
    }
}
