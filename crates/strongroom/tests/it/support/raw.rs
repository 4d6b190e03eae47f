//! Requests byte by byte, for clients that misbehave.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use super::http::{Answer, connect};

/// A connection on which anything can be sent.
pub(crate) struct Raw(TcpStream);

impl Raw {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self(connect(address).unwrap())
    }

    /// Sends as much as the other side takes.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let _ = self.0.write_all(bytes.as_ref());
        self
    }

    /// Says that nothing more will be sent.
    pub(crate) fn half_close(&mut self) -> &mut Self {
        self.0.shutdown(Shutdown::Write).unwrap();
        self
    }

    /// Exactly so many bytes.
    #[track_caller]
    pub(crate) fn receive<const LENGTH: usize>(&mut self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// The next answer; `None` when the connection ends instead.
    pub(crate) fn answer(&mut self) -> Option<Answer> {
        Answer::read(&mut self.0).ok()
    }

    /// Waits until the server has closed the connection.
    #[track_caller]
    pub(crate) fn closed(&mut self) {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the server did not close the connection: {error}"),
        }
    }
}
