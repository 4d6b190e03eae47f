//! The root key's file, and unlocking the key-encryption keys with it.

mod file;
mod slots;

pub use file::{KeyFileError, make_root_key_file};
pub(crate) use file::{RootKeySource, load, write_private};
pub(crate) use slots::{KeysError, open_ring, seal_slot};
