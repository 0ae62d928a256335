//! From the parameters of FHIR to the query of the store.

use fhir::{
    Rejection, SOURCE,
    auxiliary::SOURCE_BASE,
    search::{DateBounds, ObservationSearch, Sort, SourceFilter, SystemMatch, TokenParam},
};
use jiff::Timestamp;
use runtime::Failure;
use store::{BroughtBy, CodeFilter, Filter, ObservationQuery, Order, Reader};

/// The query of a search. A practitioner must name a patient or a study: there are no bulk dumps.
pub fn from_search(reader: Reader, search: &ObservationSearch) -> Result<ObservationQuery, Failure> {
    let mut query = ObservationQuery::new(reader);
    query.patients.clone_from(&search.patients);
    query.patient_identifier = token("patient.identifier", search.patient_identifier.as_ref())?;
    query.study = search.study;
    query.organization = search.organization;
    query.identifier = token("identifier", search.identifier.as_ref())?;
    query.ids.clone_from(&search.ids);
    query.codes =
        search.codes.iter().map(|code| CodeFilter { system: code.system.clone(), code: code.code.clone() }).collect();
    query.statuses = search.statuses.iter().map(|status| status.as_str().to_owned()).collect();
    query.brought_by = origin(&search.page.sources);
    query.start = bounds(search.effective.start_min, search.effective.start_max);
    query.end = bounds(search.effective.end_min, search.effective.end_max);
    query.updated = instants(&search.page.last_updated);
    query.order = match search.order() {
        Sort::LastUpdatedDesc => Order::LastUpdatedDesc,
        Sort::LastUpdatedAsc => Order::LastUpdatedAsc,
        Sort::DateDesc => Order::DateDesc,
        Sort::DateAsc => Order::DateAsc,
    };
    query.count = search.page.count;
    if matches!(reader, Reader::Practitioner(_)) && !query.names_patient() && query.study.is_none() {
        return Err(Failure::Invalid(
            "Name a patient (patient) or a study (patient._has:Group:member:_id).".to_owned(),
        ));
    }
    // Without a patient or a study there is no index for these.
    if reader == Reader::Privileged
        && !query.names_patient()
        && query.study.is_none()
        && (query.identifier.is_some() || matches!(query.order, Order::DateAsc | Order::DateDesc))
    {
        return Err(Failure::Invalid(
            "Name a patient or a study to sort by date or to search by identifier.".to_owned(),
        ));
    }
    Ok(query)
}

/// Where what is asked for comes from. What begins as our own `meta.source` does and as that of every FHIR Source asks for nothing;
/// what matches our own and not each of those matches none of them.
fn origin(filters: &[SourceFilter]) -> BroughtBy {
    let all = |source: &str| filters.iter().all(|filter| filter.matches(source));
    let is_beginning = |filter: &SourceFilter| match filter {
        SourceFilter::Is(_) => false,
        SourceFilter::Below(beginning) => SOURCE_BASE.starts_with(beginning.as_str()),
    };
    if all(SOURCE) {
        return if filters.iter().all(is_beginning) { BroughtBy::Anybody } else { BroughtBy::Nobody };
    }
    let (is, below): (Vec<&SourceFilter>, Vec<&SourceFilter>) =
        filters.iter().partition(|filter| matches!(filter, SourceFilter::Is(_)));
    let texts = |filters: Vec<&SourceFilter>| filters.into_iter().map(|filter| filter.text().to_owned()).collect();
    BroughtBy::Sources { is: texts(is), below: texts(below) }
}

/// System (none: any; empty: none) and value. A value is needed: a whole namespace is not searched.
fn token(name: &str, token: Option<&TokenParam>) -> Result<Option<(Option<String>, String)>, Failure> {
    let Some(token) = token else { return Ok(None) };
    let Some(value) = token.value.clone() else {
        return Err(Failure::Rejected(Rejection::value(name, "needs a value, as in system|value")));
    };
    let system = match &token.system {
        SystemMatch::Any => None,
        SystemMatch::Absent => Some(String::new()),
        SystemMatch::Is(system) => Some(system.clone()),
    };
    Ok(Some((system, value)))
}

fn bounds(min: Option<fhir::search::Bound>, max: Option<fhir::search::Bound>) -> Filter {
    filter(min.map(|bound| bound.at), max.map(|bound| bound.at))
}

fn instants(bounds: &DateBounds) -> Filter {
    let (min, max) = bounds.instant();
    filter(min, max)
}

/// Half-open bounds, kept within what a stored time can be.
fn filter(min: Option<Timestamp>, max: Option<Timestamp>) -> Filter {
    let all = Filter::default();
    let within = |time: Timestamp| time.clamp(all.min, all.max);
    Filter { min: min.map_or(all.min, within), max: max.map_or(all.max, within) }
}
