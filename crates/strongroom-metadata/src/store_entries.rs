//! What secrets have in outer stores: which names are taken there, and what is to be removed.

use strongroom_domain::operation::PutState;
use strongroom_domain::{GroupId, IntegrationId, OperationId, SecretId, Timestamp};

use crate::operations::{PutRow, read_put};
use crate::sql::{params, statements};
use crate::{Batch, CommitError, Guard, Lease, Metadata, PruneError, ReadError};

statements! {
    TAKEN_NAMES = "SELECT name FROM store_entries WHERE target = ?1 AND name >= ?2 AND name < ?3";
    // The longest untried first, before them those that never were: so one that can't be removed holds up no other. The
    // engines don't agree on where nulls stand.
    DUE_ENTRIES = "SELECT e.secret_id, e.integration_id, e.place FROM store_entries e \
        WHERE e.remove_at IS NOT NULL AND e.remove_at <= ?1 AND (e.tried_at IS NULL OR e.tried_at <= ?2) \
        ORDER BY e.tried_at NULLS FIRST, e.remove_at, e.secret_id LIMIT ?3";
    REMOVED_ENTRY = "DELETE FROM store_entries WHERE secret_id = ?1 AND remove_at IS NOT NULL";
    REMOVED_LEFTOVERS = "UPDATE operation_puts SET state = 'undone' \
        WHERE secret_id = ?1 AND (state = 'leftover' OR state = 'abandoned')";
    TRIED_ENTRY = "UPDATE store_entries SET tried_at = ?2, problem = ?3 WHERE secret_id = ?1";
    // Whether a value of ours is kept in a version of a store.
    COUNT_PINS = "SELECT COUNT(*) FROM secret_versions WHERE secret_id = ?1 AND store_version = ?2 AND gone_at IS NULL";
    LEFTOVERS = "SELECT p.operation_id, o.integration_id, o.group_id, p.secret_id, p.key, p.version, p.digest, p.place, p.before, \
        p.kept, p.placed, p.state, p.reason FROM operation_puts p JOIN operations o ON o.id = p.operation_id \
        WHERE p.state = 'leftover' AND o.finished_at <= ?1 AND (p.operation_id, p.secret_id) > (?2, ?3) \
        ORDER BY p.operation_id, p.secret_id LIMIT ?4";
    // Its entry may be gone meanwhile, and with it whatever there was to destroy.
    END_LEFTOVER = "UPDATE operation_puts SET state = ?3, placed = ?4 WHERE operation_id = ?1 AND secret_id = ?2 AND state = 'leftover'";
    STORE_BACKLOG = "SELECT (SELECT COUNT(*) FROM operations WHERE finished_at IS NULL), \
        (SELECT COUNT(*) FROM store_entries WHERE remove_at IS NOT NULL), \
        (SELECT COUNT(*) FROM operation_puts WHERE state = 'leftover')";
    COUNT_PRUNABLE_OPERATIONS = "SELECT COUNT(*) FROM operations o WHERE o.finished_at IS NOT NULL \
        AND o.finished_at <= ?1 AND NOT EXISTS (SELECT 1 FROM operation_puts l WHERE l.operation_id = o.id \
        AND (l.state = 'leftover' OR l.state = 'abandoned'))";
    PRUNE_PUTS = "DELETE FROM operation_puts WHERE operation_id IN (SELECT o.id FROM operations o \
        WHERE o.finished_at IS NOT NULL AND o.finished_at <= ?1 AND NOT EXISTS (SELECT 1 FROM operation_puts l \
        WHERE l.operation_id = o.id AND (l.state = 'leftover' OR l.state = 'abandoned')) ORDER BY o.finished_at LIMIT ?2)";
    PRUNE_OPERATIONS = "DELETE FROM operations WHERE id IN (SELECT o.id FROM operations o \
        WHERE o.finished_at IS NOT NULL AND o.finished_at <= ?1 AND NOT EXISTS (SELECT 1 FROM operation_puts l \
        WHERE l.operation_id = o.id) ORDER BY o.finished_at LIMIT ?2)";
}

/// An entry that is to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueEntry {
    /// Its secret.
    pub secret_id: SecretId,
    /// Where it is kept.
    pub integration_id: IntegrationId,
    /// Where it is in there.
    pub place: String,
}

/// A version that an operation left in a store, and that is to be destroyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The operation.
    pub operation: OperationId,
    /// Where it is kept.
    pub integration_id: IntegrationId,
    /// The group.
    pub group_id: GroupId,
    /// What was put.
    pub put: PutRow,
}

/// What is left to do in outer stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreBacklog {
    /// Operations that are not at their end.
    pub open: i64,
    /// Entries that are to be removed.
    pub entries: i64,
    /// Versions that are to be destroyed.
    pub leftovers: i64,
}

impl Metadata {
    /// What is left to do in outer stores.
    pub async fn store_backlog(&self) -> Result<StoreBacklog, ReadError> {
        let read = |row: &crate::sql::Row<'_>| {
            Ok(StoreBacklog { open: row.int(0)?, entries: row.int(1)?, leftovers: row.int(2)? })
        };
        Ok(self.first(&STORE_BACKLOG, &params![], read).await?.unwrap_or_default())
    }

    /// Which names that begin with `prefix` are taken in a target.
    pub async fn taken_names(&self, target: &str, prefix: &str) -> Result<Vec<String>, ReadError> {
        let end = format!("{prefix}\u{10ffff}");
        self.rows(&TAKEN_NAMES, &params![target, prefix, end], |row| row.text(0)).await
    }

    /// Up to `limit` entries whose time to go came at or before `now`, and that were not tried after `tried`.
    pub async fn due_entries(&self, now: Timestamp, tried: Timestamp, limit: i64) -> Result<Vec<DueEntry>, ReadError> {
        self.rows(&DUE_ENTRIES, &params![now, tried, limit], |row| {
            Ok(DueEntry {
                secret_id: row.parsed(0, SecretId::parse)?,
                integration_id: row.parsed(1, IntegrationId::parse)?,
                place: row.text(2)?,
            })
        })
        .await
    }

    /// An entry is gone, with all that operations had left in it.
    pub async fn entry_removed(&self, secret: SecretId) -> Result<(), CommitError> {
        let mut batch = Batch::default();
        batch.one(Guard::Operation, &REMOVED_ENTRY, params![secret]);
        batch.any(Guard::Operation, &REMOVED_LEFTOVERS, params![secret]);
        self.commit(batch).await
    }

    /// An entry could not be removed.
    pub async fn entry_tried(&self, secret: SecretId, at: Timestamp, problem: &str) -> Result<(), CommitError> {
        let mut batch = Batch::default();
        batch.one(Guard::Operation, &TRIED_ENTRY, params![secret, at, problem]);
        self.commit(batch).await
    }

    /// Up to `limit` leftovers of operations that ended at or before `ended`, after one of a secret in an operation.
    pub async fn leftovers(
        &self,
        ended: Timestamp,
        after: Option<(OperationId, SecretId)>,
        limit: i64,
    ) -> Result<Vec<Leftover>, ReadError> {
        let (operation, secret) =
            after.map(|(operation, secret)| (operation.to_string(), secret.to_string())).unwrap_or_default();
        self.rows(&LEFTOVERS, &params![ended, operation, secret, limit], |row| {
            Ok(Leftover {
                operation: row.parsed(0, OperationId::parse)?,
                integration_id: row.parsed(1, IntegrationId::parse)?,
                group_id: row.parsed(2, GroupId::parse)?,
                put: read_put(row, 3)?,
            })
        })
        .await
    }

    /// Removes up to `limit` operations that ended at or before `before` and left nothing behind; says how many could go.
    pub async fn prune_operations(&self, lease: &Lease, before: Timestamp, limit: i64) -> Result<i64, PruneError> {
        let count = self.first(&COUNT_PRUNABLE_OPERATIONS, &params![before], |row| row.int(0)).await?.unwrap_or(0);
        if count > 0 {
            let mut batch = Batch::default();
            batch.any(Guard::Fresh, &PRUNE_PUTS, params![before, limit]);
            batch.any(Guard::Fresh, &PRUNE_OPERATIONS, params![before, limit]);
            lease.guard(&mut batch);
            self.commit(batch).await?;
        }
        Ok(count.min(limit))
    }

    /// Whether a value of ours is kept in a version of a store.
    pub async fn is_pinned(&self, secret: SecretId, store_version: &str) -> Result<bool, ReadError> {
        let count = self.first(&COUNT_PINS, &params![secret, store_version], |row| row.int(0)).await?;
        Ok(count.is_some_and(|count| count > 0))
    }

    /// What became of a leftover. Misses `Operation` when it is none any more: its entry was removed meanwhile.
    pub async fn leftover_done(&self, leftover: &Leftover, state: PutState) -> Result<(), CommitError> {
        let mut batch = Batch::default();
        let ended = params![leftover.operation, leftover.put.secret_id, state.id(), leftover.put.placed.as_ref()];
        batch.one(Guard::Operation, &END_LEFTOVER, ended);
        self.commit(batch).await
    }
}
