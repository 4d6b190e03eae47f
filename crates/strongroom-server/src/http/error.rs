//! From meaning to status, code and message: the one place where that is decided.

use std::time::Duration;

use axum::response::Response;
use http::header::{HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{StatusCode, header};
use strongroom_api::{ErrorBody, ErrorDetail};
use strongroom_domain::operation::PutState;
use strongroom_domain::{OperationId, Violation};
use strongroom_metadata::PutRow;
use strongroom_stores::StoreErrorKind;

use super::router::json_response;
use crate::app::{AppError, OuterWriteFailed, Resource, Settled};

/// An error as it goes over the wire, and what the log is told beside it.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    details: Option<Vec<ErrorDetail>>,
    header: Option<(HeaderName, HeaderValue)>,
    internal: Option<String>,
}

/// What the log line says of an answer.
#[derive(Default)]
pub(crate) struct Reported {
    pub(crate) code: Option<&'static str>,
    pub(crate) internal: Option<String>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), details: None, header: None, internal: None }
    }

    pub(crate) fn forbidden(message: &'static str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    pub(crate) fn no_route() -> Self {
        Self::new(StatusCode::NOT_FOUND, "no_route", "there is nothing at this path; /openapi.json lists what there is")
    }

    pub(crate) fn method_not_allowed() -> Self {
        let message = "this path does not take this method; /openapi.json lists what it takes";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
    }

    /// What the caller is told.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The answer, with the contract's body.
    pub(crate) fn into_response(self) -> (Response, Reported) {
        let body = ErrorBody {
            status_code: self.status.as_u16(),
            message: self.message,
            code: Some(self.code.to_owned()),
            details: self.details,
        };
        let mut response = json_response(self.status, serde_json::to_vec(&body).unwrap_or_default());
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        (response, Reported { code: Some(self.code), internal: self.internal })
    }

    fn with_header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.header = Some((name, HeaderValue::from_static(value)));
        self
    }

    /// In whole seconds, so that who waits for them has waited long enough.
    fn with_retry_after(mut self, wait: Duration) -> Self {
        let seconds = wait.as_micros().div_ceil(1_000_000).max(1);
        self.header = Some((RETRY_AFTER, u64::try_from(seconds).unwrap_or(u64::MAX).into()));
        self
    }

    fn with_details(mut self, faults: Vec<Violation>) -> Self {
        let detail = |fault: Violation| ErrorDetail { path: fault.path, message: fault.message };
        self.details = Some(faults.into_iter().map(detail).collect());
        self
    }

    fn with_internal(mut self, internal: String) -> Self {
        self.internal = Some(internal);
        self
    }
}

fn first_message(faults: &[Violation]) -> String {
    faults.first().map_or_else(String::new, |fault| fault.message.clone())
}

fn not_found(resource: Resource) -> (&'static str, &'static str) {
    match resource {
        Resource::SecretGroup => ("secret_group_not_found", "there is no such secret group"),
        Resource::Secret => ("secret_not_found", "there is no such secret"),
        Resource::User => ("user_not_found", "there is no such person"),
        Resource::Token => ("token_not_found", "there is no such token"),
        Resource::Team => ("team_not_found", "there is no such team"),
        Resource::Role => ("role_not_found", "there is no such role"),
        Resource::RoleBinding => ("role_binding_not_found", "there is no such role binding"),
        Resource::VirtualAccount => ("virtual_account_not_found", "there is no such virtual account"),
        Resource::Agent => ("agent_not_found", "there is no such agent"),
        Resource::ProviderAccount => ("provider_account_not_found", "there is no such provider account"),
        Resource::ProviderIntegration => ("provider_integration_not_found", "there is no such provider integration"),
        Resource::Operation => ("operation_not_found", "there is no such operation"),
        Resource::IdentityProvider => ("identity_provider_not_found", "there is no such identity provider"),
    }
}

impl From<AppError> for ApiError {
    fn from(error: AppError) -> Self {
        match error {
            AppError::Unauthenticated(message) => {
                Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", message).with_header(WWW_AUTHENTICATE, "Bearer")
            }
            // One text for all reasons: it must not tell whether a token is known.
            AppError::RateLimited(after) => {
                let message = "too many requests; try again after the seconds in `Retry-After`";
                Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", message).with_retry_after(after.0)
            }
            AppError::Forbidden(message, _) => Self::forbidden(message),
            AppError::NotFound(resource) => {
                let (code, message) = not_found(resource);
                Self::new(StatusCode::NOT_FOUND, code, message)
            }
            AppError::MissingReference(missing) => {
                Self::new(StatusCode::NOT_FOUND, "reference_not_found", first_message(&missing)).with_details(missing)
            }
            AppError::NameTaken(message) => Self::new(StatusCode::CONFLICT, "name_taken", message),
            // Not 409: clients repeat what gets that.
            AppError::InUse(message) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "in_use", message),
            AppError::LastAdmin => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "last_admin",
                "this is the tenant's last active admin: give somebody else the role tenant-admin first",
            ),
            AppError::OtherRevision { current } => {
                let message = format!("the secret group is at revision {current}, not at the one in `If-Match`");
                Self::new(StatusCode::PRECONDITION_FAILED, "other_revision", message)
            }
            AppError::Malformed(message) => Self::new(StatusCode::BAD_REQUEST, "malformed_request", message),
            AppError::Invalid(faults) => {
                let message = faults.first().map_or_else(
                    || "the input is wrong".to_owned(),
                    |fault| format!("{}: {}", fault.path, fault.message),
                );
                // The contract calls a manifest of another type, and a role of another resource, a bad request.
                let unfit = |path: &str| {
                    path == "manifest.type" || path.ends_with(".role_id") && !path.ends_with("auth_data.role_id")
                };
                let status = if faults.iter().any(|fault| unfit(&fault.path)) {
                    StatusCode::BAD_REQUEST
                } else {
                    StatusCode::UNPROCESSABLE_ENTITY
                };
                Self::new(status, "invalid_input", message).with_details(faults)
            }
            AppError::NoIntegration => {
                let message = "no secret store integration found with this id; GET /api/svc/v1/provider-integrations?type=secret-store lists them";
                Self::new(StatusCode::FAILED_DEPENDENCY, "integration_not_found", message)
            }
            AppError::Store(error) => {
                Self::new(StatusCode::FAILED_DEPENDENCY, "secret_store_failed", error.to_string())
            }
            AppError::ChangedOutside { store, what } => changed_outside(&store, &what),
            AppError::OperationInProgress(id) => operation_in_progress(id),
            AppError::OuterWrite(failed) => outer_write(*failed),
            AppError::StoreCheck(failed) => {
                let message =
                    failed.first().map_or_else(String::new, |first| format!("{}: {}", first.path, first.message));
                Self::new(StatusCode::FAILED_DEPENDENCY, "secret_store_failed", message).with_details(failed)
            }
            AppError::Integrity { public, internal } => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "integrity", public).with_internal(internal)
            }
            AppError::Busy => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "too many others change this at the same time; try again",
            )
            .with_header(RETRY_AFTER, "1"),
            AppError::StandingChanged => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "your roles were changed while this waited for others; try again",
            )
            .with_header(RETRY_AFTER, "1"),
            AppError::StorageFull => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "storage_full",
                "the server's disk is full: nothing was written; reads without values go on",
            )
            .with_header(RETRY_AFTER, "10"),
            AppError::ReadOnly => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "read_only",
                "the server's database takes no writes now, perhaps because it is being moved; nothing was written",
            )
            .with_header(RETRY_AFTER, "10"),
            AppError::Unavailable { internal } => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "database_unavailable",
                "the server's database can't be used now",
            )
            .with_header(header::RETRY_AFTER, "2")
            .with_internal(internal),
            AppError::Internal { internal } => {
                let message = "a fault of the server; its log has more under the id in `x-request-id`";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message).with_internal(internal)
            }
            AppError::Body(error) => *error,
        }
    }
}

/// A write that an outer store has kept from happening. What the store refuses by a rule of its own is the caller's to
/// mend; anything else is the store's failure.
fn outer_write(failed: OuterWriteFailed) -> ApiError {
    let OuterWriteFailed { operation, integration, error, puts, settled } = failed;
    let rest = match settled {
        Settled::Undone => "nothing was changed".to_owned(),
        Settled::Done | Settled::Later => format!(
            "what was written is being taken back, and nobody sees it here; GET /api/v1/operations/{operation} tells how \
             far that is"
        ),
    };
    let message = format!("secret store {integration} ({}): {}; {rest}", error.store, error.reason);
    let (status, code) = match error.kind {
        StoreErrorKind::Refused | StoreErrorKind::AlreadyExists => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_input"),
        _ => (StatusCode::FAILED_DEPENDENCY, "secret_store_failed"),
    };
    let told = |put: PutRow| {
        let state = match put.state {
            PutState::Placed => "it was in the store already",
            PutState::Waiting => "nobody knows whether it is in the store",
            _ => "not in the store",
        };
        let reason = put.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        Violation::new(put.key, format!("{state}{reason}"))
    };
    ApiError::new(status, code, message).with_details(puts.into_iter().map(told).collect())
}

fn changed_outside(store: &str, what: &str) -> ApiError {
    let message = format!("secret store {store}: {what}; it was changed outside of this server");
    ApiError::new(StatusCode::FAILED_DEPENDENCY, "changed_outside", message)
}

fn operation_in_progress(id: OperationId) -> ApiError {
    let message = format!(
        "a write to the group's secret store is still under way; try again; GET /api/v1/operations/{id} tells how far it is"
    );
    ApiError::new(StatusCode::CONFLICT, "operation_in_progress", message).with_header(RETRY_AFTER, "2")
}
