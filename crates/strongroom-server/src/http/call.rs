//! An authenticated request as its handler sees it.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use strongroom_api::OperationSpec;

use super::body;
use super::query::Query;
use super::router::{Shared, json_response};
use crate::app::{AppError, Context, RequestInfo};

/// What anybody may send, without a token.
const PUBLIC_BODY_BYTES: usize = 64 << 10;

/// A request that needs no caller.
pub(crate) struct PublicCall {
    pub(crate) shared: Arc<Shared>,
    pub(crate) info: RequestInfo,
    parts: Parts,
    body: Body,
}

impl PublicCall {
    pub(super) const fn new(shared: Arc<Shared>, info: RequestInfo, parts: Parts, body: Body) -> Self {
        Self { shared, info, parts, body }
    }

    /// The body as JSON.
    pub(crate) async fn json<T: DeserializeOwned>(&mut self) -> Result<T, AppError> {
        let (body, limit) = (std::mem::take(&mut self.body), PUBLIC_BODY_BYTES.min(self.shared.max_body_bytes));
        body::check_type(&self.parts.headers)?;
        body::json(&self.parts.headers, &body::read(&self.parts.headers, body, limit).await?)
    }
}

/// A request with its caller, and its body as it came.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) context: Context,
    spec: &'static OperationSpec,
    parts: Arc<Parts>,
    body: Bytes,
}

impl Call {
    pub(super) const fn new(context: Context, spec: &'static OperationSpec, parts: Arc<Parts>, body: Bytes) -> Self {
        Self { context, spec, parts, body }
    }

    /// The `{id}` of the path, as an id. What can't be an id is the id of nothing.
    pub(crate) fn id<T>(&self, parse: impl Fn(&str) -> Option<T>, missing: AppError) -> Result<T, AppError> {
        parse(self.segment()).ok_or(missing)
    }

    /// The first parameter of the path as it was sent.
    pub(crate) fn segment(&self) -> &str {
        self.segments().next().unwrap_or_default()
    }

    /// The parameters of the path as they were sent.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &str> {
        let segments = self.spec.path.split('/').zip(self.parts.uri.path().split('/'));
        segments.filter_map(|(pattern, segment)| pattern.starts_with('{').then_some(segment))
    }

    /// The query.
    pub(crate) fn query(&self) -> Query {
        Query::parse(self.parts.uri.query().unwrap_or_default())
    }

    /// The revision that the caller makes the change depend on.
    pub(crate) fn if_match(&self) -> IfMatch {
        self.parts.headers.get(header::IF_MATCH).map_or(IfMatch::Any, IfMatch::parse)
    }

    /// The body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, AppError> {
        body::json(&self.parts.headers, &self.body)
    }

    /// The body as JSON, or what stands for an absent one.
    pub(crate) fn optional_json<T: DeserializeOwned + Default>(&self) -> Result<T, AppError> {
        body::optional_json(&self.parts.headers, &self.body)
    }
}

/// What `If-Match` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfMatch {
    /// Nothing, or `*`.
    Any,
    /// One revision.
    Revision(i64),
    /// Something that no group is at: a weak or foreign tag.
    Never,
}

impl IfMatch {
    fn parse(header: &HeaderValue) -> Self {
        match header.to_str().map(str::trim) {
            Ok("*") => Self::Any,
            Ok(text) => {
                let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
                bare.parse().map_or(Self::Never, Self::Revision)
            }
            Err(_) => Self::Never,
        }
    }

    /// 412 unless the group is at the revision asked for.
    pub(crate) const fn check(self, current: i64) -> Result<(), AppError> {
        match self {
            Self::Any => Ok(()),
            Self::Revision(asked) if asked == current => Ok(()),
            Self::Revision(_) | Self::Never => Err(AppError::OtherRevision { current }),
        }
    }

    /// 412 when a revision is asked for of what isn't there.
    pub(crate) const fn check_absent(self) -> Result<(), AppError> {
        match self {
            Self::Any => Ok(()),
            Self::Revision(_) | Self::Never => Err(AppError::OtherRevision { current: 0 }),
        }
    }
}

/// A success with a JSON body.
pub(crate) fn ok(body: &impl Serialize) -> Result<Response, AppError> {
    let bytes = serde_json::to_vec(body).map_err(|error| AppError::Internal { internal: error.to_string() })?;
    Ok(json_response(StatusCode::OK, bytes))
}

/// A success with a JSON body about one group at a revision.
pub(crate) fn ok_at(revision: i64, body: &impl Serialize) -> Result<Response, AppError> {
    let mut response = ok(body)?;
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{revision}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_reads_tags() {
        let parse = |text| IfMatch::parse(&HeaderValue::from_static(text));
        assert_eq!(parse("\"7\""), IfMatch::Revision(7));
        assert_eq!(parse("7"), IfMatch::Revision(7));
        assert_eq!(parse("*"), IfMatch::Any);
        assert_eq!(parse("W/\"7\""), IfMatch::Never);
        assert_eq!(parse("\"7\", \"8\""), IfMatch::Never);
        assert!(IfMatch::Revision(7).check(7).is_ok() && IfMatch::Revision(7).check(8).is_err());
        assert!(IfMatch::Never.check(7).is_err() && IfMatch::Any.check(7).is_ok());
    }
}
