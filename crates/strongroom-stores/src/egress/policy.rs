//! Which addresses may be reached.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use strongroom_domain::Network;

/// Which addresses may be reached: public ones, private ones too unless told otherwise, and what is listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    /// Refuse private networks too: the setting `egress-deny-private`.
    pub deny_private: bool,
    /// Networks that may be reached whatever they are, in plain text too: the setting `egress-allow`.
    pub allow: Vec<Network>,
}

/// What an address is, if it isn't one of the public internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressKind {
    /// A private network, or one shared behind a carrier's NAT.
    Private,
    /// This machine.
    Loopback,
    /// The machines on the same link. Most metadata services are there.
    LinkLocal,
    /// A metadata service of a cloud that lies elsewhere.
    Metadata,
    /// No address, or "this network".
    Unspecified,
    /// Many machines at once.
    Multicast,
    /// Set aside: nobody's, or an end of a tunnel whose other end doesn't show.
    Reserved,
}

/// Why an address isn't reached. The text names the setting that decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not a public address.
    #[error(
        "the address {address} is {kind} and isn't reached{}; an operator can allow it with STRONGROOM_EGRESS_ALLOW",
        if *kind == AddressKind::Private { " with STRONGROOM_EGRESS_DENY_PRIVATE" } else { "" }
    )]
    Address {
        /// The address as it was given.
        address: IpAddr,
        /// What it is.
        kind: AddressKind,
    },
    /// Nothing to say against the address, but against plain text.
    #[error(
        "http:// sends everything in plain text: use https://, or an operator can allow it for the address {address} \
         with STRONGROOM_EGRESS_ALLOW"
    )]
    PlainText {
        /// The address as it was given.
        address: IpAddr,
    },
}

impl AddressPolicy {
    /// Whether `address` may be reached.
    pub fn check(&self, address: IpAddr) -> Result<(), Refusal> {
        let refused = |kind| Err(Refusal::Address { address, kind });
        match kind(address) {
            None => Ok(()),
            Some(_) if self.lists(address) => Ok(()),
            Some(AddressKind::Private) if !self.deny_private => Ok(()),
            Some(kind) => refused(kind),
        }
    }

    /// Whether `address` may be reached in plain text: only what is listed.
    pub fn check_plain_text(&self, address: IpAddr) -> Result<(), Refusal> {
        self.check(address)?;
        if self.lists(address) { Ok(()) } else { Err(Refusal::PlainText { address }) }
    }

    /// Listed as it is written, or as the IPv4 address that it stands for.
    fn lists(&self, address: IpAddr) -> bool {
        let carried = match address {
            IpAddr::V6(v6) => carried_v4(v6).map(IpAddr::V4),
            IpAddr::V4(_) => None,
        };
        self.allow.iter().any(|network| network.contains(address) || carried.is_some_and(|v4| network.contains(v4)))
    }
}

/// `None`: an address of the public internet.
fn kind(address: IpAddr) -> Option<AddressKind> {
    match address {
        IpAddr::V4(v4) => kind_of_v4(v4),
        IpAddr::V6(v6) => kind_of_v6(v6),
    }
}

fn kind_of_v4(address: Ipv4Addr) -> Option<AddressKind> {
    Some(match address.octets() {
        // Alibaba Cloud; Azure's WireServer; Oracle Cloud, among what the IETF has set aside for protocols.
        [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, _] => AddressKind::Metadata,
        [0, ..] => AddressKind::Unspecified,
        [127, ..] => AddressKind::Loopback,
        [169, 254, ..] => AddressKind::LinkLocal,
        // The last is for benchmarks.
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] | [198, 18..=19, ..] => {
            AddressKind::Private
        }
        [224..=239, ..] => AddressKind::Multicast,
        // With the broadcast address at the end.
        [240..=255, ..] => AddressKind::Reserved,
        _ => return None,
    })
}

fn kind_of_v6(address: Ipv6Addr) -> Option<AddressKind> {
    if let Some(carried) = carried_v4(address) {
        return kind_of_v4(carried);
    }
    Some(match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => AddressKind::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressKind::Loopback,
        // AWS and Google Cloud, within the private range.
        [0xfd00, 0x0ec2, ..] | [0xfd20, 0x00ce, ..] => AddressKind::Metadata,
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => AddressKind::Private,
        [0xfe80..=0xfebf, ..] => AddressKind::LinkLocal,
        [0xff00..=0xffff, ..] => AddressKind::Multicast,
        // Teredo: the address that it ends at is scrambled, and nobody needs it any more.
        [0x2001, 0, ..] => AddressKind::Reserved,
        [0x2000..=0x3fff, ..] => return None,
        // The public internet lies in 2000::/3 only.
        _ => AddressKind::Reserved,
    })
}

/// The IPv4 address at which packets to `address` end: mapped, compatible, translated by NAT64, or 6to4.
fn carried_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let (high, low) = match address.segments() {
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0, 0, 0..=1] => return None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            (high, low)
        }
        _ => return None,
    };
    Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
}

impl fmt::Display for AddressKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Private => "a private address",
            Self::Loopback => "a loopback address",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "an address of a cloud's metadata service",
            Self::Unspecified => "an unspecified address",
            Self::Multicast => "a multicast address",
            Self::Reserved => "a reserved address",
        })
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
