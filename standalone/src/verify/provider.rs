//! What the provider of a database says of it, as its own tool prints it in JSON: `aws rds describe-db-instances` or
//! `describe-db-clusters`, `gcloud sql instances describe` and `az postgres flexible-server show`. No session can see these things.

use super::{Subject, Target, Verdict};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// Fewer days of backups are too few.
const LEAST_DAYS: i64 = 7;

/// A backup that is older is not the last one.
const LATEST: SignedDuration = SignedDuration::from_hours(48);

/// The description that the target's tool prints; none where there is no provider.
const fn tool(target: Target) -> Option<&'static str> {
    match target {
        Target::Aws => Some("aws rds describe-db-instances --db-instance-identifier NAME --output json"),
        Target::Gcp => Some("gcloud sql instances describe NAME --format=json"),
        Target::Azure => Some("az postgres flexible-server show --resource-group GROUP --name NAME --output json"),
        Target::SelfHosted | Target::Local => None,
    }
}

/// The description, or why there is none.
fn description(subject: &Subject) -> Result<&Value, Verdict> {
    let Some(tool) = tool(subject.target) else {
        return Err(Verdict::NotCheckable("no provider describes this database".to_owned()));
    };
    let Some(facts) = &subject.given.facts else {
        return Err(Verdict::NotCheckable(format!("no session sees it; give --facts with the output of `{tool}`")));
    };
    described(subject.target, facts)
        .ok_or_else(|| Verdict::NotCheckable(format!("--facts is no output of `{tool}`, of one database")))
}

/// The one database of a description. Of several nobody knows which one is looked at.
fn described(target: Target, facts: &Value) -> Option<&Value> {
    let one = match target {
        // Aurora keeps storage and backups for the cluster.
        Target::Aws => match facts.get("DBInstances").or_else(|| facts.get("DBClusters"))?.as_array()?.as_slice() {
            [one] => one,
            _ => return None,
        },
        _ => facts,
    };
    one.is_object().then_some(one)
}

/// Encryption at rest.
pub(super) fn encrypted(subject: &Subject) -> Verdict {
    description(subject).map_or_else(|verdict| verdict, |facts| encrypted_by(subject.target, facts))
}

/// Encryption at rest, by a description.
#[must_use]
pub fn encrypted_by(target: Target, facts: &Value) -> Verdict {
    let text = |pointer: &str| facts.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    match target {
        Target::Aws => match facts.get("StorageEncrypted") {
            Some(Value::Bool(true)) => {
                Verdict::Pass(format!("StorageEncrypted is true, by {}", text("/KmsKeyId").unwrap_or("an unnamed key")))
            }
            Some(Value::Bool(false)) => Verdict::Fail("StorageEncrypted is false".to_owned()),
            other => Verdict::NotCheckable(format!("StorageEncrypted is {}", said(other))),
        },
        // These encrypt always; the choice is whose key it is. Google says it only of a customer's.
        Target::Gcp => match (facts.get("diskEncryptionConfiguration"), text("/databaseVersion")) {
            (None | Some(Value::Null), Some(version)) if version.starts_with("POSTGRES_") => {
                Verdict::Pass("by Google's key, as every instance is that names none".to_owned())
            }
            (Some(_), Some(version)) if version.starts_with("POSTGRES_") => {
                match text("/diskEncryptionConfiguration/kmsKeyName") {
                    Some(key) => Verdict::Pass(format!("by the customer's key {key}")),
                    None => Verdict::NotCheckable("diskEncryptionConfiguration names no key".to_owned()),
                }
            }
            _ => Verdict::NotCheckable("--facts describes no PostgreSQL of Cloud SQL".to_owned()),
        },
        Target::Azure => match text("/dataEncryption/type") {
            Some("AzureKeyVault") => Verdict::Pass("by the customer's key".to_owned()),
            Some("SystemManaged") => Verdict::Pass("by Microsoft's key".to_owned()),
            _ => {
                Verdict::NotCheckable(format!("dataEncryption.type is {}", said(facts.pointer("/dataEncryption/type"))))
            }
        },
        Target::SelfHosted | Target::Local => Verdict::NotCheckable("no provider describes this database".to_owned()),
    }
}

/// What the provider says of addresses on the internet. None where there is no provider to ask.
pub(super) fn private(subject: &Subject) -> Option<Verdict> {
    tool(subject.target)?;
    Some(description(subject).map_or_else(|verdict| verdict, |facts| private_by(subject.target, facts)))
}

/// Whether a database has no address on the internet, by a description.
#[must_use]
pub fn private_by(target: Target, facts: &Value) -> Verdict {
    let pointer = match target {
        Target::Aws => "/PubliclyAccessible",
        Target::Gcp => "/settings/ipConfiguration/ipv4Enabled",
        Target::Azure => "/network/publicNetworkAccess",
        Target::SelfHosted | Target::Local => {
            return Verdict::NotCheckable("no provider describes this database".to_owned());
        }
    };
    let name = pointer.trim_start_matches('/').replace('/', ".");
    let value = facts.pointer(pointer);
    let says = format!("the provider says {name} is {}", said(value));
    match value {
        Some(Value::Bool(false)) => Verdict::Pass(says),
        Some(Value::Bool(true)) => Verdict::Fail(says),
        // Azure says it in words.
        Some(Value::String(word)) if target == Target::Azure && word == "Disabled" => Verdict::Pass(says),
        Some(Value::String(word)) if target == Target::Azure && word == "Enabled" => Verdict::Fail(says),
        // A cluster of Aurora does not say it; its instances do.
        None => Verdict::NotCheckable(format!("--facts does not say {name}: describe the instance, not the cluster")),
        Some(_) => Verdict::NotCheckable(says),
    }
}

/// Automated backups, where a provider describes them.
pub(super) fn backups(subject: &Subject) -> Option<Verdict> {
    let facts = description(subject).ok()?;
    Some(backups_by(subject.target, facts, subject.app.now()))
}

/// Automated backups, by a description.
#[must_use]
pub fn backups_by(target: Target, facts: &Value, now: Timestamp) -> Verdict {
    let kept = match target {
        Target::Aws => "/BackupRetentionPeriod",
        Target::Gcp => "/settings/backupConfiguration/backupRetentionSettings/retainedBackups",
        Target::Azure => "/backup/backupRetentionDays",
        Target::SelfHosted | Target::Local => {
            return Verdict::NotCheckable("no provider describes this database".to_owned());
        }
    };
    if target == Target::Gcp {
        match facts.pointer("/settings/backupConfiguration/enabled") {
            Some(Value::Bool(true)) => {}
            Some(Value::Bool(false)) => return Verdict::Fail("automated backups are off".to_owned()),
            other => return Verdict::NotCheckable(format!("backupConfiguration.enabled is {}", said(other))),
        }
    }
    let Some(days) = facts.pointer(kept).and_then(Value::as_i64) else {
        let name = kept.trim_start_matches('/').replace('/', ".");
        return Verdict::NotCheckable(format!("{name} is {}", said(facts.pointer(kept))));
    };
    if days < LEAST_DAYS {
        return Verdict::Fail(format!("backups are kept for {days} days"));
    }
    // Only RDS says until when it can restore.
    let last = facts.pointer("/LatestRestorableTime").and_then(Value::as_str);
    match (target, last.map(str::parse::<Timestamp>)) {
        (Target::Aws, None) => {
            Verdict::Fail(format!("kept for {days} days, but there is none: no LatestRestorableTime"))
        }
        (_, Some(Err(_))) => Verdict::Fail("LatestRestorableTime is no time".to_owned()),
        (_, Some(Ok(last))) if now.duration_since(last) > LATEST => {
            Verdict::Fail(format!("nothing after {last} can be restored"))
        }
        (_, Some(Ok(last))) => {
            Verdict::Pass(format!("kept for {days} days, encrypted as the storage is; restorable until {last}"))
        }
        (_, None) => Verdict::NotCheckable(format!(
            "kept for {days} days, but the description does not say when the last one was: list the backups"
        )),
    }
}

fn said(value: Option<&Value>) -> String {
    value.map_or_else(|| "not said".to_owned(), Value::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn aws() -> Value {
        json!({ "StorageEncrypted": true, "KmsKeyId": "arn:aws:kms:x", "PubliclyAccessible": false,
                "BackupRetentionPeriod": 7, "LatestRestorableTime": "2026-03-01T10:00:00+00:00" })
    }

    fn gcp() -> Value {
        json!({ "databaseVersion": "POSTGRES_16", "settings": { "ipConfiguration": { "ipv4Enabled": false },
                "backupConfiguration": { "enabled": true, "backupRetentionSettings": { "retainedBackups": 7 } } } })
    }

    fn azure() -> Value {
        json!({ "fullyQualifiedDomainName": "x.postgres.database.azure.com", "dataEncryption": { "type": "SystemManaged" },
                "network": { "publicNetworkAccess": "Disabled" }, "backup": { "backupRetentionDays": 7 } })
    }

    fn with(mut facts: Value, pointer: &str, value: Value) -> Value {
        *facts.pointer_mut(pointer).unwrap() = value;
        facts
    }

    const ALL: [(Target, fn() -> Value); 3] = [(Target::Aws, aws), (Target::Gcp, gcp), (Target::Azure, azure)];

    fn noon() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn what_is_as_it_has_to_be_passes() {
        for (target, facts) in ALL {
            assert_eq!(encrypted_by(target, &facts()).word(), "pass", "{target:?}");
            assert_eq!(private_by(target, &facts()).word(), "pass", "{target:?}");
        }
        assert_eq!(backups_by(Target::Aws, &aws(), noon()).word(), "pass");
    }

    type Check = fn(Target, &Value) -> Verdict;

    #[test]
    fn what_a_description_does_not_say_never_passes() {
        for (target, _) in ALL {
            assert_eq!(private_by(target, &json!({})).word(), "not checkable", "{target:?}");
            assert_eq!(encrypted_by(target, &json!({})).word(), "not checkable", "{target:?}");
            assert_eq!(backups_by(target, &json!({}), noon()).word(), "not checkable", "{target:?}");
        }
        let backed_up: Check = |target, facts| backups_by(target, facts, noon());
        let encrypted: Check = encrypted_by;
        let private: Check = private_by;
        for (target, facts, pointer, check) in [
            (Target::Aws, aws(), "/PubliclyAccessible", private),
            (Target::Gcp, gcp(), "/settings/ipConfiguration/ipv4Enabled", private),
            (Target::Azure, azure(), "/network/publicNetworkAccess", private),
            (Target::Aws, aws(), "/StorageEncrypted", encrypted),
            (Target::Gcp, gcp(), "/databaseVersion", encrypted),
            (Target::Azure, azure(), "/dataEncryption/type", encrypted),
            (Target::Aws, aws(), "/BackupRetentionPeriod", backed_up),
            (Target::Gcp, gcp(), "/settings/backupConfiguration/enabled", backed_up),
            (Target::Azure, azure(), "/backup/backupRetentionDays", backed_up),
        ] {
            for unknown in [Value::Null, json!({}), json!(""), json!("Sometimes")] {
                let verdict = check(target, &with(facts.clone(), pointer, unknown));
                assert_eq!(verdict.word(), "not checkable", "{pointer}: {verdict:?}");
            }
        }
        let unnamed = json!({ "databaseVersion": "POSTGRES_16", "diskEncryptionConfiguration": {} });
        assert_eq!(encrypted_by(Target::Gcp, &unnamed).word(), "not checkable");
        assert_eq!(
            private_by(Target::Azure, &with(azure(), "/network/publicNetworkAccess", json!(false))).word(),
            "pass"
        );
        for (target, facts) in [(Target::Gcp, gcp()), (Target::Azure, azure())] {
            assert_eq!(backups_by(target, &facts, noon()).word(), "not checkable", "{target:?}");
        }
    }

    #[test]
    fn of_several_databases_none_is_described() {
        let one = || json!({ "DBInstances": [aws()] });
        assert_eq!(described(Target::Aws, &one()), Some(&aws()));
        assert_eq!(described(Target::Aws, &json!({ "DBClusters": [aws()] })), Some(&aws()));
        for facts in [
            json!({ "DBInstances": [aws(), aws()] }),
            json!({ "DBInstances": [] }),
            json!([]),
            json!({ "DBInstances": [1] }),
        ] {
            assert_eq!(described(Target::Aws, &facts), None, "{facts}");
        }
        assert_eq!(described(Target::Gcp, &json!([gcp()])), None);
    }

    #[test]
    fn storage_in_clear_fails_and_an_empty_description_does_not_pass() {
        assert_eq!(encrypted_by(Target::Aws, &with(aws(), "/StorageEncrypted", json!(false))).word(), "fail");
        for (target, _) in ALL {
            assert_ne!(encrypted_by(target, &json!({})).word(), "pass", "{target:?}");
            assert_ne!(backups_by(target, &json!({}), noon()).word(), "pass", "{target:?}");
        }
    }

    #[test]
    fn an_address_on_the_internet_is_named() {
        for (target, facts, pointer, value) in [
            (Target::Aws, aws(), "/PubliclyAccessible", json!(true)),
            (Target::Gcp, gcp(), "/settings/ipConfiguration/ipv4Enabled", json!(true)),
            (Target::Azure, azure(), "/network/publicNetworkAccess", json!("Enabled")),
        ] {
            assert_eq!(private_by(target, &with(facts, pointer, value)).word(), "fail", "{target:?}");
        }
    }

    #[test]
    fn backups_that_are_off_short_or_old_fail() {
        for (target, facts, pointer, value) in [
            (Target::Aws, aws(), "/BackupRetentionPeriod", json!(0)),
            (Target::Aws, aws(), "/BackupRetentionPeriod", json!(6)),
            (Target::Aws, aws(), "/LatestRestorableTime", json!("2026-02-27T11:59:00+00:00")),
            (Target::Aws, aws(), "/LatestRestorableTime", json!("yesterday")),
            (Target::Aws, aws(), "/LatestRestorableTime", Value::Null),
            (Target::Gcp, gcp(), "/settings/backupConfiguration/enabled", json!(false)),
            (Target::Gcp, gcp(), "/settings/backupConfiguration/backupRetentionSettings/retainedBackups", json!(3)),
            (Target::Azure, azure(), "/backup/backupRetentionDays", json!(1)),
        ] {
            let facts = with(facts, pointer, value);
            assert_eq!(backups_by(target, &facts, noon()).word(), "fail", "{target:?} {pointer}");
        }
    }
}
