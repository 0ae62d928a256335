//! From the parameters of FHIR to the filter of the store.

use fhir::{
    cursor::Position,
    search::{PatientSearch, SystemMatch},
};
use runtime::{Failure, search::text_filter};
use store::{PatientFilter, Slice};

/// The filter of a search, for the page after a position.
pub fn from_search(search: &PatientSearch, after: Option<Position>) -> Result<PatientFilter, Failure> {
    let count = if search.page.summary_count { 0 } else { i64::from(search.page.count) };
    Ok(PatientFilter {
        ids: search.ids.clone(),
        organization: search.organization,
        study: search.study,
        identifier: identifier(search)?,
        name: search.name.as_ref().map(text_filter),
        family: search.family.as_ref().map(text_filter),
        given: search.given.as_ref().map(text_filter),
        birth_date: (search.birth_date.from, search.birth_date.before),
        updated: search.page.last_updated.instant(),
        slice: Slice { after: after.map(|position| position.id), skip: 0, count },
    })
}

/// System (none: any; empty: none) and value. A value is needed: a whole namespace is not searched.
fn identifier(search: &PatientSearch) -> Result<Option<(Option<String>, String)>, Failure> {
    let Some(token) = &search.identifier else { return Ok(None) };
    let Some(value) = token.value.clone() else {
        return Err(fhir::Rejection::value("identifier", "needs a value, as in system|value").into());
    };
    let system = match &token.system {
        SystemMatch::Any => None,
        SystemMatch::Absent => Some(String::new()),
        SystemMatch::Is(system) => Some(system.clone()),
    };
    Ok(Some((system, value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fhir::search::Handling;
    use store::TextFilter;

    fn filter(pairs: &[(&str, &str)]) -> Result<PatientFilter, Failure> {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        from_search(&PatientSearch::parse(&pairs, Handling::Strict)?, None)
    }

    #[test]
    fn every_parameter_reaches_the_filter() {
        let filter = filter(&[
            ("_id", "40001,40002"),
            ("organization", "20003"),
            ("_has:Group:member:_id", "30001"),
            ("identifier", "urn:oid:1.2.3.4|E1234"),
            ("name:contains", "eve"),
            ("family:exact", "Stevens"),
            ("given", "Peter"),
            ("birthdate", "ge1982-01-13"),
            ("birthdate", "lt1983-01-01"),
            ("_lastUpdated", "ge2026-11-21"),
            ("_count", "7"),
        ])
        .unwrap();
        assert_eq!(filter.ids, [40001, 40002]);
        assert_eq!((filter.organization, filter.study), (Some(20003), Some(30001)));
        assert_eq!(filter.identifier, Some((Some("urn:oid:1.2.3.4".to_owned()), "E1234".to_owned())));
        assert_eq!(filter.name, Some(TextFilter::contains(&["eve".to_owned()])));
        assert_eq!(filter.family, Some(TextFilter::exact(&["Stevens".to_owned()])));
        assert_eq!(filter.given, Some(TextFilter::starts_with(&["Peter".to_owned()])));
        assert_eq!(filter.birth_date, ("1982-01-13".parse().ok(), "1983-01-01".parse().ok()));
        assert_eq!(filter.updated, ("2026-11-21T00:00:00Z".parse().ok(), None));
        assert_eq!(filter.slice.count, 7);
    }

    #[test]
    fn a_count_shows_nobody() {
        assert_eq!(filter(&[("_summary", "count")]).unwrap().slice.count, 0);
    }

    #[test]
    fn a_whole_namespace_is_not_searched() {
        assert!(matches!(filter(&[("identifier", "urn:oid:1.2.3.4|")]), Err(Failure::Rejected(_))));
    }

    #[test]
    fn an_identifier_without_a_system_is_told_from_any_system() {
        let system = |value| filter(&[("identifier", value)]).unwrap().identifier.unwrap().0;
        assert_eq!(system("E1234"), None);
        assert_eq!(system("|E1234"), Some(String::new()));
    }
}
