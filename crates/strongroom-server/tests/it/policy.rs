//! Who may do what, after anything that may happen: what the app explains and what its routes do, against a model that
//! knows nothing of how either is decided.

mod changes;
mod checks;
mod model;
mod world;

use std::future::Future;

use proptest::collection::vec;
use proptest::prelude::*;
use strongroom_testkit::TestApp;

use world::{BINDINGS, GROUPS, MACHINES, OWN_ROLES, Op, PERSONS, SUBJECTS, TEAMS, World};

fn op() -> impl Strategy<Value = Op> {
    let subjects = || vec(0..SUBJECTS, 1..4);
    let role = || 0..5_usize;
    let ends = || proptest::option::weighted(0.5, 1..60_i64);
    let on_groups = || vec((0..GROUPS, role()), 1..3);
    prop_oneof![
        6 => (0..GROUPS, vec((0..SUBJECTS, role(), ends()), 0..4)).prop_map(|(group, with)| Op::Share { group, with }),
        4 => (0..BINDINGS, subjects(), 0..GROUPS, role(), ends())
            .prop_map(|(binding, subjects, group, role, ends)| Op::BindMany { binding, subjects, group, role, ends }),
        2 => (0..BINDINGS, 0..SUBJECTS, on_groups(), ends())
            .prop_map(|(binding, subject, on, ends)| Op::BindOne { binding, subject, on, ends }),
        4 => (0..BINDINGS, subjects(), 0..2 + OWN_ROLES, ends())
            .prop_map(|(binding, subjects, role, ends)| Op::BindTenant { binding, subjects, role, ends }),
        2 => (0..BINDINGS).prop_map(|binding| Op::Unbind { binding }),
        4 => (0..TEAMS, vec(0..PERSONS, 0..3), vec(0..PERSONS, 0..2))
            .prop_map(|(team, members, managers)| Op::Team { team, members, managers }),
        2 => (0..TEAMS).prop_map(|team| Op::DropTeam { team }),
        3 => (0..PERSONS, 0..2 + OWN_ROLES).prop_map(|(person, role)| Op::TenantRole { person, role }),
        2 => (0..PERSONS, any::<bool>()).prop_map(|(person, active)| Op::Active { person, active }),
        1 => (0..PERSONS).prop_map(|person| Op::DropPerson { person }),
        1 => (0..PERSONS).prop_map(|person| Op::Register { person }),
        3 => (0..MACHINES, vec((0..GROUPS, role(), ends()), 0..3)).prop_map(|(machine, on)| Op::Machine { machine, on }),
        1 => (0..MACHINES).prop_map(|machine| Op::DropMachine { machine }),
        2 => (0..OWN_ROLES, any::<[bool; 3]>()).prop_map(|(role, permissions)| Op::OwnRole { role, permissions }),
        1 => (0..GROUPS).prop_map(|group| Op::DropGroup { group }),
        2 => (0..GROUPS).prop_map(|group| Op::RestoreGroup { group }),
        6 => (1..60_i64).prop_map(|minutes| Op::Wait { minutes }),
        1 => Just(Op::WaitForPurge),
    ]
}

/// `PROPTEST_CASES` and `PROPTEST_MAX_SHRINK_ITERS` say how many, where they are set.
fn config() -> ProptestConfig {
    let set = |name: &str| std::env::var(name).ok().and_then(|number| number.parse().ok());
    // Over a network each case takes several times as long.
    let usual = if std::env::var_os("STRONGROOM_TEST_POSTGRES").is_some() { 4 } else { 16 };
    ProptestConfig {
        cases: set("PROPTEST_CASES").unwrap_or(usual),
        max_shrink_iters: set("PROPTEST_MAX_SHRINK_ITERS").unwrap_or(150),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

async fn play(values_hidden: bool, ops: &[Op]) {
    let hidden = if values_hidden { "true" } else { "false" };
    let app = TestApp::with("DISABLE_SECRET_VALUE_VIEW", hidden).start().await;
    let mut world = World::new(&app, values_hidden).await;
    checks::check(&world, 0).await;
    for (step, op) in ops.iter().enumerate() {
        world.apply(op).await;
        checks::check(&world, step + 1).await;
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn everybody_may_do_what_they_were_given_and_nothing_else(values_hidden in any::<bool>(), ops in vec(op(), 1..24)) {
        run(play(values_hidden, &ops));
    }
}

/// What chance finds too seldom: each way to something and its end, one after the other.
#[test]
fn everything_that_was_given_ends() {
    let (anna, ben) = (0, 1);
    let (own_team, everyone) = (PERSONS + MACHINES, SUBJECTS - 1);
    let (viewer, reader, editor, admin) = (0, 1, 2, 3);
    let (views, reads) = (2, 3);
    let ends = Some(10);
    let script = [
        // Of a person in a team, by each kind of grant, until it ends.
        Op::Team { team: 0, members: vec![anna], managers: vec![ben] },
        Op::Share { group: 0, with: vec![(own_team, reader, ends), (ben, viewer, None)] },
        Op::Wait { minutes: 11 },
        Op::BindMany { binding: 0, subjects: vec![own_team, ben], group: 0, role: editor, ends },
        Op::Wait { minutes: 11 },
        Op::BindTenant { binding: 0, subjects: vec![own_team], role: reads, ends },
        Op::Wait { minutes: 11 },
        Op::BindTenant { binding: 1, subjects: vec![everyone], role: views, ends },
        Op::Wait { minutes: 11 },
        Op::BindTenant { binding: 1, subjects: vec![ben, PERSONS], role: 1, ends },
        Op::Wait { minutes: 11 },
        // By leaving the team, and with it.
        Op::BindTenant { binding: 0, subjects: vec![own_team], role: 1, ends: None },
        Op::BindMany { binding: 1, subjects: vec![own_team], group: 1, role: admin, ends: None },
        Op::Team { team: 0, members: vec![ben], managers: vec![anna] },
        Op::DropTeam { team: 0 },
        Op::Team { team: 0, members: vec![anna, ben], managers: vec![] },
        Op::BindTenant { binding: 0, subjects: vec![own_team], role: reads, ends: None },
        Op::OwnRole { role: reads - 2, permissions: [true, false, true] },
        Op::Unbind { binding: 0 },
        // With the person, who is another when they are registered again.
        Op::TenantRole { person: anna, role: reads },
        Op::OwnRole { role: reads - 2, permissions: [false, true, false] },
        Op::Share { group: 0, with: vec![(anna, admin, None), (everyone, reader, ends)] },
        Op::BindTenant { binding: 0, subjects: vec![anna], role: 1, ends: None },
        Op::Active { person: anna, active: false },
        Op::Active { person: anna, active: true },
        Op::DropPerson { person: anna },
        Op::Register { person: anna },
        // What is said again is given again, though the manifest is the one that was there.
        Op::Share { group: 0, with: vec![(anna, reader, None)] },
        Op::Team { team: 1, members: vec![anna, ben], managers: vec![] },
        Op::BindMany { binding: 0, subjects: vec![anna, own_team + 1], group: 1, role: viewer, ends: None },
        Op::DropPerson { person: anna },
        Op::Register { person: anna },
        Op::Share { group: 0, with: vec![(anna, reader, None)] },
        Op::Team { team: 1, members: vec![anna, ben], managers: vec![] },
        Op::BindMany { binding: 0, subjects: vec![anna, own_team + 1], group: 1, role: viewer, ends: None },
        // With the machine, by the machine's own word and by another's.
        Op::Machine { machine: 0, on: vec![(0, reader, ends), (1, admin, None)] },
        Op::BindOne { binding: 2, subject: PERSONS, on: vec![(0, editor), (1, viewer)], ends: None },
        Op::BindTenant { binding: 1, subjects: vec![PERSONS], role: reads, ends: None },
        Op::Wait { minutes: 11 },
        Op::Machine { machine: 0, on: vec![(1, editor, None)] },
        Op::DropMachine { machine: 0 },
        Op::Machine { machine: 0, on: vec![] },
        // With the group; what it comes back with is what it had.
        Op::Share { group: 1, with: vec![(ben, editor, Some(50)), (everyone, viewer, None)] },
        Op::DropGroup { group: 1 },
        Op::Wait { minutes: 11 },
        Op::RestoreGroup { group: 1 },
        Op::DropGroup { group: 1 },
        Op::WaitForPurge,
        Op::RestoreGroup { group: 1 },
    ];
    for values_hidden in [false, true] {
        run(play(values_hidden, &script));
    }
}
