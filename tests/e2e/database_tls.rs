//! TLS to the database, from `disable` to `verify-full`. The private server takes TLS only and its certificate is for `localhost`.

use end_to_end::World;
use store::{DatabaseConfig, SslMode, Store, StoreError};

async fn connects(config: DatabaseConfig) -> bool {
    let store = Store::new(&config).expect("the settings fit together");
    match store.ready().await {
        Ok(()) => true,
        Err(StoreError::Unavailable(_)) => false,
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_mode_checks_what_it_says() {
    let world = World::new().await;
    let base = DatabaseConfig { ssl_mode: SslMode::VerifyFull, ..world.owner_config() };
    let other_name = DatabaseConfig { host: "127.0.0.2".to_owned(), ..base.clone() };
    let other_authority = DatabaseConfig { ssl_root_cert: None, ..base.clone() };
    for (mode, right, wrong_name, wrong_authority) in [
        (SslMode::Disable, false, false, false),
        (SslMode::Prefer, true, true, true),
        (SslMode::Require, true, true, true),
        (SslMode::VerifyCa, true, true, false),
        (SslMode::VerifyFull, true, false, false),
    ] {
        let with = |config: &DatabaseConfig| DatabaseConfig { ssl_mode: mode, ..config.clone() };
        assert_eq!(connects(with(&base)).await, right, "{mode:?}");
        assert_eq!(connects(with(&other_authority)).await, wrong_authority, "{mode:?}, another authority");
        // The server listens on localhost only; a proxy under another name leads to it.
        let proxy = end_to_end::proxy::Proxy::start_on("127.0.0.2", World::postgres_port()).await;
        let named = DatabaseConfig { port: proxy.port, ..with(&other_name) };
        assert_eq!(connects(named).await, wrong_name, "{mode:?}, another name");
    }
}

#[tokio::test]
async fn the_functions_connections_are_encrypted() {
    let world = World::new().await;
    world.get("viewer_victor", "/FHIR/R5/Observation?patient=40001").await;
    let plain = world
        .count("SELECT count(*) FROM pg_stat_activity a LEFT JOIN pg_stat_ssl s USING (pid) WHERE a.datname = current_database() AND s.ssl IS NOT TRUE AND a.backend_type = 'client backend'")
        .await;
    assert_eq!(plain, 0);
}

#[tokio::test]
async fn a_root_certificate_that_is_none_is_refused_by_the_name_of_its_setting() {
    let world = World::new().await;
    for path in ["/nowhere.pem", "/etc/hostname"] {
        let config = DatabaseConfig { ssl_root_cert: Some(path.into()), ..world.owner_config() };
        let error = Store::new(&config).expect_err("no certificate").to_string();
        assert!(error.contains("DB_SSL_ROOT_CERT"), "{error}");
    }
}
