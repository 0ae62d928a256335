//! Signatures inside a message (Core 5.4, XML Signature).

use crate::{
    Refusal, TrustedKeys,
    keys::{Algorithm, is_accepted_digest},
    names,
    xml::{attribute, children, elements, everywhere, is, text},
};
use bergshamra_dsig::{DsigContext, VerifyResult, verify::verify_all_document};
use bergshamra_keys::KeysManager;
use uppsala::{Document, NodeId};

/// Verifies every signature of the document with the given keys, and gives the elements that they cover. All of them
/// must be of the one form that SAML prescribes, directly within what they sign, and right: a document with a wrong
/// signature anywhere is refused.
///
/// Against signature wrapping: the covered element is the node that the library resolved the reference to, in this same
/// document, and it must be the parent of the signature.
pub(crate) fn covered_elements(document: &Document<'_>, keys: &TrustedKeys) -> Result<Vec<NodeId>, Refusal> {
    let signatures = everywhere(document, names::SIGNATURE, "Signature");
    if signatures.len() > 2 {
        return Err(Refusal::SignatureForm);
    }
    // All forms first: the library looks at every signature of the document, and is to see nothing but this form.
    let forms: Vec<Form> =
        signatures.into_iter().map(|signature| Form::check(document, signature)).collect::<Result<_, _>>()?;
    forms.into_iter().map(|form| form.verify(document, keys)).collect()
}

/// A signature of the right form.
#[derive(Clone, Copy)]
struct Form {
    signature: NodeId,
    parent: NodeId,
    algorithm: Algorithm,
}

impl Form {
    fn check(document: &Document<'_>, signature: NodeId) -> Result<Self, Refusal> {
        let parent = document.parent(signature).ok_or(Refusal::SignatureForm)?;
        Ok(Self { signature, parent, algorithm: check_form(document, signature, parent)? })
    }

    /// The element that it covers, if it is right.
    fn verify(self, document: &Document<'_>, keys: &TrustedKeys) -> Result<NodeId, Refusal> {
        let context = DsigContext::new(KeysManager::new()).with_hsm_verifier(keys.verifier(self.algorithm));
        let results = verify_all_document(&context, document).map_err(|_| Refusal::SignatureForm)?;
        let references = results.into_iter().find_map(|result| match result {
            VerifyResult::Valid { signature_node, references, .. } if signature_node == self.signature => {
                Some(references)
            }
            _ => None,
        });
        match references.as_deref() {
            None => Err(Refusal::Signature),
            Some([only]) if only.resolved_node == Some(self.parent) && only.digest_verified => Ok(self.parent),
            Some(_) => Err(Refusal::SignatureForm),
        }
    }
}

/// The form of a signature (Core 5.4.1 to 5.4.4): enveloped in the element whose `ID` its one reference names, with the
/// enveloped transform and exclusive canonicalization and no other. Returns the algorithm.
fn check_form(document: &Document<'_>, signature: NodeId, parent: NodeId) -> Result<Algorithm, Refusal> {
    let parts = elements(document, signature);
    let (info, value) = match parts.as_slice() {
        [info, value] => (*info, *value),
        [info, value, key] if is_named(document, *key, "KeyInfo") => (*info, *value),
        _ => return Err(Refusal::SignatureForm),
    };
    let info_parts = elements(document, info);
    let [canonicalization, method, reference] = *info_parts.as_slice() else { return Err(Refusal::SignatureForm) };
    let reference_parts = elements(document, reference);
    let [transforms, digest, digest_value] = *reference_parts.as_slice() else { return Err(Refusal::SignatureForm) };
    let steps = elements(document, transforms);
    let [enveloped, exclusive] = *steps.as_slice() else { return Err(Refusal::SignatureForm) };
    let expected = [
        (info, "SignedInfo"),
        (value, "SignatureValue"),
        (canonicalization, "CanonicalizationMethod"),
        (method, "SignatureMethod"),
        (reference, "Reference"),
        (transforms, "Transforms"),
        (digest, "DigestMethod"),
        (digest_value, "DigestValue"),
        (enveloped, "Transform"),
        (exclusive, "Transform"),
    ];
    let is_of_form = expected.iter().all(|(node, name)| is_named(document, *node, name) && is_bare(document, *node))
        && is_bare(document, signature)
        && names_parent(document, reference, parent)
        && algorithm_of(document, enveloped) == Some(names::ENVELOPED)
        && elements(document, enveloped).is_empty()
        && is_exclusive(document, canonicalization)
        && is_exclusive(document, exclusive)
        && elements(document, method).is_empty()
        && elements(document, digest).is_empty()
        && text(document, value).is_ok()
        && text(document, digest_value).is_ok()
        && children(document, parent, names::SIGNATURE, "Signature").len() == 1;
    if !is_of_form {
        return Err(Refusal::SignatureForm);
    }
    if !algorithm_of(document, digest).is_some_and(is_accepted_digest) {
        return Err(Refusal::Algorithm);
    }
    Algorithm::from_uri(algorithm_of(document, method).unwrap_or_default())
}

fn is_named(document: &Document<'_>, node: NodeId, name: &str) -> bool {
    is(document, node, names::SIGNATURE, name)
}

/// No attribute of another namespace: one called `x:Algorithm` could be taken for the real one.
fn is_bare(document: &Document<'_>, node: NodeId) -> bool {
    document
        .element(node)
        .is_some_and(|element| element.attributes.iter().all(|attribute| attribute.name.namespace_uri.is_none()))
}

fn algorithm_of<'a>(document: &'a Document<'_>, node: NodeId) -> Option<&'a str> {
    attribute(document, node, "Algorithm")
}

/// Core 5.4.2: the reference names the `ID` of the element that is signed.
fn names_parent(document: &Document<'_>, reference: NodeId, parent: NodeId) -> bool {
    let id = attribute(document, parent, "ID").filter(|id| !id.is_empty());
    let fragment = attribute(document, reference, "URI").and_then(|uri| uri.strip_prefix('#'));
    id.is_some() && id == fragment
}

/// Exclusive canonicalization without comments, with at most a list of prefixes (Core 5.4.3).
fn is_exclusive(document: &Document<'_>, node: NodeId) -> bool {
    let within = elements(document, node);
    let only_prefixes = match within.as_slice() {
        [] => true,
        [prefixes] => {
            is(document, *prefixes, names::EXCLUSIVE_C14N, "InclusiveNamespaces") && is_bare(document, *prefixes)
        }
        _ => false,
    };
    only_prefixes && algorithm_of(document, node) == Some(names::EXCLUSIVE_C14N)
}

#[cfg(test)]
mod tests;
