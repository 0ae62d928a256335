//! Request parameters: from a query or a form, none of them twice.

use form_urlencoded::parse;

use crate::error::OAuthError;

/// More parameters than any request of ours has.
const MAX_PARAMETERS: usize = 64;
/// More characters than any request of ours has.
const MAX_CHARACTERS: usize = 32 * 1024;

/// The parameters of one request to an OAuth endpoint.
///
/// Parameters without a value count as absent, and unknown ones are ignored (RFC 6749 3.1 and 3.2).
#[derive(Clone)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Takes decoded pairs. Refuses more than any honest request has.
    pub fn from_pairs<K, V>(pairs: impl IntoIterator<Item = (K, V)>) -> Result<Self, OAuthError>
    where
        K: Into<String>,
        V: Into<String>,
    {
        let mut kept = Vec::new();
        let mut characters = 0_usize;
        for (name, value) in pairs {
            let (name, value) = (name.into(), value.into());
            characters = characters.saturating_add(name.len()).saturating_add(value.len());
            if kept.len() >= MAX_PARAMETERS || characters > MAX_CHARACTERS {
                return Err(OAuthError::invalid_request("The request is too large."));
            }
            if !value.is_empty() {
                kept.push((name, value));
            }
        }
        Ok(Self(kept))
    }

    /// Decodes `application/x-www-form-urlencoded`: a query string or the body of a form.
    pub fn from_form(text: &str) -> Result<Self, OAuthError> {
        Self::from_pairs(parse(text.as_bytes()))
    }

    /// The value of a parameter, if it is there. Twice is an error (RFC 6749 3.1 and 3.2).
    pub fn get(&self, name: &str) -> Result<Option<&str>, OAuthError> {
        let mut values = self.0.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str());
        let first = values.next();
        match values.next() {
            None => Ok(first),
            Some(_) => Err(OAuthError::invalid_request("A parameter is repeated.")),
        }
    }

    /// The values of a parameter that may come several times (RFC 8707 2).
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that must be there.
    pub fn require(&self, name: &str, missing: &'static str) -> Result<&str, OAuthError> {
        self.get(name)?.ok_or(OAuthError::invalid_request(missing))
    }

    /// All pairs in the order they came.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }
}

/// Whether text is made of `VSCHAR` (RFC 6749 appendix A): printable ASCII and space, no control characters.
pub(crate) fn is_vschar(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, 0x20..=0x7e))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::ErrorCode;

    #[test]
    fn a_repeated_parameter_is_refused_rfc_6749_3_1() {
        let params = Params::from_form("state=a&scope=x&state=b").unwrap();
        assert_eq!(params.get("state").unwrap_err().code, ErrorCode::InvalidRequest);
        assert_eq!(params.get("scope").unwrap(), Some("x"));
    }

    #[test]
    fn a_parameter_without_a_value_is_absent_rfc_6749_3_1() {
        let params = Params::from_form("state=&scope=x&state=b").unwrap();
        assert_eq!(params.get("state").unwrap(), Some("b"));
        assert_eq!(Params::from_form("state=").unwrap().get("state").unwrap(), None);
    }

    #[test]
    fn a_request_is_bounded() {
        let many = "a=b&".repeat(MAX_PARAMETERS + 1);
        assert!(Params::from_form(&many).is_err());
        let long = format!("a={}", "b".repeat(MAX_CHARACTERS));
        assert!(Params::from_form(&long).is_err());
    }

    #[test]
    fn a_form_is_decoded() {
        let params = Params::from_form("redirect_uri=https%3A%2F%2Fa.example%2Fcb&scope=openid+email").unwrap();
        assert_eq!(params.get("redirect_uri").unwrap(), Some("https://a.example/cb"));
        assert_eq!(params.get("scope").unwrap(), Some("openid email"));
    }

    proptest! {
        #[test]
        fn no_input_panics(text in ".*") {
            if let Ok(params) = Params::from_form(&text) {
                let _ = params.get("state");
            }
        }
    }
}
