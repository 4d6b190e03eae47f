//! HTTP: how requests come in and answers go out.

mod body;
mod built_in_roles;
mod call;
mod error;
mod handlers;
mod metrics;
mod query;
mod router;
pub mod transport;
mod view;

pub(crate) use call::IfMatch;
pub(crate) use error::ApiError;
pub(crate) use router::router;
