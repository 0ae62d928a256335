//! Functions in groups, each group with a login of the database of its own, as `template.yaml` has them.

use crate::World;
use reqwest::Method;
use standalone::routes::{Router, Target};
use std::collections::HashMap;

/// The template, whose metadata has the groups.
const TEMPLATE: &str = include_str!("../../template.yaml");

/// The groups and what the names of their functions look like. The first that fits counts; what fits none has the login of all.
fn groups() -> Vec<(String, Vec<String>)> {
    let (_, metadata) = TEMPLATE.split_once("\n  DatabaseUsers:\n").expect("DatabaseUsers");
    let lines =
        metadata.lines().take_while(|line| line.starts_with("    ")).filter(|line| !line.trim().starts_with('#'));
    let group = |line: &str| {
        let (name, patterns) = line.trim().split_once(": ")?;
        let patterns =
            patterns.trim_matches(['[', ']']).split(',').map(|word| word.trim().trim_matches('"').to_owned());
        Some((name.to_owned(), patterns.collect()))
    };
    lines.filter_map(group).collect()
}

/// Whether a name looks like a pattern, in which one `*` stands for anything.
fn fits(name: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => name == pattern,
        Some((beginning, end)) => {
            name.len() >= beginning.len() + end.len() && name.starts_with(beginning) && name.ends_with(end)
        }
    }
}

/// A process for each group.
pub(crate) struct Served {
    router: Router,
    groups: Vec<(String, Vec<String>)>,
    bases: HashMap<String, String>,
}

impl Served {
    pub(crate) async fn start(world: &World) -> Self {
        let groups = groups();
        let all = std::env::var("DB_USER").expect("DB_USER");
        let mut bases = HashMap::new();
        for (group, _) in groups.iter().filter(|(group, _)| group != "all") {
            let user = format!("{all}_{group}");
            let (_, base) = world.process_with(&[("DB_USER", user.as_str())]).await;
            bases.insert(group.clone(), base);
        }
        assert!(bases.len() >= 4, "{bases:?}");
        Self { router: Router::from_template().expect("routes"), groups, bases }
    }

    /// Where the function is served that a request is for.
    pub(crate) fn base<'a>(&'a self, method: &Method, path: &str, common: &'a str) -> &'a str {
        let path = path.split('?').next().unwrap_or_default();
        let Target::Function(function, _) = self.router.find(method.as_str(), path) else { return common };
        let is_of = |patterns: &[String]| patterns.iter().any(|pattern| fits(function.name, pattern));
        let group = self.groups.iter().find(|(_, patterns)| is_of(patterns));
        group.and_then(|(group, _)| self.bases.get(group)).map_or(common, String::as_str)
    }
}
