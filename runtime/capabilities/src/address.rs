//! Which addresses a name may lead to.
//!
//! A name is somebody else's word. Whoever answers for it can say `127.0.0.1`,
//! or the address where a cloud hands out credentials. So each answer is put in
//! a class, and what is not a plain address of the public internet is refused
//! unless the grant says otherwise.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// A machine on the internet.
    Public,
    /// This machine, or one in a private network: loopback, RFC 1918, shared
    /// address space (CGNAT), unique local, site local.
    Private,
    /// Nobody's, everybody's, or a way around the other classes: link-local
    /// (cloud metadata), multicast, broadcast, unspecified, reserved, and
    /// tunnels that carry another address inside.
    Special,
}

impl Class {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => v4(address),
            IpAddr::V6(address) => v6(address),
        }
    }
}

fn v4(address: Ipv4Addr) -> Class {
    match address.octets() {
        [10 | 127, ..] | [192, 168, ..] => Class::Private,
        [172, second, ..] if (16..32).contains(&second) => Class::Private,
        [100, second, ..] if (64..128).contains(&second) => Class::Private,
        // This network; link-local; IETF protocols; documentation; 6to4 relays;
        // benchmarks; multicast and all above it.
        [0, ..]
        | [169, 254, ..]
        | [192, 0, 0 | 2, _]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [224..=255, ..] => Class::Special,
        _ => Class::Public,
    }
}

fn v6(address: Ipv6Addr) -> Class {
    if address.is_loopback() {
        return Class::Private;
    }
    match address.segments() {
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => Class::Private,
        // NAT64 is how a network without IPv4 reaches it: what counts is inside.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            v4(Ipv4Addr::new(a, b, c, d))
        }
        // Within global unicast: Teredo and other protocols, documentation, 6to4.
        [0x2001, 0..0x200, ..] | [0x2001, 0xdb8, ..] | [0x2002, ..] => Class::Special,
        [0x3fff, 0..0x1000, ..] => Class::Special,
        [0x2000..=0x3fff, ..] => Class::Public,
        _ => Class::Special,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn class(text: &str) -> Class {
        Class::of(text.parse().unwrap())
    }

    #[test]
    fn only_plain_addresses_of_the_internet_are_public() {
        for text in ["1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1"] {
            assert_eq!(class(text), Class::Public, "{text}");
        }
        for text in ["2606:4700::1111", "2a00::1", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8"] {
            assert_eq!(class(text), Class::Public, "{text}");
        }
        for text in [
            "127.0.0.1",
            "127.255.255.254",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::7f00:1",
            "fc00::1",
            "fd12::1",
            "fec0::1",
        ] {
            assert_eq!(class(text), Class::Private, "{text}");
        }
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:808:808::1",
            "3fff::1",
            "5f00::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert_eq!(class(text), Class::Special, "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_address_inside_another_is_never_more_public(octets: [u8; 4]) {
            let inside = Ipv4Addr::from(octets);
            let [a, b] = [u16::from_be_bytes([octets[0], octets[1]]), u16::from_be_bytes([octets[2], octets[3]])];
            for outside in [
                Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, a, b),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, a, b),
                Ipv6Addr::new(0x2002, a, b, 0, 0, 0, 0, 1),
                Ipv6Addr::new(0, 0, 0, 0, 0, 0, a, b),
            ] {
                if Class::of(outside.into()) == Class::Public {
                    prop_assert_eq!(Class::of(inside.into()), Class::Public);
                }
            }
        }

        #[test]
        fn nothing_that_the_standard_library_calls_local_is_public(octets: [u8; 4], segments: [u16; 8]) {
            let address = Ipv4Addr::from(octets);
            let local = address.is_loopback() || address.is_private() || address.is_link_local()
                || address.is_unspecified() || address.is_multicast() || address.is_broadcast()
                || address.is_documentation();
            prop_assert!(!(local && Class::of(address.into()) == Class::Public));
            let address = Ipv6Addr::from(segments);
            let local = address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
                || address.is_unspecified() || address.is_multicast();
            prop_assert!(!(local && Class::of(address.into()) == Class::Public));
        }
    }
}
