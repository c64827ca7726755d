//! What an address says of a peer, and which addresses are worth keeping.
//!
//! Addresses come from strangers: a peer may list a thousand, or ours, or the services behind our
//! firewall. Kept are a few, of the kinds that we can dial, loopback only among loopback nodes and
//! private ranges only in a network of one house: told to strangers they name somebody's living room,
//! and dialled by strangers they waste a dial each. An address through a relay is judged by the relay's.

use std::fmt;
use std::net::IpAddr;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

use crate::networks::Scope;

/// Most addresses kept for one peer (a guess: two transports, v4 and v6, two interfaces).
pub(super) const ADDRESSES_MAX: usize = 8;
/// Longest address kept, in bytes of its binary form. A QUIC address over IPv6 has 66 with `/p2p`, one
/// through a relay with both names 109.
pub(super) const ADDRESS_BYTES_MAX: usize = 128;

/// The part of an IP address that one owner usually holds whole: `/24` of IPv4, `/48` of IPv6.
/// Two peers with one prefix may be one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Prefix {
    /// The first 24 bits of an IPv4 address.
    V4([u8; 3]),
    /// The first 48 bits of an IPv6 address.
    V6([u8; 6]),
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4([a, b, c]) => write!(f, "{a}.{b}.{c}.0/24"),
            Self::V6([a, b, c, d, e, g]) => write!(f, "{a:02x}{b:02x}:{c:02x}{d:02x}:{e:02x}{g:02x}::/48"),
        }
    }
}

impl Prefix {
    /// The prefix of an address; `None` for loopback, where all peers share one, and for an address
    /// without an IP.
    #[must_use]
    pub fn of(address: &Multiaddr) -> Option<Self> {
        match ip_of(address)?.to_canonical() {
            ip if ip.is_loopback() => None,
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                Some(Self::V4([a, b, c]))
            }
            IpAddr::V6(ip) => {
                let [a, b, c, d, e, g, ..] = ip.octets();
                Some(Self::V6([a, b, c, d, e, g]))
            }
        }
    }
}

/// How bytes travel on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportKind {
    /// TCP, Noise, Yamux.
    Tcp,
    /// QUIC version 1.
    Quic,
}

impl fmt::Display for TransportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Quic => "quic",
        })
    }
}

/// The transport of an address.
pub(super) fn transport_of(address: &Multiaddr) -> TransportKind {
    if address.iter().any(|part| matches!(part, Protocol::QuicV1)) { TransportKind::Quic } else { TransportKind::Tcp }
}

/// The IP of an address that starts with one.
pub(super) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(IpAddr::V4(ip)),
        Protocol::Ip6(ip) => Some(IpAddr::V6(ip)),
        _ => None,
    }
}

/// Whether an address is this very host.
pub(super) fn is_loopback(address: &Multiaddr) -> bool {
    ip_of(address).is_some_and(|ip| ip.to_canonical().is_loopback())
}

/// The port, whatever the transport.
pub(super) fn port_of(address: &Multiaddr) -> Option<u16> {
    address.iter().find_map(|part| match part {
        Protocol::Tcp(port) | Protocol::Udp(port) => Some(port),
        _ => None,
    })
}

/// Whether an address leads through a relay.
pub(super) fn is_relayed(address: &Multiaddr) -> bool {
    address.iter().any(|part| matches!(part, Protocol::P2pCircuit))
}

/// Whether an IP means something only behind one router or on one link. The ranges that are kept for
/// documentation are not private: nobody has them, so nothing is lost, and test networks use them.
pub(super) fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            // RFC 1918, RFC 3927, and RFC 6598: what a provider's own NAT hands out.
            ip.is_private() || ip.is_link_local() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// Whether anybody could dial this address, as far as its IP says: none of loopback, private,
/// unspecified, multicast or broadcast.
pub(super) fn is_public(address: &Multiaddr) -> bool {
    ip_of(address).map(|ip| ip.to_canonical()).is_some_and(|ip| {
        let nobodys = ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::V4(std::net::Ipv4Addr::BROADCAST);
        !(nobodys || ip.is_loopback() || is_private(ip))
    })
}

/// Which addresses of strangers are worth keeping here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// All nodes are on this very host.
    pub(super) loopback: bool,
    /// All nodes are in one house or office.
    pub(super) private: bool,
}

impl Kept {
    pub(super) const fn new(loopback: bool, scope: Scope) -> Self {
        Self { loopback, private: matches!(scope, Scope::Lan) }
    }

    /// Whether this is an address that we could dial and want to keep: an IP that can be one peer's, a
    /// port, TCP or QUIC, at most a relay and names after it.
    pub(super) fn is_useful(self, address: &Multiaddr) -> bool {
        if address.len() > ADDRESS_BYTES_MAX || port_of(address).is_none_or(|port| port == 0) {
            return false;
        }
        let Some(ip) = ip_of(address).map(|ip| ip.to_canonical()) else { return false };
        if ip.is_unspecified() || ip.is_multicast() || (ip.is_loopback() && !self.loopback) || (is_private(ip) && !self.private) {
            return false;
        }
        let parts: Vec<_> = address.iter().skip(1).collect();
        let rest = match parts.as_slice() {
            [Protocol::Tcp(_), rest @ ..] | [Protocol::Udp(_), Protocol::QuicV1, rest @ ..] => rest,
            _ => return false,
        };
        matches!(
            rest,
            [] | [Protocol::P2p(_)]
                | [Protocol::P2p(_), Protocol::P2pCircuit]
                | [Protocol::P2p(_), Protocol::P2pCircuit, Protocol::P2p(_)]
        )
    }

    /// The first few useful addresses of a stranger's list.
    pub(super) fn useful(self, addresses: impl IntoIterator<Item = Multiaddr>) -> Vec<Multiaddr> {
        addresses.into_iter().filter(|address| self.is_useful(address)).take(ADDRESSES_MAX).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    #[test]
    fn prefixes() {
        for (text, prefix) in [
            ("/ip4/192.0.2.77/tcp/1", Some("192.0.2.0/24")),
            ("/ip4/127.0.0.1/tcp/1", None),
            ("/ip6/::1/tcp/1", None),
            ("/ip6/2001:db8:7:8::9/udp/1/quic-v1", Some("2001:0db8:0007::/48")),
            ("/ip6/::ffff:192.0.2.77/tcp/1", Some("192.0.2.0/24")),
            ("/dns4/example.org/tcp/1", None),
        ] {
            assert_eq!(Prefix::of(&address(text)).map(|p| p.to_string()).as_deref(), prefix, "{text}");
        }
    }

    #[test]
    fn only_dialable_addresses_are_kept() {
        let relay = "/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN/p2p-circuit";
        let through = |way: &str| format!("{way}{relay}");
        for (text, far, lan, near) in [
            ("/ip4/192.0.2.1/tcp/4001", true, true, true),
            ("/ip4/192.0.2.1/udp/4001/quic-v1", true, true, true),
            ("/ip6/2001:db8::1/tcp/4001", true, true, true),
            ("/ip4/192.168.3.4/tcp/4001", false, true, false),
            ("/ip4/100.64.0.1/tcp/4001", false, true, false),
            ("/ip6/fd00::1/tcp/4001", false, true, false),
            (&through("/ip4/192.0.2.1/tcp/4001"), true, true, true),
            (&through("/ip6/2001:db8::1/udp/4001/quic-v1"), true, true, true),
            (&through("/ip4/192.168.3.4/tcp/4001"), false, true, false),
            (&format!("{}{relay}", through("/ip4/192.0.2.1/tcp/4001")), false, false, false),
            ("/ip4/127.0.0.1/tcp/4001", false, false, true),
            ("/ip6/::ffff:127.0.0.1/tcp/4001", false, false, true),
            ("/ip4/0.0.0.0/tcp/4001", false, false, false),
            ("/ip4/224.0.0.251/udp/5353/quic-v1", false, false, false),
            ("/ip4/192.0.2.1/tcp/0", false, false, false),
            ("/ip4/192.0.2.1/udp/4001", false, false, false),
            ("/ip4/192.0.2.1/tcp/4001/ws", false, false, false),
            ("/ip4/192.0.2.1/tcp/4001/p2p-circuit", false, false, false),
            ("/ip4/192.0.2.1", false, false, false),
            ("/dns4/example.org/tcp/1", false, false, false),
        ] {
            assert_eq!(Kept::new(false, Scope::Internet).is_useful(&address(text)), far, "{text}");
            assert_eq!(Kept::new(false, Scope::Lan).is_useful(&address(text)), lan, "{text} in a house");
            assert_eq!(Kept::new(true, Scope::Internet).is_useful(&address(text)), near, "{text} on loopback");
        }
        let flood = (1..=1_000).map(|port| address(&format!("/ip4/192.0.2.1/tcp/{port}")));
        assert_eq!(Kept::new(false, Scope::Internet).useful(flood).len(), ADDRESSES_MAX);
    }

    #[test]
    fn the_longest_honest_address_fits() {
        let peer = "/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
        let long = address(&format!("/ip6/2001:db8::1/udp/65535/quic-v1{peer}/p2p-circuit{peer}"));
        assert!(long.len() <= ADDRESS_BYTES_MAX && Kept::new(false, Scope::Internet).is_useful(&long), "{}", long.len());
        assert!(is_relayed(&long) && transport_of(&long) == TransportKind::Quic);
    }

    #[test]
    fn public_is_what_anybody_could_dial() {
        for (text, public) in [
            ("/ip4/203.0.113.9/tcp/1", true),
            ("/ip4/198.51.100.9/udp/1/quic-v1", true),
            ("/ip4/10.1.2.3/tcp/1", false),
            ("/ip4/100.100.0.1/tcp/1", false),
            ("/ip4/169.254.1.1/tcp/1", false),
            ("/ip4/255.255.255.255/tcp/1", false),
            ("/ip4/0.0.0.0/tcp/1", false),
            ("/ip6/::ffff:10.0.0.1/tcp/1", false),
            ("/ip6/::1/tcp/1", false),
            ("/ip6/2001:db8::1/tcp/1", true),
            ("/dns4/example.org/tcp/1", false),
        ] {
            assert_eq!(is_public(&address(text)), public, "{text}");
        }
    }
}
