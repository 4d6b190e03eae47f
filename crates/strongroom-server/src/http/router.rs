//! One table from operation to handler, and what stands around each of them: request id, authentication, access,
//! the time that it took, the log line, and the error body.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use futures_util::FutureExt;
use http::header::{AUTHORIZATION, CACHE_CONTROL, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use strongroom_api::{Access, AuditMode, Method, Operation, OperationSpec};
use strongroom_metadata::MachineKind;

use super::body;
use super::call::{Call, PublicCall};
use super::error::{ApiError, Reported};
use super::handlers::{
    access, accounts, agents, audit_logs, identity, keys, machines, manifests, operations, policies, secret_groups,
    secrets, service, tokens, trash, users,
};
use super::transport::ClientAddress;
use crate::app::{App, AppError, Context, ReadBefore, RequestInfo};
use crate::audit::Target;
use crate::auth;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How many seconds ago a value was read that is given because its store can't be asked now.
const READ_BEFORE: HeaderName = HeaderName::from_static("x-strongroom-read-before-seconds");

/// How often a request begins again because its caller got other roles: more often than clients write at once, as each
/// of such writes may be what changes the roles of the others' caller.
const STANDINGS: u32 = 100;

type Answer = Result<Response, AppError>;
type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A handler, by whether it needs a caller. What is private can't be reached without authentication: its [`Call`] holds
/// the context that only authentication makes.
enum Handler {
    Public(Box<dyn Fn(PublicCall) -> Answering + Send + Sync>),
    /// Public and without a rate limit: what load balancers and supervisors ask.
    Probe(Box<dyn Fn(PublicCall) -> Answering + Send + Sync>),
    Private(Box<dyn Fn(Call) -> Answering + Send + Sync>),
}

/// What every request shares.
pub(crate) struct Shared {
    pub(crate) app: Arc<App>,
    pub(crate) public_url: String,
    pub(crate) max_body_bytes: usize,
    pub(crate) openapi: bytes::Bytes,
}

/// Everything that is served.
pub(crate) fn router(app: Arc<App>, public_url: &str, max_body_bytes: usize) -> Router {
    let openapi = bytes::Bytes::from(strongroom_api::document().to_string());
    let shared = Arc::new(Shared { app, public_url: public_url.to_owned(), max_body_bytes, openapi });
    let mut router = Router::new();
    for operation in Operation::ALL {
        let spec = operation.spec();
        let handler = Arc::new(handler(*operation));
        debug_assert_eq!(spec.access == Access::Public, !matches!(*handler, Handler::Private(_)), "{}", spec.id);
        let shared = shared.clone();
        let serve = move |request: Request| {
            let (handler, shared) = (handler.clone(), shared.clone());
            async move { serve(&shared, Some(spec), request, |parts| dispatch(spec, handler, &shared, parts)).await }
        };
        router = router.route(spec.path, on(filter(spec.method), serve));
    }
    let (missing, not_allowed) = (shared.clone(), shared);
    router
        .fallback(move |request: Request| {
            let shared = missing.clone();
            async move { serve(&shared, None, request, |_| refuse(ApiError::no_route())).await }
        })
        .method_not_allowed_fallback(move |request: Request| {
            let shared = not_allowed.clone();
            async move { serve(&shared, None, request, |_| refuse(ApiError::method_not_allowed())).await }
        })
}

/// From operation to handler: a new operation doesn't compile without one.
fn handler(operation: Operation) -> Handler {
    match operation {
        Operation::ListSecretGroups => private(secret_groups::list),
        Operation::CreateSecretGroup => private(secret_groups::create),
        Operation::ApplySecretGroup => private(secret_groups::apply),
        Operation::GetSecretGroup => private(secret_groups::get),
        Operation::UpdateSecretGroup => private(secret_groups::update),
        Operation::DeleteSecretGroup => private(secret_groups::delete),
        Operation::ListSecrets => private(secrets::list),
        Operation::GetSecret => private(secrets::get),
        Operation::DeleteSecret => private(secrets::delete),
        Operation::ListSecretVersions => private(secrets::versions),
        Operation::GetControlPlaneSecret => private(secrets::referenced),
        Operation::ListProviderAccounts => private(accounts::list_accounts),
        Operation::ApplyProviderAccount => private(accounts::apply_account),
        Operation::DeleteProviderAccount => private(accounts::delete_account),
        Operation::TestProviderIntegration => private(accounts::test_integration),
        Operation::ListProviderIntegrations => private(accounts::list_integrations),
        Operation::Apply => private(manifests::apply),
        Operation::DeleteManifest => private(manifests::delete),
        Operation::DependencyTree => private(manifests::dependency_tree),
        Operation::MinCliVersion => public(identity::min_cli_version),
        Operation::TenantId => public(identity::tenant_id),
        Operation::GetSession => private(identity::session),
        Operation::GetUserInfo => private(identity::user_info),
        Operation::ListUsers => private(users::list),
        Operation::GetUser => private(users::get),
        Operation::DeleteUser => private(users::delete),
        Operation::RegisterUser => private(users::register),
        Operation::UpdateUserRoles => private(users::update_roles),
        Operation::ActivateUser => private(users::activate),
        Operation::DeactivateUser => private(users::deactivate),
        Operation::InviteUser => private(users::invite),
        Operation::AcceptInvitation => public(users::accept_invitation),
        Operation::ListUserResources => private(users::list_resources),
        Operation::ListUserPermissions => private(users::list_permissions),
        Operation::ListUserTeams => private(users::list_teams),
        Operation::ListTokens => private(tokens::list),
        Operation::CreateToken => private(tokens::create),
        Operation::CreateTokenForUser => private(tokens::create_for_user),
        Operation::DeleteToken => private(tokens::delete),
        Operation::RevokeTokensOfUser => private(tokens::revoke_all),
        Operation::ListVirtualAccounts => private(machines::list),
        Operation::ApplyVirtualAccount => private(machines::apply),
        Operation::VirtualAccountExists => private(machines::exists),
        Operation::GetVirtualAccount => private(machines::get),
        Operation::DeleteVirtualAccount => private(|call| machines::delete(call, MachineKind::VirtualAccount)),
        Operation::GetVirtualAccountToken => private(|call| machines::token(call, MachineKind::VirtualAccount)),
        Operation::RegenerateVirtualAccountToken => {
            private(|call| machines::regenerate(call, MachineKind::VirtualAccount))
        }
        Operation::SyncVirtualAccountToken => private(machines::sync),
        Operation::DeleteVirtualAccountJwt => private(machines::delete_jwt),
        Operation::ListAgents => private(agents::list),
        Operation::ApplyAgent => private(agents::apply),
        Operation::GetAgent => private(agents::get),
        Operation::DeleteAgent => private(|call| machines::delete(call, MachineKind::AgentIdentity)),
        Operation::GetAgentToken => private(|call| machines::token(call, MachineKind::AgentIdentity)),
        Operation::CreateAgentToken => private(agents::create_token),
        Operation::RegenerateAgentToken => private(|call| machines::regenerate(call, MachineKind::AgentIdentity)),
        Operation::WellKnownJwks | Operation::Jwks => public(keys::jwks),
        Operation::ListTeams => private(policies::list_teams),
        Operation::ApplyTeam => private(policies::apply_team),
        Operation::GetTeam => private(policies::get_team),
        Operation::DeleteTeam => private(policies::delete_team),
        Operation::ListTeamMembers => private(policies::list_team_members),
        Operation::ListTeamManagers => private(policies::list_team_managers),
        Operation::ListTeamPermissions => private(policies::list_team_permissions),
        Operation::ListRoles => private(policies::list_roles),
        Operation::ListRoleBindings => private(policies::list_role_bindings),
        Operation::ApplyRoleBinding => private(policies::apply_role_binding),
        Operation::CreateInlineRoleBindings => private(policies::create_inline_role_bindings),
        Operation::GenerateRoleBindingManifests => private(policies::generate_role_binding_manifests),
        Operation::RoleBindingExists => private(policies::role_binding_exists),
        Operation::GetRoleBinding => private(policies::get_role_binding),
        Operation::DeleteRoleBinding => private(policies::delete_role_binding),
        Operation::ListIdentityProviders => private(policies::list_identity_providers),
        Operation::ApplyIdentityProvider => private(policies::apply_identity_provider),
        Operation::DeleteIdentityProvider => private(policies::delete_identity_provider),
        Operation::ListAuditLogs => private(audit_logs::list),
        Operation::ListTrash => private(trash::list),
        Operation::RestoreSecretGroup => private(trash::restore_secret_group),
        Operation::RestoreSecret => private(trash::restore_secret),
        Operation::GetOperation => private(operations::get),
        Operation::Healthz => probe(service::healthz),
        Operation::Readyz => probe(service::readyz),
        Operation::ExplainAccess => private(access::explain),
        Operation::ListReaders => private(access::readers),
        Operation::Metrics => private(service::metrics),
        Operation::OpenApi => public(service::openapi),
    }
}

fn private<F: Future<Output = Answer> + Send + 'static>(
    handler: impl Fn(Call) -> F + Send + Sync + 'static,
) -> Handler {
    Handler::Private(Box::new(move |call| Box::pin(handler(call))))
}

fn public<F: Future<Output = Answer> + Send + 'static>(
    handler: impl Fn(PublicCall) -> F + Send + Sync + 'static,
) -> Handler {
    Handler::Public(Box::new(move |call| Box::pin(handler(call))))
}

fn probe<F: Future<Output = Answer> + Send + 'static>(
    handler: impl Fn(PublicCall) -> F + Send + Sync + 'static,
) -> Handler {
    Handler::Probe(Box::new(move |call| Box::pin(handler(call))))
}

/// A request on its way to its handler.
struct Incoming {
    request: Request,
    info: RequestInfo,
}

async fn dispatch(
    spec: &'static OperationSpec,
    handler: Arc<Handler>,
    shared: &Arc<Shared>,
    incoming: Incoming,
) -> Result<Response, ApiError> {
    let (parts, body) = incoming.request.into_parts();
    let public = |info, parts, body| PublicCall::new(shared.clone(), info, parts, body);
    let answering: Answering = match &*handler {
        Handler::Probe(handler) => handler(public(incoming.info, parts, body)),
        Handler::Public(handler) => {
            shared.app.rate_limits.public(incoming.info.address).map_err(AppError::from)?;
            handler(public(incoming.info, parts, body))
        }
        Handler::Private(_) => {
            let authorization = parts.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
            let mut context = auth::authenticate(&shared.app, authorization, incoming.info).await?;
            // Before the body is read: so nobody else makes us keep bodies.
            if let Err(refusal) = admit(&context, spec) {
                return settled(shared, Err(refusal)).await;
            }
            let mut bytes = Bytes::new();
            if spec.request.is_some() {
                bytes = body::read(&parts.headers, body, shared.max_body_bytes).await?;
                // That may have taken as long as the client liked.
                context = context.anew().await?;
            }
            Box::pin(answer(handler, spec, Call::new(context, spec, Arc::new(parts), bytes)))
        }
    };
    if spec.audit == AuditMode::Change {
        // A write goes on when its client hangs up: a dropped future would stop anywhere.
        let running = shared.app.writes.begin();
        let written = tokio::spawn(async move {
            let _running = running;
            answering.await
        });
        let written = written.await;
        let panicked = |_| Err(AppError::Internal { internal: "a write panicked".into() });
        settled(shared, written.unwrap_or_else(panicked)).await
    } else {
        settled(shared, answering.await).await
    }
}

/// Refuses who may not call an operation at all.
fn admit(context: &Context, spec: &OperationSpec) -> Result<(), AppError> {
    if spec.access != Access::TenantAdmin || context.is_tenant_admin() {
        return Ok(());
    }
    let target = Target { kind: "tenant", id: String::new(), name: spec.id.to_owned(), fqn: String::new() };
    Err(context.refusal("USE_TENANT_ADMIN_OPERATION", target, "this takes the role tenant-admin"))
}

/// A private handler's answer. One that waited for others while its caller got other roles did nothing yet, and begins
/// again with these.
async fn answer(handler: Arc<Handler>, spec: &'static OperationSpec, mut call: Call) -> Answer {
    let Handler::Private(handle) = &*handler else {
        return Err(AppError::Internal { internal: format!("{} is public", spec.id) });
    };
    for _ in 0..STANDINGS {
        admit(&call.context, spec)?;
        match handle(call.clone()).await {
            Err(AppError::StandingChanged) => call.context = call.context.anew().await?,
            answer => return answer.map(|response| aged(response, &call.context)),
        }
    }
    Err(AppError::StandingChanged)
}

/// Says so where a value was given from memory, as its store could not be asked.
fn aged(mut response: Response, context: &Context) -> Response {
    if let Some(seconds) = context.request().read_before.seconds() {
        response.headers_mut().insert(READ_BEFORE, seconds.into());
    }
    response
}

/// A use case's answer once its refusal, if it is one, has gone to the audit log.
async fn settled(shared: &Shared, answer: Answer) -> Result<Response, ApiError> {
    match answer {
        Err(AppError::Forbidden(message, event)) => {
            let refused = ApiError::forbidden(message);
            shared.app.metadata.record_unwaited(*event).await;
            Err(refused)
        }
        answer => Ok(answer?),
    }
}

#[expect(clippy::unused_async, reason = "it stands where handlers stand")]
async fn refuse(error: ApiError) -> Result<Response, ApiError> {
    Err(error)
}

/// Runs a handler and finishes its answer: id, headers, error body, one log line.
async fn serve<F: Future<Output = Result<Response, ApiError>>>(
    shared: &Shared,
    spec: Option<&'static OperationSpec>,
    request: Request,
    handle: impl FnOnce(Incoming) -> F,
) -> Response {
    let started = Instant::now();
    let id = shared.app.ids.next::<uuid::Uuid>().to_string();
    let address = request
        .extensions()
        .get::<ClientAddress>()
        .map_or(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), |address| address.0);
    let method = request.method().clone();
    let info = RequestInfo {
        read_before: ReadBefore::default(),
        id: id.clone(),
        address,
        path: request.uri().path().to_owned(),
        operation: spec.map_or("", |spec| spec.id),
    };
    let handled = AssertUnwindSafe(handle(Incoming { request, info })).catch_unwind().await;
    let (mut response, reported) = match handled {
        Ok(Ok(response)) => (response, Reported::default()),
        Ok(Err(error)) => error.into_response(),
        Err(_) => ApiError::from(AppError::Internal { internal: "a handler panicked".into() }).into_response(),
    };
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // The route, not the path: what people put into a URL by mistake doesn't reach the log.
    let route = spec.map_or("-", |spec| spec.path);
    let status = response.status().as_u16();
    let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let code = reported.code;
    if let Some(error) = reported.internal {
        tracing::error!(target: "request", id, %method, route, status, micros, %address, code, error);
    } else {
        tracing::info!(target: "request", id, %method, route, status, micros, %address, code);
    }
    response
}

const fn filter(method: Method) -> MethodFilter {
    match method {
        Method::Get => MethodFilter::GET,
        Method::Post => MethodFilter::POST,
        Method::Put => MethodFilter::PUT,
        Method::Patch => MethodFilter::PATCH,
        Method::Delete => MethodFilter::DELETE,
    }
}

/// A JSON answer.
pub(super) fn json_response(status: http::StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
