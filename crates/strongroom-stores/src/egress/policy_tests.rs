use proptest::{collection::vec, prelude::*};

use super::*;

fn policy(deny_private: bool, allow: &[&str]) -> AddressPolicy {
    AddressPolicy { deny_private, allow: allow.iter().map(|network| network.parse().unwrap()).collect() }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Each address at both ends of the ranges, and its kind.
const SPECIAL: &[(AddressKind, &[&str])] = &[
    (AddressKind::Loopback, &["127.0.0.0", "127.0.0.1", "127.255.255.255", "::1"]),
    (AddressKind::LinkLocal, &["169.254.0.0", "169.254.169.254", "169.254.170.2", "169.254.255.255", "fe80::1"]),
    (AddressKind::LinkLocal, &["febf:ffff::1", "fe80::ffff:127.0.0.1"]),
    (AddressKind::Metadata, &["100.100.100.200", "168.63.129.16", "192.0.0.192", "192.0.0.0", "192.0.0.255"]),
    (AddressKind::Metadata, &["fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254"]),
    (AddressKind::Unspecified, &["0.0.0.0", "0.255.255.255", "::"]),
    (AddressKind::Multicast, &["224.0.0.0", "239.255.255.255", "ff00::", "ff02::1", "ffff::"]),
    (AddressKind::Reserved, &["240.0.0.0", "255.255.255.255", "100::", "4000::", "1fff::", "64:ff9b:1::1"]),
    (AddressKind::Reserved, &["2001::1", "2001:0:ffff::", "::ffff:0:8.8.8.8", "5f00::", "fbff::"]),
    (
        AddressKind::Loopback,
        &["::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::127.0.0.1", "2002:7f00:1::", "2002:7f00:1:9::8"],
    ),
    (
        AddressKind::LinkLocal,
        &["::ffff:169.254.169.254", "::169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1"],
    ),
];

const PRIVATE: &[&str] = &[
    "10.0.0.0",
    "10.255.255.255",
    "172.16.0.0",
    "172.31.255.255",
    "192.168.0.0",
    "192.168.255.255",
    "100.64.0.0",
    "100.127.255.255",
    "198.18.0.0",
    "198.19.255.255",
    "fc00::",
    "fdff::1",
    "fec0::",
    "::ffff:10.0.0.1",
    "64:ff9b::10.0.0.1",
    "2002:a00:1::",
];

const PUBLIC: &[&str] = &[
    "1.1.1.1",
    "9.255.255.255",
    "11.0.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.167.255.255",
    "192.169.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2000::",
    "2001:1::",
    "2001:4860:4860::8888",
    "3fff:ffff::",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::",
];

#[test]
fn special_addresses_are_refused_and_the_refusal_names_the_setting() {
    for policy in [policy(false, &[]), policy(true, &[])] {
        for (kind, addresses) in SPECIAL {
            for address in addresses.iter().map(|address| ip(address)) {
                let refusal = policy.check(address).unwrap_err();
                assert_eq!(refusal, Refusal::Address { address, kind: *kind });
                assert!(refusal.to_string().contains("STRONGROOM_EGRESS_ALLOW"), "{refusal}");
                assert!(!refusal.to_string().contains("DENY_PRIVATE"), "{refusal}");
            }
        }
    }
}

#[test]
fn private_addresses_are_reached_unless_denied() {
    for address in PRIVATE.iter().map(|address| ip(address)) {
        assert_eq!(policy(false, &[]).check(address), Ok(()), "{address}");
        let refusal = policy(true, &[]).check(address).unwrap_err();
        assert_eq!(refusal, Refusal::Address { address, kind: AddressKind::Private });
        assert!(refusal.to_string().contains("STRONGROOM_EGRESS_DENY_PRIVATE"), "{refusal}");
    }
}

#[test]
fn public_addresses_are_reached() {
    for address in PUBLIC.iter().map(|address| ip(address)) {
        assert_eq!(policy(true, &[]).check(address), Ok(()), "{address}");
    }
}

#[test]
fn what_is_listed_wins() {
    let listed = policy(true, &["127.0.0.0/8", "10.1.0.0/16", "fd00:ec2::254"]);
    for address in ["127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1", "10.1.2.3", "fd00:ec2::254"] {
        assert_eq!(listed.check(ip(address)), Ok(()), "{address}");
    }
    for address in ["::1", "10.2.0.0", "169.254.169.254", "fd00:ec2::253"] {
        assert!(listed.check(ip(address)).is_err(), "{address}");
    }
}

#[test]
fn plain_text_is_for_listed_addresses_only() {
    let listed = policy(false, &["127.0.0.0/8", "1.1.1.0/24"]);
    for address in ["127.0.0.1", "1.1.1.1"] {
        assert_eq!(listed.check_plain_text(ip(address)), Ok(()), "{address}");
    }
    for address in ["8.8.8.8", "10.0.0.1"] {
        let refusal = listed.check_plain_text(ip(address)).unwrap_err();
        assert_eq!(refusal, Refusal::PlainText { address: ip(address) });
        assert!(refusal.to_string().contains("STRONGROOM_EGRESS_ALLOW"), "{refusal}");
    }
    let refusal = listed.check_plain_text(ip("169.254.169.254")).unwrap_err();
    assert!(matches!(refusal, Refusal::Address { kind: AddressKind::LinkLocal, .. }));
}

/// The forms in which IPv6 carries an IPv4 address.
fn forms(v4: Ipv4Addr) -> [Ipv6Addr; 4] {
    let low = u128::from(v4.to_bits());
    [
        v4.to_ipv6_mapped(),
        Ipv6Addr::from_bits(low),
        Ipv6Addr::from_bits(0x0064_ff9b << 96 | low),
        Ipv6Addr::from_bits(0x2002 << 112 | low << 80),
    ]
}

fn any_v4() -> impl Strategy<Value = Ipv4Addr> {
    let special = SPECIAL.iter().flat_map(|(_, addresses)| *addresses).chain(PRIVATE).chain(PUBLIC);
    let known: Vec<Ipv4Addr> = special.filter_map(|address| address.parse().ok()).collect();
    prop_oneof![any::<u32>().prop_map(Ipv4Addr::from), prop::sample::select(known)]
}

fn any_network() -> impl Strategy<Value = Network> {
    (any_v4(), 0_u8..=32).prop_map(|(address, prefix)| format!("{address}/{prefix}").parse().unwrap())
}

proptest! {
    #[test]
    fn every_form_of_an_address_has_its_verdict(
        v4 in any_v4(), deny_private: bool, allow in vec(any_network(), 0..3)
    ) {
        // `::` and `::1` are addresses of their own.
        prop_assume!(v4.to_bits() > 1);
        let policy = AddressPolicy { deny_private, allow };
        for form in forms(v4).map(IpAddr::V6) {
            prop_assert_eq!(policy.check(form).is_ok(), policy.check(v4.into()).is_ok(), "{}", form);
            let plain = policy.check_plain_text(v4.into()).is_ok();
            prop_assert_eq!(policy.check_plain_text(form).is_ok(), plain, "{}", form);
        }
    }

    #[test]
    fn a_list_only_adds(bits: u128, v4 in any_v4(), deny_private: bool, allow in vec(any_network(), 0..3)) {
        for address in [IpAddr::V6(bits.into()), v4.into()] {
            let without = AddressPolicy { deny_private, allow: Vec::new() }.check(address);
            let with = AddressPolicy { deny_private, allow: allow.clone() }.check(address);
            let is_listed = allow.iter().any(|network| network.contains(address));
            prop_assert!(!is_listed || with.is_ok());
            prop_assert!(without.is_err() || with.is_ok());
        }
    }

    #[test]
    fn nothing_outside_of_the_public_ranges_counts_as_public(bits: u128) {
        let address = Ipv6Addr::from(bits);
        let is_global_unicast = address.segments()[0] >> 13 == 1;
        prop_assert!(is_global_unicast || carried_v4(address).is_some() || kind_of_v6(address).is_some());
    }
}
