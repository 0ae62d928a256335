//! `jhe backup` and `jhe restore`: backups made, tried and restored by hand.

use super::{
    Failure, Result, Variables, environment, explain, operator,
    out::{say, say_all},
    scheduled, with_app, with_given,
};
use backup_job::Settings;
use runtime::{App, Occasion, Scheduled};
use serde_json::{Value, json};
use standalone::server::request_id;
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
    let report = function.run(app, &now()).await.map_err(told)?;
    say(format_args!("{report:#}"))?;
    why_not(&report).map_or(Ok(ExitCode::SUCCESS), |why| Err(why.into()))
}

/// What somebody reads who asked by hand: what did not answer, too, and how.
fn told(failure: runtime::Failure) -> Failure {
    match failure {
        runtime::Failure::Unavailable(error) => error,
        other => other.detail().into(),
    }
}

/// Refuses what is no place at all before anything is done: a word that was mistyped is no backup that failed. One that is set is: nobody
/// else would hear of it.
fn check_place(app: &App) -> Result<()> {
    match Settings::of(app)?.archive(app) {
        Err(error) if error.is_no_place() => Err(error.into()),
        _ => Ok(()),
    }
}

/// Calls it with the place that was named by hand, or with the one that is set.
async fn done_with(function: &Scheduled, given: Variables) -> Result<ExitCode> {
    let is_named = !given.is_empty();
    with_given(given, async |app| {
        if is_named {
            check_place(app)?;
        }
        done(function, app).await
    })
    .await
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
    done_with(&backup_create::FUNCTION, given).await
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
    done_with(&backup_verify::FUNCTION, given).await
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
        let report = restored(app, backup, &database).await;
        let report = report.map_err(|error| format!("nothing was restored: {}", explain(error.as_ref())))?;
        say(format_args!("{report:#}"))?;
        Ok(ExitCode::SUCCESS)
    })
    .await
}

/// Restores it. In the private server the database is made, once it is known that there is a backup to put into it, and goes again when
/// nothing was.
async fn restored(app: &App, backup: &str, database: &str) -> Result<Value> {
    backup_job::check_name(database)?;
    let settings = Settings::of(app)?;
    let archive = settings.archive(app)?;
    let id = match backup {
        "latest" => backup_job::newest(&archive).await?.ok_or("there is no complete backup")?,
        id => id.to_owned(),
    };
    backup_job::verified(app, &settings, &archive, &id).await?;
    let owner = app.owner()?;
    let is_made = environment("DB_HOST").is_none() && store::create_empty_database(&owner, database).await?;
    let into = DatabaseConfig { name: database.to_owned(), ..owner.clone() };
    let report = backup_job::restore(app, &id, &into, &now()).await;
    if report.is_err() && is_made {
        // Why nothing was restored is told first. One that somebody else filled meanwhile stays.
        if let Err(error) = store::drop_empty_database(&owner, database).await {
            eprintln!("jhe: {database} was made for this, and is still there: {}", explain(&error));
        }
    }
    Ok(report?)
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
