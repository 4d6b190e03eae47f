use strongroom_domain::{GroupId, Timestamp};

use super::tests::thread;
use super::*;
use crate::entered::Found;
use crate::grants::Entrance;
use crate::sql::params;
use crate::{Metadata, access, changes, identity_change};

const GROUPS: u64 = 4;
const SUBJECTS: [&str; 6] = ["user:a@x.io", "user:b@x.io", "team:c", "team:d", "team:e", "virtualaccount:f"];
const NOW: Timestamp = Timestamp::from_micros(50);

/// A writer's thread without the thread, and the same file read by another connection.
struct World {
    thread: Thread,
    reader: Connection,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metadata.db");
        drop(Metadata::open(&path).unwrap());
        let connection = super::super::open_writing(&path, OpenFlags::empty()).unwrap();
        // Whom a grant names, and on what, matters to nobody here.
        connection.pragma_update(None, "foreign_keys", false).unwrap();
        let reader = super::super::open_reading(&path).unwrap();
        let mut thread = thread(&path, connection);
        thread.load_grants();
        Self { thread, reader, _folder: folder }
    }

    /// Everybody on every group, as it is kept and as it is read.
    fn compare(&self, when: &str) {
        for group in 0..=GROUPS {
            for subject in SUBJECTS {
                let kept =
                    self.thread.grants.entrance(Found::of((id(group), true)), subject, NOW).expect("all is kept");
                let sql = access::ROLE_ON_GROUP.sqlite();
                let asked = params![subject, NOW, id(group)];
                let read = |row: &rusqlite::Row<'_>| row.get::<_, Option<i64>>(0);
                let read = self.reader.query_row(sql, rusqlite::params_from_iter(asked), read).unwrap();
                assert_eq!(
                    kept.role.map(strongroom_domain::role::GroupRole::rank),
                    read,
                    "{subject} on {group}, {when}"
                );
                let sql = "SELECT MIN(expires_at) FROM grants WHERE group_id = ?1 AND expires_at > ?2 AND \
                    (subject = ?3 OR subject IN (SELECT team FROM team_members WHERE member = ?3))";
                let asked = params![id(group), NOW, subject];
                let read = |row: &rusqlite::Row<'_>| row.get::<_, Option<i64>>(0);
                let read = self.reader.query_row(sql, rusqlite::params_from_iter(asked), read).unwrap();
                assert_eq!(kept.until.map(Timestamp::micros), read, "until, {subject} on {group}, {when}");
            }
        }
    }

    /// Runs a statement and leaves its transaction open.
    fn begin(&self, add: impl FnOnce(&mut Batch)) -> &Connection {
        let connection = self.thread.connection.as_ref().unwrap();
        let mut batch = Batch::default();
        add(&mut batch);
        connection.execute_batch("BEGIN").unwrap();
        assert_eq!(self.thread.grants.execute(connection, &batch.steps[0]).unwrap(), 1);
        connection
    }

    fn entrance(&self) -> Option<Entrance> {
        self.thread.grants.entrance(Found::of((id(1), true)), SUBJECTS[0], NOW)
    }
}

fn id(number: u64) -> GroupId {
    GroupId::parse(&format!("0192f0c1-2b3c-7d4e-8f50-{number:012}")).unwrap()
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

    /// Adds a change to a batch; some break a rule, and then all of the batch is undone.
    fn step(&mut self, batch: &mut Batch) {
        let (group, subject, source) = (id(self.roll(GROUPS)), self.subject(), format!("s{}", self.roll(2)));
        match self.roll(9) {
            0..3 => {
                let role = [10, 15, 20, 30][usize::try_from(self.roll(4)).unwrap()];
                let until = [None, Some(20), Some(60), Some(70)][usize::try_from(self.roll(4)).unwrap()];
                let grant = params![group, subject, "role-binding", source, role, until];
                batch.one(Guard::SubjectName, &changes::INSERT_GRANT, grant);
            }
            3 => batch.any(Guard::Fresh, &identity_change::DELETE_GRANTS_OF_SUBJECT, params![subject]),
            4 => batch.any(Guard::Fresh, &identity_change::DELETE_GRANTS_OF_SOURCE, params![source]),
            5 => batch.any(Guard::Fresh, &identity_change::DELETE_EXPIRED_GRANTS_OF, params![subject, 50]),
            6 => batch.any(Guard::Fresh, &identity_change::DELETE_MEMBERS, params![subject]),
            7 => batch.any(Guard::Fresh, &crate::purge::DELETE_GRANTS, params![group]),
            _ => {
                let member = params![self.subject(), subject];
                batch.one(Guard::SubjectName, &identity_change::INSERT_MEMBER, member);
            }
        }
    }
}

fn joins(batch: &mut Batch) {
    batch.one(Guard::SubjectName, &identity_change::INSERT_MEMBER, params!["team:c", "user:a@x.io"]);
}

#[test]
fn what_is_kept_is_what_would_be_read() {
    let mut world = World::new();
    let mut outcomes = [0, 0];
    for seed in 0..600 {
        let mut dice = Dice(seed);
        let batches: Vec<_> = (0..=dice.roll(3))
            .map(|_| {
                let mut batch = Batch::default();
                (0..=dice.roll(4)).for_each(|_| dice.step(&mut batch));
                batch
            })
            .collect();
        for outcome in world.thread.commit_all(&batches) {
            outcomes[usize::from(outcome.is_ok())] += 1;
        }
        world.compare(&format!("seed {seed}"));
    }
    assert!(outcomes.iter().all(|number| *number > 100), "{outcomes:?}");
}

#[test]
fn an_entrance_ends_with_a_change_of_any_grant_and_with_nothing_else() {
    let mut world = World::new();
    let before = world.entrance().unwrap();
    let mut other = Batch::default();
    other.one(Guard::Fresh, &identity_change::INSERT_SUBJECT, params!["team:x", "x"]);
    assert!(world.thread.commit_all(&[other])[0].is_ok());
    assert!(world.thread.grants.holds(before));
    let mut member = Batch::default();
    member.one(Guard::Fresh, &identity_change::INSERT_MEMBER, params!["team:c", "user:b@x.io"]);
    assert!(world.thread.commit_all(&[member])[0].is_ok());
    assert!(!world.thread.grants.holds(before));
}

#[test]
fn nothing_is_told_while_a_change_is_committed() {
    let world = World::new();
    let connection = world.begin(joins);
    let before = world.entrance().unwrap();
    let commit = || {
        assert_eq!(world.entrance(), None);
        connection.execute_batch("COMMIT")
    };
    world.thread.grants.while_committing(commit).unwrap();
    assert!(world.entrance().is_some() && !world.thread.grants.holds(before));
}

#[test]
fn a_commit_that_failed_ends_what_is_kept_until_it_is_read_again() {
    let mut world = World::new();
    let connection = world.begin(joins);
    let before = world.entrance().unwrap();
    // It may have reached the disk all the same, and here it did.
    let failed = world
        .thread
        .grants
        .while_committing(|| connection.execute_batch("COMMIT").and(Err::<(), _>(rusqlite::Error::InvalidQuery)));
    assert!(failed.is_err() && world.entrance().is_none() && !world.thread.grants.holds(before));
    world.thread.load_grants();
    world.compare("read again");
}

#[test]
fn a_row_that_makes_no_sense_leaves_checks_to_the_database() {
    let mut world = World::new();
    world.thread.connection.as_ref().unwrap().pragma_update(None, "ignore_check_constraints", true).unwrap();
    let connection = world.begin(|batch| {
        let grant = params![id(1), "user:a@x.io", "manifest", "", 7, None::<i64>];
        batch.one(Guard::SubjectName, &changes::INSERT_GRANT, grant);
    });
    world.thread.grants.while_committing(|| connection.execute_batch("COMMIT")).unwrap();
    assert_eq!(world.entrance(), None);
    world.thread.load_grants();
    assert_eq!(world.entrance(), None);
    assert!(!world.thread.keeps_grants);
}

#[test]
fn a_change_that_can_not_be_followed_ends_what_is_kept() {
    static ODD: crate::sql::Sql = crate::sql::Sql::new("ODD", "UPDATE grants SET role = 10 WHERE role = ?1");
    let mut world = World::new();
    let mut batch = Batch::default();
    batch.any(Guard::Fresh, &ODD, params![20]);
    assert!(world.thread.commit_all(&[batch])[0].is_ok());
    assert_eq!(world.entrance(), None);
    world.thread.load_grants();
    world.compare("read again");
}
