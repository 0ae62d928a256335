//! The settings of single sign-on.

use crate::source::Place;
use saml::Domains;
use store::ConfigError;

/// What a deployment says of its identity provider, and of itself to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `SAML_METADATA_URL` or `SAML_METADATA_FILE`.
    pub(crate) source: Place,
    /// `SAML_ENTITY_ID`: this service provider's name.
    pub entity_id: String,
    /// `SAML_ACS_URL`: where responses are taken.
    pub acs_url: String,
    /// Where requests to sign out are taken by HTTP-Redirect.
    pub logout_redirect_url: String,
    /// The same by HTTP-POST.
    pub logout_post_url: String,
    /// `SSO_VALID_DOMAINS`: whose e-mail addresses may sign in.
    pub domains: Domains,
    /// `SSO_CREATE_ACCOUNTS`: whether a person without an account gets one.
    pub creates_accounts: bool,
}

impl Settings {
    /// Reads the settings. None when no metadata is named: there is no single sign-on.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>, site_url: &str) -> Result<Option<Self>, ConfigError> {
        let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let source = match (set("SAML_METADATA_URL"), set("SAML_METADATA_FILE")) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => {
                return Err(ConfigError::Invalid("SAML_METADATA_FILE", "set SAML_METADATA_URL or this, not both"));
            }
            (None, Some(file)) => Place::File(file.into()),
            (Some(url), None) => {
                let uri = url.parse().map_err(|_| ConfigError::Invalid("SAML_METADATA_URL", "it is not a URL"))?;
                Place::url(uri, set("SAML_METADATA_CA_FILE").map(Into::into))?
            }
        };
        let acs_url = format!("{site_url}/saml2/acs/");
        if set("SAML_ACS_URL").is_some_and(|given| given != acs_url) {
            return Err(ConfigError::Invalid("SAML_ACS_URL", "responses are taken at SITE_URL/saml2/acs/ only"));
        }
        let domains = set("SSO_VALID_DOMAINS").ok_or(ConfigError::Missing("SSO_VALID_DOMAINS"))?;
        Ok(Some(Self {
            source,
            entity_id: set("SAML_ENTITY_ID").unwrap_or_else(|| format!("{site_url}/saml2/metadata/")),
            acs_url,
            logout_redirect_url: format!("{site_url}/saml2/ls/"),
            logout_post_url: format!("{site_url}/saml2/ls/post/"),
            domains: Domains::parse(&domains)
                .ok_or(ConfigError::Invalid("SSO_VALID_DOMAINS", "it is not a list of domains with commas"))?,
            creates_accounts: match set("SSO_CREATE_ACCOUNTS").as_deref() {
                None | Some("true") => true,
                Some("false") => false,
                Some(_) => return Err(ConfigError::Invalid("SSO_CREATE_ACCOUNTS", "use true or false")),
            },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: &str = "https://jhe.example";
    const URL: (&str, &str) = ("SAML_METADATA_URL", "https://idp.example/metadata");
    const DOMAINS: (&str, &str) = ("SSO_VALID_DOMAINS", "example.com");

    fn read(pairs: &[(&str, &str)]) -> Result<Option<Settings>, ConfigError> {
        let lookup = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Settings::from_env(lookup, SITE)
    }

    #[test]
    fn without_metadata_there_is_no_single_sign_on() {
        for pairs in [&[][..], &[DOMAINS], &[("SAML_METADATA_URL", "")]] {
            assert_eq!(read(pairs).unwrap(), None);
        }
    }

    #[test]
    fn what_is_not_set_follows_from_the_site() {
        let settings = read(&[URL, DOMAINS]).unwrap().unwrap();
        assert_eq!(settings.entity_id, "https://jhe.example/saml2/metadata/");
        assert_eq!(settings.acs_url, "https://jhe.example/saml2/acs/");
        assert!(settings.creates_accounts);
        let named = read(&[URL, DOMAINS, ("SAML_ENTITY_ID", "urn:x"), ("SSO_CREATE_ACCOUNTS", "false")]);
        let named = named.unwrap().unwrap();
        assert_eq!((named.entity_id.as_str(), named.creates_accounts), ("urn:x", false));
    }

    #[test]
    fn a_setting_that_cannot_be_meant_is_refused_by_name() {
        for (pairs, name) in [
            (&[URL][..], "SSO_VALID_DOMAINS"),
            (&[URL, ("SSO_VALID_DOMAINS", "*")], "SSO_VALID_DOMAINS"),
            (&[URL, DOMAINS, ("SAML_METADATA_FILE", "/x")], "SAML_METADATA_FILE"),
            (&[("SAML_METADATA_URL", "http://idp.example/"), DOMAINS], "SAML_METADATA_URL"),
            (&[("SAML_METADATA_URL", "file:///etc/passwd"), DOMAINS], "SAML_METADATA_URL"),
            (&[("SAML_METADATA_URL", "not a url"), DOMAINS], "SAML_METADATA_URL"),
            (&[URL, DOMAINS, ("SAML_ACS_URL", "https://other.example/saml2/acs/")], "SAML_ACS_URL"),
            (&[URL, DOMAINS, ("SSO_CREATE_ACCOUNTS", "maybe")], "SSO_CREATE_ACCOUNTS"),
        ] {
            let error = read(pairs).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
