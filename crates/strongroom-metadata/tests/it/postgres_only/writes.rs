//! Writes of four kinds, each with a question by which the database tells whether all of it is there, nothing, or half.

use std::sync::Mutex;

use strongroom_domain::role::GroupRole;
use strongroom_metadata::{
    AuditRow, CommitError, GroupChange, GroupCreation, Guard, IdentityChange, KeyState, Metadata, UserRow,
};
use tokio_postgres::Client;

use super::ask;
use crate::world::{World, change_identities, event, grant, id, lifetime, user, version};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    CreateGroup,
    ChangeGroup,
    CreateUser,
    Event,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::CreateGroup, Self::ChangeGroup, Self::CreateUser, Self::Event];
}

enum What {
    Create(Box<GroupCreation>),
    Change(Box<GroupChange>),
    /// Decided when it is made; again where somebody else was first.
    User(UserRow, Mutex<Option<IdentityChange>>, AuditRow),
    Event(AuditRow),
}

/// One write that is made once.
pub(crate) struct Write {
    what: What,
    /// Gives `whole` or `nothing`.
    question: String,
    whole: &'static str,
    nothing: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    Whole,
    Nothing,
}

/// How a write under a fault ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    Written,
    NotWritten,
    Unknown,
}

pub(crate) fn told(outcome: &Result<(), CommitError>) -> Told {
    match outcome {
        Ok(()) => Told::Written,
        Err(CommitError::Unavailable(reason)) if reason.contains("unknown") => Told::Unknown,
        Err(_) => Told::NotWritten,
    }
}

impl Write {
    /// A change is of a group that is made for it here, by whatever way `world` takes.
    pub(crate) async fn new(kind: Kind, world: &World) -> Self {
        let name = id::<uuid::Uuid>().to_string();
        match kind {
            Kind::CreateGroup => {
                let mut new = world.group(&name, &["A", "B"]);
                new.grants = vec![grant(new.id, "user:admin@x.io", GroupRole::Viewer)];
                Self {
                    question: of_group(&new.id.to_string(), &new.event),
                    what: What::Create(Box::new(new)),
                    whole: "1 1 2 2 2 0 1 1",
                    nothing: "0 0 0 0 0 0 0",
                }
            }
            Kind::ChangeGroup => Self::try_change(world).await.unwrap(),
            Kind::CreateUser => {
                let user = UserRow { email: format!("{name}@x.io"), ..user("") };
                let event = event("CREATE_USER");
                let question = format!(
                    "concat_ws(' ', (SELECT COUNT(*) FROM users WHERE id = '{id}'), \
                     (SELECT COUNT(*) FROM subjects WHERE id = '{id}'), \
                     (SELECT COUNT(*) FROM team_members WHERE member = 'user:{}'), {})",
                    user.email,
                    of_event(&event),
                    id = user.id,
                );
                let mut change = world.metadata.begin_identity_change().await.ok();
                if let Some(change) = &mut change {
                    change.add_user(&user);
                }
                let what = What::User(user, Mutex::new(change), event);
                Self { what, question, whole: "1 1 1 1", nothing: "0 0 0 0" }
            }
            Kind::Event => {
                let event = event("READ_SECRET_VALUE");
                let question = format!("concat_ws(' ', {})", of_event(&event));
                Self { what: What::Event(event), question, whole: "1", nothing: "0" }
            }
        }
    }

    /// `None` when its group can't be made.
    pub(crate) async fn try_change(world: &World) -> Option<Self> {
        let name = id::<uuid::Uuid>().to_string();
        let mut new = world.group(&name, &["A"]);
        new.grants = vec![grant(new.id, "user:admin@x.io", GroupRole::Viewer)];
        world.metadata.create_group(&new).await.ok()?;
        let a = new.secrets[0].id;
        let mut change = world.change(new.id, &name, 1);
        let key = "A".to_owned();
        change.states = vec![KeyState { id: a, expected_version: 1, version: 2, key, deleted: None }];
        change.versions = vec![version(a, "A", 2)];
        change.ended = vec![a];
        change.began = vec![lifetime(a, "A", 2)];
        change.grants = Some(Vec::new());
        Some(Self {
            question: of_group(&new.id.to_string(), &change.event),
            what: What::Change(Box::new(change)),
            whole: "2 2 1 2 2 1 0 1",
            nothing: "1 1 1 1 1 0 1 0",
        })
    }

    pub(crate) async fn run(&self, metadata: &Metadata) -> Result<(), CommitError> {
        match &self.what {
            What::Create(new) => metadata.create_group(new).await,
            What::Change(change) => metadata.change_group(change).await,
            What::User(user, change, event) => {
                let decided = change.lock().unwrap().take();
                let mut outcome = match decided {
                    Some(change) => metadata.commit_identity_change(change, event).await,
                    None => Err(CommitError::Missed { guard: Guard::ChangeNumber }),
                };
                while matches!(outcome, Err(CommitError::Missed { guard: Guard::ChangeNumber })) {
                    outcome = change_identities(metadata, event, |change| change.add_user(user)).await;
                }
                outcome
            }
            What::Event(event) => metadata.record(event.clone()).await,
        }
    }

    /// What is there. A half batch panics.
    #[track_caller]
    pub(crate) fn seen<'a>(&'a self, client: &'a Client) -> impl Future<Output = Seen> + 'a {
        let asked_at = std::panic::Location::caller();
        async move {
            match ask(client, &self.question).await {
                seen if seen == self.whole => Seen::Whole,
                seen if seen == self.nothing => Seen::Nothing,
                half => panic!("{asked_at}: {half} is neither {} nor {}", self.whole, self.nothing),
            }
        }
    }
}

fn of_group(id: &str, event: &AuditRow) -> String {
    let of = |table: &str, more: &str| format!("(SELECT COUNT(*) FROM {table} WHERE group_id = '{id}'{more})");
    [
        format!("concat_ws(' ', (SELECT revision FROM secret_groups WHERE id = '{id}')"),
        of("group_revisions", ""),
        of("secrets", ""),
        format!(
            "(SELECT COUNT(*) FROM secret_versions v JOIN secrets s ON s.id = v.secret_id WHERE s.group_id = '{id}')"
        ),
        of("lifetimes", ""),
        of("lifetimes", " AND to_revision IS NOT NULL"),
        of("grants", ""),
        format!("{})", of_event(event)),
    ]
    .join(", ")
}

fn of_event(event: &AuditRow) -> String {
    format!("(SELECT COUNT(*) FROM audit_events WHERE id = '{}')", event.id)
}
