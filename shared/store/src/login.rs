//! Who a new connection is, where that changes while a process runs.

use crate::DatabaseConfig;
use deadpool_postgres::{ConfigConnectImpl, Connect};
use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, Error, error::SqlState};
use tokio_postgres_rustls::MakeRustlsConnect;

/// A user of the database, and what proves it.
#[derive(Clone, Debug)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password, unless a certificate proves it.
    pub password: Option<SecretString>,
}

/// Gives the login for new connections: a secret that is rotated, or tokens that lapse.
pub trait Logins: Send + Sync {
    /// The login as of now. None, if it cannot be had: then the one before is tried.
    fn current(&self) -> BoxFuture<'_, Option<Login>>;

    /// The database refused the login: what is kept of it may be out of date.
    fn refused(&self) -> BoxFuture<'_, ()>;
}

/// The login that connections are made with, and where the next comes from.
#[derive(Clone)]
pub(crate) struct Renewed {
    source: Arc<dyn Logins>,
    now: Arc<RwLock<Login>>,
}

impl Renewed {
    pub(crate) fn new(source: Arc<dyn Logins>, config: &DatabaseConfig) -> Self {
        let first = Login { user: config.user.clone(), password: config.password.clone() };
        Self { source, now: Arc::new(RwLock::new(first)) }
    }

    /// Asks for the login again.
    pub(crate) async fn renew(&self) {
        if let Some(login) = self.source.current().await {
            *self.now.write().unwrap_or_else(PoisonError::into_inner) = login;
        }
    }

    /// Asks for the login again after the database refused it.
    pub(crate) async fn renew_refused(&self) {
        self.source.refused().await;
        self.renew().await;
    }

    fn login(&self) -> Login {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl std::fmt::Debug for Renewed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Renewed").finish_non_exhaustive()
    }
}

/// Connects with the login of the moment.
pub(crate) struct ConnectAs {
    pub(crate) renewed: Renewed,
    pub(crate) connect: ConfigConnectImpl<MakeRustlsConnect>,
}

impl Connect for ConnectAs {
    fn connect(&self, config: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), Error>> {
        let login = self.renewed.login();
        let mut config = config.clone();
        config.user(&login.user);
        if let Some(password) = &login.password {
            config.password(password.expose_secret());
        }
        self.connect.connect(&config)
    }
}

/// Whether the database refused who connected.
pub(crate) fn is_refused(error: &Error) -> bool {
    matches!(error.code(), Some(&SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION))
}
