//! SQL texts, parameters and rows, apart from any engine.

use std::sync::OnceLock;

use crate::{ReadError, dialect};

/// A statement: its name for errors and tests, and its text with `?1`, `?2`, … for parameters.
#[derive(Debug)]
pub(crate) struct Sql {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
    sqlite: OnceLock<String>,
    postgres: OnceLock<String>,
    postgres_guarded: OnceLock<String>,
}

impl Sql {
    pub(crate) const fn new(name: &'static str, text: &'static str) -> Self {
        Self { name, text, sqlite: OnceLock::new(), postgres: OnceLock::new(), postgres_guarded: OnceLock::new() }
    }

    /// As SQLite reads it.
    pub(crate) fn sqlite(&self) -> &str {
        self.sqlite.get_or_init(|| dialect::sqlite(self.text))
    }

    /// As PostgreSQL reads it.
    pub(crate) fn postgres(&self) -> &str {
        self.postgres.get_or_init(|| dialect::postgres(self.text))
    }

    /// A write for a batch on PostgreSQL, which fails unless it touches as many rows as it must.
    pub(crate) fn postgres_guarded(&self) -> &str {
        self.postgres_guarded.get_or_init(|| dialect::postgres_guarded(self.text))
    }
}

/// Declares statements, and `ALL`, the list by which tests prepare and examine each of them.
macro_rules! statements {
    ($($name:ident = $text:expr;)+) => {
        $(pub(crate) static $name: crate::sql::Sql = crate::sql::Sql::new(stringify!($name), $text);)+
        #[cfg(test)]
        pub(crate) static ALL: &[&crate::sql::Sql] = &[$(&$name),+];
    };
}
pub(crate) use statements;

/// A parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_owned())
    }
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(bytes: &[u8; N]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<&Vec<u8>> for Value {
    fn from(bytes: &Vec<u8>) -> Self {
        Self::Bytes(bytes.clone())
    }
}

impl From<strongroom_domain::Timestamp> for Value {
    fn from(at: strongroom_domain::Timestamp) -> Self {
        Self::Int(at.micros())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

macro_rules! id_values {
    ($($id:ident),+) => {$(
        impl From<strongroom_domain::$id> for Value {
            fn from(id: strongroom_domain::$id) -> Self {
                Self::Text(id.to_string())
            }
        }
    )+};
}
id_values!(
    AccountId,
    EventId,
    GroupId,
    IntegrationId,
    OperationId,
    SecretId,
    SigningKeyId,
    TokenId,
    UserId,
    VersionId,
    VirtualAccountId
);

/// Builds a parameter list.
macro_rules! params {
    ($($value:expr),* $(,)?) => { [$(crate::sql::Value::from($value)),*] };
}
pub(crate) use params;

/// One row of an answer, read by position.
pub(crate) struct Row<'a> {
    pub(crate) statement: &'static str,
    pub(crate) inner: Columns<'a>,
}

/// Whose row it is.
pub(crate) enum Columns<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a tokio_postgres::Row),
}

/// One field of a row.
pub(crate) enum Field<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
    /// Of a type that no column of ours has, or a text that is none.
    Other,
}

impl Row<'_> {
    pub(crate) fn int(&self, column: usize) -> Result<i64, ReadError> {
        self.opt_int(column)?.ok_or_else(|| self.damaged(column))
    }

    pub(crate) fn opt_int(&self, column: usize) -> Result<Option<i64>, ReadError> {
        match self.field(column)? {
            Field::Null => Ok(None),
            Field::Int(number) => Ok(Some(number)),
            _ => Err(self.damaged(column)),
        }
    }

    pub(crate) fn text(&self, column: usize) -> Result<String, ReadError> {
        self.opt_text(column)?.ok_or_else(|| self.damaged(column))
    }

    pub(crate) fn opt_text(&self, column: usize) -> Result<Option<String>, ReadError> {
        Ok(self.opt_str(column)?.map(str::to_owned))
    }

    pub(crate) fn bytes(&self, column: usize) -> Result<Vec<u8>, ReadError> {
        self.opt_bytes(column)?.ok_or_else(|| self.damaged(column))
    }

    pub(crate) fn opt_bytes(&self, column: usize) -> Result<Option<Vec<u8>>, ReadError> {
        match self.field(column)? {
            Field::Null => Ok(None),
            Field::Bytes(bytes) => Ok(Some(bytes.to_owned())),
            _ => Err(self.damaged(column)),
        }
    }

    /// A field of a type that is read from text, such as an id.
    pub(crate) fn parsed<T>(&self, column: usize, parse: impl Fn(&str) -> Option<T>) -> Result<T, ReadError> {
        self.opt_str(column)?.and_then(parse).ok_or_else(|| self.damaged(column))
    }

    /// The same, where null is allowed.
    pub(crate) fn opt_parsed<T>(
        &self,
        column: usize,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ReadError> {
        self.opt_str(column)?.map(|text| parse(text).ok_or_else(|| self.damaged(column))).transpose()
    }

    pub(crate) fn time(&self, column: usize) -> Result<strongroom_domain::Timestamp, ReadError> {
        self.int(column).map(strongroom_domain::Timestamp::from_micros)
    }

    pub(crate) fn opt_time(&self, column: usize) -> Result<Option<strongroom_domain::Timestamp>, ReadError> {
        Ok(self.opt_int(column)?.map(strongroom_domain::Timestamp::from_micros))
    }

    pub(crate) fn damaged(&self, column: usize) -> ReadError {
        ReadError::Damaged { statement: self.statement, column }
    }

    pub(crate) fn field(&self, column: usize) -> Result<Field<'_>, ReadError> {
        match self.inner {
            Columns::Sqlite(row) => Ok(crate::sqlite::field(row.get_ref(column)?)),
            Columns::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    fn opt_str(&self, column: usize) -> Result<Option<&str>, ReadError> {
        match self.field(column)? {
            Field::Null => Ok(None),
            Field::Text(text) => Ok(Some(text)),
            _ => Err(self.damaged(column)),
        }
    }
}
