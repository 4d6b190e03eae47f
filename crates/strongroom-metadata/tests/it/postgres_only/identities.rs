//! Replicas that change identities at a time: of those that were decided on one state one wins, and nobody waits in a
//! circle.

use futures_util::future::join_all;
use strongroom_domain::role::GroupRole;
use strongroom_metadata::{
    CommitError, GrantSource, Guard, IdentityChange, Metadata, Named, NamedRow, SigningKeyRow, UserRow,
};

use super::{client, database, started, until};
use crate::world::{NOW, World, change_identities, event, grant, id, named, user};

/// What two replicas change in opposite orders: each row that one has, the other wants.
fn decide(change: &mut IdentityChange, users: &[UserRow; 2], teams: &[NamedRow; 2], turned: bool) {
    let order = if turned { [1, 0] } else { [0, 1] };
    for at in order {
        change.update_user(&users[at]);
        change.update_named(Named::Team, &teams[at], None);
        let members = order.map(|at| format!("user:{}", users[at].email));
        change.replace_team_people(&format!("team:{}", teams[at].name), &members, &[]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_pair_one_wins_and_they_never_block_each_other() {
    const ROUNDS: usize = 40;
    let Some(world) = started().await else { return };
    let (users, teams) = (["a@x.io", "b@x.io"].map(user), ["aa", "bb"].map(named));
    let add = |change: &mut IdentityChange| {
        for (user, team) in users.iter().zip(&teams) {
            change.add_user(user);
            change.add_named(Named::Team, team, None);
        }
    };
    change_identities(&world.metadata, &event("X"), add).await.unwrap();
    let replicas = [world.opened_again().await, world.opened_again().await];
    let direct = client(&database(&world).url()).await;
    let number = async || super::ask(&direct, "SELECT number FROM change_number").await.parse::<usize>().unwrap();
    let before = number().await;
    let mut wins = [0; 2];
    for _ in 0..ROUNDS {
        let begun = join_all(replicas.iter().map(Metadata::begin_identity_change)).await;
        let commits = begun.into_iter().zip(&replicas).enumerate().map(async |(at, (change, replica))| {
            let mut change = change.unwrap();
            decide(&mut change, &users, &teams, at == 1);
            replica.commit_identity_change(change, &event("PAIR")).await
        });
        let outcomes = join_all(commits).await;
        let won = outcomes.iter().position(Result::is_ok).unwrap_or_else(|| panic!("nobody wins: {outcomes:?}"));
        assert!(
            matches!(outcomes[1 - won], Err(CommitError::Missed { guard: Guard::ChangeNumber })),
            "only one of both: {outcomes:?}"
        );
        wins[won] += 1;
    }
    assert_eq!((wins[0] + wins[1], number().await - before), (ROUNDS, ROUNDS));
    assert_eq!(
        super::ask(&direct, "SELECT COUNT(*) FROM audit_events WHERE action = 'PAIR'").await,
        ROUNDS.to_string()
    );
    drop(direct);
    ended_without_deadlocks(world, replicas).await;
}

/// The same in a rush, beside changes of groups that share rows with them, and of what is not decided on a number: each
/// is told the truth, and what was refused is decided again until it is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rush_of_all_that_changes_who_may_what() {
    const ROUNDS: i64 = 12;
    let Some(world) = started().await else { return };
    world.know(&["user:a@x.io", "user:b@x.io", "team:devs"]).await;
    let groups = [world.create("one", &[], &[]).await, world.create("two", &[], &[]).await];
    let replicas = [world.opened_again().await, world.opened_again().await];
    let subjects = ["user:a@x.io", "user:b@x.io", "team:devs"];
    let binding = async |replica: &Metadata, turned: bool| {
        for round in 0..ROUNDS {
            let source = format!("binding-{turned}-{}", round % 2);
            let mut grants: Vec<_> = groups
                .iter()
                .flat_map(|group| subjects.map(|subject| grant(group.id, subject, GroupRole::Editor)))
                .collect();
            if turned {
                grants.reverse();
            }
            loop {
                let decide = |change: &mut IdentityChange| {
                    change.take_grants_from(&source);
                    change.grant(GrantSource::RoleBinding, &source, &grants, &[]);
                };
                match change_identities(replica, &event("BIND"), decide).await {
                    Ok(()) => break,
                    Err(CommitError::Missed { guard: Guard::ChangeNumber }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
    };
    let group = async |replica: &Metadata, at: usize| {
        for revision in 1..=ROUNDS {
            let mut change = world.change(groups[at].id, &groups[at].revision.name, revision);
            let mut grants = subjects.map(|subject| grant(groups[at].id, subject, GroupRole::Viewer)).to_vec();
            if revision % 2 == 0 {
                grants.reverse();
            }
            change.grants = Some(grants);
            replica.change_group(&change).await.unwrap();
        }
    };
    let keys = async |replica: &Metadata| {
        for _ in 0..ROUNDS {
            let key = SigningKeyRow { id: id(), public: vec![1], sealed: vec![2], kek: 1, created_at: NOW };
            replica.add_signing_key(&key, &event("KEY")).await.unwrap();
        }
    };
    tokio::join!(
        binding(&replicas[0], false),
        binding(&replicas[1], true),
        group(&replicas[0], 0),
        group(&replicas[1], 1),
        keys(&replicas[0])
    );
    // Each source has its own: four of bindings, and the manifest.
    for group in &groups {
        let grants = world.metadata.grants_on(group.id).await.unwrap();
        assert_eq!(grants.len(), subjects.len() * 5, "{grants:?}");
    }
    ended_without_deadlocks(world, replicas).await;
}

/// Who collided with somebody would have run again without a word; the server has counted it.
async fn ended_without_deadlocks(world: World, replicas: [Metadata; 2]) {
    let direct = client(&database(&world).url()).await;
    drop(replicas);
    let World { metadata, postgres: _postgres, .. } = world;
    drop(metadata);
    // A session's figures are there when it has ended.
    let others = "(SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
        AND backend_type = 'client backend') = 0";
    until(&direct, others).await;
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(super::ask(&direct, deadlocks).await, "0");
}
