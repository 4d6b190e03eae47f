//! The public keys of the server's own JWTs.

use axum::response::Response;

use crate::app::AppError;
use crate::http::call::{PublicCall, ok};

pub(in crate::http) async fn jwks(call: PublicCall) -> Result<Response, AppError> {
    ok(&call.shared.app.jwks().await?)
}
