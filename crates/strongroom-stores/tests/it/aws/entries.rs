//! The entries of the model, with AWS' documented rules.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

pub(super) type Refusal = (u16, Value);

/// As AWS' JSON services answer.
pub(super) fn refusal(code: &str, message: &str) -> Refusal {
    (400, json!({"__type": code, "Message": message}))
}

const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";
const MOST_LABELS: usize = 20;

#[derive(Default)]
pub(super) struct Entries {
    by_name: BTreeMap<String, Kept>,
    made: usize,
}

struct Kept {
    arn: String,
    tags: Value,
    is_deleted: bool,
    versions: BTreeMap<String, (Value, Value)>,
    /// Each label and the version that has it.
    labels: BTreeMap<String, String>,
}

impl Kept {
    fn attach(&mut self, label: &str, version: &str) -> Result<(), Refusal> {
        if !self.labels.contains_key(label) && self.labels.len() == MOST_LABELS {
            return Err(refusal("LimitExceededException", "You have exceeded the number of staging labels"));
        }
        if let Some(old) = self.labels.insert(label.to_owned(), version.to_owned())
            && label == CURRENT
            && old != version
        {
            self.labels.insert(PREVIOUS.to_owned(), old);
        }
        Ok(())
    }
}

impl Entries {
    pub(super) fn act(&mut self, action: &str, input: &Value) -> Result<Value, Refusal> {
        match action {
            "CreateSecret" => self.create(input),
            "PutSecretValue" => self.put(input),
            "UpdateSecretVersionStage" => self.move_label(input),
            "GetSecretValue" => self.get(input),
            "DescribeSecret" => self.describe(input),
            "DeleteSecret" => self.delete(input),
            "ListSecrets" => Ok(self.list(input)),
            _ => Err(refusal("InvalidAction", "")),
        }
    }

    pub(super) fn labels(&self, name: &str) -> BTreeMap<String, String> {
        self.by_name[name].labels.clone()
    }

    pub(super) fn count(&self) -> (usize, usize) {
        (self.by_name.len(), self.by_name.values().map(|kept| kept.versions.len()).sum())
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.by_name.remove(name);
    }

    /// What AWS does some day.
    pub(super) fn drop_unlabelled(&mut self) {
        for kept in self.by_name.values_mut() {
            let labelled: BTreeSet<String> = kept.labels.values().cloned().collect();
            kept.versions.retain(|id, _| labelled.contains(id));
        }
    }

    fn found(&mut self, input: &Value) -> Result<&mut Kept, Refusal> {
        let id = input["SecretId"].as_str().unwrap();
        let found = self.by_name.iter_mut().find(|(name, kept)| *name == id || kept.arn == id);
        let missing = || refusal("ResourceNotFoundException", "Secrets Manager can't find the specified secret.");
        found.map(|(_, kept)| kept).ok_or_else(missing)
    }

    fn alive(&mut self, input: &Value) -> Result<&mut Kept, Refusal> {
        let kept = self.found(input)?;
        if kept.is_deleted {
            let message = "You can't perform this operation on the secret because it was marked for deletion.";
            return Err(refusal("InvalidRequestException", message));
        }
        Ok(kept)
    }

    fn create(&mut self, input: &Value) -> Result<Value, Refusal> {
        let name = input["Name"].as_str().unwrap();
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+=.@-".contains(&byte);
        if name.len() > 512 || !name.bytes().all(is_allowed) {
            return Err(refusal("ValidationException", "Invalid name. Must be a valid name containing …"));
        }
        let (token, content) = (token(input)?, content(input)?);
        if let Some(kept) = self.by_name.get(name) {
            if kept.is_deleted {
                let message = "You can't create this secret because a secret with this name is already scheduled for \
                               deletion.";
                return Err(refusal("InvalidRequestException", message));
            }
            if kept.versions.get(&token) != Some(&content) {
                let message = format!("The operation failed because the secret {name} already exists.");
                return Err(refusal("ResourceExistsException", &message));
            }
            return Ok(json!({"ARN": kept.arn, "Name": name, "VersionId": token}));
        }
        self.made += 1;
        let arn = format!("arn:aws:secretsmanager:eu-central-1:123456789012:secret:{name}-{:06}", self.made);
        let kept = Kept {
            arn: arn.clone(),
            tags: input["Tags"].clone(),
            is_deleted: false,
            versions: BTreeMap::from([(token.clone(), content)]),
            labels: BTreeMap::from([(CURRENT.to_owned(), token.clone())]),
        };
        self.by_name.insert(name.to_owned(), kept);
        Ok(json!({"ARN": arn, "Name": name, "VersionId": token}))
    }

    fn put(&mut self, input: &Value) -> Result<Value, Refusal> {
        let (token, content) = (token(input)?, content(input)?);
        let kept = self.alive(input)?;
        match kept.versions.get(&token) {
            Some(there) if *there == content => {}
            Some(_) => return Err(refusal("ResourceExistsException", "You can't use ClientRequestToken …")),
            None => {
                let labels = input["VersionStages"].as_array().unwrap().clone();
                for label in labels {
                    kept.attach(label.as_str().unwrap(), &token)?;
                }
                kept.versions.insert(token.clone(), content);
            }
        }
        Ok(json!({"ARN": kept.arn, "VersionId": token}))
    }

    fn move_label(&mut self, input: &Value) -> Result<Value, Refusal> {
        let kept = self.alive(input)?;
        let label = input["VersionStage"].as_str().unwrap();
        let (to, from) = (input["MoveToVersionId"].as_str(), input["RemoveFromVersionId"].as_str());
        let holder = kept.labels.get(label).map(String::as_str);
        if to.is_some_and(|to| !kept.versions.contains_key(to)) {
            return Err(refusal("InvalidParameterException", "Not a valid version."));
        }
        // Strictly: where the label is by now isn't asked.
        if holder != from {
            return Err(refusal("InvalidParameterException", "The parameter RemoveFromVersionId …"));
        }
        match to {
            Some(to) => kept.attach(label, to)?,
            None if label == CURRENT => {
                return Err(refusal("InvalidParameterException", "You can't remove AWSCURRENT"));
            }
            None => drop(kept.labels.remove(label)),
        }
        Ok(json!({"ARN": kept.arn}))
    }

    fn get(&mut self, input: &Value) -> Result<Value, Refusal> {
        let kept = self.alive(input)?;
        let by_label = || kept.labels.get(input["VersionStage"].as_str().unwrap_or(CURRENT)).map(String::as_str);
        let id = input["VersionId"].as_str().or_else(by_label);
        let found = id.and_then(|id| kept.versions.get_key_value(id));
        let missing = || refusal("ResourceNotFoundException", "Secrets Manager can't find the specified secret value");
        let (id, (text, bytes)) = found.ok_or_else(missing)?;
        let mut held = json!({"ARN": kept.arn, "VersionId": id});
        let (field, content) = if text.is_null() { ("SecretBinary", bytes) } else { ("SecretString", text) };
        held[field] = content.clone();
        Ok(held)
    }

    fn describe(&mut self, input: &Value) -> Result<Value, Refusal> {
        let kept = self.found(input)?;
        let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (label, id) in &kept.labels {
            versions.entry(id).or_default().push(label);
        }
        let mut described = json!({"ARN": kept.arn, "Tags": kept.tags, "VersionIdsToStages": versions});
        if kept.is_deleted {
            described["DeletedDate"] = json!(1_523_477_145.713);
        }
        Ok(described)
    }

    fn delete(&mut self, input: &Value) -> Result<Value, Refusal> {
        let force = input["ForceDeleteWithoutRecovery"] == true;
        let kept = if force { self.found(input)? } else { self.alive(input)? };
        kept.is_deleted = true;
        let arn = kept.arn.clone();
        if force {
            self.by_name.retain(|_, kept| kept.arn != arn);
        }
        Ok(json!({"ARN": arn}))
    }

    /// In no order, and with pages that may be empty.
    fn list(&self, input: &Value) -> Value {
        let prefix = input["Filters"][0]["Values"][0].as_str().unwrap_or_default();
        let names: Vec<&String> = self
            .by_name
            .iter()
            .rev()
            .filter(|(name, kept)| !kept.is_deleted && name.to_lowercase().starts_with(&prefix.to_lowercase()))
            .map(|(name, _)| name)
            .collect();
        let page: usize = input["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
        let listed: Vec<Value> = names.iter().skip(page).take(2).map(|name| json!({"Name": name})).collect();
        let mut answer = json!({"SecretList": listed});
        if page < names.len() {
            answer["NextToken"] = json!((page + 2).to_string());
        }
        answer
    }
}

fn token(input: &Value) -> Result<String, Refusal> {
    let token = input["ClientRequestToken"].as_str().unwrap();
    if (32..=64).contains(&token.len()) {
        return Ok(token.to_owned());
    }
    Err(refusal("InvalidParameterException", "ClientRequestToken must be 32-64 characters long."))
}

fn content(input: &Value) -> Result<(Value, Value), Refusal> {
    let (text, bytes) = (input["SecretString"].clone(), input["SecretBinary"].clone());
    let length = text.as_str().or(bytes.as_str()).map_or(0, str::len);
    if !(1..=65_536).contains(&length) || text.is_null() == bytes.is_null() {
        let message = "1 validation error detected: Value at 'secretString' failed to satisfy constraint";
        return Err(refusal("ValidationException", message));
    }
    Ok((text, bytes))
}
