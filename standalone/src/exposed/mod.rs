//! Who was affected by an incident, as it is printed: each patient with what was shown of them. Of all that is printed only one
//! patient is in memory at a time.

pub mod notices;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
    str::FromStr,
};
use store::{Exposure, ExposureContact, ExposureQuery};

/// How it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One document, a line for each event.
    Json,
    /// A row for each patient of each event.
    Csv,
}

/// It is not a format.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("--format is json or csv")]
pub struct NoFormat;

impl FromStr for Format {
    type Err = NoFormat;

    fn from_str(text: &str) -> Result<Self, NoFormat> {
        match text {
            "json" => Ok(Self::Json),
            "csv" => Ok(Self::Csv),
            _ => Err(NoFormat),
        }
    }
}

/// What was shown of one patient.
#[derive(Clone, Debug)]
pub struct Affected {
    /// Who.
    pub patient: i32,
    /// When it was shown for the first time.
    pub first: Timestamp,
    /// And for the last.
    pub last: Timestamp,
    /// How often.
    pub events: u64,
    /// Which observations.
    pub observations: BTreeSet<i64>,
    /// What else, by the names of resources.
    pub resources: BTreeSet<String>,
    /// What of it concerns which of the patient's organizations.
    pub organizations: BTreeMap<i32, Concern>,
    /// Whom to tell, and the kinds of data.
    pub contact: Option<ExposureContact>,
}

/// What was shown of one patient that concerns one organization.
#[derive(Clone, Debug)]
pub struct Concern {
    /// When for the first time.
    pub first: Timestamp,
    /// And for the last.
    pub last: Timestamp,
    /// Which observations.
    pub observations: BTreeSet<i64>,
}

impl Affected {
    fn new(exposure: &Exposure) -> Self {
        let contact = exposure.contact.as_ref();
        Self {
            patient: exposure.patient,
            first: exposure.at,
            last: exposure.at,
            events: 0,
            observations: BTreeSet::new(),
            resources: BTreeSet::new(),
            organizations: BTreeMap::new(),
            contact: contact.map(|contact| ExposureContact { kinds: Vec::new(), ..contact.clone() }),
        }
    }

    fn add(&mut self, exposure: &Exposure) {
        self.last = exposure.at;
        self.events += 1;
        self.observations.extend(&exposure.observations);
        self.resources.insert(exposure.resource_type.clone());
        for organization in &exposure.organizations {
            let new = || Concern { first: exposure.at, last: exposure.at, observations: BTreeSet::new() };
            let concern = self.organizations.entry(*organization).or_insert_with(new);
            concern.last = exposure.at;
            concern.observations.extend(&exposure.observations);
        }
        if let (Some(contact), Some(more)) = (&mut self.contact, &exposure.contact) {
            contact.kinds.extend(more.kinds.iter().cloned());
            contact.kinds.sort_unstable();
            contact.kinds.dedup();
        }
    }
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Patients.
    pub patients: u64,
    /// Events, each once for every patient in it.
    pub events: u64,
    /// Observations that were shown, each once.
    pub observations: u64,
}

/// Prints what it is given, by patient.
pub struct Tally<'a, W> {
    out: &'a mut W,
    format: Format,
    query: &'a ExposureQuery,
    with_contacts: bool,
    begun: bool,
    current: Option<Affected>,
    total: Total,
}

impl<'a, W: Write> Tally<'a, W> {
    /// Prints nothing before there is an answer.
    pub fn new(out: &'a mut W, format: Format, query: &'a ExposureQuery, with_contacts: bool) -> Self {
        Self { out, format, query, with_contacts, begun: false, current: None, total: Total::default() }
    }

    fn begin(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        match self.format {
            Format::Json => {
                let (from, to) = (json!(self.query.from), json!(self.query.to));
                write!(self.out, "{{\"from\":{from},\"to\":{to},\"patients\":[")
            }
            Format::Csv => {
                let contact = if self.with_contacts { ",name,email" } else { "" };
                writeln!(self.out, "{}{contact}", COLUMNS.join(","))
            }
        }
    }

    /// Prints an event of a patient. Those of one patient come together. Gives the patient before, who is complete then.
    pub fn take(&mut self, exposure: &Exposure) -> io::Result<Option<Affected>> {
        self.begin()?;
        let is_other = self.current.as_ref().is_none_or(|current| current.patient != exposure.patient);
        let complete = if is_other { self.complete()? } else { None };
        match self.format {
            Format::Json => {
                if is_other {
                    let comma = if self.total.patients > 0 { "," } else { "" };
                    write!(self.out, "{comma}\n {{\"patient\":{},\"exposures\":[", exposure.patient)?;
                }
                let comma = if is_other { "" } else { "," };
                write!(self.out, "{comma}\n  {}", in_json(exposure))?;
            }
            Format::Csv => writeln!(self.out, "{}", in_csv(exposure, self.with_contacts))?,
        }
        self.current.get_or_insert_with(|| Affected::new(exposure)).add(exposure);
        Ok(complete)
    }

    fn complete(&mut self) -> io::Result<Option<Affected>> {
        let Some(affected) = self.current.take() else { return Ok(None) };
        self.total.patients += 1;
        self.total.events += affected.events;
        self.total.observations += u64::try_from(affected.observations.len()).unwrap_or(u64::MAX);
        if self.format == Format::Json {
            let members = self.members(&affected);
            let text = Value::Object(members).to_string();
            write!(self.out, "],{}", text.strip_prefix('{').unwrap_or_default())?;
        }
        Ok(Some(affected))
    }

    fn members(&self, affected: &Affected) -> Map<String, Value> {
        let mut members = Map::new();
        members.insert("events".to_owned(), json!(affected.events));
        members.insert("observations".to_owned(), json!(affected.observations.len()));
        members.insert("first".to_owned(), json!(affected.first));
        members.insert("last".to_owned(), json!(affected.last));
        if let Some(contact) = affected.contact.as_ref().filter(|_| self.with_contacts) {
            members.insert("name".to_owned(), json!(contact.name));
            members.insert("email".to_owned(), json!(contact.email));
        }
        members
    }

    /// Ends what is printed: the last patient, and how many there are.
    pub fn finish(mut self) -> io::Result<(Option<Affected>, Total)> {
        self.begin()?;
        let last = self.complete()?;
        let Total { patients, events, observations } = self.total;
        if self.format == Format::Json {
            let total = json!({ "patients": patients, "events": events, "observations": observations });
            writeln!(self.out, "],\n \"total\":{total}}}")?;
        }
        Ok((last, self.total))
    }
}

fn in_json(exposure: &Exposure) -> Value {
    json!({
        "event": exposure.event,
        "occurredAt": exposure.at,
        "requestId": exposure.request,
        "user": exposure.user,
        "userType": exposure.user_type,
        "client": exposure.client,
        "action": exposure.action,
        "resourceType": exposure.resource_type,
        "organizations": exposure.organizations,
        "observations": exposure.observations,
        "counted": exposure.counted,
    })
}

const COLUMNS: [&str; 12] = [
    "patient",
    "occurred_at",
    "event",
    "request_id",
    "user",
    "user_type",
    "client",
    "action",
    "resource_type",
    "organizations",
    "observations",
    "counted",
];

/// A row (RFC 4180). Several ids are divided by spaces.
fn in_csv(exposure: &Exposure, with_contacts: bool) -> String {
    let optional = |id: Option<i32>| id.map(|id| id.to_string()).unwrap_or_default();
    let mut fields = vec![
        exposure.patient.to_string(),
        exposure.at.to_string(),
        exposure.event.to_string(),
        exposure.request.clone(),
        optional(exposure.user),
        exposure.user_type.clone(),
        optional(exposure.client),
        exposure.action.clone(),
        exposure.resource_type.clone(),
        spaced(&exposure.organizations),
        spaced(&exposure.observations),
        exposure.counted.map(|counted| counted.to_string()).unwrap_or_default(),
    ];
    if let Some(contact) = exposure.contact.as_ref().filter(|_| with_contacts) {
        fields.extend([contact.name.clone(), contact.email.clone()]);
    }
    let fields: Vec<String> = fields.iter().map(|field| quoted(field)).collect();
    fields.join(",")
}

fn spaced(ids: &[impl ToString]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// A field in quotes where it needs them. What a spreadsheet would take for a formula is text.
fn quoted(field: &str) -> String {
    let guard = if field.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    if guard.is_empty() && !field.contains(['"', ',', '\r', '\n']) {
        return field.to_owned();
    }
    format!("\"{guard}{}\"", field.replace('"', "\"\""))
}

#[cfg(test)]
mod tests;
