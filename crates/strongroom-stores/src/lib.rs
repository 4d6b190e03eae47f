//! Secret stores behind one trait.
//!
//! A store speaks in versions: a put gives the store's name of the version it made, a get asks for a given one. Stores
//! are of two kinds. An *inline* store gives sealed rows back that are committed with everything else of a change, so
//! that a write to it can't be half done. An *outer* store is another system: what was put there stays there, whatever
//! becomes of our own batch.

pub mod aws;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod egress;
mod embedded;
mod error;
mod faulty;
mod memory;
#[cfg(feature = "conformance")]
pub mod model;
pub mod naming;
pub mod outer;
mod store;
mod vault;
mod wiped;

pub use embedded::EmbeddedStore;
pub use error::{StoreError, StoreErrorKind};
pub use faulty::{Call, FaultPlan, Faulty};
pub use memory::MemoryStore;
pub use store::{
    Condition, Entry, KeptVersions, Latest, Pinned, Placed, Placement, Put, Removal, Seal, SecretStore,
    StoreDescription, StoreVersion,
};
pub use vault::{Owner, VaultAuth, VaultSettings, VaultSettingsError, VaultStore};
