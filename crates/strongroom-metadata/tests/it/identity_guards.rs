//! Guards of changes of identities and policy: missed, they leave nothing written.

use strongroom_domain::role::GroupRole;
use strongroom_domain::subject::SubjectKind;
use strongroom_metadata::{
    AccountRow, CommitError, GrantSource, Guard, IdentityChange, IntegrationRow, Named, SigningKeyRow, SyncState,
    UserRow,
};

use crate::guards::{Stage, missed, misses};
use crate::world::{NOW, World, change_identities, event, grant, id, machine, named, role_grant, token, user};

const BOB: &str = "user:bob@x.io";
const BOT: &str = "virtualaccount:bot";
const IDLE: &str = "virtualaccount:idle";

/// Decides a change and writes it.
async fn change(world: &World, decide: impl FnOnce(&mut IdentityChange)) -> Result<(), CommitError> {
    change_identities(&world.metadata, &event("X"), decide).await
}

async fn bob(world: &World) -> UserRow {
    world.metadata.user_by_email("bob@x.io").await.unwrap().unwrap()
}

/// A change that misses this guard and writes nothing.
async fn refused(world: &World, guard: Guard, decide: impl FnOnce(&mut IdentityChange)) {
    let before = world.dump();
    missed(change(world, decide).await, guard);
    assert_eq!(world.dump(), before, "{guard:?}");
}

#[tokio::test]
async fn each_row_of_a_change_of_a_person() {
    misses(&[Guard::ChangeNumber, Guard::UserState, Guard::Fresh], |stage| {
        Box::pin(async {
            let bob = UserRow { active: false, ..bob(&stage.world).await };
            change(&stage.world, |change| change.update_user(&bob)).await
        })
    })
    .await;
    misses(&[Guard::ChangeNumber, Guard::Fresh, Guard::Invitation, Guard::Fresh], |stage| {
        Box::pin(async {
            let bob = bob(&stage.world).await;
            change(&stage.world, |change| {
                change.invite(&[1; 32], bob.id, NOW, NOW.plus_days(1));
                change.accept_invitation(&[1; 32]);
            })
            .await
        })
    })
    .await;
    misses(&[Guard::ChangeNumber, Guard::Token, Guard::Fresh], |stage| {
        Box::pin(async {
            change(&stage.world, |change| change.revoke_token(stage.world.new.admin_token.id, NOW)).await
        })
    })
    .await;
}

#[tokio::test]
async fn each_row_of_a_change_of_a_team_and_a_mapping() {
    misses(&[Guard::ChangeNumber, Guard::MachineState, Guard::Fresh], |stage| {
        Box::pin(async {
            let sync = SyncState { token: Some("t".into()), at: Some(NOW), error: None };
            change(&stage.world, |change| change.set_sync(stage.idle.id, &sync)).await
        })
    })
    .await;
    let expected = [
        Guard::ChangeNumber,
        Guard::SubjectName,
        Guard::SubjectName,
        Guard::SubjectName,
        Guard::SubjectName,
        Guard::NamedState,
        Guard::Fresh,
    ];
    misses(&expected, |stage| {
        Box::pin(async {
            let team = named("devs");
            change(&stage.world, |change| {
                change.add_named(Named::Team, &team, None);
                change.replace_team_people("team:devs", &[BOB.into()], &[BOB.into()]);
                change.update_named(Named::Team, &team, None);
            })
            .await
        })
    })
    .await;
    let expected = [Guard::ChangeNumber, Guard::SubjectName, Guard::Mapping, Guard::SubjectName, Guard::Fresh];
    misses(&expected, |stage| {
        Box::pin(async {
            let provider = named("idp");
            change(&stage.world, |change| {
                change.add_named(Named::IdentityProvider, &provider, None);
                change.replace_mappings(IDLE, &[(provider.id.clone(), "sub".into())]);
                let others = [role_grant(BOB, "team", "x", "team-manager")];
                change.grant(GrantSource::RoleBinding, "binding", &[], &others);
            })
            .await
        })
    })
    .await;
}

#[tokio::test]
async fn each_row_of_a_change_of_what_has_a_name() {
    let kinds = [Named::Role, Named::RoleBinding, Named::IdentityProvider];
    let of_each = [Guard::SubjectName, Guard::NamedState, Guard::SubjectInUse];
    let of_store = [
        Guard::SubjectName,
        Guard::NamedState,
        Guard::SubjectName,
        Guard::NamedState,
        // It goes and comes again.
        Guard::SubjectInUse,
        Guard::SubjectName,
        Guard::SubjectInUse,
        Guard::SubjectInUse,
    ];
    let expected = [&[Guard::ChangeNumber][..], &of_each, &of_each, &of_each, &of_store, &[Guard::Fresh]].concat();
    misses(&expected, |stage| {
        Box::pin(async move {
            let row = named("new");
            let (account, integration) = store(&stage.world);
            change(&stage.world, |change| {
                for what in kinds {
                    change.add_named(what, &row, Some(("account", "[]")));
                    change.update_named(what, &row, Some("[\"x\"]"));
                    change.remove_named(what, &row);
                }
                change.add_account(&account);
                change.update_account(&account);
                change.add_integration(&integration);
                change.update_integration(&integration);
                change.move_integration(&integration);
                change.remove_integration(integration.id);
                change.remove_account(&account);
            })
            .await
        })
    })
    .await;
}

/// A second account with an integration.
fn store(world: &World) -> (AccountRow, IntegrationRow) {
    let account = AccountRow { id: id(), name: "other".into(), fqn: "d:t:other".into(), ..world.new.account.clone() };
    let integration = IntegrationRow {
        id: id(),
        account_id: account.id,
        account_fqn: account.fqn.clone(),
        fqn: "d:t:other:s:db".into(),
        ..world.new.integration.clone()
    };
    (account, integration)
}

/// Who is gone is neither changed, nor granted anything, nor put into a team.
#[tokio::test]
async fn whoever_is_gone() {
    let Stage { world, group, idle, .. } = &Stage::new().await;
    let gone = bob(world).await;
    world.know(&["team:devs"]).await;
    change(world, |change| {
        change.take_grants_of(BOB);
        change.remove_user(&gone, NOW);
        change.remove_machine(idle.id, SubjectKind::VirtualAccount, IDLE, NOW);
    })
    .await
    .unwrap();
    refused(world, Guard::UserState, |change| change.update_user(&gone)).await;
    refused(world, Guard::SubjectInUse, |change| change.remove_user(&gone, NOW)).await;
    refused(world, Guard::MachineState, |change| change.update_machine(idle)).await;
    refused(world, Guard::MachineState, |change| change.set_sync(idle.id, &SyncState::default())).await;
    refused(world, Guard::NamedState, |change| change.update_named(Named::Team, &named("none"), None)).await;
    refused(world, Guard::NamedState, |change| change.update_named(Named::Role, &named("none"), None)).await;
    refused(world, Guard::SubjectInUse, |change| change.remove_named(Named::RoleBinding, &named("none"))).await;
    refused(world, Guard::Fresh, |change| change.invite(&[1; 32], gone.id, NOW, NOW)).await;
    for subject in [BOB, IDLE, "team:none", "user:Bob@x.io", ""] {
        let groups = [grant(group.id, subject, GroupRole::Viewer)];
        for source in [GrantSource::RoleBinding, GrantSource::VirtualAccount] {
            refused(world, Guard::SubjectName, |change| change.grant(source, "s", &groups, &[])).await;
        }
        let others = [role_grant(subject, "account", "x", "own")];
        refused(world, Guard::SubjectName, |change| change.grant(GrantSource::RoleBinding, "b", &[], &others)).await;
        let people = [subject.to_owned()];
        refused(world, Guard::SubjectName, |change| change.replace_team_people("team:devs", &people, &[])).await;
        refused(world, Guard::SubjectName, |change| change.replace_team_people("team:devs", &[], &people)).await;
        let provider = named("idp");
        refused(world, Guard::Mapping, |change| {
            change.add_named(Named::IdentityProvider, &provider, None);
            change.replace_mappings(subject, &[(provider.id.clone(), "sub".into())]);
        })
        .await;
        // Nor by the collaborators of a group's manifest.
        let before = world.dump();
        let mut collaborators = world.change(group.id, "live", 2);
        collaborators.grants = Some(groups.to_vec());
        missed(world.metadata.change_group(&collaborators).await, Guard::SubjectName);
        let mut new = world.group("new", &["A"]);
        new.grants = vec![grant(new.id, subject, GroupRole::Viewer)];
        missed(world.metadata.create_group(&new).await, Guard::SubjectName);
        assert_eq!(world.dump(), before, "{subject}");
    }
    refused(world, Guard::SubjectName, |change| change.replace_team_people("team:none", &[BOT.into()], &[])).await;
}

/// Whoever still has something stays.
#[tokio::test]
async fn whoever_still_has_something() {
    let Stage { world, group, .. } = &Stage::new().await;
    let bob = bob(world).await;
    // By the group's manifest, which the stage has written.
    refused(world, Guard::SubjectInUse, |change| change.remove_user(&bob, NOW)).await;
    let mut private = world.change(group.id, "live", 2);
    private.grants = Some(Vec::new());
    world.metadata.change_group(&private).await.unwrap();
    let others = [role_grant(BOB, "account", "x", "own")];
    change(world, |change| change.grant(GrantSource::RoleBinding, "b", &[], &others)).await.unwrap();
    refused(world, Guard::SubjectInUse, |change| change.remove_user(&bob, NOW)).await;
    // Somebody else's grants are not theirs.
    refused(world, Guard::SubjectInUse, |change| {
        change.take_grants_of(BOT);
        change.take_grants_from("c");
        change.remove_user(&bob, NOW);
    })
    .await;
    let (invitation, own) = ([1; 32], token(9, SubjectKind::User, bob.id));
    change(world, |change| {
        change.add_token(&own);
        change.invite(&invitation, bob.id, NOW, NOW.plus_days(1));
        change.take_grants_from("b");
        change.remove_user(&bob, NOW);
    })
    .await
    .unwrap();
    assert_eq!(world.metadata.invitation(&invitation).await.unwrap(), None);
    assert_eq!(world.metadata.token(&own.hash).await.unwrap().unwrap().revoked_at, Some(NOW));
    assert_eq!(world.behind().number("SELECT COUNT(*) FROM team_members WHERE member LIKE 'user:bob%'"), 0);

    let (provider, (account, integration)) = (named("idp"), store(world));
    change(world, |change| {
        change.add_named(Named::IdentityProvider, &provider, None);
        change.replace_mappings(BOT, &[(provider.id.clone(), "sub".into())]);
        change.add_account(&account);
        change.add_integration(&integration);
    })
    .await
    .unwrap();
    refused(world, Guard::SubjectInUse, |change| change.remove_named(Named::IdentityProvider, &provider)).await;
    refused(world, Guard::SubjectInUse, |change| change.remove_account(&account)).await;
    refused(world, Guard::SubjectInUse, |change| change.remove_integration(world.new.integration.id)).await;
    refused(world, Guard::SubjectInUse, |change| change.move_integration(&world.new.integration)).await;
    change(world, |change| {
        change.replace_mappings(BOT, &[]);
        change.remove_named(Named::IdentityProvider, &provider);
        change.remove_integration(integration.id);
        change.remove_account(&account);
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn what_somebody_else_has_taken() {
    let Stage { world, idle, .. } = &Stage::new().await;
    let bob = bob(world).await;
    let provider = named("idp");
    let of_provider = |value: &str| [(provider.id.clone(), value.to_owned())];
    change(world, |change| {
        change.add_named(Named::Team, &named("devs"), None);
        change.add_named(Named::Role, &named("own"), Some(("account", "[]")));
        change.add_named(Named::RoleBinding, &named("bind"), None);
        change.add_named(Named::IdentityProvider, &provider, None);
        change.replace_mappings(BOT, &of_provider("sub"));
        change.invite(&[1; 32], bob.id, NOW, NOW.plus_days(1));
    })
    .await
    .unwrap();
    for (what, name) in [
        (Named::Team, "devs"),
        (Named::Team, "everyone"),
        (Named::Role, "own"),
        (Named::RoleBinding, "bind"),
        (Named::IdentityProvider, "idp"),
    ] {
        refused(world, Guard::SubjectName, |change| change.add_named(what, &named(name), Some(("account", "[]"))))
            .await;
    }
    refused(world, Guard::UserEmail, |change| change.add_user(&user("bob@x.io"))).await;
    // Machines of both kinds share their names.
    refused(world, Guard::SubjectName, |change| change.add_machine(&machine("bot"), BOT)).await;
    refused(world, Guard::SubjectName, |change| change.add_machine(&machine("bot"), "agent:bot")).await;
    refused(world, Guard::Mapping, |change| change.replace_mappings(IDLE, &of_provider("sub"))).await;
    refused(world, Guard::Mapping, |change| change.replace_mappings(IDLE, &[("no".into(), "sub".into())])).await;
    change(world, |change| change.replace_mappings(IDLE, &of_provider("other"))).await.unwrap();
    refused(world, Guard::Fresh, |change| change.invite(&[1; 32], world.new.admin.id, NOW, NOW)).await;
    refused(world, Guard::Invitation, |change| change.accept_invitation(&[2; 32])).await;
    change(world, |change| change.accept_invitation(&[1; 32])).await.unwrap();
    refused(world, Guard::Invitation, |change| change.accept_invitation(&[1; 32])).await;
    let own = token(9, SubjectKind::VirtualAccount, idle.id);
    change(world, |change| change.add_token(&own)).await.unwrap();
    change(world, |change| change.revoke_token(own.id, NOW)).await.unwrap();
    refused(world, Guard::Token, |change| change.revoke_token(own.id, NOW)).await;
    refused(world, Guard::Token, |change| change.add_token(&token(9, SubjectKind::User, bob.id))).await;
}

/// Of two that were decided on the same state one is decided again, whatever they are about.
#[tokio::test]
async fn two_that_were_decided_on_one_state() {
    let Stage { world, group, .. } = &Stage::new().await;
    let metadata = &world.metadata;
    let mut number = world.behind().number("SELECT number FROM change_number");
    let mut moved = || {
        let before = std::mem::replace(&mut number, world.behind().number("SELECT number FROM change_number"));
        number - before
    };
    let (mut first, mut second) =
        (metadata.begin_identity_change().await.unwrap(), metadata.begin_identity_change().await.unwrap());
    first.add_user(&user("first@x.io"));
    second.add_named(Named::RoleBinding, &named("second"), None);
    metadata.commit_identity_change(second, &event("X")).await.unwrap();
    assert_eq!(moved(), 1);
    let before = world.dump();
    missed(metadata.commit_identity_change(first, &event("X")).await, Guard::ChangeNumber);
    assert_eq!((world.dump(), moved()), (before, 0));
    change(world, |change| change.add_user(&user("first@x.io"))).await.unwrap();
    assert_eq!(moved(), 1);

    // What isn't decided on a number moves it all the same; groups and events don't.
    let stale = metadata.begin_identity_change().await.unwrap();
    let key = SigningKeyRow { id: id(), public: vec![1], sealed: vec![2], kek: 1, created_at: NOW };
    metadata.add_signing_key(&key, &event("X")).await.unwrap();
    assert_eq!(moved(), 1);
    missed(metadata.commit_identity_change(stale, &event("X")).await, Guard::ChangeNumber);
    let mut fresh = metadata.begin_identity_change().await.unwrap();
    metadata.change_group(&world.change(group.id, "live", 2)).await.unwrap();
    metadata.record(event("X")).await.unwrap();
    assert_eq!(moved(), 0);
    fresh.take_grants_of(BOB);
    metadata.commit_identity_change(fresh, &event("X")).await.unwrap();
    assert_eq!(moved(), 1);
    // A change without anything in it is one.
    change(world, |_| {}).await.unwrap();
    assert_eq!(moved(), 1);
}
