//! How far a write over two systems is.

use crate::with_ids::with_ids;

with_ids! {
    /// How far a write over two systems is.
    OperationState {
        /// Values are being put.
        Putting = "putting",
        /// It has happened; what direct readers of the store get is not everywhere the newest yet.
        Showing = "showing",
        /// It has not happened, and what was put is being taken back.
        Undoing = "undoing",
        /// It has happened.
        Done = "done",
        /// It has not happened, and nothing of it is current anywhere.
        Undone = "undone",
    }
}

with_ids! {
    /// How far the put of one secret is.
    PutState {
        /// Not tried, or nobody knows.
        Waiting = "waiting",
        /// The store has it.
        Placed = "placed",
        /// The store doesn't have it and never will.
        Failed = "failed",
        /// It was taken back.
        Undone = "undone",
        /// It was taken back; the store still holds the value, unseen or as an older version, which is to be destroyed.
        Leftover = "leftover",
        /// The same, and the store can't destroy it.
        Abandoned = "abandoned",
    }
}
