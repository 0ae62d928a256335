//! The pool of connections: made once per process, connected when first used.

use crate::{
    ConfigError, DatabaseConfig, Logins, PayloadKeys, SslMode, StoreError,
    login::{ConnectAs, Renewed, is_refused},
    meter, tls,
};
use deadpool_postgres::{ConfigConnectImpl, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime};
use secrecy::ExposeSecret;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const RECYCLING: ManagerConfig = ManagerConfig { recycling_method: RecyclingMethod::Fast };

/// The database as the functions see it.
#[derive(Clone, Debug)]
pub struct Store {
    pool: Pool,
    renewed: Option<Renewed>,
    pub(crate) payload_keys: Option<Arc<dyn PayloadKeys>>,
}

impl Store {
    /// A store over a pool. Connects to nothing yet.
    pub fn new(config: &DatabaseConfig) -> Result<Self, ConfigError> {
        let manager = Manager::from_config(driver_config(config), tls::connector(config)?, RECYCLING);
        Self::over(manager, config, None)
    }

    /// The same, where the login may change while the process runs. That of the configuration is the first.
    pub fn with_logins(config: &DatabaseConfig, logins: Arc<dyn Logins>) -> Result<Self, ConfigError> {
        let renewed = Renewed::new(logins, config);
        let connect = ConfigConnectImpl { tls: tls::connector(config)? };
        let connect = ConnectAs { renewed: renewed.clone(), connect };
        Self::over(Manager::from_connect(driver_config(config), connect, RECYCLING), config, Some(renewed))
    }

    fn over(manager: Manager, config: &DatabaseConfig, renewed: Option<Renewed>) -> Result<Self, ConfigError> {
        let pool = Pool::builder(manager)
            .max_size(config.pool_size)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(config.connect_timeout))
            .create_timeout(Some(config.connect_timeout))
            .recycle_timeout(Some(config.connect_timeout))
            .build()
            .map_err(|_| ConfigError::Invalid("DB_POOL_SIZE", "the pool cannot be built"))?;
        Ok(Self { pool, renewed, payload_keys: None })
    }

    /// A connection from the pool.
    pub(crate) async fn connection(&self) -> Result<Object, StoreError> {
        /// More statements than any function has; only filters that vary in shape reach it.
        const MOST_STATEMENTS: usize = 256;
        let asked = Instant::now();
        let client = self.pooled().await?;
        meter::waited(asked.elapsed());
        // A prepared statement takes memory in the server until its connection ends: an unusual mix of filters must
        // not fill it.
        if client.statement_cache.size() > MOST_STATEMENTS {
            client.statement_cache.clear();
        }
        Ok(client)
    }

    async fn pooled(&self) -> Result<Object, PoolError> {
        let Some(renewed) = &self.renewed else { return self.pool.get().await };
        renewed.renew().await;
        match self.pool.get().await {
            // The secret was replaced a moment ago: what is kept of it is out of date.
            Err(PoolError::Backend(error)) if is_refused(&error) => {
                renewed.renew_refused().await;
                self.pool.get().await
            }
            other => other,
        }
    }

    /// Makes sure that a connection can be had: the readiness probe, and the warm-up of a cold start.
    pub async fn ready(&self) -> Result<(), StoreError> {
        self.connection().await?.simple_query("SELECT 1").await?;
        Ok(())
    }
}

/// The driver's settings. Keep-alives and the TCP user timeout find a peer that vanished without a word.
pub(crate) fn driver_config(config: &DatabaseConfig) -> tokio_postgres::Config {
    let mut driver = tokio_postgres::Config::new();
    driver
        .host(&config.host)
        .port(config.port)
        .dbname(&config.name)
        .user(&config.user)
        .application_name("jhe")
        .connect_timeout(config.connect_timeout)
        .keepalives(true)
        .keepalives_idle(Duration::from_secs(30))
        .tcp_user_timeout(Duration::from_secs(15))
        .ssl_mode(match config.ssl_mode {
            SslMode::Disable => tokio_postgres::config::SslMode::Disable,
            SslMode::Prefer => tokio_postgres::config::SslMode::Prefer,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => tokio_postgres::config::SslMode::Require,
        });
    if let Some(password) = &config.password {
        driver.password(password.expose_secret());
    }
    driver
}
