//! What replicas tell each other through the database: the change number, and which batches were committed.

use crate::sql::{params, statements};
use crate::{Batch, CommitError, Guard, Lease, Metadata, ReadError};

statements! {
    // The last write of each batch that it stands in: everybody who changes identities waits for this row.
    BUMP_CHANGE_NUMBER = "UPDATE change_number SET number = number + 1 WHERE id = ?1";
    // The first write of each batch that was decided on what identities were at one number.
    BUMP_CHANGE_NUMBER_FROM = "UPDATE change_number SET number = number + 1 WHERE id = ?1 AND number = ?2";
    SELECT_CHANGE_NUMBER = "SELECT number FROM change_number WHERE id = 1";
    SELECT_PULSE = "SELECT c.number, {now}, COALESCE(i.state, 'live') FROM change_number c \
        LEFT JOIN instance i ON i.id = c.id WHERE c.id = 1";
    PRUNE_BATCHES = "DELETE FROM batches WHERE at < {now} - ?1";
}

/// How long it is remembered that a batch was committed: far longer than anybody asks for it.
const REMEMBERED_MICROS: i64 = 3_600_000_000;

/// Adds the step that lets every replica know that identities, policy or integrations changed.
pub(crate) fn bump(batch: &mut Batch) {
    batch.one(Guard::ChangeNumber, &BUMP_CHANGE_NUMBER, params![1]);
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

    /// Forgets the ids of batches that nobody asks for any more.
    pub async fn prune_batches(&self, lease: &Lease) -> Result<(), CommitError> {
        let mut batch = Batch::default();
        lease.guard(&mut batch);
        batch.any(Guard::Fresh, &PRUNE_BATCHES, params![REMEMBERED_MICROS]);
        self.commit(batch).await
    }
}
