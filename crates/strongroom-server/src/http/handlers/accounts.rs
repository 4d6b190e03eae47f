use axum::response::Response;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use strongroom_api::wire;
use strongroom_domain::AccountId;
use strongroom_metadata::{AccountRow, IntegrationRow};
use strongroom_stores::{StoreError, StoreErrorKind};

use crate::app::{AppError, Context, ProviderFilter};
use crate::http::call::{Call, ok};
use crate::http::query::Query;
use crate::http::view;

pub(in crate::http) async fn list_accounts(call: Call) -> Result<Response, AppError> {
    let query = call.query();
    let (offset, limit) = (query.offset()?, query.limit()?);
    let accounts = call.context.list_accounts(&filter(&query)).await?;
    let total = accounts.len();
    let data =
        page(accounts, offset, limit).map(|(row, own)| account(&call.context, &row, &own)).collect::<Result<_, _>>()?;
    ok(&wire::ListProviderAccountsResponse { data, pagination: view::pagination(count(total), offset, limit) })
}

pub(in crate::http) async fn list_integrations(call: Call) -> Result<Response, AppError> {
    let query = call.query();
    let (offset, limit) = (query.offset()?, query.limit()?);
    let rows = call.context.list_integrations(&filter(&query)).await?;
    let total = rows.len();
    let data = page(rows, offset, limit).map(|row| integration(&call.context, &row)).collect::<Result<_, _>>()?;
    ok(&wire::ListProviderIntegrationsResponse { data, pagination: view::pagination(count(total), offset, limit) })
}

pub(in crate::http) async fn apply_account(call: Call) -> Result<Response, AppError> {
    let request: wire::ApplyManifestRequest = call.json()?;
    let dry_run = request.dry_run.unwrap_or(false);
    let (row, own, _) = call.context.apply_account(&request.manifest, dry_run).await?;
    ok(&wire::GetProviderAccountResponse { data: account(&call.context, &row, &own)? })
}

pub(in crate::http) async fn delete_account(call: Call) -> Result<Response, AppError> {
    call.context.delete_account_by_id(call.segment()).await?;
    ok(&wire::Empty {})
}

pub(in crate::http) async fn test_integration(call: Call) -> Result<Response, AppError> {
    let tested = call.context.test_integration(call.segment()).await?;
    let error = tested.found.as_ref().err();
    let data = wire::ConnectionCheck {
        ok: error.is_none(),
        reason: error.map(ToString::to_string),
        kind: error.map(|error| kind_of(error).to_owned()),
        checked_at: tested.at.to_wire(),
    };
    ok(&wire::TestProviderIntegrationResponse { data })
}

fn kind_of(error: &StoreError) -> &'static str {
    match error.kind {
        StoreErrorKind::PermissionDenied => "permission_denied",
        StoreErrorKind::Unauthenticated => "unauthenticated",
        StoreErrorKind::Throttled => "throttled",
        StoreErrorKind::Unavailable => "unavailable",
        StoreErrorKind::NotSupported => "not_supported",
        StoreErrorKind::NotFound => "not_found",
        StoreErrorKind::Integrity => "integrity",
        _ => "refused",
    }
}

fn filter(query: &Query) -> ProviderFilter {
    ProviderFilter { kind: query.text("type"), fqn: query.text("fqn"), id: query.text("id") }
}

fn page<T>(rows: Vec<T>, offset: i64, limit: i64) -> impl Iterator<Item = T> {
    rows.into_iter().skip(usize::try_from(offset).unwrap_or(usize::MAX)).take(usize::try_from(limit).unwrap_or(0))
}

fn count(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

pub(super) fn account(
    context: &Context,
    row: &AccountRow,
    own: &[IntegrationRow],
) -> Result<wire::ProviderAccount, AppError> {
    let app = context.app();
    Ok(wire::ProviderAccount {
        id: row.id.to_string(),
        name: row.name.clone(),
        fqn: row.fqn.clone(),
        provider: row.provider.clone(),
        manifest: shown(context, row.id, &row.manifest)?,
        integrations: own.iter().map(|row| integration(context, row)).collect::<Result<_, _>>()?,
        created_by_subject: view::subject(&row.created_by),
        account_id: app.account_id.to_string(),
        created_at: row.created_at.to_wire(),
        updated_at: row.updated_at.to_wire(),
    })
}

fn integration(context: &Context, row: &IntegrationRow) -> Result<wire::ProviderIntegration, AppError> {
    let app = context.app();
    Ok(wire::ProviderIntegration {
        id: row.id.to_string(),
        name: row.name.clone(),
        fqn: row.fqn.clone(),
        kind: row.kind.clone(),
        manifest: shown(context, row.account_id, &row.manifest)?,
        provider_account_fqn: row.account_fqn.clone(),
        tenant_name: app.tenant.as_str().to_owned(),
        created_by_subject: view::subject(&row.created_by),
        created_at: row.created_at.to_wire(),
        updated_at: row.updated_at.to_wire(),
    })
}

/// A manifest for those who manage the account: with a mask where there are credentials. Others get what is no secret of it: names and types.
fn shown(context: &Context, account: AccountId, manifest: &str) -> Result<Box<RawValue>, AppError> {
    if context.caller().standing.manages_account(account) {
        return view::manifest(manifest);
    }
    let whole: Value = serde_json::from_str(manifest).unwrap_or_default();
    let named = |manifest: &Value| json!({"type": manifest["type"], "name": manifest["name"]});
    let mut shown = named(&whole);
    if let Some(integrations) = whole["integrations"].as_array() {
        shown["integrations"] = integrations.iter().map(named).collect();
    }
    view::manifest(&shown.to_string())
}
