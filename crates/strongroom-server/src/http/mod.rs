//! HTTP: how requests come in and answers go out.

pub mod transport;
