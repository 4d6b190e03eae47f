use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use uuid::Uuid;

use crate::{Clock, Entropy, Timestamp};

macro_rules! id_types {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Reads the canonical form only (lower-case, hyphenated): one id has one spelling.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                canonical(text).map(Self)
            }

            /// The sixteen bytes, as they are bound into sealed values.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'_, str> as serde::Deserialize>::deserialize(from)?;
                Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an id in its canonical form"))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

id_types! {
    /// A secret group.
    GroupId,
    /// One secret of a group; a key deleted and created again is another secret.
    SecretId,
    /// One version of a secret.
    VersionId,
    /// A provider integration: a secret store that groups can be kept in.
    IntegrationId,
    /// A provider account, or the tenant's own account.
    AccountId,
    /// A person.
    UserId,
    /// A virtual account: a machine.
    VirtualAccountId,
    /// An issued token (never the token itself).
    TokenId,
    /// An audit event.
    EventId,
    /// A team.
    TeamId,
    /// A role binding.
    RoleBindingId,
    /// A custom role.
    RoleId,
    /// An agent's identity.
    AgentIdentityId,
    /// An identity provider, whose tokens machines or people may show.
    IdentityProviderId,
    /// A key that signs tokens.
    SigningKeyId,
    /// A write over two systems.
    OperationId,
}

/// Makes new ids: `UUIDv7`, so that ids sort by the time they were made.
#[derive(Clone)]
pub struct Ids {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// Goes up with each id, so that those of one millisecond sort by the order in which they were made.
    made: Arc<AtomicU32>,
}

impl Ids {
    /// From a clock and a source of randomness.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let mut first = [0; 4];
        entropy.fill(&mut first);
        Self { clock, entropy, made: Arc::new(AtomicU32::new(u32::from_be_bytes(first))) }
    }

    /// A new id of the asked type, at the clock's present.
    #[must_use]
    pub fn next<T: From<Uuid>>(&self) -> T {
        self.at(self.clock.now())
    }

    /// A new id that sorts as made at `at`.
    #[must_use]
    pub fn at<T: From<Uuid>>(&self, at: Timestamp) -> T {
        let mut random = [0; 10];
        self.entropy.fill(&mut random);
        // The 26 bits after the time, around the version and the variant (RFC 9562, 6.2, method 1); 48 stay random.
        let count = self.made.fetch_add(1, Ordering::Relaxed);
        let (high, low) = (count >> 14, count & 0x3fff);
        random[..4].copy_from_slice(&(high << 16 | low).to_be_bytes());
        let millis = u64::try_from(at.micros() / 1_000).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().into()
    }
}

fn canonical(text: &str) -> Option<Uuid> {
    let id = Uuid::try_parse(text).ok()?;
    let mut buffer = Uuid::encode_buffer();
    (id.hyphenated().encode_lower(&mut buffer) == text).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Zeroes;
    impl Entropy for Zeroes {
        fn fill(&self, out: &mut [u8]) {
            out.fill(0);
        }
    }
    struct Fixed;
    impl Clock for Fixed {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(1_000_000)
        }
    }

    #[test]
    fn one_spelling_only() {
        let id = "0192f0c1-2b3c-7d4e-8f50-112233445566";
        assert_eq!(GroupId::parse(id).map(|id| id.to_string()).as_deref(), Some(id));
        for other in [id.to_uppercase(), id.replace('-', ""), format!("{{{id}}}"), format!("urn:uuid:{id}")] {
            assert_eq!(GroupId::parse(&other), None, "{other}");
        }
    }

    #[test]
    fn ids_sort_by_time() {
        let ids = Ids::new(Arc::new(Fixed), Arc::new(Zeroes));
        let early: GroupId = ids.next();
        let late: GroupId = ids.at(Timestamp::from_micros(2_000_000));
        assert!(early < late);
        assert_eq!(early.to_string(), "00000000-03e8-7000-8000-000000000000");
    }

    #[test]
    fn ids_of_one_millisecond_sort_by_the_order_in_which_they_were_made() {
        let ids = Ids::new(Arc::new(Fixed), Arc::new(Zeroes));
        let made: Vec<GroupId> = (0..50_000).map(|_| ids.next()).collect();
        assert!(made.is_sorted_by(|a, b| a < b));
        assert_eq!(made[49_999].to_string(), "00000000-03e8-7003-834f-000000000000");
    }
}
