use std::sync::atomic::Ordering;

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
    let app = &call.shared.app;
    let ready =
        if app.draining.load(Ordering::SeqCst) { Err("the server is stopping") } else { app.metadata.is_ready().await };
    match ready {
        Ok(()) => ok(&wire::Status { status: "ok".into() }),
        Err(why) => {
            let mut response = ok(&wire::Status { status: why.into() })?;
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            Ok(response)
        }
    }
}

pub(in crate::http) async fn openapi(call: PublicCall) -> Result<Response, AppError> {
    Ok(json_response(StatusCode::OK, call.shared.openapi.clone()))
}
