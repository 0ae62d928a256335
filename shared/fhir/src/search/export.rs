//! Parameters of `Group/[id]/$export` (<https://hl7.org/fhir/uv/bulkdata/STU2/export.html>).

use jiff::Timestamp;
use serde_json::Value;

use crate::search::token::items;
use crate::search::{Everything, Handling};
use crate::{Rejection, datetime};

/// What would narrow the files and is not supported. To pass it over would give more than was asked for.
const NARROWING: [&str; 6] = ["_typeFilter", "_elements", "_until", "patient", "_lastUpdated", "_source"];

/// How the files are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExportFormat {
    /// A resource of FHIR on each line.
    #[default]
    Ndjson,
    /// A table for each kind of data, as text.
    Csv,
    /// The same table with types, as a file of Apache Parquet.
    Parquet,
}

impl ExportFormat {
    /// Its short name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }

    /// The format with this short name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Ndjson, Self::Csv, Self::Parquet].into_iter().find(|format| format.name() == name)
    }

    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/fhir+ndjson",
            Self::Csv => "text/csv",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    fn asked(value: &str) -> Option<Self> {
        match value {
            "application/fhir+ndjson" | "application/ndjson" | "ndjson" => Some(Self::Ndjson),
            "text/csv" | "csv" => Some(Self::Csv),
            "application/vnd.apache.parquet" | "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// What is asked of an export.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Export {
    /// `_type`: only these types, each once and in order; empty: all.
    pub types: Vec<&'static str>,
    /// `_since`: only what changed at this time or later.
    pub since: Option<Timestamp>,
    /// `_outputFormat`.
    pub format: ExportFormat,
}

impl Export {
    /// Reads the parameters.
    pub fn parse(pairs: &[(String, String)], handling: Handling) -> Result<Self, Rejection> {
        let mut asked = Self::default();
        let mut seen = Vec::new();
        for (name, value) in pairs {
            let name = name.as_str();
            if name != "_type" && seen.contains(&name) {
                return Err(Rejection::parameter(name_of(name), "must not be repeated"));
            }
            seen.push(name);
            asked.take(name, value, handling)?;
        }
        asked.types.sort_by_key(|kind| Everything::all().position(|known| known == *kind));
        asked.types.dedup();
        if asked.format != ExportFormat::Ndjson {
            if asked.types.iter().any(|kind| *kind != "Observation") {
                return Err(Rejection::parameter("_type", "must be Observation where tables are asked for"));
            }
            asked.types = vec!["Observation"];
        }
        Ok(asked)
    }

    fn take(&mut self, name: &str, value: &str, handling: Handling) -> Result<(), Rejection> {
        match name {
            "_type" => {
                for item in items(name, value)? {
                    let known = Everything::all().find(|known| *known == item);
                    self.types.push(
                        known.ok_or_else(|| Rejection::parameter(name, "must name types of a patient's resources"))?,
                    );
                }
            }
            "_since" => {
                self.since = Some(datetime::instant(value).map_err(|problem| Rejection::parameter(name, problem))?);
            }
            "_outputFormat" => {
                self.format = ExportFormat::asked(value).ok_or_else(|| {
                    Rejection::parameter(
                        name,
                        "must be application/fhir+ndjson, text/csv or application/vnd.apache.parquet",
                    )
                })?;
            }
            // Of the answer to the kick-off, which is none or an OperationOutcome.
            "_format" => {}
            _ if NARROWING.contains(&name) => {
                return Err(Rejection::parameter_not_supported(format!(
                    "Parameter {name} is not supported: name types or a time (_type, _since)"
                )));
            }
            _ if handling == Handling::Strict => {
                return Err(Rejection::parameter_not_supported("A parameter is not supported".to_owned()));
            }
            _ => {}
        }
        Ok(())
    }

    /// The parameters of a `Parameters` resource as pairs.
    pub fn pairs(parameters: &Value) -> Result<Vec<(String, String)>, Rejection> {
        let wrong = || Rejection::value("Parameters", "must have parameters, each with a name and a value");
        if parameters.get("resourceType").and_then(Value::as_str) != Some("Parameters") {
            return Err(wrong());
        }
        let list = match parameters.get("parameter") {
            None => return Ok(Vec::new()),
            Some(list) => list.as_array().ok_or_else(wrong)?,
        };
        list.iter()
            .map(|parameter| {
                let members = parameter.as_object().ok_or_else(wrong)?;
                let name = members.get("name").and_then(Value::as_str).ok_or_else(wrong)?;
                let value = members.iter().find(|(member, _)| member.starts_with("value")).map(|(_, value)| value);
                let value = match value {
                    Some(Value::String(text)) => text.clone(),
                    Some(Value::Bool(value)) => value.to_string(),
                    // A patient by a reference, which is not supported and refused by its name.
                    Some(_) if NARROWING.contains(&name) => String::new(),
                    _ => return Err(wrong()),
                };
                Ok((name.to_owned(), value))
            })
            .collect()
    }
}

/// The name of a parameter in a message: no other than those that we know is repeated to who sent it.
fn name_of(name: &str) -> &'static str {
    ["_since", "_outputFormat", "_format"].into_iter().find(|known| *known == name).unwrap_or("list")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(pairs: &[(&str, &str)]) -> Result<Export, Rejection> {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Export::parse(&pairs, Handling::Lenient)
    }

    #[test]
    fn types_are_named_once_and_in_order() {
        let asked = parse(&[("_type", "Observation,Patient"), ("_type", "Patient")]).unwrap();
        assert_eq!(asked.types, ["Patient", "Observation"]);
        assert_eq!(parse(&[]).unwrap(), Export::default());
    }

    #[test]
    fn tables_are_of_observations() {
        for format in ["text/csv", "csv", "application/vnd.apache.parquet", "parquet"] {
            assert_eq!(parse(&[("_outputFormat", format)]).unwrap().types, ["Observation"]);
            assert!(parse(&[("_outputFormat", format), ("_type", "Patient")]).is_err());
        }
        for format in ["application/fhir+ndjson", "application/ndjson", "ndjson"] {
            assert_eq!(parse(&[("_outputFormat", format)]).unwrap().format, ExportFormat::Ndjson);
        }
    }

    #[test]
    fn what_would_narrow_is_refused_and_what_is_unknown_when_asked_to() {
        for name in NARROWING {
            assert_eq!(parse(&[(name, "x")]).unwrap_err().status(), 400, "{name}");
        }
        for wrong in [("_type", "Nothing"), ("_since", "yesterday"), ("_outputFormat", "text/html"), ("_type", "")] {
            assert!(parse(&[wrong]).is_err(), "{wrong:?}");
        }
        assert!(parse(&[("_since", "2026-01-01T00:00:00Z"), ("_since", "2026-01-01T00:00:00Z")]).is_err());
        assert!(parse(&[("organizeOutputBy", "Patient")]).is_ok());
        let pairs = [("organizeOutputBy".to_owned(), "Patient".to_owned())];
        assert!(Export::parse(&pairs, Handling::Strict).is_err());
    }

    #[test]
    fn parameters_are_pairs() {
        let body = json!({ "resourceType": "Parameters", "parameter": [
            { "name": "_type", "valueString": "Observation" }, { "name": "_since", "valueInstant": "2026-01-01T00:00:00Z" }] });
        let asked = Export::parse(&Export::pairs(&body).unwrap(), Handling::Strict).unwrap();
        assert_eq!(asked.types, ["Observation"]);
        assert!(asked.since.is_some());
        let named = json!({ "resourceType": "Parameters",
            "parameter": [{ "name": "patient", "valueReference": { "reference": "Patient/40001" } }] });
        assert!(Export::parse(&Export::pairs(&named).unwrap(), Handling::Lenient).is_err());
        for wrong in [json!({}), json!([]), json!({ "resourceType": "Parameters", "parameter": [{}] })] {
            assert!(Export::pairs(&wrong).is_err(), "{wrong}");
        }
    }
}
