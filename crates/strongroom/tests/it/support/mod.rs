//! A server process on its own folder, and a small client for it.

pub(crate) mod http;
pub(crate) mod http2;
pub(crate) mod random;
mod raw;
mod server;

pub(crate) use http::{Answer, Client, request};
pub(crate) use raw::Raw;
pub(crate) use server::{Launch, Server, integration_id};
