//! The API as data: what goes over the wire, which operations there are, and how errors look.
//!
//! Server, command line, tests and the OpenAPI document are made from the same definitions.

mod error;
mod openapi;
mod operation;
mod reference;
pub mod wire;

pub use error::{ErrorBody, ErrorDetail};
pub use openapi::document;
pub use operation::{Access, AuditMode, Method, Operation, OperationSpec, Parameter, ParameterKind};
pub use reference::operations_reference;
