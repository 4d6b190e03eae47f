//! What is written is read back, through the public functions only.

use strongroom_domain::role::GroupRole;
use strongroom_domain::subject::{SubjectKind, SubjectName};
use strongroom_metadata::{AuditFilter, KeyState, Metadata, NewSecret, PersonRow, PurgeItem, SubjectRow, Viewpoint};

use crate::world::{
    NOW, World, actor, admin, create_machine, create_token, create_user, event, grant, id, lifetime, machine, member,
    purge, token, update_machine, user, version,
};

#[tokio::test]
async fn the_first_start() {
    let world = World::empty().await;
    assert_eq!(world.metadata.instance().await.unwrap(), None);
    world.metadata.create_instance(&world.new).await.unwrap();
    let new = &world.new;
    assert_eq!(world.metadata.instance().await.unwrap().as_ref(), Some(&new.instance));
    assert_eq!(world.metadata.root_key_slots().await.unwrap(), std::slice::from_ref(&new.slot));
    assert_eq!(world.metadata.user_by_email("admin@x.io").await.unwrap().as_ref(), Some(&new.admin));
    assert_eq!(world.metadata.provider_accounts().await.unwrap(), std::slice::from_ref(&new.account));
    assert_eq!(world.metadata.provider_integrations().await.unwrap(), std::slice::from_ref(&new.integration));
    let found = world.metadata.token(&new.admin_token.hash).await.unwrap().unwrap();
    assert_eq!((found.id, &found.name), (new.admin_token.id, &new.admin_token.name));
    assert_eq!((found.expires_at, found.revoked_at), (new.admin_token.expires_at, None));
    let person = PersonRow { tenant_role: new.admin.tenant_role.clone(), permissions: None, active: true };
    let name = SubjectName::parse("user:admin@x.io").unwrap();
    let owner = SubjectRow { id: new.admin.id.to_string(), name: name.clone(), person: Some(person) };
    assert_eq!(found.subject.as_ref(), Some(&owner));
    assert_eq!(world.metadata.subject(&name).await.unwrap(), Some(owner));
    assert_eq!(world.metadata.memberships(&name).await.unwrap().teams, ["team:everyone"]);
    assert_eq!(events(&world.metadata).await, ["CREATE_INSTANCE"]);
    assert_eq!(world.metadata.token(&[99; 32]).await.unwrap(), None);
}

#[tokio::test]
async fn everything_outlives_the_process() {
    let world = World::started().await;
    let before = world.dump();
    let again = world.opened_again().await;
    assert_eq!(again.instance().await.unwrap().as_ref(), Some(&world.new.instance));
    assert_eq!(world.dump(), before, "opening again changes nothing");
}

#[tokio::test]
async fn users_and_tokens() {
    let world = World::started().await;
    let bob = user("bob@x.io");
    create_user(&world.metadata, &bob, &event("CREATE_USER")).await.unwrap();
    assert_eq!(world.metadata.user_by_email("bob@x.io").await.unwrap().as_ref(), Some(&bob));
    assert_eq!(world.metadata.user_by_email("carol@x.io").await.unwrap(), None);
    let mut new = token(2, SubjectKind::User, bob.id);
    new.expires_at = None;
    create_token(&world.metadata, &new, &event("CREATE_TOKEN")).await.unwrap();
    let found = world.metadata.token(&[2; 32]).await.unwrap().unwrap();
    assert_eq!((found.id, found.expires_at), (new.id, None));
    assert_eq!(found.subject.map(|subject| subject.id), Some(bob.id.to_string()));
    // A machine's token whose id happens to be a person's belongs to nobody.
    create_token(&world.metadata, &token(3, SubjectKind::VirtualAccount, bob.id), &event("X")).await.unwrap();
    assert_eq!(world.metadata.token(&[3; 32]).await.unwrap().unwrap().subject, None);
    assert_eq!(events(&world.metadata).await, ["X", "CREATE_TOKEN", "CREATE_USER", "CREATE_INSTANCE"]);
}

#[tokio::test]
async fn virtual_accounts_and_their_grants() {
    let world = World::started().await;
    let (one, two) = (world.group("one", &[]), world.group("two", &[]));
    world.metadata.create_group(&one).await.unwrap();
    world.metadata.create_group(&two).await.unwrap();
    let mut bot = machine("bot");
    let own = "virtualaccount:bot";
    let grants = [grant(one.id, own, GroupRole::Editor)];
    let secret = token(2, SubjectKind::VirtualAccount, bot.id);
    create_machine(&world.metadata, &bot, &secret, &grants, &event("CREATE")).await.unwrap();
    assert_eq!(world.metadata.machine_by_name("bot").await.unwrap().as_ref(), Some(&bot));
    let subject = world.metadata.token(&[2; 32]).await.unwrap().unwrap().subject.unwrap();
    assert_eq!((subject.id, subject.name.as_str(), subject.person), (bot.id.to_string(), own, None));
    let roles = async |name: &str| {
        world.metadata.group_by_name(name, &member(own)).await.unwrap().and_then(|state| state.group.role)
    };
    assert_eq!((roles("one").await, roles("two").await), (Some(GroupRole::Editor), None));

    // A change of the manifest alone leaves the grants, also those of the group's own manifest.
    bot.manifest = "{\"name\":2}".into();
    bot.updated_at = NOW.plus_seconds(9);
    update_machine(&world.metadata, &bot, None, &event("UPDATE")).await.unwrap();
    assert_eq!(world.metadata.machine_by_name("bot").await.unwrap().as_ref(), Some(&bot));
    assert_eq!((roles("one").await, roles("two").await), (Some(GroupRole::Editor), None));
    let mut shared = world.change(one.id, "one", 1);
    shared.grants = Some(vec![grant(one.id, own, GroupRole::Viewer)]);
    world.metadata.change_group(&shared).await.unwrap();
    assert_eq!(roles("one").await, Some(GroupRole::Editor), "the strongest of two");
    let grants = [grant(two.id, own, GroupRole::Admin)];
    update_machine(&world.metadata, &bot, Some(&grants), &event("UPDATE")).await.unwrap();
    assert_eq!((roles("one").await, roles("two").await), (Some(GroupRole::Viewer), Some(GroupRole::Admin)));
    let mut private = world.change(one.id, "one", 2);
    private.grants = Some(Vec::new());
    world.metadata.change_group(&private).await.unwrap();
    assert_eq!((roles("one").await, roles("two").await), (None, Some(GroupRole::Admin)));
}

#[tokio::test]
async fn a_group_and_its_change() {
    let world = World::started().await;
    let mut new = world.group("Prod", &["A", "B", "C"]);
    new.grants = vec![grant(new.id, "team:everyone", GroupRole::Viewer)];
    world.metadata.create_group(&new).await.unwrap();
    let state = world.metadata.group(new.id, &admin()).await.unwrap().unwrap();
    assert_eq!(world.metadata.group_by_name("prod", &admin()).await.unwrap().as_ref(), Some(&state));
    assert_eq!(world.metadata.group_by_name("Prod", &admin()).await.unwrap(), None, "names come folded");
    assert_eq!((state.group.name.as_str(), state.group.revision, state.group.seals), ("Prod", 1, 3));
    assert_eq!((&state.group.data_key, state.group.data_key_kek), (&Some(vec![9; 48]), 1));
    assert_eq!(state.group.integration_fqn, world.new.integration.fqn);
    assert_eq!(state.group.revision_mac, new.revision.mac);
    assert_eq!(state.group.created_by, actor("admin@x.io"));
    assert_eq!(state.group.role, Some(GroupRole::Viewer));
    assert_eq!((state.group.created_at, state.group.updated_at), (new.revision.at, new.revision.at));
    assert!(state.secrets.iter().all(|secret| secret.sealed.is_none()), "values only where they are asked for");
    let keys: Vec<_> = state.secrets.iter().map(|secret| (secret.key.as_str(), secret.version)).collect();
    assert_eq!(keys, [("A", 1), ("B", 1), ("C", 1)]);

    // A changes its value, B goes to the trash, C stays, D and the value-less E are new; and the group is renamed.
    let [a, b, _] = [0, 1, 2].map(|at| new.secrets[at].id);
    let mut change = world.change(new.id, "prod-2", 1);
    let (d, e) = (NewSecret { id: id(), key: "D".into() }, NewSecret { id: id(), key: "E".into() });
    let trash = Some((NOW, NOW.plus_days(30)));
    change.states = vec![
        KeyState { id: a, expected_version: 1, version: 2, key: "A".into(), deleted: None },
        KeyState { id: b, expected_version: 1, version: 1, key: "B".into(), deleted: trash },
    ];
    change.versions = vec![version(a, "A", 2), version(d.id, "D", 1), version(e.id, "E", 1)];
    change.versions[2].sealed = None;
    change.ended = vec![a, b];
    change.began = vec![lifetime(a, "A", 2), lifetime(d.id, "D", 1), lifetime(e.id, "E", 1)];
    change.secrets = vec![d, e];
    world.metadata.change_group(&change).await.unwrap();
    let state = world.metadata.group_sealed(new.id, &admin()).await.unwrap().unwrap();
    assert_eq!((state.group.name.as_str(), state.group.revision, state.group.seals), ("prod-2", 2, 5));
    assert_eq!(state.group.manifest, change.revision.manifest);
    assert_eq!(state.group.updated_at, change.revision.at);
    let text = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| String::from_utf8(bytes.clone()).unwrap());
    let current: Vec<_> = state.secrets.iter().map(|s| (s.key.as_str(), s.version, text(&s.sealed))).collect();
    let value = |text: &str| Some(text.to_owned());
    assert_eq!(current, [("A", 2, value("A=2")), ("C", 1, value("C=1")), ("D", 1, value("D=1")), ("E", 1, None)]);
    assert_eq!(state.secrets[0].store_version, "2");
    assert_eq!(state.secrets[0].version_id, change.versions[0].id);

    let revisions = world.metadata.revisions(new.id, 0, 10).await.unwrap();
    assert_eq!(
        revisions.iter().map(|row| (row.revision, row.name.as_str())).collect::<Vec<_>>(),
        [(1, "Prod"), (2, "prod-2")]
    );
    assert_eq!((revisions[1].at, revisions[1].mac.as_slice()), (change.revision.at, change.revision.mac.as_slice()));
    assert_eq!((revisions[1].action.as_str(), revisions[1].source.as_str()), ("update", "test"));
    assert_eq!(world.metadata.revisions(new.id, 1, 10).await.unwrap().len(), 1);
    let deleted = world.metadata.deleted_secrets(admin(), 10).await.unwrap();
    assert_eq!(deleted.iter().map(|secret| (secret.id, secret.key.as_str())).collect::<Vec<_>>(), [(b, "B")]);
    assert_eq!((Some(deleted[0].deleted_at), Some(deleted[0].purge_at)), trash.unzip());
    assert_eq!(deleted[0].group_name, "prod-2");
}

#[tokio::test]
async fn the_trash_shows_what_the_viewer_may_bring_back() {
    let world = World::started().await;
    world.know(&["user:bob@x.io"]).await;
    for (name, role) in [("v", GroupRole::Viewer), ("e", GroupRole::Editor), ("a", GroupRole::Admin)] {
        let mut new = world.group(name, &["K"]);
        new.grants = vec![grant(new.id, "user:bob@x.io", role)];
        world.metadata.create_group(&new).await.unwrap();
        let mut change = world.change(new.id, name, 1);
        let trash = Some((NOW, NOW.plus_days(30)));
        change.states =
            vec![KeyState { id: new.secrets[0].id, expected_version: 1, version: 1, key: "K".into(), deleted: trash }];
        change.ended = vec![new.secrets[0].id];
        world.metadata.change_group(&change).await.unwrap();
    }
    let bob = member("user:bob@x.io");
    let secrets = async |looks: Viewpoint| {
        let found = world.metadata.deleted_secrets(looks, 10).await.unwrap();
        found.into_iter().map(|secret| secret.group_name).collect::<std::collections::BTreeSet<_>>()
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(secrets(admin()).await, names(&["a", "e", "v"]));
    assert_eq!(secrets(bob.clone()).await, names(&["a", "e"]));
    for name in ["v", "e", "a"] {
        let id = world.metadata.group_by_name(name, &admin()).await.unwrap().unwrap().group.id;
        let mut change = world.change(id, name, 2);
        change.group.deleted = Some((NOW, NOW.plus_days(30)));
        change.all_ended = Some(0);
        world.metadata.change_group(&change).await.unwrap();
    }
    assert!(secrets(admin()).await.is_empty(), "with its group a secret comes back by the group");
    let groups = async |looks: Viewpoint| {
        let found = world.metadata.deleted_groups(looks, 10).await.unwrap();
        found.into_iter().map(|group| (group.name, group.role)).collect::<Vec<_>>()
    };
    assert_eq!(groups(admin()).await.len(), 3);
    assert_eq!(groups(bob).await, [("a".to_owned(), Some(GroupRole::Admin))]);
}

#[tokio::test]
async fn a_purge_takes_the_values_out_of_the_files() {
    let world = World::started().await;
    world.know(&["user:bob@x.io"]).await;
    let marker = |text: &str| format!("needle-{text}-needle").into_bytes();
    let mut one = world.group("one", &["A", "B"]);
    let mut two = world.group("two", &["C"]);
    two.data_key = marker("key");
    for (version, text) in one.versions.iter_mut().chain(&mut two.versions).zip(["a", "b", "c"]) {
        version.sealed = Some(marker(text));
    }
    two.grants = vec![grant(two.id, "user:bob@x.io", GroupRole::Admin)];
    world.metadata.create_group(&one).await.unwrap();
    world.metadata.create_group(&two).await.unwrap();
    let (a, due) = (one.secrets[0].id, NOW.plus_days(30));
    let mut change = world.change(one.id, "one", 1);
    change.states =
        vec![KeyState { id: a, expected_version: 1, version: 1, key: "A".into(), deleted: Some((NOW, due)) }];
    change.ended = vec![a];
    world.metadata.change_group(&change).await.unwrap();
    let mut change = world.change(two.id, "two", 1);
    change.group.deleted = Some((NOW, due));
    change.all_ended = Some(1);
    world.metadata.change_group(&change).await.unwrap();

    assert_eq!(world.metadata.due_for_purge(due.plus_seconds(-1), 10).await.unwrap(), []);
    let items = world.metadata.due_for_purge(due, 10).await.unwrap();
    let expected = [
        PurgeItem::Group { id: two.id, name: "two".into() },
        PurgeItem::Secret { id: a, key: "A".into(), group_id: one.id, group_name: "one".into() },
    ];
    assert_eq!(items, expected);
    for item in &items {
        purge(&world.metadata, item, due, &event("PURGE")).await.unwrap();
    }
    world.metadata.scrub().await.unwrap();
    assert_eq!(world.metadata.due_for_purge(due, 10).await.unwrap(), []);
    assert_eq!(world.metadata.deleted_groups(admin(), 10).await.unwrap(), []);
    assert_eq!(world.metadata.deleted_secrets(admin(), 10).await.unwrap(), []);
    let (secret, versions) = world.metadata.secret(a, &admin(), 10).await.unwrap().unwrap();
    assert_eq!((secret.sealed, secret.purge_at, versions[0].gone_at), (None, None, Some(due)));
    assert_eq!(
        world.metadata.group_sealed(two.id, &member("user:bob@x.io")).await.unwrap(),
        None,
        "its grants are gone"
    );
    let group = world.metadata.group_sealed(two.id, &admin()).await.unwrap().unwrap();
    assert_eq!(group.group.data_key, None);
    assert!(group.secrets.iter().all(|secret| secret.sealed.is_none()));
    if world.postgres.is_some() {
        return;
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(world.folder.path()).unwrap() {
        files.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    let holds = |text: &str| files.windows(marker(text).len()).any(|window| window == marker(text));
    assert_eq!(["a", "b", "c", "key"].map(holds), [false, true, false, false]);
}

/// The actions of all events, newest first.
async fn events(metadata: &Metadata) -> Vec<String> {
    let (events, total) = metadata.audit_events(AuditFilter::default(), 0, 100).await.unwrap();
    assert_eq!(usize::try_from(total).unwrap(), events.len());
    events.into_iter().map(|event| event.action).collect()
}
