//! The sign-in form.

use oauth::Secret;
use runtime::{
    account::{self, MAX_EMAIL},
    browser::{FORM_FIELD, field},
    pages::{self, Field},
};

/// What a person typed.
pub(crate) struct Credentials {
    /// In small letters, as accounts are looked up and failures are counted.
    pub(crate) email: String,
    pub(crate) password: Secret,
}

impl Credentials {
    /// None when either is missing, or the name cannot be an account's.
    pub(crate) fn read(form: &[(String, String)]) -> Option<Self> {
        let email = account::email(field(form, "username")?)?;
        let password = field(form, "password").filter(|password| !password.is_empty())?;
        Some(Self { email, password: Secret::presented(password) })
    }
}

/// What the page is made for.
#[derive(Clone, Copy, Default)]
pub(crate) struct Page<'a> {
    /// Where to go afterwards.
    pub(crate) next: &'a str,
    /// The name to begin with.
    pub(crate) name: &'a str,
    /// Whether the name was typed with a wrong password. It is never said which of the two is wrong.
    pub(crate) is_refused: bool,
    /// Whether somebody is to sign in anew.
    pub(crate) anew: bool,
    /// Whether the account of one's organization does too.
    pub(crate) organization: bool,
}

/// The page.
pub(crate) fn page(token: &str, page: &Page<'_>) -> String {
    let next = page.next;
    let fields = [
        Field {
            name: "username",
            label: "E-mail address",
            kind: "email",
            autocomplete: "username",
            value: page.name,
            longest: MAX_EMAIL,
            ..Field::default()
        },
        Field {
            name: "password",
            label: "Password",
            kind: "password",
            autocomplete: "current-password",
            problem: page.is_refused.then_some("The e-mail address or the password is not right."),
            ..Field::default()
        },
    ];
    let anew = if page.anew { "1" } else { "" };
    let hidden = [(FORM_FIELD, token), ("next", next), ("again", anew)];
    let intro =
        if page.anew { "<p>What comes next asks you to sign in again, to be sure that it is you.</p>" } else { "" };
    let body = format!(
        "{intro}{}{}{}<p class=\"links\"><a href=\"/accounts/reset/\">Forgot your password?</a>\
         <a href=\"/accounts/sign-up/\">Sign up with an invitation</a></p>",
        pages::form("/accounts/login/", &hidden, &fields, "Sign in"),
        pages::quiet_form("/accounts/passkey/", &hidden, "Sign in with a passkey"),
        if page.organization {
            pages::quiet_form("/saml2/login/", &hidden, "Sign in with your organization")
        } else {
            String::new()
        }
    );
    pages::page(if page.anew { "Sign in again" } else { "Sign in" }, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Option<Credentials> {
        let form: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Credentials::read(&form)
    }

    #[test]
    fn a_password_is_read_as_it_was_typed() {
        let credentials = read(&[("username", " Mary@example.com"), ("password", " p ")]).unwrap();
        assert_eq!((credentials.email.as_str(), credentials.password.expose()), ("mary@example.com", " p "));
    }

    #[test]
    fn what_cannot_be_an_account_is_not_looked_up() {
        for pairs in [
            &[("username", "a@example.com")][..],
            &[("password", "p")],
            &[("username", "a@example.com"), ("password", "")],
            &[("username", ""), ("password", "p")],
            &[("username", "a\0b@example.com"), ("password", "p")],
            &[("username", "a@example.com"), ("username", "b@example.com"), ("password", "p")],
        ] {
            assert!(read(pairs).is_none(), "{pairs:?}");
        }
    }

    #[test]
    fn nothing_that_was_typed_becomes_markup() {
        let typed = "\"><script>";
        let page = page("t\"", &Page { next: typed, name: typed, is_refused: true, anew: true, organization: true });
        assert!(!page.contains("<script>"), "{page}");
        assert_eq!(page.matches("value=\"&quot;&gt;&lt;script&gt;\"").count(), 4, "{page}");
    }
}
