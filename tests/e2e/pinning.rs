//! Nothing that serves a request makes RDS Proxy keep a connection for one client (Amazon RDS user guide, "Avoiding pinning an
//! RDS Proxy"). `PgBouncer`, which stands for it in the tests, does not look at statements.

use crate::source_policy::each_file;
use end_to_end::World;
use std::collections::BTreeSet;

/// The longest statement that the proxy shares connections for, in bytes.
const MOST: usize = 16 * 1024;

/// How a statement begins that is about the session.
const BEGINS: [&str; 14] = [
    "set ",
    "reset ",
    "discard ",
    "prepare ",
    "execute ",
    "deallocate ",
    "declare ",
    "listen ",
    "unlisten ",
    "load ",
    "create temp",
    "create local temp",
    "create global temp",
    "lock ",
];

/// What leaves something in the session wherever it stands. Locks of a transaction (`pg_advisory_xact_lock`) do not.
const NAMES: [&str; 10] = [
    "set_config(",
    "nextval(",
    "setval(",
    "currval(",
    "lastval(",
    "pg_advisory_lock",
    "pg_try_advisory_lock(",
    "pg_try_advisory_lock_shared(",
    "pg_advisory_unlock",
    "into temp",
];

/// Why a statement would pin its connection.
fn pins(statement: &str) -> Option<&'static str> {
    let statement = statement.trim_start().to_lowercase();
    if statement.len() > MOST {
        return Some("more than 16 KB");
    }
    BEGINS
        .into_iter()
        .find(|begin| statement.starts_with(begin))
        .or_else(|| NAMES.into_iter().find(|name| statement.contains(name)))
}

/// Has the database remember the statements that the functions send from now on.
pub async fn watch(world: &World) {
    world.sql("CREATE EXTENSION pg_stat_statements").await;
    world.sql(&format!("ALTER DATABASE {} SET pg_stat_statements.track = 'top'", world.database)).await;
}

/// Fails if a statement that was sent since would pin its connection. The functions send the same through a pooler, which
/// says some of its own and has connections from before [`watch`]: there nothing is looked at.
pub async fn nothing_pinned(world: &World) {
    const SENT: &str = "SELECT s.query FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid
        WHERE s.toplevel AND NOT r.rolsuper AND s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())";
    if World::is_behind_pooler() {
        return;
    }
    let rows = world.as_owner().await.query(SENT, &[]).await.expect("the statements");
    let sent: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    assert!(sent.len() > 20, "too few statements to have seen anything: {sent:?}");
    let pinned: Vec<_> = sent.iter().filter_map(|statement| pins(statement).map(|why| (why, statement))).collect();
    assert!(pinned.is_empty(), "{pinned:#?}");
}

#[test]
fn what_pins_is_known_by_its_words() {
    for statement in [
        "SET statement_timeout = 1",
        "  set local lock_timeout = 1",
        "SELECT nextval('s')",
        "SELECT set_config('a', 'b', true)",
        "SELECT pg_advisory_lock(1)",
        "DECLARE c CURSOR FOR SELECT 1",
        "LISTEN x",
        "CREATE TEMPORARY TABLE t ()",
        "PREPARE p AS SELECT 1",
    ] {
        assert!(pins(statement).is_some(), "{statement}");
    }
    assert!(pins(&"SELECT 1 ".repeat(2000)).is_some());
    for statement in ["SELECT 1", "UPDATE t SET a = 1", "SELECT pg_advisory_xact_lock(1)", "BEGIN", "COMMIT"] {
        assert_eq!(pins(statement), None, "{statement}");
    }
}

/// The SQL of the store, whether a test sends it or not. What the owner or an operator runs is not served through the proxy.
#[test]
fn no_sql_of_the_store_pins() {
    const OF_OPERATORS: [&str; 5] = ["migrate.rs", "inspection.rs", "demo.rs", "drill.rs", "restoration.rs"];
    let mut looked_at = 0;
    each_file("shared/store/src", &[".rs"], &mut |path, text| {
        if OF_OPERATORS.iter().any(|name| path.ends_with(&format!("/{name}"))) {
            return;
        }
        let text = text.to_lowercase();
        assert_eq!(NAMES.into_iter().find(|name| text.contains(name)), None, "{path}");
        looked_at += 1;
    });
    assert!(looked_at > 50, "{looked_at}");
}
