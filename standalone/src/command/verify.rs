//! `jhe verify`: looks at the deployment that the environment leads to, prints what it found, and writes the evidence.

use super::{Result, app, environment, out::say, owner_config, port, private, site_url, variables, write_private};
use runtime::App;
use standalone::verify::{
    Given, Subject, Target, catalogue,
    report::{Report, Signature},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};
use store::DatabaseConfig;

/// What the command line asks for.
struct Options {
    target: Target,
    only: Vec<String>,
    report: Option<PathBuf>,
    given: Given,
}

impl Options {
    fn parse(words: &[&str]) -> Result<Self> {
        let (mut target, mut only, mut report, mut given) = (None, Vec::new(), None, Given::default());
        let mut rest = words.iter();
        while let Some(name) = rest.next() {
            let value = rest.next().ok_or_else(|| format!("{name} needs a value"))?;
            match *name {
                "--target" => target = Some(value.parse()?),
                "--only" => only = value.split(',').map(str::to_owned).collect(),
                "--report" => report = Some(PathBuf::from(value)),
                "--ca-file" => given.authorities = Some(PathBuf::from(value)),
                "--clear-url" => given.clear_url = Some((*value).to_owned()),
                "--credentials" => given.credentials = Some(PathBuf::from(value)),
                "--data-directory" => given.data_directory = Some(PathBuf::from(value)),
                "--facts" => given.facts = Some(facts(Path::new(value))?),
                other => return Err(format!("{other} is no option of verify").into()),
            }
        }
        if let Some(unknown) = only.iter().find(|id| !catalogue().iter().any(|entry| entry.id == **id)) {
            return Err(format!("{unknown} is no check").into());
        }
        let target = target.ok_or("say which --target it is: aws, gcp, azure, self-hosted or local")?;
        Ok(Self { target, only, report, given })
    }
}

fn facts(path: &Path) -> Result<serde_json::Value> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|_| format!("{} is not JSON", path.display()).into())
}

/// How it ends when nothing was found to be wrong, but it could not look, or its evidence is not whole: a check that fails ends with 1.
const NOT_DONE: u8 = 2;

/// Runs the checks. Fails when one does.
pub async fn run(words: &[&str]) -> Result<ExitCode> {
    // What it takes is not part of every future around it.
    Ok(Box::pin(look(words)).await.unwrap_or_else(|error| {
        eprintln!("jhe: {}", super::explain(error.as_ref()));
        ExitCode::from(NOT_DONE)
    }))
}

async fn look(words: &[&str]) -> Result<ExitCode> {
    let options = Options::parse(words)?;
    if environment("DB_HOST").is_some_and(|host| !host.is_empty()) {
        let database = DatabaseConfig::from_env(environment, None, super::pool_size())?;
        let owner = environment("DB_OWNER_USER").is_some().then(owner_config).transpose()?;
        let site_url = environment("SITE_URL").ok_or("SITE_URL is not set")?;
        return examine(options, app(Vec::new(), &site_url)?, database, owner).await;
    }
    // The private database of this host is nobody's deployment: what it shows would be said of another.
    if options.target != Target::Local {
        let why = "DB_HOST is not set: say where the database of the deployment is. Only the target local has one here";
        return Err(why.into());
    }
    let site_url = site_url(port()?);
    private::with(async |database| {
        let app = app(variables(&database.app), &site_url)?;
        examine(options, app, database.app, Some(database.owner)).await
    })
    .await
}

async fn examine(
    options: Options,
    app: App,
    database: DatabaseConfig,
    owner: Option<DatabaseConfig>,
) -> Result<ExitCode> {
    let name = format!("{}:{}/{}", database.host, database.port, database.name);
    let subject = Subject { target: options.target, app: Arc::new(app), database, owner, given: options.given };
    let findings = subject.examine(&options.only).await;
    let app = &subject.app;
    let report = Report::new(&app.settings.site_url, options.target, name, app.now(), findings);
    for finding in &report.findings {
        say(format_args!("{:<14}{:<22}{}", finding.verdict, finding.id, finding.reason))?;
        if let Some(remedy) = finding.remedy {
            say(format_args!("{:36}-> {remedy}", ""))?;
        }
    }
    let counts = report.counts;
    say(format_args!("{} pass, {} fail, {} not checkable", counts.pass, counts.fail, counts.not_checkable))?;
    let is_whole = match &options.report {
        Some(directory) => write(directory, &report, &subject).await?,
        None => true,
    };
    Ok(match (counts.fail, is_whole) {
        (0, true) => ExitCode::SUCCESS,
        (0, false) => ExitCode::from(NOT_DONE),
        _ => ExitCode::FAILURE,
    })
}

/// Writes the report and its signature. False: it is not signed, and says so.
async fn write(directory: &Path, report: &Report, subject: &Subject) -> Result<bool> {
    fs::create_dir_all(directory)?;
    let file = |ending: &str, content: &[u8]| {
        let path = directory.join(format!("{}.{ending}", report.stem()));
        say(path.display())?;
        write_private(&path, content)
    };
    let evidence = report.evidence(subject).await;
    file("json", evidence.json.as_bytes())?;
    file("md", evidence.markdown.as_bytes())?;
    match evidence.signature {
        Ok(Signature { sums, bytes }) => {
            file("sha256", sums.as_bytes())?;
            file("sig", &bytes)?;
            Ok(true)
        }
        Err(why) => {
            eprintln!("jhe: the report is not signed: {why}");
            Ok(false)
        }
    }
}
