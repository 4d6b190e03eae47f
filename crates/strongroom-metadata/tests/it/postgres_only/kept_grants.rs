//! Grants in memory, on several replicas: nobody is shown anything by what was true before a change that was acknowledged.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use strongroom_domain::role::GroupRole::{self, Admin, Editor, Reader, Viewer};
use strongroom_metadata::{
    CommitError, Grant, GrantSource, GroupCreation, IdentityChange, Metadata, Named, NamedRow, PurgeItem,
};

use super::{ask, client, database, started};
use crate::world::{NOW, World, change_identities, event, grant, keep_grants, member, named, purge};

const SUBJECTS: [&str; 3] = ["user:a@x.io", "user:b@x.io", "virtualaccount:bot"];
const TEAMS: [&str; 2] = ["team:devs", "team:ops"];
const GROUPS: usize = 3;
const ROUNDS: u64 = 250;

/// The same numbers for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn some<'a>(&mut self, of: &[&'a str]) -> Vec<&'a str> {
        of.iter().copied().filter(|_| self.roll(2) == 0).collect()
    }
}

/// What is true: nobody reads it while it changes.
#[derive(Clone, Default)]
struct Truth {
    /// Each group's revision and what its own manifest and the binding grant, `None` where it was purged.
    groups: Vec<Option<(GroupCreation, i64, Vec<Grant>)>>,
    bound: Vec<Grant>,
    members: Vec<(usize, &'static str)>,
}

impl Truth {
    fn role(&self, subject: &str, at: usize) -> Option<GroupRole> {
        let (group, _, own) = self.groups[at].as_ref()?;
        let reaches = |grant: &&Grant| {
            let of_team = |(team, member): &(usize, &str)| *member == subject && TEAMS[*team] == grant.subject;
            grant.group_id == group.id && (grant.subject == subject || self.members.iter().any(of_team))
        };
        own.iter().chain(&self.bound).filter(reaches).map(|grant| grant.role).max()
    }
}

struct Stage {
    world: World,
    replicas: [Metadata; 2],
    /// Even while nothing changes.
    phase: AtomicU64,
    truth: Mutex<Truth>,
    binding: NamedRow,
    done: AtomicBool,
    /// Reads that were of one phase, those among them that showed something, and how often grants were in memory.
    read: [AtomicU64; 3],
}

impl Stage {
    async fn new() -> Option<Self> {
        let world = started().await?;
        let other = world.opened_again().await;
        keep_grants(&other).await;
        world.know(&SUBJECTS).await;
        world.know(&TEAMS).await;
        let binding = named("bind");
        let bind = |change: &mut IdentityChange| change.add_named(Named::RoleBinding, &binding, None);
        change_identities(&world.metadata, &event("X"), bind).await.unwrap();
        let replicas = [world.metadata.clone(), other];
        let truth = Truth { groups: vec![None; GROUPS], ..Truth::default() };
        Some(Self {
            world,
            replicas,
            phase: AtomicU64::new(0),
            truth: Mutex::new(truth),
            binding,
            done: AtomicBool::new(false),
            read: [const { AtomicU64::new(0) }; 3],
        })
    }

    /// One change by one of the replicas.
    async fn change(&self, dice: &mut Dice, round: u64) {
        let mut truth = self.truth.lock().unwrap().clone();
        let metadata = &self.replicas[dice.roll(2)];
        let (at, team) = (dice.roll(GROUPS), dice.roll(2));
        self.phase.fetch_add(1, SeqCst);
        match dice.roll(8) {
            _ if truth.groups[at].is_none() => {
                let mut group = self.world.group(&format!("g{round}"), &["A"]);
                group.grants = Self::grants(dice, &group);
                metadata.create_group(&group).await.unwrap();
                truth.groups[at] = Some((group.clone(), 1, group.grants));
            }
            0 | 1 => {
                let members: Vec<_> = dice.some(&SUBJECTS[..2]).into_iter().map(str::to_owned).collect();
                self.identities(metadata, |change| change.replace_team_people(TEAMS[team], &members, &[])).await;
                truth.members.retain(|(of, _)| *of != team);
                let are = |subject: &&&str| members.iter().any(|member| member == **subject);
                truth.members.extend(SUBJECTS.iter().filter(are).map(|member| (team, *member)));
            }
            2 | 3 => {
                let groups: Vec<_> = truth.groups.iter().flatten().map(|(group, ..)| group.clone()).collect();
                truth.bound = groups.iter().flat_map(|group| Self::grants(dice, group)).collect();
                self.identities(metadata, |change| {
                    change.take_grants_from(&self.binding.id);
                    change.grant(GrantSource::RoleBinding, &self.binding.id, &truth.bound, &[]);
                })
                .await;
            }
            4 | 5 => {
                let (group, revision, own) = truth.groups[at].as_mut().unwrap();
                let mut change = self.world.change(group.id, &group.revision.name, *revision);
                *own = Self::grants(dice, group);
                change.grants = Some(own.clone());
                metadata.change_group(&change).await.unwrap();
                *revision += 1;
            }
            6 => {
                let subject = [SUBJECTS[dice.roll(3)], TEAMS[team]][dice.roll(2)];
                self.identities(metadata, |change| change.take_grants_of(subject)).await;
                truth.bound.retain(|grant| grant.subject != subject);
                let groups = truth.groups.iter_mut().flatten();
                groups.for_each(|(_, _, own)| own.retain(|grant| grant.subject != subject));
            }
            _ => {
                let (group, revision, _) = truth.groups[at].take().unwrap();
                let mut change = self.world.change(group.id, &group.revision.name, revision);
                change.group.deleted = Some((NOW, NOW));
                change.all_ended = Some(1);
                metadata.change_group(&change).await.unwrap();
                let item = PurgeItem::Group { id: group.id, name: group.revision.name };
                purge(metadata, &item, NOW, &event("PURGE")).await.unwrap();
                truth.bound.retain(|grant| grant.group_id != group.id);
            }
        }
        *self.truth.lock().unwrap() = truth;
        self.phase.fetch_add(1, SeqCst);
    }

    fn grants(dice: &mut Dice, group: &GroupCreation) -> Vec<Grant> {
        let subjects = [dice.some(&SUBJECTS), dice.some(&TEAMS)].concat();
        let role = |dice: &mut Dice| [Viewer, Reader, Editor, Admin][dice.roll(4)];
        subjects.into_iter().map(|subject| grant(group.id, subject, role(dice))).collect()
    }

    async fn identities(&self, metadata: &Metadata, decide: impl Fn(&mut IdentityChange)) {
        loop {
            match change_identities(metadata, &event("X"), &decide).await {
                Err(CommitError::Missed { .. }) => {}
                outcome => return outcome.unwrap(),
            }
        }
    }

    /// Reads as fast as it goes.
    async fn watch(&self, seed: u64) {
        let mut dice = Dice(seed);
        while !self.done.load(SeqCst) {
            let metadata = &self.replicas[dice.roll(2)];
            let (subject, at, read) = (SUBJECTS[dice.roll(3)], dice.roll(GROUPS), dice.roll(6));
            let before = self.phase.load(SeqCst);
            let truth = self.truth.lock().unwrap().clone();
            let Some((group, ..)) = truth.groups[at].as_ref().filter(|_| before.is_multiple_of(2)) else {
                tokio::task::yield_now().await;
                continue;
            };
            let (looks, id, name) = (member(subject), group.secrets[0].id, &group.folded_name);
            let state = |found: Option<strongroom_metadata::GroupState>| found.and_then(|found| found.group.role);
            let role = match read {
                0 => metadata.role_on(group.id, &looks).await.unwrap(),
                1 => state(metadata.group(group.id, &looks).await.unwrap()),
                2 => state(metadata.group_by_name(name, &looks).await.unwrap()),
                3 => metadata.secret(id, &looks, 1).await.unwrap().and_then(|(secret, _)| secret.role),
                4 => metadata.group_ref_by_name(name, &looks).await.unwrap().and_then(|group| group.role),
                _ => metadata
                    .secret_to_reveal_by_name(name, "A", None, &looks)
                    .await
                    .unwrap()
                    .and_then(|found| found.secret.role),
            };
            if self.phase.load(SeqCst) == before {
                assert_eq!(role, truth.role(subject, at), "{subject}, read {read}, phase {before}");
                self.read[0].fetch_add(1, SeqCst);
                self.read[1].fetch_add(u64::from(role.is_some()), SeqCst);
                self.read[2].fetch_add(u64::from(metadata.checks_in_memory()), SeqCst);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_away_is_never_shown_again() {
    let Some(stage) = Stage::new().await.map(Arc::new) else { return };
    let watchers: Vec<_> = (0..6)
        .map(|seed| {
            let stage = stage.clone();
            tokio::spawn(async move { stage.watch(seed).await })
        })
        .collect();
    let mut dice = Dice(99);
    for round in 0..ROUNDS {
        stage.change(&mut dice, round).await;
        tokio::time::sleep(Duration::from_millis(dice.roll(12) as u64)).await;
    }
    stage.done.store(true, SeqCst);
    for watcher in watchers {
        watcher.await.unwrap();
    }
    let [read, shown, in_memory] = [0, 1, 2].map(|at| stage.read[at].load(SeqCst));
    assert!(read > 2_000 && shown > read / 10 && in_memory > read / 4, "{read}, {shown}, {in_memory}");
}

/// Who changes values or makes groups waits for nobody who changes grants.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_changes_of_grants_move_their_number() {
    let Some(world) = started().await else { return };
    let holder = client(&database(&world).url()).await;
    let number = async || ask(&holder, "(SELECT number FROM grant_number)").await.parse::<i64>().unwrap();
    let before = number().await;
    holder.batch_execute("BEGIN; UPDATE grant_number SET number = number").await.unwrap();
    let admins = |group: &GroupCreation| vec![grant(group.id, "user:admin@x.io", Admin)];
    let mut group = world.group("g", &["A"]);
    group.grants = admins(&group);
    let beside = async {
        world.metadata.create_group(&group).await.unwrap();
        world.metadata.change_group(&world.change(group.id, "g", 1)).await.unwrap();
    };
    tokio::time::timeout(Duration::from_secs(5), beside).await.expect("they wait");
    holder.batch_execute("COMMIT").await.unwrap();
    assert_eq!(number().await, before);
    let mut change = world.change(group.id, "g", 2);
    change.grants = Some(admins(&group));
    world.metadata.change_group(&change).await.unwrap();
    assert!(number().await > before);
}

/// The number of grants comes before the group's row, so that two never wait for each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_changes_grants_waits_before_anything_is_locked() {
    let Some(world) = started().await else { return };
    let url = database(&world).url();
    let (holder, direct) = (client(&url).await, client(&url).await);
    let group = world.group("g", &["A"]);
    world.metadata.create_group(&group).await.unwrap();
    holder.batch_execute("BEGIN; UPDATE grant_number SET number = number").await.unwrap();
    let mut change = world.change(group.id, "g", 1);
    change.grants = Some(vec![grant(group.id, "user:admin@x.io", Admin)]);
    let beside = async {
        let waits = "(SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock') = 1";
        super::until(&direct, waits).await;
        // Its row is free.
        let lock = format!("SELECT 1 FROM secret_groups WHERE id = '{}' FOR UPDATE NOWAIT", group.id);
        holder.batch_execute(&lock).await.unwrap();
        holder.batch_execute("COMMIT").await.unwrap();
    };
    let (outcome, ()) = tokio::join!(world.metadata.change_group(&change), beside);
    outcome.unwrap();
}

/// Whoever writes, by whatever path: a dump that is restored has none, and another one may lead to another number.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_number_moves_whatever_the_path_of_whoever_writes() {
    let Some(world) = started().await else { return };
    let url = database(&world).url();
    let (writer, direct) = (client(&url).await, client(&url).await);
    let mut groups = Vec::new();
    for name in ["a", "b", "c"] {
        let mut group = world.group(name, &["A"]);
        group.grants = vec![grant(group.id, "user:admin@x.io", Admin)];
        world.metadata.create_group(&group).await.unwrap();
        groups.push(group.id);
    }
    let number = async || ask(&direct, "(SELECT number FROM public.grant_number)").await.parse::<i64>().unwrap();
    writer
        .batch_execute(
            "CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.grant_number AS SELECT * FROM public.grant_number; \
             CREATE TABLE elsewhere.grant_changes (LIKE public.grant_changes INCLUDING ALL); \
             CREATE TEMP TABLE grant_changes (number BIGINT, kind BIGINT, id TEXT, PRIMARY KEY (number, kind, id))",
        )
        .await
        .unwrap();
    let mut last = number().await;
    for (group, path) in groups.iter().zip(["''", "elsewhere, public", "pg_temp, public"]) {
        // Two in one transaction move it once.
        let take = format!(
            "SET search_path = {path}; BEGIN; DELETE FROM public.grants WHERE group_id = '{group}'; \
             DELETE FROM public.team_members WHERE team = 'nobody'; \
             DELETE FROM public.grants WHERE group_id = '{group}'; COMMIT"
        );
        writer.batch_execute(&take).await.unwrap();
        assert_eq!(number().await, last + 1, "{path}");
        last += 1;
        let logged = format!("(SELECT COUNT(*) FROM public.grant_changes WHERE number = {last} AND kind = 1)");
        assert_eq!(ask(&direct, &logged).await, "1", "{path}");
    }
}
