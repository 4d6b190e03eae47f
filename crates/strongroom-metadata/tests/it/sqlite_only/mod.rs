//! What only a file can do or suffer: its lock, its log, its damaged bytes.

mod damage;
mod writer;
