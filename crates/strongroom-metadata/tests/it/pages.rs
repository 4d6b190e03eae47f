//! Lists in pages: each thing once and in order, whatever the pages' size and whoever writes meanwhile.

use proptest::prelude::*;
use proptest::sample::Index;
use strongroom_domain::role::GroupRole;
use strongroom_domain::{GroupId, SecretId};
use strongroom_metadata::{GroupFilter, KeyState, NewSecret, Page};

use crate::world::{NOW, World, admin, id, lifetime, member, version};

const BOB: &str = "user:bob@x.io";

/// A list of ids, newest first.
#[derive(Debug, Clone, Copy)]
enum List {
    Groups,
    Secrets,
    /// Those of the group made first.
    SecretsOfFirst,
}

const LISTS: [List; 3] = [List::Groups, List::Secrets, List::SecretsOfFirst];

/// What happens between two pages.
#[derive(Debug, Clone, Copy)]
enum Happening {
    NewGroup { keys: usize, shared: bool },
    DropGroup(Index),
    NewSecret(Index),
    DropSecret(Index),
}

/// A group as the test remembers it.
struct Known {
    id: GroupId,
    name: String,
    revision: i64,
    shared: bool,
    lives: bool,
    secrets: Vec<(SecretId, String, bool)>,
}

struct Shelf {
    world: World,
    groups: Vec<Known>,
}

impl Shelf {
    async fn new(groups: &[(usize, bool)]) -> Self {
        let mut shelf = Self { world: World::started().await, groups: Vec::new() };
        for &(keys, shared) in groups {
            shelf.happens(Happening::NewGroup { keys, shared }).await;
        }
        shelf
    }

    async fn happens(&mut self, happening: Happening) {
        let groups: Vec<_> = (0..self.groups.len()).filter(|at| self.groups[*at].lives).collect();
        let secrets = groups.iter().flat_map(|at| {
            let living = self.groups[*at].secrets.iter().enumerate().filter(|(_, secret)| secret.2);
            living.map(|(secret, _)| (*at, secret))
        });
        let secrets: Vec<_> = secrets.collect();
        let trash = Some((NOW, NOW.plus_days(30)));
        match happening {
            Happening::NewGroup { keys, shared } => {
                let name = format!("g{}", self.groups.len());
                let keys: Vec<_> = (0..keys).map(|key| format!("K{key}")).collect();
                let keys: Vec<_> = keys.iter().map(String::as_str).collect();
                let grants: &[_] = if shared { &[(BOB, GroupRole::Viewer)] } else { &[] };
                let new = self.world.create(&name, &keys, grants).await;
                let secrets = new.secrets.iter().map(|secret| (secret.id, secret.key.clone(), true)).collect();
                self.groups.push(Known { id: new.id, name, revision: 1, shared, lives: true, secrets });
            }
            Happening::DropGroup(at) if !groups.is_empty() => {
                let known = &mut self.groups[*at.get(&groups)];
                let mut change = self.world.change(known.id, &known.name, known.revision);
                change.group.deleted = trash;
                change.all_ended = Some(known.secrets.iter().filter(|secret| secret.2).count() as u64);
                self.world.metadata.change_group(&change).await.unwrap();
                known.lives = false;
            }
            Happening::NewSecret(at) if !groups.is_empty() => {
                let known = &mut self.groups[*at.get(&groups)];
                let (secret, key) = (id(), format!("K{}", known.secrets.len()));
                let mut change = self.world.change(known.id, &known.name, known.revision);
                change.secrets = vec![NewSecret { id: secret, key: key.clone() }];
                change.versions = vec![version(secret, &key, 1)];
                change.began = vec![lifetime(secret, &key, 1)];
                self.world.metadata.change_group(&change).await.unwrap();
                known.revision += 1;
                known.secrets.push((secret, key, true));
            }
            Happening::DropSecret(at) if !secrets.is_empty() => {
                let (group, at) = *at.get(&secrets);
                let known = &mut self.groups[group];
                let (id, key, lives) = &mut known.secrets[at];
                let mut change = self.world.change(known.id, &known.name, known.revision);
                let (id, key) = (*id, key.clone());
                change.states = vec![KeyState { id, expected_version: 1, version: 1, key, deleted: trash }];
                change.ended = vec![id];
                self.world.metadata.change_group(&change).await.unwrap();
                known.revision += 1;
                *lives = false;
            }
            // Nothing is there to be dropped.
            _ => {}
        }
    }

    /// What the list is at this moment.
    fn expected(&self, list: List, all: bool) -> Vec<String> {
        let visible = self.groups.iter().filter(|known| known.lives && (all || known.shared));
        let mut ids: Vec<_> = match list {
            List::Groups => visible.map(|known| known.id.to_string()).collect(),
            List::Secrets | List::SecretsOfFirst => visible
                .filter(|known| matches!(list, List::Secrets) || known.id == self.groups[0].id)
                .flat_map(|known| known.secrets.iter().filter(|secret| secret.2))
                .map(|secret| secret.0.to_string())
                .collect(),
        };
        ids.sort_unstable_by(|a, b| b.cmp(a));
        ids
    }

    async fn page(
        &self,
        list: List,
        all: bool,
        before: Option<&String>,
        offset: i64,
        limit: i64,
    ) -> (Vec<String>, i64) {
        let looks = if all { admin() } else { member(BOB) };
        let metadata = &self.world.metadata;
        if matches!(list, List::Groups) {
            let page = Page { before: before.map(|id| GroupId::parse(id).unwrap()), offset, limit };
            let (groups, total) = metadata.group_page(looks, GroupFilter::default(), page).await.unwrap();
            for state in &groups {
                let known = self.groups.iter().find(|known| known.id == state.group.id).unwrap();
                let keys: Vec<_> = known.secrets.iter().filter(|secret| secret.2).map(|secret| secret.0).collect();
                assert_eq!(state.secrets.iter().map(|secret| secret.id).collect::<Vec<_>>(), keys, "whole groups only");
            }
            (groups.iter().map(|state| state.group.id.to_string()).collect(), total)
        } else {
            let page = Page { before: before.map(|id| SecretId::parse(id).unwrap()), offset, limit };
            let group = matches!(list, List::SecretsOfFirst).then(|| self.groups[0].id);
            // With values and without are different statements.
            let (plain, total) = metadata.secret_page(looks.clone(), group, page, None).await.unwrap();
            let (sealed, same) = metadata.secret_page(looks, group, page, Some(usize::MAX)).await.unwrap();
            let ids = |rows: Vec<strongroom_metadata::SecretRow>| rows.into_iter().map(|row| row.id.to_string());
            let (plain, sealed): (Vec<_>, Vec<_>) = (ids(plain).collect(), ids(sealed).collect());
            assert_eq!((&plain, total), (&sealed, same));
            (plain, total)
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn happening() -> impl Strategy<Value = Happening> {
    let index = any::<Index>;
    prop_oneof![
        (0..4_usize, any::<bool>()).prop_map(|(keys, shared)| Happening::NewGroup { keys, shared }),
        index().prop_map(Happening::DropGroup),
        index().prop_map(Happening::NewSecret),
        index().prop_map(Happening::DropSecret),
    ]
}

fn groups() -> impl Strategy<Value = Vec<(usize, bool)>> {
    proptest::collection::vec((0..5_usize, any::<bool>()), 1..7)
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(16))]

    #[test]
    fn pages_put_together_are_the_list(groups in groups(), drops in proptest::collection::vec(happening(), 0..4)) {
        runtime().block_on(async {
            let mut shelf = Shelf::new(&groups).await;
            for happening in drops {
                shelf.happens(happening).await;
            }
            for (list, all) in LISTS.into_iter().flat_map(|list| [(list, true), (list, false)]) {
                let whole = shelf.expected(list, all);
                let total = i64::try_from(whole.len()).unwrap();
                for limit in [1, 2, 3, 1_000, i64::MAX] {
                    let (mut by_key, mut by_offset) = (Vec::new(), Vec::new());
                    loop {
                        let (page, count) = shelf.page(list, all, by_key.last(), 0, limit).await;
                        assert_eq!(count, total, "the total is of the whole list");
                        let offset = i64::try_from(by_offset.len()).unwrap();
                        let (other, count) = shelf.page(list, all, None, offset, limit).await;
                        assert_eq!((&other, count), (&page, total));
                        if page.is_empty() {
                            break;
                        }
                        by_key.extend(page);
                        by_offset.extend(other);
                        assert!(by_key.len() <= whole.len(), "something comes again: {by_key:?}");
                    }
                    assert_eq!(by_key, whole, "{list:?} {limit}");
                }
                for offset in [total, total + 1, i64::MAX] {
                    for limit in [0, 1, i64::MAX] {
                        assert_eq!(shelf.page(list, all, None, offset, limit).await, (vec![], total));
                    }
                }
                assert_eq!(shelf.page(list, all, None, 0, 0).await, (vec![], total));
            }
        });
    }

    #[test]
    fn who_pages_by_key_misses_and_repeats_nothing_that_stays(
        groups in groups(),
        happenings in proptest::collection::vec(proptest::collection::vec(happening(), 0..3), 1..8),
        list in prop::sample::select(LISTS.to_vec()),
        all: bool,
        limit in 1..4_i64,
    ) {
        runtime().block_on(async {
            let mut shelf = Shelf::new(&groups).await;
            let begin = shelf.expected(list, all);
            let mut seen: Vec<String> = Vec::new();
            let mut happenings = happenings.into_iter();
            loop {
                let now = shelf.expected(list, all);
                let (page, total) = shelf.page(list, all, seen.last(), 0, limit).await;
                let rest = now.iter().filter(|id| seen.last().is_none_or(|last| *id < last));
                assert_eq!(page, rest.take(usize::try_from(limit).unwrap()).cloned().collect::<Vec<_>>());
                assert_eq!(usize::try_from(total).unwrap(), now.len());
                if page.is_empty() {
                    break;
                }
                seen.extend(page);
                assert!(seen.is_sorted_by(|a, b| a > b), "each once, newest first: {seen:?}");
                for happening in happenings.next().unwrap_or_default() {
                    shelf.happens(happening).await;
                }
            }
            let stayed = shelf.expected(list, all).into_iter().filter(|id| begin.contains(id));
            for id in stayed {
                assert!(seen.contains(&id), "{id} was there all the time");
            }
        });
    }
}

#[tokio::test]
async fn a_page_of_groups_ends_with_the_group_that_fills_it() {
    let shelf = Shelf::new(&[(1, false), (0, true), (0, true), (0, false)]).await;
    // Newest first: 0 secrets, 19,999, 2 and 1.
    let behind = shelf.world.behind();
    for (at, count) in [(2, 19_999), (1, 2)] {
        let rows = format!(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count}), \
             i (n, id) AS (SELECT n, '0192f0c1-2b3c-7d4e-8f5{at}-0000000' || (10000 + n) FROM n)"
        );
        let byte = if shelf.world.postgres.is_some() { r"'\x00'" } else { "x'00'" };
        let actor = r#"{"id":"i","type":"user","slug":"s"}"#;
        let group = shelf.groups[at].id;
        behind.run(&format!(
            "BEGIN; {rows} INSERT INTO secrets SELECT id, '{group}', 'K' || n, 'k' || n, 1, '{actor}', 1, 1, NULL, NULL FROM i; \
             {rows} INSERT INTO secret_versions SELECT id, 1, id, {byte}, '1', NULL, '{actor}', 1, NULL FROM i; COMMIT"
        ));
    }
    let mut pages = Vec::new();
    let mut before: Option<GroupId> = None;
    loop {
        let page = Page { before, offset: 0, limit: 1_000 };
        let (states, total) = shelf.world.metadata.group_page(admin(), GroupFilter::default(), page).await.unwrap();
        assert_eq!(total, 4);
        let Some(last) = states.last() else { break };
        before = Some(last.group.id);
        assert!(pages.len() < 4);
        pages.push(states.iter().map(|state| state.secrets.len()).collect::<Vec<_>>());
    }
    // 19,999 secrets leave room for the next group, whole.
    assert_eq!(pages, [vec![0, 19_999, 2], vec![1]]);
}

#[tokio::test]
async fn versions_and_revisions_in_pages() {
    let world = World::started().await;
    let new = world.create("g", &["A", "B"], &[]).await;
    let [a, b] = [0, 1].map(|at| new.secrets[at].id);
    for number in 2..=9 {
        let mut change = world.change(new.id, "g", number - 1);
        change.states =
            vec![KeyState { id: a, expected_version: number - 1, version: number, key: "A".into(), deleted: None }];
        change.versions = vec![version(a, "A", number)];
        change.ended = vec![a];
        change.began = vec![lifetime(a, "A", number)];
        world.metadata.change_group(&change).await.unwrap();
    }
    let (whole, total) = world.metadata.secret_versions(a, 0, i64::MAX).await.unwrap();
    assert_eq!(whole.iter().map(|version| version.version).collect::<Vec<_>>(), (1..=9).rev().collect::<Vec<_>>());
    assert_eq!(total, 9);
    for limit in [1, 2, 4, 9, 10] {
        let (mut versions, mut revisions) = (Vec::new(), Vec::new());
        loop {
            let offset = i64::try_from(versions.len()).unwrap();
            let (page, total) = world.metadata.secret_versions(a, offset, limit).await.unwrap();
            assert_eq!(total, 9, "at {offset}");
            if page.is_empty() {
                break;
            }
            versions.extend(page);
            assert!(versions.len() <= 9);
        }
        assert_eq!(versions, whole);
        loop {
            let after = i64::try_from(revisions.len()).unwrap();
            let page = world.metadata.revisions(new.id, after, limit).await.unwrap();
            if page.is_empty() {
                break;
            }
            revisions.extend(page.into_iter().map(|row| row.revision));
            assert!(revisions.len() <= 9);
        }
        assert_eq!(revisions, (1..=9).collect::<Vec<_>>());
    }
    for (offset, limit) in [(9, 5), (10, 1), (i64::MAX, i64::MAX), (0, 0)] {
        assert_eq!(world.metadata.secret_versions(a, offset, limit).await.unwrap(), (vec![], 9));
    }
    assert_eq!(world.metadata.secret_versions(b, 0, 5).await.unwrap().1, 1);
    assert_eq!(world.metadata.revisions(new.id, i64::MAX, 5).await.unwrap(), []);
    assert_eq!(world.metadata.revisions(new.id, i64::MIN, i64::MAX).await.unwrap().len(), 9);
}
