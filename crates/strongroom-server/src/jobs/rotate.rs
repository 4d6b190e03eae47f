//! Changing the tokens of machines whose manifests ask for it.

use std::sync::Arc;
use std::time::Duration;

use crate::app::{App, AppError, Context, TurnoverStep};

const NAME: &str = "token-rotation";
const EVERY: Duration = Duration::from_mins(1);
const AT_ONCE: i64 = 1_000;

/// Rotates for as long as the server runs.
pub(crate) async fn run_rotation(app: Arc<App>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match rotate_if_ours(&app, None).await {
            Ok(0) => {}
            Ok(rotated) => tracing::info!(rotated, "changed the tokens of machines"),
            Err(error) => tracing::warn!(?error, "changing the tokens of machines failed; it is tried again"),
        }
    }
}

/// Changes each token that is due, unless another replica does, and says how many that were.
pub(crate) async fn rotate_if_ours(app: &Arc<App>, stop_after: Option<TurnoverStep>) -> Result<usize, AppError> {
    if app.job(NAME).await?.is_none() {
        return Ok(0);
    }
    let context = Context::of_job(app.clone(), NAME);
    let mut rotated = 0;
    for machine in app.metadata.due_rotations(app.clock.now(), AT_ONCE).await? {
        // Renewed for each: one may have to wait for its group.
        let Some(lease) = app.job(NAME).await? else { break };
        match context.rotate_machine(&machine, &lease, stop_after).await {
            Ok(true) => rotated += 1,
            Ok(false) => {}
            // The others go on, and this one is tried again.
            Err(error) => tracing::warn!(machine = machine.name, ?error, "changing a machine's token failed"),
        }
    }
    Ok(rotated)
}
