//! From JSON to a [`Submission`].

use jiff::Timestamp;
use serde_json::Value;

use super::parts::{CodeableConcept, Referred, identifiers};
use super::{Attachment, Effective, Elements, ObservationStatus, Said, Submission, elements};
use crate::Rejection;
use crate::auxiliary::TYPE_SYSTEM;
use crate::datetime::instant;
use crate::element::{Element, required};

const MAX_CATEGORIES: usize = 20;

/// Accepted of every Observation: kept, or assigned by the server (`id`, `meta`).
const KEPT: [&str; 11] = [
    "resourceType",
    "id",
    "meta",
    "status",
    "identifier",
    "category",
    "code",
    "issued",
    "subject",
    "device",
    "valueAttachment",
];

/// Accepted also of a data point.
const EFFECTIVE: [&str; 2] = ["effectiveDateTime", "effectivePeriod"];

/// The other elements of R5 Observation.
const DEFINED: [&str; 41] = [
    "effectiveDateTime",
    "effectivePeriod",
    "implicitRules",
    "language",
    "text",
    "contained",
    "extension",
    "modifierExtension",
    "instantiatesCanonical",
    "instantiatesReference",
    "basedOn",
    "triggeredBy",
    "partOf",
    "focus",
    "encounter",
    "effectiveTiming",
    "effectiveInstant",
    "performer",
    "valueQuantity",
    "valueCodeableConcept",
    "valueString",
    "valueBoolean",
    "valueInteger",
    "valueRange",
    "valueRatio",
    "valueSampledData",
    "valueTime",
    "valueDateTime",
    "valuePeriod",
    "valueReference",
    "dataAbsentReason",
    "interpretation",
    "note",
    "bodySite",
    "bodyStructure",
    "method",
    "specimen",
    "referenceRange",
    "hasMember",
    "derivedFrom",
    "component",
];

impl Submission {
    /// Reads an Observation.
    ///
    /// `id` and `meta` are ignored: the server assigns them. Any other element that would not be
    /// given back is refused.
    pub fn parse(resource: &Value) -> Result<Self, Rejection> {
        let root = Element::new(resource, "Observation".to_owned())?;
        match root.get("resourceType").map(Value::as_str) {
            Some(Some("Observation")) => {}
            Some(_) => {
                return Err(Rejection::structure(&root.at("resourceType"), "must be Observation"));
            }
            None => return Err(Rejection::required(&root.at("resourceType"))),
        }
        let concept = CodeableConcept::read(&required(root.child("code")?, &root.at("code"))?)?;
        let code = concept
            .coded()
            .ok_or_else(|| Rejection::incomplete(&root.at("code.coding"), "needs a system and a code"))?;
        if code.system == TYPE_SYSTEM {
            // Who consents to a type consents to no observations.
            return Err(Rejection::value(&root.at("code"), "must not be a resource type"));
        }
        let is_data_point = is_of_data_points(&code.system);
        let kept: Vec<&str> = if is_data_point {
            KEPT.iter().chain(&EFFECTIVE).copied().collect()
        } else {
            KEPT.iter().copied().chain(elements::members().map(|member| member.name)).collect()
        };
        root.only(&kept, &DEFINED)?;
        let subject_reference = Referred::read(&root, "subject", "Patient")?;
        let device_reference = Referred::read(&root, "device", "Device")?;
        let issued = issued(&root)?;
        let said = if is_data_point {
            let value = required(root.child("valueAttachment")?, &root.at("valueAttachment"))?;
            Said::DataPoint(Attachment::read(&value)?, effective(&root)?)
        } else {
            Said::Elements(Elements::read(&root, issued.as_deref())?)
        };
        let categories = root.list("category", MAX_CATEGORIES)?;
        Ok(Self {
            status: status(&root)?,
            identifiers: identifiers(&root)?,
            code,
            subject: subject_reference.id,
            device: device_reference.id,
            said,
            issued,
            category: categories.iter().map(CodeableConcept::read).collect::<Result<_, _>>()?,
            concept,
            subject_reference,
            device_reference,
        })
    }

    /// Checks that absolute references are to the server at `base_url`: the same number elsewhere is
    /// another patient.
    pub fn refers_only_to(&self, base_url: &str) -> Result<(), Rejection> {
        let references = [("subject", &self.subject_reference), ("device", &self.device_reference)];
        for (name, reference) in references {
            let elsewhere = reference.base.as_ref().is_some_and(|base| base != base_url.trim_end_matches('/'));
            if elsewhere {
                let path = format!("Observation.{name}.reference");
                return Err(Rejection::value(&path, "is to another server"));
            }
        }
        Ok(())
    }

    /// Checks that the time the client sent, if any, is that of the data point.
    pub fn agrees_with(&self, data_point: &Effective) -> Result<(), Rejection> {
        match self.said {
            Said::DataPoint(_, Some(sent)) if sent != *data_point => Err(Rejection::business_rule(
                "Observation.effective",
                "is not the effective time of the attached data point",
            )),
            _ => Ok(()),
        }
    }
}

/// The code systems whose codes name the schema of a data point.
const DATA_POINTS: [&str; 2] = ["https://w3id.org/openmhealth", "https://w3id.org/ieee1752"];

/// Whether the codes of this system name data points of Open mHealth or IEEE 1752.1.
#[must_use]
pub fn is_of_data_points(system: &str) -> bool {
    DATA_POINTS.contains(&system)
}

fn status(root: &Element<'_>) -> Result<ObservationStatus, Rejection> {
    let path = root.at("status");
    let code = required(root.code("status")?, &path)?;
    ObservationStatus::from_code(&code)
        .ok_or_else(|| Rejection::value(&path, "must be a code of the observation-status value set"))
}

fn issued(root: &Element<'_>) -> Result<Option<String>, Rejection> {
    root.text("issued", |text| instant(text).err())
}

fn effective(root: &Element<'_>) -> Result<Option<Effective>, Rejection> {
    let at = moment(root, "effectiveDateTime")?;
    let Some(period) = root.child("effectivePeriod")? else {
        return Ok(at.map(Effective::Instant));
    };
    if at.is_some() {
        return Err(Rejection::structure(&root.at("effective"), "must be given once"));
    }
    period.only(&["start", "end"], &[])?;
    let start = required(moment(&period, "start")?, &period.at("start"))?;
    let end = required(moment(&period, "end")?, &period.at("end"))?;
    if end < start {
        return Err(Rejection::value(period.path(), "must not end before it starts"));
    }
    Ok(Some(Effective::Period { start, end }))
}

/// A `dateTime` as exact as a data point's: partial dates are not kept, so they are not taken.
fn moment(element: &Element<'_>, name: &str) -> Result<Option<Timestamp>, Rejection> {
    let text = element.text(name, |_| None)?;
    text.map(|text| instant(&text).map_err(|problem| Rejection::value(&element.at(name), problem))).transpose()
}
