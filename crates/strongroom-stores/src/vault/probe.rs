//! Whether the store answers and would let us do what we have to.

use bytes::Bytes;
use http::Method;

use super::{
    VaultStore,
    api::{Ask, LARGEST_ANSWER, Reply},
    entry::VERSIONS_VANISH,
    paths::{Api, of_tenant},
    wire::{AskCapabilities, Capabilities, EngineConfig, Mount},
};
use crate::{
    StoreError, StoreErrorKind,
    outer::{Attempt, Repeat, to_json},
};

/// A part of the API, a name below the tenant, and what the policy must allow there. The names stand for any group and
/// key.
type Needed = (Api, &'static [&'static str], &'static [&'static str]);

const NEEDED: [Needed; 4] = [
    (Api::Data, &["strongroom-probe", "probe"], &["create", "update", "read"]),
    (Api::Metadata, &["strongroom-probe", "probe"], &["create", "update", "read", "delete"]),
    (Api::Metadata, &[""], &["list"]),
    (Api::Destroy, &["strongroom-probe", "probe"], &["update"]),
];

/// For removing an entry: looking whose it is, and removing it.
const NEEDED_TO_REMOVE: [Needed; 2] = [
    (Api::Data, &["strongroom-probe", "probe"], &["read"]),
    (Api::Metadata, &["strongroom-probe", "probe"], &["read", "delete"]),
];

impl VaultStore {
    /// It writes nothing, and asks nothing of what removing doesn't need.
    pub(super) async fn check_removing(&self) -> Result<(), StoreError> {
        self.check_capabilities(&self.api.client.attempt(), &NEEDED_TO_REMOVE).await
    }

    pub(super) async fn check_access(&self) -> Result<(), StoreError> {
        let attempt = self.api.client.attempt();
        self.check_capabilities(&attempt, &NEEDED).await?;
        self.check_mount(&attempt).await?;
        self.check_retention(&attempt).await
    }

    async fn check_capabilities(&self, attempt: &Attempt<'_>, needed: &[Needed]) -> Result<(), StoreError> {
        let paths: Vec<String> = needed
            .iter()
            .map(|(api, below, _)| self.api.paths.policy_path(*api, &[&of_tenant(&self.owner.tenant), *below].concat()))
            .collect();
        let body = to_json(&AskCapabilities { paths: paths.iter().map(String::as_str).collect() });
        let answer = self.ask_sys(attempt, Method::POST, &["sys", "capabilities-self"], body, "update").await?;
        let allowed: Capabilities = self.api.data(&answer, Repeat::Read)?;
        let mut missing = Vec::new();
        for (path, (_, _, needed)) in paths.iter().zip(needed) {
            let given = allowed.get(path).map_or(&[][..], Vec::as_slice);
            let has = |capability: &str| given.iter().any(|given| given == capability || given == "root");
            let lacking: Vec<&str> = needed.iter().copied().filter(|capability| !has(capability)).collect();
            if !lacking.is_empty() {
                missing.push(format!("{} on {path}", lacking.join(", ")));
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let reason = format!("the policy doesn't allow {}", missing.join("; nor "));
        Err(self.error(StoreErrorKind::PermissionDenied, reason))
    }

    /// On an engine of version 1 the paths would be ordinary names, and check-and-set would be ignored without a word.
    async fn check_mount(&self, attempt: &Attempt<'_>) -> Result<(), StoreError> {
        let mut path = vec!["sys", "internal", "ui", "mounts"];
        path.extend(self.api.paths.mount.iter().map(String::as_str));
        let at = self.api.paths.mount.join("/");
        let answer = self.ask_sys(attempt, Method::GET, &path, Bytes::new(), "read").await.map_err(|error| {
            // It says the same of what isn't there and of what one has no business with.
            let is_refusal = error.kind == StoreErrorKind::PermissionDenied;
            let reason = format!("nothing that the policy allows to see is mounted at {at} (kv_mount_path)");
            if is_refusal { self.error(StoreErrorKind::Refused, reason) } else { error }
        })?;
        let mount: Mount = self.api.data(&answer, Repeat::Read)?;
        let version = mount.options.and_then(|options| options.version);
        if mount.engine == "kv" && version.as_deref() == Some("2") {
            return Ok(());
        }
        let reason = format!("what is mounted at {at} (kv_mount_path) is not a KV engine of version 2");
        Err(self.error(StoreErrorKind::Refused, reason))
    }

    /// Asked where the policy allows to; else the first write tells.
    async fn check_retention(&self, attempt: &Attempt<'_>) -> Result<(), StoreError> {
        let path = self.api.paths.mount.iter().map(String::as_str).chain(["config"]).collect::<Vec<_>>();
        let answer = match self.ask_sys(attempt, Method::GET, &path, Bytes::new(), "read").await {
            Err(error) if error.kind == StoreErrorKind::PermissionDenied => return Ok(()),
            answer => answer?,
        };
        let config: EngineConfig = self.api.data(&answer, Repeat::Read)?;
        if matches!(config.delete_version_after.as_str(), "" | "0s") {
            return Ok(());
        }
        Err(self.error(StoreErrorKind::Refused, VERSIONS_VANISH))
    }

    async fn ask_sys(
        &self,
        attempt: &Attempt<'_>,
        method: Method,
        path: &[&str],
        body: Bytes,
        capability: &'static str,
    ) -> Result<Bytes, StoreError> {
        let url = self.api.paths.api(path).map_err(|error| self.api.bad_url(error))?;
        let ask =
            Ask { method, url, body, repeat: Repeat::Read, largest: LARGEST_ANSWER, path: path.join("/"), capability };
        match self.api.send(attempt, &ask).await? {
            Reply::Done(answer) => Ok(answer.body),
            _ => Err(self.api.nonsense(Repeat::Read)),
        }
    }
}
