//! A service that gives credentials, or doesn't: for containers, instances, and STS.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// What is said to a request.
pub(super) enum Says {
    /// This, with this status.
    Text(u16, String),
    /// A token as instances give it.
    Token(&'static str),
    /// Nothing, ever.
    Nothing,
}

/// On a port of its own. It says one thing after the other, and the last one ever after.
pub(super) struct Endpoint {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
    _task: JoinSet<()>,
}

impl Endpoint {
    pub(super) async fn start(says: Vec<Says>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (heads, says) = (Arc::new(Mutex::new(Vec::new())), Arc::new(says));
        let mut task = JoinSet::new();
        let shared = heads.clone();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, shared.clone(), says.clone()));
            }
        });
        Self { port, heads, _task: task }
    }

    pub(super) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.host())
    }

    /// The heads of all requests so far.
    pub(super) fn asked(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, heads: Arc<Mutex<Vec<String>>>, says: Arc<Vec<Says>>) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { return };
            head.push(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        stream.read_exact(&mut vec![0; length.unwrap_or(0)]).await.unwrap();
        let at = {
            let mut heads = heads.lock().unwrap();
            heads.push(head);
            heads.len() - 1
        };
        let (status, headers, text) = match &says[at.min(says.len() - 1)] {
            Says::Text(status, text) => (*status, "", text.as_str()),
            Says::Token(token) => (200, "x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n", *token),
            Says::Nothing => {
                // Until the other end goes away.
                let _ = stream.read_u8().await;
                return;
            }
        };
        let answer = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n{text}", text.len());
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
