//! The database, as the functions' login and the owner see it.

use super::{
    Subject, Target, Verdict,
    old_tls::{Old, is_taken_by_postgres},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};
use store::{Attempts, ClearText, DatabaseConfig, SslMode, Store};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

/// What could not be asked. The error names no value.
fn unknown(error: &(dyn std::error::Error + 'static)) -> Verdict {
    Verdict::NotCheckable(format!("the database cannot be asked: {error}"))
}

async fn store(subject: &Subject) -> Result<&Store, Verdict> {
    subject.app.store().await.map_err(|error| unknown(&error))
}

async fn settings(subject: &Subject, names: &[&str]) -> Result<BTreeMap<String, String>, Verdict> {
    store(subject).await?.server_settings(names).await.map_err(|error| unknown(&error))
}

/// What has to hold of a setting.
type Rule = (&'static str, fn(&str) -> bool);

/// A verdict on settings: those that are not as they have to be are named with their value.
async fn ruled(subject: &Subject, rules: &[Rule]) -> Verdict {
    let names: Vec<&str> = rules.iter().map(|(name, _)| *name).collect();
    let settings = match settings(subject, &names).await {
        Ok(settings) => settings,
        Err(verdict) => return verdict,
    };
    let said = |name: &str| format!("{name}={}", settings.get(name).map_or("(unknown)", String::as_str));
    let wrong: Vec<String> = rules
        .iter()
        .filter(|(name, holds)| !settings.get(*name).is_some_and(|value| holds(value)))
        .map(|(name, _)| said(name))
        .collect();
    if wrong.is_empty() {
        Verdict::Pass(names.into_iter().map(said).collect::<Vec<_>>().join(", "))
    } else {
        Verdict::Fail(wrong.join(", "))
    }
}

/// Connections in clear text are refused, by what the functions reach and by the server itself.
pub async fn clear(subject: &Subject) -> Verdict {
    let mut refused = Vec::new();
    for config in ways(subject) {
        let place = format!("{}:{}", config.host, config.port);
        match store::clear_text(config).await {
            Ok(ClearText::Refused) => refused.push(place),
            Ok(ClearText::Accepted) => return Verdict::Fail(format!("{place} goes on without TLS")),
            Ok(ClearText::Unclear) => {
                return Verdict::NotCheckable(format!(
                    "{place} refuses connections for another reason than clear text"
                ));
            }
            Err(error) => return unknown(&error),
        }
    }
    let refused = format!("refused by {}", refused.join(" and "));
    if subject.target == Target::Aws {
        clear_behind_proxy(subject, &refused).await
    } else {
        clear_behind_pooler(subject, refused).await
    }
}

/// A pooler refuses for itself. The server says at which port it is: was that one asked?
async fn clear_behind_pooler(subject: &Subject, refused: String) -> Verdict {
    let session = match store(subject).await {
        Ok(store) => store.database_session().await,
        Err(verdict) => return verdict,
    };
    match session.map(|session| session.port.and_then(|port| u16::try_from(port).ok())) {
        Err(error) => unknown(&error),
        Ok(Some(port)) if ways(subject).any(|config| config.port == port) => Verdict::Pass(refused),
        Ok(port) => {
            let place = port.map_or_else(|| "at a socket".to_owned(), |port| format!("at port {port}"));
            Verdict::NotCheckable(format!(
                "{refused}; the server behind it, {place}, was not asked: give the owner's way there (DB_OWNER_HOST, DB_OWNER_PORT)"
            ))
        }
    }
}

/// RDS Proxy refuses for itself. What the database behind it does, its own setting says.
async fn clear_behind_proxy(subject: &Subject, refused: &str) -> Verdict {
    const FORCED: &str = "rds.force_ssl";
    match settings(subject, &[FORCED]).await {
        Err(verdict) => verdict,
        Ok(known) => match known.get(FORCED).map(String::as_str) {
            Some("1" | "on") => Verdict::Pass(format!("{refused}, and {FORCED} is on")),
            // Of a setting that was taken away a server keeps the name, without a value.
            Some(value) if !value.is_empty() => {
                Verdict::Fail(format!("{FORCED} is {value}: the database takes clear text"))
            }
            _ => Verdict::NotCheckable(format!("{refused}; the database behind it does not say {FORCED}")),
        },
    }
}

/// The ways to the database: that of the functions, and the owner's where it is another.
fn ways(subject: &Subject) -> impl Iterator<Item = &DatabaseConfig> {
    let first = &subject.database;
    let another = |owner: &&DatabaseConfig| (owner.host.as_str(), owner.port) != (first.host.as_str(), first.port);
    std::iter::once(first).chain(subject.owner.as_ref().filter(another))
}

/// The session that requests use is encrypted, and nothing on the way takes older TLS.
pub async fn session(subject: &Subject) -> Verdict {
    let session = match store(subject).await {
        Ok(store) => store.database_session().await,
        Err(verdict) => return Verdict::Fail(verdict.reason().to_owned()),
    };
    let protocol = match session {
        // Without any session all the rest cannot be seen: then this one says so.
        Err(error) => return Verdict::Fail(format!("there is no session: {error}")),
        Ok(session) if !session.encrypted => {
            return Verdict::Fail("the server received the session in clear text".to_owned());
        }
        Ok(session) => session.protocol.unwrap_or_default(),
    };
    if !is_new_tls(&protocol) {
        return Verdict::Fail(format!("the session is encrypted by {protocol}"));
    }
    for config in ways(subject) {
        for old in Old::ALL {
            match takes(config, old).await {
                Ok(false) => {}
                Ok(true) => return Verdict::Fail(format!("{}:{} takes {}", config.host, config.port, old.name())),
                Err(why) => {
                    return Verdict::NotCheckable(format!(
                        "the session is encrypted by {protocol}; {}: {why}",
                        old.name()
                    ));
                }
            }
        }
    }
    Verdict::Pass(format!("the session is encrypted by {protocol}; TLS 1.0 and 1.1 are refused"))
}

/// Whether a server goes on in an old version. One that cuts the connection does not; of one that is not reached, or keeps silent, it is
/// not seen.
async fn takes(config: &DatabaseConfig, old: Old) -> Result<bool, String> {
    let place = format!("{}:{}", config.host, config.port);
    let exchange = async {
        let stream = TcpStream::connect((config.host.as_str(), config.port)).await;
        let stream = stream.map_err(|error| format!("{place} is not reached: {error}"))?;
        Ok(is_taken_by_postgres(stream, old, &config.host).await.unwrap_or(false))
    };
    timeout(config.connect_timeout, exchange).await.unwrap_or_else(|_| Err(format!("{place} does not answer")))
}

fn is_new_tls(version: &str) -> bool {
    matches!(version, "TLSv1.2" | "TLSv1.3")
}

/// Who the server is, is verified.
pub fn identity(subject: &Subject) -> Verdict {
    let mode = subject.database.ssl_mode;
    let own_authority = subject.database.ssl_root_cert.is_some();
    match (mode, subject.target) {
        (SslMode::VerifyFull, _) => Verdict::Pass("DB_SSL_MODE is verify-full".to_owned()),
        // An instance of Cloud SQL can have an authority of its own, which signs nothing else, and a certificate that does not
        // name its address.
        (SslMode::VerifyCa, Target::Gcp) if own_authority => {
            Verdict::Pass("DB_SSL_MODE is verify-ca, with the authority of the instance".to_owned())
        }
        (SslMode::VerifyCa, _) => Verdict::Fail("DB_SSL_MODE is verify-ca: the name is not verified".to_owned()),
        _ => Verdict::Fail("DB_SSL_MODE verifies nothing".to_owned()),
    }
}

/// No address of the database is on the internet.
pub async fn private(subject: &Subject) -> Verdict {
    let described = super::provider::private(subject);
    if let Some(Verdict::Fail(why)) = described {
        return Verdict::Fail(why);
    }
    let mut addresses = BTreeSet::new();
    for config in ways(subject) {
        match lookup_host((config.host.as_str(), config.port)).await {
            Ok(found) => {
                let found: Vec<IpAddr> = found.map(|address| address.ip()).collect();
                if found.is_empty() {
                    return Verdict::NotCheckable(format!("{} has no address", config.host));
                }
                addresses.extend(found);
            }
            Err(error) => return Verdict::NotCheckable(format!("{} is not resolved: {error}", config.host)),
        }
    }
    let list = |addresses: &[IpAddr]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let (public, rest): (Vec<IpAddr>, Vec<IpAddr>) =
        addresses.into_iter().partition(|address| outbound::is_public(*address));
    if !public.is_empty() {
        return Verdict::Fail(format!("it has an address on the internet: {}", list(&public)));
    }
    // What is reached can be a proxy; the database behind it is only seen by its provider.
    let seen = format!("its addresses are private: {}", list(&rest));
    match described {
        Some(Verdict::NotCheckable(why)) => Verdict::NotCheckable(format!("{seen}; {why}")),
        Some(verdict) => Verdict::Pass(format!("{seen}; {}", verdict.reason())),
        None => Verdict::Pass(seen),
    }
}

/// The database logs who came and what changed.
pub async fn log(subject: &Subject) -> Verdict {
    if subject.target == Target::Local {
        return Verdict::NotCheckable(
            "a developer's database logs no statements; nobody's data belongs in it".to_owned(),
        );
    }
    ruled(
        subject,
        &[
            // From PostgreSQL 18 on it is a list of what to log.
            ("log_connections", |value| !matches!(value, "off" | "")),
            ("log_disconnections", |value| value == "on"),
            ("log_statement", |value| matches!(value, "mod" | "all")),
            ("log_duration", |value| value == "on"),
            // A statement that begins with WITH is a SELECT to log_statement, whatever it changes.
            ("pgaudit.log", |value| ["write", "ddl", "role"].iter().all(|class| logs(value, class))),
        ],
    )
    .await
}

/// Whether pgaudit logs a class of statements: `all, -read` is a list from left to right.
fn logs(list: &str, class: &str) -> bool {
    list.split(',').map(|word| word.trim().to_ascii_lowercase()).fold(false, |logged, word| match word.as_str() {
        "all" => true,
        "none" | "-all" => false,
        other if other == class => true,
        other if other.strip_prefix('-') == Some(class) => false,
        _ => logged,
    })
}

/// But no values.
pub async fn log_values(subject: &Subject) -> Verdict {
    if subject.target == Target::Local {
        return ruled(subject, &[("log_statement", |value| value == "none")]).await;
    }
    ruled(
        subject,
        &[
            ("log_parameter_max_length", |value| value == "0"),
            ("log_parameter_max_length_on_error", |value| value == "0"),
            ("log_error_verbosity", |value| value == "terse"),
            ("pgaudit.log_parameter", |value| value == "off"),
            ("log_min_error_statement", |value| matches!(value, "panic" | "fatal" | "log")),
        ],
    )
    .await
}

/// The login of the functions.
pub async fn roles(subject: &Subject) -> Verdict {
    let excess = match store(subject).await {
        Ok(store) => store.excess_rights().await,
        Err(verdict) => return verdict,
    };
    match excess {
        Err(error) => unknown(&error),
        Ok(excess) if excess.is_empty() => {
            Verdict::Pass(format!("{} owns nothing and has no right of its own", subject.database.user))
        }
        Ok(excess) => Verdict::Fail(format!("{}: {}", subject.database.user, excess.join("; "))),
    }
}

/// Time and number.
pub async fn limits(subject: &Subject) -> Verdict {
    let limited: fn(&str) -> bool = |value| value != "0";
    let verdict = ruled(
        subject,
        &[
            ("statement_timeout", limited),
            ("lock_timeout", limited),
            ("idle_in_transaction_session_timeout", limited),
            ("max_connections", limited),
        ],
    )
    .await;
    let Verdict::Pass(limits) = verdict else { return verdict };
    let most =
        settings(subject, &["max_connections"]).await.ok().and_then(|known| known.get("max_connections")?.parse().ok());
    let pool = subject.database.pool_size;
    match most {
        Some(most) if pool < most => Verdict::Pass(format!("{limits}; a process has {pool} connections at most")),
        _ => Verdict::Fail(format!("a process may have {pool} connections; {limits}")),
    }
}

/// How passwords are kept.
pub async fn passwords(subject: &Subject) -> Verdict {
    ruled(subject, &[("password_encryption", |value| value == "scram-sha-256")]).await
}

/// The past stays as it is, whoever asks.
pub async fn audit_immutable(subject: &Subject) -> Verdict {
    let store = match store(subject).await {
        Ok(store) => store,
        Err(verdict) => return verdict,
    };
    match store.changes_of_the_past().await {
        Err(error) => return unknown(&error),
        Ok(done) if !done.is_empty() => {
            return Verdict::Fail(format!("{} may: {}", subject.database.user, done.join("; ")));
        }
        Ok(_) => {}
    }
    match store.missing_guards().await {
        Err(error) => return unknown(&error),
        Ok(missing) if !missing.is_empty() => {
            return Verdict::Fail(format!("these triggers do not refuse every change: {}", missing.join(", ")));
        }
        Ok(_) => {}
    }
    let Some(owner) = &subject.owner else {
        return Verdict::NotCheckable(
            "the functions' login was refused, and the triggers fire; the owner's login is not known, so nothing was tried by it"
                .to_owned(),
        );
    };
    match store::owners_changes_of_the_past(owner).await {
        Err(error) => unknown(&error),
        Ok(attempts) => tried(&owner.user, &attempts),
    }
}

/// What the owner's attempts say. An empty table has its triggers, and `database-as-migrated` compares what they call; but where all are
/// empty, nothing was tried.
fn tried(owner: &str, attempts: &Attempts) -> Verdict {
    let Attempts { done, refused, empty } = attempts;
    if !done.is_empty() {
        Verdict::Fail(format!("{owner} may: {}", done.join("; ")))
    } else if *refused == 0 {
        Verdict::NotCheckable("there is no record yet that the owner could try to change".to_owned())
    } else if empty.is_empty() {
        Verdict::Pass("UPDATE and DELETE were refused to the functions' login and to the owner".to_owned())
    } else {
        Verdict::Pass(format!(
            "UPDATE and DELETE were refused to the functions' login and to the owner; the triggers are at {}, too, without a record yet",
            empty.join(", ")
        ))
    }
}

/// Two factors for super admins.
pub async fn second_factors(subject: &Subject) -> Verdict {
    if !subject.app.settings.super_admins_need_factor {
        return Verdict::Fail("REQUIRE_SECOND_FACTOR_FOR_SUPER_ADMINS is false".to_owned());
    }
    let admins = match store(subject).await {
        Ok(store) => store.super_admins().await,
        Err(verdict) => return verdict,
    };
    match admins {
        Err(error) => unknown(&error),
        Ok(admins) if admins.all == 0 => Verdict::Pass("it is needed, and there is no super admin".to_owned()),
        Ok(admins) if admins.without_factor.is_empty() => {
            Verdict::Pass(format!("it is needed, and each of the {} has one", admins.all))
        }
        Ok(admins) => {
            let ids: Vec<String> = admins.without_factor.iter().map(ToString::to_string).collect();
            Verdict::Fail(format!("none has been enrolled by user {}", ids.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_owner_could_not_try_does_not_pass() {
        let attempts = |done: &[&str], refused, empty: &[&'static str]| Attempts {
            done: done.iter().map(ToString::to_string).collect(),
            refused,
            empty: empty.to_vec(),
        };
        for (attempts, word) in [
            (attempts(&[], 4, &[]), "pass"),
            (attempts(&[], 2, &["audit_seal"]), "pass"),
            (attempts(&[], 0, &["audit_event", "audit_seal"]), "not checkable"),
            (attempts(&["DELETE"], 3, &[]), "fail"),
        ] {
            assert_eq!(tried("jhe_owner", &attempts).word(), word, "{attempts:?}");
        }
    }

    #[tokio::test]
    async fn an_old_version_is_not_refused_by_who_is_not_reached() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let lookup = |name: &str| match name {
            "DB_HOST" => Some("127.0.0.1".to_owned()),
            "DB_PORT" => Some(port.clone()),
            "DB_NAME" | "DB_USER" => Some("jhe".to_owned()),
            "DB_CONNECT_TIMEOUT" => Some("1".to_owned()),
            _ => None,
        };
        let config = DatabaseConfig::from_env(lookup, None, 1).unwrap();
        // It is connected to, and nobody answers.
        assert!(takes(&config, Old::Tls10).await.unwrap_err().contains("does not answer"));
        drop(listener);
        assert!(takes(&config, Old::Tls10).await.unwrap_err().contains("is not reached"));
    }
}
