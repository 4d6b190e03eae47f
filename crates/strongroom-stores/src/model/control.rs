//! The handle by which a test plays with the model.

use std::{
    collections::HashMap,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use strongroom_domain::SecretValue;
use tokio::sync::watch;

use super::{
    EntryView, Fault, ModelCall, ModelKind,
    entries::Entries,
    fault::{Plan, When},
    op::{Op, Outcome},
};
use crate::{StoreError, faulty::Call};

/// What is done before or after a call; it may do anything with the control.
pub type Hook = Arc<dyn Fn(ModelCall) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What store and controls share.
pub(super) struct Shared {
    state: Mutex<State>,
    /// Counts releases: who hangs waits for the next one.
    releases: watch::Sender<u64>,
    hanging: watch::Sender<usize>,
}

struct State {
    entries: Entries,
    plan: Plan,
    late: Vec<Late>,
    log: Vec<ModelCall>,
    counts: HashMap<Call, usize>,
    before: Option<Hook>,
    after: Option<Hook>,
}

/// An effect that is still to come.
struct Late {
    op: Op,
    when: When,
}

impl State {
    /// One call is over: what waited for it happens, in the order in which it was asked for.
    fn tick(&mut self) {
        for late in &mut self.late {
            if let When::AfterCalls(calls) = &mut late.when {
                *calls = calls.saturating_sub(1);
            }
        }
        self.happen(|when| when == When::AfterCalls(0));
    }

    fn happen(&mut self, is_due: impl Fn(When) -> bool) -> usize {
        let (due, later) = mem::take(&mut self.late).into_iter().partition::<Vec<_>, _>(|late| is_due(late.when));
        self.late = later;
        let count = due.len();
        for late in due {
            // Nobody is there to be told.
            drop(self.entries.apply(late.op));
        }
        count
    }
}

impl Shared {
    pub(super) fn new(kind: ModelKind) -> Self {
        let state = State {
            entries: Entries::new(kind),
            plan: Plan::default(),
            late: Vec::new(),
            log: Vec::new(),
            counts: HashMap::new(),
            before: None,
            after: None,
        };
        Self { state: Mutex::new(state), releases: watch::Sender::new(0), hanging: watch::Sender::new(0) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A rule of a test may panic; what it was asked about then didn't happen.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn arrived(&self, op: &Op) -> ModelCall {
        self.counted(op.as_call())
    }

    pub(super) fn counted(&self, mut call: ModelCall) -> ModelCall {
        let mut state = self.state();
        let nth = state.counts.entry(call.call).or_default();
        *nth += 1;
        call.nth = *nth;
        call.number = state.counts.values().sum();
        state.log.push(call.clone());
        call
    }

    pub(super) async fn before(&self, call: &ModelCall) {
        let hook = self.state().before.clone();
        if let Some(hook) = hook {
            hook(call.clone()).await;
        }
    }

    pub(super) async fn after(&self, call: &ModelCall) {
        let hook = self.state().after.clone();
        if let Some(hook) = hook {
            hook(call.clone()).await;
        }
    }

    pub(super) fn fault(&self, call: &ModelCall) -> Option<Fault> {
        self.state().plan.fault(call)
    }

    pub(super) fn perform(&self, op: Op) -> Result<Outcome, StoreError> {
        let mut state = self.state();
        let outcome = state.entries.apply(op);
        state.tick();
        outcome
    }

    pub(super) fn skip(&self) {
        self.state().tick();
    }

    pub(super) fn postpone(&self, mut op: Op, when: When) {
        let mut state = self.state();
        state.tick();
        if let Op::Promote(who, _, seen) = &mut op {
            *seen = Some(state.entries.latest_id(&who.name));
        }
        state.late.push(Late { op, when });
        state.happen(|when| when == When::AfterCalls(0));
    }

    pub(super) async fn hang(&self) {
        let mut releases = self.releases.subscribe();
        let _counted = Counted::over(&self.hanging);
        // The sender lives as long as we are borrowed.
        drop(releases.changed().await);
    }
}

/// Counted down also when the call's future is dropped.
struct Counted<'a>(&'a watch::Sender<usize>);

impl<'a> Counted<'a> {
    fn over(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Makes the model misbehave, is somebody else at it, and shows what is in it. Clones are the same control.
#[derive(Clone)]
pub struct ModelControl(Arc<Shared>);

/// How it misbehaves. Where several would apply: down, revoked, denied, queued, by the rule.
impl ModelControl {
    pub(super) fn over(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// The next call of this kind goes wrong so; queued behind those that were queued before.
    pub fn next(&self, call: Call, fault: Fault) {
        self.0.state().plan.queued.entry(call).or_default().push_back(Some(fault));
    }

    /// The next so many calls of this kind, behind those that are queued, go well.
    pub fn spare(&self, call: Call, count: usize) {
        self.0.state().plan.queued.entry(call).or_default().extend(std::iter::repeat_n(None, count));
    }

    /// Asks `rule` before each call that nothing was queued for. The rule must not use the control.
    pub fn set(&self, rule: impl FnMut(&ModelCall) -> Option<Fault> + Send + 'static) {
        self.0.state().plan.rule = Some(Box::new(rule));
    }

    /// Nothing goes wrong any more. What is late stays so, what hangs too.
    pub fn heal(&self) {
        self.0.state().plan = Plan::default();
    }

    /// It can't be reached, which is told at once.
    pub fn take_down(&self) {
        self.0.state().plan.is_down = true;
    }

    /// It can be reached.
    pub fn bring_up(&self) {
        self.0.state().plan.is_down = false;
    }

    /// It doesn't know us any more.
    pub fn revoke_credentials(&self) {
        self.0.state().plan.is_revoked = true;
    }

    /// It knows us again.
    pub fn restore_credentials(&self) {
        self.0.state().plan.is_revoked = false;
    }

    /// Calls of this kind are not permitted. With [`Call::Remove`] `answers` says so, with any `probe` does.
    pub fn deny(&self, call: Call) {
        self.0.state().plan.denied.insert(call);
    }

    /// Calls of this kind are permitted.
    pub fn allow(&self, call: Call) {
        self.0.state().plan.denied.remove(&call);
    }

    /// All that hangs goes on.
    pub fn release(&self) {
        self.0.releases.send_modify(|releases| *releases += 1);
    }

    /// How many calls hang.
    #[must_use]
    pub fn hanging(&self) -> usize {
        *self.0.hanging.borrow()
    }

    /// Waits until so many calls hang.
    pub async fn until_hanging(&self, count: usize) {
        // The sender lives as long as the control.
        drop(self.0.hanging.subscribe().wait_for(|hanging| *hanging >= count).await);
    }

    /// All late effects happen now, on their conditions now; says how many there were.
    #[expect(clippy::must_use_candidate, reason = "it is called for what it does")]
    pub fn let_late_happen(&self) -> usize {
        self.0.state().happen(|_| true)
    }

    /// How many effects are still to come.
    #[must_use]
    pub fn late(&self) -> usize {
        self.0.state().late.len()
    }

    /// Late effects never happen.
    pub fn forget_late(&self) {
        self.0.state().late.clear();
    }

    /// Runs `hook` when a call has arrived, before it is decided whether it goes wrong.
    pub fn before<F: Future<Output = ()> + Send + 'static>(
        &self,
        hook: impl Fn(ModelCall) -> F + Send + Sync + 'static,
    ) {
        self.0.state().before = Some(Arc::new(move |call| Box::pin(hook(call))));
    }

    /// Runs `hook` when a call is done, before its answer is given.
    pub fn after<F: Future<Output = ()> + Send + 'static>(
        &self,
        hook: impl Fn(ModelCall) -> F + Send + Sync + 'static,
    ) {
        self.0.state().after = Some(Arc::new(move |call| Box::pin(hook(call))));
    }

    /// Runs no hooks any more.
    pub fn unhook(&self) {
        let mut state = self.0.state();
        (state.before, state.after) = (None, None);
    }
}

/// Somebody else, who goes past us. Names are the store's: see [`name`](super::name).
impl ModelControl {
    /// Puts a new latest version, and makes the entry where it isn't there.
    pub fn write_outside(&self, name: &str, value: &str) {
        self.0.state().entries.write_outside(name, SecretValue::new(value.to_owned()));
    }

    /// Removes the entry for good, from the trash too.
    pub fn delete_outside(&self, name: &str) {
        self.0.state().entries.delete_outside(name);
    }

    /// Removes it for good and makes it again: its versions are counted from 1 and nothing says that it is ours.
    pub fn recreate_outside(&self, name: &str, value: &str) {
        let mut state = self.0.state();
        state.entries.delete_outside(name);
        state.entries.write_outside(name, SecretValue::new(value.to_owned()));
    }

    /// Removes one version, whether or not the store lets us do so.
    pub fn remove_version_outside(&self, name: &str, version: &str) {
        self.0.state().entries.remove_version(name, version);
    }

    /// Makes a version the latest.
    pub fn promote_outside(&self, name: &str, version: &str) {
        self.0.state().entries.promote_outside(name, version);
    }

    /// A version holds another value from now on.
    pub fn tamper(&self, name: &str, version: &str, value: &str) {
        self.0.state().entries.tamper(name, version, SecretValue::new(value.to_owned()));
    }

    /// The names of removed entries are free again.
    pub fn purge_trash(&self) {
        self.0.state().entries.purge_trash();
    }
}

/// What is in it, and what was asked of it.
impl ModelControl {
    /// What somebody gets who reads the store directly.
    #[must_use]
    pub fn direct_latest(&self, name: &str) -> Option<String> {
        self.0.state().entries.direct_latest(name)
    }

    /// Every entry with every version, in the order of their names; the trash is behind them.
    #[must_use]
    pub fn entries(&self) -> Vec<EntryView> {
        self.0.state().entries.views()
    }

    /// One entry, if it is there and not in the trash.
    #[must_use]
    pub fn entry(&self, name: &str) -> Option<EntryView> {
        self.entries().into_iter().find(|entry| entry.name == name && !entry.is_trash)
    }

    /// How many calls of this kind arrived.
    #[must_use]
    pub fn calls(&self, call: Call) -> usize {
        self.0.state().counts.get(&call).copied().unwrap_or_default()
    }

    /// Every call since the last time that this was asked, in order.
    #[must_use]
    pub fn take_log(&self) -> Vec<ModelCall> {
        let mut state = self.0.state();
        mem::take(&mut state.log)
    }
}
