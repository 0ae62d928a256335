//! An instance that nobody has used yet.

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
