//! Names, which the engine gives a folder at a time and all of it at once.

use bytes::Bytes;
use http::Method;

use super::{VaultStore, api::Reply, paths::Api, wire::Keys};
use crate::{
    StoreError,
    outer::{Attempt, Repeat},
};

/// Of a folder's names.
const LARGEST_FOLDER: usize = 16 * 1024 * 1024;

impl VaultStore {
    /// Names below `root_path` that begin with `prefix` and sort after `after`.
    pub(super) async fn names(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        let attempt = self.api.client.attempt();
        let folder = prefix.rfind('/').map_or("", |slash| &prefix[..=slash]);
        let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
        // Depth first and each folder in order, its name with the slash: so is the order of whole names.
        while let Some(path) = folders.pop() {
            if !path.ends_with('/') && !path.is_empty() {
                found.push(path);
                if found.len() >= limit {
                    break;
                }
                continue;
            }
            let mut below: Vec<String> =
                self.folder(&attempt, &path).await?.into_iter().map(|name| format!("{path}{name}")).collect();
            below.retain(|name| {
                let is_after = name.as_str() > after || (name.ends_with('/') && after.starts_with(name.as_str()));
                name.starts_with(prefix) && is_after
            });
            below.sort_unstable_by(|a, b| b.cmp(a));
            folders.extend(below);
        }
        found.truncate(limit);
        Ok(found)
    }

    async fn folder(&self, attempt: &Attempt<'_>, path: &str) -> Result<Vec<String>, StoreError> {
        let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        // The method LIST means the same and is unknown to many proxies.
        let query = [("list", "true")];
        let mut ask = self.ask((Method::GET, "list"), Api::Metadata, &segments, &query, Bytes::new(), Repeat::Read)?;
        ask.largest = LARGEST_FOLDER;
        ask.path.push('/');
        match self.api.send(attempt, &ask).await? {
            Reply::Done(answer) => {
                let keys: Keys = self.api.data(&answer.body, Repeat::Read)?;
                // What can't be in a path isn't ours, and must not lead elsewhere.
                let is_good = |key: &String| !matches!(key.trim_end_matches('/'), "" | "." | "..");
                Ok(keys.keys.into_iter().filter(is_good).collect())
            }
            Reply::Missing(_) => Ok(Vec::new()),
            Reply::CasMismatch { .. } => Err(self.api.nonsense(Repeat::Read)),
        }
    }
}
