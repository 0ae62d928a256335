//! The sign-in form.

use oauth::Secret;
use runtime::{
    browser::{FORM_FIELD, field},
    pages::{self, escape},
};

/// The name of the form, for its token.
pub(crate) const FORM: &str = "login";

/// The longest e-mail address that mail can be sent to (RFC 5321 section 4.5.3.1.3).
const MAX_EMAIL: usize = 254;

/// What a person typed.
pub(crate) struct Credentials {
    /// In lower case, as accounts are looked up and failures are counted.
    pub(crate) email: String,
    pub(crate) password: Secret,
}

impl Credentials {
    /// None when either is missing, or the name cannot be an account's.
    pub(crate) fn read(form: &[(String, String)]) -> Option<Self> {
        let email = field(form, "username")?.trim().to_lowercase();
        let password = field(form, "password").filter(|password| !password.is_empty())?;
        let is_possible = !email.is_empty() && email.len() <= MAX_EMAIL && !email.chars().any(char::is_control);
        is_possible.then(|| Self { email, password: Secret::presented(password) })
    }
}

/// The page. `refused` is the name that was typed with a wrong password; `organization` offers the account of one's
/// organization.
pub(crate) fn page(token: &str, next: &str, refused: Option<&str>, organization: bool) -> String {
    let alert = match refused {
        None => "",
        Some(_) => {
            "<p role=\"alert\" id=\"problem\">The e-mail address or the password is not right. Please try again.</p>"
        }
    };
    let described = if refused.is_some() { " aria-invalid=\"true\" aria-describedby=\"problem\"" } else { "" };
    let body = format!(
        "{alert}<form method=\"post\" action=\"/accounts/login/\">\
         <input type=\"hidden\" name=\"{FORM_FIELD}\" value=\"{token}\">\
         <input type=\"hidden\" name=\"next\" value=\"{next}\">\
         <label for=\"username\">E-mail address</label>\
         <input id=\"username\" name=\"username\" type=\"email\" autocomplete=\"username\" maxlength=\"{MAX_EMAIL}\" required value=\"{name}\"{described}>\
         <label for=\"password\">Password</label>\
         <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" required{described}>\
         <button>Sign in</button></form>{other}",
        token = escape(token),
        next = escape(next),
        name = escape(refused.unwrap_or_default()),
        other = if organization { by_organization(next) } else { String::new() },
    );
    pages::page("Sign in", &body)
}

/// The way to the organization's own sign-in page.
fn by_organization(next: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
    format!("<a class=\"button\" href=\"/saml2/login/?{}\">Sign in with your organization</a>", escape(&query))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Option<Credentials> {
        let form: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Credentials::read(&form)
    }

    #[test]
    fn the_spelling_of_a_name_does_not_matter() {
        for name in ["mary@example.com", "Mary@Example.COM", " mary@example.com "] {
            assert_eq!(read(&[("username", name), ("password", " p ")]).unwrap().email, "mary@example.com");
        }
    }

    #[test]
    fn a_password_is_taken_as_typed() {
        assert_eq!(read(&[("username", "a"), ("password", " P\t")]).unwrap().password.expose(), " P\t");
    }

    #[test]
    fn what_cannot_be_an_account_is_not_looked_up() {
        let long = "a".repeat(MAX_EMAIL + 1);
        for name in ["", " ", "a\0b", "a\nb", &long] {
            assert!(read(&[("username", name), ("password", "p")]).is_none(), "{name:?}");
        }
        assert!(read(&[("username", "a"), ("password", "")]).is_none());
        assert!(read(&[("username", "a")]).is_none());
        assert!(read(&[("username", "a"), ("username", "b"), ("password", "p")]).is_none());
    }

    #[test]
    fn nothing_that_was_typed_becomes_markup() {
        let page = page("t", "/?a=\"><script>", Some("\"><script>"), true);
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("role=\"alert\""));
        assert!(page.contains("/saml2/login/?next=%2F%3Fa%3D%22%3E%3Cscript%3E"), "{page}");
    }
}
