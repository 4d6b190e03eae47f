//! An IP network, as in a list of trusted proxies or of addresses that may be reached.

use std::{fmt, net::IpAddr, str::FromStr};

/// An address and the number of its leading bits that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is no [`Network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// What stands before the slash is no address.
    #[error("no IPv4 or IPv6 address")]
    Address,
    /// What stands after the slash is no number, or more than the address has bits.
    #[error("the number after the slash must be 0 to {0}")]
    Prefix(u8),
}

impl Network {
    /// Whether `address` lies in it. An IPv4 address written as IPv6 (`::ffff:a.b.c.d`) is that IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differ = network.to_bits() ^ address.to_bits();
                differ.checked_shr(32 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differ = network.to_bits() ^ address.to_bits();
                differ.checked_shr(128 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    /// `10.0.0.0/8`, `fd00::/8`, or a single address. Bits after the prefix don't count.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Address)?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => bits,
            // `parse` would take a sign.
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|prefix| *prefix <= bits).ok_or(NetworkError::Prefix(bits))?
            }
            Some(_) => return Err(NetworkError::Prefix(bits)),
        };
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn contains_what_shares_the_prefix() {
        assert!(network("10.1.0.0/16").contains(ip("10.1.255.255")));
        assert!(!network("10.1.0.0/16").contains(ip("10.2.0.0")));
        assert!(network("10.1.2.3").contains(ip("10.1.2.3")));
        assert!(!network("10.1.2.3").contains(ip("10.1.2.2")));
        assert!(network("0.0.0.0/0").contains(ip("203.0.113.9")));
        assert!(!network("0.0.0.0/0").contains(ip("2001:db8::1")));
        assert!(network("::/0").contains(ip("2001:db8::1")));
        assert!(network("fd00::/8").contains(ip("fdff::1")));
        assert!(!network("fd00::/8").contains(ip("fe00::1")));
        assert!(network("10.0.0.0/8").contains(ip("::ffff:10.9.8.7")));
    }

    #[test]
    fn refuses_what_is_no_network() {
        for text in ["", "/8", "10.0.0.0.0/8", "localhost", "10.0.0.0/8/8"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        for text in ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/256"] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError::Prefix(32)), "{text}");
        }
        assert_eq!("::/129".parse::<Network>(), Err(NetworkError::Prefix(128)));
    }

    proptest! {
        #[test]
        fn a_network_contains_its_own_address(bits: u32, prefix in 0u8..=32) {
            let address = IpAddr::V4(bits.into());
            let network = network(&format!("{address}/{prefix}"));
            prop_assert!(network.contains(address));
        }

        #[test]
        fn one_changed_bit_matters_only_after_the_prefix(bits: u128, prefix in 0u8..=128, changed in 0u8..128) {
            let other = IpAddr::V6((bits ^ (1 << (127 - changed))).into());
            let address = IpAddr::V6(bits.into());
            prop_assume!(other == other.to_canonical());
            prop_assert_eq!(network(&format!("{address}/{prefix}")).contains(other), changed >= prefix);
        }

        #[test]
        fn what_is_printed_parses_again(text in "\\PC{0,24}|[0-9a-f:.]{2,12}/[0-9]{1,3}") {
            if let Ok(parsed) = text.parse::<Network>() {
                prop_assert_eq!(network(&parsed.to_string()), parsed);
            }
        }
    }
}
