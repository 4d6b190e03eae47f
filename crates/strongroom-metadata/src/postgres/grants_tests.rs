use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use strongroom_domain::role::GroupRole;
use strongroom_domain::{GroupId, Timestamp};

use super::super::PostgresAddress;
use super::*;
use crate::access::ROLE_ON_GROUP;
use crate::{Metadata, PostgresOptions};

const GROUPS: u64 = 4;
const SUBJECTS: [&str; 6] = ["user:a@x.io", "user:b@x.io", "team:c", "team:d", "team:e", "virtualaccount:f"];

/// A database whose grants name whom and what they like, and two replicas over it.
struct World {
    server: String,
    name: String,
    replicas: Vec<Metadata>,
}

impl World {
    /// `None` where the test command names no server.
    async fn new() -> Option<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let server = std::env::var("STRONGROOM_TEST_POSTGRES").ok()?;
        let name = format!("grants_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        strongroom_throwaway::psql(&server, &format!("CREATE DATABASE {name}")).unwrap();
        let mut world = Self { server, name, replicas: Vec::new() };
        for _ in 0..2 {
            let options = PostgresOptions {
                address: PostgresAddress::parse(&world.url(), None).unwrap(),
                direct: None,
                connections: 8,
                timeout: Duration::from_secs(10),
                prepared_statements: true,
            };
            world.replicas.push(Metadata::connect(&options).await.unwrap());
        }
        world.run(
            "ALTER TABLE grants DROP CONSTRAINT group_grants_group_id_fkey; \
             ALTER TABLE grants DROP CONSTRAINT group_grants_subject_fkey; \
             ALTER TABLE team_members DROP CONSTRAINT team_members_team_fkey; \
             ALTER TABLE team_members DROP CONSTRAINT team_members_member_fkey; \
             ALTER TABLE secret_groups DROP CONSTRAINT secret_groups_integration_id_fkey;",
        );
        for replica in &world.replicas {
            replica.keep_grants().await.unwrap();
        }
        Some(world)
    }

    fn url(&self) -> String {
        strongroom_throwaway::with_database(&self.server, &self.name)
    }

    fn run(&self, sql: &str) -> String {
        strongroom_throwaway::psql(&self.url(), sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    fn number(&self) -> u64 {
        self.run("SELECT number FROM grant_number").trim().parse().unwrap()
    }

    fn grant(&self, group: u64, subject: &str) {
        self.run(&format!("INSERT INTO grants VALUES ('{}', '{subject}', 'manifest', '', 20, NULL)", id(group)));
    }

    /// Waits until a replica's grants are of the present number.
    async fn followed(&self, at: usize) {
        let (number, began) = (self.number(), Instant::now());
        let grants = self.grants(at);
        while grants.number() != Some(number) || !grants.is_loaded() {
            assert!(began.elapsed() < Duration::from_secs(10), "{:?} instead of {number}", grants.number());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    fn grants(&self, at: usize) -> &Grants {
        &self.replicas[at].postgres().unwrap().shared.grants
    }

    fn kept(&self, at: usize, group: u64, subject: &str) -> Option<GroupRole> {
        let viewpoint = Viewpoint { floor: None, subject: subject.to_owned() };
        let entrance = self.grants(at).entrance(Hint::Group(id(group)), &viewpoint, now());
        entrance.map(|(_, entrance)| entrance.role.unwrap())
    }

    /// Everybody on every group, as it is kept and as it is read.
    async fn compare(&self, when: &str) {
        for at in 0..2 {
            self.followed(at).await;
            for group in 0..GROUPS {
                for subject in SUBJECTS {
                    let asked = params![subject, now(), id(group)];
                    let role = |row: &Row<'_>| crate::groups::read_role(row, 0);
                    let read = self.replicas[0].first(&ROLE_ON_GROUP, &asked, role).await.unwrap().flatten();
                    assert_eq!(self.kept(at, group, subject), read, "{subject} on {group} at replica {at}, {when}");
                }
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.replicas.clear();
        let _ = strongroom_throwaway::psql(&self.server, &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

fn id(number: u64) -> GroupId {
    GroupId::parse(&format!("0192f0c1-2b3c-7d4e-8f50-{number:012}")).unwrap()
}

const fn now() -> Timestamp {
    Timestamp::from_micros(50)
}

/// The same numbers for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn subject(&mut self) -> &'static str {
        SUBJECTS[usize::try_from(self.roll(6)).unwrap()]
    }

    fn statement(&mut self) -> String {
        let (group, subject, source) = (id(self.roll(GROUPS)), self.subject(), self.roll(2));
        let role = [10, 15, 20, 30][usize::try_from(self.roll(4)).unwrap()];
        let until = ["NULL", "20", "60", "70"][usize::try_from(self.roll(4)).unwrap()];
        match self.roll(14) {
            0..5 => format!(
                "INSERT INTO grants VALUES ('{group}', '{subject}', 'role-binding', 's{source}', {role}, {until}) \
                 ON CONFLICT DO NOTHING;"
            ),
            5 => format!("DELETE FROM grants WHERE subject = '{subject}';"),
            6 => format!("DELETE FROM grants WHERE source_id = 's{source}';"),
            7 => format!("DELETE FROM grants WHERE group_id = '{group}';"),
            8 => format!("UPDATE grants SET role = {role} WHERE group_id = '{group}';"),
            9 => format!("DELETE FROM team_members WHERE team = '{subject}';"),
            10 if self.roll(3) == 0 => "TRUNCATE grants;".into(),
            11 => format!(
                "SAVEPOINT s; INSERT INTO team_members VALUES ('{}', '{subject}') ON CONFLICT DO NOTHING; \
                 ROLLBACK TO s;",
                self.subject()
            ),
            _ => {
                format!("INSERT INTO team_members VALUES ('{}', '{subject}') ON CONFLICT DO NOTHING;", self.subject())
            }
        }
    }
}

#[tokio::test]
async fn what_is_followed_is_what_would_be_read() {
    let Some(world) = World::new().await else { return };
    world.compare("nothing").await;
    for seed in 0..60 {
        let mut dice = Dice(seed);
        for _ in 0..=dice.roll(2) {
            let statements: String = (0..=dice.roll(4)).map(|_| dice.statement()).collect();
            let end = if dice.roll(5) == 0 { "ROLLBACK" } else { "COMMIT" };
            world.run(&format!("BEGIN; {statements} {end}"));
        }
        world.compare(&format!("seed {seed}")).await;
    }
}

#[tokio::test]
async fn what_was_read_with_another_number_does_not_hold() {
    let Some(world) = World::new().await else { return };
    world.grant(1, SUBJECTS[0]);
    world.followed(0).await;
    let grants = world.grants(0);
    let shared = &world.replicas[0].postgres().unwrap().shared;
    let viewpoint = Viewpoint { floor: None, subject: SUBJECTS[0].to_owned() };
    let entrance = || grants.entrance(Hint::Group(id(1)), &viewpoint, now()).map(|(_, entrance)| entrance);
    let before = entrance().unwrap();
    assert!(grants.holds(before, Some(world.number()), shared));
    assert!(!grants.holds(before, None, shared));
    assert!(!grants.holds(before, Some(world.number() + 1), shared));
    assert_eq!(entrance(), None, "what is behind is not used");
    world.followed(0).await;
    // Another connection may lead to another server.
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
        WHERE datname = current_database() AND application_name = 'strongroom reads'";
    world.run(kill);
    let before = entrance().unwrap();
    let began = Instant::now();
    while world.replicas[0].first(&ROLE_ON_GROUP, &params!["", now(), id(1)], |_| Ok(())).await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(10));
    }
    assert!(!grants.holds(before, Some(world.number()), shared));
    world.followed(0).await;
    assert!(grants.holds(entrance().unwrap(), Some(world.number()), shared));
    assert!(!grants.holds(before, Some(world.number()), shared), "it was of the connections before");
}

#[tokio::test]
async fn a_new_group_moves_no_number_and_is_learned() {
    let Some(world) = World::new().await else { return };
    world.followed(0).await;
    let number = world.number();
    let [new, changed] = [2, 3].map(|at| {
        format!(
            "INSERT INTO secret_groups (id, name, name_search, integration_id, manifest, revision, revision_mac, \
             data_key, data_key_kek, seals, created_by, created_at, updated_at) \
             VALUES ('{}', 'g{at}', 'g{at}', 'i', '{{}}', 1, '', '', 1, 0, '{{}}', 1, 1); \
             INSERT INTO grants VALUES ('{}', '{}', 'manifest', '', 20, NULL);",
            id(at),
            id(at),
            SUBJECTS[0]
        )
    });
    world.run(&format!("BEGIN; {new} COMMIT"));
    assert_eq!(world.number(), number);
    assert_eq!(world.kept(0, 2, SUBJECTS[0]), None);
    let viewpoint = Viewpoint { floor: None, subject: SUBJECTS[0].to_owned() };
    assert_eq!(world.replicas[0].role_on(id(2), &viewpoint).await.unwrap(), Some(GroupRole::Editor));
    let began = Instant::now();
    while world.kept(0, 2, SUBJECTS[0]).is_none() {
        assert!(began.elapsed() < Duration::from_secs(10), "it is not learned");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // As anybody's refusals would fill it, what nobody sees is not.
    let nobody = Viewpoint { floor: None, subject: SUBJECTS[1].to_owned() };
    assert_eq!(world.replicas[1].role_on(id(2), &nobody).await.unwrap(), None);
    assert!(lock(&world.grants(1).unknown).is_empty());
    // A group that was there before, in the same transaction or another.
    world.run(&format!("BEGIN; {changed} UPDATE secret_groups SET revision = 2 WHERE id = '{}'; COMMIT", id(2)));
    assert_eq!(world.number(), number);
    world.run(&format!("BEGIN; UPDATE secret_groups SET revision = 3 WHERE id = '{}'; COMMIT", id(2)));
    assert_eq!(world.number(), number);
    world.grant(2, SUBJECTS[1]);
    assert_eq!(world.number(), number + 1);
    world.grant(3, SUBJECTS[1]);
    world.compare("a second grant").await;
}

/// Without the log there is only one way to know.
#[tokio::test]
async fn what_can_not_be_followed_is_read_again() {
    let Some(world) = World::new().await else { return };
    world.grant(1, SUBJECTS[0]);
    world.followed(0).await;
    let silently = |sql: &str| {
        world.run(&format!("ALTER TABLE grants DISABLE TRIGGER USER; {sql}; ALTER TABLE grants ENABLE TRIGGER USER"));
    };
    silently(&format!("INSERT INTO grants VALUES ('{}', '{}', 'manifest', '', 30, NULL)", id(2), SUBJECTS[1]));
    world.run("DELETE FROM grant_changes; UPDATE grant_number SET number = number + 10000");
    world.followed(0).await;
    assert_eq!(world.kept(0, 2, SUBJECTS[1]), None, "so far back all is kept");
    world.run("UPDATE grant_number SET number = number + 10001");
    world.compare("the log is not long enough").await;
    assert_eq!(world.kept(0, 2, SUBJECTS[1]), Some(GroupRole::Admin));
    silently("DELETE FROM grants");
    world.run("UPDATE grant_number SET number = number - 1");
    world.compare("the number went back").await;
    assert_eq!(world.kept(0, 2, SUBJECTS[1]), None);
}
