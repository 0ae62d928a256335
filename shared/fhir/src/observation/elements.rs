//! What an Observation says by FHIR's own elements: `value[x]`, its parts, and what explains them.
//!
//! They are checked against the data types of R5 and kept as they were sent, decimals to the digit.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::Attachment;
use crate::Rejection;
use crate::datetime::{self, Precision};
use crate::element::Element;
use crate::shape::{
    ANNOTATION, CODEABLE_CONCEPT, DATE_TIME, Kind, Member, PERIOD, QUANTITY, RANGE, RATIO, SAMPLED_DATA,
    SIMPLE_QUANTITY, TEXT, TIME, list, nothing, optional, prune_object, required,
};

/// The forms of `value[x]`, but `valueAttachment`.
const VALUES: [Member; 11] = [
    optional("valueQuantity", QUANTITY),
    optional("valueCodeableConcept", CODEABLE_CONCEPT),
    optional("valueString", TEXT),
    optional("valueBoolean", Kind::Boolean),
    optional("valueInteger", Kind::Integer),
    optional("valueRange", RANGE),
    optional("valueRatio", RATIO),
    optional("valueSampledData", SAMPLED_DATA),
    optional("valueTime", TIME),
    optional("valueDateTime", DATE_TIME),
    optional("valuePeriod", PERIOD),
];

const REFERENCE_RANGE: Kind = Kind::Complex(
    &[
        optional("low", SIMPLE_QUANTITY),
        optional("high", SIMPLE_QUANTITY),
        optional("normalValue", CODEABLE_CONCEPT),
        optional("type", CODEABLE_CONCEPT),
        list("appliesTo", CODEABLE_CONCEPT),
        optional("age", RANGE),
        optional("text", TEXT),
    ],
    |members| {
        // obs-3
        (!["low", "high", "text"].iter().any(|name| members.contains_key(*name))).then_some("needs low, high or text")
    },
);

const COMPONENT: Kind = Kind::Complex(
    &[
        required("code", CODEABLE_CONCEPT),
        VALUES[0],
        VALUES[1],
        VALUES[2],
        VALUES[3],
        VALUES[4],
        VALUES[5],
        VALUES[6],
        VALUES[7],
        VALUES[8],
        VALUES[9],
        VALUES[10],
        optional("dataAbsentReason", CODEABLE_CONCEPT),
        list("interpretation", CODEABLE_CONCEPT),
        list("referenceRange", REFERENCE_RANGE),
    ],
    one_value,
);

/// The elements beside `value[x]`, in the order in which they are written.
const OTHERS: [Member; 7] = [
    optional("dataAbsentReason", CODEABLE_CONCEPT),
    list("interpretation", CODEABLE_CONCEPT),
    list("note", ANNOTATION),
    optional("bodySite", CODEABLE_CONCEPT),
    optional("method", CODEABLE_CONCEPT),
    list("referenceRange", REFERENCE_RANGE),
    list("component", COMPONENT),
];

/// The forms of `effective[x]`.
const EFFECTIVE: [Member; 3] = [
    optional("effectiveDateTime", DATE_TIME),
    optional("effectivePeriod", Kind::Complex(&[required("start", DATE_TIME), required("end", DATE_TIME)], nothing)),
    optional("effectiveInstant", Kind::Text(|text| datetime::instant(text).err())),
];

/// Every element that is read here.
pub(super) fn members() -> impl Iterator<Item = &'static Member> {
    EFFECTIVE.iter().chain(&VALUES).chain(&OTHERS)
}

/// At most one value, and no reason for its absence beside it (obs-6).
fn one_value(members: &Map<String, Value>) -> Option<&'static str> {
    let values = members.keys().filter(|name| name.starts_with("value")).count();
    if values > 1 {
        Some("must have one value")
    } else if values == 1 && members.contains_key("dataAbsentReason") {
        Some("must not have a value and a reason for its absence")
    } else {
        None
    }
}

/// The elements of an Observation, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elements {
    /// Each with its JSON text, in the order in which they are written.
    texts: Vec<(&'static str, String)>,
    start: Timestamp,
    end: Timestamp,
}

impl Elements {
    /// Reads them. `issued` is when the result was made available, which is the time of one that states no other.
    pub(super) fn read(root: &Element<'_>, issued: Option<&str>) -> Result<Self, Rejection> {
        let mut texts = Vec::new();
        let mut read = |member: &Member| -> Result<(), Rejection> {
            if let Some(value) = root.get(member.name) {
                member.check(value, &root.at(member.name))?;
                texts.push((member.name, value.to_string()));
            }
            Ok(())
        };
        EFFECTIVE.iter().chain(&VALUES).try_for_each(&mut read)?;
        OTHERS.iter().try_for_each(&mut read)?;
        if let Some(attachment) = root.child("valueAttachment")? {
            texts.push(("valueAttachment", Attachment::read_any(&attachment)?.to_json()));
        }
        if let Some(problem) = one_value(root.members()) {
            return Err(Rejection::value(&root.at("value"), problem));
        }
        let says = |name: &str| name.starts_with("value") || ["dataAbsentReason", "component"].contains(&name);
        if !texts.iter().any(|(name, _)| says(name)) {
            return Err(Rejection::incomplete(&root.at("value"), "is required, or dataAbsentReason, or component"));
        }
        let (start, end) = when(root, issued)?;
        Ok(Self { texts, start, end })
    }

    /// The first and the last moment of the time that it speaks of.
    #[must_use]
    pub const fn interval(&self) -> (Timestamp, Timestamp) {
        (self.start, self.end)
    }

    /// The elements that say when, or those that do not.
    pub(super) fn texts(&self, when: bool) -> impl Iterator<Item = (&'static str, &str)> {
        self.texts
            .iter()
            .filter(move |(name, _)| name.starts_with("effective") == when)
            .map(|(name, text)| (*name, text.as_str()))
    }
}

/// The time of an Observation.
fn when(root: &Element<'_>, issued: Option<&str>) -> Result<(Timestamp, Timestamp), Rejection> {
    let given = EFFECTIVE.iter().filter(|member| root.get(member.name).is_some()).count();
    if given > 1 {
        return Err(Rejection::structure(&root.at("effective"), "must be given once"));
    }
    let text = |name: &str| root.get(name).and_then(Value::as_str).and_then(span);
    let period = root.get("effectivePeriod").map(|period| {
        let bound = |name: &str| period.get(name).and_then(Value::as_str).and_then(span);
        (bound("start"), bound("end"))
    });
    let found = match period {
        Some((Some((start, _)), Some((_, end)))) if start <= end => Some((start, end)),
        Some((Some(_), Some(_))) => {
            return Err(Rejection::value(&root.at("effectivePeriod"), "must not end before it starts"));
        }
        Some(_) => None,
        None => text("effectiveDateTime").or_else(|| text("effectiveInstant")).or_else(|| issued.and_then(span)),
    };
    found.ok_or_else(|| {
        Rejection::incomplete(&root.at("effective"), "must be a time before 9999-12-30, or issued must be")
    })
}

/// The first and the last moment of a date or time. None when it is after the last instant there is.
fn span(text: &str) -> Option<(Timestamp, Timestamp)> {
    let moment = datetime::parse(text).filter(|moment| moment.exact)?;
    if moment.precision == Precision::Second {
        return Some((moment.low, moment.low));
    }
    // What is stored has microseconds.
    Some((moment.low, moment.high.checked_sub(SignedDuration::from_micros(1)).ok()?))
}

/// What of every Observation is kept, as [`Submission`](super::Submission) reads it.
const BASIS: [Member; 7] = [
    list("identifier", IDENTIFIER),
    optional("status", ANYTHING),
    list("category", CODEABLE_CONCEPT),
    optional("code", CODEABLE_CONCEPT),
    optional("issued", ANYTHING),
    optional("subject", ANYTHING),
    optional("valueAttachment", ATTACHMENT),
];
const ANYTHING: Kind = Kind::Text(|_| None);
const IDENTIFIER: Kind =
    Kind::Complex(&[optional("system", ANYTHING), optional("value", ANYTHING), optional("use", ANYTHING)], nothing);
const ATTACHMENT: Kind = Kind::Complex(
    &[
        optional("contentType", ANYTHING),
        optional("language", ANYTHING),
        optional("data", ANYTHING),
        optional("size", ANYTHING),
        optional("hash", ANYTHING),
        optional("title", ANYTHING),
        optional("creation", ANYTHING),
    ],
    nothing,
);

/// Takes out of a resource what is not kept, and returns the paths of that. `resourceType`, `id` and `meta` stay.
pub(crate) fn keep_known(resource: &mut Map<String, Value>) -> Vec<String> {
    let mut members: Vec<Member> = BASIS.to_vec();
    members.extend(self::members().copied());
    let own: Vec<(String, Value)> =
        ["resourceType", "id", "meta"].iter().filter_map(|name| resource.remove_entry(*name)).collect();
    let mut dropped = Vec::new();
    prune_object(resource, &members, "Observation", &mut dropped);
    resource.extend(own);
    dropped
}
