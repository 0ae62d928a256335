//! An authenticator app: RFC 6238 as the RFC has it, apart from the product's own.

use crate::{browser::Browser, reply::Reply};
use aws_lc_rs::hmac;
use jiff::Timestamp;
use std::fmt::Write as _;

/// The code of an app for a secret in base32, some steps of 30 seconds from now.
pub fn code(secret: &str, steps_from_now: i64) -> String {
    let step = Timestamp::now().as_second() / 30 + steps_from_now;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &decoded(secret));
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let offset = usize::from(tag.as_ref()[19] & 15);
    let number = tag.as_ref()[offset..offset + 4].iter().fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte));
    format!("{:06}", (number & 0x7fff_ffff) % 1_000_000)
}

/// Base32 of RFC 4648; spaces are for the reader.
fn decoded(text: &str) -> Vec<u8> {
    let mut bits = String::new();
    for letter in text.bytes().filter(|byte| *byte != b' ') {
        let value = if letter.is_ascii_uppercase() { letter - b'A' } else { letter - b'2' + 26 };
        // Writing to a String does not fail.
        let _ = write!(bits, "{value:05b}");
    }
    let whole = bits.len() / 8 * 8;
    (0..whole).step_by(8).map(|at| u8::from_str_radix(&bits[at..at + 8], 2).expect("bits")).collect()
}

/// The value of a hidden field of a page.
#[must_use]
pub fn hidden(page: &Reply, name: &str) -> String {
    let (_, rest) = page
        .text
        .split_once(&format!("name=\"{name}\" value=\""))
        .unwrap_or_else(|| panic!("{}: no {name}: {}", page.status, page.text));
    rest.split('"').next().unwrap_or_default().to_owned()
}

/// The secret that the page of an enrolment shows.
#[must_use]
pub fn shown_secret(page: &Reply) -> String {
    let (_, rest) = page.text.split_once("<p class=\"code\">").unwrap_or_else(|| panic!("no secret: {}", page.text));
    rest.split('<').next().unwrap_or_default().to_owned()
}

/// The recovery codes that the page after an enrolment shows.
#[must_use]
pub fn recovery_codes(page: &Reply) -> Vec<String> {
    let (_, rest) = page.text.split_once("<ul class=\"code\">").unwrap_or_else(|| panic!("no codes: {}", page.text));
    let list = rest.split("</ul>").next().unwrap_or_default();
    list.split("<li>").skip(1).map(|item| item.trim_end_matches("</li>").to_owned()).collect()
}

impl Browser<'_> {
    /// Sets up an authenticator, from the page that a sign-in leads to or from the account. The secret, and the page that
    /// answers.
    pub async fn enrol(&self) -> (String, Reply) {
        const PAGE: &str = "/accounts/second-factor/enrol/";
        let page = self.get(PAGE).await;
        let (secret, token, sealed) =
            (shown_secret(&page), hidden(&page, "csrfmiddlewaretoken"), hidden(&page, "secret"));
        let code = code(&secret, 0);
        let form = [("csrfmiddlewaretoken", token.as_str()), ("secret", &sealed), ("code", &code), ("next", "/")];
        let reply = self.post(PAGE, &form).await;
        (secret, reply)
    }

    /// Sends a code to the second step of a sign-in.
    pub async fn second_step(&self, code: &str) -> Reply {
        const PAGE: &str = "/accounts/second-factor/";
        let page = self.get(PAGE).await;
        let token = hidden(&page, "csrfmiddlewaretoken");
        self.post(PAGE, &[("csrfmiddlewaretoken", &token), ("next", "/"), ("code", code)]).await
    }

    /// Loads a page with one form and sends it with these fields.
    pub async fn fill(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let page = self.get(path).await;
        let token = hidden(&page, "csrfmiddlewaretoken");
        let action = path.split('?').next().unwrap_or_default();
        let mut form = vec![("csrfmiddlewaretoken", token.as_str())];
        form.extend_from_slice(fields);
        self.post(action, &form).await
    }

    /// Whether somebody is signed in.
    pub async fn is_in(&self) -> bool {
        self.get("/accounts/sessions/").await.status.is_success()
    }
}
