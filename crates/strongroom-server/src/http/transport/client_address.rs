//! Which address a request comes from, when proxies stand in between.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};

use strongroom_domain::Network;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's address, an extension of every request: the peer of the connection or, when that is a trusted proxy,
/// the right-most address in `X-Forwarded-For` that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// Walks back along the proxies. Each one is believed only about whom it talked to, so the walk stops at the first
    /// address that isn't trusted; what stands left of it is whatever the client wrote. An entry that is no address ends
    /// the walk at the proxy that reported it.
    pub(super) fn find(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> Self {
        let is_trusted = |address| trusted.iter().any(|network| network.contains(address));
        let mut client = peer.to_canonical();
        if !is_trusted(client) {
            return Self(client);
        }
        let lines = headers.get_all(X_FORWARDED_FOR);
        let entries = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        for entry in entries {
            let Some(address) = parse_entry(entry) else { break };
            client = address;
            if !is_trusted(client) {
                break;
            }
        }
        Self(client)
    }
}

/// An address, with or without a port: some proxies write one.
fn parse_entry(entry: &[u8]) -> Option<IpAddr> {
    let entry = std::str::from_utf8(entry).ok()?.trim();
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    let address = bare.parse().ok().or_else(|| entry.parse().ok().map(|socket: SocketAddr| socket.ip()))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn find(peer: &str, lines: &[&str]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_str(line).unwrap());
        }
        ClientAddress::find(peer.parse().unwrap(), &headers, &trusted).0.to_string()
    }

    #[test]
    fn an_untrusted_peer_is_the_client_whatever_it_says() {
        assert_eq!(find("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
    }

    #[test]
    fn the_right_most_untrusted_entry_wins() {
        assert_eq!(find("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(find("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(find("10.0.0.1", &["1.1.1.1, 198.51.100.1 ,10.2.3.4"]), "198.51.100.1");
        assert_eq!(find("10.0.0.1", &["1.1.1.1, 198.51.100.1", "10.2.3.4"]), "198.51.100.1");
        assert_eq!(find("10.0.0.1", &["1.1.1.1", "198.51.100.1"]), "198.51.100.1");
        assert_eq!(find("10.0.0.1", &["10.7.7.7, 10.2.3.4"]), "10.7.7.7");
        assert_eq!(find("fd00::1", &["2001:db8::5"]), "2001:db8::5");
    }

    #[test]
    fn ports_brackets_and_mapped_addresses_are_understood() {
        assert_eq!(find("::ffff:10.0.0.1", &["198.51.100.1:4711"]), "198.51.100.1");
        assert_eq!(find("10.0.0.1", &["[2001:db8::5]:443"]), "2001:db8::5");
        assert_eq!(find("10.0.0.1", &["[2001:db8::5]"]), "2001:db8::5");
        assert_eq!(find("10.0.0.1", &["::ffff:198.51.100.1"]), "198.51.100.1");
    }

    #[test]
    fn nonsense_ends_at_the_proxy_that_reported_it() {
        assert_eq!(find("10.0.0.1", &["198.51.100.1, unknown"]), "10.0.0.1");
        assert_eq!(find("10.0.0.1", &["198.51.100.1, unknown, 10.2.3.4"]), "10.2.3.4");
        assert_eq!(find("10.0.0.1", &["198.51.100.1,,10.2.3.4"]), "10.2.3.4");
    }

    proptest! {
        #[test]
        fn a_client_cannot_move_itself_by_what_it_sends(forged in "[ -~]{0,60}", hops in 0usize..4) {
            let mut line = format!("{forged},198.51.100.1");
            for hop in 0..hops {
                line = format!("{line}, 10.0.0.{hop}");
            }
            prop_assert_eq!(find("10.0.0.99", &[&line]), "198.51.100.1");
        }

        #[test]
        fn any_bytes_are_survived(line in proptest::collection::vec(any::<u8>(), 0..60)) {
            let Ok(value) = HeaderValue::from_bytes(&line) else { return Ok(()) };
            let headers = HeaderMap::from_iter([(X_FORWARDED_FOR, value)]);
            let peer: IpAddr = [10, 0, 0, 1].into();
            ClientAddress::find(peer, &headers, &["0.0.0.0/0".parse().unwrap()]);
        }
    }
}
