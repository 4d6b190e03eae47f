//! Removing what ended long ago and means nothing any more: tokens, invitations, grants.

use strongroom_domain::Timestamp;

use crate::sql::{params, statements};
use crate::{Batch, CommitError, Guard, Lease, Metadata, ReadError};

statements! {
    PRUNE_ENDED_TOKENS = "DELETE FROM tokens WHERE id IN (SELECT t.id FROM tokens t \
        WHERE t.expires_at IS NOT NULL AND t.expires_at < ?1 ORDER BY t.expires_at LIMIT ?2)";
    PRUNE_REVOKED_TOKENS = "DELETE FROM tokens WHERE id IN (SELECT t.id FROM tokens t \
        WHERE t.revoked_at IS NOT NULL AND t.revoked_at < ?1 ORDER BY t.revoked_at LIMIT ?2)";
    PRUNE_INVITATIONS = "DELETE FROM invitations WHERE id IN (SELECT i.id FROM invitations i \
        WHERE i.expires_at <= ?1 ORDER BY i.id LIMIT ?2)";
    PRUNE_GRANTS = "DELETE FROM grants WHERE (group_id, subject, source, source_id) IN \
        (SELECT g.group_id, g.subject, g.source, g.source_id FROM grants g \
        WHERE g.expires_at IS NOT NULL AND g.expires_at < ?1 LIMIT ?2)";
    PRUNE_ROLE_GRANTS = "DELETE FROM role_grants \
        WHERE (subject, resource_type, resource_id, role, source, source_id) IN \
        (SELECT g.subject, g.resource_type, g.resource_id, g.role, g.source, g.source_id FROM role_grants g \
        WHERE g.expires_at IS NOT NULL AND g.expires_at < ?1 LIMIT ?2)";
    // Five numbers, each at most the bound, so that nobody is kept from writing where there is nothing to remove.
    COUNT_PRUNABLE = "SELECT (SELECT COUNT(*) FROM (SELECT 1 AS one FROM tokens \
        WHERE expires_at IS NOT NULL AND expires_at < ?1 LIMIT ?3) a), \
        (SELECT COUNT(*) FROM (SELECT 1 AS one FROM tokens WHERE revoked_at IS NOT NULL AND revoked_at < ?1 LIMIT ?3) b), \
        (SELECT COUNT(*) FROM (SELECT 1 AS one FROM invitations WHERE expires_at <= ?2 LIMIT ?3) c), \
        (SELECT COUNT(*) FROM (SELECT 1 AS one FROM grants WHERE expires_at IS NOT NULL AND expires_at < ?1 LIMIT ?3) d), \
        (SELECT COUNT(*) FROM (SELECT 1 AS one FROM role_grants \
        WHERE expires_at IS NOT NULL AND expires_at < ?1 LIMIT ?3) e)";
}

impl Metadata {
    /// Removes up to `limit` each of the tokens that ended or were revoked before `before`, the invitations that ended
    /// by `now`, and the grants that ended before `before`; and says how many that were.
    ///
    /// What ended does nothing any more, so no event speaks of it.
    pub async fn prune(&self, lease: &Lease, before: Timestamp, now: Timestamp, limit: i64) -> Result<i64, PruneError> {
        let found = self
            .aside(move |metadata| async move {
                let read =
                    |row: &crate::sql::Row<'_>| Ok([row.int(0)?, row.int(1)?, row.int(2)?, row.int(3)?, row.int(4)?]);
                metadata.first(&COUNT_PRUNABLE, &params![before, now, limit], read).await
            })
            .await?
            .unwrap_or_default();
        let mut batch = Batch::default();
        let [ended, revoked, invitations, grants, role_grants] = found.map(|count| count > 0);
        if ended {
            batch.any(Guard::Fresh, &PRUNE_ENDED_TOKENS, params![before, limit]);
        }
        if revoked {
            batch.any(Guard::Fresh, &PRUNE_REVOKED_TOKENS, params![before, limit]);
        }
        if invitations {
            batch.any(Guard::Fresh, &PRUNE_INVITATIONS, params![now, limit]);
        }
        if grants {
            batch.any(Guard::Fresh, &PRUNE_GRANTS, params![before, limit]);
        }
        if role_grants {
            batch.any(Guard::Fresh, &PRUNE_ROLE_GRANTS, params![before, limit]);
        }
        if found != [0; 5] {
            lease.guard(&mut batch);
            self.commit(batch).await?;
        }
        Ok(found.iter().sum())
    }
}

/// Why nothing was pruned.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// What has ended can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It can't be removed.
    #[error(transparent)]
    Write(#[from] CommitError),
}
