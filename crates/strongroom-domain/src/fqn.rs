//! Fully qualified names: `<tenant>:<group>`, `<tenant>:<group>:<key>`, `<tenant>:<group>:<key>:<version>`.

use crate::names::{GroupName, NameRule, SecretKey, Tenant};

/// The scheme of a reference; an FQN is taken with it or without it.
pub const REFERENCE_SCHEME: &str = "tfy-secret://";

/// What an FQN names. Its parts have been checked, so an FQN that can't exist doesn't parse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFqn {
    /// The tenant.
    pub tenant: Tenant,
    /// The group.
    pub group: GroupName,
    /// The key, when a secret or a version is named.
    pub key: Option<SecretKey>,
    /// The version, when one is pinned.
    pub version: Option<i64>,
}

impl SecretFqn {
    /// Reads an FQN or a `tfy-secret://` reference. Names are taken under the loose rule: a stricter instance simply
    /// has no such group.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix(REFERENCE_SCHEME).unwrap_or(text);
        let mut parts = text.split(':');
        let tenant = Tenant::parse(parts.next()?).ok()?;
        let group = GroupName::parse(parts.next()?, NameRule::Loose).ok()?;
        let key = parts.next().map(SecretKey::parse).transpose().ok()?;
        let version = parts.next().map(parse_version);
        if version == Some(None) || parts.next().is_some() {
            return None;
        }
        Some(Self { tenant, group, key, version: version.flatten() })
    }
}

/// The FQN of a group.
#[must_use]
pub fn group(tenant: &Tenant, group: &str) -> String {
    format!("{tenant}:{group}")
}

/// The FQN of a secret.
#[must_use]
pub fn secret(tenant: &Tenant, group: &str, key: &str) -> String {
    format!("{tenant}:{group}:{key}")
}

/// The FQN of a secret's version.
#[must_use]
pub fn version(tenant: &Tenant, group: &str, key: &str, version: i64) -> String {
    format!("{tenant}:{group}:{key}:{version}")
}

/// Versions count from 1 and have one spelling.
fn parse_version(text: &str) -> Option<i64> {
    let version: i64 = text.parse().ok()?;
    (version >= 1 && version.to_string() == text).then_some(version)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_forms_are_one_name() {
        let plain = SecretFqn::parse("acme:prod:DB_PASSWORD").unwrap();
        assert_eq!(SecretFqn::parse("tfy-secret://acme:prod:DB_PASSWORD"), Some(plain.clone()));
        assert_eq!(plain.version, None);
        assert_eq!(SecretFqn::parse("acme:prod").unwrap().key, None);
        assert_eq!(SecretFqn::parse("acme:prod:K:3").unwrap().version, Some(3));
    }

    #[test]
    fn what_cannot_exist_does_not_parse() {
        for bad in [
            "",
            ":",
            "acme",
            "acme:",
            ":prod",
            "acme:prod:",
            "acme:prod:K:",
            "acme:prod:K:0",
            "acme:prod:K:01",
            "acme:prod:K:-1",
            "acme:prod:K:+1",
            "acme:prod:K:1:2",
            "acme:prod:..:1",
            "http://acme:prod:K",
            "tfy-secret://tfy-secret://acme:prod:K",
            "acme:prod:K:99999999999999999999",
        ] {
            assert_eq!(SecretFqn::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in ".*") {
            let _ = SecretFqn::parse(&text);
        }

        #[test]
        fn what_is_written_is_read(g in "[a-z][a-z0-9-]{0,20}[a-z0-9]", k in "[A-Za-z0-9_-][A-Za-z0-9._-]{0,20}", v in 1..i64::MAX) {
            let tenant = Tenant::parse("acme").unwrap();
            let read = SecretFqn::parse(&version(&tenant, &g, &k, v)).unwrap();
            let key = read.key.unwrap();
            prop_assert_eq!((read.group.as_str(), key.as_str(), read.version), (g.as_str(), k.as_str(), Some(v)));
        }
    }
}
