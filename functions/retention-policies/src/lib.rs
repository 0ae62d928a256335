//! `GET` and `PATCH /api/v1/retention`, `/api/v1/organizations/{id}/retention` and `/api/v1/studies/{id}/retention`: after how many days
//! observations are deleted. What a study does not say, its organization says, and then the deployment; when none says anything, they are
//! kept. Nothing is deleted by a change: what becomes due is announced first.

use api::{Completeness, Content, Kind, Operation, Shape, optional, required};
use audit::{Action, Context, RefusedBy, Target};
use authz::{Actor, OrganizationId, Permission, StudyId};
use http::{Method, StatusCode};
use jiff::Timestamp;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json, rest::Fields};
use serde::Serialize;
use store::{Days, PolicyInForce, PolicyOf};

/// The function.
pub const FUNCTION: Function =
    Function::new("retention-policies", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

/// More is no policy.
const MOST: i32 = 36_500;

const DAYS: Kind = Kind::OrNull(&Kind::Integer);

const IN_FORCE: Shape = Shape {
    name: "RetentionDays",
    fields: &[
        required("afterCompletion", DAYS).about("After the end of the study."),
        required("afterWithdrawal", DAYS).about("After the patient withdrew the consent, or left."),
        required("byAge", DAYS).about("After what was observed, and after it was stored."),
    ],
};

const POLICY: Shape = Shape {
    name: "RetentionRule",
    fields: &[
        required("afterCompletion", DAYS).about("After the end of the study; null: the wider policy counts."),
        required("afterWithdrawal", DAYS).about("After the patient withdrew the consent, or left; null as above."),
        required("byAge", DAYS).about("After what was observed, and after it was stored; null as above."),
        required("inForce", Kind::Object(&IN_FORCE)).about("What counts; null: kept."),
        required("minimumDays", Kind::Integer).about("What no policy undercuts."),
        required("noticeDays", Kind::Integer).about("How long before a deletion it is announced."),
        required("lastUpdated", Kind::OrNull(&Kind::Instant)),
    ],
};

const CHANGE: Shape = Shape {
    name: "RetentionRuleChange",
    fields: &[
        optional("afterCompletion", DAYS).about("In days, from `minimumDays` to 36500; null: the wider policy counts."),
        optional("afterWithdrawal", DAYS).about("As above."),
        optional("byAge", DAYS).about("As above."),
    ],
};

const MANAGERS: &str = "Managers of the organization; super admins.";
const SHOWN: [(u16, Content); 1] = [(200, Content::Object(&POLICY))];

const OPERATIONS: [Operation; 6] = [
    Operation::new("GET /api/v1/retention", "How long observations are kept where nobody says else", "Super admins.")
        .answers(&SHOWN),
    Operation::new(
        "PATCH /api/v1/retention",
        "Say how long observations are kept where nobody says else",
        "Super admins.",
    )
    .conditional()
    .changes(&CHANGE)
    .answers(&SHOWN),
    Operation::new(
        "GET /api/v1/organizations/{id}/retention",
        "How long observations are kept for an organization's studies",
        MANAGERS,
    )
    .answers(&SHOWN),
    Operation::new(
        "PATCH /api/v1/organizations/{id}/retention",
        "Say how long observations are kept for an organization's studies",
        MANAGERS,
    )
    .conditional()
    .changes(&CHANGE)
    .answers(&SHOWN),
    Operation::new("GET /api/v1/studies/{id}/retention", "How long observations are kept for a study", MANAGERS)
        .answers(&SHOWN),
    Operation::new("PATCH /api/v1/studies/{id}/retention", "Say how long observations are kept for a study", MANAGERS)
        .conditional()
        .changes(&CHANGE)
        .answers(&SHOWN),
];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    #[serde(flatten)]
    own: ShownDays,
    in_force: ShownDays,
    minimum_days: i32,
    notice_days: i32,
    last_updated: Option<Timestamp>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownDays {
    after_completion: Option<i32>,
    after_withdrawal: Option<i32>,
    by_age: Option<i32>,
}

impl From<Days> for ShownDays {
    fn from(days: Days) -> Self {
        let Days { after_completion, after_withdrawal, by_age } = days;
        Self { after_completion, after_withdrawal, by_age }
    }
}

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let action = if *request.method() == Method::GET { Action::Read } else { Action::Update };
    let context = request.audit(Some(&actor), action, "RetentionPolicy");
    let of = permitted(app, request, &actor, &context).await?;
    if action == Action::Read {
        return answer(&known(app, &context, of).await?);
    }
    let fields = Fields::parse(request)?;
    fields.check(&CHANGE, Completeness::Part)?;
    request.has_no_version()?;
    let before = known(app, &context, of).await?;
    let changed = |name: &'static str, was: Option<i32>| days(&fields, name, was, before.minimum_days);
    let days = Days {
        after_completion: changed("afterCompletion", before.own.after_completion)?,
        after_withdrawal: changed("afterWithdrawal", before.own.after_withdrawal)?,
        by_age: changed("byAge", before.own.by_age)?,
    };
    app.store().await?.set_retention_policy(&context, of, days, actor.user).await?;
    answer(&known(app, &context, of).await?)
}

/// Whose policy it is, for who may see and set it.
async fn permitted(app: &App, request: &Request, actor: &Actor, context: &Context) -> Result<PolicyOf, Failure> {
    let store = app.store().await?;
    if request.variable("id").is_none() {
        request.permit_super_admin(app, context, &Target::nothing(), actor).await?;
        return Ok(PolicyOf::Deployment);
    }
    if request.path().contains("/studies/") {
        let id: StudyId = request.id_variable("id")?;
        let role = store.role_over_study(actor.practitioner(), id).await?;
        request.permit(app, context, &Target::study(id), actor, Permission::ManageStudies, role).await?;
        return Ok(PolicyOf::Study(id));
    }
    let id: OrganizationId = request.id_variable("id")?;
    let role = store.role_in_organization(actor.practitioner(), id).await?;
    request.permit(app, context, &Target::organization(id), actor, Permission::ManageOrganization, role).await?;
    Ok(PolicyOf::Organization(id))
}

/// Only a super admin gets here with what does not exist.
async fn known(app: &App, context: &Context, of: PolicyOf) -> Result<PolicyInForce, Failure> {
    let store = app.store().await?;
    if let Some(policy) = store.retention_policy(of).await? {
        return Ok(policy);
    }
    let target = match of {
        PolicyOf::Deployment => Target::nothing(),
        PolicyOf::Organization(id) => Target::organization(id),
        PolicyOf::Study(id) => Target::study(id),
    };
    store.record_refusal(context, &target, RefusedBy::NotFound).await?;
    Err(Failure::NotFound)
}

fn answer(policy: &PolicyInForce) -> Result<Response, Failure> {
    let shown = Shown {
        own: policy.own.into(),
        in_force: policy.in_force.into(),
        minimum_days: policy.minimum_days,
        notice_days: policy.notice_days,
        last_updated: policy.last_updated,
    };
    Ok(json(StatusCode::OK, &shown)?)
}

/// What the body says of a number of days, or what it was. The database refuses too little as well.
fn days(fields: &Fields, name: &'static str, was: Option<i32>, least: i32) -> Result<Option<i32>, Failure> {
    if !fields.has(name) {
        return Ok(was);
    }
    if fields.value(name).is_none() {
        return Ok(None);
    }
    let days = fields.id(name)?;
    if days < least {
        return Err(Failure::field(
            name,
            &format!("{days} days are less than the minimum of this deployment, {least}."),
        ));
    }
    if days > MOST {
        return Err(Failure::field(name, &format!("{days} days are more than {MOST}.")));
    }
    Ok(Some(days))
}
