//! Connection URLs, as `tokio-postgres` and libpq read them.

use std::{fmt::Write as _, path::Path};

/// Over a Unix socket: the host is a folder.
pub(crate) fn over_socket(folder: &Path, port: u16, database: &str) -> String {
    let folder = encoded(&folder.to_string_lossy());
    format!("postgres://postgres@/{}?host={folder}&port={port}", encoded(database))
}

/// Over TCP on this machine.
pub(crate) fn over_tcp(port: u16, database: &str) -> String {
    format!("postgres://postgres@127.0.0.1:{port}/{}", encoded(database))
}

fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String can't fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_url_gives_meaning_is_encoded() {
        assert_eq!(
            over_socket(Path::new("/tmp/a b"), 5432, "x/y?z"),
            "postgres://postgres@/x%2Fy%3Fz?host=%2Ftmp%2Fa%20b&port=5432"
        );
        assert_eq!(over_tcp(7, "ä_1"), "postgres://postgres@127.0.0.1:7/%C3%A4_1");
    }
}
