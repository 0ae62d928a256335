//! What a client may be registered as (RFC 7591 2, RFC 9700 2 and 4.1).

use crate::client::{AuthMethod, GrantType};
use crate::keys::KeySetError;
use crate::redirect;
use crate::resource;
use crate::scope::Scope;

/// More redirect URIs than a client has.
const MAX_REDIRECT_URIS: usize = 20;
const MAX_URL: usize = 2048;

/// A client as somebody wants to have it. Texts are bounded already.
#[derive(Debug, Clone)]
pub struct Registration<'a> {
    /// The name that people are asked to trust.
    pub name: &'a str,
    /// Where responses may be sent.
    pub redirect_uris: &'a [String],
    /// Where a browser may be sent after it signed out (OpenID Connect RP-Initiated Logout 1.0, 3.1).
    pub post_logout_redirect_uris: &'a [String],
    /// What it may send to the token endpoint.
    pub grant_types: &'a [GrantType],
    /// The most it may ask for.
    pub scopes: &'a Scope,
    /// How it proves who it is.
    pub auth_method: AuthMethod,
    /// Whether its public keys are registered with it, and what is wrong with them.
    pub keys: Option<Result<(), KeySetError>>,
    /// Where its public keys are.
    pub jwks_uri: Option<&'a str>,
    /// The URI by which others name it, if it serves resources.
    pub resource_uri: Option<&'a str>,
    /// The link in invitations.
    pub invitation_url: Option<&'a str>,
    /// Whether an account is named that it acts as.
    pub acts_as: bool,
    /// Whether its apps answer to the deployment's fixed PKCE pair.
    pub static_pkce: bool,
}

/// A member that is not acceptable, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The member's name in `/api/v1`.
    pub field: &'static str,
    /// What is wrong. It repeats nothing of the value.
    pub text: String,
}

impl Registration<'_> {
    /// Everything that is wrong.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut say = |field, text: &str| problems.push(Problem { field, text: text.to_owned() });
        if !is_legible(self.name) {
            say("name", "Invisible characters and those that turn the direction of text are not allowed.");
        }
        self.check_grants(&mut say);
        self.check_redirects(&mut say);
        self.check_keys(&mut say);
        if self.scopes.is_empty() && !self.only_introspects() {
            say("scopes", "Name at least one scope.");
        }
        if self.resource_uri.is_some() && self.auth_method == AuthMethod::None {
            say("resourceUri", "A public client cannot introspect tokens.");
        }
        if self.resource_uri.is_some_and(|uri| !resource::is_resource(uri)) {
            say("resourceUri", "Enter an absolute URI without a fragment.");
        }
        if self.invitation_url.is_some_and(|url| !is_link(url) || !url.contains("CODE")) {
            say("invitationUrl", "Enter a URL, https or http on this device, with CODE where the code goes.");
        }
        if self.static_pkce && self.invitation_url.is_none() {
            say("staticPkce", "Goes with invitationUrl: it is for the links of invitations.");
        }
        problems
    }

    /// Whether it is a resource server that asks what tokens are, and never for one (RFC 7662 2.1).
    fn only_introspects(&self) -> bool {
        self.grant_types.is_empty() && self.resource_uri.is_some() && self.auth_method != AuthMethod::None
    }

    fn check_grants(&self, say: &mut impl FnMut(&'static str, &str)) {
        let has = |grant| self.grant_types.contains(&grant);
        if self.grant_types.is_empty() && !self.only_introspects() {
            say(
                "grantTypes",
                "Name at least one grant type. Only a server that introspects, with a resourceUri, needs none.",
            );
        }
        if has(GrantType::RefreshToken) && !has(GrantType::AuthorizationCode) {
            say("grantTypes", "A refresh token comes from a code: add authorization_code.");
        }
        // RFC 6749 4.4.
        if has(GrantType::ClientCredentials) && self.auth_method == AuthMethod::None {
            say("grantTypes", "client_credentials is for clients that prove who they are.");
        }
        if has(GrantType::TokenExchange) && self.auth_method == AuthMethod::None {
            say("grantTypes", "Tokens are exchanged by clients that prove who they are.");
        }
        if has(GrantType::ClientCredentials) != self.acts_as {
            say("actsAs", "Goes with client_credentials: the practitioner's account that the client acts as.");
        }
    }

    fn check_redirects(&self, say: &mut impl FnMut(&'static str, &str)) {
        if self.redirect_uris.len() > MAX_REDIRECT_URIS {
            say("redirectUris", "Too many.");
        }
        match (self.redirect_uris.is_empty(), self.grant_types.contains(&GrantType::AuthorizationCode)) {
            (true, true) => {
                say("redirectUris", "Name where codes are sent. Only an app with an invitationUrl need not have one.");
            }
            (false, false) => say("redirectUris", "They go with the grant type authorization_code."),
            _ => {}
        }
        if self.post_logout_redirect_uris.len() > MAX_REDIRECT_URIS {
            say("postLogoutRedirectUris", "Too many.");
        }
        let lists = [("redirectUris", self.redirect_uris), ("postLogoutRedirectUris", self.post_logout_redirect_uris)];
        for (field, uri) in lists.into_iter().flat_map(|(field, uris)| uris.iter().map(move |uri| (field, uri))) {
            match redirect::check(uri) {
                Err(error) => say(field, &error.to_string()),
                // RFC 9700 4.1.3: what matches is the whole text, so a pattern would match nothing but itself.
                Ok(()) if uri.contains('*') => say(field, "a redirect URI has no wildcard"),
                Ok(()) => {}
            }
        }
    }

    fn check_keys(&self, say: &mut impl FnMut(&'static str, &str)) {
        if let Some(Err(error)) = self.keys {
            say("jwks", &error.to_string());
        }
        if self.jwks_uri.is_some_and(|url| !is_fetchable(url)) {
            say("jwksUri", "Enter an https URL with a host name.");
        }
        let sources = usize::from(self.keys.is_some()) + usize::from(self.jwks_uri.is_some());
        let needed = usize::from(self.auth_method == AuthMethod::PrivateKeyJwt);
        if sources != needed {
            say("jwks", "private_key_jwt goes with either jwks or jwksUri; other methods with none.");
        }
    }
}

/// Whether people see a name as it is: without characters that show nothing, or that turn the direction of what follows
/// (Unicode Technical Report 36, 2.2 and 2.5). With them, two names look alike, or a name reads as another.
#[must_use]
pub fn is_legible(name: &str) -> bool {
    !name.chars().any(|character| {
        character.is_control()
            || matches!(character,
                // General category Cf, the separators of lines and paragraphs, and tags.
                '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
                | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
                | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
                // Letters and marks that show nothing.
                | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{2800}'
                | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}')
    })
}

/// A URL that a person's device can open.
fn is_link(url: &str) -> bool {
    redirect::check(url).is_ok() && (url.starts_with("https://") || url.starts_with("http://"))
}

/// Whether a URL may be fetched by this server at all: https, a name and no address, no user, no fragment. Where the name
/// leads is looked at when it is fetched.
#[must_use]
pub fn is_fetchable(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("https://") else { return false };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    // The last label of an address is a number, in any of the ways that resolvers read; that of a name is not.
    let is_name = host.split('.').all(is_label)
        && host.contains('.')
        && host.rsplit('.').next().is_some_and(|last| !last.starts_with(|c: char| c.is_ascii_digit()));
    url.len() <= MAX_URL
        && redirect::check(url).is_ok()
        && is_name
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

#[cfg(test)]
mod tests;
