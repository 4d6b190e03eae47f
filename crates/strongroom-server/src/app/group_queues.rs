//! Writers of one group wait for each other in the order in which they came; and a replica whose writers would win again
//! and again lets those of the others through.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use strongroom_domain::GroupId;
use tokio::sync::OwnedMutexGuard;

/// For so long after a writer of this replica has lost, others are believed to write the group, too.
const CONTENDED: Duration = Duration::from_secs(1);
/// The longest that a writer stands back for those of other replicas.
const STANDING_BACK: Duration = Duration::from_millis(30);

type Queue = Arc<tokio::sync::Mutex<Contention>>;

/// One fair queue a group, for as long as somebody is in it.
#[derive(Default)]
pub(crate) struct GroupQueues(Mutex<HashMap<GroupId, Queue>>);

/// What the writers of a queue have seen of other replicas.
#[derive(Default)]
struct Contention {
    lost: Option<Instant>,
    /// When a writer of this replica last won, and how long that took.
    won: Option<(Instant, Duration)>,
}

/// A place at the head of a group's queue.
pub(crate) struct Turn<'a> {
    queues: &'a GroupQueues,
    group: GroupId,
    began: Instant,
    guard: Option<OwnedMutexGuard<Contention>>,
}

impl GroupQueues {
    /// Waits for the caller's turn.
    pub(crate) async fn turn(&self, group: GroupId) -> Turn<'_> {
        let queue = self.lock().entry(group).or_default().clone();
        let mut turn = Turn { queues: self, group, began: Instant::now(), guard: None };
        let contention = queue.lock_owned().await;
        let pause = contention.standing_back();
        turn.guard = Some(contention);
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
        turn.began = Instant::now();
        turn
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<GroupId, Queue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contention {
    /// Who has just won begins before those who lost know of it: so it waits as long as two of their attempts take.
    fn standing_back(&self) -> Option<Duration> {
        self.lost.filter(|lost| lost.elapsed() < CONTENDED)?;
        let (won, took) = self.won?;
        (2 * took).min(STANDING_BACK).checked_sub(won.elapsed())
    }
}

impl Turn<'_> {
    /// The group was changed by another replica meanwhile.
    pub(crate) fn lost(&mut self) {
        if let Some(contention) = &mut self.guard {
            contention.lost = Some(Instant::now());
        }
        self.began = Instant::now();
    }

    /// The change was written.
    pub(crate) fn won(&mut self) {
        if let Some(contention) = &mut self.guard {
            contention.won = Some((Instant::now(), self.began.elapsed()));
        }
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
        let mut waits = Box::pin(queues.turn(group));
        assert!(futures_util::poll!(waits.as_mut()).is_pending());
        drop(turn);
        drop(waits.await);
        assert!(queues.lock().is_empty());
        drop(queues.turn(group).await);
        assert!(queues.lock().is_empty());
    }

    #[test]
    fn only_winners_among_several_replicas_stand_back() {
        let now = Instant::now();
        let took = Duration::from_millis(5);
        let of = |lost: Option<Instant>, won| Contention { lost, won }.standing_back();
        assert_eq!(of(None, Some((now, took))), None, "alone");
        assert_eq!(of(Some(now), None), None, "lost and never won");
        assert!(of(Some(now), Some((now, took))).is_some_and(|pause| pause <= 2 * took));
        assert!(of(Some(now), Some((now, Duration::from_secs(9)))).is_some_and(|pause| pause <= STANDING_BACK));
        assert_eq!(of(Some(now), now.checked_sub(2 * took).map(|won| (won, took))), None, "it has waited already");
        assert_eq!(of(now.checked_sub(CONTENDED), Some((now, took))), None, "that was long ago");
    }
}
