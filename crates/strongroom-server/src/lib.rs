//! The Strongroom server.

pub mod config;
pub mod http;
