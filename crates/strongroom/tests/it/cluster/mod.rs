//! Many clients on few groups while everything under them fails, and a check of all that they were told.

mod checker;
mod checker_tests;
mod history;
