//! The page on which a person allows a client, or does not.

use http::StatusCode;
use oauth::{Client, GrantType, authorize::Authorization, words};
use runtime::{
    Failure, Response, Settings,
    browser::{FORM_FIELD, SignedIn, field},
    html,
    pages::{self, escape},
};

/// The name of the form, for its token.
pub(crate) const FORM: &str = "consent";

/// What the person chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Allow,
    Deny,
}

impl Decision {
    /// The choice in a form and the form's token. None: the form is not that of this page, but a request sent by POST.
    pub(crate) fn of(form: &[(String, String)]) -> Result<Option<(Self, Option<&str>)>, Failure> {
        let token = field(form, FORM_FIELD);
        match field(form, "decision") {
            None if form.iter().all(|(name, _)| name != "decision") => Ok(None),
            Some("allow") => Ok(Some((Self::Allow, token))),
            Some("deny") => Ok(Some((Self::Deny, token))),
            _ => Err(Failure::Invalid("The decision is not one of the form's.".to_owned())),
        }
    }
}

/// A form is good for one session and one request: what was shown is what is allowed.
pub(crate) fn binding(signed_in: &SignedIn, authorization: &Authorization) -> String {
    let opened_at = authorization.opened_at().map(|at| at.as_millisecond().to_string()).unwrap_or_default();
    format!("{}\n{opened_at}\n{}", signed_in.token.expose(), authorization.query_after_login())
}

/// The page. `query` is that of the way back to the request.
pub(crate) fn page(
    settings: &Settings,
    client: &Client,
    authorization: &Authorization,
    query: &str,
    email: &str,
    token: &str,
) -> Response {
    let mut items = words::of_scope(&authorization.scope, client.whole_access);
    items.extend(words::of_audience(&authorization.audience, &settings.site_url));
    let renews = client.may_use(GrantType::RefreshToken);
    let body = format!(
        "<p><strong>{name}</strong> asks to use JupyterHealth Exchange as <strong>{email}</strong>.</p>\
         <p>It will be able to:</p>{items}\
         <p>{duration}</p><p>You will be sent to <strong>{host}</strong>.</p>\
         <form method=\"post\" action=\"/o/authorize/?{query}\">\
         <input type=\"hidden\" name=\"{FORM_FIELD}\" value=\"{token}\">\
         <button name=\"decision\" value=\"allow\">Allow</button>\
         <button name=\"decision\" value=\"deny\" class=\"quiet\">Deny</button></form>",
        name = escape(&client.name),
        email = escape(email),
        items = pages::list(&items),
        duration = words::of_duration(&settings.lifetimes, &authorization.scope, renews),
        host = escape(destination(authorization.return_to.redirect_uri())),
        query = escape(query),
        token = escape(token),
    );
    html(StatusCode::OK, pages::in_session("Allow access?", &body))
}

/// The host of a redirect URI, or the scheme of an app's own.
fn destination(redirect_uri: &str) -> &str {
    match redirect_uri.split_once("://") {
        Some(("http" | "https", rest)) => rest.split(['/', '?']).next().unwrap_or(rest),
        _ => redirect_uri.split(':').next().unwrap_or(redirect_uri),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn only_a_choice_of_the_page_is_a_decision() {
        assert!(matches!(Decision::of(&form(&[])), Ok(None)));
        assert!(matches!(Decision::of(&form(&[(FORM_FIELD, "t")])), Ok(None)));
        let allow = form(&[("decision", "allow"), (FORM_FIELD, "t")]);
        assert!(matches!(Decision::of(&allow), Ok(Some((Decision::Allow, Some("t"))))));
        assert!(matches!(Decision::of(&form(&[("decision", "deny")])), Ok(Some((Decision::Deny, None)))));
        assert!(Decision::of(&form(&[("decision", "maybe")])).is_err());
        assert!(Decision::of(&form(&[("decision", "deny"), ("decision", "allow")])).is_err());
    }

    #[test]
    fn a_person_sees_where_the_answer_goes() {
        for (uri, host) in [
            ("https://app.example/cb?x=1", "app.example"),
            ("http://127.0.0.1:8000/cb", "127.0.0.1:8000"),
            ("https://app.example?x", "app.example"),
            ("org.example.app:/cb", "org.example.app"),
            ("org.example.app://cb", "org.example.app"),
        ] {
            assert_eq!(destination(uri), host, "{uri}");
        }
    }
}
