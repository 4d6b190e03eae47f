use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::PoisonError;

use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderMap, HeaderName};
use http_body_util::BodyExt;
use serde_json::Value;
use strongroom_server::http::transport::ClientAddress;
use tower::ServiceExt;

use crate::app::Wire;

/// The address that requests come from (of the documentation's network).
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

/// One subject that speaks to the server.
#[derive(Clone)]
pub struct Client {
    wire: Wire,
    name: String,
    token: Option<String>,
}

impl Client {
    pub(crate) fn new(wire: Wire, name: &str, token: Option<&str>) -> Self {
        Self { wire, name: name.to_owned(), token: token.map(str::to_owned) }
    }

    /// An address of email, a machine's name, or what else tells it from others.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The token it speaks with.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// GET
    pub async fn get(&self, path: &str) -> Answer {
        self.request("GET", path).send().await
    }

    /// POST with a JSON body
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.request("POST", path).json(&body).send().await
    }

    /// PUT with a JSON body
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.request("PUT", path).json(&body).send().await
    }

    /// DELETE
    pub async fn delete(&self, path: &str) -> Answer {
        self.request("DELETE", path).send().await
    }

    /// Any request. The path is sent as it is: see [`encode`].
    #[must_use]
    pub fn request(&self, method: &str, path: &str) -> Request {
        let mut builder = http::Request::builder().method(method).uri(path);
        if let Some(token) = &self.token {
            builder = builder.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let about = format!("{method} {} as {}", path.chars().take(200).collect::<String>(), self.name);
        Request {
            wire: self.wire.clone(),
            address: ADDRESS,
            builder,
            body: Vec::new(),
            meanwhile: None,
            about,
            has_contract: path.starts_with("/api") && method != "HEAD",
        }
    }
}

/// A request before it is sent.
pub struct Request {
    wire: Wire,
    address: IpAddr,
    builder: http::request::Builder,
    body: Vec<u8>,
    meanwhile: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    about: String,
    has_contract: bool,
}

impl Request {
    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    /// Comes from another address.
    #[must_use]
    pub const fn from(mut self, address: IpAddr) -> Self {
        self.address = address;
        self
    }

    /// Sets a JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// Sets any body.
    #[must_use]
    pub fn body(mut self, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.builder = self.builder.header(CONTENT_TYPE, media_type);
        self.body = body.into();
        self
    }

    /// Lets something happen once the server has read the head and asks for the body; the body comes after it.
    #[must_use]
    pub fn meanwhile(mut self, happens: impl Future<Output = ()> + Send + 'static) -> Self {
        self.meanwhile = Some(Box::pin(happens));
        self
    }

    /// Sends it, and checks what every answer promises. Panics with the request when the answer breaks it.
    pub async fn send(self) -> Answer {
        let router = self.wire.read().unwrap_or_else(PoisonError::into_inner).clone().expect("the app is stopped");
        let body = match self.meanwhile {
            None => Body::from(self.body),
            Some(happens) => Body::from_stream(futures_util::stream::once(async {
                happens.await;
                Ok::<_, Infallible>(self.body)
            })),
        };
        let request = self.builder.extension(ClientAddress(self.address)).body(body).unwrap();
        let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        let json = serde_json::from_str(&text).unwrap_or_default();
        let answer = Answer { status: parts.status.as_u16(), headers: parts.headers, text, json, about: self.about };
        answer.check(self.has_contract);
        answer
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub text: String,
    /// The body as JSON; null when it is none.
    pub json: Value,
    about: String,
}

impl Answer {
    /// The body, when the status is the expected one; else panics with what came.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.about, self.text);
        self.json
    }

    /// The error's message, when status and code are the expected ones.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> &str {
        assert_eq!((self.status, self.code()), (status, code), "{}: {}", self.about, self.text);
        self.json["message"].as_str().unwrap_or_default()
    }

    /// The paths of the fields that a 422 finds fault with; a 400 where the manifest is of another kind.
    #[track_caller]
    pub fn faults(&self) -> Vec<&str> {
        self.refused(if self.status == 400 { 400 } else { 422 }, "invalid_input");
        let details = self.json["details"].as_array().expect("a 422 has details");
        details.iter().map(|detail| detail["path"].as_str().unwrap()).collect()
    }

    /// The error's code, empty in a success.
    #[must_use]
    pub fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }

    /// The revision in `ETag`, with its quotes.
    #[must_use]
    pub fn etag(&self) -> &str {
        self.headers.get(ETAG).map_or("", |tag| tag.to_str().unwrap())
    }

    /// What the contract promises of every answer under `/api`: JSON, an id, not to be kept; and the one error body.
    fn check(&self, has_contract: bool) {
        let header = |name: &str| self.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        if !has_contract {
            return;
        }
        let about = || format!("{} -> {} {}", self.about, self.status, self.text);
        assert_eq!(header("content-type").as_deref(), Some("application/json"), "{}", about());
        assert_eq!(header("cache-control").as_deref(), Some("no-store"), "{}", about());
        assert!(header("x-request-id").is_some_and(|id| id.len() == 36), "{}", about());
        if (200..300).contains(&self.status) {
            assert!(!self.text.is_empty(), "clients fail on an empty body: {}", about());
            return;
        }
        let body = self.json.as_object().unwrap_or_else(|| panic!("an error without its body: {}", about()));
        let fields: Vec<&str> = body.keys().map(String::as_str).collect();
        assert_eq!(fields, ["statusCode", "message", "code", "details"], "{}", about());
        assert_eq!(body["statusCode"], self.status, "{}", about());
        assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()), "{}", about());
        let code = body["code"].as_str().unwrap_or_else(|| panic!("no code: {}", about()));
        assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{}", about());
        let is_detail = |detail: &Value| {
            detail
                .as_object()
                .is_some_and(|detail| detail.len() == 2 && detail["path"].is_string() && detail["message"].is_string())
        };
        let details = &body["details"];
        let fits = details.is_null() || details.as_array().is_some_and(|details| details.iter().all(is_detail));
        assert!(fits, "{}", about());
    }
}

/// Percent-encodes everything that is not a letter, a digit, `-` or `.`, for a query or a path.
#[must_use]
pub fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-.".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").unwrap();
        }
        out
    })
}
