//! `GET /FHIR/R5/{type}` and `POST /FHIR/R5/{type}/_search`: search resources of a type that is kept as it comes
//! (<https://hl7.org/fhir/R5/http.html#search>).

use api::{
    Content, Kind, Operation, Parameter,
    fhir::{Fhir, SEARCH},
    parameter,
};
use audit::{Action, Context, Target};
use authz::{Layer, PatientId, Principal, Refusal};
use fhir::{
    auxiliary::TYPES,
    bundle::{Searchset, count_only},
    cursor::Position,
    search::{AuxiliarySearch, Handling, SourceFilter, SystemMatch},
};
use http::StatusCode;
use runtime::{
    App, Failure, Function, Interaction, Needs, Protocol, Request, Response, auxiliary,
    search::{Links, handling, parameters},
    text_json,
};
use store::{AuxiliaryPage, AuxiliaryQuery, Filter, Reader};

/// The function.
pub const FUNCTION: Function =
    Function::new("fhir-auxiliary-search", Protocol::Fhir, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    })
    .describing(&OPERATIONS);

const OPERATIONS: [Operation; 2] = [
    Operation::new("GET /FHIR/R5/{type}", "Search resources that are kept as they came", WHO)
        .fhir(OF)
        .with(&[&NAMED, &SEARCH])
        .answers(&[(200, Content::Resource("Bundle"))]),
    Operation::new("POST /FHIR/R5/{type}/_search", "The same, with the parameters in a form", WHO)
        .fhir(OF)
        .takes_media(&["application/x-www-form-urlencoded"])
        .answers(&[(200, Content::Resource("Bundle"))]),
];

const WHO: &str = "Patients for their own; practitioners who name a patient or a study; super admins, likewise.";

const OF: Fhir = Fhir { types: &[&TYPES], body: None, locates: false };

const NAMED: [Parameter; 3] = [
    parameter("patient", Kind::AnyText, "The patients, by their numbers. Patients find only their own."),
    parameter("patient._has:Group:member:_id", Kind::AnyText, "The study, by its number."),
    parameter("_id", Kind::AnyText, "The resources, by their ids."),
];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let kind = request.resource_type(app).await?;
    let actor = request.fhir_actor(app, kind, Interaction::Search).await?;
    let mut search = AuxiliarySearch::parse(&parameters(request)?, handling(request))?;
    let context = request.audit(Some(&actor), Action::Search, kind);
    if let Principal::Patient(own) = actor.principal {
        of_own(app, request, &context, own, &mut search).await?;
    }
    let links = Links::new(app, actor.user, kind, search.canonical_pairs());
    let mut query = query(Reader::from(&actor), kind, &search)?;
    query.after = links.open(app, search.page.cursor.as_deref()).await?.map(|position| position.id);
    let store = app.store().await?;
    let total = if search.page.summary_count || search.page.total_accurate {
        Some(store.count_auxiliary(&context, &query).await?.map_err(outside)?)
    } else {
        None
    };
    let total = total.map(|total| u64::try_from(total).unwrap_or_default());
    if let (true, Some(total)) = (search.page.summary_count, total) {
        return Ok(text_json(StatusCode::OK, count_only(&links.current(None), total)));
    }
    let page = store.search_auxiliary(&context, &query).await?.map_err(outside)?;
    page_response(app, kind, &links, &search, &page, total).await
}

/// A patient's search is of their own data, whomever it names: another is not searched, and the links say so. With
/// `handling=strict` it is refused instead (<https://hl7.org/fhir/R5/search.html#errors>).
async fn of_own(
    app: &App,
    request: &Request,
    context: &Context,
    own: PatientId,
    search: &mut AuxiliarySearch,
) -> Result<(), Failure> {
    let others: Vec<i32> = search.patients.iter().copied().filter(|id| *id != own.0).collect();
    if handling(request) == Handling::Strict && !others.is_empty() {
        let target = Target::nothing().and_patients(others);
        return Err(request.refuse(app, context, &target, Refusal::known(Layer::UserType)).await);
    }
    if !search.patients.is_empty() {
        search.patients = vec![own.0];
    }
    search.patient_identifier = None;
    Ok(())
}

/// The query of a search. Who is not the patient must name a patient or a study: there are no bulk dumps.
fn query(reader: Reader, kind: &'static str, search: &AuxiliarySearch) -> Result<AuxiliaryQuery, Failure> {
    let named = !search.patients.is_empty() || search.patient_identifier.is_some() || search.study.is_some();
    if !named && !matches!(reader, Reader::Patient(_)) {
        return Err(Failure::Invalid(
            "Name a patient (patient) or a study (patient._has:Group:member:_id).".to_owned(),
        ));
    }
    let patient_identifier = match &search.patient_identifier {
        None => None,
        Some(token) => {
            let value = token
                .value
                .clone()
                .ok_or_else(|| Failure::Invalid("patient.identifier needs a value, as in system|value.".to_owned()))?;
            let system = match &token.system {
                SystemMatch::Any => None,
                SystemMatch::Absent => Some(String::new()),
                SystemMatch::Is(system) => Some(system.clone()),
            };
            Some((system, value))
        }
    };
    let (mut sources, mut below) = (Vec::new(), Vec::new());
    for filter in &search.page.sources {
        match filter {
            SourceFilter::Is(source) => sources.push(source.clone()),
            SourceFilter::Below(beginning) => below.push(beginning.clone()),
        }
    }
    let (all, (min, max)) = (Filter::default(), search.page.last_updated.instant());
    let updated = Filter {
        min: min.map_or(all.min, |min| min.clamp(all.min, all.max)),
        max: max.map_or(all.max, |max| max.clamp(all.min, all.max)),
    };
    Ok(AuxiliaryQuery {
        reader,
        kind,
        patients: search.patients.clone(),
        patient_identifier,
        study: search.study,
        organization: search.organization,
        sources,
        below,
        ids: search.ids.clone(),
        updated,
        count: search.page.count,
        after: None,
    })
}

/// The query names something outside the caller's organizations. Whether it exists is not told.
fn outside(layer: Layer) -> Failure {
    Failure::Refused(Refusal::known(layer))
}

async fn page_response(
    app: &App,
    kind: &str,
    links: &Links,
    search: &AuxiliarySearch,
    page: &AuxiliaryPage,
    total: Option<u64>,
) -> Result<Response, Failure> {
    let base = format!("{}/FHIR/R5/{kind}", app.settings.site_url);
    let mut bundle = Searchset::new();
    for row in &page.rows {
        bundle.entry(&format!("{base}/{}", row.id), &auxiliary::shown(kind, row)?.to_string());
    }
    if let Some(total) = total {
        bundle.total(total);
    }
    if let (true, Some(last)) = (page.more, page.rows.last()) {
        // Pages are in the order of arrival: the number alone is the position.
        bundle.next(&links.next(app, &Position { at: 0, id: last.number }).await?);
    }
    Ok(text_json(StatusCode::OK, bundle.finish(&links.current(search.page.cursor.as_deref()))))
}
