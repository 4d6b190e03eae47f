//! Entries and their versions.

use bytes::Bytes;
use http::Method;
use strongroom_domain::SecretValue;

use super::{
    KEPT_VERSIONS, VaultStore,
    api::Reply,
    paths::{Api, name},
    wire::{
        CustomMetadata, Destroy, ReadEntry, ReadFields, ReadVersion, VersionFacts, WriteEntry, WriteOptions,
        WriteVersion, WrittenFields,
    },
};
use crate::{
    StoreError, StoreErrorKind,
    outer::{Attempt, Repeat, to_json},
    store::{Condition, Entry, Latest, Put, StoreVersion},
};

const INSTANCE: &str = "strongroom_instance";
const SECRET: &str = "strongroom_secret";
/// How often a put that is to happen whatever is there looks again at what is there.
const MOST_RACES: u32 = 5;
/// How many versions may have been put after one that is looked for by its mark.
const MOST_AFTER: u32 = 8;

/// No entry can be excepted from it (tried).
pub(super) const VERSIONS_VANISH: &str = "the KV engine deletes versions by itself after a while: set its \
     delete_version_after to 0, or use another mount";

/// Whose an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Ours,
    /// Nothing says so, or not yet.
    Unmarked,
    /// Of somebody else, or of another secret of ours.
    Foreign,
}

/// What became of one write.
enum Written {
    Version(u64),
    /// The latest version is another one.
    Mismatch,
}

impl VaultStore {
    pub(super) async fn put_version(&self, put: &Put<'_>) -> Result<u64, StoreError> {
        let attempt = self.api.client.attempt();
        match put.condition {
            Condition::Absent => match self.write(&attempt, put, 0).await? {
                Written::Version(version) => Ok(version),
                Written::Mismatch => Err(self.taken(&attempt, &put.entry).await),
            },
            Condition::LatestIs(expected) => {
                let elsewhere = || self.error(StoreErrorKind::Precondition, "the entry is at another version");
                let cas = number(expected).ok_or_else(elsewhere)?;
                match self.write(&attempt, put, cas).await? {
                    Written::Version(version) => Ok(version),
                    Written::Mismatch => Err(elsewhere()),
                }
            }
            Condition::Always => {
                for tried in 1..=MOST_RACES {
                    let cas = self.current_version(&attempt, &put.entry).await?;
                    if let Written::Version(version) = self.write(&attempt, put, cas).await? {
                        return Ok(version);
                    }
                    if !attempt.pause(tried).await {
                        break;
                    }
                }
                Err(self.error(StoreErrorKind::Throttled, "others keep writing to the entry"))
            }
        }
    }

    /// Puts the version after `cas`. Without a mark nobody could tell a version of ours from another one of the same
    /// value, so such a write is sent once.
    async fn write(&self, attempt: &Attempt<'_>, put: &Put<'_>, cas: u64) -> Result<Written, StoreError> {
        let fields = WrittenFields {
            value: put.value.expose(),
            strongroom_secret: put.entry.secret_id.to_string(),
            strongroom_operation: put.mark,
            strongroom_version: put.mark.map(|_| put.version.to_string()),
        };
        let body = to_json(&WriteVersion { options: WriteOptions { cas }, data: fields });
        let repeat = if put.mark.is_some() { Repeat::Idempotent } else { Repeat::Never };
        let ask =
            self.ask((Method::POST, "create and update"), Api::Data, &name(&put.entry).parts(), &[], body, repeat)?;
        let answered = self.api.send(attempt, &ask).await;
        let facts: Result<VersionFacts, StoreError> = match answered {
            Ok(Reply::Done(answer)) => self.api.data(&answer.body, repeat),
            Ok(Reply::CasMismatch { after_unclear: false }) => return Ok(Written::Mismatch),
            Ok(Reply::CasMismatch { after_unclear: true }) => {
                // Either our own first try is what it met, or somebody else's version.
                let found = self.read_back(attempt, put, cas + 1).await;
                match found.map_err(|error| error.with_unclear_effect(true))? {
                    None => return Ok(Written::Mismatch),
                    Some(facts) => Ok(facts),
                }
            }
            Ok(Reply::Missing(_)) => Err(self.api.nonsense(repeat)),
            Err(error) => Err(error),
        };
        let facts = match facts {
            Err(error) if error.may_have_happened && put.mark.is_some() => {
                // What isn't there may still come: only finding it settles anything.
                self.read_back(attempt, put, cas + 1).await.ok().flatten().ok_or(error)?
            }
            facts => facts?,
        };
        self.settle(attempt, put, cas, &facts).await.map(Written::Version)
    }

    /// The version, if it is the one that this put made.
    async fn read_back(
        &self,
        attempt: &Attempt<'_>,
        put: &Put<'_>,
        version: u64,
    ) -> Result<Option<VersionFacts>, StoreError> {
        let found = self.version(attempt, &put.entry, Some(version)).await?;
        Ok(found.and_then(|ReadVersion { data, metadata }| {
            let fields = data?;
            let is_ours = fields.strongroom_secret.is(&put.entry.secret_id.to_string())
                && put.mark.is_some_and(|mark| fields.strongroom_operation.is(mark))
                && fields.value.is(put.value.expose());
            (is_ours && metadata.version == version).then_some(metadata)
        }))
    }

    /// After a version was put: sees to it that the entry is marked as ours, and takes the version back if the entry
    /// turns out to be somebody else's.
    async fn settle(
        &self,
        attempt: &Attempt<'_>,
        put: &Put<'_>,
        cas: u64,
        facts: &VersionFacts,
    ) -> Result<u64, StoreError> {
        let unclear = |error: StoreError| error.with_unclear_effect(true);
        if facts.version != cas + 1 {
            let reason = format!("it made version {} of what was at version {cas}", facts.version);
            return Err(unclear(self.error(StoreErrorKind::Integrity, reason)));
        }
        if !facts.deletion_time.is_empty() {
            // It would be gone one day and nobody would have deleted it.
            let reason = VERSIONS_VANISH;
            return Err(self.take_back(attempt, &put.entry, facts.version, StoreErrorKind::Refused, reason).await);
        }
        let whose = match self.whose(facts.custom_metadata.as_ref(), &put.entry) {
            Whose::Ours => return Ok(facts.version),
            Whose::Foreign => Whose::Foreign,
            // Made by this put.
            Whose::Unmarked if cas == 0 => Whose::Ours,
            Whose::Unmarked => {
                let before = self.version(attempt, &put.entry, Some(cas)).await.map_err(unclear)?;
                self.whose_version(before.as_ref(), &put.entry)
            }
        };
        if whose != Whose::Ours {
            let reason = self.not_ours(&put.entry);
            return Err(self
                .take_back(attempt, &put.entry, facts.version, StoreErrorKind::AlreadyExists, &reason)
                .await);
        }
        self.mark(attempt, &put.entry).await.map_err(unclear)?;
        Ok(facts.version)
    }

    /// Marks an entry that has no custom metadata.
    async fn mark(&self, attempt: &Attempt<'_>, entry: &Entry<'_>) -> Result<(), StoreError> {
        let custom_metadata: CustomMetadata =
            [(INSTANCE.to_owned(), self.owner.instance.clone()), (SECRET.to_owned(), entry.secret_id.to_string())]
                .into();
        let body = to_json(&WriteEntry { max_versions: KEPT_VERSIONS.into(), custom_metadata });
        let method = (Method::POST, "create and update");
        let ask = self.ask(method, Api::Metadata, &name(entry).parts(), &[], body, Repeat::Idempotent)?;
        match self.api.send(attempt, &ask).await? {
            Reply::Done(_) => Ok(()),
            _ => Err(self.api.nonsense(Repeat::Idempotent)),
        }
    }

    /// A value of ours must not stay where it doesn't belong.
    async fn take_back(
        &self,
        attempt: &Attempt<'_>,
        entry: &Entry<'_>,
        version: u64,
        kind: StoreErrorKind,
        reason: &str,
    ) -> StoreError {
        let taken_back = self.send_destroy(attempt, entry, version).await;
        let what = if taken_back.is_ok() { "was destroyed again" } else { "could not be destroyed" };
        let reason = format!("{reason}; the version {version} that was put there {what}");
        self.error(kind, reason).with_unclear_effect(taken_back.is_err())
    }

    /// The version that the next write is conditioned on; 0 where there is no entry.
    async fn current_version(&self, attempt: &Attempt<'_>, entry: &Entry<'_>) -> Result<u64, StoreError> {
        let Some(found) = self.version(attempt, entry, None).await? else { return Ok(0) };
        match self.whose_version(Some(&found), entry) {
            Whose::Ours => Ok(found.metadata.version),
            _ => Err(self.error(StoreErrorKind::AlreadyExists, self.not_ours(entry))),
        }
    }

    /// Why a create-only put found something.
    async fn taken(&self, attempt: &Attempt<'_>, entry: &Entry<'_>) -> StoreError {
        let reason = match self.current_version(attempt, entry).await {
            Ok(version) => format!("{} is already there, at version {version}", self.path(entry)),
            Err(error) if error.kind == StoreErrorKind::AlreadyExists => error.reason,
            Err(_) => format!("{} is already there", self.path(entry)),
        };
        self.error(StoreErrorKind::AlreadyExists, reason)
    }

    pub(super) async fn pinned(&self, entry: &Entry<'_>, version: &StoreVersion) -> Result<SecretValue, StoreError> {
        let missing = || self.error(StoreErrorKind::NotFound, "there is no such version");
        let number = number(version).ok_or_else(missing)?;
        let attempt = self.api.client.attempt();
        let found = self.version(&attempt, entry, Some(number)).await?.ok_or_else(missing)?;
        if self.whose_version(Some(&found), entry) != Whose::Ours {
            return Err(self.error(StoreErrorKind::Integrity, self.not_ours(entry)));
        }
        if found.metadata.version != number {
            return Err(self.error(StoreErrorKind::Integrity, "it gave another version than the one asked for"));
        }
        let how = if found.metadata.destroyed { "destroyed" } else { "deleted" };
        let gone = || self.error(StoreErrorKind::NotFound, format!("the version was {how} in the store"));
        self.value(found.data.ok_or_else(gone)?, entry)
    }

    pub(super) async fn newest(&self, attempt: &Attempt<'_>, entry: &Entry<'_>) -> Result<Option<Latest>, StoreError> {
        let Some(mut found) = self.version(attempt, entry, None).await? else { return Ok(None) };
        if self.whose_version(Some(&found), entry) != Whose::Ours {
            return Err(self.error(StoreErrorKind::AlreadyExists, self.not_ours(entry)));
        }
        // Who reads directly gets nothing once the newest version is deleted or destroyed.
        let Some(fields) = &mut found.data else { return Ok(None) };
        let mark = fields.strongroom_operation.0.take().map(|mark| mark.expose().to_owned());
        let version = StoreVersion(found.metadata.version.to_string());
        let value = self.value(found.data.unwrap_or_default(), entry)?;
        Ok(Some(Latest { version, value, mark }))
    }

    /// The version that the put of this mark and number made: the newest, or one of the few before it.
    pub(super) async fn marked(
        &self,
        entry: &Entry<'_>,
        mark: &str,
        number: i64,
    ) -> Result<Option<StoreVersion>, StoreError> {
        let attempt = self.api.client.attempt();
        let (secret, number) = (entry.secret_id.to_string(), number.to_string());
        let is_it = |fields: &ReadFields| {
            fields.strongroom_secret.is(&secret)
                && fields.strongroom_operation.is(mark)
                && fields.strongroom_version.is(&number)
        };
        let mut at = None;
        for _ in 0..=MOST_AFTER {
            let Some(found) = self.version(&attempt, entry, at).await? else { return Ok(None) };
            let version = found.metadata.version;
            if at.is_some_and(|asked| asked != version) {
                return Err(self.error(StoreErrorKind::Integrity, "it gave another version than the one asked for"));
            }
            // In another's entry there is none of ours.
            if self.whose(found.metadata.custom_metadata.as_ref(), entry) == Whose::Foreign {
                return Ok(None);
            }
            if found.data.as_ref().is_some_and(is_it) {
                return Ok(Some(StoreVersion(version.to_string())));
            }
            // Version 0 would be the newest again.
            let Some(before) = version.checked_sub(1).filter(|before| *before > 0) else { break };
            at = Some(before);
        }
        Ok(None)
    }

    fn value(&self, fields: ReadFields, entry: &Entry<'_>) -> Result<SecretValue, StoreError> {
        let no_text = || {
            let reason = format!("{} has no text in its field `value`", self.path(entry));
            self.error(StoreErrorKind::Integrity, reason)
        };
        fields.value.0.ok_or_else(no_text)
    }

    /// A version or the newest, also where only its metadata is left; `None` where the engine has nothing.
    async fn version(
        &self,
        attempt: &Attempt<'_>,
        entry: &Entry<'_>,
        version: Option<u64>,
    ) -> Result<Option<ReadVersion>, StoreError> {
        let number = version.map(|version| version.to_string());
        let query: Vec<(&str, &str)> = number.as_deref().map(|number| ("version", number)).into_iter().collect();
        match self.read(attempt, Api::Data, &name(entry).parts(), &query).await? {
            Reply::Done(answer) => self.api.data(&answer.body, Repeat::Read).map(Some),
            Reply::Missing(Some(body)) => self.api.data(&body, Repeat::Read).map(Some),
            Reply::Missing(None) => Ok(None),
            Reply::CasMismatch { .. } => Err(self.api.nonsense(Repeat::Read)),
        }
    }

    pub(super) async fn destroy(&self, entry: &Entry<'_>, version: &StoreVersion) -> Result<(), StoreError> {
        let attempt = self.api.client.attempt();
        let (Some(number), Some(found)) = (number(version), self.entry_of_ours(&attempt, entry).await?) else {
            return Ok(());
        };
        match found.versions.get(&number.to_string()) {
            Some(state) if !state.destroyed => {
                // The version's own field may be all that says whose the entry is, and it goes now.
                if self.whose(found.custom_metadata.as_ref(), entry) == Whose::Unmarked {
                    self.mark(&attempt, entry).await?;
                }
                self.send_destroy(&attempt, entry, number).await
            }
            _ => Ok(()),
        }
    }

    async fn send_destroy(&self, attempt: &Attempt<'_>, entry: &Entry<'_>, version: u64) -> Result<(), StoreError> {
        let body = to_json(&Destroy { versions: [version] });
        let ask =
            self.ask((Method::POST, "update"), Api::Destroy, &name(entry).parts(), &[], body, Repeat::Idempotent)?;
        self.api.send(attempt, &ask).await.map(drop)
    }

    pub(super) async fn remove_entry(&self, entry: &Entry<'_>) -> Result<(), StoreError> {
        let attempt = self.api.client.attempt();
        if self.entry_of_ours(&attempt, entry).await?.is_none() {
            return Ok(());
        }
        let method = (Method::DELETE, "delete");
        let ask = self.ask(method, Api::Metadata, &name(entry).parts(), &[], Bytes::new(), Repeat::Idempotent)?;
        self.api.send(&attempt, &ask).await.map(drop)
    }

    /// What is known of an entry before something of it is removed: there is no check-and-set on removing.
    async fn entry_of_ours(&self, attempt: &Attempt<'_>, entry: &Entry<'_>) -> Result<Option<ReadEntry>, StoreError> {
        let found: ReadEntry = match self.read(attempt, Api::Metadata, &name(entry).parts(), &[]).await? {
            Reply::Done(answer) => self.api.data(&answer.body, Repeat::Read)?,
            Reply::Missing(_) => return Ok(None),
            Reply::CasMismatch { .. } => return Err(self.api.nonsense(Repeat::Read)),
        };
        let whose = match self.whose(found.custom_metadata.as_ref(), entry) {
            Whose::Unmarked => {
                let newest = self.version(attempt, entry, None).await?;
                self.whose_version(newest.as_ref(), entry)
            }
            whose => whose,
        };
        if whose == Whose::Ours {
            Ok(Some(found))
        } else {
            Err(self.error(StoreErrorKind::AlreadyExists, self.not_ours(entry)))
        }
    }

    fn whose(&self, metadata: Option<&CustomMetadata>, entry: &Entry<'_>) -> Whose {
        let Some(metadata) = metadata.filter(|metadata| !metadata.is_empty()) else { return Whose::Unmarked };
        let has = |name: &str, text: &str| metadata.get(name).is_some_and(|found| found == text);
        if has(INSTANCE, &self.owner.instance) && has(SECRET, &entry.secret_id.to_string()) {
            Whose::Ours
        } else {
            Whose::Foreign
        }
    }

    /// By the entry's metadata, or by the version's own field where that wasn't written yet.
    fn whose_version(&self, version: Option<&ReadVersion>, entry: &Entry<'_>) -> Whose {
        let Some(version) = version else { return Whose::Unmarked };
        let names_it = |fields: &ReadFields| fields.strongroom_secret.is(&entry.secret_id.to_string());
        match self.whose(version.metadata.custom_metadata.as_ref(), entry) {
            Whose::Unmarked if version.data.as_ref().is_some_and(names_it) => Whose::Ours,
            whose => whose,
        }
    }

    fn path(&self, entry: &Entry<'_>) -> String {
        self.api.paths.policy_path(Api::Data, &name(entry).parts())
    }

    fn not_ours(&self, entry: &Entry<'_>) -> String {
        format!("{} is not an entry of this secret (its custom metadata says so or is missing)", self.path(entry))
    }
}

/// Versions count from 1.
fn number(version: &StoreVersion) -> Option<u64> {
    let number = version.0.parse().ok().filter(|number| *number > 0)?;
    // One spelling a version.
    (version.0 == u64::to_string(&number)).then_some(number)
}
