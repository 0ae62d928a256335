//! A login of functions, which RDS Proxy uses towards the database. Functions show the proxy tokens of IAM, and open
//! connections stay open: a new password concerns only connections that the proxy opens. Between the second step and the last,
//! seconds, it cannot.

use crate::unavailable;
use oauth::Secret;
use runtime::{App, Failure};
use secrecy::SecretString;
use secrets::Login;

/// The same login with a new password of 256 random bits.
pub fn next(current: &SecretString) -> Result<SecretString, Failure> {
    Login::with_password(current, Secret::generate()?.expose()).map_err(unavailable)
}

/// Gives the database the new password.
pub async fn set(app: &App, pending: &SecretString) -> Result<&'static str, Failure> {
    let login = Login::parse(pending).map_err(unavailable)?;
    store::create_login(&app.owner()?, &login.username, &login.password, &login.role).await?;
    Ok("set")
}

/// The password itself cannot be tried from here: the proxy takes tokens only, and nothing else reaches the database. That the
/// login is there and may do what it has to is asked of the database.
pub async fn test(app: &App, pending: &SecretString) -> Result<(), Failure> {
    let login = Login::parse(pending).map_err(unavailable)?;
    if store::is_login(&app.owner()?, &login.username, &login.role).await? {
        Ok(())
    } else {
        Err(Failure::Conflict("The database has no such login."))
    }
}
