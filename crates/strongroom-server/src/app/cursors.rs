//! Offsets on the wire, keys inside.
//!
//! The contract pages by offset, and a list that is newest first shifts under whoever pages through it while others
//! create. So the server remembers for a while where a page ended that somebody was given, and goes on from that key
//! when they ask for the next offset; for an offset that it doesn't know it counts.

use std::hash::{DefaultHasher, Hash, Hasher};

use quick_cache::sync::Cache;
use strongroom_domain::Timestamp;

/// How long the end of a page is remembered.
const REMEMBERED_SECONDS: i64 = 120;

pub(crate) struct Cursors(Cache<u64, (String, Timestamp)>);

/// A list as it was asked for: by whom, which, narrowed how.
#[derive(Hash)]
pub(crate) struct Listing<'a> {
    pub(crate) subject: &'a str,
    pub(crate) list: &'static str,
    pub(crate) filter: &'a str,
}

impl Cursors {
    pub(crate) fn new() -> Self {
        Self(Cache::new(10_000))
    }

    /// The last id of the page that ended at `offset`, if it is remembered.
    pub(crate) fn before(&self, listing: &Listing<'_>, offset: i64, now: Timestamp) -> Option<String> {
        let (id, until) = self.0.get(&key(listing, offset))?;
        (until > now).then_some(id)
    }

    /// Remembers that the page ending at `offset` ended with `id`.
    pub(crate) fn remember(&self, listing: &Listing<'_>, offset: i64, id: String, now: Timestamp) {
        self.0.insert(key(listing, offset), (id, now.plus_seconds(REMEMBERED_SECONDS)));
    }
}

fn key(listing: &Listing<'_>, offset: i64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (listing, offset).hash(&mut hasher);
    hasher.finish()
}
