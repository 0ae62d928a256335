//! A passkey in software, with the browser around it: Web Authentication Level 3 as the standard has it, apart from the
//! product's own.

use crate::{browser::Browser, reply::Reply, totp::hidden};
use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

const ENROL: &str = "/accounts/second-factor/passkey/enrol/";

/// The flag that somebody is there.
pub const PRESENT: u8 = 0x01;

/// The flag that the authenticator knows who.
pub const VERIFIED: u8 = 0x04;

/// A passkey.
pub struct Passkey {
    key: EcdsaKeyPair,
    id: Vec<u8>,
    /// Whose it is; known when it was made.
    pub owner: String,
    /// How often it was used.
    pub count: u32,
    /// What it says of the person.
    pub flags: u8,
    /// Where the browser is.
    pub origin: String,
}

impl Passkey {
    /// A new one, in a browser at an origin.
    #[must_use]
    pub fn new(origin: &str) -> Self {
        Self {
            key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key"),
            id: oauth::token::random_bytes::<16>().expect("random numbers").to_vec(),
            owner: String::new(),
            count: 0,
            flags: PRESENT | VERIFIED,
            origin: origin.to_owned(),
        }
    }

    /// What `navigator.credentials.create()` gives.
    pub fn create(&mut self, options: &Value) -> String {
        options["user"]["id"].as_str().expect("a user").clone_into(&mut self.owner);
        let length = u8::try_from(self.id.len()).expect("a short id");
        let point = self.key.public_key().as_ref();
        // {1: 2, 3: -7, -1: 1, -2: x, -3: y}
        let cose = [&[0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32], &point[1..33], &[0x22, 0x58, 32], &point[33..]];
        let attested = [&[0; 16], [0, length].as_slice(), &self.id, &cose.concat()].concat();
        let data = [self.data(&options["rp"]["id"], 0x40).as_slice(), &attested].concat();
        let size = u8::try_from(data.len()).expect("short data");
        let object = [b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".as_slice(), &[size], &data].concat();
        json!({
            "rawId": encoded(&self.id),
            "clientDataJSON": encoded(self.client_data("webauthn.create", options).as_bytes()),
            "attestationObject": encoded(&object),
        })
        .to_string()
    }

    /// What `navigator.credentials.get()` gives.
    pub fn get(&mut self, options: &Value) -> String {
        self.count += 1;
        let client_data = self.client_data("webauthn.get", options);
        let data = self.data(&options["rpId"], 0);
        let signed = [data.as_slice(), digest(&SHA256, client_data.as_bytes()).as_ref()].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed).expect("a signature");
        json!({
            "rawId": encoded(&self.id),
            "clientDataJSON": encoded(client_data.as_bytes()),
            "authenticatorData": encoded(&data),
            "signature": encoded(signature.as_ref()),
            "userHandle": self.owner,
        })
        .to_string()
    }

    /// The id, as options name it.
    #[must_use]
    pub fn id(&self) -> String {
        encoded(&self.id)
    }

    fn data(&self, relying_party: &Value, more: u8) -> Vec<u8> {
        let hash = digest(&SHA256, relying_party.as_str().expect("a relying party").as_bytes());
        [hash.as_ref(), &[self.flags | more], &self.count.to_be_bytes()].concat()
    }

    fn client_data(&self, ceremony: &str, options: &Value) -> String {
        json!({ "type": ceremony, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": false })
            .to_string()
    }
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The options on a page that asks the browser for a passkey.
#[must_use]
pub fn options(page: &Reply) -> Value {
    let (_, rest) = page
        .text
        .split_once("data-options=\"")
        .unwrap_or_else(|| panic!("{}: nothing is asked: {}", page.status, page.text));
    serde_json::from_str(&unescaped(rest.split('"').next().unwrap_or_default())).expect("options")
}

/// What an attribute of HTML says.
fn unescaped(text: &str) -> String {
    let parts = [("&quot;", "\""), ("&#39;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];
    parts.iter().fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

impl Browser<'_> {
    /// Presses the button of a page that leads to a passkey: the page that asks the browser for it.
    pub async fn ask_passkey(&self, page: &str, path: &str, next: &str) -> Reply {
        let token = hidden(&self.get(page).await, "csrfmiddlewaretoken");
        self.post(path, &[("csrfmiddlewaretoken", &token), ("next", next)]).await
    }

    /// Sends the answer of the browser on such a page.
    pub async fn answer_passkey(&self, page: &Reply, path: &str, answer: &str) -> Reply {
        let (token, next) = (hidden(page, "csrfmiddlewaretoken"), hidden(page, "next"));
        let mut form = vec![("csrfmiddlewaretoken", token.as_str()), ("next", &next), ("credential", answer)];
        let name = page.text.contains("name=\"name\"").then(|| unescaped(&hidden(page, "name")));
        form.extend(name.as_deref().map(|name| ("name", name)));
        self.post(path, &form).await
    }

    /// Signs in with a passkey alone.
    pub async fn sign_in_by(&self, passkey: &mut Passkey, next: &str) -> Reply {
        let page = self.ask_passkey("/accounts/login/", "/accounts/passkey/", next).await;
        let answer = passkey.get(&options(&page));
        self.answer_passkey(&page, "/accounts/passkey/", &answer).await
    }

    /// Adds a passkey, from the page that a sign-in leads to or from the account.
    pub async fn add_passkey(&self, passkey: &mut Passkey, name: &str) -> Reply {
        let page = self.fill(ENROL, &[("next", "/"), ("name", name)]).await;
        let answer = passkey.create(&options(&page));
        self.answer_passkey(&page, ENROL, &answer).await
    }
}
