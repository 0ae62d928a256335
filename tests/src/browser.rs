//! A person's browser, and the app that sends the person here: what the OAuth tests are made of.

use crate::{World, answer, reply::Reply};
use reqwest::{Method, StatusCode, header};
use serde_json::Value;
use std::{cell::RefCell, collections::BTreeMap};

/// The verifier of RFC 7636 appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// Its challenge by the method `S256`.
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// The public client of the demo world.
pub const CLIENT: &str = standalone::demo::PUBLIC_CLIENT;

/// A browser with its cookies. It follows no redirects.
pub struct Browser<'a> {
    world: &'a World,
    cookies: RefCell<BTreeMap<String, String>>,
}

impl<'a> Browser<'a> {
    /// A browser that was never here.
    #[must_use]
    pub fn new(world: &'a World) -> Self {
        Self { world, cookies: RefCell::default() }
    }

    /// A browser in which a user of the demo world has signed in.
    pub async fn signed_in(world: &'a World, user: &str) -> Self {
        let browser = Self::new(world);
        let reply = browser.sign_in(&email(user), standalone::demo::PASSWORD, "/").await;
        assert_eq!(reply.status, StatusCode::FOUND, "{}", reply.text);
        browser
    }

    /// Loads a page.
    pub async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, None).await
    }

    /// Sends a form.
    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Reply {
        self.send(Method::POST, path, Some(form)).await
    }

    /// Loads the sign-in page and sends its form.
    pub async fn sign_in(&self, email: &str, password: &str, next: &str) -> Reply {
        let page = self.get("/accounts/login/").await;
        let token = form_token(&page);
        let form =
            [("csrfmiddlewaretoken", token.as_str()), ("next", next), ("username", email), ("password", password)];
        self.post("/accounts/login/", &form).await
    }

    /// A cookie's value.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.borrow().get(name).cloned()
    }

    /// Puts a cookie, as another site could not.
    pub fn plant(&self, name: &str, value: &str) {
        self.cookies.borrow_mut().insert(name.to_owned(), value.to_owned());
    }

    async fn send(&self, method: Method, path: &str, form: Option<&[(&str, &str)]>) -> Reply {
        let cookies: Vec<String> =
            self.cookies.borrow().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = self.world.anonymous(method, path);
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        if let Some(form) = form {
            request = request.form(form);
        }
        let reply = Reply::to(request).await;
        for value in set_cookies(&reply) {
            let (name, rest) = value.split_once('=').expect("a cookie");
            let value = rest.split(';').next().unwrap_or_default();
            if value.is_empty() {
                self.cookies.borrow_mut().remove(name);
            } else {
                self.plant(name, value);
            }
        }
        reply
    }
}

/// The cookies that an answer sets.
#[must_use]
pub fn set_cookies(reply: &Reply) -> Vec<String> {
    let values = reply.headers.get_all(header::SET_COOKIE).iter();
    values.map(|value| value.to_str().expect("a cookie of text").to_owned()).collect()
}

/// The token in the form of a page.
#[must_use]
pub fn form_token(page: &Reply) -> String {
    let (_, rest) = page
        .text
        .split_once("name=\"csrfmiddlewaretoken\" value=\"")
        .unwrap_or_else(|| panic!("{}: no form: {}", page.status, page.text));
    rest.split('"').next().unwrap_or_default().to_owned()
}

/// The e-mail address of a user of the demo world.
#[must_use]
pub fn email(user: &str) -> String {
    format!("{user}@example.com")
}

/// Where a location leads, and the decoded parameters of its query.
#[must_use]
pub fn location(reply: &Reply) -> (String, BTreeMap<String, String>) {
    let location = reply.header("location");
    let (to, query) = location.split_once('?').unwrap_or((location, ""));
    let url = reqwest::Url::parse(&format!("http://localhost/?{query}")).expect("a query");
    (to.to_owned(), url.query_pairs().into_owned().collect())
}

/// A path with parameters, encoded.
#[must_use]
pub fn with_query(path: &str, parameters: &[(&str, &str)]) -> String {
    let url = reqwest::Url::parse_with_params(&format!("http://localhost{path}"), parameters).expect("a URL");
    format!("{path}?{}", url.query().unwrap_or_default())
}

impl World {
    /// Where the codes of the public client go.
    pub async fn redirect_uri(&self) -> String {
        let row = self.sql(&format!("SELECT redirect_uris[1] FROM oauth_client WHERE client_id = '{CLIENT}'")).await;
        row.first().expect("the client").get(0)
    }

    /// An authorization request of the public client that is right in every way.
    pub async fn authorize_path(&self) -> String {
        let redirect_uri = self.redirect_uri().await;
        with_query(
            "/o/authorize/",
            &[
                ("response_type", "code"),
                ("client_id", CLIENT),
                ("redirect_uri", &redirect_uri),
                ("scope", "openid email offline_access"),
                ("state", "a state with & and ="),
                ("nonce", "n-0S6_WzA2Mj"),
                ("code_challenge", CHALLENGE),
                ("code_challenge_method", "S256"),
            ],
        )
    }

    /// A code for a user who signs in.
    pub async fn code(&self, user: &str) -> String {
        let browser = Browser::signed_in(self, user).await;
        let reply = browser.get(&self.authorize_path().await).await;
        let (_, mut parameters) = location(&reply);
        parameters.remove("code").unwrap_or_else(|| panic!("no code: {} {}", reply.status, reply.header("location")))
    }

    /// An exchange at the token endpoint.
    pub async fn token_request(&self, form: &[(&str, &str)]) -> (StatusCode, Value) {
        answer(self.anonymous(Method::POST, "/o/token/").form(form)).await
    }

    /// The exchange of a code by the public client, with a verifier.
    pub async fn exchange(&self, code: &str, verifier: &str) -> (StatusCode, Value) {
        let redirect_uri = self.redirect_uri().await;
        self.token_request(&[
            ("grant_type", "authorization_code"),
            ("client_id", CLIENT),
            ("redirect_uri", &redirect_uri),
            ("code", code),
            ("code_verifier", verifier),
        ])
        .await
    }

    /// The exchange of a refresh token by the public client.
    pub async fn refresh(&self, token: &str) -> (StatusCode, Value) {
        self.token_request(&[("grant_type", "refresh_token"), ("client_id", CLIENT), ("refresh_token", token)]).await
    }

    /// The tokens of a user who signs in.
    pub async fn tokens(&self, user: &str) -> Value {
        let (status, tokens) = self.exchange(&self.code(user).await, VERIFIER).await;
        assert_eq!(status, StatusCode::OK, "{tokens}");
        tokens
    }

    /// An access token that a user gave a client (its row's id), of this scope.
    pub async fn token_of(&self, user: &str, client: i32, scope: &str) -> String {
        let token = oauth::Secret::generate().expect("a token").expose().to_owned();
        self.sql(&format!(
            "WITH granted AS (
               INSERT INTO oauth_grant (user_id, client_id, scope, auth_time, methods)
               SELECT id, {client}, '{scope}', clock_timestamp(), '{{pwd,otp,mfa}}' FROM app_user WHERE email = '{}' RETURNING id)
             INSERT INTO access_token (token_hash, grant_id, scope, expires_at)
             SELECT sha256('{token}'), id, '{scope}', clock_timestamp() + interval '5 minutes' FROM granted",
            email(user)
        ))
        .await;
        token
    }

    /// Whether it was shown that a user receives mail at the own address.
    pub async fn is_verified(&self, user: &str) -> bool {
        let address = email(user);
        self.count(&format!("SELECT count(email_verified_at) FROM app_user WHERE email = '{address}'")).await == 1
    }

    /// Whether an access token still opens the door.
    pub async fn accepts(&self, token: &str) -> bool {
        let request = self.anonymous(Method::GET, "/api/v1/users/profile").bearer_auth(token);
        match answer(request).await {
            (StatusCode::OK, _) => true,
            (StatusCode::UNAUTHORIZED, body) => {
                assert_eq!(body["detail"], "Authentication credentials were not provided.");
                false
            }
            other => panic!("{other:?}"),
        }
    }

    /// The tables of the database that hold a text anywhere, as it is or as bytes.
    pub async fn tables_with(&self, text: &str) -> Vec<String> {
        assert!(text.len() >= 8 && !text.contains('\''), "a text that is looked for");
        let tables = self.sql("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").await;
        let mut found = Vec::new();
        for row in tables {
            let table: String = row.get(0);
            let statement = format!(
                "SELECT count(*) FROM \"{table}\" r
                  WHERE position('{text}' IN r::text) > 0 OR position(encode('{text}'::bytea, 'hex') IN r::text) > 0"
            );
            if self.count(&statement).await > 0 {
                found.push(table);
            }
        }
        found
    }
}
