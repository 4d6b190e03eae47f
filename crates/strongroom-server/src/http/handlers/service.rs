use std::sync::atomic::Ordering;

use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use strongroom_api::wire;

use crate::app::AppError;
use crate::http::call::{Call, PublicCall, ok};
use crate::http::metrics::metrics_text;
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

/// As Prometheus reads it.
pub(in crate::http) async fn metrics(call: Call) -> Result<Response, AppError> {
    let text = metrics_text(&call.context.store_metrics().await?);
    let mut response = Response::new(text.into());
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}
