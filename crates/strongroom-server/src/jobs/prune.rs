//! Removing tokens, invitations and grants that ended long ago.

use std::sync::Arc;
use std::time::Duration;

use strongroom_metadata::PruneError;

use crate::app::{App, AppError};

const EVERY: Duration = Duration::from_hours(1);
const AT_ONCE: i64 = 500;
/// For how long what has ended can still be seen.
const KEPT_DAYS: i64 = 30;

/// Prunes for as long as the server runs.
pub(crate) async fn run_pruning(app: Arc<App>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match app.prune_if_ours().await {
            Ok(0) => {}
            Ok(pruned) => tracing::info!(pruned, "removed tokens, invitations and grants that ended long ago"),
            Err(error) => tracing::warn!(?error, "pruning failed; it is tried again"),
        }
    }
}

impl App {
    /// Removes everything that ended long enough ago, unless another replica does, and says how many rows that were.
    pub(crate) async fn prune_if_ours(&self) -> Result<i64, AppError> {
        let mut pruned = 0;
        loop {
            let Some(lease) = self.job("pruning").await? else { return Ok(pruned) };
            let now = self.clock.now();
            let before = now.plus_seconds(-KEPT_DAYS * 86_400);
            let round = self.metadata.prune(&lease, before, now, AT_ONCE).await.map_err(|error| match error {
                PruneError::Read(error) => error.into(),
                PruneError::Write(error) => AppError::from(error),
            })?;
            let operations = self.metadata.prune_operations(&lease, before, AT_ONCE).await;
            let round = round.max(operations.map_err(|error| match error {
                PruneError::Read(error) => error.into(),
                PruneError::Write(error) => AppError::from(error),
            })?);
            pruned += round;
            if round < AT_ONCE {
                return Ok(pruned);
            }
        }
    }
}
