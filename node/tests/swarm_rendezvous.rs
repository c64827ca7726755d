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
use futures::future::select_all;
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
    let mut nodes = two_meet(&servers).await;
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
    // The two may be up at each other before both have been announced and identified everywhere.
    let (mut told, mut providers) = (0, HashSet::new());
    let noticed = async {
        while told < 2 || providers.len() < 2 {
            let seen = select_all(servers.iter_mut().map(|server| Box::pin(server.saw.recv())));
            let events = select_all(nodes.networks.iter_mut().map(|network| Box::pin(network.next_event())));
            let seen = tokio::select! {
                (seen, _, _) = seen => seen.unwrap(),
                _ = events => continue,
            };
            told += usize::from(is_node(&seen));
            if let Saw::Provider(peer, addresses) = seen {
                assert!(addresses > 0, "never without an address");
                providers.insert(peer);
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), noticed).await.unwrap();
}

/// Whether this is how one of our nodes showed itself: as a client, with none of our protocols.
fn is_node(seen: &Saw) -> bool {
    let Saw::Protocols(protocols) = seen else { return false };
    assert!(!protocols.iter().any(|protocol| protocol.starts_with("/shoal/")), "what only members meet: {protocols:?}");
    let is_node = protocols.contains("/libp2p/circuit/relay/0.2.0/stop");
    assert!(!is_node || !protocols.contains(PROTOCOL.as_ref()), "a client, with addresses confirmed: {protocols:?}");
    is_node
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
