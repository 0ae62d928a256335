use serde_json::Value;

use crate::Rejection;
use crate::element::{Element, required};

/// The most entries of one batch.
pub const MAX_ENTRIES: usize = 1_000;

/// How the entries belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchKind {
    /// Each on its own.
    Batch,
    /// All or none.
    Transaction,
}

/// One entry: the Observation to create, or why the entry is not accepted.
pub type Entry<'a> = Result<&'a Value, Rejection>;

/// A Bundle of type `batch` or `transaction` (<https://hl7.org/fhir/R5/http.html#transaction>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchRequest<'a> {
    /// The type.
    pub kind: BatchKind,
    /// The entries, in order.
    pub entries: Vec<Entry<'a>>,
}

const BUNDLE: [&str; 11] = [
    "resourceType",
    "id",
    "meta",
    "type",
    "entry",
    "identifier",
    "timestamp",
    "language",
    "link",
    "signature",
    "issues",
];

/// Conditions on a create. Ignoring one would create what the caller did not want.
const CONDITIONS: [&str; 4] = ["ifNoneExist", "ifNoneMatch", "ifMatch", "ifModifiedSince"];

impl<'a> BatchRequest<'a> {
    /// Reads a batch. A fault in one entry does not touch the others.
    pub fn parse(bundle: &'a Value) -> Result<Self, Rejection> {
        let root = Element::new(bundle, "Bundle".to_owned())?;
        match root.get("resourceType").map(Value::as_str) {
            Some(Some("Bundle")) => {}
            Some(_) => {
                return Err(Rejection::structure(&root.at("resourceType"), "must be Bundle"));
            }
            None => return Err(Rejection::required(&root.at("resourceType"))),
        }
        root.only(&BUNDLE, &["implicitRules", "total"])?;
        let kind = kind(&root)?;
        let entries = required(root.get("entry"), &root.at("entry"))?;
        let path = root.at("entry");
        let entries = entries.as_array().ok_or_else(|| Rejection::structure(&path, "must be a JSON array"))?;
        if entries.is_empty() {
            return Err(Rejection::structure(&path, "must not be an empty array"));
        }
        if entries.len() > MAX_ENTRIES {
            return Err(Rejection::too_costly(&path, "must not have more than 1,000 items"));
        }
        let entries =
            entries.iter().enumerate().map(|(index, value)| entry(value, format!("{path}[{index}]"))).collect();
        Ok(Self { kind, entries })
    }
}

fn kind(root: &Element<'_>) -> Result<BatchKind, Rejection> {
    let path = root.at("type");
    match required(root.code("type")?, &path)?.as_str() {
        "batch" => Ok(BatchKind::Batch),
        "transaction" => Ok(BatchKind::Transaction),
        _ => Err(Rejection::value(&path, "must be batch or transaction")),
    }
}

fn entry(value: &Value, path: String) -> Entry<'_> {
    let entry = Element::new(value, path)?;
    entry.only(&["id", "fullUrl", "link", "resource", "request"], &["modifierExtension", "search", "response"])?;
    let request = required(entry.child("request")?, &entry.at("request"))?;
    request.only(&["id", "method", "url"], &CONDITIONS)?;
    let method_path = request.at("method");
    if required(request.code("method")?, &method_path)? != "POST" {
        return Err(Rejection::method_not_allowed(&method_path, "must be POST: entries only create"));
    }
    let url_path = request.at("url");
    if required(request.uri("url")?, &url_path)? != "Observation" {
        return Err(Rejection::not_served(&url_path, "must be Observation: entries create nothing else"));
    }
    required(entry.get("resource"), &entry.at("resource"))
}
