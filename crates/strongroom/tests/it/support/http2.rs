//! Enough of HTTP/2 to send many requests on one connection, without encryption and without compression.

use super::Raw;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The beginning of a connection, and a request for each body.
pub(crate) fn requests(method: &str, path: &str, token: &str, bodies: impl Iterator<Item = String>) -> Vec<u8> {
    let authorization = format!("Bearer {token}");
    let headers = [
        (":method", method),
        (":scheme", "http"),
        (":authority", "strongroom"),
        (":path", path),
        ("authorization", &authorization),
        ("content-type", "application/json"),
    ];
    let headers: Vec<u8> = headers.iter().flat_map(|(name, value)| literal(name, value)).collect();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    for (stream, body) in (1_u32..).step_by(2).zip(bodies) {
        bytes.extend(frame(HEADERS, END_HEADERS, stream, &headers));
        bytes.extend(frame(DATA, END_STREAM, stream, body.as_bytes()));
    }
    bytes
}

/// Reads until the first answer begins.
pub(crate) fn until_an_answer(raw: &mut Raw) {
    loop {
        let [high, middle, low, kind, ..]: [u8; 9] = raw.receive();
        if kind == HEADERS {
            return;
        }
        for _ in 0..u32::from_be_bytes([0, high, middle, low]) {
            raw.receive::<1>();
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, high, middle, low] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![high, middle, low, kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header by its literal name, in no table. The lengths fit the seven bits that they have.
fn literal(name: &str, value: &str) -> Vec<u8> {
    assert!(name.len() < 127 && value.len() < 127);
    let length = |text: &str| u8::try_from(text.len()).unwrap();
    [&[0, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
}
