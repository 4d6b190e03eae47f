//! Emptying the trash: what has lain there for its time is removed for good.

use std::sync::Arc;
use std::time::Duration;

use strongroom_domain::subject::Actor;
use strongroom_metadata::{CommitError, PurgeItem};

use crate::app::{App, AppError};
use crate::audit::{Event, Origin, Target};

const EVERY: Duration = Duration::from_mins(10);
const AT_ONCE: i64 = 100;

/// Purges for as long as the server runs.
pub(crate) async fn run_purge(app: Arc<App>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match app.purge_if_ours().await {
            Ok(0) => {}
            Ok(purged) => tracing::info!(purged, "purged what had lain in the trash for its time"),
            Err(error) => tracing::warn!(?error, "purging failed; it is tried again"),
        }
    }
}

impl App {
    /// Purges everything that is due, unless another replica does, and says how many groups and secrets that were.
    pub(crate) async fn purge_if_ours(&self) -> Result<usize, AppError> {
        let mut purged = 0;
        loop {
            // Renewed for each round, which takes far less than the lease's time.
            let Some(lease) = self.job("purge").await? else { break };
            if purged == 0 {
                self.metadata.prune_batches(&lease).await?;
            }
            let now = self.clock.now();
            let due = self.metadata.due_for_purge(now, AT_ONCE).await?;
            let mut done = 0;
            for item in &due {
                let event = self.event_row(&origin(&system()), purge_event(self, item));
                match self.metadata.purge(&lease, item, now, &event).await {
                    Ok(()) => done += 1,
                    // Somebody brought it back in the meantime, or another replica has the lease now.
                    Err(CommitError::Missed { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
                if let PurgeItem::Group { id, .. } = item {
                    self.forget_group(*id);
                }
            }
            purged += done;
            if done == 0 {
                break;
            }
        }
        if purged > 0 {
            // What was overwritten in the database still stands in its log until the log is emptied.
            self.metadata.scrub().await?;
        }
        Ok(purged)
    }
}

/// The server itself, as an actor.
pub(crate) fn system() -> Actor {
    Actor {
        id: "strongroom".into(),
        kind: "serviceaccount".into(),
        slug: "strongroom".into(),
        display_name: Some("Strongroom".into()),
        token_name: None,
        external_slug: None,
        controller: None,
    }
}

/// An event that no request caused.
pub(crate) fn origin(actor: &Actor) -> Origin<'_> {
    Origin { actor, token_id: None, address: String::new(), request_id: "", request_path: "" }
}

fn purge_event(app: &App, item: &PurgeItem) -> Event {
    match item {
        PurgeItem::Group { id, name } => {
            Event { action: "PURGE_SECRET_GROUP", ..Event::of(Target::group(&app.tenant, *id, name)) }
        }
        PurgeItem::Secret { id, key, group_name, .. } => {
            Event { action: "PURGE_SECRET", ..Event::of(Target::secret(&app.tenant, *id, group_name, key)) }
        }
    }
}
