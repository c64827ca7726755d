//! What an address says of a peer, and which addresses are worth keeping.
//!
//! Addresses come from strangers: a peer may list a thousand, or ours, or the services behind our
//! firewall. Kept are a few, of the kinds that we can dial, and loopback only among loopback nodes.

use std::fmt;
use std::net::IpAddr;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

/// Most addresses kept for one peer (a guess: two transports, v4 and v6, two interfaces).
pub(super) const ADDRESSES_MAX: usize = 8;
/// Longest address kept, in bytes of its binary form. A QUIC address over IPv6 has 66 with `/p2p`.
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

/// Whether this is an address that we could dial and want to keep: an IP that can be one peer's, a
/// port, TCP or QUIC, at most `/p2p/...` after it, and loopback only if `loopback`.
pub(super) fn is_useful(address: &Multiaddr, loopback: bool) -> bool {
    if address.len() > ADDRESS_BYTES_MAX || port_of(address).is_none_or(|port| port == 0) {
        return false;
    }
    let Some(ip) = ip_of(address).map(|ip| ip.to_canonical()) else { return false };
    if ip.is_unspecified() || ip.is_multicast() || (ip.is_loopback() && !loopback) {
        return false;
    }
    let mut parts = address.iter().skip(1);
    let dialable = match parts.next() {
        Some(Protocol::Tcp(_)) => true,
        Some(Protocol::Udp(_)) => matches!(parts.next(), Some(Protocol::QuicV1)),
        _ => false,
    };
    dialable && parts.all(|part| matches!(part, Protocol::P2p(_)))
}

/// The first few useful addresses of a stranger's list.
pub(super) fn useful(addresses: impl IntoIterator<Item = Multiaddr>, loopback: bool) -> Vec<Multiaddr> {
    addresses.into_iter().filter(|address| is_useful(address, loopback)).take(ADDRESSES_MAX).collect()
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
        for (text, far, near) in [
            ("/ip4/192.0.2.1/tcp/4001", true, true),
            ("/ip4/192.0.2.1/udp/4001/quic-v1", true, true),
            ("/ip6/2001:db8::1/tcp/4001", true, true),
            ("/ip4/127.0.0.1/tcp/4001", false, true),
            ("/ip6/::ffff:127.0.0.1/tcp/4001", false, true),
            ("/ip4/0.0.0.0/tcp/4001", false, false),
            ("/ip4/224.0.0.251/udp/5353/quic-v1", false, false),
            ("/ip4/192.0.2.1/tcp/0", false, false),
            ("/ip4/192.0.2.1/udp/4001", false, false),
            ("/ip4/192.0.2.1/tcp/4001/ws", false, false),
            ("/ip4/192.0.2.1", false, false),
            ("/dns4/example.org/tcp/1", false, false),
        ] {
            assert_eq!(is_useful(&address(text), false), far, "{text}");
            assert_eq!(is_useful(&address(text), true), near, "{text} on loopback");
        }
        let flood = (1..=1_000).map(|port| address(&format!("/ip4/192.0.2.1/tcp/{port}")));
        assert_eq!(useful(flood, false).len(), ADDRESSES_MAX);
    }
}
