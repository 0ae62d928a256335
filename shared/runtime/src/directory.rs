//! The searches and reads of Group, Device, Organization and Practitioner.
//!
//! The store selects a page of what the caller may see. What is left to do is the same for the four types.

use crate::{
    App, Failure, Request, Response, record_response,
    search::{Links, handling, parameters, text_filter},
    text_json,
};
use audit::{Action, Context, RefusedBy, Target};
use authz::{Actor, Layer, Refusal};
use fhir::{
    SOURCE,
    bundle::{Searchset, count_only},
    cursor::Position,
    resource::PersonName,
    search::{Directory, DirectorySearch},
};
use http::StatusCode;
use jiff::Timestamp;
use std::collections::BTreeSet;
use store::{DataSource, DirectoryFilter, DirectoryPage, Organization, Practitioner, Reader, Slice, Study};

/// A resource of a directory.
#[derive(Clone, Debug)]
pub struct Entry {
    id: i32,
    last_updated: Timestamp,
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
        Self { id: group.id, last_updated: group.last_updated, resource: group.to_json() }
    }
}

impl From<&DataSource> for Entry {
    fn from(source: &DataSource) -> Self {
        let device =
            fhir::device::Device { id: source.id, last_updated: source.last_updated, name: source.name.clone() };
        Self { id: device.id, last_updated: device.last_updated, resource: device.to_json() }
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
        Self { id: organization.id, last_updated: organization.last_updated, resource: organization.to_json() }
    }
}

impl From<&Practitioner> for Entry {
    fn from(row: &Practitioner) -> Self {
        let name = PersonName { family: Some(row.family.clone()), given: Some(row.given.clone()) };
        let practitioner = fhir::practitioner::Practitioner { id: row.id, last_updated: row.last_updated, name };
        Self { id: row.id, last_updated: row.last_updated, resource: practitioner.to_json() }
    }
}

/// A search: what is asked of the store, and the links of the answer.
pub struct Search {
    asked: DirectorySearch,
    links: Links,
    filter: DirectoryFilter,
}

impl Search {
    /// Reads the parameters, and opens the cursor.
    pub async fn parse(directory: Directory, app: &App, request: &Request, actor: &Actor) -> Result<Self, Failure> {
        let asked = DirectorySearch::parse(directory, &parameters(request)?, handling(request))?;
        let links = Links::new(app, actor.user, directory.resource_type(), asked.canonical_pairs());
        let after = links.open(app, asked.page.cursor.as_deref()).await?;
        let count = if asked.page.summary_count { 0 } else { i64::from(asked.page.count) };
        let filter = DirectoryFilter {
            ids: asked.ids.clone(),
            name: asked.name.as_ref().map(text_filter),
            updated: asked.page.last_updated.instant(),
            slice: Slice { after: after.map(|position| position.id), skip: 0, count },
            with_total: asked.page.summary_count || asked.page.total_accurate,
        };
        Ok(Self { asked, links, filter })
    }

    /// What is asked of the store; nothing is when it is to come from elsewhere.
    fn filter(&self) -> Option<&DirectoryFilter> {
        Some(&self.filter).filter(|_| self.asked.page.wants_source(SOURCE))
    }

    fn nothing<T>(&self) -> DirectoryPage<T> {
        DirectoryPage::nothing(self.filter.with_total)
    }

    /// The response with what was found.
    pub async fn answer<T>(&self, app: &App, found: &DirectoryPage<T>) -> Result<Response, Failure>
    where
        for<'a> Entry: From<&'a T>,
    {
        let total = found.total.map(|total| u64::try_from(total).unwrap_or_default());
        if self.asked.page.summary_count {
            return Ok(text_json(StatusCode::OK, count_only(&self.links.current(None), total.unwrap_or_default())));
        }
        let mut bundle = Searchset::new();
        let resource_type = self.asked.directory.resource_type();
        let mut last = None;
        for entry in found.rows.iter().map(Entry::from) {
            let url = format!("{}/FHIR/R5/{resource_type}/{}", app.settings.site_url, entry.id);
            bundle.entry(&url, &entry.resource);
            last = Some(i64::from(entry.id));
        }
        if let Some(total) = total {
            bundle.total(total);
        }
        if let (true, Some(id)) = (found.more, last) {
            bundle.next(&self.links.next(app, &Position { at: 0, id }).await?);
        }
        Ok(text_json(StatusCode::OK, bundle.finish(&self.links.current(self.asked.page.cursor.as_deref()))))
    }
}

/// The study with this id, if the caller may see it.
pub async fn study(app: &App, request: &Request, actor: &Actor, id: i32) -> Result<Study, Failure> {
    let context = request.audit(Some(actor), Action::Read, "Group");
    let found = app.store().await?.studies(Reader::from(actor), &[id], None).await?.pop();
    if found.is_none() {
        record_unseen(app, &context, &Target::nothing().and_studies([id])).await?;
    }
    found.ok_or(Failure::NotFound)
}

/// The studies that the caller may see and asks for. An organization that is not the caller's is refused. Whether it exists is
/// not told.
pub async fn studies(
    app: &App,
    request: &Request,
    actor: &Actor,
    search: &Search,
) -> Result<DirectoryPage<Study>, Failure> {
    permit_organization(app, request, actor, search.asked.organization).await?;
    let Some(filter) = search.filter() else { return Ok(search.nothing()) };
    let found = app.store().await?.find_studies(Reader::from(actor), search.asked.organization, filter).await?;
    if !found.unseen.is_empty() {
        let context = request.audit(Some(actor), Action::Search, "Group");
        record_unseen(app, &context, &Target::nothing().and_studies(found.unseen.iter().copied())).await?;
    }
    Ok(found)
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

/// The organizations that the caller may see and asks for.
pub async fn organizations(
    app: &App,
    request: &Request,
    actor: &Actor,
    search: &Search,
) -> Result<DirectoryPage<Organization>, Failure> {
    let Some(filter) = search.filter() else { return Ok(search.nothing()) };
    let found = app.store().await?.find_organizations(Reader::from(actor), filter).await?;
    if !found.unseen.is_empty() {
        let context = request.audit(Some(actor), Action::Search, "Organization");
        record_unseen(app, &context, &Target::nothing().and_organizations(found.unseen.iter().copied())).await?;
    }
    Ok(found)
}

/// The data sources that are asked for.
pub async fn data_sources(app: &App, search: &Search) -> Result<DirectoryPage<DataSource>, Failure> {
    let Some(filter) = search.filter() else { return Ok(search.nothing()) };
    Ok(app.store().await?.find_data_sources(filter).await?)
}

/// The practitioners whom the caller may see and asks for, on record.
pub async fn practitioners(
    app: &App,
    request: &Request,
    actor: &Actor,
    search: &Search,
) -> Result<DirectoryPage<Practitioner>, Failure> {
    let Some(filter) = search.filter() else { return Ok(search.nothing()) };
    let context = request.audit(Some(actor), Action::Search, "Practitioner");
    Ok(app.store().await?.practitioners(&context, Reader::from(actor), filter).await?)
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

/// The response to a read of what was selected by its id. Nothing selected: not found.
pub fn read<'a, T>(rows: &'a [T]) -> Result<Response, Failure>
where
    Entry: From<&'a T>,
{
    let entry = rows.first().map(Entry::from).ok_or(Failure::NotFound)?;
    Ok(record_response(StatusCode::OK, entry.resource, entry.last_updated))
}
