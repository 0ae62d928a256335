//! The body of a registration: members that are there replace what was.

use api::{Completeness, Kind, Shape, optional, required};
use oauth::{
    AuthMethod, GrantType, KeySet, Scope,
    keys::KeySetError,
    registration::{Problem, Registration},
};
use runtime::{Failure, rest::Fields};
use serde_json::Value;
use std::collections::BTreeMap;
use store::{ClientRecord, RegisteredClient};

/// The member that names a client.
pub(crate) const CLIENT_ID: &str = "clientId";

/// The body. What is not there is as for a public client that asks its users and gets codes, or as it was.
pub(crate) const CLIENT: Shape = Shape {
    name: "ClientRegistration",
    fields: &[
        required("name", Kind::Text(MAX_NAME)),
        optional(CLIENT_ID, Kind::Text(MAX_NAME))
            .about("The `client_id`: letters, digits and `-._~`. Made when it is not there. It is never changed."),
        optional("redirectUris", TEXTS).about(
            "https, a loopback address, or an app's own scheme. Not there, for an app that patients are invited to: this \
             server's own.",
        ),
        optional("grantTypes", TEXTS).about("Not there: `authorization_code` and `refresh_token`."),
        optional("scopes", TEXTS)
            .about("The most it may ask for. Not there, with a code: `openid email profile offline_access`."),
        optional("tokenEndpointAuthMethod", Kind::Text(MAX_NAME)).about("RFC 7591 section 2."),
        optional("jwks", Kind::OrNull(&Kind::Document)),
        optional("jwksUri", Kind::OrNull(&Kind::AnyText)),
        optional("skipAuthorization", Kind::OrNull(&Kind::Boolean)),
        optional("resourceUri", Kind::OrNull(&Kind::AnyText)).about("What it is as a resource server (RFC 8707)."),
        optional("wholeAccess", Kind::OrNull(&Kind::Boolean)),
        optional("requirePushedAuthorizationRequests", Kind::OrNull(&Kind::Boolean)).about("RFC 9126 section 6."),
        optional("emailCode", Kind::OrNull(&Kind::Boolean)).about("Its users type a code that is sent to them by e-mail."),
        optional("staticPkce", Kind::OrNull(&Kind::Boolean)).about(
            "Its apps answer to the deployment's fixed PKCE pair. Weaker: whoever gets an invitation's link has what it takes.",
        ),
        optional("postLogoutRedirectUris", TEXTS),
        optional("invitationUrl", Kind::OrNull(&Kind::AnyText)).about("With `CODE` where the code goes."),
        optional("actsAs", Kind::OrNull(&Kind::Integer)).about("The account that it acts as by `client_credentials`."),
        optional("rotateSecret", Kind::OrNull(&Kind::Boolean)).about("Make a new secret; the old one ends."),
    ],
};
const TEXTS: Kind = Kind::OrNull(&Kind::List(&Kind::AnyText, MAX_ITEMS));
const MAX_NAME: usize = 100;
const MAX_URL: usize = 2048;
const MAX_ITEMS: usize = 64;

/// What consoles that name no grant type and no scope expect an app to have.
const USUAL_GRANTS: [GrantType; 2] = [GrantType::AuthorizationCode, GrantType::RefreshToken];
const USUAL_SCOPES: [&str; 4] = ["openid", "email", "profile", "offline_access"];

/// A client as it is to be.
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub(crate) struct Wanted {
    name: String,
    redirect_uris: Vec<String>,
    grant_types: Vec<GrantType>,
    grant_names: Vec<&'static str>,
    scopes: Vec<String>,
    auth_method: AuthMethod,
    jwks: Option<Value>,
    jwks_uri: Option<String>,
    skip_authorization: bool,
    resource_uri: Option<String>,
    whole_access: bool,
    requires_pushed_requests: bool,
    email_code: bool,
    static_pkce: bool,
    post_logout_redirect_uris: Vec<String>,
    invitation_url: Option<String>,
    acts_as: Option<i32>,
}

impl Default for Wanted {
    /// A public client that asks its users and gets codes.
    fn default() -> Self {
        Self {
            name: String::new(),
            redirect_uris: Vec::new(),
            grant_types: USUAL_GRANTS.to_vec(),
            grant_names: USUAL_GRANTS.map(GrantType::as_str).to_vec(),
            scopes: Vec::new(),
            auth_method: AuthMethod::None,
            jwks: None,
            jwks_uri: None,
            skip_authorization: false,
            resource_uri: None,
            whole_access: false,
            requires_pushed_requests: false,
            email_code: false,
            static_pkce: false,
            post_logout_redirect_uris: Vec::new(),
            invitation_url: None,
            acts_as: None,
        }
    }
}

impl From<RegisteredClient> for Wanted {
    fn from(known: RegisteredClient) -> Self {
        let grant_types: Vec<GrantType> = known.grant_types.iter().filter_map(|name| GrantType::parse(name)).collect();
        Self {
            name: known.summary.name,
            redirect_uris: known.redirect_uris,
            grant_names: grant_types.iter().map(|grant| grant.as_str()).collect(),
            grant_types,
            scopes: known.scopes,
            auth_method: AuthMethod::parse(&known.token_endpoint_auth_method).unwrap_or(AuthMethod::None),
            jwks: known.jwks,
            jwks_uri: known.jwks_uri,
            skip_authorization: known.skip_authorization,
            resource_uri: known.resource_uri,
            whole_access: known.whole_access,
            requires_pushed_requests: known.require_pushed_authorization_requests,
            email_code: known.email_code,
            static_pkce: known.static_pkce,
            post_logout_redirect_uris: known.post_logout_redirect_uris,
            invitation_url: known.summary.invitation_url,
            acts_as: known.acts_as,
        }
    }
}

/// Whether clients that prove themselves by this method have a secret of ours.
pub(crate) fn method_has_secret(name: &str) -> bool {
    AuthMethod::parse(name).is_some_and(AuthMethod::has_secret)
}

/// The identifier that a client is to have, if the body names one: what is not reserved in a URI (RFC 3986 section 2.3), so
/// that it is written alike everywhere.
pub(crate) fn client_id(fields: &Fields) -> Result<Option<String>, Failure> {
    let Some(id) = fields.optional_text(CLIENT_ID, MAX_NAME)? else { return Ok(None) };
    if id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)) {
        Ok(Some(id))
    } else {
        Err(Failure::field(CLIENT_ID, "Use letters, digits and the signs -._~ alone."))
    }
}

impl Wanted {
    /// A client as a body registers it. An app that patients are invited to gets its codes as answers to invitations, so that
    /// none is ever sent to its redirect URI: where none is named it is a place of this server's own, where nothing is.
    pub(crate) fn new(fields: &Fields, site_url: &str) -> Result<Self, Failure> {
        fields.check(&CLIENT, Completeness::Whole)?;
        let mut wanted = Self::default().changed_by(fields)?;
        let gets_codes = wanted.grant_types.contains(&GrantType::AuthorizationCode);
        if gets_codes && !fields.has("scopes") {
            wanted.scopes = USUAL_SCOPES.map(str::to_owned).to_vec();
        }
        if gets_codes && wanted.invitation_url.is_some() && !fields.has("redirectUris") {
            wanted.redirect_uris = vec![format!("{site_url}/auth/callback")];
        }
        wanted.check()
    }

    /// The same, with what the body says. All that is wrong is told at once.
    pub(crate) fn with(self, fields: &Fields) -> Result<Self, Failure> {
        fields.check(&CLIENT, Completeness::Part)?;
        self.changed_by(fields)?.check()
    }

    fn changed_by(mut self, fields: &Fields) -> Result<Self, Failure> {
        if fields.has("name") || self.name.is_empty() {
            self.name = fields.text("name", MAX_NAME)?;
        }
        if fields.has("redirectUris") {
            self.redirect_uris = texts(fields, "redirectUris", MAX_URL)?;
        }
        if fields.has("grantTypes") {
            self.grant_types = texts(fields, "grantTypes", MAX_NAME)?
                .iter()
                .map(|name| {
                    GrantType::parse(name).ok_or_else(|| Failure::field("grantTypes", "A grant type is not known."))
                })
                .collect::<Result<_, _>>()?;
            self.grant_names = self.grant_types.iter().map(|grant| grant.as_str()).collect();
        }
        if fields.has("scopes") {
            self.scopes = texts(fields, "scopes", MAX_NAME)?;
            // RFC 6749 section 3.3: a blank is what stands between two.
            if self.scopes.iter().any(|scope| scope.contains(' ')) {
                return Err(Failure::field("scopes", "Name each scope by itself: a scope has no blanks."));
            }
        }
        if fields.has("tokenEndpointAuthMethod") {
            let name = fields.text("tokenEndpointAuthMethod", MAX_NAME)?;
            self.auth_method = AuthMethod::parse(&name)
                .ok_or_else(|| Failure::field("tokenEndpointAuthMethod", "This method is not known."))?;
        }
        if fields.has("jwks") {
            self.jwks = fields.value("jwks").cloned();
        }
        if fields.has("jwksUri") {
            self.jwks_uri = fields.optional_text("jwksUri", MAX_URL)?;
        }
        if fields.has("invitationUrl") {
            self.invitation_url = fields.optional_text("invitationUrl", MAX_URL)?;
        }
        if fields.has("actsAs") {
            self.acts_as = fields.value("actsAs").map(|_| fields.id("actsAs")).transpose()?;
        }
        self.skip_authorization = fields.flag("skipAuthorization")?.unwrap_or(self.skip_authorization);
        if fields.has("postLogoutRedirectUris") {
            self.post_logout_redirect_uris = texts(fields, "postLogoutRedirectUris", MAX_URL)?;
        }
        self.requires_pushed_requests =
            fields.flag("requirePushedAuthorizationRequests")?.unwrap_or(self.requires_pushed_requests);
        self.whole_access = fields.flag("wholeAccess")?.unwrap_or(self.whole_access);
        self.email_code = fields.flag("emailCode")?.unwrap_or(self.email_code);
        self.static_pkce = fields.flag("staticPkce")?.unwrap_or(self.static_pkce);
        if fields.has("resourceUri") {
            self.resource_uri = fields.optional_text("resourceUri", MAX_URL)?;
        }
        Ok(self)
    }

    fn check(self) -> Result<Self, Failure> {
        let scopes = Scope::of(&self.scopes).map_err(|_| Failure::field("scopes", "A scope is malformed."))?;
        let keys: Option<Result<(), KeySetError>> = self.jwks.as_ref().map(|keys| KeySet::from_value(keys).map(|_| ()));
        let registration = Registration {
            name: &self.name,
            redirect_uris: &self.redirect_uris,
            post_logout_redirect_uris: &self.post_logout_redirect_uris,
            grant_types: &self.grant_types,
            scopes: &scopes,
            auth_method: self.auth_method,
            keys,
            jwks_uri: self.jwks_uri.as_deref(),
            resource_uri: self.resource_uri.as_deref(),
            invitation_url: self.invitation_url.as_deref(),
            acts_as: self.acts_as.is_some(),
            static_pkce: self.static_pkce,
        };
        let problems = registration.problems();
        if problems.is_empty() { Ok(self) } else { Err(failure(problems)) }
    }

    /// Whether its apps are to answer to the deployment's fixed PKCE pair.
    pub(crate) const fn has_static_pkce(&self) -> bool {
        self.static_pkce
    }

    /// Whether the client proves itself by a secret that we make.
    pub(crate) const fn has_secret(&self) -> bool {
        self.auth_method.has_secret()
    }

    /// What is stored.
    pub(crate) fn record(&self) -> ClientRecord<'_> {
        ClientRecord {
            name: &self.name,
            redirect_uris: &self.redirect_uris,
            grant_types: &self.grant_names,
            scopes: &self.scopes,
            auth_method: self.auth_method.as_str(),
            jwks: self.jwks.as_ref(),
            jwks_uri: self.jwks_uri.as_deref(),
            skip_authorization: self.skip_authorization,
            resource_uri: self.resource_uri.as_deref(),
            whole_access: self.whole_access,
            requires_pushed_requests: self.requires_pushed_requests,
            email_code: self.email_code,
            static_pkce: self.static_pkce,
            post_logout_redirect_uris: &self.post_logout_redirect_uris,
            invitation_url: self.invitation_url.as_deref(),
            acts_as: self.acts_as,
        }
    }
}

fn failure(problems: Vec<Problem>) -> Failure {
    let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for problem in problems {
        fields.entry(problem.field.to_owned()).or_default().push(problem.text);
    }
    Failure::Fields(fields)
}

/// A list of different texts, none of them empty or with control characters.
fn texts(fields: &Fields, name: &str, limit: usize) -> Result<Vec<String>, Failure> {
    let mut texts: Vec<String> = Vec::new();
    for item in fields.optional_array(name, MAX_ITEMS)?.unwrap_or_default() {
        let text = item
            .as_str()
            .filter(|text| !text.is_empty() && text.len() <= limit && !text.chars().any(char::is_control))
            .ok_or_else(|| Failure::field(name, "Not a valid string."))?;
        if !texts.iter().any(|known| known == text) {
            texts.push(text.to_owned());
        }
    }
    Ok(texts)
}
