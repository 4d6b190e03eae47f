//! What is done without being asked.

mod prune;
mod purge;
mod rotate;

use std::time::Duration;

pub(crate) use prune::run_pruning;
pub(crate) use purge::{run_purge, system};
pub(crate) use rotate::{rotate_if_ours, run_rotation};
use strongroom_metadata::{Lease, LeaseError};

use crate::app::{App, AppError};

/// How long a replica that stopped in the middle holds up the others.
const LEASE: Duration = Duration::from_secs(10);

impl App {
    /// Takes a job's lease, or renews it; `None` while another replica has it.
    pub(crate) async fn job(&self, name: &'static str) -> Result<Option<Lease>, AppError> {
        self.metadata.lease(name, &self.replica, LEASE).await.map_err(|error| match error {
            LeaseError::Read(error) => error.into(),
            LeaseError::Write(error) => AppError::from(error),
        })
    }
}
