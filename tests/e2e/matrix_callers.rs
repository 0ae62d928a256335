//! The kinds of callers of the matrix, and what each is asked to show: their own, or another organization's.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use end_to_end::{World, point};
use oauth::Secret;
use serde_json::Value;

/// The kinds of callers. What is asked for is of Peter, of the Lifespan Lab and of its first study; or of Percy, of the
/// Neptunian Pulse Lab and of its study.
///
/// Of the scopes: `scope` has none but those of a sign-in; `self-obs` reads and searches Peter's Observations in his own name,
/// `user-pat` reads and searches Patients and `user-obs` only creates Observations in the name of the member.
pub const CALLERS: [&str; 18] = [
    "anonymous",
    "bad",
    "expired",
    "revoked",
    "scope",
    "self-obs",
    "user-pat",
    "user-obs",
    "self",
    "patient",
    "outsider",
    "viewer",
    "member",
    "manager",
    "parent",
    "foreign",
    "client",
    "admin",
];

/// Whose data is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Of the organization of viewer, member and manager.
    Own,
    /// Of the organization of the foreign manager.
    Other,
}

impl Whose {
    /// How the matrix names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Other => "other",
        }
    }

    /// A path or a body about Peter, the Lifespan Lab and its first study; about the other when that is asked for.
    pub fn of(self, text: &str) -> String {
        match self {
            Self::Own => text.to_owned(),
            Self::Other => {
                OTHERS.iter().fold(Self::with_others_point(text), |text, (own, other)| text.replace(own, other))
            }
        }
    }
}

impl Whose {
    /// With a data point of a kind that Percy has consented to.
    fn with_others_point(text: &str) -> String {
        let temperature = point::body_temperature(37, POINT_TIME);
        let data = |point: &Value| STANDARD.encode(point.to_string());
        text.replace(&data(&uploaded()), &data(&temperature))
            .replace(&point::code_of(&uploaded()), &point::code_of(&temperature))
    }
}

const POINT_TIME: &str = "2026-02-01T08:00:00Z";

/// The data point that callers upload for Peter.
pub fn uploaded() -> Value {
    point::heart_rate(61, POINT_TIME)
}

/// What is Peter's or the Lifespan Lab's, and the same of Percy or the Pulse Lab.
const OTHERS: [(&str, &str); 18] = [
    ("10009", "10011"),
    ("10006", "10009"),
    ("80004", "80006"),
    ("80005", "80006"),
    ("40001", "40003"),
    ("40002", "40003"),
    ("20003", "20007"),
    ("30001", "30004"),
    ("30002", "30004"),
    ("60001", "60006"),
    ("60002", "60007"),
    ("/Consent/1", "/Consent/10"),
    ("ll_patient_peter", "npl_patient_percy"),
    ("omh:blood-pressure:4.0", "omh:body-temperature:4.0"),
    ("/invitation/101", "/invitation/102"),
    ("90001", "90003"),
    ("90002", "90004"),
    ("000000000001", "000000000003"),
];

/// A caller and the token that they send.
pub struct Caller {
    /// Which of [`CALLERS`].
    pub name: &'static str,
    /// None: they send none.
    pub token: Option<String>,
}

impl Caller {
    /// Somebody without a token.
    pub const fn nobody() -> Self {
        Self { name: "anonymous", token: None }
    }

    /// In whose name a body is written: patients decide without an authorization.
    pub fn sends_as(&self) -> &'static str {
        if matches!(self.name, "self" | "self-obs" | "patient" | "outsider") { "a_patient_" } else { self.name }
    }
}

/// Every caller, in the order of [`CALLERS`].
pub async fn callers(world: &World) -> Vec<Caller> {
    let parent = practitioner(world, 20002, "manager").await;
    let mut callers = Vec::new();
    for name in CALLERS {
        let token = match name {
            "anonymous" => None,
            "bad" => Some("w".repeat(43)),
            "expired" => {
                Some(token(world, 10002, "openid email", "clock_timestamp() - interval '1 second'", "NULL").await)
            }
            "revoked" => Some(token(world, 10002, "openid email", LATER, "clock_timestamp()").await),
            "scope" => Some(token(world, 10002, "openid email", LATER, "NULL").await),
            "self-obs" => Some(token(world, 10006, "patient/Observation.rs", LATER, "NULL").await),
            "user-pat" => Some(token(world, 10003, "user/Patient.rs", LATER, "NULL").await),
            "user-obs" => Some(token(world, 10003, "user/Observation.c", LATER, "NULL").await),
            "self" => Some(world.token("ll_patient_peter").to_owned()),
            "patient" => Some(world.token("ll_patient_pamela").to_owned()),
            "outsider" => Some(world.token("ccl_patient_paul").to_owned()),
            "viewer" => Some(world.token("viewer_victor").to_owned()),
            "member" => Some(world.token("member_megan").to_owned()),
            "manager" => Some(world.token("manager_mary").to_owned()),
            "parent" => Some(whole_access(world, parent).await),
            "foreign" => Some(world.token("manager_mark").to_owned()),
            "client" => Some(own_client(world, "member_megan").await),
            "admin" => Some(world.token("admin").to_owned()),
            other => panic!("{other}"),
        };
        callers.push(Caller { name, token });
    }
    callers
}

const LATER: &str = "clock_timestamp() + interval '1 day'";

/// A practitioner with one role.
async fn practitioner(world: &World, organization: i32, role: &str) -> i32 {
    let rows = world
        .sql(&format!(
            "WITH account AS (
               INSERT INTO app_user (email, user_type, first_name, last_name)
               VALUES ('{role}_{organization}@example.com', 'practitioner', 'Only', 'There') RETURNING id
             ), practitioner AS (
               INSERT INTO practitioner (user_id) SELECT id FROM account RETURNING id, user_id
             ), member AS (
               INSERT INTO organization_member (organization_id, practitioner_id, role)
               SELECT {organization}, id, '{role}' FROM practitioner
             )
             SELECT user_id FROM practitioner"
        ))
        .await;
    rows.first().expect("a row").get(0)
}

/// A token of the demo's own client, which has all the access of its user.
async fn whole_access(world: &World, user: i32) -> String {
    issue(world, user, "T6hjXsAUCfU0IAoYwp13FlQFJfAZsotfbyKtyIsL", "openid email", LATER, "NULL").await
}

/// A token of a client without whole access.
async fn token(world: &World, user: i32, scope: &str, expires_at: &str, revoked_at: &str) -> String {
    let name = "only-a-sign-in";
    world
        .sql(&format!(
            "INSERT INTO oauth_client (client_id, name, redirect_uris, grant_types, scopes)
             VALUES ('{name}', 'Only a sign-in', '{{}}', '{{authorization_code}}', '{{openid,email}}') ON CONFLICT DO NOTHING"
        ))
        .await;
    issue(world, user, name, scope, expires_at, revoked_at).await
}

async fn issue(world: &World, user: i32, client: &str, scope: &str, expires_at: &str, revoked_at: &str) -> String {
    let token = Secret::generate().expect("random numbers");
    let hash = STANDARD.encode(token.hash().as_bytes());
    world
        .sql(&format!(
            "WITH granted AS (
               INSERT INTO oauth_grant (user_id, client_id, scope, auth_time, revoked_at)
               SELECT {user}, id, '{scope}', clock_timestamp(), {revoked_at} FROM oauth_client WHERE client_id = '{client}'
               RETURNING id
             )
             INSERT INTO access_token (token_hash, grant_id, scope, expires_at)
             SELECT decode('{hash}', 'base64'), id, '{scope}', {expires_at} FROM granted"
        ))
        .await;
    token.expose().to_owned()
}

/// A token by the key that a practitioner made for themselves.
async fn own_client(world: &World, user: &str) -> String {
    let (_, made) = world.post(user, "/api/v1/practitioner_clients", &serde_json::json!({ "label": "matrix" })).await;
    let key = made["key"].as_str().expect("a key");
    let request = world
        .anonymous(reqwest::Method::POST, "/o/token/")
        .header(reqwest::header::AUTHORIZATION, format!("Basic {key}"))
        .form(&[("grant_type", "client_credentials")]);
    let (_, answer) = end_to_end::answer(request).await;
    answer["access_token"].as_str().unwrap_or_else(|| panic!("no token: {answer}")).to_owned()
}
