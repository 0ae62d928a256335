//! How the database is set up, as seen by the logins themselves: for `jhe verify`. Nothing here stays changed.

use crate::{
    DatabaseConfig, LoginError, Store, StoreError, error::is_refused_by_right, migrate::connect_owner,
    pool::driver_config, tls,
};
use std::collections::BTreeMap;
use tokio_postgres::{Client, Transaction, error::SqlState};

/// The tables of the past, a column of each, and its key in the order of time: how each change of them is tried.
const PAST: [Past; 4] = [
    Past { table: "audit_event", column: "request_id", key: "occurred_at, id", guard: "refuse_change" },
    Past {
        table: "audit_change",
        column: "event_id",
        key: "occurred_at, event_id",
        guard: "refuse_change_but_of_erased",
    },
    Past { table: "audit_seal", column: "sequence", key: "sequence", guard: "refuse_change" },
    Past { table: "consent_event", column: "request_id", key: "id", guard: "refuse_change_but_erasure" },
];

/// A table of it.
struct Past {
    table: &'static str,
    /// One that no erasure changes.
    column: &'static str,
    /// Its order.
    key: &'static str,
    /// The function of the trigger that refuses changes of rows.
    guard: &'static str,
}

/// The triggers that keep the past as it is and are not there, do not fire always, or call something else: of each table, and of each
/// of its parts. 27 is before an UPDATE or DELETE of each row, 34 before a TRUNCATE, which nothing is an exception to.
const MISSING_GUARDS: &str = "
WITH past AS (SELECT * FROM unnest($1::text[], $2::text[]) p (name, guard)),
tables AS (
  SELECT name, guard, name::regclass AS id FROM past
  UNION SELECT name, guard, p.relid FROM past CROSS JOIN LATERAL pg_partition_tree(name::regclass) p
)
SELECT format('%s%s on %s', t.name, k.kind, t.id)
  FROM tables t CROSS JOIN LATERAL (VALUES ('_immutable', 27, t.guard), ('_no_truncate', 34, 'refuse_change')) k (kind, occasion, calls)
 WHERE NOT EXISTS (SELECT FROM pg_trigger g
                    WHERE g.tgrelid = t.id AND g.tgname = t.name || k.kind AND g.tgenabled IN ('O', 'A') AND g.tgtype = k.occasion
                      AND g.tgfoid = to_regprocedure(format('public.%I()', k.calls)) AND g.tgqual IS NULL AND g.tgattr = '')
 ORDER BY 1";

/// What the login may do beyond what the functions need. Roles that own what is in the schema, and those of the server that
/// read or write past it.
const EXCESS: &str = "
WITH me AS (SELECT * FROM pg_roles WHERE rolname = current_user)
SELECT format('it has the attribute %s', a.name)
  FROM me CROSS JOIN LATERAL (VALUES ('SUPERUSER', me.rolsuper), ('CREATEDB', me.rolcreatedb), ('CREATEROLE', me.rolcreaterole),
                                     ('REPLICATION', me.rolreplication), ('BYPASSRLS', me.rolbypassrls)) a (name, has)
 WHERE a.has
UNION ALL
SELECT format('it may act as %s', r.rolname)
  FROM me JOIN pg_roles r ON r.oid <> me.oid AND pg_has_role(me.oid, r.oid, 'MEMBER')
 WHERE NOT me.rolsuper
   AND (r.rolname LIKE 'pg\\_%' OR r.rolsuper OR EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid AND c.relnamespace = 'public'::regnamespace))
UNION ALL
SELECT format('it owns %s', c.relname)
  FROM me JOIN pg_class c ON c.relowner = me.oid AND c.relnamespace = 'public'::regnamespace
UNION ALL
SELECT 'it may make objects in the schema public' FROM me WHERE NOT me.rolsuper AND has_schema_privilege('public', 'CREATE')
UNION ALL
SELECT 'it may make schemas' FROM me WHERE NOT me.rolsuper AND has_database_privilege(current_database(), 'CREATE')";

/// What a migration can make, by name, with what it is: functions, triggers, views, columns, constraints, unique indexes and rights
/// of the schema, without what extensions bring, and the migrations themselves. The parts of the audit are what the audit is, and
/// which there are is a question of time.
const DEFINITIONS: &str = "
WITH own AS (
  SELECT c.oid, c.relname, c.relkind, c.relacl FROM pg_class c
   WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v', 'S', 'p') AND NOT c.relispartition
     AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
), rights AS (
  SELECT o.oid, coalesce(string_agg(a::text, ' ' ORDER BY a::text), '') AS acl
    FROM own o LEFT JOIN LATERAL unnest(o.relacl) a ON true GROUP BY o.oid
)
SELECT format('%s %s', CASE o.relkind WHEN 'v' THEN 'view' WHEN 'S' THEN 'sequence' ELSE 'table' END, o.relname),
       r.acl || CASE o.relkind WHEN 'v' THEN pg_get_viewdef(o.oid) ELSE '' END
  FROM own o JOIN rights r USING (oid)
UNION ALL
SELECT format('column %s.%s', o.relname, t.attname),
       concat_ws(' ', format_type(t.atttypid, t.atttypmod), t.attnotnull, t.attidentity, pg_get_expr(f.adbin, f.adrelid),
                 (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(t.attacl) a))
  FROM own o JOIN pg_attribute t ON t.attrelid = o.oid AND t.attnum > 0 AND NOT t.attisdropped AND o.relkind <> 'S'
  LEFT JOIN pg_attrdef f ON f.adrelid = t.attrelid AND f.adnum = t.attnum
UNION ALL
SELECT format('constraint %s on %s', n.conname, o.relname), concat_ws(' ', pg_get_constraintdef(n.oid), n.convalidated)
  FROM own o JOIN pg_constraint n ON n.conrelid = o.oid WHERE n.contype <> 'n'
UNION ALL
SELECT format('unique index %s', i.indexrelid::regclass), pg_get_indexdef(i.indexrelid)
  FROM own o JOIN pg_index i ON i.indrelid = o.oid AND i.indisunique
UNION ALL
SELECT format('trigger %s on %s', g.tgname, o.relname), concat_ws(' ', pg_get_triggerdef(g.oid), g.tgenabled)
  FROM own o JOIN pg_trigger g ON g.tgrelid = o.oid AND NOT g.tgisinternal
UNION ALL
SELECT format('function %s', p.oid::regprocedure),
       pg_get_functiondef(p.oid) || coalesce((SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(p.proacl) a), '')
  FROM pg_proc p
 WHERE p.pronamespace = 'public'::regnamespace AND p.prokind IN ('f', 'p')
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
UNION ALL
SELECT format('migration %s', version), checksum FROM refinery_schema_history";

/// The session of a login.
#[derive(Clone, Debug)]
pub struct DatabaseSession {
    /// Whether the server received it by TLS.
    pub encrypted: bool,
    /// The version of TLS.
    pub protocol: Option<String>,
    /// The address of the server, as the server has it.
    pub address: Option<String>,
    /// The port of the server, as the server has it: a pooler has another.
    pub port: Option<i32>,
}

/// What a server does with a connection in clear text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClearText {
    /// It refuses it before it asks who it is.
    Refused,
    /// It goes on.
    Accepted,
    /// It refuses it for another reason, as a server does that is busy or starting: what it does with others is not seen.
    Unclear,
}

/// What came of trying to change the past.
#[derive(Clone, Debug, Default)]
pub struct Attempts {
    /// The statements that were not refused.
    pub done: Vec<String>,
    /// How many were refused.
    pub refused: usize,
    /// The tables without a row, of which nothing can be tried.
    pub empty: Vec<&'static str>,
}

/// Active super admins.
#[derive(Clone, Debug)]
pub struct SuperAdmins {
    /// How many there are.
    pub all: i64,
    /// The ids of those without a second factor.
    pub without_factor: Vec<i32>,
}

impl Store {
    /// How the session of the functions' login reaches the server.
    pub async fn database_session(&self) -> Result<DatabaseSession, StoreError> {
        let client = self.connection().await?;
        let row = client
            .query_one(
                "SELECT s.ssl, s.version, host(inet_server_addr()), inet_server_port() FROM pg_stat_ssl s WHERE s.pid = pg_backend_pid()",
                &[],
            )
            .await?;
        Ok(DatabaseSession {
            encrypted: row.try_get(0)?,
            protocol: row.try_get(1)?,
            address: row.try_get(2)?,
            port: row.try_get(3)?,
        })
    }

    /// Settings of the server as the functions' login has them. One that the server does not know is not in the answer.
    pub async fn server_settings(&self, names: &[&str]) -> Result<BTreeMap<String, String>, StoreError> {
        let client = self.connection().await?;
        let rows = client.query("SELECT n, current_setting(n, true) FROM unnest($1::text[]) n", &[&names]).await?;
        let mut settings = BTreeMap::new();
        for row in rows {
            if let Some(value) = row.try_get::<_, Option<String>>(1)? {
                settings.insert(row.try_get(0)?, value);
            }
        }
        Ok(settings)
    }

    /// What the functions' login may do that no function does, in words.
    pub async fn excess_rights(&self) -> Result<Vec<String>, StoreError> {
        let rows = self.connection().await?.query(EXCESS, &[]).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// The super admins that may sign in.
    pub async fn super_admins(&self) -> Result<SuperAdmins, StoreError> {
        let client = self.connection().await?;
        let row = client
            .query_one(
                "SELECT count(*), coalesce(array_agg(u.id ORDER BY u.id)
                                             FILTER (WHERE t.user_id IS NULL AND NOT EXISTS (SELECT FROM passkey p WHERE p.user_id = u.id)), '{}')
                   FROM app_user u LEFT JOIN totp_factor t ON t.user_id = u.id
                  WHERE u.is_superuser AND u.is_active",
                &[],
            )
            .await?;
        Ok(SuperAdmins { all: row.try_get(0)?, without_factor: row.try_get(1)? })
    }

    /// The triggers that keep the past as it is and are not there, or do not fire.
    pub async fn missing_guards(&self) -> Result<Vec<String>, StoreError> {
        let client = self.connection().await?;
        let (tables, guards) = (PAST.each_ref().map(|past| past.table), PAST.each_ref().map(|past| past.guard));
        let rows = client.query(MISSING_GUARDS, &[&tables.as_slice(), &guards.as_slice()]).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Tries to change the past as the functions' login: the statements that were not refused. They are of no row, and taken
    /// back.
    pub async fn changes_of_the_past(&self) -> Result<Vec<String>, StoreError> {
        let mut client = self.connection().await?;
        let mut transaction = client.transaction().await?;
        let mut done = Vec::new();
        for Past { table, column, .. } in PAST {
            for statement in [
                format!("UPDATE {table} SET {column} = {column} WHERE false"),
                format!("DELETE FROM {table} WHERE false"),
            ] {
                if !is_refused(&mut transaction, &statement).await? {
                    done.push(statement);
                }
            }
        }
        transaction.rollback().await?;
        Ok(done)
    }
}

/// What the schema of a database is made of, by name.
pub async fn definitions(owner: &DatabaseConfig) -> Result<BTreeMap<String, String>, LoginError> {
    Ok(definitions_by(&connect_owner(owner).await?).await?)
}

/// The same, as a connection of the owner sees them.
pub(crate) async fn definitions_by(client: &Client) -> Result<BTreeMap<String, String>, StoreError> {
    let rows = client.query(DEFINITIONS, &[]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Tries to change the past as the owner. Each statement is tried on one row, if there is one, and taken back.
pub async fn owners_changes_of_the_past(owner: &DatabaseConfig) -> Result<Attempts, LoginError> {
    let mut client = connect_owner(owner).await?;
    let attempts = async {
        let mut transaction = client.transaction().await?;
        // Requests hold locks for moments; to wait for longer would hold them up.
        transaction.batch_execute("SET LOCAL lock_timeout = '2s'").await?;
        let mut attempts = Attempts::default();
        for Past { table, column, key, .. } in PAST {
            if transaction.query_opt(&format!("SELECT FROM {table} LIMIT 1"), &[]).await?.is_none() {
                attempts.empty.push(table);
                continue;
            }
            let newest = key.replace(", ", " DESC, ");
            let row = format!("WHERE ({key}) IN (SELECT {key} FROM {table} ORDER BY {newest} DESC LIMIT 1)");
            for statement in
                [format!("UPDATE {table} SET {column} = {column} {row}"), format!("DELETE FROM {table} {row}")]
            {
                if is_refused(&mut transaction, &statement).await? {
                    attempts.refused += 1;
                } else {
                    attempts.done.push(statement);
                }
            }
        }
        transaction.rollback().await?;
        Ok::<_, StoreError>(attempts)
    };
    Ok(attempts.await?)
}

/// Whether a statement is refused for want of a right. What it did is taken back.
async fn is_refused(transaction: &mut Transaction<'_>, statement: &str) -> Result<bool, StoreError> {
    let attempt = transaction.transaction().await?;
    let outcome = attempt.execute(statement, &[]).await;
    attempt.rollback().await?;
    match outcome {
        Ok(_) => Ok(false),
        Err(error) if is_refused_by_right(&error) => Ok(true),
        // A row that others refer to: it was not refused, or it would not have come that far.
        Err(error) if error.as_db_error().is_some() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Connects without TLS and without a password, and sees whether the server goes on to ask for one.
pub async fn clear_text(config: &DatabaseConfig) -> Result<ClearText, LoginError> {
    let clear = DatabaseConfig { ssl_mode: crate::SslMode::Disable, password: None, ..config.clone() };
    match driver_config(&clear).connect(tls::connector(&clear)?).await {
        Ok(_) => Ok(ClearText::Accepted),
        Err(error) => match error.as_db_error() {
            Some(refusal) => Ok(meaning(refusal.code(), refusal.message())),
            None => match StoreError::from(error) {
                StoreError::Unavailable(error) => Err(StoreError::Unavailable(error).into()),
                // The driver has no password to give: so one was asked for.
                _ => Ok(ClearText::Accepted),
            },
        },
    }
}

/// What a refusal means. PostgreSQL has 28000 for who may not come in this way; poolers and proxies have codes of their own, and name
/// what they want. Whether there is such a database, and who may connect to it, is asked of those alone who were let in.
fn meaning(code: &SqlState, message: &str) -> ClearText {
    let names_tls = message.contains("TLS") || message.contains("SSL");
    match *code {
        SqlState::INVALID_CATALOG_NAME | SqlState::INSUFFICIENT_PRIVILEGE | SqlState::INVALID_PASSWORD => {
            ClearText::Accepted
        }
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION => ClearText::Refused,
        _ if names_tls => ClearText::Refused,
        _ => ClearText::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_is_refused_for_want_of_tls_is_refused() {
        for (code, message, expected) in [
            (SqlState::INVALID_AUTHORIZATION_SPECIFICATION, "no pg_hba.conf entry for host", ClearText::Refused),
            (SqlState::PROTOCOL_VIOLATION, "SSL required", ClearText::Refused),
            (SqlState::PROTOCOL_VIOLATION, "no such database: jhe", ClearText::Unclear),
            (SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already", ClearText::Unclear),
            (SqlState::CANNOT_CONNECT_NOW, "the database system is starting up", ClearText::Unclear),
            (SqlState::INVALID_CATALOG_NAME, "database \"jhe\" does not exist", ClearText::Accepted),
            (SqlState::INSUFFICIENT_PRIVILEGE, "permission denied for database", ClearText::Accepted),
        ] {
            assert_eq!(meaning(&code, message), expected, "{message}");
        }
    }
}
