//! Writes over two systems: one that happens, and one that is taken back.

use super::runs::{ACTOR, BYTES, GONE, ID, Runs};
use crate::sql::Value;

macro_rules! params {
    ($($value:expr),* $(,)?) => { vec![$(Value::from($value)),*] };
}

const NONE: Option<i64> = None;

pub(super) fn runs() -> Runs {
    vec![
        ("HOLD_GROUP", params![ID, 2], 1),
        ("HOLD_GROUP", params![ID, 1], 0),
        ("INSERT_OPERATION", params![ID, ID, NONE, ID, "update", "{}", ACTOR, "one", 5, 1], 1),
        ("INSERT_OPERATION", params![GONE, GONE, "new", ID, "create", "{}", ACTOR, "one", 5, 1], 1),
        ("INSERT_PUT", params![ID, ID, "K", 2, BYTES, "g/K", "3", "3"], 1),
        ("INSERT_PUT", params![ID, GONE, "L", 1, BYTES, "g/L", NONE, NONE], 1),
        ("INSERT_ENTRY", params![ID, ID, ID, "here", "g/K", "g/K"], 1),
        ("INSERT_ENTRY", params![GONE, ID, ID, "here", "g/L", "g/L"], 1),
        ("SELECT_OPERATION", params![ID], 1),
        ("OPEN_OPERATION", params![ID], 1),
        ("CLAIMING_OPERATION", params!["new"], 1),
        ("CLAIMING_OPERATION", params!["g"], 0),
        ("DUE_OPERATIONS", params![4, 10], 0),
        ("DUE_OPERATIONS", params![5, 10], 2),
        ("END_HOLDS", params![5], 0),
        ("END_HOLDS", params![4], 2),
        ("HOLD_OPERATION", params![ID, 1, "one", 5], 1),
        ("TAKE_OPERATION", params![ID, 1, "two", 9, 4], 0),
        ("TAKE_OPERATION", params![ID, 1, "two", 9, 5], 1),
        ("HOLD_OPERATION", params![ID, 1, "one", 9], 0),
        ("HOLD_OPERATION", params![ID, 2, "two", 9], 1),
        ("UPDATE_PUT", params![ID, ID, "g/K", "3", "4", "placed", NONE], 1),
        ("UPDATE_PUT", params![ID, GONE, "g/L", NONE, NONE, "waiting", "it is down"], 1),
        ("PLACE_PUTS", params![ID], 2),
        ("PUTS_OF", params![ID], 2),
        ("MOVE_OPERATION", params![ID, 2, "two", "undoing", "it is down", "{}", 6, NONE], 1),
        ("MOVE_MAC", params![ID, 1, BYTES], 0),
        ("MOVE_MAC", params![ID, 2, BYTES], 1),
        ("MOVE_RECORDED_MAC", params![ID, 1, BYTES], 1),
        ("MOVE_POINTER", params![ID, 1, "5"], 1),
        ("MOVE_OPERATION", params![ID, 2, "two", "undone", "it is down", "", 6, 7], 1),
        ("MOVE_OPERATION", params![ID, 2, "two", "undone", "it is down", "", 6, 7], 0),
        ("OPEN_OPERATION", params![ID], 0),
        ("UPDATE_PUT", params![ID, ID, "g/K", "3", "4", "leftover", NONE], 1),
        ("COUNT_PINS", params![ID, "5"], 1),
        ("STORE_BACKLOG", params![], 1),
        ("UPDATE_PUT", params![ID, GONE, "g/L", NONE, "1", "leftover", NONE], 1),
        ("LEFTOVERS", params![6, "", "", 10], 0),
        ("LEFTOVERS", params![7, "", "", 10], 2),
        ("LEFTOVERS", params![7, ID, ID, 10], 1),
        ("LEFTOVERS", params![7, ID, GONE, 10], 0),
        ("END_LEFTOVER", params![ID, GONE, "undone", "1"], 1),
        ("END_LEFTOVER", params![ID, GONE, "abandoned", NONE], 0),
        ("TAKEN_NAMES", params!["here", "g/", "g/~"], 2),
        ("MOVE_ENTRY", params![GONE, "g/L~", "g/L~"], 1),
        ("LEAVE_ENTRY", params![GONE, 8], 1),
        ("LEAVE_ENTRY_OF_SECRET", params![GONE, 9], 0),
        ("LEAVE_ENTRIES_OF_GROUP", params![ID, 9], 1),
        ("DUE_ENTRIES", params![7, 9, 10], 0),
        ("DUE_ENTRIES", params![9, 9, 10], 2),
        ("TRIED_ENTRY", params![GONE, 10, "it is down"], 1),
        ("DUE_ENTRIES", params![9, 9, 10], 1),
        ("PRUNE_PUTS", params![7, 10], 0),
        ("REMOVED_LEFTOVERS", params![ID], 1),
        ("REMOVED_ENTRY", params![ID], 1),
        ("DELETE_ENTRY", params![GONE], 1),
        ("COUNT_PRUNABLE_OPERATIONS", params![7], 1),
        ("PRUNE_PUTS", params![6, 10], 0),
        ("PRUNE_PUTS", params![7, 10], 2),
        ("PRUNE_OPERATIONS", params![7, 10], 1),
        ("DELETE_OPERATION", params![GONE], 1),
    ]
}
