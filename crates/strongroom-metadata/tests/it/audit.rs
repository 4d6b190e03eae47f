//! Events stand in the batch of what they tell of, are there when the answer comes, and are found again.

use std::future::Future;
use std::pin::Pin;

use proptest::prelude::*;
use strongroom_domain::role::GroupRole;
use strongroom_domain::subject::SubjectKind;
use strongroom_domain::{Timestamp, TokenId};
use strongroom_metadata::{AuditFilter, AuditRow, CommitError, Guard, KeyState, Metadata, NewSecret, PurgeItem};

use crate::world::{
    NOW, World, actor, create_machine, create_token, create_user, event, grant, id, lifetime, machine, purge, token,
    update_machine, user, version,
};

type Outcome<'a> = Pin<Box<dyn Future<Output = Result<(), CommitError>> + 'a>>;
/// A write that carries the given event.
pub(crate) type Write = (&'static str, for<'a> fn(&'a World, AuditRow) -> Outcome<'a>);

const DUE: Timestamp = NOW.plus_days(30);

/// Every write that there is. Each makes what it needs, with events of its own.
pub(crate) const WRITES: [Write; 9] = [
    ("record", |world, event| Box::pin(async move { world.metadata.record(event.clone()).await })),
    ("create a user", |world, event| {
        Box::pin(async move { create_user(&world.metadata, &user("new@x.io"), &event).await })
    }),
    ("create a token", |world, event| {
        Box::pin(async move { create_token(&world.metadata, &token(8, SubjectKind::User, "x"), &event).await })
    }),
    ("create a machine", |world, event| {
        Box::pin(async move {
            let bot = machine("bot");
            let secret = token(9, SubjectKind::VirtualAccount, bot.id);
            create_machine(&world.metadata, &bot, &secret, &[], &event).await
        })
    }),
    ("update a machine", |world, event| {
        Box::pin(async move {
            let bot = world.metadata.machine_by_name("old-bot").await.unwrap().unwrap();
            let group = world.metadata.group_by_name("living", &crate::world::admin()).await.unwrap().unwrap().group.id;
            let grants = [grant(group, "virtualaccount:old-bot", GroupRole::Admin)];
            update_machine(&world.metadata, &bot, Some(&grants), &event).await
        })
    }),
    ("create_group", |world, event| {
        Box::pin(async move {
            let mut new = world.group("new", &["A", "B"]);
            new.event = event;
            world.metadata.create_group(&new).await
        })
    }),
    ("change_group", |world, event| {
        Box::pin(async move {
            let state = world.metadata.group_by_name("living", &crate::world::admin()).await.unwrap().unwrap();
            let (secret, new) = (state.secrets[0].id, NewSecret { id: id(), key: "N".into() });
            let mut change = world.change(state.group.id, "renamed", 2);
            change.states =
                vec![KeyState { id: secret, expected_version: 1, version: 2, key: "A".into(), deleted: None }];
            change.ended = vec![secret];
            change.versions = vec![version(secret, "A", 2), version(new.id, "N", 1)];
            change.began = vec![lifetime(secret, "A", 2), lifetime(new.id, "N", 1)];
            change.secrets = vec![new];
            change.grants = Some(vec![grant(state.group.id, "user:bob@x.io", GroupRole::Viewer)]);
            change.event = event;
            world.metadata.change_group(&change).await
        })
    }),
    ("purge a group", |world, event| {
        Box::pin(async move {
            let items = world.metadata.due_for_purge(DUE, 10).await.unwrap();
            let group = items.iter().find(|item| matches!(item, PurgeItem::Group { .. })).unwrap();
            purge(&world.metadata, group, DUE, &event).await
        })
    }),
    ("purge a secret", |world, event| {
        Box::pin(async move {
            let items = world.metadata.due_for_purge(DUE, 10).await.unwrap();
            let secret = items.iter().find(|item| matches!(item, PurgeItem::Secret { .. })).unwrap();
            purge(&world.metadata, secret, DUE, &event).await
        })
    }),
];

/// A world in which each of the writes above can be made.
pub(crate) async fn stage() -> World {
    let world = World::started().await;
    let living = world.create("living", &["A", "B"], &[]).await;
    let mut change = world.change(living.id, "living", 1);
    let b = living.secrets[1].id;
    change.states =
        vec![KeyState { id: b, expected_version: 1, version: 1, key: "B".into(), deleted: Some((NOW, DUE)) }];
    change.ended = vec![b];
    world.metadata.change_group(&change).await.unwrap();
    let dead = world.create("dead", &["A"], &[]).await;
    world.delete(&dead).await;
    let bot = machine("old-bot");
    let secret = token(2, SubjectKind::VirtualAccount, bot.id);
    create_machine(&world.metadata, &bot, &secret, &[], &event("X")).await.unwrap();
    world.know(&["user:bob@x.io"]).await;
    world
}

/// An event that can't be written takes its change with it. (The other way round: `guards`.)
#[tokio::test]
async fn a_change_and_its_event_are_one() {
    let world = stage().await;
    let start = world.dump();
    for (name, write) in WRITES {
        // The event's id is taken.
        let outcome = write(&world, world.new.event.clone()).await;
        assert!(matches!(outcome, Err(CommitError::Missed { guard: Guard::Fresh })), "{name}: {outcome:?}");
        assert_eq!(world.dump(), start, "{name} wrote without its event");
    }
    for (name, write) in WRITES {
        let before = event_ids(&world.metadata).await;
        let new = event(name);
        write(&world, new.clone()).await.unwrap();
        // Another connection sees it: it was committed before the answer.
        let sql = format!("SELECT COUNT(*) FROM audit_events WHERE id = '{}'", new.id);
        assert_eq!(world.behind().number(&sql), 1, "{name}");
        assert_eq!(event_ids(&world.metadata).await.len(), before.len() + 1, "{name}: one event");
    }
}

/// An event that nobody waited for is written before any that was handed over later and waited for.
#[tokio::test]
async fn unwaited_events_keep_their_place_in_the_queue() {
    let world = World::started().await;
    for round in 0..20 {
        let unwaited: Vec<_> = (0..10).map(|_| event("UNWAITED")).collect();
        for event in &unwaited {
            world.metadata.record_unwaited(event.clone()).await;
        }
        world.metadata.record(event("WAITED")).await.unwrap();
        let ids = event_ids(&world.metadata).await;
        assert_eq!(ids.len(), 1 + (round + 1) * 11);
        assert!(unwaited.iter().all(|event| ids.contains(&event.id.to_string())));
    }
    // One that can't be written takes nobody with it.
    world.metadata.record_unwaited(world.new.event.clone()).await;
    world.metadata.record(event("WAITED")).await.unwrap();
    assert_eq!(event_ids(&world.metadata).await.len(), 1 + 20 * 11 + 1);
}

#[tokio::test]
async fn an_event_comes_back_as_it_was() {
    let world = World::started().await;
    let mut edge = event("\u{1}'; DROP TABLE audit_events; --\u{10ffff}");
    edge.at = Timestamp::from_micros(i64::MIN);
    edge.token_id = Some(id::<TokenId>());
    edge.revision = Some(i64::MAX);
    edge.mac_key = u32::MAX;
    edge.mac = Vec::new();
    edge.detail = "x".repeat(1 << 20);
    edge.actor.token_name = Some("t\n".into());
    for text in [&mut edge.address, &mut edge.request_id, &mut edge.request_path, &mut edge.resource_name] {
        text.clear();
    }
    world.metadata.record(edge.clone()).await.unwrap();
    let filter = AuditFilter { action: edge.action.clone(), ..AuditFilter::default() };
    assert_eq!(world.metadata.audit_events(filter, 0, 9).await.unwrap(), (vec![edge], 1));
}

#[tokio::test]
async fn many_events_in_pages_are_the_list_newest_first() {
    let world = World::started().await;
    let mut events: Vec<_> = (0..333).map(|_| event("X")).collect();
    events.push(world.new.event.clone());
    // Written in another order than that of their ids, and at times in a third.
    for (at, event) in events.iter_mut().take(333).enumerate() {
        event.at = NOW.plus_seconds(i64::try_from(at * 7_919 % 333).unwrap());
    }
    let mut written: Vec<_> = events[..333].to_vec();
    written.sort_by_key(|event| event.at);
    let tasks: Vec<_> = written
        .into_iter()
        .map(|event| {
            let metadata = world.metadata.clone();
            tokio::spawn(async move { metadata.record(event.clone()).await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    events.sort_by_key(|event| std::cmp::Reverse(event.id.to_string()));
    for (filter, limit) in [("", 1_000), ("", 100), ("resource", 50), ("", 333), ("resource", 334)] {
        let filter = AuditFilter { resource_id: filter.into(), ..AuditFilter::default() };
        let mut paged = Vec::new();
        loop {
            let offset = i64::try_from(paged.len()).unwrap();
            let (page, total) = world.metadata.audit_events(filter.clone(), offset, limit).await.unwrap();
            assert_eq!(total, 334);
            if page.is_empty() {
                break;
            }
            paged.extend(page);
            assert!(paged.len() <= 334);
        }
        assert_eq!(paged, events);
    }
    for (offset, limit) in [(334, 1), (i64::MAX, i64::MAX), (0, 0), (333, 0)] {
        assert_eq!(world.metadata.audit_events(AuditFilter::default(), offset, limit).await.unwrap(), (vec![], 334));
    }
}

/// Events whose fields take few values each, so that filters hit some and miss some.
fn varied() -> Vec<AuditRow> {
    let of = |at: usize, from: &[&str]| from[at % from.len()].to_owned();
    let vary = |at: usize| AuditRow {
        at: NOW.plus_seconds(i64::try_from(at % 11).unwrap()),
        action: of(at, &["CREATE", "UPDATE", "DELETE"]),
        result: of(at, &["success", "denied"]),
        actor: actor(&of(at / 2, &["a@x.io", "b@x.io", "bot", "", "A@X.IO", "c"])),
        resource_type: of(at / 3, &["secret-group", "secret", ""]),
        resource_id: of(at / 4, &["one", "two", "three", "on"]),
        resource_name: of(at / 5, &["n", "N", "n%", "_"]),
        resource_fqn: of(at / 6, &["t:n", "t:n:k", "t:%"]),
        ..event("X")
    };
    (0..120).map(vary).collect()
}

/// By hand what the database does by SQL.
fn fits(event: &AuditRow, filter: &AuditFilter) -> bool {
    let is = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
    is(&filter.action, &event.action)
        && is(&filter.resource_type, &event.resource_type)
        && is(&filter.resource_id, &event.resource_id)
        && is(&filter.resource_name, &event.resource_name)
        && is(&filter.resource_fqn, &event.resource_fqn)
        && (filter.actor_slugs.is_empty() || filter.actor_slugs.contains(&event.actor.slug))
        && filter.start.is_none_or(|start| event.at >= start)
        && filter.end.is_none_or(|end| event.at < end)
}

fn filter() -> impl Strategy<Value = AuditFilter> {
    // Mostly empty, so that what all fields together let through is more than nothing.
    let one_of = |from: &'static [&'static str]| prop_oneof![3 => Just(String::new()), 1 => prop::sample::select(from).prop_map(str::to_owned)];
    let moment = || proptest::option::weighted(0.3, (-1..13_i64).prop_map(|seconds| NOW.plus_seconds(seconds)));
    let slug = prop::sample::select(&["a@x.io", "b@x.io", "bot", "A@X.IO", "c", "nobody", "%"]).prop_map(str::to_owned);
    let slugs = prop_oneof![1 => Just(vec![]), 1 => proptest::collection::vec(slug, 0..5)];
    (
        one_of(&["CREATE", "UPDATE", "create", "%"]),
        one_of(&["secret-group", "secret", "secre_"]),
        one_of(&["one", "two", "on", "%"]),
        one_of(&["n", "N", "n%", "_", "\0"]),
        one_of(&["t:n", "t:n:k", "t:%", "t"]),
        slugs,
        moment(),
        moment(),
    )
        .prop_map(|(action, resource_type, resource_id, resource_name, resource_fqn, actor_slugs, start, end)| {
            AuditFilter { action, resource_type, resource_id, resource_name, resource_fqn, actor_slugs, start, end }
        })
}

#[test]
fn filters_let_through_what_fits() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (world, mut events) = runtime.block_on(async {
        let world = World::started().await;
        let events = varied();
        for event in &events {
            world.metadata.record_unwaited(event.clone()).await;
        }
        // Answered when all that waits before it is written.
        world.metadata.flush().await.unwrap();
        (world, events)
    });
    events.push(world.new.event.clone());
    events.sort_by_key(|event| std::cmp::Reverse(event.id.to_string()));
    let config = ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(filter in filter(), offset in 0..9_usize, limit in prop_oneof![0..9_usize, Just(1_000)])| {
        let fitting: Vec<_> = events.iter().filter(|event| fits(event, &filter)).cloned().collect();
        let (page, total) = runtime
            .block_on(world.metadata.audit_events(filter, i64::try_from(offset).unwrap(), i64::try_from(limit).unwrap()))
            .unwrap();
        prop_assert_eq!(usize::try_from(total).unwrap(), fitting.len());
        prop_assert_eq!(page, fitting.into_iter().skip(offset).take(limit).collect::<Vec<_>>());
    });
}

/// The ids of all events, newest first.
async fn event_ids(metadata: &Metadata) -> Vec<String> {
    let (events, _) = metadata.audit_events(AuditFilter::default(), 0, i64::MAX).await.unwrap();
    events.into_iter().map(|event| event.id.to_string()).collect()
}
