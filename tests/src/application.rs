//! Confidential clients: registered by the super admin, with a secret or with keys of their own.

use crate::{
    World,
    browser::{Browser, CHALLENGE, VERIFIER, location, with_query},
    reply::Reply,
};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// Where the codes of the applications here go.
pub const REDIRECT_URI: &str = "https://app.example/cb";

/// What a super admin sends to register an application for the code flow, with `more`.
#[must_use]
pub fn application(auth_method: &str, more: &Value) -> Value {
    let mut body = json!({
        "name": "Application", "redirectUris": [REDIRECT_URI], "grantTypes": ["authorization_code", "refresh_token"],
        "scopes": ["openid", "email"], "tokenEndpointAuthMethod": auth_method, "skipAuthorization": true });
    for (name, value) in more.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

/// What a super admin sends to register a backend service that acts as Mary, with `more`.
#[must_use]
pub fn service(auth_method: &str, more: &Value) -> Value {
    let own = json!({ "redirectUris": [], "grantTypes": ["client_credentials"], "actsAs": 10002 });
    let mut body = application(auth_method, &own);
    for (name, value) in more.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

/// A member of a registration that is text.
#[must_use]
pub fn member<'a>(client: &'a Value, name: &str) -> &'a str {
    client[name].as_str().unwrap_or_else(|| panic!("no {name}: {client}"))
}

/// A key pair on P-384.
pub struct Signer(EcdsaKeyPair);

impl Default for Signer {
    fn default() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a key"))
    }
}

impl Signer {
    /// The public key in a key set.
    #[must_use]
    pub fn jwks(&self) -> Value {
        let point = self.0.public_key().as_ref();
        let coordinate = |from: usize| URL_SAFE_NO_PAD.encode(&point[from..from + 48]);
        json!({ "keys": [{ "kty": "EC", "crv": "P-384", "kid": "k1", "use": "sig", "x": coordinate(1), "y": coordinate(49) }] })
    }

    /// Claims as a JWT by ES384.
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        let header = json!({ "alg": "ES384", "kid": "k1", "typ": "JWT" });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(claims));
        let signature = self.0.sign(&SystemRandom::new(), message.as_bytes()).expect("a signature");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

impl World {
    /// Registers a client as the super admin.
    pub async fn register(&self, body: &Value) -> Value {
        let (status, client) = self.post("admin", "/api/v1/clients", body).await;
        assert_eq!(status, StatusCode::CREATED, "{client}");
        client
    }

    /// A code of an application for a user who signs in.
    pub async fn code_of(&self, user: &str, client: &Value) -> String {
        let path = with_query(
            "/o/authorize/",
            &[
                ("response_type", "code"),
                ("client_id", member(client, "clientId")),
                ("redirect_uri", REDIRECT_URI),
                ("scope", "openid email"),
                ("code_challenge", CHALLENGE),
                ("code_challenge_method", "S256"),
            ],
        );
        let reply = Browser::signed_in(self, user).await.get(&path).await;
        let (_, mut parameters) = location(&reply);
        parameters.remove("code").unwrap_or_else(|| panic!("no code: {} {}", reply.status, reply.text))
    }

    /// A form sent to an endpoint of OAuth by a client with its secret in HTTP Basic.
    pub async fn as_client(&self, client: &Value, path: &str, form: &[(&str, &str)]) -> Reply {
        let request = self.anonymous(Method::POST, path).form(form);
        Reply::to(request.basic_auth(member(client, "clientId"), Some(member(client, "clientSecret")))).await
    }

    /// The tokens of an application with `client_secret_basic`, for a user who signs in.
    pub async fn tokens_of(&self, user: &str, client: &Value) -> Value {
        let code = self.code_of(user, client).await;
        let form = [
            ("grant_type", "authorization_code"),
            ("redirect_uri", REDIRECT_URI),
            ("code", &code),
            ("code_verifier", VERIFIER),
        ];
        let reply = self.as_client(client, "/o/token/", &form).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
        reply.json()
    }
}
