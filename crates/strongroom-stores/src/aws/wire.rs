//! Signed requests to the services of one region.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, header};
use strongroom_domain::{Clock, Timestamp};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

use super::{
    AwsRegion,
    failure::{Failure, Refusal},
    sigv4::{Credentials, Scope, sign},
};
use crate::{
    StoreError, StoreErrorKind,
    egress::EgressUrl,
    outer::{Answer, Attempt, Call, Repeat, Verdict, judge_by_status},
};

/// One service of a region, and how it is spoken with.
pub(super) struct Service {
    pub(super) name: &'static str,
    pub(super) url: EgressUrl,
    pub(super) content_type: &'static str,
}

/// What is asked of a service.
pub(super) struct Question<'a> {
    /// In the header `X-Amz-Target`, where the service wants it.
    pub(super) target: Option<&'static str>,
    pub(super) body: Bytes,
    pub(super) repeat: Repeat,
    pub(super) credentials: &'a Credentials,
    pub(super) max_answer_bytes: usize,
}

/// The way to AWS.
pub(super) struct Wire {
    /// The store's name in errors.
    store: &'static str,
    clock: Arc<dyn Clock>,
    region: AwsRegion,
    /// How many seconds AWS' clock is ahead of ours, as far as it has complained.
    ahead: AtomicI64,
}

/// AWS throttles with a status of its own making, 400.
pub(super) fn judge(answer: &Answer) -> Verdict {
    let by_status = judge_by_status(answer);
    if by_status == Verdict::Answered && !answer.status.is_success() && Refusal::read(answer).is_throttling() {
        return Verdict::Throttled(None);
    }
    by_status
}

impl Wire {
    pub(super) fn new(store: &'static str, clock: Arc<dyn Clock>, region: AwsRegion) -> Self {
        Self { store, clock, region, ahead: AtomicI64::new(0) }
    }

    pub(super) fn store(&self) -> &'static str {
        self.store
    }

    /// The present, by AWS' clock.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now().plus_seconds(self.ahead.load(Ordering::Relaxed))
    }

    /// The body of the answer, if it is a good one. When AWS finds the time of the signature wrong, its own time is
    /// taken from the answer, once.
    pub(super) async fn ask(
        &self,
        attempt: &Attempt<'_>,
        service: &Service,
        question: &Question<'_>,
    ) -> Result<Bytes, Failure> {
        let mut may_set_clock = true;
        loop {
            let sent = attempt.send(question.repeat, &|| self.call(service, question)).await;
            let answer = sent.map_err(Failure::Store)?;
            if answer.status.is_success() {
                return Ok(answer.body);
            }
            let refusal = Refusal::read(&answer).without(question.credentials);
            match server_time(&answer.headers).filter(|_| may_set_clock && refusal.is_about_time()) {
                Some(time) => self.set_clock(time),
                None => return Err(Failure::Refused(refusal)),
            }
            may_set_clock = false;
        }
    }

    /// Signed anew for each try: a signature is good for some minutes only.
    fn call(&self, service: &Service, question: &Question<'_>) -> Result<Call, StoreError> {
        let mut request = Request::new(question.body.clone());
        *request.method_mut() = Method::POST;
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(service.content_type));
        if let Some(target) = question.target {
            request.headers_mut().insert("x-amz-target", HeaderValue::from_static(target));
        }
        let scope = Scope { region: self.region.as_str(), service: service.name };
        sign(&mut request, &service.url.authority(), question.credentials, scope, self.now()).ok_or_else(|| {
            let reason = "the access key or the session token has characters that no header takes";
            StoreError::new(self.store, StoreErrorKind::Unauthenticated, reason)
        })?;
        let (head, body) = request.into_parts();
        let (url, max_answer_bytes) = (service.url.clone(), question.max_answer_bytes);
        Ok(Call { method: head.method, url, headers: head.headers, body, max_answer_bytes })
    }

    fn set_clock(&self, time: Timestamp) {
        let seconds = (time.micros() - self.clock.now().micros()) / 1_000_000;
        self.ahead.store(seconds, Ordering::Relaxed);
    }
}

/// From the header `Date`.
fn server_time(headers: &HeaderMap) -> Option<Timestamp> {
    let date = headers.get(header::DATE)?.to_str().ok()?;
    let seconds = OffsetDateTime::parse(date, &Rfc2822).ok()?.unix_timestamp();
    Some(Timestamp::from_micros(seconds.checked_mul(1_000_000)?))
}
