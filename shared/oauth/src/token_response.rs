//! The answer of the token endpoint (RFC 6749 5.1, OpenID Connect Core 3.1.3.3).

use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::scope::Scope;
use crate::token::Secret;

/// A successful answer. Serialize it only into the body of the response, with `Cache-Control: no-store`.
#[derive(Debug)]
pub struct TokenResponse {
    /// The access token.
    pub access_token: Secret,
    /// Whether the access token is bound to a key (RFC 9449 5).
    pub is_bound: bool,
    /// Seconds the access token lives.
    pub expires_in: i64,
    /// What was granted, which may be less than was asked for.
    pub scope: Scope,
    /// The refresh token, if the client may refresh.
    pub refresh_token: Option<Secret>,
    /// The patient in context, if the client asked for it and the user is a patient (SMART App Launch 2.2, "Launch context
    /// arrives with your `access_token`").
    pub patient: Option<i32>,
    /// The type of the token, where it is said (RFC 8693 2.2.1).
    pub issued_token_type: Option<&'static str>,
    /// The signed `id_token`, if `openid` was granted.
    pub id_token: Option<Secret>,
}

impl Serialize for TokenResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let optional = [
            self.refresh_token.is_some(),
            self.id_token.is_some(),
            self.patient.is_some(),
            self.issued_token_type.is_some(),
        ];
        let fields = 4 + optional.into_iter().filter(|is_there| *is_there).count();
        let mut body = serializer.serialize_struct("TokenResponse", fields)?;
        body.serialize_field("access_token", self.access_token.expose())?;
        body.serialize_field("expires_in", &self.expires_in)?;
        body.serialize_field("token_type", if self.is_bound { "DPoP" } else { "Bearer" })?;
        body.serialize_field("scope", &self.scope.to_string())?;
        if let Some(token) = &self.refresh_token {
            body.serialize_field("refresh_token", token.expose())?;
        }
        if let Some(token) = &self.id_token {
            body.serialize_field("id_token", token.expose())?;
        }
        if let Some(patient) = self.patient {
            body.serialize_field("patient", &patient.to_string())?;
        }
        if let Some(kind) = self.issued_token_type {
            body.serialize_field("issued_token_type", kind)?;
        }
        body.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_has_the_keys_of_rfc_6749_5_1() {
        let mut response = TokenResponse {
            access_token: Secret::presented("a"),
            is_bound: false,
            expires_in: 900,
            scope: Scope::parse("openid email").unwrap(),
            refresh_token: Some(Secret::presented("r")),
            id_token: Some(Secret::presented("i")),
            patient: None,
            issued_token_type: None,
        };
        assert_eq!(
            serde_json::to_string(&response).unwrap(),
            r#"{"access_token":"a","expires_in":900,"token_type":"Bearer","scope":"openid email","refresh_token":"r","id_token":"i"}"#
        );
        response.patient = Some(40001);
        assert!(serde_json::to_string(&response).unwrap().ends_with(r#","id_token":"i","patient":"40001"}"#));
        response.patient = None;
        response.is_bound = true;
        assert!(serde_json::to_string(&response).unwrap().contains(r#""token_type":"DPoP""#));
        response.is_bound = false;
        response.refresh_token = None;
        response.id_token = None;
        assert_eq!(
            serde_json::to_string(&response).unwrap(),
            r#"{"access_token":"a","expires_in":900,"token_type":"Bearer","scope":"openid email"}"#
        );
    }
}
