//! Changing a group: read, decide, put what is new, write once; again when somebody else was first.

use std::future::Future;
use std::time::Duration;

use strongroom_domain::names::GroupName;
use strongroom_domain::{Backoff, GroupId, SecretId, SecretValue};
use strongroom_metadata::{CommitError, GroupChange, GroupState, GroupWrite, IntegrationRow, NewSecret, SecretState};

use super::draft::{Draft, Share};
use super::group_queues::Turn;
use super::new_versions::NewVersions;
use super::outer::{Drafted, Intent, LOOK, Outcome, Waiting};
use super::revision::Subject;
use super::{AppError, Context, Store};

/// How often a change is decided again when others were faster.
const ATTEMPTS: u32 = 10;
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(1), cap: Duration::from_millis(10) };

/// What a change shall do, decided on one state of the group.
#[derive(Default)]
pub(crate) struct Plan<'a> {
    /// What the revision and the event call it.
    pub(crate) action: Action,
    /// The group's new name.
    pub(crate) name: Option<GroupName>,
    /// The group's new manifest, JSON.
    pub(crate) manifest: Option<String>,
    /// The integration that keeps the group from now on, when that changes; only for a group without secrets.
    pub(crate) integration: Option<IntegrationRow>,
    /// What is done with secrets.
    pub(crate) steps: Vec<Step<'a>>,
    /// Who shares the group from now on, when that changes.
    pub(crate) grants: Option<Vec<Share>>,
}

/// What a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Action {
    #[default]
    Update,
    Apply,
    Delete,
    Restore,
    DeleteSecret,
    RestoreSecret,
}

/// What is done with one secret.
pub(crate) enum Step<'a> {
    /// A key begins.
    Add { key: String, value: &'a SecretValue },
    /// A secret gets a new version.
    Set { id: SecretId, value: &'a SecretValue },
    /// A secret goes into the trash.
    Drop { id: SecretId },
    /// A secret comes out of the trash, under a key.
    Revive { secret: Box<SecretState>, key: String },
}

/// What a decision needs besides the group.
pub(crate) trait Also: Sync {
    type Found: Send;

    fn read(&self, context: &Context, state: &GroupState)
    -> impl Future<Output = Result<Self::Found, AppError>> + Send;
}

impl Also for () {
    type Found = ();

    async fn read(&self, _: &Context, _: &GroupState) -> Result<(), AppError> {
        Ok(())
    }
}

impl Context {
    /// Runs a change until it is written, refused, or has lost against others too often.
    ///
    /// `decide` is called on the present state, deleted or not, and gives `None` when there is nothing to change. The
    /// state that comes back is the one after the change.
    pub(crate) async fn change_group<'a>(
        &self,
        id: GroupId,
        decide: impl Fn(&GroupState) -> Result<Option<Plan<'a>>, AppError>,
    ) -> Result<GroupState, AppError> {
        self.change_group_with(id, &(), |state, ()| decide(state)).await
    }

    /// The same where the decision needs more than the group; it is read after the group, each time anew.
    pub(crate) async fn change_group_with<'a, A: Also>(
        &self,
        id: GroupId,
        also: &A,
        decide: impl Fn(&GroupState, A::Found) -> Result<Option<Plan<'a>>, AppError>,
    ) -> Result<GroupState, AppError> {
        let app = self.app();
        let waiting = Waiting::default();
        let mut turn = self.turn(id, &waiting).await?;
        let mut attempt = 0;
        while attempt < ATTEMPTS {
            self.still_stands(app.metadata.identity_stamp()).await?;
            let Some(state) = app.metadata.group(id, self.caller().viewpoint()).await? else {
                return Err(AppError::NotFound(super::Resource::SecretGroup));
            };
            let also = also.read(self, &state).await?;
            let Some(plan) = decide(&state, also)? else { return Ok(state) };
            // A change vouches for all that is current after it: what was altered from outside must not be signed.
            app.verify(&state)?;
            let integration = plan.integration.as_ref().map_or(state.group.integration_id, |row| row.id);
            let store = app.store_of(integration).await?;
            match self.write_change(&store, state, plan, &waiting).await? {
                Outcome::Written(after) => {
                    turn.won();
                    app.remember_verified(&after);
                    return Ok(*after);
                }
                // That was no race: it is not one of those who lose again and again.
                Outcome::Waited => turn.lost(),
                // Or whoever it names may have gone: decided anew, that is told.
                Outcome::Overtaken | Outcome::Missed(_) => {
                    turn.lost();
                    attempt += 1;
                    tokio::time::sleep(BACKOFF.wait(attempt, &*app.entropy)).await;
                }
            }
        }
        Err(AppError::Busy)
    }

    /// Waits for the writers of the group that came before; not for ever where one of them waits for a store.
    async fn turn(&self, id: GroupId, waiting: &Waiting) -> Result<Turn<'_>, AppError> {
        let app = self.app();
        let mut turn = std::pin::pin!(app.caches.queues.turn(id));
        loop {
            if let Ok(turn) = tokio::time::timeout(waiting.left().max(LOOK), turn.as_mut()).await {
                return Ok(turn);
            }
            if let Some(open) = app.metadata.open_operation(id).await? {
                return Err(AppError::OperationInProgress(open.id));
            }
        }
    }

    async fn write_change(
        &self,
        store: &Store,
        state: GroupState,
        plan: Plan<'_>,
        waiting: &Waiting,
    ) -> Result<Outcome, AppError> {
        let app = self.app();
        let key = app.data_key(state.group.id, state.group.data_key.as_deref(), state.group.data_key_kek)?;
        let revision = state.group.revision;
        let (change, after, intents) = self.draft(store, state, plan).await?;
        if store.is_outer() {
            let (action, revision) = (change.revision.action.to_string(), Some(revision));
            let write = GroupWrite::Change(Box::new(change));
            let drafted = Drafted { write, after, intents, revision, claimed_name: None, action };
            return Box::pin(self.write_outer(store, drafted, &key, waiting)).await;
        }
        match app.metadata.change_group(&change).await {
            Ok(()) => Ok(Outcome::Written(Box::new(after))),
            Err(CommitError::Missed { .. }) => Ok(Outcome::Overtaken),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts new values and draws up the batch and the state after it.
    async fn draft<'a>(
        &self,
        store: &Store,
        before: GroupState,
        plan: Plan<'a>,
    ) -> Result<(GroupChange, GroupState, Vec<Intent<'a>>), AppError> {
        let app = self.app();
        // A clock that went back doesn't make history go back.
        let at = app.clock.now().max(before.group.updated_at);
        let key = app.data_key(before.group.id, before.group.data_key.as_deref(), before.group.data_key_kek)?;
        let mut draft = Draft::new(before, &plan, at, app.limits.retention_days);
        let adds = plan.steps.iter().any(|step| matches!(step, Step::Add { .. }));
        let mut values = NewVersions::of(app, store, &key, &draft.after.group, adds).await?;
        for step in plan.steps {
            match step {
                Step::Add { key: name, value } => {
                    let id = app.ids.at(at);
                    draft.secrets.push(NewSecret { id, key: name.clone() });
                    let version = values.first(id, &name, at, value).await?;
                    draft.add(self, version, name);
                }
                Step::Set { id, value } => {
                    let Some(position) = draft.position(id) else { continue };
                    let version = values.next(&draft.after.secrets[position], at, value).await?;
                    draft.set(position, version);
                }
                Step::Drop { id } => draft.drop_secret(id),
                Step::Revive { secret, key } => draft.revive(*secret, key),
            }
        }
        let intents = values.intents;
        draft.after.secrets.sort_by_key(|secret| secret.id);
        let mac = app.revision_mac(&key, &Subject::of(&draft.after), &draft.after.secrets);
        draft.after.group.revision_mac = mac.to_vec();
        let (change, after) = draft.finish(self, plan.action, plan.grants, mac);
        Ok((change, after, intents))
    }
}

impl Action {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Update => "update",
            Self::Apply => "apply",
            Self::Delete => "delete",
            Self::Restore => "restore",
            Self::DeleteSecret => "delete_secret",
            Self::RestoreSecret => "restore_secret",
        }
    }

    pub(super) const fn event(self) -> &'static str {
        match self {
            Self::Update | Self::Apply => "UPDATE_SECRET_GROUP",
            Self::Delete => "DELETE_SECRET_GROUP",
            Self::Restore => "RESTORE_SECRET_GROUP",
            Self::DeleteSecret => "DELETE_SECRET",
            Self::RestoreSecret => "RESTORE_SECRET",
        }
    }
}
