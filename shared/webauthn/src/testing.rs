//! A browser and an authenticator in software, every part of which can be made to say something wrong.

use crate::{Expected, RelyingParty, client_data::sha256};
use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

pub(crate) const CHALLENGE: &str = "c2l4dGVlbiBieXRlcyBvZiBjaGFsbGVuZ2U";
pub(crate) const OWNER: &[u8] = &[7; 32];
pub(crate) const ID: &[u8] = &[9; 16];

/// Flags: somebody is there; and is known.
pub(crate) const UP: u8 = 0x01;
pub(crate) const UV: u8 = 0x04;
pub(crate) const BE: u8 = 0x08;
pub(crate) const BS: u8 = 0x10;

pub(crate) enum Key {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
}

impl Key {
    pub(crate) fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::generate().unwrap())
    }

    pub(crate) fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap())
    }

    pub(crate) fn rsa() -> Self {
        Self::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    /// The public key as an authenticator writes it.
    pub(crate) fn cose(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => map(&[
                (int(1), int(1)),
                (int(3), int(-8)),
                (int(-1), int(6)),
                (int(-2), bytes(key.public_key().as_ref())),
            ]),
            Self::P256(key) => {
                let point = key.public_key().as_ref();
                map(&[
                    (int(1), int(2)),
                    (int(3), int(-7)),
                    (int(-1), int(1)),
                    (int(-2), bytes(&point[1..33])),
                    (int(-3), bytes(&point[33..])),
                ])
            }
            Self::Rsa(key) => {
                // RFC 8017 appendix A.1.1, for 2,048 bits: each number behind its head.
                let der = key.public_key().as_ref();
                let (n, e) = (&der[9..265], &der[267..]);
                map(&[(int(1), int(3)), (int(3), int(-257)), (int(-1), bytes(n)), (int(-2), bytes(e))])
            }
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
            Self::P256(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }
}

/// A ceremony that is right, until something in it is changed.
pub(crate) struct Device {
    pub(crate) key: Key,
    pub(crate) cose: Vec<u8>,
    pub(crate) client_data: Value,
    pub(crate) relying_party: &'static str,
    pub(crate) flags: u8,
    pub(crate) count: u32,
    pub(crate) raw_id: Vec<u8>,
    pub(crate) owner: Option<&'static [u8]>,
    /// What follows the authenticator's data.
    pub(crate) rest: Vec<u8>,
    pub(crate) statement: Vec<u8>,
}

impl Device {
    pub(crate) fn new(key: Key) -> Self {
        Self {
            cose: key.cose(),
            key,
            client_data: json!({
                "type": "webauthn.create", "challenge": CHALLENGE, "origin": "https://jhe.example", "crossOrigin": false,
                "other_keys_can_be_added_here": "do not compare clientDataJSON against a template",
            }),
            relying_party: "jhe.example",
            flags: UP | UV,
            count: 5,
            raw_id: ID.to_vec(),
            owner: Some(OWNER),
            rest: Vec::new(),
            statement: map(&[]),
        }
    }

    /// The same device when its credential is used.
    pub(crate) fn in_use(key: Key) -> Self {
        let mut device = Self::new(key);
        device.client_data["type"] = json!("webauthn.get");
        device
    }

    fn data(&self, credential: &[u8]) -> Vec<u8> {
        let flags = self.flags | if credential.is_empty() { 0 } else { 0x40 };
        let hash = sha256(self.relying_party.as_bytes());
        [hash.as_slice(), &[flags], &self.count.to_be_bytes(), credential, &self.rest].concat()
    }

    /// What is attested of a new credential.
    pub(crate) fn credential(&self) -> Vec<u8> {
        let length = u16::try_from(ID.len()).unwrap().to_be_bytes();
        [&[0; 16], length.as_slice(), ID, &self.cose].concat()
    }

    pub(crate) fn attestation(&self) -> Vec<u8> {
        map(&[
            (text("fmt"), text("none")),
            (text("attStmt"), self.statement.clone()),
            (text("authData"), bytes(&self.data(&self.credential()))),
        ])
    }

    pub(crate) fn registration(&self) -> String {
        self.registration_with(&self.attestation())
    }

    pub(crate) fn registration_with(&self, attestation: &[u8]) -> String {
        json!({
            "rawId": encoded(&self.raw_id),
            "clientDataJSON": encoded(self.client_data.to_string().as_bytes()),
            "attestationObject": encoded(attestation),
        })
        .to_string()
    }

    pub(crate) fn assertion(&self) -> String {
        self.assertion_with(&self.data(&[]))
    }

    pub(crate) fn assertion_with(&self, data: &[u8]) -> String {
        let client_data = self.client_data.to_string();
        let signed = [data, &sha256(client_data.as_bytes())].concat();
        json!({
            "rawId": encoded(&self.raw_id),
            "clientDataJSON": encoded(client_data.as_bytes()),
            "authenticatorData": encoded(data),
            "signature": encoded(&self.key.sign(&signed)),
            "userHandle": self.owner.map(encoded),
        })
        .to_string()
    }

    /// The data of a use, to be changed.
    pub(crate) fn data_in_use(&self) -> Vec<u8> {
        self.data(&[])
    }
}

/// Calls `judge` with what is expected at `https://jhe.example`.
pub(crate) fn expecting<T>(verified: bool, judge: impl FnOnce(&Expected<'_>) -> T) -> T {
    let party = RelyingParty::of_site("https://jhe.example");
    judge(&Expected { party: &party, challenge: &sha256(CHALLENGE.as_bytes()), verified })
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn head(major: u8, number: usize) -> Vec<u8> {
    let [high, low] = u16::try_from(number).unwrap().to_be_bytes();
    match number {
        0..24 => vec![major << 5 | low],
        24..256 => vec![major << 5 | 0x18, low],
        _ => vec![major << 5 | 0x19, high, low],
    }
}

pub(crate) fn int(number: i16) -> Vec<u8> {
    let magnitude = if number < 0 { -1 - number } else { number };
    head(u8::from(number < 0), usize::try_from(magnitude).unwrap())
}

pub(crate) fn bytes(content: &[u8]) -> Vec<u8> {
    [head(2, content.len()), content.to_vec()].concat()
}

pub(crate) fn text(content: &str) -> Vec<u8> {
    [head(3, content.len()), content.as_bytes().to_vec()].concat()
}

pub(crate) fn map(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let entries_as_bytes = entries.iter().flat_map(|(key, value)| [key.as_slice(), value].concat());
    head(5, entries.len()).into_iter().chain(entries_as_bytes).collect()
}
