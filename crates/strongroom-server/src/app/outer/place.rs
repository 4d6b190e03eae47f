//! Where a secret's value is in an outer store, as it is kept beside its version.

use std::fmt;

use strongroom_domain::SecretId;
use strongroom_domain::names::Tenant;
use strongroom_stores::{Entry, StoreVersion};

/// The name under which a secret's entry was made. It stays when the group or the key gets another one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    group: String,
    key: String,
    /// Whether the plain name was taken, by a secret that still has its entry.
    beside: bool,
}

impl Place {
    pub(crate) fn new(group: &str, key: &str, beside: bool) -> Self {
        Self { group: group.to_owned(), key: key.to_owned(), beside }
    }

    /// The same beside itself.
    pub(crate) fn beside(&self) -> Self {
        Self { beside: true, ..self.clone() }
    }

    pub(crate) const fn is_beside(&self) -> bool {
        self.beside
    }

    /// As stores know it.
    pub(crate) fn entry<'a>(&'a self, tenant: &'a Tenant, secret_id: SecretId) -> Entry<'a> {
        Entry { tenant: tenant.as_str(), group: &self.group, key: &self.key, secret_id, beside: self.beside }
    }

    /// What no two entries have in common.
    pub(crate) fn name(&self, secret: SecretId) -> String {
        if self.beside { format!("{self}{secret}") } else { self.to_string() }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (text, beside) = text.strip_suffix('~').map_or((text, false), |plain| (plain, true));
        let (group, key) = text.split_once('/')?;
        (!group.is_empty() && !key.is_empty()).then(|| Self::new(group, key, beside))
    }
}

/// Neither a group's name nor a key has a `/`, `~` or `:`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, key, beside } = self;
        write!(f, "{group}/{key}{}", if *beside { "~" } else { "" })
    }
}

/// A place and what the store calls a version there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Spot {
    pub(crate) place: Place,
    pub(crate) version: StoreVersion,
}

impl Spot {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (place, version) = text.split_once(':')?;
        let place = Place::parse(place)?;
        (!version.is_empty()).then(|| Self { place, version: StoreVersion(version.to_owned()) })
    }
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.place, self.version.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn secret(number: u128) -> SecretId {
        SecretId::from(Uuid::from_u128(number))
    }

    proptest! {
        #[test]
        fn spots_read_back(
            group in "[A-Za-z0-9][A-Za-z0-9._-]{0,9}", key in "[A-Za-z0-9._-]{1,9}", beside: bool, version in "[!-~]{1,12}",
        ) {
            let spot = Spot { place: Place::new(&group, &key, beside), version: StoreVersion(version) };
            prop_assert_eq!(Spot::parse(&spot.to_string()), Some(spot));
        }

        #[test]
        fn no_two_secrets_have_one_name(
            one in ("[a-b.-]{1,3}", "[a-b.-]{1,3}", any::<bool>()), other in ("[a-b.-]{1,3}", "[a-b.-]{1,3}", any::<bool>()),
        ) {
            let name = |(group, key, beside): &(String, String, bool), id| Place::new(group, key, *beside).name(secret(id));
            let same = name(&one, 1) == name(&other, 2);
            // Plain names are told apart by the database; beside them stands an id.
            prop_assert_eq!(same, one == other && !one.2);
        }
    }

    #[test]
    fn what_is_no_spot_is_none() {
        for text in ["", "1", "g/k", "g:1", "/k:1", "g/:1", "g/k:", ":1"] {
            assert_eq!(Spot::parse(text), None, "{text:?}");
        }
    }
}
