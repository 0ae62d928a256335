//! XML as the messages need it: parsed once with limits, and read without surprises.

use crate::{Refusal, names};
use jiff::Timestamp;
use uppsala::{Document, Element, NodeId, NodeKind, Parser};

/// The largest message. Real responses have 5 to 20 KB.
pub(crate) const MAX_MESSAGE: usize = 256 * 1024;

/// The largest metadata of an identity provider.
pub(crate) const MAX_METADATA: usize = 1024 * 1024;

/// Elements within elements. Responses have about ten.
const MAX_DEPTH: u32 = 40;

/// Parses a protocol message: no document type declaration, and so no entities but XML's own five; no comments and no
/// processing instructions, which canonicalization removes from what is signed but which split the text that is read.
pub(crate) fn parse_message(text: &str) -> Result<Document<'_>, Refusal> {
    let document = parse(text, MAX_MESSAGE)?;
    let is_plain = document.descendants(document.root()).into_iter().all(|node| {
        !matches!(
            document.node_kind(node),
            None | Some(NodeKind::Comment(_) | NodeKind::ProcessingInstruction(_) | NodeKind::Attribute(..))
        )
    });
    if is_plain { Ok(document) } else { Err(Refusal::Comment) }
}

/// Parses without a document type declaration, within limits.
pub(crate) fn parse(text: &str, limit: usize) -> Result<Document<'_>, Refusal> {
    if text.len() > limit {
        return Err(Refusal::TooLarge);
    }
    // The parser refuses it too; this tells the audit what it was.
    if text.contains("<!DOCTYPE") {
        return Err(Refusal::Doctype);
    }
    Parser::new()
        .with_forbid_dtd(true)
        .with_forbid_entities(true)
        .with_max_entity_expansion(0)
        .with_max_depth(MAX_DEPTH)
        .parse(text)
        .map_err(|_| Refusal::Malformed)
}

/// The root, when it has this name.
pub(crate) fn root(document: &Document<'_>, namespace: &str, name: &str) -> Result<NodeId, Refusal> {
    document.document_element().filter(|node| is(document, *node, namespace, name)).ok_or(Refusal::Malformed)
}

/// Whether a node is an element with this name.
pub(crate) fn is(document: &Document<'_>, node: NodeId, namespace: &str, name: &str) -> bool {
    document.element(node).is_some_and(|element| element.matches_name_ns(namespace, name))
}

/// The elements directly within an element.
pub(crate) fn elements(document: &Document<'_>, node: NodeId) -> Vec<NodeId> {
    document.children_iter(node).filter(|child| document.element(*child).is_some()).collect()
}

/// The elements directly within an element that have this name.
pub(crate) fn children(document: &Document<'_>, node: NodeId, namespace: &str, name: &str) -> Vec<NodeId> {
    document.child_elements_by_name_ns(node, namespace, name)
}

/// The one element of this name directly within an element, if there is one. Several are refused.
pub(crate) fn child(
    document: &Document<'_>,
    node: NodeId,
    namespace: &str,
    name: &str,
) -> Result<Option<NodeId>, Refusal> {
    match children(document, node, namespace, name).as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(*only)),
        _ => Err(Refusal::Malformed),
    }
}

/// All elements of the document with this name, at any depth.
pub(crate) fn everywhere(document: &Document<'_>, namespace: &str, name: &str) -> Vec<NodeId> {
    document.get_elements_by_tag_name_ns(namespace, name)
}

/// The value of an attribute that is in no namespace.
pub(crate) fn attribute<'a>(document: &'a Document<'_>, node: NodeId, name: &str) -> Option<&'a str> {
    let element: &Element<'_> = document.element(node)?;
    let found = element.attributes.iter().find(|attribute| attribute.name.matches(None, name))?;
    Some(&found.value)
}

/// The text of an element that holds nothing but text, without the white space around it.
pub(crate) fn text(document: &Document<'_>, node: NodeId) -> Result<String, Refusal> {
    let mut text = String::new();
    for child in document.children_iter(node) {
        match document.node_kind(child) {
            Some(NodeKind::Text(part) | NodeKind::CData(part)) => text.push_str(part),
            Some(NodeKind::Comment(_) | NodeKind::ProcessingInstruction(_)) => return Err(Refusal::Comment),
            _ => return Err(Refusal::Malformed),
        }
    }
    Ok(text.trim().to_owned())
}

/// An attribute that is a time (Core 1.3.3: in UTC).
pub(crate) fn time(document: &Document<'_>, node: NodeId, name: &str) -> Result<Option<Timestamp>, Refusal> {
    let Some(text) = attribute(document, node, name) else { return Ok(None) };
    if !text.ends_with('Z') {
        return Err(Refusal::Malformed);
    }
    text.parse().map(Some).map_err(|_| Refusal::Malformed)
}

/// Refuses a message that is not of SAML 2.0 (Core 4.1.1) or has no usable identifier (Core 1.3.4).
pub(crate) fn identifier(document: &Document<'_>, node: NodeId) -> Result<String, Refusal> {
    if attribute(document, node, "Version") != Some("2.0") {
        return Err(Refusal::Malformed);
    }
    let id = attribute(document, node, "ID").ok_or(Refusal::Malformed)?;
    if (1..=256).contains(&id.len()) { Ok(id.to_owned()) } else { Err(Refusal::Malformed) }
}

/// Who issued a message or an assertion (Core 2.2.5).
pub(crate) fn issuer(document: &Document<'_>, node: NodeId) -> Result<Option<String>, Refusal> {
    let Some(issuer) = child(document, node, names::ASSERTION, "Issuer")? else { return Ok(None) };
    match attribute(document, issuer, "Format") {
        None | Some(names::ENTITY) => text(document, issuer).map(Some),
        Some(_) => Err(Refusal::Issuer),
    }
}

/// Text for content and for quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A time as the standards write it (Core 1.3.3).
pub(crate) fn write_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_hide_or_multiply_text_is_refused() {
        let deep = format!("{}{}", "<a>".repeat(60), "</a>".repeat(60));
        let long = format!("<a>{}</a>", "x".repeat(MAX_MESSAGE));
        for (text, refusal) in [
            ("<!DOCTYPE a><a/>", Refusal::Doctype),
            ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", Refusal::Doctype),
            ("<a>&b;</a>", Refusal::Malformed),
            ("<a>b<!-- c -->d</a>", Refusal::Comment),
            ("<!-- c --><a/>", Refusal::Comment),
            ("<a/><!-- c -->", Refusal::Comment),
            ("<a><?php c?></a>", Refusal::Comment),
            ("<a b='1' b='2'/>", Refusal::Malformed),
            ("<x:a/>", Refusal::Malformed),
            ("<a/><b/>", Refusal::Malformed),
            ("", Refusal::Malformed),
            (&deep, Refusal::Malformed),
            (&long, Refusal::TooLarge),
        ] {
            let found = parse_message(text).err();
            assert_eq!(found, Some(refusal), "{}", text.get(..60).unwrap_or(text));
        }
        assert!(parse_message("<?xml version='1.0' encoding='UTF-8'?>\n<a>&amp;&#65;</a>").is_ok());
    }

    #[test]
    fn a_text_is_whole_or_refused() {
        let document = parse("<a> x<![CDATA[<y>]]>z </a>", 100).unwrap();
        assert_eq!(text(&document, document.document_element().unwrap()).unwrap(), "x<y>z");
        for (xml, refusal) in [("<a>x<!-- -->y</a>", Refusal::Comment), ("<a>x<b/>y</a>", Refusal::Malformed)] {
            let document = parse(xml, 100).unwrap();
            assert_eq!(text(&document, document.document_element().unwrap()), Err(refusal));
        }
    }

    #[test]
    fn an_attribute_of_another_namespace_is_another_attribute() {
        let document = parse("<a xmlns:x='urn:x' x:ID='1' ID='2'/>", 100).unwrap();
        assert_eq!(attribute(&document, document.document_element().unwrap(), "ID"), Some("2"));
    }

    #[test]
    fn a_time_is_in_utc() {
        for (value, good) in [
            ("2026-11-22T01:00:00Z", true),
            ("2026-11-22T01:00:00.123Z", true),
            ("2026-11-22T01:00:00+01:00", false),
            ("2026-11-22T01:00:00", false),
            ("yesterdayZ", false),
        ] {
            let xml = format!("<a t='{value}'/>");
            let document = parse(&xml, 100).unwrap();
            assert_eq!(time(&document, document.document_element().unwrap(), "t").is_ok(), good, "{value}");
        }
    }

    #[test]
    fn nothing_that_is_written_becomes_markup() {
        assert_eq!(escape("<a b=\"c\">&'"), "&lt;a b=&quot;c&quot;&gt;&amp;&apos;");
    }
}
