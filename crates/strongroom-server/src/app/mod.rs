//! Use cases: authorize, decide, write once. No HTTP and no SQL here.

mod access;
mod account_checks;
mod accounts;
mod after;
mod applied;
mod apply;
mod audit_logs;
mod authorized;
mod binding_manifests;
mod changes;
mod column_filter;
mod credentials;
mod cursors;
mod draft;
mod ends;
mod error;
mod group_queues;
mod identity_changes;
mod identity_providers;
mod inline_bindings;
mod invitations;
mod leaving;
mod machine_terms;
mod machine_tokens;
mod machine_views;
mod machines;
mod manifests;
mod missing;
mod new_groups;
mod new_versions;
mod outer;
mod providers;
mod recovery;
mod restore;
mod reveals;
mod revision;
mod role_bindings;
mod roles;
mod secret_groups;
mod secrets;
mod signing;
mod standing;
mod store_builder;
mod store_references;
mod stores;
mod teams;
mod token_turnover;
mod tokens;
mod trash;
mod user_roles;
mod users;
mod values;
mod watched_store;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Weak};

use quick_cache::sync::Cache;
use strongroom_crypto::{DataKey, KeyRing};
use strongroom_domain::names::{NameRule, Tenant};
use strongroom_domain::policy::PolicyRules;
use strongroom_domain::subject::{Actor, SubjectKind};
use strongroom_domain::{AccountId, Clock, Entropy, GroupId, Ids, TokenId};
use strongroom_metadata::{Metadata, Stamp, TokenPurpose, Viewpoint};
use strongroom_stores::SecretStore;
use tokio::sync::watch;

use crate::auth::{self, Credential};
use crate::instance::{OuterStores, StepHook};
use crate::limits::RateLimits;

pub(crate) use access::{AccessGrant, Explanation, GrantOrigin};
pub(crate) use accounts::access;
pub(crate) use applied::AppliedNamed;
pub(crate) use apply::Entity;
pub(crate) use audit_logs::AuditQuery;
pub(crate) use authorized::{Authorized, Manage, ReadValues, See, WriteSecrets};
pub(crate) use binding_manifests::RolesOf;
pub(crate) use column_filter::ColumnFilter;
pub(crate) use error::{AppError, OuterWriteFailed, Resource};
pub(crate) use inline_bindings::InlineRole;
pub(crate) use machine_tokens::Regenerate;
pub(crate) use machine_views::{MachineQuery, MachineView};
pub(crate) use manifests::AppliedGroup;
pub(crate) use missing::Missing;
pub(crate) use outer::{Patience, Settled, StoreMetrics, run_reaping, run_settling};
pub(crate) use providers::ProviderFilter;
pub(crate) use secret_groups::{GroupQuery, SecretUpdate};
pub(crate) use secrets::{Revealed, SecretQuery};
pub(crate) use standing::Standing;
pub(crate) use store_builder::StoreBuilder;
pub(crate) use stores::Store;
pub(crate) use teams::TeamView;
pub(crate) use token_turnover::Step as TurnoverStep;
pub(crate) use tokens::TokenRequest;
pub(crate) use user_roles::HeldRole;
pub(crate) use users::{Registration, UserQuery};

/// Everything that use cases share.
pub(crate) struct App {
    pub(crate) metadata: Metadata,
    pub(crate) keys: KeyRing,
    pub(crate) store: Arc<dyn SecretStore>,
    pub(crate) outer: Option<OuterStores>,
    /// Where tests stop writes.
    pub(crate) steps: Option<StepHook>,
    pub(crate) builder: StoreBuilder,
    /// Itself, for what it does as nobody asked for.
    pub(crate) me: Weak<Self>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) ids: Ids,
    pub(crate) tenant: Tenant,
    pub(crate) instance_id: String,
    /// What our own JWTs say who made them.
    pub(crate) issuer: String,
    pub(crate) account_id: AccountId,
    /// What outer stores may take.
    pub(crate) patience: Patience,
    pub(crate) limits: Limits,
    pub(crate) rate_limits: RateLimits,
    pub(crate) rules: PolicyRules,
    pub(crate) caches: Caches,
    /// Whose tokens are taken besides our own.
    pub(crate) providers: crate::auth::Providers,
    /// This process among those that share the database.
    pub(crate) replica: String,
    /// Whether the server was told to stop.
    pub(crate) draining: AtomicBool,
    pub(crate) writes: RunningWrites,
}

/// Writes that go on although nobody may wait for them any more.
pub(crate) struct RunningWrites(watch::Sender<usize>);

/// One of them.
pub(crate) struct RunningWrite(watch::Sender<usize>);

impl RunningWrites {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    pub(crate) fn begin(&self) -> RunningWrite {
        self.0.send_modify(|running| *running += 1);
        RunningWrite(self.0.clone())
    }

    /// Waits until none is running.
    pub(crate) async fn finished(&self) {
        // The sender lives as long as this.
        let _ = self.0.subscribe().wait_for(|running| *running == 0).await;
    }
}

impl Drop for RunningWrite {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running -= 1);
    }
}

/// What the operator bounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) name_rule: NameRule,
    pub(crate) keys_a_group: usize,
    pub(crate) value_bytes: usize,
    pub(crate) retention_days: u32,
}

/// What is remembered between requests; never a value.
pub(crate) struct Caches {
    data_keys: Cache<GroupId, Arc<DataKey>>,
    verified: Cache<GroupId, Arc<revision::Verified>, revision::ByPointers>,
    pub(crate) flights: outer::Flights,
    pub(crate) kept_values: outer::KeptValues,
    queues: group_queues::GroupQueues,
    cursors: cursors::Cursors,
    pub(crate) callers: crate::auth::KnownCallers,
    signing_keys: signing::SigningKeys,
    stores: stores::Stores,
    /// Opaque tokens on their way into a group: so that a write that failed is tried again with the same one.
    pending_tokens: token_turnover::PendingTokens,
    /// One change of identities is decided at a time here; those of other replicas are noticed when it is written.
    identity_turn: tokio::sync::Mutex<()>,
}

impl Caches {
    pub(crate) fn new() -> Self {
        Self {
            data_keys: Cache::new(10_000),
            verified: Cache::with_weighter(10_000, 1_000_000, revision::ByPointers),
            flights: outer::Flights::default(),
            kept_values: outer::KeptValues::default(),
            queues: group_queues::GroupQueues::default(),
            cursors: cursors::Cursors::new(),
            callers: crate::auth::KnownCallers::new(),
            signing_keys: signing::SigningKeys::new(),
            stores: stores::Stores::new(),
            pending_tokens: token_turnover::PendingTokens::default(),
            identity_turn: tokio::sync::Mutex::new(()),
        }
    }
}

/// Who calls. Only authentication makes one.
pub(crate) struct Caller {
    pub(crate) actor: Actor,
    pub(crate) kind: SubjectKind,
    pub(crate) standing: Standing,
    /// The token used and what it was made for; `None` for one of an identity provider.
    pub(crate) token: Option<(TokenId, TokenPurpose)>,
}

impl Caller {
    /// From where they look.
    pub(crate) fn viewpoint(&self) -> &Viewpoint {
        &self.standing.viewpoint
    }
}

/// What is known of the request that a use case serves.
pub(crate) struct RequestInfo {
    /// How old the oldest value is that is given because its store can't be asked now.
    pub(crate) read_before: ReadBefore,
    pub(crate) id: String,
    pub(crate) address: IpAddr,
    pub(crate) path: String,
    pub(crate) operation: &'static str,
}

/// The age in seconds of the oldest value that was given from memory, if any was.
#[derive(Default)]
pub(crate) struct ReadBefore(AtomicI64);

impl ReadBefore {
    /// A value of this age is given.
    pub(crate) fn note(&self, seconds: i64) {
        self.0.fetch_max(seconds.saturating_add(1), Ordering::Relaxed);
    }

    pub(crate) fn seconds(&self) -> Option<i64> {
        self.0.load(Ordering::Relaxed).checked_sub(1).filter(|seconds| *seconds >= 0)
    }
}

/// The only way into the use cases: an authenticated caller in a request.
#[derive(Clone)]
pub(crate) struct Context {
    app: Arc<App>,
    caller: Arc<Caller>,
    /// What they have shown; `None` for jobs, and for whoever accepts an invitation, which is looked up where it is used.
    credential: Option<Arc<Credential>>,
    request: Arc<RequestInfo>,
}

impl Context {
    /// For authentication, and for nobody else.
    pub(crate) fn new(
        app: Arc<App>,
        caller: Arc<Caller>,
        credential: Option<Arc<Credential>>,
        request: RequestInfo,
    ) -> Self {
        Self { app, caller, credential, request: Arc::new(request) }
    }

    /// For a job, which does what nobody asked for, as the server itself.
    pub(crate) fn of_job(app: Arc<App>, controller: &'static str) -> Self {
        let actor = Actor { controller: Some(controller.to_owned()), ..crate::jobs::system() };
        let caller = Caller { kind: SubjectKind::VirtualAccount, standing: Standing::of_server(), actor, token: None };
        let address = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
        let read_before = ReadBefore::default();
        let request =
            RequestInfo { read_before, id: String::new(), address, path: String::new(), operation: controller };
        Self { app, caller: Arc::new(caller), credential: None, request: Arc::new(request) }
    }

    /// The same request of the same caller, as they stand now; 401 when their token is good no more.
    pub(crate) async fn anew(&self) -> Result<Self, AppError> {
        let caller = self.present_caller(self.app.metadata.identity_stamp()).await?;
        Ok(Self { caller, ..self.clone() })
    }

    /// To be asked after every wait for others, before anything is decided: whether the caller stands as they did when
    /// the request was let in. If not, the router lets it in anew, or doesn't.
    pub(crate) async fn still_stands(&self, as_of: Option<Stamp>) -> Result<(), AppError> {
        let present = self.present_caller(as_of).await?;
        if present.standing == self.caller.standing { Ok(()) } else { Err(AppError::StandingChanged) }
    }

    async fn present_caller(&self, as_of: Option<Stamp>) -> Result<Arc<Caller>, AppError> {
        match &self.credential {
            Some(credential) => auth::present_caller(&self.app, credential, as_of).await,
            None => Ok(self.caller.clone()),
        }
    }

    pub(crate) fn app(&self) -> &App {
        &self.app
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(crate) fn request(&self) -> &RequestInfo {
        &self.request
    }

    pub(crate) fn is_tenant_admin(&self) -> bool {
        self.caller.standing.rights.is_admin()
    }
}
