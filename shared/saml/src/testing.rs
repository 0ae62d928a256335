//! An identity provider for the tests: it signs what the tests want signed.

use crate::{Expectation, IdentityProvider, SignIn, SigningKey, names};
use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bergshamra_dsig::{DsigContext, sign};
use bergshamra_keys::KeysManager;
use jiff::{SignedDuration, Timestamp};
use kryptering::{HashAlgorithm, SignatureAlgorithm, traits::Signer};
use std::sync::{Arc, LazyLock};

pub(crate) const IDP: &str = "https://idp.example/metadata";
pub(crate) const SP: &str = "https://jhe.example/saml2/metadata/";
pub(crate) const ACS: &str = "https://jhe.example/saml2/acs/";
pub(crate) const REQUEST: &str = "_request";

/// The identity provider's key, and another one.
pub(crate) static KEY: LazyLock<Arc<SigningKey>> = LazyLock::new(|| Arc::new(new_key()));
pub(crate) static OTHER: LazyLock<Arc<SigningKey>> = LazyLock::new(|| Arc::new(new_key()));

fn new_key() -> SigningKey {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'static> = pair.as_der().unwrap();
    let text = STANDARD.encode(der.as_ref());
    SigningKey::from_pem(&format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n").into()).unwrap()
}

pub(crate) fn now() -> Timestamp {
    "2026-11-22T01:00:00Z".parse().unwrap()
}

/// A time so many seconds from now, as the standards write it.
pub(crate) fn at(seconds: i64) -> String {
    crate::xml::write_time(now() + SignedDuration::from_secs(seconds))
}

pub(crate) fn metadata() -> String {
    format!(
        "<md:EntityDescriptor xmlns:md=\"{md}\" xmlns:ds=\"{ds}\" entityID=\"{IDP}\">\
         <md:IDPSSODescriptor protocolSupportEnumeration=\"{protocol}\"><md:KeyDescriptor use=\"signing\">\
         <ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>\
         </md:KeyDescriptor>\
         <md:SingleLogoutService Binding=\"{redirect}\" Location=\"https://idp.example/slo\"/>\
         <md:SingleSignOnService Binding=\"{post}\" Location=\"https://idp.example/post\"/>\
         <md:SingleSignOnService Binding=\"{redirect}\" Location=\"https://idp.example/sso\"/>\
         </md:IDPSSODescriptor></md:EntityDescriptor>",
        md = names::METADATA,
        ds = names::SIGNATURE,
        protocol = names::PROTOCOL,
        certificate = KEY.certificate().unwrap(),
        redirect = names::REDIRECT,
        post = names::POST,
    )
}

pub(crate) fn identity_provider() -> IdentityProvider {
    IdentityProvider::from_metadata(&metadata()).unwrap()
}

/// The place where a signature is to be put.
pub(crate) const SLOT: &str = "<slot/>";

/// An assertion that is as it should be, with a slot for its signature.
pub(crate) fn assertion() -> String {
    format!(
        "<saml:Assertion xmlns:saml=\"{assertion}\" ID=\"_assertion\" Version=\"2.0\" IssueInstant=\"{now}\">\
         <saml:Issuer>{IDP}</saml:Issuer>{SLOT}<saml:Subject>\
         <saml:NameID Format=\"{email}\">ann@example.com</saml:NameID>\
         <saml:SubjectConfirmation Method=\"{bearer}\"><saml:SubjectConfirmationData InResponseTo=\"{REQUEST}\" \
         Recipient=\"{ACS}\" NotOnOrAfter=\"{end}\"/></saml:SubjectConfirmation></saml:Subject>\
         <saml:Conditions NotBefore=\"{now}\" NotOnOrAfter=\"{end}\"><saml:AudienceRestriction>\
         <saml:Audience>{SP}</saml:Audience></saml:AudienceRestriction></saml:Conditions>\
         <saml:AuthnStatement AuthnInstant=\"{now}\" SessionIndex=\"s1\"/>\
         <saml:AttributeStatement><saml:Attribute Name=\"mail\"><saml:AttributeValue>ann@example.com\
         </saml:AttributeValue></saml:Attribute></saml:AttributeStatement></saml:Assertion>",
        assertion = names::ASSERTION,
        email = names::EMAIL,
        bearer = names::BEARER,
        now = at(0),
        end = at(300),
    )
}

/// A response around some content, with a slot for its own signature.
pub(crate) fn response(content: &str) -> String {
    format!(
        "<samlp:Response xmlns:samlp=\"{protocol}\" xmlns:saml=\"{assertion}\" ID=\"_response\" Version=\"2.0\" \
         IssueInstant=\"{now}\" Destination=\"{ACS}\" InResponseTo=\"{REQUEST}\"><saml:Issuer>{IDP}</saml:Issuer>{SLOT}\
         <samlp:Status><samlp:StatusCode Value=\"{success}\"/></samlp:Status>{content}</samlp:Response>",
        protocol = names::PROTOCOL,
        assertion = names::ASSERTION,
        now = at(0),
        success = names::SUCCESS,
    )
}

/// The form of a signature of the element with this `ID`, with nothing computed yet.
pub(crate) fn template(id: &str) -> String {
    format!(
        "<ds:Signature xmlns:ds=\"{ds}\"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm=\"{c14n}\"/>\
         <ds:SignatureMethod Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256\"/>\
         <ds:Reference URI=\"#{id}\"><ds:Transforms><ds:Transform Algorithm=\"{enveloped}\"/>\
         <ds:Transform Algorithm=\"{c14n}\"/></ds:Transforms>\
         <ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"/><ds:DigestValue></ds:DigestValue>\
         </ds:Reference></ds:SignedInfo><ds:SignatureValue></ds:SignatureValue></ds:Signature>",
        ds = names::SIGNATURE,
        c14n = names::EXCLUSIVE_C14N,
        enveloped = names::ENVELOPED,
    )
}

struct KeySigner(Arc<SigningKey>);

impl Signer for KeySigner {
    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::RsaPkcs1v15(HashAlgorithm::Sha256)
    }

    fn sign(&self, data: &[u8]) -> kryptering::Result<Vec<u8>> {
        Ok(STANDARD.decode(self.0.sign(data).unwrap()).unwrap())
    }
}

/// Computes the first signature of a document.
pub(crate) fn sign(xml: &str, key: &Arc<SigningKey>) -> String {
    let context = DsigContext::new(KeysManager::new()).with_hsm_signer(Box::new(KeySigner(Arc::clone(key))));
    sign::sign(&context, xml).unwrap()
}

/// Puts a signature into the slot of an element.
pub(crate) fn signed(xml: &str, id: &str) -> String {
    signed_by(xml, id, &KEY)
}

pub(crate) fn signed_by(xml: &str, id: &str, key: &Arc<SigningKey>) -> String {
    sign(&xml.replace(SLOT, &template(id)), key)
}

/// A response with one signed assertion, as it comes.
pub(crate) fn good() -> String {
    response(&signed(&assertion(), "_assertion")).replace(SLOT, "")
}

/// What a response is judged as.
pub(crate) fn judge(xml: &str) -> Result<SignIn, crate::Refusal> {
    judge_at(xml, 0)
}

pub(crate) fn judge_at(xml: &str, seconds: i64) -> Result<SignIn, crate::Refusal> {
    judge_as(xml, None, now() + SignedDuration::from_secs(seconds))
}

/// The same, where a new sign-in was asked for.
pub(crate) fn judge_anew(xml: &str) -> Result<SignIn, crate::Refusal> {
    judge_as(xml, Some(now()), now())
}

fn judge_as(xml: &str, not_before: Option<Timestamp>, now: Timestamp) -> Result<SignIn, crate::Refusal> {
    let identity_provider = identity_provider();
    let expectation = Expectation {
        identity_provider: &identity_provider,
        entity_id: SP,
        acs_url: ACS,
        request_id: REQUEST,
        not_before,
        now,
    };
    SignIn::judge(&STANDARD.encode(xml), &expectation)
}
