//! Databases that are made and dropped: of the private server, of what is restored, and of drills.

use crate::{
    DatabaseConfig, LoginError, StoreError,
    migrate::{checked_name, connect_owner},
};
use tokio_postgres::Client;

/// What is known of a database without opening it: what somebody wrote about it, and whether it is the caller's.
const KNOWN: &str = "
SELECT shobj_description(oid, 'pg_database'), pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = $1";

/// Whether there is anything in a database that the server did not put there when it was made: its own things have lower numbers.
const FILLED: &str = "
SELECT EXISTS (SELECT FROM pg_class WHERE oid >= 16384) OR EXISTS (SELECT FROM pg_proc WHERE oid >= 16384)
    OR EXISTS (SELECT FROM pg_type WHERE oid >= 16384) OR EXISTS (SELECT FROM pg_namespace WHERE oid >= 16384)
    OR EXISTS (SELECT FROM pg_extension WHERE oid >= 16384) OR EXISTS (SELECT FROM pg_largeobject_metadata)";

/// What is written about a database that a drill made. No other one is dropped by a drill.
const MARK: &str = "jhe backup verify made this database and drops it";

/// Whether there is a database of this name. `server` leads to any database of the server.
pub async fn has_database(server: &DatabaseConfig, name: &str) -> Result<bool, LoginError> {
    is_there(&connect_owner(server).await?, name).await
}

async fn is_there(client: &Client, name: &str) -> Result<bool, LoginError> {
    let row = client.query_opt("SELECT FROM pg_database WHERE datname = $1", &[&name]).await;
    Ok(row.map_err(StoreError::from)?.is_some())
}

/// Makes a database, unless it is there. `server` leads to any database of the server, as a role that may. Whether it was made.
pub async fn create_database(server: &DatabaseConfig, name: &str) -> Result<bool, LoginError> {
    create_like(server, name, "template1").await
}

/// The same, for what is restored: empty whatever somebody put into `template1`, which every other new database is a copy of.
pub async fn create_empty_database(server: &DatabaseConfig, name: &str) -> Result<bool, LoginError> {
    create_like(server, name, "template0").await
}

async fn create_like(server: &DatabaseConfig, name: &str, template: &'static str) -> Result<bool, LoginError> {
    checked_name(name)?;
    let client = connect_owner(server).await?;
    let is_new = !is_there(&client, name).await?;
    if is_new {
        execute(&client, &format!("CREATE DATABASE {name} TEMPLATE {template}")).await?;
    }
    Ok(is_new)
}

/// Drops a database, whoever is connected to it.
pub async fn drop_database(server: &DatabaseConfig, name: &str) -> Result<(), LoginError> {
    checked_name(name)?;
    execute(&connect_owner(server).await?, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await
}

/// Drops a database of ours that nothing is in, that nobody is connected to, and that nobody wrote anything about. False: it is another one, and
/// stays.
pub async fn drop_empty_database(server: &DatabaseConfig, name: &str) -> Result<bool, LoginError> {
    checked_name(name)?;
    let client = connect_owner(server).await?;
    if !matches!(known(&client, name).await?, Some((None, true))) || !is_empty(server, name).await {
        return Ok(false);
    }
    execute(&client, &format!("DROP DATABASE {name}")).await?;
    Ok(true)
}

/// Whether nothing is in a database. One that cannot be opened is somebody's.
async fn is_empty(server: &DatabaseConfig, name: &str) -> bool {
    let database = DatabaseConfig { name: name.to_owned(), ..server.clone() };
    let Ok(client) = connect_owner(&database).await else { return false };
    client.query_one(FILLED, &[]).await.is_ok_and(|row| row.try_get(0).is_ok_and(|filled: bool| !filled))
}

/// Makes the database of a drill. One that a drill left which was cut off goes first: it has the mark, or it is empty, since making it and
/// marking it are two steps. False: there is another one of this name, and it stays.
pub async fn create_drill_database(server: &DatabaseConfig, name: &str) -> Result<bool, LoginError> {
    drop_drill_database(server, name).await?;
    drop_empty_database(server, name).await?;
    if !create_empty_database(server, name).await? {
        return Ok(false);
    }
    execute(&connect_owner(server).await?, &format!("COMMENT ON DATABASE {name} IS '{MARK}'")).await?;
    Ok(true)
}

/// Drops the database of a drill, if it is there and a drill made it.
pub async fn drop_drill_database(server: &DatabaseConfig, name: &str) -> Result<(), LoginError> {
    let is_marked =
        known(&connect_owner(server).await?, name).await?.is_some_and(|(text, _)| text.as_deref() == Some(MARK));
    if is_marked { drop_database(server, name).await } else { Ok(()) }
}

/// What somebody wrote about a database, and whether it is the caller's.
async fn known(client: &Client, name: &str) -> Result<Option<(Option<String>, bool)>, LoginError> {
    let Some(row) = client.query_opt(KNOWN, &[&name]).await.map_err(StoreError::from)? else { return Ok(None) };
    let text = row.try_get(0).map_err(StoreError::from)?;
    Ok(Some((text, row.try_get(1).map_err(StoreError::from)?)))
}

async fn execute(client: &Client, statement: &str) -> Result<(), LoginError> {
    Ok(client.batch_execute(statement).await.map_err(StoreError::from)?)
}
