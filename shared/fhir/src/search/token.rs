//! `token` values (<https://hl7.org/fhir/R5/search.html#token>) and the escaping of lists.

use crate::Rejection;
use crate::primitive::string_fault;

/// The most values of one list.
pub(super) const MAX_LIST: usize = 100;

/// Which systems a token matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SystemMatch {
    /// `value`: any, or none.
    Any,
    /// `|value`: no system.
    Absent,
    /// `system|value`: this one.
    Is(String),
}

/// A token such as an identifier. `system|` without a value matches every value of the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenParam {
    /// The system.
    pub system: SystemMatch,
    /// The value; nothing means any.
    pub value: Option<String>,
}

/// A code. Both parts are compared when both are there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CodeParam {
    /// The code system; nothing means any. Empty for `|code`, which no stored code matches.
    pub system: Option<String>,
    /// The code; nothing means any.
    pub code: Option<String>,
}

/// Splits at a separator that no backslash escapes; escapes stay.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut escaped = false;
    text.split(|c: char| {
        let splits = c == separator && !escaped;
        escaped = c == '\\' && !escaped;
        splits
    })
    .collect()
}

/// Removes the escapes (<https://hl7.org/fhir/R5/search.html#escaping>).
fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => chars.next().filter(|next| "\\,|$".contains(*next))?,
            c => c,
        });
    }
    Some(plain)
}

/// Puts the escapes back.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\,|$".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// The values of a list, escapes removed.
pub(super) fn texts(name: &str, value: &str) -> Result<Vec<String>, Rejection> {
    items(name, value)?.into_iter().map(|item| plain(name, item)).collect()
}

/// The values of a list, escapes in place.
pub(super) fn items<'a>(name: &str, value: &'a str) -> Result<Vec<&'a str>, Rejection> {
    let items = split(value, ',');
    if items.len() > MAX_LIST {
        return Err(Rejection::parameter(name, "must not have more than 100 values"));
    }
    Ok(items)
}

fn plain(name: &str, text: &str) -> Result<String, Rejection> {
    let text = unescape(text).ok_or_else(|| Rejection::parameter(name, "has a backslash that escapes nothing"))?;
    match string_fault(&text) {
        Some(problem) => Err(Rejection::parameter(name, problem)),
        None => Ok(text),
    }
}

impl TokenParam {
    /// Reads one token.
    pub(super) fn parse(name: &str, text: &str) -> Result<Self, Rejection> {
        match *split(text, '|').as_slice() {
            [value] => Ok(Self { system: SystemMatch::Any, value: Some(plain(name, value)?) }),
            ["", value] => Ok(Self { system: SystemMatch::Absent, value: Some(plain(name, value)?) }),
            [system, ""] => Ok(Self { system: SystemMatch::Is(plain(name, system)?), value: None }),
            [system, value] => {
                Ok(Self { system: SystemMatch::Is(plain(name, system)?), value: Some(plain(name, value)?) })
            }
            _ => Err(Rejection::parameter(name, "must have at most one unescaped |")),
        }
    }

    /// Reads a parameter that takes one token, not a list.
    pub(super) fn single(name: &str, value: &str) -> Result<Self, Rejection> {
        match *items(name, value)?.as_slice() {
            [item] => Self::parse(name, item),
            _ => Err(Rejection::parameter(name, "takes one value")),
        }
    }

    /// The token as search text.
    pub(super) fn text(&self) -> String {
        let value = self.value.as_deref().map(escape).unwrap_or_default();
        match &self.system {
            SystemMatch::Any => value,
            SystemMatch::Absent => format!("|{value}"),
            SystemMatch::Is(system) => format!("{}|{value}", escape(system)),
        }
    }
}

impl CodeParam {
    /// Reads a list of codes.
    pub(super) fn list(name: &str, value: &str) -> Result<Vec<Self>, Rejection> {
        let tokens = items(name, value)?.into_iter().map(|item| TokenParam::parse(name, item));
        let mut codes: Vec<Self> = tokens.map(|token| token.map(Self::from)).collect::<Result<_, _>>()?;
        codes.sort_unstable();
        codes.dedup();
        Ok(codes)
    }

    /// The code as search text.
    pub(super) fn text(&self) -> String {
        let code = self.code.as_deref().map(escape).unwrap_or_default();
        match &self.system {
            Some(system) => format!("{}|{code}", escape(system)),
            None => code,
        }
    }
}

impl From<TokenParam> for CodeParam {
    fn from(token: TokenParam) -> Self {
        let system = match token.system {
            SystemMatch::Any => None,
            SystemMatch::Absent => Some(String::new()),
            SystemMatch::Is(system) => Some(system),
        };
        Self { system, code: token.value }
    }
}

/// A list of texts as search text.
pub(super) fn join(texts: &[String]) -> String {
    texts.iter().map(|text| escape(text)).collect::<Vec<_>>().join(",")
}
