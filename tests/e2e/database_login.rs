//! The login of the database may change while a process runs.

use end_to_end::World;
use futures_util::future::{BoxFuture, FutureExt};
use secrecy::SecretString;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};
use store::{DatabaseConfig, Login, Logins, Store, StoreError};

/// Logins as a secret gives them: what is kept of it stays until the database refuses it.
struct Secret {
    user: String,
    kept: Mutex<String>,
    latest: Mutex<String>,
    doubts: AtomicUsize,
}

impl Logins for Secret {
    fn current(&self) -> BoxFuture<'_, Option<Login>> {
        let password = self.kept.lock().expect("not poisoned").clone();
        let login = (!password.is_empty())
            .then(|| Login { user: self.user.clone(), password: Some(SecretString::from(password)) });
        std::future::ready(login).boxed()
    }

    fn refused(&self) -> BoxFuture<'_, ()> {
        self.doubts.fetch_add(1, Ordering::Relaxed);
        self.kept.lock().expect("not poisoned").clone_from(&self.latest.lock().expect("not poisoned"));
        std::future::ready(()).boxed()
    }
}

/// A user of a world's database who is of no other world, with a password.
async fn with_user(world: &World, password: &str) -> (DatabaseConfig, Arc<Secret>) {
    let user = format!("{}_rotated", world.database);
    world.sql(&format!("CREATE ROLE {user} LOGIN PASSWORD '{password}'")).await;
    let secret = Secret {
        user: user.clone(),
        kept: Mutex::new(password.to_owned()),
        latest: Mutex::new(password.to_owned()),
        doubts: AtomicUsize::new(0),
    };
    (DatabaseConfig { user, password: None, ..world.owner_config() }, Arc::new(secret))
}

/// Whether a connection can be had once the pool has found out which were ended.
async fn connects_again(store: &Store) -> bool {
    for _ in 0..10 {
        if store.ready().await.is_ok() {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn a_password_that_is_replaced_is_picked_up_without_a_restart() {
    let world = World::new().await;
    let (config, secret) = with_user(&world, "first").await;
    let store = Store::with_logins(&config, Arc::<Secret>::clone(&secret)).expect("a store");
    store.ready().await.expect("the first password");

    world.sql(&format!("ALTER ROLE {} PASSWORD 'second'", config.user)).await;
    *secret.latest.lock().expect("not poisoned") = "second".to_owned();
    // What is connected stays connected, and asks for nothing.
    store.ready().await.expect("the connection");
    assert_eq!(secret.doubts.load(Ordering::Relaxed), 0);
    let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{}'", config.user);
    world.sql(&end).await;
    assert!(connects_again(&store).await, "the second password");
    assert_eq!(secret.doubts.load(Ordering::Relaxed), 1);

    // A secret that cannot be read leaves the login as it was.
    secret.kept.lock().expect("not poisoned").clear();
    world.sql(&end).await;
    assert!(connects_again(&store).await, "the second password");
    drop(store);
    world.sql(&format!("DROP ROLE {}", config.user)).await;
}

#[tokio::test]
async fn the_password_of_a_login_is_in_no_statement_that_a_server_could_log() {
    let world = World::new().await;
    world.sql("CREATE EXTENSION pg_stat_statements").await;
    world.sql(&format!("ALTER DATABASE {} SET pg_stat_statements.track = 'all'", world.database)).await;
    let name = format!("{}_login", world.database);
    for password in ["first of 'two'", "second"] {
        let config = DatabaseConfig { user: name.clone(), password: Some(password.into()), ..world.owner_config() };
        store::create_login(&world.owner_config(), &name, &password.into(), "jhe_app").await.expect("a login");
        Store::new(&config).expect("a store").ready().await.expect("the password");
        assert!(store::is_login(&world.owner_config(), &name, "jhe_app").await.expect("an answer"));
    }
    let said = |text: &str| {
        let text = text.replace('\'', "''");
        format!("SELECT count(*) FROM pg_stat_statements WHERE query LIKE '% ROLE {name} %' AND query LIKE '%{text}%'")
    };
    assert_eq!(world.count(&said("SCRAM-SHA-256$4096:")).await, 2);
    for password in ["first of", "second"] {
        assert_eq!(world.count(&said(password)).await, 0, "{password}");
    }
    world.sql(&format!("DROP ROLE {name}")).await;
    assert!(!store::is_login(&world.owner_config(), &name, "jhe_app").await.expect("an answer"));
}

#[tokio::test]
async fn a_login_that_is_wrong_is_asked_for_once_more_and_no_oftener() {
    let world = World::new().await;
    let (config, secret) = with_user(&world, "right").await;
    *secret.kept.lock().expect("not poisoned") = "wrong".to_owned();
    *secret.latest.lock().expect("not poisoned") = "wrong as well".to_owned();
    let store = Store::with_logins(&config, Arc::<Secret>::clone(&secret)).expect("a store");
    assert!(matches!(store.ready().await, Err(StoreError::Unavailable(_))));
    assert_eq!(secret.doubts.load(Ordering::Relaxed), 1);
    world.sql(&format!("DROP ROLE {}", config.user)).await;
}

#[tokio::test]
async fn a_token_of_iam_is_what_the_database_is_given_as_the_password() {
    let world = World::new().await;
    let credentials =
        [("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_REGION", "eu-central-1")];
    let (app, _) = world.process_with(&[("DB_AUTH", "iam"), credentials[0], credentials[1], credentials[2]]).await;
    // PostgreSQL knows nothing of IAM, so it refuses: what matters is that no password of the secrets was tried.
    assert!(matches!(app.warm_up().await.expect("the settings fit together"), Err(StoreError::Unavailable(_))));

    for (setting, named) in [(("DB_AUTH", "kerberos"), "DB_AUTH"), (("DB_SSL_MODE", "require"), "DB_SSL_MODE")] {
        let settings = [("DB_AUTH", "iam"), credentials[0], credentials[1], credentials[2], setting];
        let (app, _) = world.process_with(&settings).await;
        let error = app.warm_up().await.expect_err("not usable").to_string();
        assert!(error.contains(named), "{error}");
    }
    let (app, _) = world.process_with(&[("DB_AUTH", "iam"), credentials[1], credentials[2]]).await;
    assert!(app.warm_up().await.expect_err("no credentials").to_string().contains("AWS_ACCESS_KEY_ID"));
}

#[tokio::test]
async fn a_login_is_given_no_rights_but_those_of_functions() {
    let world = World::new().await;
    let made = store::create_login(&world.owner_config(), "nobody_here", &"pw".to_owned().into(), "jhe_owner").await;
    assert!(matches!(made, Err(store::LoginError::Role(role)) if role == "jhe_owner"));
    assert!(store::is_login(&world.owner_config(), "nobody_here", "postgres").await.is_err());
}
