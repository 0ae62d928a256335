//! `Attachment` (<https://hl7.org/fhir/R5/datatypes.html#Attachment>): data, inline.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Rejection;
use crate::datetime::is_date_time;
use crate::element::{Element, required};
use crate::json::Object;
use crate::primitive::language_fault;

/// The largest attachment, in bytes after decoding.
pub const MAX_ATTACHMENT: usize = 6 * 1024 * 1024;

const DEFINED: [&str; 6] = ["url", "height", "width", "frames", "duration", "pages"];

/// `valueAttachment` of an Observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The media type; JSON for a data point.
    pub content_type: String,
    /// The base64 text as sent.
    pub data_base64: String,
    /// The decoded bytes.
    pub bytes: Vec<u8>,
    language: Option<String>,
    title: Option<String>,
    creation: Option<String>,
    size: bool,
    hash: Option<String>,
}

impl Attachment {
    /// Reads the attachment of a data point, which is JSON.
    pub(super) fn read(element: &Element<'_>) -> Result<Self, Rejection> {
        let attachment = Self::read_any(element)?;
        if is_json(&attachment.content_type) {
            Ok(attachment)
        } else {
            Err(Rejection::value(
                &element.at("contentType"),
                "must be application/json or a media type that ends in +json",
            ))
        }
    }

    /// Reads an attachment of any media type.
    pub(super) fn read_any(element: &Element<'_>) -> Result<Self, Rejection> {
        if element.get("url").is_some() {
            return Err(Rejection::not_supported(&element.at("url"), "is not supported: send the data inline"));
        }
        element.only(&["contentType", "data", "language", "title", "creation", "size", "hash"], &DEFINED)?;
        let data_path = element.at("data");
        let data_base64 = required(element.text("data", |_| None)?, &data_path)?;
        let bytes = decode(&data_base64, &data_path)?;
        let hash = element.text("hash", |_| None)?;
        if hash.as_ref().is_some_and(|hash| *hash != sha1(&bytes)) {
            return Err(Rejection::value(&element.at("hash"), "must be the SHA-1 hash of the data in base64"));
        }
        Ok(Self {
            content_type: media_type(element)?,
            size: has_size(element, bytes.len())?,
            language: element.text("language", language_fault)?,
            title: element.string("title")?,
            creation: element.text("creation", |text| (!is_date_time(text)).then_some("must be a FHIR dateTime"))?,
            data_base64,
            bytes,
            hash,
        })
    }

    pub(super) fn to_json(&self) -> String {
        let size = self.bytes.len().to_string();
        // Base64 text needs no escaping.
        let data = format!("\"{}\"", self.data_base64);
        Object::new()
            .string("contentType", &self.content_type)
            .optional("language", self.language.as_deref())
            .raw("data", &data)
            .optional("size", self.size.then_some(size.as_str()))
            .optional("hash", self.hash.as_deref())
            .optional("title", self.title.as_deref())
            .optional("creation", self.creation.as_deref())
            .finish()
    }
}

fn decode(data: &str, path: &str) -> Result<Vec<u8>, Rejection> {
    // Four characters for three bytes; refuse before allocating.
    if data.len() > MAX_ATTACHMENT.div_ceil(3) * 4 {
        return Err(Rejection::too_costly(path, "must not be larger than 6 MB"));
    }
    let bytes = STANDARD
        .decode(data)
        .map_err(|_| Rejection::value(path, "must be standard base64 with padding and without whitespace"))?;
    if bytes.is_empty() {
        return Err(Rejection::value(path, "must not be empty"));
    }
    Ok(bytes)
}

fn sha1(bytes: &[u8]) -> String {
    // R5 fixes SHA-1 here. It guards against accidents only.
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes))
}

fn media_type(element: &Element<'_>) -> Result<String, Rejection> {
    let path = element.at("contentType");
    let content_type = required(element.code("contentType")?, &path)?;
    if essence(&content_type).is_some() {
        Ok(content_type)
    } else {
        Err(Rejection::value(&path, "must be a media type"))
    }
}

/// Type and subtype of a media type (RFC 6838 section 4.2); parameters may follow.
fn essence(media_type: &str) -> Option<(String, String)> {
    let essence = media_type.split(';').next().unwrap_or_default().trim_end().to_ascii_lowercase();
    let (top, sub) = essence.split_once('/')?;
    let token = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    (token(top) && token(sub)).then(|| (top.to_owned(), sub.to_owned()))
}

/// Whether a media type is JSON (RFC 6839 section 3.1).
fn is_json(media_type: &str) -> bool {
    essence(media_type).is_some_and(|(top, sub)| (top == "application" && sub == "json") || sub.ends_with("+json"))
}

/// `size` is an integer64, text in R5 JSON; a JSON number is taken too. It must be true.
fn has_size(element: &Element<'_>, length: usize) -> Result<bool, Rejection> {
    let Some(value) = element.get("size") else {
        return Ok(false);
    };
    let said = value.as_str().map_or_else(|| value.as_u64(), |text| text.parse().ok());
    if said.is_some() && said == u64::try_from(length).ok() {
        Ok(true)
    } else {
        Err(Rejection::value(&element.at("size"), "must be the number of bytes of the data"))
    }
}
