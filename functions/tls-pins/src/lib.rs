//! `GET /api/v1/tls-pins`: the public keys that the site's certificate will have, for apps that pin. Public: who has no token yet has to
//! know them, and every certificate shows its key.
//!
//! The operator says them in `TLS_PINS` (`jhe pins` computes them), two or more, and in `TLS_PINS_CHANGE` the day of the next change. Each is the
//! SHA-256 of a `SubjectPublicKeyInfo` in base64 (RFC 7469 section 2.4).

use api::{Content, Kind, Operation, Shape, optional, required};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::StatusCode;
use jiff::civil::Date;
use runtime::{App, Failure, Function, Needs, Protocol, Response, SetupError, json};
use serde::Serialize;

/// The function.
pub const FUNCTION: Function =
    Function::new("tls-pins", Protocol::Rest, Needs::Nothing, |app, _| Box::pin(async { handle(app) }))
        .describing(&OPERATIONS);

/// The most that are published: the key in use, those that follow, and authorities.
const MOST: usize = 16;

const PUBLISHED: Shape = Shape {
    name: "TlsPins",
    fields: &[
        required("algorithm", Kind::OneOf(&["sha256"])),
        required("pins", Kind::List(&Kind::AnyText, MOST)),
        optional("change", Kind::OrNull(&Kind::Date)),
    ],
};

const OPERATIONS: [Operation; 1] = [Operation::new(
    "GET /api/v1/tls-pins",
    "The public keys of the site by TLS: SHA-256 of each SubjectPublicKeyInfo in base64, and the day of the next change; none where nothing is to be pinned",
    "Anybody.",
)
.public()
.answers(&[(200, Content::Object(&PUBLISHED))])];

/// What is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pins {
    algorithm: &'static str,
    /// The pins.
    pub pins: Vec<String>,
    /// The day after which the first of them may not be in use any more.
    pub change: Option<Date>,
}

fn handle(app: &App) -> Result<Response, Failure> {
    let pins = published(|name| app.variable(name))?;
    Ok(json(StatusCode::OK, &pins)?)
}

/// What the environment says.
pub fn published(lookup: impl Fn(&str) -> Option<String>) -> Result<Pins, SetupError> {
    const PINS: &str = "TLS_PINS";
    const CHANGE: &str = "TLS_PINS_CHANGE";
    let set = |name: &str| lookup(name).filter(|text| !text.is_empty());
    let invalid = |name, why| SetupError::from(store::ConfigError::Invalid(name, why));
    let pins: Vec<String> =
        set(PINS).map(|text| text.split(',').map(|pin| pin.trim().to_owned()).collect()).unwrap_or_default();
    let change = set(CHANGE).map(|text| text.parse::<Date>());
    if !pins.iter().all(|pin| STANDARD.decode(pin).is_ok_and(|bytes| bytes.len() == 32)) {
        return Err(invalid(PINS, "a pin is the base64 of 32 bytes"));
    }
    // With one alone, the day its key is lost is the end of the app.
    if pins.len() == 1 || pins.len() > MOST {
        return Err(invalid(PINS, "give two pins or more, and 16 at most"));
    }
    match (pins.is_empty(), change) {
        (true, None) => Ok(Pins { algorithm: "sha256", pins, change: None }),
        (false, Some(Ok(change))) => Ok(Pins { algorithm: "sha256", pins, change: Some(change) }),
        _ => Err(invalid(CHANGE, "give a day, YYYY-MM-DD, with TLS_PINS and not without")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pins: &str, change: &str) -> Result<Pins, SetupError> {
        published(|name| Some(if name == "TLS_PINS" { pins } else { change }.to_owned()))
    }

    #[test]
    fn two_pins_and_a_day_are_published_and_nothing_is_none() {
        let [one, other] = [STANDARD.encode([1; 32]), STANDARD.encode([2; 32])];
        let pins = of(&format!("{one}, {other}"), "2027-03-01").unwrap();
        assert_eq!(pins.pins, [one, other]);
        assert_eq!(pins.change.unwrap().to_string(), "2027-03-01");
        assert!(of("", "").unwrap().pins.is_empty());
    }

    #[test]
    fn what_would_cut_apps_off_is_refused() {
        let pin = STANDARD.encode([1; 32]);
        let two = format!("{pin},{pin}");
        for (pins, change) in
            [(pin.as_str(), "2027-03-01"), (&two, ""), (&two, "soon"), ("", "2027-03-01"), ("sha256,x", "2027-03-01")]
        {
            assert!(of(pins, change).is_err(), "{pins} {change}");
        }
        assert!(of(&vec![pin; 17].join(","), "2027-03-01").is_err());
    }
}
