//! Leases: which replica does a job. Each taking has a higher fence, which the job's writes carry.

use std::time::Duration;

use crate::sql::{params, statements};
use crate::{Batch, CommitError, Guard, Metadata, ReadError};

statements! {
    SELECT_LEASE = "SELECT holder, fence, CASE WHEN expires_at > {now} THEN 1 ELSE 0 END FROM leases WHERE name = ?1";
    INSERT_LEASE = "INSERT INTO leases (name, holder, fence, expires_at) VALUES (?1, ?2, 1, {now} + ?3)";
    TAKE_LEASE = "UPDATE leases SET holder = ?2, fence = fence + 1, expires_at = {now} + ?3 \
        WHERE name = ?1 AND fence = ?4 AND expires_at <= {now}";
    RENEW_LEASE = "UPDATE leases SET expires_at = {now} + ?3 WHERE name = ?1 AND holder = ?2 AND fence = ?4 \
        AND expires_at > {now}";
    RELEASE_LEASES = "UPDATE leases SET expires_at = 0 WHERE holder = ?1";
    // Locks the row: nobody takes the lease while what it guards is written.
    HOLD_LEASE = "UPDATE leases SET fence = fence WHERE name = ?1 AND holder = ?2 AND fence = ?3 AND expires_at > {now}";
}

/// A lease that was taken; whether it is still held is decided where something is written under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    name: &'static str,
    holder: String,
    fence: i64,
}

impl Lease {
    /// Rises with each taking.
    #[must_use]
    pub const fn fence(&self) -> i64 {
        self.fence
    }

    /// Makes a batch depend on the lease.
    pub(crate) fn guard(&self, batch: &mut Batch) {
        batch.one(Guard::Lease, &HOLD_LEASE, params![self.name, &self.holder, self.fence]);
    }
}

impl Metadata {
    /// Takes the lease for a time, or renews it when `holder` has it. `None` while another holds it.
    pub async fn lease(&self, name: &'static str, holder: &str, time: Duration) -> Result<Option<Lease>, LeaseError> {
        let time = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        let found =
            self.first(&SELECT_LEASE, &params![name], |row| Ok((row.text(0)?, row.int(1)?, row.int(2)? == 1))).await?;
        let lease = |fence| Lease { name, holder: holder.to_owned(), fence };
        let mut batch = Batch::default();
        let lease = match found {
            None => {
                batch.one(Guard::Lease, &INSERT_LEASE, params![name, holder, time]);
                lease(1)
            }
            Some((_, fence, false)) => {
                batch.one(Guard::Lease, &TAKE_LEASE, params![name, holder, time, fence]);
                lease(fence + 1)
            }
            Some((present, fence, true)) if present == holder => {
                batch.one(Guard::Lease, &RENEW_LEASE, params![name, holder, time, fence]);
                lease(fence)
            }
            Some(_) => return Ok(None),
        };
        match self.commit(batch).await {
            Ok(()) => Ok(Some(lease)),
            Err(CommitError::Missed { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Metadata {
    /// Gives back what a holder has, so that nobody has to wait for its end.
    pub async fn release_leases(&self, holder: &str) -> Result<(), CommitError> {
        let mut batch = Batch::default();
        batch.any(Guard::Lease, &RELEASE_LEASES, params![holder]);
        self.commit(batch).await
    }
}

/// Why nobody knows who holds a lease.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// It can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It can't be written.
    #[error(transparent)]
    Write(#[from] CommitError),
}
