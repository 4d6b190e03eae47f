//! A man in the middle who knows where messages begin and end, and does what networks do.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const BEGIN_BATCH: &[u8] = b"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE\0";
/// A client that says nothing for so long has said all, and a server that hasn't answered for so long waits for something.
const SAID: Duration = Duration::from_millis(15);
const QUIET: Duration = Duration::from_secs(3);
const GLANCE: Duration = Duration::from_millis(5);

/// What happens to the next batch, counted from its BEGIN.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The connection ends after so many messages to the server.
    CutSent(usize),
    /// The connection ends after so many bytes to the server.
    CutBytes(usize),
    /// After so many messages from the server its answers get lost, and when it is done the connection ends.
    CutAnswers(usize),
    /// The same, and the client is told of the end as `PgBouncer` does that: without the field of the severity.
    PoolerGivesUp(usize),
    /// The answer to what is asked after COMMIT becomes an error of a collision.
    ProofCollides,
    /// After so many messages to the server nothing gets there for a time; then all goes on, whoever still listens.
    Hold(usize, Duration),
}

pub(crate) struct Proxy {
    port: u16,
    database: String,
    inner: Arc<Inner>,
}

struct Inner {
    upstream: Upstream,
    armed: Mutex<Option<Fault>>,
    /// Which arming holds.
    arming: AtomicU64,
    fired: AtomicBool,
    /// For how long nobody gets in, from when the fault fires.
    refuses_for: Mutex<Duration>,
    refuses_until: Mutex<Option<Instant>>,
    connections: AtomicU64,
    /// Connections with a lower number stand still.
    frozen: AtomicU64,
    open: Mutex<Vec<(TcpStream, Stream)>>,
    stopped: AtomicBool,
}

enum Upstream {
    Socket(String),
    Tcp(String),
}

enum Stream {
    Socket(UnixStream),
    Tcp(TcpStream),
}

impl Proxy {
    /// In front of the server that the URL names.
    pub(crate) fn start(url: &str) -> Self {
        let (way, query) = url.split_once('?').unwrap_or((url, ""));
        let parameter =
            |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)).map(|v| v.replace("%2F", "/"));
        let (server, database) = way.rsplit_once('/').unwrap();
        let upstream = match parameter("host=") {
            Some(folder) => Upstream::Socket(format!("{folder}/.s.PGSQL.{}", parameter("port=").unwrap())),
            None => Upstream::Tcp(server.rsplit_once('@').unwrap().1.to_owned()),
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let inner = Arc::new(Inner {
            upstream,
            armed: Mutex::default(),
            arming: AtomicU64::new(0),
            fired: AtomicBool::new(false),
            refuses_for: Mutex::default(),
            refuses_until: Mutex::default(),
            connections: AtomicU64::new(0),
            frozen: AtomicU64::new(0),
            open: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let accepting = inner.clone();
        thread::spawn(move || accepting.accept(&listener));
        Self { port, database: database.to_owned(), inner }
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{}", self.port, self.database)
    }

    /// The next batch meets a fault, and for a time after it nobody gets in.
    pub(crate) fn arm(&self, fault: Fault, refuse: Duration) {
        *self.inner.armed.lock().unwrap() = Some(fault);
        *self.inner.refuses_for.lock().unwrap() = refuse;
        self.inner.fired.store(false, SeqCst);
        self.inner.arming.fetch_add(1, SeqCst);
    }

    /// Everybody gets through again. Gives whether the fault has happened.
    pub(crate) fn disarm(&self) -> bool {
        self.inner.armed.lock().unwrap().take();
        self.inner.arming.fetch_add(1, SeqCst);
        *self.inner.refuses_until.lock().unwrap() = None;
        self.inner.fired.load(SeqCst)
    }

    /// All connections of now stand still from now on, without anybody being told; new ones work.
    pub(crate) fn freeze(&self) {
        self.inner.frozen.store(self.inner.connections.load(SeqCst), SeqCst);
    }

    /// All connections of now end for the client. The server gets all that was sent, and can answer.
    pub(crate) fn cut(&self) {
        for (client, _) in &*self.inner.open.lock().unwrap() {
            let _ = client.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.inner.stopped.store(true, SeqCst);
        for (client, server) in self.inner.open.lock().unwrap().drain(..) {
            end(&client, &server);
        }
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Inner {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            let Ok(client) = client else { return };
            if self.stopped.load(SeqCst) {
                return;
            }
            if self.refuses_until.lock().unwrap().is_some_and(|until| Instant::now() < until) {
                continue;
            }
            let Ok(server) = self.upstream.connect() else { continue };
            client.set_nodelay(true).unwrap();
            let number = self.connections.fetch_add(1, SeqCst);
            self.open.lock().unwrap().push((client.try_clone().unwrap(), server.try_clone()));
            let line = Arc::new(Line { inner: self.clone(), number, batch: Mutex::default() });
            let (back, from, to) = (line.clone(), server.try_clone(), client.try_clone().unwrap());
            thread::spawn(move || line.forward(client, server));
            thread::spawn(move || back.backward(from, to));
        }
    }
}

/// One connection.
struct Line {
    inner: Arc<Inner>,
    number: u64,
    /// The batch with the fault.
    batch: Mutex<Option<Batch>>,
}

#[derive(Clone, Copy)]
struct Batch {
    arming: u64,
    fault: Fault,
    sent: usize,
    bytes: usize,
    answers: usize,
    /// Whether COMMIT was answered.
    committed: bool,
    /// Questions that the server ends with `ReadyForQuery`, less such ends.
    pending: i64,
}

impl Line {
    fn forward(&self, mut client: TcpStream, mut server: Stream) {
        let mut first = true;
        while let Ok(message) = read_message(&mut client, first) {
            if std::mem::take(&mut first) {
                self.wait_while_frozen();
                let _ = server.write_all(&message);
                continue;
            }
            if message[0] == b'Q'
                && &message[5..] == BEGIN_BATCH
                && let Some(fault) = self.inner.armed.lock().unwrap().take()
            {
                let arming = self.inner.arming.load(SeqCst);
                *self.batch.lock().unwrap() =
                    Some(Batch { arming, fault, sent: 0, bytes: 0, answers: 0, committed: false, pending: 0 });
            }
            self.wait_while_frozen();
            let Some((fault, sent, bytes)) = self.note(|batch| {
                batch.sent += 1;
                batch.bytes += message.len();
                batch.pending += i64::from(matches!(message[0], b'Q' | b'S'));
                (batch.fault, batch.sent, batch.bytes)
            }) else {
                let _ = server.write_all(&message);
                continue;
            };
            match fault {
                Fault::CutBytes(at) if bytes >= at => {
                    let part = message.len() - (bytes - at);
                    let _ = server.write_all(&message[..part]);
                    self.fire();
                    return end(&client, &server);
                }
                _ => _ = server.write_all(&message),
            }
            match fault {
                Fault::CutSent(at) if sent >= at => {
                    self.fire();
                    return end(&client, &server);
                }
                Fault::Hold(at, time) if sent == at => {
                    self.fire();
                    thread::sleep(time);
                }
                _ => {}
            }
        }
        server.end_writing();
    }

    fn backward(&self, mut server: Stream, mut client: TcpStream) {
        while let Ok(message) = read_message(&mut server, false) {
            self.wait_while_frozen();
            if self.note(|batch| self.collides(batch, &message, &mut client)) == Some(true) {
                continue;
            }
            let lost = self.note(|batch| {
                batch.answers += 1;
                batch.pending -= i64::from(message[0] == b'Z');
                match batch.fault {
                    Fault::CutAnswers(after) => (batch.answers > after).then_some(false),
                    Fault::PoolerGivesUp(after) => (batch.answers > after).then_some(true),
                    _ => None,
                }
            });
            if let Some(Some(tells)) = lost {
                self.read_to_the_end(&mut server);
                if tells {
                    let _ = client.write_all(&pooler_farewell());
                }
                self.fire();
                return end(&client, &server);
            }
            // Who has gone away doesn't keep the server from going on.
            let _ = client.write_all(&message);
        }
        let _ = client.shutdown(Shutdown::Both);
    }

    /// Whether the message was replaced, or has nothing to follow.
    fn collides(&self, batch: &mut Batch, message: &[u8], client: &mut TcpStream) -> bool {
        if !matches!(batch.fault, Fault::ProofCollides) {
            return false;
        }
        if batch.committed && message[0] == b'2' {
            let _ = client.write_all(&error(b"SERROR\0VERROR\0C40001\0Mcould not serialize access\0\0"));
            self.inner.fired.store(true, SeqCst);
        }
        let replaced = batch.committed && matches!(message[0], b'2' | b'D' | b'C');
        batch.committed |= message.starts_with(b"C\0\0\0\x0bCOMMIT\0");
        replaced
    }

    /// Reads until the server has answered everything, and throws it away.
    fn read_to_the_end(&self, server: &mut Stream) {
        server.read_within(QUIET);
        loop {
            if self.note(|batch| batch.pending) == Some(0) {
                thread::sleep(SAID);
            }
            if self.note(|batch| batch.pending).is_none_or(|pending| pending == 0) {
                return;
            }
            let Ok(message) = read_message(server, false) else { return };
            self.note(|batch| batch.pending -= i64::from(message[0] == b'Z'));
        }
    }

    fn note<R>(&self, note: impl FnOnce(&mut Batch) -> R) -> Option<R> {
        let mut batch = self.batch.lock().unwrap();
        let batch = batch.as_mut().filter(|batch| batch.arming == self.inner.arming.load(SeqCst))?;
        Some(note(batch))
    }

    fn fire(&self) {
        if self.note(|_| ()).is_none() {
            return;
        }
        let wait = *self.inner.refuses_for.lock().unwrap();
        *self.inner.refuses_until.lock().unwrap() = (!wait.is_zero()).then(|| Instant::now() + wait);
        self.inner.fired.store(true, SeqCst);
    }

    fn wait_while_frozen(&self) {
        while self.number < self.inner.frozen.load(SeqCst) && !self.inner.stopped.load(SeqCst) {
            thread::sleep(GLANCE);
        }
    }
}

/// A whole message, type and length included; the first of a client has no type.
fn read_message(from: &mut impl Read, first: bool) -> std::io::Result<Vec<u8>> {
    let mut message = vec![0; if first { 4 } else { 5 }];
    from.read_exact(&mut message)?;
    let at = message.len() - 4;
    let length = u32::from_be_bytes(message[at..].try_into().unwrap()) as usize;
    message.resize(at + length, 0);
    from.read_exact(&mut message[at + 4..])?;
    Ok(message)
}

/// As `PgBouncer` 1.18 says it.
fn pooler_farewell() -> Vec<u8> {
    error(b"SFATAL\0C08P01\0Mserver conn crashed?\0\0")
}

fn error(fields: &[u8]) -> Vec<u8> {
    let mut message = vec![b'E'];
    message.extend(u32::try_from(fields.len() + 4).unwrap().to_be_bytes());
    message.extend(fields);
    message
}

fn end(client: &TcpStream, server: &Stream) {
    let _ = client.shutdown(Shutdown::Both);
    server.end();
}

impl Upstream {
    fn connect(&self) -> std::io::Result<Stream> {
        match self {
            Self::Socket(path) => UnixStream::connect(path).map(Stream::Socket),
            Self::Tcp(address) => TcpStream::connect(address).map(Stream::Tcp),
        }
    }
}

impl Stream {
    fn try_clone(&self) -> Self {
        match self {
            Self::Socket(stream) => Self::Socket(stream.try_clone().unwrap()),
            Self::Tcp(stream) => Self::Tcp(stream.try_clone().unwrap()),
        }
    }

    fn end(&self) {
        let _ = match self {
            Self::Socket(stream) => stream.shutdown(Shutdown::Both),
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
        };
    }

    fn end_writing(&self) {
        let _ = match self {
            Self::Socket(stream) => stream.shutdown(Shutdown::Write),
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
        };
    }

    fn read_within(&self, limit: Duration) {
        let _ = match self {
            Self::Socket(stream) => stream.set_read_timeout(Some(limit)),
            Self::Tcp(stream) => stream.set_read_timeout(Some(limit)),
        };
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Socket(stream) => stream.read(into),
            Self::Tcp(stream) => stream.read(into),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Socket(stream) => stream.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
