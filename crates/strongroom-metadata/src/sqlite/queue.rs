//! The queue before the writer: many push, one takes all that waits.
//!
//! An fsync costs about as much for one batch as for fifty. So who takes may wait a little for those who are expected,
//! and sleeps meanwhile: only the push that completes the number wakes it.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The side that pushes. When it is dropped, what waits is still taken, and then nothing more.
pub(super) struct Sender<T>(Arc<Shared<T>>);

/// The side that takes. When it is dropped, what waits is dropped with it.
pub(super) struct Receiver<T>(Arc<Shared<T>>);

struct Shared<T> {
    state: Mutex<State<T>>,
    wake: Condvar,
}

struct State<T> {
    items: VecDeque<T>,
    /// The push that makes so many wakes the receiver; 0 while it is awake.
    wake_at: usize,
    open: bool,
}

pub(super) fn queue<T>() -> (Sender<T>, Receiver<T>) {
    let state = State { items: VecDeque::new(), wake_at: 0, open: true };
    let shared = Arc::new(Shared { state: Mutex::new(state), wake: Condvar::new() });
    (Sender(shared.clone()), Receiver(shared))
}

impl<T> Sender<T> {
    /// `false` when nobody will ever take it.
    pub(super) fn push(&self, item: T) -> bool {
        let mut state = self.0.lock();
        if !state.open {
            return false;
        }
        state.items.push_back(item);
        if state.items.len() == state.wake_at {
            drop(state);
            self.0.wake.notify_one();
        }
        true
    }
}

impl<T> Sender<T> {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.0.lock().items.len()
    }
}

impl<T> Receiver<T> {
    /// What waits, at most `most` items in the order in which they came; `None` when nothing is left and nobody can push.
    ///
    /// Waits for the first item as long as it takes, then up to `patience` until `expected` are there.
    pub(super) fn take(&self, expected: usize, patience: Duration, most: usize) -> Option<Vec<T>> {
        let mut state = self.0.lock();
        while state.items.is_empty() {
            if !state.open {
                return None;
            }
            state.wake_at = 1;
            state = self.0.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let expected = expected.min(most);
        if state.items.len() < expected && state.open {
            state.wake_at = expected;
            let missing = |state: &mut State<T>| state.items.len() < expected && state.open;
            let waited = self.0.wake.wait_timeout_while(state, patience, missing);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.wake_at = 0;
        let taken = state.items.len().min(most);
        Some(state.items.drain(..taken).collect())
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.0.lock().items.len()
    }
}

impl<T> Shared<T> {
    /// Nothing panics while it holds the lock, so a poisoned state is as good as any.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) -> MutexGuard<'_, State<T>> {
        let mut state = self.lock();
        state.open = false;
        self.wake.notify_one();
        state
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        drop(self.0.close());
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        // Dropped outside of the lock: whoever waits for an answer to one of these learns that none will come.
        let left = std::mem::take(&mut self.0.close().items);
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: Duration = Duration::from_hours(1);

    #[test]
    fn takes_what_waits_in_order_and_no_more_than_asked() {
        let (sender, receiver) = queue();
        assert!((0..5).all(|number| sender.push(number)));
        assert_eq!(receiver.take(1, NEVER, 3), Some(vec![0, 1, 2]));
        assert_eq!(receiver.len(), 2);
        assert_eq!(receiver.take(9, Duration::ZERO, 9), Some(vec![3, 4]));
    }

    #[test]
    fn waits_for_those_who_are_expected() {
        let (sender, receiver) = queue();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..3).for_each(|number| assert!(sender.push(number))));
            assert_eq!(receiver.take(3, NEVER, 9), Some(vec![0, 1, 2]));
        });
    }

    #[test]
    fn a_dropped_sender_leaves_what_waits_and_nobody_waiting() {
        let (sender, receiver) = queue();
        assert!(sender.push(1));
        drop(sender);
        assert_eq!(receiver.take(2, NEVER, 9), Some(vec![1]));
        assert_eq!(receiver.take(2, NEVER, 9), None);
    }

    #[test]
    fn a_dropped_receiver_refuses_and_drops_what_waits() {
        let (sender, receiver) = queue();
        let item = Arc::new(());
        assert!(sender.push(item.clone()));
        drop(receiver);
        assert_eq!(Arc::strong_count(&item), 1);
        assert!(!sender.push(item));
    }
}
