//! The metadata database through its public interface, on real files.
#![allow(clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

mod audit;
mod damage;
mod guards;
mod history;
mod pages;
mod reads;
mod world;
mod writer;
mod writes;
