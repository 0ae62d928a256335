//! From R4 to R5, for resources that come from servers of R4 (<https://hl7.org/fhir/R5/diff.html>).
//!
//! An Observation becomes one that this exchange keeps. Of the types that are kept as they come, only what R5 requires and R4
//! did not is added. What is done to a resource is told, and where what is kept is not R5.

use serde_json::{Map, Value, json};

use crate::outcome::{Issue, IssueCode, OperationOutcome, Severity};
use crate::{Rejection, auxiliary, observation, r5};

/// A resource in R5.
#[derive(Clone, Debug)]
pub struct Converted {
    /// The resource.
    pub resource: Value,
    notes: Vec<Issue>,
}

impl Converted {
    /// What was done to it.
    #[must_use]
    pub fn outcome(&self) -> OperationOutcome {
        let mut notes = self.notes.iter().cloned();
        let first = notes
            .next()
            .unwrap_or_else(|| Issue::new(Severity::Information, IssueCode::Informational, "It was kept as it came."));
        notes.fold(OperationOutcome::new(first), OperationOutcome::and)
    }
}

/// The type of a resource that can be brought.
pub fn kind(resource: &Value) -> Result<&'static str, Rejection> {
    let name = resource.get("resourceType").and_then(Value::as_str);
    named(name.ok_or_else(|| Rejection::required("resourceType"))?)
}

/// The type with this name, if it can be brought.
pub fn named(name: &str) -> Result<&'static str, Rejection> {
    if name == "Observation" { Ok("Observation") } else { auxiliary::kind(name) }
}

/// The resource in R5.
#[must_use]
pub fn convert(kind: &str, resource: &Value) -> Converted {
    let mut notes = Vec::new();
    let mut resource = resource.clone();
    if let Value::Object(members) = &mut resource {
        match kind {
            "Observation" => convert_observation(members, &mut notes),
            "Condition" => default_status(members, &mut notes),
            _ => {}
        }
    }
    // An Observation is checked as one that is uploaded.
    if kind != "Observation"
        && let Err(rejection) = r5::check(kind, &resource)
    {
        notes.push(not_r5(&rejection));
    }
    Converted { resource, notes }
}

/// Resources of many types differ between R4 and R5. They are kept as they came, and the first place is named where they differ.
fn not_r5(rejection: &Rejection) -> Issue {
    let text = format!("{rejection} in R5. It was kept as it came.");
    let issue = Issue::new(Severity::Warning, IssueCode::Informational, &text);
    rejection.expression().map_or(issue.clone(), |expression| issue.at(expression))
}

fn convert_observation(members: &mut Map<String, Value>, notes: &mut Vec<Issue>) {
    sampled(members, "Observation", notes);
    if let Some(Value::Array(components)) = members.get_mut("component") {
        for component in components.iter_mut().filter_map(Value::as_object_mut) {
            sampled(component, "Observation.component", notes);
        }
    }
    for path in observation::keep_known(members) {
        notes.push(
            Issue::new(Severity::Warning, IssueCode::NotSupported, &format!("{path} is not kept by this server."))
                .at(&path),
        );
    }
}

/// `SampledData.period`, in milliseconds, is `interval` with a unit in R5.
fn sampled(members: &mut Map<String, Value>, path: &str, notes: &mut Vec<Issue>) {
    let Some(Value::Object(data)) = members.get_mut("valueSampledData") else { return };
    if let Some(period) = data.remove("period") {
        data.insert("interval".to_owned(), period);
        data.insert("intervalUnit".to_owned(), json!("ms"));
        let at = format!("{path}.valueSampledData.interval");
        let text = "period of R4 became interval, in milliseconds.";
        notes.push(Issue::new(Severity::Information, IssueCode::Informational, text).at(&at));
    }
}

/// `Condition.clinicalStatus` is optional in R4 and required in R5.
fn default_status(members: &mut Map<String, Value>, notes: &mut Vec<Issue>) {
    if members.contains_key("clinicalStatus") {
        return;
    }
    let system = "http://terminology.hl7.org/CodeSystem/condition-clinical";
    members.insert("clinicalStatus".to_owned(), json!({ "coding": [{ "system": system, "code": "unknown" }] }));
    let text = "clinicalStatus was absent in the R4 source (optional in R4, required in R5); defaulted to 'unknown'.";
    notes.push(Issue::new(Severity::Warning, IssueCode::Informational, text).at("Condition.clinicalStatus"));
}

/// What an import asks for (<https://hl7.org/fhir/R4/bundle.html>): each resource, or why the entry has none.
pub type Entry<'a> = Result<&'a Value, Rejection>;

/// The most resources of one import.
pub const MAX_ENTRIES: usize = 200;

/// Whether a body is a Bundle.
#[must_use]
pub fn is_bundle(body: &Value) -> bool {
    body.get("resourceType").and_then(Value::as_str) == Some("Bundle")
}

/// The resources of a body: of a Bundle those of its entries, or the one that it is.
pub fn entries(body: &Value) -> Result<Vec<Entry<'_>>, Rejection> {
    if !is_bundle(body) {
        return Ok(vec![Ok(body)]);
    }
    if !["batch", "collection", "searchset"].map(Some).contains(&body.get("type").and_then(Value::as_str)) {
        return Err(Rejection::value("Bundle.type", "must be batch, collection or searchset"));
    }
    let entries = body
        .get("entry")
        .and_then(Value::as_array)
        .filter(|entries| !entries.is_empty())
        .ok_or_else(|| Rejection::structure("Bundle.entry", "must be a JSON array with items"))?;
    if entries.len() > MAX_ENTRIES {
        return Err(Rejection::too_costly("Bundle.entry", "must not have more than 200 items"));
    }
    Ok(entries.iter().enumerate().map(|(index, entry)| resource(entry, index)).collect())
}

fn resource(entry: &Value, index: usize) -> Entry<'_> {
    let path = format!("Bundle.entry[{index}]");
    let method = entry.get("request").and_then(|request| request.get("method"));
    if method.is_some_and(|method| method != "POST" && method != "PUT") {
        return Err(Rejection::method_not_allowed(
            &format!("{path}.request.method"),
            "must be POST or PUT: entries only bring",
        ));
    }
    entry.get("resource").ok_or_else(|| Rejection::required(&format!("{path}.resource")))
}
