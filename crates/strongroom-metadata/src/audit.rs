//! Audit events: rows that stand in the batch of what they tell of.

use serde::{Deserialize, Serialize};
use strongroom_domain::subject::Actor;
use strongroom_domain::{EventId, Timestamp, TokenId};

use crate::changes::actor_json;
use crate::integrations::read_actor;
use crate::sql::{params, statements};
use crate::{Batch, CommitError, Guard, Metadata, ReadError};

macro_rules! matches {
    () => {
        "(?1 = '' OR action = ?1) AND (?2 = '' OR resource_type = ?2) AND (?3 = '' OR resource_name = ?3) \
         AND (?4 = '' OR resource_fqn = ?4) AND at >= ?5 AND at < ?6 \
         AND (?7 = '' OR actor_slug IN (?7, ?8, ?9, ?10)) AND (?11 = '' OR resource_id = ?11)"
    };
}
macro_rules! columns {
    () => {
        "id, at, action, result, actor, token_id, address, request_id, request_path, resource_type, resource_id, \
         resource_name, resource_fqn, revision, detail, mac_key, mac"
    };
}

statements! {
    INSERT_EVENT = "INSERT INTO audit_events (id, at, action, result, actor, actor_slug, token_id, address, request_id, \
        request_path, resource_type, resource_id, resource_name, resource_fqn, revision, detail, mac_key, mac) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)";
    SELECT_EVENTS = concat!(
        "SELECT ", columns!(), " FROM audit_events WHERE ", matches!(), " ORDER BY id DESC LIMIT ?12 OFFSET ?13"
    );
    COUNT_EVENTS = concat!("SELECT COUNT(*) FROM audit_events WHERE ", matches!());
}

/// An audit event. It never holds a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    /// Id.
    pub id: EventId,
    /// When.
    pub at: Timestamp,
    /// What: `CREATE_SECRET_GROUP`, `READ_SECRET_VALUE`, …
    pub action: String,
    /// `success`, `denied` or `failed`.
    pub result: String,
    /// Who.
    pub actor: Actor,
    /// With which token.
    pub token_id: Option<TokenId>,
    /// From which address.
    pub address: String,
    /// The request's id.
    pub request_id: String,
    /// The request's path, without its query.
    pub request_path: String,
    /// `secret-group`, `secret`, `user`, …
    pub resource_type: String,
    /// The resource's id.
    pub resource_id: String,
    /// The resource's name.
    pub resource_name: String,
    /// The resource's FQN.
    pub resource_fqn: String,
    /// The group's revision that was made or read.
    pub revision: Option<i64>,
    /// More, JSON: which secrets at which versions, which keys were dropped, …
    pub detail: String,
    /// Which key-encryption key the MAC's key is derived from.
    pub mac_key: u32,
    /// The MAC over everything above.
    pub mac: Vec<u8>,
}

/// What a list of events is narrowed to; empty fields narrow nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditFilter {
    /// The action.
    pub action: String,
    /// The resource's type.
    pub resource_type: String,
    /// The resource's id.
    pub resource_id: String,
    /// The resource's name.
    pub resource_name: String,
    /// The resource's FQN.
    pub resource_fqn: String,
    /// One of these did it; at most four.
    pub actor_slugs: Vec<String>,
    /// At or after.
    pub start: Option<Timestamp>,
    /// Before.
    pub end: Option<Timestamp>,
}

impl Metadata {
    /// Writes an event that stands alone; durable when this returns.
    pub async fn record(&self, event: AuditRow) -> Result<(), CommitError> {
        let mut batch = Batch::default();
        insert_owned(&mut batch, event);
        self.commit(batch).await
    }

    /// Hands an event over without waiting until it is written.
    pub async fn record_unwaited(&self, event: AuditRow) {
        let mut batch = Batch::default();
        insert_owned(&mut batch, event);
        self.commit_unwaited(batch).await;
    }

    /// A page of events, newest first, and how many match in all.
    pub async fn audit_events(
        &self,
        filter: AuditFilter,
        offset: i64,
        limit: i64,
    ) -> Result<(Vec<AuditRow>, i64), ReadError> {
        self.aside(move |metadata| async move {
            // An unused place repeats the first: an empty one would find actors without a slug.
            let slugs = &filter.actor_slugs;
            let slug = |at: usize| slugs.get(at).or(slugs.first()).cloned().unwrap_or_default();
            let shared = params![
                &filter.action,
                &filter.resource_type,
                &filter.resource_name,
                &filter.resource_fqn,
                filter.start.map_or(i64::MIN, Timestamp::micros),
                filter.end.map_or(i64::MAX, Timestamp::micros),
                slug(0),
                slug(1),
                slug(2),
                slug(3),
                &filter.resource_id
            ];
            let mut paged = Vec::from(shared.clone());
            paged.extend(params![limit, offset]);
            let total = metadata.first(&COUNT_EVENTS, &shared, |row| row.int(0)).await?.unwrap_or(0);
            let events = metadata
                .rows(&SELECT_EVENTS, &paged, |row| {
                    Ok(AuditRow {
                        id: row.parsed(0, EventId::parse)?,
                        at: row.time(1)?,
                        action: row.text(2)?,
                        result: row.text(3)?,
                        actor: read_actor(row, 4)?,
                        token_id: row.opt_parsed(5, TokenId::parse)?,
                        address: row.text(6)?,
                        request_id: row.text(7)?,
                        request_path: row.text(8)?,
                        resource_type: row.text(9)?,
                        resource_id: row.text(10)?,
                        resource_name: row.text(11)?,
                        resource_fqn: row.text(12)?,
                        revision: row.opt_int(13)?,
                        detail: row.text(14)?,
                        mac_key: u32::try_from(row.int(15)?).map_err(|_| row.damaged(15))?,
                        mac: row.bytes(16)?,
                    })
                })
                .await?;
            Ok((events, total))
        })
        .await
    }
}

pub(crate) fn insert(batch: &mut Batch, event: &AuditRow) {
    insert_owned(batch, event.clone());
}

fn insert_owned(batch: &mut Batch, event: AuditRow) {
    batch.one(
        Guard::Fresh,
        &INSERT_EVENT,
        params![
            event.id,
            event.at,
            event.action,
            event.result,
            actor_json(&event.actor),
            event.actor.slug,
            event.token_id,
            event.address,
            event.request_id,
            event.request_path,
            event.resource_type,
            event.resource_id,
            event.resource_name,
            event.resource_fqn,
            event.revision,
            event.detail,
            i64::from(event.mac_key),
            event.mac
        ],
    );
}
