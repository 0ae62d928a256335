//! Values that are nowhere else: what is sent in sensitive fields, and is then looked for in all output, in every form that
//! software writes text in.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

/// Values by what they stand for.
#[derive(Clone, Debug, Default)]
pub struct Sentinels(BTreeMap<String, String>);

impl Sentinels {
    /// A value of letters and digits that is nowhere else: always the same for the same.
    pub fn word(&mut self, what: &str) -> String {
        if let Some(word) = self.0.get(what) {
            return word.clone();
        }
        let random = oauth::token::random_bytes::<9>().expect("random numbers");
        let word = random.iter().fold("Zq".to_owned(), |mut word, byte| {
            let _ = write!(word, "{}{}", char::from(b'a' + byte % 26), byte % 10);
            word
        });
        self.keep(what, &word);
        word
    }

    /// Such a value in the shape of what it stands for: an address has a domain, a number digits alone.
    pub fn shaped(&mut self, what: &str) -> String {
        let shape = format!("{what} in its shape");
        if let Some(shaped) = self.0.get(&shape) {
            return shaped.clone();
        }
        let digits = |count: usize| {
            let random = oauth::token::random_bytes::<16>().expect("random numbers");
            random.iter().take(count).map(|byte| char::from(b'0' + byte % 10)).collect::<String>()
        };
        let shaped = match what {
            "email" | "telecomEmail" | "username" => format!("{}@sentinel.example", self.word(what).to_lowercase()),
            "telecomPhone" => format!("+1-{}-{}", digits(3), digits(9)),
            "birthDate" => "1903-07-29".to_owned(),
            "value" => format!("131.7{}", digits(9)),
            _ => format!("{} \"{}\" é", self.word(what), self.word(what)),
        };
        self.keep(&shape, &shaped);
        shaped
    }

    /// Something that came up and must not be found either.
    pub fn keep(&mut self, what: &str, value: &str) {
        assert!(value.len() >= 8, "{what}: {value} is found by chance");
        self.0.insert(what.to_owned(), value.to_owned());
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What of them is in a text: what it stands for, its form, and the line.
    #[must_use]
    pub fn leaks(&self, text: &str) -> Vec<String> {
        let lower = text.to_lowercase();
        let mut found = Vec::new();
        for (what, value) in &self.0 {
            for (form, written) in forms(value) {
                let within = if form.starts_with("base64") { text } else { &lower };
                if let Some(at) = within.find(&written) {
                    let line = within.get(..at).map_or(0, |before| before.lines().count());
                    found.push(format!(
                        "{what} as {form} in line {line}: {}",
                        within.lines().nth(line.saturating_sub(1)).unwrap_or_default()
                    ));
                }
            }
        }
        found
    }
}

/// A value in every form that it could be written in. But for base64, small letters stand for both.
fn forms(value: &str) -> BTreeSet<(&'static str, String)> {
    let each = |write: &dyn Fn(&mut String, u8)| {
        value.bytes().fold(String::new(), |mut text, byte| {
            write(&mut text, byte);
            text
        })
    };
    let mut forms = BTreeSet::from([
        ("plain text", value.to_owned()),
        ("a form's value", form_urlencoded::byte_serialize(value.as_bytes()).collect()),
        (
            "percents",
            each(&|text, byte| {
                let _ = write!(text, "%{byte:02x}");
            }),
        ),
        (
            "percents where needed",
            each(&|text, byte| {
                if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                    text.push(char::from(byte));
                } else {
                    let _ = write!(text, "%{byte:02x}");
                }
            }),
        ),
        (
            "hexadecimal",
            each(&|text, byte| {
                let _ = write!(text, "{byte:02x}");
            }),
        ),
        ("JSON", serde_json::json!(value).to_string().trim_matches('"').to_owned()),
        (
            "JSON in JSON",
            serde_json::json!(serde_json::json!(value).to_string()).to_string().trim_matches(['"', '\\']).to_owned(),
        ),
        ("JSON of ASCII", in_ascii(value, false)),
        ("JSON of escapes", in_ascii(value, true)),
        ("JSON of escapes in JSON", in_ascii(value, true).replace('\\', "\\\\")),
        ("Rust's own", format!("{value:?}").trim_matches('"').to_owned()),
    ]);
    forms = forms.into_iter().map(|(form, text)| (form, text.to_lowercase())).collect();
    // Three bytes are four letters: what is before it shifts the letters, and those at both ends are of its neighbours, too.
    for shift in 0..3 {
        let bytes = [&b"\0\0"[..shift], value.as_bytes()].concat();
        let first = [0, 2, 3][shift];
        for (form, encoded) in
            [("base64", STANDARD_NO_PAD.encode(&bytes)), ("base64 for URLs", URL_SAFE_NO_PAD.encode(&bytes))]
        {
            let whole = bytes.len() / 3 * 4;
            forms.extend(encoded.get(first..whole).map(|inner| (form, inner.to_owned())));
        }
    }
    forms
}

fn in_ascii(value: &str, all: bool) -> String {
    value.encode_utf16().fold(String::new(), |mut text, unit| {
        match u8::try_from(unit).ok().filter(|byte| !all && (b' '..0x7f).contains(byte)) {
            Some(b'"') => text.push_str("\\\""),
            Some(b'\\') => text.push_str("\\\\"),
            Some(byte) => text.push(char::from(byte)),
            None => {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
        text
    })
}
