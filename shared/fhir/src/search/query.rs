//! What the searches share: their common parameters, those given once, and ids.

use crate::Rejection;
use crate::primitive::{id32, id64, quotable, relative};
use crate::search::page::Page;
use crate::search::token::items;
use crate::search::{COMMON_PARAMETERS, Handling, Parameter};

/// The most parameters of one search.
const MAX_PARAMETERS: usize = 100;

/// Reads the parameters of one search.
pub(super) struct Query {
    handling: Handling,
    known: &'static [Parameter],
    seen: Vec<&'static str>,
    page: Page,
}

/// Parameters of every search that may come only once.
const SINGLE: [&str; 5] = ["_count", "_summary", "_total", "_format", "_cursor"];

impl Query {
    /// Reads all parameters: `take` those of the resource type, which leaves the rest to [`Query::other`].
    pub(super) fn read(
        pairs: &[(String, String)],
        handling: Handling,
        known: &'static [Parameter],
        mut take: impl FnMut(&mut Self, &str, &str) -> Result<(), Rejection>,
    ) -> Result<Page, Rejection> {
        if pairs.len() > MAX_PARAMETERS {
            return Err(Rejection::parameter("list", "must not have more than 100 parameters"));
        }
        let mut query = Self { handling, known, seen: Vec::new(), page: Page::default() };
        for (name, value) in pairs {
            take(&mut query, name, value)?;
        }
        Ok(query.page)
    }

    /// Notes a parameter, under its main name, that may come only once.
    pub(super) fn once(&mut self, name: &'static str) -> Result<(), Rejection> {
        if self.seen.contains(&name) {
            return Err(Rejection::parameter(name, "must not be repeated"));
        }
        self.seen.push(name);
        Ok(())
    }

    /// Takes what is not a parameter of the resource type: one of every search, or an unknown one.
    pub(super) fn other(&mut self, name: &str, value: &str) -> Result<(), Rejection> {
        if let Some(single) = SINGLE.iter().find(|single| **single == name) {
            self.once(single)?;
        }
        if self.page.take(name, value, self.handling)? { Ok(()) } else { self.unknown(name) }
    }

    /// Takes what is no parameter here, whatever it is elsewhere: ignored, or refused.
    pub(super) fn foreign(&self, name: &str) -> Result<(), Rejection> {
        self.unknown(name)
    }

    fn unknown(&self, name: &str) -> Result<(), Rejection> {
        let shown = quotable(name).unwrap_or("(a name that is not plain)");
        if self.has_modifier(name) {
            let problem = format!("Search parameter {shown} has a modifier that is not supported");
            return Err(Rejection::parameter_not_supported(problem));
        }
        if self.handling == Handling::Strict {
            return Err(Rejection::parameter_not_supported(format!("Search parameter {shown} is not supported")));
        }
        Ok(())
    }

    /// Whether this is a known parameter, or a chain from one, with a modifier.
    fn has_modifier(&self, name: &str) -> bool {
        let Some((chain, _)) = name.split_once(':') else {
            return false;
        };
        let base = chain.split('.').next().unwrap_or(chain);
        let known = COMMON_PARAMETERS.iter().chain(self.known).any(|parameter| parameter.name == base);
        known || SINGLE.contains(&base) || ["_has", "_source", "_sort"].contains(&base)
    }
}

/// One id, bare or as a relative reference: we do not know which absolute ones are ours.
pub(super) fn one_id(name: &str, value: &str, resource_type: &str) -> Result<i32, Rejection> {
    id32(value)
        .or_else(|| relative(value, resource_type))
        .ok_or_else(|| Rejection::parameter(name, &format!("must be an id or {resource_type}/ and an id")))
}

/// A list of ids, sorted, each once.
pub(super) fn id_list(name: &str, value: &str, resource_type: &str) -> Result<Vec<i32>, Rejection> {
    let ids = items(name, value)?.into_iter().map(|item| one_id(name, item, resource_type));
    let mut ids: Vec<i32> = ids.collect::<Result<_, _>>()?;
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// A list of observation ids, sorted, each once.
pub(super) fn long_id_list(name: &str, value: &str) -> Result<Vec<i64>, Rejection> {
    let problem = || Rejection::parameter(name, "must be an id");
    let ids = items(name, value)?.into_iter().map(|item| id64(item).ok_or_else(problem));
    let mut ids: Vec<i64> = ids.collect::<Result<_, _>>()?;
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// Pairs in the making.
#[derive(Default)]
pub(super) struct Pairs(Vec<(String, String)>);

impl Pairs {
    pub(super) fn add(&mut self, name: &str, value: String) {
        self.0.push((name.to_owned(), value));
    }

    /// Adds a list, unless it is empty.
    pub(super) fn list<T: ToString>(&mut self, name: &str, values: &[T]) {
        if !values.is_empty() {
            self.add(name, values.iter().map(T::to_string).collect::<Vec<_>>().join(","));
        }
    }

    /// Adds a value, if there is one.
    pub(super) fn optional<T: ToString>(&mut self, name: &str, value: Option<&T>) {
        if let Some(value) = value {
            self.add(name, value.to_string());
        }
    }

    /// Adds the parameter once for each value.
    pub(super) fn repeat(&mut self, name: &str, values: &[String]) {
        for value in values {
            self.add(name, value.clone());
        }
    }

    /// All of them and those of the page, sorted.
    pub(super) fn finish(mut self, page: &Page) -> Vec<(String, String)> {
        page.pairs(&mut self.0);
        self.0.sort_unstable();
        self.0
    }
}
