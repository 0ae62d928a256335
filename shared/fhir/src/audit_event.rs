//! `AuditEvent` (<https://hl7.org/fhir/R5/auditevent.html>), after the patterns of IHE's Basic Audit Log Patterns
//! (<https://profiles.ihe.net/ITI/BALP/>): `PatientRead`, `PatientQuery`, `PatientCreate`, `PatientUpdate` and `PatientDelete`.
//!
//! These profiles are of R4; the elements here are R5's. What a search asked for is not kept, so there is no entity for the query.

use jiff::Timestamp;

use crate::json::Object;
use crate::{SOURCE, USER_ID_SYSTEM};

const DICOM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
const OBJECT_ROLE: &str = "http://terminology.hl7.org/CodeSystem/object-role";
const CLIENT_SYSTEM: &str = "https://jupyterhealth.org/fhir/identifier/client";
const ROLE_SYSTEM: &str = "https://jupyterhealth.org/fhir/CodeSystem/role";
const LAYER_SYSTEM: &str = "https://jupyterhealth.org/fhir/CodeSystem/refused-by";

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor<'a> {
    /// The account.
    pub user: i32,
    /// The name, for readers.
    pub name: &'a str,
    /// As which resource: `Practitioner` or `Patient`, and its id.
    pub resource: Option<(&'static str, i32)>,
}

/// An event of the audit.
#[derive(Clone, Debug)]
pub struct AuditEvent<'a> {
    /// The event's number.
    pub id: i64,
    /// When.
    pub occurred_at: Timestamp,
    /// `read`, `search`, `create`, `update`, `delete` or `execute`.
    pub action: &'a str,
    /// To what.
    pub resource_type: &'a str,
    /// `allowed`, `denied` or `failed`.
    pub outcome: &'a str,
    /// The layer that refused.
    pub refused_by: Option<&'a str>,
    /// Who; none when nobody was authenticated or it is not for the reader to know.
    pub actor: Option<Actor<'a>>,
    /// `anonymous`, `patient`, `practitioner`, `super_admin` or `system`.
    pub actor_type: &'a str,
    /// The role in the organization.
    pub role: Option<&'a str>,
    /// The app: its id and name.
    pub client: Option<(i32, &'a str)>,
    /// From where.
    pub address: Option<&'a str>,
    /// Why.
    pub reason: Option<&'a str>,
    /// The request.
    pub request_id: &'a str,
    /// The patient for whom somebody else decided.
    pub on_behalf_of: Option<i32>,
    /// The patients.
    pub patients: &'a [i32],
    /// The observations.
    pub observations: &'a [i64],
    /// The studies.
    pub studies: Vec<i32>,
    /// The organizations.
    pub organizations: Vec<i32>,
    /// Where the exchange is.
    pub site: &'a str,
}

impl AuditEvent<'_> {
    /// The resource as R5 JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let at = self.occurred_at.to_string();
        let event = Object::resource("AuditEvent")
            .string("id", &self.id.to_string())
            .raw("meta", &Object::new().string("lastUpdated", &at).string("source", SOURCE).finish())
            .list("category", &[concept("http://terminology.hl7.org/CodeSystem/audit-event-type", "rest")])
            .raw("code", &concept("http://hl7.org/fhir/restful-interaction", self.interaction()))
            .string("action", self.action_code())
            .string("severity", if self.outcome == "allowed" { "informational" } else { "warning" })
            .string("occurredDateTime", &at)
            .string("recorded", &at)
            .raw("outcome", &self.outcome());
        let event = match self.reason {
            Some(reason) if !reason.trim().is_empty() => event.list("authorization", &[text(reason)]),
            _ => event,
        };
        let event = match self.patients {
            [one] => event.raw("patient", &reference("Patient", i64::from(*one))),
            _ => event,
        };
        event.list("agent", &self.agents()).raw("source", &self.source()).list("entity", &self.entities()).finish()
    }

    fn interaction(&self) -> &'static str {
        match self.action {
            "read" => "read",
            "search" => "search-type",
            "create" => "create",
            "update" => "update",
            "delete" => "delete",
            _ => "operation",
        }
    }

    /// <https://hl7.org/fhir/R5/valueset-audit-event-action.html>; a search is an execution.
    fn action_code(&self) -> &'static str {
        match self.action {
            "read" => "R",
            "create" => "C",
            "update" => "U",
            "delete" => "D",
            _ => "E",
        }
    }

    /// Success, or a failure that is the caller's.
    fn outcome(&self) -> String {
        let (code, display) = if self.outcome == "allowed" { ("0", "Success") } else { ("4", "Minor failure") };
        let coding = Object::new()
            .string("system", "http://terminology.hl7.org/CodeSystem/audit-event-outcome")
            .string("code", code)
            .string("display", display)
            .finish();
        let detail: Vec<String> = self.refused_by.map(|layer| concept(LAYER_SYSTEM, layer)).into_iter().collect();
        Object::new().raw("code", &coding).list("detail", &detail).finish()
    }

    fn agents(&self) -> Vec<String> {
        // Data that are read flow from the server to the client; everything else flows to the server.
        let (client, server) = if self.action == "read" { ("110152", "110153") } else { ("110153", "110152") };
        let site = Object::new().string("type", "Device").string("display", self.site).finish();
        let server = Object::new()
            .raw("type", &concept(DICOM, server))
            .raw("who", &site)
            .raw("requestor", "false")
            .string("networkUri", self.site)
            .finish();
        let mut agents = vec![self.user()];
        agents.extend(self.client.map(|(id, name)| {
            let who = Object::new()
                .raw("identifier", &identifier(CLIENT_SYSTEM, &id.to_string()))
                .optional("display", Some(name))
                .finish();
            Object::new()
                .raw("type", &concept(DICOM, client))
                .raw("who", &who)
                .raw("requestor", "false")
                .optional("networkString", self.address)
                .finish()
        }));
        // A beneficiary is on whose behalf it happens, present or not (https://terminology.hl7.org/CodeSystem-v3-ParticipationType.html).
        agents.extend(self.on_behalf_of.map(|patient| {
            Object::new()
                .raw("type", &concept(PARTICIPATION, "BEN"))
                .raw("who", &reference("Patient", i64::from(patient)))
                .raw("requestor", "false")
                .finish()
        }));
        agents.push(server);
        agents
    }

    /// The person, or what kind of actor it was. Each event has one who asked.
    fn user(&self) -> String {
        let role = self.role.unwrap_or(self.actor_type);
        Object::new()
            .raw("type", &concept(PARTICIPATION, "IRCP"))
            .list("role", &[concept(ROLE_SYSTEM, role)])
            .raw("who", &self.who())
            .raw("requestor", "true")
            .finish()
    }

    fn who(&self) -> String {
        let Some(actor) = &self.actor else {
            return Object::new().string("display", self.actor_type).finish();
        };
        let who = match actor.resource {
            Some((kind, id)) => Object::new().string("reference", &format!("{kind}/{id}")),
            None => Object::new(),
        };
        who.raw("identifier", &identifier(USER_ID_SYSTEM, &actor.user.to_string()))
            .optional("display", Some(actor.name))
            .finish()
    }

    /// Who recorded it: the exchange, an application server.
    fn source(&self) -> String {
        let observer = Object::new().string("type", "Device").string("display", self.site).finish();
        let kind = concept("http://terminology.hl7.org/CodeSystem/security-source-type", "4");
        Object::new().raw("observer", &observer).list("type", &[kind]).finish()
    }

    /// The patients, what of theirs it was, for which studies and organizations, and the request.
    fn entities(&self) -> Vec<String> {
        let entity = |kind: &str, id: i64, role: &str| {
            Object::new().raw("what", &reference(kind, id)).raw("role", &concept(OBJECT_ROLE, role)).finish()
        };
        let mut entities: Vec<String> = self.patients.iter().map(|id| entity("Patient", i64::from(*id), "1")).collect();
        entities.extend(self.observations.iter().map(|id| entity("Observation", *id, "4")));
        entities.extend(self.studies.iter().map(|id| entity("Group", i64::from(*id), "4")));
        entities.extend(self.organizations.iter().map(|id| entity("Organization", i64::from(*id), "4")));
        if self.observations.is_empty() {
            let what = Object::new().string("display", self.resource_type).finish();
            entities.push(Object::new().raw("what", &what).raw("role", &concept(OBJECT_ROLE, "4")).finish());
        }
        let request =
            Object::new().raw("identifier", &Object::new().string("value", self.request_id).finish()).finish();
        let transaction = concept("https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "XrequestId");
        entities.push(Object::new().raw("what", &request).raw("role", &transaction).finish());
        entities
    }
}

fn concept(system: &str, code: &str) -> String {
    let coding = Object::new().string("system", system).string("code", code).finish();
    Object::new().list("coding", &[coding]).finish()
}

fn text(text: &str) -> String {
    Object::new().string("text", text).finish()
}

fn reference(kind: &str, id: i64) -> String {
    Object::new().string("reference", &format!("{kind}/{id}")).finish()
}

fn identifier(system: &str, value: &str) -> String {
    Object::new().string("system", system).string("value", value).finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::r5;
    use serde_json::{Value, json};

    fn event() -> AuditEvent<'static> {
        AuditEvent {
            id: 7,
            occurred_at: Timestamp::UNIX_EPOCH,
            action: "search",
            resource_type: "Observation",
            outcome: "allowed",
            refused_by: None,
            actor: Some(Actor { user: 10004, name: "Victor", resource: Some(("Practitioner", 80004)) }),
            actor_type: "practitioner",
            role: Some("viewer"),
            client: Some((4, "Console")),
            address: Some("192.0.2.1"),
            reason: Some("a call"),
            request_id: "r-1",
            on_behalf_of: None,
            patients: &[40001],
            observations: &[60001, 60002],
            studies: vec![30001],
            organizations: vec![20003],
            site: "https://jhe.example",
        }
    }

    fn parsed(event: &AuditEvent<'_>) -> Value {
        let value = serde_json::from_str(&event.to_json()).unwrap();
        r5::check("AuditEvent", &value).unwrap_or_else(|error| panic!("{error:?}: {value:#}"));
        value
    }

    #[test]
    fn a_search_is_a_patient_query() {
        let value = parsed(&event());
        assert_eq!(value["category"][0]["coding"][0]["code"], "rest");
        assert_eq!((&value["code"]["coding"][0]["code"], &value["action"]), (&json!("search-type"), &json!("E")));
        assert_eq!(value["outcome"]["code"]["code"], "0");
        assert_eq!(value["patient"]["reference"], "Patient/40001");
        let agents = value["agent"].as_array().unwrap();
        let requestors = agents.iter().filter(|agent| agent["requestor"] == true);
        assert_eq!(requestors.count(), 1);
        assert_eq!(agents[0]["who"]["reference"], "Practitioner/80004");
        assert_eq!(
            (&agents[1]["type"]["coding"][0]["code"], &agents[2]["type"]["coding"][0]["code"]),
            (&json!("110153"), &json!("110152"))
        );
        let entities: Vec<&Value> =
            value["entity"].as_array().unwrap().iter().map(|entity| &entity["what"]["reference"]).collect();
        assert_eq!(
            entities,
            [
                &json!("Patient/40001"),
                &json!("Observation/60001"),
                &json!("Observation/60002"),
                &json!("Group/30001"),
                &json!("Organization/20003"),
                &Value::Null
            ]
        );
        assert_eq!(value["entity"][5]["what"]["identifier"]["value"], "r-1");
        assert_eq!(value["authorization"][0]["text"], "a call");
    }

    #[test]
    fn every_action_and_outcome_is_valid() {
        for action in ["read", "search", "create", "update", "delete", "execute"] {
            for (outcome, refused_by) in [("allowed", None), ("denied", Some("consent")), ("failed", Some("invalid"))] {
                let bare = AuditEvent {
                    action,
                    outcome,
                    refused_by,
                    actor: None,
                    actor_type: "anonymous",
                    role: None,
                    client: None,
                    address: None,
                    reason: None,
                    patients: &[],
                    observations: &[],
                    studies: Vec::new(),
                    organizations: Vec::new(),
                    ..event()
                };
                let value = parsed(&bare);
                assert_eq!(value["outcome"]["code"]["code"] == "0", outcome == "allowed");
                assert_eq!(value["agent"][0]["who"]["display"], "anonymous");
            }
        }
    }

    #[test]
    fn who_decides_for_a_patient_is_not_the_patient() {
        let value = parsed(&AuditEvent { action: "update", on_behalf_of: Some(40001), ..event() });
        let of = |agent: &Value| {
            (agent["type"]["coding"][0]["code"].clone(), agent["requestor"].clone(), agent["who"]["reference"].clone())
        };
        let agents: Vec<_> = value["agent"].as_array().unwrap().iter().map(of).collect();
        assert!(agents.contains(&(json!("BEN"), json!(false), json!("Patient/40001"))), "{agents:?}");
        assert_eq!(agents[0], (json!("IRCP"), json!(true), json!("Practitioner/80004")));
    }

    #[test]
    fn what_is_read_flows_to_the_client() {
        let value = parsed(&AuditEvent { action: "read", patients: &[40001, 40002], ..event() });
        assert_eq!(value["agent"][1]["type"]["coding"][0]["code"], "110152");
        assert_eq!(value.get("patient"), None, "there are several");
    }
}
