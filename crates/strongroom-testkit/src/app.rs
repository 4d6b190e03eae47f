use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::Router;
use strongroom_domain::{Entropy, token};
use strongroom_server::config::{Settings, serve_command};
use strongroom_server::{Instance, OuterStores, StartError, StepHook, SystemEntropy, World};
use strongroom_stores::{EmbeddedStore, FaultPlan, Faulty, SecretStore};
use strongroom_throwaway::{psql, with_database};
use tempfile::TempDir;

use crate::{Client, SeededEntropy, Tamper, TestClock};

/// What clients are told the server's address is.
const PUBLIC_URL: &str = "http://strongroom.test";

/// How long a closed app's folder may still be in use.
const RELEASED: Duration = Duration::from_secs(5);

/// The administrator that the first start makes.
pub(crate) const ADMIN: &str = "admin@example.com";

/// A PostgreSQL database of an app's own, on the server that the test command started; dropped with the app.
struct OnPostgres {
    server: String,
    name: String,
    /// Made beforehand: over PostgreSQL nobody makes one at the start.
    root_key: PathBuf,
}

impl OnPostgres {
    /// `None` where no server is named: then the app has SQLite.
    fn create(folder: &Path) -> Option<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let server = std::env::var("STRONGROOM_TEST_POSTGRES").ok()?;
        let name = format!("app_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        psql(&server, &format!("CREATE DATABASE {name}")).unwrap();
        let root_key = folder.join("root.key");
        strongroom_server::make_root_key_file(&root_key).unwrap();
        Some(Self { server, name, root_key })
    }

    fn url(&self) -> String {
        with_database(&self.server, &self.name)
    }
}

impl Drop for OnPostgres {
    fn drop(&mut self) {
        let _ = psql(&self.server, &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

fn database_file(folder: &Path) -> PathBuf {
    folder.join("strongroom.db")
}

/// In memory where the system has such a place: in process nobody pulls the plug, and waiting for the disk is most of
/// what these tests would do. The crash tests have a real one.
fn new_folder() -> TempDir {
    let in_memory = if std::env::var_os("TMPDIR").is_some() { None } else { tempfile::tempdir_in("/dev/shm").ok() };
    in_memory.unwrap_or_else(|| tempfile::tempdir().unwrap())
}

/// The router of the running instance; `None` while it is stopped. Clients share it, so they outlive a restart.
pub(crate) type Wire = Arc<RwLock<Option<Router>>>;

/// How an instance shall be opened.
#[derive(Clone, Default)]
pub struct Setup {
    environment: Vec<(OsString, OsString)>,
    seed: Option<u64>,
    store: Option<Arc<dyn SecretStore>>,
    outer: Option<OuterStores>,
    patience: Option<Duration>,
    steps: Option<StepHook>,
}

impl Setup {
    /// Sets a setting by its environment variable.
    #[must_use]
    pub fn set(mut self, variable: &str, value: &str) -> Self {
        self.environment.push((variable.into(), value.into()));
        self
    }

    /// Makes ids and tokens repeatable.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Puts another store in the place of the embedded one. `TestApp::faults` then says nothing.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn SecretStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// Puts other stores in the place of those that integrations' manifests describe, by the integrations' FQNs.
    #[must_use]
    pub fn outer(mut self, stores: OuterStores) -> Self {
        self.outer = Some(stores);
        self
    }

    /// Waits for the hook after each step of a write to an outer store.
    #[must_use]
    pub fn steps(mut self, hook: StepHook) -> Self {
        self.steps = Some(hook);
        self
    }

    /// How long one call of an outer store may take.
    #[must_use]
    pub const fn patience(mut self, call: Duration) -> Self {
        self.patience = Some(call);
        self
    }

    /// Opens it in a new folder.
    pub async fn start(self) -> TestApp {
        let folder = new_folder();
        let entropy: Arc<dyn Entropy> = match self.seed {
            Some(seed) => Arc::new(SeededEntropy::new(seed)),
            None => Arc::new(SystemEntropy),
        };
        let admin_token = token::make(&*entropy).to_string();
        let mut app = TestApp {
            clock: TestClock::default(),
            faults: FaultPlan::default(),
            postgres: OnPostgres::create(folder.path()).map(Arc::new),
            folder,
            setup: self,
            entropy,
            admin_token,
            integration_id: String::new(),
            instance: None,
            wire: Wire::default(),
        };
        app.try_start().await.unwrap();
        app
    }
}

/// A server in process, in a folder that goes when this is dropped.
pub struct TestApp {
    /// The server's time.
    pub clock: TestClock,
    /// When the secret store fails.
    pub faults: FaultPlan,
    postgres: Option<Arc<OnPostgres>>,
    folder: TempDir,
    setup: Setup,
    entropy: Arc<dyn Entropy>,
    admin_token: String,
    integration_id: String,
    instance: Option<Instance>,
    wire: Wire,
}

impl TestApp {
    /// With the defaults.
    pub async fn start() -> Self {
        Setup::default().start().await
    }

    /// To say more first.
    #[must_use]
    pub fn with(variable: &str, value: &str) -> Setup {
        Setup::default().set(variable, value)
    }

    /// Another replica over the same database, with faults of its own; `None` over SQLite, which one process has. It
    /// ends before this one, which has the root key.
    pub async fn replica(&self) -> Option<Self> {
        let mut replica = Self {
            clock: self.clock.clone(),
            faults: FaultPlan::default(),
            postgres: Some(self.postgres.clone()?),
            folder: new_folder(),
            setup: self.setup.clone(),
            entropy: self.entropy.clone(),
            admin_token: self.admin_token.clone(),
            integration_id: self.integration_id.clone(),
            instance: None,
            wire: Wire::default(),
        };
        replica.try_start().await.unwrap();
        Some(replica)
    }

    /// Changes a setting; the next start takes it.
    pub fn set(&mut self, variable: &str, value: &str) {
        self.setup.environment.push((variable.into(), value.into()));
    }

    /// The settings as a process would read them.
    #[must_use]
    pub fn settings(&self) -> Settings {
        // Of two that set the same, the first counts.
        let mut environment: Vec<_> = self.setup.environment.iter().rev().cloned().collect();
        let url = match &self.postgres {
            Some(postgres) => {
                environment.push(("STRONGROOM_ROOT_KEY_FILE".into(), postgres.root_key.clone().into()));
                postgres.url()
            }
            None => format!("sqlite:{}", database_file(self.folder()).display()),
        };
        environment.extend([
            ("STRONGROOM_DATA_DIR".into(), self.folder().into()),
            ("STRONGROOM_DATABASE_URL".into(), url.into()),
            ("STRONGROOM_ADMIN_EMAIL".into(), ADMIN.into()),
            ("STRONGROOM_ADMIN_TOKEN".into(), self.admin_token.clone().into()),
            // On a busy machine hundreds of requests at once take longer than anybody would wait elsewhere.
            ("STRONGROOM_DATABASE_TIMEOUT".into(), "600".into()),
        ]);
        let flags = serve_command().try_get_matches_from(["serve"]).unwrap();
        Settings::load(&flags, environment).unwrap()
    }

    /// Opens the folder, again or for the first time.
    pub async fn try_start(&mut self) -> Result<(), StartError> {
        let settings = self.settings();
        let embedded = || -> Arc<dyn SecretStore> {
            Arc::new(Faulty::new(EmbeddedStore::new(settings.max_value_bytes), self.faults.clone()))
        };
        let world = World {
            clock: Some(Arc::new(self.clock.clone())),
            entropy: self.entropy.clone(),
            store: Some(self.setup.store.clone().unwrap_or_else(embedded)),
            outer: self.setup.outer.clone(),
            patience: self.setup.patience,
            steps: self.setup.steps.clone(),
        };
        let instance = Instance::open(&settings, world).await?;
        if let Some(first) = instance.first_start() {
            self.integration_id.clone_from(&first.integration_id);
        }
        *self.wire.write().unwrap_or_else(PoisonError::into_inner) = Some(instance.router(PUBLIC_URL));
        self.instance = Some(instance);
        Ok(())
    }

    /// Closes it as a process that ends well does. Clients wait for the next start.
    pub async fn stop(&mut self) {
        self.wire.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(instance) = self.instance.take() {
            instance.close().await;
        }
    }

    /// Closes it and opens it again: nothing is remembered but what is on the disk.
    pub async fn restart(&mut self) {
        self.stop().await;
        let deadline = Instant::now() + RELEASED;
        loop {
            // A request's task may have the folder a moment longer than its client waits for the answer.
            match self.try_start().await {
                Err(StartError::InUse(_) | StartError::DatabaseInUse(_)) if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                started => return started.unwrap(),
            }
        }
    }

    /// Waits until everything is written that was handed over without waiting, such as the events of refusals.
    pub async fn settle(&self) {
        self.instance().close().await;
    }

    /// The running instance.
    #[must_use]
    pub fn instance(&self) -> &Instance {
        self.instance.as_ref().expect("the app is stopped")
    }

    /// Whether the metadata is in PostgreSQL.
    #[must_use]
    pub fn is_on_postgres(&self) -> bool {
        self.postgres.is_some()
    }

    /// The data folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The database from behind.
    #[must_use]
    pub fn tamper(&self) -> Tamper {
        match &self.postgres {
            Some(postgres) => Tamper::connect(&postgres.url()),
            None => Tamper::open(&database_file(self.folder())),
        }
    }

    /// The id of the embedded store's integration.
    #[must_use]
    pub fn integration_id(&self) -> &str {
        &self.integration_id
    }

    /// The FQN of the embedded store's integration.
    #[must_use]
    pub fn integration_fqn(&self) -> String {
        format!("{}:truefoundry:default:secret-store:db", self.settings().tenant)
    }

    /// Speaks with a token, or with none.
    #[must_use]
    pub fn client(&self, name: &str, token: Option<&str>) -> Client {
        Client::new(self.wire.clone(), name, token)
    }

    /// The tenant's administrator.
    #[must_use]
    pub fn admin(&self) -> Client {
        self.client(ADMIN, Some(&self.admin_token))
    }

    /// A token that is well-formed and belongs to nobody.
    #[must_use]
    pub fn unknown_token(&self) -> String {
        token::make(&*self.entropy).to_string()
    }
}
