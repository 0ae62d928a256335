//! `jhe exposed`: who was affected between two times, by what the audit says was shown.

use super::{Result, operator, out::Quiet, with_app};
use audit::{Action, Context};
use runtime::App;
use standalone::{
    exposed::{Format, Tally, notices::Notices},
    server,
};
use std::{
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};
use store::{AccountName, Exposure, ExposureQuery, StoreError};

/// What the command line asks for.
struct Options {
    query: ExposureQuery,
    format: Format,
    notices: Option<PathBuf>,
}

impl Options {
    fn parse(words: &[&str]) -> Result<Self> {
        let (mut from, mut to, mut notices, mut format) = (None, None, None, Format::Json);
        let mut query = ExposureQuery {
            from: jiff::Timestamp::MIN,
            to: jiff::Timestamp::MAX,
            user: None,
            client: None,
            organization: None,
            patient: None,
            contacts: false,
        };
        let mut rest = words.iter();
        while let Some(name) = rest.next() {
            if *name == "--contacts" {
                query.contacts = true;
                continue;
            }
            let value = rest.next().ok_or_else(|| format!("{name} needs a value"))?;
            match *name {
                "--from" => from = Some(time(name, value)?),
                "--to" => to = Some(time(name, value)?),
                "--user" => query.user = Some(AccountName::of(value)),
                "--client" => query.client = Some((*value).to_owned()),
                "--organization" => query.organization = Some(number(name, value)?),
                "--patient" => query.patient = Some(number(name, value)?),
                "--format" => format = value.parse()?,
                "--notices" => notices = Some(PathBuf::from(value)),
                other => return Err(format!("{other} is no option of exposed").into()),
            }
        }
        query.from = from.ok_or("say --from when, as in 2026-03-01T09:00:00Z")?;
        query.to = to.ok_or("say --to when, as in 2026-03-01T17:00:00Z")?;
        if query.from >= query.to {
            return Err("--from has to be before --to".into());
        }
        Ok(Self { query, format, notices })
    }
}

fn time(name: &str, value: &str) -> Result<jiff::Timestamp> {
    value.parse().map_err(|_| format!("{name} needs a time as in 2026-03-01T09:00:00Z").into())
}

fn number(name: &str, value: &str) -> Result<i32> {
    value.parse().map_err(|_| format!("{name} needs a number").into())
}

/// Prints who was affected.
pub async fn run(words: &[&str]) -> Result<ExitCode> {
    let mut options = Options::parse(words)?;
    let contacts_are_printed = options.query.contacts;
    // A letter is to somebody; what is printed has names only when that was asked for.
    options.query.contacts |= options.notices.is_some();
    with_app(async |app| print(app, &options, contacts_are_printed).await).await
}

async fn print(app: &App, options: &Options, contacts_are_printed: bool) -> Result<ExitCode> {
    let query = &options.query;
    let mut notices = options.notices.as_deref().map(|directory| Notices::begin(directory, query)).transpose()?;
    let mut out = BufWriter::new(Quiet(io::stdout().lock()));
    let mut tally = Tally::new(&mut out, options.format, query, contacts_are_printed);
    let context =
        Context::of_system(&server::request_id(), Action::Execute, "Exposure").called_by(operator().as_deref());
    let store = app.store().await?;
    let is_known = store
        .exposures(&context, query, |exposure: Exposure| {
            let done = tally.take(&exposure)?;
            if let (Some(notices), Some(affected)) = (&mut notices, done) {
                notices.patient(&affected)?;
            }
            Ok::<(), Unwritten>(())
        })
        .await?;
    if !is_known {
        return Err("there is no such account or client".into());
    }
    let (last, total) = tally.finish()?;
    out.flush()?;
    if let Some(mut notices) = notices {
        if let Some(affected) = last {
            notices.patient(&affected)?;
        }
        let names = store.names_of_organizations(&notices.organizations()).await?;
        let directory = notices.end(&total, &names)?;
        eprintln!("{}", told(&directory, total.patients));
    }
    Ok(ExitCode::SUCCESS)
}

fn told(directory: &Path, patients: u64) -> String {
    format!("{patients} letters to patients, and the notices, are in {}", directory.display())
}

/// The answer of the database could not be had, or not be written.
#[derive(Debug, thiserror::Error)]
enum Unwritten {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("it cannot be written")]
    File(#[from] io::Error),
}
