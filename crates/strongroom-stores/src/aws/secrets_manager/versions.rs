//! Versions: put, read, promoted, let go.

use strongroom_domain::SecretValue;

use super::{
    LARGEST_VALUE, NAME, Turn,
    entries::{Found, Owner, not_found, precondition, refused},
    explain, explain_hiding,
    known::Seen,
    naming::{self, LABEL, Place},
    protocol::{
        CURRENT, Content, CreateSecret, Description, GetSecretValue, PutSecretValue, Tag, UpdateSecretVersionStage,
    },
    settings::SECRET_TAG,
};
use crate::{Condition, Entry, Latest, Put, StoreError, StoreErrorKind, StoreVersion, aws::failure::Failure};

/// AWS looks for nothing that can't be a version's id.
const ID_LENGTHS: std::ops::RangeInclusive<usize> = 32..=64;

/// The rules of AWS, before anything is asked of it.
pub(super) fn check(entry: &Entry<'_>, value_bytes: usize) -> Result<(), StoreError> {
    naming::check_name(entry).map_err(refused)?;
    if value_bytes > LARGEST_VALUE {
        return Err(refused(format!("a value in AWS Secrets Manager has at most {LARGEST_VALUE} bytes")));
    }
    Ok(())
}

impl Turn<'_> {
    pub(super) async fn put_version(&self, put: &Put<'_>) -> Result<StoreVersion, StoreError> {
        check(&put.entry, put.value.byte_len())?;
        let id = naming::version_id(put.mark, put.version, self.store.random_id()).map_err(refused)?;
        let expected = match put.condition {
            Condition::Absent => return self.create(put, &id).await,
            Condition::Always => None,
            Condition::LatestIs(version) => Some(naming::from_store_version(version)),
        };
        if put.staged
            && let Some(expected) = expected
            && let Some(version) = self.add_where_known(put, expected, &id).await?
        {
            return Ok(version);
        }
        let Some(found) = self.find_entry(&put.entry).await? else {
            return match expected {
                None => self.create(put, &id).await,
                Some(_) => Err(precondition("the entry isn't there")),
            };
        };
        let current = found.description.current();
        // Where it is the new version already, this is the same put once more.
        if expected.is_some_and(|expected| (current, found.place) != (Some(expected.0), expected.1))
            && current != Some(&id)
        {
            return Err(precondition("the entry is at another version"));
        }
        self.add(&found, put, &id).await?;
        self.store.known.note(put.entry.secret_id, Seen::of(&found.description, found.place));
        if !put.staged {
            let made = self.make_current(&put.entry, found.place, &found.description, &id).await;
            made.map_err(|error| {
                // The version is there, and may yet be shown; but where it was overtaken it isn't.
                let is_unclear = error.kind != StoreErrorKind::Precondition;
                error.with_unclear_effect(is_unclear)
            })?;
        }
        Ok(naming::to_store_version(&id, found.place))
    }

    /// Makes the entry with its first version, which AWS shows at once. Under the plain name, or, where an entry that
    /// waits for its end is in the way, beside it.
    async fn create(&self, put: &Put<'_>, id: &str) -> Result<StoreVersion, StoreError> {
        let mut tags = self.store.tags.clone();
        tags.push(Tag { key: SECRET_TAG.to_owned(), value: naming::simple(put.entry.secret_id) });
        for place in Place::of(&put.entry).iter().copied() {
            let name = naming::name(&put.entry, place);
            let call = CreateSecret {
                name: &name,
                client_request_token: id,
                content: Content::from(put.value),
                kms_key_id: self.store.kms_arn.as_deref(),
                tags: &tags,
            };
            match self.call(&call).await {
                Ok(_) => return Ok(naming::to_store_version(id, place)),
                Err(failure) if failure.is_about_trash() => {}
                Err(failure) if failure.code() == "ResourceExistsException" => {
                    self.may_stand_beside(&put.entry, &name).await?;
                }
                Err(failure) => return Err(explain_hiding::<CreateSecret<'_>>(failure, &name, put.value)),
            }
        }
        let names = Place::of(&put.entry).iter().map(|place| naming::name(&put.entry, *place)).collect::<Vec<_>>();
        Err(refused(format!("{}: in AWS' trash, so the name is taken", names.join(", "))))
    }

    /// Whether what has the name is on its way out.
    async fn may_stand_beside(&self, entry: &Entry<'_>, name: &str) -> Result<(), StoreError> {
        // One that can't be seen is being deleted.
        let Some(there) = self.look(name).await? else { return Ok(()) };
        let reason = match self.owner(&there, entry) {
            _ if there.deleted.is_some() => return Ok(()),
            Owner::Earlier => return Ok(()),
            Owner::This => format!("`{name}` is already there"),
            Owner::Stranger => {
                format!("`{name}` is there and isn't this Strongroom's ({}): delete it or move it away", there.arn)
            }
        };
        Err(StoreError::new(NAME, StoreErrorKind::AlreadyExists, reason))
    }

    /// Adds a version that nobody sees yet to an entry that is known to be at the expected one. Whether it still is, AWS
    /// says when the version is to be shown. `None` where the entry has to be looked at.
    async fn add_where_known(
        &self,
        put: &Put<'_>,
        expected: (&str, Place),
        id: &str,
    ) -> Result<Option<StoreVersion>, StoreError> {
        let known = &self.store.known;
        let seen = known.of(put.entry.secret_id).filter(|seen| (seen.current.as_str(), seen.place) == expected);
        let Some(seen) = seen else { return Ok(None) };
        match self.put_unseen(&seen.arn, put, id).await {
            Ok(()) => Ok(Some(naming::to_store_version(id, seen.place))),
            // It isn't there any more, or something else is wrong that looking at it tells more of.
            Err(Failure::Refused(refusal)) if !refusal.after_unclear => {
                known.forget(put.entry.secret_id);
                Ok(None)
            }
            Err(failure) => {
                let name = naming::name(&put.entry, seen.place);
                Err(explain_hiding::<PutSecretValue<'_>>(failure, &name, put.value))
            }
        }
    }

    /// Adds a version that nobody sees yet.
    async fn add(&self, found: &Found, put: &Put<'_>, id: &str) -> Result<(), StoreError> {
        let name = naming::name(&put.entry, found.place);
        match self.put_unseen(&found.description.arn, put, id).await {
            Ok(()) => Ok(()),
            Err(failure) if failure.code() == "ResourceExistsException" => {
                let reason = format!("`{name}`: this operation has already put another value there");
                Err(StoreError::new(NAME, StoreErrorKind::AlreadyExists, reason))
            }
            Err(failure) => Err(explain_hiding::<PutSecretValue<'_>>(failure, &name, put.value)),
        }
    }

    async fn put_unseen(&self, arn: &str, put: &Put<'_>, id: &str) -> Result<(), Failure> {
        let label = naming::label(put.version.unsigned_abs());
        let call = PutSecretValue {
            secret_id: arn,
            client_request_token: id,
            content: Content::from(put.value),
            version_stages: [&label],
        };
        self.call(&call).await.map(|_| ())
    }

    pub(super) async fn promote_version(&self, entry: &Entry<'_>, version: &StoreVersion) -> Result<(), StoreError> {
        let (id, place) = naming::from_store_version(version);
        let attempted = self.promote_where_known(entry, id, place).await?;
        if attempted == Attempted::Done {
            return Ok(());
        }
        let found = self.find_entry(entry).await?.filter(|found| found.place == place);
        let found = found.ok_or_else(|| not_found("the entry isn't there"))?;
        // What was known was right, and then somebody showed a newer one: ours stood still for too long. (Where nothing was
        // known a greater number means nothing: ours are smaller after a backup was restored.)
        if attempted == Attempted::Refused && found.description.current().is_some_and(|current| is_newer(current, id)) {
            return Err(precondition("a newer version is shown already"));
        }
        self.make_current(entry, place, &found.description, id).await
    }

    /// Moves `AWSCURRENT` from where it was seen. Where that isn't done the entry has to be looked at.
    async fn promote_where_known(&self, entry: &Entry<'_>, id: &str, place: Place) -> Result<Attempted, StoreError> {
        let known = &self.store.known;
        let seen = known.of(entry.secret_id).filter(|seen| seen.place == place && is_newer(id, &seen.current));
        let Some(seen) = seen else { return Ok(Attempted::Nothing) };
        let call = UpdateSecretVersionStage {
            secret_id: &seen.arn,
            version_stage: CURRENT,
            move_to_version_id: Some(id),
            remove_from_version_id: Some(&seen.current),
        };
        // Unless all goes well nothing is known any more.
        known.forget(entry.secret_id);
        match self.call(&call).await {
            Ok(_) => {
                known.note(entry.secret_id, Some(Seen { current: id.to_owned(), ..seen }));
                Ok(Attempted::Done)
            }
            Err(Failure::Refused(_)) => Ok(Attempted::Refused),
            Err(failure) => Err(explain::<UpdateSecretVersionStage<'_>>(failure, &naming::name(entry, place))),
        }
    }

    /// Moves `AWSCURRENT` to `id` from where `seen` saw it, and from nowhere else.
    async fn make_current(
        &self,
        entry: &Entry<'_>,
        place: Place,
        seen: &Description,
        id: &str,
    ) -> Result<(), StoreError> {
        let name = naming::name(entry, place);
        let current = seen.current();
        if current == Some(id) {
            return Ok(());
        }
        if let Some(current) = current {
            self.keep(seen, current, id)
                .await
                .map_err(|failure| explain::<UpdateSecretVersionStage<'_>>(failure, &name))?;
        }
        let call = UpdateSecretVersionStage {
            secret_id: &seen.arn,
            version_stage: CURRENT,
            move_to_version_id: Some(id),
            remove_from_version_id: current,
        };
        self.store.known.forget(entry.secret_id);
        let Err(failure) = self.call(&call).await else { return Ok(()) };
        match failure.code() {
            "ResourceNotFoundException" => Err(not_found(format!("`{name}` has no such version"))),
            // What AWS says where the label isn't any more where it was, and where there is no such version.
            "InvalidParameterException" | "InvalidRequestException" => {
                let now = self.look(&seen.arn).await?;
                match now.as_ref().and_then(Description::current) {
                    Some(now) if now == id => Ok(()),
                    now if now != current => Err(precondition(format!("somebody else has changed `{name}`"))),
                    _ if seen.labels(id).is_empty() => Err(not_found(format!("`{name}` has no such version"))),
                    _ => Err(explain::<UpdateSecretVersionStage<'_>>(failure, &name)),
                }
            }
            _ => Err(explain::<UpdateSecretVersionStage<'_>>(failure, &name)),
        }
    }

    /// Gives the version that is about to be replaced a label of ours, if it has none: the first version of an entry,
    /// and what others have put.
    async fn keep(&self, seen: &Description, old: &str, new: &str) -> Result<(), Failure> {
        if seen.labels(old).iter().any(|label| label.starts_with(LABEL)) {
            return Ok(());
        }
        let before_new = || naming::number_of(new).map(|number| number.saturating_sub(1));
        let Some(number) = naming::number_of(old).or_else(before_new) else { return Ok(()) };
        let label = naming::label(number);
        let holder = seen.versions.iter().flatten().find(|(_, labels)| labels.contains(&label));
        let call = UpdateSecretVersionStage {
            secret_id: &seen.arn,
            version_stage: &label,
            move_to_version_id: Some(old),
            remove_from_version_id: holder.map(|(id, _)| id.as_str()),
        };
        let Err(failure) = self.call(&call).await else { return Ok(()) };
        // A try that seemed lost may have done it.
        let now = match failure.code() {
            "InvalidParameterException" => self.look(&seen.arn).await.map_err(Failure::Store)?,
            _ => None,
        };
        if now.is_some_and(|now| now.labels(old).contains(&label)) { Ok(()) } else { Err(failure) }
    }

    pub(super) async fn get_version(
        &self,
        entry: &Entry<'_>,
        version: &StoreVersion,
    ) -> Result<SecretValue, StoreError> {
        let (id, place) = naming::from_store_version(version);
        let name = naming::name(entry, place);
        if !ID_LENGTHS.contains(&id.len()) {
            return Err(not_found(format!("`{name}` has no such version")));
        }
        let call = GetSecretValue { secret_id: &name, version_id: Some(id), version_stage: None };
        let held = match self.call(&call).await {
            Ok(held) => held,
            Err(failure) if failure.is_about_trash() => {
                let reason = format!("`{name}` is in AWS' trash; RestoreSecret brings it back");
                return Err(not_found(reason));
            }
            Err(failure) if failure.code() == "ResourceNotFoundException" => {
                return Err(not_found(format!("`{name}` has no such version")));
            }
            Err(failure) => return Err(explain::<GetSecretValue<'_>>(failure, &name)),
        };
        if held.version_id != id {
            let reason = format!("AWS answers with another version of `{name}`");
            return Err(StoreError::new(NAME, StoreErrorKind::Integrity, reason));
        }
        held.value().ok_or_else(|| not_text(&name))
    }

    pub(super) async fn current_version(&self, entry: &Entry<'_>) -> Result<Option<Latest>, StoreError> {
        let Some(found) = self.find_entry(entry).await? else { return Ok(None) };
        let name = naming::name(entry, found.place);
        // The label is named, as not every policy and not every emulator takes it for granted.
        let call = GetSecretValue { secret_id: &found.description.arn, version_id: None, version_stage: Some(CURRENT) };
        let held = match self.call(&call).await {
            Ok(held) => held,
            Err(failure) if failure.code() == "ResourceNotFoundException" || failure.is_about_trash() => {
                return Ok(None);
            }
            Err(failure) => return Err(explain::<GetSecretValue<'_>>(failure, &name)),
        };
        let version = naming::to_store_version(&held.version_id, found.place);
        let mark = naming::mark_of(&held.version_id).map(str::to_owned);
        let value = held.value().ok_or_else(|| not_text(&name))?;
        Ok(Some(Latest { version, value, mark }))
    }

    /// The version that a put with this mark and number made, shown or not.
    pub(super) async fn marked(
        &self,
        entry: &Entry<'_>,
        mark: &str,
        number: i64,
    ) -> Result<Option<StoreVersion>, StoreError> {
        let id = naming::version_id(Some(mark), number, self.store.random_id()).map_err(refused)?;
        self.store.known.forget(entry.secret_id);
        let Some(found) = self.find_entry(entry).await? else { return Ok(None) };
        let version = naming::to_store_version(&id, found.place);
        if !found.description.labels(&id).is_empty() {
            return Ok(Some(version));
        }
        // One without labels isn't told, but AWS has it for a while.
        let call = GetSecretValue { secret_id: &found.description.arn, version_id: Some(&id), version_stage: None };
        match self.call(&call).await {
            Ok(held) => Ok((held.version_id == id).then_some(version)),
            Err(failure) if failure.code() == "ResourceNotFoundException" || failure.is_about_trash() => Ok(None),
            Err(failure) => Err(explain::<GetSecretValue<'_>>(failure, &naming::name(entry, found.place))),
        }
    }

    /// Takes all labels from a version: AWS drops it when it has a hundred others, and a day has gone by.
    pub(super) async fn let_go(&self, entry: &Entry<'_>, version: &StoreVersion) -> Result<(), StoreError> {
        let (id, place) = naming::from_store_version(version);
        // The label that goes may be the one that the latest version was seen with.
        self.store.known.forget(entry.secret_id);
        let Some(found) = self.find_entry(entry).await?.filter(|found| found.place == place) else { return Ok(()) };
        let name = naming::name(entry, place);
        let labels = found.description.labels(id);
        if labels.iter().any(|label| label == CURRENT) {
            return Err(precondition(format!(
                "the latest version of `{name}` can't be removed: promote another first"
            )));
        }
        for label in labels {
            let call = UpdateSecretVersionStage {
                secret_id: &found.description.arn,
                version_stage: label,
                move_to_version_id: None,
                remove_from_version_id: Some(id),
            };
            match self.call(&call).await {
                Ok(_) => {}
                // It has moved on meanwhile, or the version is gone.
                Err(failure) if matches!(failure.code(), "InvalidParameterException" | "ResourceNotFoundException") => {
                }
                Err(failure) => return Err(explain::<UpdateSecretVersionStage<'_>>(failure, &name)),
            }
        }
        Ok(())
    }
}

/// What came of a promotion by what was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempted {
    /// Nothing was known.
    Nothing,
    Done,
    Refused,
}

/// By our own numbers; what others have put has none.
fn is_newer(one: &str, other: &str) -> bool {
    naming::number_of(one).zip(naming::number_of(other)).is_some_and(|(one, other)| one > other)
}

fn not_text(name: &str) -> StoreError {
    let reason = format!("`{name}` holds bytes, which somebody else has put there; Strongroom's values are text");
    StoreError::new(NAME, StoreErrorKind::Integrity, reason)
}
