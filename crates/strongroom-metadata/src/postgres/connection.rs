//! One connection: statements run by name, many in flight at a time.

use std::collections::HashMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{MaybeDone, maybe_done};
use futures_util::{StreamExt, poll};
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::{AsyncMessage, Client, Error, RowStream, Statement};

use crate::sql::Value;

pub(super) struct Connection {
    client: Client,
    /// Whether statements are prepared once by name; behind some poolers they can't be.
    named: bool,
    statements: Mutex<HashMap<(usize, usize), Statement>>,
    warned: Arc<AtomicBool>,
}

impl Connection {
    /// `warned` is set by who reads the connection's messages: see [`Warned`].
    pub(super) fn new(client: Client, named: bool, warned: Arc<AtomicBool>) -> Self {
        Self { client, named, statements: Mutex::default(), warned }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    /// Whether the server has warned since the last call: of a COMMIT that didn't wait for its copies, for example.
    pub(super) fn take_warning(&self) -> bool {
        self.warned.swap(false, Ordering::SeqCst)
    }

    /// Makes a statement known to the server, so that the next run of it is sent at once.
    pub(super) async fn prepare(&self, text: &'static str) -> Result<(), Error> {
        if self.named && self.known(text).is_none() {
            let statement = self.client.prepare(text).await?;
            self.statements().insert(key(text), statement);
        }
        Ok(())
    }

    /// Runs a statement. With the statement known, the first poll sends all of it.
    pub(super) async fn run(&self, text: &'static str, params: &[Value]) -> Result<RowStream, Error> {
        if !self.named {
            let typed = params.iter().map(|value| (value, value.wire_type()));
            return self.client.query_typed_raw(text, typed).await;
        }
        self.prepare(text).await?;
        match self.known(text) {
            Some(statement) => self.client.query_raw(&statement, params).await,
            None => self.client.query_raw(text, params).await,
        }
    }

    /// The same, to the end; gives the number of rows that came back.
    pub(super) async fn finish(&self, text: &'static str, params: &[Value]) -> Result<u64, Error> {
        let mut rows = pin!(self.run(text, params).await?);
        let mut count = 0;
        while let Some(row) = rows.next().await {
            row?;
            count += 1;
        }
        Ok(count)
    }

    /// A statement without parameters and rows; the first poll sends it.
    pub(super) async fn command(&self, text: &'static str) -> Result<u64, Error> {
        self.client.batch_execute(text).await.map(|()| 0)
    }

    fn known(&self, text: &'static str) -> Option<Statement> {
        self.statements().get(&key(text)).cloned()
    }

    fn statements(&self) -> std::sync::MutexGuard<'_, HashMap<(usize, usize), Statement>> {
        self.statements.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Texts live as long as the program, so their place tells them apart.
fn key(text: &'static str) -> (usize, usize) {
    (text.as_ptr() as usize, text.len())
}

/// Watches for warnings among a connection's messages.
pub(super) struct Warned(pub(super) Arc<AtomicBool>);

impl Warned {
    pub(super) fn note(&self, message: &AsyncMessage) {
        if let AsyncMessage::Notice(notice) = message
            && notice.parsed_severity() == Some(Severity::Warning)
        {
            tracing::warn!(code = notice.code().code(), notice = notice.message(), "the database warns");
            self.0.store(true, Ordering::SeqCst);
        }
    }
}

/// A request on its way.
pub(super) type Request<'a> = Pin<Box<dyn Future<Output = Result<u64, Error>> + Send + 'a>>;

/// Sends all requests in their order, and then waits for all answers: one round trip.
pub(super) async fn pipelined(requests: Vec<Request<'_>>) -> Vec<Result<u64, Error>> {
    let mut sent: Vec<MaybeDone<Request<'_>>> = requests.into_iter().map(maybe_done).collect();
    for request in &mut sent {
        let _ = poll!(&mut *request);
    }
    let mut answers = Vec::with_capacity(sent.len());
    for mut request in sent {
        (&mut request).await;
        if let Some(answer) = Pin::new(&mut request).take_output() {
            answers.push(answer);
        }
    }
    answers
}

/// What an error means for the connection and for what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The connection is lost; what was in flight may have happened or not.
    Connection,
    /// A unique index, a foreign key, a check, or the number of rows.
    Guard,
    /// Another transaction was in the way; nothing happened, and it may be tried again.
    Collision,
    /// The disk is full; nothing happened.
    Full,
    /// The instance is being copied, or the server takes no writes.
    ReadOnly,
    /// Another error of the server; nothing happened.
    Other,
}

pub(super) fn cause(error: &Error) -> Cause {
    let Some(told) = error.as_db_error() else { return Cause::Connection };
    // A pooler's own errors, of which most end the connection, have the severity only as a text.
    let severity = told.parsed_severity();
    let fatal = severity.map_or_else(
        || matches!(told.severity(), "FATAL" | "PANIC"),
        |severity| matches!(severity, Severity::Fatal | Severity::Panic),
    );
    let code = told.code();
    // Class 08 is of connections, and 40003 says in so many words that nobody knows.
    if fatal || code.code().starts_with("08") || *code == SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN {
        return Cause::Connection;
    }
    if code.code().starts_with("23") || *code == SqlState::DIVISION_BY_ZERO {
        Cause::Guard
    } else if [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(code) {
        Cause::Collision
    } else if *code == SqlState::DISK_FULL {
        Cause::Full
    } else if *code == SqlState::READ_ONLY_SQL_TRANSACTION || code.code() == crate::dialect::MOVING {
        Cause::ReadOnly
    } else {
        Cause::Other
    }
}

/// An error for the log and for start-up messages: never the values that a server's detail may quote.
pub(crate) fn described(error: &Error) -> String {
    let Some(told) = error.as_db_error() else {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(below) = source {
            text = format!("{text}: {below}");
            source = below.source();
        }
        return text;
    };
    let hint = match told.code().code() {
        "26000" | "42P05" => {
            "; behind a pooler that can't keep prepared statements set database-prepared-statements = false"
        }
        _ => "",
    };
    format!("{} ({}){hint}", told.message(), told.code().code())
}
