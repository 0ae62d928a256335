//! `GET /FHIR/R5/AuditEvent` and `POST /FHIR/R5/AuditEvent/_search`: search the audit, newest first
//! (<https://hl7.org/fhir/R5/http.html#search>).

use audit::{Action, Context, Target};
use audit_log::{position, resource, scope};
use authz::{Layer, Permission, Principal, Refusal};
use fhir::{
    bundle::{Searchset, count_only},
    search::{Agent, AuditEventSearch, AuditOutcome, Handling},
};
use http::StatusCode;
use jiff::Timestamp;
use runtime::{
    App, Failure, Function, Interaction, Needs, Protocol, Request, Response,
    search::{Links, handling, parameters},
    text_json,
};
use store::{ALL, AuditFilter, AuditPage, AuditScope, AuditSlice, LoggedBy, LoggedOutcome};

/// The function.
pub const FUNCTION: Function =
    Function::new("fhir-audit-event-search", Protocol::Fhir, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    });

const KIND: &str = "AuditEvent";

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.fhir_actor(app, KIND, Interaction::Search).await?;
    let mut search = AuditEventSearch::parse(&parameters(request)?, handling(request))?;
    let context = request.audit(Some(&actor), Action::Search, KIND);
    let scope = scope(&actor);
    match actor.principal {
        Principal::Patient(own) => {
            let is_found = of_own(app, request, &context, own.0, &mut search).await?;
            if !is_found {
                let links = Links::new(app, actor.user, KIND, search.canonical_pairs());
                return respond(app, &links, &search, &AuditPage::default()).await;
            }
        }
        Principal::Practitioner(_) if search.patients.is_empty() => {
            return Err(Failure::Invalid("Name a patient (patient).".to_owned()));
        }
        Principal::Practitioner(_) | Principal::SuperAdmin => {}
    }
    let links = Links::new(app, actor.user, KIND, search.canonical_pairs());
    let slice = slice(app, &links, &search).await?;
    let least = Permission::ReadAudit.minimum_role();
    let found = app.store().await?.audit_log(&context, scope, least, &filter(&search, scope), slice).await?;
    let Ok(page) = found else {
        let target = Target::nothing().and_patients(search.patients.iter().copied());
        return Err(request.refuse(app, &context, &target, Refusal::known(Layer::Role)).await);
    };
    respond(app, &links, &search, &page).await
}

/// A patient's search is of their own events, and finds none of others: false when it is of others only. That it names others is on
/// record. With `handling=strict` it is refused (<https://hl7.org/fhir/R5/search.html#errors>).
async fn of_own(
    app: &App,
    request: &Request,
    context: &Context,
    own: i32,
    search: &mut AuditEventSearch,
) -> Result<bool, Failure> {
    let others: Vec<i32> = search.patients.iter().copied().filter(|id| *id != own).collect();
    if others.is_empty() {
        return Ok(true);
    }
    let target = Target::nothing().and_patients(others);
    let failure = request.refuse(app, context, &target, Refusal::known(Layer::UserType)).await;
    let is_refused = matches!(failure, Failure::Refused(_));
    if handling(request) == Handling::Strict || !is_refused {
        return Err(failure);
    }
    Ok(search.patients.contains(&own))
}

fn filter(search: &AuditEventSearch, scope: AuditScope) -> AuditFilter {
    let ((from, to), (since, until)) = (search.date.instant(), search.page.last_updated.instant());
    AuditFilter {
        ids: search.ids.clone(),
        by: search.agent.map(|agent| match agent {
            Agent::Practitioner(id) => LoggedBy::Practitioner(id),
            Agent::Patient(id) => LoggedBy::Patient(id),
        }),
        // A patient's scope says it already.
        patients: if matches!(scope, AuditScope::Own(_)) { Vec::new() } else { search.patients.clone() },
        actions: search.actions.iter().map(|action| (*action).to_owned()).collect(),
        outcome: search.outcome.map(|outcome| match outcome {
            AuditOutcome::Success => LoggedOutcome::Allowed,
            AuditOutcome::Failure => LoggedOutcome::NotAllowed,
        }),
        from: from.max(since),
        to: match (to, until) {
            (Some(to), Some(until)) => Some(to.min(until)),
            (to, until) => to.or(until),
        },
        ..AuditFilter::default()
    }
}

/// Which events to read: none when those of another source are asked for.
async fn slice(app: &App, links: &Links, search: &AuditEventSearch) -> Result<AuditSlice, Failure> {
    let after = links.open(app, search.page.cursor.as_deref()).await?;
    let after = after.map(|position| Timestamp::from_microsecond(position.at).map(|at| (at, position.id)));
    let is_ours = search.page.wants_source(fhir::SOURCE);
    let is_counted = is_ours && (search.page.summary_count || search.page.total_accurate);
    Ok(AuditSlice {
        after: after
            .transpose()
            .map_err(|_| Failure::Invalid("The page link is not valid for this search.".to_owned()))?,
        skip: 0,
        count: if is_ours && !search.page.summary_count { i64::from(search.page.count) } else { 0 },
        counted: if is_counted { ALL } else { 0 },
    })
}

async fn respond(app: &App, links: &Links, search: &AuditEventSearch, page: &AuditPage) -> Result<Response, Failure> {
    let total = u64::try_from(page.total).unwrap_or_default();
    if search.page.summary_count {
        return Ok(text_json(StatusCode::OK, count_only(&links.current(None), total)));
    }
    let site = &app.settings.site_url;
    let mut bundle = Searchset::new();
    for event in &page.rows {
        bundle.entry(&format!("{site}/FHIR/R5/{KIND}/{}", event.id), &resource(event, site));
    }
    if search.page.total_accurate {
        bundle.total(total);
    }
    if let (true, Some(last)) = (page.more, page.rows.last()) {
        bundle.next(&links.next(app, &position(last)).await?);
    }
    Ok(text_json(StatusCode::OK, bundle.finish(&links.current(search.page.cursor.as_deref()))))
}
