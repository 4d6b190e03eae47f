use axum::response::Response;
use http::StatusCode;
use strongroom_api::wire;

use crate::app::AppError;
use crate::http::call::{PublicCall, ok};
use crate::http::router::json_response;

pub(in crate::http) async fn healthz(_: PublicCall) -> Result<Response, AppError> {
    ok(&wire::Status { status: "ok".into() })
}

pub(in crate::http) async fn readyz(call: PublicCall) -> Result<Response, AppError> {
    if let Ok(Some(_)) = call.shared.app.metadata.instance().await {
        return ok(&wire::Status { status: "ok".into() });
    }
    let body = r#"{"status":"the database can't be read"}"#;
    Ok(json_response(StatusCode::SERVICE_UNAVAILABLE, body))
}

pub(in crate::http) async fn openapi(call: PublicCall) -> Result<Response, AppError> {
    Ok(json_response(StatusCode::OK, call.shared.openapi.clone()))
}
