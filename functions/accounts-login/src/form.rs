//! The sign-in form.

use oauth::Secret;
use runtime::{
    account::{self, MAX_EMAIL},
    browser::{self, FORM_FIELD, field},
    pages::{self, Field},
};

/// The name of the form, for its token.
pub(crate) const FORM: &str = "login";

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

/// The page. `refused` is the name that was typed with a wrong password. It is never said which of the two is wrong.
/// `organization` offers the account of one's organization.
pub(crate) fn page(token: &str, next: &str, refused: Option<&str>, organization: bool) -> String {
    let fields = [
        Field {
            name: "username",
            label: "E-mail address",
            kind: "email",
            autocomplete: "username",
            value: refused.unwrap_or_default(),
            longest: MAX_EMAIL,
            ..Field::default()
        },
        Field {
            name: "password",
            label: "Password",
            kind: "password",
            autocomplete: "current-password",
            problem: refused.map(|_| "The e-mail address or the password is not right."),
            ..Field::default()
        },
    ];
    let hidden = [(FORM_FIELD, token), ("next", next)];
    let body = format!(
        "{}{}<p class=\"links\"><a href=\"/accounts/reset/\">Forgot your password?</a>\
         <a href=\"/accounts/sign-up/\">Sign up with an invitation</a></p>",
        pages::form("/accounts/login/", &hidden, &fields, "Sign in"),
        if organization { by_organization(next) } else { String::new() }
    );
    pages::page("Sign in", &body)
}

/// The way to the organization's own sign-in page.
fn by_organization(next: &str) -> String {
    let address = browser::with_next("/saml2/login/", next);
    format!("<a class=\"button\" href=\"{}\">Sign in with your organization</a>", pages::escape(&address))
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
        let page = page("t\"", "/\"><script>", Some("\"><script>"), true);
        assert!(!page.contains("<script>"), "{page}");
        assert!(page.contains("/saml2/login/?next=%2F%22%3E%3Cscript%3E"), "{page}");
    }
}
