//! PostgreSQL.

mod values;
