//! The public keys of the server's own JWTs.

use axum::response::Response;
use http::{HeaderValue, header};

use crate::app::AppError;
use crate::http::call::{PublicCall, ok};

/// For how long others need not ask again. A new key signs at once, and who doesn't know it has to ask.
const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=300");

pub(in crate::http) async fn jwks(call: PublicCall) -> Result<Response, AppError> {
    let mut response = ok(&call.shared.app.jwks().await?)?;
    response.headers_mut().insert(header::CACHE_CONTROL, CACHED);
    Ok(response)
}
