//! What each read gives to whom.

use strongroom_domain::role::GroupRole::{self, Admin, Editor, Viewer};
use strongroom_domain::subject::SubjectKind;
use strongroom_domain::{GroupId, SecretId, Timestamp};
use strongroom_metadata::{GroupCreation, GroupFilter, GroupState, KeyState, NewSecret, Page, SecretRow, Viewpoint};

use crate::world::{
    NOW, World, actor, admin, create_machine, create_token, create_user, event, grant, id, lifetime, machine, member,
    token, update_machine, user, version,
};

const TRASH: Option<(Timestamp, Timestamp)> = Some((NOW, NOW.plus_days(30)));

/// Everything that there is.
const fn all<Id>() -> Page<Id> {
    Page { before: None, offset: 0, limit: i64::MAX }
}

impl World {
    /// A group that is shared with these, who are registered where they are not.
    pub(crate) async fn create(&self, name: &str, keys: &[&str], grants: &[(&str, GroupRole)]) -> GroupCreation {
        self.know(&grants.iter().map(|(subject, _)| *subject).collect::<Vec<_>>()).await;
        let mut new = self.group(name, keys);
        new.grants = grants.iter().map(|(subject, role)| grant(new.id, subject, *role)).collect();
        self.metadata.create_group(&new).await.unwrap();
        new
    }

    pub(crate) async fn delete(&self, group: &GroupCreation) {
        let mut change = self.change(group.id, &group.revision.name, 1);
        change.group.deleted = TRASH;
        change.all_ended = Some(group.secrets.len() as u64);
        self.metadata.change_group(&change).await.unwrap();
    }

    /// The names of the groups that one sees, oldest first; the total must be their number.
    async fn seen(&self, looks: &Viewpoint, search: &str) -> Vec<String> {
        let filter = GroupFilter { search: search.into() };
        let (groups, total) = self.metadata.group_page(looks.clone(), filter, all()).await.unwrap();
        assert_eq!(usize::try_from(total).unwrap(), groups.len());
        groups.into_iter().rev().map(|state| state.group.name).collect()
    }

    /// The secrets that one sees, as `group/key`, oldest first; the total must be their number.
    async fn seen_secrets(&self, looks: &Viewpoint, group: Option<GroupId>) -> Vec<String> {
        let (secrets, total) = self.metadata.secret_page(looks.clone(), group, all(), None).await.unwrap();
        assert_eq!(usize::try_from(total).unwrap(), secrets.len());
        secrets.into_iter().rev().map(|secret| format!("{}/{}", secret.group_name, secret.key)).collect()
    }
}

#[tokio::test]
async fn everyone_sees_what_is_shared_with_them() {
    let world = World::started().await;
    let bob = "user:bob@x.io";
    world.create("bobs", &["B"], &[(bob, Editor)]).await;
    world.create("teams", &["T"], &[("team:everyone", Viewer), (bob, Admin)]).await;
    world.create("carols", &["C"], &[("user:carol@x.io", Admin)]).await;
    world.create("nobodys", &["N"], &[]).await;
    let dead = world.create("dead", &["D"], &[(bob, Admin), ("team:everyone", Viewer)]).await;
    world.delete(&dead).await;
    world.know(&["user:dave@x.io", "virtualaccount:bot", "agent:helper"]).await;
    let cases: [(&str, &[(&str, GroupRole)]); 10] = [
        (bob, &[("bobs", Editor), ("teams", Admin)]),
        ("user:carol@x.io", &[("teams", Viewer), ("carols", Admin)]),
        ("user:dave@x.io", &[("teams", Viewer)]),
        // Everyone are the persons.
        ("virtualaccount:bot", &[]),
        ("agent:helper", &[]),
        // Neither a part of a name nor the name in other letters, nor a wildcard, is the name.
        ("", &[]),
        ("user:bob@x.i", &[]),
        ("user:%", &[]),
        ("USER:BOB@X.IO", &[]),
        ("bob@x.io", &[]),
    ];
    for (own, expected) in cases {
        let looks = member(own);
        let names: Vec<_> = expected.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(world.seen(&looks, "").await, names, "{looks:?}");
        let keys: Vec<_> = names.iter().map(|name| format!("{name}/{}", name[..1].to_uppercase())).collect();
        assert_eq!(world.seen_secrets(&looks, None).await, keys, "{looks:?}");
        let (groups, _) = world.metadata.group_page(looks.clone(), GroupFilter::default(), all()).await.unwrap();
        let (secrets, _) = world.metadata.secret_page(looks.clone(), None, all(), None).await.unwrap();
        // A read by id or name gives what the lists give, with the role in it; what isn't seen isn't there.
        for name in ["bobs", "teams", "carols", "nobodys"] {
            let role = expected.iter().find(|(found, _)| *found == name).map(|(_, role)| *role);
            let state = world.metadata.group_by_name(name, &admin()).await.unwrap().unwrap();
            let secret = &state.secrets[0];
            assert!(world.metadata.group_name_taken(name).await.unwrap());
            let roles = [
                world.metadata.group_by_name(name, &looks).await.unwrap().and_then(|state| state.group.role),
                world.metadata.group_ref_by_name(name, &looks).await.unwrap().and_then(|group| group.role),
                world.metadata.group(state.group.id, &looks).await.unwrap().and_then(|state| state.group.role),
                world.metadata.group_sealed(state.group.id, &looks).await.unwrap().and_then(|state| state.group.role),
                world.metadata.secret(secret.id, &looks, 1).await.unwrap().and_then(|(secret, _)| secret.role),
                world
                    .metadata
                    .secret_by_name(name, &secret.key, None, &looks)
                    .await
                    .unwrap()
                    .and_then(|secret| secret.role),
                groups.iter().find(|listed| listed.group.name == name).and_then(|listed| listed.group.role),
                secrets.iter().find(|listed| listed.group_name == name).and_then(|listed| listed.role),
            ];
            assert_eq!(roles, [role; 8], "{name} {looks:?}");
        }
        assert_eq!(world.metadata.group(dead.id, &member(bob)).await.unwrap().unwrap().group.role, Some(Admin));
    }
    // A tenant admin sees all that lives, with the role that grants give, which may be none.
    assert_eq!(world.seen(&admin(), "").await, ["bobs", "teams", "carols", "nobodys"]);
    assert_eq!(world.seen_secrets(&admin(), None).await, ["bobs/B", "teams/T", "carols/C", "nobodys/N"]);
    assert_eq!(world.metadata.group_by_name("nobodys", &admin()).await.unwrap().unwrap().group.role, None);
}

#[tokio::test]
async fn the_list_of_one_group_shows_that_group_to_those_who_see_it() {
    let world = World::started().await;
    let bob = member("user:bob@x.io");
    let one = world.create("one", &["A", "B"], &[("user:bob@x.io", Viewer)]).await;
    let two = world.create("two", &["A"], &[]).await;
    let dead = world.create("dead", &["A"], &[("user:bob@x.io", Admin)]).await;
    world.delete(&dead).await;
    assert_eq!(world.seen_secrets(&admin(), Some(one.id)).await, ["one/A", "one/B"]);
    assert_eq!(world.seen_secrets(&bob, Some(one.id)).await, ["one/A", "one/B"]);
    assert_eq!(world.seen_secrets(&admin(), Some(two.id)).await, ["two/A"]);
    for (looks, group) in [(&bob, two.id), (&bob, dead.id), (&admin(), dead.id), (&admin(), id())] {
        assert!(world.seen_secrets(looks, Some(group)).await.is_empty());
    }
}

#[tokio::test]
async fn a_search_finds_parts_of_names_and_of_living_keys() {
    let world = World::started().await;
    world.create("Pay-Prod", &["DB_URL", "api.key"], &[("user:bob@x.io", Viewer)]).await;
    world.create("pay%dev", &["DBxURL", "x%"], &[]).await;
    let other = world.create("other", &["Old", "new"], &[("user:bob@x.io", Viewer)]).await;
    let mut change = world.change(other.id, "other", 1);
    let old = other.secrets[0].id;
    change.states = vec![KeyState { id: old, expected_version: 1, version: 1, key: "Old".into(), deleted: TRASH }];
    change.ended = vec![old];
    world.metadata.change_group(&change).await.unwrap();
    let dead = world.create("pay-dead", &["DB_URL"], &[]).await;
    world.delete(&dead).await;
    let (pay, dev, other) = ("Pay-Prod", "pay%dev", "other");
    let cases: [(&str, &[&str]); 16] = [
        ("", &[pay, dev, other]),
        ("pay", &[pay, dev]),
        ("PAY-pRod", &[pay]),
        ("db_url", &[pay]),
        ("API.K", &[pay]),
        ("%", &[dev]),
        ("_", &[pay]),
        ("b_u", &[pay]),
        ("y%d", &[dev]),
        ("\\", &[]),
        ("old", &[]),
        ("new", &[other]),
        ("dead", &[]),
        (" ", &[]),
        ("prod\0", &[]),
        ("' OR '1'='1", &[]),
    ];
    for (search, expected) in cases {
        assert_eq!(world.seen(&admin(), search).await, expected, "{search:?}");
        let bobs: Vec<_> = expected.iter().copied().filter(|name| *name != dev).collect();
        assert_eq!(world.seen(&member("user:bob@x.io"), search).await, bobs, "{search:?}");
    }
    // A found group comes with all of its keys.
    let filter = GroupFilter { search: "db_u".into() };
    let (found, _) = world.metadata.group_page(admin(), filter, all()).await.unwrap();
    assert_eq!(keys(&found[0]), ["DB_URL", "api.key"]);
}

/// Longer than any pattern that the engine takes.
#[tokio::test]
async fn a_search_of_any_length_is_answered() {
    let world = World::started().await;
    world.create("one", &["A"], &[]).await;
    for part in ["o", "_", "%", "\\", "é", "\0"] {
        for length in [254, 25_000, 60_000] {
            assert!(world.seen(&admin(), &part.repeat(length)).await.is_empty(), "{length} times {part:?}");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_none() {
    let world = World::started().await;
    let new = world.create("Prod", &["K"], &[]).await;
    let dead = world.create("dead", &["D"], &[]).await;
    world.delete(&dead).await;
    let (metadata, looks) = (&world.metadata, admin());
    assert_eq!(metadata.group(id(), &looks).await.unwrap(), None);
    assert_eq!(metadata.group_sealed(id(), &looks).await.unwrap(), None);
    // An id of another kind is an id of nothing.
    let crossed = GroupId::parse(&new.secrets[0].id.to_string()).unwrap();
    assert_eq!(metadata.group(crossed, &looks).await.unwrap(), None);
    let crossed = SecretId::parse(&new.id.to_string()).unwrap();
    assert_eq!(metadata.secret(crossed, &looks, 10).await.unwrap(), None);
    for name in ["", "Prod", "pro", "prod ", "prod\0", "pr%", "dead", "default:prod"] {
        assert_eq!(metadata.group_by_name(name, &looks).await.unwrap(), None, "{name:?}");
        assert_eq!(metadata.group_ref_by_name(name, &looks).await.unwrap(), None, "{name:?}");
        assert_eq!(metadata.secret_by_name(name, "K", None, &looks).await.unwrap(), None, "{name:?}");
    }
    for key in ["", "k", "K ", "K\0", "%", "D"] {
        assert_eq!(metadata.secret_by_name("prod", key, None, &looks).await.unwrap(), None, "{key:?}");
    }
    assert_eq!(metadata.secret_by_name("dead", "D", None, &looks).await.unwrap(), None);
    assert_eq!(metadata.secret_versions(id(), 0, 10).await.unwrap(), (vec![], 0));
    assert_eq!(metadata.revisions(id(), 0, 10).await.unwrap(), []);
    assert_eq!(metadata.current_at(id(), 1).await.unwrap(), []);
    for email in ["", "Admin@x.io", "admin@x.io\0", "admin@x.i", "%"] {
        assert_eq!(metadata.user_by_email(email).await.unwrap(), None, "{email:?}");
        assert_eq!(metadata.machine_by_name(email).await.unwrap(), None, "{email:?}");
    }
}

#[tokio::test]
async fn a_version_by_its_number() {
    let world = World::started().await;
    let new = world.create("g", &["K"], &[]).await;
    let secret = new.secrets[0].id;
    for number in 2..=4 {
        let mut change = world.change(new.id, "g", number - 1);
        change.states = vec![KeyState {
            id: secret,
            expected_version: number - 1,
            version: number,
            key: "K".into(),
            deleted: None,
        }];
        change.versions = vec![version(secret, "K", number)];
        change.ended = vec![secret];
        change.began = vec![lifetime(secret, "K", number)];
        world.metadata.change_group(&change).await.unwrap();
    }
    let read = async |number| world.metadata.secret_by_name("g", "K", number, &admin()).await.unwrap();
    let sealed = |row: SecretRow| (row.version.version, row.current_version, row.sealed.unwrap());
    assert_eq!(read(None).await.map(sealed), Some((4, 4, b"K=4".to_vec())));
    for number in 1..=4 {
        assert_eq!(read(Some(number)).await.map(sealed), Some((number, 4, format!("K={number}").into_bytes())));
    }
    for number in [5, 0, -1, i64::MAX, i64::MIN] {
        assert_eq!(read(Some(number)).await, None, "{number}");
    }
    // By id: the newest come first, and only the current one brings its value.
    for limit in [1, 2, 4, 9, i64::MAX] {
        let (row, versions) = world.metadata.secret(secret, &admin(), limit).await.unwrap().unwrap();
        assert_eq!(sealed(row.clone()), (4, 4, b"K=4".to_vec()));
        let numbers: Vec<_> = versions.iter().map(|version| version.version).collect();
        assert_eq!(numbers, (1..=4).rev().take(usize::try_from(limit).unwrap()).collect::<Vec<_>>());
        assert_eq!(versions[0], row.version);
    }
}

#[tokio::test]
async fn a_read_shows_the_newest_revision() {
    let world = World::started().await;
    let new = world.create("old", &["A", "B"], &[]).await;
    let [a, b] = [0, 1].map(|at| new.secrets[at].id);
    let c = NewSecret { id: id(), key: "C".into() };
    let mut change = world.change(new.id, "New", 1);
    change.states = vec![
        KeyState { id: a, expected_version: 1, version: 2, key: "A".into(), deleted: None },
        KeyState { id: b, expected_version: 1, version: 1, key: "B".into(), deleted: TRASH },
    ];
    change.versions = vec![version(a, "A", 2), version(c.id, "C", 1)];
    change.ended = vec![a, b];
    change.began = vec![lifetime(a, "A", 2), lifetime(c.id, "C", 1)];
    change.secrets = vec![c.clone()];
    change.revision.actor = actor("bob@x.io");
    world.metadata.change_group(&change).await.unwrap();

    let (metadata, looks) = (&world.metadata, admin());
    assert_eq!(metadata.group_by_name("old", &looks).await.unwrap(), None);
    let state = metadata.group_by_name("new", &looks).await.unwrap().unwrap();
    let (page, _) = metadata.group_page(looks.clone(), GroupFilter::default(), all()).await.unwrap();
    assert_eq!(page, std::slice::from_ref(&state), "the list and the single read show the same");
    assert_eq!(metadata.group(new.id, &looks).await.unwrap().as_ref(), Some(&state));
    assert_eq!(keys(&state), ["A", "C"]);
    let [now_a, now_c] = [0, 1].map(|at| &state.secrets[at]);
    assert_eq!((now_a.created_at, now_a.updated_at), (new.revision.at, change.revision.at));
    assert_eq!((now_a.created_by.slug.as_str(), now_c.created_by.slug.as_str()), ("admin@x.io", "bob@x.io"));
    assert_eq!((now_a.version_created_at, now_c.created_at), (change.revision.at, change.revision.at));
    assert_eq!(state.group.created_by.slug, "admin@x.io");

    // Each way to a secret shows the same of it and of its group.
    let by_name = metadata.secret_by_name("new", "A", None, &looks).await.unwrap().unwrap();
    let (by_id, versions) = metadata.secret(a, &looks, 10).await.unwrap().unwrap();
    assert_eq!(by_name, by_id);
    let (page, _) = metadata.secret_page(looks.clone(), Some(new.id), all(), Some(usize::MAX)).await.unwrap();
    assert_eq!(page.iter().map(|row| row.id).collect::<Vec<_>>(), [c.id, a], "newest first");
    assert_eq!(page[1], by_id);
    assert_eq!(
        (by_id.group_name.as_str(), by_id.revision, &by_id.revision_mac[..]),
        ("New", 2, &change.revision.mac[..])
    );
    assert_eq!((by_id.group_id, by_id.integration_id), (new.id, world.new.integration.id));
    assert_eq!((&by_id.data_key, by_id.data_key_kek), (&Some(vec![9; 48]), 1));
    assert_eq!(metadata.secret_versions(a, 0, 10).await.unwrap(), (versions, 2));

    // What was deleted is found by id alone, and says since when.
    let (gone, _) = metadata.secret(b, &looks, 10).await.unwrap().unwrap();
    assert_eq!((gone.deleted_at, gone.purge_at), TRASH.unzip());
    assert_eq!((gone.sealed.as_deref(), gone.group_deleted_at), (Some(&b"B=1"[..]), None));
    world
        .metadata
        .change_group(&{
            let mut change = world.change(new.id, "New", 2);
            change.group.deleted = TRASH;
            change.all_ended = Some(2);
            change
        })
        .await
        .unwrap();
    let state = metadata.group(new.id, &looks).await.unwrap().unwrap();
    assert_eq!((state.group.deleted_at, state.group.purge_at), TRASH.unzip());
    assert_eq!(keys(&state), ["A", "C"], "what a restore brings back");
    assert_eq!(metadata.secret(a, &looks, 1).await.unwrap().unwrap().0.group_deleted_at, Some(NOW));
}

#[tokio::test]
async fn values_come_only_where_they_are_asked_for() {
    let world = World::started().await;
    let new = world.create("g", &["A", "B", "C"], &[]).await;
    let (metadata, looks) = (&world.metadata, admin());
    let sealed = |state: &GroupState| state.secrets.iter().filter(|secret| secret.sealed.is_some()).count();
    assert_eq!(sealed(&metadata.group(new.id, &looks).await.unwrap().unwrap()), 0);
    assert_eq!(sealed(&metadata.group_by_name("g", &looks).await.unwrap().unwrap()), 0);
    assert_eq!(sealed(&metadata.group_sealed(new.id, &looks).await.unwrap().unwrap()), 3);
    let (groups, _) = metadata.group_page(looks.clone(), GroupFilter::default(), all()).await.unwrap();
    assert_eq!(sealed(&groups[0]), 0);
    for looks in [looks, member("user:bob@x.io")] {
        let page = async |up_to| metadata.secret_page(looks.clone(), None, all(), up_to).await.unwrap();
        let (rows, total) = page(None).await;
        assert!(rows.iter().all(|row| row.sealed.is_none()));
        // Each value has three bytes. A page ends with the value that fills it, and holds at least one.
        for (up_to, expected) in [(0, 1), (1, 1), (3, 1), (4, 2), (6, 2), (7, 3), (usize::MAX, 3)] {
            let (with_values, same) = page(Some(up_to)).await;
            assert_eq!((with_values.len(), same), (expected.min(rows.len()), total), "{up_to}");
            assert!(with_values.iter().all(|row| row.sealed.is_some()));
        }
    }
}

#[tokio::test]
async fn tokens_by_their_hash() {
    let world = World::started().await;
    let bob = user("bob@x.io");
    create_user(&world.metadata, &bob, &event("X")).await.unwrap();
    let bot = machine("bot");
    let mut hash = [0x80; 32];
    let create = async |hash: [u8; 32], kind, owner: String| {
        let mut new = token(0, kind, owner);
        new.hash = hash;
        create_token(&world.metadata, &new, &event("X")).await.unwrap();
        new
    };
    let personal = create(hash, SubjectKind::User, bob.id.to_string()).await;
    hash[31] = 0x81;
    let of_bot = token(7, SubjectKind::VirtualAccount, bot.id);
    create_machine(&world.metadata, &bot, &of_bot, &[], &event("X")).await.unwrap();
    create([0; 32], SubjectKind::User, "no id".into()).await;
    create([0xff; 32], SubjectKind::User, bot.id.to_string()).await;

    let metadata = &world.metadata;
    assert_eq!(metadata.token(&hash).await.unwrap(), None, "one bit apart");
    assert_eq!(metadata.token(&[0; 32]).await.unwrap().unwrap().subject, None);
    assert_eq!(metadata.token(&[0xff; 32]).await.unwrap().unwrap().subject, None, "a machine's id is no person's");
    let found = metadata.token(&of_bot.hash).await.unwrap().unwrap();
    let subject = found.subject.unwrap();
    assert_eq!((subject.id, subject.name.as_str(), subject.person), (bot.id.to_string(), "virtualaccount:bot", None));
    let found = metadata.token(&personal.hash).await.unwrap().unwrap();
    assert_eq!((found.id, found.expires_at, found.revoked_at), (personal.id, personal.expires_at, None));
    let active = |token: strongroom_metadata::TokenRow| token.subject.unwrap().person.unwrap().active;
    assert!(active(found));

    // The row says when a token ended or was revoked, and that its owner may not act; the server decides by its clock.
    let behind = world.behind();
    behind.run(&format!("UPDATE tokens SET expires_at = 5, revoked_at = 7 WHERE id = '{}'", personal.id));
    behind.run("UPDATE users SET active = 0 WHERE email = 'bob@x.io'");
    let found = metadata.token(&personal.hash).await.unwrap().unwrap();
    let at = |micros| Some(Timestamp::from_micros(micros));
    assert_eq!((found.expires_at, found.revoked_at), (at(5), at(7)));
    assert!(!active(found));
    behind.run(
        "DELETE FROM team_members WHERE member = 'user:bob@x.io'; DELETE FROM subjects WHERE name = 'user:bob@x.io'",
    );
    assert_eq!(metadata.token(&personal.hash).await.unwrap().unwrap().subject, None);
}

/// Long reads have few threads; whoever gives up waiting must not keep one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_reads_queue_and_may_be_given_up() {
    let world = World::started().await;
    world.create("g", &["A", "B"], &[]).await;
    for round in 0..5 {
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let metadata = world.metadata.clone();
                tokio::spawn(async move { metadata.secret_page(admin(), None, all(), None).await.unwrap().1 })
            })
            .collect();
        for (number, task) in tasks.into_iter().enumerate() {
            if number % 5 < round {
                task.abort();
            } else {
                assert_eq!(task.await.unwrap(), 2);
            }
        }
    }
}

/// What a cache of callers rests on.
#[tokio::test]
async fn the_stamp_of_identities_moves_with_users_machines_and_tokens_only() {
    let world = World::started().await;
    let metadata = &world.metadata;
    let mut stamp = metadata.identity_stamp();
    let mut moved = || {
        let before = std::mem::replace(&mut stamp, metadata.identity_stamp());
        assert!(stamp.is_some(), "nothing is being changed");
        stamp != before
    };
    assert!(!moved());
    create_user(metadata, &user("bob@x.io"), &event("X")).await.unwrap();
    assert!(moved());
    create_token(metadata, &token(5, SubjectKind::User, "x"), &event("X")).await.unwrap();
    assert!(moved());
    let bot = machine("bot");
    create_machine(metadata, &bot, &token(6, SubjectKind::VirtualAccount, bot.id), &[], &event("X")).await.unwrap();
    assert!(moved());
    update_machine(metadata, &bot, None, &event("X")).await.unwrap();
    assert!(moved());
    world.in_team("team:everyone", &["user:admin@x.io"]).await;
    assert!(moved());
    if world.postgres.is_some() {
        // Until the replica has heard of its own changes, too.
        tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
        moved();
    }
    let group = world.create("g", &["A"], &[("user:bob@x.io", Viewer)]).await;
    world.delete(&group).await;
    metadata.record(event("X")).await.unwrap();
    metadata.user_by_email("bob@x.io").await.unwrap();
    assert!(!moved());
}

/// The contract's letters end where a column's do not: what is stored comes back as it was.
#[tokio::test]
async fn numbers_and_texts_at_their_limits_come_back_as_they_were() {
    let world = World::started().await;
    let mut new = world.group("edge", &["K"]);
    new.data_key = Vec::new();
    new.data_key_kek = u32::MAX;
    new.revision.at = Timestamp::from_micros(i64::MIN);
    new.revision.manifest = String::new();
    new.versions[0].sealed = Some(Vec::new());
    new.versions[0].store_version = "\u{1}\u{1f600}\u{10ffff}'\"\\%".into();
    new.revision.actor.display_name = Some("line\nbreak\u{0}".into());
    world.metadata.create_group(&new).await.unwrap();
    let state = world.metadata.group_sealed(new.id, &admin()).await.unwrap().unwrap();
    assert_eq!((state.group.data_key, state.group.data_key_kek), (Some(Vec::new()), u32::MAX));
    assert_eq!((state.group.created_at.micros(), state.group.manifest.as_str()), (i64::MIN, ""));
    assert_eq!(state.group.created_by, new.revision.actor);
    let secret = &state.secrets[0];
    assert_eq!((secret.sealed.as_deref(), &secret.store_version), (Some(&[][..]), &new.versions[0].store_version));

    let mut change = world.change(new.id, "edge", 1);
    change.group.deleted = Some((Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX)));
    change.revision.at = Timestamp::from_micros(i64::MAX);
    change.all_ended = Some(1);
    world.metadata.change_group(&change).await.unwrap();
    let found = world.metadata.deleted_groups(admin(), i64::MAX).await.unwrap();
    assert_eq!((found[0].deleted_at.micros(), found[0].purge_at.micros()), (i64::MIN, i64::MAX));
    assert_eq!(world.metadata.due_for_purge(Timestamp::from_micros(i64::MAX - 1), 9).await.unwrap(), []);
    assert_eq!(world.metadata.due_for_purge(Timestamp::from_micros(i64::MAX), i64::MAX).await.unwrap().len(), 1);
}

fn keys(state: &GroupState) -> Vec<&str> {
    state.secrets.iter().map(|secret| secret.key.as_str()).collect()
}
