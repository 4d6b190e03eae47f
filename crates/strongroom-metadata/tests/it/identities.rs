//! What a change of identities and policy writes is read back.

use strongroom_domain::role::GroupRole;
use strongroom_domain::subject::{SubjectKind, SubjectName};
use strongroom_metadata::{
    GrantSource, IdentityChange, MachineKind, MachineRow, Named, NamedRow, Page, PersonRow, RoleGrant, RoleGrantRow,
    SigningKeyRow, SyncState, TokenPurpose, UserRow,
};

use crate::world::{NOW, World, change_identities, event, grant, id, machine, named, role_grant, token, user};

async fn change(world: &World, decide: impl FnOnce(&mut IdentityChange)) {
    change_identities(&world.metadata, &event("X"), decide).await.unwrap();
}

fn name(text: &str) -> SubjectName {
    SubjectName::parse(text).unwrap()
}

const fn page<Id>(before: Option<Id>, offset: i64, limit: i64) -> Page<Id> {
    Page { before, offset, limit }
}

#[tokio::test]
async fn persons_in_pages() {
    let world = World::started().await;
    let metadata = &world.metadata;
    let users: Vec<_> = ["ann@x.io", "ben_2@x.io", "ben%3@x.io", "cee@x.io"].map(user).into();
    for user in &users {
        change(&world, |change| change.add_user(user)).await;
        assert_eq!(metadata.user(user.id).await.unwrap().as_ref(), Some(user));
    }
    assert_eq!(metadata.user(id()).await.unwrap(), None);
    assert_eq!(metadata.count_admins().await.unwrap(), 1);
    let cee = UserRow { tenant_role: "tenant-admin".into(), updated_at: NOW.plus_seconds(9), ..users[3].clone() };
    let ann = UserRow { active: false, tenant_role: "tenant-admin".into(), ..users[0].clone() };
    change(&world, |change| {
        change.update_user(&cee);
        change.update_user(&ann);
    })
    .await;
    assert_eq!(metadata.user_by_email("cee@x.io").await.unwrap().as_ref(), Some(&cee));
    assert_eq!(metadata.count_admins().await.unwrap(), 2, "who may not act is no admin");
    let found = async |search: &str, inactive_too, page| {
        let (users, total) = metadata.user_page(search, inactive_too, page).await.unwrap();
        (users.into_iter().map(|user| user.email).collect::<Vec<_>>(), total)
    };
    let all = || page(None, 0, 100);
    let emails = |emails: &[&str]| emails.iter().map(|email| (*email).to_owned()).collect::<Vec<_>>();
    let newest_first = ["cee@x.io", "ben%3@x.io", "ben_2@x.io", "ann@x.io", "admin@x.io"];
    assert_eq!(found("", true, all()).await, (emails(&newest_first), 5));
    assert_eq!(found("", false, all()).await.1, 4);
    assert_eq!(found("BEN", false, all()).await, (emails(&["ben%3@x.io", "ben_2@x.io"]), 2));
    assert_eq!(found("n_", true, all()).await.0, ["ben_2@x.io"]);
    assert_eq!(found("%", true, all()).await.0, ["ben%3@x.io"]);
    assert_eq!(found("nobody", true, all()).await, (vec![], 0));
    assert_eq!(found(&"x".repeat(999), true, all()).await, (vec![], 0));
    assert_eq!(found("", true, page(None, 1, 2)).await, (emails(&newest_first[1..3]), 5));
    assert_eq!(found("", true, page(Some(users[2].id), 0, 2)).await, (emails(&newest_first[2..4]), 5));
}

#[tokio::test]
async fn tokens_as_their_owner_manages_them() {
    let world = World::started().await;
    let (metadata, bob, bot) = (&world.metadata, user("bob@x.io"), machine("bot"));
    let key = SigningKeyRow { id: id(), public: vec![1; 32], sealed: vec![2; 60], kek: 7, created_at: NOW };
    let newer = SigningKeyRow { id: id(), created_at: NOW.plus_seconds(1), ..key.clone() };
    metadata.add_signing_key(&newer, &event("X")).await.unwrap();
    metadata.add_signing_key(&key, &event("X")).await.unwrap();
    assert_eq!(metadata.signing_keys().await.unwrap(), [newer, key.clone()]);
    let mut tokens = [2, 3, 4].map(|hash| token(hash, SubjectKind::User, bob.id));
    tokens[0].signing_key = Some(key.id);
    tokens[1].expires_at = None;
    let mut of_bot = token(5, SubjectKind::VirtualAccount, bot.id);
    of_bot.purpose = TokenPurpose::Machine;
    change(&world, |change| {
        change.add_user(&bob);
        change.add_machine(&bot, "virtualaccount:bot");
        tokens.iter().chain([&of_bot]).for_each(|token| change.add_token(token));
    })
    .await;
    let owned = async |owner: String| metadata.tokens_of(&owner).await.unwrap();
    let ids = |owned: &[strongroom_metadata::OwnedToken]| owned.iter().map(|token| token.id).collect::<Vec<_>>();
    let found = owned(bob.id.to_string()).await;
    assert_eq!(ids(&found), [tokens[2].id, tokens[1].id, tokens[0].id], "newest first");
    assert_eq!((found[2].signing_key, found[2].purpose), (Some(key.id), TokenPurpose::Personal));
    assert_eq!((found[1].expires_at, &found[1].name, found[1].created_at), (None, &tokens[1].name, NOW));
    assert_eq!(metadata.token_by_id(tokens[1].id).await.unwrap().as_ref(), Some(&found[1]));
    assert_eq!(owned(bot.id.to_string()).await[0].purpose, TokenPurpose::Machine);

    // Those that would live longer don't; the machine's are others.
    let soon = NOW.plus_seconds(60);
    change(&world, |change| change.shorten_tokens(&bob.id.to_string(), soon)).await;
    assert!(owned(bob.id.to_string()).await.iter().all(|token| token.expires_at == Some(soon)));
    change(&world, |change| change.shorten_tokens(&bob.id.to_string(), NOW.plus_days(1))).await;
    assert!(owned(bob.id.to_string()).await.iter().all(|token| token.expires_at == Some(soon)));
    assert_eq!(owned(bot.id.to_string()).await[0].expires_at, of_bot.expires_at);
    change(&world, |change| change.revoke_token(tokens[1].id, NOW)).await;
    assert_eq!(ids(&owned(bob.id.to_string()).await), [tokens[2].id, tokens[0].id]);
    assert_eq!(metadata.token_by_id(tokens[1].id).await.unwrap().unwrap().revoked_at, Some(NOW));
    change(&world, |change| change.revoke_tokens(SubjectKind::User, &bob.id.to_string(), NOW.plus_seconds(1))).await;
    assert_eq!(ids(&owned(bob.id.to_string()).await), []);
    assert_eq!(metadata.token_by_id(tokens[1].id).await.unwrap().unwrap().revoked_at, Some(NOW), "and not again");
    assert_eq!(owned(bot.id.to_string()).await.len(), 1);

    // One invitation a person: the newest.
    let until = NOW.plus_days(7);
    change(&world, |change| change.invite(&[7; 32], bob.id, NOW, NOW)).await;
    change(&world, |change| change.invite(&[8; 32], bob.id, NOW, until)).await;
    assert_eq!(metadata.invitation(&[7; 32]).await.unwrap(), None);
    assert_eq!(metadata.invitation(&[8; 32]).await.unwrap(), Some((bob.id, until)));
}

#[tokio::test]
async fn machines_of_both_kinds() {
    let world = World::started().await;
    let metadata = &world.metadata;
    let mut bot = MachineRow { rotate_at: Some(NOW.plus_days(2)), target_group: Some(id()), ..machine("bot") };
    let agent = MachineRow { kind: MachineKind::AgentIdentity, ..machine("agent-bot") };
    let other = MachineRow { rotate_at: Some(NOW.plus_days(1)), ..machine("other") };
    let of_agent = token(6, SubjectKind::AgentIdentity, agent.id);
    change(&world, |change| {
        change.add_machine(&bot, "virtualaccount:bot");
        change.add_machine(&agent, "agent:agent-bot");
        change.add_machine(&other, "virtualaccount:other");
        change.add_token(&of_agent);
    })
    .await;
    assert_eq!(metadata.machine(agent.id).await.unwrap().as_ref(), Some(&agent));
    assert_eq!(metadata.machine_by_name("agent-bot").await.unwrap().as_ref(), Some(&agent));
    let subject = metadata.token(&of_agent.hash).await.unwrap().unwrap().subject.unwrap();
    assert_eq!((subject.id, subject.name), (agent.id.to_string(), name("agent:agent-bot")));
    let found = async |kind, search: &str, page| {
        let (machines, total) = metadata.machine_page(kind, search, page).await.unwrap();
        (machines.into_iter().map(|machine| machine.name).collect::<Vec<_>>(), total)
    };
    let accounts = MachineKind::VirtualAccount;
    assert_eq!(found(accounts, "", page(None, 0, 9)).await, (vec!["other".into(), "bot".into()], 2));
    assert_eq!(found(accounts, "", page(Some(other.id), 0, 9)).await, (vec!["bot".into()], 2));
    assert_eq!(found(accounts, "BOT", page(None, 0, 9)).await, (vec!["bot".into()], 1));
    assert_eq!(found(MachineKind::AgentIdentity, "bot", page(None, 0, 9)).await, (vec!["agent-bot".into()], 1));

    let due = async |at| {
        let due = metadata.due_rotations(at, 9).await.unwrap();
        due.into_iter().map(|machine| machine.name).collect::<Vec<_>>()
    };
    assert_eq!(due(NOW).await, [""; 0]);
    assert_eq!(due(NOW.plus_days(1)).await, ["other"]);
    assert_eq!(due(NOW.plus_days(2)).await, ["other", "bot"], "who waits longest first");
    let sync = SyncState { token: Some("t".into()), at: Some(NOW), error: Some("no such group".into()) };
    change(&world, |change| change.set_sync(bot.id, &sync)).await;
    bot.sync = sync;
    assert_eq!(metadata.machine(bot.id).await.unwrap().as_ref(), Some(&bot));
    let sync = SyncState { token: Some("u".into()), at: Some(NOW.plus_seconds(1)), error: None };
    bot = MachineRow { manifest: "{}".into(), rotate_at: None, target_group: Some(id()), sync, ..bot };
    bot.updated_at = NOW.plus_seconds(5);
    change(&world, |change| change.update_machine(&bot)).await;
    assert_eq!(metadata.machine(bot.id).await.unwrap().as_ref(), Some(&bot));
    assert_eq!(due(NOW.plus_days(9)).await, ["other"]);

    // It goes with what it was granted, and its token opens nothing.
    change(&world, |change| change.remove_machine(agent.id, SubjectKind::AgentIdentity, "agent:agent-bot", NOW)).await;
    let found = metadata.token(&of_agent.hash).await.unwrap().unwrap();
    assert_eq!((found.subject, found.revoked_at), (None, Some(NOW)));
    assert_eq!(metadata.machine_by_name("agent-bot").await.unwrap(), None);
    assert_eq!(metadata.subject(&name("agent:agent-bot")).await.unwrap(), None);
}

#[tokio::test]
async fn what_has_a_name() {
    let world = World::started().await;
    let metadata = &world.metadata;
    let kinds = [Named::Team, Named::Role, Named::RoleBinding, Named::IdentityProvider];
    for what in kinds {
        // The same name in each kind: they are apart.
        let mut rows: Vec<NamedRow> = ["same", "s%", "other"].map(named).into();
        for row in &rows {
            change(&world, |change| change.add_named(what, row, Some(("account", "[]")))).await;
        }
        rows[0].manifest = "{\"name\":2}".into();
        rows[0].updated_at = NOW.plus_seconds(3);
        change(&world, |change| change.update_named(what, &rows[0], Some("[\"x\"]"))).await;
        for row in &rows {
            assert_eq!(metadata.named(what, &row.id).await.unwrap().as_ref(), Some(row));
            assert_eq!(metadata.named_by_name(what, &row.name).await.unwrap().as_ref(), Some(row));
            for other in kinds.into_iter().filter(|other| *other != what) {
                assert_eq!(metadata.named(other, &row.id).await.unwrap(), None);
            }
        }
        let found = async |search: &str, page| {
            let (found, total) = metadata.named_page(what, search, page).await.unwrap();
            (found.into_iter().map(|row| row.name).collect::<Vec<_>>(), total)
        };
        assert_eq!(found("", page(None, 0, 9)).await, (vec!["other".into(), "s%".into(), "same".into()], 3));
        assert_eq!(found("S%", page(None, 0, 9)).await, (vec!["s%".into()], 1));
        let before = Some(uuid::Uuid::parse_str(&rows[2].id).unwrap());
        assert_eq!(found("", page(before, 0, 1)).await, (vec!["s%".into()], 3));
        assert_eq!(found("", page(None, 2, 9)).await, (vec!["same".into()], 3));
        change(&world, |change| change.remove_named(what, &rows[2])).await;
        assert_eq!(metadata.named(what, &rows[2].id).await.unwrap(), None);
    }
}

#[tokio::test]
async fn teams_and_what_they_are_granted() {
    let world = World::started().await;
    let metadata = &world.metadata;
    world.know(&["user:bob@x.io", "user:carol@x.io", "virtualaccount:bot"]).await;
    let (devs, ops, own, bind) = (named("devs"), named("ops"), named("own"), named("bind"));
    let strings = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let until = Some(NOW.plus_days(1));
    let roles = [
        role_grant("team:devs", "account", "tenant", "own"),
        RoleGrant { expires_at: until, ..role_grant("user:bob@x.io", "team", &ops.id, "team-manager") },
        role_grant("user:carol@x.io", "team", &ops.id, "team-viewer"),
    ];
    change(&world, |change| {
        change.add_named(Named::Team, &devs, None);
        change.add_named(Named::Team, &ops, None);
        change.add_named(Named::Role, &own, Some(("account", "[\"read\"]")));
        change.add_named(Named::RoleBinding, &bind, None);
        change.replace_team_people(
            "team:devs",
            &strings(&["virtualaccount:bot", "user:bob@x.io"]),
            &strings(&["user:carol@x.io"]),
        );
        change.grant(GrantSource::RoleBinding, &bind.id, &[], &roles);
    })
    .await;
    let found = metadata.memberships(&name("user:bob@x.io")).await.unwrap();
    assert_eq!((&found.teams, &found.manages), (&strings(&["team:devs", "team:everyone"]), &vec![]));
    let row = |grant: &RoleGrant, permissions: Option<&str>| RoleGrantRow {
        resource_type: grant.resource_type.clone(),
        resource_id: grant.resource_id.clone(),
        role: grant.role.clone(),
        permissions: permissions.map(str::to_owned),
        expires_at: grant.expires_at,
        subject: grant.subject.clone(),
        source: "role-binding".into(),
        source_id: bind.id.clone(),
    };
    let rows = [row(&roles[0], Some("[\"read\"]")), row(&roles[1], None), row(&roles[2], None)];
    assert_eq!(found.roles, rows[..2], "those of their teams too, and ended ones");
    let found = metadata.memberships(&name("user:carol@x.io")).await.unwrap();
    assert_eq!((found.teams, found.manages), (strings(&["team:everyone"]), strings(&["team:devs"])));
    assert_eq!(found.roles, rows[2..]);
    assert_eq!(metadata.memberships(&name("virtualaccount:bot")).await.unwrap().teams, ["team:devs"]);
    assert_eq!(metadata.roles_on("team", &ops.id).await.unwrap(), rows[1..]);
    assert_eq!(metadata.roles_on("team", &devs.id).await.unwrap(), []);

    let people = async |team: &str, managers, offset, limit| {
        let (people, total) = metadata.team_people(team, managers, offset, limit).await.unwrap();
        (people.into_iter().map(|member| member.name).collect::<Vec<_>>(), total)
    };
    assert_eq!(people("team:devs", false, 0, 9).await, (strings(&["user:bob@x.io", "virtualaccount:bot"]), 2));
    assert_eq!(people("team:devs", false, 1, 1).await, (strings(&["virtualaccount:bot"]), 2));
    assert_eq!(people("team:devs", true, 0, 9).await, (strings(&["user:carol@x.io"]), 1));
    assert_eq!(people("team:everyone", false, 0, 1).await, (strings(&["user:admin@x.io"]), 3));
    let (members, _) = metadata.team_people("team:devs", true, 0, 9).await.unwrap();
    let carol = metadata.user_by_email("carol@x.io").await.unwrap().unwrap();
    assert_eq!(members[0].id, carol.id.to_string());

    // A role of one's own is asked for by those who hold it.
    assert_eq!((metadata.role_uses("own").await.unwrap(), metadata.role_uses("none").await.unwrap()), (1, 0));
    let carol = UserRow { tenant_role: "own".into(), ..carol };
    change(&world, |change| change.update_user(&carol)).await;
    assert_eq!(metadata.role_uses("own").await.unwrap(), 2);
    let person = metadata.subject(&name("user:carol@x.io")).await.unwrap().unwrap().person;
    assert_eq!(
        person,
        Some(PersonRow { tenant_role: "own".into(), permissions: Some("[\"read\"]".into()), active: true })
    );

    // What a team is goes with it: its people, what it was granted, and who had a role on it.
    change(&world, |change| change.remove_named(Named::Team, &ops)).await;
    assert_eq!(metadata.roles_on("team", &ops.id).await.unwrap(), []);
    change(&world, |change| change.remove_named(Named::Team, &devs)).await;
    let found = metadata.memberships(&name("user:bob@x.io")).await.unwrap();
    assert_eq!((found.teams, found.roles), (strings(&["team:everyone"]), vec![]));
    assert_eq!(metadata.memberships(&name("user:carol@x.io")).await.unwrap().manages, [""; 0]);
    assert_eq!(metadata.subject(&name("team:devs")).await.unwrap(), None);
}

#[tokio::test]
async fn bindings_and_mappings() {
    let world = World::started().await;
    let metadata = &world.metadata;
    let group = world.create("g", &["A"], &[("user:bob@x.io", GroupRole::Viewer)]).await;
    world.know(&["virtualaccount:bot", "agent:helper"]).await;
    let (one, two, provider) = (named("one"), named("two"), named("idp"));
    let grants = [grant(group.id, "user:bob@x.io", GroupRole::Editor)];
    let others = [role_grant("user:bob@x.io", "provider-integration", "i", "x")];
    change(&world, |change| {
        for binding in [&one, &two] {
            change.add_named(Named::RoleBinding, binding, None);
            change.grant(GrantSource::RoleBinding, &binding.id, &grants, &others);
        }
        change.add_named(Named::IdentityProvider, &provider, None);
    })
    .await;
    let sources = async || {
        let rows = metadata.grants_on_for(group.id, "user:bob@x.io").await.unwrap();
        let of_others = metadata.roles_on("provider-integration", "i").await.unwrap();
        let mut names: Vec<_> = rows.into_iter().map(|row| format!("{} {}", row.source, row.source_name)).collect();
        names.sort();
        (names, of_others.len())
    };
    let strings = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(sources().await, (strings(&["manifest ", "role-binding one", "role-binding two"]), 2));
    // Each takes back its own, and the group's manifest its own.
    change(&world, |change| change.remove_named(Named::RoleBinding, &one)).await;
    assert_eq!(sources().await, (strings(&["manifest ", "role-binding two"]), 1));
    change(&world, |change| change.take_grants_from("")).await;
    let mut private = world.change(group.id, "g", 1);
    private.grants = Some(Vec::new());
    metadata.change_group(&private).await.unwrap();
    assert_eq!(sources().await, (strings(&["role-binding two"]), 1));
    change(&world, |change| change.take_grants_of("user:bob@x.io")).await;
    assert_eq!(sources().await, (vec![], 0));

    let of = |value: &str| (provider.id.clone(), value.to_owned());
    change(&world, |change| {
        change.replace_mappings("virtualaccount:bot", &[of("a"), of("b")]);
        change.replace_mappings("agent:helper", &[of("c")]);
    })
    .await;
    let mapped = async |value: &str| {
        let found = metadata.mapped_subject(&provider.id, value).await.unwrap();
        found.map(|name| name.as_str().to_owned())
    };
    let bot = Some("virtualaccount:bot".to_owned());
    assert_eq!((mapped("a").await, mapped("b").await, mapped("A").await), (bot.clone(), bot.clone(), None));
    assert_eq!(mapped("c").await.as_deref(), Some("agent:helper"));
    change(&world, |change| change.replace_mappings("virtualaccount:bot", &[of("b"), of("d")])).await;
    assert_eq!((mapped("a").await, mapped("b").await, mapped("d").await), (None, bot.clone(), bot));
    assert_eq!(metadata.mapped_subject("other", "b").await.unwrap(), None);
}
