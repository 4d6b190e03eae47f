//! The suite that every store passes, the embedded and the in-memory one included.
//!
//! What a store doesn't offer by its description is skipped, and [`run`] returns the names of what it skipped, so that
//! a test can show them and a store can't pass by claiming nothing.

use strongroom_crypto::{Binding, DataKey};
use strongroom_domain::{SecretId, SecretValue};
use uuid::Uuid;

use crate::{
    Condition, Entry, KeptVersions, Pinned, Placed, Placement, Put, Removal, Seal, SecretStore, StoreErrorKind,
    StoreVersion,
};

/// Runs every check; panics at the first that fails. `round` tells apart runs against one store that keeps its entries.
pub async fn run(store: &dyn SecretStore, round: u128) -> Vec<&'static str> {
    let bench = Bench { store, key: DataKey::make(), round };
    let mut skipped = Vec::new();
    bench.what_was_put_is_got().await;
    bench.odd_values_survive().await;
    bench.versions_stay_apart().await;
    bench.neighbours_stay_apart().await;
    bench.a_missing_version_is_not_found().await;
    bench.values_at_the_limit().await;
    bench.removing_twice_is_success().await;
    bench.one_beside_another_lives_with_it().await;
    store.probe().await.expect("a healthy store answers a probe");
    store.answers().await.expect("a healthy store answers");
    let can = store.description();
    macro_rules! optional {
        ($able:expr, $check:ident) => {
            if $able { bench.$check().await } else { skipped.push(stringify!($check)) }
        };
    }
    optional!(can.placement == Placement::Inline, a_row_opens_only_where_it_belongs);
    optional!(can.enumerates, the_latest_is_the_last_put);
    optional!(can.enumerates, listing_pages_through_everything);
    optional!(can.conditional_put, conditions_are_kept);
    optional!(can.marks && can.enumerates, marks_come_back);
    optional!(can.marks, a_marked_put_is_found);
    optional!(can.staging && can.enumerates, staged_versions_are_unseen_until_promoted);
    optional!(can.removes_versions, one_version_can_be_removed);
    optional!(can.removes_versions && can.enumerates, an_entry_without_its_newest_takes_another);
    optional!(can.enumerates, a_removed_name_can_be_used_again);
    skipped
}

struct Bench<'a> {
    store: &'a dyn SecretStore,
    key: DataKey,
    round: u128,
}

impl Bench<'_> {
    fn entry<'a>(&self, group: &'a str, key: &'a str) -> Entry<'a> {
        let id = Uuid::from_u128(self.round << 64 | (group.len() as u128) << 32 | u128::from(key.as_bytes()[0]));
        Entry { tenant: "acme", group, key, secret_id: SecretId::from(id), beside: false }
    }

    /// Another secret of the same name.
    fn beside(entry: Entry<'_>) -> Entry<'_> {
        let id = Uuid::from_u128(!Uuid::from_bytes(*entry.secret_id.as_bytes()).as_u128());
        Entry { secret_id: SecretId::from(id), beside: true, ..entry }
    }

    fn binding(entry: &Entry<'_>, version: i64) -> Binding {
        Binding::new("conformance").field(entry.secret_id.as_bytes()).number(version.unsigned_abs())
    }

    async fn put(&self, entry: Entry<'_>, version: i64, value: &str) -> Placed {
        self.put_if(entry, version, value, Condition::Always).await.expect("a put")
    }

    async fn put_if(
        &self,
        entry: Entry<'_>,
        version: i64,
        value: &str,
        condition: Condition<'_>,
    ) -> Result<Placed, StoreErrorKind> {
        self.put_full(entry, version, value, condition, None, false).await
    }

    async fn put_full(
        &self,
        entry: Entry<'_>,
        version: i64,
        value: &str,
        condition: Condition<'_>,
        mark: Option<&str>,
        staged: bool,
    ) -> Result<Placed, StoreErrorKind> {
        let binding = Self::binding(&entry, version);
        let value = SecretValue::new(value.to_owned());
        let seal = Seal { key: &self.key, binding: &binding };
        let placed = self.store.put(Put { entry, value: &value, version, seal, condition, mark, staged }).await;
        if let Ok(placed) = &placed {
            let inline = self.store.description().placement == Placement::Inline;
            assert_eq!(placed.sealed.is_some(), inline, "an inline store yields rows, an outer one none");
        }
        placed.map_err(|error| error.kind)
    }

    async fn get(&self, entry: Entry<'_>, version: i64, placed: &Placed) -> Result<String, StoreErrorKind> {
        let binding = Self::binding(&entry, version);
        let seal = Seal { key: &self.key, binding: &binding };
        self.store
            .get(Pinned { entry, version: &placed.version, sealed: placed.sealed.as_deref(), seal })
            .await
            .map(|value| value.expose().to_owned())
            .map_err(|error| error.kind)
    }

    async fn latest(&self, entry: Entry<'_>) -> Option<String> {
        self.store.latest(&entry).await.expect("latest").map(|latest| latest.value.expose().to_owned())
    }

    async fn what_was_put_is_got(&self) {
        let entry = self.entry("round-trip", "KEY");
        let placed = self.put(entry, 1, "hunter2").await;
        assert_eq!(self.get(entry, 1, &placed).await.as_deref(), Ok("hunter2"));
    }

    async fn odd_values_survive(&self) {
        for (value, key) in
            ["", "a\0b", "line\nline\r\n", "🦀 ключ", " blank ", "{\"json\":1}", "%2f../"].iter().zip('a'..)
        {
            let key = key.to_string();
            let entry = self.entry("odd-values", &key);
            let placed = self.put(entry, 1, value).await;
            assert_eq!(self.get(entry, 1, &placed).await.as_deref(), Ok(*value));
        }
    }

    async fn versions_stay_apart(&self) {
        let entry = self.entry("versions", "KEY");
        let mut placed = Vec::new();
        let kept = match self.store.description().kept_versions {
            KeptVersions::All => 5,
            KeptVersions::Newest(count) => i64::try_from(count.min(5)).expect("a small number"),
        };
        for version in 1..=kept {
            placed.push(self.put(entry, version, &format!("value {version}")).await);
        }
        for (version, placed) in (1..).zip(&placed) {
            assert_eq!(self.get(entry, version, placed).await, Ok(format!("value {version}")));
        }
    }

    async fn neighbours_stay_apart(&self) {
        // Names that are one name once flattened with `-`.
        let (left, right) = (self.entry("pay", "prod-key"), self.entry("pay-prod", "key"));
        let placed = (self.put(left, 1, "left").await, self.put(right, 1, "right").await);
        assert_eq!(self.get(left, 1, &placed.0).await.as_deref(), Ok("left"));
        assert_eq!(self.get(right, 1, &placed.1).await.as_deref(), Ok("right"));
    }

    async fn a_missing_version_is_not_found(&self) {
        let entry = self.entry("missing", "KEY");
        let nowhere = Placed { version: StoreVersion("4711".into()), sealed: None };
        assert_eq!(self.get(entry, 1, &nowhere).await, Err(StoreErrorKind::NotFound));
    }

    async fn values_at_the_limit(&self) {
        let limit = self.store.description().max_value_bytes;
        let entry = self.entry("limits", "KEY");
        let placed = self.put(entry, 1, &"x".repeat(limit)).await;
        assert_eq!(self.get(entry, 1, &placed).await.map(|value| value.len()), Ok(limit));
        let refused = self.put_if(entry, 2, &"x".repeat(limit + 1), Condition::Always).await;
        assert_eq!(refused.map(|_| ()), Err(StoreErrorKind::Refused));
    }

    async fn removing_twice_is_success(&self) {
        let entry = self.entry("removal", "KEY");
        self.put(entry, 1, "x").await;
        for _ in 0..2 {
            self.store.remove(&entry, Removal::Entry).await.expect("a removal");
        }
    }

    async fn a_row_opens_only_where_it_belongs(&self) {
        let (entry, other) = (self.entry("rows", "KEY"), self.entry("rows", "OTHER"));
        let first = self.put(entry, 1, "first").await;
        let second = self.put(entry, 2, "second").await;
        let elsewhere = self.put(other, 3, "elsewhere").await;
        let swapped = Placed { version: first.version.clone(), sealed: second.sealed.clone() };
        assert_eq!(self.get(entry, 1, &swapped).await, Err(StoreErrorKind::Integrity), "another version's row");
        let moved = Placed { version: second.version, sealed: elsewhere.sealed };
        let moved = self.get(entry, 2, &moved).await;
        assert!(moved.as_deref() != Ok("elsewhere"), "another secret's row");
        let mut flipped = first;
        if let Some(byte) = flipped.sealed.as_mut().and_then(|row| row.last_mut()) {
            *byte ^= 1;
        }
        assert_eq!(self.get(entry, 1, &flipped).await, Err(StoreErrorKind::Integrity), "a flipped bit");
    }

    async fn the_latest_is_the_last_put(&self) {
        let entry = self.entry("latest", "KEY");
        assert_eq!(self.latest(entry).await, None);
        self.put(entry, 1, "one").await;
        self.put(entry, 2, "two").await;
        assert_eq!(self.latest(entry).await.as_deref(), Some("two"));
    }

    async fn listing_pages_through_everything(&self) {
        for key in ["A", "B", "C"] {
            self.put(self.entry("listing", key), 1, "x").await;
        }
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.store.list("tfy-secret/acme/listing/", &after, 2).await.expect("a list");
            let Some(last) = page.last() else { break };
            after.clone_from(last);
            all.extend(page);
        }
        assert_eq!(all.len(), 3, "{all:?}");
    }

    async fn conditions_are_kept(&self) {
        let entry = self.entry("conditions", "KEY");
        let first = self.put_if(entry, 1, "one", Condition::Absent).await.expect("a first put");
        assert_eq!(self.put_if(entry, 1, "x", Condition::Absent).await.map(|_| ()), Err(StoreErrorKind::AlreadyExists));
        self.put_if(entry, 2, "two", Condition::LatestIs(&first.version)).await.expect("the condition holds");
        let stale = self.put_if(entry, 3, "x", Condition::LatestIs(&first.version)).await;
        assert_eq!(stale.map(|_| ()), Err(StoreErrorKind::Precondition));
    }

    async fn marks_come_back(&self) {
        let entry = self.entry("marks", "KEY");
        self.put_full(entry, 1, "x", Condition::Always, Some("operation-7"), false).await.expect("a marked put");
        let latest = self.store.latest(&entry).await.expect("latest").expect("an entry");
        assert_eq!(latest.mark.as_deref(), Some("operation-7"));
    }

    async fn staged_versions_are_unseen_until_promoted(&self) {
        let entry = self.entry("staging", "KEY");
        self.put(entry, 1, "old").await;
        let staged = self.put_full(entry, 2, "new", Condition::Always, None, true).await.expect("a staged put");
        assert_eq!(self.latest(entry).await.as_deref(), Some("old"));
        assert_eq!(self.get(entry, 2, &staged).await.as_deref(), Ok("new"));
        self.store.promote(&entry, &staged.version).await.expect("a promotion");
        assert_eq!(self.latest(entry).await.as_deref(), Some("new"));
    }

    async fn one_version_can_be_removed(&self) {
        let entry = self.entry("one-version", "KEY");
        let (first, second) = (self.put(entry, 1, "one").await, self.put(entry, 2, "two").await);
        self.store.remove(&entry, Removal::Version(&first.version)).await.expect("a removal");
        assert_eq!(self.get(entry, 1, &first).await, Err(StoreErrorKind::NotFound));
        assert_eq!(self.get(entry, 2, &second).await.as_deref(), Ok("two"));
    }

    async fn an_entry_without_its_newest_takes_another(&self) {
        let entry = self.entry("no-newest", "KEY");
        let (first, second) = (self.put(entry, 1, "one").await, self.put(entry, 2, "two").await);
        self.store.remove(&entry, Removal::Version(&second.version)).await.expect("a removal");
        assert_ne!(self.latest(entry).await.as_deref(), Some("two"));
        if self.store.description().conditional_put {
            let taken = self.put_if(entry, 3, "x", Condition::Absent).await;
            assert_eq!(taken.map(|_| ()), Err(StoreErrorKind::AlreadyExists), "the entry is there all the same");
        }
        let third = self.put(entry, 3, "three").await;
        assert_eq!(self.latest(entry).await.as_deref(), Some("three"));
        assert_eq!(self.get(entry, 1, &first).await.as_deref(), Ok("one"));
        assert_eq!(self.get(entry, 3, &third).await.as_deref(), Ok("three"));
    }

    async fn one_beside_another_lives_with_it(&self) {
        let first = self.entry("beside", "KEY");
        let second = Self::beside(first);
        let (one, two) = (self.put(first, 1, "first").await, self.put_if(second, 1, "second", Condition::Absent).await);
        let two = two.expect("a put beside another");
        assert_eq!(self.get(first, 1, &one).await.as_deref(), Ok("first"));
        assert_eq!(self.get(second, 1, &two).await.as_deref(), Ok("second"));
        let enumerates = self.store.description().enumerates;
        if enumerates {
            assert_eq!(self.latest(first).await.as_deref(), Some("first"));
            assert_eq!(self.latest(second).await.as_deref(), Some("second"));
        }
        self.put(second, 2, "newer").await;
        self.store.remove(&first, Removal::Entry).await.expect("a removal");
        if enumerates {
            assert_eq!(self.latest(first).await, None);
            assert_eq!(self.latest(second).await.as_deref(), Some("newer"), "the other's end leaves it alone");
        }
        self.store.remove(&second, Removal::Entry).await.expect("a removal");
    }

    async fn find(&self, entry: Entry<'_>, mark: &str, version: i64) -> Option<StoreVersion> {
        self.store.find(&entry, mark, version).await.expect("a search")
    }

    async fn a_marked_put_is_found(&self) {
        let entry = self.entry("finding", "KEY");
        assert_eq!(self.find(entry, "operation-1", 1).await, None, "nothing is there");
        let put = async |version, mark, staged| {
            let value = format!("value {version}");
            self.put_full(entry, version, &value, Condition::Always, Some(mark), staged).await.expect("a marked put")
        };
        let one = put(1, "operation-1", false).await;
        assert_eq!(self.find(entry, "operation-1", 1).await.as_ref(), Some(&one.version));
        assert_eq!(self.find(entry, "operation-1", 2).await, None, "another number");
        assert_eq!(self.find(entry, "operation-2", 1).await, None, "another mark");
        let two = put(2, "operation-2", false).await;
        // An operation that puts the old value again puts a second version.
        let three = put(3, "operation-2", false).await;
        self.put(entry, 4, "without a mark").await;
        for (mark, number, placed) in [("operation-1", 1, &one), ("operation-2", 2, &two), ("operation-2", 3, &three)] {
            assert_eq!(self.find(entry, mark, number).await.as_ref(), Some(&placed.version), "after other puts");
        }
        assert_eq!(self.find(self.entry("finding", "OTHER"), "operation-1", 1).await, None, "another entry");
        if self.store.description().staging {
            let staged = put(5, "operation-5", true).await;
            assert_eq!(self.find(entry, "operation-5", 5).await.as_ref(), Some(&staged.version), "unseen");
            assert_eq!(self.get(entry, 5, &staged).await.as_deref(), Ok("value 5"));
        }
        self.store.remove(&entry, Removal::Entry).await.expect("a removal");
        assert_eq!(self.find(entry, "operation-1", 1).await, None, "it is gone with its entry");
    }

    async fn a_removed_name_can_be_used_again(&self) {
        let entry = self.entry("reuse", "KEY");
        self.put(entry, 1, "old").await;
        self.store.remove(&entry, Removal::Entry).await.expect("a removal");
        assert_eq!(self.latest(entry).await, None);
        // Where the name stays taken, by another secret beside it.
        let entry = if self.store.description().soft_delete { Self::beside(entry) } else { entry };
        let again = self.put_if(entry, 1, "new", Condition::Absent).await.expect("a put under the name");
        assert_eq!(self.get(entry, 1, &again).await.as_deref(), Ok("new"));
        assert_eq!(self.latest(entry).await.as_deref(), Some("new"));
    }
}
