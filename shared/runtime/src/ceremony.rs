//! The page on which the browser asks for a passkey (Web Authentication Level 3). It is the only kind of page with a script:
//! a small file of this origin, which hands the browser the options and sends its answer with the form.

use crate::{
    Response, VERSION, html,
    pages::{self, escape, hidden_fields},
};
use http::{HeaderValue, StatusCode, header};
use jiff::SignedDuration;

/// Where the script is.
pub const SCRIPT: &str = "/accounts/passkey/script.js";

/// The field with the browser's answer.
pub const ANSWER: &str = "credential";

/// How long a challenge waits for its answer: the browser asks for three minutes, and some are slow.
pub const CHALLENGE: SignedDuration = SignedDuration::from_mins(5);

/// What the browser does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Makes a passkey: `navigator.credentials.create()`.
    Create,
    /// Uses one: `navigator.credentials.get()`.
    Get,
}

impl Call {
    const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Get => "get",
        }
    }
}

/// A page that asks the browser.
#[derive(Clone, Copy, Debug)]
pub struct CeremonyPage<'a> {
    /// The title.
    pub title: &'a str,
    /// Where the answer goes.
    pub path: &'a str,
    /// What the browser does.
    pub call: Call,
    /// With what, as JSON.
    pub options: &'a str,
    /// What is sent beside the answer.
    pub hidden: &'a [(&'a str, &'a str)],
    /// For who has no passkey at hand: the path and the name of another way.
    pub other: (&'a str, &'a str),
}

impl CeremonyPage<'_> {
    /// The page. Without scripts it says what to do instead.
    #[must_use]
    pub fn response(&self) -> Response {
        let body = format!(
            "<p id=\"passkey-state\" role=\"status\"></p>\
             <noscript><p class=\"alert\" role=\"alert\">Passkeys need JavaScript. Turn it on for this site, or take the other \
             way.</p></noscript>\
             <form id=\"passkey\" method=\"post\" action=\"{path}\" data-call=\"{call}\" data-options=\"{options}\">\
             {hidden}<input type=\"hidden\" name=\"{ANSWER}\"><button hidden>Try again</button></form>\
             <p class=\"links\"><a href=\"{to}\">{name}</a></p><script src=\"{SCRIPT}?v={VERSION}\" defer></script>",
            path = escape(self.path),
            call = self.call.name(),
            options = escape(self.options),
            hidden = hidden_fields(self.hidden),
            to = escape(self.other.0),
            name = escape(self.other.1),
        );
        let mut response = html(StatusCode::OK, pages::page(self.title, &body));
        let policy = HeaderValue::from_static(pages::POLICY_WITH_SCRIPT);
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_browser_is_given_is_no_markup() {
        let page = CeremonyPage {
            title: "T",
            path: "/p/",
            call: Call::Get,
            options: r#"{"a":"'><script>"}"#,
            hidden: &[("next", "\"><script>")],
            other: ("/x?a=1&b=\"", "Other"),
        };
        let response = page.response();
        let text = std::str::from_utf8(response.body()).unwrap();
        assert_eq!(text.matches("<script").count(), 1, "{text}");
        assert!(text.contains("data-options=\"{&quot;a&quot;:&quot;&#39;&gt;&lt;script&gt;&quot;}\""), "{text}");
        let policy = response.headers().get(header::CONTENT_SECURITY_POLICY).unwrap();
        assert!(policy.to_str().unwrap().contains("script-src 'self';"));
    }
}
