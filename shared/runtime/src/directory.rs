//! The searches and reads of what is small enough to be loaded whole: Group, Device, Organization.
//!
//! The store selects what the caller may see. What is left to do is the same for the three types: filter by name and
//! time, order by id, cut a page.

use crate::{
    App, Failure, Request, Response, read_response,
    search::{Links, handling, parameters},
    text_json,
};
use audit::{Action, Context, RefusedBy, Target};
use authz::{Actor, Layer, Refusal, UserId};
use fhir::{
    SOURCE,
    bundle::{Searchset, count_only},
    cursor::Position,
    resource::PersonName,
    search::{Directory, DirectorySearch, Matching, StringParam},
};
use http::StatusCode;
use jiff::Timestamp;
use std::collections::BTreeSet;
use store::{DataSource, Organization, Practitioner, Reader, Study};

/// A resource of a directory.
#[derive(Clone, Debug)]
pub struct Entry {
    id: i32,
    last_updated: Timestamp,
    /// What the parameter `name` is compared with.
    names: Vec<String>,
    resource: String,
}

impl From<&Study> for Entry {
    fn from(study: &Study) -> Self {
        let group = fhir::group::Group {
            id: study.id,
            last_updated: study.last_updated,
            name: study.name.clone(),
            description: Some(study.description.clone()),
            organization: Some(study.organization.id),
        };
        let resource = group.to_json();
        Self { id: group.id, last_updated: group.last_updated, names: vec![group.name], resource }
    }
}

impl From<&DataSource> for Entry {
    fn from(source: &DataSource) -> Self {
        let device =
            fhir::device::Device { id: source.id, last_updated: source.last_updated, name: source.name.clone() };
        let resource = device.to_json();
        Self { id: device.id, last_updated: device.last_updated, names: vec![device.name], resource }
    }
}

impl From<&Organization> for Entry {
    fn from(organization: &Organization) -> Self {
        let organization = fhir::organization::Organization {
            id: organization.id,
            last_updated: organization.last_updated,
            name: organization.name.clone(),
            part_of: organization.part_of,
        };
        let resource = organization.to_json();
        let names = vec![organization.name];
        Self { id: organization.id, last_updated: organization.last_updated, names, resource }
    }
}

/// The resource of a practitioner.
#[must_use]
pub fn practitioner(row: &Practitioner) -> String {
    let name = PersonName { family: Some(row.family.clone()), given: Some(row.given.clone()) };
    fhir::practitioner::Practitioner { id: row.id, last_updated: row.last_updated, name }.to_json()
}

/// Reads the parameters of a search.
pub fn parse(directory: Directory, request: &Request) -> Result<DirectorySearch, Failure> {
    Ok(DirectorySearch::parse(directory, &parameters(request)?, handling(request))?)
}

/// The study with this id, if the caller may see it.
pub async fn study(app: &App, request: &Request, actor: &Actor, id: i32) -> Result<Study, Failure> {
    let context = request.audit(Some(actor), Action::Read, "Group");
    own_studies(app, &context, actor, &[id], None).await?.pop().ok_or(Failure::NotFound)
}

/// The studies that the caller may see; with ids, only those; with an organization, only its. An organization that is not
/// the caller's is refused. Whether it exists is not told.
pub async fn studies(
    app: &App,
    request: &Request,
    actor: &Actor,
    ids: &[i32],
    organization: Option<i32>,
) -> Result<Vec<Study>, Failure> {
    permit_organization(app, request, actor, organization).await?;
    let context = request.audit(Some(actor), Action::Search, "Group");
    own_studies(app, &context, actor, ids, organization).await
}

/// Refuses a search for the studies of an organization that is not the caller's. Whether it exists is not told.
pub async fn permit_organization(
    app: &App,
    request: &Request,
    actor: &Actor,
    organization: Option<i32>,
) -> Result<(), Failure> {
    let context = request.audit(Some(actor), Action::Search, "Group");
    if let Some(id) = organization
        && own_organizations(app, &context, actor, &[id]).await?.is_empty()
        && !actor.is_privileged()
    {
        return Err(Failure::Refused(Refusal::known(Layer::Organization)));
    }
    Ok(())
}

/// The organization with this id, if the caller may see it.
pub async fn organization(app: &App, request: &Request, actor: &Actor, id: i32) -> Result<Organization, Failure> {
    let context = request.audit(Some(actor), Action::Read, "Organization");
    own_organizations(app, &context, actor, &[id]).await?.pop().ok_or(Failure::NotFound)
}

/// The organizations that the caller may see; with ids, only those.
pub async fn organizations(
    app: &App,
    request: &Request,
    actor: &Actor,
    ids: &[i32],
) -> Result<Vec<Organization>, Failure> {
    let context = request.audit(Some(actor), Action::Search, "Organization");
    own_organizations(app, &context, actor, ids).await
}

async fn own_studies(
    app: &App,
    context: &Context,
    actor: &Actor,
    ids: &[i32],
    organization: Option<i32>,
) -> Result<Vec<Study>, Failure> {
    // Which of the ids are not the caller's shows only without the other condition.
    let narrowed = if ids.is_empty() { organization } else { None };
    let mut studies = app.store().await?.studies(Reader::from(actor), ids, narrowed).await?;
    let unseen = unseen(ids, studies.iter().map(|study| study.id));
    if !unseen.is_empty() {
        record_unseen(app, context, &Target::nothing().and_studies(unseen)).await?;
    }
    studies.retain(|study| organization.is_none_or(|id| study.organization.id == id));
    Ok(studies)
}

async fn own_organizations(
    app: &App,
    context: &Context,
    actor: &Actor,
    ids: &[i32],
) -> Result<Vec<Organization>, Failure> {
    let organizations = app.store().await?.organizations(Reader::from(actor), ids).await?;
    let unseen = unseen(ids, organizations.iter().map(|organization| organization.id));
    if !unseen.is_empty() {
        record_unseen(app, context, &Target::nothing().and_organizations(unseen)).await?;
    }
    Ok(organizations)
}

/// The ids that were asked for and not found.
fn unseen(asked: &[i32], found: impl Iterator<Item = i32>) -> BTreeSet<i32> {
    let mut unseen: BTreeSet<i32> = asked.iter().copied().collect();
    for id in found {
        unseen.remove(&id);
    }
    unseen
}

/// A directory holds no health data, and reading it is not recorded. That it was asked for what is not the caller's is.
async fn record_unseen(app: &App, context: &Context, target: &Target) -> Result<(), Failure> {
    Ok(app.store().await?.record_refusal(context, target, RefusedBy::Layer(Layer::Organization)).await?)
}

/// The response to a search over the resources that the caller may see.
pub async fn search<'a, T>(
    app: &App,
    user: UserId,
    search: &DirectorySearch,
    rows: &'a [T],
) -> Result<Response, Failure>
where
    Entry: From<&'a T>,
{
    let resource_type = search.directory.resource_type();
    let links = Links::new(app, user, resource_type, search.canonical_pairs());
    let after = links.open(app, search.page.cursor.as_deref()).await?;
    let found = matching(search, rows.iter().map(Entry::from).collect());
    let total = u64::try_from(found.len()).unwrap_or(u64::MAX);
    if search.page.summary_count {
        return Ok(text_json(StatusCode::OK, count_only(&links.current(None), total)));
    }
    let mut bundle = Searchset::new();
    if search.page.total_accurate {
        bundle.total(total);
    }
    let (page, last) = page(&found, after.map(|position| position.id), search.page.count);
    for entry in page {
        let url = format!("{}/FHIR/R5/{resource_type}/{}", app.settings.site_url, entry.id);
        bundle.entry(&url, &entry.resource);
    }
    if let Some(id) = last {
        bundle.next(&links.next(app, &Position { at: 0, id }).await?);
    }
    Ok(text_json(StatusCode::OK, bundle.finish(&links.current(search.page.cursor.as_deref()))))
}

/// The response to a read of what was selected by its id. Nothing selected: not found.
pub fn read<'a, T>(rows: &'a [T]) -> Result<Response, Failure>
where
    Entry: From<&'a T>,
{
    let entry = rows.first().map(Entry::from).ok_or(Failure::NotFound)?;
    Ok(read_response(StatusCode::OK, entry.resource, entry.last_updated))
}

/// The entries that match, by id. Ids and organization were asked of the store.
fn matching(search: &DirectorySearch, mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.retain(|entry| {
        search.page.wants_source(SOURCE)
            && search.page.last_updated.matches(entry.last_updated, entry.last_updated)
            && search.name.as_ref().is_none_or(|name| entry.names.iter().any(|text| matches(name, text)))
    });
    entries.sort_unstable_by_key(|entry| entry.id);
    entries
}

/// The page after an id, and its last id when another page follows.
fn page(entries: &[Entry], after: Option<i64>, count: u16) -> (&[Entry], Option<i64>) {
    let from = after.map_or(0, |after| entries.partition_point(|entry| i64::from(entry.id) <= after));
    let to = from.saturating_add(usize::from(count)).min(entries.len());
    let page = entries.get(from..to).unwrap_or_default();
    let last = page.last().filter(|_| to < entries.len()).map(|entry| i64::from(entry.id));
    (page, last)
}

/// Whether a text matches a string parameter (<https://hl7.org/fhir/R5/search.html#string>).
fn matches(param: &StringParam, text: &str) -> bool {
    param.values.iter().any(|value| match param.matching {
        Matching::Exact => text == value,
        Matching::StartsWith => text.to_lowercase().starts_with(&value.to_lowercase()),
        Matching::Contains => text.to_lowercase().contains(&value.to_lowercase()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fhir::search::Handling;

    fn entries() -> Vec<Entry> {
        [(7, "Pulse Lab"), (3, "Lifespan Lab"), (5, "Cosmic lab"), (0, "ROOT")]
            .into_iter()
            .map(|(id, name)| Entry {
                id,
                last_updated: "2026-11-21T10:00:00Z".parse().unwrap(),
                names: vec![name.to_owned()],
                resource: String::new(),
            })
            .collect()
    }

    fn ids(pairs: &[(&str, &str)]) -> Vec<i32> {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let search = DirectorySearch::parse(Directory::Organization, &pairs, Handling::Strict).unwrap();
        matching(&search, entries()).iter().map(|entry| entry.id).collect()
    }

    #[test]
    fn names_are_compared_as_the_modifier_says() {
        assert_eq!(ids(&[]), [0, 3, 5, 7]);
        assert_eq!(ids(&[("name", "LIFE")]), [3]);
        assert_eq!(ids(&[("name", "lab")]), [0_i32; 0]);
        assert_eq!(ids(&[("name:contains", "LAB")]), [3, 5, 7]);
        assert_eq!(ids(&[("name:exact", "Cosmic lab")]), [5]);
        assert_eq!(ids(&[("name:exact", "Cosmic Lab")]), [0_i32; 0]);
        assert_eq!(ids(&[("name", "life,pulse")]), [3, 7]);
    }

    #[test]
    fn times_and_sources_filter() {
        assert_eq!(ids(&[("_lastUpdated", "gt2026-11-21")]), [0_i32; 0]);
        assert_eq!(ids(&[("_lastUpdated", "2026-11-21")]), [0, 3, 5, 7]);
        assert_eq!(ids(&[("_source", SOURCE)]), [0, 3, 5, 7]);
        assert_eq!(ids(&[("_source", "https://elsewhere.example")]), [0_i32; 0]);
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_overlap() {
        let mut all = entries();
        all.sort_unstable_by_key(|entry| entry.id);
        for count in 1..=5 {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let (rows, last) = page(&all, after, count);
                seen.extend(rows.iter().map(|entry| entry.id));
                let Some(last) = last else { break };
                after = Some(last);
            }
            assert_eq!(seen, [0, 3, 5, 7], "{count}");
        }
        assert!(page(&all, Some(99), 2).0.is_empty());
    }
}
