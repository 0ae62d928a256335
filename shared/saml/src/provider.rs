//! This service provider: its metadata, and the messages that it sends.

use crate::{
    IdentityProvider, Kind, NameId, SigningError, SigningKey, names, redirect,
    xml::{escape, write_time},
};
use jiff::{SignedDuration, Timestamp};

/// How long a request to sign out may be acted on.
const LOGOUT_LIFETIME: SignedDuration = SignedDuration::from_mins(5);

/// This service provider, as its settings describe it.
#[derive(Debug)]
pub struct ServiceProvider<'a> {
    /// Its name, `SAML_ENTITY_ID`.
    pub entity_id: &'a str,
    /// Where responses are taken, `SAML_ACS_URL`.
    pub acs_url: &'a str,
    /// Where requests to sign out, and answers to them, are taken by HTTP-Redirect.
    pub logout_redirect_url: &'a str,
    /// The same by HTTP-POST.
    pub logout_post_url: &'a str,
    /// Its key.
    pub key: &'a SigningKey,
}

impl ServiceProvider<'_> {
    /// Its metadata (Metadata 2.4.4). It signs requests and wants assertions signed; it has no key for encryption.
    pub fn metadata(&self) -> Result<String, SigningError> {
        Ok(format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <md:EntityDescriptor xmlns:md=\"{metadata}\" xmlns:ds=\"{ds}\" entityID=\"{entity}\">\
             <md:SPSSODescriptor protocolSupportEnumeration=\"{protocol}\" AuthnRequestsSigned=\"true\" WantAssertionsSigned=\"true\">\
             <md:KeyDescriptor use=\"signing\"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>\
             <md:SingleLogoutService Binding=\"{redirect}\" Location=\"{logout}\"/>\
             <md:SingleLogoutService Binding=\"{post}\" Location=\"{logout_post}\" ResponseLocation=\"{logout_post}\"/>\
             <md:NameIDFormat>{email}</md:NameIDFormat>\
             <md:AssertionConsumerService Binding=\"{post}\" Location=\"{acs}\" index=\"0\" isDefault=\"true\"/>\
             </md:SPSSODescriptor></md:EntityDescriptor>\n",
            metadata = names::METADATA,
            ds = names::SIGNATURE,
            protocol = names::PROTOCOL,
            redirect = names::REDIRECT,
            post = names::POST,
            email = names::EMAIL,
            entity = escape(self.entity_id),
            certificate = self.key.certificate()?,
            logout = escape(self.logout_redirect_url),
            logout_post = escape(self.logout_post_url),
            acs = escape(self.acs_url),
        ))
    }

    /// The address that asks the identity provider to sign somebody in (Core 3.4.1, Profiles 4.1.4.1).
    /// `anew`: even if the person is signed in there.
    pub fn ask_to_sign_in(
        &self,
        to: &IdentityProvider,
        id: &str,
        anew: bool,
        now: Timestamp,
    ) -> Result<String, SigningError> {
        let request = format!(
            "<samlp:AuthnRequest xmlns:samlp=\"{protocol}\" xmlns:saml=\"{assertion}\" ID=\"{id}\" Version=\"2.0\" \
             IssueInstant=\"{now}\" Destination=\"{destination}\"{force} ProtocolBinding=\"{post}\" \
             AssertionConsumerServiceURL=\"{acs}\"><saml:Issuer>{issuer}</saml:Issuer>\
             <samlp:NameIDPolicy AllowCreate=\"true\"/></samlp:AuthnRequest>",
            protocol = names::PROTOCOL,
            assertion = names::ASSERTION,
            id = escape(id),
            now = write_time(now),
            destination = escape(&to.sign_in),
            force = if anew { " ForceAuthn=\"true\"" } else { "" },
            post = names::POST,
            acs = escape(self.acs_url),
            issuer = escape(self.entity_id),
        );
        redirect::address(&to.sign_in, Kind::Request, &request, None, self.key)
    }

    /// The address that asks the identity provider to sign somebody out everywhere (Core 3.7.1). None when it has no
    /// single logout.
    pub fn ask_to_sign_out(
        &self,
        to: &IdentityProvider,
        id: &str,
        name: &NameId,
        session_index: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<String>, SigningError> {
        let Some(endpoint) = &to.sign_out else { return Ok(None) };
        let index = session_index
            .map(|index| format!("<samlp:SessionIndex>{}</samlp:SessionIndex>", escape(index)))
            .unwrap_or_default();
        let request = format!(
            "<samlp:LogoutRequest xmlns:samlp=\"{protocol}\" xmlns:saml=\"{assertion}\" ID=\"{id}\" Version=\"2.0\" \
             IssueInstant=\"{now}\" NotOnOrAfter=\"{end}\" Destination=\"{destination}\">\
             <saml:Issuer>{issuer}</saml:Issuer>{name}{index}</samlp:LogoutRequest>",
            protocol = names::PROTOCOL,
            assertion = names::ASSERTION,
            id = escape(id),
            now = write_time(now),
            end = write_time(now + LOGOUT_LIFETIME),
            destination = escape(&endpoint.request),
            issuer = escape(self.entity_id),
            name = name.write(),
        );
        redirect::address(&endpoint.request, Kind::Request, &request, None, self.key).map(Some)
    }

    /// The address that answers the identity provider's request to sign somebody out: it was done (Core 3.7.2). None when
    /// the identity provider has no place for answers.
    pub fn answer_sign_out(
        &self,
        to: &IdentityProvider,
        id: &str,
        in_response_to: &str,
        relay_state: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<String>, SigningError> {
        let Some(endpoint) = &to.sign_out else { return Ok(None) };
        let response = format!(
            "<samlp:LogoutResponse xmlns:samlp=\"{protocol}\" xmlns:saml=\"{assertion}\" ID=\"{id}\" Version=\"2.0\" \
             IssueInstant=\"{now}\" Destination=\"{destination}\" InResponseTo=\"{in_response_to}\">\
             <saml:Issuer>{issuer}</saml:Issuer><samlp:Status><samlp:StatusCode Value=\"{status}\"/></samlp:Status>\
             </samlp:LogoutResponse>",
            protocol = names::PROTOCOL,
            assertion = names::ASSERTION,
            id = escape(id),
            now = write_time(now),
            destination = escape(&endpoint.response),
            in_response_to = escape(in_response_to),
            issuer = escape(self.entity_id),
            status = names::SUCCESS,
        );
        redirect::address(&endpoint.response, Kind::Response, &response, relay_state, self.key).map(Some)
    }
}
