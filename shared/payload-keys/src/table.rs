//! A table of `DynamoDB`: an item for each key, by its id, with `wrapped`, or with `tombstone` once it is destroyed.

use crate::{Entry, Tombstone, VaultError};
use aws::{Service, ServiceError};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use payload::KeyId;
use serde_json::{Value, json};
use std::{collections::HashMap, time::Duration};

/// A request waits for keys, so there is little time for them.
const PATIENCE: Duration = Duration::from_secs(2);

/// As many as one request may name.
const AT_ONCE: usize = 100;

/// How often what was left out of an answer is asked for again.
const ATTEMPTS: usize = 4;

/// What it says where the condition does not hold.
const UNMET: &str = "ConditionalCheckFailedException";

/// The table.
#[derive(Debug)]
pub(crate) struct Table {
    service: Service,
    name: String,
}

impl Table {
    pub(crate) fn open(name: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, VaultError> {
        // Amazon DynamoDB developer guide, "Supported data types and naming rules".
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if !(3..=255).contains(&name.len()) || !name.bytes().all(plain) {
            return Err(VaultError::Place);
        }
        let service = Service::new(lookup, "dynamodb", PATIENCE)?;
        Ok(Self { service, name: name.to_owned() })
    }

    /// What is under these ids, as of now: a key that was destroyed a moment ago is not found.
    pub(crate) async fn entries(&self, ids: &[KeyId]) -> Result<HashMap<KeyId, Entry>, VaultError> {
        const WHAT: &str = "give keys";
        let mut found = HashMap::with_capacity(ids.len());
        for ids in ids.chunks(AT_ONCE) {
            let mut keys: Value = ids.iter().map(|id| json!({ "id": { "S": id.to_string() } })).collect();
            let mut attempts = 0;
            while keys.as_array().is_some_and(|keys| !keys.is_empty()) {
                attempts += 1;
                if attempts > ATTEMPTS {
                    return Err(VaultError::Answer(WHAT));
                }
                let asked = json!({ "RequestItems": { &self.name: { "Keys": keys, "ConsistentRead": true } } });
                let mut answer = self.asked(WHAT, "DynamoDB_20120810.BatchGetItem", &asked).await?;
                let items = answer.pointer_mut(&format!("/Responses/{}", self.name)).map(Value::take);
                for item in items.as_ref().and_then(Value::as_array).ok_or(VaultError::Answer(WHAT))? {
                    let (id, entry) = entry(item).ok_or(VaultError::Answer(WHAT))?;
                    found.insert(id, entry);
                }
                let left = answer.pointer_mut(&format!("/UnprocessedKeys/{}/Keys", self.name)).map(Value::take);
                keys = left.unwrap_or_default();
            }
        }
        Ok(found)
    }

    /// Adds a key, unless something is there.
    pub(crate) async fn add(&self, id: KeyId, wrapped: &[u8]) -> Result<(), VaultError> {
        const WHAT: &str = "take a key";
        let put = json!({
            "TableName": self.name,
            "Item": { "id": { "S": id.to_string() }, "wrapped": { "B": STANDARD.encode(wrapped) } },
            "ConditionExpression": "attribute_not_exists(id)",
        });
        self.met(WHAT, "DynamoDB_20120810.PutItem", &put).await.map(|_| ())
    }

    /// Puts a tombstone in the place of a key.
    pub(crate) async fn destroy(&self, id: KeyId, tombstone: &Tombstone) -> Result<bool, VaultError> {
        const WHAT: &str = "destroy a key";
        let text = serde_json::to_string(tombstone).map_err(|_| VaultError::Answer(WHAT))?;
        let update = json!({
            "TableName": self.name,
            "Key": { "id": { "S": id.to_string() } },
            // `wrapped` is a word of the language of expressions.
            "UpdateExpression": "REMOVE #wrapped SET tombstone = :tombstone",
            "ExpressionAttributeNames": { "#wrapped": "wrapped" },
            "ConditionExpression": "attribute_not_exists(tombstone)",
            "ExpressionAttributeValues": { ":tombstone": { "S": text } },
        });
        self.met(WHAT, "DynamoDB_20120810.UpdateItem", &update).await
    }

    pub(crate) async fn tombstones(&self) -> Result<Vec<(KeyId, Tombstone)>, VaultError> {
        const WHAT: &str = "list tombstones";
        let mut found = Vec::new();
        let mut scan = json!({
            "TableName": self.name,
            "FilterExpression": "attribute_exists(tombstone)",
            "ProjectionExpression": "id, tombstone",
            "ConsistentRead": true,
        });
        loop {
            let mut answer = self.asked(WHAT, "DynamoDB_20120810.Scan", &scan).await?;
            for item in answer.get("Items").and_then(Value::as_array).ok_or(VaultError::Answer(WHAT))? {
                match entry(item).ok_or(VaultError::Answer(WHAT))? {
                    (id, Entry::Destroyed(tombstone)) => found.push((id, tombstone)),
                    (_, Entry::Wrapped(_)) => return Err(VaultError::Answer(WHAT)),
                }
            }
            let Some(next) = answer.get_mut("LastEvaluatedKey").map(Value::take) else { break };
            if let Some(scan) = scan.as_object_mut() {
                scan.insert("ExclusiveStartKey".to_owned(), next);
            }
        }
        found.sort_by_key(|(id, _)| *id);
        Ok(found)
    }

    async fn asked(&self, what: &'static str, action: &'static str, body: &Value) -> Result<Value, VaultError> {
        let answer = self.service.call(action, &body.to_string()).await;
        let answer = answer.map_err(|error| VaultError::Table(what, error))?;
        serde_json::from_slice(&answer).map_err(|_| VaultError::Answer(what))
    }

    /// Whether it was done: not where the condition does not hold.
    async fn met(&self, what: &'static str, action: &'static str, body: &Value) -> Result<bool, VaultError> {
        match self.asked(what, action, body).await {
            Ok(_) => Ok(true),
            Err(VaultError::Table(_, ServiceError::Refused(name))) if name == UNMET => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// What an item says.
fn entry(item: &Value) -> Option<(KeyId, Entry)> {
    let id = item.pointer("/id/S")?.as_str()?.parse().ok()?;
    if let Some(tombstone) = item.pointer("/tombstone/S") {
        return Some((id, Entry::Destroyed(serde_json::from_str(tombstone.as_str()?).ok()?)));
    }
    let wrapped = STANDARD.decode(item.pointer("/wrapped/B")?.as_str()?).ok()?;
    Some((id, Entry::Wrapped(wrapped)))
}
