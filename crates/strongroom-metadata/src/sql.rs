//! SQL texts, parameters and rows, apart from any engine.

use rusqlite::types::{ToSqlOutput, ValueRef};

use crate::ReadError;

/// A statement: its name for errors and tests, and its text with `?1`, `?2`, … for parameters.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sql {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
}

/// Declares statements, and `ALL`, the list by which tests prepare and examine each of them.
macro_rules! statements {
    ($($name:ident = $text:expr;)+) => {
        $(pub(crate) static $name: crate::sql::Sql = crate::sql::Sql { name: stringify!($name), text: $text };)+
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
id_values!(AccountId, EventId, GroupId, IntegrationId, SecretId, TokenId, UserId, VersionId, VirtualAccountId);

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// Builds a parameter list.
macro_rules! params {
    ($($value:expr),* $(,)?) => { [$(crate::sql::Value::from($value)),*] };
}
pub(crate) use params;

/// One row of an answer, read by position.
pub(crate) struct Row<'a> {
    pub(crate) statement: &'static str,
    pub(crate) inner: &'a rusqlite::Row<'a>,
}

impl Row<'_> {
    pub(crate) fn int(&self, column: usize) -> Result<i64, ReadError> {
        self.opt_int(column)?.ok_or_else(|| self.damaged(column))
    }

    pub(crate) fn opt_int(&self, column: usize) -> Result<Option<i64>, ReadError> {
        match self.inner.get_ref(column)? {
            ValueRef::Null => Ok(None),
            ValueRef::Integer(number) => Ok(Some(number)),
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
        match self.inner.get_ref(column)? {
            ValueRef::Null => Ok(None),
            ValueRef::Blob(bytes) => Ok(Some(bytes.to_owned())),
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

    fn opt_str(&self, column: usize) -> Result<Option<&str>, ReadError> {
        match self.inner.get_ref(column)? {
            ValueRef::Null => Ok(None),
            ValueRef::Text(text) => std::str::from_utf8(text).map(Some).map_err(|_| self.damaged(column)),
            _ => Err(self.damaged(column)),
        }
    }
}
