//! Nodes that share nothing but a public Kademlia network meet through it, and treat it well.
//!
//! The public network is three plain libp2p servers on loopback, one with an RSA key. Every test waits
//! for events, with one bound over the whole.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod foreign;
mod swarm_nodes;

use std::collections::HashSet;
use std::time::Duration;

use foreign::{PROTOCOL, Saw, Server, servers};
use libp2p::kad::RecordKey;
use libp2p::multihash::Multihash;
use shoal_node::identity::Identity;
use shoal_node::networks::{RendezvousConfig, Scope};
use shoal_node::swarm::{Network, NetworkConfig, NetworkEvent, Reach, Way};
use swarm_nodes::{Nodes, config};

/// Enough that junk names fail it, little enough to be made at once.
const BITS: u8 = 8;

/// `printf shoal/rendezvous/local | sha256sum`
const KEY: [u8; 32] = [
    0x28, 0xe5, 0xd4, 0x38, 0xb5, 0xc1, 0x43, 0x7a, 0x53, 0x17, 0xb7, 0x71, 0xa1, 0x4a, 0x03, 0x8e, 0x03, 0xaa, 0xcf, 0x8b, 0x83,
    0x21, 0x92, 0x97, 0x0c, 0x94, 0x0d, 0x8d, 0xed, 0x4f, 0x58, 0x97,
];

fn key() -> RecordKey {
    RecordKey::from(Multihash::<32>::wrap(0x12, &KEY).unwrap())
}

fn met_at(servers: &[Server]) -> NetworkConfig {
    let mut config = config();
    config.scope = Scope::Internet;
    config.identity_bits = BITS;
    config.rendezvous = Some(RendezvousConfig {
        protocol: PROTOCOL,
        bootstrap: servers.iter().map(|server| (server.peer, server.address.clone())).collect(),
        announce_every: Duration::from_secs(36_000),
    });
    config
}

/// Two nodes that know one server each come up at each other.
async fn two_meet(servers: &[Server]) -> Nodes {
    let mut nodes = Nodes { networks: Vec::new(), ids: Vec::new() };
    for index in 0..2 {
        nodes.add(&Identity::generate_with_work(BITS), met_at(&servers[index..=index])).await;
    }
    let mut up = HashSet::new();
    nodes
        .until(|_, index, event| {
            if let NetworkEvent::PeerUp { .. } = event {
                up.insert(index);
            }
            up.len() == 2
        })
        .await;
    nodes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_meet_and_the_public_network_notices_little() {
    let mut servers = servers(&key(), 0).await;
    let nodes = two_meet(&servers).await;
    for (index, network) in nodes.networks.iter().enumerate() {
        let others: Vec<_> = network.peers().iter().map(|peer| peer.node).collect();
        assert_eq!(others, [nodes.ids[1 - index]], "the servers are none of ours");
    }
    let found: usize = nodes
        .networks
        .iter()
        .flat_map(|network| network.ways())
        .filter(|way| way.way == Way::Rendezvous)
        .map(|way| way.found)
        .sum();
    assert!(found >= 1, "one of the two called the other");
    let mut told = 0;
    let mut providers = HashSet::new();
    for server in &mut servers {
        while let Ok(seen) = server.saw.try_recv() {
            match seen {
                Saw::Protocols(protocols) => {
                    let ours = protocols.iter().any(|protocol| protocol.starts_with("/shoal/"));
                    let is_server = protocols.contains(PROTOCOL.as_ref());
                    assert!(!ours, "what only members meet: {protocols:?}");
                    if protocols.contains("/libp2p/circuit/relay/0.2.0/stop") {
                        told += 1;
                        assert!(!is_server, "a client, with addresses confirmed: {protocols:?}");
                    }
                }
                Saw::Provider(peer, addresses) => {
                    assert!(addresses > 0, "never without an address");
                    providers.insert(peer);
                }
                Saw::Asked => {}
            }
        }
    }
    assert!(told >= 2, "both nodes were seen");
    assert_eq!(providers.len(), 2, "one record a node");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn junk_on_the_key_keeps_nobody_apart() {
    let servers = servers(&key(), 250).await;
    two_meet(&servers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_address_it_says_that_it_is_not_announced() {
    let mut servers = servers(&key(), 0).await;
    let mut config = met_at(&servers);
    config.listen = Vec::new();
    let mut network = Network::new(config, Identity::generate_with_work(BITS).keypair()).unwrap();
    let asked = async {
        loop {
            tokio::select! {
                _ = network.next_event() => {}
                seen = servers[0].saw.recv() => match seen.unwrap() {
                    Saw::Asked => return,
                    Saw::Provider(..) => panic!("announced without an address"),
                    Saw::Protocols(_) => {}
                },
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), asked).await.unwrap();
    let state = network.ways().into_iter().find(|way| way.way == Way::Rendezvous).unwrap().state;
    assert!(state.starts_with("not announced: no address"), "{state}");
    let (reach, addresses) = network.reach();
    assert!(matches!(reach, Reach::Unknown | Reach::Private) && addresses.is_empty(), "{reach:?} {addresses:?}");
}
