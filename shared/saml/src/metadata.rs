//! The metadata of the identity provider (Metadata 2).

use crate::{
    Refusal, TrustedKeys, names,
    xml::{self, MAX_METADATA, attribute, children, is},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use uppsala::{Document, NodeId};

/// Where a person is sent to sign out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignOutEndpoint {
    /// For requests.
    pub request: String,
    /// For answers to the identity provider's own requests.
    pub response: String,
}

/// An identity provider.
#[derive(Clone, Debug)]
pub struct IdentityProvider {
    /// Its name.
    pub entity_id: String,
    /// Where a person is sent to sign in, by HTTP-Redirect.
    pub sign_in: String,
    /// Where a person is sent to sign out, by HTTP-Redirect, if it has single logout.
    pub sign_out: Option<SignOutEndpoint>,
    /// Its keys.
    pub keys: TrustedKeys,
    /// From when on the metadata may not be used.
    pub valid_until: Option<Timestamp>,
}

impl IdentityProvider {
    /// Reads metadata: one entity, or a list with exactly one identity provider.
    pub fn from_metadata(text: &str) -> Result<Self, Refusal> {
        let document = xml::parse(text.trim_start_matches('\u{feff}'), MAX_METADATA)?;
        let root = document.document_element().ok_or(Refusal::Malformed)?;
        let entities = if is(&document, root, names::METADATA, "EntityDescriptor") {
            vec![root]
        } else if is(&document, root, names::METADATA, "EntitiesDescriptor") {
            children(&document, root, names::METADATA, "EntityDescriptor")
        } else {
            return Err(Refusal::Malformed);
        };
        let providers: Vec<(NodeId, NodeId)> = entities
            .into_iter()
            .filter_map(|entity| {
                let roles = children(&document, entity, names::METADATA, "IDPSSODescriptor");
                roles.first().map(|role| (entity, *role))
            })
            .collect();
        let [(entity, role)] = *providers.as_slice() else { return Err(Refusal::Malformed) };
        let ends = [root, entity, role].map(|node| xml::time(&document, node, "validUntil"));
        let ends = ends.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            entity_id: attribute(&document, entity, "entityID")
                .filter(|id| !id.is_empty())
                .ok_or(Refusal::Malformed)?
                .to_owned(),
            sign_in: endpoint(&document, role, "SingleSignOnService", "Location")?.ok_or(Refusal::Malformed)?,
            sign_out: sign_out(&document, role)?,
            keys: keys(&document, role)?,
            valid_until: ends.into_iter().flatten().min(),
        })
    }
}

fn sign_out(document: &Document<'_>, role: NodeId) -> Result<Option<SignOutEndpoint>, Refusal> {
    let Some(request) = endpoint(document, role, "SingleLogoutService", "Location")? else { return Ok(None) };
    // Metadata 2.2.2: answers go elsewhere when it says so.
    let response = endpoint(document, role, "SingleLogoutService", "ResponseLocation")?;
    Ok(Some(SignOutEndpoint { response: response.unwrap_or_else(|| request.clone()), request }))
}

/// The address of a service by HTTP-Redirect.
fn endpoint(document: &Document<'_>, role: NodeId, name: &str, location: &str) -> Result<Option<String>, Refusal> {
    let services = children(document, role, names::METADATA, name);
    let found = services
        .into_iter()
        .find(|node| attribute(document, *node, "Binding") == Some(names::REDIRECT))
        .and_then(|node| attribute(document, node, location));
    match found {
        None => Ok(None),
        Some(url) if is_safe_url(url) => Ok(Some(url.to_owned())),
        Some(_) => Err(Refusal::Malformed),
    }
}

/// A browser is only sent to an address by TLS, or on this machine.
fn is_safe_url(url: &str) -> bool {
    let is_known = ["https://", "http://localhost:", "http://127.0.0.1:"].iter().any(|start| url.starts_with(start));
    is_known && url.bytes().all(|byte| byte.is_ascii_graphic()) && !url.contains(['"', '<', '>', '\\', '#'])
}

/// The keys for signing: those that say so, and those that do not say what they are for (Metadata 2.4.1.1).
fn keys(document: &Document<'_>, role: NodeId) -> Result<TrustedKeys, Refusal> {
    let mut certificates = Vec::new();
    for key in children(document, role, names::METADATA, "KeyDescriptor") {
        if attribute(document, key, "use").is_some_and(|purpose| purpose != "signing") {
            continue;
        }
        for info in children(document, key, names::SIGNATURE, "KeyInfo") {
            for data in children(document, info, names::SIGNATURE, "X509Data") {
                for certificate in children(document, data, names::SIGNATURE, "X509Certificate") {
                    let text = xml::text(document, certificate)?;
                    let plain: String = text.split_whitespace().collect();
                    certificates.push(STANDARD.decode(plain).map_err(|_| Refusal::Malformed)?);
                }
            }
        }
    }
    TrustedKeys::from_certificates(certificates.iter().map(Vec::as_slice))
}

#[cfg(test)]
mod tests;
