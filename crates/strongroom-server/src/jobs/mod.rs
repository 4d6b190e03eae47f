//! What is done without being asked.

mod purge;

pub(crate) use purge::run_purge;
