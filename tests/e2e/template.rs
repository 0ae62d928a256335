//! `template.yaml`, the directories of functions, the host's list and the sample events agree.

use serde_json::Value;
use standalone::{FUNCTIONS, SCHEDULED, routes::declared};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests is in the repository").to_owned()
}

/// The text of a file of the repository.
pub fn text(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names in a directory of the repository, in order.
pub fn names(directory: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(directory)).expect("the directory exists");
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect()
}

/// The function that an event file is for: its own name, or its name before a variant.
fn function_of<'a>(event: &str, functions: &'a BTreeSet<String>) -> Option<&'a str> {
    functions
        .iter()
        .filter(|name| event.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('-')))
        .max_by_key(|name| name.len())
        .map(String::as_str)
}

fn events() -> Vec<(String, Value)> {
    names("events")
        .into_iter()
        .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
        .map(|name| {
            let event = serde_json::from_str(&text(format!("events/{name}.json")));
            (name.clone(), event.unwrap_or_else(|error| panic!("{name}: {error}")))
        })
        .collect()
}

/// The functions that a service of AWS calls, and what of the template has it call them. The host has none of them.
const CALLED_BY_AWS: [(&str, &str); 2] = [
    ("database-migrate", "ServiceToken: !GetAtt DatabaseMigrate.Arn"),
    ("secrets-rotate", "Function: !GetAtt SecretsRotate.Arn"),
];

/// The functions that operators call by their names, and nothing of the template. The host has them as commands.
const CALLED_BY_OPERATORS: [(&str, &str); 1] = [("contain", "\n  Contain:\n")];

/// The functions that neither a request nor the clock calls, and what of the template shows who does.
fn called_otherwise() -> impl Iterator<Item = (&'static str, &'static str)> {
    CALLED_BY_AWS.into_iter().chain(CALLED_BY_OPERATORS)
}

/// The resources of the template, each as its lines.
fn resources() -> Vec<String> {
    let template = text("template.yaml");
    let (_, body) = template.split_once("\nResources:\n").expect("the template has resources");
    let mut resources: Vec<String> = Vec::new();
    for line in body.lines().take_while(|line| line.is_empty() || line.starts_with([' ', '#'])) {
        if line.starts_with("  ") && !line.starts_with("   ") && line.ends_with(':') {
            resources.push(String::new());
        }
        if let Some(resource) = resources.last_mut() {
            resource.push_str(line);
            resource.push('\n');
        }
    }
    resources
}

#[test]
fn every_function_is_in_the_template_and_in_the_host() {
    let directories = names("functions");
    let (_, in_template) = declared().expect("the template is readable");
    let in_host = FUNCTIONS.iter().map(|function| function.name).chain(SCHEDULED.iter().map(|function| function.name));
    let elsewhere = called_otherwise().map(|(name, _)| name);
    let in_host: BTreeSet<String> = in_host.chain(elsewhere).map(str::to_owned).collect();
    assert_eq!(in_template.len(), directories.len(), "a function is in the template twice");
    assert_eq!(in_template.into_iter().collect::<BTreeSet<_>>(), directories);
    assert_eq!(in_host, directories);
}

/// The functions of the template, each with its name and its lines.
fn functions() -> Vec<(String, String)> {
    let functions = resources().into_iter().filter(|resource| resource.contains("Type: AWS::Serverless::Function"));
    functions
        .map(|function| {
            let (_, name) = function.split_once("CodeUri: target/lambda/").expect("a function has its code");
            (name.lines().next().unwrap_or_default().to_owned(), function)
        })
        .collect()
}

#[test]
fn every_function_has_a_route_a_schedule_or_somebody_who_calls_it() {
    let template = text("template.yaml");
    assert_eq!(functions().len(), FUNCTIONS.len() + SCHEDULED.len() + called_otherwise().count());
    for (name, function) in functions() {
        let has = ["Type: HttpApi", "Type: ScheduleV2"].map(|trigger| function.contains(trigger));
        let is_scheduled = SCHEDULED.iter().any(|scheduled| scheduled.name == name);
        let caller = called_otherwise().find(|(called, _)| *called == name);
        assert_eq!(has, [!is_scheduled && caller.is_none(), is_scheduled], "what calls {name}");
        assert!(caller.is_none_or(|(_, by)| template.contains(by)), "nothing calls {name}");
    }
}

#[test]
fn nobody_but_operators_may_call_what_operators_call() {
    for (name, _) in CALLED_BY_OPERATORS {
        let resource = functions().into_iter().find(|(known, _)| known == name).expect("it is in the template").1;
        let logical = resource.trim_start_matches(' ').split(':').next().expect("its name").to_owned();
        assert!(!resource.contains("Events:"), "{name}");
        for one in resources().iter().filter(|one| **one != resource) {
            let names_it = one.lines().any(|line| {
                let uses = [format!("!GetAtt {logical}."), format!("!Ref {logical} "), format!("${{{logical}}}")];
                line.contains(&format!("-{name}"))
                    || uses.iter().any(|used| line.contains(used))
                    || line.ends_with(&format!("!Ref {logical}"))
            });
            assert!(!names_it, "{name} is named by {one}");
        }
    }
}

#[test]
fn who_sends_mail_may_and_nobody_else() {
    for (name, function) in functions() {
        let manifest = text(format!("functions/{name}/Cargo.toml"));
        let sends = manifest.lines().any(|line| ["mail.workspace = true", "alert.workspace = true"].contains(&line));
        assert_eq!(function.contains("Mail: used"), sends, "{name}");
    }
}

#[test]
fn every_setting_of_the_functions_is_a_parameter_on_aws() {
    let settings = text("shared/runtime/src/settings.rs");
    let (settings, _) = settings.split_once("#[cfg(test)]").expect("its tests come last");
    let is_name =
        |word: &&str| word.contains('_') && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let names: BTreeSet<&str> = settings.split('"').filter(is_name).collect();
    assert!(names.len() > 15, "{names:?}");
    let template = text("template.yaml");
    for name in names {
        // The challenge says the same and is no secret: a secret may not stand in an environment.
        let declared = template.contains(&format!(" {name}: !Ref "));
        assert_eq!(declared, name != "PATIENT_AUTHORIZATION_CODE_VERIFIER", "{name}");
    }
}

#[test]
fn every_route_leads_to_a_function_and_is_there_once() {
    let (routes, _) = declared().expect("the template is readable");
    let directories = names("functions");
    let mut seen = BTreeSet::new();
    for route in routes {
        assert!(directories.contains(&route.function), "{route:?}");
        assert!(seen.insert((route.method.clone(), route.path.clone())), "{route:?} is there twice");
    }
}

#[test]
fn every_fhir_route_exists_in_small_letters_too() {
    let (routes, _) = declared().expect("the template is readable");
    let known: BTreeSet<_> = routes.iter().map(|route| (&route.method, route.path.clone(), &route.function)).collect();
    for route in routes.iter().filter(|route| route.path.starts_with("/FHIR/R5")) {
        let lower = route.path.replacen("/FHIR/R5", "/fhir/r5", 1);
        assert!(known.contains(&(&route.method, lower, &route.function)), "{route:?}");
    }
}

#[test]
fn the_main_file_of_a_function_is_short_and_names_it() {
    for name in names("functions") {
        let main = text(format!("functions/{name}/src/main.rs"));
        assert!(main.lines().count() <= 30, "{name}");
        assert!(main.contains(&format!("{}::FUNCTION", name.replace('-', "_"))), "{name}");
    }
}

#[test]
fn every_function_has_an_event_of_its_own() {
    let events: BTreeSet<String> = events().into_iter().map(|(name, _)| name).collect();
    for name in names("functions") {
        assert!(events.contains(&name), "events/{name}.json is missing");
    }
}

/// Where a secret is judged, or a mail is sent to whom the caller names.
fn is_guarded(method: &str, path: &str) -> bool {
    const PLACES: [&str; 21] = [
        "/accounts/email-code/",
        "/accounts/login/",
        "/accounts/passkey/",
        "/accounts/password/",
        "/accounts/reset/",
        "/accounts/reset/confirm/",
        "/accounts/second-factor/",
        "/accounts/second-factor/enrol/",
        "/accounts/second-factor/manage/",
        "/accounts/second-factor/passkey/",
        "/accounts/second-factor/passkey/enrol/",
        "/accounts/sign-up/",
        "/accounts/verify/",
        "/api/v1/invitation/{invitation}",
        "/o/introspect/",
        "/o/par/",
        "/o/revoke_token/",
        "/o/token-exchange",
        "/o/token-exchange/",
        "/o/token/",
        "/saml2/acs/",
    ];
    method == "POST" && PLACES.contains(&path)
}

#[test]
fn the_gateway_lets_less_through_where_people_sign_in() {
    let resources = resources();
    let api = resources.iter().find(|resource| resource.starts_with("  Api:")).expect("the API");
    let numbers =
        |line: &str| -> Vec<u32> { line.split([' ', ',', '}']).filter_map(|word| word.parse().ok()).collect() };
    let default = api.lines().find(|line| line.contains("DefaultRouteSettings")).expect("a default");
    let [rate, burst] = numbers(default)[..] else { panic!("{default}") };
    let lower: BTreeSet<&str> = api
        .lines()
        .filter(|line| line.trim_start().starts_with('"'))
        .map(|line| {
            let [own_rate, own_burst] = numbers(line)[..] else { panic!("{line}") };
            assert!(own_rate < rate && own_burst < burst, "{line}");
            line.split('"').nth(1).expect("a route")
        })
        .collect();
    let (routes, _) = declared().expect("the template is readable");
    let names: Vec<String> = routes
        .iter()
        .filter(|route| is_guarded(&route.method, &route.path))
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    // A route that is named here and does not exist would stop the deployment.
    assert_eq!(lower, names.iter().map(String::as_str).collect());
}

#[test]
fn every_event_is_for_a_route_of_its_function() {
    let functions = names("functions");
    let (routes, _) = declared().expect("the template is readable");
    for (name, event) in events() {
        let function = function_of(&name, &functions).unwrap_or_else(|| panic!("{name} is for no function"));
        if called_otherwise().any(|(name, _)| name == function)
            || SCHEDULED.iter().any(|scheduled| scheduled.name == function)
        {
            assert!(event.is_object() && event.get("routeKey").is_none(), "{name}");
            continue;
        }
        let key = event["routeKey"].as_str().unwrap_or_default();
        let is_route = routes.iter().any(|route| {
            route.function == function && key.split_once(' ') == Some((route.method.as_str(), route.path.as_str()))
        });
        assert!(is_route, "{name}: {key} is no route of {function}");
        let context = &event["requestContext"];
        assert_eq!(context["routeKey"], event["routeKey"], "{name}");
        assert_eq!(context["http"]["path"], event["rawPath"], "{name}");
        assert_eq!(key.split(' ').next(), context["http"]["method"].as_str(), "{name}");
        assert!(context["http"]["sourceIp"].is_string(), "{name}");
        assert_eq!(event["version"], "2.0", "{name}");
    }
}

#[test]
fn every_placeholder_is_explained() {
    let readme = text("events/README.md");
    for (name, event) in events() {
        for part in event.to_string().split("${").skip(1) {
            let placeholder = part.split('}').next().unwrap_or_default();
            assert!(readme.contains(&format!("`${{{placeholder}}}`")), "{name}: {placeholder}");
        }
    }
}
