//! Bytes that are wiped when they are dropped, and on every way there.

use std::io;

use bytes::Bytes;
use zeroize::Zeroizing;

/// Grows by moving into a larger buffer and wiping the one it leaves: a `Vec` would leave a copy behind each time.
#[derive(Default)]
pub(crate) struct WipedBuffer(Zeroizing<Vec<u8>>);

impl WipedBuffer {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(bytes)))
    }

    pub(crate) fn extend(&mut self, more: &[u8]) {
        let needed = self.0.len() + more.len();
        if needed > self.0.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(2 * self.0.capacity())));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(more);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Wiped when the last clone is dropped.
    pub(crate) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self.0)
    }
}

impl io::Write for WipedBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let mut buffer = WipedBuffer::with_capacity(2);
        for piece in ["", "a", "bcdef", "ghijklmnopq"] {
            buffer.extend(piece.as_bytes());
        }
        assert_eq!(buffer.into_bytes(), "abcdefghijklmnopq");
    }
}
