use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::TableReport;
use super::tables::Table;
use crate::sql::Value;

/// SHA-256 over a table's rows: what is written is length-prefixed, so that two tables never look the same to it.
pub(super) struct TableDigest {
    table: &'static str,
    rows: u64,
    hash: Sha256,
}

impl TableDigest {
    pub(super) fn new(table: &Table, columns: &[String]) -> Self {
        let mut digest = Self { table: table.name, rows: 0, hash: Sha256::new() };
        digest.sized(table.name.as_bytes());
        digest.number(columns.len() as u64);
        for column in columns {
            digest.sized(column.as_bytes());
        }
        digest
    }

    pub(super) fn row(&mut self, row: &[Value]) {
        self.rows += 1;
        for value in row {
            match value {
                Value::Null => self.hash.update([0]),
                Value::Int(number) => {
                    self.hash.update([1]);
                    self.hash.update(number.to_be_bytes());
                }
                Value::Text(text) => {
                    self.hash.update([2]);
                    self.sized(text.as_bytes());
                }
                Value::Bytes(bytes) => {
                    self.hash.update([3]);
                    self.sized(bytes);
                }
            }
        }
    }

    pub(super) fn report(mut self) -> TableReport {
        self.number(self.rows);
        let mut hash = String::with_capacity(64);
        for byte in self.hash.finalize() {
            // Writing to a `String` can't fail.
            let _ = write!(hash, "{byte:02x}");
        }
        TableReport { name: self.table, rows: self.rows, hash }
    }

    fn sized(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.hash.update(bytes);
    }

    fn number(&mut self, number: u64) {
        self.hash.update(number.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::tables::TABLES;

    fn hash(rows: &[&[Value]]) -> String {
        let mut digest = TableDigest::new(&TABLES[0], &["a".into(), "b".into()]);
        for row in rows {
            digest.row(row);
        }
        digest.report().hash
    }

    #[test]
    fn rows_that_differ_anywhere_have_another_hash() {
        let text = |text: &str| Value::from(text);
        let all = [
            hash(&[]),
            hash(&[&[Value::Null, Value::Null]]),
            hash(&[&[text(""), Value::Null]]),
            hash(&[&[Value::Bytes(vec![]), Value::Null]]),
            hash(&[&[Value::Null, text("")]]),
            hash(&[&[text("ab"), text("c")]]),
            hash(&[&[text("a"), text("bc")]]),
            hash(&[&[text("ab"), Value::Bytes(b"c".to_vec())]]),
            hash(&[&[Value::Int(0), Value::Int(1)]]),
            hash(&[&[Value::Int(1), Value::Int(0)]]),
            hash(&[&[Value::Int(0), Value::Int(1)], &[Value::Int(1), Value::Int(0)]]),
            hash(&[&[Value::Int(1), Value::Int(0)], &[Value::Int(0), Value::Int(1)]]),
        ];
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
        assert!(all.iter().all(|hash| hash.len() == 64));
    }
}
