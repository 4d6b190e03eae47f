//! Writers of one group wait for each other in the order in which they came.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use strongroom_domain::GroupId;
use tokio::sync::OwnedMutexGuard;

type Queue = Arc<tokio::sync::Mutex<()>>;

/// One fair queue a group, for as long as somebody is in it.
#[derive(Default)]
pub(crate) struct GroupQueues(Mutex<HashMap<GroupId, Queue>>);

/// A place at the head of a group's queue.
pub(crate) struct Turn<'a> {
    queues: &'a GroupQueues,
    group: GroupId,
    guard: Option<OwnedMutexGuard<()>>,
}

impl GroupQueues {
    /// Waits for the caller's turn.
    pub(crate) async fn turn(&self, group: GroupId) -> Turn<'_> {
        let queue = self.lock().entry(group).or_default().clone();
        Turn { queues: self, group, guard: Some(queue.lock_owned().await) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<GroupId, Queue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut queues = self.queues.lock();
        self.guard = None;
        // The map's own count is one: nobody holds the turn, and nobody waits for it.
        if queues.get(&self.group).is_some_and(|queue| Arc::strong_count(queue) == 1) {
            queues.remove(&self.group);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_are_exclusive_and_leave_nothing_behind() {
        let queues = GroupQueues::default();
        let group = GroupId::from(uuid::Uuid::nil());
        let turn = queues.turn(group).await;
        let mut waits = std::pin::pin!(queues.turn(group));
        assert!(futures_util::poll!(waits.as_mut()).is_pending());
        drop(turn);
        drop(waits.await);
        assert!(queues.lock().is_empty());
        drop(queues.turn(group).await);
        assert!(queues.lock().is_empty());
    }
}
