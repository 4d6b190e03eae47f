//! Finding the identity as all of AWS' own tools do, by the crate `aws-config`: environment, profile, web identity token,
//! container endpoint, instance metadata (`IMDSv2`).

use std::{error::Error, fmt, io, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_config::{
    default_provider::{
        credentials::DefaultCredentialsChain, use_dual_stack::use_dual_stack_provider, use_fips::use_fips_provider,
    },
    environment::region::EnvironmentVariableRegionProvider,
    meta::region::RegionProviderChain,
    profile::ProfileFileRegionProvider,
    provider_config::ProviderConfig,
};
use aws_credential_types::provider::{ProvideCredentials as _, error::CredentialsError};
use aws_smithy_runtime_api::client::{
    http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use bytes::Bytes;
use http::Request;
use strongroom_domain::{SecretValue, Timestamp};
use tracing::{Dispatch, instrument::WithSubscriber as _};

use super::{Fetch, Fetched, Trail, Trouble};
use crate::{
    StoreErrorKind,
    aws::{failure::Refusal, sigv4::Credentials},
    egress::{Bounds, EgressClient, EgressError, EgressUrl},
    outer::Answer,
};

/// Of one request, where the crate says nothing shorter.
const REQUEST: Duration = Duration::from_secs(5);
const LARGEST_ANSWER: usize = 64 * 1024;
/// Of what the crate says about its settings, in characters.
const LONGEST_QUOTE: usize = 300;

/// The chain of places where an identity may be.
pub(super) struct Chain {
    egress: Arc<EgressClient>,
}

impl Chain {
    pub(super) fn new(egress: Arc<EgressClient>) -> Self {
        Self { egress }
    }
}

#[async_trait]
impl Fetch for Chain {
    async fn fetch(&self, trail: &Trail) -> Result<Fetched, Trouble> {
        // Made anew each time, so that files are read again which somebody may have changed. What is kept is the result.
        let find = async {
            let http = Http { egress: self.egress.clone(), trail: trail.clone() };
            let config = ProviderConfig::default().with_http_client(http);
            // The crate's loader of whole configurations would do so.
            let (fips, dual_stack) = (use_fips_provider(&config).await, use_dual_stack_provider(&config).await);
            let config = config.with_use_fips(fips).with_use_dual_stack(dual_stack);
            // Not from the instance's metadata, as the crate would by itself: whoever has keys in the environment would wait
            // for it where there is none, and whose identity comes from there needs no region for it.
            let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new());
            let region = region.or_else(ProfileFileRegionProvider::builder().configure(&config).build());
            let chain = DefaultCredentialsChain::builder().region(region).configure(config).build().await;
            chain.provide_credentials().await
        };
        // Nothing that the crate does is logged: its lines quote answers that it can't read.
        let found = find.with_subscriber(Dispatch::none()).await.map_err(|error| explain(&error, trail))?;
        let ends = found.expiry().map(|end| {
            let since = end.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
        });
        let credentials = Credentials {
            access_key_id: found.access_key_id().to_owned(),
            secret_access_key: SecretValue::new(found.secret_access_key().to_owned()),
            session_token: found.session_token().map(|token| SecretValue::new(token.to_owned())),
        };
        Ok(Fetched { credentials, ends })
    }
}

/// In our words. The crate's own may hold what a program printed or a service answered.
fn explain(error: &CredentialsError, trail: &Trail) -> Trouble {
    let (kind, asked) = (trail.kind(), trail.aside());
    let reason = match error {
        CredentialsError::CredentialsNotLoaded(_) => format!(
            "the server has no AWS identity: neither its environment, a profile, a web identity token, a container \
             endpoint nor instance metadata gives one{asked}"
        ),
        CredentialsError::InvalidConfiguration(_) => {
            let said = error.source().map(ToString::to_string).unwrap_or_default();
            return Trouble {
                kind: StoreErrorKind::Unauthenticated,
                reason: format!("the server's AWS identity is set up wrongly: {}", quoted(&said)),
            };
        }
        _ if !asked.is_empty() => format!("the server's AWS identity can't be had{asked}"),
        _ => match io_error(error) {
            Some(error) => format!("the server's AWS identity can't be had: a file that it hangs on: {error}"),
            None => {
                "the server's AWS identity can't be had: its profile, its credential process or its token file gives \
                     nothing that can be used"
                    .to_owned()
            }
        },
    };
    Trouble { kind, reason }
}

/// Without addresses, which may have a password in them.
fn quoted(text: &str) -> String {
    let words = text.split_whitespace().map(|word| if word.contains("://") { "…" } else { word });
    words.collect::<Vec<_>>().join(" ").chars().take(LONGEST_QUOTE).collect()
}

fn io_error(error: &CredentialsError) -> Option<&io::Error> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// Our own client in the place of the crate's: with our bounds and roots, and no second one to build. It goes wherever the
/// crate asks for, which is what the process' own environment and files say; no manifest is asked.
#[derive(Clone)]
struct Http {
    egress: Arc<EgressClient>,
    trail: Trail,
}

struct Connector {
    http: Http,
    time: Duration,
}

impl HttpClient for Http {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let limits = settings.connect_timeout().max(settings.read_timeout());
        SharedHttpConnector::new(Connector {
            http: self.clone(),
            time: limits.map_or(REQUEST, |time| time.min(REQUEST)),
        })
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (http, time) = (self.http.clone(), self.time);
        HttpConnectorFuture::new(async move { http.send(request, time).await })
    }
}

impl Http {
    async fn send(&self, request: HttpRequest, time: Duration) -> Result<HttpResponse, ConnectorError> {
        let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
        let (head, body) = request.into_parts();
        let url: EgressUrl = head.uri.to_string().parse().map_err(|error| {
            self.trail.note(format!("an address of its can't be used: {error}"), true);
            ConnectorError::user(Box::<dyn Error + Send + Sync>::from(error))
        })?;
        let request = Request::from_parts(head, Bytes::copy_from_slice(body.bytes().unwrap_or_default()));
        let sent = self.egress.send(&url, request, Bounds { time, bytes: LARGEST_ANSWER }).await;
        let answer = sent.map_err(|error| {
            self.trail.note(error.to_string(), false);
            match error {
                EgressError::Timeout { .. } => ConnectorError::timeout(error.into()),
                error => ConnectorError::io(error.into()),
            }
        })?;
        let (head, body) = answer.into_parts();
        let seen = Answer { status: head.status, headers: head.headers, body, after_unclear: false };
        self.note(&url, &seen);
        let mut response = http::Response::new(seen.body.into());
        *response.status_mut() = seen.status;
        *response.headers_mut() = seen.headers;
        HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
    }

    /// No more of an answer than its status and its code.
    fn note(&self, url: &EgressUrl, answer: &Answer) {
        let (host, status) = (url.authority(), answer.status.as_u16());
        let code = if answer.status.is_success() { String::new() } else { Refusal::read(answer).code };
        let code = if code.is_empty() { code } else { format!(", {code}") };
        let is_answer = !answer.status.is_server_error() && status != 429;
        self.trail.note(format!("{host} answered with status {status}{code}"), is_answer);
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}
