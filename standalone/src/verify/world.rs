//! Access control and consent, tried: the functions of this program serve a made-up world in a database of its own, on the server
//! of the deployment. Nobody's data is touched, and the database is gone afterwards.

use super::{Check, Subject, Verdict};
use crate::{
    demo,
    routes::{Router, Target},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use oauth::token::random_bytes;
use runtime::{App, Request, RequestParts};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use store::DatabaseConfig;

/// The world that is made for this, and its database.
pub struct Scratch {
    owner: DatabaseConfig,
    database: String,
    world: World,
}

/// What [`Scratch::fill`] needs of a process: its way to the database, but with another name.
type Lookup = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The site of the made-up world, which is served to nobody.
const SITE: &str = "http://localhost";

impl Scratch {
    /// Makes it, or says why it cannot be made.
    pub async fn make(subject: &Subject) -> Result<Self, Verdict> {
        let Some(owner) = &subject.owner else {
            let why =
                "it takes a database of its own: set DB_OWNER_USER and DB_OWNER_PASSWORD, of a login that may make one";
            return Err(Verdict::NotCheckable(why.to_owned()));
        };
        let random = random_bytes::<8>().map_err(|_| Verdict::NotCheckable("no random numbers".to_owned()))?;
        let database = format!("jhe_verify_{:016x}", u64::from_be_bytes(random));
        if let Err(error) = store::create_database(owner, &database).await {
            return Err(Verdict::NotCheckable(format!("the owner cannot make a database: {error}")));
        }
        let owner = owner.clone();
        match Self::fill(&owner, &database, subject).await {
            Ok(world) => Ok(Self { owner, database, world }),
            Err(why) => {
                drop_database(&owner, &database).await;
                Err(Verdict::NotCheckable(format!("the made-up world cannot be made: {why}")))
            }
        }
    }

    async fn fill(server: &DatabaseConfig, database: &str, subject: &Subject) -> Result<World, String> {
        let owner = DatabaseConfig { name: database.to_owned(), ..server.clone() };
        let said = |error: &dyn std::error::Error| error.to_string();
        store::migrate(&owner).await.map_err(|error| said(&error))?;
        demo::seed(&owner, SITE).await.map_err(|error| said(&error))?;
        let described = demo::describe(&owner, SITE).await.map_err(|error| said(&error))?;
        let app =
            App::new(lookup(&owner, &subject.app), subject.app.secret_directory(), 2).map_err(|error| said(&error))?;
        demo::upload(&app, &described).await.map_err(|error| said(&error))?;
        World::new(Arc::new(app), described)
    }

    /// The verdict of one of the checks that are tried here.
    pub async fn verdict(&self, check: Check) -> Verdict {
        match check {
            Check::AsMigrated => self.as_migrated().await,
            Check::AccessControl => self.world.access_control().await,
            Check::UploadNeedsConsent => self.world.upload_needs_consent().await,
            _ => self.world.revocation_hides().await,
        }
    }

    /// Compares the schema of the deployment with the one just made.
    async fn as_migrated(&self) -> Verdict {
        let made = DatabaseConfig { name: self.database.clone(), ..self.owner.clone() };
        let both = async {
            Ok::<_, store::LoginError>((store::definitions(&made).await?, store::definitions(&self.owner).await?))
        };
        match both.await {
            Err(error) => Verdict::NotCheckable(format!("the schemas cannot be read: {error}")),
            Ok((made, found)) => compared(&made, &found),
        }
    }

    /// Drops the database.
    pub async fn end(self) {
        let Self { owner, database, world } = self;
        drop(world);
        drop_database(&owner, &database).await;
    }
}

/// The verdict on a schema beside the one that the migrations make. The first differences are named.
fn compared(made: &BTreeMap<String, String>, found: &BTreeMap<String, String>) -> Verdict {
    /// As many as somebody reads.
    const NAMED: usize = 8;
    let missing = made.keys().filter(|name| !found.contains_key(*name)).map(|name| format!("{name} is missing"));
    let other = found.iter().filter_map(|(name, text)| match made.get(name) {
        None => Some(format!("{name} is not of a migration")),
        Some(own) if own != text => Some(format!("{name} is another")),
        Some(_) => None,
    });
    let differences: Vec<String> = missing.chain(other).collect();
    if differences.is_empty() {
        return Verdict::Pass(format!("{} parts are as the migrations make them", made.len()));
    }
    let more = differences.len().saturating_sub(NAMED);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let named: Vec<&str> = differences.iter().take(NAMED).map(String::as_str).collect();
    Verdict::Fail(format!("{}{more}", named.join("; ")))
}

async fn drop_database(owner: &DatabaseConfig, database: &str) {
    if let Err(error) = store::drop_database(owner, database).await {
        eprintln!("the database {database} is left over: {error}");
    }
}

/// The environment of a process of the made-up world: that of the deployment, but at the server itself, and without limits and mail.
fn lookup(owner: &DatabaseConfig, app: &Arc<App>) -> Lookup {
    let own = [
        ("DB_NAME", owner.name.clone()),
        ("DB_HOST", owner.host.clone()),
        ("DB_PORT", owner.port.to_string()),
        ("SITE_URL", SITE.to_owned()),
        ("RATE_LIMIT_PER_MINUTE", "0".to_owned()),
        ("MAIL_TRANSPORT", "none".to_owned()),
    ];
    let app = Arc::clone(app);
    Box::new(move |name| {
        let found = own.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
        // Whatever a deployment asks of tokens, those of this world have it not.
        let is_demand = name.starts_with("REQUIRE_") || name == "REASON_REQUIRED";
        found.or_else(|| app.variable(name).filter(|_| !is_demand))
    })
}

/// Peter's heart rate: he consented to it in a study of the Lifespan Lab.
const HEART_RATE: &str = "/FHIR/R5/Observation?patient=40001&code=omh:heart-rate:2.0";

/// All of Peter's that the caller may see.
const PETERS: &str = "/FHIR/R5/Observation?patient=40001";

/// Peter's decisions.
const CONSENTS: &str = "/api/v1/patients/40001/consents";

/// The demo world, served by functions and asked without a network.
pub struct World {
    app: Arc<App>,
    router: Router,
    /// As `demo.json` has it.
    described: Value,
}

/// An answer.
struct Answer {
    status: u16,
    body: Value,
}

/// There is no such route, or the caller has no token: nothing was asked, so it is no refusal.
const UNASKED: Answer = Answer { status: 0, body: Value::Null };

impl Answer {
    /// Whether it is for want of a token or a right.
    const fn is_refusal(&self) -> bool {
        matches!(self.status, 401 | 403 | 404)
    }

    /// How many resources a bundle has.
    fn entries(&self) -> usize {
        self.body.get("entry").and_then(Value::as_array).map_or(0, Vec::len)
    }
}

impl World {
    /// A demo world with its tokens.
    pub fn new(app: Arc<App>, described: Value) -> Result<Self, String> {
        Ok(Self { app, router: Router::from_template().map_err(|error| error.to_string())?, described })
    }

    async fn ask(&self, user: &str, method: Method, target: &str, body: Option<&Value>) -> Answer {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let Target::Function(function, variables) = self.router.find(method.as_str(), path) else {
            return UNASKED;
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if !user.is_empty() {
            let token = self.described.pointer(&format!("/users/{user}/access_token")).and_then(Value::as_str);
            let Some(Ok(value)) = token.map(|token| HeaderValue::from_str(&format!("Bearer {token}"))) else {
                return UNASKED;
            };
            headers.insert(header::AUTHORIZATION, value);
        }
        let variables: HashMap<String, String> =
            variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let request = Request::from(RequestParts {
            method,
            path: path.to_owned(),
            variables,
            query: query.to_owned(),
            headers,
            body: body.map(|body| Bytes::from(body.to_string())).unwrap_or_default(),
            source: None,
            id: "verify".to_owned(),
        });
        let response = function.call(&self.app, &request).await;
        let status = response.status().as_u16();
        Answer { status, body: serde_json::from_slice(response.body()).unwrap_or_default() }
    }

    /// Those who have a role see; those who have none, or too low a one, neither see nor change.
    pub async fn access_control(&self) -> Verdict {
        let seen = self.ask("viewer_victor", Method::GET, PETERS, None).await;
        let Some(one) = seen.body.pointer("/entry/0/resource/id").and_then(Value::as_str) else {
            return Verdict::Fail(format!("a viewer of the study does not see it (status {})", seen.status));
        };
        let one = format!("/FHIR/R5/Observation/{one}");
        let targets = [PETERS, &one, "/FHIR/R5/Patient/40001", "/api/v1/patients/40001"];
        for target in targets {
            let answer = self.ask("viewer_victor", Method::GET, target, None).await;
            // What nobody sees is refused to everybody.
            if answer.status != 200 {
                return Verdict::NotCheckable(format!(
                    "a viewer of the study is answered {} for {target}",
                    answer.status
                ));
            }
        }
        for (who, user) in [
            ("nobody", ""),
            ("a manager of another organization", "manager_mark"),
            ("another patient", "npl_patient_percy"),
        ] {
            for target in targets {
                let answer = self.ask(user, Method::GET, target, None).await;
                let is_theirs = target == PETERS && answer.status == 200 && !names_peter(&answer);
                if answer.status == 0 {
                    return Verdict::NotCheckable(format!("{who} cannot ask for {target}"));
                }
                if !answer.is_refusal() && !is_theirs {
                    return Verdict::Fail(format!("{who} is answered {} for {target}", answer.status));
                }
            }
        }
        let name = json!({ "name": "Changed" });
        let patient = json!({ "organizationId": 20003, "telecomEmail": "new@example.com", "nameFamily": "New", "nameGiven": "New",
                              "birthDate": "1980-01-01" });
        let upload = observation(20, "omh:heart-rate:2.0");
        for (who, user, method, target, body) in [
            ("a viewer", "viewer_victor", Method::POST, "/FHIR/R5/Observation", &upload),
            ("a viewer", "viewer_victor", Method::POST, "/api/v1/patients", &patient),
            ("a viewer", "viewer_victor", Method::PATCH, "/api/v1/studies/30001", &name),
            ("a manager of another organization", "manager_mark", Method::PATCH, "/api/v1/studies/30001", &name),
            ("a manager of another organization", "manager_mark", Method::POST, "/FHIR/R5/Observation", &upload),
            ("a patient", "ll_patient_peter", Method::PATCH, "/api/v1/organizations/20003", &name),
        ] {
            let answer = self.ask(user, method.clone(), target, Some(body)).await;
            if answer.status == 0 {
                return Verdict::NotCheckable(format!("{who} cannot ask for {method} {target}"));
            }
            if !answer.is_refusal() {
                return Verdict::Fail(format!("{who} is answered {} for {method} {target}", answer.status));
            }
        }
        // What nobody may do is refused to everybody.
        for (user, method, target, body) in [
            ("ll_patient_peter", Method::POST, "/FHIR/R5/Observation", &upload),
            ("manager_mary", Method::POST, "/api/v1/patients", &patient),
            ("manager_mary", Method::PATCH, "/api/v1/studies/30001", &name),
            ("manager_mary", Method::PATCH, "/api/v1/organizations/20003", &name),
        ] {
            let answer = self.ask(user, method.clone(), target, Some(body)).await;
            if !matches!(answer.status, 200 | 201) {
                return Verdict::NotCheckable(format!("who may is answered {} for {method} {target}", answer.status));
            }
        }
        Verdict::Pass(
            "in a made-up world, viewers see, and others and those with too low a role neither see nor change"
                .to_owned(),
        )
    }

    /// What nobody consented to is not stored, whoever sends it.
    pub async fn upload_needs_consent(&self) -> Verdict {
        let upload = observation(21, "omh:blood-glucose:4.0");
        for user in ["ll_patient_peter", "member_megan"] {
            let answer = self.ask(user, Method::POST, "/FHIR/R5/Observation", Some(&upload)).await;
            if answer.status == 0 {
                return Verdict::NotCheckable(format!("{user} cannot upload"));
            }
            if answer.status != 403 {
                return Verdict::Fail(format!("an upload without consent is answered {}", answer.status));
            }
        }
        let consented = observation(22, "omh:heart-rate:2.0");
        let answer = self.ask("ll_patient_peter", Method::POST, "/FHIR/R5/Observation", Some(&consented)).await;
        if answer.status != 201 {
            return Verdict::NotCheckable(format!("an upload with consent is answered {}", answer.status));
        }
        Verdict::Pass("in a made-up world, an upload with consent is answered 201, and without 403".to_owned())
    }

    /// What consent was withdrawn for is gone for the study, and still there for the patient.
    pub async fn revocation_hides(&self) -> Verdict {
        let before = self.ask("viewer_victor", Method::GET, HEART_RATE, None).await.entries();
        if before == 0 {
            return Verdict::NotCheckable("nothing is seen with consent".to_owned());
        }
        let withdrawal = json!({ "studyScopeConsents": [{ "studyId": 30001, "scopeConsents": [
            { "codingSystem": "https://w3id.org/openmhealth", "codingCode": "omh:heart-rate:2.0", "consented": false }] }] });
        let answer = self.ask("ll_patient_peter", Method::PATCH, CONSENTS, Some(&withdrawal)).await;
        if answer.status != 200 {
            return Verdict::Fail(format!("a withdrawal is answered {}", answer.status));
        }
        let after = self.ask("viewer_victor", Method::GET, HEART_RATE, None).await;
        if after.status != 200 {
            return Verdict::NotCheckable(format!("who saw it is answered {} now", after.status));
        }
        if after.entries() > 0 {
            return Verdict::Fail(format!("{} of {before} observations are still seen", after.entries()));
        }
        if self.ask("ll_patient_peter", Method::GET, HEART_RATE, None).await.entries() == 0 {
            return Verdict::Fail("the patient does not see what is theirs".to_owned());
        }
        Verdict::Pass(format!("in a made-up world, {before} observations were seen before and none after"))
    }
}

/// Whether a bundle has something of Peter's.
fn names_peter(answer: &Answer) -> bool {
    let entries = answer.body.get("entry").and_then(Value::as_array).into_iter().flatten();
    entries.into_iter().any(|entry| entry.pointer("/resource/subject/reference") == Some(&json!("Patient/40001")))
}

/// An observation of Peter with a number of its own, and a value that is well-formed for its code.
fn observation(number: usize, code: &str) -> Value {
    let measure = match code {
        "omh:blood-glucose:4.0" => r#""blood_glucose":{"unit":"mg/dL","value":96}"#,
        _ => r#""heart_rate":{"unit":"beats/min","value":62}"#,
    };
    demo::observation(number, 40001, 70001, code, measure)
}
