//! Whether we may do all that we need.

use strongroom_domain::SecretValue;

use super::{
    NAME, Turn, explain,
    naming::{self, label},
    protocol::{
        CURRENT, Call, Content, CreateSecret, DeleteSecret, DescribeSecret, GetSecretValue, ListSecrets,
        PutSecretValue, UpdateSecretVersionStage,
    },
};
use crate::{StoreError, StoreErrorKind, aws::failure::Failure};

/// Under the prefix that permissions are given for, and no name of ours: no tenant has an `@`.
const PREFIX: &str = "/tfy-secret/strongroom-probe@";

/// What came of the attempts so far.
struct Findings<'a> {
    name: &'a str,
    missing: Vec<&'static str>,
    /// The first other trouble.
    trouble: Option<StoreError>,
}

impl Findings<'_> {
    fn note<C: Call>(&mut self, result: Result<C::Output, Failure>) {
        let Err(failure) = result else { return };
        // Where the entry couldn't be made, AWS still says whether it would have let us.
        if failure.code() == "ResourceNotFoundException" {
            return;
        }
        let is_about_this = matches!(failure, Failure::Refused(_));
        let error = explain::<C>(failure, self.name);
        if is_about_this && error.kind == StoreErrorKind::PermissionDenied {
            self.missing.push(C::PERMISSION);
        }
        self.trouble.get_or_insert(error);
    }
}

impl Turn<'_> {
    /// Asks for the description and the removal of what isn't there: AWS says so to who might have done it, and
    /// refuses who might not.
    pub(super) async fn ask_for_nothing(&self) -> Result<(), StoreError> {
        let name = format!("{PREFIX}{}", self.store.random_id().simple());
        let mut findings = Findings { name: &name, missing: Vec::new(), trouble: None };
        findings.note::<DescribeSecret<'_>>(self.call(&DescribeSecret { secret_id: &name }).await);
        if findings.missing.is_empty() && findings.trouble.is_some() {
            return findings.verdict(false);
        }
        // Without force: should something be there after all, it can be brought back.
        let delete =
            DeleteSecret { secret_id: &name, recovery_window_in_days: None, force_delete_without_recovery: None };
        findings.note::<DeleteSecret<'_>>(self.call(&delete).await);
        findings.verdict(false)
    }

    /// Makes an entry, does with it all that is ever done, and deletes it for good: AWS has no way to ask. All
    /// permissions are tried, so that one error names all that are missing.
    pub(super) async fn try_everything(&self) -> Result<(), StoreError> {
        let random = self.store.random_id();
        let name = format!("{PREFIX}{}", random.simple());
        let mut findings = Findings { name: &name, missing: Vec::new(), trouble: None };
        let list = ListSecrets { max_results: 1, next_token: None, filters: &[] };
        findings.note::<ListSecrets<'_>>(self.call(&list).await);
        if findings.missing.is_empty() && findings.trouble.is_some() {
            // Nobody answers, or nobody knows us: the rest would say the same.
            return findings.trouble.map_or(Ok(()), Err);
        }
        let value = SecretValue::new("probe".to_owned());
        let unusable = |reason| StoreError::new(NAME, StoreErrorKind::Refused, reason);
        let first = naming::version_id(None, 1, random).map_err(unusable)?;
        let second = naming::version_id(None, 2, random).map_err(unusable)?;
        let create = CreateSecret {
            name: &name,
            client_request_token: &first,
            content: Content::from(&value),
            kms_key_id: self.store.kms_arn.as_deref(),
            tags: &self.store.tags,
        };
        let created = self.call(&create).await;
        let is_there = created.is_ok();
        findings.note::<CreateSecret<'_>>(created);
        findings.note::<DescribeSecret<'_>>(self.call(&DescribeSecret { secret_id: &name }).await);
        let label = label(2);
        let put = PutSecretValue {
            secret_id: &name,
            client_request_token: &second,
            content: Content::from(&value),
            version_stages: [&label],
        };
        let put = self.call(&put).await;
        let has_second = put.is_ok();
        findings.note::<PutSecretValue<'_>>(put);
        let to = if has_second { &second } else { &first };
        let promote = UpdateSecretVersionStage {
            secret_id: &name,
            version_stage: CURRENT,
            move_to_version_id: Some(to),
            remove_from_version_id: Some(&first),
        };
        findings.note::<UpdateSecretVersionStage<'_>>(self.call(&promote).await);
        let get = GetSecretValue { secret_id: &name, version_id: Some(to), version_stage: None };
        findings.note::<GetSecretValue<'_>>(self.call(&get).await);
        let delete =
            DeleteSecret { secret_id: &name, recovery_window_in_days: None, force_delete_without_recovery: Some(true) };
        let deleted = self.call(&delete).await;
        let is_left = is_there && deleted.is_err();
        findings.note::<DeleteSecret<'_>>(deleted);
        findings.verdict(is_left)
    }
}

impl Findings<'_> {
    fn verdict(self, is_left: bool) -> Result<(), StoreError> {
        let left = if is_left { format!("; `{}` is left over from this check", self.name) } else { String::new() };
        match self.trouble {
            None => Ok(()),
            Some(error) if self.missing.is_empty() => {
                Err(StoreError { reason: format!("{}{left}", error.reason), ..error })
            }
            Some(error) => {
                // AWS' own words about the first of them.
                let reason = format!("missing: {} ({}){left}", self.missing.join(", "), error.reason);
                Err(StoreError::new(NAME, StoreErrorKind::PermissionDenied, reason))
            }
        }
    }
}
