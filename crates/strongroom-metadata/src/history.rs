//! A group's history: its revisions, and what was current at each.

use strongroom_domain::subject::Actor;
use strongroom_domain::{GroupId, SecretId, Timestamp};

use crate::integrations::read_actor;
use crate::sql::{params, statements};
use crate::{Metadata, ReadError};

statements! {
    SELECT_REVISIONS = "SELECT revision, at, actor, action, source, request_id, name, manifest, mac \
        FROM group_revisions WHERE group_id = ?1 AND revision > ?2 ORDER BY revision LIMIT ?3";
    SELECT_CURRENT_AT = "SELECT secret_id, from_revision, to_revision, version, key FROM lifetimes \
        WHERE group_id = ?1 AND from_revision <= ?2 AND (to_revision IS NULL OR to_revision > ?2) ORDER BY secret_id";
}

/// A revision as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionRecord {
    /// Its number.
    pub revision: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What.
    pub action: String,
    /// From where.
    pub source: String,
    /// The request.
    pub request_id: String,
    /// The group's name after it.
    pub name: String,
    /// The group's manifest after it.
    pub manifest: String,
    /// The MAC over what was current after it.
    pub mac: Vec<u8>,
}

/// How long a version was current.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifetimeRow {
    /// The secret.
    pub secret_id: SecretId,
    /// The first revision at which it was current.
    pub from_revision: i64,
    /// The first revision at which it no longer was.
    pub to_revision: Option<i64>,
    /// The version.
    pub version: i64,
    /// The key under which it was current.
    pub key: String,
}

impl Metadata {
    /// Up to `limit` revisions of a group after `after`, oldest first.
    pub async fn revisions(&self, group: GroupId, after: i64, limit: i64) -> Result<Vec<RevisionRecord>, ReadError> {
        self.rows(&SELECT_REVISIONS, &params![group, after, limit], |row| {
            Ok(RevisionRecord {
                revision: row.int(0)?,
                at: row.time(1)?,
                actor: read_actor(row, 2)?,
                action: row.text(3)?,
                source: row.text(4)?,
                request_id: row.text(5)?,
                name: row.text(6)?,
                manifest: row.text(7)?,
                mac: row.bytes(8)?,
            })
        })
        .await
    }

    /// What was current in a group after the revision `revision`.
    pub async fn current_at(&self, group: GroupId, revision: i64) -> Result<Vec<LifetimeRow>, ReadError> {
        self.rows(&SELECT_CURRENT_AT, &params![group, revision], |row| {
            Ok(LifetimeRow {
                secret_id: row.parsed(0, SecretId::parse)?,
                from_revision: row.int(1)?,
                to_revision: row.opt_int(2)?,
                version: row.int(3)?,
                key: row.text(4)?,
            })
        })
        .await
    }
}
