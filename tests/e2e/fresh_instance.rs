//! An instance that nobody has used yet, and one that a later version has migrated.

use end_to_end::World;

// ASVS 6.3.2
#[tokio::test]
async fn without_the_demo_world_nobody_and_nothing_can_sign_in() {
    let world = World::new().await;
    let name = format!("{}_fresh", world.database);
    let owner = world.owner_config();
    store::create_database(&owner, &name).await.expect("a database");
    let fresh = store::DatabaseConfig { name: name.clone(), ..owner.clone() };
    store::migrate(&fresh).await.expect("migrated");
    let client = store::connect_owner(&fresh).await.expect("the owner");
    for table in
        ["app_user", "oauth_client", "login_session", "access_token", "refresh_token", "oauth_grant", "invitation"]
    {
        let rows: i64 = client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.expect("a count").get(0);
        assert_eq!(rows, 0, "{table}");
    }
    drop(client);
    world.sql(&format!("DROP DATABASE {name} WITH (FORCE)")).await;
}

#[tokio::test]
async fn a_version_that_is_gone_back_to_starts_on_the_schema_of_the_one_after_it() {
    let world = World::new().await;
    let history = |version: &str| {
        format!("INSERT INTO refinery_schema_history VALUES ({version}, 'later', '2026-01-01T00:00:00Z', '1')")
    };
    world.sql(&history("(SELECT max(version) + 1 FROM refinery_schema_history)")).await;
    assert_eq!(store::migrate(&world.owner_config()).await.expect("nothing to do"), 0);
    world.sql("DELETE FROM refinery_schema_history WHERE version = 2").await;
    let error = store::migrate(&world.owner_config()).await.expect_err("a history with a hole");
    assert!(matches!(&error, store::LoginError::History(_)) && error.to_string().contains("V2"), "{error}");
}
