//! What the manifests of virtual accounts and agents have in common: the terms of their tokens.

use std::collections::BTreeMap;

use serde_json::Value;

use super::fields::{Fields, Written};
use crate::Day;
use crate::names::{GroupName, NameRule, ProviderName, SecretKey, TeamName};

/// A token is replaced by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AutoRotate {
    /// Days after which a new token is made.
    pub interval_days: u32,
    /// Days for which the old one is good after that.
    pub grace_period_days: u32,
}

/// Where a token is written, so that who uses it finds the present one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenTarget {
    /// A secret of a group here.
    Group {
        /// The group's name.
        group: GroupName,
        /// The secret's key.
        key: SecretKey,
    },
    /// A secret store, past any group.
    Store {
        /// The integration.
        integration_fqn: String,
        /// Where in the store.
        path: String,
    },
}

impl TokenTarget {
    /// Whether both are one secret: names of groups have no case.
    #[must_use]
    pub fn is_same_place(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Group { group, key }, Self::Group { group: other, key: other_key }) => {
                group.folded() == other.folded() && key == other_key
            }
            _ => self == other,
        }
    }
}

/// A claim of an identity provider's token that stands for the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityMapping {
    /// The identity provider's name.
    pub identity_provider: ProviderName,
    /// What its subject claim must be.
    pub value: String,
}

/// Who owns a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineOwner {
    /// The account.
    pub account: Option<String>,
    /// The team.
    pub team: TeamName,
}

/// Free words about a thing, by name: text, numbers, true or false, as they were written.
pub type Tags = BTreeMap<String, Value>;

pub(super) fn expiration_date(fields: &Fields<'_>) -> Option<Day> {
    fields.optional("expiration_date", |text| Day::parse(text).ok_or("must be a date in the form `yyyy-mm-dd`"))
}

pub(super) fn auto_rotate(fields: &Fields<'_>) -> Option<AutoRotate> {
    let terms = fields.object("auto_rotate")?;
    Some(AutoRotate {
        interval_days: terms.days("auto_rotate_interval", 30).unwrap_or(360),
        grace_period_days: terms.days("grace_period", 1).unwrap_or(30),
    })
}

pub(super) fn token_target(fields: &Fields<'_>) -> Option<TokenTarget> {
    let target = fields.object("secret_store_config")?;
    match target.optional_text("type") {
        Some("tfy-secrets") => {
            // A stricter instance simply has no group of a looser name.
            let group = target.parsed("secret_group", |text| GroupName::parse(text, NameRule::Loose));
            let key = target.parsed("key", SecretKey::parse);
            Some(TokenTarget::Group { group: group?, key: key? })
        }
        // Agents leave the type out: they know this one only.
        None | Some("secret-store") => {
            let integration_fqn = target.filled_text("integration_fqn");
            let path = target.filled_text("secret_path");
            Some(TokenTarget::Store { integration_fqn: integration_fqn?.to_owned(), path: path?.to_owned() })
        }
        Some(_) => {
            target.fault("type", "must be `tfy-secrets` (a secret of a group) or `secret-store` (a store's own path)");
            None
        }
    }
}

pub(super) fn identity_mappings(fields: &Fields<'_>) -> Option<Vec<IdentityMapping>> {
    let mappings = fields.objects("identity_provider_mapping", |entry| {
        let identity_provider = entry.parsed("identity_provider", ProviderName::parse);
        let value = entry.filled_text("value");
        Some(IdentityMapping { identity_provider: identity_provider?, value: value?.to_owned() })
    })?;
    let keys: Vec<String> = mappings.iter().map(|one| format!("{} {}", one.identity_provider, one.value)).collect();
    fields.unique("identity_provider_mapping", keys.iter().map(String::as_str));
    Some(mappings)
}

pub(super) fn no_notifications(fields: &Fields<'_>) {
    fields.refuse("notification_target", "this server notifies nobody yet: remove the field");
}

pub(super) fn owner(fields: &Fields<'_>) -> Option<MachineOwner> {
    let owner = fields.object("ownedBy")?;
    let account = owner.optional_text("account").map(str::to_owned);
    Some(MachineOwner { account, team: owner.parsed("team", TeamName::parse)? })
}

pub(super) fn tags(fields: &Fields<'_>) -> Option<Tags> {
    const VALUE_BYTES: usize = 1_024;
    let tags = fields.pairs("tags", 64, |value| match value {
        Value::String(text) if text.len() > VALUE_BYTES || text.contains('\0') => {
            Err("must have at most 1024 bytes and no U+0000")
        }
        Value::String(_) | Value::Number(_) | Value::Bool(_) => Ok(value.clone()),
        _ => Err("must be a string, a number, true or false"),
    })?;
    Some(tags.into_iter().collect())
}

impl From<AutoRotate> for Value {
    fn from(terms: AutoRotate) -> Self {
        Written::default()
            .with("auto_rotate_interval", terms.interval_days)
            .with("grace_period", terms.grace_period_days)
            .into()
    }
}

impl From<&TokenTarget> for Value {
    fn from(target: &TokenTarget) -> Self {
        match target {
            TokenTarget::Group { group, key } => {
                Written::new("tfy-secrets").with("secret_group", group.as_str()).with("key", key.as_str()).into()
            }
            TokenTarget::Store { integration_fqn, path } => Written::new("secret-store")
                .with("integration_fqn", integration_fqn.as_str())
                .with("secret_path", path.as_str())
                .into(),
        }
    }
}

impl From<&IdentityMapping> for Value {
    fn from(mapping: &IdentityMapping) -> Self {
        Written::default()
            .with("identity_provider", mapping.identity_provider.as_str())
            .with("value", mapping.value.as_str())
            .into()
    }
}

impl From<&MachineOwner> for Value {
    fn from(owner: &MachineOwner) -> Self {
        Written::default().maybe("account", owner.account.as_deref()).with("team", owner.team.as_str()).into()
    }
}

pub(super) fn write_tags(tags: &Tags) -> Value {
    Value::Object(tags.clone().into_iter().collect())
}

pub(super) fn write_mappings(mappings: &[IdentityMapping]) -> Value {
    mappings.iter().map(Value::from).collect()
}
