use std::collections::BTreeMap;

use super::protocol::Tag;
use crate::{
    aws::{AwsAuthData, AwsRegion, ProcessIdentity},
    egress::EgressUrl,
};

/// Names the instance that an entry belongs to.
pub(super) const INSTANCE_TAG: &str = "strongroom-instance";
/// Names the secret that an entry belongs to, by its id.
pub(super) const SECRET_TAG: &str = "strongroom-secret";

/// The fields of an integration of type `aws/secrets-manager`, and what the server adds.
#[derive(Debug, Clone)]
pub struct AwsSecretsManagerSettings {
    /// `region`
    pub region: AwsRegion,
    /// `auth_data` of the account.
    pub account_auth: Option<AwsAuthData>,
    /// `auth_data` of the integration, which goes before the account's.
    pub integration_auth: Option<AwsAuthData>,
    /// Who we are where neither says it, and who assumes a role where the account has no access key.
    pub process: ProcessIdentity,
    /// `kms_arn`: the key that AWS encrypts new entries with; without it AWS' own.
    pub kms_arn: Option<String>,
    /// `tags` of new entries.
    pub tags: BTreeMap<String, String>,
    /// The id of this instance: entries of others are left alone.
    pub instance: String,
    /// How entries are removed.
    pub removal: EntryRemoval,
    /// Where AWS is, if not at its own addresses.
    pub endpoints: AwsEndpoints,
}

/// How an entry is removed whose time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EntryRemoval {
    /// For good.
    #[default]
    AtOnce,
    /// Into AWS' own trash, for 7 to 30 days.
    Trash {
        /// `RecoveryWindowInDays`
        days: u8,
    },
}

/// Addresses instead of AWS' own: what an operator sets.
#[derive(Debug, Clone, Default)]
pub struct AwsEndpoints {
    /// Of Secrets Manager.
    pub secrets_manager: Option<EgressUrl>,
    /// Of STS.
    pub sts: Option<EgressUrl>,
}

impl AwsSecretsManagerSettings {
    /// The tags that every entry gets, without the secret's id. AWS would refuse bad ones at the first write only.
    pub(super) fn checked_tags(&self) -> Result<Vec<Tag>, String> {
        const MOST: usize = 48;
        if let Some(arn) = self.kms_arn.as_deref().filter(|arn| !is_key(arn)) {
            let hint = if arn.is_empty() { "; leave it out for AWS' own key" } else { "" };
            return Err(format!("`kms_arn` must be the ARN of a key or an alias of KMS{hint}"));
        }
        if let EntryRemoval::Trash { days } = self.removal
            && !(7..=30).contains(&days)
        {
            return Err("an entry stays in the trash of AWS for 7 to 30 days".to_owned());
        }
        if self.tags.len() > MOST {
            return Err(format!("`tags` may have {MOST} entries: AWS takes 50, and two are Strongroom's"));
        }
        let mut tags = vec![Tag { key: INSTANCE_TAG.to_owned(), value: self.instance.clone() }];
        for (key, value) in &self.tags {
            if key.starts_with("strongroom-") || key.get(..4).is_some_and(|aws| aws.eq_ignore_ascii_case("aws:")) {
                return Err(format!("`tags`: the key `{key}` begins with what is reserved, aws: or strongroom-"));
            }
            if !is_tag(key, 1..=128) || !is_tag(value, 0..=256) {
                return Err(format!(
                    "`tags`: `{key}` and its value must be letters, digits, spaces and _.:/=+-@, at most 128 and 256"
                ));
            }
            tags.push(Tag { key: key.clone(), value: value.clone() });
        }
        Ok(tags)
    }
}

fn is_key(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    matches!(parts.as_slice(), ["arn", _, "kms", _, _, key] if key.starts_with("key/") || key.starts_with("alias/"))
        && arn.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_tag(text: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    length.contains(&text.chars().count())
        && text.chars().all(|letter| letter.is_alphanumeric() || " _.:/=+-@".contains(letter))
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
