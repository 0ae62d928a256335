//! `jhe backup` and `jhe restore`: backups made, tried and restored by hand.

use super::{
    DATABASE, Failure, Result, Variables, environment, explain, home, operator,
    out::{say, say_all},
    owner_config, scheduled, with_app, with_given,
};
use runtime::{App, Occasion, Scheduled};
use serde_json::{Value, json};
use standalone::{
    embedded::{Embedded, EmbeddedError},
    server::request_id,
};
use std::process::ExitCode;
use store::DatabaseConfig;

/// The place that an option names, and what is left of the options.
fn place<'a>(option: &str, options: &[&'a str]) -> Result<(Variables, Vec<&'a str>)> {
    let Some(at) = options.iter().position(|word| *word == option) else { return Ok((Vec::new(), options.to_vec())) };
    let named = options.get(at.saturating_add(1)).ok_or_else(|| format!("{option} needs a place"))?;
    let rest = options.iter().enumerate().filter(|(index, _)| *index != at && *index != at.saturating_add(1));
    Ok((vec![("BACKUP_TO", (*named).to_owned())], rest.map(|(_, word)| *word).collect()))
}

fn none_left(options: &[&str]) -> Result<()> {
    options.first().map_or(Ok(()), |unknown| Err(Failure::from(format!("{unknown} is no option here"))))
}

/// Whoever asks by hand means now.
fn now() -> Occasion {
    Occasion::new(&request_id(), json!({ "now": true })).by(operator())
}

/// Calls it. The clock may find that there is nothing it can do; who asks by hand asks for it to be done.
async fn done(function: &Scheduled, app: &App) -> Result<ExitCode> {
    let report = function.run(app, &now()).await.map_err(|failure| failure.detail())?;
    say(format_args!("{report:#}"))?;
    why_not(&report).map_or(Ok(ExitCode::SUCCESS), |why| Err(why.into()))
}

/// Why nothing was done, if nothing was.
fn why_not(report: &Value) -> Option<String> {
    let text = |name: &str| report.get(name).and_then(Value::as_str).unwrap_or_default();
    match text("outcome") {
        "made" | "passed" => None,
        "no place" => Some(format!("nothing was done: {} is not set", text("setting"))),
        "no owner" => Some(format!("nothing was tried: {} and its password have to be set", text("setting"))),
        other => Some(format!("nothing was done: {other}")),
    }
}

/// `jhe backup [--to PLACE]`.
pub async fn create(options: &[&str]) -> Result<ExitCode> {
    if scheduled::asks_for_help(options) {
        return help(&backup_create::FUNCTION);
    }
    let (given, rest) = place("--to", options)?;
    none_left(&rest)?;
    if given.is_empty() && environment("BACKUP_TO").is_none() {
        return Err("say where to: --to DIRECTORY, --to s3://BUCKET/PREFIX, or BACKUP_TO".into());
    }
    with_given(given, async |app| done(&backup_create::FUNCTION, app).await).await
}

fn help(function: &Scheduled) -> Result<ExitCode> {
    say(format_args!("jhe {}: {}", function.command, function.summary))?;
    Ok(ExitCode::SUCCESS)
}

/// `jhe backup verify [--from PLACE]`.
pub async fn verify(options: &[&str]) -> Result<ExitCode> {
    if scheduled::asks_for_help(options) {
        return help(&backup_verify::FUNCTION);
    }
    let (given, rest) = place("--from", options)?;
    none_left(&rest)?;
    if given.is_empty() && environment("BACKUP_TO").is_none() {
        return Err("say where the backups are: --from DIRECTORY, --from s3://BUCKET/PREFIX, or BACKUP_TO".into());
    }
    with_given(given, async |app| done(&backup_verify::FUNCTION, app).await).await
}

/// `jhe backup public-key`.
pub async fn public_key() -> Result<ExitCode> {
    with_app(async |app| {
        say_all(backup_job::public_key(app).await?)?;
        Ok(ExitCode::SUCCESS)
    })
    .await
}

/// `jhe restore BACKUP --into DATABASE [--from PLACE]`.
pub async fn restore(backup: &str, options: &[&str]) -> Result<ExitCode> {
    let (given, rest) = place("--from", options)?;
    let ["--into", database] = rest.as_slice() else {
        return Err("say into which database: --into DATABASE".into());
    };
    let database = (*database).to_owned();
    with_given(given, async |app| {
        let into = empty_database(&database).await?;
        let settings = backup_job::Settings::of(app)?;
        let newest = backup_job::newest(&settings.archive(app)?).await?;
        let id = match backup {
            "latest" => newest.ok_or("there is no complete backup")?,
            id => id.to_owned(),
        };
        let report = backup_job::restore(app, &id, &into, &now()).await;
        let report = report.map_err(|error| format!("nothing was restored: {}", explain(&error)))?;
        say(format_args!("{report:#}"))?;
        Ok(ExitCode::SUCCESS)
    })
    .await
}

/// How the owner reaches the database that is to be filled. In the private server it is made.
async fn empty_database(name: &str) -> Result<DatabaseConfig> {
    if environment("DB_HOST").is_some() {
        return Ok(DatabaseConfig { name: name.to_owned(), ..owner_config()? });
    }
    let owner = Embedded::owner_of_running(&home(), DATABASE).map_err(|error: EmbeddedError| error.to_string())?;
    store::create_empty_database(&owner, name).await?;
    Ok(DatabaseConfig { name: name.to_owned(), ..owner })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_done_by_hand_is_told() {
        for (report, why) in [
            (json!({ "outcome": "made" }), None),
            (json!({ "outcome": "passed" }), None),
            (json!({ "outcome": "no place", "setting": "BACKUP_TO" }), Some("nothing was done: BACKUP_TO is not set")),
            (
                json!({ "outcome": "no owner", "setting": "DB_OWNER_USER" }),
                Some("nothing was tried: DB_OWNER_USER and its password have to be set"),
            ),
            (json!({ "outcome": "running elsewhere" }), Some("nothing was done: running elsewhere")),
        ] {
            assert_eq!(why_not(&report).as_deref(), why, "{report}");
        }
    }
}
