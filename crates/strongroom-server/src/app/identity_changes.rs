//! Changing identities and policy: read, decide, write once; again when anybody changed any of it meanwhile.

use std::time::Duration;

use strongroom_domain::Backoff;
use strongroom_metadata::{CommitError, Guard, IdentityChange};
use tokio::sync::MutexGuard;

use super::{AppError, Context};
use crate::audit::Event;

/// How often a change is decided again when others were faster.
const ATTEMPTS: u32 = 10;
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(2), cap: Duration::from_millis(50) };

/// The attempts of one use case. Use it in a loop: [`Attempts::next`] begins one, [`Attempts::commit`] tells whether it
/// was the last.
pub(crate) struct Attempts<'a> {
    context: &'a Context,
    made: u32,
    /// Whether the caller must stand as they did.
    asks: bool,
    _turn: MutexGuard<'a, ()>,
}

impl Context {
    /// Waits for this process's turn.
    pub(crate) async fn identity_attempts(&self) -> Attempts<'_> {
        Attempts { context: self, made: 0, asks: true, _turn: self.app().caches.identity_turn.lock().await }
    }

    /// The same for a later step of what is begun already: it is finished, whatever the caller may do by now.
    pub(crate) async fn further_attempts(&self) -> Attempts<'_> {
        Attempts { asks: false, ..self.identity_attempts().await }
    }
}

impl Attempts<'_> {
    /// Begins an attempt: what is read from now on is what it is decided on. So is the caller's standing, as of the same
    /// change number: others, for whom this one waited, may have taken it.
    pub(crate) async fn next(&mut self) -> Result<IdentityChange, AppError> {
        if self.made == ATTEMPTS {
            return Err(AppError::Busy);
        }
        let app = self.context.app();
        if self.made > 0 {
            tokio::time::sleep(BACKOFF.wait(self.made, &*app.entropy)).await;
        }
        self.made += 1;
        let change = app.metadata.begin_identity_change().await?;
        if self.asks {
            self.context.still_stands(app.metadata.stamp_of(&change)).await?;
        }
        Ok(change)
    }

    /// Writes the change with its event, or says which guard it missed. After one that says that something changed
    /// meanwhile the caller decides again; any other is the caller's to explain.
    pub(crate) async fn commit(&mut self, change: IdentityChange, event: Event) -> Result<Option<Guard>, AppError> {
        let row = self.context.event(event);
        match self.context.app().metadata.commit_identity_change(change, &row).await {
            Ok(()) => Ok(None),
            Err(CommitError::Missed { guard }) => Ok(Some(guard)),
            Err(error) => Err(error.into()),
        }
    }
}
