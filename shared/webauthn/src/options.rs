//! What the browser is asked (sections 5.4 and 5.5), as JSON with bytes in base64url.

use crate::{RelyingParty, key::ALGORITHMS};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// How long the browser lets a person take, in milliseconds.
const TIMEOUT: u32 = 180_000;

/// Whose credential is made.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// The id: random, so that an authenticator that somebody finds tells nothing.
    pub id: &'a [u8],
    /// The name that tells accounts apart.
    pub name: &'a str,
}

/// The options of a registration. `others` are the ids of the owner's credentials: no authenticator gets two.
#[must_use]
pub fn creation<'a>(
    party: &RelyingParty,
    site: &str,
    owner: Owner<'_>,
    challenge: &str,
    others: impl IntoIterator<Item = &'a [u8]>,
) -> Value {
    let parameters: Vec<Value> =
        ALGORITHMS.iter().map(|algorithm| json!({ "type": "public-key", "alg": algorithm })).collect();
    json!({
        "rp": { "id": party.id(), "name": site },
        "user": { "id": URL_SAFE_NO_PAD.encode(owner.id), "name": owner.name, "displayName": owner.name },
        "challenge": challenge,
        "pubKeyCredParams": parameters,
        "timeout": TIMEOUT,
        "excludeCredentials": descriptors(others),
        "authenticatorSelection": { "residentKey": "preferred", "userVerification": "preferred" },
        "attestation": "none",
    })
}

/// The options of a use. `allowed` are the ids that may be used; none means any that the authenticator finds itself.
#[must_use]
pub fn request<'a>(
    party: &RelyingParty,
    challenge: &str,
    verified: bool,
    allowed: impl IntoIterator<Item = &'a [u8]>,
) -> Value {
    json!({
        "rpId": party.id(),
        "challenge": challenge,
        "timeout": TIMEOUT,
        "allowCredentials": descriptors(allowed),
        "userVerification": if verified { "required" } else { "discouraged" },
    })
}

fn descriptors<'a>(ids: impl IntoIterator<Item = &'a [u8]>) -> Vec<Value> {
    ids.into_iter().map(|id| json!({ "type": "public-key", "id": URL_SAFE_NO_PAD.encode(id) })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_asks_for_no_attestation_and_names_what_is_taken() {
        let party = RelyingParty::of_site("https://jhe.example");
        let owner = Owner { id: &[255, 254], name: "mary@example.com" };
        let options = creation(&party, "A site", owner, "challenge", [[1_u8, 2].as_slice()]);
        assert_eq!(options["rp"], json!({ "id": "jhe.example", "name": "A site" }));
        assert_eq!(options["user"]["id"], "__4");
        assert_eq!(options["attestation"], "none");
        assert_eq!(options["excludeCredentials"], json!([{ "type": "public-key", "id": "AQI" }]));
        let algorithms: Vec<_> =
            options["pubKeyCredParams"].as_array().unwrap().iter().map(|one| &one["alg"]).collect();
        assert_eq!(algorithms, [&json!(-8), &json!(-7), &json!(-257)]);
    }

    #[test]
    fn a_sign_in_without_a_password_asks_who_it_is() {
        let party = RelyingParty::of_site("https://jhe.example");
        let alone = request(&party, "challenge", true, []);
        assert_eq!((&alone["userVerification"], &alone["allowCredentials"]), (&json!("required"), &json!([])));
        let second = request(&party, "challenge", false, [[7_u8].as_slice()]);
        assert_eq!(second["userVerification"], "discouraged");
        assert_eq!(second["allowCredentials"][0]["id"], "Bw");
    }
}
