//! Requests as ready-made bytes of which only a few are rewritten before each send.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// Stands in a path or body for 16 hexadecimal digits that no other request of this process has.
pub(crate) const UNIQUE: &str = "<unique-16-byte>";
/// Stands in a body for a fresh 32-byte value.
pub(crate) const VALUE: &str = "<32-bytes-of-a-fresh-made-value>";

const UNIQUE_BYTES: usize = 16;
const VALUE_BYTES: usize = 32;
// Filling never changes a length, so Content-Length is right from the start.
const _: () = assert!(UNIQUE.len() == UNIQUE_BYTES && VALUE.len() == VALUE_BYTES);

/// One request with its places that change.
#[derive(Clone)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    unique: Option<Range<usize>>,
    value: Option<Range<usize>>,
}

impl Template {
    /// Renders a request. `headers` are whole lines without their ends; `UNIQUE` and `VALUE` may stand once each in path or body.
    pub(crate) fn new(method: &str, path: &str, headers: &[&str], body: Option<&str>) -> Self {
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
        for header in headers {
            text.push_str(header);
            text.push_str("\r\n");
        }
        if let Some(body) = body {
            write!(text, "content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
                .expect("writing to a String cannot fail");
        } else {
            text.push_str("\r\n");
        }
        let find = |marker: &str| text.find(marker).map(|start| start..start + marker.len());
        Self { unique: find(UNIQUE), value: find(VALUE), bytes: text.into_bytes() }
    }

    /// The request with its changing places filled anew.
    pub(crate) fn fill(&mut self, random: &mut Random) -> &[u8] {
        if let Some(range) = self.unique.clone() {
            static NEXT: AtomicU64 = AtomicU64::new(0);
            write_hex(&mut self.bytes[range], NEXT.fetch_add(1, Ordering::Relaxed));
        }
        if let Some(range) = self.value.clone() {
            for half in self.bytes[range].chunks_exact_mut(UNIQUE_BYTES) {
                write_hex(half, random.next());
            }
        }
        &self.bytes
    }
}

/// The requests of one connection: each time one of its templates, chosen at random and filled anew.
pub(crate) struct Lane {
    templates: Vec<Template>,
    random: Random,
}

impl Lane {
    /// At least one template is needed.
    pub(crate) fn new(templates: Vec<Template>, seed: u64) -> Self {
        assert!(!templates.is_empty(), "a lane without requests");
        Self { templates, random: Random::new(seed) }
    }

    /// The next request's bytes.
    pub(crate) fn next(&mut self) -> &[u8] {
        let choice = self.random.below(self.templates.len());
        self.templates[choice].fill(&mut self.random)
    }
}

/// Splitmix64: enough for load, not for secrets.
pub(crate) struct Random(u64);

impl Random {
    /// The same seed gives the same sequence.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below the bound.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let product = u128::from(self.next()) * bound as u128;
        usize::try_from(product >> 64).expect("less than a usize by construction")
    }
}

fn write_hex(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn body(request: &[u8]) -> String {
        let text = std::str::from_utf8(request).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
        body.to_owned()
    }

    #[test]
    fn names_never_repeat_and_values_are_32_fresh_bytes() {
        let text = format!(r#"{{"name":"g-{UNIQUE}","value":"{VALUE}"}}"#);
        let mut lane = Lane::new(vec![Template::new("POST", "/groups", &["authorization: x"], Some(&text))], 7);
        let (mut names, mut values) = (HashSet::new(), HashSet::new());
        for _ in 0..500 {
            let json: serde_json::Value = serde_json::from_str(&body(lane.next())).unwrap();
            assert_eq!(json["value"].as_str().unwrap().len(), VALUE_BYTES);
            names.insert(json["name"].as_str().unwrap().to_owned());
            values.insert(json["value"].as_str().unwrap().to_owned());
        }
        assert_eq!((names.len(), values.len()), (500, 500));
    }

    #[test]
    fn a_request_without_a_body_ends_after_its_head() {
        let mut template = Template::new("GET", "/secrets/1", &["authorization: x"], None);
        assert_eq!(
            template.fill(&mut Random::new(1)),
            b"GET /secrets/1 HTTP/1.1\r\nhost: localhost\r\nauthorization: x\r\n\r\n"
        );
    }

    #[test]
    fn a_lane_uses_all_its_templates() {
        let templates = (0..10).map(|n| Template::new("GET", &format!("/{n}"), &[], None)).collect();
        let mut lane = Lane::new(templates, 3);
        let seen: HashSet<Vec<u8>> = (0..1000).map(|_| lane.next().to_vec()).collect();
        assert_eq!(seen.len(), 10);
    }
}
