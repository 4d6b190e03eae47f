//! Removing for good what has lain in the trash for its time.

use strongroom_domain::{GroupId, SecretId, Timestamp};

use crate::sql::{params, statements};
use crate::{AuditRow, Batch, CommitError, Guard, Lease, Metadata, ReadError, audit};

statements! {
    DUE_GROUPS = "SELECT id, name FROM secret_groups WHERE purge_at IS NOT NULL AND purge_at <= ?1 ORDER BY purge_at LIMIT ?2";
    DUE_SECRETS = "SELECT s.id, s.key, g.id, g.name FROM secrets s JOIN secret_groups g ON g.id = s.group_id \
        WHERE s.purge_at IS NOT NULL AND s.purge_at <= ?1 ORDER BY s.purge_at LIMIT ?2";
    // The group stays as a row without its key: history goes on naming it, and nothing sealed for it opens again.
    PURGE_GROUP =
        "UPDATE secret_groups SET data_key = NULL, purge_at = NULL WHERE id = ?1 AND purge_at IS NOT NULL AND purge_at <= ?2";
    // By way of the lifetimes, which are in the order of their groups: each secret had one.
    PURGE_SECRETS_OF_GROUP = "UPDATE secrets SET purge_at = NULL \
        WHERE purge_at IS NOT NULL AND id IN (SELECT l.secret_id FROM lifetimes l WHERE l.group_id = ?1)";
    PURGE_VERSIONS_OF_GROUP = "UPDATE secret_versions SET sealed = NULL, gone_at = ?2 \
        WHERE gone_at IS NULL AND secret_id IN (SELECT l.secret_id FROM lifetimes l WHERE l.group_id = ?1)";
    DELETE_GRANTS = "DELETE FROM grants WHERE group_id = ?1";
    PURGE_SECRET = "UPDATE secrets SET purge_at = NULL WHERE id = ?1 AND purge_at IS NOT NULL AND purge_at <= ?2";
    LEAVE_ENTRIES_OF_GROUP = "UPDATE store_entries SET remove_at = ?2 WHERE group_id = ?1 AND remove_at IS NULL";
    LEAVE_ENTRY_OF_SECRET = "UPDATE store_entries SET remove_at = ?2 WHERE secret_id = ?1 AND remove_at IS NULL";
    PURGE_VERSIONS_OF_SECRET =
        "UPDATE secret_versions SET sealed = NULL, gone_at = ?2 WHERE secret_id = ?1 AND gone_at IS NULL";
}

/// Something whose time in the trash has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PurgeItem {
    /// A whole group.
    Group {
        /// Id.
        id: GroupId,
        /// Name.
        name: String,
    },
    /// One secret.
    Secret {
        /// Id.
        id: SecretId,
        /// Key.
        key: String,
        /// Its group.
        group_id: GroupId,
        /// Its group's name.
        group_name: String,
    },
}

impl PurgeItem {
    const fn group_id(&self) -> GroupId {
        match self {
            Self::Group { id, .. } => *id,
            Self::Secret { group_id, .. } => *group_id,
        }
    }
}

impl Metadata {
    /// Up to `limit` groups and as many secrets whose retention ended at or before `now`.
    pub async fn due_for_purge(&self, now: Timestamp, limit: i64) -> Result<Vec<PurgeItem>, ReadError> {
        let mut items = self
            .rows(&DUE_GROUPS, &params![now, limit], |row| {
                Ok(PurgeItem::Group { id: row.parsed(0, GroupId::parse)?, name: row.text(1)? })
            })
            .await?;
        items.extend(
            self.rows(&DUE_SECRETS, &params![now, limit], |row| {
                Ok(PurgeItem::Secret {
                    id: row.parsed(0, SecretId::parse)?,
                    key: row.text(1)?,
                    group_id: row.parsed(2, GroupId::parse)?,
                    group_name: row.text(3)?,
                })
            })
            .await?,
        );
        Ok(items)
    }

    /// Removes the values of one item, and with a group its key. Misses its guard when the item was brought back.
    ///
    /// Under a lease, so that a replica that stood still doesn't go on beside the one that took its place.
    pub async fn purge(
        &self,
        lease: &Lease,
        item: &PurgeItem,
        now: Timestamp,
        event: &AuditRow,
    ) -> Result<(), CommitError> {
        let mut batch = Batch::of_group(item.group_id());
        match item {
            PurgeItem::Group { id, .. } => {
                batch.one(Guard::GroupRevision, &PURGE_GROUP, params![*id, now]);
                batch.any(Guard::Fresh, &PURGE_SECRETS_OF_GROUP, params![*id]);
                batch.any(Guard::Fresh, &PURGE_VERSIONS_OF_GROUP, params![*id, now]);
                batch.any(Guard::Fresh, &LEAVE_ENTRIES_OF_GROUP, params![*id, now]);
                batch.any(Guard::Fresh, &DELETE_GRANTS, params![*id]);
            }
            PurgeItem::Secret { id, .. } => {
                batch.one(Guard::SecretState, &PURGE_SECRET, params![*id, now]);
                batch.any(Guard::Fresh, &PURGE_VERSIONS_OF_SECRET, params![*id, now]);
                batch.any(Guard::Fresh, &LEAVE_ENTRY_OF_SECRET, params![*id, now]);
            }
        }
        audit::insert(&mut batch, event);
        lease.guard(&mut batch);
        self.commit(batch).await
    }
}
