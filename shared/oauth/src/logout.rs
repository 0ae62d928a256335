//! The request to sign out that a client sends a browser with (OpenID Connect RP-Initiated Logout 1.0).

use form_urlencoded::Serializer;

use crate::error::OAuthError;
use crate::id_token::IdTokenHint;
use crate::params::Params;

const MAX_STATE: usize = 2048;

/// A request, as it was sent. Nothing in it is checked yet.
#[derive(Debug, Clone, Default)]
pub struct LogoutRequest {
    /// An `id_token` that was issued to the client. Verify it with [`crate::signing::PublicKey::verify_hint`].
    pub id_token_hint: Option<String>,
    /// The client.
    pub client_id: Option<String>,
    /// Where the client wants the browser back.
    pub post_logout_redirect_uri: Option<String>,
    /// What the client wants back with it.
    pub state: Option<String>,
}

impl LogoutRequest {
    /// Reads the parameters of section 2. None of them may be there twice.
    pub fn parse(params: &Params) -> Result<Self, OAuthError> {
        let get = |name| Ok::<_, OAuthError>(params.get(name)?.map(str::to_owned));
        let request = Self {
            id_token_hint: get("id_token_hint")?,
            client_id: get("client_id")?,
            post_logout_redirect_uri: get("post_logout_redirect_uri")?,
            state: get("state")?,
        };
        let is_malformed = |state: &String| state.len() > MAX_STATE || !crate::params::is_vschar(state);
        if request.state.as_ref().is_some_and(is_malformed) {
            return Err(OAuthError::invalid_request("The state is malformed."));
        }
        Ok(request)
    }

    /// The `client_id` that asks, if the request is clear about it: `hint` is what the hint says, once verified. A hint that
    /// does not verify, or was issued to another client than the one that is named, means nobody (section 2, `client_id`).
    #[must_use]
    pub fn client<'a>(&'a self, hint: Option<&'a IdTokenHint>) -> Option<&'a str> {
        match (&self.id_token_hint, hint, &self.client_id) {
            (None, _, Some(named)) => Some(named),
            (Some(_), Some(hint), None) => Some(&hint.client_id),
            (Some(_), Some(hint), Some(named)) if hint.client_id == *named => Some(named),
            _ => None,
        }
    }

    /// Where the browser goes after it signed out: only to a URI that the client registered for this, character by character
    /// (section 3.1), with the state.
    #[must_use]
    pub fn destination(&self, registered: &[String]) -> Option<String> {
        let uri = self.post_logout_redirect_uri.as_ref().filter(|uri| registered.contains(uri))?;
        let Some(state) = &self.state else { return Some(uri.clone()) };
        let state = Serializer::new(String::new()).append_pair("state", state).finish();
        let separator = if uri.contains('?') { '&' } else { '?' };
        Some(format!("{uri}{separator}{state}"))
    }

    /// The parameters, for the form that asks the person.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("id_token_hint", &self.id_token_hint),
            ("client_id", &self.client_id),
            ("post_logout_redirect_uri", &self.post_logout_redirect_uri),
            ("state", &self.state),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(form: &str) -> LogoutRequest {
        LogoutRequest::parse(&Params::from_form(form).unwrap()).unwrap()
    }

    #[test]
    fn the_client_is_the_one_that_hint_and_name_agree_on() {
        let hint = IdTokenHint { user: "1".to_owned(), client_id: "a".to_owned() };
        for (form, hint, client) in [
            ("client_id=a", None, Some("a")),
            ("id_token_hint=x", Some(&hint), Some("a")),
            ("id_token_hint=x&client_id=a", Some(&hint), Some("a")),
            ("id_token_hint=x&client_id=b", Some(&hint), None),
            ("id_token_hint=x&client_id=a", None, None),
            ("id_token_hint=x", None, None),
            ("state=x", None, None),
        ] {
            assert_eq!(request(form).client(hint), client, "{form}");
        }
    }

    #[test]
    fn the_way_back_is_exactly_a_registered_one_rp_initiated_logout_3_1() {
        let registered = ["https://a.example/out".to_owned(), "https://a.example/?x=1".to_owned()];
        for (form, destination) in [
            ("post_logout_redirect_uri=https://a.example/out", Some("https://a.example/out")),
            ("post_logout_redirect_uri=https://a.example/out&state=a%26b", Some("https://a.example/out?state=a%26b")),
            ("post_logout_redirect_uri=https://a.example/?x%3D1&state=s", Some("https://a.example/?x=1&state=s")),
            ("post_logout_redirect_uri=https://a.example/out/", None),
            ("post_logout_redirect_uri=https://a.example/OUT", None),
            ("post_logout_redirect_uri=https://a.example/out?x", None),
            ("post_logout_redirect_uri=https://evil.example/out", None),
            ("state=s", None),
        ] {
            assert_eq!(request(form).destination(&registered).as_deref(), destination, "{form}");
        }
        assert_eq!(request("post_logout_redirect_uri=https://a.example/out").destination(&[]), None);
    }

    #[test]
    fn a_parameter_is_there_once_and_a_state_is_text() {
        for bad in ["client_id=a&client_id=b", "state=a&state=b", "state=%0d%0a", "id_token_hint=a&id_token_hint=b"] {
            assert!(LogoutRequest::parse(&Params::from_form(bad).unwrap()).is_err(), "{bad}");
        }
    }
}
