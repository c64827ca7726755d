//! Which addresses this node dials at all.
//!
//! Others tell us addresses (Kademlia, identify, AutoNAT's servers are even asked to dial them). An
//! address of this host, or of the network behind our own router, is then a mistake or somebody who
//! would like us to talk to the services there. So loopback is dialled only among loopback nodes, and
//! a private range only in a network of one house, or if this host itself learned the address: by
//! multicast DNS, from the configuration, from a ticket.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use libp2p::Multiaddr;

use super::address::{ip_of, is_private};
use crate::networks::Scope;

/// Private hosts that may be dialled; one more replaces the lowest. A house has fewer.
const HOSTS_MAX: usize = 256;

/// What may be dialled; shared by the transport, which asks, and by the network, which tells.
#[derive(Clone, Debug)]
pub(super) struct Near {
    loopback: bool,
    lan: bool,
    hosts: Arc<Mutex<BTreeSet<IpAddr>>>,
}

impl Near {
    pub(super) fn new(loopback: bool, scope: Scope) -> Self {
        Self { loopback, lan: scope == Scope::Lan, hosts: Arc::default() }
    }

    /// This host learned the address by itself.
    pub(super) fn learn(&self, address: &Multiaddr) {
        let Some(ip) = ip_of(address).map(|ip| ip.to_canonical()).filter(|ip| is_private(*ip)) else { return };
        // The set is whole whoever held it last.
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() >= HOSTS_MAX && !hosts.contains(&ip) {
            hosts.pop_first();
        }
        hosts.insert(ip);
    }

    /// Whether this address may be dialled. One without an IP is not this module's business.
    pub(super) fn may_dial(&self, address: &Multiaddr) -> bool {
        let Some(ip) = ip_of(address).map(|ip| ip.to_canonical()) else { return true };
        if ip.is_loopback() {
            return self.loopback;
        }
        self.lan || !is_private(ip) || self.hosts.lock().unwrap_or_else(PoisonError::into_inner).contains(&ip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    #[test]
    fn strangers_cannot_point_us_at_ourselves_or_our_neighbours() {
        for (text, far, lan, loopback) in [
            ("/ip4/127.0.0.1/tcp/1", false, false, true),
            ("/ip6/::1/udp/1/quic-v1", false, false, true),
            ("/ip6/::ffff:127.0.0.1/tcp/1", false, false, true),
            ("/ip4/192.168.1.1/tcp/80", false, true, false),
            ("/ip4/10.0.0.1/udp/1/quic-v1", false, true, false),
            ("/ip6/fe80::1/tcp/1", false, true, false),
            ("/ip4/203.0.113.7/tcp/1", true, true, true),
            ("/dns4/example.org/tcp/1", true, true, true),
        ] {
            let address = address(text);
            assert_eq!(Near::new(false, Scope::Internet).may_dial(&address), far, "{text}");
            assert_eq!(Near::new(false, Scope::Lan).may_dial(&address), lan, "{text} in a house");
            assert_eq!(Near::new(true, Scope::Internet).may_dial(&address), loopback, "{text} on loopback");
        }
    }

    #[test]
    fn a_neighbour_that_was_met_may_be_dialled_and_the_list_is_bounded() {
        let near = Near::new(false, Scope::Internet);
        near.learn(&address("/ip4/192.168.1.7/tcp/1"));
        near.learn(&address("/ip4/127.0.0.1/tcp/1"));
        assert!(near.clone().may_dial(&address("/ip4/192.168.1.7/udp/9/quic-v1")), "any port of that host");
        assert!(!near.may_dial(&address("/ip4/192.168.1.8/tcp/1")));
        assert!(!near.may_dial(&address("/ip4/127.0.0.1/tcp/1")), "loopback is never learned");
        for n in 0..2 * HOSTS_MAX {
            near.learn(&address(&format!("/ip4/10.0.{}.{}/tcp/1", n / 256, n % 256)));
        }
        assert_eq!(near.hosts.lock().unwrap().len(), HOSTS_MAX);
    }
}
