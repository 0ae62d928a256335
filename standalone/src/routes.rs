//! The routes, read from `template.yaml`: the one route table of the product.

use crate::FUNCTIONS;
use runtime::Function;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

/// The template, as deployed.
const TEMPLATE: &str = include_str!("../../template.yaml");

/// The template cannot be used as a route table.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// It is not the YAML that is expected.
    #[error("template.yaml cannot be read: {0}")]
    Template(String),
    /// It names a function that this host does not have.
    #[error("template.yaml routes to {0}, which is not a function of this host")]
    UnknownFunction(String),
    /// A path that cannot be a route, or is one twice.
    #[error("template.yaml has an unusable route {0}")]
    Path(String),
}

#[derive(Deserialize)]
struct Template {
    #[serde(rename = "Resources")]
    resources: BTreeMap<String, Resource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Resource {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(default)]
    properties: Properties,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Properties {
    code_uri: Option<String>,
    #[serde(default)]
    events: BTreeMap<String, Event>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(default)]
    properties: EventProperties,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EventProperties {
    method: Option<String>,
    path: Option<String>,
}

/// One route of the template.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The method, in capitals.
    pub method: String,
    /// The path, with variables in braces.
    pub path: String,
    /// The name of the function.
    pub function: String,
}

/// The routes of the template, and the functions that it declares.
pub fn declared() -> Result<(Vec<Route>, Vec<String>), RouteError> {
    let template: Template =
        serde_saphyr::from_str(TEMPLATE).map_err(|error| RouteError::Template(error.to_string()))?;
    let mut routes = Vec::new();
    let mut functions = Vec::new();
    for (id, resource) in template.resources {
        if resource.kind != "AWS::Serverless::Function" {
            continue;
        }
        let uri = resource.properties.code_uri.ok_or_else(|| RouteError::Template(format!("{id} has no CodeUri")))?;
        let function = uri.rsplit('/').next().unwrap_or_default().to_owned();
        for event in resource.properties.events.into_values().filter(|event| event.kind == "HttpApi") {
            let (Some(method), Some(path)) = (event.properties.method, event.properties.path) else {
                return Err(RouteError::Template(format!("a route of {id} has no method or path")));
            };
            routes.push(Route { method: method.to_ascii_uppercase(), path, function: function.clone() });
        }
        functions.push(function);
    }
    Ok((routes, functions))
}

/// What a path leads to.
pub enum Target<'a> {
    /// A function, and the values of the path's variables, still percent-encoded.
    Function(&'static Function, HashMap<&'a str, &'a str>),
    /// The path exists, but not with this method.
    MethodNotAllowed(&'static Function, Vec<String>),
    /// Nothing has this path.
    Nothing,
}

/// The path of a route that takes what no other route of its method takes, as API Gateway writes it.
const ANY_PATH: &str = "/{proxy+}";

/// The router.
pub struct Router {
    paths: matchit::Router<BTreeMap<String, &'static Function>>,
    any_path: BTreeMap<String, &'static Function>,
}

impl Router {
    /// The router of the template's routes.
    pub fn from_template() -> Result<Self, RouteError> {
        let (routes, _) = declared()?;
        let mut methods: BTreeMap<String, BTreeMap<String, &'static Function>> = BTreeMap::new();
        for route in routes {
            let function = FUNCTIONS
                .iter()
                .find(|function| function.name == route.function)
                .ok_or(RouteError::UnknownFunction(route.function))?;
            let path = methods.entry(route.path.clone()).or_default();
            if path.insert(route.method, function).is_some() {
                return Err(RouteError::Path(route.path));
            }
        }
        let any_path = methods.remove(ANY_PATH).unwrap_or_default();
        let mut paths = matchit::Router::new();
        for (path, functions) in methods {
            paths.insert(path.clone(), functions).map_err(|_| RouteError::Path(path))?;
        }
        Ok(Self { paths, any_path })
    }

    /// Finds what a method and a path lead to. `HEAD` is served as `GET`.
    pub fn find<'a>(&'a self, method: &str, path: &'a str) -> Target<'a> {
        let method = if method == "HEAD" { "GET" } else { method };
        let any_path = self.any_path.get(method).map(|function| Target::Function(function, HashMap::new()));
        let Ok(found) = self.paths.at(path) else {
            return any_path.unwrap_or(Target::Nothing);
        };
        match (found.value.get(method), any_path) {
            (Some(function), _) => Target::Function(function, found.params.iter().collect()),
            (None, Some(any_path)) => any_path,
            (None, None) => match found.value.values().next() {
                Some(function) => Target::MethodNotAllowed(function, found.value.keys().cloned().collect()),
                None => Target::Nothing,
            },
        }
    }
}
