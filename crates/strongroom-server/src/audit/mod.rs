//! Audit events: what they say, and the MAC over it.

use std::collections::HashSet;

use serde_json::{Value, json};
use strongroom_crypto::{Binding, KeyRing};
use strongroom_domain::names::Tenant;
use strongroom_domain::subject::Actor;
use strongroom_domain::{GroupId, SecretId, TokenId, fqn};
use strongroom_metadata::AuditRow;

use crate::app::{App, Context};

/// What happened, apart from who did it in which request. Never a value.
pub(crate) struct Event {
    /// `CREATE_SECRET_GROUP`, `READ_SECRET_VALUE`, …
    pub(crate) action: &'static str,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// To what.
    pub(crate) target: Target,
    /// The group's revision that was made or read.
    pub(crate) revision: Option<i64>,
    /// More, JSON.
    pub(crate) detail: String,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was done.
    Success,
    /// The caller may not do it.
    Denied,
    /// It was begun and came to nothing.
    Failed,
}

/// The resource that an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) kind: &'static str,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) fqn: String,
}

/// Who did something from where: what every event of a request shares.
pub(crate) struct Origin<'a> {
    pub(crate) actor: &'a Actor,
    pub(crate) token_id: Option<TokenId>,
    pub(crate) address: String,
    pub(crate) request_id: &'a str,
    pub(crate) request_path: &'a str,
}

/// Who or what came and went between two states of a list, as an event tells it: how many, and at most a hundred of them.
pub(crate) fn come_and_gone(before: &[String], after: &[String]) -> Value {
    const MOST: usize = 100;
    let told = |names: &[String], others: &[String]| {
        let others: HashSet<&String> = others.iter().collect();
        let names: Vec<&String> = names.iter().filter(|name| !others.contains(name)).collect();
        json!({"count": names.len(), "names": names[..names.len().min(MOST)]})
    };
    json!({"count": after.len(), "added": told(after, before), "removed": told(before, after)})
}

impl Event {
    /// A success on a target, to be completed.
    pub(crate) fn of(target: Target) -> Self {
        Self { action: "", outcome: Outcome::Success, target, revision: None, detail: String::from("{}") }
    }
}

impl Target {
    /// A group.
    pub(crate) fn group(tenant: &Tenant, id: GroupId, name: &str) -> Self {
        Self { kind: "secret-group", id: id.to_string(), name: name.to_owned(), fqn: fqn::group(tenant, name) }
    }

    /// A secret.
    pub(crate) fn secret(tenant: &Tenant, id: SecretId, group: &str, key: &str) -> Self {
        Self { kind: "secret", id: id.to_string(), name: key.to_owned(), fqn: fqn::secret(tenant, group, key) }
    }

    /// Gives those identities a name that is theirs alone in the tenant whose FQN nothing else says.
    fn name_fully(&mut self, tenant: &Tenant) {
        const IDENTITIES: [&str; 7] =
            ["user", "team", "role", "role-binding", "virtual-account", "agent-identity", "identity-provider"];
        if self.fqn.is_empty() && !self.name.is_empty() && IDENTITIES.contains(&self.kind) {
            self.fqn = format!("{tenant}:{}:{}", self.kind, self.name);
        }
    }

    /// Several secrets; the event's detail names each.
    pub(crate) fn secrets() -> Self {
        Self { kind: "secret", id: String::new(), name: String::new(), fqn: String::new() }
    }
}

impl Context {
    /// The row of an event of this caller in this request.
    pub(crate) fn event(&self, event: Event) -> AuditRow {
        let (caller, request) = (self.caller(), self.request());
        let origin = Origin {
            actor: &caller.actor,
            token_id: caller.token.map(|(id, _)| id),
            // A job has no request, and comes from nowhere.
            address: if request.id.is_empty() { String::new() } else { request.address.to_string() },
            request_id: &request.id,
            request_path: &request.path,
        };
        self.app().event_row(&origin, event)
    }
}

impl App {
    /// The row of an event, with its MAC.
    pub(crate) fn event_row(&self, origin: &Origin<'_>, mut event: Event) -> AuditRow {
        let at = self.clock.now();
        event.target.name_fully(&self.tenant);
        let row = AuditRow {
            id: self.ids.at(at),
            at,
            action: event.action.to_owned(),
            result: match event.outcome {
                Outcome::Success => "success",
                Outcome::Denied => "denied",
                Outcome::Failed => "failed",
            }
            .to_owned(),
            actor: origin.actor.clone(),
            token_id: origin.token_id,
            address: origin.address.clone(),
            request_id: origin.request_id.to_owned(),
            request_path: origin.request_path.to_owned(),
            resource_type: event.target.kind.to_owned(),
            resource_id: event.target.id,
            resource_name: event.target.name,
            resource_fqn: event.target.fqn,
            revision: event.revision,
            detail: event.detail,
            mac_key: 0,
            mac: Vec::new(),
        };
        sealed(&self.keys, &self.instance_id, row)
    }
}

/// The row with its MAC, under the newest key.
pub(crate) fn sealed(keys: &KeyRing, instance_id: &str, mut row: AuditRow) -> AuditRow {
    row.mac_key = keys.primary().id();
    row.mac = mac(keys, instance_id, &row).map(|mac| mac.to_vec()).unwrap_or_default();
    row
}

/// The MAC over everything that a row says; `None` when its key is unknown.
pub(crate) fn mac(keys: &KeyRing, instance_id: &str, row: &AuditRow) -> Option<[u8; 32]> {
    let key = keys.key(row.mac_key)?;
    let token = row.token_id.map(|id| *id.as_bytes());
    let mut message = Binding::new("audit-event")
        .field(instance_id.as_bytes())
        .field(row.id.as_bytes())
        .number(row.at.micros().unsigned_abs())
        .field(row.action.as_bytes())
        .field(row.result.as_bytes())
        .field(row.actor.id.as_bytes())
        .field(row.actor.kind.as_bytes())
        .field(row.actor.slug.as_bytes())
        .field(row.actor.display_name.as_deref().unwrap_or_default().as_bytes())
        .field(row.actor.token_name.as_deref().unwrap_or_default().as_bytes())
        .field(token.as_ref().map_or(&[][..], |id| &id[..]))
        .field(row.address.as_bytes())
        .field(row.request_id.as_bytes())
        .field(row.request_path.as_bytes())
        .field(row.resource_type.as_bytes())
        .field(row.resource_id.as_bytes())
        .field(row.resource_name.as_bytes())
        .field(row.resource_fqn.as_bytes())
        .number(row.revision.map_or(0, i64::unsigned_abs))
        .field(row.detail.as_bytes());
    // Rows that were written before there were such fields keep their MAC.
    for (name, field) in [("external", &row.actor.external_slug), ("controller", &row.actor.controller)] {
        if let Some(text) = field {
            message = message.field(name.as_bytes()).field(text.as_bytes());
        }
    }
    Some(key.event_mac(&message))
}
