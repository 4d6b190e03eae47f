//! Writes over two systems: the metadata here, the values in a store of somebody else's.
//!
//! An operation is recorded with what it intends, never with a value; then its versions are put; then all our pointers
//! flip in one batch that its fence guards. What nobody could finish is settled by whoever comes by: it flips when
//! everything is there, else it is taken back.

mod calls;
mod kept_values;
mod place;
mod puts;
mod read;
mod reap;
mod sealed_write;
mod settle;
mod undo;
mod view;
mod write;

use std::time::Duration;

pub(crate) use calls::side_by_side;
pub(crate) use kept_values::KeptValues;
pub(crate) use place::{Place, Spot};
pub(crate) use read::Flights;
pub(crate) use reap::run_reaping;
pub(crate) use settle::{Settled, run_settling};
pub(crate) use view::StoreMetrics;
pub(crate) use write::{Drafted, Intent, Outcome, Waiting, pinned};

/// Puts, looks and removals of one operation at a time.
pub(super) const AT_ONCE: usize = 32;
/// How long a writer waits for the operation of another one on the same group.
pub(crate) const WAIT: Duration = Duration::from_secs(10);
/// How often it looks.
pub(crate) const LOOK: Duration = Duration::from_millis(50);

/// What outer stores may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// One call, with all its tries.
    pub(crate) call: Duration,
    /// How long an operation is its holder's alone without a sign of life: longer than a call that has just begun.
    pub(crate) hold: Duration,
    /// How often its holder gives one.
    pub(crate) sign: Duration,
}

impl Patience {
    /// With a limit for one call.
    pub(crate) const fn of_calls(call: Duration) -> Self {
        let spare = Duration::from_secs(6);
        Self { call, hold: call.saturating_add(spare), sign: Duration::from_secs(2) }
    }
}

impl Default for Patience {
    fn default() -> Self {
        // A little more than stores allow themselves, whose own words are better.
        Self::of_calls(Duration::from_secs(21))
    }
}
