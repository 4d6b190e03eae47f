//! What replicas tell each other through the database: the change number, and which batches were committed.

use crate::sql::{params, statements};
use crate::{Batch, CommitError, Guard, Lease, Metadata, ReadError};

statements! {
    // The last write of nearly each batch that it stands in: everybody who changes identities waits for this row.
    BUMP_CHANGE_NUMBER = "UPDATE change_number SET number = number + 1 WHERE id = ?1";
    // The first write of each batch that was decided on what identities were at one number.
    BUMP_CHANGE_NUMBER_FROM = "UPDATE change_number SET number = number + 1 WHERE id = ?1 AND number = ?2";
    SELECT_CHANGE_NUMBER = "SELECT number FROM change_number WHERE id = 1";
    SELECT_PULSE = "SELECT c.number, {now}, COALESCE(i.state, 'live'), COALESCE(n.number, 0) FROM change_number c \
        LEFT JOIN instance i ON i.id = c.id LEFT JOIN grant_number n ON n.id = c.id WHERE c.id = 1";
    // The first write of a batch that changes the grants of a group that is there. Triggers would move it all the same,
    // but only once the group's row is locked; so the order is this row, then the group's, as with all who come after the
    // change number.
    MOVE_GRANT_NUMBER = "UPDATE grant_number SET number = number + 1 WHERE id = ?1";
    PRUNE_GRANT_CHANGES = "DELETE FROM grant_changes \
        WHERE number < (SELECT n.number FROM grant_number n WHERE n.id = 1) - ?1";
    // Rows of the lists of those that changed, each with the number; one without anything for a list that is empty.
    FOLLOW_GRANTS = "SELECT n.number, c.kind, c.id, c.name, c.role, c.until FROM grant_number n LEFT JOIN \
        (SELECT x.kind, x.id, g.subject AS name, g.role AS role, g.expires_at AS until \
        FROM (SELECT DISTINCT a.kind, a.id FROM grant_changes a WHERE a.number > ?1 AND a.kind = 1) x \
        LEFT JOIN grants g ON g.group_id = x.id \
        UNION ALL SELECT y.kind, y.id, m.team, NULL, NULL \
        FROM (SELECT DISTINCT b.kind, b.id FROM grant_changes b WHERE b.number > ?1 AND b.kind = 2) y \
        LEFT JOIN team_members m ON m.member = y.id \
        UNION ALL SELECT z.kind, z.id, NULL, NULL, NULL FROM grant_changes z WHERE z.number > ?1 AND z.kind = 0) c ON 1 = 1 WHERE n.id = 1 LIMIT ?2";
    LEARN_GRANTS = "SELECT n.number, CAST(1 AS {int}), ?1, g.subject, g.role, g.expires_at FROM grant_number n \
        LEFT JOIN grants g ON g.group_id = ?1 WHERE n.id = 1";
    LOAD_GRANTS = "SELECT n.number, c.kind, c.id, c.name, c.role, c.until FROM grant_number n LEFT JOIN \
        (SELECT CAST(1 AS {int}) AS kind, g.group_id AS id, g.subject AS name, g.role AS role, g.expires_at AS until \
        FROM grants g UNION ALL SELECT CAST(2 AS {int}), m.member, m.team, NULL, NULL FROM team_members m) c ON 1 = 1 WHERE n.id = 1";
    SELECT_GRANT_NUMBER = "SELECT number FROM grant_number WHERE id = 1";
    PRUNE_BATCHES = "DELETE FROM batches WHERE at < {now} - ?1";
}

/// So many numbers back it is remembered which grants changed; who is further behind reads all of them.
pub(crate) const GRANT_CHANGES_KEPT: u64 = 10_000;
/// How long it is remembered that a batch was committed: far longer than anybody asks for it.
const REMEMBERED_MICROS: i64 = 3_600_000_000;

/// Adds the step that lets every replica know that identities, policy or integrations changed. It comes last, but first
/// where grants change, too: whoever waits for their number may hold this one.
pub(crate) fn bump(batch: &mut Batch) {
    let first = batch.changes_grants();
    batch.one(Guard::ChangeNumber, &BUMP_CHANGE_NUMBER, params![1]);
    if first {
        batch.steps.rotate_right(1);
    }
}

/// Lets a group's batch wait for the number of grants before it locks anything.
pub(crate) fn move_grants(batch: &mut Batch) {
    batch.one(Guard::ChangeNumber, &MOVE_GRANT_NUMBER, params![1]);
    batch.steps.rotate_right(1);
}

/// The same for a batch that was decided as of one number: it is missed when the number has moved.
pub(crate) fn bump_from(batch: &mut Batch, as_of: i64) {
    batch.one(Guard::ChangeNumber, &BUMP_CHANGE_NUMBER_FROM, params![1, as_of]);
}

impl Metadata {
    /// How often identities, policy and integrations have changed.
    pub(crate) async fn change_number(&self) -> Result<i64, ReadError> {
        Ok(self.first(&SELECT_CHANGE_NUMBER, &[], |row| row.int(0)).await?.unwrap_or(0))
    }

    /// Forgets the ids of batches that nobody asks for any more, and which grants changed long ago.
    pub async fn prune_batches(&self, lease: &Lease) -> Result<(), CommitError> {
        let mut batch = Batch::default();
        lease.guard(&mut batch);
        batch.any(Guard::Fresh, &PRUNE_BATCHES, params![REMEMBERED_MICROS]);
        batch.any(Guard::Fresh, &PRUNE_GRANT_CHANGES, params![GRANT_CHANGES_KEPT.cast_signed()]);
        self.commit(batch).await
    }
}
