//! The schemas built into this crate, and their validators.

use std::sync::{LazyLock, OnceLock};

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{Registry, Validator};
use serde_json::Value;

/// One schema document, with a validator that is compiled when first used: a function that takes
/// one type of data point compiles one.
pub(crate) struct Schema {
    code: &'static str,
    document: &'static str,
    validator: OnceLock<Option<Validator>>,
}

impl Schema {
    const fn new(code: &'static str, document: &'static str) -> Self {
        Self { code, document, validator: OnceLock::new() }
    }

    /// The code that names this schema.
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// The document.
    pub(crate) fn document(&self) -> &'static str {
        self.document
    }

    /// The validator. `None` if the document does not compile, which a test rules out.
    pub(crate) fn validator(&self) -> Option<&Validator> {
        self.validator.get_or_init(|| compile(self.document)).as_ref()
    }
}

/// The header that every data point has (IEEE 1752.1, schema `header`).
pub(crate) static HEADER: Schema = Schema::new("ieee:header:1.0", include_str!("../schemas/header.json"));

static BODIES: [Schema; 20] = [
    Schema::new("ieee:physical-activity:1.0", include_str!("../schemas/types/ieee_physical-activity_1.0.json")),
    Schema::new("ieee:sleep-episode:1.0", include_str!("../schemas/types/ieee_sleep-episode_1.0.json")),
    Schema::new("ieee:sleep-stage-summary:1.0", include_str!("../schemas/types/ieee_sleep-stage-summary_1.0.json")),
    Schema::new("ieee:time-in-bed:1.0", include_str!("../schemas/types/ieee_time-in-bed_1.0.json")),
    Schema::new("ieee:total-sleep-time:1.0", include_str!("../schemas/types/ieee_total-sleep-time_1.0.json")),
    Schema::new("omh:blood-glucose:4.0", include_str!("../schemas/types/omh_blood-glucose_4.0.json")),
    Schema::new("omh:blood-pressure:4.0", include_str!("../schemas/types/omh_blood-pressure_4.0.json")),
    Schema::new("omh:body-height:2.0", include_str!("../schemas/types/omh_body-height_2.0.json")),
    Schema::new("omh:body-temperature:4.0", include_str!("../schemas/types/omh_body-temperature_4.0.json")),
    Schema::new("omh:body-weight:3.0", include_str!("../schemas/types/omh_body-weight_3.0.json")),
    Schema::new(
        "omh:forced-expiratory-volume-1-second:1.0",
        include_str!("../schemas/types/omh_forced-expiratory-volume-1-second_1.0.json"),
    ),
    Schema::new("omh:forced-vital-capacity:1.0", include_str!("../schemas/types/omh_forced-vital-capacity_1.0.json")),
    Schema::new("omh:heart-rate:2.0", include_str!("../schemas/types/omh_heart-rate_2.0.json")),
    Schema::new("omh:oxygen-saturation:2.0", include_str!("../schemas/types/omh_oxygen-saturation_2.0.json")),
    Schema::new("omh:physical-activity:1.2", include_str!("../schemas/types/omh_physical-activity_1.2.json")),
    Schema::new("omh:respiratory-rate:2.0", include_str!("../schemas/types/omh_respiratory-rate_2.0.json")),
    Schema::new("omh:rr-interval:1.0", include_str!("../schemas/types/omh_rr-interval_1.0.json")),
    Schema::new("omh:sleep-duration:2.0", include_str!("../schemas/types/omh_sleep-duration_2.0.json")),
    Schema::new("omh:sleep-episode:1.1", include_str!("../schemas/types/omh_sleep-episode_1.1.json")),
    Schema::new("omh:step-count:3.0", include_str!("../schemas/types/omh_step-count_3.0.json")),
];

/// The documents that the others refer to.
const PARTS: [(&str, &str); 3] = [
    ("urn:omh-schemas:terms", include_str!("../schemas/parts/terms.json")),
    ("urn:omh-schemas:time", include_str!("../schemas/parts/time.json")),
    ("urn:omh-schemas:units", include_str!("../schemas/parts/units.json")),
];

static REGISTRY: LazyLock<Option<Registry<'static>>> = LazyLock::new(|| {
    let mut registry = Registry::new();
    for (uri, text) in PARTS {
        let document: Value = serde_json::from_str(text).ok()?;
        registry = registry.add(uri, document).ok()?;
    }
    registry.prepare().ok()
});

/// `format` stays an annotation: see the crate's documentation.
fn compile(document: &str) -> Option<Validator> {
    let document: Value = serde_json::from_str(document).ok()?;
    jsonschema::options()
        .with_registry(REGISTRY.as_ref()?)
        .should_validate_formats(false)
        .offline()
        .build(&document)
        .ok()
}

/// The documents that the others refer to, by their URIs.
pub(crate) fn parts() -> impl Iterator<Item = (&'static str, &'static str)> {
    PARTS.into_iter()
}

/// The body schema of this code.
pub(crate) fn body(code: &str) -> Option<&'static Schema> {
    BODIES.iter().find(|schema| schema.code == code)
}

/// Whether a data point of this code can be validated, for example `omh:heart-rate:2.0`.
#[must_use]
pub fn is_known(code: &str) -> bool {
    body(code).is_some()
}

/// The codes of all body schemas, sorted.
pub fn known_codes() -> impl Iterator<Item = &'static str> {
    BODIES.iter().map(Schema::code)
}

/// A rule that a value breaks: where, as a JSON pointer, and which.
pub(crate) struct Breach {
    pub(crate) path: String,
    pub(crate) reason: String,
}

/// Checks a value. Finding the reason costs more than finding that there is one, so that it is
/// looked for only in a value that is not valid.
pub(crate) fn check(validator: &Validator, value: &Value, member: &str) -> Result<(), Breach> {
    if validator.is_valid(value) {
        return Ok(());
    }
    validator
        .validate(value)
        .map_err(|error| Breach { path: format!("/{member}{}", error.instance_path()), reason: reason(error.kind()) })
}

/// Names the rule and never the value that breaks it.
fn reason(kind: &ValidationErrorKind) -> String {
    match kind {
        ValidationErrorKind::Required { property } => format!("the member {property} is required"),
        ValidationErrorKind::Type { kind: TypeKind::Single(expected) } => format!("must be of type {expected}"),
        ValidationErrorKind::Enum { options } => format!("must be one of {options}"),
        ValidationErrorKind::Pattern { pattern } => format!("must match {pattern}"),
        ValidationErrorKind::OneOfMultipleValid { .. } => {
            "must have one of the permitted forms, and has more than one".to_owned()
        }
        ValidationErrorKind::OneOfNotValid { .. } => "must have one of the permitted forms, and has none".to_owned(),
        other => format!("breaks the rule `{}`", other.keyword()),
    }
}
