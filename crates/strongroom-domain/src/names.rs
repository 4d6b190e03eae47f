//! Names and what they may look like. A value of these types has been checked.

use std::fmt;

/// Why a name was refused; the text says the rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(String);

macro_rules! name_types {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

name_types! {
    /// The tenant: `^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`.
    Tenant,
    /// A secret group's name, under the instance's [`NameRule`].
    GroupName,
    /// A secret's key: Kubernetes' rule for the keys of a Secret.
    SecretKey,
    /// A person's address, in lower case: the name by which manifests speak of users.
    Email,
    /// A virtual account's or token's name: `^[a-z][a-z0-9-]{1,34}[a-z0-9]$`.
    MachineName,
    /// A team's name: `^[a-z0-9][a-z0-9-]{0,61}[a-z0-9]$`.
    TeamName,
    /// A role binding's name: `^[a-z][a-z0-9-]{1,64}[a-z0-9]$`.
    BindingName,
    /// A custom role's name: `^[a-z][a-z0-9-]{1,61}[a-z0-9]$`, unlike any built-in role's.
    RoleName,
    /// The name of a provider account, an integration or an identity provider:
    /// `^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`.
    ProviderName,
}

/// Which group names an instance takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NameRule {
    /// `^[a-z][a-z0-9-]{0,48}[a-z0-9]$`
    #[default]
    Strict,
    /// `^[A-Za-z0-9][A-Za-z0-9._-]{0,126}$`, compared without case.
    Loose,
}

impl Tenant {
    /// Checks a tenant's name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if spelled(text, 1..=63, edge, |byte| edge(byte) || byte == b'-', edge) {
            Ok(Self(text.into()))
        } else {
            refuse("a tenant has 1 to 63 characters a-z, 0-9 and `-`, and neither begins nor ends with `-`")
        }
    }
}

impl GroupName {
    /// Checks a group's name under a rule.
    pub fn parse(text: &str, rule: NameRule) -> Result<Self, NameError> {
        let lower = |byte: u8| byte.is_ascii_lowercase();
        let lower_digit = |byte: u8| lower(byte) || byte.is_ascii_digit();
        let loose = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        match rule {
            NameRule::Strict if spelled(text, 2..=50, lower, |byte| lower_digit(byte) || byte == b'-', lower_digit) => {
                Ok(Self(text.into()))
            }
            NameRule::Strict => refuse(
                "a group name has 2 to 50 characters a-z, 0-9 and `-`, begins with a letter and does not end with `-`",
            ),
            NameRule::Loose if spelled(text, 1..=127, |byte| byte.is_ascii_alphanumeric(), loose, loose) => {
                Ok(Self(text.into()))
            }
            NameRule::Loose => refuse(
                "a group name has 1 to 127 characters A-Z, a-z, 0-9, `.`, `_` and `-`, and begins with a letter or digit",
            ),
        }
    }

    /// What two names have in common when they are the same name: the lower-case form.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl SecretKey {
    /// Checks a key.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if spelled(text, 1..=253, allowed, allowed, allowed) && text != "." && !text.starts_with("..") {
            Ok(Self(text.into()))
        } else {
            refuse(
                "a key has 1 to 253 characters A-Z, a-z, 0-9, `.`, `_` and `-`, is not `.` and does not begin with `..`",
            )
        }
    }
}

impl Email {
    /// Checks an address loosely (one `@` with something on both sides, no blanks, colons or control characters, at
    /// most 254 bytes) and folds it.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let parts: Vec<&str> = text.split('@').collect();
        let clean = text.chars().all(|c| !c.is_whitespace() && !c.is_control() && c != ':' && c != ',');
        if clean && text.len() <= 254 && parts.len() == 2 && parts.iter().all(|part| !part.is_empty()) {
            Ok(Self(Self::folded(text)))
        } else {
            refuse("an email address looks like `name@example.com`")
        }
    }

    /// What two addresses have in common when they are the same: A-Z in lower case, and nothing else. In Unicode the
    /// Kelvin sign is a K, so whoever has the one address would be taken for the other.
    #[must_use]
    pub fn folded(text: &str) -> String {
        text.to_ascii_lowercase()
    }
}

impl MachineName {
    /// Checks a virtual account's or token's name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let lower = |byte: u8| byte.is_ascii_lowercase();
        let lower_digit = |byte: u8| lower(byte) || byte.is_ascii_digit();
        if spelled(text, 3..=36, lower, |byte| lower_digit(byte) || byte == b'-', lower_digit) {
            Ok(Self(text.into()))
        } else {
            refuse("a name has 3 to 36 characters a-z, 0-9 and `-`, begins with a letter and does not end with `-`")
        }
    }
}

impl TeamName {
    /// The team that every person of the tenant is in.
    pub const EVERYONE: &str = "everyone";

    /// Checks a team's name. [`EVERYONE`](Self::EVERYONE) is one, though nobody may make it.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if spelled(text, 2..=63, edge, |byte| edge(byte) || byte == b'-', edge) {
            Ok(Self(text.into()))
        } else {
            refuse("a team's name has 2 to 63 characters a-z, 0-9 and `-`, and neither begins nor ends with `-`")
        }
    }

    /// Whether it is the built-in team, which can't be made, changed or deleted.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.0 == Self::EVERYONE
    }
}

impl BindingName {
    /// Checks a role binding's name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let lower = |byte: u8| byte.is_ascii_lowercase();
        let lower_digit = |byte: u8| lower(byte) || byte.is_ascii_digit();
        if spelled(text, 3..=66, lower, |byte| lower_digit(byte) || byte == b'-', lower_digit) {
            Ok(Self(text.into()))
        } else {
            refuse(
                "a role binding's name has 3 to 66 characters a-z, 0-9 and `-`, begins with a letter and does not end \
                 with `-`",
            )
        }
    }
}

impl RoleName {
    /// What built-in roles begin with: a custom role that looked like one would be mistaken for it.
    const RESERVED: [&str; 4] = ["secret-group-", "tenant-", "team-", "provider-"];

    /// Checks a custom role's name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let lower = |byte: u8| byte.is_ascii_lowercase();
        let lower_digit = |byte: u8| lower(byte) || byte.is_ascii_digit();
        if !spelled(text, 3..=63, lower, |byte| lower_digit(byte) || byte == b'-', lower_digit) {
            return refuse(
                "a role's name has 3 to 63 characters a-z, 0-9 and `-`, begins with a letter and does not end with `-`",
            );
        }
        if Self::RESERVED.iter().any(|prefix| text.starts_with(prefix)) {
            return refuse(
                "a role's name does not begin with `secret-group-`, `tenant-`, `team-` or `provider-`: those are \
                 built-in roles",
            );
        }
        Ok(Self(text.into()))
    }
}

impl ProviderName {
    /// Checks the name of a provider account, an integration or an identity provider.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if spelled(text, 1..=63, edge, |byte| edge(byte) || byte == b'-', edge) {
            Ok(Self(text.into()))
        } else {
            refuse("a provider's name has 1 to 63 characters a-z, 0-9 and `-`, and neither begins nor ends with `-`")
        }
    }
}

fn spelled(
    text: &str,
    lengths: std::ops::RangeInclusive<usize>,
    first: impl Fn(u8) -> bool,
    inner: impl Fn(u8) -> bool,
    last: impl Fn(u8) -> bool,
) -> bool {
    let bytes = text.as_bytes();
    lengths.contains(&bytes.len())
        && bytes.first().is_some_and(|byte| first(*byte))
        && bytes.last().is_some_and(|byte| last(*byte))
        && bytes.iter().all(|byte| inner(*byte))
}

fn refuse<T>(rule: &str) -> Result<T, NameError> {
    Err(NameError(rule.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strict(text: &str) -> bool {
        GroupName::parse(text, NameRule::Strict).is_ok()
    }

    #[test]
    fn strict_group_names_at_their_limits() {
        for good in ["ab", "a1", "prod-db", &"a".repeat(50)] {
            assert!(strict(good), "{good}");
        }
        for bad in ["", "a", "1a", "-a", "a-", "A1", "a_b", "a.b", "a b", "a:b", "a/b", "é1", "a\0", &"a".repeat(51)] {
            assert!(!strict(bad), "{bad:?}");
        }
    }

    #[test]
    fn loose_group_names_fold_case() {
        let name = GroupName::parse("Prod.DB_1", NameRule::Loose).unwrap();
        assert_eq!(name.folded(), "prod.db_1");
        assert!(GroupName::parse(&"a".repeat(127), NameRule::Loose).is_ok());
        for bad in ["", ".a", "_a", "a:b", &"a".repeat(128)] {
            assert!(GroupName::parse(bad, NameRule::Loose).is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_follow_kubernetes() {
        for good in ["A", "OPENAI_API_KEY", ".dockerconfigjson", "tls.crt", "a..b", "-", &"k".repeat(253)] {
            assert!(SecretKey::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "..a", "a/b", "a:b", "a b", "a%2fb", "a\0", "ключ", &"k".repeat(254)] {
            assert!(SecretKey::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn tenants_emails_and_machine_names() {
        assert!(Tenant::parse("a").is_ok() && Tenant::parse(&"a".repeat(63)).is_ok());
        assert!(["", "-a", "a-", "A", &"a".repeat(64)].iter().all(|bad| Tenant::parse(bad).is_err()));
        for (text, folded) in [
            ("Alice@Example.com", "alice@example.com"),
            ("\u{212a}ate@x.io", "\u{212a}ate@x.io"),
            ("\u{212b}SA@x.io", "\u{212b}sa@x.io"),
            ("\u{130}da@x.io", "\u{130}da@x.io"),
            ("ÖRS@x.io", "Örs@x.io"),
        ] {
            assert_eq!(Email::parse(text).unwrap().as_str(), folded);
        }
        assert!(["", "a", "@", "a@", "@b", "a@b@c", "a b@c", "user:a@b"].iter().all(|bad| Email::parse(bad).is_err()));
        assert!(MachineName::parse("ci-bot").is_ok());
        assert!(["ab", "1ab", "ab-", &"a".repeat(37)].iter().all(|bad| MachineName::parse(bad).is_err()));
    }

    #[test]
    fn teams_bindings_and_roles() {
        for good in ["ab", "1a", "everyone", "a--b", &"a".repeat(63)] {
            assert!(TeamName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "-a", "a-", "Ab", "a_b", "a:b", &"a".repeat(64)] {
            assert!(TeamName::parse(bad).is_err(), "{bad}");
        }
        assert!(TeamName::parse("everyone").unwrap().is_reserved() && !TeamName::parse("devs").unwrap().is_reserved());
        assert!(["abc", "sg-prod-viewer-a1b2", &"a".repeat(66)].iter().all(|good| BindingName::parse(good).is_ok()));
        assert!(["ab", "1ab", "ab-", "aBc", &"a".repeat(67)].iter().all(|bad| BindingName::parse(bad).is_err()));
        assert!(["auditor", "a1b", "teams-admin", &"a".repeat(63)].iter().all(|good| RoleName::parse(good).is_ok()));
        for bad in ["ab", "1ab", "ab-", "Abc", "secret-group-x", "tenant-admin", "team-member", "provider-account-x"] {
            assert!(RoleName::parse(bad).is_err(), "{bad}");
        }
        assert!(RoleName::parse(&"a".repeat(64)).is_err());
        assert!(["a", "db", "aws-1", &"a".repeat(63)].iter().all(|good| ProviderName::parse(good).is_ok()));
        assert!(["", "-a", "a-", "A", "a:b", &"a".repeat(64)].iter().all(|bad| ProviderName::parse(bad).is_err()));
    }
}
