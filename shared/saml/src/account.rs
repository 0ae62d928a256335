//! Which account a sign-in is for.

use crate::{Refusal, SignIn};

/// The names under which identity providers tell an e-mail address: bare, of LDAP (RFC 4524 2.16), and of WS-Federation.
const EMAIL: [&str; 5] = [
    "email",
    "mail",
    "emailAddress",
    "urn:oid:0.9.2342.19200300.100.1.3",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
];
const GIVEN_NAME: [&str; 4] =
    ["givenName", "first_name", "urn:oid:2.5.4.42", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname"];
const FAMILY_NAME: [&str; 5] =
    ["sn", "surname", "last_name", "urn:oid:2.5.4.4", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname"];

/// The longest e-mail address that mail can be sent to (RFC 5321 section 4.5.3.1.3).
const MAX_EMAIL: usize = 254;

/// The longest name.
const MAX_NAME: usize = 150;

/// The domains whose addresses may sign in, `SSO_VALID_DOMAINS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domains(Vec<String>);

impl Domains {
    /// Reads a list with commas. None when it is empty or holds what is no domain: a part must not allow more than was
    /// meant.
    #[must_use]
    pub fn parse(list: &str) -> Option<Self> {
        let domains: Vec<String> = list.split(',').map(|part| part.trim().to_ascii_lowercase()).collect();
        domains.iter().all(|domain| is_domain(domain)).then_some(Self(domains))
    }
}

fn is_domain(text: &str) -> bool {
    !text.is_empty()
        && text
            .split('.')
            .all(|label| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
}

/// A person's names, for a new account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Given name.
    pub first: String,
    /// Family name.
    pub last: String,
}

impl SignIn {
    /// The e-mail address of the account, in lower case: the one that the attributes tell, else the name itself when it is
    /// of that kind. Several different ones name nobody.
    pub fn email(&self, domains: &Domains) -> Result<String, Refusal> {
        let mut told: Vec<String> = self.values(&EMAIL).map(str::to_ascii_lowercase).collect();
        if told.is_empty() && self.name_id.is_email() {
            told.push(self.name_id.value.to_ascii_lowercase());
        }
        told.sort_unstable();
        told.dedup();
        let [email] = told.as_slice() else { return Err(Refusal::Email) };
        let domain = domain_of(email).ok_or(Refusal::Email)?;
        // A subdomain is another domain.
        if domains.0.iter().any(|allowed| allowed == domain) { Ok(email.clone()) } else { Err(Refusal::Domain) }
    }

    /// The person's names, as far as they are told and may be shown.
    #[must_use]
    pub fn names(&self, may_be_shown: impl Fn(&str) -> bool) -> Names {
        let name = |known: &[&str]| {
            let value = self.values(known).next().filter(|value| may_be_shown(value));
            value.map(|value| value.chars().take(MAX_NAME).collect()).unwrap_or_default()
        };
        Names { first: name(&GIVEN_NAME), last: name(&FAMILY_NAME) }
    }

    fn values<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = &'a str> {
        self.attributes.iter().filter(|(name, _)| names.contains(&name.as_str())).map(|(_, value)| value.as_str())
    }
}

/// The domain of an address that is plainly written: no quotes, comments, spaces or lists, and one `@`.
fn domain_of(email: &str) -> Option<&str> {
    let (local, domain) = email.split_once('@')?;
    let is_plain = !local.is_empty()
        && email.len() <= MAX_EMAIL
        && local.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte));
    (is_plain && is_domain(domain)).then_some(domain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NameId;

    fn sign_in(attributes: &[(&str, &str)], name: &str, format: Option<&str>) -> SignIn {
        SignIn {
            assertion_id: "_a".to_owned(),
            lapses_at: jiff::Timestamp::UNIX_EPOCH,
            name_id: NameId { value: name.to_owned(), format: format.map(str::to_owned), ..NameId::default() },
            session_index: None,
            session_ends_at: None,
            authenticated_at: crate::testing::now(),
            attributes: attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        }
    }

    #[test]
    fn one_address_of_an_allowed_domain_names_the_account() {
        let domains = Domains::parse("example.com, hospital.example").unwrap();
        let email_format = Some(crate::names::EMAIL);
        for (attributes, name, format, expected) in [
            (&[("mail", "Ann@Example.COM")][..], "x", None, Ok("ann@example.com")),
            (&[("urn:oid:0.9.2342.19200300.100.1.3", "a@hospital.example")], "x", None, Ok("a@hospital.example")),
            (&[("mail", "a@example.com"), ("email", "A@example.com")], "x", None, Ok("a@example.com")),
            (&[], "a@example.com", email_format, Ok("a@example.com")),
            (&[], "a@example.com", None, Err(Refusal::Email)),
            (&[("mail", "a@example.com"), ("mail", "b@example.com")], "x", None, Err(Refusal::Email)),
            (&[("mail", "b@example.com")], "a@example.com", email_format, Ok("b@example.com")),
            (&[("other", "a@example.com")], "x", None, Err(Refusal::Email)),
            (&[("mail", "a@evil.example")], "x", None, Err(Refusal::Domain)),
            (&[("mail", "a@sub.example.com")], "x", None, Err(Refusal::Domain)),
            (&[("mail", "a@example.com.evil.example")], "x", None, Err(Refusal::Domain)),
            (&[("mail", "a@evil.example@example.com")], "x", None, Err(Refusal::Email)),
            (&[("mail", "\"a@evil.example\"@example.com")], "x", None, Err(Refusal::Email)),
            (&[("mail", "a@example.com,b@evil.example")], "x", None, Err(Refusal::Email)),
            (&[("mail", "a b@example.com")], "x", None, Err(Refusal::Email)),
            (&[("mail", "a\u{212a}@example.com")], "x", None, Err(Refusal::Email)),
            (&[("mail", "@example.com")], "x", None, Err(Refusal::Email)),
            (&[("mail", "")], "x", None, Err(Refusal::Email)),
        ] {
            let found = sign_in(attributes, name, format).email(&domains);
            assert_eq!(found.as_deref(), expected.as_ref().copied(), "{attributes:?}");
        }
    }

    #[test]
    fn a_list_of_domains_allows_nothing_that_it_does_not_name() {
        for bad in ["", " ", ",", "a.example,", "*.example", "a@b.example", "a..b", ".", "a b"] {
            assert_eq!(Domains::parse(bad), None, "{bad:?}");
        }
        assert_eq!(Domains::parse("A.example"), Domains::parse(" a.example "));
    }

    #[test]
    fn names_are_taken_as_far_as_they_are_told() {
        let told = sign_in(&[("givenName", "Ann"), ("sn", "Ü")], "x", None).names(|_| true);
        assert_eq!((told.first.as_str(), told.last.as_str()), ("Ann", "Ü"));
        let told = sign_in(&[("givenName", "Ann"), ("sn", "Ü")], "x", None).names(|name| name != "Ann");
        assert_eq!((told.first.as_str(), told.last.as_str()), ("", "Ü"));
    }
}
