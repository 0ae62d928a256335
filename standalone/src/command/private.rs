//! The database of the private server that the commands work on: `DB_NAME` there, as it is elsewhere.

use super::{ALL, Result, Variables, environment, home, set_retention_floor, variables, with_owner};
use secrecy::SecretString;
use standalone::embedded::{Embedded, EmbeddedError};
use std::process::ExitCode;
use store::DatabaseConfig;

/// The database that is made when none is named.
const DEFAULT: &str = "jhe";

/// The name of the database that is worked on.
pub fn name() -> Result<String> {
    let name = environment("DB_NAME").filter(|name| !name.is_empty()).unwrap_or_else(|| DEFAULT.to_owned());
    backup_job::check_name(&name)?;
    Ok(name)
}

/// The ways to a database of the private server.
#[derive(Clone, Debug)]
pub struct Private {
    /// As its owner.
    pub owner: DatabaseConfig,
    /// As the functions.
    pub app: DatabaseConfig,
}

impl Private {
    /// Of a server that this process runs.
    pub fn of(server: &Embedded, name: &str) -> Self {
        Self { owner: server.owner(name), app: server.app(name) }
    }

    /// Of the server that another process runs.
    fn of_running(name: &str) -> Result<Self> {
        let home = home();
        Ok(Self { owner: Embedded::owner_of_running(&home, name)?, app: Embedded::app_of_running(&home, name)? })
    }

    /// The environment that leads there.
    pub fn variables(&self) -> Variables {
        with_owner(variables(&self.app), &self.owner)
    }

    /// Gives the database its tables, and the functions their login.
    pub async fn prepare(&self) -> Result<()> {
        store::migrate(&self.owner).await?;
        set_retention_floor(&self.owner).await?;
        let password = self.app.password.clone().unwrap_or_else(|| SecretString::from(String::new()));
        store::create_login(&self.owner, &self.app.user, &password, ALL).await?;
        Ok(())
    }

    /// Another name than the one that is made by itself is somebody's mistake, unless there is such a database.
    async fn must_be_there(&self) -> Result<()> {
        let name = &self.owner.name;
        let server = DatabaseConfig { name: "postgres".to_owned(), ..self.owner.clone() };
        if store::has_database(&server, name).await? {
            return Ok(());
        }
        let why = format!(
            "the private server has no database {name}: jhe restore BACKUP --into {name} makes it, without DB_NAME. \
             The one that is served by default is {DEFAULT}"
        );
        Err(why.into())
    }
}

/// The database with this name, with all that serving takes. The one that is served by default is made.
pub async fn prepared(server: &Embedded, name: &str) -> Result<Private> {
    let database = Private::of(server, name);
    if name == DEFAULT {
        store::create_database(&server.owner("postgres"), name).await?;
    } else {
        database.must_be_there().await?;
    }
    database.prepare().await?;
    Ok(database)
}

/// Does something with the database, beside a host that serves or without one.
pub async fn with(work: impl AsyncFnOnce(Private) -> Result<ExitCode>) -> Result<ExitCode> {
    let name = name()?;
    match Embedded::start(&home(), false).await {
        Ok(server) => {
            // What a command takes is not part of every future around it.
            let result = async { Box::pin(work(prepared(&server, &name).await?)).await };
            let result = result.await;
            server.ends();
            server.stop().await?;
            result
        }
        Err(EmbeddedError::InUse(_)) => {
            let database = Private::of_running(&name)?;
            database.must_be_there().await?;
            Box::pin(work(database)).await
        }
        Err(error) => Err(error.into()),
    }
}
