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
    let ends = || proptest::option::weighted(0.4, 1..60_i64);
    let on_groups = || vec((0..GROUPS, role()), 1..3);
    prop_oneof![
        6 => (0..GROUPS, vec((0..SUBJECTS, role(), ends()), 0..4)).prop_map(|(group, with)| Op::Share { group, with }),
        4 => (0..BINDINGS, subjects(), 0..GROUPS, role(), ends())
            .prop_map(|(binding, subjects, group, role, ends)| Op::BindMany { binding, subjects, group, role, ends }),
        2 => (0..BINDINGS, 0..SUBJECTS, on_groups(), ends())
            .prop_map(|(binding, subject, on, ends)| Op::BindOne { binding, subject, on, ends }),
        2 => (0..BINDINGS, subjects(), 0..2 + OWN_ROLES, ends())
            .prop_map(|(binding, subjects, role, ends)| Op::BindTenant { binding, subjects, role, ends }),
        2 => (0..BINDINGS).prop_map(|binding| Op::Unbind { binding }),
        4 => (0..TEAMS, vec(0..PERSONS, 0..3), vec(0..PERSONS, 0..2))
            .prop_map(|(team, members, managers)| Op::Team { team, members, managers }),
        2 => (0..TEAMS).prop_map(|team| Op::DropTeam { team }),
        3 => (0..PERSONS, 0..2 + OWN_ROLES).prop_map(|(person, role)| Op::TenantRole { person, role }),
        2 => (0..PERSONS, any::<bool>()).prop_map(|(person, active)| Op::Active { person, active }),
        1 => (0..PERSONS).prop_map(|person| Op::DropPerson { person }),
        1 => (0..PERSONS).prop_map(|person| Op::Register { person }),
        3 => (0..MACHINES, vec((0..GROUPS, role()), 0..3)).prop_map(|(machine, on)| Op::Machine { machine, on }),
        1 => (0..MACHINES).prop_map(|machine| Op::DropMachine { machine }),
        2 => (0..OWN_ROLES, any::<[bool; 3]>()).prop_map(|(role, permissions)| Op::OwnRole { role, permissions }),
        1 => (0..GROUPS).prop_map(|group| Op::DropGroup { group }),
        2 => (0..GROUPS).prop_map(|group| Op::RestoreGroup { group }),
        4 => (1..40_i64).prop_map(|minutes| Op::Wait { minutes }),
        1 => Just(Op::WaitForPurge),
    ]
}

/// `PROPTEST_CASES` and `PROPTEST_MAX_SHRINK_ITERS` say how many, where they are set.
fn config() -> ProptestConfig {
    let set = |name: &str| std::env::var(name).ok().and_then(|number| number.parse().ok());
    // Over a network each case takes several times as long.
    let usual = if std::env::var_os("STRONGROOM_TEST_POSTGRES").is_some() { 6 } else { 20 };
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
    fn everybody_may_do_what_they_were_given_and_nothing_else(values_hidden in any::<bool>(), ops in vec(op(), 1..16)) {
        run(play(values_hidden, &ops));
    }
}
