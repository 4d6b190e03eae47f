//! Parameters and fields on the wire.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::sql::{Field, Value};

type Coded<T> = Result<T, Box<dyn Error + Sync + Send>>;

impl Value {
    /// The type that the value is sent as where the server isn't asked for it.
    pub(super) const fn wire_type(&self) -> Type {
        match self {
            // The server finds out from where it stands.
            Self::Null => Type::UNKNOWN,
            Self::Int(_) => Type::INT8,
            Self::Text(_) => Type::TEXT,
            Self::Bytes(_) => Type::BYTEA,
        }
    }
}

impl ToSql for Value {
    fn to_sql(&self, wanted: &Type, out: &mut BytesMut) -> Coded<IsNull> {
        match (self, wanted) {
            (Self::Null, _) => return Ok(IsNull::Yes),
            // Beside a number that is written out in the text, the server takes a parameter for a short one.
            (Self::Int(number), &Type::INT4) => out.put_i32(i32::try_from(*number)?),
            (Self::Int(number), &Type::INT8) => out.put_i64(*number),
            (Self::Text(text), &Type::TEXT | &Type::VARCHAR | &Type::UNKNOWN) => out.put_slice(text.as_bytes()),
            (Self::Bytes(bytes), &Type::BYTEA) => out.put_slice(bytes),
            (_, wanted) => return Err(format!("a parameter of another type than {wanted} was given").into()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Field<'a> {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Coded<Self> {
        Ok(match *kind {
            Type::INT8 | Type::INT4 => Self::Int(match raw.len() {
                8 => i64::from_be_bytes(raw.try_into()?),
                _ => i64::from(i32::from_be_bytes(raw.try_into()?)),
            }),
            Type::TEXT | Type::VARCHAR | Type::UNKNOWN => std::str::from_utf8(raw).map_or(Self::Other, Self::Text),
            Type::BYTEA => Self::Bytes(raw),
            _ => Self::Other,
        })
    }

    fn from_sql_null(_: &Type) -> Coded<Self> {
        Ok(Self::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
