//! The page on which a person allows a client, or does not.

use http::StatusCode;
use oauth::{
    Client, Scope,
    authorize::Authorization,
    scope::{EMAIL, FHIR_USER, LAUNCH_PATIENT, OFFLINE_ACCESS, OPENID, PROFILE},
    smart::{self, Level, SmartScope},
};
use runtime::{
    Failure, Interaction, Response,
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
    format!("{}\n{}", signed_in.token.expose(), authorization.query_after_login())
}

/// The page.
pub(crate) fn page(client: &Client, authorization: &Authorization, email: &str, token: &str) -> Response {
    let body = format!(
        "<p><strong>{name}</strong> asks to use JupyterHealth Exchange as <strong>{email}</strong>.</p>\
         <p>It will be able to:</p><ul>{items}</ul>\
         <p>You will be sent to <strong>{host}</strong>.</p>\
         <form method=\"post\" action=\"/o/authorize/?{query}\">\
         <input type=\"hidden\" name=\"{FORM_FIELD}\" value=\"{token}\">\
         <button name=\"decision\" value=\"allow\">Allow</button>\
         <button name=\"decision\" value=\"deny\" class=\"quiet\">Deny</button></form>",
        name = escape(&client.name),
        email = escape(email),
        items = items(&authorization.scope, client.whole_access),
        host = escape(destination(authorization.return_to.redirect_uri())),
        query = escape(&authorization.query_after_login()),
        token = escape(token),
    );
    html(StatusCode::OK, pages::page("Allow access?", &body))
}

/// What a scope means to a person. A client of whole access that names no SMART scope acts for the user in everything.
fn items(scope: &Scope, whole_access: bool) -> String {
    let everything = whole_access && !smart::is_named(scope);
    let meanings = scope.iter().map(|token| match token {
        OPENID => "know the number of your account".to_owned(),
        EMAIL => "see your e-mail address".to_owned(),
        PROFILE => "see your name".to_owned(),
        FHIR_USER => "know which patient or practitioner you are".to_owned(),
        LAUNCH_PATIENT => "know which patient you are".to_owned(),
        OFFLINE_ACCESS => "go on while you are not using it".to_owned(),
        other => SmartScope::parse(other).map_or_else(|| escape(other), |smart| records(&smart)),
    });
    let first = everything.then(|| "see and do what you can see and do there".to_owned());
    let all: Vec<String> = first.into_iter().chain(meanings).collect();
    format!("<li>{}</li>", all.join("</li><li>"))
}

/// What a SMART scope means to a person.
fn records(scope: &SmartScope<'_>) -> String {
    let verbs: Vec<&str> = scope
        .interactions()
        .map(|interaction| match interaction {
            Interaction::Create => "add",
            Interaction::Read => "read",
            Interaction::Update => "change",
            Interaction::Delete => "delete",
            Interaction::Search => "search",
        })
        .collect();
    let what = scope.resource().map_or_else(|| "records of every kind".to_owned(), |kind| format!("{kind} records"));
    let whose = match scope.level() {
        Level::Patient => "about you",
        Level::User | Level::System => "that you have access to",
    };
    format!("{} {what} {whose}", verbs.join(", "))
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

    #[test]
    fn a_scope_is_explained_and_never_markup() {
        let explained = items(&Scope::parse("email <b>").unwrap(), false);
        assert_eq!(explained, "<li>see your e-mail address</li><li>&lt;b&gt;</li>");
    }

    #[test]
    fn a_person_sees_whether_the_app_may_do_everything_or_what() {
        let everything = "see and do what you can see and do there";
        for (scope, whole_access, expected) in [
            ("openid", true, vec![everything, "know the number of your account"]),
            ("openid", false, vec!["know the number of your account"]),
            ("patient/Observation.rs", true, vec!["read, search Observation records about you"]),
            ("user/*.read", false, vec!["read, search records of every kind that you have access to"]),
        ] {
            let expected = format!("<li>{}</li>", expected.join("</li><li>"));
            assert_eq!(items(&Scope::parse(scope).unwrap(), whole_access), expected, "{scope} {whole_access}");
        }
    }
}
